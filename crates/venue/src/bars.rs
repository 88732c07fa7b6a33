//! Trading on bars, where there is no book: the path a bar is taken to have run, and what it fills.
//! Never: fills outside a bar's range, more than its volume (where known), or on prices from before an order arrived.
//!
//! A bar reaches the exchange at its close. Its path is taken to be open → low → high → close where it closed at or
//! above its open, else open → high → low → close.
//!
//! * An order that arrived not later than the bar's open walks the whole path; one that arrived during the bar can
//!   trade only at the close, the one point known to come after it.
//! * At a point (open, close, or where a trigger fires) what is marketable fills at the point's price made worse by
//!   `bar_slippage_ticks` and by `bar_slippage_range_pct` of the bar's range, but never beyond its limit or that range,
//!   as taker. A limit order is marketable when the price is better than its limit by at least a tick, and by that share
//!   of the range (`bar_touch_fills`: at its limit or better).
//! * Between points a resting order fills at its own price once the path has traded through it by as much
//!   (`bar_touch_fills`: has reached it), as maker unless `bar_taker_fees` says taker. The gap between two bars is not a
//!   path.
//! * Stops fire on the way, in the order the path meets them. One that the open has jumped over fires at the open.
//! * On one instrument only the shortest interval seen counts; once a book is seen there, bars are ignored.

use crate::core::{Core, Cx};
use crate::market::crosses;
use crate::orders::{Order, Stage};
use crate::triggers::{follow, level, reached};
use ctos_types::{
    Bar, CancelReason, Decimal, Instrument, InstrumentId, Liquidity, Price, Qty, Rounding, Side, TimeInForce,
    TriggerBy, UnixNanos,
};

/// A bar on its way.
struct Walk<'a> {
    i: &'a Instrument,
    bar: Bar,
    /// What may still fill.
    volume: i64,
    /// Orders that arrived later do not see the present part of the path.
    until: UnixNanos,
    /// Room for the orders met at a point.
    waiting: Vec<(u64, u32)>,
    /// What a taker pays above a point's price, and how far beyond a limit the path must go. In price mantissas.
    slip: i64,
    through: i64,
}

/// What the path meets next.
enum Meeting {
    Trigger { slot: u32, at: Decimal },
    Rest { slot: u32, price: Price },
}

/// Whether the numbers can be a bar's.
fn is_sound(bar: &Bar) -> bool {
    let (low, high) = (bar.open.min(bar.close), bar.open.max(bar.close));
    bar.low.0 > 0 && bar.low <= low && high <= bar.high && bar.volume.0 >= 0
}

impl Core {
    /// Walks a bar. An impossible one is ignored.
    #[inline]
    pub fn on_bar(&mut self, cx: &mut Cx<'_>, id: InstrumentId, bar: &Bar) {
        let market = self.market_mut(id);
        if !is_sound(bar) || !market.see_bar(bar.interval) {
            return;
        }
        // Without an order only margins matter, and those that hold at both ends of the bar hold on the way.
        if !market.has_orders() && self.calm_between(id, bar.low, bar.high) {
            return self.market_mut(id).set_last(bar.close);
        }
        self.trade_on_bar(cx, cx.all.get(id), bar);
    }

    fn trade_on_bar(&mut self, cx: &mut Cx<'_>, i: &Instrument, bar: &Bar) {
        let volume = if bar.volume.0 > 0 { bar.volume.0 } else { i64::MAX };
        let share = range_share(i, bar, self.rules.bar_slippage_range_pct);
        let slip = i64::from(self.rules.bar_slippage_ticks).saturating_mul(i.tick.0).saturating_add(share);
        let through = if self.rules.bar_touch_fills { 0 } else { share.max(i.tick.0) };
        let waiting = std::mem::take(&mut self.scratch);
        let mut walk = Walk { i, bar: *bar, volume, until: bar.open_time, waiting, slip, through };
        self.walk(cx, &mut walk);
        self.scratch = walk.waiting;
    }

    fn walk(&mut self, cx: &mut Cx<'_>, walk: &mut Walk<'_>) {
        let (i, bar) = (walk.i, walk.bar);
        let (first, second) = if bar.close >= bar.open { (bar.low, bar.high) } else { (bar.high, bar.low) };
        self.at_point(cx, walk, bar.open);
        if !self.market(i.id).has_orders() && self.calm_between(i.id, bar.low, bar.high) {
            return self.market_mut(i.id).set_last(bar.close);
        }
        // Where nothing rests or waits for a price, the way from the open to the close meets only margins.
        let meets = self.market(i.id).meets_prices() || !self.calm_between(i.id, bar.low, bar.high);
        let parts = [(bar.open, first), (first, second), (second, bar.close)];
        for (from, to) in parts.into_iter().filter(|_| meets) {
            self.along(cx, walk, from, to);
            self.market_mut(i.id).set_last(to);
            self.check_margins(cx, i.id);
        }
        walk.until = bar.close_time().max(bar.open_time);
        self.at_point(cx, walk, bar.close);
    }

    /// Triggers and marketable orders at one price.
    fn at_point(&mut self, cx: &mut Cx<'_>, walk: &mut Walk<'_>, px: Price) {
        self.market_mut(walk.i.id).set_last(px);
        let now = walk.i.price_decimal(px);
        let mut n = 0;
        while let Some(slot) = self.market(walk.i.id).triggers.get(n).copied() {
            let fires = self.sees(walk, slot) && {
                let order = &mut self.orders[slot];
                follow(walk.i, order, now);
                reached(walk.i, order, now)
            };
            if fires {
                self.fire_on_bar(cx, walk, slot, px);
                n = 0;
            } else {
                n += 1;
            }
        }
        let market = self.market(walk.i.id);
        let resting = market.bids.iter().chain(market.asks.iter()).map(|o| o.slot);
        let mut waiting = std::mem::take(&mut walk.waiting);
        for slot in market.pending.iter().copied().chain(resting) {
            let order = &self.orders[slot];
            if order.arrived <= walk.until {
                waiting.push((order.seq, slot));
            }
        }
        if waiting.len() > 1 {
            waiting.sort_unstable();
        }
        for (seq, slot) in waiting.drain(..) {
            if self.orders.find(slot, seq).is_some() {
                self.take_on_bar(cx, walk, slot, px);
            }
        }
        walk.waiting = waiting;
        self.check_margins(cx, walk.i.id);
    }

    /// Whether a waiting trigger watches the path and was there for it.
    fn sees(&self, walk: &Walk<'_>, slot: u32) -> bool {
        let order = &self.orders[slot];
        let by_path = order.request.trigger_by == TriggerBy::Last || self.market(walk.i.id).mark_feed.is_none();
        by_path && order.arrived <= walk.until
    }

    /// Fires a trigger at a point of the path: it trades there, or rests for the path that follows.
    fn fire_on_bar(&mut self, cx: &mut Cx<'_>, walk: &mut Walk<'_>, slot: u32, px: Price) {
        if !self.arm(cx, slot) {
            return;
        }
        let order = self.orders[slot];
        if order.request.post_only && self.would_take(&order) {
            return self.cancel(cx, slot, CancelReason::PostOnly);
        }
        self.submit(cx, slot);
        if self.orders.find(slot, order.seq).is_some() {
            self.take_on_bar(cx, walk, slot, px);
        }
    }

    /// Fills an order at a point if it is marketable there; ends it where it may not wait longer.
    fn take_on_bar(&mut self, cx: &mut Cx<'_>, walk: &mut Walk<'_>, slot: u32, px: Price) {
        let order = self.orders[slot];
        let (i, side, tif) = (walk.i, order.side(), order.request.tif);
        let worst = Price(px.0.saturating_add(walk.slip.saturating_mul(side.sign())));
        let within = Price(worst.0.clamp(walk.bar.low.0, walk.bar.high.0));
        let price = match order.limit() {
            None => Some(within),
            Some(limit) if is_through(walk, &order, px) => {
                Some(if side == Side::Buy { within.min(limit) } else { within.max(limit) })
            }
            Some(_) => None,
        };
        let qty = price.map_or(0, |price| self.fitting(cx, i, &order, price, walk.volume));
        let kill = tif == TimeInForce::Fok && qty < order.leaves();
        if let (Some(price), false, true) = (price, kill, qty > 0) {
            walk.volume -= qty;
            self.fill(cx, slot, price, Qty(qty), Liquidity::Taker);
        }
        let ended = order.stage == Stage::Pending && (order.limit().is_some() || kill || walk.volume > 0);
        if ended && self.orders.find(slot, order.seq).is_some() {
            self.cancel(cx, slot, CancelReason::NoLiquidity);
        }
    }

    /// One straight part of the path.
    fn along(&mut self, cx: &mut Cx<'_>, walk: &mut Walk<'_>, from: Price, to: Price) {
        let mut cursor = walk.i.price_decimal(from);
        while let Some(meeting) = self.next_meeting(walk, cursor, to) {
            match meeting {
                Meeting::Trigger { slot, at } => {
                    // Past the open a trigger lies on the path; where it does not, it was met at the cursor.
                    cursor = if to < from { at.min(cursor) } else { at.max(cursor) };
                    let rounding = if self.orders[slot].side() == Side::Buy { Rounding::Ceil } else { Rounding::Floor };
                    let px = walk.i.price_rounded(cursor, rounding).unwrap_or(to);
                    self.fire_on_bar(cx, walk, slot, Price(px.0.clamp(walk.bar.low.0, walk.bar.high.0)));
                }
                Meeting::Rest { slot, price } => {
                    let qty = self.orders[slot].leaves().min(walk.volume);
                    walk.volume -= qty;
                    let liquidity = if self.rules.bar_taker_fees { Liquidity::Taker } else { Liquidity::Maker };
                    self.fill(cx, slot, price, Qty(qty), liquidity);
                }
            }
        }
        let end = walk.i.price_decimal(to);
        for n in 0..self.market(walk.i.id).triggers.len() {
            let slot = self.market(walk.i.id).triggers[n];
            if self.sees(walk, slot) {
                follow(walk.i, &mut self.orders[slot], end);
            }
        }
    }

    /// What the path from `cursor` to `to` meets first: a trigger before a resting order at the same price.
    fn next_meeting(&self, walk: &Walk<'_>, cursor: Decimal, to: Price) -> Option<Meeting> {
        let (i, end) = (walk.i, walk.i.price_decimal(to));
        let rises = end > cursor;
        let nearer = |a: Decimal, b: Decimal| if rises { a < b } else { a > b };
        let ahead = |at: Decimal| if rises { at <= end } else { at >= end };
        let mut first: Option<(Decimal, Meeting)> = None;
        for slot in self.market(i.id).triggers.iter().copied().filter(|s| self.sees(walk, *s)) {
            let met = level(i, &self.orders[slot]).filter(|(at, up)| *up == rises && ahead(*at));
            if let Some((at, _)) = met.filter(|(at, _)| first.as_ref().is_none_or(|(b, _)| nearer(*at, *b))) {
                first = Some((at, Meeting::Trigger { slot, at }));
            }
        }
        if walk.volume == 0 || end == cursor {
            return first.filter(|_| end != cursor).map(|(_, m)| m);
        }
        let side = if rises { Side::Sell } else { Side::Buy };
        let mut queue = self.market(i.id).queue(side).iter();
        let found = queue.find(|o| self.orders[o.slot].arrived <= walk.until);
        let resting = found.filter(|o| is_through(walk, &self.orders[o.slot], to));
        if let Some(o) = resting {
            let at = i.price_decimal(Price(o.price.0 - walk.through * side.sign()));
            // A price the path never had: the order was jumped over and its volume ran out. It stays for the next bar.
            let inside = (walk.bar.low..=walk.bar.high).contains(&o.price);
            if inside && first.as_ref().is_none_or(|(b, _)| nearer(at, *b)) {
                return Some(Meeting::Rest { slot: o.slot, price: o.price });
            }
        }
        first.map(|(_, m)| m)
    }
}

/// Whether a path that comes to `px` fills a resting order.
fn is_through(walk: &Walk<'_>, order: &Order, px: Price) -> bool {
    let sign = order.side().sign();
    order.limit().is_some_and(|l| crosses(order.side(), Some(Price(l.0 - walk.through * sign)), px))
}

/// So many percent of a bar's range, rounded up to a tick.
fn range_share(i: &Instrument, bar: &Bar, percent: u32) -> i64 {
    if percent == 0 {
        return 0;
    }
    // A sound bar's range is not negative, and a tick is positive.
    let (range, tick) = (i128::from(bar.high.0) - i128::from(bar.low.0), i128::from(i.tick.0));
    let share = (range * i128::from(percent) + 99) / 100;
    i64::try_from((share + tick - 1) / tick * tick).unwrap_or(i64::MAX)
}
