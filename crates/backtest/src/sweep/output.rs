//! The files of a finished sweep: tables, page, summary. Each is whole or absent.
//! Never: a time, a path or a count of jobs in them. The same sweep gives the same bytes.

use super::analysis::{Analysis, analyse, ranked};
use super::market::Shared;
use super::page;
use super::schedule::{Outcome, Sweep};
use super::split::Part;
use super::table;
use super::verdict::{Verdict, verdicts};
use ctos_runtime::{RunError, UserError};
use ctos_storage::fs::{RealFs, write_atomic};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What `summary.json` holds and `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub strategy: String,
    pub market: String,
    /// Everything that is traded on, RFC 3339.
    pub from: String,
    pub to: String,
    pub method: &'static str,
    /// Varied parameters and how many values each has.
    pub space: BTreeMap<String, u64>,
    pub seed: u64,
    #[serde(flatten)]
    pub analysis: Analysis,
    pub verdicts: Vec<Verdict>,
    /// What is wrong with the data, one line each.
    pub data_quality: Vec<String>,
    /// The best of each window, best first.
    pub top: Vec<Top>,
    /// SHA-256 over the trials and their results, in the order of the table.
    pub table_hash: String,
}

/// One of the best.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Top {
    pub fold: usize,
    pub number: usize,
    pub params: BTreeMap<String, String>,
    pub train: Option<f64>,
    pub test: Option<f64>,
    pub total_return: Option<f64>,
    pub max_drawdown: Option<f64>,
    pub trades: u64,
}

/// How many of each window are in a summary.
const TOP: usize = 10;

/// What is wrong with the data of a sweep, instruments that come late or go early in its range included.
pub fn notices(sweep: &Sweep, market: &Shared) -> Vec<String> {
    page::whole(sweep).map_or_else(|| market.notices.clone(), |w| market.notices_of(w.from, w.to))
}

pub fn summary(sweep: &Sweep, outcome: &Outcome) -> Summary {
    let analysis = analyse(sweep, outcome);
    let whole = page::whole(sweep);
    let hashes: Vec<(&str, String)> = outcome.rows.iter().map(|r| (r.trial.as_str(), r.result.hash())).collect();
    Summary {
        strategy: sweep.base.strategy.clone(),
        market: sweep.base.data.market.clone(),
        from: whole.map(|w| w.from.to_string()).unwrap_or_default(),
        to: whole.map(|w| w.to.to_string()).unwrap_or_default(),
        method: sweep.plan.method.name(),
        space: sweep.space.axes().iter().map(|a| (a.name.clone(), a.values.len() as u64)).collect(),
        seed: sweep.base.seed,
        verdicts: verdicts(&analysis, sweep.scoring.objective, &sweep.space),
        data_quality: Vec::new(),
        analysis,
        top: (0..sweep.folds.len()).flat_map(|fold| top(sweep, outcome, fold)).collect(),
        table_hash: super::trial::hash(&hashes),
    }
}

fn top(sweep: &Sweep, outcome: &Outcome, fold: usize) -> Vec<Top> {
    let shown = |score: Option<f64>| score.map(|s| sweep.scoring.shown(s));
    let tests: BTreeMap<usize, Option<f64>> =
        ranked(outcome, fold, Part::Test).into_iter().map(|r| (r.number, r.score)).collect();
    let best = ranked(outcome, fold, Part::Train).into_iter().take(TOP);
    best.map(|r| Top {
        fold,
        number: r.number,
        params: sweep.space.params(&r.point),
        train: shown(r.score),
        test: shown(tests.get(&r.number).copied().flatten()),
        total_return: r.result.figures.total_return,
        max_drawdown: r.result.figures.max_drawdown,
        trades: r.result.figures.trades,
    })
    .collect()
}

/// Writes `trials.csv`, `trials.parquet`, `sweep.html` and `summary.json` into `dir`. `notices`: what is wrong with the
/// data.
///
/// # Errors
/// The disk.
pub fn write(dir: &Path, sweep: &Sweep, outcome: &Outcome, notices: &[String]) -> Result<Summary, RunError> {
    let summary = Summary { data_quality: notices.to_vec(), ..summary(sweep, outcome) };
    let json = serde_json::to_string_pretty(&summary).map_err(|e| RunError::Internal(e.to_string()))? + "\n";
    let files: [(&str, Vec<u8>); 4] = [
        ("trials.csv", table::csv(sweep, outcome).into_bytes()),
        ("trials.parquet", table::parquet(sweep, outcome)?),
        ("sweep.html", page::html(sweep, outcome, notices).into_bytes()),
        ("summary.json", json.into_bytes()),
    ];
    for (name, bytes) in files {
        let path = dir.join(name);
        write_atomic(&RealFs, &path, &bytes).map_err(|e| {
            let hint = "make room or choose another --out; the same command writes them again without running a trial";
            UserError::new(format!("cannot write {}: {e}", path.display()), hint)
        })?;
    }
    Ok(summary)
}
