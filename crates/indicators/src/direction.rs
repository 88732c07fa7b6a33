//! Wilder's directional movement: which way bars widen, and how much of a trend that makes.

use crate::bar::Hlc;
use crate::indicator::{indicator, reading};
use crate::range::true_range;
use crate::smooth::{Smoother, Weight};
use crate::window::BadPeriod;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// One reading of [`Di`], in percent of the true range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Directions {
    pub plus_di: f64,
    pub minus_di: f64,
}

reading!(Directions { plus_di, minus_di });

impl Directions {
    /// How much one direction outweighs the other, 0 to 100; `None` where nothing moved.
    #[inline(always)]
    fn index(self) -> Option<f64> {
        let both = self.plus_di + self.minus_di;
        (both > 0.0).then(|| 100.0 * ((self.plus_di - self.minus_di).abs() / both))
    }
}

/// The directional indicators (TA-Lib `PLUS_DI` and `MINUS_DI`). The averages begin with the sum of `period - 1` moves,
/// as Wilder's do. 0 where the average range is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Di {
    #[serde(with = "bar")]
    before: Option<Hlc>,
    /// Upward moves, downward moves, true ranges.
    averages: Smoother<3>,
    ready: bool,
}

impl Di {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        let averages = Smoother::new(Weight::Wilder, [period; 3], period.saturating_sub(1))?;
        Ok(Di { before: None, averages, ready: false })
    }

    /// Takes a bar in and answers both indicators; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<Directions> {
        if bar.is_usable() {
            if let Some(before) = self.before {
                let (up, down) = (bar.high - before.high, before.low - bar.low);
                // Selected, not branched on: which way a market goes is what no processor can guess.
                let plus = if up > down { up } else { 0.0 };
                let minus = if down > up { down } else { 0.0 };
                let moves = [if plus > 0.0 { plus } else { 0.0 }, if minus > 0.0 { minus } else { 0.0 }];
                // The seed itself is no value yet.
                self.ready |= self.averages.values().is_some();
                self.averages.update([moves[0], moves[1], true_range(bar, before.close)]);
            }
            self.before = Some(bar);
        }
        self.value()
    }

    /// Both indicators as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Directions> {
        if !self.ready {
            return None;
        }
        let [plus, minus, range] = self.averages.values()?;
        let share = |moves: f64| if range > 0.0 { 100.0 * (moves / range) } else { 0.0 };
        Some(Directions { plus_di: share(plus), minus_di: share(minus) })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.averages.seeds() + 2
    }
}

/// One reading of [`Adx`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Strength of the trend whichever way it goes, 0 to 100.
    pub adx: f64,
    pub plus_di: f64,
    pub minus_di: f64,
}

reading!(Trend { adx, plus_di, minus_di });

/// The average directional index (TA-Lib `ADX`): Wilder's average of how much one of [`Di`]'s directions outweighs the
/// other, seeded with `period` of them. A bar at which nothing has moved counts as 0 in the seed and leaves the average
/// as it is later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adx {
    di: Di,
    average: Smoother<1>,
}

impl Adx {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Adx { di: Di::new(period)?, average: Smoother::new(Weight::Wilder, [period], period)? })
    }

    /// Takes a bar in and answers the index; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlc) -> Option<Trend> {
        let now = self.di.update(bar);
        if bar.is_usable()
            && let Some(now) = now
        {
            match now.index() {
                Some(x) => self.average.update([x]),
                None if self.average.values().is_none() => self.average.update([0.0]),
                None => {}
            }
        }
        self.with(now)
    }

    /// The index as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Trend> {
        self.with(self.di.value())
    }

    // Given the directions, because they cost two divisions.
    #[inline(always)]
    fn with(&self, now: Option<Directions>) -> Option<Trend> {
        let [adx] = self.average.values()?;
        now.map(|Directions { plus_di, minus_di }| Trend { adx, plus_di, minus_di })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.di.warmup() + self.average.seeds() - 1
    }
}

indicator!(Di, Hlc => Directions);
indicator!(Adx, Hlc => Trend);

/// A bar as exact text: high, low, close.
mod bar {
    use super::*;
    use crate::exact::Exact;
    use serde::Serializer;

    pub fn serialize<S: Serializer>(bar: &Option<Hlc>, s: S) -> Result<S::Ok, S::Error> {
        bar.map(|b| [b.high, b.low, b.close].map(Exact)).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Hlc>, D::Error> {
        let Some([high, low, close]) = Option::<[Exact; 3]>::deserialize(d)?.map(|b| b.map(|x| x.0)) else {
            return Ok(None);
        };
        let bar = Hlc { high, low, close };
        if bar.is_usable() { Ok(Some(bar)) } else { Err(D::Error::custom("a saved bar is out of range")) }
    }
}
