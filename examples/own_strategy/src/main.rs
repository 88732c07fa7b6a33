//! `ctos` with two more strategies. Every command knows them: `run`, `replay`, `strategies`, `halt`, `doctor` ...
//! Never: anything else; each strategy has its file.

mod donchian;
mod rebalance;

use ctos_strategies::{Catalog, Program};
use std::process::ExitCode;

static OWN: [Program; 2] = [donchian::PROGRAM, rebalance::PROGRAM];

fn main() -> ExitCode {
    ctos_cli::main_with(Catalog::with(&OWN))
}
