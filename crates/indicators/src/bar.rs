//! What indicators are fed with, as one row (`Hlc<f64>`) or as columns (`Hlc<&[f64]>`).
//! Never: mends a row. One that cannot be right is ignored whole by the indicator that gets it.

use crate::{LIMIT, usable};

/// High and low of a bar. Ignored when either is not finite, beyond ±[`LIMIT`](crate::LIMIT), or high is below low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HighLow<T = f64> {
    pub high: T,
    pub low: T,
}

/// High, low and close of a bar. Ignored like [`HighLow`], or when the close is not usable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hlc<T = f64> {
    pub high: T,
    pub low: T,
    pub close: T,
}

/// High, low, close and volume of a bar. Ignored like [`Hlc`], or when the volume is negative or not usable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hlcv<T = f64> {
    pub high: T,
    pub low: T,
    pub close: T,
    pub volume: T,
}

/// A price and what was traded at it: a trade, or a bar's close or typical price with its volume. Ignored when either is
/// not usable or the volume is negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priced<T = f64> {
    pub price: T,
    pub volume: T,
}

/// Two values of the same moment. Ignored when either is not usable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<T = f64> {
    pub x: T,
    pub y: T,
}

impl HighLow {
    #[inline(always)]
    pub(crate) fn is_usable(self) -> bool {
        // High and low are within the limit on both sides then.
        (self.high >= self.low) & (self.high <= LIMIT) & (self.low >= -LIMIT)
    }
}

impl Hlc {
    #[inline(always)]
    pub(crate) fn is_usable(self) -> bool {
        self.range().is_usable() & usable(self.close)
    }

    /// High and low alone.
    #[inline(always)]
    pub fn range(self) -> HighLow {
        HighLow { high: self.high, low: self.low }
    }

    /// The mean of high, low and close.
    #[inline(always)]
    pub fn typical(self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }
}

impl Hlcv {
    #[inline(always)]
    pub(crate) fn is_usable(self) -> bool {
        self.hlc().is_usable() & usable(self.volume) & (self.volume >= 0.0)
    }

    #[inline(always)]
    pub fn hlc(self) -> Hlc {
        Hlc { high: self.high, low: self.low, close: self.close }
    }
}

impl Priced {
    #[inline(always)]
    pub(crate) fn is_usable(self) -> bool {
        usable(self.price) & usable(self.volume) & (self.volume >= 0.0)
    }
}

impl Pair {
    #[inline(always)]
    pub(crate) fn is_usable(self) -> bool {
        usable(self.x) & usable(self.y)
    }
}

/// Columns of equal length that give one row after the other.
pub trait Columns {
    type Row: Copy;

    /// Rows; `None` when the columns differ in length.
    fn rows(&self) -> Option<usize>;

    /// The rows `from..to`, which must be there.
    fn part(&self, from: usize, to: usize) -> Self;

    /// The row `i`, which must be there.
    fn row(&self, i: usize) -> Self::Row;

    fn iter(&self) -> impl Iterator<Item = Self::Row> + Clone;
}

impl Columns for &[f64] {
    type Row = f64;
    fn rows(&self) -> Option<usize> {
        Some(self.len())
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        &self[from..to]
    }
    #[inline(always)]
    fn row(&self, i: usize) -> f64 {
        self[i]
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = f64> + Clone {
        <[f64]>::iter(self).copied()
    }
}

fn equal<const N: usize>(lengths: [usize; N]) -> Option<usize> {
    lengths.iter().all(|n| *n == lengths[0]).then_some(lengths[0])
}

impl Columns for HighLow<&[f64]> {
    type Row = HighLow;
    fn rows(&self) -> Option<usize> {
        equal([self.high.len(), self.low.len()])
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        HighLow { high: &self.high[from..to], low: &self.low[from..to] }
    }
    #[inline(always)]
    fn row(&self, i: usize) -> HighLow {
        HighLow { high: self.high[i], low: self.low[i] }
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = HighLow> + Clone {
        self.high.iter().zip(self.low).map(|(high, low)| HighLow { high: *high, low: *low })
    }
}

impl Columns for Hlc<&[f64]> {
    type Row = Hlc;
    fn rows(&self) -> Option<usize> {
        equal([self.high.len(), self.low.len(), self.close.len()])
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        Hlc { high: &self.high[from..to], low: &self.low[from..to], close: &self.close[from..to] }
    }
    #[inline(always)]
    fn row(&self, i: usize) -> Hlc {
        Hlc { high: self.high[i], low: self.low[i], close: self.close[i] }
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Hlc> + Clone {
        let rows = self.high.iter().zip(self.low).zip(self.close);
        rows.map(|((high, low), close)| Hlc { high: *high, low: *low, close: *close })
    }
}

impl Columns for Hlcv<&[f64]> {
    type Row = Hlcv;
    fn rows(&self) -> Option<usize> {
        equal([self.high.len(), self.low.len(), self.close.len(), self.volume.len()])
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        Hlcv {
            high: &self.high[from..to],
            low: &self.low[from..to],
            close: &self.close[from..to],
            volume: &self.volume[from..to],
        }
    }
    #[inline(always)]
    fn row(&self, i: usize) -> Hlcv {
        Hlcv { high: self.high[i], low: self.low[i], close: self.close[i], volume: self.volume[i] }
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Hlcv> + Clone {
        let rows = self.high.iter().zip(self.low).zip(self.close).zip(self.volume);
        rows.map(|(((high, low), close), volume)| Hlcv { high: *high, low: *low, close: *close, volume: *volume })
    }
}

impl Columns for Priced<&[f64]> {
    type Row = Priced;
    fn rows(&self) -> Option<usize> {
        equal([self.price.len(), self.volume.len()])
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        Priced { price: &self.price[from..to], volume: &self.volume[from..to] }
    }
    #[inline(always)]
    fn row(&self, i: usize) -> Priced {
        Priced { price: self.price[i], volume: self.volume[i] }
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Priced> + Clone {
        self.price.iter().zip(self.volume).map(|(price, volume)| Priced { price: *price, volume: *volume })
    }
}

impl Columns for Pair<&[f64]> {
    type Row = Pair;
    fn rows(&self) -> Option<usize> {
        equal([self.x.len(), self.y.len()])
    }
    #[inline(always)]
    fn part(&self, from: usize, to: usize) -> Self {
        Pair { x: &self.x[from..to], y: &self.y[from..to] }
    }
    #[inline(always)]
    fn row(&self, i: usize) -> Pair {
        Pair { x: self.x[i], y: self.y[i] }
    }
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Pair> + Clone {
        self.x.iter().zip(self.y).map(|(x, y)| Pair { x: *x, y: *y })
    }
}
