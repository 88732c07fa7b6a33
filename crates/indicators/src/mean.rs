//! The simple moving average.

use crate::usable;
use crate::window::{Aggregate, BadPeriod, Window};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sum(f64);

impl Aggregate for Sum {
    fn of(x: f64) -> Sum {
        Sum(x)
    }
    fn join(older: Sum, newer: Sum) -> Sum {
        Sum(older.0 + newer.0)
    }
}

/// Arithmetic mean of the newest `period` inputs (TA-Lib `SMA`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sma(Window<Sum>);

impl Sma {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(Sma)
    }

    /// Takes `x` in and answers the mean; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The mean as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<f64> {
        let sum = self.0.aggregate().filter(|_| self.0.is_full())?;
        Some(sum.0 / self.0.period() as f64)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }
}
