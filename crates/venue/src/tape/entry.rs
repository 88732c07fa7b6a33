//! How one event lies on a tape: a few 64-bit words, as short as its numbers allow, at most 64 bytes but for the levels
//! of a book beyond the first, numbers that no market has, and funding.
//! Never: a number that comes back other than it went in. What does not fit the short form takes the long one.

use ctos_types::{
    Bar, Decimal, EventBuf, EventKind, FundingRate, InstrumentId, Interval, Level, MarkPrice, Market, MarketData,
    Price, Qty, Quote, Rules, Side, Trade, UnixNanos,
};

// The first word is the head: kind (bits 0 to 3), a flag (4), a small number (5 to 7), the instrument (8 to 31) and 32
// bits that each kind uses in its own way. The second word is the receive time, the third the venue's.

/// `aux` is the size; price, id. The flag says that the taker sold.
const TRADE: u8 = 0;
/// Price, id, size.
const TRADE_LONG: u8 = 1;
/// `aux` is the spread; update id, bid, and in one word the sizes of bid and ask.
const QUOTE: u8 = 2;
/// Update id, bid and its size, ask and its size.
const QUOTE_LONG: u8 = 3;
/// `aux` counts bids (upper half) and asks; update id, and one word a level. The flag says snapshot.
const DEPTH: u8 = 4;
/// `aux` counts the bids; update id, number of asks, and two words a level.
const DEPTH_LONG: u8 = 5;
/// The small number is the interval's, `aux` is close - low; open, in one word high - open and open - low, volume.
const BAR: u8 = 6;
/// `aux` is the interval's number; open, high, low, close, volume; with the flag the open time, which otherwise is one
/// interval before the close.
const BAR_LONG: u8 = 7;
/// `aux` is the funding rate in [`SMALL`]; mark and index in it, next funding.
const MARK: u8 = 8;
/// Next funding; mark, index and rate of two words each.
const MARK_LONG: u8 = 9;
/// Rate and mark of two words each.
const FUNDING: u8 = 10;
const GAP: u8 = 11;
/// `aux` is the place of what the venue takes from here on.
const RULES: u8 = 12;

/// 10^-8 in atoms of [`Decimal`]: what venues state marks and rates in.
const SMALL: i128 = 10_000_000_000;

/// Most instruments and intervals that a head can tell apart.
const INSTRUMENTS: u32 = 1 << 24;
const SHORT_INTERVALS: usize = 8;

fn head(kind: u8, flag: bool, small: u8, instrument: InstrumentId, aux: u32) -> u64 {
    u64::from(kind) | u64::from(flag) << 4 | u64::from(small) << 5 | u64::from(instrument.0) << 8 | u64::from(aux) << 32
}

fn word(n: i64) -> u64 {
    n as u64
}

fn number(word: u64) -> i64 {
    word as i64
}

fn halves(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

fn low(word: u64) -> u32 {
    word as u32
}

fn short(n: i64) -> Option<u32> {
    u32::try_from(n).ok()
}

fn gap(more: Price, less: Price) -> Option<u32> {
    short(more.0.checked_sub(less.0)?)
}

fn wide(n: Decimal) -> [u64; 2] {
    [(n.atoms() >> 64) as u64, n.atoms() as u64]
}

fn narrow(words: [u64; 2]) -> Decimal {
    Decimal::from_atoms(i128::from(number(words[0])) << 64 | i128::from(words[1]))
}

/// Appends an event that happened at `event` by the venue's clock ([`UnixNanos::MIN`]: it states none), of a bar its
/// close. Intervals not met before are added to `intervals`.
///
/// Panics at the 16,777,216th instrument, which no run has.
pub fn write(
    recv: UnixNanos,
    event: UnixNanos,
    market: &Market<'_>,
    intervals: &mut Vec<Interval>,
    out: &mut Vec<u64>,
) {
    let id = market.instrument;
    assert!(id.0 < INSTRUMENTS, "too many instruments for a tape");
    let times = [word(recv.0), word(event.0)];
    let mut put = |head: u64, rest: &[u64]| {
        out.push(head);
        out.extend_from_slice(&times);
        out.extend_from_slice(rest);
    };
    match market.data {
        MarketData::Trade(Trade { price, qty, aggressor, id: trade }) => {
            let (sold, price) = (aggressor == Side::Sell, word(price.0));
            match short(qty.0) {
                Some(qty) => put(head(TRADE, sold, 0, id, qty), &[price, trade]),
                None => put(head(TRADE_LONG, sold, 0, id, 0), &[price, trade, word(qty.0)]),
            }
        }
        MarketData::Quote { quote: Quote { bid_px, bid_qty, ask_px, ask_qty }, update_id } => {
            match (gap(ask_px, bid_px), short(bid_qty.0), short(ask_qty.0)) {
                (Some(spread), Some(bid), Some(ask)) => {
                    put(head(QUOTE, false, 0, id, spread), &[update_id, word(bid_px.0), halves(bid, ask)]);
                }
                _ => {
                    let [bid, bids, ask, asks] = [bid_px.0, bid_qty.0, ask_px.0, ask_qty.0].map(word);
                    put(head(QUOTE_LONG, false, 0, id, 0), &[update_id, bid, bids, ask, asks]);
                }
            }
        }
        MarketData::Depth { bids, asks, snapshot, update_id } => {
            let levels = || bids.iter().chain(asks);
            let packed = |l: &Level| Some(halves(short(l.price.0)?, short(l.qty.0)?));
            match (u16::try_from(bids.len()), u16::try_from(asks.len())) {
                (Ok(b), Ok(a)) if levels().all(|l| packed(l).is_some()) => {
                    let counts = u32::from(b) << 16 | u32::from(a);
                    put(head(DEPTH, snapshot, 0, id, counts), &[update_id]);
                    out.extend(levels().filter_map(packed));
                }
                _ => {
                    let bids = u32::try_from(bids.len()).expect("fewer levels than numbers");
                    put(head(DEPTH_LONG, snapshot, 0, id, bids), &[update_id, asks.len() as u64]);
                    out.extend(levels().flat_map(|l| [word(l.price.0), word(l.qty.0)]));
                }
            }
        }
        MarketData::Bar(bar) => {
            let interval = place_of(bar.interval, intervals);
            let parts = (gap(bar.high, bar.open), gap(bar.open, bar.low), gap(bar.close, bar.low));
            let told = bar.interval.start(event) == bar.open_time;
            match parts {
                (Some(up), Some(down), Some(close)) if told && interval < SHORT_INTERVALS => {
                    let rest = [word(bar.open.0), halves(up, down), word(bar.volume.0)];
                    put(head(BAR, false, interval as u8, id, close), &rest);
                }
                _ => {
                    let rest = [bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0, bar.open_time.0];
                    let rest = &rest.map(word)[..if told { 5 } else { 6 }];
                    put(head(BAR_LONG, !told, 0, id, interval as u32), rest);
                }
            }
        }
        MarketData::Mark(MarkPrice { mark, index, funding_rate, next_funding }) => {
            let next = word(next_funding.0);
            match (small(*mark), small(*index), small(*funding_rate).and_then(|rate| i32::try_from(rate).ok())) {
                (Some(mark), Some(index), Some(rate)) => {
                    put(head(MARK, false, 0, id, rate as u32), &[word(mark), word(index), next]);
                }
                _ => {
                    let [a, b] = wide(*mark);
                    let ([c, d], [e, f]) = (wide(*index), wide(*funding_rate));
                    put(head(MARK_LONG, false, 0, id, 0), &[next, a, b, c, d, e, f]);
                }
            }
        }
        MarketData::Funding(FundingRate { rate, mark }) => {
            let ([a, b], [c, d]) = (wide(*rate), wide(*mark));
            put(head(FUNDING, false, 0, id, 0), &[a, b, c, d]);
        }
        MarketData::Gap => put(head(GAP, false, 0, id, 0), &[]),
    }
}

/// Appends that the venue takes something else from here on: what stands at `place` among the rules.
pub fn write_rules(recv: UnixNanos, event: UnixNanos, instrument: InstrumentId, place: u32, out: &mut Vec<u64>) {
    assert!(instrument.0 < INSTRUMENTS, "too many instruments for a tape");
    out.extend([head(RULES, false, 0, instrument, place), word(recv.0), word(event.0)]);
}

fn place_of(interval: Interval, intervals: &mut Vec<Interval>) -> usize {
    intervals.iter().position(|i| *i == interval).unwrap_or_else(|| {
        intervals.push(interval);
        intervals.len() - 1
    })
}

fn small(n: Decimal) -> Option<i64> {
    if n.atoms() % SMALL == 0 { i64::try_from(n.atoms() / SMALL).ok() } else { None }
}

fn large(n: i64) -> Decimal {
    Decimal::new(n, 8)
}

/// Receive time and venue time of the entry in front.
#[inline]
pub fn times(words: &[u64]) -> Option<(UnixNanos, UnixNanos)> {
    let [_, recv, event, ..] = words else { return None };
    Some((UnixNanos(number(*recv)), UnixNanos(number(*event))))
}

/// Words of the entry in front.
pub fn len(words: &[u64]) -> usize {
    let aux = high(words[0]);
    match words[0] as u8 & 15 {
        TRADE => 5,
        QUOTE | BAR | MARK | TRADE_LONG => 6,
        QUOTE_LONG => 8,
        DEPTH => 4 + (aux >> 16) as usize + (aux & 0xffff) as usize,
        DEPTH_LONG => 5 + 2 * (aux as usize + words[4] as usize),
        BAR_LONG => 8 + usize::from(words[0] & 16 != 0),
        MARK_LONG => 10,
        FUNDING => 7,
        _ => 3,
    }
}

/// Puts the entry in front into `out`. Returns its length.
///
/// Panics where the words are no entry.
#[inline]
pub fn read(words: &[u64], intervals: &[Interval], rules: &[Rules], out: &mut EventBuf) -> usize {
    let head = words[0];
    let (flag, aux) = (head & 16 != 0, high(head));
    let instrument = InstrumentId(low(head) >> 8);
    let ts_event = UnixNanos(number(words[2]));
    let price = |w: u64| Price(number(w));
    let qty = |w: u64| Qty(number(w));
    let size = |half: u32| Qty(i64::from(half));
    let aggressor = if flag { Side::Sell } else { Side::Buy };
    out.levels.clear();
    match head as u8 & 15 {
        TRADE => {
            let [_, _, _, px, id] = *fixed(words);
            let trade = Trade { price: price(px), qty: size(aux), aggressor, id };
            out.kind = EventKind::Trade { instrument, ts_event, trade };
            5
        }
        TRADE_LONG => {
            let [_, _, _, px, id, n] = *fixed(words);
            let trade = Trade { price: price(px), qty: qty(n), aggressor, id };
            out.kind = EventKind::Trade { instrument, ts_event, trade };
            6
        }
        QUOTE => {
            let [_, _, _, update_id, bid, sizes] = *fixed(words);
            let ask_px = Price(number(bid).wrapping_add(i64::from(aux)));
            let (bid_qty, ask_qty) = (size(high(sizes)), size(low(sizes)));
            let quote = Quote { bid_px: price(bid), bid_qty, ask_px, ask_qty };
            out.kind = EventKind::Quote { instrument, ts_event, quote, update_id };
            6
        }
        QUOTE_LONG => {
            let [_, _, _, update_id, bid, bid_qty, ask, ask_qty] = *fixed(words);
            let quote = Quote { bid_px: price(bid), bid_qty: qty(bid_qty), ask_px: price(ask), ask_qty: qty(ask_qty) };
            out.kind = EventKind::Quote { instrument, ts_event, quote, update_id };
            8
        }
        DEPTH => {
            let (bids, asks) = ((aux >> 16) as usize, (aux & 0xffff) as usize);
            let end = 4 + bids + asks;
            let level = |w: &u64| Level { price: Price(i64::from(high(*w))), qty: size(low(*w)) };
            out.levels.extend(words[4..end].iter().map(level));
            let (snapshot, update_id) = (flag, words[3]);
            out.kind = EventKind::Depth { instrument, ts_event, bids, snapshot, update_id };
            end
        }
        DEPTH_LONG => {
            let (bids, asks) = (aux as usize, words[4] as usize);
            let end = 5 + 2 * (bids + asks);
            let level = |w: &[u64; 2]| Level { price: price(w[0]), qty: qty(w[1]) };
            out.levels.extend(words[5..end].as_chunks::<2>().0.iter().map(level));
            let (snapshot, update_id) = (flag, words[3]);
            out.kind = EventKind::Depth { instrument, ts_event, bids, snapshot, update_id };
            end
        }
        BAR => {
            let [_, _, _, open, reach, volume] = *fixed(words);
            let interval = intervals[(low(head) >> 5 & 7) as usize];
            let above = |base: i64, by: u32| base.wrapping_add(i64::from(by));
            let open = number(open);
            let low_px = open.wrapping_sub(i64::from(low(reach)));
            let bar = Bar {
                interval,
                open_time: interval.start(ts_event),
                open: Price(open),
                high: Price(above(open, high(reach))),
                low: Price(low_px),
                close: Price(above(low_px, aux)),
                volume: qty(volume),
            };
            out.kind = EventKind::Bar { instrument, ts_event, bar };
            6
        }
        BAR_LONG => {
            let [_, _, _, open, high, low, close, volume] = (*fixed(words)).map(number);
            let interval = intervals[aux as usize];
            let open_time = if flag { UnixNanos(number(words[8])) } else { interval.start(ts_event) };
            let [open, high, low, close] = [open, high, low, close].map(Price);
            let bar = Bar { interval, open_time, open, high, low, close, volume: Qty(volume) };
            out.kind = EventKind::Bar { instrument, ts_event, bar };
            8 + usize::from(flag)
        }
        MARK => {
            let [_, _, _, mark, index, next] = (*fixed(words)).map(number);
            let mark = MarkPrice {
                mark: large(mark),
                index: large(index),
                funding_rate: large(i64::from(aux as i32)),
                next_funding: UnixNanos(next),
            };
            out.kind = EventKind::Mark { instrument, ts_event, mark };
            6
        }
        MARK_LONG => {
            let [_, _, _, next, a, b, c, d, e, f] = *fixed(words);
            let mark = MarkPrice {
                mark: narrow([a, b]),
                index: narrow([c, d]),
                funding_rate: narrow([e, f]),
                next_funding: UnixNanos(number(next)),
            };
            out.kind = EventKind::Mark { instrument, ts_event, mark };
            10
        }
        FUNDING => {
            let [_, _, _, a, b, c, d] = *fixed(words);
            let funding = FundingRate { rate: narrow([a, b]), mark: narrow([c, d]) };
            out.kind = EventKind::Funding { instrument, ts_event, funding };
            7
        }
        RULES => {
            out.kind = EventKind::Rules { instrument, rules: rules[aux as usize] };
            3
        }
        _ => {
            out.kind = EventKind::Gap { instrument, ts_event };
            3
        }
    }
}

#[inline]
fn fixed<const N: usize>(words: &[u64]) -> &[u64; N] {
    words.first_chunk().expect("a whole entry")
}
