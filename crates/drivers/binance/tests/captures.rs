//! Real recorded traffic against slow, independent reconstructions.
//! The files are not part of the repository: absent, a test says so and passes, except in CI.

use ctos_driver_binance::decode::DepthUpdate;
use ctos_driver_binance::instruments::builtin;
use ctos_driver_binance::{
    BookSync, CaptureLoad, Decoder, Frame, Levels, LineSource, Product, SourceLine, SymbolMap, SyncOut, load_capture,
    probe,
};
use ctos_storage::capture::{CaptureError, CaptureItem, CaptureReader};
use ctos_types::{Instrument, L2Book, Level, MarketData, Price, Qty, Side, UnixNanos};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BTC: &str = "binance_usdm_btcusdt_20240808.jsonl.gz";
const ETH: &str = "binance_usdm_ethusdt_20240808.jsonl.gz";
const SPOT: &str = "binance_spot_btcusdt_20240809.jsonl.gz";

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/raw").join(name);
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    println!("skipped: {} is absent", path.display());
    None
}

struct File {
    reader: CaptureReader,
    why: String,
}

impl LineSource for File {
    type Error = CaptureError;

    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, CaptureError> {
        Ok(self.reader.next_item()?.map(|item| match item {
            CaptureItem::Line(l) => SourceLine::Frame { number: l.number, ts_recv: l.ts_recv, frame: l.frame },
            CaptureItem::Bad(bad) => {
                self.why = bad.why.to_string();
                SourceLine::Bad { number: bad.line }
            }
        }))
    }

    fn why_bad(&self) -> String {
        self.why.clone()
    }
}

fn open(path: &Path) -> File {
    File { reader: CaptureReader::open(path).unwrap(), why: String::new() }
}

/// `"61800.20"` with two places is 6180020. Written apart from the product's own parser.
fn number(text: &Value, places: usize) -> i64 {
    let (whole, fraction) = text.as_str().unwrap().split_once('.').unwrap();
    let fraction = fraction.trim_end_matches('0');
    format!("{whole}{fraction:0<places$}").parse().unwrap()
}

/// What a plain reading of a file gives: no state machine, everything in lists.
#[derive(Default)]
struct Plain {
    lines: usize,
    diffs: Vec<Value>,
    snapshot: Option<Value>,
    /// Update id, bid price, bid size, ask price, ask size: as text.
    quotes: Vec<(u64, [String; 4])>,
    trades: Vec<Value>,
}

fn read_plain(path: &Path) -> Plain {
    let mut reader = CaptureReader::open(path).unwrap();
    let mut plain = Plain::default();
    while let Some(line) = reader.next_line().unwrap() {
        plain.lines += 1;
        let mut frame: Value = serde_json::from_slice(line.frame).unwrap();
        let stream = frame["stream"].as_str().unwrap_or_default().to_string();
        let data = if stream.is_empty() { frame } else { frame["data"].take() };
        match stream.split_once('@').map(|(_, kind)| kind) {
            Some("bookTicker") => {
                let text = |key: &str| data[key].as_str().unwrap().to_string();
                plain.quotes.push((data["u"].as_u64().unwrap(), ["b", "B", "a", "A"].map(text)));
            }
            Some("trade") => plain.trades.push(data),
            Some(_) => plain.diffs.push(data),
            None => plain.snapshot = Some(data),
        }
    }
    assert_eq!(reader.summary().bad_lines, 0);
    plain
}

/// One ordered map a side, fed with JSON.
#[derive(Default)]
struct PlainBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl PlainBook {
    fn set(&mut self, frame: &Value, bids: &str, asks: &str, (px, qty): (usize, usize)) {
        for (side, key) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in frame[key].as_array().unwrap() {
                match number(&level[1], qty) {
                    0 => side.remove(&number(&level[0], px)),
                    size => side.insert(number(&level[0], px), size),
                };
            }
        }
    }

    fn equals(&self, book: &L2Book) -> bool {
        let level = |(p, q): (&i64, &i64)| Level { price: Price(*p), qty: Qty(*q) };
        book.levels(Side::Buy).eq(self.bids.iter().rev().map(level))
            && book.levels(Side::Sell).eq(self.asks.iter().map(level))
    }
}

fn apply(book: &mut L2Book, bids: &[Level], asks: &[Level], snapshot: bool) {
    if snapshot {
        return book.replace(bids, asks);
    }
    bids.iter().for_each(|l| book.set(Side::Buy, l.price, l.qty));
    asks.iter().for_each(|l| book.set(Side::Sell, l.price, l.qty));
}

fn load(path: &Path, i: &Instrument, emit: impl FnMut(UnixNanos, &ctos_types::Market<'_>)) -> CaptureLoad {
    load_capture(&mut open(path), std::slice::from_ref(i), None, emit).unwrap()
}

/// Every line taken in; after every diff the book is the plain one, level by level, and its top is that of the last
/// book ticker whose update id is not above the diff's.
fn exact_book(name: &str, symbol: &str, lines: usize, frames: [u64; 4], comparisons: usize) {
    let Some(path) = data(name) else { return };
    let i = builtin(Product::UsdM, symbol).unwrap();
    let places = (usize::from(i.price_decimals), usize::from(i.qty_decimals));
    let plain = read_plain(&path);
    assert_eq!(plain.lines, lines);
    let snapshot = plain.snapshot.as_ref().unwrap();
    let bridge = snapshot["lastUpdateId"].as_u64().unwrap();
    let mut to_come = plain.diffs.iter().filter(|d| d["u"].as_u64().unwrap() >= bridge);
    let chained = plain.diffs.windows(2).filter(|w| w[1]["pu"] == w[0]["u"]).count();
    assert_eq!(chained, plain.diffs.len() - 1, "pu chains every diff to the one before");

    let (mut book, mut twin) = (L2Book::default(), PlainBook::default());
    let (mut compared, mut agreed, mut trades, mut last_at) = (0, 0, 0usize, UnixNanos::MIN);
    let report = load(&path, i, |at, m| {
        assert!(at >= last_at);
        last_at = at;
        match m.data {
            MarketData::Depth { bids, asks, snapshot: is_snapshot, update_id } => {
                apply(&mut book, bids, asks, is_snapshot);
                if is_snapshot {
                    twin.set(snapshot, "bids", "asks", places);
                    assert_eq!(update_id, bridge);
                } else {
                    let next = to_come.next().unwrap();
                    assert_eq!(
                        (update_id, m.ts_event.0 / 1_000_000),
                        (next["u"].as_u64().unwrap(), next["T"].as_i64().unwrap())
                    );
                    twin.set(next, "b", "a", places);
                    let at = plain.quotes.partition_point(|(id, _)| *id <= update_id);
                    if let Some((_, quote)) = plain.quotes[..at].last() {
                        let q = book.quote();
                        let ours = [
                            i.price_text(q.bid_px),
                            i.qty_text(q.bid_qty),
                            i.price_text(q.ask_px),
                            i.qty_text(q.ask_qty),
                        ];
                        compared += 1;
                        agreed += usize::from(&ours == quote);
                    }
                }
                assert!(twin.equals(&book), "the book differs after update {update_id}");
            }
            MarketData::Trade(t) => {
                let want = &plain.trades[trades];
                assert_eq!(
                    (t.id, m.ts_event.0 / 1_000_000),
                    (want["t"].as_u64().unwrap(), want["T"].as_i64().unwrap())
                );
                assert_eq!(
                    (i.price_text(t.price), i.qty_text(t.qty)),
                    (want["p"].as_str().unwrap().into(), want["q"].as_str().unwrap().into())
                );
                trades += 1;
            }
            MarketData::Quote { .. } => {}
            other => panic!("the capture has no {other:?}"),
        }
    });
    assert!(to_come.next().is_none(), "every diff from the bridge on was applied");
    assert_eq!((compared, agreed), (comparisons, comparisons));
    assert_eq!((report.lines as usize, report.bad_lines, report.notices()), (lines, 0, vec![]));
    let f = &report.frames;
    assert_eq!([f.depth, f.book_ticker, f.trade, f.snapshot], frames);
    let [only] = &report.symbols[..] else { panic!() };
    let c = only.counts;
    assert_eq!((only.symbol.as_str(), report.product, only.valid), (symbol, Some(Product::UsdM), true));
    assert_eq!((c.gaps, c.diffs_dropped, c.diffs_applied + c.diffs_old), (0, 0, f.depth));
    println!(
        "{name}: {agreed} of {compared} tops agree; {} levels at the end; {c:?}",
        twin.bids.len() + twin.asks.len()
    );
}

#[test]
fn btc_futures_book_is_exact() {
    exact_book(BTC, "BTCUSDT", 93_954, [6_551, 66_089, 21_313, 1], 6_547);
}

#[test]
fn eth_futures_book_is_exact() {
    exact_book(ETH, "ETHUSDT", 74_655, [6_586, 53_992, 14_076, 1], 6_581);
}

/// The diffs of a capture, decoded.
fn diffs(path: &Path, product: Product) -> Vec<DepthUpdate> {
    let decoder = Decoder::new(SymbolMap::new(product, builtin(product, "BTCUSDT")));
    let (mut reader, mut levels, mut diffs) = (CaptureReader::open(path).unwrap(), Levels::default(), Vec::new());
    while let Some(line) = reader.next_line().unwrap() {
        if let Ok(Frame::Depth(diff)) = decoder.decode(line.frame, None, &mut levels) {
            diffs.push(diff);
        }
    }
    diffs
}

/// A machine that has taken in everything up to `diffs[at - 1]`.
fn live(product: Product, diffs: &[DepthUpdate], at: usize) -> BookSync {
    let (mut sync, none) = (BookSync::new(product), Levels::default());
    let id = diffs[0].last;
    let snapshot = ctos_driver_binance::decode::Snapshot {
        instrument: diffs[0].instrument,
        last_update_id: id,
        ts_sent: None,
        ts_event: None,
    };
    sync.on_snapshot(&snapshot, &none, &mut |_| {});
    for diff in &diffs[1..at] {
        sync.on_diff(diff, &none, &mut |out| assert!(matches!(out, SyncOut::Diff { .. })));
    }
    sync
}

fn gap_at(sync: &BookSync, next: &DepthUpdate) -> bool {
    let (mut sync, mut gap) = (sync.clone(), false);
    sync.on_diff(next, &Levels::default(), &mut |out| gap |= matches!(out, SyncOut::Gap { .. }));
    assert_eq!(sync.is_valid(), !gap);
    gap
}

#[test]
fn lost_doubled_and_reordered_diffs_show_at_once() {
    let Some(path) = data(BTC) else { return };
    let diffs = diffs(&path, Product::UsdM);
    assert_eq!(diffs.len(), 6_551);
    for at in (2..diffs.len() - 1).step_by(7) {
        let sync = live(Product::UsdM, &diffs[at - 2..], 2);
        assert!(!gap_at(&sync, &diffs[at]), "the true next diff fits, at {at}");
        assert!(gap_at(&sync, &diffs[at + 1]), "one lost, or two reordered, at {at}");
        assert!(gap_at(&sync, &diffs[at - 1]), "doubled, at {at}");
    }
}

#[test]
fn spot_ids_chain_and_a_capture_without_snapshot_says_so() {
    let Some(path) = data(SPOT) else { return };
    let diffs = diffs(&path, Product::Spot);
    assert_eq!(diffs.len(), 3_044);
    assert_eq!(diffs.windows(2).filter(|w| w[1].first == w[0].last + 1).count(), 3_043);
    let sync = live(Product::Spot, &diffs, diffs.len());
    assert_eq!((sync.counts().diffs_applied, sync.counts().gaps), (3_043, 0));
    for at in (2..diffs.len() - 1).step_by(7) {
        let sync = live(Product::Spot, &diffs[at - 2..], 2);
        assert!(!gap_at(&sync, &diffs[at]) && gap_at(&sync, &diffs[at + 1]), "at {at}");
        // A repeated diff changes nothing on spot: its ids say that the book has it.
        assert!(!gap_at(&sync, &diffs[at - 1]), "at {at}");
    }

    let i = builtin(Product::Spot, "BTCUSDT").unwrap();
    let (mut quotes, mut trades) = (0, 0);
    let report = load(&path, i, |_, m| match m.data {
        MarketData::Quote { .. } => {
            quotes += 1;
            assert_eq!(m.ts_event, UnixNanos::MIN, "spot book tickers carry no time");
        }
        MarketData::Trade(_) => trades += 1,
        other => panic!("without a snapshot nothing can be said of {other:?}"),
    });
    assert_eq!((report.lines, report.bad_lines, quotes, trades), (58_325, 0, 45_134, 10_147));
    assert_eq!((report.product, report.dropped_diffs(), report.gaps()), (Some(Product::Spot), 3_044, 0));
    assert_eq!(
        report.notices(),
        ["BTCUSDT: the capture has no depth snapshot, so its 3044 depth updates cannot be put on a book; \
          only quotes and trades are delivered"]
    );
}

#[test]
fn a_capture_tells_what_it_is() {
    for (name, product, symbol) in
        [(BTC, Product::UsdM, "BTCUSDT"), (ETH, Product::UsdM, "ETHUSDT"), (SPOT, Product::Spot, "BTCUSDT")]
    {
        let Some(path) = data(name) else { return };
        let seen = probe(&mut open(&path), 200).unwrap();
        assert_eq!(seen.product, Some(product));
        assert_eq!(seen.symbols.keys().collect::<Vec<_>>(), [symbol]);
    }
}
