//! When silence is a fault: a stream is alive while data comes, whatever heartbeats do.
//! Never: counts a ping, a pong or an answer as life.

use ctos_types::{Nanos, UnixNanos};

/// How long a stream may be silent. Between the two the limit follows the stream's own rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Silence up to this long is always fine.
    pub floor: Nanos,
    /// Silence longer than this never is, at first; see [`Pulse::check`].
    pub ceiling: Nanos,
}

/// How many times the usual distance between two messages counts as silence.
const FACTOR: i64 = 16;
/// A stream that stays silent whatever is done is looked at again this rarely.
const LONGEST: Nanos = Nanos::from_secs(3600);

/// The life of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    expect: Expect,
    since: UnixNanos,
    /// Smoothed distance between messages; zero until two were seen.
    usual: Nanos,
    seen: bool,
    /// Alarms in a row without a message.
    strikes: u32,
}

impl Pulse {
    /// A stream that was just subscribed.
    pub fn new(expect: Expect, now: UnixNanos) -> Pulse {
        Pulse { expect, since: now, usual: Nanos::ZERO, seen: false, strikes: 0 }
    }

    pub fn on_data(&mut self, now: UnixNanos) {
        if self.seen && self.strikes == 0 {
            let distance = (now - self.since).0.max(0);
            self.usual.0 += (distance - self.usual.0) / 8;
            if self.usual.0 == 0 {
                self.usual.0 = distance / 8;
            }
        }
        self.seen = true;
        self.strikes = 0;
        self.since = now;
    }

    /// Subscribed anew: silence counts from here, what was learned stays.
    pub fn restart(&mut self, now: UnixNanos) {
        self.since = now;
    }

    /// Last data, last alarm or subscription.
    pub fn since(&self) -> UnixNanos {
        self.since
    }

    /// Alarms in a row without a message.
    pub fn strikes(&self) -> u32 {
        self.strikes
    }

    /// When the silence becomes a fault.
    pub fn due(&self) -> UnixNanos {
        let own = if self.usual.0 == 0 { self.expect.ceiling } else { Nanos(self.usual.0.saturating_mul(FACTOR)) };
        let limit = own.0.clamp(self.expect.floor.0, self.expect.ceiling.0.max(self.expect.floor.0));
        // A market that is halted must not be subscribed again and again at the same pace.
        let patient = limit.saturating_mul(1 << self.strikes.min(20)).min(LONGEST.0.max(limit));
        self.since.after(Nanos(patient))
    }

    /// How long it has been silent, once that is too long: told once, then again only after twice the time.
    pub fn check(&mut self, now: UnixNanos) -> Option<Nanos> {
        if now < self.due() {
            return None;
        }
        let silent = now - self.since;
        self.strikes += 1;
        self.since = now;
        Some(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECT: Expect = Expect { floor: Nanos::from_secs(2), ceiling: Nanos::from_secs(60) };

    fn at(ms: i64) -> UnixNanos {
        UnixNanos::from_millis(ms)
    }

    #[test]
    fn the_limit_follows_the_streams_own_rhythm() {
        let mut busy = Pulse::new(EXPECT, at(0));
        assert_eq!(busy.due(), at(60_000), "nothing is known at first");
        (0..100).for_each(|i| busy.on_data(at(i * 10)));
        assert_eq!(busy.due(), at(990 + 2_000));
        let mut slow = Pulse::new(EXPECT, at(0));
        (0..100).for_each(|i| slow.on_data(at(i * 1_000)));
        let limit = slow.due() - at(99_000);
        assert!(limit > Nanos::from_secs(14) && limit <= Nanos::from_secs(16), "{limit:?}");
        let mut rare = Pulse::new(EXPECT, at(0));
        (0..100).for_each(|i| rare.on_data(at(i * 30_000)));
        assert_eq!(rare.due() - at(99 * 30_000), Nanos::from_secs(60));
    }

    #[test]
    fn an_alarm_is_told_once_and_then_ever_more_rarely() {
        let mut pulse = Pulse::new(EXPECT, at(0));
        (0..100).for_each(|i| pulse.on_data(at(i * 10)));
        assert_eq!(pulse.check(at(2_989)), None);
        assert_eq!(pulse.check(at(2_990)), Some(Nanos::from_secs(2)));
        assert_eq!(pulse.check(at(2_990)), None);
        assert_eq!(pulse.due(), at(2_990 + 4_000));
        pulse.check(at(6_990)).unwrap();
        assert_eq!(pulse.strikes(), 2);
        pulse.on_data(at(7_000));
        assert_eq!((pulse.strikes(), pulse.due()), (0, at(9_000)), "the silence is not taken for a rhythm");
        let mut halted = Pulse::new(EXPECT, at(0));
        for _ in 0..40 {
            halted.check(halted.due()).unwrap();
        }
        assert_eq!(halted.due() - halted.since(), LONGEST);
    }
}
