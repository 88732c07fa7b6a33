//! Inputs of the tracker and what they do to an order. How doubts are resolved is in `doubt`.
//! Never: reports an end before the fills that belong to it, or a fill before the order is known as accepted.

use super::order::{Amend, Cancel, Counted, Doubt, End, Phase, Stage, Tracked};
use super::{Action, Alarm, NOT_SENT, News, NewsBody, OrderView, Refused, Reply, TrackerConfig, ViewState};
use ctos_types::{
    AccountId, AmendOrder, CancelOrder, CancelReason, ClientOrderId, ExecId, Fill, InstanceTag, InstrumentId, Leg,
    Nanos, NewOrder, OrderReport, Qty, RejectReason, ReportBody, Request, Text, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Fills of other people's orders that are remembered against repetition.
const EXTERNAL_KEPT: usize = 4096;

/// Follows the orders of one account at one venue. See [`super`] for the calling contract.
#[derive(Debug)]
pub struct Tracker {
    pub(super) config: TrackerConfig,
    pub(super) orders: BTreeMap<ClientOrderId, Tracked>,
    pub(super) by_venue_id: BTreeMap<(InstrumentId, VenueOrderId), ClientOrderId>,
    closed: VecDeque<ClientOrderId>,
    /// Highest sequence of each tag that was ever placed: what lies below and is not known is closed and forgotten.
    highest: BTreeMap<InstanceTag, u64>,
    agenda: BTreeSet<(UnixNanos, ClientOrderId)>,
    external: VecDeque<(InstrumentId, ExecId)>,
    /// Net of every counted fill on top of what the venue said at the start.
    pub(super) positions: BTreeMap<(InstrumentId, Leg), i64>,
    foreign_told: BTreeSet<InstanceTag>,
    pub(super) next_query: u32,
}

impl Tracker {
    pub fn new(config: TrackerConfig) -> Tracker {
        Tracker {
            config,
            orders: BTreeMap::new(),
            by_venue_id: BTreeMap::new(),
            closed: VecDeque::new(),
            highest: BTreeMap::new(),
            agenda: BTreeSet::new(),
            external: VecDeque::new(),
            positions: BTreeMap::new(),
            foreign_told: BTreeSet::new(),
            next_query: 0,
        }
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
        out.push(Action::Place(order));
        self.schedule(id);
        Ok(())
    }

    /// An order that an earlier life of this process placed: its state is in doubt until the venue tells. `counted`:
    /// the executions that are booked already.
    pub fn recover(&mut self, now: UnixNanos, order: NewOrder, sent: UnixNanos, counted: &[Fill]) {
        let id = order.cl_ord_id;
        let highest = self.highest.entry(id.tag).or_insert(0);
        *highest = (*highest).max(id.seq);
        let mut tracked = Tracked::new(order, sent);
        for fill in counted {
            tracked.book(fill, None);
        }
        tracked.told_accepted = !counted.is_empty();
        self.orders.insert(id, tracked);
        self.doubt(now, id);
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

    // ---- what the venue says

    /// The answer to a request, or that there is none.
    pub fn on_reply(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        request: Request,
        reply: Reply,
        out: &mut Vec<Action>,
    ) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        // A later word of the venue's outranks the answer to an older question; views carry their own order.
        match (request, reply) {
            (Request::Place, Reply::Acknowledged { venue_order_id, ts_event }) => {
                self.accepted(id, venue_order_id, ts_event, out);
            }
            (Request::Place, Reply::Done(view)) => self.apply_view(now, id, &view, out),
            (Request::Place, Reply::Refused { reason: RejectReason::DuplicateClientOrderId, .. }) => {
                // Ids are never used twice, so the venue has this very order from a try whose answer got lost.
                self.doubt(now, id);
            }
            (Request::Place, Reply::Refused { reason, code }) => self.refused(now, id, reason, code, out),
            (Request::Place, Reply::NotSent { code }) => self.refused(now, id, RejectReason::Other, code, out),
            (Request::Place, Reply::Unknown) => {
                if order.phase == Phase::Sent {
                    self.report(id, now, ReportBody::Unknown { request }, out);
                    self.doubt(now, id);
                }
            }
            (_, Reply::Done(view)) => {
                self.apply_view(now, id, &view, out);
                self.taken(now, id, request, view.ts_event, out);
            }
            (_, Reply::Acknowledged { ts_event, .. }) => self.taken(now, id, request, ts_event, out),
            (Request::Amend, Reply::Refused { reason: RejectReason::UnknownOrder, .. })
            | (Request::Cancel, Reply::Refused { reason: RejectReason::UnknownOrder, .. }) => {
                // It may have filled a moment ago: not open is not cancelled.
                if let Some(order) = self.open_mut(id) {
                    order.amend.iter_mut().for_each(|a| a.doubtful = true);
                    order.cancel.iter_mut().for_each(|c| c.doubtful = true);
                    self.doubt(now, id);
                }
            }
            (Request::Amend, Reply::Refused { reason, code }) => self.amend_refused(id, now, reason, code, out),
            (Request::Amend, Reply::NotSent { code }) => {
                self.amend_refused(id, now, RejectReason::Other, code, out);
            }
            (Request::Amend, Reply::Unknown) => {
                if let Some(amend) = self.open_mut(id).and_then(|o| o.amend.as_mut()) {
                    amend.doubtful = true;
                    self.report(id, now, ReportBody::Unknown { request }, out);
                    self.doubt(now, id);
                }
            }
            (Request::Cancel, Reply::Refused { reason, code }) => {
                if self.open_mut(id).and_then(|o| o.cancel.take()).is_some() {
                    self.report(id, now, ReportBody::Rejected { request, reason, code }, out);
                }
            }
            (Request::Cancel, Reply::NotSent { .. } | Reply::Unknown) => {
                if let Some(cancel) = self.open_mut(id).and_then(|o| o.cancel.as_mut()) {
                    cancel.doubtful = true;
                    self.doubt(now, id);
                }
            }
        }
        self.schedule(id);
    }

    /// News from the user stream.
    pub fn on_news(&mut self, now: UnixNanos, news: &News, out: &mut Vec<Action>) {
        let by_venue = self.by_venue_id.get(&(news.instrument, news.venue_order_id)).copied();
        let Some(id) = news.cl_ord_id.or(by_venue).filter(|id| self.is_ours(*id, out)) else {
            return self.external(news, None, out);
        };
        if !self.orders.contains_key(&id) {
            // Closed and forgotten, or placed by a life of ours that left no trace: the kernel judges.
            return self.external(news, Some(id), out);
        }
        // Whatever a query failed to find, it is there.
        if let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) {
            doubt.not_found = 0;
        }
        match news.body {
            NewsBody::Accepted => self.accepted(id, news.venue_order_id, news.ts_event, out),
            NewsBody::Triggered => {
                self.accepted(id, news.venue_order_id, news.ts_event, out);
                let order = self.orders.get_mut(&id).expect("known");
                if !order.is_closed() && !std::mem::replace(&mut order.told_triggered, true) {
                    self.report(id, news.ts_event, ReportBody::Triggered, out);
                }
            }
            NewsBody::Fill { fill, cum_qty } => {
                self.accepted(id, news.venue_order_id, news.ts_event, out);
                self.fill(now, id, news.ts_event, &fill, cum_qty, out);
            }
            NewsBody::Amended { price, qty } => {
                self.accepted(id, news.venue_order_id, news.ts_event, out);
                self.amended(now, id, price, qty, news.ts_event, out);
            }
            NewsBody::Canceled { reason, cum_qty } => {
                self.accepted(id, news.venue_order_id, news.ts_event, out);
                self.end(now, id, End::Canceled(reason), cum_qty, out);
            }
            NewsBody::Expired { cum_qty } => {
                self.accepted(id, news.venue_order_id, news.ts_event, out);
                self.end(now, id, End::Expired, cum_qty, out);
            }
            NewsBody::Rejected { reason, code } => self.refused(now, id, reason, code, out),
        }
        self.schedule(id);
    }

    /// The user stream was interrupted: every open order may have changed unseen.
    pub fn on_gap(&mut self, now: UnixNanos) {
        for id in self.open_ids() {
            self.doubt(now, id);
        }
    }

    /// The venue's open orders, asked for at `asked`. An order that was known open then and is not in the list has
    /// ended, or is not shown yet: the venue is asked about it by its id.
    pub fn on_open_orders(
        &mut self,
        now: UnixNanos,
        asked: UnixNanos,
        list: &[(ClientOrderId, OrderView)],
        out: &mut Vec<Action>,
    ) {
        for (id, view) in list {
            if self.orders.contains_key(id) {
                self.apply_view(now, *id, view, out);
                self.schedule(*id);
            } else if self.is_ours(*id, out) {
                // Ours by its tag and unknown: nobody here would ever cancel it.
                out.push(Action::Alarm(Alarm::Resurrected { id: *id }));
            }
        }
        let shown: BTreeSet<ClientOrderId> = list.iter().map(|(id, _)| *id).collect();
        let seen_open = |o: &Tracked| o.phase == Phase::Open && o.sent.after(self.config.query_cap) < asked;
        let gone: Vec<ClientOrderId> =
            self.orders.iter().filter(|(id, o)| seen_open(o) && !shown.contains(id)).map(|(id, _)| *id).collect();
        for id in gone {
            self.doubt(now, id);
        }
    }

    // ---- what we know

    /// Orders that are not closed, in the order of their ids.
    pub fn open_ids(&self) -> Vec<ClientOrderId> {
        self.orders.iter().filter(|(_, o)| !o.is_closed()).map(|(id, _)| *id).collect()
    }

    /// Orders whose state is being found out.
    pub fn in_doubt(&self) -> impl Iterator<Item = ClientOrderId> + '_ {
        self.orders.iter().filter(|(_, o)| !o.is_closed() && o.doubt.is_some()).map(|(id, _)| *id)
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

    // ---- changes of one order

    pub(super) fn open_mut(&mut self, id: ClientOrderId) -> Option<&mut Tracked> {
        self.orders.get_mut(&id).filter(|o| !o.is_closed())
    }

    /// The venue has the order.
    pub(super) fn accepted(
        &mut self,
        id: ClientOrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
        out: &mut Vec<Action>,
    ) {
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        if order.venue_order_id.is_empty() && !venue_order_id.is_empty() {
            order.venue_order_id = venue_order_id;
            self.by_venue_id.insert((order.request.instrument, venue_order_id), id);
        }
        if let Phase::Closed(End::NeverArrived | End::Rejected { .. }) = order.phase {
            if std::mem::replace(&mut order.told_accepted, true) {
                return;
            }
            // Given up too early. It is not wanted any more, and what it fills counts.
            out.push(Action::Alarm(Alarm::Resurrected { id }));
            let NewOrder { account, instrument, .. } = order.request;
            out.push(Action::Cancel(CancelOrder { account, cl_ord_id: id, instrument }));
            return;
        }
        if order.phase == Phase::Sent {
            order.phase = Phase::Open;
            match &mut order.doubt {
                Some(doubt) if order.cancel.is_some() => {
                    (doubt.stage, doubt.not_found, doubt.under_way) = (Stage::Order, 0, false);
                }
                doubt => *doubt = None,
            }
        }
        if !std::mem::replace(&mut order.told_accepted, true) {
            self.report(id, ts_event, ReportBody::Accepted, out);
        }
    }

    pub(super) fn fill(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        ts_event: UnixNanos,
        fill: &Fill,
        cum_qty: Option<Qty>,
        out: &mut Vec<Action>,
    ) {
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        match order.count(fill, cum_qty) {
            Counted::Yes { over } => self.counted(now, id, ts_event, fill, over, out),
            Counted::Known => {}
            Counted::Doubled => out.push(Action::Alarm(Alarm::DuplicateFill { id, fill: *fill })),
            Counted::Suspect => {
                if order.is_closed() {
                    return out.push(Action::Alarm(Alarm::DuplicateFill { id, fill: *fill }));
                }
                if !order.suspects.iter().any(|s| s.exec_id == fill.exec_id) {
                    order.suspects.push(*fill);
                }
                self.doubt(now, id);
            }
        }
    }

    /// A fill was booked: tells it, and what follows from it.
    pub(super) fn counted(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        ts_event: UnixNanos,
        fill: &Fill,
        over: bool,
        out: &mut Vec<Action>,
    ) {
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        let key = (order.request.instrument, fill.leg);
        *self.positions.entry(key).or_default() += Tracked::signed_fill(fill);
        if over {
            let (cum, size) = (Qty(order.cum), order.size.unwrap_or_default());
            out.push(Action::Alarm(Alarm::OverFill { id, cum, size }));
        }
        self.report(id, ts_event, ReportBody::Fill(*fill), out);
        self.try_close(now, id, out);
        if self.open_mut(id).is_some_and(|o| o.lacks_fills()) {
            // Its total says that one before it was not seen: late, or lost.
            self.doubt_later(now, id);
        }
    }

    /// Closes what has nothing left to come.
    pub(super) fn try_close(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        let end = match order.phase {
            Phase::Closed(_) => return,
            // A venue that does not say how much was filled must be asked.
            Phase::Ending(end) if order.lacks_fills() || (order.last_word.is_none() && end.may_have_filled()) => return,
            Phase::Ending(end) => end,
            _ if order.is_full() && !order.lacks_fills() => End::Filled,
            _ => return,
        };
        // Suspects are judged by what the venue stood by at the end: nothing more than that was real.
        let suspects = std::mem::take(&mut order.suspects);
        (order.phase, order.doubt, order.amend, order.cancel) = (Phase::Closed(end), None, None, None);
        for fill in suspects {
            out.push(Action::Alarm(Alarm::DuplicateFill { id, fill }));
        }
        let body = match end {
            // The fills have said it.
            End::Filled => None,
            End::Canceled(reason) => Some(ReportBody::Canceled { reason }),
            End::Expired => Some(ReportBody::Expired),
            End::Rejected { reason, code } => Some(ReportBody::Rejected { request: Request::Place, reason, code }),
            End::NeverArrived => Some(ReportBody::Rejected {
                request: Request::Place,
                reason: RejectReason::Other,
                code: Text::cut(super::NEVER_ARRIVED),
            }),
        };
        if let Some(body) = body {
            self.report(id, now, body, out);
        }
        self.retire(id);
    }

    /// The venue ended the order with `cum_qty` filled.
    pub(super) fn end(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        end: End,
        cum_qty: Option<Qty>,
        out: &mut Vec<Action>,
    ) {
        let Some(order) = self.open_mut(id) else { return };
        order.declared = order.declared.max(cum_qty.map_or(0, |c| c.0));
        order.last_word = cum_qty.map(|c| c.0).or(order.last_word);
        if !matches!(order.phase, Phase::Ending(_)) {
            order.phase = Phase::Ending(end);
        }
        self.try_close(now, id, out);
        if let Some(order) = self.open_mut(id) {
            // Fills are still missing: they are on their way, or the stream lost them.
            let stage = if order.last_word.is_some() { Stage::Fills } else { Stage::Order };
            order.doubt = None;
            self.doubt(now, id);
            let order = self.orders.get_mut(&id).expect("open");
            order.doubt.iter_mut().for_each(|d| d.stage = stage);
        }
    }

    fn refused(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        reason: RejectReason,
        code: Text<31>,
        out: &mut Vec<Action>,
    ) {
        // Only an order that the venue has not taken can be refused.
        if self.orders.get(&id).is_some_and(|o| o.phase == Phase::Sent) {
            self.end(now, id, End::Rejected { reason, code }, None, out);
        }
    }

    /// The venue took an amend or a cancel, and has not said what came of it.
    fn taken(&mut self, now: UnixNanos, id: ClientOrderId, request: Request, ts: UnixNanos, out: &mut Vec<Action>) {
        let Some(order) = self.open_mut(id) else { return };
        match (request, order.amend, &mut order.cancel) {
            (Request::Amend, Some(amend), _) => {
                let Some(qty) = amend.qty.or(order.size) else { return };
                self.amended(now, id, amend.price, qty, ts.max(self.orders[&id].amended_at), out);
            }
            (Request::Cancel, _, Some(cancel)) => {
                // The stream brings the end. Should the order be found open after all, it is cancelled again.
                cancel.doubtful = true;
                self.doubt_later(now, id);
            }
            _ => {}
        }
    }

    fn amend_refused(
        &mut self,
        id: ClientOrderId,
        now: UnixNanos,
        reason: RejectReason,
        code: Text<31>,
        out: &mut Vec<Action>,
    ) {
        if self.open_mut(id).and_then(|o| o.amend.take()).is_some() {
            self.report(id, now, ReportBody::Rejected { request: Request::Amend, reason, code }, out);
            self.try_close(now, id, out);
        }
    }

    pub(super) fn amended(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        price: Option<ctos_types::Price>,
        qty: Qty,
        ts_event: UnixNanos,
        out: &mut Vec<Action>,
    ) {
        let Some(order) = self.open_mut(id) else { return };
        if ts_event < order.amended_at {
            return;
        }
        order.amended_at = ts_event;
        order.size = order.size.map(|_| qty);
        order.price = price.or(order.price);
        let as_asked = |a: &Amend| a.qty.is_none_or(|q| q == qty) && (a.price.is_none() || a.price == order.price);
        if order.amend.as_ref().is_some_and(as_asked) {
            order.amend = None;
        }
        self.report(id, ts_event, ReportBody::Amended { price, qty }, out);
        self.try_close(now, id, out);
    }

    /// What a query or an answer says of the order, whenever it was true.
    pub(super) fn apply_view(&mut self, now: UnixNanos, id: ClientOrderId, view: &OrderView, out: &mut Vec<Action>) {
        if let ViewState::Rejected { reason, code } = view.state {
            return self.refused(now, id, reason, code, out);
        }
        self.accepted(id, view.venue_order_id, view.ts_event, out);
        let Some(order) = self.open_mut(id) else { return };
        order.declared = order.declared.max(view.cum_qty.0);
        self.judge_suspects(now, id, view, out);
        self.judge_amend(now, id, view, out);
        match view.state {
            ViewState::Open => {
                // Behind in fills: the stream brings them, or the history does.
                if self.open_mut(id).is_some_and(|o| o.lacks_fills()) {
                    self.doubt_later(now, id);
                }
            }
            ViewState::Filled => self.end(now, id, End::Filled, Some(view.cum_qty), out),
            ViewState::Canceled(reason) => self.end(now, id, End::Canceled(reason), Some(view.cum_qty), out),
            ViewState::Expired => self.end(now, id, End::Expired, Some(view.cum_qty), out),
            ViewState::Rejected { .. } => {}
        }
    }

    /// Executions beyond what was known: the venue's total tells which of them are real.
    fn judge_suspects(&mut self, now: UnixNanos, id: ClientOrderId, view: &OrderView, out: &mut Vec<Action>) {
        let Some(order) = self.open_mut(id) else { return };
        let suspects = std::mem::take(&mut order.suspects);
        for fill in suspects {
            let Some(order) = self.orders.get_mut(&id) else { return };
            if order.cum + fill.last_qty.0 <= order.declared {
                let over = order.ceiling().is_some_and(|c| order.cum + fill.last_qty.0 > c);
                order.book(&fill, None);
                self.counted(now, id, view.ts_event, &fill, over, out);
            } else {
                out.push(Action::Alarm(Alarm::DuplicateFill { id, fill }));
            }
        }
    }

    fn judge_amend(&mut self, now: UnixNanos, id: ClientOrderId, view: &OrderView, out: &mut Vec<Action>) {
        let visibility = self.config.visibility;
        let not_found = self.config.not_found;
        let Some(order) = self.open_mut(id) else { return };
        let (Some(amend), Some(qty)) = (order.amend, view.qty) else { return };
        let as_asked = amend.qty.is_none_or(|q| q == qty) && (amend.price.is_none() || amend.price == view.price);
        if as_asked {
            order.amended_at = order.amended_at.min(view.ts_event);
            return self.amended(now, id, view.price, qty, view.ts_event, out);
        }
        if amend.doubtful && view.state == ViewState::Open && now >= amend.sent.after(visibility) {
            let amend = order.amend.as_mut().expect("seen above");
            amend.unchanged += 1;
            if amend.unchanged >= not_found {
                self.amend_refused(id, now, RejectReason::Other, Text::cut(super::NEVER_ARRIVED), out);
            }
        }
    }

    // ---- other people's orders

    /// Whether the id is one of ours; tells once when it is another instance's.
    fn is_ours(&mut self, id: ClientOrderId, out: &mut Vec<Action>) -> bool {
        let ours = self.config.tags.contains(&id.tag) || self.orders.contains_key(&id);
        if !ours && self.foreign_told.insert(id.tag) {
            out.push(Action::Alarm(Alarm::ForeignTag { id }));
        }
        ours
    }

    /// News that no order of ours explains: passed on, fills once.
    pub(super) fn external(&mut self, news: &News, id: Option<ClientOrderId>, out: &mut Vec<Action>) {
        let body = match news.body {
            NewsBody::Accepted => ReportBody::Accepted,
            NewsBody::Triggered => ReportBody::Triggered,
            NewsBody::Amended { price, qty } => ReportBody::Amended { price, qty },
            NewsBody::Canceled { reason, .. } => ReportBody::Canceled { reason },
            NewsBody::Expired { .. } => ReportBody::Expired,
            NewsBody::Rejected { reason, code } => ReportBody::Rejected { request: Request::Place, reason, code },
            NewsBody::Fill { fill, .. } => {
                let key = (news.instrument, fill.exec_id);
                if self.external.contains(&key) {
                    return;
                }
                if self.external.len() == EXTERNAL_KEPT {
                    self.external.pop_front();
                }
                self.external.push_back(key);
                // Of an order of ours that is forgotten, the fill was counted when it came first.
                if id.is_none() {
                    *self.positions.entry((news.instrument, fill.leg)).or_default() += Tracked::signed_fill(&fill);
                }
                ReportBody::Fill(fill)
            }
        };
        out.push(Action::Report(OrderReport {
            account: news.account,
            instrument: news.instrument,
            cl_ord_id: id,
            venue_order_id: news.venue_order_id,
            ts_event: news.ts_event,
            body,
        }));
    }

    pub(super) fn knows_external(&self, past: &super::PastFill) -> bool {
        self.external.contains(&(past.instrument, past.fill.exec_id))
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
        self.closed.push_back(id);
        if self.closed.len() > self.config.closed_kept
            && let Some(oldest) = self.closed.pop_front()
            && let Some(order) = self.orders.remove(&oldest)
        {
            self.by_venue_id.remove(&(order.request.instrument, order.venue_order_id));
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
