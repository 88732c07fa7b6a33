//! How long messages take: seeded samplers for the feed, order entry and the way back.
//! Never: a clock or a shared random source. One sampler is one stream; same seed, same delays on every machine.

use ctos_types::Nanos;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// A distribution of delays. Delays are never negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LatencyModel {
    /// Always the same.
    Constant(Nanos),
    /// Every whole nanosecond from `min` to `max`, both included, alike.
    Uniform { min: Nanos, max: Nanos },
    /// `median * exp(sigma * z)` with a standard normal `z`, cut off at `max`.
    LogNormal { median: Nanos, sigma: f64, max: Nanos },
}

impl Default for LatencyModel {
    fn default() -> Self {
        LatencyModel::Constant(Nanos::ZERO)
    }
}

/// The three ways a message takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyConfig {
    /// Venue to us, market data.
    pub feed: LatencyModel,
    /// Us to the venue, orders.
    pub entry: LatencyModel,
    /// Venue to us, reports.
    pub response: LatencyModel,
}

/// What is wrong with a latency model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    #[error("a latency must not be negative")]
    Negative,
    #[error("the largest latency must not be below the smallest")]
    Order,
    #[error("sigma must be a number between 0 and 10")]
    Sigma,
}

impl LatencyModel {
    pub fn validate(&self) -> Result<(), LatencyError> {
        let (low, high) = match *self {
            LatencyModel::Constant(d) => (d, d),
            LatencyModel::Uniform { min, max } => (min, max),
            LatencyModel::LogNormal { median, sigma, max } => {
                if !(0.0..=10.0).contains(&sigma) {
                    return Err(LatencyError::Sigma);
                }
                (median, max)
            }
        };
        match () {
            _ if low < Nanos::ZERO => Err(LatencyError::Negative),
            _ if high < low => Err(LatencyError::Order),
            _ => Ok(()),
        }
    }
}

impl LatencyConfig {
    pub fn validate(&self) -> Result<(), LatencyError> {
        self.feed.validate()?;
        self.entry.validate()?;
        self.response.validate()
    }
}

/// A seeded stream of delays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    model: LatencyModel,
    rng: Xoshiro256PlusPlus,
}

impl Latency {
    /// Streams of one run differ by `seed`: derive one for each way.
    pub fn new(model: LatencyModel, seed: u64) -> Result<Latency, LatencyError> {
        model.validate()?;
        Ok(Latency { model, rng: Xoshiro256PlusPlus::seed_from_u64(seed) })
    }

    /// The next delay.
    #[inline]
    pub fn sample(&mut self) -> Nanos {
        match self.model {
            LatencyModel::Constant(delay) => delay,
            _ => self.draw(),
        }
    }

    fn draw(&mut self) -> Nanos {
        match self.model {
            LatencyModel::Constant(delay) => delay,
            LatencyModel::Uniform { min, max } => {
                let span = (max.0 - min.0) as u64;
                // Multiply-shift: the bias is below 2^-64 times the span, and it never loops.
                let offset = (u128::from(self.rng.next_u64()) * (u128::from(span) + 1)) >> 64;
                Nanos(min.0 + offset as i64)
            }
            LatencyModel::LogNormal { median, sigma, max } => {
                let delay = median.0 as f64 * libm::exp(sigma * self.normal());
                // `as` holds a float beyond the range at its end.
                Nanos((delay as i64).clamp(0, max.0))
            }
        }
    }

    /// Box–Muller, one of the pair: the stream's position stays two draws a sample.
    fn normal(&mut self) -> f64 {
        let unit = |n: u64| ((n >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let (a, b) = (unit(self.rng.next_u64()), unit(self.rng.next_u64()));
        libm::sqrt(-2.0 * libm::log(a)) * libm::cos(2.0 * std::f64::consts::PI * b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(model: LatencyModel, n: usize) -> Vec<i64> {
        let mut latency = Latency::new(model, 7).unwrap();
        (0..n).map(|_| latency.sample().0).collect()
    }

    #[test]
    fn constant_and_uniform_stay_in_bounds_and_reach_them() {
        assert_eq!(samples(LatencyModel::Constant(Nanos(5)), 3), [5, 5, 5]);
        let drawn = samples(LatencyModel::Uniform { min: Nanos(10), max: Nanos(13) }, 1000);
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&10), Some(&13)));
    }

    #[test]
    fn log_normal_has_its_median_and_cut() {
        let model = LatencyModel::LogNormal { median: Nanos(1_000_000), sigma: 0.5, max: Nanos(3_000_000) };
        let mut drawn = samples(model, 20_001);
        drawn.sort_unstable();
        assert!((980_000..1_020_000).contains(&drawn[10_000]), "median {}", drawn[10_000]);
        // P(z > ln(3)/0.5) is 1.4 %: the cut is reached, and nothing lies above it.
        assert_eq!(drawn.last(), Some(&3_000_000));
        let share = drawn.iter().filter(|d| **d < 606_531).count() as f64 / 20_001.0;
        assert!((0.148..0.170).contains(&share), "share below -1 sigma {share}");
    }

    #[test]
    fn a_restored_stream_goes_on() {
        let model = LatencyModel::LogNormal { median: Nanos(1000), sigma: 1.0, max: Nanos(1_000_000) };
        let mut a = Latency::new(model, 3).unwrap();
        a.sample();
        let mut b: Latency = serde_json::from_str(&serde_json::to_string(&a).unwrap()).unwrap();
        assert_eq!((0..50).map(|_| a.sample()).collect::<Vec<_>>(), (0..50).map(|_| b.sample()).collect::<Vec<_>>());
    }

    #[test]
    fn impossible_models_are_refused() {
        assert_eq!(Latency::new(LatencyModel::Constant(Nanos(-1)), 0).err(), Some(LatencyError::Negative));
        let swapped = LatencyModel::Uniform { min: Nanos(2), max: Nanos(1) };
        assert_eq!(swapped.validate(), Err(LatencyError::Order));
        let nan = LatencyModel::LogNormal { median: Nanos(1), sigma: f64::NAN, max: Nanos(1) };
        assert_eq!(nan.validate(), Err(LatencyError::Sigma));
    }
}
