//! Built-in strategies: a grid, a grid over many coins, a moving-average cross and mean reversion, with typed parameters.
//! Never: I/O, a clock, a random number. A strategy decides from its context and callbacks alone and saves all it knows.

mod grid;
mod grid_all;
mod ma_cross;
mod mean_reversion;
mod mover;
pub mod params;
mod registry;
mod sizing;
mod track;

pub use grid::Grid;
pub use grid_all::GridAll;
pub use ma_cross::MaCross;
pub use mean_reversion::MeanReversion;
pub use params::{ParamError, ParamKind, ParamSpec, Range};
pub use registry::{StrategyInfo, build, example_params, info, list, params_table};

#[cfg(test)]
mod tests;
