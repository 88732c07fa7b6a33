//! Mean and standard deviation over a window, and how unusual the newest input is by them.

use crate::usable;
use crate::window::{Aggregate, BadPeriod, Window};
use serde::{Deserialize, Serialize};

/// Count, mean and sum of squared distances from the mean of a run of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
}

impl Aggregate for Moments {
    fn of(x: f64) -> Moments {
        Moments { n: 1.0, mean: x, m2: 0.0 }
    }
    // The pairwise form of Welford's update (Chan, Golub, LeVeque): no difference of large squares is ever taken, and
    // equal values leave a spread of exactly zero.
    fn join(older: Moments, newer: Moments) -> Moments {
        let n = older.n + newer.n;
        let delta = newer.mean - older.mean;
        let mean = older.mean + delta * (newer.n / n);
        let m2 = older.m2 + newer.m2 + delta * delta * (older.n * newer.n / n);
        Moments { n, mean, m2 }
    }
}

/// Mean and population standard deviation (divisor `n`, as TA-Lib `STDDEV`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    pub mean: f64,
    /// Never negative; exactly zero when all values are equal.
    pub std: f64,
}

/// [`Stats`] of the newest `period` inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingStats(Window<Moments>);

impl RollingStats {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(RollingStats)
    }

    /// Takes `x` in and answers mean and deviation; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<Stats> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// Mean and deviation as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<Stats> {
        let m = self.0.aggregate().filter(|_| self.0.is_full())?;
        Some(Stats { mean: m.mean, std: (m.m2 / m.n).sqrt() })
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    fn newest(&self) -> Option<f64> {
        self.0.newest()
    }
}

/// Distance of the newest input from the mean of its window, in population standard deviations. The window includes
/// that input. Zero in a flat window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZScore(RollingStats);

impl ZScore {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        RollingStats::new(period).map(ZScore)
    }

    /// Takes `x` in and answers its score; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        self.0.update(x);
        self.value()
    }

    /// The score of the newest input; `None` until warm.
    pub fn value(&self) -> Option<f64> {
        let (stats, x) = (self.0.value()?, self.0.newest()?);
        Some(if stats.std > 0.0 { (x - stats.mean) / stats.std } else { 0.0 })
    }

    /// Mean and deviation of the window; `None` until warm.
    pub fn stats(&self) -> Option<Stats> {
        self.0.value()
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.warmup()
    }
}
