//! Backtests: runs over history with the very shard that paper and live use, what they leave behind, figures, reports.
//! Never: steps a kernel or matches an order itself; `ctos-runtime` and `ctos-driver-paper` do.

pub mod collect;
pub mod log;
pub mod metrics;
pub mod parity;
pub mod report;
pub mod results;
pub mod run;
pub mod sweep;
pub mod whole;
