//! How much faster a sweep is with two trials at a time than with one, and what the machine gives two processes that
//! share nothing, which no sweep can exceed.
//! Never: counts the loading of data, which happens once however many trials there are.

use crate::measure::{Measure, Samples};
use crate::{Lab, Run, alone, internal, memory};
use ctos_backtest::sweep::objective::{Objective, Scoring};
use ctos_backtest::sweep::schedule;
use ctos_backtest::sweep::search::Method;
use ctos_backtest::sweep::setup::{Prepared, Request, prepare};
use ctos_backtest::sweep::store::Store;
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::{RunError, UserError};
use ctos_strategies::Catalog;
use std::io::{BufRead, BufReader, Lines, Write, stdin};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub(crate) const ALL: [(&str, Run); 1] = [("sweep_speedup", speedup)];

/// Bars of the market, and rounds of one sweep with one job and one with two.
const FULL: (usize, usize) = (300_000, 5);
const QUICK: (usize, usize) = (2_000, 1);

fn speedup(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (bars, rounds) = if lab.quick { QUICK } else { FULL };
    let dir = tempfile::tempdir_in(&lab.dir).map_err(internal)?;
    memory::bars(dir.path(), bars)?;
    let prepared = sweep(dir.path())?;
    let mut pair = [Other::start(dir.path())?, Other::start(dir.path())?];
    let (mut ratios, mut machine, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let [one, two] = [1, 2].map(|jobs| time(&prepared, &dir.path().join(format!("{round}-{jobs}")), jobs));
        let ((one, a), (two, b)) = (one?, two?);
        ratios.push(one / two);
        hashes.extend([a, b]);
        pair[0].go(&format!("{round}-alone"))?;
        let one = pair[0].seconds()?;
        pair[0].go(&format!("{round}-left"))?;
        pair[1].go(&format!("{round}-right"))?;
        machine.push(2.0 * one / pair[0].seconds()?.max(pair[1].seconds()?));
    }
    let machine = Samples::new(machine);
    if hashes.windows(2).any(|w| w[0] != w[1]) {
        return Err(internal("one job and two gave different tables"));
    }
    let trials = prepared.sweep.space.size();
    let note = format!(
        "{trials} trials of ma_cross over {bars} bars: one job's time over two jobs'; loading not counted; two processes \
         that share nothing: {:.2}x ({:.2} to {:.2})",
        machine.at(0.5),
        machine.min(),
        machine.max()
    );
    let measure = Samples::new(ratios).measure(name, "x", &lab.machine, note);
    let measure = Measure { machine_speedup: Some((machine.at(0.5) * 100.0).round() / 100.0), ..measure };
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

/// A process that runs the same sweep with one job whenever it is told to.
struct Other {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Returns when its data is loaded.
    fn start(dir: &Path) -> Result<Other, RunError> {
        let dir = dir.to_str().ok_or_else(|| internal("a directory that is no text"))?;
        let mut command = alone::command(&["sweep", dir])?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(internal)?;
        let (Some(orders), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(internal("no pipes to another process"));
        };
        let mut other = Other { child, orders, answers: BufReader::new(out).lines() };
        if other.answer()? != READY {
            return Err(internal("the other process did not get ready"));
        }
        Ok(other)
    }

    fn answer(&mut self) -> Result<String, RunError> {
        self.answers.next().ok_or_else(|| internal("the other process ended"))?.map_err(internal)
    }

    fn go(&mut self, name: &str) -> Result<(), RunError> {
        writeln!(self.orders, "{name}").map_err(internal)
    }

    fn seconds(&mut self) -> Result<f64, RunError> {
        self.answer()?.parse().map_err(internal)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Nothing of it is needed any more, and it must not outlive us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const READY: &str = "ready";

/// What such a process does: a sweep for each line of stdin, in a folder of that name, and the seconds it took to stdout.
pub fn serve(dir: &Path) -> Result<(), RunError> {
    let prepared = sweep(dir)?;
    println!("{READY}");
    for name in stdin().lines() {
        let (seconds, _) = time(&prepared, &dir.join(name.map_err(internal)?), 1)?;
        println!("{seconds}");
    }
    Ok(())
}

/// Thirty-two combinations on the market of minute bars in `dir`.
fn sweep(dir: &Path) -> Result<Prepared, RunError> {
    let path = dir.join(memory::BARS_FILE);
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
