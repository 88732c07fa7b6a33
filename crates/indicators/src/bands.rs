//! Bollinger bands.

use crate::stats::RollingStats;
use crate::window::BadPeriod;
use crate::{exact, usable};
use serde::{Deserialize, Serialize};

/// One reading of the bands, `lower <= middle <= upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    pub lower: f64,
    /// The mean of the window.
    pub middle: f64,
    pub upper: f64,
    /// Population standard deviation of the window.
    pub std: f64,
}

/// Mean of the newest `period` inputs with a band of `width` population standard deviations on each side (TA-Lib
/// `BBANDS` with a simple average).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bollinger {
    stats: RollingStats,
    #[serde(with = "exact")]
    width: f64,
}

impl Bollinger {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD). `width` is in standard deviations, usually 2; its
    /// sign is dropped, and one that is not finite counts as 0.
    pub fn new(period: usize, width: f64) -> Result<Self, BadPeriod> {
        let width = if usable(width) { width.abs() } else { 0.0 };
        Ok(Bollinger { stats: RollingStats::new(period)?, width })
    }

    /// Takes `x` in and answers the bands; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<Band> {
        self.stats.update(x);
        self.value()
    }

    /// The bands as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<Band> {
        let s = self.stats.value()?;
        let half = self.width * s.std;
        Some(Band { lower: s.mean - half, middle: s.mean, upper: s.mean + half, std: s.std })
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.stats.warmup()
    }
}
