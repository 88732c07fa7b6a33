//! A sliding window that keeps an aggregate of its newest values in amortised constant time.
//! Never subtracts what leaves: an aggregate is only ever built up from the values in the window, so no error can
//! accumulate.

use crate::bar::Columns;
use crate::exact::Exact;
use crate::indicator::{Reading, put};
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
    type Saved: Serialize + for<'de> Deserialize<'de>;
    fn is_usable(self) -> bool;
    fn save(self) -> Self::Saved;
    fn load(saved: &Self::Saved) -> Self;
}

impl Item for f64 {
    const ZERO: f64 = 0.0;
    type Saved = Exact;
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
    type Saved = [Exact; 2];
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

/// Something that can be summed up over neighbouring runs of values. `origin` is a value that lies in each window the
/// aggregate is used for: sums of distances from it are as exact as the spread of the window allows, wherever the
/// values lie, and equal values give sums of exactly zero.
pub(crate) trait Aggregate: Copy + std::fmt::Debug {
    type Item: Item;
    /// Of no value.
    const EMPTY: Self;
    /// With a value that is newer than all of the run, which has `n` values with it.
    fn newer(self, x: Self::Item, origin: Self::Item, n: usize) -> Self;
    /// With a value that is older than all of the run, which has `n` values with it.
    fn older(self, x: Self::Item, origin: Self::Item, n: usize) -> Self;
    fn join(older: Self, newer: Self, runs: Runs) -> Self;
}

/// How many values two neighbouring runs have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub older: usize,
    pub newer: usize,
}

/// What a full window says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<A: Aggregate> {
    pub sum: A,
    pub origin: A::Item,
    pub newest: A::Item,
}

/// The newest `period` values. They come in blocks of `period`: the newest block grows in `values`, over the values of
/// the block before it, of which `rest` holds what is still in the window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved<A::Item>", into = "Saved<A::Item>", bound(serialize = "", deserialize = ""))]
pub(crate) struct Window<A: Aggregate> {
    period: usize,
    /// Values of the newest block, `1..=period` once there was one.
    at: usize,
    /// Whether `period` values have come in.
    full: bool,
    values: Vec<A::Item>,
    /// `rest[i]`: the aggregate of the older block from its value `i` to its end; `rest[period]` is empty.
    rest: Vec<A>,
    /// The aggregate of the newest block.
    grown: A,
    /// The first value of the newest block: every window that ends in this block has it.
    origin: A::Item,
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
            rest: vec![A::EMPTY; period + 1],
            grown: A::EMPTY,
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
        self.grown = self.grown.newer(x, self.origin, self.at);
        self.full |= self.at == self.period;
    }

    /// What the window says; `None` until it is full.
    #[inline(always)]
    pub fn view(&self) -> Option<View<A>> {
        self.full.then(|| View {
            sum: A::join(self.rest[self.at], self.grown, Runs { older: self.period - self.at, newer: self.at }),
            origin: self.origin,
            newest: self.values[self.at - 1],
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

    /// As pushing `item(row)` for all rows of `input` that are `good`. Block by block, because that keeps the running sums
    /// in registers: half the time.
    #[inline(always)]
    pub fn blocks<const N: usize, C: Columns, T: Reading<N>>(
        &mut self,
        input: C,
        mut out: [&mut [f64]; N],
        good: impl Fn(C::Row) -> bool,
        item: impl Fn(C::Row) -> A::Item,
        read: impl Fn(View<A>) -> T,
    ) {
        let total = input.rows().unwrap_or(0);
        let mut done = 0;
        while done < total {
            let at = if self.at == self.period { 0 } else { self.at };
            let take = (total - done).min(self.period - at);
            let part = input.part(done, done + take);
            let usable = part.iter().fold(true, |all, row| all & good(row));
            if !usable || !self.full {
                for (i, row) in part.iter().enumerate() {
                    if good(row) {
                        self.push(item(row));
                    }
                    put(&mut out, done + i, self.view().map(&read));
                }
            } else {
                if at == 0
                    && let Some(row) = part.iter().next()
                {
                    self.begin(item(row));
                }
                let columns = out.each_mut().map(|column| &mut column[done..done + take]);
                let run = Run {
                    values: &mut self.values[at..],
                    rest: &self.rest[at + 1..],
                    grown: self.grown,
                    origin: self.origin,
                    runs: Runs { older: self.period - at, newer: at },
                };
                self.grown = run.grow(part.iter().map(&item), columns, &read);
                self.at += take;
            }
            done += take;
        }
    }

    /// Opens a block, whose first value will be `x`.
    #[inline(always)]
    fn begin(&mut self, x: A::Item) {
        if self.at > 0 {
            add_up(&self.values, &mut self.rest, x);
        }
        (self.at, self.grown, self.origin) = (0, A::EMPTY, x);
    }

    /// The values of the older and of the newer block, oldest first.
    fn parts(&self) -> (&[A::Item], &[A::Item]) {
        let (newer, older) = self.values.split_at(self.at);
        (if self.full { older } else { &[] }, newer)
    }
}

/// The part of a window that a run of values goes through.
struct Run<'a, A: Aggregate> {
    values: &'a mut [A::Item],
    rest: &'a [A],
    grown: A,
    origin: A::Item,
    runs: Runs,
}

impl<A: Aggregate> Run<'_, A> {
    /// Takes usable values in, as many as each of the columns is long, and gives what the block has grown to.
    // A function of its own, without a place to panic: only then the sums stay in registers for sure.
    #[inline(never)]
    fn grow<const N: usize, T: Reading<N>>(
        self,
        items: impl Iterator<Item = A::Item>,
        mut columns: [&mut [f64]; N],
        read: &impl Fn(View<A>) -> T,
    ) -> A {
        let Run { values, rest, mut grown, origin, mut runs } = self;
        let mut i = 0usize;
        for ((x, value), rest) in items.zip(values).zip(rest) {
            *value = x;
            // Wrapping, because a sum that may panic is computed even where the aggregate does not ask for it.
            runs = Runs { older: runs.older.wrapping_sub(1), newer: runs.newer.wrapping_add(1) };
            grown = grown.newer(x, origin, runs.newer);
            let row = read(View { sum: A::join(*rest, grown, runs), origin, newest: x }).row();
            for (column, x) in columns.iter_mut().zip(row) {
                if let Some(place) = column.get_mut(i) {
                    *place = x;
                }
            }
            i = i.wrapping_add(1);
        }
        grown
    }
}

/// From the newest to the oldest: the aggregate from each value to the end.
// Slices instead of the window: it stays in registers around the call.
#[inline(never)]
fn add_up<A: Aggregate>(values: &[A::Item], rest: &mut [A], origin: A::Item) {
    let (mut sum, mut n) = (A::EMPTY, 0usize);
    for (x, rest) in values.iter().zip(rest).rev() {
        n = n.wrapping_add(1);
        sum = sum.older(*x, origin, n);
        *rest = sum;
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
            add_up(&w.values[back..], &mut w.rest[back..end], w.origin);
        }
        Ok(w)
    }
}
