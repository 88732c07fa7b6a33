//! What the venue says: answers to requests, news, lists, and other people's orders.
//! Never: takes an answer to an old question for the latest word.

use super::Tracker;
use crate::tracker::order::{End, Phase, Tracked};
use crate::tracker::{Action, Alarm, News, NewsBody, OrderView, PastFill, Reply};
use ctos_types::{
    ClientOrderId, ExecId, InstanceTag, InstrumentId, OrderReport, RejectReason, ReportBody, Request, UnixNanos,
};
use std::collections::BTreeSet;

/// Fills of other people's orders that are remembered against repetition.
const EXTERNAL_KEPT: usize = 4096;

impl Tracker {
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
            // Closed and forgotten, or placed by a life of ours that left no trace.
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

    // ---- other people's orders

    /// Whether the id is one of ours; tells once when it is another instance's.
    pub(super) fn is_ours(&mut self, id: ClientOrderId, out: &mut Vec<Action>) -> bool {
        let ours = self.config.tags.contains(&id.tag) || self.orders.contains_key(&id);
        // Orders placed one by one by a person are no other instance's.
        let one_shot = id.tag == InstanceTag::ONE_SHOT;
        if !ours && !one_shot && self.foreign_told.insert(id.tag) {
            out.push(Action::Alarm(Alarm::ForeignTag { id }));
        }
        ours
    }

    /// News that no order of ours explains: passed on, fills once. A fill of an order that is forgotten here may be beyond
    /// what the kernel believes of that order, and has happened all the same: it is told as nobody's, so that both book it.
    pub(in crate::tracker) fn external(&mut self, news: &News, id: Option<ClientOrderId>, out: &mut Vec<Action>) {
        let mut cl_ord_id = id;
        let body = match news.body {
            NewsBody::Accepted => ReportBody::Accepted,
            NewsBody::Triggered => ReportBody::Triggered,
            NewsBody::Amended { price, qty } => ReportBody::Amended { price, qty },
            NewsBody::Canceled { reason, .. } => ReportBody::Canceled { reason },
            NewsBody::Expired { .. } => ReportBody::Expired,
            NewsBody::Rejected { reason, code } => ReportBody::Rejected { request: Request::Place, reason, code },
            NewsBody::Fill { fill, .. } => {
                let key = (news.instrument, fill.exec_id);
                if self.external.contains(&key) || self.booked.contains(&key) {
                    return;
                }
                self.remember(key);
                cl_ord_id = None;
                *self.positions.entry((news.instrument, fill.leg)).or_default() += Tracked::signed_fill(&fill);
                ReportBody::Fill(fill)
            }
        };
        out.push(Action::Report(OrderReport {
            account: news.account,
            instrument: news.instrument,
            cl_ord_id,
            venue_order_id: news.venue_order_id,
            ts_event: news.ts_event,
            body,
        }));
    }

    /// An execution that no order in memory explains is known from now on.
    pub(in crate::tracker) fn remember(&mut self, key: (InstrumentId, ExecId)) {
        if self.external.len() == EXTERNAL_KEPT {
            self.external.pop_front();
        }
        self.external.push_back(key);
    }

    /// Whether a fill of this order from the venue's history was booked by an earlier life: the order is one of ours, is
    /// forgotten, and the fill is older than this life.
    pub(in crate::tracker) fn was_booked(&self, owner: ClientOrderId, past: &PastFill) -> bool {
        self.config.tags.contains(&owner.tag) && !self.orders.contains_key(&owner) && past.ts_event < self.began
    }

    pub(in crate::tracker) fn knows_external(&self, past: &PastFill) -> bool {
        let key = (past.instrument, past.fill.exec_id);
        self.external.contains(&key) || self.booked.contains(&key)
    }
}
