//! How long to wait before the next try: doubling, with jitter, up to a cap, and forgiving after a good while.
//! Never: draws a random number (the caller passes one), so that every wait in a test is known.

use ctos_types::{Nanos, UnixNanos};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The longest wait after the first failure.
    pub first: Nanos,
    /// No wait is longer.
    pub cap: Nanos,
    /// What held this long was good: the next failure counts as the first.
    pub good_after: Nanos,
}

impl Default for BackoffConfig {
    fn default() -> BackoffConfig {
        BackoffConfig { first: Nanos::from_millis(500), cap: Nanos::from_secs(60), good_after: Nanos::from_secs(60) }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    failures: u32,
    up_since: Option<UnixNanos>,
}

impl Backoff {
    pub fn new(config: BackoffConfig) -> Backoff {
        Backoff { config, failures: 0, up_since: None }
    }

    /// What is tried works since now.
    pub fn up(&mut self, now: UnixNanos) {
        self.up_since.get_or_insert(now);
    }

    /// It failed: how long to wait. Between half of this failure's span and all of it, by `random`, so that clients
    /// that failed together do not come back together.
    pub fn down(&mut self, now: UnixNanos, random: u64) -> Nanos {
        if self.up_since.take().is_some_and(|since| now >= since.after(self.config.good_after)) {
            self.failures = 0;
        }
        let doubled = self.config.first.0.saturating_mul(1i64 << self.failures.min(40));
        let span = doubled.clamp(1, self.config.cap.0.max(1));
        self.failures = self.failures.saturating_add(1);
        let half = span / 2;
        Nanos(span - half + (random % (half as u64 + 1)) as i64)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    pub fn reset(&mut self) {
        self.failures = 0;
        self.up_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_life_does_not_forgive() {
        let mut backoff = Backoff::new(BackoffConfig::default());
        let at = |s| UnixNanos::from_secs(s);
        let all = u64::MAX - 1;
        assert!(backoff.down(at(0), all) <= Nanos::from_millis(500));
        backoff.up(at(1));
        assert!(backoff.down(at(30), all) > Nanos::from_millis(500));
        backoff.up(at(31));
        backoff.down(at(91), all);
        assert_eq!(backoff.failures(), 1);
    }

    proptest! {
        #[test]
        fn waits_grow_within_bounds(randoms in prop::collection::vec(any::<u64>(), 1..80)) {
            let config = BackoffConfig::default();
            let mut backoff = Backoff::new(config);
            for (i, random) in randoms.into_iter().enumerate() {
                let span = config.first.0.saturating_mul(1 << i.min(30)).min(config.cap.0);
                let wait = backoff.down(UnixNanos(0), random).0;
                prop_assert!(wait >= span / 2 && wait <= span, "{wait} of {span}");
            }
        }
    }
}
