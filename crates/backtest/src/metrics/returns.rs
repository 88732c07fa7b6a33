//! Returns of an equity line at the ends of equal periods, and by calendar month, in UTC.
//! Never: skips a period in which nothing happened: its return is zero.

use crate::log::EquityPoint;
use ctos_types::time::civil_from_days;
use ctos_types::{Interval, Nanos, UnixNanos};
use serde::Serialize;

/// How often worth is looked at for returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Day,
    Hour,
    Minute,
}

impl Period {
    /// Days for runs of ten days and more, hours for ten hours and more, else minutes: at least about ten returns.
    /// Never finer than the buckets are.
    pub fn fitting(span: Nanos, bucket: Interval) -> Period {
        let secs = span.0 / ctos_types::time::NANOS_PER_SEC;
        let by_span = match secs {
            s if s >= 10 * 86_400 => Period::Day,
            s if s >= 10 * 3_600 => Period::Hour,
            _ => Period::Minute,
        };
        match bucket.secs() {
            0..=60 => by_span,
            61..=3_600 if by_span == Period::Minute => Period::Hour,
            61..=3_600 => by_span,
            _ => Period::Day,
        }
    }

    pub const fn nanos(self) -> Nanos {
        Nanos::from_secs(match self {
            Period::Day => 86_400,
            Period::Hour => 3_600,
            Period::Minute => 60,
        })
    }

    /// Crypto markets never close: a year has 365 days of 24 hours.
    pub const fn per_year(self) -> u32 {
        match self {
            Period::Day => 365,
            Period::Hour => 365 * 24,
            Period::Minute => 365 * 24 * 60,
        }
    }

    /// Periods in the window of rolling figures.
    pub const fn window(self) -> usize {
        match self {
            Period::Day => 30,
            Period::Hour => 24,
            Period::Minute => 60,
        }
    }
}

/// Worth at the end of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Close {
    /// The period's end, or the run's where that is earlier.
    pub at: UnixNanos,
    pub equity: f64,
}

/// Worth at the end of every period from the first sample to `end`, the last known one where a period has none.
pub fn closes(points: &[EquityPoint], end: UnixNanos, period: Period) -> Vec<Close> {
    let (Some(first), span) = (points.first(), period.nanos()) else { return Vec::new() };
    // What is sampled at the very end of the last period closes it; it does not open another.
    let last = UnixNanos((end.0 - 1).max(first.at.0)).floor(span);
    let (mut at, mut next, mut equity, mut out) = (first.at.floor(span), 0, first.open, Vec::new());
    loop {
        let stop = if at >= last { UnixNanos::MAX } else { at.after(span) };
        while let Some(point) = points.get(next).filter(|p| p.at < stop) {
            equity = point.close;
            next += 1;
        }
        out.push(Close { at: at.after(span).min(end.max(first.at)), equity: equity.to_f64() });
        if at >= last {
            return out;
        }
        at = at.after(span);
    }
}

/// Relative changes from `start` on. They end with the period in which nothing was left: what a return on nothing is,
/// nobody knows.
pub fn changes(start: f64, closes: &[Close]) -> Vec<(UnixNanos, f64)> {
    let (mut before, mut out) = (start, Vec::with_capacity(closes.len()));
    for close in closes {
        if before <= 0.0 {
            break;
        }
        out.push((close.at, close.equity / before - 1.0));
        before = close.equity;
    }
    out
}

/// The return of one calendar month, or of the part of it that the run covers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Month {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// `None` once nothing was left.
    #[serde(rename = "return")]
    pub change: Option<f64>,
}

pub fn months(points: &[EquityPoint], end: UnixNanos) -> Vec<Month> {
    let Some(first) = points.first() else { return Vec::new() };
    let month_of = |at: UnixNanos| {
        let (year, month, _) = civil_from_days(at.day());
        (year, month)
    };
    let last = month_of(UnixNanos((end.0 - 1).max(first.at.0)));
    let (mut before, mut equity, mut next, mut out) = (first.open.to_f64(), first.open.to_f64(), 0, Vec::new());
    let (mut year, mut month) = month_of(first.at);
    loop {
        let is_last = (year, month) >= last;
        while let Some(point) = points.get(next).filter(|p| is_last || month_of(p.at) <= (year, month)) {
            equity = point.close.to_f64();
            next += 1;
        }
        let change = (before > 0.0).then(|| equity / before - 1.0);
        out.push(Month { year, month, change });
        if is_last {
            return out;
        }
        before = equity;
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
}
