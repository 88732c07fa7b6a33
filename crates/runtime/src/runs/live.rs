//! Starting and continuing runs whose market comes in as it happens: on paper, or at real venues.
//! Never: sends an order of an earlier life again, or trades on an account that another instance has.

use super::{
    NamedLatches, Prepared, RunRecord, StartOptions, abandon, hold_latches, journal_options, keep, new_run, prepare,
};
use crate::alerts::Alerts;
use crate::config::{Mode, Settings, SyncSetting};
use crate::instance::{Instance, Names, Start, launch};
use crate::live::{self, AccountLock, Opened, Opener, RecordFrom, Recording, Way};
use crate::record::Recorder;
use crate::shard::{Durable, LiveParts, LiveVenue, Recovery, Shard};
use crate::summary::RunFacts;
use crate::world::{self, Catalog, FedWorld};
use crate::{RunError, UserError, secrets};
use ctos_kernel::Kernel;
use ctos_storage::fs::{Fs, RealFs};
use ctos_storage::home::{Home, RunDir};
use ctos_storage::journal::{Journal, JournalError, JournalReader, RunInfo};
use ctos_storage::snapshot::{Snapshot, SnapshotStore};
use ctos_types::{AccountEvent, InstanceTag, Instruments, UnixNanos};
use std::sync::Arc;

/// What is put together before the journal is open.
struct Made {
    kernel: Kernel,
    venue: LiveVenue,
    /// Declared by us: only where the venue is simulated.
    balances: Vec<AccountEvent>,
}

/// As [`super::start`].
pub(super) fn start(settings: Settings, mut options: StartOptions) -> Result<(Instance, Arc<Home>), RunError> {
    let Prepared { resume, created, names, tag, latches } = prepare(&settings, options.fresh)?;
    let mut opener = options.opener.take().unwrap_or_else(|| Box::new(live::Binance));
    let instruments = match &resume {
        Some(record) => record.instruments.clone(),
        None => opener.instruments(&settings)?,
    };
    let made = make(&settings, options.catalog, tag, &names, &latches, instruments.clone())?;
    let locks = if settings.mode == Mode::Live { lock_accounts(&settings)? } else { Vec::new() };

    let real = matches!(made.venue, LiveVenue::Real);
    let mut notices = Vec::new();
    if real && resume.is_none() {
        // While the home is not open for writing: a refused start leaves it as it was.
        match live::clear(&mut *opener, &settings, options.cancel_leftovers)? {
            0 => {}
            n => notices.push(format!("{n} orders of earlier runs were cancelled at the venue")),
        }
    }
    let home = Arc::new(Home::open(&settings.home)?);
    if options.fresh {
        abandon(&home)?;
    }
    let alerts = Alerts::new(settings.alerts.webhook.clone());
    let goes_on = resume.as_ref().map(|record| home.run(&record.run_id)).transpose()?;
    let begun_with = resume.as_ref().and_then(|record| record.settings.record.as_ref());
    let record_from = RecordFrom::of(goes_on.as_ref().map(|run| (run, begun_with)), settings.record.as_ref())?;
    let mut way = Opening {
        opener: &mut *opener,
        settings: &settings,
        home: &home,
        instruments: &instruments,
        tag,
        record_from: &record_from,
    };
    let ready = match resume {
        None => {
            let holdings = real.then(|| made.kernel.accounts().iter().map(|_| Default::default()).collect());
            let opened = way.open(holdings, UnixNanos::MIN)?;
            let start = opened.gateway.now();
            let (dir, record) = new_run(&home, &settings, start, &instruments, tag, latches, created)?;
            Ready { dir, record, opened: Some(opened) }
        }
        Some(record) => Ready { dir: home.run(&record.run_id)?, record, opened: None },
    };
    let Ready { dir, record, opened } = ready;
    let recorder = Recorder::start(&home, &record, &settings, options.catalog, alerts.clone())?;
    let mut shard = open_shard(&settings, &dir, &record, made, &recorder, &mut notices)?;
    let Opened { gateway, brake, callers, recording } = match opened {
        Some(opened) => opened,
        None => {
            let kernel = shard.kernel();
            let held = || kernel.accounts().iter().map(|a| live::holdings(kernel, a.id)).collect();
            way.open(real.then(held), kernel.now())?
        }
    };
    if let Some(recording) = &recording {
        recording.attach(dir.clone(), settings.record.clone(), home.path().into());
        record_again(recording, &record_from, &alerts);
    }
    shard.attach(gateway).map_err(RunError::internal)?;
    hold_latches(&mut shard, &home, &names)?;
    let facts = RunFacts {
        run_id: record.run_id.clone(),
        mode: settings.mode.to_string(),
        market: settings.market.to_string(),
        from: record.start.to_string(),
        source: serde_json::Value::Null,
    };
    let home_kept = home.clone();
    let on_hang = options.on_hang;
    let start =
        Start { settings, home, dir, record, facts, notices, alerts, on_hang, brake, callers, locks, recording };
    Ok((launch(shard, start, recorder), home_kept))
}

struct Ready {
    dir: RunDir,
    record: RunRecord,
    opened: Option<Opened>,
}

/// What every opening needs.
struct Opening<'a> {
    opener: &'a mut dyn Opener,
    settings: &'a Settings,
    home: &'a Home,
    instruments: &'a Instruments,
    tag: InstanceTag,
    record_from: &'a RecordFrom,
}

/// Goes on with a recording that was on when the run was cut off. A disk that does not take it any more is told, and no
/// more: orders may be open.
fn record_again(recording: &Recording, from: &RecordFrom, alerts: &Alerts) {
    let Some(dir) = &from.again else { return };
    if let Err(e) = recording.start(Some(dir)) {
        alerts.send("recording", &format!("the market is not recorded any more: {} (hint: {})", e.message, e.hint));
    }
}

impl Opening<'_> {
    fn open(&mut self, holdings: Option<Vec<ctos_link::desk::Holdings>>, now: UnixNanos) -> Result<Opened, RunError> {
        let closures = self.home.read_closures()?.unwrap_or_default();
        let (instruments, tag) = (self.instruments, self.tag);
        let record = self.record_from.first.as_deref();
        let way = Way { instruments, tag, holdings, not_before: now, closures, record };
        Ok(self.opener.open(self.settings, way)?)
    }
}

fn make(
    settings: &Settings,
    catalog: Catalog,
    tag: InstanceTag,
    names: &Names,
    latches: &NamedLatches,
    instruments: Instruments,
) -> Result<Made, UserError> {
    let latches = names.scopes(latches);
    if settings.mode == Mode::Live {
        world::fits(settings, catalog, &instruments)?;
        let kernel = world::kernel_only(settings, catalog, instruments, tag, latches)?;
        return Ok(Made { kernel, venue: LiveVenue::Real, balances: Vec::new() });
    }
    let FedWorld { kernel, driver, inlet, balances } = world::build_fed(settings, catalog, tag, latches, instruments)?;
    Ok(Made { kernel, venue: LiveVenue::Paper(Box::new(driver), inlet), balances })
}

/// One instance for each account at a venue.
fn lock_accounts(settings: &Settings) -> Result<Vec<AccountLock>, UserError> {
    let mut locks = Vec::new();
    for account in &settings.accounts {
        let Some(venue) = &account.venue else { continue };
        let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let keys = secrets::credentials(&settings.secrets, venue, env)?;
        locks.push(AccountLock::take(&account.id, venue, keys.api_key(), &settings.home)?);
    }
    Ok(locks)
}

fn open_shard(
    settings: &Settings,
    dir: &RunDir,
    record: &RunRecord,
    made: Made,
    recorder: &Recorder,
    notices: &mut Vec<String>,
) -> Result<Shard, RunError> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let journal_dir = dir.journal_dir();
    let store = SnapshotStore::open(fs.clone(), &dir.snapshots_dir())?;
    let Made { kernel, venue, balances } = made;
    let real = matches!(venue, LiveVenue::Real);
    let parts = |journal| {
        let snapshots = keep(settings, store.clone(), &journal_dir);
        let durable = Durable { journal, snapshots, sync: settings.journal.sync != SyncSetting::Off };
        LiveParts { kernel, venue, durable }
    };
    let begin = |parts: LiveParts| match real {
        true => Ok(Shard::new(parts, recorder.observer())),
        false => Shard::begin(parts, record.start, &balances, recorder.observer()).map_err(RunError::internal),
    };
    let (journal, recovered) = match Journal::open(fs.clone(), &journal_dir, journal_options(settings)) {
        Ok(opened) => opened,
        Err(JournalError::Missing { .. }) => {
            let info = RunInfo { shard: 0, epoch: 1, run_id: record.run_id.clone(), instance_tag: record.tag };
            return begin(parts(Journal::create(fs, &journal_dir, info, journal_options(settings))?));
        }
        Err(e) => return Err(e.into()),
    };
    if let Some(torn) = &recovered.torn {
        notices.push(format!("cut {} bytes of a half-written record off the journal", torn.bytes));
    }
    if recovered.next_seq == 0 {
        return begin(parts(journal));
    }
    let latest = store.latest(recovered.next_seq - 1)?;
    for damaged in &latest.damaged {
        notices.push(format!("passed over damaged snapshot {}: {}", damaged.path.display(), damaged.why));
    }
    let reader = reader(fs, dir, latest.snapshot.as_ref(), recorder)?;
    let (mut shard, Recovery { from_seq, inputs, .. }) =
        Shard::recover(parts(journal), latest.snapshot, reader, recorder.observer())?;
    if !real {
        shard.complete_start(record.start, &balances).map_err(RunError::internal)?;
    }
    let (run, now) = (&record.run_id, shard.kernel().now());
    notices.push(format!("continuing run {run}: {inputs} inputs repeated from input {from_seq}, up to {now}"));
    if real {
        let open = shard.kernel().orders().open_count();
        notices.push(format!("{open} orders were open: the venue is asked about each of them before anything new"));
    }
    Ok(shard)
}

fn reader(
    fs: Arc<dyn Fs>,
    dir: &RunDir,
    snapshot: Option<&Snapshot>,
    recorder: &Recorder,
) -> Result<JournalReader, RunError> {
    let mut reader = JournalReader::open(fs, &dir.journal_dir())?;
    if let Some(snapshot) = snapshot {
        reader.seek_segment_for(snapshot.seq + 1);
        recorder.catch_up(snapshot.seq);
    }
    Ok(reader)
}
