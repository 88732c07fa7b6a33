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

/// One of the averages of a [`Smoother`].
///
/// An average `a` moves to `a + w (x - a)`. Two such steps in one are `a + (w (1 - w) (x1 - a) + w (x2 - a))`: each
/// second step waits for one subtraction less than two single ones would, which is what bounds the speed. So the state
/// is that of every second step, and `pending` what the step between has brought. Equal inputs leave `a` as it is, to
/// the bit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lane {
    weight: f64,
    /// `weight (1 - weight)`.
    ahead: f64,
    /// What the seed's sum is divided by.
    period: f64,
    base: f64,
    pending: f64,
    value: f64,
}

/// `N` averages that take their inputs in at the same time. Each begins as the sum of the first `seeds` inputs, divided
/// by its period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub(crate) struct Smoother<const N: usize> {
    seeds: usize,
    /// Inputs so far, held at `seeds`.
    seen: usize,
    odd: bool,
    lanes: [Lane; N],
}

impl<const N: usize> Smoother<N> {
    pub fn new(weight: Weight, periods: [usize; N], seeds: usize) -> Result<Self, BadPeriod> {
        for period in periods {
            check_period(period)?;
        }
        let lane = |period: usize| {
            let period = period as f64;
            let weight = match weight {
                Weight::Exponential => 2.0 / (period + 1.0),
                Weight::Wilder => 1.0 / period,
            };
            Lane { weight, ahead: weight * (1.0 - weight), period, base: 0.0, pending: 0.0, value: 0.0 }
        };
        Ok(Smoother { seeds, seen: 0, odd: false, lanes: periods.map(lane) })
    }

    #[inline(always)]
    pub fn update(&mut self, x: [f64; N]) {
        if self.seen < self.seeds {
            self.seed(x);
        } else if self.odd {
            for (lane, x) in self.lanes.iter_mut().zip(x) {
                lane.base += lane.pending + lane.weight * (x - lane.base);
                lane.value = lane.base;
            }
            self.odd = false;
        } else {
            for (lane, x) in self.lanes.iter_mut().zip(x) {
                let distance = x - lane.base;
                lane.value = lane.base + lane.weight * distance;
                lane.pending = lane.ahead * distance;
            }
            self.odd = true;
        }
    }

    #[inline(always)]
    fn seed(&mut self, x: [f64; N]) {
        self.seen += 1;
        for (lane, x) in self.lanes.iter_mut().zip(x) {
            lane.base += x;
            if self.seen == self.seeds {
                lane.base /= lane.period;
                lane.value = lane.base;
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
        (self.seen == self.seeds).then(|| self.lanes.each_ref().map(|lane| lane.value))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    seeds: usize,
    seen: usize,
    odd: bool,
    lanes: Vec<SavedLane>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLane {
    weight: Exact,
    period: Exact,
    base: Exact,
    pending: Exact,
    value: Exact,
}

impl<const N: usize> From<Smoother<N>> for Saved {
    fn from(s: Smoother<N>) -> Saved {
        let lane = |l: &Lane| SavedLane {
            weight: Exact(l.weight),
            period: Exact(l.period),
            base: Exact(l.base),
            pending: Exact(l.pending),
            value: Exact(l.value),
        };
        Saved { seeds: s.seeds, seen: s.seen, odd: s.odd, lanes: s.lanes.iter().map(lane).collect() }
    }
}

impl<const N: usize> TryFrom<Saved> for Smoother<N> {
    type Error = String;
    fn try_from(s: Saved) -> Result<Self, String> {
        if s.seen > s.seeds || s.seeds > MAX_PERIOD {
            return Err(format!("{} inputs seen of a warm-up of {}", s.seen, s.seeds));
        }
        let lane = |l: SavedLane| {
            let ok = l.weight.0 > 0.0 && l.weight.0 <= 1.0 && l.period.0 >= 1.0;
            let lane = Lane {
                weight: l.weight.0,
                ahead: l.weight.0 * (1.0 - l.weight.0),
                period: l.period.0,
                base: l.base.0,
                pending: l.pending.0,
                value: l.value.0,
            };
            if ok { Ok(lane) } else { Err(format!("an average cannot have the weight {:?}", l.weight.0)) }
        };
        let lanes = s.lanes.into_iter().map(lane).collect::<Result<Vec<_>, _>>()?;
        let lanes = lanes.try_into().map_err(|l: Vec<_>| format!("{} averages instead of {N}", l.len()))?;
        Ok(Smoother { seeds: s.seeds, seen: s.seen, odd: s.odd, lanes })
    }
}
