//! Following an own order to its end and what came of it: fills are taken in once, fees in coins are counted.
//! Never: decides what to order.

use ctos_kernel::{Ctx, Order, OrderRequest};
use ctos_types::{ClientOrderId, Decimal, Fill, Instrument, Nanos, OrderQty, OrderStatus, Price, Qty, Side, UnixNanos};
use serde::{Deserialize, Serialize};

/// An order on its way or in the book, and how much of it was already taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Working {
    pub id: ClientOrderId,
    pub side: Side,
    /// Limit price; `None` for a market order.
    pub price: Option<Price>,
    pub size: Qty,
    seen: Qty,
}

impl Working {
    /// Sends the order and starts to follow it.
    pub fn place(ctx: &mut Ctx<'_>, request: OrderRequest) -> Working {
        let OrderQty::Size(size) = request.qty else { unreachable!("built-in strategies order sizes") };
        let id = ctx.place(request);
        Working { id, side: request.side, price: request.kind.limit_price(), size, seen: Qty(0) }
    }

    /// The part of the order's fills that was not taken in yet, signed.
    pub fn take(&mut self, order: &Order) -> Qty {
        let new = order.cum_qty.0 - self.seen.0;
        self.seen = order.cum_qty;
        Qty(new * self.side.sign())
    }

    /// What may still trade of it.
    pub fn leaves(&self) -> Qty {
        Qty((self.size.0 - self.seen.0).max(0))
    }

    /// Whether any of it traded.
    pub fn traded(&self) -> bool {
        self.seen.0 > 0
    }
}

/// Whether an order traded in full.
pub(crate) fn is_filled(order: &Order) -> bool {
    order.status == OrderStatus::Filled
}

/// The coins (or contracts) that a fill's fee took away: spot fees may be charged in the coin itself.
pub(crate) fn fee_in_units(instrument: &Instrument, fill: &Fill) -> Decimal {
    if instrument.is_spot() && fill.fee_currency == instrument.base { fill.fee } else { Decimal::ZERO }
}

/// Waiting longer after each failure in a row, so that a refusal is never answered with a flood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub fails: u32,
    /// Not before this moment.
    pub at: UnixNanos,
}

/// The pause after the first failure; doubles up to 64 times of itself.
pub(crate) const PAUSE: Nanos = Nanos::from_secs(1);

impl Retry {
    pub fn failed(&mut self, now: UnixNanos) {
        self.at = now.after(Nanos(PAUSE.0 << self.fails.min(6)));
        self.fails = self.fails.saturating_add(1);
    }

    /// A pause that says nothing about trouble, as after a post-only order that would have taken.
    pub fn pause(&mut self, now: UnixNanos) {
        self.at = now.after(PAUSE);
    }

    pub fn clear(&mut self) {
        *self = Retry::default();
    }
}

/// One outstanding timer at most that matters: the earliest moment something must be looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm(Option<UnixNanos>);

impl Alarm {
    /// Makes sure that `on_timer` is called at `at` or before.
    pub fn arm(&mut self, ctx: &mut Ctx<'_>, at: UnixNanos) {
        if self.0.is_none_or(|due| at < due) {
            self.0 = Some(at);
            ctx.set_timer(at - ctx.now(), 0);
        }
    }

    /// Call first in `on_timer`. A timer that an earlier one replaced changes nothing.
    pub fn rang(&mut self, now: UnixNanos) {
        if self.0.is_some_and(|due| due <= now) {
            self.0 = None;
        }
    }

    /// Call in `on_start`: stopping dropped the timers.
    pub fn reset(&mut self) {
        self.0 = None;
    }
}

/// Coins or contracts that an instrument's order takes at most: a decimal amount cut down to lots.
pub(crate) fn lots(instrument: &Instrument, units: Decimal) -> Qty {
    if !units.is_positive() {
        return Qty(0);
    }
    let most = instrument.max_qty.0 - instrument.max_qty.0 % instrument.lot.0;
    Qty(instrument.qty_down(units).map_or(most, |q| q.0.min(most)))
}
