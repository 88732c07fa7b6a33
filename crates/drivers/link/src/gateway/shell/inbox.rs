//! What lies between the gateway's thread and the kernel's: events, notices, status.
//! Never: drops an event of an order or an account.

use super::Status;
use crate::gateway::Notice;
use crate::rate::Closure;
use ctos_types::{EventBuf, EventKind, InstrumentId, UnixNanos};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Events of market data that may wait for the kernel.
const MAX_MARKET: usize = 65_536;
/// Events of orders and accounts that may wait before sockets are left unread.
const MAX_OTHER: usize = 16_384;
const MAX_NOTICES: usize = 1_024;
/// Emptied boxes that are kept.
const MAX_SPARE: usize = 4_096;

pub(super) type Timed = (UnixNanos, Box<EventBuf>);
/// Events move between queues by their pointers.
pub(super) type Boxes = Vec<Box<EventBuf>>;

#[derive(Debug, Default)]
struct Inbox {
    events: VecDeque<Timed>,
    spare: Boxes,
    /// Events of market data among `events`.
    market: usize,
    /// Instruments of which something was dropped: nothing more of them until they are told anew.
    lost: BTreeSet<InstrumentId>,
    lost_count: u64,
    last: UnixNanos,
    woken: bool,
    waiting: bool,
}

#[derive(Debug, Default)]
struct Board {
    notices: VecDeque<Notice>,
    notices_lost: u64,
    status: Status,
    closures: Option<Vec<Closure>>,
    /// Why the thread ended.
    ended: Option<String>,
}

/// Held by both threads.
#[derive(Debug, Default)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    came: Condvar,
    board: Mutex<Board>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it left whole values behind.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The instrument of market data that may be dropped and told anew. Changed rules are no such thing.
fn market_of(kind: &EventKind) -> Option<InstrumentId> {
    match kind {
        EventKind::Quote { instrument, .. }
        | EventKind::Trade { instrument, .. }
        | EventKind::Depth { instrument, .. }
        | EventKind::Bar { instrument, .. }
        | EventKind::Mark { instrument, .. } => Some(*instrument),
        _ => None,
    }
}

impl Shared {
    // ---- the gateway's thread

    /// Takes events over; gives back boxes for the next ones in `boxes`.
    pub fn push(&self, events: impl Iterator<Item = Timed>, boxes: &mut Boxes) {
        let mut inbox = lock(&self.inbox);
        let inbox = &mut *inbox;
        for (at, event) in events {
            // The kernel's time does not go back, whatever a part held back for a while.
            inbox.last = inbox.last.max(at);
            let at = inbox.last;
            let market = market_of(&event.kind);
            if let Some(instrument) = market {
                if inbox.lost.contains(&instrument) {
                    inbox.lost_count += 1;
                    boxes.push(event);
                    continue;
                }
                if inbox.market >= MAX_MARKET {
                    inbox.lost.insert(instrument);
                    inbox.lost_count += 1;
                    let mut gap = event;
                    gap.levels.clear();
                    gap.kind = EventKind::Gap { instrument, ts_event: at };
                    inbox.events.push_back((at, gap));
                    continue;
                }
                inbox.market += 1;
            }
            inbox.events.push_back((at, event));
        }
        boxes.append(&mut inbox.spare);
        if inbox.waiting && !inbox.events.is_empty() {
            inbox.waiting = false;
            self.came.notify_one();
        }
    }

    /// Whether so much waits for the kernel that sockets should not be read.
    pub fn is_full(&self) -> bool {
        let inbox = lock(&self.inbox);
        inbox.events.len() - inbox.market.min(inbox.events.len()) > MAX_OTHER
    }

    /// Instruments to tell anew, once the kernel has caught up.
    pub fn take_lost(&self) -> Vec<InstrumentId> {
        let mut inbox = lock(&self.inbox);
        if inbox.lost.is_empty() || inbox.market > MAX_MARKET / 2 {
            return Vec::new();
        }
        std::mem::take(&mut inbox.lost).into_iter().collect()
    }

    pub fn lost_count(&self) -> u64 {
        lock(&self.inbox).lost_count
    }

    pub fn notice(&self, notices: impl Iterator<Item = Notice>) {
        let mut board = lock(&self.board);
        for notice in notices {
            if board.notices.len() >= MAX_NOTICES {
                let oldest = board.notices.iter().position(|n| !matches!(n, Notice::Alarm { .. })).unwrap_or(0);
                board.notices.remove(oldest);
                board.notices_lost += 1;
            }
            board.notices.push_back(notice);
        }
    }

    pub fn set_status(&self, status: Status) {
        let mut board = lock(&self.board);
        let notices_lost = board.notices_lost;
        board.status = Status { notices_lost, ..status };
    }

    pub fn set_closures(&self, closures: Vec<Closure>) {
        lock(&self.board).closures = Some(closures);
    }

    pub fn end(&self, why: String) {
        lock(&self.board).ended.get_or_insert(why);
        self.wake();
    }

    // ---- the kernel's thread

    /// Moves everything that waits into `taken`, and emptied boxes back.
    pub fn take(&self, taken: &mut VecDeque<Timed>, emptied: &mut Boxes) {
        let mut inbox = lock(&self.inbox);
        std::mem::swap(&mut inbox.events, taken);
        inbox.market = 0;
        let room = MAX_SPARE.saturating_sub(inbox.spare.len());
        emptied.truncate(room);
        inbox.spare.append(emptied);
    }

    /// Waits until something is there, somebody wakes, or the time is up.
    pub fn wait(&self, at_most: Duration) {
        let mut inbox = lock(&self.inbox);
        if inbox.events.is_empty() && !inbox.woken {
            inbox.waiting = true;
            let waited = self.came.wait_timeout(inbox, at_most);
            inbox = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        (inbox.woken, inbox.waiting) = (false, false);
    }

    pub fn wake(&self) {
        lock(&self.inbox).woken = true;
        self.came.notify_all();
    }

    pub fn notices(&self) -> Vec<Notice> {
        lock(&self.board).notices.drain(..).collect()
    }

    pub fn status(&self) -> Status {
        lock(&self.board).status.clone()
    }

    pub fn take_closures(&self) -> Option<Vec<Closure>> {
        lock(&self.board).closures.take()
    }

    pub fn ended(&self) -> Option<String> {
        lock(&self.board).ended.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::{AccountEvent, AccountId};

    fn book(instrument: u32) -> Box<EventBuf> {
        let kind = EventKind::Depth {
            instrument: InstrumentId(instrument),
            ts_event: UnixNanos(0),
            bids: 0,
            snapshot: false,
            update_id: 0,
        };
        Box::new(EventBuf { kind, levels: Vec::new() })
    }

    fn standing() -> Box<EventBuf> {
        Box::new(AccountEvent::Standing { account: AccountId(0), known: true }.into())
    }

    #[test]
    fn market_data_drops_with_a_gap_and_is_told_anew_and_nothing_else_drops() {
        let (shared, mut boxes) = (Shared::default(), Vec::new());
        shared.push((0..MAX_MARKET as i64).map(|i| (UnixNanos(i), book(1))), &mut boxes);
        assert_eq!(shared.take_lost(), []);
        let more = [book(1), book(1), standing(), book(2)];
        shared.push(more.into_iter().map(|e| (UnixNanos(5), e)), &mut boxes);
        assert_eq!(shared.take_lost(), [], "not while it is full");
        let (mut taken, mut emptied) = (VecDeque::new(), Vec::new());
        shared.take(&mut taken, &mut emptied);
        let tail: Vec<_> = taken.iter().skip(MAX_MARKET).map(|(at, e)| (at.0, e.kind.clone())).collect();
        let last = MAX_MARKET as i64 - 1;
        assert!(tail.iter().all(|(at, _)| *at == last), "time does not go back");
        let gap = |n| EventKind::Gap { instrument: InstrumentId(n), ts_event: UnixNanos(last) };
        assert_eq!(tail.iter().map(|(_, k)| k).cloned().collect::<Vec<_>>(), [gap(1), standing().kind, gap(2)]);
        assert_eq!(shared.take_lost(), [InstrumentId(1), InstrumentId(2)]);
        assert_eq!((shared.lost_count(), shared.take_lost()), (3, vec![]));
        shared.push([(UnixNanos(0), book(1))].into_iter(), &mut boxes);
        taken.clear();
        shared.take(&mut taken, &mut emptied);
        assert!(!shared.is_full());
        shared.push((0..MAX_OTHER + 1).map(|_| (UnixNanos(0), standing())), &mut boxes);
        assert!(shared.is_full());
    }

    #[test]
    fn alarms_outlast_other_notices() {
        let shared = Shared::default();
        let alarm = Notice::Alarm { what: "a".into(), hint: "b".into() };
        shared.notice(std::iter::once(alarm.clone()));
        shared.notice((0..2 * MAX_NOTICES).map(|i| Notice::Info(i.to_string())));
        shared.set_status(Status::default());
        assert_eq!(shared.status().notices_lost as usize, MAX_NOTICES + 1);
        let notices = shared.notices();
        assert_eq!((notices.len(), &notices[0]), (MAX_NOTICES, &alarm));
        assert_eq!(notices.last(), Some(&Notice::Info((2 * MAX_NOTICES - 1).to_string())));
    }

    #[test]
    fn waiting_ends_when_something_comes_or_somebody_wakes() {
        let shared = std::sync::Arc::new(Shared::default());
        shared.wait(Duration::from_millis(1));
        shared.wake();
        shared.wait(Duration::from_secs(60));
        let other = shared.clone();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        while !lock(&shared.inbox).waiting {
            std::thread::yield_now();
        }
        shared.push([(UnixNanos(0), book(1))].into_iter(), &mut Vec::new());
        thread.join().unwrap();
        shared.wait(Duration::from_secs(60));
    }
}
