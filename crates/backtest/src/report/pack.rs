//! Columns as short text: differences of whole numbers, which a page adds up again.
//! Never: keeps more digits than a chart or a table can show.

use ctos_types::{Decimal, Rounding, UnixNanos};
use serde::Serialize;

/// Digits kept of the largest value of a column of floats.
const DIGITS: i32 = 8;
/// Whole numbers above this are not exact in a browser.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Values as differences of whole multiples of `10^-k`; `None` where there is no value (not a number, infinite).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Column {
    k: i32,
    d: Vec<Option<i128>>,
}

impl Column {
    /// Keeps eight digits of the largest value, at most twelve places.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Column {
        let values: Vec<f64> = values.into_iter().collect();
        let largest = values.iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
        let whole = if largest > 0.0 { largest.log10().floor() as i32 + 1 } else { 0 };
        let k = (DIGITS - whole).clamp(-300, 12);
        let unit = 10_f64.powi(k);
        Column::differences(k, values.iter().map(|v| v.is_finite().then(|| (v * unit).round() as i128)))
    }

    /// Mantissas of a grid with `places` decimals, kept exactly.
    pub fn grid(places: u8, mantissas: impl IntoIterator<Item = i64>) -> Column {
        Column::differences(i32::from(places), mantissas.into_iter().map(|m| Some(i128::from(m))))
    }

    /// Amounts with as many of their places as are used and a browser can hold.
    pub fn amounts(values: &[Decimal], places_max: u8) -> Column {
        let largest = values.iter().map(|v| v.to_f64().abs()).fold(0.0, f64::max);
        let held = |places: &u8| largest * 10_f64.powi(i32::from(*places)) < EXACT;
        let used = |places: &u8| {
            let unit = 10_i128.pow(u32::from(Decimal::PLACES - places));
            values.iter().all(|v| v.atoms() % unit == 0)
        };
        let wanted = (0..=places_max).find(used).unwrap_or(places_max);
        let places = (0..=wanted).rev().find(held).unwrap_or(0);
        let unit = 10_i128.pow(u32::from(Decimal::PLACES - places));
        let whole = |v: &Decimal| v.round(places, Rounding::HalfEven).atoms() / unit;
        Column::differences(i32::from(places), values.iter().map(|v| Some(whole(v))))
    }

    fn differences(k: i32, values: impl Iterator<Item = Option<i128>>) -> Column {
        let mut before = 0;
        let d = values.map(|v| v.map(|v| v.wrapping_sub(std::mem::replace(&mut before, v)))).collect();
        Column { k, d }
    }

    #[cfg(test)]
    pub fn unpack(&self) -> Vec<f64> {
        let mut sum = 0;
        let mut value = |d: i128| {
            sum += d;
            sum as f64 / 10_f64.powi(self.k)
        };
        self.d.iter().map(|d| d.map_or(f64::NAN, &mut value)).collect()
    }
}

/// Moments in milliseconds since 1970: evenly spaced, or by differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    t0: i64,
    step: i64,
    n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<Vec<i64>>,
}

pub fn millis(at: UnixNanos) -> i64 {
    at.0.div_euclid(1_000_000)
}

impl Times {
    /// Nanoseconds are cut to milliseconds: a browser's clock knows no finer.
    pub fn of(moments: impl IntoIterator<Item = UnixNanos>) -> Times {
        let all: Vec<i64> = moments.into_iter().map(millis).collect();
        let Some(&t0) = all.first() else {
            return Times { step: 1, ..Times::default() };
        };
        let differences: Vec<i64> = all.windows(2).map(|w| w[1] - w[0]).collect();
        let step = differences.iter().fold(0, |a, b| gcd(a, *b)).max(1);
        if differences.iter().all(|d| *d == step) {
            return Times { t0, step, n: all.len(), d: None };
        }
        let d = std::iter::once(0).chain(differences.iter().map(|d| d / step)).collect();
        Times { t0, step, n: all.len(), d: Some(d) }
    }

    #[cfg(test)]
    pub fn unpack(&self) -> Vec<i64> {
        let step = |i: usize| self.d.as_ref().map_or(if i == 0 { 0 } else { self.step }, |d| d[i] * self.step);
        (0..self.n).scan(self.t0, |at, i| Some((*at += step(i), *at).1)).collect()
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// At most `limit` points (at least eight) that look like all of them: of each stretch the first, the lowest, the
/// highest and the last.
pub fn thin<T: Copy>(points: &[T], limit: usize, value: impl Fn(&T) -> f64) -> Vec<T> {
    if points.len() <= limit {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((limit / 4).max(2));
    let mut kept = Vec::with_capacity(limit);
    for part in points.chunks(stretch) {
        let by = |a: &usize, b: &usize| value(&part[*a]).total_cmp(&value(&part[*b]));
        let finite = || (0..part.len()).filter(|i| value(&part[*i]).is_finite());
        let mut at = vec![0, part.len() - 1];
        at.extend(finite().min_by(by));
        at.extend(finite().max_by(by));
        at.sort_unstable();
        at.dedup();
        kept.extend(at.into_iter().map(|i| part[i]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floats_come_back_within_a_hundred_millionth_of_the_largest(values in prop::collection::vec(-1e12..1e12f64, 0..50)) {
            let back = Column::of(values.iter().copied()).unpack();
            let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            prop_assert_eq!(back.len(), values.len());
            for (a, b) in values.iter().zip(&back) {
                prop_assert!((a - b).abs() <= largest * 1e-7 + 1e-12, "{a} became {b}");
            }
        }

        #[test]
        fn times_come_back(all in prop::collection::vec(-4_000_000_000_000_000i64..4_000_000_000_000_000, 0..50)) {
            let times = Times::of(all.iter().map(|ms| UnixNanos(ms * 1_000)));
            let want: Vec<i64> = all.iter().map(|us| us.div_euclid(1_000)).collect();
            prop_assert_eq!(times.unpack(), want);
        }

        #[test]
        fn thinned_points_keep_both_ends_and_extremes(values in prop::collection::vec(-1e6..1e6f64, 1..3000), limit in 8usize..200) {
            let kept = thin(&values, limit, |v| *v);
            let peak = |list: &[f64]| list.iter().copied().fold(f64::MIN, f64::max);
            let floor = |list: &[f64]| list.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!(kept.len() <= limit.max(8));
            prop_assert_eq!((peak(&kept), floor(&kept)), (peak(&values), floor(&values)));
            prop_assert_eq!((kept.first(), kept.last()), (values.first(), values.last()));
        }
    }

    #[test]
    fn even_times_are_a_start_a_step_and_a_count() {
        let times = Times::of((0..5).map(|i| UnixNanos::from_secs(60 * i)));
        assert_eq!(serde_json::to_string(&times).unwrap(), r#"{"t0":0,"step":60000,"n":5}"#);
        assert_eq!(Times::of([]).unpack(), Vec::<i64>::new());
        assert_eq!(Times::of([UnixNanos(7_999_999)]).unpack(), [7]);
    }

    #[test]
    fn what_is_no_number_is_no_value() {
        let column = Column::of([1.5, f64::NAN, f64::INFINITY, 2.0]);
        assert_eq!(serde_json::to_string(&column).unwrap(), r#"{"k":7,"d":[15000000,null,null,5000000]}"#);
        assert!(Column::of([]).unpack().is_empty() && Column::of([0.0]).unpack() == [0.0]);
    }

    #[test]
    fn amounts_are_exact_where_a_browser_can_hold_them() {
        let amounts = |list: &[&str]| {
            let list: Vec<Decimal> = list.iter().map(|t| t.parse().unwrap()).collect();
            Column::amounts(&list, 10).unpack()
        };
        assert_eq!(amounts(&["0.00012345", "-7", "12.5"]), [0.00012345, -7.0, 12.5]);
        assert_eq!(amounts(&["100000000000000000", "0.5"]), [1e17, 0.0]);
    }
}
