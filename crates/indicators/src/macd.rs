//! The distance of two exponential averages.

use crate::indicator::{indicator, reading};
use crate::smooth::{Smoother, Weight};
use crate::usable;
use crate::window::BadPeriod;
use serde::{Deserialize, Serialize};

/// One reading of [`Macd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdLines {
    /// Fast average less slow average.
    pub macd: f64,
    /// Exponential average of `macd`.
    pub signal: f64,
    /// `macd` less `signal`.
    pub histogram: f64,
}

reading!(MacdLines { macd, signal, histogram });

/// Moving average convergence and divergence (TA-Lib `MACD`), usually of 12, 26 and 9. The fast average is seeded with
/// the newest of the slow one's first inputs, so that both begin together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Macd {
    /// Inputs the fast average still has to let pass.
    skip: usize,
    /// Fast and slow.
    averages: Smoother<2>,
    signal: Smoother<1>,
}

impl Macd {
    /// Periods are between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD). The shorter of `fast` and `slow` is taken for the
    /// fast one, as TA-Lib does.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Result<Self, BadPeriod> {
        let (fast, slow) = (fast.min(slow), fast.max(slow));
        let averages = Smoother::new(Weight::Exponential, [fast, slow], slow)?;
        Ok(Macd { skip: slow - fast, averages, signal: Smoother::new(Weight::Exponential, [signal], signal)? })
    }

    /// Takes `x` in and answers the lines; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, x: f64) -> Option<MacdLines> {
        if usable(x) {
            let skipped = self.skip > 0;
            self.skip -= usize::from(skipped);
            self.averages.update([if skipped { 0.0 } else { x }, x]);
            if let Some([fast, slow]) = self.averages.values() {
                self.signal.update([fast - slow]);
            }
        }
        self.value()
    }

    /// The lines as of the newest input; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<MacdLines> {
        let [signal] = self.signal.values()?;
        let [fast, slow] = self.averages.values()?;
        let macd = fast - slow;
        Some(MacdLines { macd, signal, histogram: macd - signal })
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.averages.seeds() + self.signal.seeds() - 1
    }
}

indicator!(Macd, f64 => MacdLines);
