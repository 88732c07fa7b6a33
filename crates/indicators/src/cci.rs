//! How far typical prices stray from their mean.

use crate::bar::Hlc;
use crate::exact;
use crate::indicator::indicator;
use crate::mean::Sma;
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// The commodity channel index (TA-Lib `CCI`): distance of the typical price from its mean over `period` bars, in units
/// of 0.015 mean absolute deviations. 0 where nothing deviates. One update takes time in proportion to the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cci {
    mean: Sma,
    #[serde(with = "exact::option")]
    value: Option<f64>,
}

impl Cci {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Cci { mean: Sma::new(period)?, value: None })
    }

    /// Takes a bar in and answers the index; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<f64> {
        if bar.is_usable() {
            let typical = bar.typical();
            if let Some(mean) = self.mean.update(typical) {
                let deviation = deviation(self.mean.inputs(), mean);
                let index = (typical - mean) / (0.015 * deviation);
                // 0 / 0 in a flat window, and nearly that where prices are at the end of the range of an `f64`.
                self.value = Some(if index.is_finite() { index } else { 0.0 });
            }
        }
        self.value()
    }

    /// The index as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.mean.warmup()
    }
}

/// The mean distance from `mean`. In three sums side by side, because one would wait for itself at each value. Not in two
/// or four: those are loaded pairwise, and a wide load waits for the value that was stored just before.
#[inline(always)]
fn deviation(values: &[f64], mean: f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<3>();
    let mut sums = [0.0; 3];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += (x - mean).abs();
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += (x - mean).abs();
    }
    (sums[0] + sums[1] + sums[2]) / values.len() as f64
}

indicator!(Cci, Hlc => f64);
