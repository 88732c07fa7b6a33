//! How long a market frame takes through a whole feed, from its text to the kernel's event: told apart among the streams
//! of eight instruments, its silence ended, chained to the one before, and put into an event.
//! Never: allocates (a test of the driver counts that), or measures a feed that is not in step.

use crate::binance::{depth_frames, ticker_frames};
use crate::measure::{Measure, Samples};
use crate::{Lab, Run, internal};
use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{BinanceFeed, BinanceWords, Product, Profile};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Answer, Outbox, Part, SocketNews, SocketNo};
use ctos_link::session::LinkId;
use ctos_runtime::RunError;
use ctos_types::{InstrumentId, Nanos, UnixNanos};
use std::hint::black_box;
use std::time::Instant;

pub(crate) const ALL: [(&str, Run); 2] = [
    ("feed_depth_20", |lab, name| through(lab, name, &depth_frames())),
    ("feed_book_ticker", |lab, name| through(lab, name, &ticker_frames())),
];

const BATCH: usize = 64;
const SYMBOLS: [&str; 8] = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT"];
/// Any link of the first socket.
const LINK: LinkId = LinkId(1);

/// Everything wanted, every link up, and BTC's book where the first of the depth frames goes on.
fn live(now: UnixNanos) -> Result<(Feed<BinanceFeed>, Outbox), RunError> {
    let mut list: Vec<_> = SYMBOLS.iter().filter_map(|s| builtin(Product::UsdM, s).cloned()).collect();
    for (n, instrument) in list.iter_mut().enumerate() {
        instrument.id = InstrumentId(n as u32);
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
            feed.on_socket(now, SocketNo(socket), LINK, &news, &mut out);
        }
    }
    let first = &depth_frames()[0];
    feed.on_socket(now, SocketNo(0), LINK, &SocketNews::Text(first), &mut out);
    let tag = out.asks.pop().ok_or_else(|| internal("the feed does not ask for the book"))?.tag;
    let before = first.split_once("\"pu\":").and_then(|(_, rest)| rest.split(',').next()).unwrap_or_default();
    let body = format!("{{\"lastUpdateId\":{before},\"E\":1,\"T\":1,\"bids\":[],\"asks\":[]}}");
    let answer = Answer::Http { status: 200, headers: &[], body: body.as_bytes(), sent: now, received: now };
    feed.on_answer(now, tag, &answer, &mut out);
    drain(&mut out);
    Ok((feed, out))
}

/// As the frame around the parts does: events go on, their storage comes back.
fn drain(out: &mut Outbox) -> usize {
    let mut count = 0;
    while out.has_events() {
        // Dropping the iterator would drop what it still has: one event a frame is what these frames make.
        let Some((_, event)) = out.take_events().next() else { break };
        black_box(&*event);
        out.reuse(event);
        count += 1;
    }
    count
}

fn through(lab: &Lab, name: &'static str, frames: &[String]) -> Result<Measure, RunError> {
    let passes = if lab.quick { 1 } else { 200 };
    let mut samples = Vec::new();
    for _ in 0..passes {
        let mut now = UnixNanos::from_secs(1_785_000_000);
        let (mut feed, mut out) = live(now)?;
        let mut events = 0;
        // The first depth frame is in the book already.
        let batches = frames[1..].chunks_exact(BATCH);
        let want = batches.len() * BATCH;
        for batch in batches {
            let begun = Instant::now();
            for text in batch {
                now = now.after(Nanos::from_millis(1));
                feed.on_socket(now, SocketNo(0), LINK, &SocketNews::Text(black_box(text)), &mut out);
                events += drain(&mut out);
            }
            samples.push(begun.elapsed().as_nanos() as f64 / BATCH as f64);
        }
        if events != want {
            return Err(internal(format!("{name}: {want} frames made {events} events")));
        }
    }
    let bytes = frames.iter().map(String::len).sum::<usize>() / frames.len();
    let note =
        format!("a whole feed of {} instruments, frames of about {bytes} bytes; means of {BATCH}", SYMBOLS.len());
    let samples = Samples::new(samples);
    Ok(samples.measure(name, "ns", &lab.machine, note).with_percentiles(samples.percentiles()))
}
