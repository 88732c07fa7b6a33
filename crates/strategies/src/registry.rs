//! The list of built-in strategies: their names, parameters and examples, and how each is built.
//! Never: a strategy that cannot be listed and built by the same entry.

use crate::catalog::{Catalog, Program, StrategyInfo};
use crate::grid::{self, Grid};
use crate::grid_all::{self, GridAll};
use crate::params::ParamError;
use crate::{ma_cross, mean_reversion};
use ctos_kernel::Strategy;
use ctos_types::{InstrumentId, Instruments};
use std::collections::BTreeMap;

/// In order of their names.
pub(crate) static PROGRAMS: [Program; 4] = [
    Program {
        info: StrategyInfo {
            name: "grid",
            summary: "Buys below the market and sells above it, level by level, on one instrument.",
            params: grid::settings::PARAMS,
            example: "ctos run --strategy grid --set spacing=0.05",
        },
        build: |args| Ok(Box::new(Grid::build(args)?)),
    },
    Program {
        info: StrategyInfo {
            name: "grid_all",
            summary: "One buy and one sell around a moving baseline, for every chosen coin.",
            params: grid_all::PARAMS,
            example: "ctos run --strategy grid_all --set buy_step=0.998 --set sell_step=1.002",
        },
        build: |args| Ok(Box::new(GridAll::build(args)?)),
    },
    Program {
        info: StrategyInfo {
            name: "ma_cross",
            summary: "Goes with the crossing of a fast and a slow moving average.",
            params: ma_cross::PARAMS,
            example: "ctos run --strategy ma_cross --set fast=5 --set slow=20 --set interval=1m",
        },
        build: |args| Ok(Box::new(ma_cross::build(args)?)),
    },
    Program {
        info: StrategyInfo {
            name: "mean_reversion",
            summary: "Bets on the return of a close that is unusually far from its mean.",
            params: mean_reversion::PARAMS,
            example: "ctos run --strategy mean_reversion --set lookback=30 --set entry_z=2.5",
        },
        build: |args| Ok(Box::new(mean_reversion::build(args)?)),
    },
];

/// Every built-in strategy, by name.
pub fn list() -> impl Iterator<Item = &'static StrategyInfo> + Clone {
    Catalog::BUILT_IN.list()
}

/// As [`Catalog::info`], for built-in strategies.
pub fn info(name: &str) -> Result<&'static StrategyInfo, ParamError> {
    Catalog::BUILT_IN.info(name)
}

/// As [`Catalog::build`], for built-in strategies.
pub fn build(
    name: &str,
    params: &BTreeMap<String, String>,
    instruments: &Instruments,
    default_symbols: &[InstrumentId],
) -> Result<Box<dyn Strategy>, ParamError> {
    Catalog::BUILT_IN.build(name, params, instruments, default_symbols)
}
