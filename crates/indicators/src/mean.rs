//! Moving averages over a window: simple and linearly weighted.

use crate::aggregates::{Ranked, Sum};
use crate::number::Number;
use crate::tiles::{Formula, windowed};
use crate::window::{View, Window};
use serde::{Deserialize, Serialize};

/// Arithmetic mean of the newest `period` inputs (TA-Lib `SMA`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sma(Window<Sum>);

impl Sma {
    #[inline(always)]
    pub(crate) fn inputs(&self) -> &[f64] {
        self.0.values()
    }
}

#[derive(Clone, Copy, Debug)]
struct Mean {
    one_nth: f64,
}

impl Mean {
    #[inline(always)]
    fn of(period: usize) -> Mean {
        Mean { one_nth: 1.0 / period as f64 }
    }
}

impl Formula<1> for Mean {
    type Over = Sum;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Sum, F>) -> [F; 1] {
        [v.origin + v.sums * F::all(self.one_nth)]
    }
}

/// Mean of the newest `period` inputs, the newest weighted with `period`, the one before with one less, the oldest with
/// 1 (TA-Lib `WMA`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wma(Window<Ranked>);

#[derive(Clone, Copy, Debug)]
struct WeightedMean {
    /// One over the sum of the weights.
    one_nth: f64,
}

impl WeightedMean {
    #[inline(always)]
    fn of(period: usize) -> WeightedMean {
        let n = period as f64;
        WeightedMean { one_nth: 2.0 / (n * (n + 1.0)) }
    }
}

impl Formula<1> for WeightedMean {
    type Over = Ranked;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Ranked, F>) -> [F; 1] {
        [v.origin + v.sums.ranked * F::all(self.one_nth)]
    }
}

windowed!(Sma, f64 => f64, Mean);
windowed!(Wma, f64 => f64, WeightedMean);
