//! The kernel's end of a running gateway, and the handles for other threads.
//! Never: blocks, except where it says so.

use super::Status;
use super::inbox::{Shared, Timed};
use crate::Time;
use crate::gateway::{Ask, BaseNo, Draft, Notice};
use crate::http::HttpResponse;
use crate::rate::{Closure, Cost, Lane};
use ctos_types::{Command, EventBuf, Nanos, UnixNanos};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// Commands that may wait for the gateway's thread.
const MAX_COMMANDS: usize = 1_024;
/// Requests of guests that may wait for it.
const MAX_GUESTS: usize = 64;
/// A guest waits so much longer than its request may take, for the thread to come round to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The command was not taken and no byte of it will leave. [`crate::gateway::refusal`] makes its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway takes no more commands now")]
pub struct Full(pub Command);

/// How a one-shot request ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No byte of it left this process.
    #[error("not sent: {why}")]
    NotSent { why: String, retry_after: Option<Nanos> },
    /// Bytes may have left, no whole answer came.
    #[error("sent, no answer: {why}")]
    Unknown { why: String },
}

pub(super) type Reply = SyncSender<Result<HttpResponse, RequestError>>;

pub(super) struct Guest {
    pub ask: Ask,
    pub reply: Reply,
}

#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: AtomicBool,
    within: std::sync::Mutex<Option<Instant>>,
    pub told: Notify,
}

impl Stop {
    /// When everything must have ended; `None`: nobody wants to stop.
    pub fn by(&self) -> Option<Instant> {
        if !self.asked.load(Ordering::Acquire) {
            return None;
        }
        *self.within.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn ask(&self, within: Duration) {
        let by = Instant::now() + within;
        let mut known = self.within.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *known = Some(known.map_or(by, |k| k.min(by)));
        self.asked.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

/// What the gateway's thread reads.
pub(super) struct Inputs {
    pub commands: mpsc::Receiver<Command>,
    pub guests: mpsc::Receiver<Guest>,
    pub stop: Arc<Stop>,
}

pub(super) fn pair(shared: Arc<Shared>, time: Arc<dyn Time>) -> (Running, Inputs) {
    let (commands, from_kernel) = mpsc::channel(MAX_COMMANDS);
    let (guests, from_guests) = mpsc::channel(MAX_GUESTS);
    let stop = Arc::new(Stop::default());
    let inputs = Inputs { commands: from_kernel, guests: from_guests, stop: stop.clone() };
    let handle = Handle { shared, guests };
    let (taken, emptied) = (VecDeque::new(), Vec::new());
    (Running { handle, commands, stop, time, taken, emptied, thread: None }, inputs)
}

/// A running gateway, for the kernel's thread. Dropped, it ends without waiting for what is under way.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    commands: mpsc::Sender<Command>,
    stop: Arc<Stop>,
    time: Arc<dyn Time>,
    taken: VecDeque<Timed>,
    #[expect(clippy::vec_box, reason = "an event moves between queues by its pointer")]
    emptied: Vec<Box<EventBuf>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn with_thread(mut self, thread: JoinHandle<()>) -> Running {
        self.thread = Some(thread);
        self
    }

    /// Hands a command over. Its outcome comes as an event.
    ///
    /// # Errors
    /// [`Full`] gives it back: too many wait already, or the gateway has ended.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        self.commands.try_send(command).map_err(|e| Full(e.into_inner()))
    }

    /// Moves the next event into `event` and says when it reached us, on [`Running::now`]'s clock. Times never
    /// decrease. What was in `event` is used again.
    pub fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos> {
        if self.taken.is_empty() {
            self.handle.shared.take(&mut self.taken, &mut self.emptied);
        }
        let (at, next) = self.taken.pop_front()?;
        self.emptied.push(std::mem::replace(event, next));
        Some(at)
    }

    /// Blocks until something came, [`Waker::wake`] was called, or after `at_most` of real time.
    pub fn wait(&self, at_most: Duration) {
        if self.taken.is_empty() {
            self.handle.shared.wait(at_most);
        }
    }

    /// The clock that events are stamped by.
    pub fn now(&self) -> UnixNanos {
        self.time.now()
    }

    pub fn time(&self) -> Arc<dyn Time> {
        self.time.clone()
    }

    /// What people should hear of, in order; emptied by the call.
    pub fn notices(&self) -> Vec<Notice> {
        self.handle.shared.notices()
    }

    pub fn status(&self) -> Status {
        self.handle.shared.status()
    }

    /// What is closed, if that has changed since the last call: to be kept for the next process.
    pub fn closures_changed(&self) -> Option<Vec<Closure>> {
        self.handle.shared.take_closures()
    }

    /// For other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn waker(&self) -> Waker {
        Waker(self.handle.shared.clone())
    }

    /// Why nothing will come any more, once that is so.
    pub fn ended(&self) -> Option<String> {
        self.handle.shared.ended()
    }

    /// Lets the parts leave: what they still want from the venue goes out, then the sockets close, after `within` of
    /// real time at the latest. Events go on coming; [`Running::ended`] says when it is over.
    pub fn begin_stop(&self, within: Duration) {
        self.stop.ask(within);
    }

    /// As [`Running::begin_stop`], and blocks until it is over. What came meanwhile can still be polled.
    pub fn stop(&mut self, within: Duration) {
        self.stop.ask(within);
        if let Some(thread) = self.thread.take() {
            // A panic was told as the reason why it ended.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Makes [`Running::wait`] return, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

impl Waker {
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// One-shot requests and looks at the state, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    guests: mpsc::Sender<Guest>,
}

impl Handle {
    /// Sends one request within the gateway's budget and blocks until its answer, whatever its status. `within` is how
    /// long it may wait for room, on the gateway's clock; `at_most` bounds everything, in real time. Not to be called
    /// on the gateway's own thread.
    ///
    /// # Errors
    /// [`RequestError`], by what may be concluded.
    pub fn request(
        &self,
        (lane, cost): (Lane, Cost),
        base: BaseNo,
        draft: Box<dyn Draft>,
        within: Nanos,
        at_most: Duration,
    ) -> Result<HttpResponse, RequestError> {
        let (reply, answer) = sync_channel(1);
        let ask = Ask { tag: 0, lane, cost, within, base, draft };
        let not_sent = |why: &str| RequestError::NotSent { why: why.into(), retry_after: Some(Nanos::from_secs(1)) };
        self.guests.try_send(Guest { ask, reply }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => not_sent("too many requests wait for the gateway"),
            mpsc::error::TrySendError::Closed(_) => not_sent("the gateway has ended"),
        })?;
        match answer.recv_timeout(at_most.saturating_add(PATIENCE)) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(RequestError::Unknown { why: "no answer in time".into() }),
            Err(RecvTimeoutError::Disconnected) => Err(RequestError::Unknown { why: "the gateway has ended".into() }),
        }
    }

    pub fn status(&self) -> Status {
        self.shared.status()
    }
}
