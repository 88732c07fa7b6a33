//! The desk itself: what it holds, its inputs, and when it must be called.
//! Never: lets an answer pass without the question it belongs to.

use super::ledger::Ledger;
use super::look::Look;
use super::suspect::Suspects;
use super::{DeskConfig, DeskWords, Holdings, Trouble, Wire};
use crate::gateway::{Answer, Ask, Notice, Outbox, Part, PartStatus, SocketNews, SocketNo};
use crate::reconcile::{Schedule, Subject};
use crate::session::{LinkId, Session};
use crate::tracker::{Action, PastFill, Query, Tracker};
use ctos_types::{
    AccountEvent, AccountId, Balance, ClientOrderId, Command, Currency, Decimal, Event, ExecId, InstrumentId, Leg,
    Nanos, OrderReport, Qty, ReportBody, Request, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The user stream's socket.
pub(super) const USER: SocketNo = SocketNo(0);

/// What an answer belongs to.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Order {
        request: Request,
        id: ClientOrderId,
        /// When the tracker asked for it.
        asked: UnixNanos,
    },
    Query {
        query: Query,
        part: u32,
    },
    Look {
        subject: Subject,
        round: u64,
    },
    History {
        query: Query,
        part: u32,
    },
    /// Whose an order of the venue is.
    Owner {
        query: Query,
        part: u32,
    },
    Settings {
        part: usize,
    },
    Connect(LinkId),
    Renew(LinkId),
    /// A cancel of many: the orders of ours that it speaks for.
    CancelAll {
        instrument: InstrumentId,
        orders: Vec<ClientOrderId>,
    },
    DeadMan(InstrumentId),
    /// Nothing depends on it.
    Other,
}

/// How far the desk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The venue's clock is not known: nothing can be signed.
    Clock,
    /// Reads and sets the account's settings.
    Settings,
    /// The user stream is wanted, and the account is looked at.
    Running,
    Stopped,
}

/// One account. See [`super`].
#[derive(Debug)]
pub struct Desk<W: DeskWords> {
    pub(super) config: DeskConfig,
    pub(super) words: W,
    pub(super) account: [AccountId; 1],
    pub(super) stage: Stage,
    pub(super) session: Session<W::Stream>,
    pub(super) tracker: Tracker,
    pub(super) actions: Vec<Action>,
    pub(super) schedule: Schedule,
    pub(super) ledger: Ledger,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) next_tag: u64,

    // ---- settings
    pub(super) settings_parts: usize,
    pub(super) settings_open: usize,
    pub(super) settings_due: UnixNanos,
    pub(super) settings_wrong: Option<Trouble>,

    // ---- the stream
    /// The session waits until everything asked for since then was answered.
    pub(super) resync: Option<UnixNanos>,
    pub(super) stream_due: UnixNanos,
    /// When the stream came to be live or was last replaced: what happened before may have to be asked for.
    pub(super) stream_since: UnixNanos,
    pub(super) early: BTreeMap<(InstrumentId, ExecId), (UnixNanos, Option<ClientOrderId>)>,
    /// Flows told lately: while links change over each comes twice.
    pub(super) flows: VecDeque<(Currency, Decimal, UnixNanos)>,

    // ---- looks
    pub(super) looks: BTreeMap<Subject, Look>,
    pub(super) rounds: u64,
    /// Balances as the kernel was told them last.
    pub(super) told_balances: BTreeMap<Currency, Balance>,
    pub(super) again: BTreeMap<Subject, UnixNanos>,
    pub(super) asked: BTreeMap<Subject, UnixNanos>,
    pub(super) odd_positions: Suspects<(InstrumentId, Leg), Qty>,
    pub(super) odd_cash: Suspects<Currency, Decimal>,
    /// Positions with fills that were booked in another order than the venue's, until its cost was taken over.
    pub(super) miscosted: BTreeSet<(InstrumentId, Leg)>,
    /// How finely the venue writes what a position cost; see [`super::PositionRow::entry_unit`].
    pub(super) entry_units: BTreeMap<(InstrumentId, Leg), Decimal>,
    /// Whether the first word on balances and on positions is taken as it is.
    pub(super) opening_cash: bool,
    pub(super) opening_positions: bool,
    /// Since when executions of an instrument may be missing.
    pub(super) agreed: UnixNanos,
    pub(super) histories: BTreeMap<InstrumentId, UnixNanos>,
    /// Executions of a history on orders that nobody here knows, until the venue says whose they are.
    pub(super) strangers: BTreeMap<InstrumentId, Vec<PastFill>>,
    /// Other people's open orders.
    pub(super) foreign: BTreeSet<(InstrumentId, VenueOrderId)>,
    /// Orders that are closed with us and open in the last list, and in how many lists in a row.
    pub(super) undead: BTreeMap<ClientOrderId, u32>,
    /// Instruments of which nothing may stay open, until the venue says so.
    pub(super) purge: BTreeMap<InstrumentId, u32>,
    /// Where the news in hand is about, for what the tracker says of it.
    pub(super) context: (InstrumentId, VenueOrderId),
    /// Of an over-fill whose report comes next: the order, what is filled with it, and what the order could take.
    pub(super) above: Option<(ClientOrderId, Qty, Qty)>,

    pub(super) dead_man: BTreeMap<InstrumentId, UnixNanos>,
    pub(super) dead_man_failures: u32,
    pub(super) standing: Option<bool>,
    pub(super) told_refusals: u32,
    /// A refusal of a look that a person was told of, and when.
    pub(super) told_trouble: Option<(String, UnixNanos)>,
}

impl<W: DeskWords> Desk<W> {
    /// `now`: the room's clock.
    pub fn new(config: DeskConfig, mut words: W, holdings: &Holdings, now: UnixNanos) -> Desk<W> {
        let mut tracker = Tracker::new(config.tracker.clone());
        tracker.begin(now);
        let mut ledger = Ledger::default();
        for (tag, seq) in &holdings.placed {
            tracker.used_up_to(*tag, *seq);
        }
        tracker.booked(holdings.booked.iter().copied());
        for (id, leg, position) in &holdings.positions {
            ledger.set_position((*id, *leg), *position);
        }
        for (currency, amount) in &holdings.cash {
            ledger.set_cash(*currency, *amount);
        }
        let offers = words.offers();
        if offers.positions {
            for id in words.traded() {
                tracker.set_position(id, Leg::Net, ledger.position((id, Leg::Net)).qty);
            }
            for (id, leg, position) in &holdings.positions {
                tracker.set_position(*id, *leg, position.qty);
            }
        }
        for held in &holdings.orders {
            words.recall(held);
            tracker.recover(now, held);
        }
        let mut schedule = Schedule::new(config.schedule, now, config.seed);
        if !offers.positions {
            schedule = schedule.without(Subject::Positions);
        }
        let (session_config, stream, streams) = words.stream();
        let mut session = Session::new(session_config, stream, config.seed);
        session.subscribe(now, &streams, &mut Vec::new());
        let fresh = holdings.cash.is_empty() && holdings.positions.is_empty() && holdings.orders.is_empty();
        // Executions of an earlier life that were missed lie at most as far back as its oldest open order, or its end.
        let oldest = holdings.orders.iter().map(|h| h.sent).min();
        let agreed = oldest.unwrap_or(now).min(now) - config.tracker.slack;
        Desk {
            account: [words.account()],
            config,
            words,
            stage: Stage::Clock,
            session,
            tracker,
            actions: Vec::new(),
            schedule,
            ledger,
            jobs: BTreeMap::new(),
            next_tag: 0,
            settings_parts: 0,
            settings_open: 0,
            settings_due: UnixNanos::MAX,
            settings_wrong: None,
            resync: None,
            stream_due: UnixNanos::MAX,
            stream_since: now,
            early: BTreeMap::new(),
            flows: VecDeque::new(),
            looks: BTreeMap::new(),
            rounds: 0,
            told_balances: BTreeMap::new(),
            again: BTreeMap::new(),
            asked: BTreeMap::new(),
            odd_positions: Suspects::default(),
            odd_cash: Suspects::default(),
            miscosted: BTreeSet::new(),
            entry_units: BTreeMap::new(),
            opening_cash: holdings.cash.is_empty(),
            opening_positions: fresh && offers.positions,
            agreed,
            histories: BTreeMap::new(),
            strangers: BTreeMap::new(),
            foreign: BTreeSet::new(),
            undead: BTreeMap::new(),
            purge: BTreeMap::new(),
            context: (InstrumentId(0), VenueOrderId::EMPTY),
            above: None,
            dead_man: BTreeMap::new(),
            dead_man_failures: 0,
            standing: None,
            told_refusals: 0,
            told_trouble: None,
        }
    }

    // ---- what is known, for people and judges

    /// Whether new risk is allowed.
    pub fn is_known(&self) -> bool {
        self.standing == Some(true)
    }

    /// Orders of which nobody knows how they stand.
    pub fn doubts(&self) -> Vec<ClientOrderId> {
        self.tracker.in_doubt().collect()
    }

    // ---- shared

    pub(super) fn id(&self) -> AccountId {
        self.account[0]
    }

    pub(super) fn ask(&mut self, wire: Wire, job: Job, within: Nanos, out: &mut Outbox) {
        self.next_tag += 1;
        let tag = self.next_tag;
        self.jobs.insert(tag, job);
        let Wire { base, lane, cost, draft } = wire;
        out.asks.push(Ask { tag, lane, cost, within, base, draft });
    }

    pub(super) fn account_event(&self, now: UnixNanos, event: &AccountEvent, out: &mut Outbox) {
        out.event(now, Event::Account(event));
    }

    /// Every report to the kernel passes here: what it books, the ledger books.
    pub(super) fn report(&mut self, now: UnixNanos, mut report: OrderReport, out: &mut Outbox) {
        if let ReportBody::Fill(fill) = &report.body {
            self.early.remove(&(report.instrument, fill.exec_id));
            if let Some((id, cum, size)) = self.above.take()
                && report.cl_ord_id == Some(id)
                && cum.0 - fill.last_qty.0 >= size.0
            {
                // The kernel has closed the order with what it could take: the rest is nobody's.
                report.cl_ord_id = None;
            }
            let instruments = self.words.instruments();
            let in_order = self.ledger.fill(now, report.instrument, instruments, fill, report.ts_event);
            if !in_order && self.words.offers().positions {
                self.miscosted.insert((report.instrument, fill.leg));
                self.again_at(Subject::Positions, now.after(self.config.second_look));
            }
        }
        out.event(now, Event::Report(&report));
    }

    /// After every input: what follows from it, and whether the account is known.
    pub(super) fn settle(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.carry_out(now, out);
        self.check_resync(now, out);
        self.wind_up(now, out);
        self.tell_standing(now, out);
    }
}

impl<W: DeskWords> Part for Desk<W> {
    fn start(&mut self, _now: UnixNanos, _out: &mut Outbox) {
        // The clock comes first: the frame measures it, and tells.
    }

    fn on_command(&mut self, now: UnixNanos, command: &Command, out: &mut Outbox) {
        self.command(now, command, out);
        self.settle(now, out);
    }

    fn on_answer(&mut self, now: UnixNanos, tag: u64, answer: &Answer<'_>, out: &mut Outbox) {
        let Some(job) = self.jobs.remove(&tag) else { return };
        match job {
            Job::Order { request, id, asked } => self.on_reply(now, (request, id, asked), answer, out),
            Job::Query { query, part } => self.on_query(now, query, part, answer, out),
            Job::Look { subject, round } => self.on_look(now, subject, round, answer, out),
            Job::History { query, part } => self.on_history(now, query, part, answer, out),
            Job::Owner { query, part } => self.on_owner(now, query, part, answer, out),
            Job::Settings { part } => self.on_settings(now, part, answer, out),
            Job::Connect(link) => self.on_connect(now, link, answer, out),
            Job::Renew(link) => self.on_renew(now, link, answer, out),
            Job::CancelAll { instrument, orders } => self.on_cancel_all(now, instrument, &orders, answer),
            Job::DeadMan(instrument) => self.on_dead_man(now, instrument, answer, out),
            Job::Other => {}
        }
        self.settle(now, out);
    }

    fn on_socket(&mut self, now: UnixNanos, _: SocketNo, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox) {
        self.socket(now, link, news, out);
        self.settle(now, out);
    }

    fn deadline(&self) -> (UnixNanos, &'static str) {
        let running = self.stage == Stage::Running;
        let never = (UnixNanos::MAX, "nothing");
        let all = [
            (self.settings_due, "settings"),
            (self.stream_due, "user stream again"),
            self.tracker.deadline().unwrap_or(never),
            if running { self.session.deadline() } else { never },
            self.schedule.deadline().filter(|_| running).map_or(never, |(at, _)| (at, "safety net")),
            (self.again.values().min().copied().filter(|_| running).unwrap_or(UnixNanos::MAX), "second look"),
            (self.early.values().map(|(at, _)| *at).min().unwrap_or(UnixNanos::MAX), "fills announced"),
            (self.dead_man.values().min().copied().filter(|_| running).unwrap_or(UnixNanos::MAX), "dead man's switch"),
        ];
        if self.stage == Stage::Stopped {
            return never;
        }
        // Nothing can be signed before the clock is known; orders of earlier lives wait.
        if self.stage == Stage::Clock {
            return never;
        }
        all.into_iter().min_by_key(|(at, _)| *at).unwrap_or(never)
    }

    fn on_deadline(&mut self, now: UnixNanos, out: &mut Outbox) {
        if matches!(self.stage, Stage::Clock | Stage::Stopped) {
            return;
        }
        if self.settings_due <= now {
            self.begin_settings(now, out);
        }
        if self.stage == Stage::Running {
            self.stream_deadline(now, out);
            self.look_deadline(now, out);
        }
        let mut actions = std::mem::take(&mut self.actions);
        self.tracker.on_deadline(now, &mut actions);
        self.actions = actions;
        self.settle(now, out);
    }

    fn set_clock(&mut self, now: UnixNanos, offset: Nanos) {
        self.words.set_clock(offset);
        self.session.set_clock(offset);
        if self.stage == Stage::Clock {
            self.stage = Stage::Settings;
            self.settings_due = now;
        }
    }

    fn accounts(&self) -> &[AccountId] {
        &self.account
    }

    fn status(&self, _now: UnixNanos) -> PartStatus {
        let mut doubts: Vec<String> =
            self.tracker.unresolved().map(|(id, _)| format!("order {id} has no verdict")).collect();
        doubts.extend(self.unknown().filter(|_| doubts.is_empty()));
        PartStatus { name: self.words.name(), live: self.is_known(), doubts }
    }

    fn stop(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.farewell(now, out);
    }
}

/// Whether an answer came from the venue, and when the question left.
pub(super) fn sent_at(answer: &Answer<'_>, now: UnixNanos) -> UnixNanos {
    match answer {
        Answer::Http { sent, .. } => *sent,
        Answer::Go { .. } | Answer::NotSent { .. } | Answer::Unknown { .. } => now,
    }
}

pub(super) fn warning(what: impl Into<String>) -> Notice {
    Notice::Warning(what.into())
}

pub(super) fn alarm(what: impl Into<String>, hint: impl Into<String>) -> Notice {
    Notice::Alarm { what: what.into(), hint: hint.into() }
}
