//! A venue whose every word is short.

use crate::feed::*;
use crate::gateway::{BaseNo, Draft};
use crate::http::HttpRequest;
use crate::rate::Cost;
use crate::session::{Class, Message, SessionConfig, Words};
use crate::staleness::Expect;
use ctos_types::instrument::{InstrumentKind, Settlement};
use ctos_types::{
    Bar, Currency, Decimal, FundingRate, Interval, Level, MarkPrice, Price, Qty, Quote, Rules, Side, Symbol, Trade,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Plus;

/// First and last id.
pub(super) type Diff = (u64, u64);

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
pub(super) struct TestTalk {
    ceiling: Nanos,
    item: Item<Plus>,
    levels: Levels,
    next: u64,
}

pub(super) fn number(part: Option<&str>) -> u64 {
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
pub(super) struct Plain(String);

impl Draft for Plain {
    fn write(&self, _: UnixNanos) -> Result<HttpRequest, String> {
        Ok(HttpRequest::get(self.0.clone()))
    }
}

#[derive(Debug)]
pub(super) struct TestWords {
    /// How long a book may be silent at most.
    pub ceiling: Nanos,
}

pub(super) fn question(path: String) -> Option<Question> {
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
    fn record_snapshot(&self, instrument: InstrumentId, body: &str) -> String {
        format!("snapshot of {}: {body}", instrument.0)
    }
    fn record_funding(&self, instrument: InstrumentId, time: UnixNanos, funding: &FundingRate) -> Option<String> {
        let ms = (time - at(0)).0 / 1_000_000;
        Some(format!("funding of {} at {ms}: {}", instrument.0, funding.rate))
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

pub(super) fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

pub(super) fn instrument(id: u32) -> Instrument {
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
