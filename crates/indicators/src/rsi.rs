//! Momentum of one series: relative strength and rate of change.

use crate::aggregates::Nothing;
use crate::bar::Columns;
use crate::indicator::{Reading, STRETCH, by_stretches, indicator, stretch_over};
use crate::smooth::{Smoother, Weight};
use crate::window::{BadPeriod, Window};
use crate::{exact, usable};
use serde::{Deserialize, Serialize};

/// Wilder's relative strength index, 0 to 100 (TA-Lib `RSI`): the share of the average gain in average gain and loss.
/// 0 where nothing has moved yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rsi {
    #[serde(with = "exact::option")]
    before: Option<f64>,
    /// Gains and losses.
    averages: Smoother<2>,
}

impl Rsi {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Rsi { before: None, averages: Smoother::new(Weight::Wilder, [period; 2], period)? })
    }

    /// Takes `x` in and answers the index; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            if let Some(before) = self.before {
                self.averages.update(moves(x - before));
            }
            self.before = Some(x);
        }
        self.value()
    }

    /// The index as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.averages.values().map(share)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.averages.seeds() + 1
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        by_stretches(self, input, out, 16 * STRETCH, usable, |me, xs, [column]| me.run(xs.iter(), column));
    }

    /// Takes usable inputs in, once warm.
    // A function of its own: only then the averages stay in registers for sure.
    #[inline(never)]
    fn run(&mut self, xs: impl Iterator<Item = f64>, column: &mut [f64]) {
        let Some(mut before) = self.before else { return };
        let mut averages = self.averages.clone();
        for (x, place) in xs.zip(column) {
            *place = share(averages.step(moves(x - before)));
            before = x;
        }
        (self.averages, self.before) = (averages, Some(before));
    }
}

/// Gain and loss.
#[inline(always)]
fn moves(change: f64) -> [f64; 2] {
    let gain = if change > 0.0 { change } else { 0.0 };
    [gain, gain - change]
}

/// Of the gain in both, in percent.
#[inline(always)]
fn share([gain, loss]: [f64; 2]) -> f64 {
    let both = gain + loss;
    if both > 0.0 { 100.0 * (gain / both) } else { 0.0 }
}

/// Change against the input `period` inputs ago, in percent (TA-Lib `ROC`). 0 where that one was 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roc {
    past: Window<Nothing<f64>>,
    #[serde(with = "exact::option")]
    value: Option<f64>,
}

impl Roc {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Roc { past: Window::new(period)?, value: None })
    }

    /// Takes `x` in and answers the change; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if usable(x) {
            if let Some(then) = self.past.oldest() {
                self.value = Some(change(x, then));
            }
            self.past.push(x);
        }
        self.value()
    }

    /// The change as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.past.period() + 1
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = f64>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        let rows = stretch_over(self.past.period());
        by_stretches(self, input, out, rows, usable, |me, xs, [column]| {
            let (n, period) = (column.len(), me.past.period());
            // All but the first have the value to compare with in the same stretch.
            let (first, others) = column.split_at_mut(n.min(period));
            for (place, x) in first.iter_mut().zip(xs.iter()) {
                *place = me.update(x).unwrap_or(f64::NAN);
            }
            let (then, now) = (xs.part(0, others.len()), xs.part(n - others.len(), n));
            for ((place, x), then) in others.iter_mut().zip(now.iter()).zip(then.iter()) {
                *place = change(x, then);
            }
            if let Some(newest) = others.last() {
                me.value = Some(*newest);
                let pushed = others.len().min(period);
                me.past.skip(others.len() - pushed);
                xs.part(n - pushed, n).iter().for_each(|x| me.past.push(x));
            }
        });
    }
}

#[inline(always)]
fn change(x: f64, then: f64) -> f64 {
    let change = (x / then - 1.0) * 100.0;
    // A quotient of extremes may leave the range; there is no change to speak of then.
    if change.is_finite() { change } else { 0.0 }
}

indicator!(Rsi, f64 => f64, columns);
indicator!(Roc, f64 => f64, columns);
