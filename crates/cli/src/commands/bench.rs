//! `bench`: measures this machine. Results on stdout, progress on stderr.
//! Never: measures anything itself (`ctos_bench` does), or judges a result.

use crate::args::Global;
use crate::error::CliError;
use crate::{out, settings};
use clap::Args;
use ctos_bench::{Measure, Options};
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Raw Binance capture to count frames on [default: the BTC capture beside the repository, else a generated one]
    #[arg(long, value_name = "PATH")]
    pub capture: Option<PathBuf>,
    /// Only what has this in its name
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// A short run, to see that everything works: its numbers mean little
    #[arg(long)]
    pub quick: bool,
    /// Measure nothing: write the histories that backtests are measured on as CSV, for another engine
    #[arg(long, value_name = "DIR", conflicts_with_all = ["capture", "filter", "quick"])]
    pub write_history: Option<PathBuf>,
    /// What a measurement asks a process of its own to do
    #[arg(long, hide = true, num_args = 1..)]
    pub alone: Option<Vec<String>>,
}

/// Where the recorded data lies, seen from the repository.
const CAPTURE: &str = "../shared/data/raw/binance_usdm_btcusdt_20240808.jsonl.gz";

pub fn bench(global: &Global, args: &BenchArgs) -> Result<(), CliError> {
    if let Some(dir) = &args.write_history {
        let written = std::fs::create_dir_all(dir).and_then(|()| ctos_bench::write_history(dir));
        written
            .map_err(|e| CliError::user(format!("cannot write to {}: {e}", dir.display()), "name another folder"))?;
        let files = ["bars.csv", "trades.csv", "depth.csv"].map(|name| dir.join(name).display().to_string());
        return out::show(global.json, &files, |files| files.join("\n") + "\n");
    }
    if let Some(words) = &args.alone {
        let told = ctos_bench::run_alone(words)?;
        return out::show(true, &told, |_| String::new());
    }
    let options =
        Options { quick: args.quick, filter: filter(args)?, capture: capture(args)?, dir: directory(global)? };
    let done = |m: &Measure| {
        if !global.json && stderr().is_terminal() {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(stderr(), "{}: {} {}", m.name, amount(m.median), m.unit);
        }
    };
    let results = ctos_bench::run(&options, done)?;
    out::show(global.json, &results, |r| text(r))
}

fn filter(args: &BenchArgs) -> Result<Option<String>, CliError> {
    let Some(part) = &args.filter else { return Ok(None) };
    if ctos_bench::names().any(|name| name.contains(part.as_str())) {
        return Ok(Some(part.clone()));
    }
    let names: Vec<&str> = ctos_bench::names().collect();
    Err(CliError::user(format!("no measurement has {part:?} in its name"), format!("there are {}", names.join(", "))))
}

fn capture(args: &BenchArgs) -> Result<Option<PathBuf>, CliError> {
    match &args.capture {
        Some(path) if path.is_file() => Ok(Some(path.clone())),
        Some(path) => {
            let hint = "name a capture, or leave --capture out to measure on a generated one";
            Err(CliError::user(format!("cannot open {}: no such file", path.display()), hint))
        }
        None => Ok(Some(PathBuf::from(CAPTURE)).filter(|path| path.is_file())),
    }
}

/// The home, so that the disk is the one that runs use; where there is none yet, a temporary directory.
fn directory(global: &Global) -> Result<PathBuf, CliError> {
    let home = settings::home(global)?;
    if global.home.is_none() && !home.is_dir() {
        return Ok(std::env::temp_dir());
    }
    std::fs::create_dir_all(&home)
        .map_err(|e| CliError::user(format!("cannot use {}: {e}", home.display()), "name another --home"))?;
    Ok(home)
}

fn text(results: &[Measure]) -> String {
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    let head = ["measurement", "unit", "median", "min", "max", "p99", "p99.9", "samples"];
    let mut text = out::table(&head, &[2, 3, 4, 5, 6, 7], &rows);
    for m in results {
        let source = m.source.as_ref().map(|s| format!(" [{s}]")).unwrap_or_default();
        text += &format!("\n{}: {}{source}", m.name, m.note);
    }
    let machine = results.first().map(|m| m.machine.as_str()).unwrap_or_default();
    format!("{text}\n\non {machine}\n")
}

fn row(m: &Measure) -> Vec<String> {
    let tail = |p: Option<f64>| p.map_or("-".into(), amount);
    let (p99, p999) = (tail(m.percentiles.map(|p| p.p99)), tail(m.percentiles.map(|p| p.p999)));
    let samples = m.samples.to_string();
    vec![m.name.into(), m.unit.into(), amount(m.median), amount(m.min), amount(m.max), p99, p999, samples]
}

/// Three digits of a small number are enough, and thousands are easier to read apart.
fn amount(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_read_well() {
        let given = [0.0, 87.26, 999.9, 1_000.0, 12_345.6, 1_234_567.0];
        assert_eq!(given.map(amount), ["0.0", "87.3", "999.9", "1,000", "12,346", "1,234,567"]);
    }
}
