//! Runs the real binary in directories of its own.

mod backtest;
mod follow;
mod instance;
mod mistakes;
mod runs;
mod support;
