//! Clocks of a served twin: the machine's, faster or not, or one a test turns by hand. Never: anything but time.

use ctos_types::{Nanos, UnixNanos};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What time it is at the venue.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UnixNanos;

    /// How long the machine waits until this much venue time has passed.
    fn wait(&self, span: Nanos) -> Duration;
}

/// The machine's time when it was made; from there on `speed` times as fast.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    start: UnixNanos,
    speed: f64,
}

impl SystemClock {
    /// `speed` is at least 0.001.
    pub fn new(speed: f64) -> SystemClock {
        let now = SystemClock::machine();
        SystemClock::since(now, now, speed)
    }

    /// The clock that stood at `venue` when the machine's stood at `machine`, however long ago.
    pub fn since(machine: UnixNanos, venue: UnixNanos, speed: f64) -> SystemClock {
        let speed = speed.max(0.001);
        let passed = (SystemClock::machine() - machine).0.max(0) as f64 * speed;
        SystemClock { began: Instant::now(), start: venue.after(Nanos(passed as i64)), speed }
    }

    /// The machine's time.
    pub fn machine() -> UnixNanos {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixNanos {
        let passed = self.began.elapsed().as_nanos() as f64 * self.speed;
        self.start.after(Nanos(passed as i64))
    }

    fn wait(&self, span: Nanos) -> Duration {
        Duration::from_nanos((span.0.max(0) as f64 / self.speed) as u64)
    }
}

/// A clock that stands until it is turned. Several may share it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new(at: UnixNanos) -> ManualClock {
        ManualClock(AtomicI64::new(at.0))
    }

    /// Moves the time forward.
    pub fn advance(&self, span: Nanos) {
        self.0.fetch_add(span.0.max(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::SeqCst))
    }

    /// Looks again soon: the hand may move at any time.
    fn wait(&self, _: Nanos) -> Duration {
        Duration::from_millis(1)
    }
}
