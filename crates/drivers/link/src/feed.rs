//! The market data of a list of instruments as a [`Part`]: streams on as many sockets as they need, a book of each
//! instrument kept in step, funding settlements, and the list of instruments read again.
//!
//! ```text
//!  frame ─► Session ─► Talk::take ─► chain, numbers ─► events          gap ─► event at once ─► snapshot by Ask, Query lane
//! ```
//! What a hole in the data means: of the book, the kernel is told [`MarketData::Gap`] at once and gets a new snapshot; of
//! quotes, trades or bars without a book, the gap alone; of those beside a whole book, a warning, since the book still
//! is exact; of marks, a warning (the kernel knows a mark's age).
//! Never: a venue's word, a copy of a book, or an allocation per frame while nothing is wrong.
//!
//! [`MarketData::Gap`]: ctos_types::MarketData::Gap

mod answers;
mod book;
mod frames;
mod market;
mod words;

pub use book::{BookSync, Chain, Fit, Levels, MAX_WAITING_DIFFS, MAX_WAITING_LEVELS, Place, SyncCounts, SyncOut};
pub use market::Standing;
pub use words::{FeedWords, Flow, Item, Liquidation, Listed, MarkNews, Question, RouteNo, StreamPlan, Talk, Want};

use crate::backoff::BackoffConfig;
use crate::gateway::{Answer, Ask, Notice, Outbox, Part, PartStatus, Record, SocketDeed, SocketNews, SocketNo};
use crate::rate::Lane;
use crate::session::{Action, Forward, LinkId, Session, SessionEvent};
use ctos_types::{AccountId, Command, Instrument, InstrumentId, Nanos, UnixNanos};
use market::MarketState;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// How long a snapshot question may wait for room.
    pub snapshot_within: Nanos,
    /// Snapshot questions under way at once.
    pub snapshots_at_once: usize,
    /// Between snapshots of one book that do not hold.
    pub backoff: BackoffConfig,
    /// How often the list of instruments is read again. `None`: only when the venue says that it changed.
    pub listing_every: Option<Nanos>,
    /// For the jitter of back-offs.
    pub seed: u64,
}

impl Default for FeedConfig {
    fn default() -> FeedConfig {
        FeedConfig {
            snapshot_within: Nanos::from_secs(60),
            snapshots_at_once: 4,
            backoff: BackoffConfig {
                first: Nanos::from_millis(250),
                cap: Nanos::from_secs(30),
                good_after: Nanos::from_secs(30),
            },
            listing_every: Some(Nanos::from_secs(1_800)),
            seed: 1,
        }
    }
}

/// What has come so far, and what was wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    pub diffs: u64,
    pub quotes: u64,
    pub trades: u64,
    pub bars: u64,
    pub marks: u64,
    pub liquidations: u64,
    pub snapshots: u64,
    pub funding: u64,
    /// Understood and of no use: answers, open bars.
    pub quiet: u64,
    /// Of instruments that were not asked for.
    pub foreign: u64,
    /// Not understood.
    pub bad: u64,
    pub quotes_old: u64,
    pub trades_repeated: u64,
    /// Trades whose numbers were never seen.
    pub trades_missing: u64,
    pub trades_off_book: u64,
}

/// What a stream is to us.
#[derive(Clone, Copy, Debug)]
struct Role {
    flow: Flow,
    /// Place in `markets`.
    market: Option<usize>,
}

#[derive(Debug)]
struct Socket<T: Talk> {
    session: Session<T>,
    address: String,
    roles: BTreeMap<String, Role>,
}

/// What a question was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Place in `markets`, and its epoch then.
    Snapshot(usize, u32),
    Funding(usize),
    Listing,
}

/// Things of one kind that go wrong often are told rarely.
#[derive(Clone, Copy, Debug)]
struct Hush {
    next: UnixNanos,
    kept_back: u64,
}

const HUSH: Nanos = Nanos::from_secs(10);

/// See the module's text. Made with [`Feed::new`], handed to the frame.
#[derive(Debug)]
pub struct Feed<W: FeedWords> {
    words: W,
    config: FeedConfig,
    sockets: Vec<Socket<W::Talk>>,
    markets: Vec<MarketState<W::Chain>>,
    /// Where an instrument stands in `markets`, by its id.
    places: Vec<Option<usize>>,
    asked: BTreeMap<u64, Asked>,
    next_tag: u64,
    snapshots_under_way: usize,
    /// Storage for snapshots that come as answers.
    levels: Levels,
    listing_due: UnixNanos,
    listing_read: UnixNanos,
    offset: Nanos,
    rng: Xoshiro256PlusPlus,
    actions: Vec<Action>,
    /// No deadline is due before; recomputed after whatever may bring one nearer.
    due: (UnixNanos, &'static str),
    /// A frame brought a deadline nearer.
    hurry: bool,
    counts: FeedCounts,
    last_liquidation: Option<Liquidation>,
    bad: Hush,
    holes: Hush,
    running: bool,
}

impl<W: FeedWords> Feed<W> {
    /// `wants` in the order of their importance: books are asked for in this order.
    pub fn new(words: W, wants: Vec<(Instrument, Want)>, config: FeedConfig) -> Feed<W> {
        let ids: Vec<(InstrumentId, Want)> = wants.iter().map(|(i, want)| (i.id, want.clone())).collect();
        let mut places = vec![None; ids.iter().map(|(id, _)| id.index() + 1).max().unwrap_or(0)];
        for (place, (id, _)) in ids.iter().enumerate() {
            places[id.index()] = Some(place);
        }
        let chain = words.chain();
        let state = |(i, want): (Instrument, Want)| MarketState::new(&i, want, chain, config.backoff);
        let markets = wants.into_iter().map(state).collect();
        let mut routes = BTreeMap::<RouteNo, Vec<StreamPlan>>::new();
        for plan in words.streams(&ids) {
            routes.entry(plan.route).or_default().push(plan);
        }
        let mut sockets = Vec::new();
        for (route, plans) in routes {
            for batch in plans.chunks(words.max_streams(route).max(1)) {
                let place = |id: InstrumentId| places.get(id.index()).copied().flatten();
                let role = |p: &StreamPlan| Role { flow: p.flow, market: p.instrument.and_then(place) };
                let roles = batch.iter().map(|p| (p.name.clone(), role(p))).collect();
                let seed = config.seed.wrapping_mul(31).wrapping_add(sockets.len() as u64);
                let session = Session::new(words.session(route), words.talk(route), seed);
                sockets.push(Socket { session, address: words.address(route), roles });
            }
        }
        let quiet = Hush { next: UnixNanos::MIN, kept_back: 0 };
        Feed {
            words,
            rng: Xoshiro256PlusPlus::seed_from_u64(config.seed),
            config,
            sockets,
            markets,
            places,
            asked: BTreeMap::new(),
            next_tag: 0,
            snapshots_under_way: 0,
            levels: Levels::default(),
            listing_due: UnixNanos::MAX,
            listing_read: UnixNanos::MIN,
            offset: Nanos::ZERO,
            actions: Vec::new(),
            due: (UnixNanos::MAX, "nothing"),
            hurry: false,
            counts: FeedCounts::default(),
            last_liquidation: None,
            bad: quiet,
            holes: quiet,
            running: false,
        }
    }

    /// What has come so far.
    pub fn counts(&self) -> FeedCounts {
        self.counts
    }

    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Of all liquidations of others that were told: the last one.
    pub fn last_liquidation(&self) -> Option<Liquidation> {
        self.last_liquidation
    }

    /// The update id of an instrument's book, while it is exact.
    pub fn book_id(&self, instrument: InstrumentId) -> Option<u64> {
        self.book_sync(instrument).and_then(BookSync::update_id)
    }

    /// The chain of an instrument's book, where one is wanted.
    pub fn book_sync(&self, instrument: InstrumentId) -> Option<&BookSync<W::Chain>> {
        let place = self.places.get(instrument.index()).copied().flatten()?;
        self.markets[place].sync.as_ref()
    }

    /// Whether everything that is wanted comes, as far as can be told.
    pub fn is_whole(&self) -> bool {
        let books = self.markets.iter().all(|m| m.sync.as_ref().is_none_or(BookSync::is_valid));
        books && self.sockets.iter().all(|s| s.session.is_live())
    }

    /// Carries out what the sessions asked for, then what is due, then looks when something is due next.
    fn settle(&mut self, now: UnixNanos, at: usize, out: &mut Outbox) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                self.act(now, at, action, out);
            }
        }
        self.look(now, out);
    }

    fn act(&mut self, now: UnixNanos, at: usize, action: Action, out: &mut Outbox) {
        let socket = SocketNo(at as u16);
        let mut deed = |link: LinkId, deed| out.sockets.push((socket, link, deed));
        match action {
            Action::Connect(link) => deed(link, SocketDeed::Connect { address: self.sockets[at].address.clone() }),
            Action::Send(link, text) => deed(link, SocketDeed::Send(text)),
            Action::Ping(link) => deed(link, SocketDeed::Ping),
            Action::Close(link, why) => deed(link, SocketDeed::Close { why }),
            // Market data needs no credentials, so there is nothing to renew.
            Action::Renew(_) => {}
            Action::Frame(text) => {
                use crate::session::Words as _;
                self.sockets[at].session.words().classify(&text);
                self.said(now, at, out);
            }
            Action::Emit(event) => self.told(now, at, event, out),
        }
    }

    fn told(&mut self, now: UnixNanos, at: usize, event: SessionEvent, out: &mut Outbox) {
        let name = self.words.name().to_string();
        let venue_time = now.after(self.offset);
        if let SessionEvent::Gap { stream, since, why } = &event {
            out.records.push(Record::Gap { at: now, since: *since, stream: stream.clone(), why: why.clone() });
        }
        match event {
            SessionEvent::Gap { stream: Some(stream), why, .. } => {
                let role = self.sockets[at].roles.get(&stream).copied();
                if let Some(role) = role {
                    self.broken(now, venue_time, role, out);
                }
                out.notices.push(Notice::Warning(format!("{name}: {stream}: {why}")));
            }
            SessionEvent::Gap { stream: None, why, .. } => {
                let roles: Vec<Role> = self.sockets[at].roles.values().copied().collect();
                for role in roles {
                    self.broken(now, venue_time, role, out);
                }
                out.notices.push(Notice::Warning(format!("{name}: link lost: {why}")));
            }
            SessionEvent::Restored { stream } => {
                out.notices.push(Notice::Info(format!("{name}: {stream} is back")));
            }
            // Data speaks for itself: there is nothing to catch up with but books, which have their own snapshots.
            SessionEvent::Resync { .. } => self.sockets[at].session.on_resynced(now, true, &mut self.actions),
            SessionEvent::Live => out.notices.push(Notice::Info(format!("{name}: link {} is up", at + 1))),
            SessionEvent::Rotated { why } => {
                out.notices.push(Notice::Info(format!("{name}: link {} replaced ({why})", at + 1)));
            }
            SessionEvent::StreamRefused { stream, code, text } => out.notices.push(Notice::Alarm {
                what: format!("{name}: the venue refuses the stream {stream}: {text} ({code})"),
                hint: "check that the symbol is still listed; strategies on it get no data".into(),
            }),
            SessionEvent::Retrying { at: when, why, .. } => {
                let wait = (when - now).as_secs_f64();
                out.notices.push(Notice::Warning(format!("{name}: {why}; next try in {wait:.1} s")));
            }
            SessionEvent::LoginRefused { code, text } => out.notices.push(Notice::Alarm {
                what: format!("{name}: the venue refuses the connection: {text} ({code})"),
                hint: "check the venue's address in the settings".into(),
            }),
        }
    }

    /// A hole in a stream: see the module's text.
    fn broken(&mut self, now: UnixNanos, ts_event: UnixNanos, role: Role, out: &mut Outbox) {
        let Some(m) = role.market.map(|place| &mut self.markets[place]) else { return };
        match role.flow {
            Flow::Book => m.broken(now, ts_event, out),
            Flow::Quotes | Flow::Trades | Flow::Bars if m.sync.is_none() => m.broken(now, ts_event, out),
            // Numbers go on where they go on: what is missing shows with the next one and is told then.
            Flow::Quotes | Flow::Trades | Flow::Bars | Flow::Marks | Flow::Liquidations | Flow::News => {}
        }
    }

    /// Deeds whose time has come, and the next one's.
    fn look(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.hurry = false;
        if self.running {
            self.ask_snapshots(now, out);
            self.ask_funding(now, out);
            self.ask_listing(now, out);
        }
        let mut due = (UnixNanos::MAX, "nothing");
        let mut propose = |at: UnixNanos, why| {
            if at < due.0 {
                due = (at, why);
            }
        };
        for socket in &self.sockets {
            let (at, why) = socket.session.deadline();
            propose(at, why);
        }
        let room = self.snapshots_under_way < self.config.snapshots_at_once.max(1);
        for m in &self.markets {
            if room && !m.asking {
                propose(m.snapshot_at, "snapshot of a book");
            }
            if let Some((_, at, _)) = m.funding.due.filter(|_| !m.funding.asking) {
                propose(at, "funding settlement");
            }
        }
        if !self.asked.values().any(|a| *a == Asked::Listing) {
            propose(self.listing_due, "list of instruments");
        }
        self.due = if self.running || due.0 == UnixNanos::MAX { due } else { (UnixNanos::MAX, "stopped") };
    }

    fn ask(&mut self, about: Asked, question: Question, lane: Lane, within: Nanos, out: &mut Outbox) {
        self.next_tag += 1;
        self.asked.insert(self.next_tag, about);
        let Question { base, cost, draft } = question;
        out.asks.push(Ask { tag: self.next_tag, lane, cost, within, base, draft });
    }
}

impl<W: FeedWords> Part for Feed<W> {
    fn start(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.running = true;
        self.listing_due = self.config.listing_every.map_or(UnixNanos::MAX, |every| now.after(every));
        for at in 0..self.sockets.len() {
            let Socket { session, roles, .. } = &mut self.sockets[at];
            let names: Vec<&String> = roles.keys().collect();
            session.subscribe(now, &names, &mut self.actions);
            session.start(now, &mut self.actions);
            self.settle(now, at, out);
        }
    }

    fn on_command(&mut self, _now: UnixNanos, command: &Command, _out: &mut Outbox) {
        debug_assert!(false, "a feed has no account that could be meant by {command:?}");
    }

    fn on_answer(&mut self, now: UnixNanos, tag: u64, answer: &Answer<'_>, out: &mut Outbox) {
        let Some(asked) = self.asked.remove(&tag) else { return };
        match asked {
            Asked::Snapshot(place, epoch) => self.snapshot_answered(now, place, epoch, answer, out),
            Asked::Funding(place) => self.funding_answered(now, place, answer, out),
            Asked::Listing => self.listing_answered(now, answer, out),
        }
        self.look(now, out);
    }

    #[inline]
    fn on_socket(&mut self, now: UnixNanos, socket: SocketNo, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox) {
        let at = usize::from(socket.0);
        let Some(Socket { session, .. }) = self.sockets.get_mut(at) else { return };
        match news {
            SocketNews::Text(text) => {
                let forward = session.on_text(now, link, text, &mut self.actions);
                if forward == Forward::Yes {
                    self.said(now, at, out);
                    if self.actions.is_empty() && !self.hurry {
                        // Data only moves deadlines later: the one that is known is early enough.
                        return;
                    }
                }
            }
            SocketNews::Opened => session.on_connected(now, link, &mut self.actions),
            SocketNews::Closed { why } => session.on_closed(now, link, why, &mut self.actions),
            SocketNews::Ping => session.on_ping(now, link),
            SocketNews::Pong => session.on_pong(now, link),
        }
        self.settle(now, at, out);
    }

    fn deadline(&self) -> (UnixNanos, &'static str) {
        self.due
    }

    fn on_deadline(&mut self, now: UnixNanos, out: &mut Outbox) {
        for at in 0..self.sockets.len() {
            let session = &mut self.sockets[at].session;
            if session.deadline().0 <= now {
                session.on_deadline(now, &mut self.actions);
                self.settle(now, at, out);
            }
        }
        self.look(now, out);
    }

    fn set_clock(&mut self, _now: UnixNanos, offset: Nanos) {
        self.offset = offset;
        self.sockets.iter_mut().for_each(|s| s.session.set_clock(offset));
    }

    fn accounts(&self) -> &[AccountId] {
        &[]
    }

    fn resend(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        let Some(place) = self.places.get(instrument.index()).copied().flatten() else { return };
        // No book is kept here: the venue is asked for it, and the chain goes on behind that.
        let ts_event = now.after(self.offset);
        let m = &mut self.markets[place];
        m.broken(now, ts_event, out);
        if m.sync.is_some() {
            self.want_snapshot(now, place, false);
        }
        self.look(now, out);
    }

    fn status(&self, _now: UnixNanos) -> PartStatus {
        let down = self.sockets.iter().enumerate().filter(|(_, s)| !s.session.is_live());
        let links = down.map(|(at, s)| format!("link {} to {} is not up", at + 1, s.address));
        let out_of_step = self.markets.iter().filter(|m| m.sync.as_ref().is_some_and(|s| !s.is_valid()));
        let books = out_of_step.map(|m| format!("the book of {} is not in step", m.symbol));
        let halted = self.markets.iter().filter(|m| !m.rules.trading);
        let halted = halted.map(|m| format!("{} takes no orders", m.symbol));
        let doubts = links.chain(books).chain(halted).collect();
        PartStatus { name: self.words.name().into(), live: self.is_whole(), doubts }
    }

    fn stop(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.running = false;
        for at in 0..self.sockets.len() {
            self.sockets[at].session.stop(now, &mut self.actions);
            // That data ends is what was asked for: no gap is told of it.
            self.actions.retain(|a| !matches!(a, Action::Emit(_)));
            self.settle(now, at, out);
        }
    }
}

#[cfg(test)]
mod tests;
