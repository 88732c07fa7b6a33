//! Order states: the one place where an order changes, and the record of what is open.

use crate::audit::{Alarm, OrderChange};
use crate::index::{Entry, Index};
use crate::pairs;
use crate::table::Table;
use ctos_types::{
    AccountId, ClientOrderId, Decimal, ExecId, Fill, InstrumentId, NewOrder, OrderKind, OrderQty, OrderReport,
    OrderStatus, Price, Qty, RejectReason, ReportBody, Request, Side, StrategyId, Text, UnixNanos, VenueOrderId,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Closed orders that are still known, so that a late or repeated report finds its order.
const CLOSED_KEPT: usize = 512;
/// Fills of orders that are not ours whose execution ids are remembered against repetition.
const EXTERNAL_KEPT: usize = 4096;

/// What an amend under way asks for. `None`: left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amending {
    pub price: Option<Price>,
    pub qty: Option<Qty>,
}

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
    /// What was asked for by the last amend that no report has confirmed or refused. The venue may act on it at any
    /// moment, so the worse of old and new counts.
    pub amending: Option<Amending>,
    amended_at: UnixNanos,
    pub created: UnixNanos,
    /// Input in whose step it was placed.
    pub created_seq: u64,
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
            amending: None,
            amended_at: UnixNanos::MIN,
            created: now,
            created_seq: 0,
            updated: now,
            reject: None,
            exec_ids: Vec::new(),
        }
    }

    /// The order as placed in the step of input `seq`.
    pub fn caused_by(self, seq: u64) -> Order {
        Order { created_seq: seq, ..self }
    }

    pub fn id(&self) -> ClientOrderId {
        self.request.cl_ord_id
    }

    /// Venue time of the last amend that was applied: an older one is late news.
    pub fn amended_at(&self) -> UnixNanos {
        self.amended_at
    }

    /// Executions that are booked, in the order they came in.
    pub fn exec_ids(&self) -> &[ExecId] {
        &self.exec_ids
    }

    /// A copy for those who are told of the order, without the memory of its executions that only its own state needs.
    pub(crate) fn as_told(&self) -> Order {
        Order { exec_ids: Vec::new(), ..*self }
    }

    /// What may still trade. Zero once closed.
    pub fn leaves(&self) -> Qty {
        if self.status.is_closed() { Qty(0) } else { Qty((self.size.0 - self.cum_qty.0).max(0)) }
    }

    /// The largest total size the order may come to have: an amend under way may already have taken effect.
    pub fn ceiling(&self) -> Qty {
        self.amending.and_then(|a| a.qty).map_or(self.size, |asked| asked.max(self.size))
    }

    /// What counts as exposure: [`Order::leaves`], or more while an amend that enlarges the order is under way.
    pub fn reserved(&self) -> Qty {
        if self.status.is_closed() { Qty(0) } else { Qty((self.ceiling().0 - self.cum_qty.0).max(0)) }
    }

    /// The limit prices at which the order may be resting: its own, and the one an amend under way asks for.
    pub fn possible_prices(&self) -> impl Iterator<Item = Price> {
        let asked = self.amending.and_then(|a| a.price).filter(|_| self.limit_price().is_some());
        self.limit_price().into_iter().chain(asked)
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

    fn market(&self) -> (AccountId, InstrumentId) {
        (self.request.account, self.request.instrument)
    }

    fn claim(&self) -> Claim {
        Claim { side: self.request.side, reserved: self.reserved().0, open: self.is_open() }
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

/// An order's part in the exposure of its instrument.
struct Claim {
    side: Side,
    reserved: i64,
    open: bool,
}

impl Exposure {
    /// Takes `old` out and puts `new` in. The gates deny an order whose sum would leave the range.
    fn shift(&mut self, old: Option<&Claim>, new: Option<&Claim>) {
        for (claim, sign) in [(old, -1), (new, 1)] {
            let Some(claim) = claim else { continue };
            match claim.side {
                Side::Buy => self.buy += claim.reserved * sign,
                Side::Sell => self.sell += claim.reserved * sign,
            }
            if claim.open {
                self.orders = (i64::from(self.orders) + sign) as u32;
            }
        }
    }
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
    #[serde(serialize_with = "by_sequence", deserialize_with = "pairs::deserialize")]
    /// Boxed, so that the table stays small and a closed order's memory serves the next one.
    orders: FxHashMap<u64, Box<Order>>,
    /// Sequences of open orders, ascending: the order in which everything walks them.
    open: Vec<u64>,
    closed: VecDeque<u64>,
    /// Latest fills of orders that are not ours.
    external: VecDeque<(AccountId, InstrumentId, ExecId)>,
    exposure: Table<(AccountId, InstrumentId), Exposure>,
    /// Follows from the open orders: not saved, but built again.
    #[serde(skip)]
    index: Index,
    /// The order forgotten last, whose memory serves the next one.
    #[serde(skip)]
    spare: Spare,
    next_seq: u64,
}

/// No part of what a store is.
#[derive(Clone, Debug, Default)]
struct Spare(Option<Box<Order>>);

impl PartialEq for Spare {
    fn eq(&self, _: &Spare) -> bool {
        true
    }
}

impl Eq for Spare {}

impl OrderStore {
    /// The sequence of the next order. Never repeats within a run.
    pub fn next_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    /// The highest sequence that was given out; zero when none was.
    pub fn last_seq(&self) -> u64 {
        self.next_seq
    }

    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.orders.get(&id.seq).map(|o| &**o).filter(|o| o.request.cl_ord_id == id)
    }

    pub fn open(&self) -> impl Iterator<Item = &Order> + '_ {
        self.open.iter().map(|seq| &*self.orders[seq])
    }

    /// Whether an open order of the same account may be resting where a `side` order of reach `px` would meet it.
    /// "No" is certain; "yes" may be an order that is being cancelled.
    pub(crate) fn may_meet(&self, account: AccountId, instrument: InstrumentId, side: Side, px: Price) -> bool {
        self.index.may_meet(account, instrument, side, px)
    }

    /// Whether an open order may be the same intent as `order`. "No" is certain.
    pub(crate) fn may_repeat(&self, order: &NewOrder) -> bool {
        self.index.may_repeat(order)
    }

    /// Builds what is not saved, after the rest was read back.
    pub(crate) fn rebuild_index(&mut self) {
        self.index = Index::default();
        for seq in &self.open {
            self.index.shift(None, Entry::of(&self.orders[seq]));
        }
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
        self.index.shift(None, Entry::of(&order));
        debug_assert!(self.open.last().is_none_or(|last| *last < seq), "sequences only grow");
        self.exposure.entry(order.market()).shift(None, Some(&order.claim()));
        self.open.push(seq);
        let place = match self.spare.0.take() {
            Some(mut place) => {
                let exec_ids = std::mem::take(&mut place.exec_ids);
                *place = Order { exec_ids, ..order };
                place.exec_ids.clear();
                place
            }
            None => Box::new(order),
        };
        self.orders.insert(seq, place);
    }

    pub(crate) fn set_pending_cancel(&mut self, id: ClientOrderId) {
        if let Some(order) = self.orders.get_mut(&id.seq) {
            order.pending_cancel = true;
        }
    }

    pub(crate) fn set_pending_amend(&mut self, id: ClientOrderId, asked: Amending) {
        let Some(order) = self.orders.get_mut(&id.seq) else { return };
        let (before, entry) = (order.claim(), Entry::of(order));
        order.pending_amend = true;
        order.amending = Some(asked);
        self.index.shift(entry, Entry::of(order));
        self.exposure.entry(order.market()).shift(Some(&before), Some(&order.claim()));
    }

    /// Applies what the venue reports. `value` is the unsigned quote value of the report's fill, zero for others.
    pub fn apply(&mut self, now: UnixNanos, report: &OrderReport, value: Decimal) -> Outcome {
        let Some(id) = report.cl_ord_id else { return self.external(report) };
        let Some(order) = self.orders.get_mut(&id.seq).filter(|o| o.id() == id) else {
            let alarm = Some(Alarm::UnknownOrder { id });
            // An order of ours that is forgotten closed long ago: its fills were booked, this one is a repetition
            // (some venues replay the day after a reconnect). One that was never issued here did happen.
            let outcome = if id.seq <= self.next_seq { Outcome::default() } else { self.external(report) };
            return Outcome { alarm, ..outcome };
        };
        if matches!(report.body, ReportBody::Accepted) {
            // An order that was open is open, with the same prices and size.
            return transition(order, now, report, value);
        }
        let (before, entry) = (order.claim(), Entry::of(order));
        let outcome = transition(order, now, report, value);
        let after = order.claim();
        self.index.shift(entry, Entry::of(order));
        self.exposure.entry(order.market()).shift(Some(&before), Some(&after));
        if before.open && !after.open {
            self.retire(id.seq);
        }
        outcome
    }

    /// A report about an order of somebody else: only its fill matters, and only once.
    fn external(&mut self, report: &OrderReport) -> Outcome {
        let ReportBody::Fill(fill) = report.body else { return Outcome::default() };
        let key = (report.account, report.instrument, fill.exec_id);
        if !fill.exec_id.is_empty() {
            if self.external.contains(&key) {
                let alarm = Some(Alarm::DuplicateFill { order: report.cl_ord_id, instrument: report.instrument });
                return Outcome { alarm, ..Outcome::default() };
            }
            if self.external.len() == EXTERNAL_KEPT {
                self.external.pop_front();
            }
            self.external.push_back(key);
        }
        Outcome { fill: Some(fill), ..Outcome::default() }
    }

    fn retire(&mut self, seq: u64) {
        if let Ok(at) = self.open.binary_search(&seq) {
            self.open.remove(at);
        }
        self.closed.push_back(seq);
        if self.closed.len() > CLOSED_KEPT
            && let Some(old) = self.closed.pop_front()
        {
            self.spare.0 = self.orders.remove(&old);
        }
    }

    /// Executions that are booked and remembered, of our orders and of other people's: what a venue's history may
    /// repeat after a restart.
    pub fn booked(&self, account: AccountId) -> impl Iterator<Item = (InstrumentId, ExecId)> + '_ {
        let ours = self.orders.values().filter(move |o| o.request.account == account);
        let ours = ours.flat_map(|o| o.exec_ids.iter().map(|exec| (o.request.instrument, *exec)));
        let others = self.external.iter().filter(move |(of, ..)| *of == account);
        ours.chain(others.map(|(_, instrument, exec)| (*instrument, *exec)))
    }

    /// Open orders of a scope, in order of their ids.
    pub fn open_ids(&self, filter: impl Fn(&Order) -> bool) -> Vec<(ClientOrderId, AccountId, InstrumentId)> {
        self.open().filter(|o| filter(o)).map(|o| (o.id(), o.request.account, o.request.instrument)).collect()
    }

    pub fn open_of(&self, strategy: StrategyId) -> impl Iterator<Item = &Order> + '_ {
        self.open().filter(move |o| o.request.strategy == strategy)
    }
}

/// One text for one state: a snapshot lists orders by sequence, however the map happens to hold them.
fn by_sequence<S: serde::Serializer>(orders: &FxHashMap<u64, Box<Order>>, s: S) -> Result<S::Ok, S::Error> {
    let mut list: Vec<_> = orders.iter().collect();
    list.sort_unstable_by_key(|(seq, _)| **seq);
    s.collect_seq(list)
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
        // The size still says how much of a fill to believe, even after the end.
        ReportBody::Amended { price, qty } => amended(order, report.ts_event, price, qty).filter(|_| !closed),
        // Nothing else can matter to a closed order: the rest is late news.
        _ if closed => None,
        ReportBody::Accepted => accepted(order),
        ReportBody::Triggered if order.triggered => None,
        ReportBody::Triggered => {
            order.triggered = true;
            Some(OrderChange::Triggered)
        }
        ReportBody::Canceled { .. } => close(order, OrderStatus::Canceled, OrderChange::Canceled),
        ReportBody::Expired => close(order, OrderStatus::Expired, OrderChange::Expired),
        ReportBody::Rejected { request, reason, code } => rejected(order, request, reason, code),
        ReportBody::Unknown { request } => unknown(order, request),
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

fn amended(order: &mut Order, ts_event: UnixNanos, price: Option<Price>, qty: Qty) -> Option<OrderChange> {
    let same_price = |have: Option<Price>| price.is_none() || price == have;
    let as_asked =
        order.amending.is_some_and(|a| a.qty.is_none_or(|q| q == qty) && a.price.is_none_or(|p| same_price(Some(p))));
    let as_before = qty == order.size && same_price(order.limit_price());
    // Late or repeated news of an earlier amend must not undo a later one. What is waited for is no old news, whatever the
    // venue's clock has done meanwhile.
    if !as_asked && (ts_event < order.amended_at || (ts_event == order.amended_at && as_before)) {
        return None;
    }
    order.amended_at = ts_event;
    if let Some(px) = price {
        order.set_limit_price(px);
    }
    order.size = qty;
    if let OrderQty::Size(size) = &mut order.request.qty {
        *size = qty;
    }
    end_amend(order);
    Some(if close_if_done(order) { OrderChange::Filled } else { OrderChange::Amended })
}

fn end_amend(order: &mut Order) {
    order.pending_amend = false;
    order.amending = None;
}

/// Closes a live order that has nothing left, also not by an amend under way.
fn close_if_done(order: &mut Order) -> bool {
    let done = order.cum_qty.0 > 0 && order.cum_qty >= order.ceiling() && order.is_open();
    if done {
        close(order, OrderStatus::Filled, OrderChange::Filled);
    }
    done
}

/// `amending` stays: fills of the amended size may still be on their way.
fn close(order: &mut Order, status: OrderStatus, change: OrderChange) -> Option<OrderChange> {
    order.status = status;
    order.pending_cancel = false;
    order.pending_amend = false;
    Some(change)
}

fn rejected(order: &mut Order, request: Request, reason: RejectReason, code: Text<31>) -> Option<OrderChange> {
    match request {
        // The id is never reused, so the venue has this very order from an earlier try: alive or closed, not refused.
        Request::Place if reason == RejectReason::DuplicateClientOrderId => unknown(order, Request::Place),
        Request::Place => {
            order.reject = Some((reason, code));
            close(order, OrderStatus::Rejected, OrderChange::Rejected)
        }
        Request::Amend => {
            end_amend(order);
            order.reject = Some((reason, code));
            if close_if_done(order) {
                return Some(OrderChange::Filled);
            }
            if reason == RejectReason::UnknownOrder { lost(order) } else { Some(OrderChange::AmendRejected) }
        }
        Request::Cancel => {
            order.pending_cancel = false;
            if reason == RejectReason::UnknownOrder { lost(order) } else { Some(OrderChange::CancelRejected) }
        }
    }
}

/// "No such order" while we hold it open may mean that it filled: not known until reconciled.
fn lost(order: &mut Order) -> Option<OrderChange> {
    order.status = OrderStatus::Unknown;
    Some(OrderChange::Unknown)
}

fn unknown(order: &mut Order, request: Request) -> Option<OrderChange> {
    match request {
        Request::Place if order.status == OrderStatus::PendingNew => lost(order),
        // The venue has spoken about the order since: the answer that got lost is no news.
        Request::Place => None,
        // The order itself is as it was; whether the amend took effect will show in later reports.
        Request::Amend => Some(OrderChange::Unknown),
        // A cancel may be repeated without harm.
        Request::Cancel => {
            order.pending_cancel = false;
            Some(OrderChange::Unknown)
        }
    }
}

fn filled(order: &mut Order, fill: &Fill, value: Decimal, mut outcome: Outcome) -> Outcome {
    if !fill.exec_id.is_empty() && order.exec_ids.contains(&fill.exec_id) {
        outcome.alarm = Some(Alarm::DuplicateFill { order: Some(order.id()), instrument: order.request.instrument });
        return outcome;
    }
    // An order by amount is bounded by its money, every other by its size.
    let (exhausted, over) = match order.request.qty {
        OrderQty::Quote(amount) => {
            (order.cum_value >= amount, order.cum_value.checked_add(value).is_ok_and(|v| v > amount))
        }
        OrderQty::Size(_) => {
            let left = order.ceiling().0 - order.cum_qty.0;
            (left <= 0, fill.last_qty.0 > left)
        }
    };
    if exhausted {
        outcome.alarm = Some(Alarm::FillAboveCeiling { order: order.id() });
        return outcome;
    }
    if over {
        outcome.alarm = Some(Alarm::OverFill { order: order.id() });
    }
    order.exec_ids.push(fill.exec_id);
    order.cum_qty.0 = order.cum_qty.0.saturating_add(fill.last_qty.0);
    order.cum_value = order.cum_value.checked_add(value).unwrap_or(Decimal::MAX);
    if let OrderQty::Quote(amount) = order.request.qty {
        // Its size is whatever it bought. Unless the money went to the last atom, it closes by the venue's word.
        order.size = order.size.max(order.cum_qty);
        if order.cum_value >= amount {
            close(order, OrderStatus::Filled, OrderChange::Filled);
        } else if order.is_open() {
            order.status = OrderStatus::PartiallyFilled;
        }
    } else if order.cum_qty >= order.ceiling() {
        close(order, OrderStatus::Filled, OrderChange::Filled);
    } else if order.is_open() {
        order.status = OrderStatus::PartiallyFilled;
    }
    outcome.change = Some(OrderChange::Filled);
    outcome.fill = Some(*fill);
    outcome
}
