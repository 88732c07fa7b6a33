//! The Ichimoku cloud.

use crate::aggregates::Nothing;
use crate::bar::HighLow;
use crate::extremes::Donchian;
use crate::indicator::{Reading, indicator};
use crate::window::{BadPeriod, Window};
use serde::{Deserialize, Serialize};

/// One reading of [`Ichimoku`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cloud {
    /// Tenkan-sen: the middle of the short channel.
    pub conversion: f64,
    /// Kijun-sen: the middle of the medium channel.
    pub base: f64,
    /// Senkou span A computed at this bar: charts draw it `displacement` bars later.
    pub lead_a: f64,
    /// Senkou span B computed at this bar: charts draw it `displacement` bars later.
    pub lead_b: f64,
    /// The spans that charts draw at this bar: those computed `displacement` bars ago. `None` before there were any.
    pub spans: Option<(f64, f64)>,
}

impl Reading<6> for Cloud {
    const NAMES: [&'static str; 6] = ["conversion", "base", "lead_a", "lead_b", "span_a", "span_b"];
    #[inline(always)]
    fn row(self) -> [f64; 6] {
        let (a, b) = self.spans.unwrap_or((f64::NAN, f64::NAN));
        [self.conversion, self.base, self.lead_a, self.lead_b, a, b]
    }
}

/// Ichimoku: the middles of the channels of `short`, `medium` and `long` bars, usually 9, 26 and 52; span A is the mean
/// of the first two, span B the third, both shown `displacement` bars later, usually 26. The lagging span (chikou) is
/// the close itself, drawn that many bars earlier, and therefore not computed here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ichimoku {
    short: Donchian,
    medium: Donchian,
    long: Donchian,
    /// The spans of the newest bars, this one included.
    leads: Window<Nothing<[f64; 2]>>,
}

impl Ichimoku {
    /// All four are between 1 and [`MAX_PERIOD`](crate::MAX_PERIOD), the displacement below it.
    pub fn new(short: usize, medium: usize, long: usize, displacement: usize) -> Result<Self, BadPeriod> {
        crate::window::check_period(displacement)?;
        Ok(Ichimoku {
            short: Donchian::new(short)?,
            medium: Donchian::new(medium)?,
            long: Donchian::new(long)?,
            leads: Window::new(displacement + 1)?,
        })
    }

    /// Takes a bar in and answers the lines; `None` until warm.
    #[inline(always)]
    pub fn update(&mut self, bar: HighLow) -> Option<Cloud> {
        if bar.is_usable() {
            self.short.update(bar);
            self.medium.update(bar);
            self.long.update(bar);
            if let Some((_, _, a, b)) = self.lines() {
                self.leads.push([a, b]);
            }
        }
        self.value()
    }

    /// The lines as of the newest bar; `None` until warm.
    #[inline(always)]
    pub fn value(&self) -> Option<Cloud> {
        let (conversion, base, lead_a, lead_b) = self.lines()?;
        Some(Cloud { conversion, base, lead_a, lead_b, spans: self.leads.oldest().map(|[a, b]| (a, b)) })
    }

    /// Usable bars until the first value; the spans of the cloud take `displacement` more.
    pub fn warmup(&self) -> usize {
        self.short.warmup().max(self.medium.warmup()).max(self.long.warmup())
    }

    #[inline(always)]
    fn lines(&self) -> Option<(f64, f64, f64, f64)> {
        let (conversion, base) = (self.short.value()?.middle, self.medium.value()?.middle);
        Some((conversion, base, 0.5 * (conversion + base), self.long.value()?.middle))
    }
}

indicator!(Ichimoku, HighLow => Cloud);
