//! How long Binance's words take: a frame from raw bytes to a market event, a request from parameters to signed bytes.
//!
//! Frames are made as the venue writes them in 2026 (USD-M, combined envelope), no two alike, and decoded in turn.
//! `…_serde` decodes the same frames through typed `serde_json` structs with borrowed text into the same event, to
//! compare with. p50 and spread are those of batches, p99 and p99.9 those of single calls, the clock's cost included.

use crate::measure::{Measure, Percentiles, Samples};
use crate::{Lab, Run, internal};
use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::request::Stamp;
use ctos_driver_binance::{Credentials, Decoder, Desk, Frame, Levels, Product, Profile, SymbolMap};
use ctos_runtime::RunError;
use ctos_types::{
    AccountId, ClientOrderId, InstanceTag, Instruments, Level, Market, MarketData, NewOrder, OrderKind, OrderQty,
    Price, Qty, Quote, Side, StrategyId, UnixNanos,
};
use serde::Deserialize;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

pub(crate) const ALL: [(&str, Run); 5] = [
    ("decode_depth_20", |lab, name| decode(lab, name, depth_frames, scanned)),
    ("decode_depth_20_serde", |lab, name| decode(lab, name, depth_frames, typed_depth)),
    ("decode_book_ticker", |lab, name| decode(lab, name, ticker_frames, scanned)),
    ("decode_book_ticker_serde", |lab, name| decode(lab, name, ticker_frames, typed_ticker)),
    ("request_signed", signed),
];

const BATCH: usize = 64;
const FRAMES: usize = 512;

struct Words {
    decoder: Decoder,
    levels: Levels,
}

/// A number of at most `below`, from a fixed sequence.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Twenty levels a side, prices a few ticks apart, sizes of one to three digits before the point.
pub(crate) fn depth_frames() -> Vec<String> {
    let (mut state, mut id) = (1, 5_123_107_832_006u64);
    let side = |state: &mut u64, sign: i64, out: &mut String| {
        let mut ticks = 618_000;
        for k in 0..20 {
            ticks += sign * (1 + draw(state, 9) as i64);
            let whole = [1, 1, 1, 10, 100][draw(state, 5) as usize];
            let qty = draw(state, 1_000 * whole);
            let comma = if k == 0 { "" } else { "," };
            let _ = write!(out, "{comma}[\"{}.{}0\",\"{}.{:03}\"]", ticks / 10, ticks % 10, qty / 1_000, qty % 1_000);
        }
    };
    let frame = |n: usize| {
        let (first, last) = (id + 11, id + 60 + draw(&mut state, 5_000));
        let mut out = format!(
            "{{\"stream\":\"btcusdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{},\"T\":{},\"s\":\"BTCUSDT\",\
             \"U\":{first},\"u\":{last},\"pu\":{id},\"b\":[",
            1_785_000_000_003 + n * 100,
            1_785_000_000_000 + n * 100
        );
        id = last;
        side(&mut state, -1, &mut out);
        out.push_str("],\"a\":[");
        side(&mut state, 1, &mut out);
        out.push_str("],\"st\":1}}");
        out
    };
    (0..FRAMES).map(frame).collect()
}

pub(crate) fn ticker_frames() -> Vec<String> {
    let mut state = 1;
    let frame = |n: usize| {
        let (bid, a, b) = (618_000 + draw(&mut state, 400), draw(&mut state, 20_000), draw(&mut state, 20_000));
        let ask = bid + 1;
        let ms = 1_785_000_000_000 + n;
        format!(
            "{{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":{},\"s\":\"BTCUSDT\",\"b\":\"{}.{}0\",\
             \"B\":\"{}.{:03}\",\"a\":\"{}.{}0\",\"A\":\"{}.{:03}\",\"T\":{ms},\"E\":{ms},\"st\":1}}}}",
            5_123_107_839_020u64 + n as u64 * 7,
            bid / 10,
            bid % 10,
            a / 1_000,
            a % 1_000,
            ask / 10,
            ask % 10,
            b / 1_000,
            b % 1_000
        )
    };
    (0..FRAMES).map(frame).collect()
}

type Decode = fn(&mut Words, &[u8]) -> Option<i64>;

/// Something of the event, so that all of it must be there.
fn seen(market: &Market<'_>) -> i64 {
    match market.data {
        MarketData::Depth { bids, asks, update_id, .. } => {
            let sum = |side: &[Level]| side.iter().fold(0i64, |n, l| n.wrapping_mul(3) + (l.price.0 ^ l.qty.0));
            sum(bids) ^ sum(asks) ^ update_id as i64 ^ market.ts_event.0
        }
        MarketData::Quote { quote, update_id } => {
            quote.bid_px.0 ^ quote.bid_qty.0 ^ quote.ask_px.0 ^ quote.ask_qty.0 ^ update_id as i64 ^ market.ts_event.0
        }
        _ => 0,
    }
}

fn scanned(words: &mut Words, frame: &[u8]) -> Option<i64> {
    let Words { decoder, levels } = words;
    let market = match decoder.decode(frame, None, levels).ok()? {
        Frame::Depth(d) => {
            let (bids, asks) = (&levels.bids[..], &levels.asks[..]);
            let data = MarketData::Depth { bids, asks, snapshot: false, update_id: d.last };
            Market { instrument: d.instrument, ts_event: d.ts_event(), data }
        }
        Frame::BookTicker(q) => {
            let data = MarketData::Quote { quote: q.quote, update_id: q.update_id };
            Market { instrument: q.instrument, ts_event: q.ts_engine?, data }
        }
        _ => return None,
    };
    Some(seen(black_box(&market)))
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[allow(dead_code)] // what is read of a frame is what the scanner reads
struct TypedDepth<'a> {
    #[serde(rename = "E")]
    sent: u64,
    #[serde(rename = "T")]
    engine: u64,
    s: &'a str,
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    pu: u64,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

fn typed_depth(words: &mut Words, frame: &[u8]) -> Option<i64> {
    let Envelope { data } = serde_json::from_slice::<Envelope<TypedDepth<'_>>>(frame).ok()?;
    let grid = *words.decoder.symbols().find(data.s.as_bytes())?;
    words.levels.clear();
    for (from, into) in [(&data.b, &mut words.levels.bids), (&data.a, &mut words.levels.asks)] {
        for (px, qty) in from {
            into.push(Level { price: grid.price(px).ok()?, qty: grid.qty(qty).ok()? });
        }
    }
    let depth =
        MarketData::Depth { bids: &words.levels.bids, asks: &words.levels.asks, snapshot: false, update_id: data.u };
    let ts_event = UnixNanos::from_millis(data.engine as i64);
    Some(seen(black_box(&Market { instrument: grid.id, ts_event, data: depth })))
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct TypedTicker<'a> {
    u: u64,
    s: &'a str,
    b: &'a str,
    #[serde(rename = "B")]
    bid_qty: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_qty: &'a str,
    #[serde(rename = "T")]
    engine: u64,
    #[serde(rename = "E")]
    sent: u64,
}

fn typed_ticker(words: &mut Words, frame: &[u8]) -> Option<i64> {
    let Envelope { data } = serde_json::from_slice::<Envelope<TypedTicker<'_>>>(frame).ok()?;
    let grid = *words.decoder.symbols().find(data.s.as_bytes())?;
    let quote = Quote {
        bid_px: grid.price(data.b).ok()?,
        bid_qty: grid.qty(data.bid_qty).ok()?,
        ask_px: grid.price(data.a).ok()?,
        ask_qty: grid.qty(data.ask_qty).ok()?,
    };
    let ts_event = UnixNanos::from_millis(data.engine as i64);
    let data = MarketData::Quote { quote, update_id: data.u };
    Some(seen(black_box(&Market { instrument: grid.id, ts_event, data })))
}

fn decode(lab: &Lab, name: &'static str, frames: fn() -> Vec<String>, one: Decode) -> Result<Measure, RunError> {
    let instrument = builtin(Product::UsdM, "BTCUSDT").ok_or_else(|| internal("no built-in BTCUSDT"))?;
    let decoder = Decoder::new(SymbolMap::new(Product::UsdM, [instrument]));
    let mut words = Words { decoder, levels: Levels::default() };
    let frames = frames();
    for frame in &frames {
        let (want, got) = (scanned(&mut words, frame.as_bytes()), one(&mut words, frame.as_bytes()));
        if got.is_none() || got != want {
            return Err(internal(format!("{name}: {frame} is read as {got:?}")));
        }
    }
    let bytes = frames.iter().map(String::len).sum::<usize>() / frames.len();
    let what = format!("{} frames of about {bytes} bytes", frames.len());
    time(lab, name, &what, |n| {
        black_box(one(&mut words, black_box(frames[n % FRAMES].as_bytes())));
    })
}

/// A limit order of USD-M from the kernel's word to the request's signed target, with an HMAC key. The key is the
/// venue's published example: it opens nothing.
fn signed(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let keys = Credentials::new(
        "dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83",
        "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
    )
    .map_err(internal)?;
    let instrument = builtin(Product::UsdM, "BTCUSDT").ok_or_else(|| internal("no built-in BTCUSDT"))?;
    let list = Instruments::new(vec![instrument.clone()]).map_err(internal)?;
    let instrument = list.get(ctos_types::InstrumentId(0));
    let desk = Desk::new(Profile::UsdM, AccountId(0), false, &list);
    let order = |n: usize| NewOrder {
        strategy: StrategyId(0),
        post_only: true,
        ..NewOrder::new(
            AccountId(0),
            ClientOrderId { tag: InstanceTag(123_456), seq: n as u64 },
            instrument.id,
            if n.is_multiple_of(2) { Side::Buy } else { Side::Sell },
            OrderKind::Limit { price: Price(6_180_000 + instrument.tick.0 * (n as i64 % 1_000)) },
            OrderQty::Size(Qty(instrument.lot.0 * (1 + n as i64 % 900))),
        )
    };
    let build = |n: usize| {
        let stamp = Stamp { timestamp_ms: 1_785_000_000_000 + n as i64, recv_window_ms: Some(5_000) };
        desk.place(black_box(&order(n))).ok().and_then(|call| call.build(Some(&keys), stamp).ok())
    };
    for n in 0..2_000 {
        let sent = build(n).ok_or_else(|| internal(format!("{name}: order {n} is refused")))?;
        let (payload, signature) = sent.target.split_once("&signature=").unwrap_or_default();
        if payload.split_once('?').map(|(_, query)| keys.sign(query.as_bytes())).as_deref() != Some(signature) {
            return Err(internal(format!("{name}: {} is signed wrongly", sent.target)));
        }
    }
    time(lab, name, "limit orders of USD-M, HMAC", |n| drop(black_box(build(n))))
}

/// p50 of batches; the tail of single calls.
fn time(lab: &Lab, name: &'static str, what: &str, mut one: impl FnMut(usize)) -> Result<Measure, RunError> {
    let rounds = if lab.quick { 50 } else { 10_000 };
    (0..rounds).for_each(&mut one);
    let batches = (0..rounds).map(|round| {
        let begun = Instant::now();
        (0..BATCH).for_each(|n| one(round * BATCH + n));
        begun.elapsed().as_nanos() as f64 / BATCH as f64
    });
    let batches = Samples::new(batches.collect());
    let singles = (0..rounds * 10).map(|n| {
        let begun = Instant::now();
        one(n);
        begun.elapsed().as_nanos() as f64
    });
    let percentiles = Percentiles { p50: batches.at(0.5), ..Samples::new(singles.collect()).percentiles() };
    let note = format!("{what}; p50 and spread: means of {BATCH}; p99, p999: single ones with the clock's cost");
    Ok(batches.measure(name, "ns", &lab.machine, note).with_percentiles(percentiles))
}
