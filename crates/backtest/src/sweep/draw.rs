//! Random draws that are the same on every machine: integer generator, IEEE arithmetic, no platform function.
//! Never: a seed of its own.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use sha2::{Digest, Sha256};

/// One stream of draws.
#[derive(Clone, Debug)]
pub struct Draw(Xoshiro256PlusPlus);

impl Draw {
    /// The stream called `label` under a seed; streams of different labels are independent.
    pub fn new(seed: u64, label: &str) -> Draw {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(label.as_bytes());
        Draw(Xoshiro256PlusPlus::from_seed(hash.finalize().into()))
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..n`; `n` above 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Without the bias of a remainder: the high half of a wide product.
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// An index, each as often as its weight says; `None` when all weights are zero.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let total: f64 = weights.iter().sum();
        let mut rest = self.unit() * total;
        let last = weights.iter().rposition(|w| *w > 0.0)?;
        for (i, weight) in weights.iter().enumerate() {
            if rest < *weight {
                return Some(i);
            }
            rest -= weight;
        }
        // Only rounding leads here.
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_and_repeat() {
        let (mut a, mut b) = (Draw::new(7, "x"), Draw::new(7, "x"));
        let mut seen = [0; 5];
        for _ in 0..5_000 {
            let n = a.below(5);
            assert_eq!(n, b.below(5));
            seen[n as usize] += 1;
        }
        assert!(seen.iter().all(|n| (900..1_100).contains(n)), "{seen:?}");
        assert_ne!(Draw::new(7, "x").below(u64::MAX), Draw::new(7, "y").below(u64::MAX));
        let picks: Vec<_> = (0..1_000).map(|_| a.weighted(&[0.0, 3.0, 1.0, 0.0]).unwrap()).collect();
        assert!(picks.iter().all(|p| *p == 1 || *p == 2));
        assert!((650..850).contains(&picks.iter().filter(|p| **p == 1).count()));
        assert_eq!(a.weighted(&[0.0, 0.0]), None);
    }
}
