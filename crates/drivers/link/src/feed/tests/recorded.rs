//! What a recording gets: enough for whoever has nothing else.

use super::*;
use crate::capture::{CaptureLimits, CaptureSwitch, Directory};
use ctos_storage::capture::CaptureReader;
use std::path::Path;
use std::sync::Arc;

/// Lines of all files, without their times.
fn lines(dir: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let mut reader = CaptureReader::open(&file).unwrap();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(String::from_utf8(line.frame.to_vec()).unwrap());
        }
    }
    lines
}

fn gap(since: i64, stream: &str, why: &str) -> String {
    format!("{{\"ctos\":\"gap\",\"since\":{},\"stream\":{stream},\"why\":\"{why}\"}}", at(since).0)
}

#[test]
fn frames_snapshots_holes_and_settlements_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let switch = Arc::new(CaptureSwitch::new("toy", CaptureLimits::default()));
    let mut b = Bench::new(&[all()]);
    b.feed.record_to(switch.clone());
    switch.start(at(0), Box::new(Directory(dir.path().into()))).unwrap();
    let mut b = stepped(b.started());
    let told = |n: &Notice| matches!(n, Notice::Info(text) if text.contains("recording to"));
    assert!(b.out.notices.iter().any(told));
    b.say(20, 0, 1, "q0 10");
    b.say(21, 1, 1, "m0 60000");
    b.say(60_100, 1, 1, "m0 120000");
    b.tick(65_000);
    b.seen();
    let tag = b.tag();
    b.answer(65_100, tag, 200, "60003");
    b.say(65_200, 0, 1, "d0 11 12");
    b.news(66_000, 0, 1, SocketNews::Closed { why: "1006" });
    b.tick(68_000);
    b.open(68_100, 0, 2);
    b.say(68_200, 0, 2, "d0 30 31");
    b.seen();
    let tag = b.tag();
    b.answer(68_300, tag, 200, "31");
    b.feed.stop(at(70_000), &mut b.out);
    let end = switch.stop().unwrap();
    let got = lines(dir.path());
    // The settlement is a line of ours, and no hole.
    assert_eq!((end.frames + end.gaps) as usize, got.len());
    let want = [
        "d0 1 10".to_string(),
        "snapshot of 0: 10".into(),
        "q0 10".into(),
        "m0 60000".into(),
        "m0 120000".into(),
        "funding of 0 at 60003: 1".into(),
        "d0 11 12".into(),
        gap(65_200, "\"d0\"", "1006"),
        gap(65_200, "\"q0\"", "1006"),
        "d0 30 31".into(),
        "snapshot of 0: 31".into(),
        gap(68_300, "null", "the recording ends"),
    ];
    assert_eq!(got, want);
}

#[test]
fn a_recording_that_begins_later_asks_for_the_book_that_the_kernel_has() {
    let dir = tempfile::tempdir().unwrap();
    let switch = Arc::new(CaptureSwitch::new("toy", CaptureLimits::default()));
    let mut b = Bench::new(&[all()]);
    b.feed.record_to(switch.clone());
    let mut b = stepped(b.started());
    b.say(20, 0, 1, "d0 11 12");
    b.check(&["0 D12"]);
    switch.start(at(30), Box::new(Directory(dir.path().into()))).unwrap();
    b.say(40, 0, 1, "d0 13 14");
    b.check(&["0 D14", "? /snapshot/0"]);
    // From before what was recorded: of no use to the reader, so another one; the kernel hears nothing of it.
    let tag = b.tag();
    b.answer(50, tag, 200, "11");
    b.check(&[]);
    b.tick(300);
    b.check(&["? /snapshot/0"]);
    b.say(310, 0, 1, "d0 15 16");
    let tag = b.tag();
    b.answer(320, tag, 200, "14");
    b.say(330, 0, 1, "d0 17 18");
    b.check(&["0 D16", "0 D18"]);
    assert!(b.feed.is_whole());
    switch.stop().unwrap();
    // Off again: nothing is asked for.
    b.say(340, 0, 1, "d0 19 20");
    b.check(&["0 D20"]);
    let want =
        ["d0 13 14", "snapshot of 0: 11", "d0 15 16", "snapshot of 0: 14", "d0 17 18"].map(String::from).to_vec();
    assert_eq!(lines(dir.path())[..5], want);
}

#[test]
fn a_link_that_is_replaced_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let switch = Arc::new(CaptureSwitch::new("toy", CaptureLimits::default()));
    let mut b = Bench::new(&[Want { book: true, ..Want::default() }]);
    b.feed.record_to(switch.clone());
    switch.start(at(0), Box::new(Directory(dir.path().into()))).unwrap();
    let mut b = stepped(b.started());
    // The link's day ends: another one is opened beside it, and both bring the same frames for a while.
    let day = 23 * 3_600_000 + 10;
    let mut next = 11;
    for ms in (100_000..day).step_by(100_000) {
        b.tick(ms);
        b.say(ms, 0, 1, &format!("d0 {next} {next}"));
        next += 1;
    }
    b.tick(day);
    b.open(day + 1, 0, 2);
    for n in 0..9 {
        b.say(day + 2 + n, 0, 1, &format!("d0 {next} {next}"));
        b.say(day + 2 + n, 0, 2, &format!("d0 {next} {next}"));
        next += 1;
    }
    let mut told = b.seen();
    told.retain(|t| t.starts_with("0 "));
    assert!(told.iter().all(|t| t.starts_with("0 D")) && told.last() == Some(&format!("0 D{}", next - 1)));
    assert!(b.feed.is_whole());
    switch.stop().unwrap();
    let diffs = lines(dir.path()).iter().filter(|l| l.starts_with('d')).count();
    assert_eq!((told.len(), diffs as u64), (next as usize - 11, next - 10));
}
