//! A switch for tests of the real process: `CTOS_CRASH_AT=N` ends it, as `kill -9` does, in its Nth disk operation.
//! `N:torn` dies half-way through a write, `N:after` right behind the operation. Debug builds only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Before,
    Torn,
    After,
}

/// One disk operation about to happen.
#[derive(Debug)]
pub(crate) struct Op(Option<When>);

impl Op {
    /// How many of `len` bytes to write before dying, if this is the write to die in.
    pub fn torn(&self, len: usize) -> Option<usize> {
        (self.0 == Some(When::Torn)).then_some(len / 2)
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if self.0.is_some() {
            die();
        }
    }
}

/// Counts an operation that changes the disk. Does not return when the process is to die before it.
pub(crate) fn op() -> Op {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Some((at, when)) = chosen() else { return Op(None) };
    if COUNT.fetch_add(1, Ordering::Relaxed) + 1 != at {
        return Op(None);
    }
    if when == When::Before {
        die();
    }
    Op(Some(when))
}

fn chosen() -> Option<(u64, When)> {
    static CHOSEN: OnceLock<Option<(u64, When)>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    *CHOSEN.get_or_init(|| {
        let text = std::env::var("CTOS_CRASH_AT").ok()?;
        let (n, when) = match text.split_once(':') {
            None => (text.as_str(), When::Before),
            Some((n, "torn")) => (n, When::Torn),
            Some((n, "after")) => (n, When::After),
            Some(_) => return None,
        };
        Some((n.parse().ok()?, when))
    })
}

fn die() -> ! {
    let me = rustix::process::getpid();
    // SIGKILL cannot be caught, blocked or cleaned up after: what the test is about.
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    std::process::abort()
}
