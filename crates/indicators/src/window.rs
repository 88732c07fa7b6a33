//! A sliding window that keeps an aggregate of its newest values in amortised constant time.
//! Never subtracts what leaves: an aggregate is only ever built up from the values in the window, so no error can
//! accumulate.

use crate::exact::Exact;
use crate::number::Number;
use serde::{Deserialize, Serialize};

/// The longest window, in inputs.
pub const MAX_PERIOD: usize = 1_000_000;

/// A window length outside `1..=MAX_PERIOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPeriod(pub usize);

impl std::fmt::Display for BadPeriod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "period {} is not between 1 and {MAX_PERIOD}", self.0)
    }
}

impl std::error::Error for BadPeriod {}

pub(crate) fn check_period(period: usize) -> Result<usize, BadPeriod> {
    if (1..=MAX_PERIOD).contains(&period) { Ok(period) } else { Err(BadPeriod(period)) }
}

/// What a window holds: a number or two.
pub(crate) trait Item: Copy + PartialEq + std::fmt::Debug {
    const ZERO: Self;
    /// The same of [`Lanes`](crate::number::Lanes).
    type Of<F: Number>: Copy + std::fmt::Debug;
    type Saved: Serialize + for<'de> Deserialize<'de>;
    fn gather<F: Number>(lane: impl Fn(usize) -> Self) -> Self::Of<F>;
    fn is_usable(self) -> bool;
    fn save(self) -> Self::Saved;
    fn load(saved: &Self::Saved) -> Self;
}

impl Item for f64 {
    const ZERO: f64 = 0.0;
    type Of<F: Number> = F;
    type Saved = Exact;
    #[inline(always)]
    fn gather<F: Number>(lane: impl Fn(usize) -> f64) -> F {
        F::from_fn(lane)
    }
    #[inline(always)]
    fn is_usable(self) -> bool {
        crate::usable(self)
    }
    fn save(self) -> Exact {
        Exact(self)
    }
    fn load(saved: &Exact) -> f64 {
        saved.0
    }
}

impl Item for [f64; 2] {
    const ZERO: [f64; 2] = [0.0; 2];
    type Of<F: Number> = [F; 2];
    type Saved = [Exact; 2];
    #[inline(always)]
    fn gather<F: Number>(lane: impl Fn(usize) -> [f64; 2]) -> [F; 2] {
        [F::from_fn(|k| lane(k)[0]), F::from_fn(|k| lane(k)[1])]
    }
    // Products of two usable numbers are kept here too.
    #[inline(always)]
    fn is_usable(self) -> bool {
        self[0].is_finite() & self[1].is_finite()
    }
    fn save(self) -> [Exact; 2] {
        self.map(Exact)
    }
    fn load(saved: &[Exact; 2]) -> [f64; 2] {
        saved.map(|x| x.0)
    }
}

pub(crate) type Of<A, F> = <<A as Aggregate>::Item as Item>::Of<F>;

/// How neighbouring runs of values are summed up. `origin` is a value that lies in each window the sums are used for:
/// sums of distances from it are as exact as the spread of the window allows, wherever the values lie, and equal values
/// give sums of exactly zero.
pub(crate) trait Aggregate: Copy + std::fmt::Debug {
    type Item: Item;
    type Sums<F: Number>: Copy + std::fmt::Debug;
    /// Of no value.
    fn empty<F: Number>() -> Self::Sums<F>;
    /// With a value that is newer than all of the run, which has `n` values with it.
    fn newer<F: Number>(sums: Self::Sums<F>, x: Of<Self, F>, origin: Of<Self, F>, n: usize) -> Self::Sums<F>;
    /// With a value that is older than all of the run, which has `n` values with it.
    #[inline(always)]
    fn older<F: Number>(sums: Self::Sums<F>, x: Of<Self, F>, origin: Of<Self, F>, n: usize) -> Self::Sums<F> {
        Self::newer(sums, x, origin, n)
    }
    fn join<F: Number>(older: Self::Sums<F>, newer: Self::Sums<F>, runs: Runs) -> Self::Sums<F>;
}

/// How many values two neighbouring runs have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub older: usize,
    pub newer: usize,
}

/// What a full window says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<A: Aggregate, F: Number = f64> {
    pub sums: A::Sums<F>,
    pub origin: Of<A, F>,
    pub newest: Of<A, F>,
}

/// The newest `period` values. They come in blocks of `period`: the newest block grows in `values`, over the values of
/// the block before it, of which `rest` holds what is still in the window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved<A::Item>", into = "Saved<A::Item>", bound(serialize = "", deserialize = ""))]
pub(crate) struct Window<A: Aggregate> {
    pub(crate) period: usize,
    /// Values of the newest block, `1..=period` once there was one.
    pub(crate) at: usize,
    /// Whether `period` values have come in.
    pub(crate) full: bool,
    pub(crate) values: Vec<A::Item>,
    /// `rest[i]`: the aggregate of the older block from its value `i` to its end; `rest[period]` is empty.
    rest: Vec<A::Sums<f64>>,
    /// The aggregate of the newest block.
    pub(crate) grown: A::Sums<f64>,
    /// The first value of the newest block: every window that ends in this block has it.
    pub(crate) origin: A::Item,
}

impl<A: Aggregate> PartialEq for Window<A> {
    fn eq(&self, other: &Self) -> bool {
        self.period == other.period && self.parts() == other.parts()
    }
}

impl<A: Aggregate> Window<A> {
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        let period = check_period(period)?;
        Ok(Window {
            period,
            at: 0,
            full: false,
            values: vec![A::Item::ZERO; period],
            rest: vec![A::empty(); period + 1],
            grown: A::empty(),
            origin: A::Item::ZERO,
        })
    }

    #[inline(always)]
    pub fn period(&self) -> usize {
        self.period
    }

    /// Takes `x` in, which must be usable; the oldest value leaves a full window.
    #[inline(always)]
    pub fn push(&mut self, x: A::Item) {
        if self.at == self.period || self.at == 0 {
            self.begin(x);
        }
        self.values[self.at] = x;
        self.at += 1;
        self.grown = A::newer(self.grown, one(x), one(self.origin), self.at);
        self.full |= self.at == self.period;
    }

    /// What the window says; `None` until it is full.
    #[inline(always)]
    pub fn view(&self) -> Option<View<A>> {
        self.full.then(|| View {
            sums: A::join(self.rest[self.at], self.grown, Runs { older: self.period - self.at, newer: self.at }),
            origin: one(self.origin),
            newest: one(self.values[self.at - 1]),
        })
    }

    /// All values of a full window, in the order of their places.
    #[inline(always)]
    pub fn values(&self) -> &[A::Item] {
        &self.values
    }

    /// The value that the next [`push`](Self::push) drops; `None` until the window is full.
    #[inline(always)]
    pub fn oldest(&self) -> Option<A::Item> {
        self.full.then(|| self.values[if self.at == self.period { 0 } else { self.at }])
    }

    /// Makes these values, `period` of them, the newest block of a full window.
    pub fn become_block(&mut self, values: impl Iterator<Item = A::Item>) {
        for (place, x) in self.values.iter_mut().zip(values) {
            *place = x;
        }
        self.origin = self.values[0];
        self.grown = A::empty();
        for (i, x) in self.values.iter().enumerate() {
            self.grown = A::newer(self.grown, one(*x), one(self.origin), i + 1);
        }
        (self.at, self.full) = (self.period, true);
    }

    /// Goes on by `n` places of a full window, as if values had been pushed there. They are not: `period` values have to
    /// follow before the window says anything that is true.
    pub fn skip(&mut self, n: usize) {
        self.at = (self.at - 1 + n) % self.period + 1;
    }

    /// Opens a block, whose first value will be `x`.
    #[inline(always)]
    fn begin(&mut self, x: A::Item) {
        if self.at > 0 {
            add_up::<A>(&self.values, &mut self.rest, x);
        }
        (self.at, self.grown, self.origin) = (0, A::empty(), x);
    }

    /// The values of the older and of the newer block, oldest first.
    fn parts(&self) -> (&[A::Item], &[A::Item]) {
        let (newer, older) = self.values.split_at(self.at);
        (if self.full { older } else { &[] }, newer)
    }
}

#[inline(always)]
fn one<T: Item>(x: T) -> T::Of<f64> {
    T::gather(|_| x)
}

/// From the newest to the oldest: the aggregate from each value to the end.
// Slices instead of the window: it stays in registers around the call.
#[inline(never)]
fn add_up<A: Aggregate>(values: &[A::Item], rest: &mut [A::Sums<f64>], origin: A::Item) {
    let (mut sums, mut n) = (A::empty(), 0usize);
    for (x, rest) in values.iter().zip(rest).rev() {
        n = n.wrapping_add(1);
        sums = A::older(sums, one(*x), one(origin), n);
        *rest = sums;
    }
}

/// The values in order of arrival, split where the blocks meet: the aggregates are rebuilt from them by the same sums.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(serialize = "", deserialize = ""))]
struct Saved<T: Item> {
    period: usize,
    front: Vec<T::Saved>,
    back: Vec<T::Saved>,
}

impl<A: Aggregate> From<Window<A>> for Saved<A::Item> {
    fn from(w: Window<A>) -> Self {
        let save = |part: &[A::Item]| part.iter().map(|x| x.save()).collect();
        let (front, back) = w.parts();
        Saved { period: w.period, front: save(front), back: save(back) }
    }
}

impl<A: Aggregate> TryFrom<Saved<A::Item>> for Window<A> {
    type Error = String;
    fn try_from(saved: Saved<A::Item>) -> Result<Self, String> {
        let mut w = Window::new(saved.period).map_err(|e| e.to_string())?;
        let (front, back) = (saved.front.len(), saved.back.len());
        let whole = if front == 0 { back <= w.period } else { back > 0 && front.checked_add(back) == Some(w.period) };
        let values: Vec<_> = saved.back.iter().chain(&saved.front).map(A::Item::load).collect();
        if !whole || !values.iter().all(|x| x.is_usable()) {
            return Err("the saved window holds too many values, or one out of range".into());
        }
        for x in &values[..back] {
            w.push(*x);
        }
        if front > 0 {
            w.full = true;
            w.values.copy_from_slice(&values);
            // Of the older block only these are left; the places before them are not looked at again.
            let end = w.period;
            add_up::<A>(&w.values[back..], &mut w.rest[back..end], w.origin);
        }
        Ok(w)
    }
}
