//! How much of its worth a run has in the market, averaged over time.
//! Never: guesses: one position without a value leaves the whole unknown.

use crate::log::ExposureTally;
use ctos_types::{Decimal, UnixNanos};

/// Time-weighted exposure of all accounts that count in the run's main currency.
#[derive(Debug, Default)]
pub struct ExposureMeter {
    ratio: f64,
    since: Option<UnixNanos>,
    weighted: f64,
    seconds: f64,
    max: f64,
    /// Some position had no value in the account's currency.
    unknown: bool,
}

impl ExposureMeter {
    /// The last ratio held until `at`.
    pub fn advance(&mut self, at: UnixNanos) {
        if let Some(since) = self.since.replace(at) {
            let seconds = (at - since).as_secs_f64();
            self.weighted += self.ratio * seconds;
            self.seconds += seconds;
        }
    }

    pub fn sample(&mut self, at: UnixNanos, equity: Decimal, exposure: Option<Decimal>) {
        self.advance(at);
        match exposure {
            // Nothing left to measure by: time without worth does not count.
            Some(_) if !equity.is_positive() => self.since = None,
            Some(exposure) => self.ratio = exposure.to_f64() / equity.to_f64(),
            None => self.unknown = true,
        }
        self.max = self.max.max(self.ratio);
    }

    pub fn tally(&self) -> Option<ExposureTally> {
        let known = !self.unknown && self.seconds > 0.0;
        known.then(|| ExposureTally { mean: self.weighted / self.seconds, max: self.max })
    }

    /// When it was last looked at.
    pub fn since(&self) -> Option<UnixNanos> {
        self.since
    }
}
