//! The most memory that whole backtests of files hold: loading, the run, the run under worse assumptions, the results.
//! Never: in this process, or without orders: what is kept of them counts too.

use crate::data::{self, Archive};
use crate::measure::{Measure, Samples};
use crate::{Lab, Run, alone, capture, durable, history, internal};
use ctos_backtest::whole::{Request, backtest};
use ctos_data::Catalog;
use ctos_data::import::{ImportOptions, open};
use ctos_data::ingest::{Job, import};
use ctos_data::query::{ExportFormat, Selection, export, one_series};
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::{RunError, UserError};
use ctos_types::{Decimal, Nanos, UnixNanos};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::TempDir;

pub const ALL: [(&str, Run); 7] = [
    ("memory_bars_csv", bars_csv),
    ("memory_bars_parquet", bars_parquet),
    ("memory_capture", raw_capture),
    ("memory_catalog_bars", catalog_bars),
    ("memory_catalog_trades", catalog_trades),
    ("memory_catalog_book", catalog_book),
    ("memory_results", results),
];

/// `ma_cross` that turns its position every dozen bars and never runs out of money.
const BUSY: &str = "ma_cross, EMA 10 and 20";

/// Bars, trades, and lines of a capture: enough that what grows with them is more than what does not.
const BARS: [usize; 2] = [5_000, 2_000_000];
const TRADES: [u64; 2] = [5_000, 4_000_000];
const LINES: [u64; 2] = [5_000, 400_000];
pub const BARS_FILE: &str = "btc_perp_1m.csv";

fn bars_csv(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let dir = durable::work_dir(&lab.dir)?;
    bars(dir.path(), BARS[usize::from(!lab.quick)])?;
    measure(lab, name, &dir, &format!("replay:{}", path(&dir, BARS_FILE)), "ma_cross", "a CSV file of bars")
}

fn bars_parquet(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let dir = bars_catalog(lab)?;
    let catalog = Catalog::open(&dir.path().join("catalog")).map_err(internal)?;
    let (out, all) = (dir.path().join("btc_perp_1m.parquet"), Selection::default());
    let series = one_series(&catalog, "BTC-USDT-PERP", None).map_err(internal)?;
    export(&catalog, &series, &all, ExportFormat::Parquet, &out).map_err(internal)?;
    measure(lab, name, &dir, &format!("replay:{}", out.display()), "ma_cross", "a Parquet file of bars")
}

fn raw_capture(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (dir, file) = capture(lab)?;
    measure(lab, name, &dir, &format!("replay:{file}"), "grid", "a raw capture")
}

fn catalog_bars(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let dir = bars_catalog(lab)?;
    measure(lab, name, &dir, &format!("catalog:{}", path(&dir, "catalog")), "ma_cross", "bars of a catalog")
}

/// As before with many orders, each of which leaves rows in the results: no floor is held against what they take.
fn results(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let dir = bars_catalog(lab)?;
    measure(lab, name, &dir, &format!("catalog:{}", path(&dir, "catalog")), BUSY, "bars of a catalog")
}

fn catalog_trades(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let Archive { dir, path: file, .. } = data::archive(lab, TRADES[usize::from(!lab.quick)])?;
    take(&dir, &file, Some("um"))?;
    measure(lab, name, &dir, &format!("catalog:{}", path(&dir, "catalog")), "grid", "trades of a catalog")
}

fn catalog_book(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (dir, file) = capture(lab)?;
    take(&dir, Path::new(&file), None)?;
    measure(
        lab,
        name,
        &dir,
        &format!("catalog:{}", path(&dir, "catalog")),
        "grid",
        "a book, quotes and trades of a catalog",
    )
}

fn path(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).display().to_string()
}

/// Minute bars as a CSV file.
pub fn bars(dir: &Path, n: usize) -> Result<(), RunError> {
    let path = dir.join(BARS_FILE);
    let write = || -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        writeln!(out, "timestamp,open,high,low,close,volume")?;
        for bar in history::bars(n) {
            let [o, h, l, c] = [bar.open, bar.high, bar.low, bar.close].map(|p| Decimal::new(p.0, 2));
            let volume = Decimal::new(bar.volume.0, 3);
            writeln!(out, "{},{o:.2},{h:.2},{l:.2},{c:.2},{volume:.3}", bar.open_time.0 / 1_000_000)?;
        }
        out.flush()
    };
    write().map_err(|e| UserError::new(format!("cannot write {}: {e}", path.display()), "name another --home").into())
}

fn bars_catalog(lab: &Lab) -> Result<TempDir, RunError> {
    let dir = durable::work_dir(&lab.dir)?;
    bars(dir.path(), BARS[usize::from(!lab.quick)])?;
    let file = dir.path().join(BARS_FILE);
    take(&dir, &file, None)?;
    Ok(dir)
}

fn capture(lab: &Lab) -> Result<(TempDir, String), RunError> {
    let dir = durable::work_dir(&lab.dir)?;
    let file = dir.path().join("synthetic_usdm_btcusdt.jsonl.gz");
    capture::make(&file, LINES[usize::from(!lab.quick)])?;
    let file = file.display().to_string();
    Ok((dir, file))
}

/// Imports `file` into the catalog in `dir`.
fn take(dir: &TempDir, file: &Path, market: Option<&str>) -> Result<(), RunError> {
    let catalog = Catalog::create(&dir.path().join("catalog")).map_err(internal)?;
    let options = ImportOptions { market: market.map(str::to_owned), ..ImportOptions::default() };
    let job = Job { catalog: &catalog, path: file, options: &options, now: UnixNanos(0), progress: &mut |_| {} };
    import(job, |path, options| Ok(open(path, options)?)).map(|_| ()).map_err(internal)
}

fn measure(
    lab: &Lab,
    name: &'static str,
    dir: &TempDir,
    market: &str,
    strategy: &str,
    what: &str,
) -> Result<Measure, RunError> {
    let told = alone::ask(&["load", market, strategy, &path(dir, "results")])?;
    let note = format!("{what} through {strategy}, results and the run under worse assumptions included");
    // A system that does not say gives a figure that no floor is held against.
    let megabytes = told.bytes.map_or(0.0, |bytes| bytes as f64 / 1e6);
    let measure = Samples::new(vec![megabytes]).measure(name, "MB", &lab.machine, note);
    Ok(if told.bytes.is_some() { measure.with_peak(told) } else { measure.on("not told by this system") })
}

/// A whole backtest as the command runs it. Returns the events it loaded: rows where a catalog counts them.
pub fn once(market: &str, strategy: &str, out: &Path) -> Result<u64, RunError> {
    let mut layers = Layers::new();
    layers.flag("--market", "market", market);
    layers.flag_strategy(if strategy == BUSY { "ma_cross" } else { strategy });
    if strategy == BUSY {
        for (key, value) in [("kind", "ema"), ("fast", "10"), ("slow", "20")] {
            layers.flag_param(key, value);
        }
        layers.flag_balance("USDT", "100000000000");
    }
    let request = Request {
        settings: Settings::resolve(&layers).map_err(UserError::from)?,
        from: None,
        to: None,
        warm_up: Nanos::ZERO,
        folder: Some(out.into()),
        pessimistic: true,
    };
    let done = backtest(&request, ctos_strategies::Catalog::BUILT_IN, &mut |_| true)?;
    let summary = done.ok_or_else(|| internal("the backtest was ended"))?.summary;
    let orders = summary["orders"]["sent"].as_u64().unwrap_or(0);
    if orders == 0 {
        return Err(internal(format!("{strategy} sent no order on {market}")));
    }
    let rows = summary["source"]["series"].as_array().map(|all| all.iter().filter_map(|s| s["rows"].as_u64()).sum());
    rows.or(summary["market_events"].as_u64()).ok_or_else(|| internal("no events"))
}
