//! Mean and standard deviation over a window, and how unusual the newest input is by them.

use crate::aggregates::Moments;
use crate::bar::Columns;
use crate::indicator::{Reading, indicator};
use crate::usable;
use crate::window::{BadPeriod, View, Window};
use serde::{Deserialize, Serialize};

/// Mean and population standard deviation (divisor `n`, as TA-Lib `STDDEV`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    pub mean: f64,
    /// Never negative; exactly zero when all values are equal.
    pub std: f64,
}

impl Stats {
    #[inline(always)]
    pub(crate) fn of(v: View<Moments>, one_nth: f64) -> Stats {
        Stats { mean: v.origin + v.sum.sum * one_nth, std: (v.sum.spread(one_nth) * one_nth).sqrt() }
    }

    #[inline(always)]
    fn score(self, x: f64) -> f64 {
        if self.std > 0.0 { (x - self.mean) / self.std } else { 0.0 }
    }
}

impl Reading<2> for Stats {
    const NAMES: [&'static str; 2] = ["mean", "std"];
    #[inline(always)]
    fn row(self) -> [f64; 2] {
        [self.mean, self.std]
    }
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
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<Stats> {
        if usable(x) {
            self.0.push(x);
        }
        self.value()
    }

    /// Mean and deviation as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Stats> {
        self.0.view().map(|v| Stats::of(v, self.one_nth()))
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn one_nth(&self) -> f64 {
        1.0 / self.0.period() as f64
    }

    /// A batch of whatever is read from the statistics and the newest input.
    #[inline(always)]
    pub(crate) fn blocks_of<const N: usize, T: Reading<N>>(
        &mut self,
        input: impl Columns<Row = f64>,
        out: [&mut [f64]; N],
        read: impl Fn(Stats, f64) -> T,
    ) {
        let one_nth = self.one_nth();
        self.0.blocks(input, out, usable, |x| x, |v| read(Stats::of(v, one_nth), v.newest));
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        Stats: Reading<N>,
    {
        self.blocks_of(input, out, |s, _| s);
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
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        self.0.update(x);
        self.value()
    }

    /// The score of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.0.0.view().map(|v| Stats::of(v, self.0.one_nth()).score(v.newest))
    }

    /// Mean and deviation of the window; `None` until warm.
    pub fn stats(&self) -> Option<Stats> {
        self.0.value()
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.0.warmup()
    }

    #[inline(always)]
    fn blocks<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        self.0.blocks_of(input, out, |s, x| s.score(x));
    }
}

indicator!(RollingStats, f64 => Stats, blocks);
indicator!(ZScore, f64 => f64, blocks);
