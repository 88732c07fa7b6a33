//! Opens the market a run trades on: the synthetic one, a data catalog, a raw capture, or bar files.
//! Never: reads a venue's frame itself (the driver's decoder does).

mod capture;

use crate::UserError;
use crate::config::{MarketSetting, Settings};
use ctos_data::Selection;
use ctos_storage::bars::{BarOptions, BarSeries, VolumeUnit, read_bars};
use ctos_types::{Instrument, InstrumentKind, Instruments, Market, MarketData, Settlement};
use ctos_venue::synthetic::{SyntheticConfig, SyntheticMarket};
use ctos_venue::{MarketSource, TapeBuilder};
use serde_json::{Value, json};
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
        MarketSetting::Replay(path) => recorded(path, settings),
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

fn recorded(path: &Path, settings: &Settings) -> Result<Opened, UserError> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    if path.is_dir() {
        return capture::open(path, settings);
    }
    if !path.is_file() {
        return Err(UserError::new(
            format!("cannot open {}: no such file or directory", path.display()),
            "check the path after replay:",
        ));
    }
    let bare = name.strip_suffix(".gz").unwrap_or(&name);
    if bare.ends_with(".csv") || bare.ends_with(".parquet") {
        bars(path, &settings.symbols)
    } else if capture::is_name(&name) {
        capture::open(path, settings)
    } else {
        let hint = "raw captures end in .jsonl or .jsonl.gz, bar files in .csv or .parquet";
        Err(UserError::new(format!("cannot tell what {} is", path.display()), hint))
    }
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
