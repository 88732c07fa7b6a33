//! The tracker: what we want of it, what it knows, and when it must be called. How doubts are resolved is in `doubt`.
//! Never: forgets an order that is not closed.

mod changes;
mod venue;
mod views;

use super::order::{Amend, Cancel, Doubt, Phase, Stage, Tracked};
use super::{Action, Held, NOT_SENT, Refused, Reply, TrackerConfig};
use ctos_types::{
    AccountId, AmendOrder, CancelOrder, CancelReason, ClientOrderId, ExecId, InstanceTag, InstrumentId, Leg, Nanos,
    NewOrder, OrderReport, Qty, ReportBody, Text, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Follows the orders of one account at one venue. See [`super`] for the calling contract.
#[derive(Debug)]
pub struct Tracker {
    pub(super) config: TrackerConfig,
    pub(super) orders: BTreeMap<ClientOrderId, Tracked>,
    pub(super) by_venue_id: BTreeMap<(InstrumentId, VenueOrderId), ClientOrderId>,
    /// Those of `orders` that are not closed. Every command and every word of the venue asks about them, and beside them
    /// hundreds are remembered that are.
    live: BTreeSet<ClientOrderId>,
    closed: VecDeque<ClientOrderId>,
    /// Highest sequence of each tag that was ever placed: what lies below and is not known is closed and forgotten.
    highest: BTreeMap<InstanceTag, u64>,
    agenda: BTreeSet<(UnixNanos, ClientOrderId)>,
    external: VecDeque<(InstrumentId, ExecId)>,
    /// Executions that earlier lives booked.
    booked: BTreeSet<(InstrumentId, ExecId)>,
    /// Net of every counted fill on top of what the venue said at the start.
    pub(super) positions: BTreeMap<(InstrumentId, Leg), i64>,
    foreign_told: BTreeSet<InstanceTag>,
    pub(super) next_query: u32,
    /// When this life began: what happened before it to an order that is forgotten was booked then.
    began: UnixNanos,
}

impl Tracker {
    pub fn new(config: TrackerConfig) -> Tracker {
        Tracker {
            config,
            orders: BTreeMap::new(),
            by_venue_id: BTreeMap::new(),
            live: BTreeSet::new(),
            closed: VecDeque::new(),
            highest: BTreeMap::new(),
            agenda: BTreeSet::new(),
            external: VecDeque::new(),
            booked: BTreeSet::new(),
            positions: BTreeMap::new(),
            foreign_told: BTreeSet::new(),
            next_query: 0,
            began: UnixNanos::MIN,
        }
    }

    /// This life begins after others, which booked what happened before `now`.
    pub fn begin(&mut self, now: UnixNanos) {
        self.began = now;
    }

    // ---- what we want

    /// Registers the intent, then asks for it to be sent. The id must be new for ever.
    pub fn place(&mut self, now: UnixNanos, order: NewOrder, out: &mut Vec<Action>) -> Result<(), Refused> {
        let id = order.cl_ord_id;
        let highest = self.highest.entry(id.tag).or_insert(0);
        if self.orders.contains_key(&id) || id.seq <= *highest {
            return Err(Refused::Repeated(id));
        }
        *highest = id.seq;
        self.orders.insert(id, Tracked::new(order, now));
        self.live.insert(id);
        out.push(Action::Place(order));
        self.schedule(id);
        Ok(())
    }

    /// An order that an earlier life of this process placed: its state is in doubt until the venue tells.
    pub fn recover(&mut self, now: UnixNanos, held: &Held) {
        let id = held.order.cl_ord_id;
        let highest = self.highest.entry(id.tag).or_insert(0);
        *highest = (*highest).max(id.seq);
        let mut tracked = Tracked::new(held.order, held.sent);
        tracked.recall(held.cum_qty, &held.execs);
        tracked.amended_at = held.amended_at;
        if !held.venue_order_id.is_empty() {
            // The venue has had it: not finding it any more means that it ended, not that it never arrived.
            tracked.phase = Phase::Open;
            tracked.venue_order_id = held.venue_order_id;
            tracked.told_accepted = true;
            self.by_venue_id.insert((held.order.instrument, held.venue_order_id), id);
        }
        if let Some((price, qty)) = held.amending {
            tracked.amend = Some(Amend { price, qty, sent: now, doubtful: true, unchanged: 0 });
        }
        if held.canceling {
            tracked.cancel = Some(Cancel { sent: now, doubtful: true, tries: 1 });
        }
        self.orders.insert(id, tracked);
        self.live.insert(id);
        self.doubt(now, id);
        if let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) {
            doubt.earlier_life = true;
        }
    }

    /// Executions that are booked already, whoever's they are: not counted again for strangers'.
    pub fn booked(&mut self, execs: impl IntoIterator<Item = (InstrumentId, ExecId)>) {
        self.booked.extend(execs);
    }

    /// Ids of this tag up to `seq` were used by earlier lives: none of them is placed again.
    pub fn used_up_to(&mut self, tag: InstanceTag, seq: u64) {
        let highest = self.highest.entry(tag).or_insert(0);
        *highest = (*highest).max(seq);
    }

    pub fn amend(&mut self, now: UnixNanos, amend: AmendOrder, out: &mut Vec<Action>) -> Result<(), Refused> {
        let id = amend.cl_ord_id;
        let order = self.open_mut(id).filter(|o| !matches!(o.phase, Phase::Ending(_))).ok_or(Refused::NotOpen(id))?;
        if order.amend.is_some() {
            return Err(Refused::Amending(id));
        }
        let AmendOrder { price, qty, .. } = amend;
        order.amend = Some(Amend { price, qty, sent: now, doubtful: false, unchanged: 0 });
        out.push(Action::Amend(amend));
        self.schedule(id);
        Ok(())
    }

    /// Cancels until the order is closed: a cancel that got lost is sent again.
    pub fn cancel(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) -> Result<(), Refused> {
        let order = self.open_mut(id).ok_or(Refused::NotOpen(id))?;
        // What has ended at the venue only waits for its fills.
        if !matches!(order.phase, Phase::Ending(_)) {
            let tries = order.cancel.map_or(0, |c| c.tries);
            self.send_cancel(now, id, tries, out);
        }
        Ok(())
    }

    /// A request about many orders is on its way to cancel this one too: it is not sent by itself unless the order is
    /// found open later.
    pub fn expect_cancel(&mut self, now: UnixNanos, id: ClientOrderId) {
        let Some(order) = self.open_mut(id).filter(|o| !matches!(o.phase, Phase::Ending(_))) else { return };
        let tries = order.cancel.map_or(0, |c| c.tries);
        order.cancel = Some(Cancel { sent: now, doubtful: false, tries: tries + 1 });
        self.schedule(id);
    }

    /// The request of [`Tracker::expect_cancel`] failed, or nobody knows what became of it.
    pub fn cancel_in_doubt(&mut self, now: UnixNanos, id: ClientOrderId) {
        let Some(cancel) = self.open_mut(id).and_then(|o| o.cancel.as_mut()) else { return };
        cancel.doubtful = true;
        self.doubt(now, id);
    }

    /// Something about the order may have been missed: it is looked at, unless the stream tells soon.
    pub fn nudge(&mut self, now: UnixNanos, id: ClientOrderId) {
        self.doubt_later(now, id);
    }

    pub(super) fn send_cancel(&mut self, now: UnixNanos, id: ClientOrderId, tries: u32, out: &mut Vec<Action>) {
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        order.cancel = Some(Cancel { sent: now, doubtful: false, tries: tries + 1 });
        let NewOrder { account, instrument, .. } = order.request;
        out.push(Action::Cancel(CancelOrder { account, cl_ord_id: id, instrument }));
        self.schedule(id);
    }

    /// What the fills counted so far explain: at the start, the kernel's own position.
    pub fn set_position(&mut self, instrument: InstrumentId, leg: Leg, qty: Qty) {
        self.positions.insert((instrument, leg), qty.0);
    }

    // ---- what we know

    /// Orders that are not closed, in the order of their ids.
    pub fn open_ids(&self) -> Vec<ClientOrderId> {
        self.live.iter().copied().collect()
    }

    /// Orders whose state is being found out.
    pub fn in_doubt(&self) -> impl Iterator<Item = ClientOrderId> + '_ {
        self.alive().filter(|(_, o)| o.doubt.is_some()).map(|(id, _)| id)
    }

    /// Whether something about an order of the instrument is to be asked or being asked.
    pub fn is_doubtful(&self, instrument: InstrumentId) -> bool {
        self.alive().any(|(_, o)| o.doubt.is_some() && o.request.instrument == instrument)
    }

    /// Orders of which nobody knows whether they live, those of an earlier life until the venue was asked, or whose state a question did not settle at once.
    pub fn unresolved(&self) -> impl Iterator<Item = (ClientOrderId, InstrumentId)> + '_ {
        let unsure = |d: &Doubt, o: &Tracked| o.phase == Phase::Sent || d.queries > 0 || d.earlier_life;
        let open = move |o: &Tracked| o.doubt.as_ref().is_some_and(|d| unsure(d, o));
        let list = self.alive().filter(move |(_, o)| open(o));
        list.map(|(id, o)| (id, o.request.instrument))
    }

    /// Orders that are not closed, with their instrument.
    pub fn open(&self) -> impl Iterator<Item = (ClientOrderId, InstrumentId)> + '_ {
        self.alive().map(|(id, o)| (id, o.request.instrument))
    }

    /// Orders that are not closed, in the order of their ids.
    fn alive(&self) -> impl Iterator<Item = (ClientOrderId, &Tracked)> + '_ {
        self.live.iter().map(|id| (*id, &self.orders[id]))
    }

    pub fn is_open(&self, id: ClientOrderId) -> bool {
        self.orders.get(&id).is_some_and(|o| !o.is_closed())
    }

    /// While the order is remembered.
    pub fn instrument(&self, id: ClientOrderId) -> Option<InstrumentId> {
        self.orders.get(&id).map(|o| o.request.instrument)
    }

    /// Whether the order is remembered, open or closed.
    pub fn knows(&self, id: ClientOrderId) -> bool {
        self.orders.contains_key(&id)
    }

    /// Since when an amend of the order waits for its verdict.
    pub fn amending_since(&self, id: ClientOrderId) -> Option<UnixNanos> {
        self.orders.get(&id).and_then(|o| o.amend).map(|a| a.sent)
    }

    /// Filled so far, while the order is remembered.
    pub fn cum_qty(&self, id: ClientOrderId) -> Option<Qty> {
        self.orders.get(&id).map(|o| Qty(o.cum))
    }

    /// The position as far as counted fills explain it.
    pub fn position(&self, instrument: InstrumentId, leg: Leg) -> Qty {
        Qty(self.positions.get(&(instrument, leg)).copied().unwrap_or(0))
    }

    /// When [`Tracker::on_deadline`] must be called, and why.
    pub fn deadline(&self) -> Option<(UnixNanos, &'static str)> {
        self.agenda.first().map(|(at, id)| (*at, self.orders.get(id).map_or("order", Tracked::due_reason)))
    }

    pub fn on_deadline(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        while let Some((at, id)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.due(now, id, out);
            self.schedule(id);
            debug_assert!(self.agenda.first() != Some(&(at, id)), "{id} stays due");
        }
    }

    // ---- bookkeeping

    pub(super) fn account(&self, id: ClientOrderId) -> (AccountId, InstrumentId) {
        let request = &self.orders[&id].request;
        (request.account, request.instrument)
    }

    pub(super) fn report(&self, id: ClientOrderId, ts_event: UnixNanos, body: ReportBody, out: &mut Vec<Action>) {
        let order = &self.orders[&id];
        out.push(Action::Report(OrderReport {
            account: order.request.account,
            instrument: order.request.instrument,
            cl_ord_id: Some(id),
            venue_order_id: order.venue_order_id,
            ts_event,
            body,
        }));
    }

    /// Remembers a closed order a while longer, and forgets the oldest.
    fn retire(&mut self, id: ClientOrderId) {
        self.schedule(id);
        self.live.remove(&id);
        self.closed.push_back(id);
        if self.closed.len() > self.config.closed_kept
            && let Some(oldest) = self.closed.pop_front()
            && let Some(order) = self.orders.remove(&oldest)
        {
            self.by_venue_id.remove(&(order.request.instrument, order.venue_order_id));
            for exec in order.execs() {
                self.remember((order.request.instrument, *exec));
            }
            if let Some(at) = order.agenda {
                self.agenda.remove(&(at, oldest));
            }
        }
    }

    /// Puts the order into the agenda where it belongs now.
    pub(super) fn schedule(&mut self, id: ClientOrderId) {
        let within = self.config.reply_within;
        let Some(order) = self.orders.get_mut(&id) else { return };
        let due = order.due(within);
        if due == order.agenda {
            return;
        }
        if let Some(old) = order.agenda.take() {
            self.agenda.remove(&(old, id));
        }
        if let Some(at) = due {
            order.agenda = Some(at);
            self.agenda.insert((at, id));
        }
    }

    /// The code for [`Reply::NotSent`] where the shell has none of its own.
    pub fn not_sent() -> Reply {
        Reply::NotSent { code: Text::cut(NOT_SENT) }
    }

    /// Begins to find out, unless that is under way.
    pub(super) fn doubt(&mut self, now: UnixNanos, id: ClientOrderId) {
        self.begin_doubt(now, id, Nanos::ZERO);
    }

    /// As [`Tracker::doubt`], after the time in which the answer normally comes by itself.
    pub(super) fn doubt_later(&mut self, now: UnixNanos, id: ClientOrderId) {
        self.begin_doubt(now, id, self.config.query_cap);
    }

    fn begin_doubt(&mut self, now: UnixNanos, id: ClientOrderId, pause: Nanos) {
        let due = now.after(pause).after(self.config.query_first);
        let Some(order) = self.open_mut(id) else { return };
        if let Some(doubt) = &mut order.doubt {
            if !doubt.under_way {
                doubt.due = doubt.due.min(due);
            }
        } else {
            order.doubt = Some(Doubt {
                since: now,
                stage: Stage::Order,
                queries: 0,
                not_found: 0,
                due,
                under_way: false,
                strangers: Vec::new(),
                alarmed: false,
                earlier_life: false,
            });
        }
        self.schedule(id);
    }
}

impl Tracked {
    fn due(&self, within: Nanos) -> Option<UnixNanos> {
        if self.is_closed() {
            return None;
        }
        let waits = [
            self.doubt.as_ref().map(|d| d.due),
            (self.phase == Phase::Sent && self.doubt.is_none()).then(|| self.sent.after(within)),
            self.amend.filter(|a| !a.doubtful).map(|a| a.sent.after(within)),
            self.cancel.filter(|c| !c.doubtful).map(|c| c.sent.after(within)),
        ];
        waits.into_iter().flatten().min()
    }

    fn due_reason(&self) -> &'static str {
        if self.doubt.is_some() { "query an order in doubt" } else { "no answer to a request" }
    }
}

/// What a cancel of ours is called in the report.
pub(super) const GONE: CancelReason = CancelReason::Venue;
