//! The capture that frames are counted on: a real one, or one made from the synthetic market in the venue's words.
//! Never: downloads anything.

use crate::internal;
use ctos_runtime::{RunError, UserError};
use ctos_types::event::EventKind;
use ctos_types::{Decimal, EventBuf, Instrument, L2Book, Level, Side, UnixNanos};
use ctos_venue::{MarketSource, SyntheticConfig, SyntheticMarket};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Which file to use; a generated one is written where the measurements work.
#[derive(Debug)]
pub struct Capture {
    given: Option<PathBuf>,
    lines: u64,
}

/// A capture on disk. The generated file lives as long as this.
#[derive(Debug)]
pub struct Ready {
    pub path: PathBuf,
    /// What the numbers were measured on, for the result.
    pub source: String,
    _made: Option<tempfile::TempDir>,
}

/// Lines of a generated capture: about as many as ten minutes of a busy real one.
const LINES: u64 = 100_000;
const LINES_QUICK: u64 = 5_000;

impl Capture {
    pub fn new(given: Option<PathBuf>, quick: bool) -> Capture {
        Capture { given, lines: if quick { LINES_QUICK } else { LINES } }
    }

    /// The file, made in `dir` where none was given.
    pub fn ready(&self, dir: &Path) -> Result<Ready, RunError> {
        if let Some(path) = &self.given {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            return Ok(Ready { path: path.clone(), source: name, _made: None });
        }
        let made = crate::durable::work_dir(dir)?;
        let path = made.path().join("synthetic_usdm_btcusdt.jsonl.gz");
        make(&path, self.lines)?;
        let source = format!("generated from the synthetic market, {} lines", self.lines);
        Ok(Ready { path, source, _made: Some(made) })
    }
}

/// Makes a capture of so many lines.
pub fn make(path: &Path, lines: u64) -> Result<(), RunError> {
    let unwritable =
        |e: io::Error| UserError::new(format!("cannot write {}: {e}", path.display()), "name another --home");
    generate(path, lines).map_err(|e| match e {
        MakeError::Io(e) => RunError::User(unwritable(e)),
        MakeError::Market(e) => internal(e),
    })
}

enum MakeError {
    Io(io::Error),
    Market(String),
}

impl MakeError {
    fn market(error: impl std::fmt::Display) -> MakeError {
        MakeError::Market(error.to_string())
    }
}

impl From<io::Error> for MakeError {
    fn from(e: io::Error) -> MakeError {
        MakeError::Io(e)
    }
}

/// Writes `lines` frames of the synthetic BTC perpetual as Binance USD-M sends them, receive stamps included.
fn generate(path: &Path, lines: u64) -> Result<(), MakeError> {
    let mut config = SyntheticConfig::for_symbols(1, &["sim:BTC-USDT-PERP"]).map_err(MakeError::market)?;
    config.coins.retain(|c| c.coin.as_str() == "BTC");
    for coin in &mut config.coins {
        // The venue's own grid: its frames say nothing finer.
        let (tick, lot) = (Decimal::new(1, 1), Decimal::new(1, 3));
        (coin.price_decimals, coin.tick, coin.qty_decimals, coin.lot, coin.min_qty) = (1, tick, 3, lot, lot);
    }
    let mut market = SyntheticMarket::new(config).map_err(MakeError::market)?;
    let mut out = GzEncoder::new(BufWriter::new(File::create(path)?), Compression::new(6));
    let instrument = market.instruments().iter().next().cloned();
    let mut recorder = Recorder::new(instrument.ok_or_else(|| MakeError::Market("no instrument".into()))?);
    let mut event = EventBuf::default();
    while recorder.lines < lines {
        let Some(times) = market.next(&mut event) else { break };
        recorder.record(times.recv, &event);
        out.write_all(recorder.text.as_bytes())?;
        recorder.text.clear();
    }
    out.finish()?.flush()?;
    Ok(())
}

/// Writes events as frames. Every change of the top of the book makes a ticker, as on the venue.
struct Recorder {
    instrument: Instrument,
    book: L2Book,
    update_id: u64,
    lines: u64,
    text: String,
}

impl Recorder {
    fn new(instrument: Instrument) -> Recorder {
        Recorder { instrument, book: L2Book::default(), update_id: 1_000, lines: 0, text: String::new() }
    }

    fn record(&mut self, recv: UnixNanos, event: &EventBuf) {
        let ms = recv.0 / 1_000_000;
        match &event.kind {
            EventKind::Depth { bids, snapshot, .. } => {
                let (bids, asks) = event.levels.split_at(*bids);
                self.depth(recv, ms, bids, asks, *snapshot);
            }
            EventKind::Trade { trade, .. } => {
                let (px, qty) = (self.instrument.price_text(trade.price), self.instrument.qty_text(trade.qty));
                let maker = trade.aggressor == Side::Sell;
                let id = trade.id;
                self.line(recv, "trade", format_args!(
                    r#"{{"e":"trade","E":{ms},"T":{ms},"s":"BTCUSDT","t":{id},"p":"{px}","q":"{qty}","X":"MARKET","m":{maker}}}"#
                ));
            }
            _ => {}
        }
    }

    fn depth(&mut self, recv: UnixNanos, ms: i64, bids: &[Level], asks: &[Level], snapshot: bool) {
        let top = self.book.quote();
        let (bid_text, ask_text) = (self.levels(bids), self.levels(asks));
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            levels.iter().for_each(|l| self.book.set(side, l.price, l.qty));
        }
        let before = self.update_id;
        if snapshot {
            let _ = writeln!(
                self.text,
                r#"{} {{"lastUpdateId":{before},"E":{ms},"T":{ms},"bids":[{bid_text}],"asks":[{ask_text}]}}"#,
                recv.0
            );
            self.lines += 1;
            return;
        }
        self.update_id += 1;
        let now = self.update_id;
        // The first diff behind a snapshot must reach back over it; a diff may repeat the id before its own.
        self.line(recv, "depth@0ms", format_args!(
            r#"{{"e":"depthUpdate","E":{ms},"T":{ms},"s":"BTCUSDT","U":{before},"u":{now},"pu":{before},"b":[{bid_text}],"a":[{ask_text}]}}"#
        ));
        let q = self.book.quote();
        if q != top {
            let (i, s) = (&self.instrument, now);
            let (b, a) = (i.price_text(q.bid_px), i.price_text(q.ask_px));
            let (bq, aq) = (i.qty_text(q.bid_qty), i.qty_text(q.ask_qty));
            self.line(recv, "bookTicker", format_args!(
                r#"{{"e":"bookTicker","u":{s},"s":"BTCUSDT","b":"{b}","B":"{bq}","a":"{a}","A":"{aq}","T":{ms},"E":{ms}}}"#
            ));
        }
    }

    fn line(&mut self, recv: UnixNanos, stream: &str, data: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, r#"{} {{"stream":"btcusdt@{stream}","data":{data}}}"#, recv.0);
        self.lines += 1;
    }

    fn levels(&self, levels: &[Level]) -> String {
        let mut text = String::new();
        for (n, l) in levels.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let (px, qty) = (self.instrument.price_text(l.price), self.instrument.qty_text(l.qty));
            let _ = write!(text, r#"{comma}["{px}","{qty}"]"#);
        }
        text
    }
}
