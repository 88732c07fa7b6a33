//! Answers to order requests.
//! Never: takes an answer that cannot be read whole for a refusal.

use super::{BinanceDesk, Failure};
use crate::errors::{ErrorReply, Verdict};
use crate::fields::parse;
use crate::orders::{Replaced, VenueOrder};
use crate::profile::Profile;
use ctos_link::desk::Word;
use ctos_link::gateway::{Answer, Notice};
use ctos_link::tracker::{News, NewsBody, OrderView, Reply};
use ctos_types::{CancelReason, ClientOrderId, Qty, RejectReason, Request, Text, UnixNanos, VenueOrderId};

impl BinanceDesk {
    pub(super) fn read_order_reply(
        &mut self,
        now: UnixNanos,
        request: Request,
        id: ClientOrderId,
        answer: &Answer<'_>,
        out: &mut Vec<Word>,
    ) -> Reply {
        let replacing = request == Request::Amend && self.orders.get(id).is_some_and(|n| n.pending.is_some());
        match self.body(answer) {
            Ok(body) if replacing => match parse(body).and_then(|value| self.desk.read_replaced(&value)) {
                Ok(replaced) => self.replaced(now, id, &replaced, out),
                Err(e) => unread(&e, out),
            },
            Ok(body) => self.done(now, request, id, body, out),
            Err(Failure::NotSent { why, .. }) => {
                self.give_up(id, replacing);
                Reply::NotSent { code: Text::cut(&why) }
            }
            Err(Failure::Unknown { .. }) => Reply::Unknown,
            Err(Failure::Refused(reply)) => self.refused(now, id, replacing, &reply, out),
        }
    }

    fn done(&mut self, now: UnixNanos, request: Request, id: ClientOrderId, body: &[u8], out: &mut Vec<Word>) -> Reply {
        let conditional = self.orders.get(id).is_some_and(|n| n.conditional && n.child.is_none());
        if request == Request::Cancel && conditional {
            return match self.desk.read_done(body) {
                Ok(()) => Reply::Acknowledged { venue_order_id: VenueOrderId::EMPTY, ts_event: now },
                Err(e) => unread(&e, out),
            };
        }
        let read = match (request, self.config.profile) {
            (Request::Amend, Profile::Spot | Profile::Margin) => self.desk.read_amended(body),
            _ => self.desk.read_order(body),
        };
        match read {
            Ok(order) => {
                let generation = self.orders.get(id).map_or(0, |n| n.generation);
                self.orders.learn(id, generation, order.instrument, order.venue_order_id);
                let Some(view) = self.orders.view(id, generation, &order, now) else { return Reply::Unknown };
                if request == Request::Amend
                    && let (Some(named), Some(qty)) = (self.orders.get_mut(id), view.qty)
                {
                    named.set(view.price, qty);
                }
                self.fills_of(id, &order, &view, out);
                Reply::Done(view)
            }
            Err(e) => unread(&e, out),
        }
    }

    /// Spot tells each fill of a new order in its reply.
    fn fills_of(&self, id: ClientOrderId, order: &VenueOrder, view: &OrderView, out: &mut Vec<Word>) {
        let mut total = view.cum_qty.0 - order.cum_qty.0;
        for fill in order.fills.iter().filter(|_| order.is_whole()) {
            total += fill.last_qty.0;
            let body = NewsBody::Fill { fill: *fill, cum_qty: Some(Qty(total)) };
            out.push(self.news(id, order.venue_order_id, view.ts_event, body, order));
        }
    }

    fn news(
        &self,
        id: ClientOrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
        body: NewsBody,
        order: &VenueOrder,
    ) -> Word {
        let (account, instrument) = (self.config.account, order.instrument);
        Word::Order(News { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event, body })
    }

    fn refused(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        replacing: bool,
        reply: &ErrorReply,
        out: &mut Vec<Word>,
    ) -> Reply {
        let code = reply.raw_code();
        if reply.verdict == Verdict::Auth && !std::mem::replace(&mut self.auth_told, true) {
            let what = format!("{} (binance {code}: {})", reply.line, reply.msg);
            out.push(Word::Tell(Notice::Alarm { what, hint: reply.hint.into() }));
        }
        if replacing && !reply.data.is_null() && matches!(reply.verdict, Verdict::Partly | Verdict::Rejected(_)) {
            return match self.desk.read_replaced(&reply.data) {
                Ok(replaced) => self.replaced(now, id, &replaced, out),
                Err(e) => unread(&e, out),
            };
        }
        match reply.verdict {
            Verdict::Rejected(reason) => {
                self.give_up(id, replacing);
                Reply::Refused { reason, code }
            }
            Verdict::NotDone | Verdict::RateLimited | Verdict::Auth | Verdict::Clock => {
                self.give_up(id, replacing);
                Reply::NotSent { code }
            }
            Verdict::Already if replacing => Reply::Unknown,
            Verdict::Already => Reply::Acknowledged { venue_order_id: VenueOrderId::EMPTY, ts_event: now },
            Verdict::Partly | Verdict::Unknown => Reply::Unknown,
        }
    }

    /// The replacement was certainly not carried out.
    fn give_up(&mut self, id: ClientOrderId, replacing: bool) {
        if replacing && let Some(named) = self.orders.get_mut(id) {
            named.pending = None;
        }
    }

    /// The two halves of a replacement.
    fn replaced(&mut self, now: UnixNanos, id: ClientOrderId, both: &Replaced, out: &mut Vec<Word>) -> Reply {
        let Some(named) = self.orders.get_mut(id) else { return Reply::Unknown };
        let Some(pending) = named.pending else { return Reply::Unknown };
        let carried = named.carried();
        match (&both.canceled, &both.placed) {
            (Ok(_), Some(Ok(new))) => {
                named.replaced(new.venue_order_id, carried);
                let generation = pending.client.generation;
                self.orders.learn(id, generation, new.instrument, new.venue_order_id);
                let Some(view) = self.orders.view(id, generation, new, now) else { return Reply::Unknown };
                let amended = NewsBody::Amended { price: pending.price, qty: pending.qty };
                out.push(self.news(id, new.venue_order_id, view.ts_event, amended, new));
                self.fills_of(id, new, &view, out);
                Reply::Done(view)
            }
            // Cancelled, and nothing took its place: that is the end of our order.
            (Ok(old), Some(Err(why))) if !matches!(why.verdict, Verdict::Unknown | Verdict::Partly) => {
                named.pending = None;
                let at = if old.ts_event == UnixNanos::MIN { now } else { old.ts_event };
                let cum_qty = Some(Qty(carried + old.cum_qty.0));
                let ended = NewsBody::Canceled { reason: CancelReason::Requested, cum_qty };
                let word = self.news(id, old.venue_order_id, at, ended, old);
                out.push(Word::Tell(Notice::Warning(format!(
                    "order {id} was cancelled and could not be placed anew: {} (binance {})",
                    why.line,
                    why.raw_code()
                ))));
                out.push(word);
                let reason = match why.verdict {
                    Verdict::Rejected(reason) => reason,
                    _ => RejectReason::Other,
                };
                Reply::Refused { reason, code: why.raw_code() }
            }
            // Not cancelled, so nothing was placed.
            (Err(why), None) if !matches!(why.verdict, Verdict::Unknown | Verdict::Partly) => {
                named.pending = None;
                match why.verdict {
                    Verdict::Rejected(reason) => Reply::Refused { reason, code: why.raw_code() },
                    _ => Reply::NotSent { code: why.raw_code() },
                }
            }
            // Questions tell which of the two lives.
            _ => Reply::Unknown,
        }
    }
}

fn unread(e: &crate::decode::DecodeError, out: &mut Vec<Word>) -> Reply {
    out.push(Word::Tell(Notice::Warning(format!("an answer to an order request was not understood: {e}"))));
    Reply::Unknown
}
