//! Proof that decoding the usual frames allocates nothing once the level storage has grown.
#![allow(unsafe_code)] // a counting allocator cannot be written without

use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{BinanceFeed, BinanceWords, Decoder, Levels, Product, Profile, SymbolMap};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Answer, Outbox, Part, SocketNews, SocketNo};
use ctos_link::session::LinkId;
use ctos_types::{Nanos, UnixNanos};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const USDM: [&str; 6] = [
    r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}"#,
    r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"st":1,"ps":"BTCUSDT","s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#,
    r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161256323,"s":"BTCUSDT","a":26129,"p":"61800.30","q":"1.5","nq":"1.5","f":100,"l":105,"T":1723161256322,"m":true,"st":1}}"#,
    r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61510.90","0.000"]],"a":[["61810.00","1.5"]]}}"#,
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","ps":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"]],"a":[],"st":1}}"#,
];
const SPOT: [&str; 4] = [
    r#"{"stream":"btcusdt@bookTicker","data":{"u":50093421613,"s":"BTCUSDT","b":"61685.99000000","B":"1.25869000","a":"61686.00000000","A":"2.44816000"}}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161601438,"s":"BTCUSDT","t":3735693016,"p":"61685.99000000","q":"0.00017000","T":1723161601437,"m":true,"M":true}}"#,
    r#"{"e":"aggTrade","E":1723161256323,"s":"BTCUSDT","a":26129,"p":"61800.30","q":"1.5","f":100,"l":105,"T":1723161256322,"m":true,"M":true}"#,
    r#"{"e":"depthUpdate","E":1723161601374,"s":"BTCUSDT","U":50093421613,"u":50093421620,"b":[["61685.29000000","0.00083000"]],"a":[]}"#,
];

#[test]
fn decoding_allocates_nothing() {
    for (product, frames) in [(Product::UsdM, &USDM[..]), (Product::Spot, &SPOT[..])] {
        let decoder = Decoder::new(SymbolMap::new(product, builtin(product, "BTCUSDT")));
        let mut levels = Levels::default();
        let mut round = || {
            for frame in frames {
                decoder.decode(frame.as_bytes(), None, &mut levels).unwrap();
            }
        };
        round();
        let before = COUNT.with(Cell::get);
        assert!(before > 0, "the counter counts");
        for _ in 0..100 {
            round();
        }
        assert_eq!(COUNT.with(Cell::get), before, "{product}");
    }
}

/// A feed whose links are up and whose book is in step behind update 5123107831937.
fn live(now: UnixNanos) -> (Feed<BinanceFeed>, Outbox) {
    let list = [builtin(Product::UsdM, "BTCUSDT").unwrap().clone()];
    let mut words = BinanceWords::new();
    let base = words.base(Product::UsdM, "http://x");
    let words = BinanceFeed::new(Profile::UsdM, "ws://x", words.public(base), &list);
    let want = Want { book: true, quotes: true, trades: true, marks: true, ..Want::default() };
    let [btc] = list;
    let (mut feed, mut out) = (Feed::new(words, vec![(btc, want)], FeedConfig::default()), Outbox::default());
    feed.start(now, &mut out);
    for socket in 0..feed.sockets() as u16 {
        for news in [SocketNews::Opened, SocketNews::Text("{\"result\":null,\"id\":1}")] {
            feed.on_socket(now, SocketNo(socket), LinkId(1), &news, &mut out);
        }
    }
    feed.on_socket(now, SocketNo(0), LinkId(1), &SocketNews::Text(&diff(0)), &mut out);
    let tag = out.asks.pop().expect("the book is asked for").tag;
    let body = br#"{"lastUpdateId":1000,"E":1,"T":1,"bids":[],"asks":[]}"#;
    let answer = Answer::Http { status: 200, headers: &[], body, sent: now, received: now };
    feed.on_answer(now, tag, &answer, &mut out);
    take(&mut out);
    out.notices.clear();
    out.sockets.clear();
    (feed, out)
}

fn diff(n: u64) -> String {
    let id = 1_000 + n * 10;
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{n},"T":{n},"s":"BTCUSDT","U":{},"u":{},"pu":{id},"b":[["58710.20","0.014"],["61510.90","0.000"]],"a":[["61810.00","1.5"]],"st":1}}}}"#,
        id + 1,
        id + 10
    )
}

fn ticker(n: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{},"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":{n},"E":{n},"st":1}}}}"#,
        1_000 + n * 10
    )
}

fn trade(n: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{n},"s":"BTCUSDT","a":{n},"p":"61800.30","q":"1.5","nq":"1.5","f":{n},"l":{n},"T":{n},"m":true,"st":1}}}}"#
    )
}

/// As the frame does: an event goes on, its storage comes back.
fn take(out: &mut Outbox) -> u64 {
    let mut count = 0;
    while out.has_events() {
        let Some((_, buf)) = out.take_events().next() else { break };
        out.reuse(buf);
        count += 1;
    }
    count
}

#[test]
fn a_feed_in_step_allocates_nothing() {
    let mut now = UnixNanos::from_secs(1_785_000_000);
    let (mut feed, mut out) = live(now);
    let frames: Vec<(u16, String)> = (1..400u64).flat_map(|n| [(0, diff(n)), (0, ticker(n)), (1, trade(n))]).collect();
    let (warm, rest) = frames.split_at(90);
    let mut events = 0;
    let mut run = |list: &[(u16, String)]| {
        for (socket, text) in list {
            now = now.after(Nanos::from_millis(10));
            feed.on_socket(now, SocketNo(*socket), LinkId(1), &SocketNews::Text(text), &mut out);
            events += take(&mut out);
            let _ = feed.deadline();
        }
    };
    run(warm);
    let before = COUNT.with(Cell::get);
    run(rest);
    assert_eq!(COUNT.with(Cell::get) - before, 0);
    assert_eq!(events, frames.len() as u64);
}
