//! A gateway that a test fills, and the disk and settings around a shard of it.

use ctos_link::gateway::Notice;
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::live::{Full, Gateway, GatewayStatus};
use ctos_runtime::shard::{Durable, Keep};
use ctos_storage::fs::Fs;
use ctos_storage::journal::{Journal, JournalError, JournalOptions, JournalReader, Record, RunInfo};
use ctos_storage::snapshot::{Retention, SnapshotStore};
use ctos_types::{ClientOrderId, Command, EventBuf, InstanceTag, UnixNanos};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub const TAG: InstanceTag = InstanceTag(36);
pub const JOURNAL: &str = "/run/journal";
const SNAPSHOTS: &str = "/run/snapshots";

/// Seeds to run: all of `seeds`, or the one that `CTOS_SEED` names.
pub fn seeds(seeds: std::ops::Range<u64>) -> Vec<u64> {
    match std::env::var("CTOS_SEED").ok().and_then(|s| s.parse().ok()) {
        Some(one) => vec![one],
        None => seeds.collect(),
    }
}

/// Small and repeatable.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
    pub fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

#[derive(Debug, Default)]
pub struct Wire {
    pub events: VecDeque<(UnixNanos, EventBuf)>,
    pub sent: Vec<Command>,
    pub now: UnixNanos,
    /// How many commands find room; the rest do not.
    pub room: Option<usize>,
    /// Where the journal is that must have every order before it leaves.
    pub disk: Option<Arc<dyn Fs>>,
}

/// Whether the journal has the order, and all of it could be read.
fn is_recorded(fs: &Arc<dyn Fs>, id: ClientOrderId) -> bool {
    let mut reader = JournalReader::open(fs.clone(), Path::new(JOURNAL)).unwrap();
    let (mut found, mut buf) = (false, EventBuf::default());
    while let Some(record) = reader.next(&mut buf).unwrap() {
        found |= matches!(record, Record::Command { command: Command::Place(order), .. } if order.cl_ord_id == id);
    }
    found
}

/// Both ends of the gateway: clones share it, so that a test goes on with it after the shard died.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Wire>>);

impl Script {
    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn push(&self, event: impl Into<EventBuf>) {
        let mut wire = self.wire();
        let now = wire.now;
        wire.events.push_back((now, event.into()));
    }
}

impl Gateway for Script {
    fn send(&mut self, command: &Command) -> Result<(), Full> {
        let mut wire = self.wire();
        if let Some(room) = &mut wire.room {
            *room = room.checked_sub(1).ok_or(Full)?;
        }
        if let (Some(fs), Command::Place(order)) = (&wire.disk, command) {
            assert!(is_recorded(fs, order.cl_ord_id), "{} leaves without a record", order.cl_ord_id);
        }
        wire.sent.push(*command);
        Ok(())
    }
    fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos> {
        let (at, next) = self.wire().events.pop_front()?;
        **event = next;
        Some(at)
    }
    fn wait(&mut self, _: Duration) {}
    fn now(&self) -> UnixNanos {
        self.wire().now
    }
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }
    fn status(&self) -> GatewayStatus {
        GatewayStatus::default()
    }
    fn ended(&self) -> Option<String> {
        None
    }
    fn stop(&mut self, _: Duration) {}
}

pub fn settings(seed: u64, strategy: &str, params: &[(&str, &str)]) -> Settings {
    let mut layers = Layers::new();
    layers.flag("--market", "market", "synthetic");
    layers.flag("--symbols", "symbols", "sim:BTC-USDT-PERP");
    layers.flag("--seed", "seed", &seed.to_string());
    layers.flag_strategy(strategy);
    for (key, text) in params {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

/// What makes a shard durable, open at the end of what the disk holds, and how many inputs that are.
pub fn durable(fs: &Arc<dyn Fs>, snapshot_every: u64) -> (Durable, SnapshotStore, u64) {
    let store = SnapshotStore::open(fs.clone(), Path::new(SNAPSHOTS)).unwrap();
    let options = JournalOptions { segment_bytes: 20_000, reserve_bytes: 4_096, ..JournalOptions::default() };
    let dir = Path::new(JOURNAL);
    let (journal, next_seq) = match Journal::open(fs.clone(), dir, options.clone()) {
        Ok((journal, recovered)) => (journal, recovered.next_seq),
        Err(JournalError::Missing { .. }) => {
            let info = RunInfo { shard: 0, epoch: 1, run_id: "live".into(), instance_tag: TAG };
            (Journal::create(fs.clone(), dir, info, options).unwrap(), 0)
        }
        Err(e) => panic!("{e}"),
    };
    let retention = Retention { snapshots: 2, max_bytes: None };
    let keep = Keep { store: store.clone(), journal_dir: dir.into(), retention, every: snapshot_every };
    (Durable { journal, snapshots: keep, sync: true }, store, next_seq)
}
