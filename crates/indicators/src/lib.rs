//! Streaming indicators with one implementation for live and history. They follow TA-Lib's seeding rules.
//! Never: money (values are `f64`), I/O, a clock; nothing an indicator says may be used as an order's price unrounded.
//!
//! Every indicator is fed with `update(x)`, which answers `None` until it has seen [`warmup`](Sma::warmup) usable inputs.
//! An input that is not finite, or beyond ±[`LIMIT`], is ignored: the state stays as it was and `update` answers the
//! previous value, so one bad tick never poisons the stream. State serialises with its floats as shortest exact text
//! (JSON numbers do not survive every reader), and a restored indicator goes on bit for bit as the saved one would.

mod bands;
mod ema;
mod exact;
mod extremes;
mod mean;
mod stats;
mod window;

pub use bands::{Band, Bollinger};
pub use ema::Ema;
pub use extremes::{RollingMax, RollingMin};
pub use mean::Sma;
pub use stats::{RollingStats, Stats, ZScore};
pub use window::{BadPeriod, MAX_PERIOD};

/// Inputs beyond this magnitude are ignored: their squares would leave the range of an `f64`.
pub const LIMIT: f64 = 1e150;

/// Whether an indicator takes `x` in.
pub(crate) fn usable(x: f64) -> bool {
    x.abs() <= LIMIT
}

/// The whole history through a streaming indicator, one output per input:
/// `batch(&closes, |x| sma.update(x))`.
pub fn batch<T>(inputs: &[f64], update: impl FnMut(f64) -> Option<T>) -> Vec<Option<T>> {
    inputs.iter().copied().map(update).collect()
}

#[cfg(test)]
mod tests;
