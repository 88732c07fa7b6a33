//! Questions about one order, its fills, its position.
//! Never: calls an order ended while a later generation of it may be alive.

use super::{BinanceDesk, Failure};
use crate::errors::Verdict;
use crate::orders::{FillsFrom, LIST_MAX, OrderRef, Outcome, VenueClientId, VenueFill, VenueOrder};
use crate::request::Call;
use ctos_link::desk::Found;
use ctos_link::gateway::Answer;
use ctos_link::tracker::{self, Ask, PastFill, Query};
use ctos_types::{CancelReason, ClientOrderId, InstrumentId, Leg, Nanos, Qty, RejectReason, UnixNanos, VenueError};
use std::collections::BTreeMap;

/// Spot's lists reach back this far from their start.
const SPOT_SPAN: Nanos = Nanos::from_secs(24 * 3600 - 60);
const USDM_SPAN: Nanos = Nanos::from_secs(7 * 24 * 3600 - 60);

/// Answers that come in several parts.
#[derive(Debug, Default)]
pub(super) struct Pages {
    fills: BTreeMap<(ClientOrderId, u32, InstrumentId), Fills>,
    /// What the generations before the one asked about had traded.
    probes: BTreeMap<ClientOrderId, Probe>,
    /// Successors that were not found of orders of an earlier life: which, since when, and how often.
    absent: BTreeMap<ClientOrderId, (u16, UnixNanos, u32)>,
}

#[derive(Debug, Default)]
struct Fills {
    got: Vec<PastFill>,
    /// Orders of the venue that are still to be asked for, one by one.
    orders: Vec<ctos_types::VenueOrderId>,
}

#[derive(Clone, Debug)]
struct Probe {
    number: u32,
    generation: u16,
    carried: Vec<i64>,
    /// The newest generation that was found.
    last: Option<VenueOrder>,
    /// The order that came of a conditional one is asked for.
    child: bool,
}

impl BinanceDesk {
    pub(super) fn ask_query(&mut self, now: UnixNanos, query: &Query) -> Result<super::Wire, VenueError> {
        let Query { instrument, about, number, .. } = *query;
        let call = match query.ask {
            Ask::Order(id) => {
                let recalled = self.orders.get(id).is_some_and(|n| n.recalled);
                let at = self.orders.named(id);
                let (at, generation) = match self.orders.get(id) {
                    // From the first generation on: how many there are is not known.
                    Some(_) if recalled && !self.is_usdm() => {
                        (OrderRef { client: VenueClientId { id, generation: 0 }, venue_order_id: None, ..at }, 0)
                    }
                    Some(named) => (at, named.generation),
                    None => (at, 0),
                };
                let child = at.venue_order_id.is_some() && !at.conditional && {
                    let named = self.orders.get(id);
                    named.is_some_and(|n| n.child.is_some())
                };
                let carried = self
                    .orders
                    .get(id)
                    .map_or(vec![0], |n| n.carried[..=usize::from(generation).min(n.carried.len() - 1)].to_vec());
                self.pages.probes.insert(id, Probe { number, generation, carried, last: None, child });
                self.desk.order(instrument, &at)?
            }
            Ask::Owner(venue) => {
                let at = OrderRef { venue_order_id: Some(venue), ..OrderRef::of(about) };
                self.desk.order(instrument, &at)?
            }
            Ask::Fills { since } => {
                let orders = self.orders.get(about).map(|n| n.all_ids.clone()).unwrap_or_default();
                let conditional = self.orders.get(about).is_some_and(|n| n.conditional);
                let key = (about, number, instrument);
                // Those of one order are asked for by its id, however old it is. A conditional order's own id has none.
                let mut fills = Fills { got: Vec::new(), orders };
                let mine = if conditional { None } else { fills.orders.pop() };
                self.pages.fills.insert(key, fills);
                let from = match mine {
                    Some(venue) => FillsFrom::Order(venue),
                    None => self.since(now, since),
                };
                self.desk.fills(instrument, from)?
            }
            Ask::Position { .. } => self
                .desk
                .all_positions()
                .ok_or(VenueError::Invalid { field: "position", why: "there are none on this market".into() })?,
        };
        Ok(self.wire(call))
    }

    /// As far back as the venue's lists go.
    fn since(&self, now: UnixNanos, since: UnixNanos) -> FillsFrom {
        let span = if self.is_usdm() { USDM_SPAN } else { SPOT_SPAN };
        FillsFrom::Time(since.max(now - span).after(self.offset))
    }

    pub(super) fn read_answer(&mut self, now: UnixNanos, query: &Query, part: u32, answer: &Answer<'_>) -> Found {
        let found = match query.ask {
            Ask::Order(id) => self.read_order_answer(now, query, id, answer),
            Ask::Owner(_) => Ok(self.read_owner(answer)),
            Ask::Fills { .. } => self.read_fills_answer(query, part, answer),
            Ask::Position { leg } => Ok(self.read_position(query.instrument, leg, answer)),
        };
        match found {
            Ok(answer) => Found::Done(answer),
            Err(call) => Found::More(self.wire(*call)),
        }
    }

    /// One order, or that there is none, or nothing.
    fn one(&self, answer: &Answer<'_>) -> Result<Option<VenueOrder>, ()> {
        match self.body(answer) {
            Ok(body) => self.desk.read_order(body).map(Some).map_err(|_| ()),
            Err(Failure::Refused(reply)) if reply.verdict == Verdict::Rejected(RejectReason::UnknownOrder) => Ok(None),
            Err(_) => Err(()),
        }
    }

    fn read_order_answer(
        &mut self,
        now: UnixNanos,
        query: &Query,
        id: ClientOrderId,
        answer: &Answer<'_>,
    ) -> Result<tracker::Answer, Box<Call>> {
        let failed = Ok(tracker::Answer::Failed);
        let Some(mut probe) = self.pages.probes.remove(&id).filter(|p| p.number == query.number) else { return failed };
        let found = match self.one(answer) {
            Err(()) => return failed,
            Ok(found) => found,
        };
        // It was replaced since the question left: whatever became of the one before, it is no word on the order.
        let newer = self.orders.get(id).filter(|n| !n.recalled && n.generation > probe.generation);
        if let Some(newer) = newer.filter(|_| found.as_ref().is_none_or(|o| o.outcome.is_some())) {
            probe.generation = newer.generation;
            probe.carried = newer.carried[..=usize::from(newer.generation).min(newer.carried.len() - 1)].to_vec();
            let at = self.orders.named(id);
            return self.more(query, id, probe, &at);
        }
        let Some(order) = found else { return Ok(self.no_such(now, id, &probe)) };
        // A conditional order that was triggered lives on as another.
        if let Some(child) = order.child.filter(|_| !probe.child) {
            self.orders.learn(id, 0, order.instrument, order.venue_order_id);
            self.orders.set_child(id, order.instrument, child);
            probe.child = true;
            let at = OrderRef { venue_order_id: Some(child), ..OrderRef::of(id) };
            return self.more(query, id, probe, &at);
        }
        let generation = probe.generation;
        self.orders.learn(id, generation, order.instrument, order.venue_order_id);
        let ended = matches!(order.outcome, Some(Outcome::Canceled(CancelReason::Requested | CancelReason::Venue)));
        let may_go_on = !self.is_usdm()
            && order.kind.is_some_and(|k| k.limit_price().is_some())
            && self.orders.get(id).is_some_and(|n| n.may_have_heir() || n.pending.is_some_and(|p| p.may_live()));
        if order.outcome.is_some()
            && let Some(named) = self.orders.get_mut(id).filter(|n| n.generation == generation)
        {
            // This is told as the order's end: what was to follow it must not any more.
            named.stop_replacing();
        }
        if ended && may_go_on {
            let carried = probe.carried.last().copied().unwrap_or(0) + order.cum_qty.0;
            if let Some(client) = (VenueClientId { id, generation }).next() {
                probe.generation = client.generation;
                probe.carried.push(carried);
                probe.last = Some(order);
                return self.more(query, id, probe, &OrderRef { client, ..OrderRef::of(id) });
            }
        }
        Ok(self.settled(now, id, &probe, &order))
    }

    fn more(
        &mut self,
        query: &Query,
        id: ClientOrderId,
        probe: Probe,
        at: &OrderRef,
    ) -> Result<tracker::Answer, Box<Call>> {
        match self.desk.order(query.instrument, at) {
            Ok(call) => {
                self.pages.probes.insert(id, probe);
                Err(Box::new(call))
            }
            Err(_) => Ok(tracker::Answer::Failed),
        }
    }

    /// The generation asked about is the newest.
    fn settled(&mut self, now: UnixNanos, id: ClientOrderId, probe: &Probe, order: &VenueOrder) -> tracker::Answer {
        let carried = probe.carried.last().copied().unwrap_or(0);
        self.pages.absent.remove(&id);
        if let Some(named) = self.orders.get_mut(id) {
            if named.pending.is_some_and(|p| p.client.generation == probe.generation) {
                named.replaced(order.venue_order_id, carried);
            }
            if named.recalled || probe.generation > named.generation {
                // The first answer says how far the earlier life went, not whether all of it had arrived.
                named.left_amending &= named.recalled;
                named.recalled = false;
                named.generation = probe.generation;
                named.carried.clone_from(&probe.carried);
                named.venue_order_id = (!named.conditional).then_some(order.venue_order_id);
            }
        }
        tracker::Answer::Order(super::order::view(order, carried, now))
    }

    /// The venue does not find what was asked for.
    fn no_such(&mut self, now: UnixNanos, id: ClientOrderId, probe: &Probe) -> tracker::Answer {
        let visibility = self.orders.visibility();
        let Some(last) = &probe.last else { return tracker::Answer::NotFound };
        let Some(named) = self.orders.get_mut(id) else { return tracker::Answer::NotFound };
        // The one before is cancelled, and its successor is not there: not yet, or it never was.
        if now.after(self.offset) < last.ts_event.after(visibility) {
            return tracker::Answer::Failed;
        }
        if let Some(pending) = &mut named.pending {
            if now < pending.asked.after(visibility) {
                return tracker::Answer::Failed;
            }
            pending.absent += 1;
            if pending.absent < 2 {
                return tracker::Answer::Failed;
            }
            named.pending = None;
        } else {
            // Of an earlier life's order nobody here knows what was asked for last: the venue's times may be off, and one
            // list may lag. Absence counts when it was seen twice, so far apart that the order would show.
            let seen = self.pages.absent.entry(id).or_insert((probe.generation, now, 0));
            if seen.0 != probe.generation {
                *seen = (probe.generation, now, 0);
            }
            seen.2 += 1;
            if seen.2 < 2 || now < seen.1.after(visibility) {
                return tracker::Answer::Failed;
            }
        }
        let mut whole = probe.clone();
        whole.generation -= 1;
        whole.carried.pop();
        let last = last.clone();
        self.settled(now, id, &whole, &last)
    }

    fn read_owner(&mut self, answer: &Answer<'_>) -> tracker::Answer {
        match self.one(answer) {
            Ok(Some(order)) => {
                let client = order.owner.client();
                if let Some(client) = client {
                    self.orders.learn(client.id, client.generation, order.instrument, order.venue_order_id);
                }
                tracker::Answer::Owner(client.map(|c| c.id))
            }
            // There was an execution on it, so it is there; who does not show it has not answered.
            Ok(None) | Err(()) => tracker::Answer::Failed,
        }
    }

    fn read_fills_answer(
        &mut self,
        query: &Query,
        part: u32,
        answer: &Answer<'_>,
    ) -> Result<tracker::Answer, Box<Call>> {
        let key = (query.about, query.number, query.instrument);
        let Some(mut fills) = self.pages.fills.remove(&key) else { return Ok(tracker::Answer::Failed) };
        let read = self.asked(answer).ok().and_then(|body| self.desk.read_fills(body).ok());
        let Some(page) = read.filter(|_| part < 50) else { return Ok(tracker::Answer::Failed) };
        let full = page.len() >= LIST_MAX as usize;
        let last = page.iter().filter_map(|f| f.fill.exec_id.as_str().parse::<u64>().ok()).max();
        fills.got.extend(page.into_iter().map(|fill| self.past(&fill)));
        let next = match (full, last, fills.orders.pop()) {
            (true, Some(last), _) => Some(FillsFrom::Id(last + 1)),
            (_, _, Some(venue)) => Some(FillsFrom::Order(venue)),
            _ => None,
        };
        if let Some(from) = next {
            let Ok(call) = self.desk.fills(query.instrument, from) else { return Ok(tracker::Answer::Failed) };
            self.pages.fills.insert(key, fills);
            return Err(Box::new(call));
        }
        Ok(tracker::Answer::Fills(fills.got))
    }

    fn past(&self, fill: &VenueFill) -> PastFill {
        let VenueFill { instrument, venue_order_id, fill, ts_event } = *fill;
        let cl_ord_id = self.orders.owner(instrument, venue_order_id).map(|client| client.id);
        PastFill { instrument, cl_ord_id, venue_order_id, ts_event, fill }
    }

    fn read_position(&self, instrument: InstrumentId, leg: Leg, answer: &Answer<'_>) -> tracker::Answer {
        let read = self.asked(answer).ok().and_then(|body| self.desk.read_positions(body).ok());
        let Some((list, _)) = read else { return tracker::Answer::Failed };
        let row = list.iter().find(|p| p.instrument == instrument && p.leg == leg);
        // Flat symbols are in the list: one that is missing is not known.
        row.map_or(tracker::Answer::Failed, |p| tracker::Answer::Position(Qty(p.qty.0)))
    }
}
