//! A disk that fails, fills up or turns read-only: no new risk leaves, cancels do, the run says so, and a restart on a
//! mended disk goes on.

use crate::rig::{self, Log, Rules, figures, look};
use ctos_kernel::{Alarm, Audit};
use ctos_runtime::shard::Shard;
use ctos_storage::fs::Fs;
use ctos_storage::sim_fs::SimFs;
use ctos_types::{Control, HaltScope, KillState, UnixNanos};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Write,
    Sync,
    Full,
    FullWithoutReserve,
    ReadOnly,
}

impl Fault {
    fn strike(self, sim: &SimFs, soon: u64) {
        match self {
            Fault::Write => sim.fail_write(1 + soon),
            Fault::Sync => sim.fail_sync(1 + soon),
            Fault::Full | Fault::FullWithoutReserve => sim.set_capacity(Some(sim.used() + 50 * soon)),
            Fault::ReadOnly => sim.set_read_only(true),
        }
    }

    fn mend(sim: &SimFs) {
        sim.set_capacity(None);
        sim.set_read_only(false);
    }
}

fn venue_open(shard: &Shard) -> usize {
    let accounts: Vec<_> = shard.kernel().accounts().iter().map(|a| a.id).collect();
    let driver = look(shard.driver().unwrap());
    accounts.into_iter().map(|a| driver.exchange().open_orders(a).count()).sum()
}

/// Steps until the fault is noticed. The commands that could add risk and had left by then.
fn until_degraded(shard: &mut Shard, end: UnixNanos, seed: u64) -> Option<u64> {
    loop {
        let before = look(shard.driver().unwrap()).taken().adding;
        if !shard.advance(end).unwrap() {
            return None;
        }
        if shard.degraded().is_some() {
            // The halt is the last input; the one before it may have sent something only if it was durable by then and
            // the disk failed at the snapshot behind it.
            let cause = shard.kernel().next_input() - 2;
            let adding = look(shard.driver().unwrap()).taken().adding;
            let durable = look(shard.journal().unwrap()).synced_seq().is_some_and(|synced| synced >= cause);
            assert!(adding == before || durable, "seed={seed}: risk left with the failure");
            return Some(adding);
        }
    }
}

fn check_degraded(shard: &Shard, log: &Log, adding: u64, case: &str) {
    assert_eq!(look(shard.driver().unwrap()).taken().adding, adding, "{case}: risk left after the failure");
    assert_eq!(venue_open(shard), 0, "{case}: orders stayed open at the venue");
    assert_eq!(shard.kernel().orders().open_count(), 0, "{case}");
    assert!(shard.degraded().is_some() && rig::is_halted(shard), "{case}");
    let audits = look(&log.0);
    let alarms = audits.iter().filter(|a| matches!(a, Audit::Alarm(Alarm::JournalFailed { .. }))).count();
    assert_eq!(alarms, 1, "{case}");
    let halted = |a: &Audit| matches!(a, Audit::Kill { scope: HaltScope::System, state: KillState::Halted, reason } if reason.contains("journal"));
    assert!(audits.iter().any(halted), "{case}");
    assert!(audits.iter().any(|a| matches!(a, Audit::HaltVerified { scope: HaltScope::System })), "{case}");
    let unsure = |a: &Audit| matches!(a, Audit::Alarm(Alarm::UnknownOrder { .. } | Alarm::BalanceDrift { .. }));
    assert!(!audits.iter().any(unsure), "{case}");
}

/// One run with one fault. Whether the fault was met.
fn strike(seed: u64, fault: Fault) -> bool {
    let case = format!("seed={seed} {fault:?}");
    let market = seed % 4 + 1;
    let reserve_bytes = if fault == Fault::FullWithoutReserve { 0 } else { 4_096 };
    // A failed write of a snapshot costs only the snapshot: this strike is meant for the journal.
    let snapshot_every = if fault == Fault::Write { 300 } else { 70 };
    let rules = Rules { reserve_bytes, snapshot_every, ..Rules::new(market) };
    let sim = SimFs::new(seed);
    let fs: Arc<dyn Fs> = Arc::new(sim.clone());
    let log = Log::default();
    let (mut shard, start) = rig::open(&fs, rules, None, &log).unwrap();
    let end = start.after(ctos_types::Nanos::from_secs(45));
    for _ in 0..20 + seed * 37 % 280 {
        shard.advance(end).unwrap();
    }
    fault.strike(&sim, seed % 5);
    let Some(adding) = until_degraded(&mut shard, end, seed) else { return false };
    rig::finish(&mut shard, start).unwrap();
    check_degraded(&shard, &log, adding, &case);
    drop(shard);

    // The machine may go down with it or not.
    Fault::mend(&sim);
    if seed.is_multiple_of(2) {
        sim.crash();
    }
    let (mut shard, start) = rig::open(&fs, rules, None, &Log::default()).unwrap_or_else(|e| panic!("{case}: {e}"));
    if rig::is_halted(&shard) {
        assert_eq!(fault, Fault::Full, "{case}: only a reserve has room for the halt");
        let held = look(shard.driver().unwrap()).taken().adding;
        for _ in 0..50 {
            shard.advance(end).unwrap();
        }
        assert_eq!(look(shard.driver().unwrap()).taken().adding, held, "{case}: halted, and yet risk left");
        assert_eq!(venue_open(&shard), 0, "{case}");
        let resume = Control::Resume { scope: HaltScope::System, reason: "disk freed".into() };
        shard.control(shard.kernel().now(), &resume).unwrap();
        rig::finish(&mut shard, start).unwrap();
    } else {
        rig::finish(&mut shard, start).unwrap();
        let healthy: Arc<dyn Fs> = Arc::new(SimFs::new(0));
        let (mut never, start) = rig::open(&healthy, rules, None, &Log::default()).unwrap();
        rig::finish(&mut never, start).unwrap();
        assert_eq!(figures(&shard), figures(&never), "{case}");
    }
    assert_eq!(shard.degraded(), None, "{case}");
    assert_eq!(shard.kernel().orders().open_count(), 0, "{case}");
    true
}

fn many(fault: Fault, seeds: std::ops::Range<u64>) {
    let seeds = rig::seeds(seeds);
    let met = seeds.iter().filter(|seed| strike(**seed, fault)).count();
    assert!(met * 4 >= seeds.len() * 3, "{fault:?} was met only {met} times");
}

#[test]
fn a_failed_write_stops_new_risk() {
    many(Fault::Write, 0..40);
}

#[test]
fn a_failed_sync_stops_new_risk() {
    many(Fault::Sync, 100..140);
}

#[test]
fn a_full_disk_stops_new_risk_and_the_halt_is_journaled() {
    many(Fault::Full, 200..240);
}

#[test]
fn a_full_disk_without_reserve_stops_new_risk() {
    many(Fault::FullWithoutReserve, 300..340);
}

#[test]
fn a_read_only_disk_stops_new_risk() {
    many(Fault::ReadOnly, 400..440);
}
