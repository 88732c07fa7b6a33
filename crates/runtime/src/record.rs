//! The recorder: follows the audit stream into the SQLite store, the log and the alerts, on its own thread.
//! Never: holds up a paced kernel. What it cannot take in time is counted, and the store rebuilt from the journal.

mod rows;

use crate::RunError;
use crate::alerts::Alerts;
use crate::config::{Settings, Speed};
use crate::runs::{self, RunRecord, RunStatus};
use crate::shard::Observer;
use crate::shard::recover::Inputs;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ctos_kernel::{Alarm, Audit, Output, ProcessState};
use ctos_storage::home::{Home, RunDir};
use ctos_storage::projection::{Projection, ProjectionError, ProjectionRow, RunRow};
use ctos_types::{KillState, UnixNanos};
use rows::Mapper;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Steps waiting to be recorded.
const QUEUE: usize = 1024;
/// Rows, or time, after which a transaction is committed.
const COMMIT_ROWS: usize = 5_000;
const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// One step's audit on its way to the recorder.
struct Batch {
    seq: u64,
    at: UnixNanos,
    audits: Vec<Audit>,
}

/// The recorder's end in the shard.
struct Tap {
    queue: Sender<Batch>,
    /// Wait for room instead of dropping: where real time does not matter.
    wait: bool,
    missed: Arc<AtomicU64>,
}

impl Observer for Tap {
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>) {
        let batch = Batch { seq, at, audits: std::mem::take(audits) };
        if self.wait {
            // Fails only when the recorder is gone; the journal has everything then.
            let _ = self.queue.send(batch);
        } else if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(batch) {
            self.missed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[derive(Debug)]
pub struct Recorder {
    queue: Sender<Batch>,
    wait: bool,
    missed: Arc<AtomicU64>,
    thread: JoinHandle<()>,
    home: Arc<Home>,
    run_id: String,
}

impl Recorder {
    /// Opens the store, rebuilding it where it is damaged or behind, and starts following.
    pub fn start(
        home: &Arc<Home>,
        record: &RunRecord,
        settings: &Settings,
        alerts: Alerts,
    ) -> Result<Recorder, RunError> {
        let path = home.projection_path();
        let store = open_or_replace(&path)?;
        let (queue, inbox) = bounded(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let mapper = Mapper::of(record);
        let worker = Worker {
            store: Some(store),
            path,
            run_id: record.run_id.clone(),
            mapper,
            alerts,
            pending: Vec::new(),
            upto: 0,
        };
        let dir = home.run(&record.run_id)?;
        let row = rows::run_row(record, &dir, None);
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || worker.run(&inbox, &row))
            .expect("the operating system starts a thread");
        let wait = settings.speed == Speed::Max;
        Ok(Recorder { queue, wait, missed, thread, home: home.clone(), run_id: record.run_id.clone() })
    }

    /// The shard's end.
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(Tap { queue: self.queue.clone(), wait: self.wait, missed: self.missed.clone() })
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
            if let Err(error) = rebuild_run(&self.home, &self.run_id) {
                tracing::error!(%error, "the store could not be rebuilt");
            }
        }
    }
}

/// Opens the store. A damaged file is moved aside, because everything in it can be had from the journals.
fn open_or_replace(path: &Path) -> Result<Projection, RunError> {
    match Projection::open(path) {
        Ok(store) => Ok(store),
        Err(ProjectionError::Corrupt { why, .. }) => {
            let aside = path.with_extension("damaged");
            tracing::warn!(%why, kept = %aside.display(), "the store is damaged: starting a new one");
            std::fs::rename(path, &aside).map_err(RunError::internal)?;
            for extra in ["sqlite-wal", "sqlite-shm"] {
                let _ = std::fs::remove_file(path.with_extension(extra));
            }
            Ok(Projection::open(path)?)
        }
        Err(e) => Err(e.into()),
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
    /// `None` once the store failed: the log and the alerts go on.
    store: Option<Projection>,
    path: PathBuf,
    run_id: String,
    mapper: Mapper,
    alerts: Alerts,
    pending: Vec<ProjectionRow>,
    upto: u64,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Batch>, row: &RunRow) {
        let put = self.store.as_mut().map_or(Ok(()), |s| s.put_run(row));
        self.check(put);
        let mut last_commit = Instant::now();
        loop {
            match inbox.recv_timeout(COMMIT_EVERY) {
                Ok(batch) => self.take(batch),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => break,
            }
            if self.pending.len() >= COMMIT_ROWS || last_commit.elapsed() >= COMMIT_EVERY {
                self.commit();
                last_commit = Instant::now();
            }
        }
        self.commit();
    }

    fn take(&mut self, batch: Batch) {
        for audit in &batch.audits {
            self.tell(audit);
        }
        self.upto = batch.seq;
        if self.store.is_some() {
            self.mapper.rows(batch.seq, batch.at, &batch.audits, &mut self.pending);
        }
    }

    fn commit(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let applied = self.store.as_mut().map_or(Ok(()), |s| s.apply(&self.run_id, self.upto, &self.pending));
        self.pending.clear();
        self.check(applied);
    }

    /// A store that fails costs only itself.
    fn check(&mut self, result: Result<(), ProjectionError>) {
        if let Err(error) = result {
            tracing::error!(%error, path = %self.path.display(), "the store is not written any more; trading goes on, rebuild it later with `ctos doctor --rebuild-store`");
            self.store = None;
        }
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
            | Audit::Equity { .. } => {}
        }
    }
}

/// Rebuilds the whole store from what the journals of all runs still hold. Returns the number of runs.
pub fn rebuild(home: &Home) -> Result<usize, RunError> {
    open_or_replace(&home.projection_path())?;
    let runs = home.runs()?;
    for dir in &runs {
        rebuild_run(home, &dir.id)?;
    }
    Ok(runs.len())
}

/// Rebuilds one run's part of the store.
pub fn rebuild_run(home: &Home, run_id: &str) -> Result<(), RunError> {
    let dir = home.run(run_id)?;
    let record = runs::record_of(&dir)?;
    let mut store = Projection::open(&home.projection_path())?;
    store.reset(run_id)?;
    store.put_run(&rows::run_row(&record, &dir, summary_of(&dir)?))?;
    let (mut kernel, snapshot, reader) = runs::from_journal(&dir, &record)?;
    if let Some(snapshot) = snapshot {
        let body = crate::shard::recover::read_body(&snapshot).map_err(RunError::Internal)?;
        kernel.restore(&body.kernel).map_err(RunError::internal)?;
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
    store.apply(run_id, kernel.next_input().saturating_sub(1), &rows)?;
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
