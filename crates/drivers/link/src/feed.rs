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
mod config;
mod frames;
mod market;
mod part;
mod record;
mod sockets;
mod words;

pub use book::{BookSync, Chain, Fit, Levels, MAX_WAITING_DIFFS, MAX_WAITING_LEVELS, Place, SyncCounts, SyncOut};
pub use config::{FeedConfig, FeedCounts};
pub use market::Standing;
pub use words::{FeedWords, Flow, Item, Liquidation, Listed, MarkNews, Question, RouteNo, StreamPlan, Talk, Want};

use crate::gateway::{Ask, Outbox};
use crate::rate::Lane;
use crate::session::{Action, Session};
use ctos_types::{Instrument, InstrumentId, Nanos, UnixNanos};
use market::MarketState;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use record::Tape;
use std::collections::BTreeMap;

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
    /// Where what comes is recorded.
    tape: Option<Tape>,
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
            tape: None,
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

    /// Deeds whose time has come, and the next one's.
    fn look(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.heed_recording(now, out);
        self.hurry = false;
        if self.running {
            self.ask_snapshots(now, out);
            self.ask_funding(now, out);
            self.ask_listing(now, out);
            self.count_shown();
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

#[cfg(test)]
mod tests;
