//! How a doubt is resolved: by the order's id, then by the fills since the intent, then by the position.
//! Never: concludes from one answer, from a list that lacks something, or from a query that failed.

use super::core::GONE;
use super::order::{Doubt, End, Phase, Stage};
use super::{Action, Alarm, Answer, Ask, News, NewsBody, PastFill, Query, Tracker};
use ctos_types::{AccountId, ClientOrderId, Fill, Nanos, OrderQty, Qty, ReportBody, Request, UnixNanos};
use std::collections::BTreeMap;

/// A query without an answer for this long counts as failed.
const ANSWER_WITHIN: Nanos = Nanos::from_secs(30);

impl Tracker {
    /// What is due for this order.
    pub(super) fn due(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        let within = self.config.reply_within;
        let Some(order) = self.open_mut(id) else { return };
        if order.doubt.as_ref().is_some_and(|d| d.due <= now) {
            return self.ask(now, id, out);
        }
        if order.phase == Phase::Sent && order.doubt.is_none() && order.sent.after(within) <= now {
            self.report(id, now, ReportBody::Unknown { request: Request::Place }, out);
            return self.doubt(now, id);
        }
        if let Some(amend) = order.amend.as_mut().filter(|a| !a.doubtful && a.sent.after(within) <= now) {
            amend.doubtful = true;
            self.report(id, now, ReportBody::Unknown { request: Request::Amend }, out);
            return self.doubt(now, id);
        }
        if let Some(cancel) = order.cancel.as_mut().filter(|c| !c.doubtful && c.sent.after(within) <= now) {
            cancel.doubtful = true;
            self.doubt(now, id);
        }
    }

    /// Sends the next question of the doubt.
    fn ask(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        self.next_query += 1;
        let (number, slack, alarm_after) = (self.next_query, self.config.slack, self.config.alarm_after);
        let (account, instrument) = self.account(id);
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        let leg = order.request.leg;
        let sent = order.sent;
        let doubt = order.doubt.as_mut().expect("checked by the caller");
        let ask = match doubt.stage {
            Stage::Order => Ask::Order(id),
            Stage::Fills => Ask::Fills { since: sent - slack },
            Stage::Owner(venue_order_id) => Ask::Owner(venue_order_id),
            Stage::Position => Ask::Position { leg },
        };
        doubt.queries += 1;
        order.queries = number;
        doubt.under_way = true;
        doubt.due = now.after(ANSWER_WITHIN);
        if doubt.queries >= alarm_after && !doubt.alarmed {
            doubt.alarmed = true;
            let (since, queries) = (doubt.since, doubt.queries);
            out.push(Action::Alarm(Alarm::Unresolved { id, since, queries }));
        }
        out.push(Action::Query(Query { about: id, account, instrument, number, ask }));
    }

    /// The answer to a query. One that is late, or about something that was settled since, changes nothing that is
    /// certain.
    pub fn on_answer(&mut self, now: UnixNanos, query: &Query, answer: &Answer, out: &mut Vec<Action>) {
        let id = query.about;
        if let Answer::Order(view) = answer
            && self.orders.contains_key(&id)
        {
            let current = self.is_current(id, query);
            if let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) {
                doubt.not_found = 0;
            }
            self.apply_view(now, id, view, out);
            if current {
                self.seen(now, id, out);
            }
            return self.schedule(id);
        }
        if !self.is_current(id, query) {
            return;
        }
        match answer {
            Answer::Order(_) => {}
            Answer::NotFound => self.not_found(now, id, out),
            Answer::Fills(fills) => self.on_fills(now, id, fills, out),
            Answer::Owner(owner) => self.on_owner(now, id, *owner, out),
            Answer::Position(qty) => self.on_position(now, id, *qty, out),
            Answer::NoPosition => self.absent(now, id, out),
            Answer::Failed => self.again(now, id, None),
        }
        self.schedule(id);
    }

    /// Whether this is the question that the doubt waits for.
    fn is_current(&self, id: ClientOrderId, query: &Query) -> bool {
        let order = self.orders.get(&id).filter(|o| !o.is_closed());
        order.is_some_and(|o| o.queries == query.number && o.doubt.as_ref().is_some_and(|d| d.under_way))
    }

    /// The order was found; what is still open about it decides whether to go on asking.
    fn seen(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        let Some(order) = self.open_mut(id) else { return };
        let ending = matches!(order.phase, Phase::Ending(_));
        if ending || order.lacks_fills() {
            // Its fills next, and then the order again, unless it has ended.
            return self.again(now, id, Some(Stage::Fills));
        }
        if let Some(cancel) = order.cancel {
            // Still open though a cancel was sent: the cancel got lost, or is on its way.
            if cancel.doubtful {
                self.again(now, id, Some(Stage::Order));
                return self.send_cancel(now, id, cancel.tries, out);
            }
            return self.again(now, id, Some(Stage::Order));
        }
        if order.amend.is_some() {
            return self.again(now, id, Some(Stage::Order));
        }
        order.doubt = None;
    }

    fn not_found(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        let (visibility, enough) = (self.config.visibility, self.config.not_found);
        let Some(order) = self.open_mut(id) else { return };
        let doubt = order.doubt.as_mut().expect("current");
        doubt.not_found += 1;
        // Only what was asked after the order must have become visible counts as the last word.
        let visible = doubt.since.max(order.sent).after(visibility) <= now;
        if visible && doubt.not_found >= enough {
            doubt.stage = Stage::Fills;
            doubt.due = now;
            doubt.under_way = false;
            return self.ask(now, id, out);
        }
        self.again(now, id, None);
    }

    /// Fills of the instrument since the intent: ours are counted, those of unknown orders may be this one's.
    fn on_fills(&mut self, now: UnixNanos, id: ClientOrderId, fills: &[PastFill], out: &mut Vec<Action>) {
        let was_sent = self.orders.get(&id).is_some_and(|o| o.phase == Phase::Sent);
        let mut strangers = Vec::new();
        let mut ours: BTreeMap<ClientOrderId, Vec<PastFill>> = BTreeMap::new();
        for past in fills {
            let by_venue = self.by_venue_id.get(&(past.instrument, past.venue_order_id)).copied();
            match past.cl_ord_id.or(by_venue).filter(|owner| self.orders.contains_key(owner)) {
                Some(owner) => ours.entry(owner).or_default().push(*past),
                // Counted already, or to be asked about.
                None if past.cl_ord_id.is_none() && !self.knows_external(past) => strangers.push(*past),
                None => {}
            }
        }
        for (owner, past) in ours {
            self.count_history(now, owner, owner == id, &past, out);
        }
        self.try_close(now, id, out);
        let not_found = self.config.not_found;
        let Some(order) = self.open_mut(id) else { return };
        if order.phase != Phase::Sent {
            let enough = order.doubt.as_ref().is_some_and(|d| d.not_found >= not_found);
            return match order.phase {
                // Found by a fill: whether it is still open, the order itself must say.
                _ if was_sent => self.again(now, id, Some(Stage::Order)),
                Phase::Open if enough => self.vanished(now, id, End::Canceled(GONE), out),
                Phase::Ending(end) if enough && order.last_word.is_none() => self.vanished(now, id, end, out),
                _ => self.after_fills(now, id, out),
            };
        }
        let Some(doubt) = order.doubt.as_mut() else { return };
        doubt.strangers = strangers;
        self.next_stranger(now, id);
    }

    /// Fills of an instrument that were asked for because something did not add up. Those of our orders that are not
    /// booked make the order look for itself; those on orders that nobody here knows come back, to be asked about.
    pub fn on_history(&mut self, now: UnixNanos, fills: &[PastFill]) -> Vec<PastFill> {
        let mut strangers = Vec::new();
        for past in fills {
            let by_venue = self.by_venue_id.get(&(past.instrument, past.venue_order_id)).copied();
            let owner = past.cl_ord_id.or(by_venue);
            if let Some(order) = owner.and_then(|id| self.orders.get(&id)) {
                let id = order.request.cl_ord_id;
                if !order.has_exec(&past.fill.exec_id) {
                    self.doubt(now, id);
                }
            } else if owner.is_none() && !self.knows_external(past) {
                strangers.push(*past);
            }
        }
        strangers
    }

    /// Whose the order of some fills is that [`Tracker::on_history`] gave back. Nobody's that is known here: passed on, once.
    pub fn on_strangers(
        &mut self,
        now: UnixNanos,
        account: AccountId,
        owner: Option<ClientOrderId>,
        fills: &[PastFill],
        out: &mut Vec<Action>,
    ) {
        if let Some(id) = owner.filter(|id| self.orders.contains_key(id)) {
            // Known again by its id at the venue.
            return self.nudge(now, id);
        }
        for past in fills.iter().filter(|past| owner.is_none_or(|id| !self.was_booked(id, past))).collect::<Vec<_>>() {
            let body = NewsBody::Fill { fill: past.fill, cum_qty: None };
            let PastFill { instrument, venue_order_id, ts_event, .. } = *past;
            let news = News { account, instrument, cl_ord_id: None, venue_order_id, ts_event, body };
            self.external(&news, None, out);
        }
    }

    /// Fills of one order of ours. `whole`: the question reached back to its intent, so all of them are here. Where it
    /// did not, an order with totals waits for a question of its own.
    fn count_history(
        &mut self,
        now: UnixNanos,
        id: ClientOrderId,
        whole: bool,
        past: &[PastFill],
        out: &mut Vec<Action>,
    ) {
        self.accepted(id, past[0].venue_order_id, past[0].ts_event, out);
        let fills: Vec<Fill> = past.iter().map(|p| p.fill).collect();
        let order = self.orders.get_mut(&id).expect("checked by the caller");
        match if whole { order.match_history(&fills) } else { order.states_totals().then(Vec::new) } {
            None => past.iter().for_each(|p| self.fill(now, id, p.ts_event, &p.fill, None, out)),
            Some(new) => {
                for fill in new {
                    let Some(order) = self.orders.get_mut(&id) else { return };
                    order.book(&fill, None);
                    let over = order.ceiling().is_some_and(|c| order.cum > c);
                    let ts_event = past.iter().find(|p| p.fill.exec_id == fill.exec_id).map_or(now, |p| p.ts_event);
                    self.counted(now, id, ts_event, &fill, over, out);
                }
            }
        }
        self.schedule(id);
    }

    /// The order is known and its fills were looked at.
    fn after_fills(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        let alarm_after = self.config.alarm_after;
        let Some(order) = self.open_mut(id) else { return };
        let (declared, known) = (Qty(order.declared), Qty(order.cum));
        let lacking = order.lacks_fills();
        let Some(doubt) = order.doubt.as_mut() else { return };
        if lacking && doubt.queries + 1 == alarm_after {
            out.push(Action::Alarm(Alarm::FillsMissing { id, declared, known }));
        }
        let ended = matches!(order.phase, Phase::Ending(_)) && order.last_word.is_some();
        self.again(now, id, Some(if ended { Stage::Fills } else { Stage::Order }));
    }

    /// The venue had the order and does not find it any more: it has ended, with the fills that its history shows.
    fn vanished(&mut self, now: UnixNanos, id: ClientOrderId, end: End, out: &mut Vec<Action>) {
        let Some(order) = self.open_mut(id) else { return };
        if order.lacks_fills() {
            return self.again(now, id, Some(Stage::Fills));
        }
        let known = Qty(order.cum);
        self.end(now, id, end, Some(known), out);
    }

    /// Asks whose the next unknown execution is; without any left, the position has the last word.
    fn next_stranger(&mut self, now: UnixNanos, id: ClientOrderId) {
        let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) else { return };
        doubt.stage = doubt.strangers.first().map_or(Stage::Position, |past| Stage::Owner(past.venue_order_id));
        (doubt.due, doubt.under_way) = (now, false);
    }

    fn on_owner(&mut self, now: UnixNanos, id: ClientOrderId, owner: Option<ClientOrderId>, out: &mut Vec<Action>) {
        if owner == Some(id) {
            // It is there after all: the order itself tells the rest.
            if let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) {
                (doubt.not_found, doubt.since) = (0, now);
            }
            return self.again(now, id, Some(Stage::Order));
        }
        let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) else { return };
        let Stage::Owner(asked) = doubt.stage else { return };
        let (theirs, rest): (Vec<_>, Vec<_>) = doubt.strangers.drain(..).partition(|p| p.venue_order_id == asked);
        doubt.strangers = rest;
        let (account, _) = self.account(id);
        for past in theirs {
            let body = NewsBody::Fill { fill: past.fill, cum_qty: None };
            let PastFill { instrument, venue_order_id, ts_event, .. } = past;
            let news = News { account, instrument, cl_ord_id: None, venue_order_id, ts_event, body };
            match owner.filter(|owner| self.orders.contains_key(owner)) {
                Some(owner) => self.on_news(now, &News { cl_ord_id: Some(owner), ..news }, out),
                None if owner.is_some_and(|id| self.was_booked(id, &past)) => {}
                // Somebody else's, and the stream had not told it.
                None => self.external(&news, None, out),
            }
        }
        self.next_stranger(now, id);
    }

    fn on_position(&mut self, now: UnixNanos, id: ClientOrderId, at_venue: Qty, out: &mut Vec<Action>) {
        let Some(order) = self.orders.get(&id) else { return };
        let explained = self.position(order.request.instrument, order.request.leg);
        if at_venue == explained || !self.positions.contains_key(&(order.request.instrument, order.request.leg)) {
            return self.absent(now, id, out);
        }
        // Part of this order may be in there. A difference in the other direction cannot be.
        let unexplained = at_venue.0.saturating_sub(explained.0);
        let towards = unexplained.signum() == order.request.side.sign();
        let size = match order.request.qty {
            OrderQty::Size(qty) => qty.0,
            OrderQty::Quote(_) => i64::MAX,
        };
        if !towards || unexplained.abs() > size {
            return self.absent(now, id, out);
        }
        let alarm_after = self.config.alarm_after;
        let Some(doubt) = self.open_mut(id).and_then(|o| o.doubt.as_mut()) else { return };
        if doubt.queries + 1 >= alarm_after && !doubt.alarmed {
            doubt.alarmed = true;
            out.push(Action::Alarm(Alarm::PositionUnexplained { id, at_venue, explained }));
        }
        self.again(now, id, Some(Stage::Order));
    }

    /// Neither the order, nor a fill, nor a move of the position: it never arrived.
    fn absent(&mut self, now: UnixNanos, id: ClientOrderId, out: &mut Vec<Action>) {
        match self.open_mut(id).map(|o| o.phase) {
            Some(Phase::Sent) => self.end(now, id, End::NeverArrived, None, out),
            Some(_) => self.again(now, id, Some(Stage::Order)),
            None => {}
        }
    }

    /// The next question after a growing pause.
    pub(super) fn again(&mut self, now: UnixNanos, id: ClientOrderId, stage: Option<Stage>) {
        let (first, cap) = (self.config.query_first, self.config.query_cap);
        let Some(order) = self.open_mut(id) else { return };
        let sent = order.sent;
        let doubt = order.doubt.get_or_insert_with(|| fresh(sent.max(now)));
        doubt.stage = stage.unwrap_or(doubt.stage);
        doubt.under_way = false;
        // After the first ten or so it goes on, at a pace that no budget notices.
        let cap = if doubt.queries > 12 { Nanos(cap.0.saturating_mul(5)) } else { cap };
        let pause = first.0.saturating_mul(1 << doubt.queries.min(20)).min(cap.0);
        doubt.due = now.after(Nanos(pause.max(1)));
    }
}

fn fresh(since: UnixNanos) -> Doubt {
    Doubt {
        since,
        stage: Stage::Order,
        queries: 0,
        not_found: 0,
        due: since,
        under_way: false,
        strangers: Vec::new(),
        alarmed: false,
        earlier_life: false,
    }
}
