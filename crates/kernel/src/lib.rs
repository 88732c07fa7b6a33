//! The kernel: one `step` for every input. Books and marks, order states, portfolio, risk gates, kill switch, strategies, timers, audit.
//! Never: does I/O, spawns, reads a clock, draws a random number. Time and everything else arrive as inputs.

pub mod audit;
pub mod bars;
mod core;
pub mod ctx;
mod halts;
pub mod hash;
mod index;
mod intents;
pub mod kernel;
pub mod kill;
pub mod market;
mod operator;
pub mod orders;
mod pairs;
pub mod portfolio;
pub mod risk;
mod snapshot;
mod standing;
pub mod strategy;
mod table;
mod worth;

pub use audit::{Alarm, Audit, OrderChange};
pub use ctx::Ctx;
pub use kernel::{AccountSpec, Borrow, Kernel, KernelConfig, Output, ProcessInfo, ProcessSpec, ProcessState, Progress};
pub use operator::Answer;
pub use orders::Order;
pub use risk::{Approved, Denied, Gate, Limits};
pub use snapshot::{RestoreError, Saved};
pub use strategy::{Feeds, OrderRequest, PositionMode, Strategy, Tick};
