//! `data`: the catalog of market data. Imports, lists, shows, verifies, exports, records.
//! Never: reads a file or a row itself (`ctos_data` does).

mod download;
mod progress;

use crate::args::Global;
use crate::commands::history::{catch_signals, span};
use crate::error::CliError;
use crate::{out, settings};
use clap::{Args, Subcommand};
use ctos_data::import::{ImportOptions, formats, open};
use ctos_data::ingest::{Imported, Job, import};
use ctos_data::journaled::{record as record_run, was_cut_off};
use ctos_data::query::{self, ExportFormat, Selection};
use ctos_data::{Catalog, CatalogError, Kind};
use ctos_storage::bars::time;
use ctos_storage::home::Home;
use ctos_types::{Interval, Nanos, UnixNanos};
use progress::Line;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Flags of `data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Directory of the catalog [default: catalog in the home]
    #[arg(long, global = true, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Take files into the catalog; a file that is there already adds nothing
    #[command(
        after_help = "Examples:\n  ctos data import BTCUSDT-1m-2024-01.zip\n  ctos data import capture.jsonl.gz\n  \
        ctos data import my.csv --symbol okx:BTC-USDT --map Last=close --volume quote"
    )]
    Import(ImportArgs),
    /// Fetch history from a venue: only what the catalog does not have; a killed download goes on where it was
    #[command(after_help = "Examples:\n  ctos data download binance BTC-USDT --interval 1h --from 2024-01-01\n  \
        ctos data download binance BTC-USDT-PERP --data funding --from 2023-01-01 --to 2024-01-01\n  \
        ctos data download binance BTC-USDT --data trades --from 2024-06-01T12:00:00Z --to 2024-06-01T13:00:00Z")]
    Download(download::DownloadArgs),
    /// What the catalog has
    #[command(after_help = "Example:\n  ctos data list --symbols BTC-USDT-PERP --json")]
    List(SelectArgs),
    /// Rows of one symbol and kind
    #[command(after_help = "Example:\n  ctos data show BTC-USDT-PERP --kind trades --from 2024-08-08 --limit 20")]
    Show {
        /// With or without its venue
        #[arg(value_name = "SYMBOL")]
        symbol: String,
        #[command(flatten)]
        rows: RowArgs,
        /// At most so many rows
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// The last rows instead of the first
        #[arg(long)]
        tail: bool,
    },
    /// Read everything again: checksums, order, days, holes. Exits 1 where the catalog is damaged
    #[command(after_help = "Example:\n  ctos data verify --symbols BTC-USDT-PERP")]
    Verify(SelectArgs),
    /// Write rows of one symbol and kind into a CSV or Parquet file
    #[command(after_help = "Example:\n  ctos data export BTC-USDT-PERP --kind bars_1m --to-file btc.csv")]
    Export {
        /// With or without its venue
        #[arg(value_name = "SYMBOL")]
        symbol: String,
        #[command(flatten)]
        rows: RowArgs,
        /// The file to write; its ending, .csv or .parquet, is the format
        #[arg(long, value_name = "FILE")]
        to_file: PathBuf,
    },
    /// Keep what a run received; each time only what is new, also while it runs
    #[command(after_help = "Examples:\n  ctos data record\n  ctos data record latest --follow")]
    Record {
        /// Id of the run, or `latest`
        #[arg(value_name = "RUN", default_value = "latest")]
        run: String,
        /// Go on until the running instance ends, or until Ctrl-C
        #[arg(long)]
        follow: bool,
        /// Time between two looks at a running instance
        #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = every, requires = "follow")]
        every: Nanos,
    },
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What the files are, where name and content do not tell
    #[arg(long, value_name = "FORMAT", value_parser = clap::builder::PossibleValuesParser::new(formats()))]
    pub format: Option<String>,
    /// Venue part of the symbols: binance, okx, …
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// Symbol of a file that does not name it, for example binance:BTC-USDT-PERP
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Option<String>,
    /// The venue's market: spot, um or cm
    #[arg(long, value_name = "MARKET")]
    pub market: Option<String>,
    /// The venue's word for the data: klines, aggTrades, …
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Of bars, for example 1m
    #[arg(long, value_name = "INTERVAL")]
    pub interval: Option<Interval>,
    /// What a column `volume` counts
    #[arg(long, value_name = "UNIT", value_parser = ["base", "quote"], default_value = "base")]
    pub volume: String,
    /// A column of a generic file and what it is, for example Last=close; repeatable
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = mapping)]
    pub map: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct SelectArgs {
    /// Only these, with commas between
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Only these kinds: book, quotes, trades, bars_1m, …, funding, marks, depth_bands, instruments
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<Kind>,
}

#[derive(Debug, Args)]
pub struct RowArgs {
    /// Which kind, where the symbol has several
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// From this time on: 2024-08-08, 2024-08-08T12:00:00Z, or a count since 1970
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<UnixNanos>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<UnixNanos>,
}

fn moment(text: &str) -> Result<UnixNanos, String> {
    time::parse(text).ok_or_else(|| "not a time: write for example 2024-08-08 or 2024-08-08T12:00:00Z".into())
}

fn mapping(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(column, field)| !column.is_empty() && !field.is_empty());
    found.map(|(c, f)| (c.to_string(), f.to_string())).ok_or_else(|| "write for example Last=close".into())
}

fn user(e: CatalogError) -> CliError {
    CliError::user(e.message, e.hint)
}

pub fn data(global: &Global, args: &DataArgs) -> Result<(), CliError> {
    let dir = match &args.catalog {
        Some(dir) => dir.clone(),
        None => settings::home(global)?.join("catalog"),
    };
    match &args.command {
        DataCommand::Import(args) => import_files(global, &dir, args),
        DataCommand::Download(args) => download::run(global, &dir, args),
        DataCommand::List(args) => list(global, &dir, args),
        DataCommand::Show { symbol, rows, limit, tail } => show(global, &dir, symbol, rows, *limit as usize, *tail),
        DataCommand::Verify(args) => verify(global, &dir, args),
        DataCommand::Export { symbol, rows, to_file } => export(global, &dir, symbol, rows, to_file),
        DataCommand::Record { run, follow, every } => record(global, &dir, run, follow.then_some(*every)),
    }
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixNanos(since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
}

fn import_files(global: &Global, dir: &Path, args: &ImportArgs) -> Result<(), CliError> {
    let options = ImportOptions {
        format: args.format.clone(),
        venue: args.venue.clone(),
        symbol: args.symbol.clone(),
        market: args.market.clone(),
        data: args.data.clone(),
        interval: args.interval,
        volume_in_quote: args.volume == "quote",
        map: args.map.clone(),
    };
    // A wrong path is told before anything is made.
    for file in &args.files {
        std::fs::metadata(file)
            .map_err(|e| CliError::user(format!("cannot open {}: {e}", file.display()), "check the path"))?;
    }
    let catalog = Catalog::create(dir).map_err(user)?;
    let mut done: Vec<Value> = Vec::new();
    for (number, path) in args.files.iter().enumerate() {
        let mut line = Line::new(global, path, number + 1, args.files.len());
        let job = Job { catalog: &catalog, path, options: &options, now: now(), progress: &mut |p| line.show(&p) };
        let imported = import(job, |path, options| Ok(open(path, options)?));
        line.clear();
        // Those before it are in the catalog; the same command goes on behind them.
        let imported = imported.map_err(user)?;
        let report = imported.report();
        if global.json {
            let mut value = serde_json::to_value(report).map_err(CliError::internal)?;
            value["new"] = json!(matches!(imported, Imported::Done(_)));
            done.push(value);
            continue;
        }
        match &imported {
            Imported::Done(_) => out::print(&report.text())?,
            Imported::Before(_) => {
                let (path, at) = (path.display(), &report.imported_at);
                out::print(&format!("{path}: nothing added: it was imported at {at} (import {})\n", report.id))?;
            }
        }
    }
    if global.json { out::json(&json!({ "imports": done })) } else { Ok(()) }
}

fn selection(args: &SelectArgs) -> Selection {
    Selection { symbols: args.symbols.clone(), kinds: args.kind.clone(), ..Selection::default() }
}

fn list(global: &Global, dir: &Path, args: &SelectArgs) -> Result<(), CliError> {
    let catalog = Catalog::open(dir).map_err(user)?;
    let found = query::list(&catalog, &selection(args)).map_err(user)?;
    out::show(global.json, &found, |found| {
        let row = |s: &query::SeriesSummary| {
            let name = s.symbol.split_once(':').map_or(s.symbol.as_str(), |(_, name)| name);
            let (from, to) = (out::short_time(&s.from), out::short_time(&s.to));
            let numbers = [s.days, s.rows, s.bytes].map(|n| n.to_string());
            let [days, rows, bytes] = numbers;
            vec![s.venue.clone(), s.kind.clone(), name.into(), from, to, days, rows, bytes]
        };
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        out::table(&["venue", "kind", "symbol", "from", "to", "days", "rows", "bytes"], &[5, 6, 7], &rows)
    })
}

fn range(rows: &RowArgs) -> Selection {
    Selection { from: rows.from, to: rows.to, ..Selection::default() }
}

fn show(global: &Global, dir: &Path, symbol: &str, rows: &RowArgs, limit: usize, tail: bool) -> Result<(), CliError> {
    let catalog = Catalog::open(dir).map_err(user)?;
    let series = query::one_series(&catalog, symbol, rows.kind).map_err(user)?;
    let (names, cells) = query::show(&catalog, &series, &range(rows), limit, tail).map_err(user)?;
    if global.json {
        let object = |row: &Vec<Option<String>>| -> Value {
            names
                .iter()
                .zip(row)
                .map(|(name, cell)| ((*name).to_string(), json!(cell)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let rows: Vec<Value> = cells.iter().map(object).collect();
        return out::json(&json!({ "symbol": series.symbol, "kind": series.kind.to_string(), "rows": rows }));
    }
    let text = |row: Vec<Option<String>>| row.into_iter().map(|c| c.unwrap_or_else(|| "-".into())).collect();
    let right: Vec<usize> = (2..names.len()).collect();
    out::print(&out::table(&names, &right, &cells.into_iter().map(text).collect::<Vec<_>>()))
}

fn verify(global: &Global, dir: &Path, args: &SelectArgs) -> Result<(), CliError> {
    let catalog = Catalog::open(dir).map_err(user)?;
    let mut line = Line::plain(global, "verify");
    let found = query::verify(&catalog, &selection(args), |bytes| line.bytes(bytes)).map_err(user)?;
    line.clear();
    out::show(global.json, &found, |v| {
        let mut text = format!("{} files, {} rows, {} bytes\n", v.files, v.rows, v.bytes);
        v.notes.iter().for_each(|note| text += &format!("note: {note}\n"));
        v.problems.iter().for_each(|problem| text += &format!("problem: {problem}\n"));
        text + if v.problems.is_empty() { "the catalog is whole\n" } else { "" }
    })?;
    if found.problems.is_empty() { Ok(()) } else { Err(CliError::Silent(1)) }
}

fn export(global: &Global, dir: &Path, symbol: &str, rows: &RowArgs, to_file: &Path) -> Result<(), CliError> {
    let ending = to_file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let format = match ending.as_str() {
        "csv" => ExportFormat::Csv,
        "parquet" => ExportFormat::Parquet,
        _ => {
            let hint = "end the name in .csv or .parquet";
            return Err(CliError::user(format!("cannot tell the format of {}", to_file.display()), hint));
        }
    };
    let catalog = Catalog::open(dir).map_err(user)?;
    let series = query::one_series(&catalog, symbol, rows.kind).map_err(user)?;
    let written = query::export(&catalog, &series, &range(rows), format, to_file).map_err(user)?;
    let done = json!({ "file": to_file.display().to_string(), "rows": written, "symbol": series.symbol,
        "kind": series.kind.to_string() });
    out::show(global.json, &done, |_| format!("{}: {written} rows of {series}\n", to_file.display()))
}

/// Shorter would only make small files.
const SHORTEST: Nanos = Nanos::from_millis(100);

fn every(text: &str) -> Result<Nanos, String> {
    let span = span(text)?;
    if span < SHORTEST { Err("at least 100ms".into()) } else { Ok(span) }
}

fn record(global: &Global, dir: &Path, run: &str, follow: Option<Nanos>) -> Result<(), CliError> {
    let home = Home::read_only(&settings::home(global)?)?;
    let run = match run {
        "latest" => home.latest_run()?.ok_or_else(|| {
            CliError::user(format!("no run in {}", home.path().display()), "start one with `ctos run`")
        })?,
        id => home.run(id)?,
    };
    let catalog = Catalog::create(dir).map_err(user)?;
    let mut reports: Vec<Value> = Vec::new();
    let stop = catch_signals()?;
    loop {
        // Asked first: what comes between the answer and the reading is read too.
        let running = home.writer()?.is_some() && !stop.load(Ordering::Relaxed);
        // One that was killed is finished first; what came since is another one.
        let times = if was_cut_off(&catalog, &run.id).map_err(user)? { 2 } else { 1 };
        for _ in 0..times {
            let mut line = Line::plain(global, "record");
            let report = record_run(&catalog, &run.path, now(), &mut |p| line.show(&p)).map_err(user)?;
            line.clear();
            match report {
                Some(report) if global.json => reports.push(serde_json::to_value(&report).map_err(CliError::internal)?),
                Some(report) => out::print(&report.text())?,
                None if !global.json && follow.is_none() => out::print(&format!("{}: nothing new\n", run.id))?,
                None => {}
            }
        }
        let Some(every) = follow.filter(|_| running) else { break };
        wait(&home, every, &stop)?;
    }
    if global.json { out::json(&json!({ "run": run.id, "imports": reports })) } else { Ok(()) }
}

/// Until it is time to look again, the instance has ended, or somebody wants it to end here.
fn wait(home: &Home, every: Nanos, stop: &AtomicBool) -> Result<(), CliError> {
    let mut left = every.0;
    while left > 0 && !stop.load(Ordering::Relaxed) && home.writer()?.is_some() {
        std::thread::sleep(Duration::from_nanos(left.min(SHORTEST.0).unsigned_abs()));
        left -= SHORTEST.0;
    }
    Ok(())
}
