//! What volume says about prices.

use crate::aggregates::{Totals, Traded};
use crate::bar::{Hlcv, Priced};
use crate::exact;
use crate::indicator::indicator;
use crate::window::{BadPeriod, Window};
use serde::{Deserialize, Serialize};

/// On-balance volume (TA-Lib `OBV`): begins with the first volume, adds that of a rising and takes away that of a
/// falling price.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obv {
    #[serde(with = "exact::option")]
    before: Option<f64>,
    #[serde(with = "exact")]
    sum: f64,
}

impl Obv {
    pub fn new() -> Self {
        Obv::default()
    }

    /// Takes a close and its volume in and answers the sum; `None` only before the first usable input.
    #[inline(always)]
    pub fn update(&mut self, x: Priced) -> Option<f64> {
        if x.is_usable() {
            let before = self.before.unwrap_or(f64::NEG_INFINITY);
            // Two selections instead of a branch that would be guessed wrong every other time.
            let up = if x.price > before { x.volume } else { 0.0 };
            let down = if x.price < before { x.volume } else { 0.0 };
            self.sum += up - down;
            self.before = Some(x.price);
        }
        self.value()
    }

    /// The sum as of the newest input; `None` only before the first.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.before.map(|_| self.sum)
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        1
    }
}

/// Prices whose sums are equal in decimals have typical prices that differ by a few roundings. No real change is that
/// small: a tick is a thousand times more and beyond.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// The money flow index, 0 to 100 (TA-Lib `MFI`): the share of rising typical prices in what was traded over the newest
/// `period` bars. 0 where nothing was traded. Unlike TA-Lib, which takes flows below 1.0 for none, it does not depend on
/// the unit of volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mfi {
    #[serde(with = "exact::option")]
    before: Option<f64>,
    /// Flow into rising and into falling prices.
    flows: Window<Totals>,
}

impl Mfi {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(Mfi { before: None, flows: Window::new(period)? })
    }

    /// Takes a bar in and answers the index; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: Hlcv) -> Option<f64> {
        if bar.is_usable() {
            let typical = bar.hlc().typical();
            if let Some(before) = self.before {
                let flow = typical * bar.volume;
                let change = typical - before;
                let up = if change > ROUNDING * typical.abs() { flow } else { 0.0 };
                let down = if -change > ROUNDING * typical.abs() { flow } else { 0.0 };
                self.flows.push([up, down]);
            }
            self.before = Some(typical);
        }
        self.value()
    }

    /// The index as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        let [up, down] = self.flows.view()?.sums;
        let both = up + down;
        Some(if both > 0.0 { 100.0 * (up / both) } else { 0.0 })
    }

    /// Usable bars until the first value.
    pub fn warmup(&self) -> usize {
        self.flows.period() + 1
    }
}

/// The volume-weighted average price since the first input or [`reset`](Vwap::reset), which the caller does at the
/// start of a session. Bars go in with their typical price ([`Hlc::typical`](crate::Hlc::typical)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vwap {
    #[serde(with = "exact")]
    value: f64,
    #[serde(with = "exact")]
    volume: f64,
}

impl Vwap {
    pub fn new() -> Self {
        Vwap::default()
    }

    /// Forgets everything: the next input begins a new average.
    pub fn reset(&mut self) {
        *self = Vwap::default();
    }

    /// Takes a price and its volume in and answers the average; `None` until something was traded.
    #[inline(always)]
    pub fn update(&mut self, x: Priced) -> Option<f64> {
        let volume = self.volume + x.volume;
        if x.is_usable() && x.volume > 0.0 && volume.is_finite() {
            // The average moves by the input's share, so prices far from zero lose no digits in a sum of products.
            self.value += (x.price - self.value) * (x.volume / volume);
            self.volume = volume;
        }
        self.value()
    }

    /// The average as of the newest input; `None` until something was traded.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        (self.volume > 0.0).then_some(self.value)
    }

    /// Inputs with volume until the first value.
    pub fn warmup(&self) -> usize {
        1
    }
}

/// The volume-weighted average price of the newest `period` inputs. While nothing was traded in all of them, the
/// average before that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollingVwap {
    traded: Window<Traded>,
    #[serde(with = "exact::option")]
    value: Option<f64>,
}

impl RollingVwap {
    /// `period` is between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD).
    pub fn new(period: usize) -> Result<Self, BadPeriod> {
        Ok(RollingVwap { traded: Window::new(period)?, value: None })
    }

    /// Takes a price and its volume in and answers the average; `None` until warm and something was traded.
    #[inline(always)]
    pub fn update(&mut self, x: Priced) -> Option<f64> {
        if x.is_usable() {
            self.traded.push([x.price, x.volume]);
            if let Some(v) = self.traded.view()
                && v.sums.volume > 0.0
            {
                self.value = Some(v.origin[0] + v.sums.money / v.sums.volume);
            }
        }
        self.value()
    }

    /// The average as of the newest input; `None` until warm and something was traded.
    #[inline(always)]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// Usable inputs until the first value.
    pub fn warmup(&self) -> usize {
        self.traded.period()
    }
}

indicator!(Obv, Priced => f64);
indicator!(Mfi, Hlcv => f64);
indicator!(Vwap, Priced => f64);
indicator!(RollingVwap, Priced => f64);
