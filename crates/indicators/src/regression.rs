//! Straight lines through a window, and how two series move together.

use crate::aggregates::{Products, Ranked};
use crate::bar::Pair;
use crate::indicator::reading;
use crate::number::Number;
use crate::tiles::{Formula, FromRow, windowed};
use crate::window::{View, Window};
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

reading!(Line { value, slope, intercept });

impl FromRow<3> for Line {
    #[inline(always)]
    fn from_row([value, slope, intercept]: [f64; 3]) -> Line {
        Line { value, slope, intercept }
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
    fn of(period: usize) -> Fit {
        let n = period as f64;
        let spread = n * (n * n - 1.0) / 12.0;
        Fit { one_nth: 1.0 / n, middle: (n + 1.0) / 2.0, one_spread: if spread > 0.0 { 1.0 / spread } else { 0.0 } }
    }
}

impl Formula<3> for Fit {
    type Over = Ranked;
    type Value = Line;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Ranked, F>) -> [F; 3] {
        let slope = (v.sums.ranked - F::all(self.middle) * v.sums.sum) * F::all(self.one_spread);
        let mean = v.origin + v.sums.sum * F::all(self.one_nth);
        let half = slope * F::all(self.middle - 1.0);
        [mean + half, slope, mean - half]
    }
}

/// Pearson's correlation of the newest `period` pairs, -1 to 1 (TA-Lib `CORREL`). 0 where one of the series is flat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Correlation(Window<Products>);

#[derive(Clone, Copy, Debug)]
struct Pearson {
    one_nth: f64,
}

impl Pearson {
    #[inline(always)]
    fn of(period: usize) -> Pearson {
        Pearson { one_nth: 1.0 / period as f64 }
    }
}

impl Formula<1> for Pearson {
    type Over = Products;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Products, F>) -> [F; 1] {
        let p = v.sums;
        let together = p.xy - p.x.sum * (p.y.sum * F::all(self.one_nth));
        let (x, y) = (p.x.spread(self.one_nth), p.y.spread(self.one_nth));
        // One root instead of two, unless the product leaves the range where an `f64` is exact.
        let product = x * y;
        let exact = |p: f64| (1e-280..1e280).contains(&p);
        let alone = if product.every(exact) { product.sqrt() } else { roots(x, y, exact) };
        [(together / alone).least(F::all(1.0)).greatest(F::all(-1.0)).where_positive(alone)]
    }
}

// Cold, because both ways would be computed to choose between them otherwise.
#[cold]
#[inline(never)]
fn roots<F: Number>(x: F, y: F, exact: impl Fn(f64) -> bool) -> F {
    x.with(y, |x, y| if exact(x * y) { (x * y).sqrt() } else { x.sqrt() * y.sqrt() })
}

windowed!(LinearRegression, f64 => Line, Fit);
windowed!(Correlation, Pair => f64, Pearson);
