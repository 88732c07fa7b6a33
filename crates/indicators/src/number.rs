//! What windows add up: one number, or several side by side.
//! Never: another rounding side by side. Each lane takes the very steps of a single number, in the same order.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Sub};

/// A number, or [`Lanes`] of numbers. What an aggregate or a formula says, it says for both: a batch that works on
/// several blocks of a history at once then answers the bits that one after the other would.
pub(crate) trait Number:
    Copy + Debug + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn from_fn(lane: impl FnMut(usize) -> f64) -> Self;
    fn lane(self, k: usize) -> f64;
    fn every(self, is: impl Fn(f64) -> bool) -> bool;

    #[inline(always)]
    fn all(x: f64) -> Self {
        Self::from_fn(|_| x)
    }

    /// A count, which is at most `MAX_PERIOD`: as an `i32` it takes one instruction, as a `usize` several.
    #[inline(always)]
    fn count(n: usize) -> Self {
        Self::all(f64::from(n as i32))
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::from_fn(|k| f(self.lane(k)))
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self::from_fn(|k| f(self.lane(k), other.lane(k)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    // `f64::min` and `f64::max` would first ask for NaN, which never gets into a window.
    #[inline(always)]
    fn least(self, other: Self) -> Self {
        self.with(other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    fn greatest(self, other: Self) -> Self {
        self.with(other, |a, b| if b > a { b } else { a })
    }

    /// Zero where `condition` is not above zero.
    #[inline(always)]
    fn where_positive(self, condition: Self) -> Self {
        self.with(condition, |x, c| if c > 0.0 { x } else { 0.0 })
    }

    /// Where the first of `pair` is at most the second.
    #[inline(always)]
    fn where_at_most(self, pair: [Self; 2], otherwise: Self) -> Self {
        Self::from_fn(|k| if pair[0].lane(k) <= pair[1].lane(k) { self.lane(k) } else { otherwise.lane(k) })
    }
}

impl Number for f64 {
    #[inline(always)]
    fn from_fn(mut lane: impl FnMut(usize) -> f64) -> f64 {
        lane(0)
    }
    #[inline(always)]
    fn lane(self, _: usize) -> f64 {
        self
    }
    #[inline(always)]
    fn every(self, is: impl Fn(f64) -> bool) -> bool {
        is(self)
    }
}

/// `L` numbers that a processor takes some at a time of, and that need not wait for each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<const L: usize>([f64; L]);

impl<const L: usize> Number for Lanes<L> {
    #[inline(always)]
    fn from_fn(lane: impl FnMut(usize) -> f64) -> Self {
        Lanes(std::array::from_fn(lane))
    }
    #[inline(always)]
    fn lane(self, k: usize) -> f64 {
        self.0[k]
    }
    #[inline(always)]
    fn every(self, is: impl Fn(f64) -> bool) -> bool {
        self.0.into_iter().fold(true, |all, x| all & is(x))
    }
}

impl<const L: usize> Add for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl<const L: usize> Sub for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

impl<const L: usize> Mul for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
}

impl<const L: usize> Div for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }
}
