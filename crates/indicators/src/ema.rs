//! Averages that never forget: exponential and Wilder's, seeded as TA-Lib does.

use crate::indicator::indicator;
use crate::smooth::{Smoother, Weight};
use crate::usable;
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// Exponential average with weight `2 / (period + 1)` (TA-Lib `EMA`): the first value is the mean of the first `period`
/// inputs, each later one moves by the weight towards its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ema(Smoother<1>);

/// Wilder's average (RMA, SMMA), with weight `1 / period`, seeded as [`Ema`]: what TA-Lib smooths `RSI` and `ATR` with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rma(Smoother<1>);

/// The methods of an average that only its weight tells from others.
macro_rules! smoothed {
    ($name:ident, $weight:expr) => {
        impl $name {
            /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
            pub fn new(period: usize) -> Result<Self, BadPeriod> {
                Smoother::new($weight, [period], period).map($name)
            }

            /// Takes `x` in and answers the average; `None` until warm.
            #[inline(always)]
            pub fn update(&mut self, x: f64) -> Option<f64> {
                if usable(x) {
                    self.0.update([x]);
                }
                self.value()
            }

            /// The average as of the newest input; `None` until warm.
            #[inline(always)]
            pub fn value(&self) -> Option<f64> {
                self.0.values().map(|[a]| a)
            }

            /// Usable inputs until the first value.
            pub fn warmup(&self) -> usize {
                self.0.seeds()
            }
        }

        indicator!($name, f64 => f64);
    };
}

smoothed!(Ema, Weight::Exponential);
smoothed!(Rma, Weight::Wilder);
