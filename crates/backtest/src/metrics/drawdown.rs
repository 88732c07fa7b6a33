//! The deepest fall of an equity line, how long it took to make good, and the longest time below an earlier high.
//! Never: mistakes coarse buckets for the samples in them: depths are exact, times are those of buckets.

use crate::collect::equity::fall_ratio;
use crate::log::EquityPoint;
use ctos_types::{Decimal, Interval, UnixNanos};
use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Drawdown {
    /// The largest fall below the highest worth so far.
    pub amount: Decimal,
    /// The largest fall as a share of the highest worth so far, 0 to 1.
    pub ratio: f64,
    /// Of the fall that is largest by share: when the high was, the low after it, and when the high was reached again.
    /// `None`: there was no fall, or it was never made good.
    pub peak_at: Option<UnixNanos>,
    pub trough_at: Option<UnixNanos>,
    pub recovered_at: Option<UnixNanos>,
    /// Seconds from that high until it was reached again, or until the end.
    pub length_s: i64,
    /// The longest time below a high: from when it was until it was reached again, or until the end.
    pub longest_s: i64,
}

impl Drawdown {
    /// Of buckets of this length, in a run that ended at `end`.
    pub fn of(points: &[EquityPoint], end: UnixNanos, bucket: Interval) -> Drawdown {
        let Some(first) = points.first() else { return Drawdown::default() };
        let mut d = Drawdown::default();
        let (mut peak, mut peak_at) = (first.open, first.at);
        // The level that ends the deepest fall, once it is known.
        let mut level = peak;
        let mut below = false;
        for p in points {
            below |= p.low < peak;
            // The bucket's low may be before or after its own high: `fall` speaks for what is after.
            d.amount = d.amount.max(peak - p.low).max(p.fall);
            let (outer, inner) = (fall_ratio(peak, p.low), p.fall_ratio);
            if d.recovered_at.is_none() && d.trough_at.is_some() && p.high >= level {
                d.recovered_at = Some(p.at);
            }
            if outer.max(inner) > d.ratio {
                d.ratio = outer.max(inner);
                let inside = inner > outer;
                (d.peak_at, level) = if inside { (Some(p.at), p.high) } else { (Some(peak_at), peak) };
                (d.trough_at, d.recovered_at) = (Some(p.at), None);
                // A bucket that ends above the high it fell from made the fall good within itself.
                if p.close >= level {
                    d.recovered_at = Some(p.at.after(bucket.as_nanos()).min(end));
                }
            }
            if p.high >= peak {
                if below {
                    d.longest_s = d.longest_s.max(seconds(peak_at, p.at));
                }
                (peak, peak_at, below) = (p.high, p.at, p.close < p.high);
            }
        }
        if below {
            d.longest_s = d.longest_s.max(seconds(peak_at, end));
        }
        d.length_s = d.peak_at.map_or(0, |at| seconds(at, d.recovered_at.unwrap_or(end)));
        d
    }
}

fn seconds(from: UnixNanos, to: UnixNanos) -> i64 {
    ((to - from).0 / ctos_types::time::NANOS_PER_SEC).max(0)
}
