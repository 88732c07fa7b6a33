//! A feed and the twin on one clock with a seeded network between them, and the judge: whenever the feed's book is in
//! step, it is the twin's book at that update id, level by level.
#![allow(dead_code)] // each test file uses its part

use ctos_driver_binance::instruments::parse_instruments;
use ctos_driver_binance::{BinanceFeed, BinanceWords, Profile};
use ctos_link::feed::{Feed, FeedConfig, FeedWords, Want};
use ctos_link::gateway::{Answer, Ask, Notice, Outbox, Part, SocketDeed, SocketNews, SocketNo};
use ctos_link::session::LinkId;
use ctos_twin::{
    ConnId, Frame, LimitSettings, Manner, Outgoing, Product, Request, Twin, TwinConfig, Upgrade, synthetic_config,
};
use ctos_types::{
    Event, Instrument, InstrumentId, Instruments, Interval, L2Book, Level, MarketData, Nanos, Rules, Side, UnixNanos,
};
use ctos_venue::{SyntheticConfig, SyntheticMarket};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const US: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const JUDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));
/// The twin publishes its books on this beat, and that is when the judge looks at them.
const BEAT: Nanos = Nanos::from_millis(100);

#[derive(Debug)]
enum Ev {
    Opened(SocketNo, LinkId, ConnId),
    Refused(SocketNo, LinkId),
    ToFeed(ConnId, Frame),
    ToTwin(ConnId, String),
    PingTwin(ConnId),
    Asked(u64, String),
    Answered(u64, u16, String),
    NoAnswer(u64),
}

/// What the network does besides taking its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Net {
    /// Of a hundred requests so many get no answer, or none leaves.
    pub lost: u64,
    /// Longest way of an answer.
    pub slow_ms: u64,
    /// Of a hundred connections so many are refused.
    pub refused: u64,
}

/// What the kernel would know of one instrument.
#[derive(Debug, Default)]
pub struct Seen {
    pub book: L2Book,
    pub valid: bool,
    /// The update id that the book stands at.
    pub id: u64,
    pub gaps: u64,
    pub last_gap: Option<UnixNanos>,
    pub trades: Vec<u64>,
    pub bars: u64,
    pub marks: u64,
    pub fundings: u64,
    pub rules: Vec<(UnixNanos, Rules)>,
}

type Book = (Vec<Level>, Vec<Level>);

pub struct World<W: FeedWords> {
    pub now: UnixNanos,
    pub twin: Twin,
    pub feed: Feed<W>,
    pub net: Net,
    pub instruments: Vec<Instrument>,
    pub seen: BTreeMap<InstrumentId, Seen>,
    pub notices: Vec<Notice>,
    /// Times a book in step was compared with the twin's.
    pub compared: u64,
    pub seed: u64,
    pub connects: u64,
    rng: Xoshiro256PlusPlus,
    out: Outbox,
    queue: BTreeMap<(UnixNanos, u64), Ev>,
    events: u64,
    conns: BTreeMap<ConnId, (SocketNo, LinkId)>,
    links: BTreeMap<(SocketNo, LinkId), ConnId>,
    next_conn: ConnId,
    /// A connection keeps its order, whatever each frame's delay.
    last: BTreeMap<(ConnId, bool), UnixNanos>,
    /// The twin's books by instrument and update id, the latest of them.
    truth: BTreeMap<(InstrumentId, u64), Book>,
    profile: Profile,
    looking: bool,
}

fn level(pair: &serde_json::Value, i: &Instrument) -> Level {
    let text = |at: usize| pair[at].as_str().expect("text");
    Level { price: i.parse_price(text(0)).expect("a price"), qty: i.parse_qty(text(1)).expect("a size") }
}

/// The twin of a seed with two coins, and its instruments as the driver reads them.
pub fn twin(profile: Profile, seed: u64) -> (Twin, Vec<Instrument>) {
    let product = if profile == Profile::UsdM { Product::UsdM } else { Product::Spot };
    let mut config = TwinConfig::new(product, seed, START);
    // Budgets are the frame's business, which is not here.
    config.limits = LimitSettings { weight: Some(1_000_000_000), ..LimitSettings::default() };
    let coins = if product == Product::UsdM { ["BTC-USDT-PERP", "ETH-USDT-PERP"] } else { ["BTC-USDT", "ETH-USDT"] };
    let base = synthetic_config(product, seed);
    let market = SyntheticConfig { start: START, select: coins.map(String::from).to_vec(), ..base };
    let market = SyntheticMarket::new(market).expect("a market");
    let mut twin = Twin::recorded(config, Box::new(market)).expect("a twin");
    twin.advance(START.after(Nanos::from_secs(1)));
    let path = if product == Product::UsdM { "/fapi/v1/exchangeInfo" } else { "/api/v3/exchangeInfo" };
    let info = twin.rest(twin.now(), &get(path, "", JUDGE)).body;
    let list = parse_instruments(&info).expect("the twin's own list").instruments;
    let ours = list.into_iter().filter(|i| coins.iter().any(|c| i.symbol.as_str().ends_with(&format!(":{c}"))));
    let list = Instruments::new(ours.collect()).expect("two instruments");
    assert_eq!(list.len(), 2);
    (twin, list.iter().cloned().collect())
}

fn get<'a>(path: &'a str, query: &'a str, from: IpAddr) -> Request<'a> {
    Request { method: "GET", path, query, body: "", api_key: None, micros: false, from }
}

pub fn everything() -> Want {
    Want { book: true, quotes: true, trades: true, bars: vec![Interval::M1], marks: true, liquidations: true }
}

pub fn words(profile: Profile, instruments: &[Instrument]) -> BinanceFeed {
    let mut words = BinanceWords::new();
    let base = words.base(profile.product(), "http://twin");
    BinanceFeed::new(profile, "ws://twin", words.public(base), instruments)
}

impl World<BinanceFeed> {
    pub fn new(profile: Profile, seed: u64) -> World<BinanceFeed> {
        World::with(profile, seed, FeedConfig::default(), |words| words)
    }
}

impl<W: FeedWords> World<W> {
    pub fn with(profile: Profile, seed: u64, config: FeedConfig, wrap: impl FnOnce(BinanceFeed) -> W) -> World<W> {
        let (twin, instruments) = twin(profile, seed);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let wants = instruments.iter().map(|i| (i.clone(), everything())).collect();
        let feed = Feed::new(wrap(words(profile, &instruments)), wants, FeedConfig { seed, ..config });
        let now = twin.now().after(Nanos::from_millis((rng.next_u64() % 1_000) as i64));
        let mut world = World {
            now,
            twin,
            feed,
            net: Net::default(),
            seen: instruments.iter().map(|i| (i.id, Seen::default())).collect(),
            instruments,
            notices: Vec::new(),
            compared: 0,
            seed,
            connects: 0,
            rng,
            out: Outbox::default(),
            queue: BTreeMap::new(),
            events: 0,
            conns: BTreeMap::new(),
            links: BTreeMap::new(),
            next_conn: 0,
            last: BTreeMap::new(),
            truth: BTreeMap::new(),
            profile,
            looking: false,
        };
        world.feed.start(world.now, &mut world.out);
        world.collect();
        world
    }

    pub fn upto(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n.max(1)
    }

    pub fn deed(&mut self, json: &str) {
        let done = self.twin.admin(self.now, json);
        done.unwrap_or_else(|e| panic!("seed={}: {json}: {e}", self.seed));
        self.carry();
    }

    /// Lets `span` pass, looking at the twin's books on the way.
    pub fn run(&mut self, span: Nanos) {
        self.looking = true;
        self.step(self.now.after(span));
        self.looking = false;
    }

    /// As [`World::run`], without looking at the twin's books.
    pub fn quietly(&mut self, span: Nanos) {
        self.step(self.now.after(span));
    }

    /// Whether every book is in step.
    pub fn in_step(&self) -> bool {
        self.feed.is_whole() && self.seen.values().all(|s| s.valid)
    }

    /// Until every book is in step, at most for `span`. The time it took.
    pub fn until_in_step(&mut self, span: Nanos) -> Option<Nanos> {
        let from = self.now;
        while self.now < from.after(span) {
            if self.in_step() {
                return Some(self.now - from);
            }
            self.run(Nanos::from_millis(500));
        }
        None
    }

    fn put(&mut self, at: UnixNanos, ev: Ev) {
        self.events += 1;
        self.queue.insert((at, self.events), ev);
    }

    fn soon(&mut self, most_ms: u64) -> UnixNanos {
        let ms = 1 + self.upto(most_ms);
        self.now.after(Nanos::from_millis(ms as i64))
    }

    /// Behind everything that is on this way already.
    fn in_line(&mut self, conn: ConnId, to_feed: bool) -> UnixNanos {
        let at = self.soon(40);
        let last = self.last.entry((conn, to_feed)).or_insert(at);
        *last = (*last).max(at);
        *last
    }

    /// Everything due up to `end`, each thing at its own moment.
    fn step(&mut self, end: UnixNanos) {
        loop {
            let queue = self.queue.first_key_value().map_or(UnixNanos::MAX, |((at, _), _)| *at);
            let (feed, _) = self.feed.deadline();
            let twin = self.twin.deadline();
            let first = queue.min(feed).min(twin);
            if first > end {
                break;
            }
            self.now = self.now.max(first);
            if twin == first {
                self.twin.advance(self.now);
                if self.looking && self.now.floor(BEAT) == self.now {
                    self.look();
                }
                self.carry();
            } else if queue == first {
                let (_, ev) = self.queue.pop_first().expect("looked at");
                self.happen(ev);
            } else {
                self.feed.on_deadline(self.now, &mut self.out);
                self.collect();
            }
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, ev: Ev) {
        match ev {
            Ev::Opened(socket, link, conn) => {
                if self.links.get(&(socket, link)) != Some(&conn) {
                    return;
                }
                self.tell(conn, SocketNews::Opened);
            }
            Ev::Refused(socket, link) => {
                self.feed.on_socket(self.now, socket, link, &SocketNews::Closed { why: "refused" }, &mut self.out);
                self.collect();
            }
            Ev::ToFeed(conn, frame) => match frame {
                Frame::Text(text) => self.tell(conn, SocketNews::Text(&text)),
                Frame::Ping(payload) if payload == "pong" => self.tell(conn, SocketNews::Pong),
                Frame::Ping(_) => {
                    self.twin.ws_pong(self.now, conn);
                    self.tell(conn, SocketNews::Ping);
                }
                Frame::Close(code, _) => self.closed(conn, &format!("closed by the venue ({code})")),
                Frame::Cut | Frame::Half(_) => self.closed(conn, "cut"),
            },
            Ev::ToTwin(conn, text) => {
                self.twin.ws_text(self.now, conn, &text);
                self.carry();
            }
            Ev::PingTwin(conn) => {
                self.twin.ws_ping(self.now, conn);
                let at = self.in_line(conn, true);
                self.put(at, Ev::ToFeed(conn, Frame::Ping("pong".into())));
            }
            Ev::Asked(tag, target) => {
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let reply = self.twin.rest(self.now, &get(path, query, US));
                let at = self.soon(30 + self.net.slow_ms).after(Nanos::from_millis(reply.delay_ms));
                let ev = match reply.manner {
                    Manner::Whole => Ev::Answered(tag, reply.status, reply.body),
                    Manner::Nothing | Manner::Half => Ev::NoAnswer(tag),
                };
                self.put(at, ev);
                self.carry();
            }
            Ev::Answered(tag, status, body) => {
                let answer =
                    Answer::Http { status, headers: &[], body: body.as_bytes(), sent: self.now, received: self.now };
                self.feed.on_answer(self.now, tag, &answer, &mut self.out);
                self.collect();
            }
            Ev::NoAnswer(tag) => {
                self.feed.on_answer(self.now, tag, &Answer::Unknown { why: "lost".into() }, &mut self.out);
                self.collect();
            }
        }
    }

    fn tell(&mut self, conn: ConnId, news: SocketNews<'_>) {
        let Some((socket, link)) = self.conns.get(&conn).copied() else { return };
        self.feed.on_socket(self.now, socket, link, &news, &mut self.out);
        self.collect();
    }

    fn closed(&mut self, conn: ConnId, why: &str) {
        self.tell(conn, SocketNews::Closed { why });
        self.forget(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        if let Some(key) = self.conns.remove(&conn) {
            self.links.remove(&key);
            self.twin.ws_close(self.now, conn);
        }
    }

    /// What the twin sends goes on its way.
    fn carry(&mut self) {
        let mut frames: Vec<Outgoing> = Vec::new();
        self.twin.drain(&mut frames);
        for Outgoing { conn, frame } in frames {
            let at = self.in_line(conn, true);
            self.put(at, Ev::ToFeed(conn, frame));
        }
    }

    /// What the feed wants done, and what it tells.
    fn collect(&mut self) {
        let asks: Vec<Ask> = self.out.asks.drain(..).collect();
        for ask in asks {
            let target = ask.draft.write(self.now).expect("public calls can be written").path;
            let lost = self.upto(100) < self.net.lost;
            let at = self.soon(30);
            let late = at.after(Nanos::from_secs(3));
            self.put(
                if lost { late } else { at },
                if lost { Ev::NoAnswer(ask.tag) } else { Ev::Asked(ask.tag, target) },
            );
        }
        let deeds: Vec<_> = self.out.sockets.drain(..).collect();
        for (socket, link, deed) in deeds {
            let conn = self.links.get(&(socket, link)).copied();
            match (deed, conn) {
                (SocketDeed::Connect { address }, _) => self.connect(socket, link, &address),
                (SocketDeed::Send(text), Some(conn)) => {
                    let at = self.in_line(conn, false);
                    self.put(at, Ev::ToTwin(conn, text));
                }
                (SocketDeed::Ping, Some(conn)) => {
                    let at = self.in_line(conn, false);
                    self.put(at, Ev::PingTwin(conn));
                }
                (SocketDeed::Close { .. }, Some(conn)) => self.forget(conn),
                (_, None) => {}
            }
        }
        self.notices.append(&mut self.out.notices);
        let events: Vec<_> = self.out.take_events().collect();
        for (at, buf) in events {
            self.event(at, &buf.as_event());
            self.out.reuse(buf);
        }
    }

    fn connect(&mut self, socket: SocketNo, link: LinkId, address: &str) {
        self.connects += 1;
        let path = address.strip_prefix("ws://twin").expect("the twin's address");
        let at = self.soon(60);
        self.next_conn += 1;
        let conn = self.next_conn;
        let up = Upgrade { path, query: "", from: US };
        if self.upto(100) < self.net.refused || self.twin.ws_open(self.now, conn, &up).is_err() {
            return self.put(at, Ev::Refused(socket, link));
        }
        self.conns.insert(conn, (socket, link));
        self.links.insert((socket, link), conn);
        self.put(at, Ev::Opened(socket, link, conn));
    }

    fn event(&mut self, at: UnixNanos, event: &Event<'_>) {
        let m = match event {
            Event::Market(m) => m,
            Event::Rules { instrument, rules } => {
                let seen = self.seen.get_mut(instrument).expect("ours");
                return seen.rules.push((at, **rules));
            }
            other => panic!("seed={}: {other:?}", self.seed),
        };
        let seen = self.seen.get_mut(&m.instrument).expect("ours");
        match m.data {
            MarketData::Depth { bids, asks, snapshot, update_id } => {
                if snapshot {
                    seen.book.replace(bids, asks);
                    seen.valid = true;
                } else {
                    assert!(seen.valid, "seed={}: a diff without a book", self.seed);
                    bids.iter().for_each(|l| seen.book.set(Side::Buy, l.price, l.qty));
                    asks.iter().for_each(|l| seen.book.set(Side::Sell, l.price, l.qty));
                }
                seen.id = update_id;
                self.judge(m.instrument);
            }
            MarketData::Gap => {
                (seen.valid, seen.last_gap) = (false, Some(at));
                seen.gaps += 1;
                seen.book.clear();
            }
            MarketData::Trade(t) => seen.trades.push(t.id),
            MarketData::Bar(_) => seen.bars += 1,
            MarketData::Mark(_) => seen.marks += 1,
            MarketData::Funding(_) => seen.fundings += 1,
            MarketData::Quote { .. } => {}
        }
    }

    /// The feed and what the kernel was told agree, and where the twin was looked at, the book is the twin's.
    fn judge(&mut self, id: InstrumentId) {
        let seen = &self.seen[&id];
        let Some((bids, asks)) = self.truth.get(&(id, seen.id)) else { return };
        let same = seen.book.levels(Side::Buy).eq(bids.iter().copied())
            && seen.book.levels(Side::Sell).eq(asks.iter().copied());
        assert!(same, "seed={}: the book of {} at {} is not the twin's", self.seed, id.0, seen.id);
        self.compared += 1;
    }

    /// Writes down the twin's books as they are now.
    fn look(&mut self) {
        let usdm = self.profile == Profile::UsdM;
        let (path, limit) = if usdm { ("/fapi/v1/depth", 1_000) } else { ("/api/v3/depth", 5_000) };
        for n in 0..self.instruments.len() {
            let i = self.instruments[n].clone();
            let (_, symbol) = ctos_driver_binance::symbols::venue_symbol(&i).expect("the venue's");
            let reply = self.twin.rest(self.now, &get(path, &format!("symbol={symbol}&limit={limit}"), JUDGE));
            // A fault of the script may have hit the judge's question.
            let Ok(json) = serde_json::from_str::<serde_json::Value>(&reply.body) else { continue };
            let Some(id) = json["lastUpdateId"].as_u64() else { continue };
            let side = |key: &str| json[key].as_array().expect("levels").iter().map(|l| level(l, &i)).collect();
            self.truth.insert((i.id, id), (side("bids"), side("asks")));
            while self.truth.len() > 400 {
                self.truth.pop_first();
            }
        }
        self.carry();
    }
}

/// Runs `case` for seeds 1 to `count`, or for the one that `CONF_SEED` names.
pub fn seeds(test: &str, count: u64, case: impl Fn(u64)) {
    let one = std::env::var("CONF_SEED").ok().and_then(|v| v.parse().ok());
    let list: Vec<u64> = one.map_or_else(|| (1..=count).collect(), |seed| vec![seed]);
    for seed in list {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(seed)));
        if let Err(panic) = result {
            eprintln!("again: CONF_SEED={seed} cargo test -p ctos-conformance --test feed_faults {test}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Spot and USD-M in turns.
pub fn profile(seed: u64) -> Profile {
    if seed.is_multiple_of(2) { Profile::Spot } else { Profile::UsdM }
}
