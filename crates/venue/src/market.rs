//! One instrument's market at the exchange: ambient book, our resting orders, prices. What the tape does to them.
//! Never: money, accounts, reports. Matching asks this file what trades next and tells it what was taken.

use crate::config::QueueModel;
use crate::queue::{Queue, Resting};
use ctos_types::{Decimal, Instrument, Interval, L2Book, Level, Price, Qty, Quote, Side};
use serde::{Deserialize, Serialize};

/// What trades next with an incoming order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Ambient { price: Price, qty: i64 },
    Own(Resting),
}

impl Source {
    pub fn price(&self) -> Price {
        match self {
            Source::Ambient { price, .. } => *price,
            Source::Own(o) => o.price,
        }
    }
}

/// Whether a taker on `side` with `limit` (none: any price) trades at `price`.
pub(crate) fn crosses(side: Side, limit: Option<Price>, price: Price) -> bool {
    limit.is_none_or(|l| if side == Side::Buy { price <= l } else { price >= l })
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MarketState {
    pub ambient: L2Book,
    pub bids: Queue,
    pub asks: Queue,
    /// Depth was lost: no ambient liquidity until the next snapshot.
    gap: bool,
    /// Update ids of the last quote and of the last depth, 0 where unordered.
    quote_id: u64,
    depth_id: u64,
    /// What the tape last said each side's top is, until depth says otherwise. Repeating it refreshes nothing.
    last_quote: [Option<Level>; 2],
    /// The whole last quote, for depth that is older than it.
    top: Quote,
    /// Last trade between others or between our own accounts; on bar data the path point reached.
    pub last: Option<Price>,
    /// Whether `last` came from trades or bars: without any, quotes set it to their middle.
    traded: bool,
    /// From the mark feed.
    pub mark_feed: Option<Decimal>,
    /// Orders that wait for a trigger, in order of acceptance.
    pub triggers: Vec<u32>,
    /// Orders that wait for the next bar: market, IOC and FOK.
    pub pending: Vec<u32>,
    /// The bars that orders are matched on; `None` while a book was seen, or nothing yet.
    pub bar_interval: Option<Interval>,
    book_seen: bool,
    /// Accounts with a position here.
    pub holders: u32,
    /// The mark at which the holders' margin was last looked at; `None` after a position here changed.
    pub margin_checked: Option<Decimal>,
    /// A position here changed since prices were last looked at.
    #[serde(default)]
    pub stirred: bool,
}

const fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

/// Whether `price` is at or better than `top` as seen from `side`.
fn reaches(side: Side, price: Price, top: Price) -> bool {
    if side == Side::Buy { price >= top } else { price <= top }
}

impl MarketState {
    pub fn new() -> MarketState {
        MarketState {
            ambient: L2Book::default(),
            bids: Queue::new(Side::Buy),
            asks: Queue::new(Side::Sell),
            gap: false,
            quote_id: 0,
            depth_id: 0,
            last_quote: [None; 2],
            top: Quote::default(),
            last: None,
            traded: false,
            mark_feed: None,
            triggers: Vec::new(),
            pending: Vec::new(),
            bar_interval: None,
            book_seen: false,
            holders: 0,
            margin_checked: None,
            stirred: false,
        }
    }

    pub fn queue(&self, side: Side) -> &Queue {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    pub fn queue_mut(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Whether any event here can touch an order.
    pub fn has_orders(&self) -> bool {
        self.meets_prices() || !self.pending.is_empty()
    }

    /// Whether an order here rests or waits for a price, rather than for the next bar.
    pub fn meets_prices(&self) -> bool {
        !(self.bids.is_empty() && self.asks.is_empty() && self.triggers.is_empty())
    }

    /// Whether orders wait for bars rather than trade with a book.
    pub fn on_bars(&self) -> bool {
        self.bar_interval.is_some()
    }

    /// The price positions are valued at: the mark feed, else the last price, else the middle of the book.
    pub fn mark(&self, i: &Instrument) -> Option<Decimal> {
        self.mark_feed.or_else(|| self.mark_price().map(|p| i.price_decimal(p)))
    }

    /// The mark as a price of the grid; `None` where a mark feed says it, or nothing does.
    pub fn mark_price(&self) -> Option<Price> {
        if self.mark_feed.is_some() {
            return None;
        }
        self.last.or_else(|| {
            let q = self.ambient.quote();
            q.is_two_sided().then(|| Price(q.bid_px.0 + (q.ask_px.0 - q.bid_px.0) / 2))
        })
    }

    /// A trade or a bar's path point: the last price.
    pub fn set_last(&mut self, price: Price) {
        self.last = Some(price);
        self.traded = true;
    }

    // ---- what the tape does

    /// Data finer than bars came: bars no longer count.
    pub fn see_book(&mut self) {
        self.book_seen = true;
        self.bar_interval = None;
    }

    /// Bars are matched on only where there is no book, and only of the shortest interval seen.
    pub fn see_bar(&mut self, interval: Interval) -> bool {
        if self.book_seen || self.bar_interval.is_some_and(|i| i < interval) {
            return false;
        }
        self.bar_interval = Some(interval);
        true
    }

    fn set_level(&mut self, side: Side, price: Price, qty: Qty, model: QueueModel) {
        if self.queue_mut(side).rests_at(price) {
            let old = self.ambient.qty_at(side, price);
            self.queue_mut(side).level_changed(price, old.0, qty.0.max(0), model);
        }
        self.ambient.set(side, price, qty);
    }

    pub fn apply_quote(&mut self, quote: &Quote, update_id: u64, model: QueueModel) {
        if self.gap || (update_id != 0 && (update_id <= self.depth_id || update_id < self.quote_id)) {
            return;
        }
        self.see_book();
        self.quote_id = update_id;
        self.top = *quote;
        self.set_top(Side::Buy, Level { price: quote.bid_px, qty: quote.bid_qty }, model);
        self.set_top(Side::Sell, Level { price: quote.ask_px, qty: quote.ask_qty }, model);
        if !self.traded && quote.is_two_sided() {
            self.last = Some(Price(quote.bid_px.0 + (quote.ask_px.0 - quote.bid_px.0) / 2));
        }
    }

    fn set_top(&mut self, side: Side, level: Level, model: QueueModel) {
        if self.last_quote[index(side)] == Some(level) {
            return;
        }
        self.last_quote[index(side)] = Some(level);
        while let Some(best) = self.ambient.best(side) {
            let stands = level.qty.0 > 0 && reaches(side, level.price, best.price);
            if stands {
                break;
            }
            self.set_level(side, best.price, Qty(0), model);
        }
        if level.qty.0 > 0 {
            self.set_level(side, level.price, level.qty, model);
        }
    }

    pub fn apply_depth(&mut self, bids: &[Level], asks: &[Level], snapshot: bool, update_id: u64, model: QueueModel) {
        if self.gap && !snapshot {
            return;
        }
        // Depth older than the quote says nothing about the quoted prices and what is better than them.
        let stale = update_id != 0 && update_id < self.quote_id;
        self.see_book();
        if update_id != 0 {
            self.depth_id = update_id;
        }
        if snapshot {
            self.replace(bids, asks, stale);
            return;
        }
        if !bids.is_empty() {
            self.apply_side(Side::Buy, bids, stale, model);
        }
        if !asks.is_empty() {
            self.apply_side(Side::Sell, asks, stale, model);
        }
    }

    fn apply_side(&mut self, side: Side, levels: &[Level], stale: bool, model: QueueModel) {
        let quoted = self.quoted(side);
        if quoted.is_none() {
            // The newer quote knows of no order on this side; or newer depth knows better than it.
            if stale {
                return;
            }
            self.last_quote[index(side)] = None;
        }
        let ours = !self.queue(side).is_empty();
        for l in levels {
            if quoted.is_some_and(|q| reaches(side, l.price, q.price)) {
                if stale {
                    continue;
                }
                self.last_quote[index(side)] = None;
            }
            if ours {
                self.set_level(side, l.price, l.qty, model);
            } else {
                self.ambient.set(side, l.price, l.qty);
            }
        }
    }

    /// The quoted level of a side, where the last quote had one.
    fn quoted(&self, side: Side) -> Option<Level> {
        let level = match side {
            Side::Buy => Level { price: self.top.bid_px, qty: self.top.bid_qty },
            Side::Sell => Level { price: self.top.ask_px, qty: self.top.ask_qty },
        };
        (level.qty.0 > 0).then_some(level)
    }

    fn replace(&mut self, bids: &[Level], asks: &[Level], stale: bool) {
        // What newer quotes say of the tops stays, less what we took from them.
        let stale = stale && !self.gap;
        let kept = [Side::Buy, Side::Sell]
            .map(|side| self.quoted(side).map(|q| Level { price: q.price, qty: self.ambient.qty_at(side, q.price) }));
        self.gap = false;
        self.ambient.replace(bids, asks);
        for side in [Side::Buy, Side::Sell] {
            let top = kept[index(side)];
            if stale {
                let beyond = |b: &Level| top.is_none_or(|top| reaches(side, b.price, top.price));
                while let Some(best) = self.ambient.best(side).filter(beyond) {
                    self.ambient.set(side, best.price, Qty(0));
                }
                if let Some(top) = top {
                    self.ambient.set(side, top.price, top.qty);
                }
            } else {
                self.last_quote[index(side)] = None;
            }
            let mut price = None;
            while let Some(p) = self.queue(side).next_price_after(price) {
                let known = self.ambient.qty_at(side, p).0;
                self.queue_mut(side).level_known(p, known);
                price = Some(p);
            }
        }
    }

    /// The ambient book is unknown; orders keep their places.
    pub fn apply_gap(&mut self) {
        self.ambient.clear();
        self.gap = true;
        self.last_quote = [None; 2];
        self.top = Quote::default();
        (self.quote_id, self.depth_id) = (0, 0);
    }

    // ---- matching

    /// What a taker on `side` would trade with first.
    pub fn next_source(&self, side: Side) -> Option<Source> {
        let passive = side.opposite();
        let ambient = self.ambient.best(passive);
        let own = self.queue(passive).best();
        match (ambient, own) {
            (None, None) => None,
            (None, Some(o)) => Some(Source::Own(*o)),
            (Some(a), None) => Some(Source::Ambient { price: a.price, qty: a.qty.0 }),
            (Some(a), Some(o)) if a.price == o.price => Some(if o.ahead > 0 {
                Source::Ambient { price: a.price, qty: a.qty.0.min(o.ahead) }
            } else {
                Source::Own(*o)
            }),
            (Some(a), Some(o)) if reaches(passive, a.price, o.price) => {
                Some(Source::Ambient { price: a.price, qty: a.qty.0 })
            }
            (_, Some(o)) => Some(Source::Own(*o)),
        }
    }

    /// Takes ambient quantity: it is gone until the tape refreshes the level.
    pub fn take(&mut self, passive: Side, price: Price, qty: i64) {
        let left = self.ambient.qty_at(passive, price).0 - qty;
        self.ambient.set(passive, price, Qty(left.max(0)));
        self.queue_mut(passive).eat_ahead(price, qty);
    }

    /// Walks what a taker on `side` would trade with, in order, without trading: ambient quantity (`None`) and our
    /// orders. Stops when `f` says false.
    pub fn walk(&self, side: Side, mut f: impl FnMut(Price, i64, Option<&Resting>) -> bool) {
        let passive = side.opposite();
        let mut own = self.queue(passive).iter().peekable();
        for level in self.ambient.levels(passive) {
            let mut gone = 0;
            while let Some(o) = own.peek().copied().filter(|o| reaches(passive, o.price, level.price)) {
                if o.price == level.price && o.ahead > gone {
                    let qty = (o.ahead - gone).min(level.qty.0 - gone);
                    if qty > 0 && !f(level.price, qty, None) {
                        return;
                    }
                    gone += qty;
                }
                if !f(o.price, o.leaves, Some(o)) {
                    return;
                }
                own.next();
            }
            if level.qty.0 > gone && !f(level.price, level.qty.0 - gone, None) {
                return;
            }
        }
        for o in own {
            if !f(o.price, o.leaves, Some(o)) {
                return;
            }
        }
    }

    /// Best price on `side` over ambient and our own orders.
    pub fn touch(&self, side: Side) -> Option<Price> {
        self.next_source(side.opposite()).map(|s| s.price())
    }
}
