//! The lowest and the highest of the newest inputs.

use crate::usable;
use crate::window::{Aggregate, BadPeriod, Window};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Least(f64);

impl Aggregate for Least {
    fn of(x: f64) -> Least {
        Least(x)
    }
    fn join(older: Least, newer: Least) -> Least {
        Least(older.0.min(newer.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Greatest(f64);

impl Aggregate for Greatest {
    fn of(x: f64) -> Greatest {
        Greatest(x)
    }
    fn join(older: Greatest, newer: Greatest) -> Greatest {
        Greatest(older.0.max(newer.0))
    }
}

/// Lowest of the newest `period` inputs (TA-Lib `MIN`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingMin(Window<Least>);

/// Highest of the newest `period` inputs (TA-Lib `MAX`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingMax(Window<Greatest>);

impl RollingMin {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(RollingMin)
    }

    /// Takes `x` in and answers the minimum; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The minimum as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<f64> {
        self.0.aggregate().filter(|_| self.0.is_full()).map(|m| m.0)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }
}

impl RollingMax {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(RollingMax)
    }

    /// Takes `x` in and answers the maximum; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The maximum as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<f64> {
        self.0.aggregate().filter(|_| self.0.is_full()).map(|m| m.0)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }
}
