//! The lowest and the highest of the newest inputs, and the channel between those of bars.

use crate::aggregates::{Greatest, Least};
use crate::bar::{Columns, HighLow};
use crate::indicator::{Reading, indicator};
use crate::usable;
use crate::window::{BadPeriod, Window};
use serde::{Deserialize, Serialize};

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
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The minimum as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.0.view().map(|v| v.sum.0)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        self.0.blocks(input, out, usable, |x| x, |v| v.sum.0);
    }
}

impl RollingMax {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Window::new(period).map(RollingMax)
    }

    /// Takes `x` in and answers the maximum; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// The maximum as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.0.view().map(|v| v.sum.0)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        self.0.blocks(input, out, usable, |x| x, |v| v.sum.0);
    }
}

/// The range of a run of bars, `lower <= middle <= upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// The lowest low.
    pub lower: f64,
    /// Half way between the two.
    pub middle: f64,
    /// The highest high.
    pub upper: f64,
}

impl Reading<3> for Channel {
    const NAMES: [&'static str; 3] = ["lower", "middle", "upper"];
    #[inline(always)]
    fn row(self) -> [f64; 3] {
        [self.lower, self.middle, self.upper]
    }
}

/// The Donchian channel: lowest low and highest high of the newest `period` bars, the newest included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Donchian {
    lows: RollingMin,
    highs: RollingMax,
}

impl Donchian {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Donchian { lows: RollingMin::new(period)?, highs: RollingMax::new(period)? })
    }

    /// Takes a bar in and answers the channel; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: HighLow) -> Option<Channel> {
        if bar.is_usable() {
            self.lows.0.push(bar.low);
            self.highs.0.push(bar.high);
        }
        self.value()
    }

    /// The channel as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Channel> {
        let (lower, upper) = (self.lows.value()?, self.highs.value()?);
        Some(Channel { lower, middle: 0.5 * (lower + upper), upper })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.lows.warmup()
    }
}

indicator!(RollingMin, f64 => f64, blocks);
indicator!(RollingMax, f64 => f64, blocks);
indicator!(Donchian, HighLow => Channel);
