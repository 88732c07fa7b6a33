//! How many times as fast as this machine's clock a venue's goes: once, unless it is a twin that was told to hurry.
//! Never: a guess between two whole numbers that is told as one of them.

use ctos_types::{Nanos, UnixNanos};

/// The unit that the venue rounds its time down to.
const RESOLUTION: i64 = 1_000_000;
/// Two readings, and the pace is between bounds that are no further apart than this before it is told.
const NARROW: f64 = 0.5;
/// Readings that are kept: the first ones are the longest ago, and so tell the most.
const KEPT: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Reading {
    sent: UnixNanos,
    server: UnixNanos,
    received: UnixNanos,
}

/// Readings of a venue's clock, and what they say of its pace. Times of ours are the monotonic clock's, in real time.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    readings: Vec<Reading>,
    low: f64,
    high: Option<f64>,
}

/// What is known of a pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// The readings are too near to each other yet.
    NotYet,
    /// A whole number, at least 1.
    Whole(u32),
    /// Something else, about this.
    Odd(f64),
}

impl Pace {
    /// The venue said `server` in answer to a question of `sent` that was answered at `received`.
    pub fn on_reading(&mut self, sent: UnixNanos, server: UnixNanos, received: UnixNanos) {
        for earlier in &self.readings {
            let (least, most) = ((sent - earlier.received).0, (received - earlier.sent).0);
            let passed = (server - earlier.server).0;
            if most > 0 {
                self.low = self.low.max((passed - RESOLUTION) as f64 / most as f64);
            }
            if least > 0 {
                let bound = (passed + RESOLUTION) as f64 / least as f64;
                self.high = Some(self.high.map_or(bound, |high| high.min(bound)));
            }
        }
        if self.readings.len() < KEPT {
            self.readings.push(Reading { sent, server, received });
        }
    }

    /// The first reading's moment carried on to `now` at a pace.
    pub fn venue_time(&self, now: UnixNanos, pace: u32) -> Option<UnixNanos> {
        let last = self.readings.last()?;
        Some(last.server.after(Nanos((now - last.received).0.saturating_mul(i64::from(pace)))))
    }

    pub fn known(&self) -> Known {
        let Some(high) = self.high.filter(|high| high - self.low <= NARROW) else { return Known::NotYet };
        let whole = self.low.ceil();
        if whole >= 1.0 && whole <= high && whole <= f64::from(u32::MAX) {
            return Known::Whole(whole as u32);
        }
        Known::Odd(f64::midpoint(self.low, high))
    }

    /// The whole number that is nearest to what is known so far, at least 1.
    pub fn nearest(&self) -> u32 {
        match self.high {
            None => 1,
            Some(high) => f64::midpoint(self.low, high).round().clamp(1.0, f64::from(u32::MAX)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A venue whose clock goes `pace` times as fast, asked every `pause`, each answer `way` there and `way` back.
    fn asked(pace: f64, pause_us: i64, ways_us: &[i64]) -> (Pace, u32) {
        let begin = UnixNanos::from_secs(1_700_000_000);
        let venue = |at: UnixNanos| {
            begin.after(Nanos(777_777 + ((at - begin).0 as f64 * pace) as i64)).floor(Nanos::from_millis(1))
        };
        let (mut told, mut now, mut asked) = (Pace::default(), begin, 0);
        for way in ways_us.iter().cycle() {
            let there = now.after(Nanos(way * 1_000));
            let back = there.after(Nanos(way * 1_000));
            told.on_reading(now, venue(there), back);
            asked += 1;
            if told.known() != Known::NotYet || asked == 10_000 {
                break;
            }
            now = back.after(Nanos(pause_us * 1_000));
        }
        (told, asked)
    }

    #[test]
    fn the_usual_pace_is_known_within_milliseconds() {
        let (pace, asked) = asked(1.0, 2_000, &[200]);
        assert!(pace.known() == Known::Whole(1) && asked <= 6, "{asked} readings: {pace:?}");
    }

    #[test]
    fn a_clock_between_two_whole_numbers_is_told_as_such() {
        for speed in [0.1, 2.5, 30.5] {
            let (pace, _) = asked(speed, 20_000, &[300, 900]);
            assert!(matches!(pace.known(), Known::Odd(told) if (told - speed).abs() < 0.3), "{pace:?}");
        }
        let (still, _) = asked(0.0, 20_000, &[300]);
        assert!(matches!(still.known(), Known::Odd(_)) && still.nearest() == 1);
    }

    #[test]
    fn nothing_is_known_of_one_reading() {
        let mut pace = Pace::default();
        assert_eq!((pace.known(), pace.nearest(), pace.venue_time(UnixNanos(0), 1)), (Known::NotYet, 1, None));
        pace.on_reading(UnixNanos(10), UnixNanos(1_000), UnixNanos(20));
        assert_eq!((pace.known(), pace.venue_time(UnixNanos(30), 60)), (Known::NotYet, Some(UnixNanos(1_600))));
    }

    proptest! {
        #[test]
        fn a_whole_number_is_found_whatever_the_way(
            speed in 1u32..1_000,
            ways in prop::collection::vec(50i64..5_000, 1..6),
            pause_us in 1_000i64..50_000,
        ) {
            let (pace, _) = asked(f64::from(speed), pause_us, &ways);
            prop_assert_eq!(pace.known(), Known::Whole(speed));
            prop_assert_eq!(pace.nearest(), speed);
        }
    }
}
