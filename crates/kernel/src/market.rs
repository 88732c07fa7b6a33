//! What the kernel knows of one instrument's market.

use ctos_types::{
    Decimal, Instrument, L2Book, MarkPrice, Market, MarketData, Nanos, Price, Quote, Rounding, Trade, UnixNanos,
};
use serde::{Deserialize, Serialize};

/// Book, quote, last trade and mark, with the time each was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketState {
    book: L2Book,
    /// False from a gap until the next snapshot, and before the first.
    book_valid: bool,
    quote: Option<Quote>,
    quote_update_id: u64,
    last: Option<Price>,
    mark: Option<MarkPrice>,
    mark_at: UnixNanos,
    /// When the last quote, trade, depth or bar came in, on our clock.
    updated: UnixNanos,
    /// Until when silence is nothing unusual: the next bar's close on a market of bars.
    next_expected: UnixNanos,
}

/// A mark that is this much older than the latest trade or quote no longer speaks for the market.
const MARK_LIFE: Nanos = Nanos::from_secs(60);

impl Default for MarketState {
    fn default() -> Self {
        MarketState {
            book: L2Book::default(),
            book_valid: false,
            quote: None,
            quote_update_id: 0,
            last: None,
            mark: None,
            mark_at: UnixNanos::MIN,
            updated: UnixNanos::MIN,
            next_expected: UnixNanos::MIN,
        }
    }
}

/// Which callbacks an event leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketChange {
    Quote(Quote),
    Trade(Trade),
    Book {
        /// The best bid or ask changed in price or size.
        top_moved: bool,
    },
    Mark,
    Gap,
    /// Nothing a strategy needs to hear.
    None,
}

impl MarketState {
    #[inline]
    pub fn apply(&mut self, now: UnixNanos, market: &Market<'_>) -> MarketChange {
        match &market.data {
            &MarketData::Quote { quote, update_id } => {
                if update_id != 0 && update_id < self.quote_update_id {
                    return MarketChange::None;
                }
                self.updated = now;
                self.quote_update_id = update_id;
                self.quote = Some(quote);
                MarketChange::Quote(quote)
            }
            MarketData::Trade(trade) => {
                self.updated = now;
                self.last = Some(trade.price);
                MarketChange::Trade(*trade)
            }
            MarketData::Depth { bids, asks, snapshot, update_id } => self.depth(now, bids, asks, *snapshot, *update_id),
            MarketData::Bar(bar) => {
                self.updated = now;
                self.next_expected = now.after(bar.interval.as_nanos());
                self.last = Some(bar.close);
                MarketChange::None
            }
            MarketData::Mark(mark) => {
                self.mark = Some(**mark);
                self.mark_at = now;
                MarketChange::Mark
            }
            MarketData::Funding(_) => MarketChange::None,
            MarketData::Gap => {
                self.book_valid = false;
                self.book.clear();
                // A venue that restarts counts anew: an old number must not silence its quotes.
                self.quote_update_id = 0;
                MarketChange::Gap
            }
        }
    }

    fn depth(
        &mut self,
        now: UnixNanos,
        bids: &[ctos_types::Level],
        asks: &[ctos_types::Level],
        snapshot: bool,
        update_id: u64,
    ) -> MarketChange {
        let before = self.quote;
        if snapshot {
            self.book.replace(bids, asks);
            self.book_valid = true;
        } else if self.book_valid {
            for l in bids {
                self.book.set(ctos_types::Side::Buy, l.price, l.qty);
            }
            for l in asks {
                self.book.set(ctos_types::Side::Sell, l.price, l.qty);
            }
        } else {
            return MarketChange::None;
        }
        self.updated = now;
        // A quote stream of the same book may already be ahead of this update.
        if update_id == 0 || update_id >= self.quote_update_id {
            self.quote_update_id = update_id;
            self.quote = Some(self.book.quote());
        }
        MarketChange::Book { top_moved: self.quote != before }
    }

    /// The synchronised book; `None` while it is unknown.
    pub fn book(&self) -> Option<&L2Book> {
        self.book_valid.then_some(&self.book)
    }

    pub fn quote(&self) -> Option<Quote> {
        self.quote
    }

    pub fn last(&self) -> Option<Price> {
        self.last
    }

    pub fn mark_price(&self) -> Option<&MarkPrice> {
        self.mark.as_ref()
    }

    /// How long the market has been silent beyond what it usually is.
    pub fn silence(&self, now: UnixNanos) -> Nanos {
        Nanos(now.0.saturating_sub(self.updated.max(self.next_expected).0).max(0))
    }

    pub fn updated(&self) -> UnixNanos {
        self.updated
    }

    /// Middle of a two-sided quote, exact.
    pub fn mid(&self, instrument: &Instrument) -> Option<Decimal> {
        let q = self.quote.filter(Quote::is_two_sided)?;
        let sum = instrument.price_decimal(q.bid_px) + instrument.price_decimal(q.ask_px);
        sum.mul_ratio(1, 2, Rounding::HalfEven).ok()
    }

    /// The reference as a price of the grid, where it is one: the last trade's, with no living mark and no two-sided
    /// quote before it.
    #[inline]
    pub fn grid_reference(&self) -> Option<Price> {
        let marked = self.mark.is_some() && self.updated <= self.mark_at.after(MARK_LIFE);
        let quoted = self.quote.is_some_and(|q| q.is_two_sided());
        self.last.filter(|_| !marked && !quoted)
    }

    /// What positions are valued and orders compared with: a living mark, else mid, else last trade.
    pub fn reference(&self, instrument: &Instrument) -> Option<Decimal> {
        let mark = self.mark.filter(|_| self.updated <= self.mark_at.after(MARK_LIFE)).map(|m| m.mark);
        mark.or_else(|| self.mid(instrument)).or_else(|| self.last.map(|p| instrument.price_decimal(p)))
    }
}
