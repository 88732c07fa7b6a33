//! How far prices move within and between bars.

use crate::bar::{Columns, Hlc};
use crate::exact;
use crate::indicator::{Reading, STRETCH, by_stretches, indicator};
use crate::smooth::{Smoother, Weight};
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// The range of a bar together with the close before it. Never negative.
#[inline(always)]
pub(crate) fn true_range(bar: Hlc, close_before: f64) -> f64 {
    let high = if bar.high > close_before { bar.high } else { close_before };
    let low = if bar.low < close_before { bar.low } else { close_before };
    high - low
}

/// Average true range by Wilder's average (TA-Lib `ATR`). The first bar only gives its close: the first value is the
/// mean of the ranges of the `period` bars after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Atr {
    #[serde(with = "exact::option")]
    close: Option<f64>,
    average: Smoother<1>,
}

impl Atr {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Atr { close: None, average: Smoother::new(Weight::Wilder, [period], period)? })
    }

    /// Takes a bar in and answers the average range; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<f64> {
        if bar.is_usable() {
            if let Some(close) = self.close {
                self.average.update([true_range(bar, close)]);
            }
            self.close = Some(bar.close);
        }
        self.value()
    }

    /// The average range as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.average.values().map(|[a]| a)
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.average.seeds() + 1
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = Hlc>, out: [&mut [f64]; N])
    where
        f64: Reading<N>,
    {
        by_stretches(self, input, out, STRETCH, Hlc::is_usable, |me, bars, [column]| {
            let Some(mut close) = me.close else { return };
            let mut average = me.average.clone();
            for (bar, place) in bars.iter().zip(column) {
                [*place] = average.step([true_range(bar, close)]);
                close = bar.close;
            }
            (me.average, me.close) = (average, Some(close));
        });
    }
}

indicator!(Atr, Hlc => f64, columns);
