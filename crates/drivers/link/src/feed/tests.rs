//! A venue whose every word is short: what a feed does about each kind of news.

use super::*;
use crate::gateway::{BaseNo, Draft};
use crate::http::HttpRequest;
use crate::rate::Cost;
use crate::session::{Class, Message, SessionConfig, Words};
use crate::staleness::Expect;
use ctos_types::instrument::{InstrumentKind, Settlement};
use ctos_types::{
    Bar, Currency, Decimal, Event, FundingRate, Interval, Level, MarkPrice, MarketData, Price, Qty, Quote, Rules, Side,
    Symbol, Trade,
};

#[derive(Clone, Copy, Debug)]
struct Plus;

/// First and last id.
type Diff = (u64, u64);

impl Chain for Plus {
    type Diff = Diff;
    type Snapshot = u64;
    fn fit(self, place: Place, (first, last): &Diff) -> Fit {
        let (Place::Bridging(id) | Place::Live(id)) = place;
        match () {
            () if *last <= id => Fit::Old,
            () if *first <= id + 1 => Fit::Next,
            () => Fit::Gap,
        }
    }
    fn is_sound((first, last): &Diff) -> bool {
        first <= last
    }
    fn last(diff: &Diff) -> u64 {
        diff.1
    }
    fn made(diff: &Diff) -> UnixNanos {
        UnixNanos(diff.1 as i64)
    }
    fn id(snapshot: &u64) -> u64 {
        *snapshot
    }
    fn taken(_: &u64) -> Option<UnixNanos> {
        None
    }
}

/// `d0 1 5` diff of instrument 0, `q0 7` quote, `t0 3` trade, `m0 900` mark with the next settlement, `k0 60` bar,
/// `news`, `?0` unreadable, `ok 1` a reply.
#[derive(Debug)]
struct TestTalk {
    ceiling: Nanos,
    item: Item<Plus>,
    levels: Levels,
    next: u64,
}

fn number(part: Option<&str>) -> u64 {
    part.and_then(|p| p.parse().ok()).unwrap_or_default()
}

impl Words for TestTalk {
    fn login(&mut self, _: UnixNanos) -> Option<Message> {
        None
    }
    fn subscribe(&mut self, streams: &[&str], _: UnixNanos) -> Message {
        self.next += 1;
        Message { text: format!("sub {} {}", self.next, streams.join(",")), id: self.next, acks: 1 }
    }
    fn unsubscribe(&mut self, streams: &[&str], _: UnixNanos) -> Message {
        self.next += 1;
        Message { text: format!("uns {} {}", self.next, streams.join(",")), id: self.next, acks: 1 }
    }
    fn ping(&mut self, _: UnixNanos) -> Option<String> {
        None
    }
    fn classify<'a>(&mut self, text: &'a str) -> Class<'a> {
        let mut parts = text.split(' ');
        let what = parts.next().unwrap_or_default();
        let (one, two) = (number(parts.next()), number(parts.next()));
        let ts_event = UnixNanos(one as i64);
        let id = || InstrumentId(what[1..].parse().unwrap());
        self.item = match &what[..1] {
            "d" => {
                let level = Level { price: Price(one as i64), qty: Qty(two as i64) };
                (self.levels.bids, self.levels.asks) = (vec![level], Vec::new());
                Item::Diff { instrument: id(), diff: (one, two) }
            }
            "q" => Item::Quote { instrument: id(), ts_event, quote: Quote::default(), update_id: one },
            "t" => {
                let trade = Trade { price: Price(1), qty: Qty(1), aggressor: Side::Buy, id: one };
                Item::Trade { instrument: id(), ts_event, trade, number: Some(one), on_book: two == 0 }
            }
            "m" => {
                let next_funding = at(one as i64);
                let mark =
                    MarkPrice { mark: Decimal::ONE, index: Decimal::ONE, funding_rate: Decimal::ZERO, next_funding };
                Item::Mark { instrument: id(), ts_event, mark }
            }
            "k" => {
                let px = Price(1);
                let bar = Bar {
                    interval: Interval::M1,
                    open_time: ts_event,
                    open: px,
                    high: px,
                    low: px,
                    close: px,
                    volume: Qty(0),
                };
                Item::Bar { instrument: id(), ts_event, bar }
            }
            "n" => Item::News { about: "a is listed as SETTLING".into() },
            "?" => Item::Bad { instrument: Some(id()), why: "no number".into() },
            _ => {
                self.item = Item::Quiet;
                return Class::Reply { id: one, stream: None, result: Ok(()) };
            }
        };
        let seq = matches!(&what[..1], "d").then_some(two).or((one > 0).then_some(one));
        Class::Data { stream: what, seq }
    }
    fn expect(&self, stream: &str) -> Option<Expect> {
        let expect = Expect { floor: Nanos::from_secs(5), ceiling: self.ceiling };
        stream.starts_with('d').then_some(expect)
    }
}

impl Talk for TestTalk {
    type Chain = Plus;
    fn take(&mut self) -> Item<Plus> {
        std::mem::replace(&mut self.item, Item::Quiet)
    }
    fn levels(&self) -> &Levels {
        &self.levels
    }
    fn marks(&self) -> &[MarkNews] {
        &[]
    }
}

#[derive(Debug)]
struct Plain(String);

impl Draft for Plain {
    fn write(&self, _: UnixNanos) -> Result<HttpRequest, String> {
        Ok(HttpRequest::get(self.0.clone()))
    }
}

#[derive(Debug)]
struct TestWords {
    /// How long a book may be silent at most.
    ceiling: Nanos,
}

fn question(path: String) -> Option<Question> {
    Some(Question { base: BaseNo(0), cost: Cost::none(), draft: Box::new(Plain(path)) })
}

impl FeedWords for TestWords {
    type Chain = Plus;
    type Talk = TestTalk;
    fn name(&self) -> &str {
        "toy"
    }
    fn chain(&self) -> Plus {
        Plus
    }
    fn streams(&self, wants: &[(InstrumentId, Want)]) -> Vec<StreamPlan> {
        let mut plans = Vec::new();
        for (id, want) in wants {
            for (yes, letter, flow, route) in [
                (want.book, 'd', Flow::Book, 0),
                (want.quotes, 'q', Flow::Quotes, 0),
                (want.trades, 't', Flow::Trades, 1),
                (want.marks, 'm', Flow::Marks, 1),
            ] {
                if yes {
                    let name = format!("{letter}{}", id.0);
                    plans.push(StreamPlan { name, route: RouteNo(route), flow, instrument: Some(*id) });
                }
            }
        }
        plans
    }
    fn talk(&self, _: RouteNo) -> TestTalk {
        TestTalk { ceiling: self.ceiling, item: Item::Quiet, levels: Levels::default(), next: 0 }
    }
    fn address(&self, route: RouteNo) -> String {
        format!("ws://toy/{}", route.0)
    }
    fn session(&self, _: RouteNo) -> SessionConfig {
        SessionConfig { max_messages: 50, dead_after: Nanos::from_secs(3_600), ..SessionConfig::default() }
    }
    fn max_streams(&self, _: RouteNo) -> usize {
        3
    }
    fn ask_snapshot(&self, instrument: InstrumentId) -> Option<Question> {
        question(format!("/snapshot/{}", instrument.0))
    }
    fn read_snapshot(&self, _: InstrumentId, body: &[u8], levels: &mut Levels) -> Result<u64, String> {
        levels.clear();
        std::str::from_utf8(body).ok().and_then(|t| t.parse().ok()).ok_or_else(|| "no number".into())
    }
    fn ask_funding(&self, instrument: InstrumentId, since: UnixNanos) -> Option<Question> {
        question(format!("/funding/{}/{}", instrument.0, (since - at(0)).0 / 1_000_000))
    }
    fn read_funding(&self, body: &[u8], mark: Decimal) -> Result<Vec<(UnixNanos, FundingRate)>, String> {
        let moment = std::str::from_utf8(body).ok().and_then(|t| t.parse().ok());
        Ok(moment.map(|ms| (at(ms), FundingRate { rate: Decimal::ONE, mark })).into_iter().collect())
    }
    fn ask_listing(&mut self) -> Option<Question> {
        question("/listing".into())
    }
    fn read_listing(&mut self, status: u16, body: &[u8]) -> Result<Vec<Listed>, String> {
        let rules = |i: Instrument| Rules { trading: body == b"on", ..i.rules() };
        let row = |i: Instrument| Listed { instrument: i.id, rules: rules(i), status: "HALTED".into() };
        if status == 200 { Ok(vec![row(instrument(0))]) } else { Err("no".into()) }
    }
}

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

fn instrument(id: u32) -> Instrument {
    Instrument {
        id: InstrumentId(id),
        version: 1,
        symbol: Symbol::new(&format!("toy:A{id}-B-PERP")),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::new("A").unwrap(),
        quote: Currency::new("B").unwrap(),
        price_decimals: 2,
        qty_decimals: 2,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::ZERO,
        maintenance_margin: Decimal::ZERO,
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

struct Bench {
    feed: Feed<TestWords>,
    out: Outbox,
    tags: Vec<u64>,
}

fn all() -> Want {
    Want { book: true, quotes: true, trades: true, marks: true, ..Want::default() }
}

impl Bench {
    fn new(wants: &[Want]) -> Bench {
        Bench::patient(wants, Nanos::from_secs(3_600))
    }

    fn patient(wants: &[Want], ceiling: Nanos) -> Bench {
        let wants = wants.iter().enumerate().map(|(n, w)| (instrument(n as u32), w.clone())).collect();
        let feed = Feed::new(TestWords { ceiling }, wants, FeedConfig::default());
        Bench { feed, out: Outbox::default(), tags: Vec::new() }
    }

    /// Started, every socket subscribed.
    fn live(wants: &[Want]) -> Bench {
        Bench::new(wants).started()
    }

    fn started(self) -> Bench {
        let mut b = self;
        b.feed.start(at(0), &mut b.out);
        for socket in 0..b.feed.sockets() {
            b.open(1, socket as u16, 1);
        }
        b.seen();
        b
    }

    fn open(&mut self, ms: i64, socket: u16, link: u64) {
        self.news(ms, socket, link, SocketNews::Opened);
        let id = self.out.sockets.iter().rev().find_map(|(s, _, deed)| match deed {
            SocketDeed::Send(text) if s.0 == socket => text.split(' ').nth(1).map(str::to_string),
            _ => None,
        });
        self.say(ms, socket, link, &format!("ok {}", id.unwrap_or_default()));
    }

    fn news(&mut self, ms: i64, socket: u16, link: u64, news: SocketNews<'_>) {
        self.feed.on_socket(at(ms), SocketNo(socket), LinkId(link), &news, &mut self.out);
    }

    fn say(&mut self, ms: i64, socket: u16, link: u64, text: &str) {
        self.news(ms, socket, link, SocketNews::Text(text));
    }

    fn answer(&mut self, ms: i64, tag: u64, status: u16, text: &str) {
        let (sent, received) = (at(ms - 1), at(ms));
        let answer = Answer::Http { status, headers: &[], body: text.as_bytes(), sent, received };
        self.feed.on_answer(at(ms), tag, &answer, &mut self.out);
    }

    fn tick(&mut self, ms: i64) {
        self.feed.on_deadline(at(ms), &mut self.out);
    }

    /// What came out since the last look, in short: events, questions, and notices by their first letter.
    fn seen(&mut self) -> Vec<String> {
        let mut list = Vec::new();
        for (_, buf) in self.out.take_events() {
            list.push(match buf.as_event() {
                Event::Market(m) => match m.data {
                    MarketData::Depth { snapshot: true, update_id, .. } => format!("{} S{update_id}", m.instrument.0),
                    MarketData::Depth { update_id, .. } => format!("{} D{update_id}", m.instrument.0),
                    MarketData::Quote { update_id, .. } => format!("{} Q{update_id}", m.instrument.0),
                    MarketData::Trade(t) => format!("{} T{}", m.instrument.0, t.id),
                    MarketData::Gap => format!("{} gap", m.instrument.0),
                    MarketData::Mark(_) => format!("{} mark", m.instrument.0),
                    MarketData::Bar(_) => format!("{} bar", m.instrument.0),
                    MarketData::Funding(f) => format!("{} funding {}", m.instrument.0, f.rate),
                },
                Event::Rules { instrument, rules } => format!("{} trading: {}", instrument.0, rules.trading),
                other => panic!("{other:?}"),
            });
        }
        for ask in self.out.asks.drain(..) {
            self.tags.push(ask.tag);
            list.push(format!("? {}", ask.draft.write(at(0)).unwrap().path));
        }
        self.out.sockets.clear();
        self.out.records.clear();
        list
    }

    fn tag(&self) -> u64 {
        *self.tags.last().unwrap()
    }

    #[track_caller]
    fn check(&mut self, want: &[&str]) {
        assert_eq!(self.seen(), want);
    }
}

#[test]
fn streams_are_spread_over_sockets_by_route_and_number() {
    let mut b = Bench::new(&[all(), all()]);
    b.feed.start(at(0), &mut b.out);
    let addresses: Vec<String> = (b.out.sockets.iter())
        .filter_map(|(s, _, d)| match d {
            SocketDeed::Connect { address } => Some(format!("{} {address}", s.0)),
            _ => None,
        })
        .collect();
    assert_eq!(addresses, ["0 ws://toy/0", "1 ws://toy/0", "2 ws://toy/1", "3 ws://toy/1"]);
    assert!(!b.feed.is_whole() && b.feed.accounts().is_empty());
    assert_eq!(b.feed.status(at(0)).doubts.len(), 6, "four links and two books");
}

#[test]
fn a_book_is_asked_for_when_diffs_flow_and_goes_on_behind_its_snapshot() {
    let mut b = Bench::live(&[all()]);
    b.say(10, 0, 1, "d0 1 5");
    b.check(&["? /snapshot/0"]);
    b.say(20, 0, 1, "d0 6 9");
    b.check(&[]);
    let tag = b.tag();
    b.answer(30, tag, 200, "5");
    b.check(&["0 S5", "0 D9"]);
    b.say(40, 0, 1, "d0 10 12");
    b.say(41, 0, 1, "q0 12");
    b.say(42, 1, 1, "t0 3");
    b.check(&["0 D12", "0 Q12", "0 T3"]);
    assert!(b.feed.is_whole());
    assert_eq!(b.feed.book_id(InstrumentId(0)), Some(12));
    assert_eq!(b.feed.status(at(50)).doubts, Vec::<String>::new());
}

/// Like [`Bench::live`], with the book at id 10.
fn in_step() -> Bench {
    stepped(Bench::live(&[all()]))
}

fn stepped(mut b: Bench) -> Bench {
    b.say(10, 0, 1, "d0 1 10");
    b.seen();
    let tag = b.tag();
    b.answer(11, tag, 200, "10");
    b.check(&["0 S10"]);
    b
}

#[test]
fn a_hole_is_told_with_the_frame_that_shows_it() {
    let mut b = in_step();
    b.say(20, 0, 1, "d0 12 13");
    b.check(&["0 gap"]);
    // A short pause, then the question.
    let (due, why) = b.feed.deadline();
    assert!(why == "snapshot of a book" && due <= at(270), "{why}");
    b.tick(270);
    b.check(&["? /snapshot/0"]);
    // Older than what waits: asked again after a longer pause, and no book is shown that cannot go on.
    let tag = b.tag();
    b.answer(280, tag, 200, "10");
    b.check(&[]);
    b.tick(800);
    b.check(&["? /snapshot/0"]);
    let tag = b.tag();
    b.answer(810, tag, 200, "13");
    b.check(&["0 S13"]);
}

#[test]
fn an_answer_from_before_a_break_is_not_believed() {
    let mut b = Bench::live(&[all()]);
    b.say(10, 0, 1, "d0 1 10");
    b.seen();
    let old = b.tag();
    b.news(20, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&[]);
    b.tick(1_100);
    b.open(1_200, 0, 2);
    b.seen();
    b.say(1_300, 0, 2, "d0 30 40");
    b.check(&[]);
    b.answer(1_310, old, 200, "10");
    b.check(&["? /snapshot/0"]);
    let tag = b.tag();
    b.answer(1_320, tag, 200, "40");
    b.check(&["0 S40"]);
}

#[test]
fn a_lost_link_is_a_gap_at_once() {
    let mut b = in_step();
    b.say(20, 0, 1, "q0 10");
    b.seen();
    b.news(30, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&["0 gap"]);
    assert!(matches!(b.out.notices.last(), Some(Notice::Warning(_))));
    assert!(b.feed.status(at(30)).doubts.iter().any(|d| d.contains("A0-B-PERP")));
}

#[test]
fn a_silent_book_is_a_gap_and_is_subscribed_again() {
    let mut b = stepped(Bench::patient(&[all()], Nanos::from_secs(20)).started());
    for n in 0..100 {
        let ms = 100 + n * 100;
        b.say(ms, 0, 1, &format!("d0 {} {}", 11 + n, 11 + n));
        b.say(ms, 0, 1, &format!("q0 {}", 11 + n));
    }
    b.seen();
    // Quotes go on, the book does not.
    for n in 0..60 {
        b.say(10_100 + n * 100, 0, 1, &format!("q0 {}", 200 + n));
    }
    b.seen();
    let mut told = Vec::new();
    for n in 60..200 {
        b.tick(10_100 + n * 100);
        told.extend(b.seen());
        b.say(10_100 + n * 100, 0, 1, &format!("q0 {}", 200 + n));
        b.seen();
        if !told.is_empty() {
            break;
        }
    }
    assert_eq!(told, ["0 gap"]);
}

#[test]
fn holes_in_trades_count_and_break_only_what_has_no_book() {
    let mut b = in_step();
    for text in ["t0 3", "t0 4", "t0 4", "t0 7", "t0 6", "t0 8 1"] {
        b.say(20, 1, 1, text);
    }
    b.check(&["0 T3", "0 T4", "0 T7"]);
    let c = b.feed.counts();
    assert_eq!((c.trades, c.trades_repeated, c.trades_missing, c.trades_off_book), (3, 2, 2, 1));
    let mut b = Bench::live(&[Want { trades: true, ..Want::default() }]);
    for text in ["t0 3", "t0 7", "t0 8"] {
        b.say(20, 0, 1, text);
    }
    b.check(&["0 T3", "0 gap", "0 T7", "0 T8"]);
    b.news(30, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&["0 gap"]);
}

#[test]
fn quotes_never_go_back() {
    let mut b = Bench::live(&[Want { quotes: true, ..Want::default() }]);
    for text in ["q0 5", "q0 5", "q0 4", "q0 6"] {
        b.say(20, 0, 1, text);
    }
    b.check(&["0 Q5", "0 Q6"]);
    assert_eq!(b.feed.counts().quotes_old, 2);
    // After a break the venue may count anew.
    b.news(30, 0, 1, SocketNews::Closed { why: "restart" });
    b.tick(1_000);
    b.open(1_100, 0, 2);
    b.say(1_200, 0, 2, "q0 1");
    b.check(&["0 gap", "0 Q1"]);
}

#[test]
fn a_settlement_is_asked_for_when_marks_have_moved_on() {
    let mut b = in_step();
    b.say(20, 1, 1, "m0 60000");
    b.say(59_000, 1, 1, "m0 60000");
    b.check(&["0 mark", "0 mark"]);
    b.say(60_100, 1, 1, "m0 120000");
    b.check(&["0 mark"]);
    b.tick(65_000);
    b.check(&["? /funding/0/60000"]);
    let tag = b.tag();
    b.answer(65_100, tag, 200, "");
    b.check(&[]);
    b.tick(95_100);
    b.check(&["? /funding/0/60000"]);
    let tag = b.tag();
    b.answer(95_200, tag, 200, "60003");
    b.check(&["0 funding 1"]);
    b.tick(500_000);
    assert!(!b.seen().iter().any(|s| s.contains("funding")), "told once");
}

#[test]
fn news_of_the_list_read_it_again_once_and_tell_what_changed() {
    let mut b = in_step();
    b.say(20, 1, 1, "news");
    b.say(21, 1, 1, "news");
    b.check(&[]);
    b.tick(1_020);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(1_100, tag, 200, "off");
    b.check(&["0 trading: false"]);
    assert!(matches!(b.out.notices.last(), Some(Notice::Alarm { .. })));
    b.say(1_200, 1, 1, "news");
    b.tick(2_200);
    b.check(&[]);
    b.tick(11_100);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(11_200, tag, 503, "busy");
    b.check(&[]);
    b.tick(71_200);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(71_300, tag, 200, "on");
    b.check(&["0 trading: true"]);
}

#[test]
fn an_unreadable_frame_is_a_hole() {
    let mut b = in_step();
    b.say(20, 0, 1, "?0");
    b.check(&["0 gap"]);
    b.say(30, 0, 1, "d0 11 12");
    b.check(&["? /snapshot/0"]);
    assert_eq!(b.feed.counts().bad, 1);
}

#[test]
fn a_book_that_was_lost_on_the_way_is_fetched_again() {
    let mut b = in_step();
    b.feed.resend(at(20), InstrumentId(0), &mut b.out);
    b.check(&["0 gap", "? /snapshot/0"]);
    let tag = b.tag();
    b.say(25, 0, 1, "d0 11 12");
    b.answer(30, tag, 200, "11");
    b.check(&["0 S11", "0 D12"]);
}

#[test]
fn snapshots_are_asked_for_a_few_at_once() {
    let mut b = Bench::live(&vec![Want { book: true, ..Want::default() }; 7]);
    for n in 0..7u16 {
        b.say(10, n / 3, 1, &format!("d{n} 1 5"));
    }
    assert_eq!(b.seen().len(), 4);
    let tag = b.tags[0];
    b.answer(20, tag, 200, "5");
    b.check(&["0 S5", "? /snapshot/4"]);
    let tag = b.tags[1];
    b.feed.on_answer(
        at(30),
        tag,
        &Answer::NotSent { why: "banned".into(), retry_after: Some(Nanos::from_secs(60)) },
        &mut b.out,
    );
    b.check(&["? /snapshot/5"]);
    for n in 2..6 {
        b.answer(40, b.tags[n], 200, "5");
    }
    let tag = b.tag();
    b.seen();
    let tag = b.tags.last().copied().unwrap_or(tag);
    b.answer(50, tag, 200, "5");
    b.seen();
    b.tick(59_000);
    b.check(&[]);
    b.tick(60_031);
    b.check(&["? /snapshot/1"]);
}

#[test]
fn stopping_is_quiet() {
    let mut b = in_step();
    b.feed.stop(at(20), &mut b.out);
    assert!(b.out.sockets.iter().all(|(_, _, d)| matches!(d, SocketDeed::Close { .. })));
    b.check(&[]);
    assert_eq!(b.feed.deadline().0, UnixNanos::MAX);
}
