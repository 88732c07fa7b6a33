//! The exponential moving average, seeded as TA-Lib does.

use crate::window::{BadPeriod, check_period};
use crate::{exact, usable};
use serde::{Deserialize, Serialize};

/// Exponential average with weight `2 / (period + 1)` (TA-Lib `EMA`): the first value is the mean of the first `period`
/// inputs, each later one moves by the weight towards its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Ema {
    period: usize,
    /// Usable inputs so far, held at `period`.
    seen: usize,
    /// The sum of the inputs while warming up, the average afterwards.
    #[serde(with = "exact")]
    state: f64,
}

impl Ema {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Ema { period: check_period(period)?, seen: 0, state: 0.0 })
    }

    /// Takes `x` in and answers the average; `None` until warm.
    pub fn update(&mut self, x: f64) -> Option<f64> {
        if !usable(x) {
            return self.value();
        }
        if self.seen == self.period {
            let weight = 2.0 / (self.period as f64 + 1.0);
            self.state += weight * (x - self.state);
        } else {
            self.seen += 1;
            self.state += x;
            if self.seen == self.period {
                self.state /= self.period as f64;
            }
        }
        self.value()
    }

    /// The average as of the newest input; `None` until warm.
    pub fn value(&self) -> Option<f64> {
        (self.seen == self.period).then_some(self.state)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.period
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    period: usize,
    seen: usize,
    #[serde(with = "exact")]
    state: f64,
}

impl TryFrom<Saved> for Ema {
    type Error = String;
    fn try_from(s: Saved) -> Result<Ema, String> {
        check_period(s.period).map_err(|e| e.to_string())?;
        if s.seen > s.period {
            return Err(format!("{} inputs seen of a warm-up of {}", s.seen, s.period));
        }
        Ok(Ema { period: s.period, seen: s.seen, state: s.state })
    }
}
