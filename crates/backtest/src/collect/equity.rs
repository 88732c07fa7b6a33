//! An account's worth in a bounded number of buckets that grow coarser as the run grows longer.
//! Never: loses a high, a low or a fall: merging two buckets keeps them exactly.

use crate::log::{AccountFacts, EquityLine, EquityPoint};
use ctos_types::{AccountId, Currency, Decimal, Interval, UnixNanos};

/// Bucket lengths in seconds. Each divides the next and, up to a day, the day: so hours and UTC days always begin with
/// a bucket, and returns sampled at their ends are exact. Beyond a day the length doubles.
const LADDER: [u32; 13] = [1, 5, 15, 30, 60, 120, 240, 720, 3_600, 7_200, 14_400, 43_200, 86_400];

/// The next coarser bucket; `None` at the end of what an interval can hold (68 years).
pub(super) fn coarser(bucket: Interval) -> Option<Interval> {
    let next = LADDER.into_iter().find(|secs| *secs > bucket.secs());
    next.or_else(|| bucket.secs().checked_mul(2)).and_then(Interval::from_secs)
}

/// How far `low` lies under an earlier `high`, as a share of it: 0 to 1. Debts count as a loss of everything.
///
/// One minus a quotient, because that is monotonic in both arguments even after rounding: the largest fall is then the
/// same number whether it is searched among samples or among buckets.
pub fn fall_ratio(high: Decimal, low: Decimal) -> f64 {
    if !high.is_positive() {
        return 0.0;
    }
    (1.0 - low.max(Decimal::ZERO).to_f64() / high.to_f64()).max(0.0)
}

/// A bucket of one sample.
pub fn sample(at: UnixNanos, equity: Decimal, exposure: Option<Decimal>) -> EquityPoint {
    let (open, high, low, close) = (equity, equity, equity, equity);
    EquityPoint { at, open, high, low, close, fall: Decimal::ZERO, fall_ratio: 0.0, exposure }
}

/// Takes a later bucket into an earlier one.
pub fn merge(into: &mut EquityPoint, later: &EquityPoint) {
    into.fall = into.fall.max(later.fall).max(into.high - later.low);
    into.fall_ratio = into.fall_ratio.max(later.fall_ratio).max(fall_ratio(into.high, later.low));
    into.high = into.high.max(later.high);
    into.low = into.low.min(later.low);
    (into.close, into.exposure) = (later.close, later.exposure);
}

/// At most `most` buckets, as fine as fits.
#[derive(Debug)]
pub struct Buckets {
    bucket: Interval,
    points: Vec<EquityPoint>,
    most: usize,
}

impl Buckets {
    /// `most` is at least two.
    pub fn new(most: usize) -> Buckets {
        let bucket = Interval::from_secs(LADDER[0]).expect("a second is an interval");
        Buckets { bucket, points: Vec::new(), most: most.max(2) }
    }

    /// Forgets every sample.
    pub fn clear(&mut self) {
        *self = Buckets::new(self.most);
    }

    /// Takes a sample in. Time never goes back.
    pub fn push(&mut self, at: UnixNanos, equity: Decimal, exposure: Option<Decimal>) {
        let point = sample(at.floor(self.bucket.as_nanos()), equity, exposure);
        match self.points.last_mut().filter(|last| last.at == point.at) {
            Some(last) => merge(last, &point),
            None => self.points.push(point),
        }
        while self.points.len() > self.most {
            let Some(bucket) = coarser(self.bucket) else { return };
            self.coarsen(bucket);
        }
    }

    fn coarsen(&mut self, bucket: Interval) {
        self.bucket = bucket;
        let mut kept = 0;
        for next in 0..self.points.len() {
            let point = EquityPoint { at: self.points[next].at.floor(bucket.as_nanos()), ..self.points[next] };
            if kept > 0 && self.points[kept - 1].at == point.at {
                merge(&mut self.points[kept - 1], &point);
            } else {
                self.points[kept] = point;
                kept += 1;
            }
        }
        self.points.truncate(kept);
    }

    pub fn first(&self) -> Option<&EquityPoint> {
        self.points.first()
    }

    /// The length of the buckets, and those in which there was a sample.
    pub fn into_points(self) -> (Interval, Vec<EquityPoint>) {
        (self.bucket, self.points)
    }
}

/// One line an account, and behind them one for each currency that several accounts count in.
pub(super) fn equity_lines(
    accounts: &[AccountFacts],
    totals: &[(Currency, Vec<usize>)],
    lines: impl Iterator<Item = Buckets>,
) -> Vec<EquityLine> {
    let single = accounts.iter().enumerate().map(|(i, a)| (Some(AccountId(i as u16)), a.reporting));
    let together = totals.iter().map(|(currency, _)| (None, *currency));
    let named = single.chain(together).zip(lines);
    named
        .map(|((account, currency), line)| {
            let (bucket, points) = line.into_points();
            EquityLine { account, currency, bucket, points }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::drawdown::Drawdown;
    use proptest::prelude::*;

    /// The slow, obvious way: every sample against the highest one before it.
    fn naive(samples: &[(i64, i64)]) -> (Decimal, f64) {
        let (mut high, mut fall, mut ratio) = (Decimal::from_int(i64::from(i32::MIN)), Decimal::ZERO, 0.0f64);
        for (_, equity) in samples {
            let equity = Decimal::new(*equity, 2);
            high = high.max(equity);
            fall = fall.max(high - equity);
            ratio = ratio.max(fall_ratio(high, equity));
        }
        (fall, ratio)
    }

    #[test]
    fn every_rung_divides_the_next_and_the_day() {
        for pair in LADDER.windows(2) {
            assert_eq!(pair[1] % pair[0], 0);
            assert_eq!(86_400 % pair[1], 0);
        }
        let day = Interval::from_secs(86_400).unwrap();
        assert_eq!(coarser(day).unwrap().secs(), 172_800);
        assert_eq!(coarser(Interval::from_secs(1 << 31).unwrap()), None);
    }

    #[test]
    fn a_bucket_keeps_its_shape() {
        let mut b = Buckets::new(2);
        for (s, v) in [(0, 100), (1, 120), (2, 90), (3, 130), (30, 125)] {
            b.push(UnixNanos::from_secs(s), Decimal::from_int(v), None);
        }
        let (bucket, points) = b.into_points();
        assert_eq!(bucket.secs(), 5);
        let d = Decimal::from_int;
        let first = EquityPoint {
            at: UnixNanos(0),
            open: d(100),
            high: d(130),
            low: d(90),
            close: d(130),
            fall: d(30),
            fall_ratio: 0.25,
            exposure: None,
        };
        assert_eq!(points, [first, sample(UnixNanos::from_secs(30), d(125), None)]);
    }

    proptest! {
        #[test]
        fn coarse_buckets_lose_no_drawdown(
            steps in prop::collection::vec((0i64..400_000, -3_000i64..3_000), 1..400),
            start in -2_000i64..50_000,
            most in 2usize..40,
        ) {
            let (mut at, mut equity) = (1_641_000_000i64, start);
            let samples: Vec<(i64, i64)> = steps.iter().map(|(secs, change)| {
                (at, equity) = (at + secs, equity + change);
                (at, equity)
            }).collect();
            let mut buckets = Buckets::new(most);
            for (at, equity) in &samples {
                buckets.push(UnixNanos::from_secs(*at), Decimal::new(*equity, 2), None);
            }
            let (bucket, points) = buckets.into_points();
            prop_assert!(points.len() <= most);
            let (fall, ratio) = naive(&samples);
            let found = Drawdown::of(&points, UnixNanos::from_secs(at), bucket);
            prop_assert_eq!(found.amount, fall);
            prop_assert_eq!(found.ratio, ratio);
            prop_assert_eq!(points[0].open, Decimal::new(samples[0].1, 2));
            prop_assert_eq!(points[points.len() - 1].close, Decimal::new(equity, 2));
            prop_assert_eq!(points.iter().map(|p| p.high).max(), samples.iter().map(|s| Decimal::new(s.1, 2)).max());
            prop_assert_eq!(points.iter().map(|p| p.low).min(), samples.iter().map(|s| Decimal::new(s.1, 2)).min());
        }
    }
}
