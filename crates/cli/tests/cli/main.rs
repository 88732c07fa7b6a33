//! Runs the real binary in directories of its own.

mod backtest;
mod instance;
mod mistakes;
mod runs;
mod support;
