//! Market data in domain units: what happened on one instrument's market.
//! Depth arrives already synchronised: the driver applies the venue's sequence rule and says `Gap` when it breaks.

use crate::decimal::Decimal;
use crate::ids::InstrumentId;
use crate::instrument::{Price, Qty};
use crate::order::Side;
use crate::time::{Nanos, UnixNanos};
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

/// Length of a bar. Whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(u32);

impl Interval {
    pub const M1: Interval = Interval(60);
    pub const H1: Interval = Interval(3600);

    pub const fn from_secs(secs: u32) -> Option<Interval> {
        if secs == 0 { None } else { Some(Interval(secs)) }
    }
    pub const fn as_nanos(self) -> Nanos {
        Nanos::from_secs(self.0 as i64)
    }
    pub const fn secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
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
        let bad = || format!("not an interval: {text:?} (write for example 10s, 1m, 4h, 1d)");
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => return Err(bad()),
        };
        let n: u32 = text[..text.len() - 1].parse().map_err(|_| bad())?;
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

/// A closed bar over `[open_time, open_time + interval)`.
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
    pub fn close_time(&self) -> UnixNanos {
        self.open_time.after(self.interval.as_nanos())
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
        for text in ["1s", "90s", "1m", "5m", "4h", "1d"] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        for bad in ["", "0m", "m", "1", "1w", "5000000d", "-1m"] {
            assert!(bad.parse::<Interval>().is_err(), "{bad}");
        }
    }
}
