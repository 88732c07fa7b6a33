//! Replacements: answers to the request that cancels and places, and to the two requests that do it apart.
//! Never: places what takes an order's place before the venue has said how much of the old one traded, or two of them.

use super::order::Step;
use super::reply::{not_done, unread};
use super::{BinanceDesk, Failure};
use crate::errors::{ErrorReply, Verdict};
use crate::fields::parse;
use crate::orders::{Outcome, Replaced, VenueOrder};
use ctos_link::desk::{Told, Word};
use ctos_link::gateway::Notice;
use ctos_link::tracker::{NewsBody, Reply};
use ctos_types::{
    AmendOrder, CancelReason, ClientOrderId, NewOrder, OrderKind, OrderQty, Qty, RejectReason, Text, UnixNanos,
    VenueOrderId,
};

/// Why nothing took an order's place.
struct Why {
    line: String,
    reason: RejectReason,
    code: Text<31>,
}

impl Why {
    fn ours(line: &str, reason: RejectReason, code: &str) -> Why {
        Why { line: line.into(), reason, code: Text::cut(code) }
    }

    fn venues(reply: &ErrorReply) -> Why {
        let reason = match reply.verdict {
            Verdict::Rejected(reason) => reason,
            _ => RejectReason::Other,
        };
        let line = format!("{} (binance {})", reply.line, reply.raw_code());
        Why { line, reason, code: reply.raw_code() }
    }
}

impl BinanceDesk {
    /// The answer to the one request for both halves.
    pub(super) fn both(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        answer: Result<&[u8], Failure>,
        out: &mut Vec<Word>,
    ) -> Told {
        let read = match answer {
            Ok(body) => parse(body).and_then(|value| self.desk.read_replaced(&value)),
            Err(Failure::NotSent { why, .. }) => {
                self.give_up(id);
                return Told::Ended(Reply::NotSent { code: Text::cut(&why) });
            }
            Err(Failure::Unknown { .. }) => return Told::Ended(Reply::Unknown),
            Err(Failure::Refused(reply)) => {
                let halves = matches!(reply.verdict, Verdict::Partly | Verdict::Rejected(_)) && !reply.data.is_null();
                if !halves {
                    let reply = not_done(&reply);
                    if reply != Reply::Unknown {
                        self.give_up(id);
                    }
                    return Told::Ended(reply);
                }
                self.desk.read_replaced(&reply.data)
            }
        };
        match read {
            Ok(replaced) => self.replaced(now, id, &replaced, out),
            Err(e) => Told::Ended(unread(&e, out)),
        }
    }

    /// The replacement was certainly not carried out.
    fn give_up(&mut self, id: ClientOrderId) {
        if let Some(named) = self.orders.get_mut(id) {
            named.pending = None;
        }
    }

    fn replaced(&mut self, now: UnixNanos, id: ClientOrderId, both: &Replaced, out: &mut Vec<Word>) -> Told {
        let Some(named) = self.orders.get_mut(id) else { return Told::Ended(Reply::Unknown) };
        let Some(pending) = named.pending else { return Told::Ended(Reply::Unknown) };
        let carried = named.carried();
        let doubtful = |why: &ErrorReply| matches!(why.verdict, Verdict::Unknown | Verdict::Partly);
        Told::Ended(match (&both.canceled, &both.placed) {
            (Ok(_), Some(Ok(new))) => self.takes_place(now, id, new, carried, out),
            // Cancelled, and nothing took its place: that is the end of our order.
            (Ok(old), Some(Err(why))) if !doubtful(why) => {
                let at = if old.ts_event == UnixNanos::MIN { now } else { old.ts_event };
                self.nothing_follows(id, (old.venue_order_id, at), carried + old.cum_qty.0, Why::venues(why), out)
            }
            // Not cancelled, so nothing was placed. It may have begun to trade: then its size must be counted first.
            (Err(why), None) if why.code == -2011 && why.msg.contains("restrictions") => {
                let amend = AmendOrder {
                    account: self.config.account,
                    cl_ord_id: id,
                    instrument: named.order.instrument,
                    price: pending.price,
                    qty: Some(pending.qty),
                };
                named.pending = None;
                match self.orders.amend_apart(now, &self.desk, &amend, Qty(carried)) {
                    Ok(call) => return Told::More(self.wire(call)),
                    Err(_) => not_done(why),
                }
            }
            (Err(why), None) if !doubtful(why) => {
                named.pending = None;
                not_done(why)
            }
            // Questions tell which of the two lives.
            _ => Reply::Unknown,
        })
    }

    /// The answer to the cancel that goes before a new order.
    pub(super) fn first_half(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        answer: Result<&[u8], Failure>,
        out: &mut Vec<Word>,
    ) -> Told {
        let old = match answer {
            Ok(body) => self.desk.read_order(body),
            Err(failure) => {
                let reply = match &failure {
                    Failure::NotSent { why, .. } => Reply::NotSent { code: Text::cut(why) },
                    Failure::Unknown { .. } => Reply::Unknown,
                    Failure::Refused(reply) => not_done(reply),
                };
                self.end_of_cancel(id, reply);
                return Told::Ended(reply);
            }
        };
        let ended = |o: &VenueOrder| matches!(o.outcome, Some(Outcome::Canceled(_) | Outcome::Expired));
        let old = match old {
            Ok(old) if ended(&old) => old,
            // The venue took the cancel and does not say what became of the order.
            Ok(_) => {
                self.end_of_cancel(id, Reply::Unknown);
                return Told::Ended(Reply::Unknown);
            }
            Err(e) => {
                self.end_of_cancel(id, Reply::Unknown);
                return Told::Ended(unread(&e, out));
            }
        };
        let visibility = self.orders.visibility();
        let Some(named) = self.orders.get_mut(id) else { return Told::Ended(Reply::Unknown) };
        let Some(mut pending) = named.pending else { return Told::Ended(Reply::Unknown) };
        let carried = named.carried() + old.cum_qty.0;
        let mut wanted = NewOrder { qty: OrderQty::Size(pending.qty), ..named.order };
        if let (Some(px), OrderKind::Limit { price }) = (pending.price, &mut wanted.kind) {
            *price = px;
        }
        let call = if pending.step == Step::Ending {
            Err(Why::ours("it was cancelled meanwhile", RejectReason::Other, "CANCELED"))
        } else if now >= pending.began.after(visibility) {
            // Whoever asked has been told that nothing came of it.
            Err(Why::ours("the cancel took too long", RejectReason::Other, "TOO_LATE"))
        } else {
            let loan = self.debts.effect_of_rest(&self.desk, &named.order, &wanted);
            let placed = self.desk.place_rest(&wanted, pending.client, Qty(carried), loan);
            placed.map_err(|e| Why::ours(&e.to_string(), RejectReason::BadQty, "INVALID qty"))
        };
        match call {
            Ok(call) => {
                pending.step = Step::Placing { carried };
                pending.asked = now;
                named.pending = Some(pending);
                Told::More(self.wire(call))
            }
            Err(why) => {
                let at = if old.ts_event == UnixNanos::MIN { now } else { old.ts_event };
                Told::Ended(self.nothing_follows(id, (old.venue_order_id, at), carried, why, out))
            }
        }
    }

    /// The cancel did not come back with the old order's end: whatever becomes of it, nothing takes its place.
    fn end_of_cancel(&mut self, id: ClientOrderId, reply: Reply) {
        let Some(named) = self.orders.get_mut(id) else { return };
        match reply {
            // It may yet arrive.
            Reply::Unknown => named.stop_replacing(),
            _ => named.pending = None,
        }
    }

    /// The answer to the order that is to take the place of a cancelled one.
    pub(super) fn second_half(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        carried: i64,
        answer: Result<&[u8], Failure>,
        out: &mut Vec<Word>,
    ) -> Reply {
        let why = match answer {
            Ok(body) => match self.desk.read_order(body) {
                Ok(new) => return self.takes_place(now, id, &new, carried, out),
                Err(e) => return unread(&e, out),
            },
            Err(Failure::NotSent { why, .. }) => Why::ours(&why, RejectReason::Other, &why),
            Err(Failure::Unknown { .. }) => return Reply::Unknown,
            Err(Failure::Refused(reply)) => match not_done(&reply) {
                // Names are used once: the venue has this very order.
                Reply::Unknown | Reply::Refused { reason: RejectReason::DuplicateClientOrderId, .. } => {
                    return Reply::Unknown;
                }
                _ => Why::venues(&reply),
            },
        };
        let old = self.orders.get(id).and_then(|n| n.venue_order_id).unwrap_or(VenueOrderId::EMPTY);
        self.nothing_follows(id, (old, now), carried, why, out)
    }

    /// The new order is there: from now on it is ours.
    fn takes_place(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        new: &VenueOrder,
        carried: i64,
        out: &mut Vec<Word>,
    ) -> Reply {
        let Some(named) = self.orders.get_mut(id) else { return Reply::Unknown };
        let Some(pending) = named.pending else { return Reply::Unknown };
        named.replaced(new.venue_order_id, carried);
        let generation = pending.client.generation;
        self.orders.learn(id, generation, new.instrument, new.venue_order_id);
        let Some(view) = self.orders.view(id, generation, new, now) else { return Reply::Unknown };
        let amended = NewsBody::Amended { price: pending.price, qty: pending.qty };
        out.push(self.news(id, new.venue_order_id, view.ts_event, amended, new.instrument));
        self.fills_of(id, new, &view, out);
        Reply::Done(view)
    }

    /// The old order is cancelled and nothing takes its place: that is the end of our order.
    fn nothing_follows(
        &mut self,
        id: ClientOrderId,
        (old, at): (VenueOrderId, UnixNanos),
        cum_qty: i64,
        why: Why,
        out: &mut Vec<Word>,
    ) -> Reply {
        let Some(named) = self.orders.get_mut(id) else { return Reply::Unknown };
        named.pending = None;
        let instrument = named.order.instrument;
        let Why { line, reason, code } = why;
        out.push(Word::Tell(Notice::Warning(format!("order {id} was cancelled and could not be placed anew: {line}"))));
        let ended = NewsBody::Canceled { reason: CancelReason::Requested, cum_qty: Some(Qty(cum_qty)) };
        out.push(self.news(id, old, at, ended, instrument));
        Reply::Refused { reason, code }
    }
}
