//! `sweep`: tries many combinations of a strategy's parameters and says what to think of the best.
//! Never: runs a trial or judges one itself (`ctos_backtest::sweep` does).

mod progress;
#[cfg(test)]
mod tests;

use crate::args::Global;
use crate::commands::history::{ABORTED, HistoryArgs, catch_signals, span};
use crate::error::{CliError, tell};
use crate::{logging, out, settings};
use clap::{ArgMatches, Args};
use ctos_backtest::sweep::objective::{Objective, Scoring};
use ctos_backtest::sweep::output::{self, Summary};
use ctos_backtest::sweep::schedule::{self, Outcome};
use ctos_backtest::sweep::search::Method;
use ctos_backtest::sweep::setup::{MAX_TRIALS, Prepared, Request, prepare};
use ctos_backtest::sweep::split::{Split, Walk};
use ctos_backtest::sweep::store::Store;
use ctos_backtest::sweep::trial::hash;
use ctos_backtest::sweep::verdict::figure;
use ctos_strategies::Catalog;
use ctos_types::Nanos;
use progress::Line;
use serde::Serialize;
use std::path::PathBuf;

/// How many times as long as a test window the first training window is, unless told.
const TRAIN: u32 = 3;
/// Flags of `sweep`.
#[derive(Debug, Args)]
pub struct SweepArgs {
    #[command(flatten)]
    pub history: HistoryArgs,
    /// The strategy (see `ctos strategies`)
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// Vary a parameter: 5..50:5, 20,50,100 or log:10..1000:7; repeatable
    #[arg(long, value_name = "NAME=VALUES", allow_hyphen_values = true)]
    pub param: Vec<String>,
    /// How to search: grid, random or tpe
    #[arg(long, value_name = "METHOD", default_value = "grid", value_parser = Method::ALL.map(|(name, _)| name))]
    pub method: String,
    /// Combinations that random and tpe try, in each walk-forward window
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=MAX_TRIALS))]
    pub trials: u64,
    /// Combinations that tpe proposes at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// What is made best: sharpe, sortino, calmar, total_return, …
    #[arg(long, value_name = "FIGURE", default_value = "sharpe", value_parser = Objective::ALL.map(|(name, _)| name))]
    pub objective: String,
    /// Fewer closed trades give no score
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_trades: u64,
    /// Choose on one window and judge on the next, so many times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub walk_forward: Option<u32>,
    /// Training windows move on (rolling) or begin at the beginning (anchored) [default: rolling]
    #[arg(long, value_name = "HOW", value_parser = ["rolling", "anchored"], requires = "walk_forward")]
    pub walk: Option<String>,
    /// How many times as long as a test window the first training window is [default: 3]
    #[arg(long, value_name = "N", requires = "walk_forward", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub train: Option<u32>,
    /// What a strategy sees before each window without trading [default: what its longest average needs]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub warm_up: Option<Nanos>,
    /// Trials at a time [default: one for each core]; changes nothing but the time it takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub jobs: Option<u32>,
    /// Folder of results [default: in the home, named after the sweep]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Give up earlier results of this sweep instead of going on with them
    #[arg(long)]
    pub fresh: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// Where `trials.csv`, `trials.parquet`, `sweep.html` and `summary.json` are.
    folder: String,
    #[serde(flatten)]
    summary: &'a Summary,
}

pub fn sweep(global: &Global, catalog: Catalog, args: &SweepArgs, matches: &ArgMatches) -> Result<(), CliError> {
    let settings = settings::for_run(global, &args.history.run_flags(&args.strategy)?, matches)?;
    logging::start(&settings.log, global.verbose, global.quiet, None);
    let home = settings.home.clone();
    let Prepared { sweep, engine } = prepare(&request(args, settings), catalog)?;
    let named = || home.join("sweeps").join(format!("{}-{}", sweep.base.strategy, &hash(&sweep)[..12]));
    let dir = args.out.clone().unwrap_or_else(named);
    let (mut store, finished) = Store::open(&dir, &sweep, args.fresh)?;
    if !finished.is_empty() {
        tracing::info!(trials = finished.len(), folder = %dir.display(), "going on with an earlier sweep");
    }
    let stop = catch_signals()?;
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize);
    let line = Line::new(&sweep, global.quiet > 0);
    let outcome = schedule::run(&sweep, &engine, &mut store, finished, jobs, &stop, &|status| line.show(status));
    line.end();
    let outcome: Outcome = outcome?;
    if !outcome.complete {
        let done = outcome.rows.len();
        tell(&format!("interrupted after {done} trials"), "the same command goes on where this one ended");
        return Err(CliError::Silent(ABORTED));
    }
    let notices = output::notices(&sweep, engine.market());
    let summary = output::write(&dir, &sweep, &outcome, &notices)?;
    let folder = dir.display().to_string();
    out::show(global.json, &Told { folder, summary: &summary }, |told| text(told, sweep.scoring.objective))
}

fn request(args: &SweepArgs, settings: ctos_runtime::config::Settings) -> Request {
    // Clap has let only these words through.
    let named = |name: &str| Method::ALL.iter().find(|(n, _)| *n == name).map_or(Method::Grid, |(_, m)| *m);
    let figure = |name: &str| Objective::ALL.iter().find(|(n, _)| *n == name).map_or(Objective::Sharpe, |(_, o)| *o);
    let walk = if args.walk.as_deref() == Some("anchored") { Walk::Anchored } else { Walk::Rolling };
    Request {
        settings,
        params: args.param.clone(),
        method: named(&args.method),
        trials: args.trials,
        batch: args.batch,
        scoring: Scoring { objective: figure(&args.objective), min_trades: args.min_trades },
        split: args.walk_forward.map(|folds| Split { folds, walk, train: args.train.unwrap_or(TRAIN) }),
        from: args.history.from,
        to: args.history.to,
        warm_up: args.warm_up,
    }
}

// ---- for people

fn text(told: &Told<'_>, objective: Objective) -> String {
    let s = told.summary;
    let split = s.analysis.walk_forward.is_some();
    let name = s.analysis.objective;
    let shown = |v: Option<f64>| out::or_dash(v.map(|v| figure(objective, v)));
    let share = |v: Option<f64>| out::or_dash(v.map(|v| figure(Objective::TotalReturn, v)));
    let mut text = format!("{} of {} on {}\n", s.method, s.strategy, s.market);
    text += &format!("{} to {}, {} combinations tried", s.from, s.to, s.analysis.tried);
    if s.analysis.refused > 0 {
        text += &format!(", {} not possible", s.analysis.refused);
    }
    text += "\n\n";
    let mut head: Vec<&str> = if split { vec!["window"] } else { vec![] };
    head.extend(s.space.keys().map(String::as_str));
    head.push(name);
    if split {
        head.push("in test");
    }
    head.extend(["return", "drawdown", "trades"]);
    let left = usize::from(split);
    let right: Vec<usize> = (left..head.len()).collect();
    // Of many windows only the choice each; of one the best ten.
    let top = s.top.iter().filter(|t| !split || is_first(s, t));
    let rows: Vec<Vec<String>> = top
        .map(|t| {
            let mut row: Vec<String> = if split { vec![(t.fold + 1).to_string()] } else { vec![] };
            row.extend(t.params.values().cloned());
            row.push(shown(t.train));
            if split {
                row.push(shown(t.test));
            }
            row.extend([share(t.total_return), share(t.max_drawdown), t.trades.to_string()]);
            row
        })
        .collect();
    text += &out::table(&head, &right, &rows);
    text += "\n";
    for verdict in &s.verdicts {
        text += &format!("{} {}\n", if verdict.bad { "!" } else { "+" }, verdict.text);
    }
    for line in &s.data_quality {
        text += &format!("! data: {line}\n");
    }
    text + &format!("\n{}/sweep.html\n", told.folder)
}

fn is_first(summary: &Summary, top: &output::Top) -> bool {
    summary.top.iter().find(|t| t.fold == top.fold).is_some_and(|t| t.number == top.number)
}
