//! Moving averages over a window: simple and linearly weighted.

use crate::aggregates::{Ranked, Sum};
use crate::bar::Columns;
use crate::indicator::{Reading, indicator};
use crate::usable;
use crate::window::{BadPeriod, View, Window};
use serde::{Deserialize, Serialize};

/// Arithmetic mean of the newest `period` inputs (TA-Lib `SMA`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sma(Window<Sum>);

#[inline(always)]
fn mean(v: View<Sum>, one_nth: f64) -> f64 {
    v.origin + v.sum.0 * one_nth
}

impl Sma {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(Sma)
    }

    /// Takes `x` in and answers the mean; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The mean as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.0.view().map(|v| mean(v, 1.0 / self.0.period() as f64))
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    pub(crate) fn inputs(&self) -> &[f64] {
        self.0.values()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        let one_nth = 1.0 / self.0.period() as f64;
        self.0.blocks(input, out, usable, |x| x, |v| mean(v, one_nth));
    }
}

/// Mean of the newest `period` inputs, the newest weighted with `period`, the one before with one less, the oldest with
/// 1 (TA-Lib `WMA`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wma(Window<Ranked>);

impl Wma {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(Wma)
    }

    /// Takes `x` in and answers the mean; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The mean as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        let one_nth = self.one_nth();
        self.0.view().map(|v| v.origin + v.sum.ranked * one_nth)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    /// One over the sum of the weights.
    #[inline(always)]
    fn one_nth(&self) -> f64 {
        let n = self.0.period() as f64;
        2.0 / (n * (n + 1.0))
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        let one_nth = self.one_nth();
        self.0.blocks(input, out, usable, |x| x, |v| v.origin + v.sum.ranked * one_nth);
    }
}

indicator!(Sma, f64 => f64, blocks);
indicator!(Wma, f64 => f64, blocks);
