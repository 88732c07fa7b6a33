//! What must be known of our orders to name them at the venue: generations of replaced orders, orders that came of
//! conditional ones, and what a generation carries over.
//! Never: takes the end of a replaced order for the end of ours while its successor may live.

use crate::orders::{Amendment, Desk, OrderRef, Outcome, Replacement, VenueClientId, VenueOrder};
use crate::profile::Profile;
use crate::request::Call;
use ctos_link::desk::OpenOrder;
use ctos_link::tracker::{Held, OrderView, ViewState};
use ctos_types::{
    AmendOrder, CancelReason, ClientOrderId, InstrumentId, Nanos, NewOrder, OrderKind, OrderQty, Price, Qty,
    RejectReason, Text, UnixNanos, VenueError, VenueOrderId,
};
use std::collections::{BTreeMap, VecDeque};

/// Closed orders whose names are remembered for late fills.
const CLOSED_KEPT: usize = 1024;

/// How far a replacement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One request does both, and only while nothing of the old order trades.
    Both,
    /// The old one is being cancelled. What takes its place leaves when the answer says how much of it traded.
    Canceling,
    /// As `Canceling`, but nothing will take its place any more.
    Ending,
    /// The new one is on its way, on top of what the earlier ones traded.
    Placing { carried: i64 },
}

/// A replacement that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub client: VenueClientId,
    pub step: Step,
    pub began: UnixNanos,
    /// When the request left that may have placed the new one.
    pub asked: UnixNanos,
    /// What our order is once it is done.
    pub price: Option<Price>,
    pub qty: Qty,
    /// Questions after the venue must have shown the new one that did not find it.
    pub absent: u32,
}

impl Pending {
    /// Whether the new order may be at the venue.
    pub fn may_live(&self) -> bool {
        matches!(self.step, Step::Both | Step::Placing { .. })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Named {
    pub order: NewOrder,
    pub generation: u16,
    /// What had traded before each generation; as long as the generations known.
    pub carried: Vec<i64>,
    pub venue_order_id: Option<VenueOrderId>,
    pub all_ids: Vec<VenueOrderId>,
    pub conditional: bool,
    pub child: Option<VenueOrderId>,
    pub pending: Option<Pending>,
    /// A change in place without an answer, and what had traded when it was asked for.
    pub in_place: Option<(AmendOrder, Qty)>,
    /// Of an earlier life, which may have replaced it more often than is known.
    pub recalled: bool,
    /// An earlier life asked for a replacement, and the request may arrive after the order was seen as it was before.
    pub left_amending: bool,
}

impl Named {
    pub fn carried(&self) -> i64 {
        self.carried.last().copied().unwrap_or(0)
    }

    pub fn client(&self) -> VenueClientId {
        VenueClientId { id: self.order.cl_ord_id, generation: self.generation }
    }

    /// What had traded before the order that takes this one's place, where one may.
    pub fn carried_over(&self) -> Option<i64> {
        match self.pending?.step {
            Step::Both => Some(self.carried()),
            Step::Placing { carried } => Some(carried),
            Step::Canceling | Step::Ending => None,
        }
    }

    /// Nothing takes the order's place any more, unless it is on its way already.
    pub fn stop_replacing(&mut self) {
        if let Some(pending) = self.pending.as_mut().filter(|p| p.step == Step::Canceling) {
            pending.step = Step::Ending;
        }
    }

    /// Whether an earlier life's request may have put another order in this one's place.
    pub fn may_have_heir(&self) -> bool {
        self.recalled || self.left_amending
    }

    fn learn(&mut self, venue_order_id: VenueOrderId) {
        if !self.all_ids.contains(&venue_order_id) {
            self.all_ids.push(venue_order_id);
        }
    }

    /// The replacement took place: from now on the order is the new one.
    pub fn replaced(&mut self, venue_order_id: VenueOrderId, carried: i64) {
        let Some(pending) = self.pending.take() else { return };
        self.generation = pending.client.generation;
        self.left_amending = false;
        self.carried.push(carried);
        self.venue_order_id = Some(venue_order_id);
        self.learn(venue_order_id);
        self.set(pending.price, pending.qty);
    }

    pub fn set(&mut self, price: Option<Price>, qty: Qty) {
        if let (Some(px), OrderKind::Limit { price }) = (price, &mut self.order.kind) {
            *price = px;
        }
        if let OrderQty::Size(size) = &mut self.order.qty {
            *size = qty;
        }
    }
}

/// Our orders by name.
#[derive(Debug)]
pub(super) struct Orders {
    profile: Profile,
    visibility: Nanos,
    map: BTreeMap<ClientOrderId, Named>,
    /// Somebody else's amend may have given an order another name: its id stays.
    by_venue: BTreeMap<(InstrumentId, VenueOrderId), VenueClientId>,
    closed: VecDeque<ClientOrderId>,
}

impl Orders {
    pub fn new(profile: Profile, visibility: Nanos) -> Orders {
        Orders { profile, visibility, map: BTreeMap::new(), by_venue: BTreeMap::new(), closed: VecDeque::new() }
    }

    pub fn get(&self, id: ClientOrderId) -> Option<&Named> {
        self.map.get(&id)
    }

    pub fn get_mut(&mut self, id: ClientOrderId) -> Option<&mut Named> {
        self.map.get_mut(&id)
    }

    pub fn visibility(&self) -> Nanos {
        self.visibility
    }

    pub fn placed(&mut self, order: &NewOrder) {
        let conditional = self.profile == Profile::UsdM && order.kind.is_conditional();
        let named = Named {
            order: *order,
            generation: 0,
            carried: vec![0],
            venue_order_id: None,
            all_ids: Vec::new(),
            conditional,
            child: None,
            pending: None,
            in_place: None,
            recalled: false,
            left_amending: false,
        };
        self.map.insert(order.cl_ord_id, named);
    }

    pub fn recall(&mut self, held: &Held) {
        self.placed(&held.order);
        let id = held.order.cl_ord_id;
        let named = self.map.get_mut(&id).expect("just placed");
        named.recalled = true;
        named.left_amending = held.amending.is_some();
        // Later generations have other ids there: this one is the first, found by its name.
        if !held.venue_order_id.is_empty() {
            named.learn(held.venue_order_id);
            self.by_venue.insert((held.order.instrument, held.venue_order_id), id.into());
        }
    }

    pub fn closed(&mut self, id: ClientOrderId) {
        if !self.map.contains_key(&id) {
            return;
        }
        self.closed.push_back(id);
        if self.closed.len() > CLOSED_KEPT
            && let Some(oldest) = self.closed.pop_front()
            && let Some(named) = self.map.remove(&oldest)
        {
            for venue in named.all_ids {
                self.by_venue.remove(&(named.order.instrument, venue));
            }
        }
    }

    /// How the venue finds the order as it is now.
    pub fn named(&self, id: ClientOrderId) -> OrderRef {
        let Some(named) = self.map.get(&id) else { return OrderRef::of(id) };
        if let Some(child) = named.child {
            return OrderRef { client: named.client(), venue_order_id: Some(child), conditional: false };
        }
        // While a replacement may have happened, only the name says which of the two is meant.
        let venue_order_id = named.venue_order_id.filter(|_| named.pending.is_none());
        OrderRef { client: named.client(), venue_order_id, conditional: named.conditional }
    }

    /// Which of ours an order of the venue is.
    pub fn owner(&self, instrument: InstrumentId, venue: VenueOrderId) -> Option<VenueClientId> {
        self.by_venue.get(&(instrument, venue)).copied()
    }

    /// An order was seen under this id.
    pub fn learn(&mut self, id: ClientOrderId, generation: u16, instrument: InstrumentId, venue: VenueOrderId) {
        let Some(named) = self.map.get_mut(&id) else { return };
        named.learn(venue);
        if generation == named.generation && named.venue_order_id.is_none() && !named.conditional && !named.recalled {
            named.venue_order_id = Some(venue);
        }
        self.by_venue.insert((instrument, venue), VenueClientId { id, generation });
    }

    pub fn set_child(&mut self, id: ClientOrderId, instrument: InstrumentId, child: VenueOrderId) {
        if let Some(named) = self.map.get_mut(&id) {
            named.child = Some(child);
            named.learn(child);
            self.by_venue.insert((instrument, child), named.client());
        }
    }

    /// As [`Orders::named`], for a cancel that somebody wants: nothing is to take the order's place from now on.
    pub fn named_for_cancel(&mut self, id: ClientOrderId) -> OrderRef {
        if let Some(named) = self.map.get_mut(&id) {
            named.stop_replacing();
            // The old one is gone for certain.
            if let Some(p) = named.pending.filter(|p| matches!(p.step, Step::Placing { .. })) {
                return OrderRef { client: p.client, venue_order_id: None, conditional: false };
            }
        }
        self.named(id)
    }

    /// Everything of the instrument is being cancelled.
    pub fn stop_replacing(&mut self, instrument: InstrumentId) {
        self.map.values_mut().filter(|n| n.order.instrument == instrument).for_each(Named::stop_replacing);
    }

    /// The request for an amend.
    pub fn amend(&mut self, now: UnixNanos, desk: &Desk, amend: &AmendOrder, cum_qty: Qty) -> Result<Call, VenueError> {
        let invalid = |why: &str| VenueError::Invalid { field: "order", why: why.into() };
        let at_venue = self.named(amend.cl_ord_id);
        let named = self.map.get_mut(&amend.cl_ord_id).ok_or_else(|| invalid("not known"))?;
        if named.recalled && self.profile != Profile::UsdM {
            return Err(invalid("an order of an earlier life is changed once the venue has told how it stands"));
        }
        let carried = Qty(named.carried());
        let as_is = Amendment { order: &named.order, at_venue, cum_qty, carried };
        let how = desk.amend(amend, &as_is)?;
        Ok(begin(named, now, amend, cum_qty, how))
    }

    /// The venue would not change the order in its place, or has found that it trades: it is cancelled, and placed anew
    /// when that is done.
    pub fn amend_apart(
        &mut self,
        now: UnixNanos,
        desk: &Desk,
        amend: &AmendOrder,
        cum_qty: Qty,
    ) -> Result<Call, VenueError> {
        let at_venue = self.named(amend.cl_ord_id);
        let invalid = || VenueError::Invalid { field: "order", why: "not known".into() };
        let named = self.map.get_mut(&amend.cl_ord_id).ok_or_else(invalid)?;
        let carried = Qty(named.carried());
        let as_is = Amendment { order: &named.order, at_venue, cum_qty, carried };
        let how = desk.amend_apart(amend, &as_is)?;
        Ok(begin(named, now, amend, cum_qty, how))
    }

    /// What the venue says of an order of ours, as the tracker counts it. `None`: it says nothing of ours as it is now.
    pub fn view(&self, id: ClientOrderId, generation: u16, order: &VenueOrder, now: UnixNanos) -> Option<OrderView> {
        let named = self.map.get(&id);
        let carried = match named {
            None => 0,
            Some(named) => *named.carried.get(usize::from(generation))?,
        };
        Some(view(order, carried, now))
    }

    /// An order of the list of open ones.
    pub fn listed(&mut self, now: UnixNanos, order: &VenueOrder) -> Option<OpenOrder> {
        let instrument = order.instrument;
        let known = || self.owner(instrument, order.venue_order_id);
        let Some(client) = order.owner.client().or_else(known) else {
            return Some(OpenOrder { instrument, cl_ord_id: None, view: view(order, 0, now) });
        };
        let id = client.id;
        if let Some(named) = self.map.get_mut(&id) {
            // How far an earlier life went, only questions about the order itself tell.
            if named.recalled && self.profile != Profile::UsdM {
                return None;
            }
            if named.pending.is_some_and(|p| p.client == client)
                && let Some(carried) = named.carried_over()
            {
                named.replaced(order.venue_order_id, carried);
            }
            // The list is older than what is known.
            if client.generation < named.generation {
                return None;
            }
            // A successor that was taken for one that never came to be: shown, so that it is dealt with.
            if client.generation > named.generation {
                return Some(OpenOrder { instrument, cl_ord_id: Some(id), view: view(order, named.carried(), now) });
            }
        }
        if order.conditional {
            self.learn(id, client.generation, instrument, order.venue_order_id);
        } else if self.map.get(&id).is_some_and(|n| n.conditional) {
            self.set_child(id, instrument, order.venue_order_id);
        } else {
            self.learn(id, client.generation, instrument, order.venue_order_id);
        }
        let view = self.view(id, client.generation, order, now)?;
        Some(OpenOrder { instrument, cl_ord_id: Some(id), view })
    }
}

/// Notes what an amend asked for.
fn begin(named: &mut Named, now: UnixNanos, amend: &AmendOrder, cum_qty: Qty, how: Replacement) -> Call {
    let (call, client, step) = match how {
        Replacement::InPlace(call) => {
            named.in_place = Some((*amend, cum_qty));
            return call;
        }
        Replacement::CancelReplace { call, client, .. } => (call, client, Step::Both),
        Replacement::CancelThenPlace { cancel, client } => (cancel, client, Step::Canceling),
    };
    let size = match named.order.qty {
        OrderQty::Size(size) => size,
        OrderQty::Quote(_) => Qty(0),
    };
    let price = amend.price.or(named.order.kind.limit_price());
    let qty = amend.qty.unwrap_or(size);
    named.pending = Some(Pending { client, step, began: now, asked: now, price, qty, absent: 0 });
    call
}

/// With what earlier generations traded added.
pub(super) fn view(order: &VenueOrder, carried: i64, now: UnixNanos) -> OrderView {
    let state = match order.outcome {
        None => ViewState::Open,
        Some(Outcome::Filled) => ViewState::Filled,
        Some(Outcome::Canceled(reason)) => ViewState::Canceled(reason),
        Some(Outcome::Expired) => ViewState::Expired,
        // At a trigger: the venue had it, so it is no refusal of the request.
        Some(Outcome::Rejected) if order.conditional => ViewState::Canceled(CancelReason::Venue),
        Some(Outcome::Rejected) => ViewState::Rejected { reason: RejectReason::Other, code: Text::cut("REJECTED") },
    };
    OrderView {
        venue_order_id: order.venue_order_id,
        state,
        qty: Some(Qty(order.qty.0 + carried)).filter(|_| order.qty.0 > 0),
        cum_qty: Qty(order.cum_qty.0 + carried),
        price: order.kind.and_then(|k| k.limit_price()).filter(|px| px.0 > 0),
        ts_event: if order.ts_event == UnixNanos::MIN { now } else { order.ts_event },
    }
}
