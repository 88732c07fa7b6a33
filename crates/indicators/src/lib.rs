//! Streaming indicators with one implementation for live and history. They follow TA-Lib's seeding rules.
//! Never: money (values are `f64`), I/O, a clock; nothing an indicator says may be used as an order's price unrounded.
//!
//! Every indicator is fed with `update(x)`, which answers `None` until it has seen [`warmup`](Sma::warmup) usable inputs.
//! A whole history goes through the same steps with [`Indicator::batch`], which writes columns.
//!
//! An input that is not finite, or beyond ±[`LIMIT`], is ignored: the state stays as it was and `update` answers the
//! previous value, so one bad tick never poisons the stream. Of an input with several parts one bad part is enough. State
//! serialises with its floats as shortest exact text (JSON numbers do not survive every reader), and a restored indicator
//! goes on bit for bit as the saved one would.

mod aggregates;
mod aroon;
mod bands;
mod bar;
mod cci;
mod direction;
mod ema;
mod exact;
mod extremes;
mod ichimoku;
mod indicator;
mod macd;
mod mean;
mod number;
mod range;
mod regression;
mod rsi;
mod smooth;
mod stats;
mod stochastic;
mod supertrend;
mod tiles;
mod volume;
mod window;

pub use aroon::{Aroon, AroonLines};
pub use bands::{Band, Bollinger, Keltner, KeltnerBand};
pub use bar::{Columns, HighLow, Hlc, Hlcv, Pair, Priced};
pub use cci::Cci;
pub use direction::{Adx, Di, Directions, Trend};
pub use ema::{Ema, Rma};
pub use extremes::{Channel, Donchian, RollingMax, RollingMin};
pub use ichimoku::{Cloud, Ichimoku};
pub use indicator::{BadLength, Indicator, Reading};
pub use macd::{Macd, MacdLines};
pub use mean::{Sma, Wma};
pub use range::Atr;
pub use regression::{Correlation, Line, LinearRegression};
pub use rsi::{Roc, Rsi};
pub use stats::{RollingStats, Stats, ZScore};
pub use stochastic::{Oscillation, Stochastic};
pub use supertrend::{SuperTrend, TrailingStop};
pub use volume::{Mfi, Obv, RollingVwap, Vwap};
pub use window::{BadPeriod, MAX_PERIOD};

/// Inputs beyond this magnitude are ignored: their squares would leave the range of an `f64`.
pub const LIMIT: f64 = 1e150;

/// Whether an indicator takes `x` in.
#[inline(always)]
pub(crate) fn usable(x: f64) -> bool {
    x.abs() <= LIMIT
}

/// The whole history through a streaming indicator, one output per input:
/// `batch(&closes, |x| sma.update(x))`. For columns of plain numbers see [`Indicator::batch`].
pub fn batch<T>(inputs: &[f64], update: impl FnMut(f64) -> Option<T>) -> Vec<Option<T>> {
    inputs.iter().copied().map(update).collect()
}

#[cfg(test)]
mod tests;
