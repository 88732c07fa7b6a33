//! Power goes off in any disk operation, unsynced pages and names are lost: what left has its cause on the disk, and
//! the run goes on to the very end it would have had.

use crate::power::{PowerOff, PoweredFs};
use crate::rig::{self, Log, Rules, Seen, figures, look};
use ctos_runtime::summary::Summary;
use ctos_storage::fs::Fs;
use ctos_storage::sim_fs::SimFs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Markets the seeds share: a reference run each.
const MARKETS: u64 = 8;

struct Reference {
    figures: Summary,
    causes: Vec<u64>,
    /// Writes and syncs of a run without snapshots; with them there are more changes of the disk.
    changes: u64,
}

fn reference(market_seed: u64) -> Reference {
    let sim = SimFs::new(0);
    let fs: Arc<dyn Fs> = Arc::new(sim.clone());
    // Without snapshots nothing is let go of: the whole journal is there to be compared.
    let rules = Rules { snapshot_every: 1 << 40, ..Rules::new(market_seed) };
    let (mut shard, start) = rig::open(&fs, rules, None, &Log::default()).unwrap();
    rig::finish(&mut shard, start).unwrap();
    let (writes, syncs) = sim.counts();
    let figures = figures(&shard);
    assert!(figures.fills > 5 && figures.open_orders == 0, "market {market_seed} proves nothing: {figures:?}");
    let causes = rig::causes(&fs);
    assert_eq!(causes.len() as u64, shard.kernel().commands_out());
    assert_eq!(look(shard.driver().unwrap()).taken().commands, causes.len() as u64);
    Reference { figures, causes, changes: writes + syncs }
}

/// One start of the process. `None`: the power went off.
fn life(fs: &SimFs, rules: Rules, seen: &Seen) -> Option<Result<Summary, String>> {
    let powered: Arc<dyn Fs> = Arc::new(PoweredFs(fs.clone()));
    let run = || {
        let (mut shard, start) = rig::open(&powered, rules, Some(seen), &Log::default())?;
        rig::finish(&mut shard, start)?;
        match shard.degraded() {
            Some(why) => Err(format!("degraded on a healthy disk: {why}")),
            None => Ok(figures(&shard)),
        }
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(ended) => Some(ended),
        Err(why) if why.is::<PowerOff>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

/// Power losses one after the other, then a life to the end. How many there were.
fn lose_power(seed: u64, want: &Reference, rules: Rules) -> u64 {
    let sim = SimFs::new(seed);
    let mut losses = 0;
    let mut draw = seed;
    loop {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if losses < 3 {
            sim.power_off_in(1 + (draw >> 33) % want.changes);
        }
        let seen = Seen::default();
        if let Some(ended) = life(&sim, rules, &seen) {
            assert_eq!(ended.as_ref(), Ok(&want.figures), "seed={seed} after {losses} power losses");
            return losses;
        }
        losses += 1;
        sim.crash();
        let left = look(&seen).as_ref().map_or(0, |driver| look(driver).taken().commands);
        let fs: Arc<dyn Fs> = Arc::new(sim.clone());
        let on_disk = rig::last_on_disk(&fs);
        if let Some(last_cause) = left.checked_sub(1).map(|i| want.causes[i as usize]) {
            assert!(
                on_disk.is_some_and(|have| have >= last_cause),
                "seed={seed}: a command left after input {last_cause}, the disk ends at {on_disk:?}"
            );
        }
    }
}

fn all(seeds: std::ops::Range<u64>, rules: impl Fn(u64) -> Rules) {
    let mut references: Vec<Option<Reference>> = (0..MARKETS).map(|_| None).collect();
    let (mut losses, seeds) = (0, rig::seeds(seeds));
    for &seed in &seeds {
        let market = seed % MARKETS;
        let want = references[market as usize].get_or_insert_with(|| reference(market + 1));
        losses += lose_power(seed, want, rules(market + 1));
    }
    assert!(losses > seeds.len() as u64, "{losses} power losses prove little");
}

#[test]
fn power_goes_off_in_any_disk_operation() {
    all(0..150, Rules::new);
}

#[test]
fn power_goes_off_where_segments_roll_often() {
    all(1_000..1_075, |market| Rules { snapshot_every: 200, segment_bytes: 900, ..Rules::new(market) });
}

#[test]
fn power_goes_off_where_snapshots_are_many() {
    all(2_000..2_050, |market| Rules { snapshot_every: 11, ..Rules::new(market) });
}
