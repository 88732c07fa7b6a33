//! What becomes of one order: accepted, filled, amended, ended.
//! Never: reports an end before the fills that belong to it, or a fill before the order is known as accepted.

use super::Tracker;
use crate::tracker::order::{Amend, Counted, End, Phase, Stage, Tracked};
use crate::tracker::{Action, Alarm, NEVER_ARRIVED};
use ctos_types::{
    CancelOrder, ClientOrderId, Fill, NewOrder, Price, Qty, RejectReason, ReportBody, Request, Text, UnixNanos,
    VenueOrderId,
};

impl Tracker {
    pub(in crate::tracker) fn open_mut(&mut self, id: ClientOrderId) -> Option<&mut Tracked> {
        self.orders.get_mut(&id).filter(|o| !o.is_closed())
    }

    /// The venue has the order.
    pub(in crate::tracker) fn accepted(
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
                Some(doubt) if order.cancel.is_some() || doubt.earlier_life => {
                    (doubt.stage, doubt.not_found, doubt.under_way) = (Stage::Order, 0, false);
                }
                doubt => *doubt = None,
            }
        }
        if !std::mem::replace(&mut order.told_accepted, true) {
            self.report(id, ts_event, ReportBody::Accepted, out);
        }
    }

    pub(in crate::tracker) fn fill(
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
    pub(in crate::tracker) fn counted(
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
    pub(in crate::tracker) fn try_close(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
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
            // The fills have said it, unless the venue made the order smaller (reduce-only) or its size is the venue's to
            // say (by amount): what it came to be is the end of it.
            End::Filled if order.size.is_none_or(|size| order.cum < size.0) => {
                order.size = Some(Qty(order.cum));
                Some(ReportBody::Amended { price: None, qty: Qty(order.cum) })
            }
            End::Filled => None,
            End::Canceled(reason) => Some(ReportBody::Canceled { reason }),
            End::Expired => Some(ReportBody::Expired),
            End::Rejected { reason, code } => Some(ReportBody::Rejected { request: Request::Place, reason, code }),
            End::NeverArrived => Some(ReportBody::Rejected {
                request: Request::Place,
                reason: RejectReason::Other,
                code: Text::cut(NEVER_ARRIVED),
            }),
        };
        let at = now.max(order.amended_at);
        if let Some(body) = body {
            self.report(id, at, body, out);
        }
        self.retire(id);
    }

    /// The venue ended the order with `cum_qty` filled.
    pub(in crate::tracker) fn end(
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
            let earlier_life = order.doubt.take().is_some_and(|d| d.earlier_life);
            self.doubt(now, id);
            let order = self.orders.get_mut(&id).expect("open");
            order.doubt.iter_mut().for_each(|d| (d.stage, d.earlier_life) = (stage, earlier_life));
        }
    }

    pub(super) fn refused(
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
    pub(super) fn taken(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        request: Request,
        ts: UnixNanos,
        out: &mut Vec<Action>,
    ) {
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

    pub(super) fn amend_refused(
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

    pub(in crate::tracker) fn amended(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        price: Option<Price>,
        qty: Qty,
        ts_event: UnixNanos,
        out: &mut Vec<Action>,
    ) {
        let Some(order) = self.open_mut(id) else { return };
        let now_px = price.or(order.price);
        let as_asked = |a: &Amend| a.qty.is_none_or(|q| q == qty) && (a.price.is_none() || a.price == now_px);
        let asked = order.amend.as_ref().is_some_and(as_asked);
        // What we wait for is no old news, whatever the venue's clock has done meanwhile.
        if ts_event < order.amended_at && !asked {
            return;
        }
        let ts_event = ts_event.max(order.amended_at);
        order.amended_at = ts_event;
        order.size = order.size.map(|_| qty);
        order.price = now_px;
        if asked {
            order.amend = None;
        }
        self.report(id, ts_event, ReportBody::Amended { price, qty }, out);
        self.try_close(now, id, out);
    }
}
