//! Returns of a run as a page draws them: by month, by size, over a rolling window.
//! Never: computes a return; `crate::metrics` does.

use super::pack::{Column, Times};
use crate::log::RunLog;
use crate::metrics::Metrics;
use crate::metrics::returns::Period;
use serde::Serialize;

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Month {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    pub value: Option<f64>,
}

/// Months compounded.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Year {
    pub year: i64,
    pub value: Option<f64>,
}

/// How often returns or results of each size came: bars of equal width from `lo`, one edge at zero.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// What one value covers: `day`, `hour`, `minute`, `trade`.
    pub period: &'static str,
    pub lo: f64,
    pub width: f64,
    pub counts: Vec<u64>,
    pub n: u64,
    pub mean: Option<f64>,
    /// Losses, positive.
    pub var95: Option<f64>,
    pub cvar95: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Rolling {
    /// What one value covers, in words.
    pub window: String,
    pub t: Times,
    pub v: Column,
}

pub fn name(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::Hour => "hour",
        Period::Minute => "minute",
    }
}

pub fn months(m: &Metrics) -> (Vec<Month>, Vec<Year>) {
    let months: Vec<Month> = m.months.iter().map(|m| Month { year: m.year, month: m.month, value: m.change }).collect();
    let mut years: Vec<Year> = Vec::new();
    for month in &months {
        match years.last_mut().filter(|y| y.year == month.year) {
            Some(year) => year.value = year.value.zip(month.value).map(|(a, b)| (1.0 + a) * (1.0 + b) - 1.0),
            None => years.push(Year { year: month.year, value: month.value }),
        }
    }
    (months, years)
}

pub fn rolling(m: &Metrics) -> Option<Rolling> {
    let line = &m.series.rolling_sharpe;
    if !line.iter().any(|(_, v)| v.is_some()) {
        return None;
    }
    let period = m.performance.period;
    Some(Rolling {
        window: format!("last {} {}s, annualised", period.window(), name(period)),
        t: Times::of(line.iter().map(|(at, _)| *at)),
        v: Column::of(line.iter().map(|(_, v)| v.unwrap_or(f64::NAN))),
    })
}

pub fn spread(m: &Metrics) -> Option<Spread> {
    let values: Vec<f64> = m.series.returns.iter().map(|(_, r)| *r).filter(|r| r.is_finite()).collect();
    let (lo, width, counts) = bins(&values)?;
    let p = &m.performance;
    let n = values.len() as u64;
    Some(Spread {
        period: name(p.period),
        lo,
        width,
        counts,
        n,
        mean: p.mean_return,
        var95: p.var_95,
        cvar95: p.cvar_95,
    })
}

/// Net results of the closed trades that settle in the run's own currency.
pub fn results(log: &RunLog) -> Option<Spread> {
    let currency = log.currency()?;
    let mine = log.trades.iter().filter(|t| log.facts.instruments.get(t.instrument).settle() == currency);
    let values: Vec<f64> = mine.map(|t| t.net.to_f64()).collect();
    let (lo, width, counts) = bins(&values)?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let n = values.len() as u64;
    Some(Spread { period: "trade", lo, width, counts, n, mean: Some(mean), var95: None, cvar95: None })
}

/// Bars of a round width with an edge at zero, so that no bar mixes gains and losses. `None` below two values.
fn bins(values: &[f64]) -> Option<(f64, f64, Vec<u64>)> {
    let low = values.iter().copied().reduce(f64::min)?.min(0.0);
    let high = values.iter().copied().reduce(f64::max)?.max(0.0);
    if values.len() < 2 || high <= low {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = |q: usize| sorted[(sorted.len() - 1) * q / 4];
    let n = values.len() as f64;
    let span = high - low;
    // By the middle half, so that a few large values do not put all others into one bar.
    let fine = 2.0 * (quartile(3) - quartile(1)) / libm::cbrt(n);
    let coarse = span / libm::sqrt(n).ceil().clamp(6.0, 56.0);
    let raw = fine.clamp(span / 90.0, coarse.max(span / 90.0));
    let power = libm::pow(10.0, libm::log10(raw).floor());
    let width = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|w| *w >= raw).unwrap_or(raw);
    let first = (low / width).floor();
    let count = ((high / width).floor() - first) as usize + 1;
    let mut counts = vec![0; count];
    for v in values {
        counts[(((v / width).floor() - first) as usize).min(count - 1)] += 1;
    }
    Some((first * width, width, counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_return_is_in_one_bar(values in prop::collection::vec(-0.5..0.9f64, 2..400)) {
            let (lo, width, counts) = bins(&values).unwrap();
            prop_assert_eq!(counts.iter().sum::<u64>(), values.len() as u64);
            let high = lo + width * counts.len() as f64;
            prop_assert!(values.iter().all(|v| *v >= lo - 1e-9 && *v <= high + 1e-9), "{lo} to {high}");
            prop_assert!(counts.len() <= 95 && (lo / width - (lo / width).round()).abs() < 1e-6);
        }
    }

    #[test]
    fn nothing_to_spread() {
        assert_eq!((bins(&[]), bins(&[0.1]), bins(&[0.0, 0.0])), (None, None, None));
        assert_eq!(bins(&[0.1, 0.1]).unwrap().2.iter().sum::<u64>(), 2);
    }
}
