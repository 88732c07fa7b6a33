//! The list of built-in strategies: their names, parameters and examples, and building one from text.

use crate::grid::{self, Grid};
use crate::grid_all::{self, GridAll};
use crate::ma_cross::{self, MaCross};
use crate::mean_reversion::{self, MeanReversion};
use crate::params::{Args, ParamError, ParamSpec, suggestion};
use ctos_kernel::Strategy;
use ctos_types::{InstrumentId, Instruments};
use std::collections::BTreeMap;

/// What a user needs to know to run a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrategyInfo {
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    pub params: &'static [ParamSpec],
    /// A command line that runs it.
    pub example: &'static str,
}

static LIST: [StrategyInfo; 4] = [
    StrategyInfo {
        name: "grid",
        summary: "Buys below the market and sells above it, level by level, on one instrument.",
        params: grid::settings::PARAMS,
        example: "ctos run --strategy grid --set spacing=0.05",
    },
    StrategyInfo {
        name: "grid_all",
        summary: "One buy and one sell around a moving baseline, for every chosen coin.",
        params: grid_all::PARAMS,
        example: "ctos run --strategy grid_all --set buy_step=0.998 --set sell_step=1.002",
    },
    StrategyInfo {
        name: "ma_cross",
        summary: "Goes with the crossing of a fast and a slow moving average.",
        params: ma_cross::PARAMS,
        example: "ctos run --strategy ma_cross --set fast=5 --set slow=20 --set interval=1m",
    },
    StrategyInfo {
        name: "mean_reversion",
        summary: "Bets on the return of a close that is unusually far from its mean.",
        params: mean_reversion::PARAMS,
        example: "ctos run --strategy mean_reversion --set lookback=30 --set entry_z=2.5",
    },
];

/// Every built-in strategy, by name.
pub fn list() -> &'static [StrategyInfo] {
    &LIST
}

/// One strategy's entry. An unknown name is an error that names the nearest and lists all.
pub fn info(name: &str) -> Result<&'static StrategyInfo, ParamError> {
    LIST.iter().find(|s| s.name == name).ok_or_else(|| {
        let hint = suggestion(name, "the strategies are", LIST.iter().map(|s| s.name));
        ParamError::new(format!("there is no strategy {name}"), hint)
    })
}

/// Builds a strategy from its parameters as text. Absent ones take their defaults; `default_symbols` are what the run
/// trades, in its order. Unknown, malformed, out-of-range and inconsistent parameters are errors.
pub fn build(
    name: &str,
    params: &BTreeMap<String, String>,
    instruments: &Instruments,
    default_symbols: &[InstrumentId],
) -> Result<Box<dyn Strategy>, ParamError> {
    let info = info(name)?;
    let args = Args::new(info.name, info.params, params, instruments, default_symbols)?;
    Ok(match info.name {
        "grid" => Box::new(Grid::build(&args)?),
        "grid_all" => Box::new(GridAll::build(&args)?),
        "ma_cross" => Box::new(MaCross::build(&args)?),
        "mean_reversion" => Box::new(MeanReversion::build(&args)?),
        other => unreachable!("{other} is listed but cannot be built"),
    })
}

/// The parameters that a strategy's example sets.
pub fn example_params(name: &str) -> Result<BTreeMap<String, String>, ParamError> {
    let pairs = info(name)?.example.split("--set ").skip(1).filter_map(|part| part.trim().split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// A strategy's parameters as a Markdown table.
pub fn params_table(info: &StrategyInfo) -> String {
    let mut table = String::from("| parameter | takes | default | meaning |\n|---|---|---|---|\n");
    for p in info.params {
        let range = p.range.to_string();
        let takes = if range.is_empty() { p.kind.to_string() } else { format!("{}, {range}", p.kind) };
        let default = p.default.map_or(String::new(), |d| format!("`{d}`"));
        table += &format!("| `{}` | {takes} | {default} | {} |\n", p.name, p.doc);
    }
    table
}
