//! The time of this room: a clock that never steps, and the sleep that belongs to it.
//! Never: follows corrections of the machine's clock. What the venue's clock shows is `clock::ServerClock`'s to say.

use ctos_types::{Nanos, UnixNanos};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The seam for time in the shells: real, sped up, or a test's own.
pub trait Time: Debug + Send + Sync {
    /// Never goes back. Close to the wall clock, not equal to it.
    fn now(&self) -> UnixNanos;
    /// What the machine's clock shows, steps and all. Only compared, never scheduled by.
    fn wall(&self) -> UnixNanos;
    fn sleep_until(&self, at: UnixNanos) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// How much real time passes until `at`; at most a day.
    fn real_until(&self, at: UnixNanos) -> Duration;
}

/// The wall clock read once, carried on by the monotonic one.
#[derive(Debug)]
pub struct LinkTime {
    anchor: UnixNanos,
    started: Instant,
    speed: u32,
}

impl LinkTime {
    pub fn start() -> LinkTime {
        LinkTime::sped_up(1)
    }

    /// Runs `speed` times as fast as the world, against a twin that does the same. At least 1.
    pub fn sped_up(speed: u32) -> LinkTime {
        LinkTime { anchor: wall(), started: Instant::now(), speed: speed.max(1) }
    }

    /// As [`LinkTime::sped_up`], beginning at a given moment: for runs that share a clock with a twin.
    pub fn anchored(anchor: UnixNanos, speed: u32) -> LinkTime {
        LinkTime { anchor, ..LinkTime::sped_up(speed) }
    }

    fn real(&self, span: Nanos) -> Duration {
        Duration::from_nanos((span.0 / i64::from(self.speed)).max(0) as u64)
    }
}

impl Time for LinkTime {
    fn now(&self) -> UnixNanos {
        let elapsed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.anchor.after(Nanos(elapsed.saturating_mul(i64::from(self.speed))))
    }

    fn wall(&self) -> UnixNanos {
        // Sped up, the machine's clock has no meaning: only its steps against the monotonic clock would.
        if self.speed == 1 { wall() } else { self.now() }
    }

    fn sleep_until(&self, at: UnixNanos) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // A timer of tokio has a resolution of a millisecond and fires late, never early. A wait of years is a wait of
        // a day and another look.
        Box::pin(tokio::time::sleep(self.real_until(at)))
    }

    fn real_until(&self, at: UnixNanos) -> Duration {
        self.real(Nanos(at.0.saturating_sub(self.now().0))).min(Duration::from_secs(86_400))
    }
}

fn wall() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
