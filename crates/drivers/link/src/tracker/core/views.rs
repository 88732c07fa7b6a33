//! What a view of an order by the venue proves: its state, its total, an amend, a doubtful execution.
//! Never: believes a view that an earlier one contradicts with more filled.

use super::Tracker;
use crate::tracker::order::{End, OtherTerms};
use crate::tracker::{Action, Alarm, NEVER_ARRIVED, OrderView, ViewState};
use ctos_types::{ClientOrderId, RejectReason, Text, UnixNanos};

impl Tracker {
    /// What a query or an answer says of the order, whenever it was true.
    pub(in crate::tracker) fn apply_view(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        view: &OrderView,
        out: &mut Vec<Action>,
    ) {
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
                self.judge_terms(now, id, view, out);
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
    pub(super) fn judge_suspects(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        view: &OrderView,
        out: &mut Vec<Action>,
    ) {
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

    /// Somebody else changed the order, and the stream did not tell: terms that every view shows for so long that no list
    /// can be behind are the order's.
    fn judge_terms(&mut self, now: UnixNanos, id: ClientOrderId, view: &OrderView, out: &mut Vec<Action>) {
        let visibility = self.config.visibility;
        let Some(order) = self.open_mut(id) else { return };
        let (Some(our_price), Some(our_qty)) = (order.price, order.size) else { return };
        let (Some(price), Some(qty)) = (view.price, view.qty) else { return };
        if order.amend.is_some() || (price, qty) == (our_price, our_qty) {
            order.other_terms = None;
            return;
        }
        let seen = order.other_terms.filter(|t| (t.price, t.qty) == (price, qty));
        let since = seen.map_or(now, |t| t.since);
        order.other_terms = Some(OtherTerms { price, qty, since });
        if now >= since.after(visibility) {
            order.other_terms = None;
            let ts_event = view.ts_event.max(order.amended_at);
            self.amended(now, id, Some(price), qty, ts_event, out);
        }
    }

    pub(super) fn judge_amend(&mut self, now: UnixNanos, id: ClientOrderId, view: &OrderView, out: &mut Vec<Action>) {
        let visibility = self.config.visibility;
        let not_found = self.config.not_found;
        let Some(order) = self.open_mut(id) else { return };
        let (Some(amend), Some(qty)) = (order.amend, view.qty) else { return };
        let as_asked = amend.qty.is_none_or(|q| q == qty) && (amend.price.is_none() || amend.price == view.price);
        if as_asked {
            return self.amended(now, id, view.price, qty, view.ts_event, out);
        }
        if amend.doubtful && view.state == ViewState::Open && now >= amend.sent.after(visibility) {
            let amend = order.amend.as_mut().expect("seen above");
            amend.unchanged += 1;
            if amend.unchanged >= not_found {
                self.amend_refused(id, now, RejectReason::Other, Text::cut(NEVER_ARRIVED), out);
            }
        }
    }
}
