//! Straight lines through a window, and how two series move together.

use crate::aggregates::{Products, Ranked};
use crate::bar::{Columns, Pair};
use crate::indicator::{Reading, indicator};
use crate::usable;
use crate::window::{BadPeriod, View, Window};
use serde::{Deserialize, Serialize};

/// The straight line with the least squared distances from the values of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The line at the newest input (TA-Lib `LINEARREG`).
    pub value: f64,
    /// By one input (TA-Lib `LINEARREG_SLOPE`).
    pub slope: f64,
    /// The line at the oldest input of the window (TA-Lib `LINEARREG_INTERCEPT`).
    pub intercept: f64,
}

impl Line {
    /// The line one input ahead (TA-Lib `TSF`).
    pub fn forecast(self) -> f64 {
        self.value + self.slope
    }
}

impl Reading<3> for Line {
    const NAMES: [&'static str; 3] = ["value", "slope", "intercept"];
    #[inline(always)]
    fn row(self) -> [f64; 3] {
        [self.value, self.slope, self.intercept]
    }
}

/// Linear regression of the newest `period` inputs on their order. Level for a period of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinearRegression(Window<Ranked>);

/// What of a line depends on the period alone.
#[derive(Clone, Copy, Debug)]
struct Fit {
    one_nth: f64,
    /// The mean of the ranks 1 to n.
    middle: f64,
    /// One over the sum of squared distances of the ranks from their mean.
    one_spread: f64,
}

impl Fit {
    #[inline(always)]
    fn new(period: usize) -> Fit {
        let n = period as f64;
        let spread = n * (n * n - 1.0) / 12.0;
        Fit { one_nth: 1.0 / n, middle: (n + 1.0) / 2.0, one_spread: if spread > 0.0 { 1.0 / spread } else { 0.0 } }
    }

    #[inline(always)]
    fn line(self, v: View<Ranked>) -> Line {
        let slope = (v.sum.ranked - self.middle * v.sum.sum) * self.one_spread;
        let mean = v.origin + v.sum.sum * self.one_nth;
        let half = slope * (self.middle - 1.0);
        Line { value: mean + half, slope, intercept: mean - half }
    }
}

impl LinearRegression {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(LinearRegression)
    }

    /// Takes `x` in and answers the line; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<Line> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The line as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Line> {
        let fit = Fit::new(self.0.period());
        self.0.view().map(|v| fit.line(v))
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        Line: Reading<N>,
    {
        let fit = Fit::new(self.0.period());
        self.0.blocks(input, out, usable, |x| x, |v| fit.line(v));
    }
}

/// Pearson's correlation of the newest `period` pairs, -1 to 1 (TA-Lib `CORREL`). 0 where one of the series is flat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Correlation(Window<Products>);

#[inline(always)]
fn correlation(p: Products, one_nth: f64) -> f64 {
    let together = p.xy - p.x.sum * (p.y.sum * one_nth);
    let (x, y) = (p.x.spread(one_nth), p.y.spread(one_nth));
    // One root instead of two, unless the product leaves the range where an `f64` is exact.
    let product = x * y;
    let alone = if (1e-280..1e280).contains(&product) { product.sqrt() } else { two_roots(x, y) };
    if alone > 0.0 { (together / alone).clamp(-1.0, 1.0) } else { 0.0 }
}

// Cold, because both ways would be computed to choose between them otherwise.
#[cold]
#[inline(never)]
fn two_roots(x: f64, y: f64) -> f64 {
    x.sqrt() * y.sqrt()
}

impl Correlation {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(Correlation)
    }

    /// Takes a pair in and answers the correlation; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, pair: Pair) -> Option<f64> {
        if pair.is_usable() {
            self.0.push([pair.x, pair.y]);
        }
        self.value()
    }

    /// The correlation as of the newest pair; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.0.view().map(|v| correlation(v.sum, 1.0 / self.0.period() as f64))
    }

    /// Usable pairs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = Pair>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        let one_nth = 1.0 / self.0.period() as f64;
        self.0.blocks(input, out, Pair::is_usable, |p| [p.x, p.y], |v| correlation(v.sum, one_nth));
    }
}

indicator!(LinearRegression, f64 => Line, blocks);
indicator!(Correlation, Pair => f64, blocks);
