//! Klines: the venue's bars, of every interval it has.
//! Never: an open one as a bar.

use crate::decode::DecodeError;
use crate::fields::Row;
use crate::symbols::Grid;
use ctos_types::{Bar, Decimal, InstrumentId, Interval, Nanos, Price, Qty, UnixNanos};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Length of a kline. Case matters to the venue: `1m` is a minute, `1M` a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KlineInterval {
    /// Spot only.
    S1,
    M1,
    M3,
    M5,
    M15,
    M30,
    H1,
    H2,
    H4,
    H6,
    H8,
    H12,
    D1,
    D3,
    W1,
    /// A calendar month.
    Mo1,
}

impl KlineInterval {
    pub const ALL: [KlineInterval; 16] = {
        use KlineInterval::*;
        [S1, M1, M3, M5, M15, M30, H1, H2, H4, H6, H8, H12, D1, D3, W1, Mo1]
    };

    /// As the venue writes it.
    pub const fn as_str(self) -> &'static str {
        use KlineInterval::*;
        match self {
            S1 => "1s",
            M1 => "1m",
            M3 => "3m",
            M5 => "5m",
            M15 => "15m",
            M30 => "30m",
            H1 => "1h",
            H2 => "2h",
            H4 => "4h",
            H6 => "6h",
            H8 => "8h",
            H12 => "12h",
            D1 => "1d",
            D3 => "3d",
            W1 => "1w",
            Mo1 => "1M",
        }
    }

    /// Its length. Weeks begin on Mondays, a month is one of the calendar.
    pub fn interval(self) -> Interval {
        use KlineInterval::*;
        let secs = match self {
            S1 => 1,
            M1 => 60,
            M3 => 180,
            M5 => 300,
            M15 => 900,
            M30 => 1_800,
            H1 => 3_600,
            H2 => 7_200,
            H4 => 14_400,
            H6 => 21_600,
            H8 => 28_800,
            H12 => 43_200,
            D1 => 86_400,
            D3 => 259_200,
            W1 => 604_800,
            Mo1 => return Interval::MONTH,
        };
        Interval::from_secs(secs).unwrap_or(Interval::M1)
    }

    /// The interval of this length. `None` for lengths that the venue does not have.
    pub fn of(interval: Interval) -> Option<KlineInterval> {
        KlineInterval::ALL.into_iter().find(|k| k.interval() == interval)
    }

    /// When the kline that opens at `open` ends: the next one opens then.
    pub fn end(self, open: UnixNanos) -> UnixNanos {
        self.interval().end(open)
    }
}

impl fmt::Display for KlineInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KlineInterval {
    type Err = String;

    fn from_str(text: &str) -> Result<KlineInterval, String> {
        let found = KlineInterval::ALL.into_iter().find(|k| k.as_str() == text);
        found.ok_or_else(|| {
            let all = KlineInterval::ALL.map(KlineInterval::as_str).join(" ");
            format!("Binance has no klines of {text:?}; it has {all} (m are minutes, M a month)")
        })
    }
}

/// One kline, closed or growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    pub instrument: InstrumentId,
    pub interval: KlineInterval,
    pub open_time: UnixNanos,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// In base coins; may exceed what an order can have, hence a decimal.
    pub volume: Decimal,
    pub quote_volume: Decimal,
    pub trades: u64,
    pub taker_volume: Decimal,
    pub taker_quote_volume: Decimal,
    /// No more trades will be added. Of a list, only the newest may be open.
    pub closed: bool,
    /// When it was sent; the end of the kline in lists.
    pub ts_event: UnixNanos,
}

impl Kline {
    /// As a bar; `None` while it is open, and for volumes beyond the grid.
    pub fn bar(&self, qty_decimals: u8) -> Option<Bar> {
        let volume = self.volume.to_mantissa(qty_decimals).ok().map(Qty)?;
        let Kline { open_time, open, high, low, close, .. } = *self;
        let interval = self.interval.interval();
        self.closed.then_some(Bar { interval, open_time, open, high, low, close, volume })
    }

    /// From the stream's `k`.
    pub(super) fn of_stream(row: &Row<'_>, grid: &Grid, sent: UnixNanos) -> Result<Kline, DecodeError> {
        let interval = row.text("i")?;
        let interval: KlineInterval = interval.parse().map_err(|_| row.unknown("i", interval))?;
        let kline = Kline {
            instrument: grid.id,
            interval,
            open_time: row.time("t")?,
            open: row.price("o", grid)?,
            high: row.price("h", grid)?,
            low: row.price("l", grid)?,
            close: row.price("c", grid)?,
            volume: row.decimal("v")?,
            quote_volume: row.decimal("q")?,
            trades: row.id("n")?,
            taker_volume: row.decimal("V")?,
            taker_quote_volume: row.decimal("Q")?,
            closed: row.bool("x")?,
            ts_event: sent,
        };
        kline.whole().ok_or_else(|| row.missing("o, h, l, c"))
    }

    /// From a row of a list: twelve columns. `now` tells which one is still open.
    pub(super) fn of_list(
        row: &Value,
        grid: &Grid,
        interval: KlineInterval,
        now: UnixNanos,
    ) -> Result<Kline, DecodeError> {
        const KIND: &str = "kline list";
        let missing = |field| DecodeError::Field { kind: KIND, field };
        let number = |field| move |source| DecodeError::Number { kind: KIND, field, source };
        let at = |n: usize, field| row.get(n).and_then(Value::as_str).ok_or(missing(field));
        let price = |n, field| at(n, field).and_then(|t| grid.price(t).map_err(number(field)));
        let amount = |n, field| at(n, field).and_then(|t| t.parse::<Decimal>().map_err(number(field)));
        let open_time = row.get(0).and_then(Value::as_u64).and_then(crate::decode::venue_time);
        let open_time = open_time.ok_or(missing("open time"))?;
        let end = interval.end(open_time);
        let kline = Kline {
            instrument: grid.id,
            interval,
            open_time,
            open: price(1, "open")?,
            high: price(2, "high")?,
            low: price(3, "low")?,
            close: price(4, "close")?,
            volume: amount(5, "volume")?,
            quote_volume: amount(7, "quote volume")?,
            trades: row.get(8).and_then(Value::as_u64).ok_or(missing("trades"))?,
            taker_volume: amount(9, "taker volume")?,
            taker_quote_volume: amount(10, "taker quote volume")?,
            closed: end <= now,
            ts_event: UnixNanos(end.0.saturating_sub(Nanos::from_millis(1).0)),
        };
        kline.whole().ok_or(missing("open, high, low, close"))
    }

    /// `None` where low, open, close and high contradict each other.
    fn whole(self) -> Option<Kline> {
        let within = |px: Price| (self.low..=self.high).contains(&px);
        (within(self.open) && within(self.close) && !self.volume.is_negative()).then_some(self)
    }
}
