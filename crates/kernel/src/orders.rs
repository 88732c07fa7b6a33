//! Order states: the one place where an order changes, and the record of what is open.

use crate::audit::{Alarm, OrderChange};
use crate::pairs;
use ctos_types::{
    AccountId, ClientOrderId, Decimal, ExecId, Fill, InstrumentId, NewOrder, OrderKind, OrderQty, OrderReport,
    OrderStatus, Price, Qty, RejectReason, ReportBody, Request, Side, StrategyId, Text, UnixNanos, VenueOrderId,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Closed orders that are still known, so that a late or repeated report finds its order.
const CLOSED_KEPT: usize = 4096;

/// An order as we know it. Invariant: `cum_qty <= size` unless the venue over-filled, which raises an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub request: NewOrder,
    pub status: OrderStatus,
    pub venue_order_id: VenueOrderId,
    /// What counts as exposure before it trades: the size, or for an order by amount its estimate at placement.
    pub size: Qty,
    pub cum_qty: Qty,
    /// Unsigned sum of price times size over the fills, in quote currency.
    pub cum_value: Decimal,
    pub triggered: bool,
    pub pending_cancel: bool,
    pub pending_amend: bool,
    pub created: UnixNanos,
    pub updated: UnixNanos,
    pub reject: Option<(RejectReason, Text<31>)>,
    exec_ids: Vec<ExecId>,
}

impl Order {
    pub fn new(request: NewOrder, size: Qty, now: UnixNanos) -> Order {
        Order {
            request,
            status: OrderStatus::PendingNew,
            venue_order_id: VenueOrderId::EMPTY,
            size,
            cum_qty: Qty(0),
            cum_value: Decimal::ZERO,
            triggered: false,
            pending_cancel: false,
            pending_amend: false,
            created: now,
            updated: now,
            reject: None,
            exec_ids: Vec::new(),
        }
    }

    pub fn id(&self) -> ClientOrderId {
        self.request.cl_ord_id
    }

    /// What may still trade. Zero once closed.
    pub fn leaves(&self) -> Qty {
        if self.status.is_closed() { Qty(0) } else { Qty((self.size.0 - self.cum_qty.0).max(0)) }
    }

    pub fn is_open(&self) -> bool {
        !self.status.is_closed()
    }

    pub fn limit_price(&self) -> Option<Price> {
        self.request.kind.limit_price()
    }

    /// Whether the order could be resting in the book now.
    pub fn may_rest(&self) -> bool {
        self.is_open() && (!self.request.kind.is_conditional() || self.triggered)
    }

    fn set_limit_price(&mut self, px: Price) {
        match &mut self.request.kind {
            OrderKind::Limit { price }
            | OrderKind::StopLimit { price, .. }
            | OrderKind::TakeProfitLimit { price, .. } => {
                *price = px;
            }
            _ => {}
        }
    }
}

/// Size waiting in open orders of one instrument on one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    pub buy: i64,
    pub sell: i64,
    pub orders: u32,
}

/// What a report did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The order after the report, when it is one of ours.
    pub order: Option<ClientOrderId>,
    pub change: Option<OrderChange>,
    /// A fill that must be booked.
    pub fill: Option<Fill>,
    pub alarm: Option<Alarm>,
}

/// All orders that are open, and the latest closed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStore {
    #[serde(with = "pairs")]
    orders: FxHashMap<u64, Order>,
    /// Sequences of open orders, ascending: the order in which everything walks them.
    open: Vec<u64>,
    closed: VecDeque<u64>,
    #[serde(with = "pairs")]
    exposure: BTreeMap<(AccountId, InstrumentId), Exposure>,
    next_seq: u64,
}

impl OrderStore {
    /// The sequence of the next order. Never repeats within a run.
    pub fn next_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.orders.get(&id.seq).filter(|o| o.request.cl_ord_id == id)
    }

    pub fn open(&self) -> impl Iterator<Item = &Order> + '_ {
        self.open.iter().map(|seq| &self.orders[seq])
    }

    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    pub fn exposure(&self, account: AccountId, instrument: InstrumentId) -> Exposure {
        self.exposure.get(&(account, instrument)).copied().unwrap_or_default()
    }

    pub fn exposures(&self) -> impl Iterator<Item = (AccountId, InstrumentId, Exposure)> + '_ {
        self.exposure.iter().map(|((a, i), e)| (*a, *i, *e))
    }

    /// Records an approved order before it leaves.
    pub fn insert(&mut self, order: Order) {
        let seq = order.id().seq;
        debug_assert!(self.open.last().is_none_or(|last| *last < seq), "sequences only grow");
        self.reserve(&order, 1);
        self.open.push(seq);
        self.orders.insert(seq, order);
    }

    pub fn set_pending_cancel(&mut self, id: ClientOrderId) {
        if let Some(order) = self.orders.get_mut(&id.seq) {
            order.pending_cancel = true;
        }
    }

    pub fn set_pending_amend(&mut self, id: ClientOrderId) {
        if let Some(order) = self.orders.get_mut(&id.seq) {
            order.pending_amend = true;
        }
    }

    fn reserve(&mut self, order: &Order, sign: i64) {
        let e = self.exposure.entry((order.request.account, order.request.instrument)).or_default();
        let leaves = order.leaves().0 * sign;
        match order.request.side {
            Side::Buy => e.buy += leaves,
            Side::Sell => e.sell += leaves,
        }
        if order.is_open() {
            e.orders = (i64::from(e.orders) + sign) as u32;
        }
    }

    /// Applies what the venue reports. `value` is the unsigned quote value of the report's fill, zero for others.
    pub fn apply(&mut self, now: UnixNanos, report: &OrderReport, value: Decimal) -> Outcome {
        let Some(id) = report.cl_ord_id else {
            let fill = if let ReportBody::Fill(fill) = report.body { Some(fill) } else { None };
            return Outcome { fill, ..Outcome::default() };
        };
        let Some(mut order) = self.orders.remove(&id.seq).filter(|o| o.id() == id) else {
            let fill = if let ReportBody::Fill(fill) = report.body { Some(fill) } else { None };
            return Outcome { order: None, change: None, fill, alarm: Some(Alarm::UnknownOrder { id }) };
        };
        self.reserve(&order, -1);
        let was_open = order.is_open();
        let outcome = transition(&mut order, now, report, value);
        self.reserve(&order, 1);
        if was_open && order.status.is_closed() {
            self.retire(id.seq);
        }
        self.orders.insert(id.seq, order);
        outcome
    }

    fn retire(&mut self, seq: u64) {
        if let Ok(at) = self.open.binary_search(&seq) {
            self.open.remove(at);
        }
        self.closed.push_back(seq);
        if self.closed.len() > CLOSED_KEPT
            && let Some(old) = self.closed.pop_front()
        {
            self.orders.remove(&old);
        }
    }

    /// Open orders of a scope, in order of their ids.
    pub fn open_ids(&self, filter: impl Fn(&Order) -> bool) -> Vec<(ClientOrderId, AccountId, InstrumentId)> {
        self.open().filter(|o| filter(o)).map(|o| (o.id(), o.request.account, o.request.instrument)).collect()
    }

    pub fn open_of(&self, strategy: StrategyId) -> impl Iterator<Item = &Order> + '_ {
        self.open().filter(move |o| o.request.strategy == strategy)
    }
}

fn transition(order: &mut Order, now: UnixNanos, report: &OrderReport, value: Decimal) -> Outcome {
    let mut outcome = Outcome { order: Some(order.id()), ..Outcome::default() };
    order.updated = now;
    if order.venue_order_id.is_empty() {
        order.venue_order_id = report.venue_order_id;
    }
    let closed = order.status.is_closed();
    outcome.change = match report.body {
        ReportBody::Fill(fill) => return filled(order, &fill, value, outcome),
        // Nothing but a fill can matter to a closed order: the rest is late news.
        _ if closed => None,
        ReportBody::Accepted => accepted(order),
        ReportBody::Triggered => {
            order.triggered = true;
            Some(OrderChange::Triggered)
        }
        ReportBody::Amended { price, qty } => {
            if let Some(px) = price {
                order.set_limit_price(px);
            }
            order.size = qty;
            if let OrderQty::Size(size) = &mut order.request.qty {
                *size = qty;
            }
            order.pending_amend = false;
            Some(OrderChange::Amended)
        }
        ReportBody::Canceled { .. } => close(order, OrderStatus::Canceled, OrderChange::Canceled),
        ReportBody::Expired => close(order, OrderStatus::Expired, OrderChange::Expired),
        ReportBody::Rejected { request, reason, code } => rejected(order, request, reason, code),
        ReportBody::Unknown { request } => match request {
            Request::Place => {
                order.status = OrderStatus::Unknown;
                Some(OrderChange::Unknown)
            }
            // The order itself is as it was; whether the request took effect will show in later reports.
            Request::Amend | Request::Cancel => Some(OrderChange::Unknown),
        },
    };
    outcome
}

fn accepted(order: &mut Order) -> Option<OrderChange> {
    match order.status {
        OrderStatus::PendingNew | OrderStatus::Unknown => {
            order.status = if order.cum_qty.0 > 0 { OrderStatus::PartiallyFilled } else { OrderStatus::New };
            Some(OrderChange::Accepted)
        }
        _ => None,
    }
}

fn close(order: &mut Order, status: OrderStatus, change: OrderChange) -> Option<OrderChange> {
    order.status = status;
    order.pending_cancel = false;
    order.pending_amend = false;
    Some(change)
}

fn rejected(order: &mut Order, request: Request, reason: RejectReason, code: Text<31>) -> Option<OrderChange> {
    match request {
        Request::Place => {
            order.reject = Some((reason, code));
            close(order, OrderStatus::Rejected, OrderChange::Rejected)
        }
        Request::Amend => {
            order.pending_amend = false;
            order.reject = Some((reason, code));
            Some(OrderChange::AmendRejected)
        }
        Request::Cancel => {
            order.pending_cancel = false;
            // "No such order" while we hold it open may mean that it filled: not known until reconciled.
            if reason == RejectReason::UnknownOrder {
                order.status = OrderStatus::Unknown;
                return Some(OrderChange::Unknown);
            }
            Some(OrderChange::CancelRejected)
        }
    }
}

fn filled(order: &mut Order, fill: &Fill, value: Decimal, mut outcome: Outcome) -> Outcome {
    if order.exec_ids.contains(&fill.exec_id) {
        outcome.alarm = Some(Alarm::DuplicateFill { order: Some(order.id()), instrument: order.request.instrument });
        return outcome;
    }
    let by_amount = matches!(order.request.qty, OrderQty::Quote(_));
    let left = order.size.0 - order.cum_qty.0;
    if left <= 0 && !by_amount {
        outcome.alarm = Some(Alarm::FillAboveCeiling { order: order.id() });
        return outcome;
    }
    order.exec_ids.push(fill.exec_id);
    order.cum_qty.0 += fill.last_qty.0;
    order.cum_value += value;
    if by_amount {
        // The size of an order by amount is whatever it bought; it closes by the venue's word.
        order.size = order.size.max(order.cum_qty);
    } else if fill.last_qty.0 > left {
        outcome.alarm = Some(Alarm::OverFill { order: order.id() });
    }
    if order.cum_qty >= order.size && !by_amount {
        close(order, OrderStatus::Filled, OrderChange::Filled);
    } else if !order.status.is_closed() {
        order.status = OrderStatus::PartiallyFilled;
    }
    outcome.change = Some(OrderChange::Filled);
    outcome.fill = Some(*fill);
    outcome
}
