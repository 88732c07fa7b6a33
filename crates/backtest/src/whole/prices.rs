//! Prices for charts, read from the market once more.
//! Never: more than a few thousand bars an instrument.

use crate::log::PriceLine;
use crate::sweep::split::Window;
use ctos_kernel::bars::BarBuilder;
use ctos_types::{Bar, Event, EventBuf, Interval, L2Book, Market, MarketData, Price, Qty, Quote, Side, UnixNanos};
use ctos_venue::MarketSource;

/// Bars of a line, at most.
const MOST: i64 = 3_000;
/// Lengths that people read, in seconds.
const NICE: [i64; 16] =
    [1, 5, 15, 30, 60, 180, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 259_200, 604_800];

/// What an instrument's prices are taken from: the best of what its data has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Nothing,
    Book,
    Quotes,
    Trades,
    Bars,
}

struct Line {
    from: From,
    builder: BarBuilder,
    book: L2Book,
    bars: Vec<Bar>,
}

/// One line for each instrument that has a price in the window.
pub fn lines(mut source: Box<dyn MarketSource>, window: Window) -> Vec<PriceLine> {
    let interval = interval(window);
    let fresh =
        || Line { from: From::Nothing, builder: BarBuilder::new(interval), book: L2Book::default(), bars: Vec::new() };
    let ids: Vec<_> = source.instruments().iter().map(|i| i.id).collect();
    let mut lines: Vec<Line> = ids.iter().map(|_| fresh()).collect();
    let mut buf = EventBuf::default();
    while let Some(times) = source.next(&mut buf) {
        if times.venue > window.to {
            break;
        }
        let Event::Market(market) = buf.as_event() else { continue };
        let Some(line) = lines.get_mut(market.instrument.index()) else { continue };
        line.take(times.venue, &market, times.venue >= window.from, interval);
    }
    let finish = |(id, mut line): (_, Line)| {
        line.bars.extend(line.builder.on_time(UnixNanos::MAX));
        (!line.bars.is_empty()).then_some(PriceLine { instrument: id, bars: line.bars })
    };
    ids.into_iter().zip(lines).filter_map(finish).collect()
}

impl Line {
    fn take(&mut self, at: UnixNanos, market: &Market<'_>, inside: bool, interval: Interval) {
        let (from, price, qty) = match market.data {
            MarketData::Bar(bar) => {
                if inside && self.is_best(From::Bars, interval) {
                    let closed =
                        if bar.interval.secs() <= interval.secs() { self.builder.on_bar(&bar) } else { Some(bar) };
                    self.bars.extend(closed);
                }
                return;
            }
            MarketData::Trade(t) => (From::Trades, Some(t.price), t.qty),
            MarketData::Quote { quote, .. } => (From::Quotes, middle(quote), Qty(0)),
            MarketData::Depth { bids, asks, snapshot, .. } => {
                if snapshot {
                    self.book.replace(bids, asks);
                } else {
                    bids.iter().for_each(|l| self.book.set(Side::Buy, l.price, l.qty));
                    asks.iter().for_each(|l| self.book.set(Side::Sell, l.price, l.qty));
                }
                (From::Book, middle(self.book.quote()), Qty(0))
            }
            MarketData::Mark(_) | MarketData::Funding(_) | MarketData::Gap => return,
        };
        if let Some(price) = price.filter(|_| inside)
            && self.is_best(from, interval)
        {
            self.bars.extend(self.builder.on_trade(at, price, qty));
        }
    }

    /// Better data than before begins the line anew; worse is left out.
    fn is_best(&mut self, from: From, interval: Interval) -> bool {
        if from > self.from {
            self.from = from;
            self.builder = BarBuilder::new(interval);
            self.bars.clear();
        }
        from == self.from
    }
}

fn middle(q: Quote) -> Option<Price> {
    q.is_two_sided().then(|| Price(q.bid_px.0 + (q.ask_px.0 - q.bid_px.0) / 2))
}

fn interval(window: Window) -> Interval {
    let seconds = window.len().0 / 1_000_000_000;
    let enough = NICE.iter().copied().find(|s| seconds / s <= MOST);
    enough
        .and_then(|s| Interval::from_secs(s as u32))
        .or_else(|| Interval::from_secs(86_400))
        .expect("a day is an interval")
}
