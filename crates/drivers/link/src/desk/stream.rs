//! The user stream: its links, and what it tells.
//! Never: believes that nothing happened while it was down.

use super::core::{Desk, USER, alarm, warning};
use super::core::{Job, Stage};
use super::{Connect, DeskWords, Word};
use crate::gateway::{Answer, Notice, Outbox, SocketDeed, SocketNews};
use crate::reconcile::Subject;
use crate::session::{Action, Forward, LinkId, SessionEvent};
use ctos_types::{AccountEvent, InstrumentId, Leg, Nanos, UnixNanos};

/// Flows that are remembered against repetition.
const FLOWS_KEPT: usize = 64;
/// After a refused login or stream.
const REFUSED_AGAIN: Nanos = Nanos::from_secs(60);
const GENTLE: Nanos = Nanos::from_secs(2);
/// A stream is not replaced for what it did not tell before it is this old: that may have happened before it was live.
const TRUSTED: Nanos = Nanos::from_secs(30);

impl<W: DeskWords> Desk<W> {
    pub(super) fn start_stream(&mut self, now: UnixNanos, out: &mut Outbox) {
        let mut actions = Vec::new();
        self.session.start(now, &mut actions);
        self.links(now, actions, out);
    }

    pub(super) fn stop_stream(&mut self, now: UnixNanos, out: &mut Outbox) {
        let mut actions = Vec::new();
        self.session.stop(now, &mut actions);
        self.links(now, actions, out);
    }

    pub(super) fn socket(&mut self, now: UnixNanos, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox) {
        let mut actions = Vec::new();
        let mut frame = None;
        match news {
            SocketNews::Opened => self.session.on_connected(now, link, &mut actions),
            SocketNews::Closed { why } => self.session.on_closed(now, link, why, &mut actions),
            SocketNews::Ping => self.session.on_ping(now, link),
            SocketNews::Pong => self.session.on_pong(now, link),
            SocketNews::Text(text) => {
                if self.session.on_text(now, link, text, &mut actions) == Forward::Yes {
                    frame = Some(*text);
                }
            }
        }
        if let Some(text) = frame {
            self.frame(now, text, out);
        }
        self.links(now, actions, out);
    }

    pub(super) fn stream_deadline(&mut self, now: UnixNanos, out: &mut Outbox) {
        if self.stream_due <= now {
            self.stream_due = UnixNanos::MAX;
            self.stop_stream(now, out);
            self.start_stream(now, out);
        }
        let mut actions = Vec::new();
        if self.session.deadline().0 <= now {
            self.session.on_deadline(now, &mut actions);
        }
        self.links(now, actions, out);
        let late: Vec<_> = self.early.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| *key).collect();
        for key in late {
            let id = self.early.remove(&key).and_then(|(_, id)| id);
            match id {
                Some(id) => self.tracker.nudge(now, id),
                None => self.look_soon(now, now),
            }
        }
    }

    pub(super) fn on_connect(&mut self, now: UnixNanos, link: LinkId, answer: &Answer<'_>, out: &mut Outbox) {
        match self.words.read_connect(self.session.words(), answer) {
            Ok(address) => out.sockets.push((USER, link, SocketDeed::Connect { address })),
            Err(trouble) => {
                if let Some(hint) = trouble.hint {
                    out.notices.push(alarm(trouble.why.clone(), hint));
                }
                let mut actions = Vec::new();
                self.session.on_closed(now, link, &trouble.why, &mut actions);
                self.links(now, actions, out);
            }
        }
    }

    pub(super) fn on_renew(&mut self, now: UnixNanos, link: LinkId, answer: &Answer<'_>, out: &mut Outbox) {
        let how = self.words.read_renew(answer);
        let mut actions = Vec::new();
        self.session.on_renewed(now, link, how, &mut actions);
        self.links(now, actions, out);
    }

    /// Carries out what the session wants.
    pub(super) fn links(&mut self, now: UnixNanos, actions: Vec<Action>, out: &mut Outbox) {
        for action in actions {
            match action {
                Action::Connect(link) => match self.words.connect() {
                    Connect::Address(address) => out.sockets.push((USER, link, SocketDeed::Connect { address })),
                    Connect::Ask(wire) => {
                        let within = self.config.other_within;
                        self.ask(wire, Job::Connect(link), within, out);
                    }
                },
                Action::Send(link, text) => out.sockets.push((USER, link, SocketDeed::Send(text))),
                Action::Ping(link) => out.sockets.push((USER, link, SocketDeed::Ping)),
                Action::Close(link, why) => out.sockets.push((USER, link, SocketDeed::Close { why })),
                Action::Renew(link) => {
                    if let Some(wire) = self.words.renew() {
                        let within = self.config.other_within;
                        self.ask(wire, Job::Renew(link), within, out);
                    }
                }
                Action::Frame(text) => self.frame(now, &text, out),
                Action::Emit(event) => self.session_event(now, event, out),
            }
        }
    }

    fn session_event(&mut self, now: UnixNanos, event: SessionEvent, out: &mut Outbox) {
        match event {
            SessionEvent::Gap { why, .. } => {
                out.notices.push(warning(format!("user stream interrupted: {why}")));
                self.look_soon(now, now);
            }
            SessionEvent::Resync { .. } => {
                self.resync = Some(now);
                self.look_soon(now, now);
            }
            SessionEvent::Live => {
                self.stream_since = now;
                out.notices.push(Notice::Info("user stream is live".into()));
            }
            SessionEvent::Rotated { why } => out.notices.push(Notice::Info(format!("user stream changed over: {why}"))),
            SessionEvent::Restored { .. } => self.look_soon(now, now),
            SessionEvent::Retrying { failures, why, .. } => {
                out.notices.push(warning(format!("user stream: {why} (failure {failures}), connecting again")));
            }
            SessionEvent::StreamRefused { code, text, .. } | SessionEvent::LoginRefused { code, text } => {
                self.stream_due = now.after(REFUSED_AGAIN);
                self.told_refusals += 1;
                if self.told_refusals <= 3 {
                    let what = format!("the venue refuses the user stream: {text} ({code})");
                    out.notices.push(alarm(what, "check the API key and its permissions; ctos tries again"));
                }
            }
        }
    }

    /// A fill was learnt by asking, which the stream has not told: a link that is up and mute, as one whose end was
    /// announced to nobody, is only found out like this, since silence of a private stream says nothing.
    pub(super) fn unheard(&mut self, now: UnixNanos, out: &mut Outbox) {
        if !self.session.is_live() || now < self.stream_since.after(TRUSTED) {
            return;
        }
        self.stream_since = now;
        out.notices.push(warning("the user stream did not tell of a fill: another link takes its place"));
        let mut actions = Vec::new();
        self.session.replace(now, "it does not tell everything", &mut actions);
        self.links(now, actions, out);
        self.look_soon(now, now.after(self.config.second_look));
    }

    /// A frame of the user stream.
    pub(super) fn frame(&mut self, now: UnixNanos, text: &str, out: &mut Outbox) {
        let mut words = Vec::new();
        if let Err(why) = self.words.read_frame(now, text, &mut words) {
            out.notices.push(warning(format!("a frame of the user stream was not understood: {why}")));
            words.push(Word::Doubtful(why));
        }
        self.take(now, words, out);
    }

    /// What was said, by the stream or by an answer.
    pub(super) fn take(&mut self, now: UnixNanos, words: Vec<Word>, out: &mut Outbox) {
        for word in words {
            match word {
                Word::Order(news) => {
                    self.context = (news.instrument, news.venue_order_id);
                    let mut actions = std::mem::take(&mut self.actions);
                    self.tracker.on_news(now, &news, &mut actions);
                    self.actions = actions;
                    // The kernel hears of it before whatever comes next.
                    self.carry_out(now, out);
                }
                Word::Early { instrument, exec_id, cl_ord_id, .. } => {
                    let due = now.after(self.config.early_within);
                    self.early.insert((instrument, exec_id), (due, cl_ord_id));
                }
                Word::Balance { currency, balance, .. } => self.balance_told(now, currency, balance, out),
                Word::BalanceMoved { .. } => self.again_at(Subject::Balances, now.after(GENTLE)),
                Word::Position { instrument, leg, qty } => {
                    let account = self.id();
                    self.account_event(now, &AccountEvent::Position { account, instrument, leg, qty }, out);
                    if self.ledger.position((instrument, leg)).qty != qty {
                        self.again_at(Subject::Positions, now.after(GENTLE));
                    }
                }
                Word::Flow { currency, amount, ts_event } => {
                    if self.is_new_flow((currency, amount, ts_event)) && !self.opening_cash {
                        self.adjust_cash(now, currency, amount, out);
                    }
                }
                Word::Funding { instrument, amount, currency, ts_event } => {
                    if self.is_new_flow((currency, amount, ts_event)) && !self.opening_cash {
                        self.funding(now, instrument, amount, currency, out);
                    }
                }
                Word::Liquidated => {
                    let event = AccountEvent::Liquidated { account: self.id() };
                    self.account_event(now, &event, out);
                    let what = "the venue liquidates the account's positions";
                    out.notices.push(alarm(what, "the account is halted; look at it on the venue's page"));
                    self.look_soon(now, now);
                }
                Word::Doubtful(_) => {
                    self.tracker.on_gap(now);
                    self.look_soon(now, now);
                }
                Word::Tell(notice) => out.notices.push(notice),
            }
        }
    }

    fn is_new_flow(&mut self, flow: (ctos_types::Currency, ctos_types::Decimal, UnixNanos)) -> bool {
        if self.flows.contains(&flow) {
            return false;
        }
        if self.flows.len() == FLOWS_KEPT {
            self.flows.pop_front();
        }
        self.flows.push_back(flow);
        true
    }

    fn funding(
        &mut self,
        now: UnixNanos,
        instrument: Option<InstrumentId>,
        amount: ctos_types::Decimal,
        currency: ctos_types::Currency,
        out: &mut Outbox,
    ) {
        // Where the venue does not say of what, one open position leaves no doubt.
        let open = self.ledger.quantities();
        let only = if open.len() == 1 { open.keys().next().map(|(id, _)| *id) } else { None };
        let Some(instrument) = instrument.or(only) else { return self.adjust_cash(now, currency, amount, out) };
        let leg = open.keys().find(|(id, _)| *id == instrument).map_or(Leg::Net, |(_, leg)| *leg);
        let account = self.id();
        self.ledger.flow(now, currency, amount);
        self.account_event(now, &AccountEvent::Funding { account, instrument, leg, amount, currency }, out);
    }

    /// The session is told once everything it waits for was answered since.
    pub(super) fn check_resync(&mut self, now: UnixNanos, out: &mut Outbox) {
        let Some(since) = self.resync.filter(|_| self.stage == Stage::Running) else { return };
        let subjects: Vec<Subject> = self.schedule.subjects().collect();
        if subjects.iter().all(|s| self.asked.get(s).is_some_and(|at| *at >= since)) {
            self.resync = None;
            let mut actions = Vec::new();
            self.session.on_resynced(now, true, &mut actions);
            self.links(now, actions, out);
        }
    }
}
