//! A stop that trails the price by its range and changes sides when it is crossed.

use crate::bands::width_of;
use crate::bar::Hlc;
use crate::exact;
use crate::indicator::{Reading, indicator};
use crate::range::Atr;
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// One reading of [`SuperTrend`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrailingStop {
    /// Below the price while the trend is up, above it while it is down.
    pub stop: f64,
    pub up: bool,
}

impl Reading<2> for TrailingStop {
    const NAMES: [&'static str; 2] = ["stop", "direction"];
    /// The direction as 1 or -1.
    #[inline(always)]
    fn row(self) -> [f64; 2] {
        [self.stop, if self.up { 1.0 } else { -1.0 }]
    }
}

/// SuperTrend: bands of `width` times the [`Atr`] around the middle of each bar, usually 10 and 3. The lower band only
/// rises and the upper only falls until a close crosses it; then the trend turns and the stop is the other band. It
/// begins as a downward trend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperTrend {
    range: Atr,
    #[serde(with = "exact")]
    width: f64,
    #[serde(with = "exact")]
    lower: f64,
    #[serde(with = "exact")]
    upper: f64,
    #[serde(with = "exact")]
    close: f64,
    /// `None` until there are bands.
    up: Option<bool>,
}

impl SuperTrend {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD). The sign of `width` is dropped, and one that is not
    /// finite counts as 0.
    pub fn new(period: usize, width: f64) -> Result<Self, BadPeriod> {
        let range = Atr::new(period)?;
        Ok(SuperTrend { range, width: width_of(width), lower: 0.0, upper: 0.0, close: 0.0, up: None })
    }

    /// Takes a bar in and answers the stop; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<TrailingStop> {
        if bar.is_usable()
            && let Some(range) = self.range.update(bar)
        {
            let (middle, half) = (0.5 * (bar.high + bar.low), self.width * range);
            let (lower, upper) = (middle - half, middle + half);
            let first = self.up.is_none();
            if first || lower > self.lower || self.close < self.lower {
                self.lower = lower;
            }
            if first || upper < self.upper || self.close > self.upper {
                self.upper = upper;
            }
            let up = self.up.unwrap_or(false);
            self.up = Some(if up { bar.close >= self.lower } else { !first && bar.close > self.upper });
            self.close = bar.close;
        }
        self.value()
    }

    /// The stop as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<TrailingStop> {
        self.up.map(|up| TrailingStop { stop: if up { self.lower } else { self.upper }, up })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.range.warmup()
    }
}

indicator!(SuperTrend, Hlc => TrailingStop);
