//! How long ago the extremes of late were.

use crate::aggregates::SinceLeast;
use crate::bar::{Columns, HighLow};
use crate::indicator::{Reading, by_stretches, indicator, reading, stretch_over};
use crate::number::Number;
use crate::tiles::Formula;
use crate::window::{BadPeriod, View, Window};
use serde::{Deserialize, Serialize};

/// One reading of [`Aroon`]: 100 for an extreme at the newest bar, 0 for one `period` bars ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AroonLines {
    pub down: f64,
    pub up: f64,
    /// `up` less `down` (TA-Lib `AROONOSC`).
    pub oscillator: f64,
}

reading!(AroonLines { down, up, oscillator });

/// Aroon (TA-Lib `AROON`) over the newest bar and the `period` bars before it; of equal extremes the newest counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aroon {
    lows: Window<SinceLeast>,
    /// The highs with their signs turned.
    highs: Window<SinceLeast>,
}

impl Aroon {
    /// `period` is between 1 and one less than [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        crate::window::check_period(period)?;
        Ok(Aroon { lows: Window::new(period + 1)?, highs: Window::new(period + 1)? })
    }

    /// Takes a bar in and answers the lines; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: HighLow) -> Option<AroonLines> {
        if bar.is_usable() {
            self.lows.push(bar.low);
            self.highs.push(-bar.high);
        }
        self.value()
    }

    /// The lines as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<AroonLines> {
        let recency = Recency::of(self.lows.period());
        let (down, up) = (self.lows.value(recency)?, self.highs.value(recency)?);
        Some(AroonLines { down, up, oscillator: up - down })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.lows.period()
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = HighLow>, out: [&mut [f64]; N])
    where
        AroonLines: Reading<N>,
    {
        let recency = Recency::of(self.lows.period());
        let rows = stretch_over(self.lows.period());
        by_stretches(self, input, out, rows, HighLow::is_usable, |me, bars, [down, up, oscillator]| {
            let lows: Vec<f64> = bars.iter().map(|bar| bar.low).collect();
            let highs: Vec<f64> = bars.iter().map(|bar| -bar.high).collect();
            me.lows.batch(&lows[..], [&mut *down], recency);
            me.highs.batch(&highs[..], [&mut *up], recency);
            for ((place, down), up) in oscillator.iter_mut().zip(&*down).zip(&*up) {
                *place = up - down;
            }
        });
    }
}

/// 100 for the newest value of a window, 0 for its oldest.
#[derive(Clone, Copy, Debug)]
struct Recency {
    step: f64,
}

impl Recency {
    #[inline(always)]
    fn of(values: usize) -> Recency {
        Recency { step: 100.0 / (values - 1) as f64 }
    }
}

impl Formula<1> for Recency {
    type Over = SinceLeast;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<SinceLeast, F>) -> [F; 1] {
        [F::all(100.0) - F::all(self.step) * v.sums.age]
    }
}

indicator!(Aroon, HighLow => AroonLines, columns);
