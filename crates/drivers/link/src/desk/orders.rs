//! Orders: commands in, requests out, answers to the tracker, its reports to the kernel.
//! Never: drops a command. What cannot be sent comes back as refused, with the reason.

use super::core::{Desk, Job, Stage, alarm, warning};
use super::{DeskWords, Found, Told};
use crate::gateway::{Answer, Notice, Outbox};
use crate::reconcile::Subject;
use crate::tracker::{self, Action, Alarm, Query, Refused, Reply};
use ctos_types::{
    ClientOrderId, Command, InstrumentId, Nanos, OrderReport, Qty, RejectReason, ReportBody, Request, Text, UnixNanos,
    VenueError, VenueOrderId,
};

/// How often cancel-all of an instrument is repeated before a person is told that something stays open.
const PURGES_TOLD: u32 = 5;

impl<W: DeskWords> Desk<W> {
    pub(super) fn command(&mut self, now: UnixNanos, command: &Command, out: &mut Outbox) {
        let mut actions = std::mem::take(&mut self.actions);
        let refused = match command {
            Command::Place(order) => {
                let done = self.tracker.place(now, *order, &mut actions);
                done.err().map(|r| (Request::Place, order.cl_ord_id, order.instrument, r))
            }
            Command::Amend(amend) => {
                let done = self.tracker.amend(now, *amend, &mut actions);
                done.err().map(|r| (Request::Amend, amend.cl_ord_id, amend.instrument, r))
            }
            Command::Cancel(cancel) => {
                let done = self.tracker.cancel(now, cancel.cl_ord_id, &mut actions);
                done.err().map(|r| (Request::Cancel, cancel.cl_ord_id, cancel.instrument, r))
            }
            Command::CancelAll { instrument, .. } => {
                self.actions = actions;
                return self.cancel_all(now, *instrument, out);
            }
        };
        self.actions = actions;
        let Some((request, id, instrument, why)) = refused else { return };
        out.notices.push(warning(why.to_string()));
        let code = match why {
            // The order's own outcome is on its way.
            Refused::Repeated(_) if self.tracker.knows(id) => return,
            Refused::Repeated(_) => "REPEATED",
            Refused::NotOpen(_) => "NOT_OPEN",
            Refused::Amending(_) => "AMENDING",
        };
        let body = ReportBody::Rejected { request, reason: RejectReason::Other, code: Text::cut(code) };
        let venue_order_id = VenueOrderId::EMPTY;
        let account = self.id();
        let report = OrderReport { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event: now, body };
        self.report(now, report, out);
    }

    /// Everything of an instrument, or of all, other people's orders included; repeated until the venue shows none.
    fn cancel_all(&mut self, now: UnixNanos, instrument: Option<InstrumentId>, out: &mut Outbox) {
        let mut scope: Vec<InstrumentId> = match instrument {
            Some(id) => vec![id],
            None => {
                let own = self.tracker.open().map(|(_, id)| id);
                own.chain(self.foreign.iter().map(|(id, _)| *id)).collect()
            }
        };
        scope.sort_unstable();
        scope.dedup();
        for id in scope {
            self.purge.insert(id, 0);
            self.purge_now(now, id, out);
        }
        self.again_at(Subject::OpenOrders, now.after(Nanos::from_secs(1)));
    }

    pub(super) fn purge_now(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        let tries = self.purge.entry(instrument).or_insert(0);
        *tries += 1;
        if *tries == PURGES_TOLD {
            let symbol = self.words.instruments().get(instrument).symbol.clone();
            let what = format!("orders of {symbol} stay open although everything was cancelled {tries} times");
            out.notices.push(alarm(what, "cancel them on the venue's page; ctos goes on trying"));
        }
        let orders: Vec<ClientOrderId> =
            self.tracker.open().filter(|(_, of)| *of == instrument).map(|(id, _)| id).collect();
        for id in &orders {
            self.tracker.expect_cancel(now, *id);
        }
        let within = self.config.other_within;
        for wire in self.words.cancel_all(instrument) {
            self.ask(wire, Job::CancelAll { instrument, orders: orders.clone() }, within, out);
        }
    }

    pub(super) fn on_cancel_all(
        &mut self,
        now: UnixNanos,
        _instrument: InstrumentId,
        orders: &[ClientOrderId],
        answer: &Answer<'_>,
    ) {
        let failed = self.words.read_done(answer).is_err();
        for id in orders {
            // Done: the stream brings the ends, and what is still open later is cancelled by itself.
            if failed {
                self.tracker.cancel_in_doubt(now, *id);
            } else {
                self.tracker.nudge(now, *id);
            }
        }
        self.again_at(Subject::OpenOrders, now.after(Nanos::from_millis(500)));
    }

    pub(super) fn on_reply(
        &mut self,
        now: UnixNanos,
        (request, id, asked): (Request, ClientOrderId, UnixNanos),
        answer: &Answer<'_>,
        out: &mut Outbox,
    ) {
        // The stream has settled that amend, and another one is under way: read as the answer to this one, it would say
        // that the order has what nobody has given it yet.
        if request == Request::Amend && self.tracker.amending_since(id).is_some_and(|at| at > asked) {
            return;
        }
        let mut words = Vec::new();
        let told = self.words.read_reply(now, request, id, answer, &mut words);
        self.take(now, words, out);
        match told {
            Told::Ended(reply) => self.reply(now, id, request, reply, out),
            // Nothing follows the end: what stands at the venue is asked for when the account is opened again.
            Told::More(_) if self.stage == Stage::Stopped => self.reply(now, id, request, Reply::Unknown, out),
            Told::More(wire) => {
                let within = self.config.order_within;
                self.ask(wire, Job::Order { request, id, asked }, within, out);
            }
        }
    }

    fn reply(&mut self, now: UnixNanos, id: ClientOrderId, request: Request, reply: Reply, out: &mut Outbox) {
        let mut actions = std::mem::take(&mut self.actions);
        self.tracker.on_reply(now, id, request, reply, &mut actions);
        self.actions = actions;
        self.carry_out(now, out);
    }

    pub(super) fn on_query(&mut self, now: UnixNanos, query: Query, part: u32, answer: &Answer<'_>, out: &mut Outbox) {
        match self.words.read_query(now, &query, part, answer) {
            Found::More(wire) => {
                let within = self.config.other_within;
                self.ask(wire, Job::Query { query, part: part + 1 }, within, out);
            }
            Found::Done(answer) => {
                self.answered(now, &query, &answer);
                let fill = |a: &Action| matches!(a, Action::Report(r) if matches!(r.body, ReportBody::Fill(_)));
                if self.actions.iter().any(fill) {
                    self.unheard(now, out);
                }
            }
        }
    }

    fn answered(&mut self, now: UnixNanos, query: &Query, answer: &tracker::Answer) {
        let mut actions = std::mem::take(&mut self.actions);
        self.tracker.on_answer(now, query, answer, &mut actions);
        self.actions = actions;
    }

    /// Carries out what the tracker wants, and what follows from that.
    pub(super) fn carry_out(&mut self, now: UnixNanos, out: &mut Outbox) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                self.act(now, action, out);
            }
        }
    }

    fn act(&mut self, now: UnixNanos, action: Action, out: &mut Outbox) {
        let config = (self.config.order_within, self.config.other_within);
        match action {
            Action::Place(order) => {
                let id = order.cl_ord_id;
                let within = if order.reduce_only { config.1.min(config.0) } else { config.0 };
                match self.words.place(&order) {
                    Ok(wire) => self.ask(wire, Job::Order { request: Request::Place, id, asked: now }, within, out),
                    Err(error) => self.reply(now, id, Request::Place, refusal(&error, out), out),
                }
            }
            Action::Amend(amend) => {
                let id = amend.cl_ord_id;
                let cum = self.tracker.cum_qty(id).unwrap_or_default();
                match self.words.amend(now, &amend, cum) {
                    Ok(wire) => self.ask(wire, Job::Order { request: Request::Amend, id, asked: now }, config.0, out),
                    Err(error) => self.reply(now, id, Request::Amend, refusal(&error, out), out),
                }
            }
            Action::Cancel(cancel) => {
                let id = cancel.cl_ord_id;
                match self.words.cancel(&cancel) {
                    Ok(wire) => self.ask(wire, Job::Order { request: Request::Cancel, id, asked: now }, config.1, out),
                    Err(error) => self.reply(now, id, Request::Cancel, refusal(&error, out), out),
                }
            }
            Action::Query(query) => {
                if matches!(query.ask, tracker::Ask::Position { .. }) && !self.words.offers().positions {
                    return self.answered(now, &query, &tracker::Answer::NoPosition);
                }
                match self.words.query(now, &query) {
                    Ok(wire) => self.ask(wire, Job::Query { query, part: 0 }, config.1, out),
                    Err(error) => {
                        out.notices.push(warning(format!("a question about {}: {error}", query.about)));
                        self.answered(now, &query, &tracker::Answer::Failed);
                    }
                }
            }
            Action::Report(report) => {
                let closes = matches!(
                    report.body,
                    ReportBody::Canceled { .. }
                        | ReportBody::Expired
                        | ReportBody::Fill(_)
                        | ReportBody::Rejected { request: Request::Place, .. }
                );
                self.report(now, report, out);
                if let Some(id) = report.cl_ord_id.filter(|_| closes)
                    && !self.tracker.is_open(id)
                {
                    self.words.closed(id);
                }
            }
            Action::Alarm(what) => self.on_alarm(now, what, out),
        }
    }

    fn on_alarm(&mut self, now: UnixNanos, what: Alarm, out: &mut Outbox) {
        let text = self.told(&what);
        match what {
            Alarm::OverFill { id, cum, size } => {
                // The report of this fill follows.
                self.above = Some((id, cum, size));
                out.notices.push(alarm(text, "it is counted; look at the order on the venue's page"));
            }
            Alarm::ForeignTag { id } => {
                let (instrument, venue_order_id) = self.context;
                let (account, body) = (self.id(), ReportBody::Accepted);
                let report =
                    OrderReport { account, instrument, cl_ord_id: Some(id), venue_order_id, ts_event: now, body };
                self.report(now, report, out);
                out.notices.push(alarm(text, "stop the other instance, or give it another account"));
            }
            Alarm::Resurrected { .. } => out.notices.push(warning(text)),
            Alarm::DuplicateFill { .. } => {
                out.notices.push(alarm(text, "nothing to do: positions and balances are compared at once"));
                self.look_soon(now, now.after(self.config.second_look));
            }
            Alarm::Unresolved { .. } | Alarm::PositionUnexplained { .. } | Alarm::FillsMissing { .. } => {
                out.notices.push(alarm(text, "look at the order on the venue's page; ctos goes on asking"));
                self.look_soon(now, now);
            }
        }
    }

    /// An alarm in the instrument's own units: the tracker counts in steps of its grid.
    fn told(&self, what: &Alarm) -> String {
        let (Alarm::OverFill { id, .. } | Alarm::PositionUnexplained { id, .. } | Alarm::FillsMissing { id, .. }) =
            what
        else {
            return what.to_string();
        };
        let instruments = self.words.instruments();
        let Some(i) = self.tracker.instrument(*id).map(|i| instruments.get(i)) else { return what.to_string() };
        let (qty, symbol) = (|q: &Qty| i.qty_text(*q), &i.symbol);
        match what {
            Alarm::OverFill { cum, size, .. } => {
                format!("order {id} of {symbol}: filled {} of {}", qty(cum), qty(size))
            }
            Alarm::PositionUnexplained { at_venue, explained, .. } => format!(
                "order {id} of {symbol}: not at the venue, but the position is {} where {} is explained",
                qty(at_venue),
                qty(explained)
            ),
            Alarm::FillsMissing { declared, known, .. } => {
                format!("order {id} of {symbol}: the venue counts {} filled, {} are known", qty(declared), qty(known))
            }
            other => other.to_string(),
        }
    }
}

/// What this venue cannot do is refused in its name; nothing was sent.
fn refusal(error: &VenueError, out: &mut Outbox) -> Reply {
    out.notices.push(Notice::Warning(error.to_string()));
    match error {
        VenueError::Invalid { field, .. } => {
            let reason = match *field {
                "price" => RejectReason::BadPrice,
                "qty" => RejectReason::BadQty,
                "notional" => RejectReason::MinNotional,
                "instrument" => RejectReason::InstrumentNotTrading,
                _ => RejectReason::Unsupported,
            };
            Reply::Refused { reason, code: Text::cut(&format!("INVALID {field}")) }
        }
        VenueError::Rejected { reason, code } => Reply::Refused { reason: *reason, code: Text::cut(code) },
        other => Reply::NotSent { code: Text::cut(&other.to_string()) },
    }
}
