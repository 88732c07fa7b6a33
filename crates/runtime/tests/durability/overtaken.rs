//! A person's word takes the time that the clock has brought the market to, even where inputs of an earlier time still
//! wait: those are then stepped at that later time, and a restart must repeat them so.

use crate::rig::{self, Log, Rules, figures};
use ctos_storage::fs::Fs;
use ctos_storage::sim_fs::SimFs;
use ctos_types::{Control, HaltScope, KillState, Nanos, UnixNanos};
use std::sync::Arc;

#[test]
fn inputs_behind_a_control_are_repeated_at_the_time_they_were_stepped() {
    let sim = SimFs::new(0);
    let fs: Arc<dyn Fs> = Arc::new(sim.clone());
    let rules = Rules { snapshot_every: 1 << 40, ..Rules::new(1) };
    let (mut shard, _) = rig::open(&fs, rules, None, &Log::default()).unwrap();
    for _ in 0..200 {
        assert!(shard.advance(UnixNanos::MAX).unwrap());
    }
    let ahead = shard.kernel().now().after(Nanos::from_secs(3));
    let scope = HaltScope::System;
    shard.control(ahead, &Control::Halt { scope, state: KillState::Halted, reason: "test".into() }).unwrap();
    shard.control(ahead, &Control::Resume { scope, reason: "test".into() }).unwrap();
    let before = shard.kernel().next_input();
    while shard.kernel().now() == ahead {
        assert!(shard.advance(UnixNanos::MAX).unwrap());
    }
    assert!(shard.kernel().next_input() > before + 3, "nothing was overtaken: this proves nothing");
    shard.sync().unwrap();
    let want = figures(&shard);
    drop(shard);
    let (again, _) = rig::open(&fs, rules, None, &Log::default()).unwrap();
    assert_eq!(figures(&again), want);
}
