//! Opens the market a run trades on: the synthetic one, a data catalog, a raw capture, or bar files.
//! Never: reads a venue's frame itself (the driver's decoder does).

use crate::UserError;
use crate::config::{MarketSetting, Settings};
use ctos_data::Selection;
use ctos_driver_binance::instruments::{builtin, builtin_all};
use ctos_driver_binance::replay::Probe;
use ctos_driver_binance::{LineSource, SourceLine, load_capture, probe};
use ctos_storage::bars::{BarOptions, BarSeries, VolumeUnit, read_bars};
use ctos_storage::capture::{CaptureError, CaptureItem, CaptureReader};
use ctos_types::{
    Instrument, InstrumentId, InstrumentKind, Instruments, Market, MarketData, Nanos, Settlement, UnixNanos,
};
use ctos_venue::synthetic::{SyntheticConfig, SyntheticMarket};
use ctos_venue::{MarketSource, TapeBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// An open market.
pub struct Opened {
    pub source: Box<dyn MarketSource>,
    /// What was found in the recording. Null for the synthetic market.
    pub report: Value,
    pub notices: Vec<String>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("report", &self.report).finish_non_exhaustive()
    }
}

/// What the synthetic market trades when the settings name nothing.
pub const DEFAULT_SYMBOL: &str = "sim:BTC-USDT-PERP";

pub fn open(settings: &Settings) -> Result<Opened, UserError> {
    match &settings.market {
        MarketSetting::Synthetic => synthetic(settings),
        MarketSetting::Replay(path) => recorded(path, &settings.symbols),
        MarketSetting::Catalog(dir) => {
            catalog(dir, &Selection { symbols: settings.symbols.clone(), ..Selection::default() })
        }
        MarketSetting::Binance(_) => Err(UserError::new(
            format!("{} has no past: it comes in as it happens", settings.market),
            "use `ctos run`, or a catalog that `ctos data` has filled",
        )),
    }
}

/// A part of a data catalog.
pub fn catalog(dir: &Path, selection: &Selection) -> Result<Opened, UserError> {
    let loaded = ctos_data::load(dir, selection).map_err(|e| UserError::new(e.message, e.hint))?;
    let notices = loaded.report.notices.clone();
    let report =
        serde_json::to_value(&loaded.report).map_err(|e| UserError::new(e.to_string(), "report this as a bug"))?;
    Ok(Opened { source: Box::new(loaded.tape), report, notices })
}

fn synthetic(settings: &Settings) -> Result<Opened, UserError> {
    let symbols = if settings.symbols.is_empty() { vec![DEFAULT_SYMBOL.into()] } else { settings.symbols.clone() };
    let market = SyntheticConfig::for_symbols(settings.seed, &symbols).and_then(SyntheticMarket::new);
    let source = market.map_err(|e| UserError::new(e.to_string(), "choose symbols from that list"))?;
    Ok(Opened { source: Box::new(source), report: Value::Null, notices: Vec::new() })
}

/// Lines looked at to find out what a capture is of.
const PROBE_LINES: u64 = 20_000;

fn recorded(path: &Path, symbols: &[String]) -> Result<Opened, UserError> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !path.is_file() {
        return Err(UserError::new(
            format!("cannot open {}: no such file", path.display()),
            "check the path after replay:",
        ));
    }
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    if bare.ends_with(".csv") || bare.ends_with(".parquet") {
        bars(path, symbols)
    } else if bare.ends_with(".jsonl") || bare.ends_with(".json") || bare.ends_with(".log") {
        capture(path, symbols)
    } else {
        let hint = "raw captures end in .jsonl or .jsonl.gz, bar files in .csv or .parquet";
        Err(UserError::new(format!("cannot tell what {} is", path.display()), hint))
    }
}

// ---- raw captures

/// A capture file's lines, as the driver's replayer takes them.
struct Lines(CaptureReader);

impl LineSource for Lines {
    type Error = CaptureError;

    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, CaptureError> {
        Ok(self.0.next_item()?.map(|item| match item {
            CaptureItem::Line(l) => SourceLine::Frame { number: l.number, ts_recv: l.ts_recv, frame: l.frame },
            CaptureItem::Bad(bad) => SourceLine::Bad { number: bad.line },
        }))
    }

    fn why_bad(&self) -> String {
        self.0.summary().bad.last().map_or_else(|| "unreadable".into(), |bad| bad.why.to_string())
    }
}

fn capture_error(error: &CaptureError) -> UserError {
    UserError::new(error.to_string(), "check the file with `gzip -t` or record it again")
}

fn capture(path: &Path, symbols: &[String]) -> Result<Opened, UserError> {
    let open = || CaptureReader::open(path).map(Lines).map_err(|e| capture_error(&e));
    let seen = probe(&mut open()?, PROBE_LINES).map_err(|e| capture_error(&e))?;
    let instruments = instruments_of(path, &seen, symbols)?;
    let mut lines = open()?;
    let mut tape = TapeBuilder::new(instruments.clone());
    let list: Vec<Instrument> = instruments.iter().cloned().collect();
    let mut ends = Ends::default();
    let take = |recv, market: &Market<'_>| {
        ends.see(recv, market);
        tape.push(recv, market);
    };
    let load = load_capture(&mut lines, &list, seen.product, take).map_err(|e| capture_error(&e))?;
    let summary = lines.0.summary();
    let mut notices: Vec<String> = load.notices();
    for (instrument, recv, ts_event) in ends.early() {
        // What the book showed last is not there any more, and nobody must trade with it.
        tape.insert(recv, &Market { instrument, ts_event, data: MarketData::Gap });
        notices.push(format!("{}: its frames end at {recv}, before the others'", instruments.get(instrument).symbol));
    }
    let source = tape.finish(summary.sha256);
    for bad in load.bad.iter().take(5) {
        notices.push(format!("{}, line {}: skipped: {}", path.display(), bad.number, bad.why));
    }
    if load.bad_lines > 5 {
        notices.push(format!("{}: {} lines were skipped in all", path.display(), load.bad_lines));
    }
    let report = json!({
        "file": path.display().to_string(),
        "lines": load.lines,
        "bad_lines": load.bad_lines,
        "bad": load.bad.iter().map(|b| json!({ "line": b.number, "why": b.why })).collect::<Vec<_>>(),
        "frames": {
            "depth": load.frames.depth, "book_ticker": load.frames.book_ticker, "trade": load.frames.trade,
            "agg_trade": load.frames.agg_trade, "mark_price": load.frames.mark_price, "snapshot": load.frames.snapshot,
            "other": load.frames.other.values().sum::<u64>(),
        },
        "unknown_symbols": load.unknown_symbols,
        "notices": notices,
    });
    Ok(Opened { source: Box::new(source), report, notices })
}

/// An instrument whose frames end so much before the others' is not traded in the rest of a capture.
const ENDED: Nanos = Nanos::from_secs(60);

/// When each instrument was last heard of.
#[derive(Default)]
struct Ends(BTreeMap<InstrumentId, (UnixNanos, UnixNanos)>);

impl Ends {
    fn see(&mut self, recv: UnixNanos, market: &Market<'_>) {
        if matches!(market.data, MarketData::Quote { .. } | MarketData::Trade(_) | MarketData::Depth { .. }) {
            self.0.insert(market.instrument, (recv, market.ts_event));
        }
    }

    fn early(&self) -> impl Iterator<Item = (InstrumentId, UnixNanos, UnixNanos)> + '_ {
        let last = self.0.values().map(|(recv, _)| *recv).max().unwrap_or(UnixNanos::MIN);
        let ended = self.0.iter().filter(move |(_, (recv, _))| recv.after(ENDED) < last);
        ended.map(|(id, (recv, ts_event))| (*id, *recv, *ts_event))
    }
}

/// Definitions of the instruments in a capture, or of those of them that were chosen.
fn instruments_of(path: &Path, seen: &Probe, symbols: &[String]) -> Result<Instruments, UserError> {
    let product = seen.product.ok_or_else(|| {
        let hint = "a raw capture has one frame a line: receive time in ns, a space, the frame as received";
        UserError::new(format!("{} holds no Binance frame", path.display()), hint)
    })?;
    let mut list = Vec::new();
    for venue_symbol in seen.symbols.keys() {
        match builtin(product, venue_symbol) {
            Some(instrument) => list.push(instrument.clone()),
            None => tracing::warn!(symbol = venue_symbol, "no definition of this instrument: its frames are left out"),
        }
    }
    let all = Instruments::new(list).map_err(|e| UserError::new(e.to_string(), "report this as a bug"))?;
    if all.is_empty() {
        let found: Vec<&str> = seen.symbols.keys().map(String::as_str).collect();
        let known: Vec<&str> = builtin_all().iter().map(|i| i.symbol.as_str()).collect();
        return Err(UserError::new(
            format!("{} is of {}, which is not defined here", path.display(), found.join(", ")),
            format!("known instruments: {}", known.join(", ")),
        ));
    }
    choose(all, symbols)
}

fn choose(all: Instruments, symbols: &[String]) -> Result<Instruments, UserError> {
    if symbols.is_empty() {
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for symbol in symbols {
        let id = crate::world::find(&all, symbol)?;
        chosen.push(all.get(id).clone());
    }
    Instruments::new(chosen).map_err(|e| UserError::new(e.to_string(), "name each symbol once"))
}

// ---- bars

fn bars(path: &Path, symbols: &[String]) -> Result<Opened, UserError> {
    let mut file = read_bars(path, &BarOptions::default())
        .map_err(|e| UserError::new(e.to_string(), "see docs/data.md for the columns a bar file needs"))?;
    let mut notices: Vec<String> = file.defects.iter().map(|d| format!("{}: {d}", path.display())).collect();
    let list = file.series.iter().map(|s| s.infer_instrument(&bar_symbol(path, s), bar_kind(path, s)));
    let list: Vec<Instrument> =
        list.collect::<Result<_, _>>().map_err(|e| UserError::new(e.to_string(), "check the prices in the file"))?;
    let all = Instruments::new(list).map_err(|e| UserError::new(e.to_string(), "check the symbols in the file"))?;
    let chosen = choose(all.clone(), symbols)?;
    let instruments: Vec<Option<&Instrument>> = all.iter().map(|i| chosen.find(i.symbol.as_str())).collect();
    for (series, instrument) in file.series.iter().zip(&instruments) {
        let Some(instrument) = instrument.filter(|_| series.missing() > 0) else { continue };
        let (missing, symbol) = (series.missing(), &instrument.symbol);
        notices.push(format!("{}: {missing} bars of {symbol} are missing in the file", path.display()));
    }
    let bad_lines = file.skipped();
    let intervals: Vec<_> = file.series.iter().map(|s| s.interval).collect();
    let ranks: Vec<Option<usize>> = instruments.iter().map(|i| i.map(|i| i.id.index())).collect();
    // Bars of all instruments in the order in which they close; the file's rows are let go as they pass.
    let mut tape = TapeBuilder::new(chosen.clone());
    let (mut bars, mut skipped) = (0u64, 0u64);
    for (at, row) in file.drain_rows(&ranks) {
        let Some(instrument) = instruments[at] else { continue };
        match row.to_bar(intervals[at], instrument, VolumeUnit::Base) {
            Ok(bar) => {
                let (close, data) = (bar.close_time(), MarketData::Bar(bar));
                tape.push(close, &Market { instrument: instrument.id, ts_event: close, data });
                bars += 1;
            }
            Err(_) => skipped += 1,
        }
    }
    let report = json!({
        "file": path.display().to_string(),
        "lines": file.rows_read,
        "bad_lines": bad_lines + skipped,
        "bars": bars,
        "missing_bars": file.series.iter().map(|s| s.missing()).sum::<u64>(),
        "notices": notices,
    });
    Ok(Opened { source: Box::new(tape.finish(file.sha256)), report, notices })
}

/// Bars say no venue: their instruments are `file:SYMBOL`, a perpetual where the file's name says so.
fn bar_symbol(path: &Path, series: &BarSeries) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().to_string()).unwrap_or_default();
    match &series.symbol {
        Some(symbol) if symbol.contains(':') => symbol.clone(),
        Some(symbol) => format!("file:{}", symbol.replace(['/', '_'], "-")),
        None => {
            let coin = stem.split(['_', '-', '.']).next().unwrap_or("ASSET").to_uppercase();
            let perp = if is_perp(&stem) { "-PERP" } else { "" };
            format!("file:{}-USDT{perp}", coin.strip_suffix("USDT").filter(|c| !c.is_empty()).unwrap_or(&coin))
        }
    }
}

fn is_perp(stem: &str) -> bool {
    stem.to_lowercase().split(['_', '-', '.']).any(|word| word == "perp" || word == "swap")
}

fn bar_kind(path: &Path, series: &BarSeries) -> InstrumentKind {
    if bar_symbol(path, series).ends_with("-PERP") {
        InstrumentKind::Perpetual(Settlement::Linear)
    } else {
        InstrumentKind::Spot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use ctos_types::{EventBuf, EventKind};
    use std::fmt::Write;

    #[test]
    fn a_book_ends_with_the_frames_of_its_instrument() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("two.jsonl");
        let mut text = String::new();
        for second in 0..300i64 {
            for (symbol, until) in [("BTCUSDT", 300), ("ETHUSDT", 120)] {
                let (ms, stream) = (1_723_161_255_000 + second * 1_000, symbol.to_lowercase());
                let quote = format!(r#""s":"{symbol}","b":"2500.00","B":"2.000","a":"2500.10","A":"2.000""#);
                let data = format!(r#"{{"e":"bookTicker","u":{},{quote},"T":{ms},"E":{ms}}}"#, 10 + second);
                if second < until {
                    writeln!(text, r#"{}000000 {{"stream":"{stream}@bookTicker","data":{data}}}"#, ms + 3).unwrap();
                }
            }
        }
        std::fs::write(&path, text).unwrap();
        let mut layers = Layers::new();
        layers.flag("--market", "market", &format!("replay:{}", path.display()));
        let Opened { mut source, notices, .. } = open(&Settings::resolve(&layers).unwrap()).unwrap();
        assert!(notices.iter().any(|n| n.contains("ETH-USDT-PERP: its frames end at 2024-08-08T")), "{notices:?}");
        let eth = source.instruments().find("ETH-USDT-PERP").unwrap().id;
        let (mut buf, mut gaps, mut last) = (EventBuf::default(), Vec::new(), UnixNanos::MIN);
        while let Some(times) = source.next(&mut buf) {
            assert!(times.venue >= last, "the tape goes back");
            last = times.venue;
            if let EventKind::Gap { instrument, .. } = buf.kind {
                gaps.push((instrument, (times.recv.0 / 1_000_000 - 1_723_161_255_003) / 1_000));
            }
        }
        assert_eq!(gaps, [(eth, 119)]);
    }
}
