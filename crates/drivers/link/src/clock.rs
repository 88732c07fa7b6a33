//! What the venue's clock shows, from samples of its time: the sample with the least doubt wins, and doubt grows.
//! Never: follows the machine's wall clock. Its steps only ask for a new sample, since a machine that slept has a
//! monotonic clock that stood still.

use ctos_types::{Nanos, UnixNanos};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockConfig {
    /// A new sample is wanted this long after the last.
    pub refresh: Nanos,
    /// How far two clocks may drift apart, in parts per million.
    pub drift_ppm: i64,
    /// The unit that the venue rounds its time down to.
    pub resolution: Nanos,
    /// A sample that took longer says nothing.
    pub max_round_trip: Nanos,
    /// A wall clock that moves this much against the monotonic one has stepped.
    pub step: Nanos,
    /// A stamp is never put further back than this to be on the safe side.
    pub max_caution: Nanos,
}

impl Default for ClockConfig {
    fn default() -> ClockConfig {
        ClockConfig {
            refresh: Nanos::from_secs(180),
            drift_ppm: 100,
            resolution: Nanos::from_millis(1),
            max_round_trip: Nanos::from_secs(10),
            step: Nanos::from_millis(250),
            max_caution: Nanos::from_secs(2),
        }
    }
}

/// One look at the venue's clock.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: UnixNanos,
    /// Venue time minus ours, in the middle of what is possible.
    offset: i64,
    /// The truth was at most this far from `offset`.
    doubt: i64,
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSample {
    #[error("the answer came before the question")]
    Backwards,
    #[error("the round trip of {} s is too long to tell the time by", .0.as_secs_f64())]
    Slow(Nanos),
    /// It contradicts what was known. Another sample decides which of them is wrong.
    #[error("the venue's clock seems to have moved by {} s", .0.as_secs_f64())]
    Contradicts(Nanos),
}

/// The machine's clock moved against the monotonic one by `by` (positive: ahead).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalStep {
    pub by: Nanos,
}

const KEPT: usize = 16;
/// Samples at the start, a second apart: one of them will have had a quick way.
const WARM_UP: usize = 4;

/// Times are the room's own ([`crate::Time::now`]) unless said otherwise.
#[derive(Debug)]
pub struct ServerClock {
    config: ClockConfig,
    samples: VecDeque<Sample>,
    suspect: Option<Sample>,
    /// Added to every doubt until the next sample: the machine may have slept that long.
    shaken: i64,
    wall_lead: Option<i64>,
    next: (UnixNanos, &'static str),
    failures: u32,
}

impl ServerClock {
    pub fn new(config: ClockConfig) -> ServerClock {
        ServerClock {
            config,
            samples: VecDeque::new(),
            suspect: None,
            shaken: 0,
            wall_lead: None,
            next: (UnixNanos::MIN, "clock: first look"),
            failures: 0,
        }
    }

    /// When the next sample is wanted, and why.
    pub fn deadline(&self) -> (UnixNanos, &'static str) {
        self.next
    }

    /// The venue said `server` in answer to a question of `sent` that was answered at `received`.
    pub fn on_sample(&mut self, sent: UnixNanos, server: UnixNanos, received: UnixNanos) -> Result<(), BadSample> {
        let round_trip = (received - sent).0;
        if round_trip < 0 {
            return Err(BadSample::Backwards);
        }
        self.failures = 0;
        if round_trip > self.config.max_round_trip.0 {
            self.next = (received.after(Nanos::from_secs(5)), "clock: the last look was slow");
            return Err(BadSample::Slow(Nanos(round_trip)));
        }
        // The true offset lies between `server - received` and `server + resolution - sent`.
        let span = round_trip + self.config.resolution.0;
        let sample = Sample { at: received, offset: (server - received).0 + span / 2, doubt: span / 2 + 1 };
        let moved = self.best(received).map(|(offset, doubt)| {
            let apart = sample.offset - offset;
            if apart.abs() > doubt + sample.doubt { apart } else { 0 }
        });
        if let Some(apart) = moved.filter(|apart| *apart != 0) {
            let confirmed = self.suspect.is_some_and(|s| (s.offset - sample.offset).abs() <= s.doubt + sample.doubt);
            if !confirmed {
                self.suspect = Some(sample);
                self.next = (received.after(Nanos::from_millis(200)), "clock: contradiction");
                return Err(BadSample::Contradicts(Nanos(apart)));
            }
            self.samples.clear();
            self.samples.extend(self.suspect);
        }
        self.suspect = None;
        self.shaken = 0;
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.next = if self.samples.len() < WARM_UP {
            (received.after(Nanos::from_secs(1)), "clock: warming up")
        } else {
            (received.after(self.config.refresh), "clock: refresh")
        };
        Ok(())
    }

    /// No answer came. The next try waits a little longer each time.
    pub fn on_failed(&mut self, now: UnixNanos) {
        self.failures = (self.failures + 1).min(6);
        self.next = (now.after(Nanos::from_secs(1 << (self.failures - 1))), "clock: try again");
    }

    /// The venue refused a stamp of ours: look at once.
    pub fn distrust(&mut self, now: UnixNanos) {
        self.next = (self.next.0.min(now), "clock: a stamp was refused");
    }

    /// Call every second or so with the machine's wall clock.
    pub fn on_wall(&mut self, now: UnixNanos, wall: UnixNanos) -> Option<LocalStep> {
        let lead = (wall - now).0;
        let by = lead - self.wall_lead.replace(lead)?;
        if by.abs() < self.config.step.0 {
            return None;
        }
        // Forward may be a sleep, in which our own clock stood still; backward can only be somebody setting the clock.
        self.shaken = self.shaken.max(by.max(0));
        self.next = (self.next.0.min(now), "clock: the machine's clock stepped");
        Some(LocalStep { by: Nanos(by) })
    }

    /// Venue time minus ours, `None` before the first sample.
    pub fn offset(&self, now: UnixNanos) -> Option<Nanos> {
        self.best(now).map(|(offset, _)| Nanos(offset))
    }

    /// How far [`ServerClock::offset`] may be off; grows with the age of the sample it rests on.
    pub fn uncertainty(&self, now: UnixNanos) -> Option<Nanos> {
        self.best(now).map(|(_, doubt)| Nanos(doubt))
    }

    pub fn venue_time(&self, now: UnixNanos) -> Option<UnixNanos> {
        self.offset(now).map(|offset| now.after(offset))
    }

    /// The stamp for a signed request: behind the venue's clock by the doubt rather than ahead of it, since venues
    /// refuse what comes from the future sooner than what is old.
    pub fn stamp(&self, now: UnixNanos) -> Option<UnixNanos> {
        let (offset, doubt) = self.best(now)?;
        Some(now.after(Nanos(offset - doubt.min(self.config.max_caution.0))))
    }

    /// How far the machine's wall clock is ahead of the venue's: for `doctor`.
    pub fn wall_error(&self, now: UnixNanos, wall: UnixNanos) -> Option<Nanos> {
        self.venue_time(now).map(|venue| wall - venue)
    }

    fn best(&self, now: UnixNanos) -> Option<(i64, i64)> {
        let aged = |s: &Sample| {
            let age = (now - s.at).0.max(0);
            (s.offset, s.doubt + age / 1_000_000 * self.config.drift_ppm + self.shaken)
        };
        self.samples.iter().map(aged).min_by_key(|(_, doubt)| *doubt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> UnixNanos {
        UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
    }

    #[test]
    fn the_quickest_round_trip_wins_until_it_is_old() {
        let mut clock = ServerClock::new(ClockConfig::default());
        assert_eq!(clock.stamp(at(0)), None);
        clock.on_sample(at(0), at(5_100), at(200)).unwrap();
        clock.on_sample(at(1_000), at(6_005), at(1_010)).unwrap();
        clock.on_sample(at(2_000), at(7_400), at(2_800)).unwrap();
        let offset = clock.offset(at(3_000)).unwrap();
        assert!((offset.0 - 5_000_500_000).abs() < 10_000, "{offset:?}");
        // An hour later 6 ms of doubt have become 366: a fresh sample of 300 ms is better.
        clock.on_sample(at(3_600_000), at(3_605_200), at(3_600_300)).unwrap();
        assert_eq!(clock.offset(at(3_600_300)), Some(Nanos(5_050_500_000)));
    }

    #[test]
    fn a_contradiction_must_be_seen_twice() {
        let mut clock = ServerClock::new(ClockConfig::default());
        clock.on_sample(at(0), at(5), at(10)).unwrap();
        let odd = clock.on_sample(at(100), at(30_105), at(110));
        assert!(matches!(odd, Err(BadSample::Contradicts(by)) if by > Nanos::from_secs(29)));
        assert_eq!(clock.deadline(), (at(310), "clock: contradiction"));
        clock.on_sample(at(400), at(405), at(410)).unwrap();
        assert!(clock.offset(at(410)).unwrap().0.abs() < 2_000_000, "one odd answer changes nothing");
        clock.on_sample(at(500), at(30_505), at(510)).unwrap_err();
        clock.on_sample(at(700), at(30_705), at(710)).unwrap();
        assert!((clock.offset(at(710)).unwrap().0 - 30_000_000_000).abs() < 2_000_000);
    }

    #[test]
    fn steps_of_the_machines_clock_change_no_stamp_but_ask_for_a_look() {
        let mut clock = ServerClock::new(ClockConfig::default());
        clock.on_sample(at(0), at(5), at(10)).unwrap();
        let before = clock.stamp(at(1_000)).unwrap();
        assert_eq!(clock.on_wall(at(20), at(20)), None);
        assert_eq!(clock.on_wall(at(1_000), at(-29_000)), Some(LocalStep { by: Nanos::from_secs(-30) }));
        assert_eq!(clock.deadline(), (at(1_000), "clock: the machine's clock stepped"));
        assert_eq!(clock.stamp(at(1_000)).unwrap(), before);
        assert_eq!(clock.wall_error(at(1_000), at(-29_000)).unwrap().0 / 1_000_000_000, -30);
        // Forward it may be a sleep: stamps are put back as far as is allowed until the next look.
        clock.on_wall(at(2_000), at(-18_000)).unwrap();
        assert!(clock.uncertainty(at(2_000)).unwrap() > Nanos::from_secs(10));
        clock.on_sample(at(2_000), at(2_005), at(2_010)).unwrap();
        assert!(clock.uncertainty(at(2_010)).unwrap() < Nanos::from_millis(10));
    }

    #[test]
    fn failures_and_refusals_move_the_next_look() {
        let mut clock = ServerClock::new(ClockConfig::default());
        clock.on_failed(at(0));
        assert_eq!(clock.deadline(), (at(1_000), "clock: try again"));
        (0..20).for_each(|_| clock.on_failed(at(0)));
        assert_eq!(clock.deadline().0, at(32_000));
        clock.distrust(at(5));
        assert_eq!(clock.deadline(), (at(5), "clock: a stamp was refused"));
        assert_eq!(clock.on_sample(at(5), at(5), at(4)), Err(BadSample::Backwards));
        let slow = clock.on_sample(at(5), at(5), at(20_000));
        assert!(matches!(slow, Err(BadSample::Slow(_))));
    }

    proptest! {
        // Whatever the way there and back, the skew and the drift: the offset is right within the stated doubt, and
        // no stamp is ahead of the venue's clock or older than the doubt allows.
        #[test]
        fn the_truth_lies_within_the_doubt(
            skew_ms in -30_000i64..30_000,
            drift_ppm in -80i64..80,
            looks in prop::collection::vec((0i64..3_000, 0i64..3_000, 1i64..400_000), 1..40),
        ) {
            let venue = |now: UnixNanos| {
                let age = (now - at(0)).0;
                now.after(Nanos(skew_ms * 1_000_000 + age / 1_000_000 * drift_ppm))
            };
            let mut clock = ServerClock::new(ClockConfig::default());
            let mut now = at(0);
            for (there, back, pause) in looks {
                let sent = now;
                let stamped = venue(now.after(Nanos::from_millis(there))).floor(Nanos::from_millis(1));
                now = now.after(Nanos::from_millis(there + back));
                prop_assert_eq!(clock.on_sample(sent, stamped, now), Ok(()));
                now = now.after(Nanos::from_millis(pause));
                let (offset, doubt) = (clock.offset(now).unwrap(), clock.uncertainty(now).unwrap());
                let error = (venue(now) - now).0 - offset.0;
                prop_assert!(error.abs() <= doubt.0, "off by {error}, doubt {doubt:?}");
                let stamp = clock.stamp(now).unwrap();
                if doubt <= ClockConfig::default().max_caution {
                    prop_assert!(stamp <= venue(now));
                }
                prop_assert!(venue(now) - stamp <= Nanos(2 * doubt.0));
            }
        }
    }
}
