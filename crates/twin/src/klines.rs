//! Candles of every interval, from minutes and seconds. Never: a trade's meaning, wire text.

use ctos_types::time::civil_from_days;
use ctos_types::{Decimal, Price, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
/// A month of minutes and an hour of seconds are kept.
const MINUTES_KEPT: usize = 44_640;
const SECONDS_KEPT: usize = 3_600;

/// A candle. `open_ms` is the start of its interval; sizes are mantissas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub open_ms: i64,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: i64,
    pub quote: Decimal,
    pub count: i64,
    pub taker_volume: i64,
    pub taker_quote: Decimal,
    /// Trade ids, -1 where none traded.
    pub first_id: i64,
    pub last_id: i64,
}

impl Bar {
    fn flat(open_ms: i64, at: Price) -> Bar {
        Bar {
            open_ms,
            open: at,
            high: at,
            low: at,
            close: at,
            volume: 0,
            quote: Decimal::ZERO,
            count: 0,
            taker_volume: 0,
            taker_quote: Decimal::ZERO,
            first_id: -1,
            last_id: -1,
        }
    }

    /// Puts a later bar behind this one.
    pub fn join(&mut self, next: &Bar) {
        if self.count == 0 && next.count > 0 && self.volume == 0 {
            self.first_id = next.first_id;
        }
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.volume += next.volume;
        self.quote += next.quote;
        self.count += next.count;
        self.taker_volume += next.taker_volume;
        self.taker_quote += next.taker_quote;
        if next.last_id >= 0 {
            self.last_id = next.last_id;
        }
    }
}

/// One trade, as candles see it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Print {
    pub at_ms: i64,
    pub id: i64,
    pub price: Price,
    pub qty: i64,
    pub value: Decimal,
    pub buyer_is_taker: bool,
}

/// A candle's length: the venue's names, case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Millis(i64),
    Week,
    Month,
}

const NAMES: [(&str, Span); 16] = [
    ("1s", Span::Millis(1_000)),
    ("1m", Span::Millis(MINUTE)),
    ("3m", Span::Millis(3 * MINUTE)),
    ("5m", Span::Millis(5 * MINUTE)),
    ("15m", Span::Millis(15 * MINUTE)),
    ("30m", Span::Millis(30 * MINUTE)),
    ("1h", Span::Millis(60 * MINUTE)),
    ("2h", Span::Millis(120 * MINUTE)),
    ("4h", Span::Millis(240 * MINUTE)),
    ("6h", Span::Millis(360 * MINUTE)),
    ("8h", Span::Millis(480 * MINUTE)),
    ("12h", Span::Millis(720 * MINUTE)),
    ("1d", Span::Millis(DAY)),
    ("3d", Span::Millis(3 * DAY)),
    ("1w", Span::Week),
    ("1M", Span::Month),
];

impl Span {
    pub fn parse(name: &str) -> Option<Span> {
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, s)| *s == self).map_or("", |(n, _)| n)
    }

    /// Start of the interval `ms` lies in. Weeks begin on Mondays; `offset` moves the day's beginning.
    pub fn open(self, ms: i64, offset: i64) -> i64 {
        let local = ms + offset;
        let start = match self {
            Span::Millis(len) => local - local.rem_euclid(len),
            Span::Week => local - (local - 4 * DAY).rem_euclid(7 * DAY),
            Span::Month => {
                let (y, m, _) = civil_from_days(local.div_euclid(DAY));
                month_start(y, m)
            }
        };
        start - offset
    }

    /// Start of the next interval.
    pub fn next(self, open: i64, offset: i64) -> i64 {
        match self {
            Span::Millis(len) => open + len,
            Span::Week => open + 7 * DAY,
            Span::Month => {
                let (y, m, _) = civil_from_days((open + offset).div_euclid(DAY));
                (if m == 12 { month_start(y + 1, 1) } else { month_start(y, m + 1) }) - offset
            }
        }
    }
}

fn month_start(y: i64, m: i64) -> i64 {
    UnixNanos::from_civil(y, m, 1, 0, 0, 0, 0).map_or(0, |t| t.0 / 1_000_000)
}

/// All candles of one instrument.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Klines {
    minutes: VecDeque<Bar>,
    seconds: VecDeque<Bar>,
}

impl Klines {
    pub fn on_trade(&mut self, p: &Print) {
        add(&mut self.minutes, MINUTE, MINUTES_KEPT, p);
        add(&mut self.seconds, 1_000, SECONDS_KEPT, p);
    }

    /// Intervals without a trade have flat candles.
    pub fn roll(&mut self, now_ms: i64) {
        roll(&mut self.minutes, MINUTE, MINUTES_KEPT, now_ms);
        roll(&mut self.seconds, 1_000, SECONDS_KEPT, now_ms);
    }

    pub fn minutes(&self) -> &VecDeque<Bar> {
        &self.minutes
    }

    /// Candles that begin within `from..=to`, oldest first, at most `limit`: the oldest where `from` was asked, else the
    /// newest.
    pub fn list(&self, span: Span, offset: i64, from: Option<i64>, to: Option<i64>, limit: usize) -> Vec<Bar> {
        let source = if span == Span::Millis(1_000) { &self.seconds } else { &self.minutes };
        let first = from.map_or(0, |f| source.partition_point(|b| b.open_ms < span.open(f, offset)));
        let mut out: Vec<Bar> = Vec::new();
        for bar in source.range(first..) {
            let open = span.open(bar.open_ms, offset);
            if to.is_some_and(|to| open > to) {
                break;
            }
            match out.last_mut() {
                Some(last) if last.open_ms == open => last.join(bar),
                _ => out.push(Bar { open_ms: open, ..*bar }),
            }
            if from.is_some() && out.len() > limit {
                break;
            }
        }
        out.retain(|b| from.is_none_or(|f| b.open_ms >= f));
        if from.is_some() {
            out.truncate(limit);
        } else if out.len() > limit {
            out.drain(..out.len() - limit);
        }
        out
    }

    /// The candle that begins at `open`.
    pub fn at(&self, span: Span, offset: i64, open: i64) -> Option<Bar> {
        let source = if span == Span::Millis(1_000) { &self.seconds } else { &self.minutes };
        let (first, end) = (source.partition_point(|b| b.open_ms < open), span.next(open, offset));
        let mut bars = source.range(first..).take_while(|b| b.open_ms < end);
        let mut bar = Bar { open_ms: open, ..*bars.next()? };
        bars.for_each(|b| bar.join(b));
        Some(bar)
    }
}

fn add(bars: &mut VecDeque<Bar>, len: i64, kept: usize, p: &Print) {
    roll(bars, len, kept, p.at_ms);
    let open_ms = p.at_ms - p.at_ms.rem_euclid(len);
    let taker = |x: i64| if p.buyer_is_taker { x } else { 0 };
    let one = Bar {
        volume: p.qty,
        quote: p.value,
        count: 1,
        taker_volume: taker(p.qty),
        taker_quote: if p.buyer_is_taker { p.value } else { Decimal::ZERO },
        first_id: p.id,
        last_id: p.id,
        ..Bar::flat(open_ms, p.price)
    };
    match bars.back_mut() {
        // The first trade of an interval opens it.
        Some(last) if last.count == 0 && last.open_ms == open_ms => *last = one,
        Some(last) => last.join(&one),
        None => bars.push_back(one),
    }
}

fn roll(bars: &mut VecDeque<Bar>, len: i64, kept: usize, now_ms: i64) {
    while let Some(last) = bars.back().copied() {
        if last.open_ms + len > now_ms {
            break;
        }
        // After a long silence only what is kept is made.
        let skip = ((now_ms - last.open_ms) / len - kept as i64).max(0) * len;
        bars.push_back(Bar::flat(last.open_ms + len + skip, last.close));
        if bars.len() > kept {
            bars.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(at_ms: i64, id: i64, price: i64, qty: i64) -> Print {
        let value = Decimal::from_int(price * qty);
        Print { at_ms, id, price: Price(price), qty, value, buyer_is_taker: id % 2 == 0 }
    }

    #[test]
    fn larger_candles_are_made_of_minutes() {
        let mut k = Klines::default();
        for (n, (at, px)) in [(1_000, 10), (59_000, 12), (61_000, 9), (400_000, 11)].into_iter().enumerate() {
            k.on_trade(&print(at, n as i64, px, 2));
        }
        k.roll(420_000);
        let minutes = k.list(Span::Millis(MINUTE), 0, None, None, 100);
        assert_eq!(minutes.len(), 8, "silent minutes are there");
        assert_eq!((minutes[2].open, minutes[2].count, minutes[2].first_id), (Price(9), 0, -1));
        let five = k.list(Span::parse("5m").unwrap(), 0, None, None, 100);
        assert_eq!(five.len(), 2);
        let b = five[0];
        assert_eq!((b.open.0, b.high.0, b.low.0, b.close.0, b.volume, b.count), (10, 12, 9, 9, 6, 3));
        assert_eq!((b.taker_volume, b.first_id, b.last_id), (4, 0, 2));
        assert_eq!(k.list(Span::Millis(MINUTE), 0, Some(60_000), None, 2).len(), 2);
        assert_eq!(k.list(Span::Millis(MINUTE), 0, None, None, 2)[0].open_ms, 360_000);
        assert_eq!(k.at(Span::Millis(300_000), 0, 0), Some(b));
    }

    #[test]
    fn calendar_intervals() {
        let at = |y, m, d| UnixNanos::from_civil(y, m, d, 3, 0, 0, 0).unwrap().0 / 1_000_000;
        let month = Span::parse("1M").unwrap();
        assert_eq!(month.open(at(2024, 2, 29), 0), month_start(2024, 2));
        assert_eq!(month.next(month_start(2024, 12), 0), month_start(2025, 1));
        // 2026-11-18 is a Wednesday.
        assert_eq!(Span::Week.open(at(2026, 11, 18), 0), at(2026, 11, 16) - 3 * 3_600_000);
        assert!(Span::parse("1h ").is_none() && Span::parse("1H").is_none());
        // A day that begins at 08:00 UTC.
        assert_eq!(Span::Millis(DAY).open(at(2024, 1, 2), -8 * 3_600_000), at(2024, 1, 1) + 5 * 3_600_000);
    }
}
