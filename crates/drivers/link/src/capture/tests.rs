use super::*;
use ctos_storage::capture::CaptureReader;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
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
    assert_eq!(s.stop(), Some(CaptureEnd { files: 1, lines: 4, ..CaptureEnd::default() }));
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
    assert!(end.error.is_some() && end.lines < sent, "{end:?}");
    // Everything up to where the disk was full can be read.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("left.gz");
    std::fs::write(&path, lock(&files).values().next().unwrap()).unwrap();
    let mut reader = CaptureReader::open(&path).unwrap();
    let mut read = 0;
    while reader.next_line().unwrap().is_some() {
        read += 1;
    }
    assert!(read > 500, "{read}");
    // With room again it can be turned on again.
    s.start(at(2), Box::new(Toy { room: Arc::new(AtomicUsize::new(1 << 20)), ..Toy::default() })).unwrap();
    s.frame(at(2), "{}");
    assert_eq!(s.stop(), Some(CaptureEnd { files: 1, lines: 2, ..CaptureEnd::default() }));
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
    let held = lock(&gate);
    // The writer's first flush stands still at the gate; until then it takes what comes.
    s.frame(at(1), "{\"n\":0}");
    waiting.recv().unwrap();
    let chapter = s.chapter();
    for n in 1..=20 {
        s.frame(at(1), &format!("{{\"n\":{n}}}"));
    }
    drop(held);
    until(|| s.board.waiting.load(Ordering::SeqCst) == 0);
    // Too soon: a disk that was too slow a moment ago is not trusted yet.
    s.frame(at(10), "{\"n\":21}");
    assert_eq!(s.chapter(), chapter);
    s.frame(at(11), "{\"n\":22}");
    assert_ne!(s.chapter(), chapter, "books must be shown again");
    let end = s.stop().unwrap();
    assert_eq!((end.lines, end.lost), (8 + 1 + 1 + 1 + 1, 13));
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
