//! A run on a disk of the test's choice: synthetic market, a tight grid, small segments, many snapshots.

use ctos_driver_paper::PaperDriver;
use ctos_kernel::{Audit, Kernel};
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::shard::{Durable, Keep, Observer, Parts, Shard};
use ctos_runtime::summary::{RunFacts, Summary};
use ctos_runtime::world::{self, World};
use ctos_storage::fs::Fs;
use ctos_storage::journal::{Journal, JournalError, JournalOptions, JournalReader, Record, RunInfo};
use ctos_storage::snapshot::{Retention, SnapshotStore};
use ctos_types::{Control, EventBuf, HaltScope, InstanceTag, KillState, Nanos, UnixNanos};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub const JOURNAL: &str = "/run/journal";
const SNAPSHOTS: &str = "/run/snapshots";
/// Market time of a run.
const DURATION: Nanos = Nanos::from_secs(45);
const TAG: InstanceTag = InstanceTag(36);

/// Seeds to run: all of `seeds`, or the one that `CTOS_SEED` names.
pub fn seeds(seeds: std::ops::Range<u64>) -> Vec<u64> {
    match std::env::var("CTOS_SEED").ok().and_then(|s| s.parse().ok()) {
        Some(one) => vec![one],
        None => seeds.collect(),
    }
}

/// How a run keeps its history.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub market_seed: u64,
    pub snapshot_every: u64,
    pub keep_snapshots: usize,
    pub segment_bytes: u64,
    pub reserve_bytes: u64,
}

impl Rules {
    pub fn new(market_seed: u64) -> Rules {
        Rules { market_seed, snapshot_every: 70, keep_snapshots: 2, segment_bytes: 6_000, reserve_bytes: 4_096 }
    }
}

fn settings(seed: u64) -> Settings {
    let mut layers = Layers::new();
    layers.flag("--market", "market", "synthetic");
    layers.flag("--symbols", "symbols", "sim:BTC-USDT-PERP");
    layers.flag("--seed", "seed", &seed.to_string());
    layers.flag_strategy("grid");
    for (key, text) in [("spacing", "0.005"), ("levels", "5")] {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

/// What a run decided and came to, without what belongs to one process.
pub fn figures(shard: &Shard) -> Summary {
    let latency = ctos_runtime::summary::LatencySummary::default();
    Summary { step_latency_ns: latency, ..Summary::of(shard, &RunFacts::default(), "") }
}

/// The driver of the living shard, for a look at what left after it died.
pub type Seen = Arc<Mutex<Option<Arc<Mutex<PaperDriver>>>>>;

pub fn look<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every audit of a shard.
#[derive(Clone, Default)]
pub struct Log(pub Arc<Mutex<Vec<Audit>>>);

impl Observer for Log {
    fn on_step(&mut self, _: u64, _: UnixNanos, audits: &mut Vec<Audit>, _: &Kernel) {
        look(&self.0).append(audits);
    }
}

/// A shard at the end of what its disk holds: begun or recovered, as a start of the process would.
pub fn open(fs: &Arc<dyn Fs>, rules: Rules, seen: Option<&Seen>, log: &Log) -> Result<(Shard, UnixNanos), String> {
    let World { kernel, driver, balances, start, .. } =
        world::build(&settings(rules.market_seed), ctos_strategies::Catalog::BUILT_IN, TAG, BTreeMap::new())
            .map_err(|e| e.to_string())?;
    let err = |e: &dyn std::fmt::Display| e.to_string();
    let store = SnapshotStore::open(fs.clone(), Path::new(SNAPSHOTS)).map_err(|e| err(&e))?;
    let options = JournalOptions {
        segment_bytes: rules.segment_bytes,
        reserve_bytes: rules.reserve_bytes,
        ..JournalOptions::default()
    };
    let dir = Path::new(JOURNAL);
    let (journal, next_seq) = match Journal::open(fs.clone(), dir, options.clone()) {
        Ok((journal, recovered)) => (journal, recovered.next_seq),
        Err(JournalError::Missing { .. }) => {
            let info = RunInfo { shard: 0, epoch: 1, run_id: "sim".into(), instance_tag: TAG };
            (Journal::create(fs.clone(), dir, info, options).map_err(|e| err(&e))?, 0)
        }
        Err(e) => return Err(err(&e)),
    };
    let retention = Retention { snapshots: rules.keep_snapshots, max_bytes: None };
    let keep = Keep { store: store.clone(), journal_dir: dir.into(), retention, every: rules.snapshot_every };
    let parts = Parts { kernel, driver, durable: Some(Durable { journal, snapshots: keep, sync: true }) };
    let watcher = Box::new(log.clone());
    if next_seq == 0 {
        let shard = Shard::begin(parts, start, &balances, watcher).map_err(|e| err(&e))?;
        note(seen, &shard);
        return Ok((shard, start));
    }
    let latest = store.latest(next_seq - 1).map_err(|e| err(&e))?;
    let mut reader = JournalReader::open(fs.clone(), dir).map_err(|e| err(&e))?;
    if let Some(snapshot) = &latest.snapshot {
        reader.seek_segment_for(snapshot.seq + 1);
    }
    let (shard, _) = Shard::recover(parts, latest.snapshot, reader, watcher).map_err(|e| err(&e))?;
    note(seen, &shard);
    let mut shard = shard;
    complete(&mut shard, start, &balances)?;
    Ok((shard, start))
}

fn note(seen: Option<&Seen>, shard: &Shard) {
    if let Some(seen) = seen {
        *look(seen) = Some(shard.driver().unwrap().clone());
    }
}

/// A run that was cut off within its first inputs gets the rest of them.
fn complete(shard: &mut Shard, start: UnixNanos, balances: &[ctos_types::AccountEvent]) -> Result<(), String> {
    shard.complete_start(start, balances).map_err(|e| e.to_string())
}

/// From here to the end of the run, settled.
pub fn finish(shard: &mut Shard, start: UnixNanos) -> Result<(), String> {
    let end = start.after(DURATION);
    let err = |e: ctos_runtime::shard::ShardError| e.to_string();
    if shard.stats().stopping.is_none() {
        while shard.advance(end).map_err(err)? {
            let idle = shard.kernel().orders().open_count() == 0;
            if shard.degraded().is_some() && idle {
                break;
            }
        }
        shard.control(end, &Control::Stop { reason: "end".into() }).map_err(err)?;
    }
    let settle = shard.kernel().now().after(Nanos::from_secs(60));
    while (shard.kernel().orders().open_count() > 0 || shard.in_flight()) && shard.advance(settle).map_err(err)? {}
    shard.close(&serde_json::json!({ "end": true })).map_err(err)
}

/// Which input caused each command, in the order of leaving, as a run without faults journals them.
pub fn causes(fs: &Arc<dyn Fs>) -> Vec<u64> {
    let mut reader = JournalReader::open(fs.clone(), Path::new(JOURNAL)).unwrap();
    let (mut causes, mut buf) = (Vec::new(), EventBuf::default());
    while let Some(record) = reader.next(&mut buf).unwrap() {
        if let Record::Command { cause_seq, .. } = record {
            causes.push(cause_seq);
        }
    }
    causes
}

/// The last input that a disk holds, repaired as a start would.
pub fn last_on_disk(fs: &Arc<dyn Fs>) -> Option<u64> {
    let options = JournalOptions { reserve_bytes: 0, ..JournalOptions::default() };
    match Journal::open(fs.clone(), Path::new(JOURNAL), options) {
        Ok((_, recovered)) => recovered.next_seq.checked_sub(1),
        Err(JournalError::Missing { .. }) => None,
        Err(e) => panic!("{e}"),
    }
}

pub fn is_halted(shard: &Shard) -> bool {
    shard.kernel().kill().state(HaltScope::System) == KillState::Halted
}
