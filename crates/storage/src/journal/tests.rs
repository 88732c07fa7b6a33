//! The journal on a disk that loses power, fills up and fails, over many seeds; and on real files.
//! Never: wall time; a failing case prints its seed.

use super::*;
use crate::codec::tests::{command, event};
use crate::fs::RealFs;
use crate::sim_fs::SimFs;
use ctos_types::{AccountId, CancelOrder, ClientOrderId, Command, Control, Event, EventBuf, InstrumentId, Stamped};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

const DIR: &str = "/home/run/journal";

fn run() -> RunInfo {
    RunInfo { shard: 3, epoch: 1, run_id: "r-1".into(), instance_tag: InstanceTag(77) }
}

fn small() -> JournalOptions {
    JournalOptions { segment_bytes: 3000, buffer_bytes: 700, reserve_bytes: 4096, ..JournalOptions::default() }
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Input(u64, EventBuf),
    Command(u64, Command),
    Note(u64),
}

fn append(journal: &mut Journal, entry: &Entry) -> Result<()> {
    match entry {
        Entry::Input(seq, event) => {
            journal.append_input(&Stamped { seq: *seq, at: UnixNanos(*seq as i64 * 10), event: event.as_event() })
        }
        Entry::Command(cause, command) => journal.append_command(*cause, command),
        Entry::Note(n) => journal.append_note(&serde_json::json!({ "note": n })),
    }
}

fn wake(seq: u64) -> Entry {
    Entry::Input(seq, EventBuf::default())
}

fn cancel(seq: u64) -> Command {
    let cl_ord_id = ClientOrderId { tag: InstanceTag(77), seq };
    Command::Cancel(CancelOrder { account: AccountId(0), cl_ord_id, instrument: InstrumentId(1) })
}

fn read(fs: &SimFs, from: Option<u64>) -> Result<Vec<Entry>> {
    let mut reader = JournalReader::open(Arc::new(fs.clone()), Path::new(DIR))?;
    if let Some(seq) = from {
        assert!(reader.seek_segment_for(seq).unwrap() <= seq);
    }
    let (mut entries, mut buf) = (Vec::new(), EventBuf::default());
    while let Some(record) = reader.next(&mut buf)? {
        entries.push(match record {
            Record::Input { seq, at } => {
                assert_eq!(at.0, seq as i64 * 10);
                Entry::Input(seq, buf.clone())
            }
            Record::Command { cause_seq, command } => Entry::Command(cause_seq, command),
            Record::Note(note) => Entry::Note(note["note"].as_u64().unwrap()),
        });
    }
    Ok(entries)
}

fn create(fs: &SimFs) -> Journal {
    Journal::create(Arc::new(fs.clone()), Path::new(DIR), run(), small()).unwrap()
}

fn open(fs: &SimFs) -> Result<(Journal, Recovered)> {
    Journal::open(Arc::new(fs.clone()), Path::new(DIR), small())
}

/// Random records with the sequences they need, and the random decisions around them.
struct Scenario {
    rng: Xoshiro256PlusPlus,
    runner: TestRunner,
    appended: Vec<Entry>,
    next_seq: u64,
    /// How many of `appended` a sync has vouched for.
    synced: usize,
}

impl Scenario {
    fn new(seed: u64) -> Scenario {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Scenario {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xabcd),
            runner: TestRunner::new_with_rng(Config::default(), rng),
            appended: Vec::new(),
            next_seq: 0,
            synced: 0,
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    fn entry(&mut self) -> Entry {
        match self.below(6) {
            0 => Entry::Note(self.below(1000)),
            1 | 2 if self.next_seq > 0 => {
                Entry::Command(self.next_seq - 1, command().new_tree(&mut self.runner).unwrap().current())
            }
            _ => Entry::Input(self.next_seq, event().new_tree(&mut self.runner).unwrap().current()),
        }
    }

    /// One random action. `Err`: the journal broke.
    fn step(&mut self, journal: &mut Journal) -> Result<()> {
        match self.below(12) {
            0 | 1 => {
                journal.sync()?;
                self.synced = self.appended.len();
                assert_eq!(journal.synced_seq(), self.next_seq.checked_sub(1));
            }
            2 => journal.flush()?,
            3 if self.below(8) == 0 => {
                journal.start_segment(self.next_seq)?;
                self.synced = self.appended.len();
            }
            _ => {
                let entry = self.entry();
                append(journal, &entry)?;
                self.next_seq += u64::from(matches!(entry, Entry::Input(..)));
                self.appended.push(entry);
            }
        }
        Ok(())
    }

    /// What is readable is a prefix of what was appended, and holds all that was synced.
    fn check(&mut self, fs: &SimFs, what: &str) {
        let got = read(fs, None).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(got.len() >= self.synced, "{what}: {} synced, {} readable", self.synced, got.len());
        assert!(got.len() <= self.appended.len(), "{what}: more than was appended");
        assert_eq!(got, self.appended[..got.len()], "{what}");
        self.appended.truncate(got.len());
        self.synced = got.len();
        self.next_seq = got.iter().filter(|e| matches!(e, Entry::Input(..))).count() as u64;
    }
}

/// Several lives of one journal, each ended by what `end` arranges.
fn lives(seed: u64, arrange: impl Fn(&SimFs, &mut Scenario)) {
    let fs = SimFs::new(seed);
    let mut s = Scenario::new(seed);
    let mut journal = create(&fs);
    for life in 0..4 {
        let what = format!("seed {seed} life {life}");
        arrange(&fs, &mut s);
        for _ in 0..s.below(150) {
            if s.step(&mut journal).is_err() {
                assert!(!journal.is_open(), "{what}: an error must close the journal");
                assert!(journal.append_note(&serde_json::json!(1)).is_err(), "{what}");
                break;
            }
        }
        drop(journal);
        fs.crash();
        s.check(&fs, &what);
        if s.below(3) == 0 {
            // Power fails during recovery itself.
            fs.power_off_in(1 + s.below(8));
            let _ = open(&fs);
            fs.crash();
            s.check(&fs, &format!("{what}, crash during recovery"));
        }
        let (reopened, recovered) = open(&fs).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(recovered.next_seq, s.next_seq, "{what}");
        assert_eq!(recovered.run, run());
        // Recovery made durable what it accepted: losing power again now changes nothing.
        s.synced = s.appended.len();
        journal = reopened;
        if s.below(3) == 0 {
            drop(journal);
            fs.crash();
            s.check(&fs, &format!("{what}, crash after recovery"));
            journal = open(&fs).unwrap().0;
        }
    }
}

#[test]
fn power_loss_keeps_what_was_synced() {
    for seed in 0..150 {
        lives(seed, |_, _| {});
    }
}

#[test]
fn power_loss_in_the_middle_of_any_disk_operation() {
    for seed in 0..150 {
        lives(seed, |fs, s| fs.power_off_in(1 + s.below(60)));
    }
}

#[test]
fn failing_writes_and_syncs() {
    for seed in 0..150 {
        lives(seed, |fs, s| match s.below(2) {
            0 => fs.fail_write(1 + s.below(30)),
            _ => fs.fail_sync(1 + s.below(20)),
        });
    }
}

/// The trap of fsync: after a failure the cache still shows the pages, and the next sync succeeds without them.
#[test]
fn a_failed_sync_is_not_forgotten_by_reopening() {
    for seed in 0..40 {
        let fs = SimFs::new(seed);
        let mut journal = create(&fs);
        for seq in 0..50 {
            append(&mut journal, &wake(seq)).unwrap();
        }
        fs.fail_sync(1);
        assert!(matches!(journal.sync(), Err(JournalError::Io { op: "sync", .. })));
        assert_eq!(journal.synced_seq(), None);
        assert!(matches!(journal.sync(), Err(JournalError::Poisoned { .. })));
        drop(journal);
        let (journal, recovered) = open(&fs).unwrap();
        assert_eq!(recovered.next_seq, 50, "the process lived on: the cache still has them");
        drop(journal);
        fs.crash();
        assert_eq!(read(&fs, None).unwrap().len(), 50, "seed {seed}: recovery vouched for records the disk never got");
    }
}

#[test]
fn a_full_disk_refuses_then_the_reserve_carries_the_halt() {
    let fs = SimFs::new(5);
    let mut journal = create(&fs);
    for seq in 0..40 {
        append(&mut journal, &wake(seq)).unwrap();
    }
    journal.sync().unwrap();
    fs.set_capacity(Some(fs.used() + 100));
    for seq in 40..60 {
        append(&mut journal, &wake(seq)).unwrap();
    }
    assert!(matches!(journal.sync(), Err(JournalError::Full { .. })));
    assert_eq!(journal.synced_seq(), Some(39));
    assert!(matches!(append(&mut journal, &wake(60)), Err(JournalError::Full { .. })));
    assert_eq!(journal.next_seq(), 60, "what was appended before the disk ran full is not forgotten");

    assert!(journal.release_reserve().unwrap());
    let halt = Control::JournalFailed { error: "disk full".into() };
    journal.append_input(&Stamped { seq: 60, at: UnixNanos(600), event: Event::Control(&halt) }).unwrap();
    journal.sync().unwrap();
    assert_eq!(journal.synced_seq(), Some(60));
    assert!(!journal.release_reserve().unwrap(), "there is only one reserve");
    fs.crash();
    assert_eq!(read(&fs, None).unwrap().len(), 61);
    // No room for a new reserve: said, not fatal.
    assert!(!open(&fs).unwrap().1.reserve);
    fs.set_capacity(None);
    assert!(open(&fs).unwrap().1.reserve);
}

#[test]
fn a_disk_that_fills_up_while_rolling() {
    let fs = SimFs::new(6);
    let mut journal = create(&fs);
    let mut seq = 0;
    while fs.len(&Path::new(DIR).join("0000000000.seg")).unwrap() < 3000 {
        append(&mut journal, &wake(seq)).unwrap();
        journal.sync().unwrap();
        seq += 1;
    }
    fs.set_capacity(Some(fs.used() + 60));
    append(&mut journal, &wake(seq)).unwrap();
    assert!(matches!(journal.sync(), Err(JournalError::Full { .. })));
    assert!(journal.release_reserve().unwrap());
    journal.sync().unwrap();
    assert_eq!(journal.synced_seq(), Some(seq));
    assert_eq!(read(&fs, None).unwrap().len() as u64, seq + 1);
}

#[test]
fn rolling_vouches_for_the_old_segment_and_not_for_the_new() {
    for seed in 0..40 {
        let fs = SimFs::new(seed);
        let mut journal = create(&fs);
        let mut seq = 0;
        while fs.len(&Path::new(DIR).join("0000000000.seg")).unwrap() < 3000 {
            append(&mut journal, &wake(seq)).unwrap();
            journal.sync().unwrap();
            seq += 1;
        }
        for more in 0..20 {
            append(&mut journal, &wake(seq + more)).unwrap();
        }
        journal.flush().unwrap();
        assert!(fs.exists(&Path::new(DIR).join("0000000001.seg")).unwrap());
        assert_eq!(journal.synced_seq(), Some(seq - 1));
        fs.fail_sync(1);
        assert!(journal.sync().is_err());
        drop(journal);
        drop(open(&fs).unwrap());
        fs.crash();
        assert_eq!(read(&fs, None).unwrap().len() as u64, seq + 20, "seed {seed}");
    }
}

#[test]
fn a_flush_that_rolls_vouches_for_what_it_synced() {
    let fs = SimFs::new(1);
    let mut journal = create(&fs);
    for seq in 0..200 {
        append(&mut journal, &wake(seq)).unwrap();
        journal.flush().unwrap();
    }
    let synced = journal.synced_seq().expect("the roll synced the first segment");
    assert!((100..199).contains(&synced), "{synced}");
    fs.crash();
    assert!(read(&fs, None).unwrap().len() as u64 > synced);
}

#[test]
fn a_read_only_disk_says_so() {
    let fs = SimFs::new(7);
    let mut journal = create(&fs);
    append(&mut journal, &wake(0)).unwrap();
    fs.set_read_only(true);
    assert!(matches!(journal.sync(), Err(JournalError::ReadOnly { .. })));
    assert!(matches!(journal.sync(), Err(JournalError::Poisoned { .. })));
    assert!(matches!(open(&fs), Err(JournalError::ReadOnly { .. })));
    assert!(read(&fs, None).unwrap().is_empty());
}

#[test]
fn process_crash_durability_does_not_wait_for_the_disk() {
    let fs = SimFs::new(8);
    let options = JournalOptions { durability: Durability::ProcessCrash, segment_bytes: 1 << 20, ..small() };
    let mut journal = Journal::create(Arc::new(fs.clone()), Path::new(DIR), run(), options).unwrap();
    let (_, before) = fs.counts();
    for seq in 0..100 {
        append(&mut journal, &wake(seq)).unwrap();
        journal.sync().unwrap();
    }
    assert_eq!(fs.counts().1, before);
    assert_eq!(journal.synced_seq(), Some(99));
    drop(journal);
    assert_eq!(read(&fs, None).unwrap().len(), 100);
}

/// A journal of several segments, orderly closed, and the entries in it.
fn written(fs: &SimFs) -> Vec<Entry> {
    let mut journal = create(fs);
    let mut entries = Vec::new();
    for seq in 0..400 {
        entries.push(wake(seq));
        entries.push(Entry::Command(seq, cancel(seq)));
    }
    for (i, entry) in entries.iter().enumerate() {
        append(&mut journal, entry).unwrap();
        if i % 7 == 0 {
            journal.sync().unwrap();
        }
    }
    journal.close().unwrap();
    entries
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_its_place() {
    let reference = SimFs::new(1);
    let entries = written(&reference);
    let segments: Vec<String> =
        reference.list(Path::new(DIR)).unwrap().into_iter().filter(|n| n.ends_with(".seg")).collect();
    assert!(segments.len() > 3);
    for name in &segments {
        let path = Path::new(DIR).join(name);
        for offset in [0, 9, 60, HEADER_LEN as u64, 200, 1111, 2222] {
            let fs = SimFs::new(1);
            written(&fs);
            if offset >= fs.len(&path).unwrap() - 20 {
                continue;
            }
            fs.corrupt(&path, offset, 0x41).unwrap();
            match read(&fs, None) {
                Err(JournalError::Corrupt { segment, offset: at, .. }) => {
                    assert_eq!(segment, path);
                    assert!(at <= offset, "{at} is behind the damage at {offset}");
                }
                Err(JournalError::Version { segment, .. }) => assert_eq!((segment, offset), (path.clone(), 9)),
                other => panic!("{name} at {offset}: {other:?}"),
            }
            if *name == segments[segments.len() - 1] {
                assert!(open(&fs).is_err(), "opening for writing must not cut durable records at {offset}");
            }
        }
    }
    assert_eq!(read(&reference, None).unwrap(), entries);
}

#[test]
fn torn_tails_are_cut_and_counted() {
    let fs = SimFs::new(2);
    let mut journal = create(&fs);
    for seq in 0..5 {
        append(&mut journal, &wake(seq)).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let path = Path::new(DIR).join("0000000000.seg");
    let whole = fs.len(&path).unwrap();
    fs.open(&path).unwrap().append(&[0; 37]).unwrap();
    let mut reader = JournalReader::open(Arc::new(fs.clone()), Path::new(DIR)).unwrap();
    while reader.next(&mut EventBuf::default()).unwrap().is_some() {}
    let torn = TornTail { segment: path.clone(), offset: whole, bytes: 37 };
    assert_eq!(reader.torn(), Some(&torn));
    let (mut journal, recovered) = open(&fs).unwrap();
    assert_eq!((recovered.torn, recovered.next_seq), (Some(torn), 5));
    append(&mut journal, &wake(5)).unwrap();
    journal.sync().unwrap();
    assert_eq!(read(&fs, None).unwrap().len(), 6);
}

#[test]
fn missing_segments_gaps_and_other_runs_are_errors() {
    let fs = SimFs::new(3);
    written(&fs);
    fs.remove(&Path::new(DIR).join("0000000001.seg")).unwrap();
    assert!(
        matches!(read(&fs, None), Err(JournalError::MissingSegment { missing, .. }) if missing == "0000000001.seg")
    );

    let fs = SimFs::new(3);
    let mut journal = create(&fs);
    assert!(matches!(append(&mut journal, &wake(1)), Err(JournalError::Sequence { expected: 0, got: 1, .. })));
    assert!(journal.append_command(0, &cancel(1)).is_err(), "a command cannot precede its cause");
    assert!(matches!(
        Journal::create(Arc::new(fs.clone()), Path::new(DIR), run(), small()),
        Err(JournalError::Exists { .. })
    ));
    assert!(matches!(Journal::open(Arc::new(fs), Path::new("/none"), small()), Err(JournalError::Missing { .. })));
}

#[test]
fn another_version_is_refused_clearly() {
    let fs = SimFs::new(4);
    written(&fs);
    let path = Path::new(DIR).join("0000000000.seg");
    fs.corrupt(&path, 8, 0b11).unwrap();
    let error = read(&fs, None).unwrap_err();
    assert!(matches!(error, JournalError::Version { format: 2, .. }), "{error}");
    assert!(error.to_string().contains("journal format 2"), "{error}");
}

#[test]
fn seeking_starts_at_the_right_segment() {
    let fs = SimFs::new(9);
    let entries = written(&fs);
    for seq in [0, 1, 57, 123, 399, 5000] {
        let tail = read(&fs, Some(seq)).unwrap();
        assert_eq!(tail, entries[entries.len() - tail.len()..]);
        assert!(seq >= 400 || tail.contains(&wake(seq)));
        assert!(seq < 300 || tail.len() < 300, "seeking {seq} should skip most of the journal");
    }
}

#[test]
fn start_segment_begins_at_the_snapshot() {
    let fs = SimFs::new(10);
    let mut journal = create(&fs);
    journal.start_segment(0).unwrap();
    append(&mut journal, &wake(0)).unwrap();
    append(&mut journal, &Entry::Command(0, cancel(0))).unwrap();
    journal.start_segment(1).unwrap();
    journal.start_segment(1).unwrap();
    assert_eq!(journal.synced_seq(), Some(0));
    append(&mut journal, &wake(1)).unwrap();
    journal.close().unwrap();
    assert_eq!(read(&fs, Some(1)).unwrap(), [wake(1)]);
    assert_eq!(read(&fs, Some(0)).unwrap().len(), 3);
    let names = fs.list(Path::new(DIR)).unwrap();
    assert_eq!(names, ["0000000000.seg", "0000000001.seg", "reserve"]);
}

#[test]
fn real_files_and_a_reader_beside_the_writer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("a/journal");
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut journal = Journal::create(fs.clone(), &dir, run(), small()).unwrap();
    for seq in 0..500 {
        append(&mut journal, &wake(seq)).unwrap();
    }
    journal.flush().unwrap();
    append(&mut journal, &wake(500)).unwrap();
    let count = || {
        let mut reader = JournalReader::open(fs.clone(), &dir).unwrap();
        let mut n = 0;
        while reader.next(&mut EventBuf::default()).unwrap().is_some() {
            n += 1;
        }
        n
    };
    assert_eq!(count(), 500);
    journal.close().unwrap();
    assert_eq!(count(), 501);
    let (journal, recovered) = Journal::open(fs.clone(), &dir, small()).unwrap();
    assert_eq!((recovered.next_seq, recovered.first_seq, recovered.torn), (501, Some(0), None));
    assert_eq!(journal.appended_seq(), Some(500));
    assert_eq!(std::fs::metadata(dir.join("reserve")).unwrap().len(), 4096);
}
