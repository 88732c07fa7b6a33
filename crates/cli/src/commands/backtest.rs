//! `backtest`: runs strategies over history and leaves a folder with everything about it, the report included.
//! `report`: makes a page of one such folder again, or of several side by side.
//! Never: runs or judges anything itself (`ctos_backtest` does).

mod progress;

use crate::args::Global;
use crate::commands::history::{ABORTED, HistoryArgs, catch_signals, span};
use crate::error::{CliError, tell};
use crate::{logging, out, settings};
use clap::{ArgMatches, Args};
use ctos_backtest::metrics::{self, Trials};
use ctos_backtest::report::{self, ReportInput, Run};
use ctos_backtest::results;
use ctos_backtest::whole::{PESSIMISTIC, Request, backtest as run};
use ctos_strategies::Catalog;
use ctos_types::Nanos;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Flags of `backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    pub history: HistoryArgs,
    /// How much of the market before --from the strategies see without trading, for example 1d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub warm_up: Option<Nanos>,
    /// Run this strategy (see `ctos strategies`); repeatable
    #[arg(long, value_name = "NAME")]
    pub strategy: Vec<String>,
    /// Folder of results [default: the next number in the home's backtests]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only the summary: no folder, no report
    #[arg(long, conflicts_with = "out")]
    pub no_files: bool,
    /// Leave out the second run under worse assumptions
    #[arg(long)]
    pub no_pessimistic: bool,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of backtests, or their names in the home's backtests
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The page to write [default: report.html in the folder of one run, compare.html in the home's backtests]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

pub fn backtest(global: &Global, catalog: Catalog, args: &BacktestArgs, matches: &ArgMatches) -> Result<(), CliError> {
    let settings = settings::for_run(global, &args.history.run_flags(&args.strategy)?, matches)?;
    logging::start(&settings.log, global.verbose, global.quiet, None);
    let folder = match (&args.out, args.no_files) {
        (Some(dir), _) => Some(dir.clone()),
        (None, true) => None,
        (None, false) => Some(next_folder(&settings.home.join("backtests"), &settings)?),
    };
    let request = Request {
        settings,
        from: args.history.from,
        to: args.history.to,
        warm_up: args.warm_up.unwrap_or(Nanos::ZERO),
        folder,
        pessimistic: !args.no_pessimistic,
    };
    let stop = catch_signals()?;
    let mut line = progress::Line::new(global.quiet > 0);
    let done = run(&request, catalog, &mut |status| {
        line.show(status);
        !stop.load(Ordering::Relaxed)
    });
    line.end();
    let Some(done) = done? else {
        tell("interrupted: nothing was written", "the same command starts anew");
        return Err(CliError::Silent(ABORTED));
    };
    let mut summary = done.summary;
    summary["folder"] = json!(done.folder.map(|f| f.display().to_string()));
    out::show(global.json, &summary, text)
}

/// `0007-grid`: the number after the highest there is.
fn next_folder(dir: &Path, settings: &ctos_runtime::config::Settings) -> Result<PathBuf, CliError> {
    let mut last = 0;
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let number = name.split('-').next().and_then(|n| n.parse::<u32>().ok());
                last = last.max(number.unwrap_or(0));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => {
            return Err(CliError::user(format!("cannot look into {}: {e}", dir.display()), "name a folder with --out"));
        }
    }
    let name = match settings.strategies.as_slice() {
        [one] => one.name.as_str(),
        _ => "several",
    };
    Ok(dir.join(format!("{:04}-{name}", last + 1)))
}

fn text(s: &Value) -> String {
    use std::fmt::Write as _;
    let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
    let mut t = String::new();
    let _ = writeln!(t, "backtest  {}", word(&s["market"]));
    let _ = writeln!(t, "period    {} to {} ({})", word(&s["from"]), word(&s["to"]), word(&s["ended"]));
    let _ = writeln!(t, "events    {}", word(&s["market_events"]));
    let _ = writeln!(t, "orders    {} sent, {} fills", word(&s["orders"]["sent"]), word(&s["fills"]));
    for (account, worths) in s["equity"].as_object().into_iter().flatten() {
        for (currency, e) in worths.as_object().into_iter().flatten() {
            let _ = writeln!(t, "worth     {account}: {} to {} {currency}", word(&e["start"]), word(&e["end"]));
        }
    }
    let figures = [
        ("return", "total_return", true),
        ("drawdown", "max_drawdown/ratio", true),
        ("sharpe", "sharpe", false),
        ("sortino", "sortino", false),
    ];
    for (name, key, percent) in figures {
        let value = match s["metrics"].pointer(&format!("/{key}")).and_then(Value::as_f64) {
            Some(v) if percent => format!("{:.2} %", v * 100.0),
            Some(v) => format!("{v:.2}"),
            None => "not defined for this run".into(),
        };
        let _ = writeln!(t, "{name:<9} {value}");
    }
    if let Some(v) = s["pessimistic"]["metrics"]["total_return"].as_f64() {
        let _ = writeln!(t, "pessimistic return {:.2} %", v * 100.0);
    }
    for (gate, count) in s["denied_by"].as_object().into_iter().flatten() {
        let _ = writeln!(t, "denied    {count} orders by {gate}");
    }
    for line in s["data_quality"].as_array().into_iter().flatten() {
        let _ = writeln!(t, "data      {}", word(line));
    }
    if s["fills"] == 0 {
        let _ = writeln!(t, "note      no order was filled: see `denied_by` and `orders` with --json");
    }
    let _ = writeln!(t, "hash      {}", word(&s["command_hash"]));
    if let Some(folder) = s["folder"].as_str() {
        let _ = writeln!(t, "report    {folder}/report.html");
    }
    t
}

/// What `report --json` prints.
#[derive(Debug, Serialize)]
struct Told {
    page: String,
    runs: Vec<String>,
}

pub fn report(global: &Global, args: &ReportArgs) -> Result<(), CliError> {
    let dir = settings::home(global)?.join("backtests");
    let folders: Vec<PathBuf> =
        args.runs.iter().map(|run| if run.is_dir() { run.clone() } else { dir.join(run) }).collect();
    let read: Vec<_> = folders.iter().map(|f| results::read(f)).collect::<Result<_, _>>()?;
    let figures: Vec<_> = read.iter().map(|r| metrics::of(&r.log, Trials::default())).collect();
    // What became of each under worse assumptions, where that was measured.
    let worse: Vec<Option<results::Results>> = folders
        .iter()
        .map(|f| f.join(PESSIMISTIC))
        .map(|f| f.is_dir().then(|| results::read(&f)).transpose())
        .collect::<Result<_, _>>()?;
    let worse_figures: Vec<_> =
        worse.iter().map(|w| w.as_ref().and_then(|r| metrics::of(&r.log, Trials::default()))).collect();
    let inputs: Vec<ReportInput<'_>> = (0..read.len())
        .map(|n| ReportInput {
            run: Run { log: &read[n].log, metrics: figures[n].as_ref() },
            pessimistic: worse[n].as_ref().map(|w| Run { log: &w.log, metrics: worse_figures[n].as_ref() }),
            label: None,
        })
        .collect();
    let (page, default) = match inputs.as_slice() {
        [one] => (report::html(one), folders[0].join("report.html")),
        several => (report::compare(several), dir.join("compare.html")),
    };
    let path = args.out.clone().unwrap_or(default);
    std::fs::write(&path, page)
        .map_err(|e| CliError::user(format!("cannot write {}: {e}", path.display()), "name another file with --out"))?;
    let told =
        Told { page: path.display().to_string(), runs: folders.iter().map(|f| f.display().to_string()).collect() };
    out::show(global.json, &told, |told| format!("report    {}\n", told.page))
}
