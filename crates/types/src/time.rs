//! Time as signed nanoseconds since the Unix epoch, and durations in the same unit.
//! Never: reads a clock (inputs carry their time), or knows a time zone other than UTC.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z. Range: years 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNanos(pub i64);

/// A span of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub i64);

pub const NANOS_PER_SEC: i64 = 1_000_000_000;
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SEC;

impl Nanos {
    pub const ZERO: Nanos = Nanos(0);
    pub const fn from_secs(s: i64) -> Nanos {
        Nanos(s * NANOS_PER_SEC)
    }
    pub const fn from_millis(ms: i64) -> Nanos {
        Nanos(ms * 1_000_000)
    }
    pub const fn from_micros(us: i64) -> Nanos {
        Nanos(us * 1_000)
    }
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SEC as f64
    }
}

impl UnixNanos {
    pub const MIN: UnixNanos = UnixNanos(i64::MIN);
    pub const MAX: UnixNanos = UnixNanos(i64::MAX);
    pub const fn from_millis(ms: i64) -> UnixNanos {
        UnixNanos(ms * 1_000_000)
    }
    pub const fn from_secs(s: i64) -> UnixNanos {
        UnixNanos(s * NANOS_PER_SEC)
    }
    /// `self + span`, held at the ends of the range: "never" plus a second is still "never".
    pub const fn after(self, span: Nanos) -> UnixNanos {
        UnixNanos(self.0.saturating_add(span.0))
    }
    /// Whole days since the epoch, UTC.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(NANOS_PER_DAY)
    }
    /// The start of the `span`-long bucket that holds this moment, counted from the epoch.
    pub const fn floor(self, span: Nanos) -> UnixNanos {
        UnixNanos(self.0 - self.0.rem_euclid(span.0))
    }
    /// From a civil UTC date and time. `None` outside the range or for a field out of bounds (60 s leap included).
    pub fn from_civil(y: i64, mo: i64, d: i64, h: i64, mi: i64, s: i64, nanos: i64) -> Option<UnixNanos> {
        let month_days = [31, if is_leap(y) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let ok = (1..=12).contains(&mo)
            && (1..=month_days[(mo - 1) as usize]).contains(&d)
            && (0..24).contains(&h)
            && (0..60).contains(&mi)
            && (0..60).contains(&s)
            && (0..NANOS_PER_SEC).contains(&nanos);
        if !ok {
            return None;
        }
        let secs = days_from_civil(y, mo, d) * 86_400 + h * 3600 + mi * 60 + s;
        secs.checked_mul(NANOS_PER_SEC)?.checked_add(nanos).map(UnixNanos)
    }
}

impl Add<Nanos> for UnixNanos {
    type Output = UnixNanos;
    fn add(self, rhs: Nanos) -> UnixNanos {
        UnixNanos(self.0 + rhs.0)
    }
}

impl Sub<Nanos> for UnixNanos {
    type Output = UnixNanos;
    fn sub(self, rhs: Nanos) -> UnixNanos {
        UnixNanos(self.0 - rhs.0)
    }
}

impl Sub for UnixNanos {
    type Output = Nanos;
    fn sub(self, rhs: UnixNanos) -> Nanos {
        Nanos(self.0 - rhs.0)
    }
}

fn is_leap(y: i64) -> bool {
    (y % 4 == 0 && y % 100 != 0) || y % 400 == 0
}

// The proleptic Gregorian calendar counted in 400-year eras that start on 1 March, so the leap day is the last.
fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Year, month and day of a day count since the epoch.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, d)
}

/// RFC 3339 in UTC; nanoseconds only where they are not zero.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = civil_from_days(self.day());
        let in_day = self.0.rem_euclid(NANOS_PER_DAY);
        let (s, n) = (in_day / NANOS_PER_SEC, in_day % NANOS_PER_SEC);
        write!(f, "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)?;
        if n != 0 {
            write!(f, ".{n:09}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates() {
        assert_eq!(
            UnixNanos::from_civil(2024, 2, 29, 12, 34, 56, 7).unwrap().to_string(),
            "2024-02-29T12:34:56.000000007Z"
        );
        assert_eq!(UnixNanos(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixNanos::from_civil(2023, 2, 29, 0, 0, 0, 0), None);
    }

    proptest! {
        #[test]
        fn civil_round_trip(days in -100_000i64..100_000) {
            let (y, m, d) = civil_from_days(days);
            prop_assert_eq!(UnixNanos::from_civil(y, m, d, 0, 0, 0, 0).unwrap().day(), days);
        }
    }
}
