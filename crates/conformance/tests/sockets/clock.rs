//! One clock for the venue's server, the gateway's thread and the kernel, turned by the test: the next moment begins when
//! everybody has done what was due in this one, so a busy machine makes a case slower and not different.
//! Never: moves by itself.

use ctos_link::Time;
use ctos_twin::server::Clock;
use ctos_types::{Nanos, UnixNanos};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Who waits looks again after this much real time: the hand may have moved.
const LOOK: Duration = Duration::from_millis(1);

/// See the module's head.
#[derive(Debug)]
pub struct Hand {
    now: AtomicI64,
    /// The moment at which the gateway's thread last had nothing left to do.
    link: AtomicI64,
    /// The same of the server's.
    twin: AtomicI64,
}

impl Hand {
    pub fn new(at: UnixNanos) -> Hand {
        let at = || AtomicI64::new(at.0);
        Hand { now: at(), link: at(), twin: at() }
    }

    pub fn at(&self) -> UnixNanos {
        UnixNanos(self.now.load(Ordering::SeqCst))
    }

    pub fn turn(&self, by: Nanos) {
        self.now.fetch_add(by.0.max(0), Ordering::SeqCst);
    }

    /// Whether both threads have come to rest at this moment.
    pub fn is_at_rest(&self) -> bool {
        let now = self.at().0;
        self.link.load(Ordering::SeqCst) >= now && self.twin.load(Ordering::SeqCst) >= now
    }
}

impl Clock for Hand {
    fn now(&self) -> UnixNanos {
        self.at()
    }

    fn wait(&self, _: Nanos) -> Duration {
        self.twin.store(self.at().0, Ordering::SeqCst);
        LOOK
    }
}

impl Time for Hand {
    fn now(&self) -> UnixNanos {
        self.at()
    }

    /// There is no other clock that could be compared with.
    fn wall(&self) -> UnixNanos {
        self.at()
    }

    fn sleep_until(&self, at: UnixNanos) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Nothing here waits longer than a look: whoever sleeps comes back and asks for the time.
        let wait = self.real_until(at);
        Box::pin(tokio::time::sleep(wait))
    }

    fn real_until(&self, at: UnixNanos) -> Duration {
        let now = self.at();
        self.link.store(now.0, Ordering::SeqCst);
        if at <= now { Duration::ZERO } else { LOOK }
    }
}
