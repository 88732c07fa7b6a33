//! The watchdog: notices from outside that the kernel stopped making progress, latches HALT and cancels everything
//! over its own way to the venue.
//! Never: waits for the kernel's thread, which may not come back.

use crate::alerts::Alerts;
use crate::live::Brake;
use crate::runs::NamedLatches;
use crate::shard::lock;
use ctos_kernel::Progress;
use ctos_kernel::kill::Latch;
use ctos_storage::home::{Home, HomeError};
use ctos_storage::journal::Journal;
use ctos_types::{Control, Event, KillState, Stamped, StrategyId, UnixNanos};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the watchdog needs, none of it owned by the kernel's thread alone.
#[derive(Debug)]
pub struct Watched {
    pub progress: Arc<Progress>,
    /// The way to the venue past the kernel's thread.
    pub brake: Arc<Mutex<Box<dyn Brake>>>,
    pub journal: Arc<Mutex<Journal>>,
    /// Market time of the input in work: what is journaled behind it must not be earlier.
    pub market_time: Arc<AtomicI64>,
    pub home: Arc<Home>,
    pub alerts: Alerts,
    pub timeout: Duration,
}

/// What it did about a hung kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    pub seq: u64,
    pub strategy: Option<StrategyId>,
    /// Orders the venue still has open: zero when the cancelling worked.
    pub open_orders: usize,
    /// Why it is not known whether orders are open, where it is not.
    pub not_cancelled: Option<String>,
    pub journaled: bool,
}

/// Starts watching. `on_hang` is called once, after the watchdog has done what it can; the kernel's thread is lost
/// then, so the process should end.
pub fn start(
    watched: Watched,
    stop: Arc<AtomicBool>,
    on_hang: impl FnOnce(Intervention) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name("watchdog".into())
        .spawn(move || {
            if let Some((seq, strategy)) = wait_for_hang(&watched, &stop) {
                on_hang(intervene(&watched, seq, strategy));
            }
        })
        .expect("the operating system starts a thread")
}

/// Returns when one input has been in work for longer than the timeout, or `None` when told to stop.
fn wait_for_hang(watched: &Watched, stop: &AtomicBool) -> Option<(u64, Option<StrategyId>)> {
    let look_every = (watched.timeout / 10).clamp(Duration::from_millis(5), Duration::from_millis(250));
    let mut since: Option<(u64, Instant)> = None;
    while !stop.load(Ordering::Acquire) {
        // Parked rather than asleep: whoever says stop wakes it.
        std::thread::park_timeout(look_every);
        since = match (watched.progress.in_step(), since) {
            (None, _) => None,
            (Some((seq, strategy)), Some((same, begun))) if same == seq => {
                if begun.elapsed() >= watched.timeout {
                    return Some((seq, strategy));
                }
                since
            }
            (Some((seq, _)), _) => Some((seq, Instant::now())),
        };
    }
    None
}

fn intervene(watched: &Watched, seq: u64, strategy: Option<StrategyId>) -> Intervention {
    let now = UnixNanos(watched.market_time.load(Ordering::Acquire));
    let reason = match strategy {
        Some(s) => format!("watchdog: strategy {} did not return from input {seq}", s.0),
        None => format!("watchdog: the kernel did not finish input {seq}"),
    };
    tracing::error!(seq, ?strategy, "the kernel stopped making progress: halting and cancelling everything");
    let control = Control::Watchdog { seq, strategy };
    let input = Stamped { seq: seq + 1, at: now, event: Event::Control(&control) };
    // The journal is free: the kernel's thread holds it only between steps.
    let journaled = {
        let mut journal = lock(&watched.journal);
        journal.next_seq() == seq + 1 && journal.append_input(&input).and_then(|()| journal.sync()).is_ok()
    };
    let latch = Latch { state: KillState::Halted, reason: reason.clone(), since: now };
    if let Err(error) = latch_system(&watched.home, latch) {
        tracing::error!(%error, "the latch file could not be written");
    }
    watched.alerts.send("watchdog", &reason);
    let (open_orders, not_cancelled) = match lock(&watched.brake).cancel_everything() {
        Ok(left) => (left, None),
        Err(error) => {
            watched.alerts.send("watchdog", &format!("{}; {}", error.message, error.hint));
            (0, Some(error.message))
        }
    };
    watched.alerts.drain(Duration::from_secs(2));
    Intervention { seq, strategy, open_orders, not_cancelled, journaled }
}

/// Adds the system latch to what the latch file holds. A file that cannot be read is replaced: a halt must not fail.
fn latch_system(home: &Home, latch: Latch) -> Result<(), HomeError> {
    let mut latches: NamedLatches = home.read_latches().ok().flatten().unwrap_or_default();
    latches.insert("system".into(), latch);
    home.write_latches(&latches)
}
