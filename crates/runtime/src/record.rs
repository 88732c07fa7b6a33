//! The recorder: follows the audit stream into the SQLite store, the log and the alerts, on its own thread.
//! Never: holds up a paced kernel. What it cannot take in time is counted, and the store rebuilt from the journal.

mod rows;

use crate::RunError;
use crate::alerts::Alerts;
use crate::config::{Settings, Speed};
use crate::runs::{self, RunRecord, RunStatus};
use crate::shard::Observer;
use crate::shard::recover::Inputs;
use crate::world::Catalog;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ctos_kernel::{Alarm, Audit, Kernel, Output, ProcessState};
use ctos_storage::fs::RealFs;
use ctos_storage::home::{Home, RunDir};
use ctos_storage::journal::{JournalError, JournalReader};
use ctos_storage::projection::{Projection, ProjectionError, ProjectionRow, RunRow};
use ctos_types::{KillState, UnixNanos};
use rows::Mapper;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Steps waiting to be recorded; fewer where the shard waits for room, which then costs nothing but memory.
const QUEUE: usize = 1024;
const QUEUE_WAITING: usize = 32;
/// Rows, or time, after which a transaction is committed.
const COMMIT_ROWS: usize = 500;
/// Closed orders, fills, equity points and events of a run that the store keeps, each; older ones go, looked for after
/// this many transactions.
const KEPT_ROWS: u32 = 200_000;
const PRUNE_EVERY: u64 = 200;
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How long a store that another process keeps locked is left alone before the next try, and how many rows may wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const MAX_WAITING_ROWS: usize = 200_000;

/// What the shard sends.
enum Message {
    Step(Batch),
    /// Commit what came before, then answer.
    Commit(Sender<()>),
}

/// One step's audit on its way to the recorder.
struct Batch {
    seq: u64,
    at: UnixNanos,
    audits: Vec<Audit>,
}

/// The recorder's end in the shard.
struct Tap {
    queue: Sender<Message>,
    /// Wait for room instead of dropping: where real time does not matter.
    wait: bool,
    missed: Arc<AtomicU64>,
}

impl Observer for Tap {
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>, _: &Kernel) {
        let batch = Message::Step(Batch { seq, at, audits: std::mem::take(audits) });
        if self.wait {
            // Fails only when the recorder is gone; the journal has everything then.
            let _ = self.queue.send(batch);
        } else if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(batch) {
            self.missed.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn before_retention(&mut self) {
        let (done, answer) = bounded(1);
        if self.wait {
            // Fails only when the recorder is gone: there is nothing to wait for then.
            if self.queue.send(Message::Commit(done)).is_ok() {
                let _ = answer.recv();
            }
        } else {
            // Without an answer: real time gives the recorder a whole snapshot interval, and at least two are kept.
            let _ = self.queue.try_send(Message::Commit(done));
        }
    }
}

#[derive(Debug)]
pub struct Recorder {
    queue: Sender<Message>,
    wait: bool,
    missed: Arc<AtomicU64>,
    thread: JoinHandle<()>,
    home: Arc<Home>,
    run_id: String,
    catalog: Catalog,
}

impl Recorder {
    /// Opens the store, a new one where it is damaged, and starts following. A store that cannot be opened now does
    /// not keep the run from starting; one of a newer program does.
    pub fn start(
        home: &Arc<Home>,
        record: &RunRecord,
        settings: &Settings,
        catalog: Catalog,
        alerts: Alerts,
    ) -> Result<Recorder, RunError> {
        let path = home.projection_path();
        let store = match open_or_replace(&path) {
            Ok(store) => Some(store),
            Err(StoreError::Projection(error @ ProjectionError::Busy { .. })) => {
                tracing::warn!(%error, "the run starts without its store; trying again later");
                None
            }
            Err(e) => return Err(e.into()),
        };
        let wait = settings.speed == Speed::Max;
        let (queue, inbox) = bounded(if wait { QUEUE_WAITING } else { QUEUE });
        let missed = Arc::new(AtomicU64::new(0));
        let mapper = Mapper::of(record);
        let worker = Worker {
            store,
            given_up: false,
            missed: missed.clone(),
            retry_at: None,
            path,
            run_id: record.run_id.clone(),
            row: Some(rows::run_row(record, &home.run(&record.run_id)?, None)),
            mapper,
            alerts,
            // Room for what one step adds to the last rows before a commit, so that it is not moved in a long run.
            pending: Vec::with_capacity(2 * COMMIT_ROWS),
            commits: 0,
            upto: None,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || worker.run(&inbox))
            .expect("the operating system starts a thread");
        Ok(Recorder { queue, wait, missed, thread, home: home.clone(), run_id: record.run_id.clone(), catalog })
    }

    /// The shard's end.
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(Tap { queue: self.queue.clone(), wait: self.wait, missed: self.missed.clone() })
    }

    /// Brings a store that the process left behind up to input `seq`, where the snapshot of a continued run ends: what
    /// is stepped from there on is all that the recorder will hear of.
    pub(crate) fn catch_up(&self, seq: u64) {
        let behind = || -> Result<bool, RunError> {
            let store = Projection::open(&self.home.projection_path())?;
            Ok(store.applied_seq(&self.run_id)?.is_none_or(|applied| applied < seq))
        };
        let caught_up =
            behind().and_then(|yes| if yes { refill(&self.home, &self.run_id, self.catalog, false) } else { Ok(()) });
        if let Err(error) = caught_up {
            self.missed.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(%error, "the store lacks a part of the run; it is rebuilt at the end");
        }
    }

    /// Waits until everything is recorded; what was missed is rebuilt from the journal.
    pub fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the recorder ended badly: rebuild the store with `ctos doctor --rebuild-store`");
            return;
        }
        let missed = self.missed.load(Ordering::Acquire);
        if missed > 0 {
            tracing::warn!(missed, "the store did not keep up with the run: rebuilding it from the journal");
            if let Err(error) = rebuild_run(&self.home, &self.run_id, self.catalog) {
                tracing::error!(%error, "the store could not be rebuilt");
            }
        }
    }
}

/// Why the store cannot be opened.
enum StoreError {
    Projection(ProjectionError),
    Aside(std::io::Error),
}

impl From<StoreError> for RunError {
    fn from(e: StoreError) -> RunError {
        match e {
            StoreError::Projection(e) => e.into(),
            StoreError::Aside(e) => RunError::internal(format!("the damaged store cannot be moved aside: {e}")),
        }
    }
}

/// Opens the store. A damaged file is moved aside, because everything in it can be had from the journals.
fn open_or_replace(path: &Path) -> Result<Projection, StoreError> {
    match Projection::open(path) {
        Ok(store) => Ok(store),
        Err(ProjectionError::Corrupt { why, .. }) => {
            let aside = path.with_extension("damaged");
            tracing::warn!(%why, kept = %aside.display(), "the store is damaged: starting a new one");
            std::fs::rename(path, &aside).map_err(StoreError::Aside)?;
            for extra in ["sqlite-wal", "sqlite-shm"] {
                let _ = std::fs::remove_file(path.with_extension(extra));
            }
            Projection::open(path).map_err(StoreError::Projection)
        }
        Err(e) => Err(StoreError::Projection(e)),
    }
}

impl From<ProjectionError> for RunError {
    fn from(e: ProjectionError) -> RunError {
        let hint = match &e {
            ProjectionError::Full { .. } => "free disk space",
            ProjectionError::ReadOnly { .. } => "make the home directory writable, or choose another with --home",
            ProjectionError::Busy { .. } => "close the program that has the database open",
            ProjectionError::Missing { .. } => "start a run first with `ctos run`",
            ProjectionError::Corrupt { .. } => "rebuild it with `ctos doctor --rebuild-store`",
            ProjectionError::Newer { .. } => "use the newer program, or delete the file and rebuild it",
            ProjectionError::OutOfRange { .. } | ProjectionError::Sqlite { .. } => return RunError::internal(e),
        };
        RunError::User(crate::UserError::new(e.to_string(), hint))
    }
}

struct Worker {
    /// `None` while it could not be opened yet, and once it failed: the log and the alerts go on.
    store: Option<Projection>,
    given_up: bool,
    missed: Arc<AtomicU64>,
    /// Real time before which a locked store is left alone.
    retry_at: Option<Instant>,
    path: PathBuf,
    run_id: String,
    /// The run's own row, until it is written.
    row: Option<RunRow>,
    mapper: Mapper,
    alerts: Alerts,
    pending: Vec<ProjectionRow>,
    /// Transactions so far.
    commits: u64,
    /// The last input taken in.
    upto: Option<u64>,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Message>) {
        self.commit();
        let mut last_commit = Instant::now();
        loop {
            let mut done = None;
            match inbox.recv_timeout(COMMIT_EVERY) {
                Ok(Message::Step(batch)) => self.take(batch),
                Ok(Message::Commit(answer)) => done = Some(answer),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => break,
            }
            if done.is_some() || self.pending.len() >= COMMIT_ROWS || last_commit.elapsed() >= COMMIT_EVERY {
                self.commit();
                last_commit = Instant::now();
            }
            // A shard that does not wait has let go of its end.
            let _ = done.map(|answer| answer.try_send(()));
        }
        self.retry_at = None;
        self.commit();
        if !self.pending.is_empty() {
            self.give_up(&"it is still locked by another process");
        }
    }

    fn take(&mut self, batch: Batch) {
        for audit in &batch.audits {
            self.tell(audit);
        }
        self.upto = Some(batch.seq);
        if !self.given_up {
            self.mapper.rows(batch.seq, batch.at, &batch.audits, &mut self.pending);
        }
    }

    fn commit(&mut self) {
        if self.given_up || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        match self.try_commit() {
            Ok(()) => {
                self.pending.clear();
                self.retry_at = None;
                self.prune();
            }
            Err(StoreError::Projection(error @ ProjectionError::Busy { .. }))
                if self.pending.len() < MAX_WAITING_ROWS =>
            {
                tracing::warn!(%error, rows = self.pending.len(), "the store has to wait");
                self.retry_at = Some(Instant::now() + RETRY_AFTER);
            }
            Err(StoreError::Projection(error)) => self.give_up(&error),
            Err(StoreError::Aside(error)) => self.give_up(&error),
        }
    }

    /// Now and then lets go of what is older than the store keeps. What fails now is done next time.
    fn prune(&mut self) {
        self.commits += 1;
        if !self.commits.is_multiple_of(PRUNE_EVERY) {
            return;
        }
        if let Some(Err(error)) = self.store.as_mut().map(|s| s.prune(&self.run_id, KEPT_ROWS)) {
            tracing::warn!(%error, "old rows of the store could not be removed");
        }
    }

    fn try_commit(&mut self) -> Result<(), StoreError> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(open_or_replace(&self.path)?),
        };
        if let Some(row) = &self.row {
            store.put_run(row).map_err(StoreError::Projection)?;
            self.row = None;
        }
        match self.upto.filter(|_| !self.pending.is_empty()) {
            Some(upto) => store.apply(&self.run_id, upto, &self.pending).map_err(StoreError::Projection),
            None => Ok(()),
        }
    }

    /// A store that fails costs only itself.
    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, path = %self.path.display(), "the store is not written any more; trading goes on, the store is rebuilt when the run ends");
        self.store = None;
        self.given_up = true;
        self.pending.clear();
        self.missed.fetch_add(1, Ordering::AcqRel);
    }

    /// What people hear of, as it happens.
    fn tell(&self, audit: &Audit) {
        let m = &self.mapper;
        match audit {
            Audit::Fill { strategy, instrument, fill, realized, .. } => {
                let i = m.instrument(*instrument);
                tracing::info!(
                    strategy = m.strategy(*strategy), symbol = %i.symbol, side = ?fill.side, qty = i.qty_text(fill.last_qty),
                    px = i.price_text(fill.last_px), liquidity = ?fill.liquidity, fee = %fill.fee, realized = %realized, "fill"
                );
            }
            Audit::Denied { order, denied } => {
                tracing::warn!(strategy = m.strategy(order.strategy), order = %order.cl_ord_id, "{denied}");
            }
            Audit::Process { strategy, state: ProcessState::Failed { reason } } => {
                self.alerts.send("strategy", &format!("strategy {} failed: {reason}", m.strategy(*strategy)));
            }
            Audit::Process { strategy, state } => tracing::info!(strategy = m.strategy(*strategy), ?state, "strategy"),
            Audit::Kill { scope, state: KillState::Active, reason } => {
                tracing::info!(scope = m.scope(*scope), reason, "released");
            }
            Audit::Kill { scope, state, reason } => {
                self.alerts
                    .send("kill_switch", &format!("{} is {}: {reason}", m.scope(*scope), rows::kill_text(*state)));
            }
            Audit::Standing { account, known: true } => {
                tracing::info!(account = m.account(*account), "the venue's word and ours agree");
            }
            Audit::Standing { account, known: false } => {
                tracing::warn!(account = m.account(*account), "not known what the venue has: no new risk until it is");
            }
            Audit::Adopted { account, instrument, qty, px, .. } => {
                let i = m.instrument(*instrument);
                let (account, qty) = (m.account(*account), i.qty_text(*qty));
                tracing::warn!(account, symbol = %i.symbol, qty, %px, "a position of others is taken into the books");
            }
            Audit::Rules { instrument, rules } => {
                let i = m.instrument(*instrument);
                let (tick, lot) = (i.price_text(rules.tick), i.qty_text(rules.lot));
                let (min_qty, max_qty) = (i.qty_text(rules.min_qty), i.qty_text(rules.max_qty));
                let (min_notional, trading) = (rules.min_notional, rules.trading);
                let symbol = &i.symbol;
                tracing::warn!(%symbol, tick, lot, min_qty, max_qty, %min_notional, trading, "the venue changed its rules");
            }
            Audit::HaltVerified { scope } => tracing::info!(scope = m.scope(*scope), "halt verified: no order is open"),
            Audit::BookInvalid { instrument } => {
                tracing::warn!(symbol = %m.instrument(*instrument).symbol, "book unknown: updates were lost");
            }
            Audit::BarsUnusable { instrument, have, want } => {
                let symbol = &m.instrument(*instrument).symbol;
                tracing::warn!(%symbol, "bars of {want} cannot be made from this market's bars of {have}: set the strategy's interval to {have} or a multiple");
            }
            Audit::Alarm(Alarm::DuplicateFill { .. }) => tracing::warn!("{}", m.alarm_text(audit)),
            Audit::Alarm(_) => self.alerts.send("alarm", &m.alarm_text(audit)),
            Audit::Note { strategy, text } => tracing::info!(strategy = m.strategy(*strategy), "{text}"),
            Audit::Order { .. }
            | Audit::Position { .. }
            | Audit::Balance { .. }
            | Audit::Funding { .. }
            | Audit::Equity { .. }
            | Audit::Plot { .. } => {}
        }
    }
}

/// Rebuilds the whole store from what the journals of all runs still hold. Returns the number of runs.
pub fn rebuild(home: &Home, catalog: Catalog) -> Result<usize, RunError> {
    open_or_replace(&home.projection_path())?;
    let runs = home.runs()?;
    for dir in &runs {
        rebuild_run(home, &dir.id, catalog)?;
    }
    Ok(runs.len())
}

/// Rebuilds one run's part of the store. What is older than the journal's oldest snapshot stays as it is: the journal
/// does not have it any more.
pub fn rebuild_run(home: &Home, run_id: &str, catalog: Catalog) -> Result<(), RunError> {
    refill(home, run_id, catalog, true)
}

/// Applies what the journal holds; with `anew` over what the store has, else behind it.
fn refill(home: &Home, run_id: &str, catalog: Catalog, anew: bool) -> Result<(), RunError> {
    let dir = home.run(run_id)?;
    let record = runs::record_of(&dir)?;
    let mut store = Projection::open(&home.projection_path())?;
    store.put_run(&rows::run_row(&record, &dir, summary_of(&dir)?))?;
    if let Err(JournalError::Missing { .. }) = JournalReader::open(Arc::new(RealFs), &dir.journal_dir()) {
        // Cut off before its first input.
        return Ok(store.reset_from(run_id, 0)?);
    }
    let (mut kernel, snapshot, reader) = runs::from_journal(&dir, &record, catalog)?;
    if let Some(snapshot) = snapshot {
        let body = crate::shard::recover::read_body(&snapshot).map_err(RunError::Internal)?;
        kernel.restore(&body.kernel).map_err(RunError::internal)?;
    }
    if anew {
        store.reset_from(run_id, kernel.next_input())?;
    }
    let mut mapper = Mapper::of(&record);
    let (mut inputs, mut out, mut rows) = (Inputs::new(reader), Output::default(), Vec::new());
    while let Some(journaled) = inputs.next()? {
        if journaled.seq < kernel.next_input() {
            continue;
        }
        journaled.step(&mut kernel, &mut out);
        mapper.rows(journaled.seq, journaled.at, &out.audits, &mut rows);
        if rows.len() >= COMMIT_ROWS {
            store.apply(run_id, journaled.seq, &rows)?;
            rows.clear();
        }
    }
    if let Some(last) = kernel.next_input().checked_sub(1) {
        store.apply(run_id, last, &rows)?;
    }
    Ok(())
}

fn summary_of(dir: &RunDir) -> Result<Option<String>, RunError> {
    let summary: Option<serde_json::Value> = dir.read_summary()?;
    Ok(summary.map(|s| s.to_string()))
}

/// The run's own row at its end.
pub(crate) fn close_run(home: &Home, record: &RunRecord) -> Result<(), RunError> {
    let dir = home.run(&record.run_id)?;
    let mut store = Projection::open(&home.projection_path())?;
    let row = rows::run_row(record, &dir, summary_of(&dir)?);
    debug_assert_eq!(record.status, RunStatus::Finished);
    Ok(store.put_run(&row)?)
}
