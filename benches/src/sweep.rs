//! How much faster a sweep is with two trials at a time than with one.
//! Never: counts the loading of data, which happens once however many trials there are.

use crate::measure::{Measure, Samples};
use crate::{Lab, Run, history, internal};
use ctos_backtest::sweep::objective::{Objective, Scoring};
use ctos_backtest::sweep::schedule;
use ctos_backtest::sweep::search::Method;
use ctos_backtest::sweep::setup::{Prepared, Request, prepare};
use ctos_backtest::sweep::store::Store;
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::{RunError, UserError};
use ctos_strategies::Catalog;
use ctos_types::Decimal;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub(crate) const ALL: [(&str, Run); 1] = [("sweep_speedup", speedup)];

/// Bars of the market, and rounds of one sweep with one job and one with two.
const FULL: (usize, usize) = (300_000, 5);
const QUICK: (usize, usize) = (2_000, 1);

fn speedup(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (bars, rounds) = if lab.quick { QUICK } else { FULL };
    let dir = tempfile::tempdir_in(&lab.dir).map_err(internal)?;
    let prepared = sweep(dir.path(), bars)?;
    let (mut ratios, mut hashes) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let [one, two] = [1, 2].map(|jobs| time(&prepared, &dir.path().join(format!("{round}-{jobs}")), jobs));
        let ((one, a), (two, b)) = (one?, two?);
        ratios.push(one / two);
        hashes.extend([a, b]);
    }
    if hashes.windows(2).any(|w| w[0] != w[1]) {
        return Err(internal("one job and two gave different tables"));
    }
    let trials = prepared.sweep.space.size();
    let note =
        format!("{trials} trials of ma_cross over {bars} bars: one job's time over two jobs'; loading not counted");
    let measure = Samples::new(ratios).measure(name, "x", &lab.machine, note);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(if cores < 2 { measure.on("one core: nothing to speed up") } else { measure })
}

/// Seconds of one sweep, and the hash of its table.
fn time(prepared: &Prepared, dir: &Path, jobs: usize) -> Result<(f64, String), RunError> {
    let (mut store, finished) = Store::open(dir, &prepared.sweep, true)?;
    let begun = Instant::now();
    let stop = AtomicBool::new(false);
    let outcome = schedule::run(&prepared.sweep, &prepared.engine, &mut store, finished, jobs, &stop, &|_| ())?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok((seconds, ctos_backtest::sweep::output::summary(&prepared.sweep, &outcome).table_hash))
}

/// Thirty-two combinations on a market of minute bars.
fn sweep(dir: &Path, bars: usize) -> Result<Prepared, RunError> {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for bar in history::bars(bars) {
        let [o, h, l, c] = [bar.open, bar.high, bar.low, bar.close].map(|p| Decimal::new(p.0, 2));
        let volume = Decimal::new(bar.volume.0, 3);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{},{o:.2},{h:.2},{l:.2},{c:.2},{volume:.3}", bar.open_time.0 / 1_000_000);
    }
    let path = dir.join("btc_perp_1m.csv");
    std::fs::write(&path, text).map_err(internal)?;
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{}", path.display()));
    layers.flag_strategy("ma_cross");
    let request = Request {
        settings: Settings::resolve(&layers).map_err(UserError::from)?,
        params: vec!["fast=5..40:5".into(), "slow=50,80,120,200".into()],
        method: Method::Grid,
        trials: 0,
        batch: 0,
        scoring: Scoring { objective: Objective::Sharpe, min_trades: 0 },
        split: None,
        from: None,
        to: None,
        warm_up: None,
    };
    prepare(&request, Catalog::BUILT_IN)
}
