//! Bars of any interval, built from trades or from finer bars, with explicit closing rules.
//!
//! A trade belongs to the bucket of its venue time. A bar closes at the first trade of a later bucket, or when our own
//! time has passed its end by [`CLOSE_GRACE`]; a trade that arrives for a closed bucket is counted as late and left
//! out. A bucket without a trade has no bar.

use ctos_types::{Bar, Interval, Nanos, Price, Qty, UnixNanos};
use serde::{Deserialize, Serialize};

/// How long a bar waits for trades that are still on their way.
pub const CLOSE_GRACE: Nanos = Nanos::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarBuilder {
    interval: Interval,
    open: Option<Bar>,
    /// End of the last closed bar.
    closed_until: UnixNanos,
    late: u64,
}

impl BarBuilder {
    pub fn new(interval: Interval) -> BarBuilder {
        BarBuilder { interval, open: None, closed_until: UnixNanos::MIN, late: 0 }
    }

    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Trades that came after their bar had closed.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// When our clock closes the open bar, if there is one.
    pub fn deadline(&self) -> Option<UnixNanos> {
        self.open.as_ref().map(|b| b.close_time().after(CLOSE_GRACE))
    }

    /// Takes in a trade; returns the bar that it closed, if any.
    pub fn on_trade(&mut self, ts_event: UnixNanos, price: Price, qty: Qty) -> Option<Bar> {
        let open_time = self.interval.floor(ts_event);
        let point =
            Bar { interval: self.interval, open_time, open: price, high: price, low: price, close: price, volume: qty };
        self.merge(point)
    }

    /// Takes in a closed bar of a finer interval; returns the bar that is complete with it or was closed by it.
    pub fn on_bar(&mut self, finer: &Bar) -> Option<Bar> {
        let open_time = self.interval.floor(finer.open_time);
        let closed = self.merge(Bar { interval: self.interval, open_time, ..*finer });
        if closed.is_some() {
            return closed;
        }
        let complete = self.open.is_some_and(|b| b.close_time() <= finer.close_time());
        if complete { self.close() } else { None }
    }

    /// Takes in a closed bar of the very interval, as a venue publishes it. `false`: a repetition, to be left out.
    #[inline]
    pub fn on_own(&mut self, bar: &Bar) -> bool {
        if bar.open_time < self.closed_until {
            self.late += 1;
            return false;
        }
        // What was built of the same bucket, or before it, is less than what the venue says.
        if self.open.as_ref().is_some_and(|open| open.open_time <= bar.open_time) {
            self.open = None;
        }
        self.closed_until = bar.close_time();
        true
    }

    /// Closes the open bar if our time has passed its end and the grace.
    pub fn on_time(&mut self, now: UnixNanos) -> Option<Bar> {
        if self.deadline()? <= now { self.close() } else { None }
    }

    fn merge(&mut self, part: Bar) -> Option<Bar> {
        if part.open_time < self.closed_until {
            self.late += 1;
            return None;
        }
        match &mut self.open {
            Some(bar) if bar.open_time == part.open_time => {
                bar.high = bar.high.max(part.high);
                bar.low = bar.low.min(part.low);
                bar.close = part.close;
                bar.volume = Qty(bar.volume.0.saturating_add(part.volume.0));
                None
            }
            Some(bar) if part.open_time < bar.open_time => {
                self.late += 1;
                None
            }
            _ => {
                let closed = self.close();
                self.open = Some(part);
                closed
            }
        }
    }

    fn close(&mut self) -> Option<Bar> {
        let bar = self.open.take()?;
        self.closed_until = bar.close_time();
        Some(bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(s: i64) -> UnixNanos {
        UnixNanos::from_secs(s)
    }

    #[test]
    fn closes_by_the_next_trade_or_by_time() {
        let mut b = BarBuilder::new(Interval::M1);
        assert_eq!(b.on_trade(t(60), Price(10), Qty(1)), None);
        assert_eq!(b.on_trade(t(90), Price(14), Qty(2)), None);
        assert_eq!(b.on_trade(t(119), Price(9), Qty(3)), None);
        let bar = b.on_trade(t(120), Price(11), Qty(1)).unwrap();
        assert_eq!(
            (bar.open_time, bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0),
            (t(60), 10, 14, 9, 9, 6)
        );
        assert_eq!(b.on_time(t(180)), None, "the grace has not passed");
        assert_eq!(b.on_time(t(181)).unwrap().open_time, t(120));
        assert_eq!(b.on_trade(t(179), Price(11), Qty(1)), None);
        assert_eq!(b.late(), 1);
    }

    #[test]
    fn finer_bars_add_up() {
        let five = Interval::from_secs(300).unwrap();
        let mut b = BarBuilder::new(five);
        let minute = |i: i64, px: i64| Bar {
            interval: Interval::M1,
            open_time: t(i * 60),
            open: Price(px),
            high: Price(px + 2),
            low: Price(px - 2),
            close: Price(px + 1),
            volume: Qty(5),
        };
        for i in 0..4 {
            assert_eq!(b.on_bar(&minute(i, 100 + i)), None);
        }
        let bar = b.on_bar(&minute(4, 104)).unwrap();
        assert_eq!((bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0), (100, 106, 98, 105, 25));
        // A gap: minute 7 opens the next five, minute 12 closes it without its own end having been seen.
        assert_eq!(b.on_bar(&minute(7, 1)), None);
        assert_eq!(b.on_bar(&minute(12, 2)).unwrap().open_time, t(300));
    }
}
