//! The lowest and the highest of the newest inputs, and the channel between those of bars.

use crate::aggregates::{Greatest, Least};
use crate::bar::{Columns, HighLow};
use crate::indicator::{Reading, by_stretches, indicator, reading, stretch_over};
use crate::number::Number;
use crate::tiles::{Formula, windowed};
use crate::window::{BadPeriod, View, Window};
use serde::{Deserialize, Serialize};

/// Lowest of the newest `period` inputs (TA-Lib `MIN`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingMin(Window<Least>);

/// Highest of the newest `period` inputs (TA-Lib `MAX`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollingMax(Window<Greatest>);

#[derive(Clone, Copy, Debug)]
struct Lowest;

impl Lowest {
    #[inline(always)]
    fn of(_: usize) -> Lowest {
        Lowest
    }
}

impl Formula<1> for Lowest {
    type Over = Least;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Least, F>) -> [F; 1] {
        [v.sums]
    }
}

#[derive(Clone, Copy, Debug)]
struct Highest;

impl Highest {
    #[inline(always)]
    fn of(_: usize) -> Highest {
        Highest
    }
}

impl Formula<1> for Highest {
    type Over = Greatest;
    type Value = f64;
    #[inline(always)]
    fn read<F: Number>(self, v: View<Greatest, F>) -> [F; 1] {
        [v.sums]
    }
}

windowed!(RollingMin, f64 => f64, Lowest);
windowed!(RollingMax, f64 => f64, Highest);

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

reading!(Channel { lower, middle, upper });

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
        Some(Channel { lower, middle: middle(lower, upper), upper })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.lows.warmup()
    }

    /// Rows of a batch that are looked over at once.
    pub(crate) fn stretch(&self) -> usize {
        stretch_over(self.warmup())
    }

    /// Takes usable bars in and writes the lower and the upper line.
    pub(crate) fn bounds(&mut self, bars: impl Iterator<Item = HighLow> + Clone, lower: &mut [f64], upper: &mut [f64]) {
        let lows: Vec<f64> = bars.clone().map(|bar| bar.low).collect();
        let highs: Vec<f64> = bars.map(|bar| bar.high).collect();
        self.lows.columns(&lows[..], [lower]);
        self.highs.columns(&highs[..], [upper]);
    }

    #[inline(always)]
    fn columns<const N: usize>(&mut self, input: impl Columns<Row = HighLow>, out: [&mut [f64]; N])
    where
        Channel: Reading<N>,
    {
        let rows = self.stretch();
        by_stretches(self, input, out, rows, HighLow::is_usable, |me, bars, [lower, between, upper]| {
            me.bounds(bars.iter(), lower, upper);
            for ((place, lower), upper) in between.iter_mut().zip(&*lower).zip(&*upper) {
                *place = middle(*lower, *upper);
            }
        });
    }
}

#[inline(always)]
fn middle(lower: f64, upper: f64) -> f64 {
    0.5 * (lower + upper)
}

indicator!(Donchian, HighLow => Channel, columns);
