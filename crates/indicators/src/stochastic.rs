//! Where the close stands between the lowest and the highest price of late.

use crate::bar::{Columns, Hlc};
use crate::extremes::Donchian;
use crate::indicator::{Reading, by_stretches, indicator, reading};
use crate::mean::Sma;
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// One reading of [`Stochastic`], in percent of the range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Oscillation {
    pub k: f64,
    /// The average of `k`.
    pub d: f64,
}

reading!(Oscillation { k, d });

/// The stochastic oscillator with simple averages (TA-Lib `STOCH` and `STOCHF`). 0 where the range is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stochastic {
    range: Donchian,
    k: Sma,
    d: Sma,
}

impl Stochastic {
    /// `k` is the close within the range of the newest `period` bars, averaged over `smoothing`; `d` is the average of
    /// that over `signal`. Usually 14, 3 and 3. Periods are between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn slow(period: usize, smoothing: usize, signal: usize) -> Result<Self, BadPeriod> {
        Ok(Stochastic { range: Donchian::new(period)?, k: Sma::new(smoothing)?, d: Sma::new(signal)? })
    }

    /// With `k` as it is.
    pub fn fast(period: usize, signal: usize) -> Result<Self, BadPeriod> {
        Stochastic::slow(period, 1, signal)
    }

    /// Takes a bar in and answers both lines; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<Oscillation> {
        if bar.is_usable()
            && let Some(range) = self.range.update(bar.range())
            && let Some(k) = self.k.update(place(bar.close, range.lower, range.upper))
        {
            self.d.update(k);
        }
        self.value()
    }

    /// Both lines as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Oscillation> {
        let d = self.d.value()?;
        Some(Oscillation { k: self.k.value()?, d })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.range.warmup() + self.k.warmup() + self.d.warmup() - 2
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = Hlc>, out: [&mut [f64]; N])
    where
        Oscillation: Reading<N>,
    {
        let rows = self.range.stretch();
        by_stretches(self, input, out, rows, Hlc::is_usable, |me, bars, [k, d]| {
            let (mut lower, mut upper) = (vec![0.0; k.len()], vec![0.0; k.len()]);
            me.range.bounds(bars.iter().map(Hlc::range), &mut lower, &mut upper);
            let mut raw = upper;
            for ((raw, lower), bar) in raw.iter_mut().zip(&lower).zip(bars.iter()) {
                *raw = place(bar.close, *lower, *raw);
            }
            me.k.columns(&raw[..], [&mut *k]);
            me.d.columns(&*k, [d]);
        });
    }
}

/// In percent of the range.
#[inline(always)]
fn place(close: f64, lower: f64, upper: f64) -> f64 {
    let width = upper - lower;
    if width > 0.0 { (close - lower) / width * 100.0 } else { 0.0 }
}

indicator!(Stochastic, Hlc => Oscillation, columns);
