//! Bands around an average: Bollinger's by deviation, Keltner's by range.

use crate::aggregates::Moments;
use crate::bar::{Columns, Hlc};
use crate::ema::Ema;
use crate::indicator::{indicator, reading};
use crate::number::Number;
use crate::range::Atr;
use crate::stats::Deviation;
use crate::tiles::{Formula, FromRow};
use crate::window::{BadPeriod, View, Window};
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

// Without the deviation, which follows from the others.
reading!(Band { lower, middle, upper });

/// Mean of the newest `period` inputs with a band of `width` population standard deviations on each side (TA-Lib
/// `BBANDS` with a simple average).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bollinger {
    stats: Window<Moments>,
    #[serde(with = "exact")]
    width: f64,
}

impl Bollinger {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD). `width` is in standard deviations, usually 2; its
    /// sign is dropped, and one that is not finite counts as 0.
    pub fn new(period: usize, width: f64) -> Result<Self, BadPeriod> {
        Ok(Bollinger { stats: Window::new(period)?, width: width_of(width) })
    }

    /// Takes `x` in and answers the bands; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<Band> {
        self.stats.take(x);
        self.value()
    }

    /// The bands as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Band> {
        self.stats.value(self.bands())
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.stats.period()
    }

    #[inline(always)]
    fn bands(&self) -> Bands {
        Bands { deviation: Deviation::of(self.stats.period()), width: self.width }
    }

    #[inline(always)]
    fn columns<const M: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; M]) {
        self.stats.batch(input, out, self.bands());
    }
}

#[derive(Clone, Copy, Debug)]
struct Bands {
    deviation: Deviation,
    width: f64,
}

impl Formula<4> for Bands {
    type Over = Moments;
    type Value = Band;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Moments, F>) -> [F; 4] {
        let [mean, std] = self.deviation.read(v);
        let half = F::all(self.width) * std;
        [mean - half, mean, mean + half, std]
    }
}

// The columns of the batch are the first three.
impl FromRow<4> for Band {
    #[inline(always)]
    fn from_row([lower, middle, upper, std]: [f64; 4]) -> Band {
        Band { lower, middle, upper, std }
    }
}

/// A width in multiples of something: usable and not negative.
pub(crate) fn width_of(width: f64) -> f64 {
    if usable(width) { width.abs() } else { 0.0 }
}

/// One reading of the Keltner channel, `lower <= middle <= upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeltnerBand {
    pub lower: f64,
    /// The exponential average of the closes.
    pub middle: f64,
    pub upper: f64,
}

reading!(KeltnerBand { lower, middle, upper });

/// The Keltner channel: [`Ema`] of the closes over `period` bars, with `width` times the [`Atr`] over `range_period`
/// bars on each side. Usually 20, 10 and 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keltner {
    middle: Ema,
    range: Atr,
    #[serde(with = "exact")]
    width: f64,
}

impl Keltner {
    /// The periods are between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD). The sign of `width` is dropped, and one that is
    /// not finite counts as 0.
    pub fn new(period: usize, range_period: usize, width: f64) -> Result<Self, BadPeriod> {
        Ok(Keltner { middle: Ema::new(period)?, range: Atr::new(range_period)?, width: width_of(width) })
    }

    /// Takes a bar in and answers the channel; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<KeltnerBand> {
        if bar.is_usable() {
            self.middle.update(bar.close);
            self.range.update(bar);
        }
        self.value()
    }

    /// The channel as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<KeltnerBand> {
        let (middle, half) = (self.middle.value()?, self.width * self.range.value()?);
        Some(KeltnerBand { lower: middle - half, middle, upper: middle + half })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.middle.warmup().max(self.range.warmup())
    }
}

indicator!(Bollinger, f64 => Band, columns);
indicator!(Keltner, Hlc => KeltnerBand);
