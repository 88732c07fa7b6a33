//! Fallback, damage, power loss while writing, and what retention leaves.
//! Never: wall time.

use super::*;
use crate::journal::{Journal, JournalOptions, JournalReader, Record, RunInfo};
use crate::sim_fs::SimFs;
use ctos_types::{Event, EventBuf, InstanceTag, Stamped};

const DIR: &str = "/run/snapshots";
const JOURNAL: &str = "/run/journal";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    name: String,
    numbers: Vec<i64>,
}

fn state(n: u64) -> State {
    State { name: format!("\"body\": {n} ,\"body\":"), numbers: (0..n as i64 % 50).collect() }
}

fn store(fs: &SimFs) -> SnapshotStore {
    SnapshotStore::open(Arc::new(fs.clone()), Path::new(DIR)).unwrap()
}

fn write(store: &SnapshotStore, seq: u64) -> PathBuf {
    store.write(3, seq, UnixNanos(seq as i64), &state(seq)).unwrap()
}

#[test]
fn the_newest_whole_one_is_loaded() {
    let fs = SimFs::new(1);
    let store = store(&fs);
    assert_eq!(store.latest(u64::MAX).unwrap(), Latest::default());
    for seq in [5, 10, 15] {
        write(&store, seq);
    }
    let latest = store.latest(u64::MAX).unwrap().snapshot.unwrap();
    assert_eq!((latest.schema, latest.seq, latest.at), (3, 15, UnixNanos(15)));
    assert_eq!(latest.body::<State>().unwrap(), state(15));
    assert_eq!(store.latest(12).unwrap().snapshot.unwrap().seq, 10);
    assert_eq!(store.latest(4).unwrap().snapshot, None);
    let text = fs.read(&Path::new(DIR).join(file_name(15))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["body"]["numbers"][3], 3, "the file is plain JSON");
}

#[test]
fn every_damaged_byte_is_noticed_and_the_earlier_one_is_used() {
    let len = {
        let fs = SimFs::new(1);
        let path = write(&store(&fs), 20);
        fs.len(&path).unwrap()
    };
    for offset in 0..len {
        let fs = SimFs::new(1);
        let store = store(&fs);
        write(&store, 10);
        let path = write(&store, 20);
        fs.corrupt(&path, offset, 1).unwrap();
        assert!(store.is_whole(10).unwrap() && !store.is_whole(20).unwrap(), "offset {offset}");
        let latest = store.latest(u64::MAX).unwrap();
        assert_eq!(latest.snapshot.unwrap().seq, 10, "offset {offset}");
        assert_eq!(latest.damaged.len(), 1);
        assert_eq!(latest.damaged[0].path, path);
    }
}

#[test]
fn power_loss_while_writing_leaves_the_earlier_one() {
    for seed in 0..60 {
        let fs = SimFs::new(seed);
        let store = store(&fs);
        write(&store, 10);
        fs.power_off_in(1 + seed % 8);
        let done = store.write(3, 20, UnixNanos(20), &state(20)).is_ok();
        fs.crash();
        let latest = store.latest(u64::MAX).unwrap();
        assert!(latest.damaged.is_empty(), "seed {seed}: a half-written file had the name");
        let seq = latest.snapshot.unwrap().seq;
        assert!(seq == 20 || (seq == 10 && !done), "seed {seed}: {seq}");
    }
}

#[test]
fn a_full_disk_leaves_no_trace() {
    let fs = SimFs::new(1);
    let store = store(&fs);
    write(&store, 10);
    let used = fs.used();
    fs.set_capacity(Some(used + 20));
    assert!(matches!(store.write(3, 20, UnixNanos(20), &state(20)), Err(SnapshotError::Full { .. })));
    assert_eq!((fs.used(), fs.list(Path::new(DIR)).unwrap().len()), (used, 1));
}

/// A run of `n` snapshots ten inputs apart, each starting a segment.
fn history(fs: &SimFs, n: u64) -> SnapshotStore {
    history_with(fs, n, 0)
}

/// As [`history`], with segments that start `lag` inputs late.
fn history_with(fs: &SimFs, n: u64, lag: u64) -> SnapshotStore {
    let store = store(fs);
    let run = RunInfo { shard: 0, epoch: 0, run_id: "r".into(), instance_tag: InstanceTag(1) };
    let options = JournalOptions { reserve_bytes: 0, ..JournalOptions::default() };
    let mut journal = Journal::create(Arc::new(fs.clone()), Path::new(JOURNAL), run, options).unwrap();
    for seq in 0..n * 10 + 5 {
        journal.append_input(&Stamped { seq, at: UnixNanos(seq as i64), event: Event::Wake }).unwrap();
        if seq % 10 == 9 {
            write(&store, seq);
        }
        if seq >= 9 && (seq - lag) % 10 == 9 {
            journal.start_segment(seq + 1).unwrap();
        }
    }
    journal.close().unwrap();
    store
}

/// Inputs that recovery from the newest snapshot at or before `seq` would apply.
fn recover(fs: &SimFs, store: &SnapshotStore, seq: u64) -> Vec<u64> {
    let snapshot = store.latest(seq).unwrap().snapshot.unwrap();
    let mut reader = JournalReader::open(Arc::new(fs.clone()), Path::new(JOURNAL)).unwrap();
    reader.seek_segment_for(snapshot.seq + 1).expect("segments for the snapshot");
    let (mut seqs, mut buf) = (Vec::new(), EventBuf::default());
    while let Some(record) = reader.next(&mut buf).unwrap() {
        if let Record::Input { seq, .. } = record
            && seq > snapshot.seq
        {
            seqs.push(seq);
        }
    }
    seqs
}

#[test]
fn retention_keeps_what_each_kept_snapshot_needs() {
    let fs = SimFs::new(1);
    let store = history(&fs, 8);
    let done = store.retain(Path::new(JOURNAL), Retention { snapshots: 3, max_bytes: None }).unwrap();
    assert_eq!(store.list().unwrap(), [59, 69, 79]);
    assert_eq!(done.removed.len(), 5 + 6);
    for (newest, first) in [(u64::MAX, 80), (75, 70), (65, 60)] {
        assert_eq!(recover(&fs, &store, newest), (first..85).collect::<Vec<_>>());
    }
    let again = store.retain(Path::new(JOURNAL), Retention { snapshots: 3, max_bytes: None }).unwrap();
    assert_eq!((again.removed.len(), again.bytes), (0, done.bytes));
}

#[test]
fn segments_that_reach_past_a_snapshot_stay() {
    for lag in 0..5 {
        let fs = SimFs::new(1);
        let store = history_with(&fs, 8, lag);
        let done = store.retain(Path::new(JOURNAL), Retention { snapshots: 2, max_bytes: None }).unwrap();
        assert!(done.removed.len() >= 6 + 5, "lag {lag}");
        assert_eq!(recover(&fs, &store, 75), (70..85).collect::<Vec<_>>(), "lag {lag}");
    }
}

#[test]
fn a_budget_goes_down_to_the_newest_good_snapshot_and_no_further() {
    let fs = SimFs::new(1);
    let store = history(&fs, 8);
    fs.corrupt(&Path::new(DIR).join(file_name(79)), 200, 1).unwrap();
    let done = store.retain(Path::new(JOURNAL), Retention { snapshots: 4, max_bytes: Some(10) }).unwrap();
    assert!(done.over_budget > 0 && done.over_budget == done.bytes - 10);
    assert_eq!(store.list().unwrap(), [69, 79], "the newest is damaged, so the one before is what counts");
    assert_eq!(recover(&fs, &store, u64::MAX), (70..85).collect::<Vec<_>>());
}

#[test]
fn without_a_good_snapshot_nothing_goes() {
    let fs = SimFs::new(1);
    let store = history(&fs, 1);
    fs.corrupt(&Path::new(DIR).join(file_name(9)), 120, 1).unwrap();
    let done = store.retain(Path::new(JOURNAL), Retention { snapshots: 2, max_bytes: Some(0) }).unwrap();
    assert!(done.removed.is_empty());
}

#[test]
fn power_loss_during_retention_leaves_a_recoverable_run() {
    for seed in 0..60 {
        let fs = SimFs::new(seed);
        let store = history(&fs, 8);
        fs.power_off_in(1 + seed % 14);
        let _ = store.retain(Path::new(JOURNAL), Retention { snapshots: 2, max_bytes: None });
        fs.crash();
        for seq in store.list().unwrap() {
            assert_eq!(recover(&fs, &store, seq), (seq + 1..85).collect::<Vec<_>>(), "seed {seed} snapshot {seq}");
        }
    }
}
