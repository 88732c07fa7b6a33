//! Exponential smoothing, the core of every average that never forgets.
//! Never: divides in its running state, which would make each step wait for it.

use crate::exact::Exact;
use crate::window::{BadPeriod, MAX_PERIOD, check_period};
use serde::{Deserialize, Serialize};

/// How much of the newest input an average of `period` takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    /// `2 / (period + 1)`.
    Exponential,
    /// `1 / period`.
    Wilder,
}

/// `N` averages that take their inputs in at the same time. Each begins as the sum of the first `seeds` inputs, divided
/// by its period.
///
/// An average `a` moves to `a + w (x - a)`. Two such steps in one are `a + (w (2 - w) (x1 - a) + w (x2 - x1))`. Each value
/// here comes from the one before the last in this way, so that it need not wait for the last one: that wait is what
/// bounds the speed. For the same reason what does not depend on `a` is summed up first, and `w (2 - w) a` taken from it:
/// of equal inputs nothing remains then, and they leave an average as it is, to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub(crate) struct Smoother<const N: usize> {
    seeds: usize,
    /// Inputs so far, held at `seeds`.
    seen: usize,
    // Arrays of numbers instead of an array of averages: a processor takes two neighbours in one step.
    weight: [f64; N],
    /// `weight (2 - weight)`.
    twice: [f64; N],
    /// What the seed's sum is divided by.
    period: [f64; N],
    /// The sums while seeding, then the averages.
    value: [f64; N],
    /// The averages one input ago.
    before: [f64; N],
    /// The newest inputs.
    newest: [f64; N],
}

impl<const N: usize> Smoother<N> {
    pub fn new(weight: Weight, periods: [usize; N], seeds: usize) -> Result<Self, BadPeriod> {
        for period in periods {
            check_period(period)?;
        }
        let period = periods.map(|p| p as f64);
        let weight = period.map(|p| match weight {
            Weight::Exponential => 2.0 / (p + 1.0),
            Weight::Wilder => 1.0 / p,
        });
        Ok(Smoother {
            seeds,
            seen: 0,
            weight,
            twice: weight.map(|w| w * (2.0 - w)),
            period,
            value: [0.0; N],
            before: [0.0; N],
            newest: [0.0; N],
        })
    }

    #[inline(always)]
    pub fn update(&mut self, x: [f64; N]) {
        if self.seen < self.seeds {
            self.seed(x);
        } else {
            self.step(x);
        }
    }

    /// [`update`](Self::update) once there are values.
    #[inline(always)]
    pub fn step(&mut self, x: [f64; N]) -> [f64; N] {
        for (k, x) in x.into_iter().enumerate() {
            let a = self.before[k];
            let inputs = self.twice[k] * self.newest[k] + self.weight[k] * (x - self.newest[k]);
            self.before[k] = self.value[k];
            self.value[k] = a + (inputs - self.twice[k] * a);
            self.newest[k] = x;
        }
        self.value
    }

    #[inline(always)]
    fn seed(&mut self, x: [f64; N]) {
        self.seen += 1;
        for (k, x) in x.into_iter().enumerate() {
            self.value[k] += x;
            if self.seen == self.seeds {
                self.value[k] /= self.period[k];
                // As if the seed had come in once more: the first step is a single one.
                self.before[k] = self.value[k];
                self.newest[k] = self.value[k];
            }
        }
    }

    /// Inputs until the first value.
    pub fn seeds(&self) -> usize {
        self.seeds
    }

    /// The averages; `None` until seeded.
    #[inline(always)]
    pub fn values(&self) -> Option<[f64; N]> {
        (self.seen == self.seeds).then_some(self.value)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    seeds: usize,
    seen: usize,
    lanes: Vec<SavedLane>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLane {
    weight: Exact,
    period: Exact,
    value: Exact,
    before: Exact,
    newest: Exact,
}

impl<const N: usize> From<Smoother<N>> for Saved {
    fn from(s: Smoother<N>) -> Saved {
        let lane = |k: usize| SavedLane {
            weight: Exact(s.weight[k]),
            period: Exact(s.period[k]),
            value: Exact(s.value[k]),
            before: Exact(s.before[k]),
            newest: Exact(s.newest[k]),
        };
        Saved { seeds: s.seeds, seen: s.seen, lanes: (0..N).map(lane).collect() }
    }
}

impl<const N: usize> TryFrom<Saved> for Smoother<N> {
    type Error = String;
    fn try_from(s: Saved) -> Result<Self, String> {
        if s.seen > s.seeds || s.seeds > MAX_PERIOD {
            return Err(format!("{} inputs seen of a warm-up of {}", s.seen, s.seeds));
        }
        let lanes: [SavedLane; N] =
            s.lanes.try_into().map_err(|l: Vec<_>| format!("{} averages instead of {N}", l.len()))?;
        if let Some(bad) = lanes.iter().find(|l| !(l.weight.0 > 0.0 && l.weight.0 <= 1.0 && l.period.0 >= 1.0)) {
            return Err(format!("an average cannot have the weight {:?}", bad.weight.0));
        }
        let column = |part: fn(&SavedLane) -> f64| lanes.each_ref().map(part);
        let weight = column(|l| l.weight.0);
        Ok(Smoother {
            seeds: s.seeds,
            seen: s.seen,
            weight,
            twice: weight.map(|w| w * (2.0 - w)),
            period: column(|l| l.period.0),
            value: column(|l| l.value.0),
            before: column(|l| l.before.0),
            newest: column(|l| l.newest.0),
        })
    }
}
