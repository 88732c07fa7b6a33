//! Answers to order requests.
//! Never: takes an answer that cannot be read whole for a refusal.

use super::order::Step;
use super::{BinanceDesk, Failure};
use crate::errors::{ErrorReply, Verdict};
use crate::orders::VenueOrder;
use crate::profile::Profile;
use ctos_link::desk::{Told, Word};
use ctos_link::gateway::{Answer, Notice};
use ctos_link::tracker::{News, NewsBody, OrderView, Reply};
use ctos_types::{ClientOrderId, InstrumentId, Qty, Request, Text, UnixNanos, VenueOrderId};

impl BinanceDesk {
    pub(super) fn read_order_reply(
        &mut self,
        now: UnixNanos,
        request: Request,
        id: ClientOrderId,
        answer: &Answer<'_>,
        out: &mut Vec<Word>,
    ) -> Told {
        let pending = self.orders.get(id).and_then(|n| n.pending).filter(|_| request == Request::Amend);
        let answer = self.body(answer);
        if let Err(Failure::Refused(reply)) = &answer {
            self.tell_auth(reply, out);
        }
        let Some(pending) = pending else { return self.plain(now, request, id, answer, out) };
        match pending.step {
            Step::Both => self.both(now, id, answer, out),
            Step::Canceling | Step::Ending => self.first_half(now, id, answer, out),
            Step::Placing { carried } => Told::Ended(self.second_half(now, id, carried, answer, out)),
        }
    }

    /// The answer to a request that stands by itself.
    fn plain(
        &mut self,
        now: UnixNanos,
        request: Request,
        id: ClientOrderId,
        answer: Result<&[u8], Failure>,
        out: &mut Vec<Word>,
    ) -> Told {
        let in_place = self.orders.get_mut(id).and_then(|n| n.in_place.take()).filter(|_| request == Request::Amend);
        Told::Ended(match answer {
            Ok(body) => self.done(now, request, id, body, out),
            Err(Failure::NotSent { why, .. }) => Reply::NotSent { code: Text::cut(&why) },
            Err(Failure::Unknown { .. }) => Reply::Unknown,
            Err(Failure::Refused(reply)) => {
                // Changed too often, a symbol without such changes, or it has traded since: there is another way.
                if let (-2038, Some((amend, cum_qty))) = (reply.code, in_place)
                    && let Ok(call) = self.orders.amend_apart(now, &self.desk, &amend, cum_qty)
                {
                    return Told::More(self.wire(call));
                }
                match reply.verdict {
                    Verdict::Already => Reply::Acknowledged { venue_order_id: VenueOrderId::EMPTY, ts_event: now },
                    _ => not_done(&reply),
                }
            }
        })
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
    pub(super) fn fills_of(&self, id: ClientOrderId, order: &VenueOrder, view: &OrderView, out: &mut Vec<Word>) {
        let mut total = view.cum_qty.0 - order.cum_qty.0;
        for fill in order.fills.iter().filter(|_| order.is_whole()) {
            total += fill.last_qty.0;
            let body = NewsBody::Fill { fill: *fill, cum_qty: Some(Qty(total)) };
            out.push(self.news(id, order.venue_order_id, view.ts_event, body, order.instrument));
        }
    }

    pub(super) fn news(
        &self,
        id: ClientOrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
        body: NewsBody,
        instrument: InstrumentId,
    ) -> Word {
        let account = self.config.account;
        Word::Order(News { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event, body })
    }

    fn tell_auth(&mut self, reply: &ErrorReply, out: &mut Vec<Word>) {
        if reply.verdict == Verdict::Auth && !std::mem::replace(&mut self.auth_told, true) {
            let what = format!("{} (binance {}: {})", reply.line, reply.raw_code(), reply.msg);
            out.push(Word::Tell(Notice::Alarm { what, hint: reply.hint.into() }));
        }
    }
}

/// What a refusal is to the tracker.
pub(super) fn not_done(reply: &ErrorReply) -> Reply {
    let code = reply.raw_code();
    match reply.verdict {
        Verdict::Rejected(reason) => Reply::Refused { reason, code },
        Verdict::NotDone | Verdict::RateLimited | Verdict::Auth | Verdict::Clock => Reply::NotSent { code },
        Verdict::Already | Verdict::Partly | Verdict::Unknown => Reply::Unknown,
    }
}

pub(super) fn unread(e: &crate::decode::DecodeError, out: &mut Vec<Word>) -> Reply {
    out.push(Word::Tell(Notice::Warning(format!("an answer to an order request was not understood: {e}"))));
    Reply::Unknown
}
