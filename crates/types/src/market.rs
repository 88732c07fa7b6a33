//! Market data in domain units: what happened on one instrument's market.
//! Depth arrives already synchronised: the driver applies the venue's sequence rule and says `Gap` when it breaks.

use crate::decimal::Decimal;
use crate::ids::InstrumentId;
use crate::instrument::{Price, Qty};
use crate::order::Side;
use crate::time::{Nanos, UnixNanos, civil_from_days};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One price level. As an update, `qty` is the new absolute size and zero deletes the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub price: Price,
    pub qty: Qty,
}

/// Best bid and ask. A side without orders has size zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub bid_px: Price,
    pub bid_qty: Qty,
    pub ask_px: Price,
    pub ask_qty: Qty,
}

impl Quote {
    pub fn is_two_sided(&self) -> bool {
        self.bid_qty.0 > 0 && self.ask_qty.0 > 0
    }
}

/// A trade between others. `aggressor` is the side that took liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub price: Price,
    pub qty: Qty,
    pub aggressor: Side,
    /// The venue's trade id, 0 where it has none.
    pub id: u64,
}

/// Length of a bar: whole seconds, or whole calendar months. All are UTC; weeks begin on Mondays, months on their first
/// day, every other length is counted from 1970.
///
/// The order is that of the lengths; months come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(u32);

/// From here on a count of months above it; below it, seconds.
const MONTHS: u32 = 0xffff_0000;
const DAY_SECS: u32 = 86_400;
const WEEK_SECS: u32 = 7 * DAY_SECS;
/// The Monday that weeks are counted from.
const FIRST_MONDAY: Nanos = Nanos::from_secs(4 * DAY_SECS as i64);

impl Interval {
    pub const M1: Interval = Interval(60);
    pub const H1: Interval = Interval(3600);
    /// A week from Monday to Monday.
    pub const WEEK: Interval = Interval(WEEK_SECS);
    /// A calendar month.
    pub const MONTH: Interval = Interval(MONTHS + 1);

    /// `None`: nothing, or more than 136 years.
    pub const fn from_secs(secs: u32) -> Option<Interval> {
        if secs == 0 || secs >= MONTHS { None } else { Some(Interval(secs)) }
    }
    /// Its length; of months the greatest that it can have, 31 days each.
    pub const fn as_nanos(self) -> Nanos {
        Nanos::from_secs(match self.months() {
            Some(n) => n as i64 * 31 * DAY_SECS as i64,
            None => self.0 as i64,
        })
    }
    /// As [`Interval::as_nanos`], in seconds.
    pub const fn secs(self) -> u32 {
        match self.months() {
            Some(n) => n.saturating_mul(31 * DAY_SECS),
            None => self.0,
        }
    }
    /// How many calendar months it has; `None` where its length is fixed.
    pub const fn months(self) -> Option<u32> {
        if self.0 > MONTHS { Some(self.0 - MONTHS) } else { None }
    }
    /// When the bar opens that holds `at`.
    pub fn floor(self, at: UnixNanos) -> UnixNanos {
        match self.months() {
            Some(n) => {
                let (y, m, _) = civil_from_days(at.day());
                month((y * 12 + m - 1).div_euclid(i64::from(n)) * i64::from(n))
            }
            None if self.0.is_multiple_of(WEEK_SECS) => {
                UnixNanos(at.0.saturating_sub(FIRST_MONDAY.0)).floor(self.as_nanos()).after(FIRST_MONDAY)
            }
            None => at.floor(self.as_nanos()),
        }
    }
    /// When the bar ends that opens at `open`, and the next one opens.
    #[inline]
    pub fn end(self, open: UnixNanos) -> UnixNanos {
        self.step(open, 1)
    }
    /// When the bar opened that ends at `end`.
    pub fn start(self, end: UnixNanos) -> UnixNanos {
        self.step(end, -1)
    }
    /// How many bars lie between two moments, from one's opening to another's.
    pub fn count(self, from: UnixNanos, to: UnixNanos) -> i64 {
        let month = |at: UnixNanos| {
            let (y, m, _) = civil_from_days(at.day());
            y * 12 + m - 1
        };
        match self.months() {
            Some(n) => (month(to) - month(from)).div_euclid(i64::from(n)),
            None => to.0.saturating_sub(from.0).div_euclid(self.as_nanos().0),
        }
    }
    /// Whether bars of `finer` fill it without a rest.
    pub fn is_made_of(self, finer: Interval) -> bool {
        match (self.months(), finer.months()) {
            (Some(n), Some(of)) => n.is_multiple_of(of),
            (Some(_), None) => DAY_SECS.is_multiple_of(finer.0),
            (None, Some(_)) => false,
            (None, None) => self.0.is_multiple_of(finer.0),
        }
    }
    /// A number for it that is never given to another one, for files: the seconds of fixed lengths.
    pub const fn code(self) -> u32 {
        self.0
    }
    pub const fn from_code(code: u32) -> Option<Interval> {
        if code == 0 || code == MONTHS { None } else { Some(Interval(code)) }
    }

    /// Asked of every bar: only months, which are rare, are worth a call.
    #[inline]
    fn step(self, at: UnixNanos, by: i64) -> UnixNanos {
        match self.months() {
            Some(n) => step_months(at, by * i64::from(n)),
            None => UnixNanos(at.0.saturating_add(by * (i64::from(self.0) * 1_000_000_000))),
        }
    }
}

/// The beginning of the month so many months from that of `at`.
#[cold]
fn step_months(at: UnixNanos, months: i64) -> UnixNanos {
    let (y, m, _) = civil_from_days(at.day());
    month(y * 12 + m - 1 + months)
}

/// When a month begins, counted from January of the year 0.
fn month(number: i64) -> UnixNanos {
    let (y, m) = (number.div_euclid(12), number.rem_euclid(12) + 1);
    let beyond = if y < 1970 { UnixNanos::MIN } else { UnixNanos::MAX };
    UnixNanos::from_civil(y, m, 1, 0, 0, 0, 0).unwrap_or(beyond)
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Not `1M`: it names directories, and not every disk tells it from `1m`.
            months if months > MONTHS => write!(f, "{}mo", months - MONTHS),
            s if s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            s if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            s if s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

impl std::str::FromStr for Interval {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("not an interval: {text:?} (write for example 10s, 1m, 4h, 1d, 1w; 1M is a month)");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let n: u32 = text[..digits].parse().map_err(|_| bad())?;
        let unit = match &text[digits..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => DAY_SECS,
            "w" => WEEK_SECS,
            "M" | "mo" => {
                let months = n.checked_add(MONTHS).ok_or_else(bad)?;
                return Interval::from_code(months).ok_or_else(bad);
            }
            _ => return Err(bad()),
        };
        n.checked_mul(unit).and_then(Interval::from_secs).ok_or_else(bad)
    }
}

impl TryFrom<String> for Interval {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(i: Interval) -> String {
        i.to_string()
    }
}

/// A closed bar from `open_time` to before [`Bar::close_time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub interval: Interval,
    pub open_time: UnixNanos,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Traded size in the instrument's size unit; 0 where the source does not say.
    pub volume: Qty,
}

impl Bar {
    #[inline]
    pub fn close_time(&self) -> UnixNanos {
        self.interval.end(self.open_time)
    }
}

/// Mark and index price with the funding rate that currently applies. Off-grid decimals in quote currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkPrice {
    pub mark: Decimal,
    pub index: Decimal,
    /// Predicted rate per funding period; positive: longs pay shorts.
    pub funding_rate: Decimal,
    pub next_funding: UnixNanos,
}

/// A funding settlement: `rate` times the position's value at `mark` changes hands at `ts_event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingRate {
    pub rate: Decimal,
    pub mark: Decimal,
}

/// Something that happened on one instrument's market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Market<'a> {
    pub instrument: InstrumentId,
    /// The venue's time. May run ahead of ours.
    pub ts_event: UnixNanos,
    pub data: MarketData<'a>,
}

/// What it was. The tag fills a word: behind a tag of one byte an event would be copied in pieces that lie across the words
/// it is read in, and each such read waits until the copy has reached the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u64)]
pub enum MarketData<'a> {
    /// Top of book. `update_id` orders it against depth of the same venue book; 0: unordered.
    Quote {
        quote: Quote,
        update_id: u64,
    },
    Trade(Trade),
    /// The whole book (`snapshot`) or absolute sizes of the levels that changed. Each side in the venue's order.
    Depth {
        bids: &'a [Level],
        asks: &'a [Level],
        snapshot: bool,
        update_id: u64,
    },
    Bar(Bar),
    Mark(&'a MarkPrice),
    Funding(&'a FundingRate),
    /// Depth updates were lost: the book is unknown until the next snapshot.
    Gap,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_text() {
        for text in ["1s", "90s", "1m", "5m", "4h", "1d", "7d", "1mo", "3mo"] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.to_string(), text);
            assert_eq!(Interval::from_code(interval.code()), Some(interval));
        }
        for (also, text) in [("1w", "7d"), ("1M", "1mo"), ("2w", "14d"), ("60s", "1m")] {
            assert_eq!(also.parse::<Interval>().unwrap().to_string(), text);
        }
        for bad in ["", "0m", "m", "1", "1W", "5000000d", "-1m", "0M", "0mo", "70000M", "4294967295s", "1 m", "é"] {
            assert!(bad.parse::<Interval>().is_err(), "{bad}");
        }
    }

    fn day(y: i64, m: i64, d: i64) -> UnixNanos {
        UnixNanos::from_civil(y, m, d, 0, 0, 0, 0).unwrap()
    }

    #[test]
    fn months_are_calendar_months() {
        let m = Interval::MONTH;
        let last = |at: UnixNanos| UnixNanos(at.0 - 1);
        for (y, mo, days) in [(2024, 2, 29), (2023, 2, 28), (2100, 2, 28), (2000, 2, 29), (2024, 12, 31), (1969, 4, 30)]
        {
            let open = day(y, mo, 1);
            let end = m.end(open);
            assert_eq!(end - open, Nanos::from_secs(days * 86_400), "{y}-{mo}");
            assert_eq!((m.floor(open), m.floor(last(end)), m.floor(end)), (open, open, end));
            assert_eq!((m.start(end), m.count(open, end)), (open, 1));
        }
        assert_eq!(m.count(day(2023, 11, 1), day(2025, 1, 1)), 14);
        let quarter: Interval = "3M".parse().unwrap();
        assert_eq!(quarter.floor(day(2024, 6, 30)), day(2024, 4, 1));
        assert_eq!(quarter.end(day(2024, 10, 1)), day(2025, 1, 1));
        assert_eq!((m.floor(UnixNanos::MIN), m.end(UnixNanos::MAX)), (UnixNanos::MIN, UnixNanos::MAX));
        assert!(Interval::WEEK < m && m.as_nanos() == Nanos::from_secs(31 * 86_400));
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let w = Interval::WEEK;
        // 2026-11-23 is a Monday.
        assert_eq!(w.floor(day(2026, 11, 22)), day(2026, 11, 16));
        assert_eq!(w.floor(day(2026, 11, 23)), day(2026, 11, 23));
        assert_eq!(w.end(day(2026, 12, 28)), day(2027, 1, 4));
        let three: Interval = "3d".parse().unwrap();
        assert_eq!(three.floor(day(1970, 1, 6)), day(1970, 1, 4));
    }

    #[test]
    fn what_bars_are_made_of() {
        let i = |text: &str| text.parse::<Interval>().unwrap();
        for (long, finer, yes) in [
            ("5m", "1m", true),
            ("5m", "2m", false),
            ("1M", "1d", true),
            ("1M", "8h", true),
            ("1M", "3d", false),
            ("1M", "1w", false),
            ("3M", "1M", true),
            ("1w", "1M", false),
            ("1w", "1d", true),
        ] {
            assert_eq!(i(long).is_made_of(i(finer)), yes, "{long} of {finer}");
        }
    }
}
