//! Brings a strategy's own position to long, short or flat by market orders, one at a time, however orders end.
//! Never: chooses the direction. Closings reduce and are tried until they succeed; an opening gives up after a while.

use crate::sizing::OrderAmount;
use crate::track::{Alarm, Retry, Working, fee_in_units, lots};
use ctos_kernel::{Ctx, Order, OrderChange, OrderRequest};
use ctos_types::{Decimal, Fill, Instrument, InstrumentId, Leg, Price, Qty, Rounding, Side};
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
        let instrument = ctx.instrument(lot.instrument).clone();
        if let Some(request) = self.closing(ctx, &instrument).or_else(|| self.entry(ctx, &instrument, lot.amount)) {
            self.order = Some(Working::place(ctx, request));
        }
    }

    /// The order that takes away what the goal does not want.
    fn closing(&mut self, ctx: &Ctx<'_>, i: &Instrument) -> Option<OrderRequest> {
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

    fn entry(&mut self, ctx: &mut Ctx<'_>, i: &Instrument, amount: OrderAmount) -> Option<OrderRequest> {
        if !self.opening {
            return None;
        }
        let side = if self.goal == Goal::Long { Side::Buy } else { Side::Sell };
        let reference = ctx.price(i.id).and_then(|px| i.price_rounded(px, Rounding::Ceil).ok());
        let size = reference.and_then(|px: Price| amount.size(i, px));
        if size.is_none() {
            ctx.note(format!("order_amount {} is too small for {} at this price", amount.quote, i.symbol));
            self.opening = false;
        }
        size.map(|size| OrderRequest::market(i.id, side, size))
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
        self.retry.failed(ctx.now());
        if self.opening && self.retry.fails >= MAX_OPENINGS && (self.held.is_zero() || self.wanted()) {
            ctx.note("the opening order failed too often; waiting for the next signal");
            self.opening = false;
        }
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
