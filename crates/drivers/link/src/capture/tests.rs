use super::*;
use ctos_storage::capture::CaptureReader;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{Sender, channel};

fn at(secs: i64) -> UnixNanos {
    // A minute before a day ends.
    UnixNanos::from_civil(2026, 11, 22, 23, 59, 0, 0).unwrap().after(Nanos::from_secs(secs))
}

fn lines(path: &Path) -> Vec<String> {
    let mut reader = CaptureReader::open(path).unwrap();
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        let secs = (line.ts_recv - at(0)).0 / 1_000_000_000;
        lines.push(format!("{secs} {}", String::from_utf8(line.frame.to_vec()).unwrap()));
    }
    assert_eq!(reader.summary().bad_lines, 0, "{:?}", reader.summary());
    lines
}

/// What a gap's line says.
fn gap(since: i64, stream: &str, why: &str) -> String {
    format!(r#"{{"ctos":"gap","since":{},"stream":{stream},"why":"{why}"}}"#, at(since).0)
}

/// Files, frames, holes and what was lost.
fn figures(end: Option<CaptureStatus>) -> (u64, u64, u64, u64) {
    let end = end.unwrap();
    assert!(!end.on && end.waiting == 0 && end.error.is_none(), "{end:?}");
    (end.files, end.frames, end.gaps, end.lost)
}

fn switch(limits: CaptureLimits) -> CaptureSwitch {
    CaptureSwitch::new("toy", limits)
}

#[test]
fn what_is_recorded_is_read_back_frame_for_frame() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Directory(dir.path().join("deep/er"));
    let s = switch(CaptureLimits::default());
    s.frame(at(0), "before");
    let off = s.chapter();
    s.start(at(1), Box::new(shelf.clone())).unwrap();
    assert!(s.is_on() && s.chapter() != off);
    assert!(matches!(s.start(at(1), Box::new(shelf.clone())), Err(CaptureStart::Running)));
    s.frame(at(10), "{\"a\":1}");
    s.frame(at(11), "{\"a\":\r\n 2}");
    s.gap(at(12), at(5), Some("a"), "closed \"1006\"\n");
    assert_eq!(figures(s.stop()), (1, 2, 2, 0));
    s.frame(at(13), "after");
    assert_eq!(s.stop(), None);
    let path = shelf.0.join("toy-20261122T235901Z.jsonl.gz");
    assert_eq!(s.news(), [CaptureNews::File(path.clone())]);
    let want = [
        "10 {\"a\":1}".to_string(),
        "11 {\"a\":   2}".into(),
        format!("12 {}", gap(5, "\"a\"", "closed \\\"1006\\\" ")),
        format!("12 {}", gap(12, "null", "the recording ends")),
    ];
    assert_eq!(lines(&path), want);
    // The same second again: nothing is overwritten.
    s.start(at(1), Box::new(shelf.clone())).unwrap();
    s.frame(at(1), "{}");
    s.stop().unwrap();
    assert_eq!(lines(&path), want);
    assert_eq!(lines(&shelf.0.join("toy-20261122T235901Z-2.jsonl.gz")).len(), 2);
}

#[test]
fn a_new_day_and_a_large_file_begin_the_next_one_and_a_chapter() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(format!("toy-{name}.jsonl.gz"));
    let mut v = Volumes::begin(Box::new(Directory(dir.path().into())), "toy", 3_000, at(0)).unwrap();
    assert!(!v.line(at(59), "{\"n\":0}").unwrap());
    assert!(v.line(at(60), "{\"n\":1}").unwrap(), "the day has turned");
    assert_eq!(v.path(), file("20261123T000000Z"));
    let next = "toy-20261123T000000Z.jsonl.gz";
    let end = format!("59 {}", gap(59, "null", &format!("goes on in {next}")));
    assert_eq!(lines(&file("20261122T235900Z")), ["59 {\"n\":0}".to_string(), end]);
    // What does not repeat itself fills a file.
    let mut random = 1u64;
    let mut turned = 0;
    for n in 0..400 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        turned += u32::from(v.line(at(61 + n), &format!("{{\"n\":{random}}}")).unwrap());
        v.flush().unwrap();
    }
    v.end("the recording ends").unwrap();
    assert!(turned >= 2, "{turned}");
    assert_eq!(u64::from(turned) + 2, v.files());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        all.extend(lines(&entry.unwrap().path()));
    }
    let (gaps, frames): (Vec<_>, Vec<_>) = all.into_iter().partition(|l| l.contains("ctos"));
    assert_eq!((gaps.len() as u64, frames.len()), (v.files(), 402));
}

/// A disk that takes what it is let, file by file, and can be made to wait.
#[derive(Debug, Default)]
struct Toy {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    room: Arc<AtomicUsize>,
    gate: Option<Arc<Mutex<()>>>,
    waits: Option<Sender<()>>,
}

struct ToyFile {
    name: String,
    toy: Toy,
}

impl Shelf for Toy {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Volume>> {
        lock(&self.files).insert(name.into(), Vec::new());
        let toy = Toy {
            files: self.files.clone(),
            room: self.room.clone(),
            gate: self.gate.clone(),
            waits: self.waits.clone(),
        };
        Ok(Box::new(ToyFile { name: name.into(), toy }))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        lock(&self.files).remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn place(&self) -> PathBuf {
        "/toy".into()
    }
}

impl Write for ToyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let (Some(gate), Some(waits)) = (&self.toy.gate, &self.toy.waits) {
            let _ = waits.send(());
            drop(lock(gate));
        }
        let room = self.toy.room.load(Ordering::SeqCst);
        if room < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.toy.room.fetch_sub(bytes.len(), Ordering::SeqCst);
        lock(&self.toy.files).get_mut(&self.name).unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Volume for ToyFile {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Until it is so.
fn until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_ends_the_recording_loudly_and_nothing_else() {
    let toy = Toy { room: Arc::new(AtomicUsize::new(40_000)), ..Toy::default() };
    let files = toy.files.clone();
    let s = switch(CaptureLimits::default());
    s.start(at(0), Box::new(toy)).unwrap();
    let chapter = s.chapter();
    let (mut random, mut sent) = (1u64, 0u64);
    while s.is_on() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        s.frame(at(0), &format!("{{\"n\":{random}}}"));
        sent += 1;
    }
    until(|| s.chapter() != chapter);
    s.frame(at(1), "{\"more\":1}");
    let news = s.news();
    assert!(
        matches!(&news[..], [CaptureNews::File(_), CaptureNews::Failed(why)] if why.contains("/toy/toy-")),
        "{news:?}"
    );
    let end = s.stop().unwrap();
    assert!(end.error.is_some() && end.frames < sent, "{end:?}");
    assert_eq!(s.status(), Some(end.clone()), "how the last one went is known until there is a next one");
    // Everything up to where the disk was full can be read.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("left.gz");
    std::fs::write(&path, lock(&files).values().next().unwrap()).unwrap();
    let mut reader = CaptureReader::open(&path).unwrap();
    let mut read = 0u64;
    while reader.next_line().unwrap().is_some() {
        read += 1;
    }
    assert!(read > 500, "{read}");
    // With room again it can be turned on again.
    s.start(at(2), Box::new(Toy { room: Arc::new(AtomicUsize::new(1 << 20)), ..Toy::default() })).unwrap();
    s.frame(at(2), "{}");
    assert_eq!(figures(s.stop()), (1, 1, 1, 0));
}

#[test]
fn a_slow_disk_loses_frames_and_says_so_where_they_are_missing() {
    let limits = CaptureLimits { frames: 8, pause: Nanos::from_secs(10), ..CaptureLimits::default() };
    let (waits, waiting) = channel();
    let gate = Arc::new(Mutex::new(()));
    let toy = Toy {
        room: Arc::new(AtomicUsize::new(1 << 20)),
        gate: Some(gate.clone()),
        waits: Some(waits),
        ..Toy::default()
    };
    let files = toy.files.clone();
    let s = switch(limits);
    s.start(at(0), Box::new(toy)).unwrap();
    // The file's first bytes.
    while waiting.try_recv().is_ok() {}
    let held = lock(&gate);
    // The writer's first flush stands still at the gate; until then it takes what comes.
    s.frame(at(1), "{\"n\":0}");
    waiting.recv().unwrap();
    let chapter = s.chapter();
    for n in 1..=20 {
        s.frame(at(1), &format!("{{\"n\":{n}}}"));
    }
    drop(held);
    until(|| s.status().unwrap().waiting == 0);
    // Too soon: a disk that was too slow a moment ago is not trusted yet.
    s.frame(at(10), "{\"n\":21}");
    assert_eq!(s.chapter(), chapter);
    s.frame(at(11), "{\"n\":22}");
    assert_ne!(s.chapter(), chapter, "books must be shown again");
    assert_eq!(figures(s.stop()), (1, 8 + 1 + 1, 2, 13));
    assert_eq!(s.news()[1], CaptureNews::Lost(13));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slow.gz");
    std::fs::write(&path, lock(&files).values().next().unwrap()).unwrap();
    let got = lines(&path);
    let want_gap = format!("11 {}", gap(1, "null", "the disk was too slow for 13 frames"));
    assert_eq!(&got[8..11], ["1 {\"n\":8}".to_string(), want_gap, "11 {\"n\":22}".into()]);
}

#[test]
fn large_frames_are_bounded_by_their_bytes() {
    let limits = CaptureLimits { bytes: 100, ..CaptureLimits::default() };
    let s = switch(limits);
    s.start(at(0), Box::new(Toy { room: Arc::new(AtomicUsize::new(1 << 20)), ..Toy::default() })).unwrap();
    s.frame(at(0), &"x".repeat(101));
    assert_eq!(s.stop().unwrap().lost, 1);
}

#[test]
fn a_place_that_cannot_be_written_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let s = switch(CaptureLimits::default());
    let e = s.start(at(0), Box::new(Directory(file.join("x")))).unwrap_err();
    assert!(e.to_string().contains("cannot write a capture in"), "{e}");
    assert!(!s.is_on() && s.stop().is_none());
}

#[test]
fn how_a_recording_goes_can_be_asked_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let s = switch(CaptureLimits::default());
    assert_eq!(s.status(), None);
    s.start(at(1), Box::new(Directory(dir.path().into()))).unwrap();
    let now = s.status().unwrap();
    let file = dir.path().join("toy-20261122T235901Z.jsonl.gz");
    assert_eq!((now.on, now.since, &now.place, &now.file), (true, at(1), &dir.path().to_path_buf(), &file));
    assert_eq!(now.books_missing, None, "nobody has looked");
    s.lacks(s.chapter(), 3);
    assert_eq!(s.status().unwrap().books_missing, Some(3));
    s.frame(at(2), "{}");
    s.frame(at(61), "{}");
    until(|| s.status().unwrap().frames == 2);
    let now = s.status().unwrap();
    assert_eq!((now.files, now.gaps, now.books_missing), (2, 1, None), "a new day's file shows the books anew");
    let end = s.stop().unwrap();
    let on_disk: u64 = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert_eq!((end.files, end.frames, end.gaps, end.bytes), (2, 2, 2, on_disk));
    assert_eq!(s.status(), Some(end));
}

#[test]
fn another_place_is_taken_without_a_frame_between_the_two() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let s = switch(CaptureLimits::default());
    s.start(at(0), Box::new(Directory(one.clone()))).unwrap();
    let stop = AtomicBool::new(false);
    let brought = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            let mut n = 0u64;
            while !stop.load(Ordering::SeqCst) {
                s.frame(at(1), &format!("{{\"n\":{n}}}"));
                n += 1;
                // No more than the disk takes.
                until(|| s.status().unwrap().waiting < 1_000);
            }
            n
        });
        until(|| s.status().unwrap().frames > 100);
        let chapter = s.chapter();
        let old = s.begin(s.prepare(at(2), Box::new(Directory(two.clone()))).unwrap()).unwrap();
        assert!(old.place == one && !old.on && s.chapter() != chapter, "{old:?}");
        assert!(s.status().unwrap().on);
        until(|| s.status().unwrap().frames > 100);
        stop.store(true, Ordering::SeqCst);
        feed.join().unwrap()
    });
    s.stop().unwrap();
    let mut all = Vec::new();
    for place in [one, two] {
        for entry in std::fs::read_dir(place).unwrap() {
            all.extend(lines(&entry.unwrap().path()).into_iter().filter(|l| !l.contains("ctos")));
        }
    }
    let want: Vec<String> = (0..brought).map(|n| format!("1 {{\"n\":{n}}}")).collect();
    assert_eq!(all, want);
}

#[test]
fn what_was_prepared_and_not_begun_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let s = switch(CaptureLimits::default());
    let prepared = s.prepare(at(0), Box::new(Directory(dir.path().into()))).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(!s.is_on() && s.status().is_none());
    drop(prepared);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_disk_that_is_full_already_is_told_at_the_start() {
    let toy = Toy { room: Arc::new(AtomicUsize::new(5)), ..Toy::default() };
    let files = toy.files.clone();
    let s = switch(CaptureLimits::default());
    let e = s.start(at(0), Box::new(toy)).unwrap_err();
    assert!(e.to_string().starts_with("cannot write a capture in /toy"), "{e}");
    assert!(!s.is_on() && lock(&files).is_empty());
}

#[test]
fn a_disk_that_fails_behind_a_change_of_place_does_not_end_the_new_recording() {
    let dir = tempfile::tempdir().unwrap();
    let (waits, waiting) = channel();
    let gate = Arc::new(Mutex::new(()));
    let room = Arc::new(AtomicUsize::new(1 << 20));
    let toy = Toy { room: room.clone(), gate: Some(gate.clone()), waits: Some(waits), ..Toy::default() };
    let s = switch(CaptureLimits::default());
    s.start(at(0), Box::new(toy)).unwrap();
    while waiting.try_recv().is_ok() {}
    let held = lock(&gate);
    s.frame(at(1), "{}");
    waiting.recv().unwrap();
    let prepared = s.prepare(at(2), Box::new(Directory(dir.path().into()))).unwrap();
    let old = std::thread::scope(|scope| {
        let turned = scope.spawn(|| s.begin(prepared).unwrap());
        until(|| s.status().unwrap().place == dir.path());
        room.store(0, Ordering::SeqCst);
        drop(held);
        turned.join().unwrap()
    });
    assert!(old.error.is_some(), "{old:?}");
    assert!(s.is_on());
    s.frame(at(3), "{}");
    assert_eq!(figures(s.stop()), (1, 1, 1, 0));
    assert!(!s.news().iter().any(|n| matches!(n, CaptureNews::Failed(_))), "the one who changed knows");
}
