//! Risk gates: every order passes them, and only this module can say that one did.
//! Never: changes an order, or lets one pass that a gate could not judge.

mod gate;
mod limits;

pub use gate::{Denied, Gate};
pub use limits::{Limits, Traffic};

use crate::market::MarketState;
use crate::orders::{Exposure, Order, OrderStore};
use ctos_types::{
    AccountId, ClientOrderId, Command, Decimal, Instrument, KillState, NewOrder, OrderKind, OrderQty, Price, Qty,
    RejectReason, Rounding, Side, UnixNanos,
};
use limits::{MINUTE, SECOND};

/// Proof that the gates ran. The field is private: only this module can build one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    pub fn get(&self) -> &T {
        &self.0
    }
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Everything the gates look at, gathered by the kernel for one order.
pub(crate) struct Check<'a> {
    pub now: UnixNanos,
    pub order: &'a NewOrder,
    /// Size of the order, or its estimate for an order by amount.
    pub size: Qty,
    pub instrument: &'a Instrument,
    pub market: &'a MarketState,
    pub limits: &'a Limits,
    pub kill: KillState,
    pub journal_ok: bool,
    /// What we believe of the account is what the venue has.
    pub known: bool,
    /// The venue takes orders for the instrument.
    pub trading: bool,
    pub traffic: &'a Traffic,
    /// Signed position of the account in the instrument.
    pub position: Qty,
    pub exposure: Exposure,
    /// Signed position that the order can shrink: the account's, or in hedge mode that of the order's leg.
    pub leg_position: Qty,
    /// Size of open orders that would shrink it too.
    pub leg_waiting: i64,
    pub open_orders: u32,
    /// Worth of all other instruments' positions with their open orders, quote currency.
    pub other_notional: Decimal,
    pub equity: Decimal,
    /// Free spot balance in the currency the order spends; `None` for derivatives.
    pub free: Option<Decimal>,
    /// What a spot order lacks may be borrowed.
    pub may_borrow: bool,
    pub account_leverage: Decimal,
    pub orders: &'a OrderStore,
    /// The order that an amend would replace.
    pub replaced: Option<ClientOrderId>,
}

type Verdict = Result<(), Denied>;

fn deny(gate: Gate, limit: Decimal, asked: Decimal) -> Verdict {
    Err(Denied { gate, limit, asked, rule: None })
}

fn at_most(gate: Gate, limit: Option<Decimal>, asked: Decimal) -> Verdict {
    match limit {
        Some(limit) if asked > limit => deny(gate, limit, asked),
        _ => Ok(()),
    }
}

fn below(gate: Gate, limit: Option<u32>, have: u32) -> Verdict {
    match limit {
        Some(limit) if have >= limit => {
            deny(gate, Decimal::from_int(limit.into()), Decimal::from_int(i64::from(have) + 1))
        }
        _ => Ok(()),
    }
}

/// An amount too large to compute is above every limit.
fn or_max<E>(value: Result<Decimal, E>) -> Decimal {
    value.unwrap_or(Decimal::MAX)
}

impl Check<'_> {
    /// Asks every gate. The order is approved as given or denied: nothing of it is changed but the word on loans, which
    /// says of an approved order that it needs one.
    pub fn approve(self) -> Result<Approved<Command>, Denied> {
        let reducing = self.is_reducing();
        self.switches(reducing)?;
        if matches!(self.order.qty, OrderQty::Quote(_)) {
            // Without a price there is no size to check.
            self.fresh_reference()?;
        }
        self.venue_rules()?;
        let reference = self.fresh_reference()?;
        self.price_band(reference)?;
        self.sizes(reference, reducing)?;
        if !reducing {
            self.exposures(reference)?;
        }
        self.rates()?;
        self.others()?;
        let lacks = self.funds(reference, reducing)?;
        let word = self.order.auto_borrow.filter(|_| self.may_borrow && self.free.is_some());
        let auto_borrow = if lacks { Some(true) } else { word };
        Ok(Approved(Command::Place(NewOrder { auto_borrow, ..*self.order })))
    }

    /// Whether the order can only shrink the account's position, whatever else of it fills.
    fn is_reducing(&self) -> bool {
        let position = match self.order.side {
            Side::Buy => self.leg_position.0.saturating_neg(),
            Side::Sell => self.leg_position.0,
        };
        // A spot venue knows no reduce-only.
        let reduce_only = self.order.reduce_only && !self.instrument.is_spot();
        position > 0 && (reduce_only || self.size.0 <= position.saturating_sub(self.leg_waiting))
    }

    fn switches(&self, reducing: bool) -> Verdict {
        if !self.journal_ok {
            return deny(Gate::Journal, Decimal::ZERO, Decimal::ONE);
        }
        match self.kill {
            KillState::Active => {}
            KillState::Reducing if reducing => {}
            KillState::Reducing => return deny(Gate::KillSwitch, Decimal::ONE, Decimal::ZERO),
            KillState::Halted => return deny(Gate::KillSwitch, Decimal::from_int(2), Decimal::ZERO),
        }
        if self.known || reducing { Ok(()) } else { deny(Gate::Standing, Decimal::ZERO, Decimal::ONE) }
    }

    fn venue_rules(&self) -> Verdict {
        let asked = self.instrument.qty_decimal(self.size);
        let fail = |rule| Err(Denied { gate: Gate::Instrument, limit: Decimal::ZERO, asked, rule: Some(rule) });
        if !self.trading {
            return fail(RejectReason::InstrumentNotTrading);
        }
        if matches!(self.order.qty, OrderQty::Quote(_)) && self.order.kind != OrderKind::Market {
            return fail(RejectReason::Unsupported);
        }
        let prices = match self.order.kind {
            OrderKind::Market => [None, None],
            OrderKind::Limit { price } => [Some(price), None],
            OrderKind::StopMarket { trigger } | OrderKind::TakeProfitMarket { trigger } => [None, Some(trigger)],
            OrderKind::StopLimit { trigger, price } | OrderKind::TakeProfitLimit { trigger, price } => {
                [Some(price), Some(trigger)]
            }
            OrderKind::TrailingStop { activation, callback_bps } => {
                if callback_bps == 0 || callback_bps > 10_000 {
                    return fail(RejectReason::BadPrice);
                }
                [None, activation]
            }
        };
        let on_grid = |px: Price| px.0 > 0 && px.0 % self.instrument.tick.0 == 0;
        if prices.into_iter().flatten().any(|px| !on_grid(px)) {
            return fail(RejectReason::BadPrice);
        }
        // Sums of open size and position must stay in range, or nothing below could be computed.
        let waiting = self.exposure.buy.max(self.exposure.sell).checked_add(self.size.0);
        if waiting.and_then(|w| w.checked_add(self.position.0.saturating_abs())).is_none() {
            return fail(RejectReason::BadQty);
        }
        self.instrument.check(prices[0], self.size).or_else(fail)
    }

    fn fresh_reference(&self) -> Result<Decimal, Denied> {
        let never = Denied { gate: Gate::StaleMarket, limit: Decimal::ZERO, asked: Decimal::MAX, rule: None };
        let reference = self.market.reference(self.instrument).filter(|r| r.is_positive()).ok_or(never)?;
        if let Some(span) = self.limits.stale_after {
            // On our own clock throughout: a venue clock that runs ahead makes nothing look fresh or old.
            let age = self.market.silence(self.now);
            if age > span {
                return Err(Denied { limit: Decimal::new(span.0, 9), asked: Decimal::new(age.0, 9), ..never });
            }
        }
        Ok(reference)
    }

    fn price_band(&self, reference: Decimal) -> Verdict {
        let (Some(band), Some(px)) = (self.limits.price_band_bps, self.order.kind.limit_price()) else { return Ok(()) };
        // A conditional order meets the market at its trigger, wherever the market is now.
        let reference = match self.order.kind {
            OrderKind::StopLimit { trigger, .. } | OrderKind::TakeProfitLimit { trigger, .. } => {
                self.instrument.price_decimal(trigger)
            }
            _ => reference,
        };
        let distance = or_max(self.instrument.price_decimal(px).checked_sub(reference)).abs();
        // Well inside the band there is no need for the exact figure.
        let inner = band.checked_sub(Decimal::ONE).ok().filter(|inner| inner.is_positive());
        if inner.is_some_and(|inner| within(distance, reference, Decimal::from_int(10_000), inner)) {
            return Ok(());
        }
        let bps =
            or_max(distance.div(reference, Rounding::Up).and_then(|d| d.mul(Decimal::from_int(10_000), Rounding::Up)));
        at_most(Gate::PriceBand, Some(band), bps)
    }

    fn worth(&self, reference: Decimal, qty: i64) -> Decimal {
        // The same number without a division, where the reference is a price of the grid.
        let plain =
            self.market.grid_reference().and_then(|px| self.instrument.plain_value(px, Qty(qty.saturating_abs())));
        plain.unwrap_or_else(|| or_max(self.instrument.notional_at(reference, Qty(qty))))
    }

    /// Worth of the order itself: at its limit price, or at the reference.
    fn order_notional(&self, reference: Decimal) -> Decimal {
        match self.order.kind.limit_price() {
            Some(px) => or_max(self.instrument.notional(px, self.size)),
            None => self.worth(reference, self.size.0),
        }
    }

    fn sizes(&self, reference: Decimal, reducing: bool) -> Verdict {
        let size = self.instrument.qty_decimal(self.size);
        if let Some(min) = self.limits.min_qty.filter(|min| size < *min && !reducing) {
            return deny(Gate::MinQty, min, size);
        }
        if !reducing {
            at_most(Gate::MaxQty, self.limits.max_qty, size)?;
        }
        let notional = self.order_notional(reference);
        if let Some(min) = self.limits.min_notional.filter(|min| notional < *min && !reducing) {
            return deny(Gate::MinNotional, min, notional);
        }
        if reducing { Ok(()) } else { at_most(Gate::MaxNotional, self.limits.max_notional, notional) }
    }

    /// Unsigned position if everything open on the order's side fills with it, and the worse of the two sides.
    /// `venue_rules` has checked that the sums stay in range.
    fn outlook(&self) -> (i64, i64) {
        let Exposure { buy, sell, orders: _ } = self.exposure;
        let (up, down) = match self.order.side {
            Side::Buy => (self.position.0 + buy + self.size.0, self.position.0 - sell),
            Side::Sell => (self.position.0 + buy, self.position.0 - sell - self.size.0),
        };
        let here = if self.order.side == Side::Buy { up } else { down };
        (here.abs(), up.abs().max(down.abs()))
    }

    /// Worth of all positions if the worst comes to pass.
    fn total_notional(&self, reference: Decimal, worst: i64) -> Decimal {
        or_max(self.other_notional.checked_add(self.worth(reference, worst)))
    }

    fn exposures(&self, reference: Decimal) -> Verdict {
        let (here, worst) = self.outlook();
        at_most(Gate::MaxPosition, self.limits.max_position_notional, self.worth(reference, here))?;
        let total = self.total_notional(reference, worst);
        at_most(Gate::MaxTotalNotional, self.limits.max_total_notional, total)?;
        let Some(max) = self.limits.max_leverage else { return Ok(()) };
        if within(total, self.equity, Decimal::ONE, max) {
            return Ok(());
        }
        let leverage =
            if self.equity.is_positive() { or_max(total.div(self.equity, Rounding::Up)) } else { Decimal::MAX };
        at_most(Gate::MaxLeverage, Some(max), leverage)
    }

    fn rates(&self) -> Verdict {
        let l = self.limits;
        below(Gate::MaxOpenOrders, l.max_open_orders, self.open_orders)?;
        let orders = &self.traffic.orders;
        below(Gate::OrderRateSec, l.max_orders_per_sec, Traffic::since(orders, self.now, SECOND))?;
        if l.max_orders_per_min.is_none() && l.max_cancel_ratio.is_none() {
            return Ok(());
        }
        let minute = Traffic::since(orders, self.now, MINUTE);
        below(Gate::OrderRateMin, l.max_orders_per_min, minute)?;
        let Some(max) = l.max_cancel_ratio.filter(|_| minute >= l.cancel_ratio_min.max(1)) else { return Ok(()) };
        let cancels = Traffic::since(&self.traffic.cancels, self.now, MINUTE);
        let ratio = or_max(Decimal::from_int(cancels.into()).div(Decimal::from_int(minute.into()), Rounding::Up));
        at_most(Gate::CancelRatio, Some(max), ratio)
    }

    /// Gates that compare with the account's other open orders.
    fn others(&self) -> Verdict {
        let (window, cross) = (self.limits.duplicate_window, self.limits.self_cross);
        if window.is_none() && !cross {
            return Ok(());
        }
        let touch = self.market.quote().filter(|q| q.is_two_sided());
        // A market order reaches as far as the touch at least; a conditional order is judged when it triggers.
        let reach = match (self.order.kind, self.order.side) {
            (OrderKind::Limit { price }, _) => Some(price),
            (OrderKind::Market, Side::Buy) => touch.map(|q| q.ask_px),
            (OrderKind::Market, Side::Sell) => touch.map(|q| q.bid_px),
            _ => None,
        };
        // Most orders meet no other and repeat none: then the open ones, which may be thousands, need no walk.
        let (account, instrument, side) = (self.order.account, self.order.instrument, self.order.side);
        let meets = reach.filter(|_| cross).is_some_and(|px| self.orders.may_meet(account, instrument, side, px));
        let repeats = window.is_some() && self.orders.may_repeat(self.order);
        if !meets && !repeats {
            return Ok(());
        }
        // An order whose cancellation has been sent is on its way out ahead of this one.
        let mine = |o: &&Order| {
            o.request.account == self.order.account
                && o.request.instrument == self.order.instrument
                && Some(o.id()) != self.replaced
                && !o.pending_cancel
        };
        for other in self.orders.open().filter(mine) {
            let met = reach.filter(|_| cross).and_then(|px| self.crossing(px, other).map(|resting| (px, resting)));
            if let Some((px, resting)) = met {
                let (limit, asked) = (self.instrument.price_decimal(resting), self.instrument.price_decimal(px));
                return deny(Gate::SelfCross, limit, asked);
            }
            if let Some(window) = window {
                let age = self.now - other.created;
                if age < window && same_intent(&other.request, self.order) {
                    return deny(Gate::DuplicateIntent, Decimal::new(window.0, 9), Decimal::new(age.0, 9));
                }
            }
        }
        Ok(())
    }

    /// The price of a resting order of the other side that one at `px` would trade with.
    fn crossing(&self, px: Price, other: &Order) -> Option<Price> {
        if other.request.side == self.order.side || !other.may_rest() {
            return None;
        }
        other.possible_prices().find(|resting| match self.order.side {
            Side::Buy => px >= *resting,
            Side::Sell => px <= *resting,
        })
    }

    /// Whether there is enough for the order; true where that takes a loan. Loans are bounded by the account's leverage,
    /// as margin is; what is lent at all is the venue's to say.
    fn funds(&self, reference: Decimal, reducing: bool) -> Result<bool, Denied> {
        let mut lacks = false;
        if let Some(free) = self.free {
            let need = self.spot_need(reference);
            lacks = need > free;
            if !lacks {
                return Ok(false);
            }
            if !self.may_borrow {
                return deny(Gate::Balance, free, need).map(|()| false);
            }
        }
        if reducing {
            return Ok(lacks);
        }
        let total = self.total_notional(reference, self.outlook().1);
        if within(total, self.equity, Decimal::ONE, self.account_leverage) {
            return Ok(lacks);
        }
        let need = or_max(total.div(self.account_leverage, Rounding::Up));
        if need > self.equity {
            deny(Gate::Balance, self.equity, need)?
        }
        Ok(lacks)
    }

    /// What a spot order takes from the currency it spends, fee included.
    fn spot_need(&self, reference: Decimal) -> Decimal {
        if self.order.side == Side::Sell {
            return self.instrument.qty_decimal(self.size);
        }
        if let OrderQty::Quote(amount) = self.order.qty {
            return amount;
        }
        let worth = self.order_notional(reference);
        let fee = self.instrument.taker_fee.max(Decimal::ZERO);
        or_max(worth.mul(Decimal::ONE + fee, Rounding::Up))
    }
}

/// Whether `part * times <= whole * most`, where whole numbers say so without a division. `false` may also mean that they
/// do not.
fn within(part: Decimal, whole: Decimal, times: Decimal, most: Decimal) -> bool {
    let side = |a: Decimal, n: Decimal| a.atoms().checked_mul(n.parts().0);
    // Cutting the fraction of `most` off makes it stricter.
    whole.is_positive() && matches!((side(part, times), side(whole, most)), (Some(a), Some(b)) if a <= b)
}

fn same_intent(a: &NewOrder, b: &NewOrder) -> bool {
    (a.strategy, a.side, a.kind, a.qty, a.leg, a.reduce_only)
        == (b.strategy, b.side, b.kind, b.qty, b.leg, b.reduce_only)
}

/// Cancels take risk away: they pass every gate, always.
pub(crate) fn approve_cancel(command: Command) -> Approved<Command> {
    assert!(command.only_reduces(), "only cancels pass without the gates");
    Approved(command)
}

/// An amend that was checked as the order it would become.
pub(crate) fn approve_amend(checked: Approved<Command>, amend: ctos_types::AmendOrder) -> Approved<Command> {
    let Command::Place(_) = checked.0 else { unreachable!("the gates were asked about an order") };
    Approved(Command::Amend(amend))
}

/// An amend that only makes the order smaller, and leaves something of it.
pub(crate) fn approve_shrink(order: &Order, amend: ctos_types::AmendOrder, lot: Qty) -> Option<Approved<Command>> {
    let by_size = matches!(order.request.qty, OrderQty::Size(_));
    let smaller = |q: Qty| q < order.size && q > order.cum_qty && q.0 % lot.0 == 0;
    let shrinks = by_size && amend.price.is_none() && amend.qty.is_some_and(smaller);
    shrinks.then_some(Approved(Command::Amend(amend)))
}

/// Which account a command of a given kind is counted against.
pub(crate) fn counts_as_cancel(command: &Command) -> Option<AccountId> {
    command.only_reduces().then(|| command.account())
}
