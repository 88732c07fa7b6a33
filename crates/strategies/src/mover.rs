//! Brings a strategy's own position to long, short or flat by market orders, one at a time, however orders end.
//! Never: chooses the direction. Closings are tried until they succeed; an opening gives up after a while.
//!
//! A contract is turned from long to short and back by one order, so that both legs trade at the same moment and the
//! account is never left between them. Where that one is refused, the closing goes alone, as reduce-only.

use crate::sizing::OrderAmount;
use crate::track::{Alarm, Retry, Working, fee_in_units, lots};
use ctos_kernel::{Ctx, Order, OrderChange, OrderRequest};
use ctos_types::{Decimal, Fill, Instrument, InstrumentId, Leg, OrderQty, Qty, Side};
use serde::{Deserialize, Serialize};

/// What the strategy wants to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Nothing. What is held is closed.
    #[default]
    Flat,
    Long,
    Short,
}

/// Failed openings in a row after which the signal is too old to follow.
const MAX_OPENINGS: u32 = 5;

/// Everything that a restart must bring back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mover {
    goal: Goal,
    /// An opening order for the goal is still to be sent.
    opening: bool,
    /// One order for both legs was refused: this goal closes first and opens then.
    #[serde(default)]
    apart: bool,
    order: Option<Working>,
    /// Signed coins or contracts from own fills, net of fees charged in coins.
    held: Decimal,
    retry: Retry,
    alarm: Alarm,
}

/// The fixed part: what and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lot {
    pub instrument: InstrumentId,
    pub amount: OrderAmount,
}

impl Mover {
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Sets the goal and starts for it. A goal that stands already is not pursued twice.
    pub fn aim(&mut self, ctx: &mut Ctx<'_>, lot: Lot, goal: Goal) {
        if goal == self.goal {
            return;
        }
        self.goal = goal;
        self.opening = goal != Goal::Flat;
        self.apart = false;
        self.retry.clear();
        self.work(ctx, lot);
    }

    fn work(&mut self, ctx: &mut Ctx<'_>, lot: Lot) {
        if self.order.is_some() {
            return;
        }
        if self.retry.at > ctx.now() {
            self.alarm.arm(ctx, self.retry.at);
            return;
        }
        let request = match self.closing(ctx, lot.instrument) {
            Some(close) => Some(self.turning(ctx, lot, &close).unwrap_or(close)),
            None => self.entry(ctx, lot),
        };
        if let Some(request) = request {
            self.order = Some(Working::place(ctx, request));
        }
    }

    /// The order that takes away what the goal does not want.
    fn closing(&mut self, ctx: &Ctx<'_>, id: InstrumentId) -> Option<OrderRequest> {
        let i = ctx.instrument(id);
        let unwanted = match self.goal {
            Goal::Flat => true,
            Goal::Long => self.held.is_negative(),
            Goal::Short => self.held.is_positive(),
        };
        if !unwanted || self.held.is_zero() {
            return None;
        }
        if i.is_spot() && self.held.is_positive() {
            // Coins that are not in the account any more cannot be sold and are not waited for.
            self.held = self.held.min(ctx.balance(i.base).max(Decimal::ZERO));
        }
        let size = lots(i, self.held.abs());
        // Dust below the venue's minimum stays and goes out with the next closing.
        i.check(None, size).ok()?;
        let side = if self.held.is_positive() { Side::Sell } else { Side::Buy };
        let request = OrderRequest::market(i.id, side, size);
        // Another strategy of the account may hold the other way: a reduce-only order would then be refused for ever.
        let account = ctx.account_position(i.id, Leg::Net).qty.0;
        let reduces = !i.is_spot() && account.signum() == -side.sign() && account.abs() >= size.0;
        Some(if reduces { request.reduce_only() } else { request })
    }

    /// The closing and the opening in one order, where that can be.
    fn turning(&self, ctx: &Ctx<'_>, lot: Lot, close: &OrderRequest) -> Option<OrderRequest> {
        // A closing that reduces the account is one of a contract, and of all that the strategy holds.
        if !self.opening || self.apart || !close.reduce_only {
            return None;
        }
        let OrderQty::Size(held) = close.qty else { return None };
        let size = Qty(held.0.checked_add(opening_size(ctx, lot)?.0)?);
        ctx.instrument(lot.instrument).check(None, size).ok()?;
        Some(OrderRequest::market(lot.instrument, close.side, size))
    }

    fn entry(&mut self, ctx: &mut Ctx<'_>, lot: Lot) -> Option<OrderRequest> {
        if !self.opening {
            return None;
        }
        let side = if self.goal == Goal::Long { Side::Buy } else { Side::Sell };
        let size = opening_size(ctx, lot);
        if size.is_none() {
            let symbol = &ctx.instrument(lot.instrument).symbol;
            let why = format!("order_amount {} is too small for {symbol} at this price", lot.amount.quote);
            ctx.note(why);
            self.opening = false;
        }
        size.map(|size| OrderRequest::market(lot.instrument, side, size))
    }

    /// Pass every `on_start`.
    pub fn on_start(&mut self, ctx: &mut Ctx<'_>, lot: Lot) {
        self.alarm.reset();
        if let Some(working) = self.order {
            match ctx.order(working.id).cloned() {
                Some(order) => {
                    self.absorb(&order, ctx.instrument(lot.instrument));
                    if !order.is_open() {
                        self.ended(ctx);
                    }
                }
                None => self.order = None,
            }
        }
        self.work(ctx, lot);
    }

    /// Pass every `on_order`.
    pub fn on_order(&mut self, ctx: &mut Ctx<'_>, lot: Lot, order: &Order, change: OrderChange) {
        // A fill is taken in by `on_fill`, which knows its fee.
        if !self.follows(order) || order.is_open() || change == OrderChange::Filled {
            return;
        }
        self.absorb(order, ctx.instrument(lot.instrument));
        self.ended(ctx);
        self.work(ctx, lot);
    }

    /// Pass every `on_fill`.
    pub fn on_fill(&mut self, ctx: &mut Ctx<'_>, lot: Lot, order: &Order, fill: &Fill) {
        let instrument = ctx.instrument(lot.instrument);
        self.held -= fee_in_units(instrument, fill);
        if !self.follows(order) {
            // A fill that came after the order's end.
            self.held += instrument.qty_decimal(Qty(fill.last_qty.0 * fill.side.sign()));
        } else {
            self.absorb(order, instrument);
            if order.is_open() {
                return;
            }
            self.ended(ctx);
        }
        self.work(ctx, lot);
    }

    /// Pass every `on_timer`.
    pub fn on_timer(&mut self, ctx: &mut Ctx<'_>, lot: Lot) {
        self.alarm.rang(ctx.now());
        self.work(ctx, lot);
    }

    fn follows(&self, order: &Order) -> bool {
        self.order.is_some_and(|o| o.id == order.id())
    }

    fn absorb(&mut self, order: &Order, instrument: &Instrument) {
        if let Some(working) = &mut self.order {
            self.held += instrument.qty_decimal(working.take(order));
        }
    }

    fn ended(&mut self, ctx: &mut Ctx<'_>) {
        let Some(working) = self.order.take() else { return };
        let opened = self.opening && (working.side == Side::Buy) == (self.goal == Goal::Long) && self.wanted();
        if working.traded() {
            self.retry.clear();
            // What a market order could not fill of an opening is let go.
            self.opening &= !opened;
            return;
        }
        if self.turned(&working) {
            self.apart = true;
            return;
        }
        self.retry.failed(ctx.now());
        if self.opening && self.retry.fails >= MAX_OPENINGS && (self.held.is_zero() || self.wanted()) {
            ctx.note("the opening order failed too often; waiting for the next signal");
            self.opening = false;
        }
    }

    /// Whether an order was to close and to open at once.
    fn turned(&self, order: &Working) -> bool {
        self.opening
            && !self.apart
            && !self.held.is_zero()
            && !self.wanted()
            && (order.side == Side::Buy) == self.held.is_negative()
    }

    /// Whether what is held is in the goal's direction.
    fn wanted(&self) -> bool {
        match self.goal {
            Goal::Flat => false,
            Goal::Long => self.held.is_positive(),
            Goal::Short => self.held.is_negative(),
        }
    }
}

/// What an opening orders at the present price; `None` where that is less than the venue takes.
fn opening_size(ctx: &Ctx<'_>, lot: Lot) -> Option<Qty> {
    let i = ctx.instrument(lot.instrument);
    lot.amount.size(i, ctx.price_up(lot.instrument)?)
}
