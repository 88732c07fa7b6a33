//! Prints how long a market frame takes through a whole feed, from raw bytes to the kernel's event: classified, chained,
//! copied into an event. Run: `cargo run --release -p ctos-driver-binance --example feed_speed`.

use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{BinanceFeed, BinanceWords, Product, Profile};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Answer, Outbox, Part, SocketNews, SocketNo};
use ctos_link::session::LinkId;
use ctos_types::{Nanos, UnixNanos};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

const BATCH: usize = 64;
const FRAMES: usize = 4_096;
const ROUNDS: usize = 40;

fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Twenty changed levels a side, chained to the one before; the first one to update 1,000.
fn depth() -> Vec<String> {
    let (mut state, mut id) = (1, 1_000u64);
    let frame = |n: usize| {
        let (first, last) = (id + 11, id + 60 + draw(&mut state, 5_000));
        let mut out = format!(
            "{{\"stream\":\"btcusdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{},\"T\":{},\"s\":\"BTCUSDT\",\
             \"U\":{first},\"u\":{last},\"pu\":{id},\"b\":[",
            1_785_000_000_003 + n * 100,
            1_785_000_000_000 + n * 100
        );
        id = last;
        for (sign, end) in [(-1i64, "],\"a\":["), (1, "],\"st\":1}}")] {
            let mut ticks = 618_000;
            for k in 0..20 {
                ticks += sign * (1 + draw(&mut state, 9) as i64);
                let whole = [1, 1, 1, 10, 100][draw(&mut state, 5) as usize];
                let qty = draw(&mut state, 1_000 * whole);
                let comma = if k == 0 { "" } else { "," };
                let _ =
                    write!(out, "{comma}[\"{}.{}0\",\"{}.{:03}\"]", ticks / 10, ticks % 10, qty / 1_000, qty % 1_000);
            }
            out.push_str(end);
        }
        out
    };
    (0..FRAMES).map(frame).collect()
}

fn tickers() -> Vec<String> {
    let mut state = 1;
    let frame = |n: usize| {
        let (bid, a, b) = (618_000 + draw(&mut state, 400), draw(&mut state, 20_000), draw(&mut state, 20_000));
        let (ask, ms) = (bid + 1, 1_785_000_000_000 + n);
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

/// Ten instruments, everything wanted, every link up, and BTC's book at update 1,000.
fn live(now: UnixNanos) -> (Feed<BinanceFeed>, Outbox) {
    let symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT"];
    let mut list: Vec<_> = symbols.iter().filter_map(|s| builtin(Product::UsdM, s).cloned()).collect();
    for (n, i) in list.iter_mut().enumerate() {
        i.id = ctos_types::InstrumentId(n as u32);
    }
    let mut words = BinanceWords::new();
    let base = words.base(Product::UsdM, "http://x");
    let words = BinanceFeed::new(Profile::UsdM, "ws://x", words.public(base), &list);
    let want = Want { book: true, quotes: true, trades: true, marks: true, ..Want::default() };
    let wants = list.into_iter().map(|i| (i, want.clone())).collect();
    let (mut feed, mut out) = (Feed::new(words, wants, FeedConfig::default()), Outbox::default());
    feed.start(now, &mut out);
    for socket in 0..feed.sockets() as u16 {
        for news in [SocketNews::Opened, SocketNews::Text("{\"result\":null,\"id\":1}")] {
            feed.on_socket(now, SocketNo(socket), LinkId(1), &news, &mut out);
        }
    }
    let first = &depth()[0];
    feed.on_socket(now, SocketNo(0), LinkId(1), &SocketNews::Text(first), &mut out);
    let tag = out.asks.pop().expect("the book is asked for").tag;
    let body = br#"{"lastUpdateId":1000,"E":1,"T":1,"bids":[],"asks":[]}"#;
    let answer = Answer::Http { status: 200, headers: &[], body, sent: now, received: now };
    feed.on_answer(now, tag, &answer, &mut out);
    drain(&mut out);
    (feed, out)
}

/// As the frame does: events go on, their storage comes back.
fn drain(out: &mut Outbox) -> usize {
    let mut count = 0;
    while out.has_events() {
        // Dropping the iterator would drop what it still has: one event a frame is what these frames make.
        let Some((_, buf)) = out.take_events().next() else { break };
        black_box(&*buf);
        out.reuse(buf);
        count += 1;
    }
    count
}

fn main() {
    for (name, frames) in [("depth, 20 levels a side", depth()), ("book ticker", tickers())] {
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            let mut now = UnixNanos::from_secs(1_785_000_000);
            let (mut feed, mut out) = live(now);
            let mut events = 0;
            // The first depth frame is in the book already.
            for batch in frames[1..].chunks_exact(BATCH) {
                let started = Instant::now();
                for text in batch {
                    now = now.after(Nanos::from_millis(1));
                    let news = SocketNews::Text(black_box(text));
                    feed.on_socket(now, SocketNo(0), LinkId(1), &news, &mut out);
                    events += drain(&mut out);
                }
                samples.push(started.elapsed().as_nanos() as f64 / BATCH as f64);
            }
            assert_eq!(events, (FRAMES - 1) / BATCH * BATCH, "{name}: every frame is an event");
        }
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
        let bytes = frames.iter().map(String::len).sum::<usize>() / frames.len();
        println!(
            "{name}, {bytes} bytes: p50 {:.0} ns, p10 {:.0}, p90 {:.0} (batches of {BATCH})",
            at(0.5),
            at(0.1),
            at(0.9)
        );
    }
}
