//! Random draws that are the same bytes on every machine: integer generator, IEEE arithmetic, and `libm` for the rest.
//! Never: a seed of its own, a platform math function.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Degrees of freedom of the fat-tailed draw.
const STUDENT_DF: f64 = 5.0;

/// One independent stream of draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream called `label` under a seed. Streams of different labels are independent, so leaving a coin out
    /// changes nothing for the others.
    pub fn new(seed: u64, label: &str) -> Stream {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(label.as_bytes());
        Stream(Xoshiro256PlusPlus::from_seed(hash.finalize().into()))
    }

    /// Whether the state can be gone on with: the all-zero state only ever yields zeros.
    pub fn is_alive(&self) -> bool {
        let mut copy = self.0.clone();
        (0..4).any(|_| copy.next_u64() != 0)
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        unit(self.bits())
    }

    /// A point in the unit disc without its centre, as (x, squared radius).
    fn disc(&mut self) -> (f64, f64) {
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let w = x * x + y * y;
            if w < 1.0 && w > 0.0 {
                return (x, w);
            }
        }
    }

    /// Standard normal (polar method).
    pub fn normal(&mut self) -> f64 {
        let (x, w) = self.disc();
        x * (-2.0 * libm::log(w) / w).sqrt()
    }

    /// Student's t with 5 degrees of freedom, scaled to variance 1 (Bailey's polar method).
    pub fn student(&mut self) -> f64 {
        let (x, w) = self.disc();
        let radius = STUDENT_DF * (libm::pow(w, -2.0 / STUDENT_DF) - 1.0) / w;
        x * (radius * ((STUDENT_DF - 2.0) / STUDENT_DF)).sqrt()
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Quantiles computed once, so that a size costs one draw of eight bits and no transcendental function.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// Multipliers of a level's typical size: exponential above a floor, mean 1.
    level: [f64; 256],
    /// Multipliers of a trade's smallest typical size: Pareto, tail index 1.6, mean about 2.5, largest about 49.
    trade: [f64; 256],
}

impl Tables {
    pub fn new() -> Tables {
        let quantile = |i: usize| (i as f64 + 0.5) / 256.0;
        Tables {
            level: std::array::from_fn(|i| 0.25 - 0.75 * libm::log(1.0 - quantile(i))),
            trade: std::array::from_fn(|i| libm::pow(1.0 - quantile(i), -1.0 / 1.6)),
        }
    }

    /// Multiplier of a level's size, from eight random bits.
    pub fn level(&self, bits: u64) -> f64 {
        self.level[(bits & 0xff) as usize]
    }

    /// Multiplier of a trade's size, from eight random bits.
    pub fn trade(&self, bits: u64) -> f64 {
        self.trade[(bits & 0xff) as usize]
    }
}

/// Floats as their bits, so that saving and restoring through JSON is exact.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(x.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let x = f64::from_bits(u64::deserialize(d)?);
        x.is_finite().then_some(x).ok_or_else(|| serde::de::Error::custom("not a finite number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_they_claim() {
        let mut s = Stream::new(1, "moments");
        let n = 200_000;
        let variance = |draws: Vec<f64>| draws.iter().map(|x| x * x).sum::<f64>() / n as f64;
        let uniform: Vec<f64> = (0..n).map(|_| s.uniform()).collect();
        assert!((uniform.iter().sum::<f64>() / n as f64 - 0.5).abs() < 0.005);
        assert!((variance((0..n).map(|_| s.normal()).collect()) - 1.0).abs() < 0.02);
        assert!((variance((0..n).map(|_| s.student()).collect()) - 1.0).abs() < 0.05);
    }

    #[test]
    fn labels_are_different_streams_and_the_dead_state_is_seen() {
        assert_ne!(Stream::new(1, "a").bits(), Stream::new(1, "b").bits());
        assert_ne!(Stream::new(1, "a").bits(), Stream::new(2, "a").bits());
        assert!(Stream::new(0, "").is_alive());
        let dead: Stream = serde_json::from_str(r#"{"s":[0,0,0,0]}"#).unwrap();
        assert!(!dead.is_alive());
    }
}
