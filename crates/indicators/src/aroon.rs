//! How long ago the extremes of late were.

use crate::aggregates::SinceLeast;
use crate::bar::HighLow;
use crate::indicator::{Reading, indicator};
use crate::window::{BadPeriod, Window};
use serde::{Deserialize, Serialize};

/// One reading of [`Aroon`]: 100 for an extreme at the newest bar, 0 for one `period` bars ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AroonLines {
    pub down: f64,
    pub up: f64,
    /// `up` less `down` (TA-Lib `AROONOSC`).
    pub oscillator: f64,
}

impl Reading<3> for AroonLines {
    const NAMES: [&'static str; 3] = ["down", "up", "oscillator"];
    #[inline(always)]
    fn row(self) -> [f64; 3] {
        [self.down, self.up, self.oscillator]
    }
}

/// Aroon (TA-Lib `AROON`) over the newest bar and the `period` bars before it; of equal extremes the newest counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aroon {
    lows: Window<SinceLeast>,
    /// The highs with their signs turned.
    highs: Window<SinceLeast>,
}

impl Aroon {
    /// `period` is between 1 and one less than [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        crate::window::check_period(period)?;
        Ok(Aroon { lows: Window::new(period + 1)?, highs: Window::new(period + 1)? })
    }

    /// Takes a bar in and answers the lines; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: HighLow) -> Option<AroonLines> {
        if bar.is_usable() {
            self.lows.push(bar.low);
            self.highs.push(-bar.high);
        }
        self.value()
    }

    /// The lines as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<AroonLines> {
        let period = (self.lows.period() - 1) as f64;
        let step = 100.0 / period;
        let line = |age: f64| 100.0 - step * age;
        let (down, up) = (line(self.lows.view()?.sums.age), line(self.highs.view()?.sums.age));
        Some(AroonLines { down, up, oscillator: up - down })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.lows.period()
    }
}

indicator!(Aroon, HighLow => AroonLines);
