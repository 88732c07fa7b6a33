//! A sliding window that keeps an aggregate of its newest values in amortised constant time.
//! Never subtracts: an aggregate is only ever built up from the values in the window, so no error can accumulate.

use crate::exact::Exact;
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

/// Something that can be summed up over neighbouring runs of values. Associative up to rounding.
pub(crate) trait Aggregate: Copy {
    fn of(x: f64) -> Self;
    fn join(older: Self, newer: Self) -> Self;
}

/// The newest `period` values. Two stacks: `back` takes values in, `front` gives the oldest out and holds for each of
/// its values the aggregate from there to its newest one. When `front` runs empty, `back` is turned over into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved", bound(serialize = "", deserialize = ""))]
pub(crate) struct Window<A: Aggregate> {
    period: usize,
    /// Oldest last.
    front: Vec<(f64, A)>,
    /// Newest last.
    back: Vec<f64>,
    back_sum: Option<A>,
}

impl<A: Aggregate> Window<A> {
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        let period = check_period(period)?;
        Ok(Window { period, front: Vec::new(), back: Vec::new(), back_sum: None })
    }

    pub fn period(&self) -> usize {
        self.period
    }

    pub fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() == self.period
    }

    /// Takes `x` in; the oldest value leaves a full window. `x` must be usable.
    pub fn push(&mut self, x: f64) {
        if self.is_full() {
            if self.front.is_empty() {
                self.turn_over();
            }
            self.front.pop();
        }
        self.back.push(x);
        self.back_sum = Some(joined(self.back_sum, x));
    }

    /// The aggregate of everything in the window; `None` while it is empty.
    pub fn aggregate(&self) -> Option<A> {
        match (self.front.last(), self.back_sum) {
            (Some((_, front)), Some(back)) => Some(A::join(*front, back)),
            (front, back) => front.map(|f| f.1).or(back),
        }
    }

    /// The newest value.
    pub fn newest(&self) -> Option<f64> {
        self.back.last().copied().or_else(|| self.front.first().map(|f| f.0))
    }

    fn turn_over(&mut self) {
        let mut sum: Option<A> = None;
        while let Some(x) = self.back.pop() {
            let run = sum.map_or(A::of(x), |newer| A::join(A::of(x), newer));
            self.front.push((x, run));
            sum = Some(run);
        }
        self.back_sum = None;
    }
}

fn joined<A: Aggregate>(sum: Option<A>, x: f64) -> A {
    sum.map_or(A::of(x), |older| A::join(older, A::of(x)))
}

/// The values in order of arrival, split where the stacks are: the aggregates are rebuilt from them by the same sums.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    period: usize,
    front: Vec<Exact>,
    back: Vec<Exact>,
}

impl<A: Aggregate> From<Window<A>> for Saved {
    fn from(w: Window<A>) -> Saved {
        Saved {
            period: w.period,
            front: w.front.iter().rev().map(|f| Exact(f.0)).collect(),
            back: w.back.iter().map(|x| Exact(*x)).collect(),
        }
    }
}

impl<A: Aggregate> TryFrom<Saved> for Window<A> {
    type Error = String;
    fn try_from(saved: Saved) -> Result<Self, String> {
        let mut w = Window::new(saved.period).map_err(|e| e.to_string())?;
        let values = || saved.front.iter().chain(&saved.back);
        if values().count() > w.period || !values().all(|x| crate::usable(x.0)) {
            return Err("the saved window holds too many values, or one out of range".into());
        }
        w.back = saved.front.iter().map(|x| x.0).collect();
        w.turn_over();
        for x in &saved.back {
            w.back.push(x.0);
            w.back_sum = Some(joined(w.back_sum, x.0));
        }
        Ok(w)
    }
}
