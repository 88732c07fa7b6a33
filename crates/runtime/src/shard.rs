//! One shard: kernel, driver and journal on one thread. Stamps every input, journals it, steps the kernel, makes the
//! cause of each command durable and only then lets the command leave.
//! Never: reads a clock to decide anything (market time comes from the driver), starts a thread, knows a face.

pub mod recover;
mod venue;

pub use recover::{RecoverError, Recovery};

use self::venue::{Venue, not_sent};
use crate::live::{Gateway, Inlet};
use crate::stats::Stats;
use crate::summary::LatencySummary;
use ctos_driver_paper::PaperDriver;
use ctos_kernel::{Approved, Audit, Kernel, Output};
use ctos_storage::journal::{Journal, JournalError};
use ctos_storage::snapshot::{Retention, SnapshotError, SnapshotStore};
use ctos_types::{AccountEvent, Command, Control, Event, EventBuf, Nanos, RejectReason, Stamped, Text, UnixNanos};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::Any;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Hears every step's audit. Called on the shard's thread: hand over and return.
pub trait Observer: Send + Any {
    /// `kernel` is as it stands after the step.
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>, kernel: &Kernel);

    /// The journal behind older snapshots is about to go: what was told so far should not need it any more.
    fn before_retention(&mut self) {}
}

/// Is told everything, and keeps nothing of it.
impl Observer for () {
    fn on_step(&mut self, _: u64, _: UnixNanos, _: &mut Vec<Audit>, _: &Kernel) {}
}

#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    #[error("a snapshot cannot be written: {0}")]
    Snapshot(#[from] SnapshotError),
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
}

/// Where snapshots go and how long they and the journal stay.
#[derive(Clone, Debug)]
pub struct Keep {
    pub store: SnapshotStore,
    pub journal_dir: PathBuf,
    pub retention: Retention,
    /// Inputs between snapshots.
    pub every: u64,
}

/// Market time the end of a run waits for its cancels to be answered.
const SETTLE: Nanos = Nanos::from_secs(120);
/// A backtest times one step of 64.
const BACKTEST_UNTIMED: u64 = 63;

/// Version of the snapshot body: kernel, driver, stats.
pub const SNAPSHOT_SCHEMA: u32 = 1;

/// What a shard is made of.
pub struct Parts {
    pub kernel: Kernel,
    pub driver: PaperDriver,
    /// `None`: a backtest, of which nothing has to survive.
    pub durable: Option<Durable>,
}

/// What a shard is made of whose market comes in as it happens.
pub struct LiveParts {
    pub kernel: Kernel,
    pub venue: LiveVenue,
    pub durable: Durable,
}

/// Who answers its orders.
#[derive(Debug)]
pub enum LiveVenue {
    /// A simulated exchange over the inlet's market, and without a feed latency of its own.
    Paper(Box<PaperDriver>, Inlet),
    /// Whoever the gateway leads to.
    Real,
}

impl std::fmt::Debug for LiveParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveParts").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

/// Either of the two, put together.
pub struct Assembly {
    kernel: Kernel,
    venue: Venue,
    durable: Option<Durable>,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembly").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

impl From<Parts> for Assembly {
    fn from(Parts { kernel, driver, durable }: Parts) -> Assembly {
        let venue = match durable {
            Some(_) => Venue::Shared(Arc::new(Mutex::new(driver))),
            None => Venue::Own(Box::new(driver)),
        };
        Assembly { kernel, venue, durable }
    }
}

impl From<LiveParts> for Assembly {
    fn from(LiveParts { kernel, venue, durable }: LiveParts) -> Assembly {
        let venue = match venue {
            LiveVenue::Paper(driver, inlet) => Venue::fed(*driver, inlet),
            LiveVenue::Real => Venue::live(),
        };
        Assembly { kernel, venue, durable: Some(durable) }
    }
}

/// How a run is made to survive.
#[derive(Debug)]
pub struct Durable {
    pub journal: Journal,
    pub snapshots: Keep,
    /// Whether a command waits until its cause is as durable as the journal promises. Off for `--speed max`.
    pub sync: bool,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

/// What a snapshot is written from.
#[derive(Serialize)]
struct BodyRef<'a> {
    kernel: ctos_kernel::Saved<'a>,
    /// Null where the venue is real: what it is, only it can say.
    driver: Option<ctos_driver_paper::Saved<'a>>,
    stats: &'a Stats,
}

/// What a snapshot holds.
#[derive(Debug, Deserialize)]
pub struct Body {
    pub kernel: Value,
    pub driver: Value,
    pub stats: Stats,
}

pub struct Shard {
    kernel: Kernel,
    venue: Venue,
    disk: Option<Disk>,
    stats: Stats,
    latency: Histogram<u64>,
    /// Steps whose sequence has one of these bits are not timed.
    untimed: u64,
    observer: Box<dyn Observer>,
    /// The event in work, kept for its storage.
    current: Option<Box<EventBuf>>,
    /// What the last step produced, kept for its storage.
    output: Option<Box<Output>>,
    /// Inputs that did not come from the driver and must be stepped before anything else.
    injected: VecDeque<EventBuf>,
    /// Why the journal is no longer written, if it is not.
    degraded: Option<String>,
    /// Market time of the input in work or of the last one, for whoever must not wait for this thread.
    clock: Arc<AtomicI64>,
}

struct Disk {
    journal: Arc<Mutex<Journal>>,
    snapshots: Keep,
    sync: bool,
    /// The input after which one is due.
    next_snapshot: u64,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("kernel", &self.kernel).field("degraded", &self.degraded).finish_non_exhaustive()
    }
}

/// A poisoned lock means that a thread died holding plain data: the data is still the best there is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn assemble(parts: Assembly, stats: Stats, observer: Box<dyn Observer>) -> Shard {
        let next = parts.kernel.next_input();
        let disk = parts.durable.map(|Durable { journal, snapshots, sync }| Disk {
            journal: Arc::new(Mutex::new(journal)),
            next_snapshot: next + snapshots.every,
            snapshots,
            sync,
        });
        let clock = Arc::new(AtomicI64::new(parts.kernel.now().0));
        Shard {
            clock,
            kernel: parts.kernel,
            venue: parts.venue,
            // Reading the clock twice costs as much as many a step: a backtest does it now and then.
            untimed: if disk.is_some() { 0 } else { BACKTEST_UNTIMED },
            disk,
            stats,
            latency: LatencySummary::histogram(),
            observer,
            current: None,
            output: None,
            injected: VecDeque::new(),
            degraded: None,
        }
    }

    /// A new run: declares the starting balances and starts the strategies at `start`.
    pub fn begin(
        parts: impl Into<Assembly>,
        start: UnixNanos,
        balances: &[AccountEvent],
        observer: Box<dyn Observer>,
    ) -> Result<Shard, ShardError> {
        let mut shard = Shard::assemble(parts.into(), Stats::default(), observer);
        shard.complete_start(start, balances)?;
        Ok(shard)
    }

    /// A new run whose first input is still to come.
    pub fn new(parts: impl Into<Assembly>, observer: Box<dyn Observer>) -> Shard {
        Shard::assemble(parts.into(), Stats::default(), observer)
    }

    /// Opens the way to the venue. Real accounts are not known until the venue was asked, whatever the journal says.
    pub fn attach(&mut self, gateway: Box<dyn Gateway>) -> Result<(), ShardError> {
        let at = gateway.now();
        self.venue.attach(self.kernel.now(), gateway);
        if !self.venue.is_live() {
            return Ok(());
        }
        let accounts: Vec<_> = self.kernel.accounts().iter().map(|a| a.id).collect();
        for account in accounts {
            self.input(at, Event::Account(&AccountEvent::Standing { account, known: false }))?;
        }
        self.sync()
    }

    /// The way to the venue, where there is one.
    pub fn gateway(&mut self) -> Option<&mut Box<dyn Gateway>> {
        self.venue.gateway()
    }

    /// Takes in what is missing of a run's first inputs: the balances in their order, then the start.
    pub fn complete_start(&mut self, start: UnixNanos, balances: &[AccountEvent]) -> Result<(), ShardError> {
        while let Some(balance) = balances.get(self.kernel.next_input() as usize) {
            self.input(start, Event::Account(balance))?;
        }
        if self.kernel.next_input() == balances.len() as u64 {
            self.input(start, Event::Control(&Control::Start))?;
        }
        Ok(())
    }

    /// Steps the next input that is due not later than `until`. `false` when none is.
    pub fn advance(&mut self, until: UnixNanos) -> Result<bool, ShardError> {
        if !self.injected.is_empty() {
            return self.take_injected();
        }
        let deadline = self.kernel.next_deadline().unwrap_or(UnixNanos::MAX);
        let mut current = self.current.take().unwrap_or_default();
        let (polled, finished) = self.venue.poll(until.min(deadline), &mut current);
        let stepped = match polled {
            Some(at) => {
                self.take_in(at, &current.as_event())?;
                true
            }
            // Time ends with the market: timers beyond it would fire for ever.
            None if finished => false,
            None if deadline <= until && deadline < UnixNanos::MAX => {
                self.input(deadline, Event::Wake)?;
                true
            }
            None => false,
        };
        self.current = Some(current);
        Ok(stepped)
    }

    #[cold]
    fn take_injected(&mut self) -> Result<bool, ShardError> {
        let Some(event) = self.injected.pop_front() else { return Ok(false) };
        let at = self.kernel.now();
        self.input(at, event.as_event())?;
        Ok(true)
    }

    /// Ends the run: stops the strategies at market time `at` (or the kernel's own if that is later) and lets the venue
    /// answer the last cancels. Returns how many orders are still open after that.
    pub fn stop(&mut self, at: UnixNanos, reason: &str) -> Result<usize, ShardError> {
        self.control(at, &Control::Stop { reason: reason.into() })?;
        self.settle()
    }

    /// Lets the venue answer the last cancels.
    pub fn settle(&mut self) -> Result<usize, ShardError> {
        let until = self.kernel.now().after(SETTLE);
        while self.kernel.orders().open_count() > 0 || self.in_flight() {
            if !self.advance(until)? {
                break;
            }
        }
        Ok(self.kernel.orders().open_count())
    }

    /// Steps an input from outside the market, at market time `at` or the kernel's own time if that is later.
    /// When this returns, the input is as durable as commands are.
    pub fn control(&mut self, at: UnixNanos, control: &Control) -> Result<(), ShardError> {
        if matches!(self.venue, Venue::Fed(_)) {
            // What came in before it is stepped before it: a repetition could not know what it had overtaken.
            while self.advance(at)? {}
        }
        self.input(at, Event::Control(control))?;
        self.sync()
    }

    fn input(&mut self, at: UnixNanos, event: Event<'_>) -> Result<(), ShardError> {
        self.take_in(at, &event)
    }

    /// One copy for the loop and one for everything else, each without a call of its own: an input is short.
    #[inline(always)]
    fn take_in(&mut self, at: UnixNanos, event: &Event<'_>) -> Result<(), ShardError> {
        if self.disk.is_some() {
            self.journal_input(at, event)?;
        }
        let (seq, at) = (self.kernel.next_input(), at.max(self.kernel.now()));
        self.step(seq, at, event)?;
        if self.disk().is_some_and(|disk| seq + 1 >= disk.next_snapshot) {
            self.snapshot()?;
        }
        Ok(())
    }

    fn journal_input(&mut self, at: UnixNanos, event: &Event<'_>) -> Result<(), ShardError> {
        let input = Stamped { seq: self.kernel.next_input(), at: at.max(self.kernel.now()), event: *event };
        match self.disk().map(|disk| lock(&disk.journal).append_input(&input)) {
            Some(Err(error)) => self.degrade(&error),
            _ => Ok(()),
        }
    }

    /// Where the run is kept, while that works.
    fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref().filter(|_| self.degraded.is_none())
    }

    #[inline(always)]
    fn step(&mut self, seq: u64, at: UnixNanos, event: &Event<'_>) -> Result<(), ShardError> {
        self.clock.store(at.0, Ordering::Release);
        let begun = (seq & self.untimed == 0).then(Instant::now);
        self.kernel.step_on(seq, at, event);
        if let Some(begun) = begun {
            let nanos = begun.elapsed().as_nanos() as u64;
            self.latency.saturating_record(nanos.max(1));
        }
        self.stats.on_input(event);
        if self.kernel.has_output() {
            self.hand_on(seq, at)?;
        }
        Ok(())
    }

    /// What a step produced goes where it belongs.
    fn hand_on(&mut self, seq: u64, at: UnixNanos) -> Result<(), ShardError> {
        let mut out = self.output.take().unwrap_or_default();
        self.kernel.swap_output(&mut out);
        self.stats.on_audits(&out.audits);
        if !out.commands.is_empty() {
            // A journal that fails on the way steps the kernel once more.
            self.release(seq, at, &mut out.commands)?;
        }
        if !out.audits.is_empty() {
            self.observer.on_step(seq, at, &mut out.audits, &self.kernel);
        }
        self.kernel.empty(&mut out);
        self.output = Some(out);
        Ok(())
    }

    /// Lets commands leave, once their cause is durable.
    fn release(&mut self, seq: u64, at: UnixNanos, commands: &mut Vec<Approved<Command>>) -> Result<(), ShardError> {
        let durable = self.disk().map_or(Ok(()), |disk| disk.append(seq, commands));
        if let Err(error) = durable {
            self.withhold(commands, &error);
            self.degrade(&error)?;
        } else if self.degraded.is_some() {
            commands.retain(|c| c.get().only_reduces());
        }
        self.venue.send(at, commands, &mut self.injected);
        Ok(())
    }

    /// Keeps back what could add risk and tells the kernel that it never left.
    fn withhold(&mut self, commands: &mut Vec<Approved<Command>>, error: &JournalError) {
        let (code, now) = (Text::cut(&error.to_string()), self.kernel.now());
        let told = commands.iter().filter_map(|c| not_sent(c.get(), now, RejectReason::Other, code));
        self.injected.extend(told.map(EventBuf::from));
        commands.retain(|c| c.get().only_reduces());
    }

    /// The journal failed: no new risk from here on. Tries to leave a trace with the reserve that was kept for this.
    fn degrade(&mut self, error: &JournalError) -> Result<(), ShardError> {
        if self.degraded.is_some() {
            return Ok(());
        }
        self.degraded = Some(error.to_string());
        tracing::error!(%error, "the journal cannot be written: no new risk, cancelling open orders");
        let control = Control::JournalFailed { error: error.to_string() };
        let at = self.kernel.now();
        let input = Stamped { seq: self.kernel.next_input(), at, event: Event::Control(&control) };
        if let Some(disk) = &self.disk
            && let Err(second) = last_words(&mut lock(&disk.journal), error, &input)
        {
            tracing::error!(error = %second, "the halt itself could not be journaled; it holds in memory");
        }
        self.step(input.seq, at, &input.event)
    }

    /// Writes a snapshot after the last input, starts a new segment and lets go of what is no longer needed.
    pub fn snapshot(&mut self) -> Result<(), ShardError> {
        let next = self.kernel.next_input();
        let (Some(last), None, Some(disk)) = (next.checked_sub(1), &self.degraded, &mut self.disk) else {
            return Ok(());
        };
        disk.next_snapshot = next + disk.snapshots.every;
        let (kernel, stats) = (&self.kernel, &self.stats);
        let write = |driver: Option<&mut PaperDriver>| {
            let body = BodyRef { kernel: kernel.save(), driver: driver.map(|d| d.save()), stats };
            disk.write_snapshot(last, kernel.now(), &body)
        };
        let written = match self.venue.simulated(|driver| write(Some(driver))) {
            Some(written) => written,
            None => write(None),
        };
        let kept = written.and_then(|()| {
            self.observer.before_retention();
            disk.retain()
        });
        match kept {
            Err(ShardError::Journal(error)) => self.degrade(&error),
            // A snapshot only shortens recovery: without it the journal still has everything.
            Err(ShardError::Snapshot(error)) => {
                tracing::warn!(%error, "snapshot not written; trying again later");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Pushes what is buffered to the operating system. Called when the shard is idle.
    pub fn flush(&mut self) -> Result<(), ShardError> {
        self.with_journal(Journal::flush)
    }

    /// Ends the run's journal with a note and makes all of it durable.
    pub fn close(&mut self, end: &Value) -> Result<(), ShardError> {
        self.with_journal(|journal| journal.append_note(end).and_then(|()| journal.sync()))
    }

    /// Makes everything up to the last input as durable as the journal promises.
    pub fn sync(&mut self) -> Result<(), ShardError> {
        self.with_journal(Journal::sync)
    }

    fn with_journal(&mut self, act: impl FnOnce(&mut Journal) -> Result<(), JournalError>) -> Result<(), ShardError> {
        let result = self.disk().map_or(Ok(()), |disk| act(&mut lock(&disk.journal)));
        if let Err(error) = result { self.degrade(&error) } else { Ok(()) }
    }

    // ---- views

    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
    pub fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }
    /// Market time in nanoseconds of the input in work, or of the last one.
    pub fn clock(&self) -> &Arc<AtomicI64> {
        &self.clock
    }
    /// For whoever must reach the simulated venue past this thread; `None` in a backtest, and where the venue is real.
    pub fn driver(&self) -> Option<&Arc<Mutex<PaperDriver>>> {
        self.venue.shared()
    }
    /// Whether orders go to a real venue.
    pub fn is_live(&self) -> bool {
        self.venue.is_live()
    }
    /// Digest of the market data handed out so far.
    pub fn source_digest(&self) -> [u8; 32] {
        self.venue.source_digest()
    }
    /// `None` in a backtest.
    pub fn journal(&self) -> Option<&Arc<Mutex<Journal>>> {
        self.disk.as_ref().map(|disk| &disk.journal)
    }
    pub fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.observer = observer;
    }
    /// Gives back the kernel as it stands, and the observer, for who knows what it is.
    pub fn into_parts(self) -> (Kernel, Box<dyn Any>) {
        (self.kernel, self.observer)
    }
    /// Whether anything is still on its way between kernel and venue.
    pub fn in_flight(&mut self) -> bool {
        !self.injected.is_empty() || self.venue.in_flight()
    }
    /// Whether the market has ended and nothing is on its way any more.
    pub fn is_finished(&mut self) -> bool {
        self.injected.is_empty() && self.venue.is_finished()
    }
}

impl Disk {
    fn append(&self, seq: u64, commands: &[Approved<Command>]) -> Result<(), JournalError> {
        let mut journal = lock(&self.journal);
        for command in commands {
            journal.append_command(seq, command.get())?;
        }
        if self.sync { journal.sync() } else { Ok(()) }
    }

    fn write_snapshot(&self, last: u64, now: UnixNanos, body: &BodyRef<'_>) -> Result<(), ShardError> {
        let mut journal = lock(&self.journal);
        // The snapshot stands for everything before it, so that must be in the journal's files first.
        journal.sync()?;
        self.snapshots.store.write(SNAPSHOT_SCHEMA, last, now, body)?;
        Ok(journal.start_segment(last + 1)?)
    }

    fn retain(&self) -> Result<(), ShardError> {
        let kept = self.snapshots.store.retain(&self.snapshots.journal_dir, self.snapshots.retention)?;
        if kept.over_budget > 0 {
            tracing::warn!(
                bytes = kept.bytes,
                over = kept.over_budget,
                "journal.max_mb is too small for what recovery needs"
            );
        }
        Ok(())
    }
}

/// Journals a halt on a full disk, in the space that was kept aside for it. Other failures leave nothing to write to.
fn last_words(journal: &mut Journal, error: &JournalError, input: &Stamped<Event<'_>>) -> Result<(), JournalError> {
    if !matches!(error, JournalError::Full { .. }) || !journal.release_reserve()? {
        return Ok(());
    }
    if journal.next_seq() == input.seq {
        journal.append_input(input)?;
        journal.sync()?;
    }
    Ok(())
}
