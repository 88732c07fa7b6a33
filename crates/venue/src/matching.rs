//! Who trades with whom: incoming orders against the book, the tape's trades and crossing prices against resting orders.
//! Never: checks an order's admission, or how money moves. One match at a time, so every fill sees the state after the last.

use crate::config::SelfTradePrevention as Stp;
use crate::core::{Core, Cx};
use crate::market::{Source, crosses};
use crate::orders::{Order, Stage};
use crate::queue::Resting;
use ctos_types::{
    CancelReason, Decimal, Instrument, InstrumentId, Liquidity, Price, Qty, ReportBody, Side, TimeInForce, Trade,
};

/// What a walk through the book would give.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    pub qty: i64,
    /// Unsigned, in settlement currency (spot: quote).
    pub value: Decimal,
    /// The worst price reached.
    pub worst: Option<Price>,
}

impl Core {
    // ---- incoming orders

    /// What `order` would trade now, self-trade prevention included. Nothing changes.
    pub fn sweep(&self, i: &Instrument, order: &Order) -> Sweep {
        let mut sweep = Sweep::default();
        let mut amount = order.amount_left;
        let stp = self.rules.stp;
        self.market(i.id).walk(order.side(), |price, qty, own| {
            if !crosses(order.side(), order.limit(), price) {
                return false;
            }
            if own.is_some_and(|o| o.account == order.account) {
                return stp == Stp::CancelOldest;
            }
            let mut qty = qty.min(order.leaves() - sweep.qty);
            if let Some(left) = amount {
                qty = qty.min(i.qty_for_quote(left, price).map_or(0, |q| q.0));
            }
            let Ok(value) = i.value(price, Qty(qty)) else { return false };
            let (Ok(total), Ok(notional)) = (sweep.value.checked_add(value.abs()), i.notional(price, Qty(qty))) else {
                return false;
            };
            if qty == 0 {
                return false;
            }
            amount = amount.map(|a| a - notional);
            sweep = Sweep { qty: sweep.qty + qty, value: total, worst: Some(price) };
            sweep.qty < order.leaves()
        });
        sweep
    }

    /// Trades an order that just arrived (or was triggered, or amended) and then rests, waits or cancels what is left.
    pub fn submit(&mut self, cx: &mut Cx<'_>, slot: u32) {
        let (seq, order) = (self.orders[slot].seq, self.orders[slot]);
        let on_bars = self.market(order.instrument()).on_bars();
        let fok = order.request.tif == TimeInForce::Fok;
        if !(on_bars && fok) {
            self.execute(cx, slot);
        }
        // Filled, or cancelled on the way.
        if self.orders.find(slot, seq).is_none() {
            return;
        }
        let immediate = order.limit().is_none() || matches!(order.request.tif, TimeInForce::Ioc | TimeInForce::Fok);
        match (immediate, on_bars) {
            (false, _) => self.rest(slot),
            (true, true) => {
                self.orders[slot].stage = Stage::Pending;
                self.market_mut(order.instrument()).pending.push(slot);
            }
            (true, false) => self.cancel(cx, slot, CancelReason::NoLiquidity),
        }
    }

    /// Puts an order behind everything at its price.
    fn rest(&mut self, slot: u32) {
        let priority = self.next_priority();
        let order = &mut self.orders[slot];
        let Some(price) = order.limit() else { return };
        order.stage = Stage::Resting;
        order.priority = priority;
        let (account, leaves, side, instrument) = (order.account, order.leaves(), order.side(), order.instrument());
        let market = self.market_mut(instrument);
        let ahead = market.ambient.qty_at(side, price).0;
        market.queue_mut(side).insert(Resting { price, priority, slot, account, leaves, ahead, explained: 0 });
    }

    /// Trades as far as the book, the limit, the amount and the account's means allow.
    pub fn execute(&mut self, cx: &mut Cx<'_>, slot: u32) {
        let seq = self.orders[slot].seq;
        while self.orders.find(slot, seq).is_some() && self.match_once(cx, slot) {}
    }

    /// One match of an incoming order. False when nothing more trades.
    fn match_once(&mut self, cx: &mut Cx<'_>, slot: u32) -> bool {
        let order = self.orders[slot];
        let i = cx.all.get(order.instrument());
        let source = self.market(i.id).next_source(order.side());
        let Some(source) = source.filter(|s| crosses(order.side(), order.limit(), s.price())) else { return false };
        let (price, there) = match source {
            Source::Own(o) if o.account == order.account => return self.prevent(cx, slot, o.slot),
            Source::Own(o) => (o.price, o.leaves),
            Source::Ambient { price, qty } => (price, qty),
        };
        let qty = self.fitting(cx, i, &order, price, there);
        if qty <= 0 {
            return false;
        }
        match source {
            Source::Own(o) => {
                if !self.fill(cx, o.slot, price, Qty(qty), Liquidity::Maker) {
                    // The resting order could not be booked and is gone.
                    return true;
                }
                self.market_mut(i.id).set_last(price);
            }
            Source::Ambient { .. } => self.market_mut(i.id).take(order.side().opposite(), price, qty),
        }
        self.fill(cx, slot, price, Qty(qty), Liquidity::Taker)
    }

    /// How much of `there` the order takes at `price`.
    pub fn fitting(&self, cx: &Cx<'_>, i: &Instrument, order: &Order, price: Price, there: i64) -> i64 {
        let mut qty = there.min(order.leaves());
        if let Some(left) = order.amount_left {
            qty = qty.min(i.qty_for_quote(left, price).map_or(0, |q| q.0));
        }
        self.affordable(cx, i, order, price, qty).unwrap_or(0)
    }

    /// Two orders of one account met. Returns whether the incoming one goes on.
    fn prevent(&mut self, cx: &mut Cx<'_>, incoming: u32, resting: u32) -> bool {
        if self.rules.stp != Stp::CancelNewest {
            self.cancel(cx, resting, CancelReason::SelfTrade);
        }
        if self.rules.stp != Stp::CancelOldest {
            self.cancel(cx, incoming, CancelReason::SelfTrade);
        }
        true
    }

    /// Books a fill of an order and brings its lists, hold and the account's reduce-only orders up to date.
    /// False when it could not be booked: the order is cancelled.
    pub fn fill(&mut self, cx: &mut Cx<'_>, slot: u32, price: Price, qty: Qty, liquidity: Liquidity) -> bool {
        let order = self.orders[slot];
        let i = cx.all.get(order.instrument());
        let Ok(notional) = self.book(cx, &order, price, qty, liquidity) else {
            self.cancel(cx, slot, CancelReason::Venue);
            return false;
        };
        let o = &mut self.orders[slot];
        o.cum.0 += qty.0;
        o.amount_left = o.amount_left.map(|a| a - notional);
        let leaves = o.leaves();
        if leaves == 0 && order.amount_left.is_some() {
            // Cut to a position that is now closed. An order by amount always ends by saying so.
            self.cancel(cx, slot, CancelReason::NoLiquidity);
        } else if leaves == 0 {
            self.close(slot);
        } else {
            if let (Stage::Resting, Some(limit)) = (order.stage, order.limit()) {
                self.market_mut(i.id).queue_mut(order.side()).set_leaves(limit, order.priority, leaves);
            }
            self.refresh_hold(i, slot);
        }
        if !i.is_spot() {
            self.shrink_reducers(cx, order.account, i.id);
        }
        true
    }

    // ---- reduce-only

    /// Cuts the account's reduce-only orders on a contract to what they can still reduce. Those that wait for a trigger
    /// are looked at when it fires.
    pub fn shrink_reducers(&mut self, cx: &mut Cx<'_>, account: u16, instrument: InstrumentId) {
        if self.account(account).reducers == 0 {
            return;
        }
        let mut n = 0;
        while n < self.account(account).open.len() {
            let open = self.account(account).open[n];
            let waits = |o: &Order| matches!(o.stage, Stage::Resting | Stage::Pending) && o.reduce;
            if open.instrument != instrument || !waits(&self.orders[open.slot]) || self.clamp(cx, open.slot) {
                n += 1;
            }
        }
    }

    /// Cuts a reduce-only order to the position. False when nothing is left to reduce: the order is cancelled.
    pub fn clamp(&mut self, cx: &mut Cx<'_>, slot: u32) -> bool {
        let order = self.orders[slot];
        let closable = self.account(order.account).closable(order.instrument(), order.leg(), order.side());
        if closable == 0 {
            self.cancel(cx, slot, CancelReason::ReduceOnly);
            return false;
        }
        if order.leaves() <= closable {
            return true;
        }
        self.orders[slot].set_size(Qty(order.cum.0 + closable));
        if let (Stage::Resting, Some(limit)) = (order.stage, order.limit()) {
            let queue = self.market_mut(order.instrument()).queue_mut(order.side());
            queue.set_leaves(limit, order.priority, closable);
        }
        self.touch_margin(order.account, order.instrument());
        let order = self.orders[slot];
        // An order by amount has no size to speak of.
        if order.amount_left.is_none() {
            self.report(cx, &order, ReportBody::Amended { price: order.limit(), qty: order.size });
        }
        true
    }

    // ---- the tape against resting orders

    /// A trade between others. Orders it went through fill first, at their own prices; at its own price it eats the
    /// quantity ahead, then ours, and so on until the traded quantity is used up.
    pub fn match_trade(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId, trade: &Trade) {
        let mut budget = trade.qty.0;
        for side in [Side::Buy, Side::Sell] {
            while let Some(o) = self.market(instrument).queue(side).best().copied() {
                let through = (o.price.0 - trade.price.0) * side.sign() > 0;
                if !through || budget == 0 {
                    break;
                }
                budget -= self.fill_resting(cx, &o, budget);
            }
        }
        let side = trade.aggressor.opposite();
        while let Some(o) = self.market(instrument).queue(side).best().copied().filter(|o| o.price == trade.price) {
            let eaten = o.ahead.min(budget);
            if eaten > 0 {
                self.market_mut(instrument).queue_mut(side).eat_ahead(trade.price, eaten);
                budget -= eaten;
            }
            if budget == 0 {
                break;
            }
            budget -= self.fill_resting(cx, &o, budget);
        }
        self.market_mut(instrument).queue_mut(side).explain(trade.price, trade.qty.0);
    }

    /// Fills a resting order at its own price with at most `budget`; returns what was used.
    fn fill_resting(&mut self, cx: &mut Cx<'_>, o: &Resting, budget: i64) -> i64 {
        let qty = o.leaves.min(budget);
        // An order that cannot be booked is cancelled and has used nothing.
        if self.fill(cx, o.slot, o.price, Qty(qty), Liquidity::Maker) { qty } else { 0 }
    }

    /// Ambient prices that cross resting orders fill them, at the orders' own prices, and are used up.
    pub fn match_crossed(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        for side in [Side::Buy, Side::Sell] {
            loop {
                let market = self.market(instrument);
                let (Some(o), Some(level)) = (market.queue(side).best().copied(), market.ambient.best(side.opposite()))
                else {
                    break;
                };
                if !crosses(side, Some(o.price), level.price) {
                    break;
                }
                let used = self.fill_resting(cx, &o, level.qty.0);
                if used > 0 {
                    self.market_mut(instrument).take(side.opposite(), level.price, used);
                }
            }
        }
    }
}
