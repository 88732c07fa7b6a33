//! Mean and standard deviation over a window, and how unusual the newest input is by them.

use crate::aggregates::Moments;
use crate::indicator::reading;
use crate::number::Number;
use crate::tiles::{Formula, FromRow, windowed};
use crate::window::{View, Window};
use serde::{Deserialize, Serialize};

/// Mean and population standard deviation (divisor `n`, as TA-Lib `STDDEV`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    pub mean: f64,
    /// Never negative; exactly zero when all values are equal.
    pub std: f64,
}

reading!(Stats { mean, std });

impl FromRow<2> for Stats {
    #[inline(always)]
    fn from_row([mean, std]: [f64; 2]) -> Stats {
        Stats { mean, std }
    }
}

/// [`Stats`] of the newest `period` inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingStats(Window<Moments>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deviation {
    one_nth: f64,
}

impl Deviation {
    #[inline(always)]
    pub fn of(period: usize) -> Deviation {
        Deviation { one_nth: 1.0 / period as f64 }
    }
}

impl Formula<2> for Deviation {
    type Over = Moments;
    type Value = Stats;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Moments, F>) -> [F; 2] {
        let one_nth = F::all(self.one_nth);
        [v.origin + v.sums.sum * one_nth, (v.sums.spread(self.one_nth) * one_nth).sqrt()]
    }
}

/// Distance of the newest input from the mean of its window, in population standard deviations. The window includes
/// that input. Zero in a flat window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZScore(Window<Moments>);

impl ZScore {
    /// Mean and deviation of the window; `None` until warm.
    pub fn stats(&self) -> Option<Stats> {
        self.0.value(Deviation::of(self.0.period()))
    }
}

#[derive(Clone, Copy, Debug)]
struct Score(Deviation);

impl Score {
    #[inline(always)]
    fn of(period: usize) -> Score {
        Score(Deviation::of(period))
    }
}

impl Formula<1> for Score {
    type Over = Moments;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Moments, F>) -> [F; 1] {
        let [mean, std] = self.0.read(v);
        [((v.newest - mean) / std).where_positive(std)]
    }
}

windowed!(RollingStats, f64 => Stats, Deviation);
windowed!(ZScore, f64 => f64, Score);
