//! Simulated money on a live market: whatever the moments at which events come in and the process dies, the journal
//! repeats kernel and exchange exactly.

use crate::script::{Dice, JOURNAL, Script, TAG, durable, seeds, settings};
use ctos_runtime::shard::{LiveParts, LiveVenue, Shard};
use ctos_runtime::world::{self, Catalog, FedWorld};
use ctos_storage::fs::Fs;
use ctos_storage::journal::JournalReader;
use ctos_storage::sim_fs::SimFs;
use ctos_types::event::EventKind;
use ctos_types::{Control, EventBuf, HaltScope, InstrumentId, KillState, Nanos, Qty, UnixNanos};
use ctos_venue::MarketSource;
use ctos_venue::synthetic::{SyntheticConfig, SyntheticMarket};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const PERP: InstrumentId = InstrumentId(0);

fn market(seed: u64) -> SyntheticMarket {
    let symbols = ["sim:BTC-USDT-PERP".to_owned()];
    SyntheticMarket::new(SyntheticConfig::for_symbols(seed, &symbols).unwrap()).unwrap()
}

fn open(fs: &Arc<dyn Fs>, seed: u64, snapshots: bool, script: &Script) -> Shard {
    let settings = settings(seed, "grid", &[("spacing", "0.0005"), ("levels", "5")]);
    let instruments = market(seed).instruments().clone();
    let FedWorld { kernel, driver, inlet, balances } =
        world::build_fed(&settings, Catalog::BUILT_IN, TAG, BTreeMap::new(), instruments).unwrap();
    let (durable, store, next_seq) = durable(fs, if snapshots { 150 } else { 1 << 40 });
    let parts = LiveParts { kernel, venue: LiveVenue::Paper(Box::new(driver), inlet), durable };
    let mut shard = if next_seq == 0 {
        Shard::begin(parts, script.wire().now, &balances, Box::new(())).unwrap()
    } else {
        // The latest snapshot, or the oldest, from which more is repeated.
        let from = if snapshots { next_seq - 1 } else { store.list().unwrap().first().copied().unwrap_or(0) };
        let latest = store.latest(from).unwrap().snapshot;
        let mut reader = JournalReader::open(fs.clone(), Path::new(JOURNAL)).unwrap();
        if let Some(snapshot) = &latest {
            reader.seek_segment_for(snapshot.seq + 1);
        }
        let (mut shard, _) = Shard::recover(parts, latest, reader, Box::new(())).unwrap();
        let start = shard.kernel().now();
        shard.complete_start(start, &balances).unwrap();
        shard
    };
    shard.attach(Box::new(script.clone())).unwrap();
    shard
}

/// What kernel and exchange are now.
fn state(shard: &mut Shard) -> (serde_json::Value, serde_json::Value) {
    let kernel = serde_json::to_value(shard.kernel().save()).unwrap();
    let driver = shard.driver().unwrap().lock().unwrap();
    (kernel, serde_json::to_value(driver.exchange()).unwrap())
}

/// Lets `steps` moments pass. Events come late, in bursts, and between people's words.
fn live(shard: &mut Shard, source: &mut SyntheticMarket, script: &Script, dice: &mut Dice, steps: u64) {
    let mut held = EventBuf::default();
    for _ in 0..steps {
        let now = {
            let mut wire = script.wire();
            wire.now = wire.now.after(Nanos::from_micros(1 + dice.roll(40_000) as i64));
            wire.now
        };
        // What reached us is stamped at once, but may be handed over only later.
        while !dice.one_in(9) && source.peek().is_some_and(|at| at <= now) {
            let times = source.next(&mut held).unwrap();
            script.wire().events.push_back((times.recv, held.clone()));
        }
        if dice.one_in(60) {
            let rules = shard.kernel().instruments().get(PERP).rules();
            let rules = ctos_types::Rules { min_qty: Qty(rules.lot.0 * (1 + dice.roll(3) as i64)), ..rules };
            script.push(EventBuf { kind: EventKind::Rules { instrument: PERP, rules }, levels: vec![] });
        }
        if dice.one_in(40) {
            let (scope, reason) = (HaltScope::System, String::from("test"));
            let control = match dice.roll(2) {
                0 => Control::Halt { scope, state: KillState::Halted, reason },
                _ => Control::Resume { scope, reason },
            };
            shard.control(now, &control).unwrap();
        }
        if !dice.one_in(5) {
            while shard.advance(now).unwrap() {}
        }
    }
}

fn story(seed: u64) {
    let mut dice = Dice(seed);
    let disk = SimFs::new(seed);
    let fs: Arc<dyn Fs> = Arc::new(disk.clone());
    let mut source = market(seed);
    let script = Script::default();
    script.wire().now = source.peek().unwrap();
    let mut shard = open(&fs, seed, true, &script);
    for _ in 0..4 {
        live(&mut shard, &mut source, &script, &mut dice, 150);
        if dice.one_in(2) {
            shard.sync().unwrap();
            let want = state(&mut shard);
            drop(shard);
            // What the gateway had not handed over is lost with the process.
            script.wire().events.clear();
            shard = open(&fs, seed, true, &script);
            // The exchange may have been ahead of the kernel by what was under way between them: not of anything that
            // an input told.
            assert_eq!(state(&mut shard).0, want.0, "seed {seed}");
        } else {
            drop(shard);
            disk.crash();
            script.wire().events.clear();
            shard = open(&fs, seed, true, &script);
        }
    }
    live(&mut shard, &mut source, &script, &mut dice, 100);
    let settled = script.wire().now;
    while shard.advance(settled).unwrap() {}
    shard.sync().unwrap();
    assert!(shard.stats().fills > 0 || !seed.is_multiple_of(4), "seed {seed}: nothing traded, this proves little");
    let (kernel, digest) = (state(&mut shard).0, shard.source_digest());
    drop(shard);
    // From as far back as the journal goes: the same again.
    let mut again = open(&fs, seed, false, &Script::default());
    assert_eq!(state(&mut again).0, kernel, "seed {seed}");
    assert_eq!(again.source_digest(), digest, "seed {seed}");
}

#[test]
fn a_live_market_repeats_after_any_crash() {
    for seed in seeds(0..25) {
        story(seed);
    }
}

#[test]
fn events_that_are_handed_over_late_happen_after_what_the_exchange_has_lived_through() {
    let disk: Arc<dyn Fs> = Arc::new(SimFs::new(0));
    let mut source = market(1);
    let script = Script::default();
    let start = source.peek().unwrap();
    script.wire().now = start;
    let mut shard = open(&disk, 1, false, &script);
    let mut event = EventBuf::default();
    let recv = source.next(&mut event).unwrap().recv;
    let now = start.after(Nanos::from_secs(1));
    script.wire().now = now;
    while shard.advance(now).unwrap() {}
    script.wire().events.push_back((recv, event));
    let later = UnixNanos(now.0 + 1_000);
    assert!(shard.advance(later).unwrap());
    assert!(shard.kernel().now() > now, "it was stamped {}", shard.kernel().now());
}
