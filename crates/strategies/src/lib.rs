//! Built-in strategies: a grid, a grid over many coins, a moving-average cross and mean reversion, with typed parameters.
//! Never: I/O, a clock, a random number. A strategy decides from its context and callbacks alone and saves all it knows.

mod catalog;
mod grid;
mod grid_all;
mod ma_cross;
mod mean_reversion;
mod mover;
pub mod on_bars;
pub mod params;
mod registry;
mod sizing;
mod track;

pub use catalog::{Catalog, Program, StrategyInfo};
pub use grid::Grid;
pub use grid_all::GridAll;
pub use params::{Args, ParamError, ParamKind, ParamSpec, Range};
pub use registry::{build, info, list};

#[cfg(test)]
mod tests;
