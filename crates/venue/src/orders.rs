//! Open orders as the exchange keeps them, and where they are kept.
//! Never: decides anything about an order; matching, triggers and accounts do.

use crate::config::FeeRates;
use ctos_types::{Currency, Decimal, InstrumentId, Leg, NewOrder, OrderKind, OrderQty, Price, Qty, Side, UnixNanos};
use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Being matched right now: in no list.
    Active,
    /// In the queue of its side.
    Resting,
    /// Among the triggers.
    Waiting,
    /// Waits for the next bar.
    Pending,
}

/// How far a trailing stop has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trail {
    pub active: bool,
    /// Best price since activation, and the trigger that follows it (rounded half-even to 18 places).
    pub extreme: Option<Decimal>,
    pub level: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// As placed, with amended price and size.
    pub request: NewOrder,
    /// Index of the account.
    pub account: u16,
    /// Venue order id.
    pub seq: u64,
    /// Place in time among orders at one price.
    pub priority: u64,
    pub stage: Stage,
    /// No trigger, or triggered.
    pub live: bool,
    /// The venue's own order (liquidation): reported without a client order id, known to no list.
    pub foreign: bool,
    /// Total size. For an order by amount: not known, `i64::MAX` until it ends.
    pub size: Qty,
    /// Quote currency not yet traded of an order by amount.
    pub amount_left: Option<Decimal>,
    pub cum: Qty,
    pub hold: Decimal,
    pub hold_currency: Currency,
    /// The opening size a contract order's hold was worked out for; -1: not worked out.
    pub held_for: i64,
    /// An opening size and what must be held for it, as it was worked out within this call.
    #[serde(skip)]
    pub quoted: Option<(i64, Decimal)>,
    /// Price at which its hold is worked out; `None`: nothing is held.
    pub hold_px: Option<Price>,
    /// Rates of the moment it was accepted.
    pub rates: FeeRates,
    /// Reduce-only, said outright or by its position effect.
    pub reduce: bool,
    pub arrived: UnixNanos,
    pub trail: Trail,
}

impl Order {
    pub fn leaves(&self) -> i64 {
        self.size.0 - self.cum.0
    }

    pub fn limit(&self) -> Option<Price> {
        self.request.kind.limit_price()
    }

    pub fn set_limit(&mut self, px: Price) {
        match &mut self.request.kind {
            OrderKind::Limit { price }
            | OrderKind::StopLimit { price, .. }
            | OrderKind::TakeProfitLimit { price, .. } => *price = px,
            _ => {}
        }
    }

    pub fn set_size(&mut self, size: Qty) {
        self.size = size;
        if let OrderQty::Size(qty) = &mut self.request.qty {
            *qty = size;
        }
    }

    pub fn side(&self) -> Side {
        self.request.side
    }

    pub fn leg(&self) -> Leg {
        self.request.leg
    }

    pub fn instrument(&self) -> InstrumentId {
        self.request.instrument
    }
}

/// Orders by slot; slots are used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slab {
    slots: Vec<Option<Order>>,
    free: Vec<u32>,
}

impl Slab {
    pub fn insert(&mut self, order: Order) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(order);
            return slot;
        }
        self.slots.push(Some(order));
        self.slots.len() as u32 - 1
    }

    pub fn remove(&mut self, slot: u32) -> Order {
        let order = self.slots[slot as usize].take().expect("a listed slot holds an order");
        self.free.push(slot);
        order
    }

    /// The order, if `slot` still holds the one with this venue id.
    pub fn find(&self, slot: u32, seq: u64) -> Option<&Order> {
        self.slots.get(slot as usize)?.as_ref().filter(|o| o.seq == seq)
    }
}

/// Slots handed out by the exchange's own lists hold an order: an empty one is our bug.
impl Index<u32> for Slab {
    type Output = Order;
    fn index(&self, slot: u32) -> &Order {
        self.slots[slot as usize].as_ref().expect("a listed slot holds an order")
    }
}

impl IndexMut<u32> for Slab {
    fn index_mut(&mut self, slot: u32) -> &mut Order {
        self.slots[slot as usize].as_mut().expect("a listed slot holds an order")
    }
}
