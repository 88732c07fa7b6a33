//! Measures what the project promises about speed: steps, frames, durable inputs, order round trips, backtests, indicators.
//! Never: decides whether a number is good enough (the floors do), or runs more than one thread but for the sweep.

mod alone;
mod backtest;
mod binance;
mod capture;
mod data;
mod durable;
mod feed;
mod fixture;
mod frames;
mod history;
mod indicators;
mod machine;
mod measure;
mod memory;
mod orders;
mod steps;
mod sweep;
mod tick;

pub use alone::{Alone, run as run_alone};
pub use measure::Measure;

use ctos_runtime::RunError;
use std::path::PathBuf;

/// What to measure, and on what.
#[derive(Clone, Debug)]
pub struct Options {
    /// A short run: shows that everything works, not how fast it is.
    pub quick: bool,
    /// Only measurements whose name contains this.
    pub filter: Option<String>,
    /// A raw Binance capture. `None`: one is made from the synthetic market.
    pub capture: Option<PathBuf>,
    /// An existing directory on the disk that journals are written to. What is made in it is removed again.
    pub dir: PathBuf,
}

/// What the measurements share.
#[derive(Debug)]
pub(crate) struct Lab {
    quick: bool,
    machine: String,
    dir: PathBuf,
    capture: capture::Capture,
}

pub(crate) type Run = fn(&Lab, &'static str) -> Result<Measure, RunError>;

/// Every measurement, in the order in which they run.
const ALL: [(&str, Run); 11] = [
    ("step_top_of_book_1", steps::top_of_book_1),
    ("step_top_of_book_10", steps::top_of_book_10),
    ("step_trade_1", steps::trade_1),
    ("step_trade_10", steps::trade_10),
    ("step_depth_diff_1", steps::depth_diff_1),
    ("step_depth_diff_10", steps::depth_diff_10),
    ("frames_decoded", frames::decoded),
    ("frames_from_file", frames::from_file),
    ("input_to_durable", durable::single),
    ("input_to_durable_group", durable::group),
    ("order_round_trips", orders::round_trips),
];

/// Names of all measurements.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| *name)
}

fn all() -> impl Iterator<Item = &'static (&'static str, Run)> {
    let backtests = backtest::ALL.iter().chain(&backtest::GROWTH);
    ALL.iter()
        .chain(&binance::ALL)
        .chain(&feed::ALL)
        .chain(&tick::ALL)
        .chain(backtests)
        .chain(&indicators::ALL)
        .chain(&data::ALL)
        .chain(&memory::ALL)
        .chain(&sweep::ALL)
}

/// Writes the histories that backtests are measured on as CSV into an existing directory, so that another engine can
/// be measured on the same events. The files are described in `docs/benchmarks.md`.
///
/// # Errors
/// What the disk says.
pub fn write_history(dir: &std::path::Path) -> std::io::Result<()> {
    history::write(dir, backtest::SIZES)
}

/// Runs the chosen measurements one after the other and tells `done` of each result as it comes.
///
/// # Errors
/// A user error for a capture that cannot be read or a directory that cannot be written; an internal one when a
/// measured run did not do what it was built to do, because then its time means nothing.
pub fn run(options: &Options, mut done: impl FnMut(&Measure)) -> Result<Vec<Measure>, RunError> {
    let chosen = |name: &str| options.filter.as_deref().is_none_or(|part| name.contains(part));
    let lab = Lab {
        quick: options.quick,
        machine: machine::describe(),
        dir: options.dir.clone(),
        capture: capture::Capture::new(options.capture.clone(), options.quick),
    };
    let mut results = Vec::new();
    for (name, run) in all().filter(|(name, _)| chosen(name)) {
        let result = run(&lab, name)?;
        done(&result);
        results.push(result);
    }
    Ok(results)
}

/// A failure that is ours or the machine's.
pub(crate) fn internal(error: impl std::fmt::Display) -> RunError {
    RunError::Internal(error.to_string())
}
