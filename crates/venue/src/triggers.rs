//! Conditional orders: which price they watch, when they fire, and what they become.
//! Never: bars, whose path fires triggers in its own sequence.

use crate::core::{Core, Cx};
use crate::orders::{Order, Trail};
use ctos_types::{
    CancelReason, Decimal, Instrument, InstrumentId, OrderKind, Price, ReportBody, Rounding, Side, TimeInForce,
    TriggerBy,
};

impl Core {
    /// The price a trigger watches now: the last price, or the mark. Where there is no mark feed the last price is it.
    pub fn watched(&self, i: &Instrument, by: TriggerBy) -> Option<Decimal> {
        let market = self.market(i.id);
        let last = || market.last.map(|px| i.price_decimal(px));
        match by {
            TriggerBy::Last => last(),
            TriggerBy::Mark => market.mark_feed.or_else(last),
        }
    }

    /// Shows the present price to a waiting order. True when it fires.
    pub fn watch(&mut self, i: &Instrument, slot: u32) -> bool {
        let by = self.orders[slot].request.trigger_by;
        let Some(px) = self.watched(i, by) else { return false };
        let order = &mut self.orders[slot];
        follow(i, order, px);
        reached(i, order, px)
    }

    /// Fires every waiting order of an instrument whose price is reached, oldest first, until none is. Orders of ours
    /// that trade with each other may move the last price on the way.
    pub fn check_triggers(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        let i = cx.all.get(instrument);
        let mut n = 0;
        while let Some(slot) = self.market(instrument).triggers.get(n).copied() {
            if self.watch(i, slot) {
                self.fire(cx, slot);
                n = 0;
            } else {
                n += 1;
            }
        }
    }

    fn fire(&mut self, cx: &mut Cx<'_>, slot: u32) {
        if !self.arm(cx, slot) {
            return;
        }
        let order = self.orders[slot];
        let i = cx.all.get(order.instrument());
        let on_bars = self.market(i.id).on_bars();
        if order.request.post_only && self.would_take(&order) {
            return self.cancel(cx, slot, CancelReason::PostOnly);
        }
        let kill = order.request.tif == TimeInForce::Fok && !on_bars;
        if kill && self.sweep(i, &order).qty < order.leaves() {
            return self.cancel(cx, slot, CancelReason::NoLiquidity);
        }
        self.submit(cx, slot);
    }

    /// Takes a conditional order off the triggers and reports it. False when it had nothing to reduce and is gone.
    pub fn arm(&mut self, cx: &mut Cx<'_>, slot: u32) -> bool {
        self.withdraw(slot);
        self.orders[slot].live = true;
        let order = self.orders[slot];
        self.report(cx, &order, ReportBody::Triggered);
        let contract = !cx.all.get(order.instrument()).is_spot();
        !(order.reduce && contract) || self.clamp(cx, slot)
    }
}

/// Moves a trailing stop along with the price.
pub(crate) fn follow(i: &Instrument, order: &mut Order, px: Decimal) {
    let OrderKind::TrailingStop { callback_bps, activation } = order.request.kind else { return };
    let side = order.side();
    let ahead_of = |a: Decimal, b: Decimal| if side == Side::Sell { a >= b } else { a <= b };
    let trail = &mut order.trail;
    trail.active |= activation.is_none_or(|a| ahead_of(px, i.price_decimal(a)));
    if !trail.active || trail.extreme.is_some_and(|e| ahead_of(e, px)) {
        return;
    }
    let bps = i64::from(callback_bps);
    let num = if side == Side::Sell { 10_000 - bps } else { 10_000 + bps };
    if let Ok(level) = px.mul_ratio(num, 10_000, Rounding::HalfEven) {
        *trail = Trail { active: true, extreme: Some(px), level: Some(level) };
    }
}

/// The price at which a waiting order fires now, and whether it fires at or above it (else at or below).
pub(crate) fn level(i: &Instrument, order: &Order) -> Option<(Decimal, bool)> {
    let buy = order.side() == Side::Buy;
    let at = |px: Price, rises: bool| Some((i.price_decimal(px), rises));
    match order.request.kind {
        OrderKind::Market | OrderKind::Limit { .. } => None,
        OrderKind::StopMarket { trigger } | OrderKind::StopLimit { trigger, .. } => at(trigger, buy),
        OrderKind::TakeProfitMarket { trigger } | OrderKind::TakeProfitLimit { trigger, .. } => at(trigger, !buy),
        OrderKind::TrailingStop { .. } => order.trail.level.map(|l| (l, buy)),
    }
}

pub(crate) fn reached(i: &Instrument, order: &Order, px: Decimal) -> bool {
    level(i, order).is_some_and(|(level, rises)| if rises { px >= level } else { px <= level })
}
