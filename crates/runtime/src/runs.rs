//! Runs in a home: start a new one, or go on with one that was cut off.
//! Never: silently mixes two runs. A cut-off run with other settings must be finished or given up by name.

mod live;

use crate::alerts::Alerts;
use crate::config::{Mode, Settings, Speed, SyncSetting};
use crate::instance::{Instance, Names, Start, launch};
use crate::live::{Callers, Opener};
use crate::record::Recorder;
use crate::shard::recover::{Inputs, read_body};
use crate::shard::{Durable, Keep, Parts, RecoverError, Recovery, Shard};
use crate::summary::{RunFacts, Summary};
use crate::watchdog::Intervention;
use crate::world::{self, Catalog, World};
use crate::{RunError, UserError};
use ctos_kernel::Output;
use ctos_kernel::kill::Latch;
use ctos_storage::fs::{Fs, RealFs};
use ctos_storage::home::{Home, HomeError};
use ctos_storage::journal::{Durability, Journal, JournalError, JournalOptions, JournalReader, RunInfo};
use ctos_storage::snapshot::{Retention, SnapshotError, SnapshotStore};
use ctos_types::{Control, Event, HaltScope, InstanceTag, Instruments, KillState, Nanos, Stamped, UnixNanos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

pub use ctos_storage::home::RunDir;

impl From<HomeError> for RunError {
    fn from(e: HomeError) -> RunError {
        match e.hint() {
            Some(hint) => RunError::User(UserError::new(e.to_string(), hint)),
            None => RunError::internal(e),
        }
    }
}

impl From<JournalError> for RunError {
    fn from(e: JournalError) -> RunError {
        let hint = match &e {
            JournalError::Full { .. } => "free disk space and start again",
            JournalError::ReadOnly { .. } => "make the home directory writable, or choose another with --home",
            JournalError::Version { .. } => "use the version of ctos that wrote it, or start anew with --fresh",
            JournalError::Corrupt { .. } | JournalError::MissingSegment { .. } => {
                "the disk lost recorded data: keep a copy of the run's directory, then start anew with --fresh"
            }
            _ => return RunError::internal(e),
        };
        RunError::User(UserError::new(e.to_string(), hint))
    }
}

impl From<SnapshotError> for RunError {
    fn from(e: SnapshotError) -> RunError {
        RunError::internal(e)
    }
}

impl From<RecoverError> for RunError {
    fn from(e: RecoverError) -> RunError {
        match e {
            RecoverError::Journal(e) => e.into(),
            other => RunError::User(UserError::new(
                format!("the cut-off run cannot be continued: {other}"),
                "continue it with the version of ctos and the data it was started with, or start anew with --fresh",
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    Running,
    Finished,
    /// Cut off and given up with `--fresh`.
    Abandoned,
}

/// `run.json`: what a run was started with. Enough to replay it without its market.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub run_id: String,
    pub status: RunStatus,
    /// Real time of the start, RFC 3339.
    pub created: String,
    pub tag: InstanceTag,
    /// Market time of the start.
    pub start: UnixNanos,
    pub version: String,
    pub settings: Settings,
    pub instruments: Instruments,
    /// Latches of earlier runs that it began under: part of what every re-step starts from.
    #[serde(default)]
    pub latches: NamedLatches,
}

impl RunRecord {
    pub fn finished(&self) -> RunRecord {
        RunRecord { status: RunStatus::Finished, ..self.clone() }
    }
}

/// `run.json` of a run.
pub fn record_of(dir: &RunDir) -> Result<RunRecord, RunError> {
    let missing = || UserError::new(format!("run {} has no run.json", dir.id), "the run's directory is incomplete");
    Ok(dir.read_run()?.ok_or_else(missing)?)
}

/// How a run is started.
pub struct StartOptions {
    /// Give up a cut-off run instead of continuing it.
    pub fresh: bool,
    /// Before a new live run, cancel what earlier runs of the home left open at the venues.
    pub cancel_leftovers: bool,
    /// Where strategies come from.
    pub catalog: Catalog,
    /// Called when the watchdog had to act. The process should end.
    pub on_hang: Box<dyn FnOnce(Intervention) + Send>,
    /// What opens the way to live venues; the venues' own drivers where it is not said.
    pub opener: Option<Box<dyn Opener>>,
}

impl StartOptions {
    /// Built-in strategies; a cut-off run is continued.
    pub fn new(on_hang: impl FnOnce(Intervention) + Send + 'static) -> StartOptions {
        StartOptions {
            fresh: false,
            cancel_leftovers: false,
            catalog: Catalog::BUILT_IN,
            on_hang: Box::new(on_hang),
            opener: None,
        }
    }
}

impl std::fmt::Debug for StartOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartOptions").field("fresh", &self.fresh).finish_non_exhaustive()
    }
}

/// Starts a run in `settings.home`, or continues the one that was cut off there.
pub fn start(settings: Settings, options: StartOptions) -> Result<(Instance, Arc<Home>), RunError> {
    if settings.mode == Mode::Live || settings.market.is_live() {
        return live::start(settings, options);
    }
    let Prepared { resume, created, names, tag, latches } = prepare(&settings, options.fresh)?;
    let world = world::build(&settings, options.catalog, tag, names.scopes(&latches))?;

    let home = Arc::new(Home::open(&settings.home)?);
    if options.fresh {
        abandon(&home)?;
    }
    let alerts = Alerts::new(settings.alerts.webhook.clone());
    let (dir, record) = match resume {
        Some(record) => (home.run(&record.run_id)?, record),
        None => {
            let instruments = world.kernel.instruments();
            new_run(&home, &settings, world.start, instruments, tag, latches, created)?
        }
    };
    let facts = RunFacts {
        run_id: record.run_id.clone(),
        mode: settings.mode.to_string(),
        market: settings.market.to_string(),
        from: record.start.to_string(),
        source: world.source_report.clone(),
    };
    let mut notices = world.notices.clone();
    if settings.speed == Speed::Max {
        notices
            .push("speed max: the journal is written but not synced; a power loss may cost the end of this run".into());
    }
    let recorder = Recorder::start(&home, &record, &settings, options.catalog, alerts.clone())?;
    let mut shard = open_shard(&settings, &dir, &record, world, &recorder, &mut notices)?;
    hold_latches(&mut shard, &home, &names)?;
    let (on_hang, brake, callers, locks, recording) = (options.on_hang, None, Callers::default(), Vec::new(), None);
    let home_kept = home.clone();
    let start =
        Start { settings, home, dir, record, facts, notices, alerts, on_hang, brake, callers, locks, recording };
    Ok((launch(shard, start, recorder), home_kept))
}

/// What is known before anything is made on disk.
struct Prepared {
    /// The run to continue.
    resume: Option<RunRecord>,
    /// Real time, nanoseconds.
    created: i64,
    names: Names,
    tag: InstanceTag,
    latches: NamedLatches,
}

fn prepare(settings: &Settings, fresh: bool) -> Result<Prepared, RunError> {
    // What is wrong with the settings or the market is found before anything is made on disk.
    let latest = match Home::read_only(&settings.home) {
        Ok(home) => home.latest_run()?,
        Err(HomeError::Missing { .. }) => None,
        Err(e) => return Err(e.into()),
    };
    let cut_off = latest.map(|dir| record_of(&dir)).transpose()?.filter(|r| r.status == RunStatus::Running);
    let resume = cut_off.filter(|_| !fresh);
    if let Some(record) = &resume {
        same_settings(record, settings)?;
    }
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
    let names = Names::of(settings);
    let (tag, latches) = match &resume {
        Some(record) => (record.tag, record.latches.clone()),
        None => (new_tag(created), read_latches(&settings.home, &names)?),
    };
    Ok(Prepared { resume, created, names, tag, latches })
}

fn open_shard(
    settings: &Settings,
    dir: &RunDir,
    record: &RunRecord,
    world: World,
    recorder: &Recorder,
    notices: &mut Vec<String>,
) -> Result<Shard, RunError> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let journal_dir = dir.journal_dir();
    let store = SnapshotStore::open(fs.clone(), &dir.snapshots_dir())?;
    let options = journal_options(settings);
    let parts = |journal| Parts {
        kernel: world.kernel,
        driver: world.driver,
        durable: Some(Durable {
            journal,
            snapshots: keep(settings, store.clone(), &journal_dir),
            sync: settings.speed != Speed::Max && settings.journal.sync != SyncSetting::Off,
        }),
    };
    let (journal, recovered) = match Journal::open(fs.clone(), &journal_dir, options.clone()) {
        Ok(opened) => opened,
        Err(JournalError::Missing { .. }) => {
            let info = RunInfo { shard: 0, epoch: 1, run_id: record.run_id.clone(), instance_tag: record.tag };
            let journal = Journal::create(fs, &journal_dir, info, options)?;
            return Shard::begin(parts(journal), record.start, &world.balances, recorder.observer())
                .map_err(RunError::internal);
        }
        Err(e) => return Err(e.into()),
    };
    if let Some(torn) = &recovered.torn {
        notices.push(format!("cut {} bytes of a half-written record off the journal", torn.bytes));
    }
    let latest = store.latest(recovered.next_seq.saturating_sub(1))?;
    for damaged in &latest.damaged {
        notices.push(format!("passed over damaged snapshot {}: {}", damaged.path.display(), damaged.why));
    }
    if recovered.next_seq == 0 {
        // Cut off before its first input was written: the run begins again.
        return Shard::begin(parts(journal), record.start, &world.balances, recorder.observer())
            .map_err(RunError::internal);
    }
    let mut reader = JournalReader::open(fs, &journal_dir)?;
    if let Some(snapshot) = &latest.snapshot {
        reader.seek_segment_for(snapshot.seq + 1);
        recorder.catch_up(snapshot.seq);
    }
    let balances = world.balances.clone();
    let (mut shard, Recovery { from_seq, inputs, .. }) =
        Shard::recover(parts(journal), latest.snapshot, reader, recorder.observer())?;
    shard.complete_start(record.start, &balances).map_err(RunError::internal)?;
    notices.push(format!(
        "continuing run {}: {} inputs repeated from input {from_seq}, market time {}",
        record.run_id,
        inputs,
        shard.kernel().now()
    ));
    Ok(shard)
}

fn journal_options(settings: &Settings) -> JournalOptions {
    let durable = settings.journal.sync == SyncSetting::Always && settings.speed != Speed::Max;
    JournalOptions {
        durability: if durable { Durability::PowerLoss } else { Durability::ProcessCrash },
        segment_bytes: settings.journal.segment_mb << 20,
        ..JournalOptions::default()
    }
}

fn keep(settings: &Settings, store: SnapshotStore, journal_dir: &Path) -> Keep {
    let j = &settings.journal;
    let retention = Retention { snapshots: j.keep_snapshots as usize, max_bytes: Some(j.max_mb << 20) };
    Keep { store, journal_dir: journal_dir.into(), retention, every: j.snapshot_every }
}

fn new_run(
    home: &Home,
    settings: &Settings,
    start: UnixNanos,
    instruments: &Instruments,
    tag: InstanceTag,
    latches: NamedLatches,
    created: i64,
) -> Result<(RunDir, RunRecord), RunError> {
    let created = UnixNanos(created);
    let second = created.floor(Nanos::from_secs(1)).to_string();
    let stamp: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
    let number = home.latest_run()?.map_or(0, |r| r.number) + 1;
    let run_id = format!("{}-{number}", stamp.to_lowercase().trim_end_matches('z'));
    let record = RunRecord {
        run_id,
        status: RunStatus::Running,
        created: created.to_string(),
        tag,
        start,
        version: env!("CARGO_PKG_VERSION").into(),
        settings: settings.clone(),
        instruments: instruments.clone(),
        latches,
    };
    Ok((home.create_run(&record.run_id, &record)?, record))
}

/// Distinguishes the orders of this run from those of any other instance on the same account.
fn new_tag(created: i64) -> InstanceTag {
    let mut sha = Sha256::new();
    sha.update(created.to_le_bytes());
    sha.update(std::process::id().to_le_bytes());
    let digest = sha.finalize();
    let n = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    InstanceTag(n % InstanceTag::ONE_SHOT.0)
}

fn abandon(home: &Home) -> Result<(), RunError> {
    let Some(dir) = home.latest_run()? else { return Ok(()) };
    let record = record_of(&dir)?;
    if record.status == RunStatus::Running {
        dir.write_run(&RunRecord { status: RunStatus::Abandoned, ..record })?;
    }
    Ok(())
}

/// A cut-off run goes on only with the settings that decide what it does. Speed, duration, logging, API and limits of
/// the journal may change.
fn same_settings(record: &RunRecord, settings: &Settings) -> Result<(), RunError> {
    let deciding = |s: &Settings| {
        let mut value = serde_json::to_value(s).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            for free in
                ["speed", "duration", "home", "journal", "api", "watchdog", "alerts", "log", "record", "feed", "live"]
            {
                map.remove(free);
            }
        }
        value
    };
    let (then, now) = (deciding(&record.settings), deciding(settings));
    let Some(changed) = then.as_object().and_then(|m| m.keys().find(|k| then[k.as_str()] != now[k.as_str()]).cloned())
    else {
        return Ok(());
    };
    Err(RunError::User(UserError::new(
        format!("run {} was cut off and {changed} has changed since", record.run_id),
        "start it with the same settings to continue it, or add --fresh to give it up and begin a new run",
    )))
}

// ---- latches between runs

/// Latches by scope name, as `latches.json` holds them.
pub type NamedLatches = BTreeMap<String, Latch>;

/// Latches of scopes that this run does not have stay in the file as they are.
pub fn write_latches(home: &Home, names: &Names, latches: &NamedLatches) -> Result<(), HomeError> {
    let mut all: NamedLatches = home.read_latches()?.unwrap_or_default();
    if all.is_empty() && latches.is_empty() {
        return Ok(());
    }
    all.retain(|name, _| names.scope(name).is_none());
    all.extend(latches.clone());
    home.write_latches(&all)
}

/// Applies latches that the file has and a continued run has not: those of a halt that could not be journaled.
fn hold_latches(shard: &mut Shard, home: &Home, names: &Names) -> Result<(), RunError> {
    for (scope, latch) in names.scopes(&read_latches(home.path(), names)?) {
        if shard.kernel().kill().state(scope) < latch.state {
            let control = Control::Halt { scope, state: latch.state, reason: latch.reason };
            shard.control(shard.kernel().now(), &control).map_err(RunError::internal)?;
        }
    }
    Ok(())
}

/// The latches of this run's scopes that earlier runs left.
fn read_latches(home: &Path, names: &Names) -> Result<NamedLatches, RunError> {
    let all: NamedLatches = match Home::read_only(home) {
        Ok(home) => home.read_latches()?.unwrap_or_default(),
        Err(HomeError::Missing { .. }) => NamedLatches::new(),
        Err(e) => return Err(e.into()),
    };
    Ok(all.into_iter().filter(|(name, _)| names.scope(name).is_some()).collect())
}

// ---- replay

/// Re-steps a run from its journal and compares. Its strategies come from `catalog`.
pub fn replay(home: &Home, run_id: &str, catalog: Catalog) -> Result<crate::replay::ReplayReport, RunError> {
    let dir = home.run(run_id)?;
    let record = record_of(&dir)?;
    let (kernel, snapshot, reader) = from_journal(&dir, &record, catalog)?;
    let summary: Option<Summary> = dir.read_summary()?;
    let hash = summary.map(|s| s.command_hash);
    crate::replay::replay(run_id, kernel, snapshot.as_ref(), reader, hash).map_err(|e| match e {
        crate::replay::ReplayError::Journal(e) => e.into(),
        other => RunError::internal(other),
    })
}

/// A kernel, what to set it to first, and the journal that leads on from there.
pub type FromJournal = (ctos_kernel::Kernel, Option<ctos_storage::snapshot::Snapshot>, JournalReader);

/// A kernel for a run's journal, with the oldest whole snapshot that the kept part of the journal leads on from.
pub fn from_journal(dir: &RunDir, record: &RunRecord, catalog: Catalog) -> Result<FromJournal, RunError> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let latches = Names::of(&record.settings).scopes(&record.latches);
    let kernel = world::kernel_only(&record.settings, catalog, record.instruments.clone(), record.tag, latches)?;
    let reader = JournalReader::open(fs.clone(), &dir.journal_dir())?;
    let store = SnapshotStore::read_only(fs, &dir.snapshots_dir());
    let snapshot = match reader.first_seq().checked_sub(1) {
        None => None,
        Some(last) => {
            let mut oldest = None;
            for seq in store.list()?.into_iter().filter(|seq| *seq >= last) {
                oldest = store.latest(seq)?.snapshot.filter(|s| s.seq >= last);
                if oldest.is_some() {
                    break;
                }
            }
            oldest
        }
    };
    Ok((kernel, snapshot, reader))
}

/// Latches or releases the kill switch of a home in which nothing runs: in the journal of a cut-off run, so that it
/// continues that way, and in the latch file, for whatever runs there next. `catalog` has the strategies of that run.
pub fn latch_offline(
    home: &Path,
    catalog: Catalog,
    scope: &str,
    state: KillState,
    reason: &str,
) -> Result<(), RunError> {
    let home = Home::open(home)?;
    let latest = home.latest_run()?;
    let record = latest.as_ref().map(record_of).transpose()?;
    let names = record.as_ref().map(|r| Names::of(&r.settings));
    let known = scope == "system" || names.as_ref().is_some_and(|n| n.scope(scope).is_some());
    if !known {
        let hint = "name system, account:NAME or strategy:NAME of the last run";
        return Err(UserError::new(format!("unknown scope {scope}"), hint).into());
    }
    let mut now = UnixNanos(0);
    if let (Some(dir), Some(record)) = (&latest, record.filter(|r| r.status == RunStatus::Running)) {
        let scope = Names::of(&record.settings).scope(scope).unwrap_or(HaltScope::System);
        let reason = reason.to_owned();
        let control = match state {
            KillState::Active => Control::Resume { scope, reason },
            state => Control::Halt { scope, state, reason },
        };
        now = append_control(dir, &record, catalog, &control)?;
    }
    let mut latches: NamedLatches = home.read_latches()?.unwrap_or_default();
    match state {
        KillState::Active => drop(latches.remove(scope)),
        state => drop(latches.insert(scope.into(), Latch { state, reason: reason.into(), since: now })),
    }
    Ok(home.write_latches(&latches)?)
}

/// Adds a control input at the end of a cut-off run's journal. Returns the market time it got.
fn append_control(
    dir: &RunDir,
    record: &RunRecord,
    catalog: Catalog,
    control: &Control,
) -> Result<UnixNanos, RunError> {
    let (mut journal, recovered) =
        match Journal::open(Arc::new(RealFs), &dir.journal_dir(), journal_options(&record.settings)) {
            Ok(opened) => opened,
            // Cut off before its first input: it begins again, under the latch file.
            Err(JournalError::Missing { .. }) => return Ok(record.start),
            Err(e) => return Err(e.into()),
        };
    if recovered.next_seq == 0 {
        return Ok(record.start);
    }
    let (mut kernel, _, mut reader) = from_journal(dir, record, catalog)?;
    let store = SnapshotStore::read_only(Arc::new(RealFs), &dir.snapshots_dir());
    if let Some(snapshot) = store.latest(recovered.next_seq - 1)?.snapshot {
        let body = read_body(&snapshot).map_err(RunError::Internal)?;
        kernel.restore(&body.kernel).map_err(RunError::internal)?;
        reader.seek_segment_for(snapshot.seq + 1);
    }
    let (mut inputs, mut out) = (Inputs::new(reader), Output::default());
    while let Some(journaled) = inputs.next()? {
        if journaled.seq >= kernel.next_input() {
            journaled.step(&mut kernel, &mut out);
            if journaled.is_last {
                journaled.complete(&out, &mut journal)?;
            }
        }
    }
    let input = Stamped { seq: kernel.next_input(), at: kernel.now(), event: Event::Control(control) };
    journal.append_input(&input)?;
    // What the halt makes the kernel send is journaled with it, as if it had been stepped by an instance.
    kernel.step(&input, &mut out);
    for command in &out.commands {
        journal.append_command(input.seq, command.get())?;
    }
    journal.sync()?;
    Ok(input.at)
}
