use super::*;
use ctos_link::LinkTime;
use ctos_link::capture::CaptureLimits;
use ctos_storage::capture::CaptureReader;
use ctos_storage::home::Home;

/// Two markets of a run in a home.
struct Rig {
    dir: tempfile::TempDir,
    home: Home,
    run: RunDir,
    switches: Vec<Arc<CaptureSwitch>>,
    recording: Recording,
}

fn rig(setting: Option<PathBuf>) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(&dir.path().join("home")).unwrap();
    let run = home.create_run("r-1", &"settings").unwrap();
    let names = ["binance-spot", "binance-usdm"];
    let switches: Vec<_> = names.map(|n| Arc::new(CaptureSwitch::new(n, CaptureLimits::default()))).into();
    let recording = Recording::new(switches.clone(), Arc::new(LinkTime::start()));
    recording.attach(run.clone(), setting, home.path().into());
    Rig { dir, home, run, switches, recording }
}

impl Rig {
    fn bring(&self, text: &str) {
        self.switches.iter().for_each(|s| s.frame(self.recording.time.now(), text));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Frames of all files of a directory, file by file. Each must be a whole gzip member, and say that it is over.
fn frames(dir: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut frames = Vec::new();
    for file in files {
        let mut reader = CaptureReader::open(&file).unwrap();
        let mut last = String::new();
        while let Some(line) = reader.next_line().unwrap() {
            last = String::from_utf8(line.frame.to_vec()).unwrap();
            frames.push(last.clone());
        }
        assert_eq!(reader.summary().bad_lines, 0, "{}: {:?}", file.display(), reader.summary());
        assert!(last.contains("\"ctos\":\"gap\""), "{}: {last}", file.display());
        frames.pop();
    }
    frames
}

#[test]
fn it_is_turned_on_and_off_and_on_again_and_each_part_is_whole() {
    let r = rig(None);
    assert_eq!(r.recording.status().markets.len(), 2);
    assert!(!r.recording.status().on && r.recording.status().dir.is_none());
    r.bring("before");
    let on = r.recording.start(Some(&r.at("a"))).unwrap();
    assert!(on.changed && on.recording.on && on.notices.is_empty(), "{on:?}");
    assert_eq!(on.recording.dir, Some(r.at("a")));
    r.bring("one");
    // Again, with the name and without: it is so already.
    for dir in [Some(r.at("a")), Some(r.at("a/../a")), None] {
        let same = r.recording.start(dir.as_deref()).unwrap();
        assert!(!same.changed && same.recording.files == 2, "{dir:?}: {same:?}");
    }
    r.bring("two");
    let off = r.recording.stop().unwrap();
    assert!(off.changed && !off.recording.on && off.notices.len() == 2, "{off:?}");
    assert_eq!((off.recording.frames, off.recording.files), (4, 2));
    assert!(off.recording.bytes > 0);
    assert_eq!(frames(&r.at("a")), ["one", "two", "one", "two"], "whole while the run goes on");
    r.bring("between");
    let again = r.recording.stop().unwrap();
    assert!(!again.changed && again.notices.is_empty());
    r.recording.start(Some(&r.at("a"))).unwrap();
    r.bring("three");
    r.recording.finish();
    assert_eq!(frames(&r.at("a")).len(), 6);
    let late = r.recording.start(None).unwrap_err();
    assert!(late.message.contains("the run is ending"), "{late}");
}

#[test]
fn into_another_directory_it_goes_on_there() {
    let r = rig(None);
    r.recording.start(Some(&r.at("a"))).unwrap();
    r.bring("one");
    let moved = r.recording.start(Some(&r.at("b"))).unwrap();
    assert!(
        moved.changed && moved.notices.len() == 2 && moved.notices[0].contains("/a: 1 frames in 1 file"),
        "{moved:?}"
    );
    assert_eq!(moved.recording.dir, Some(r.at("b")));
    r.bring("two");
    r.recording.stop().unwrap();
    assert_eq!((frames(&r.at("a")), frames(&r.at("b"))), (vec!["one".to_string(); 2], vec!["two".to_string(); 2]));
}

#[test]
fn where_nothing_can_be_written_what_was_on_stays_on() {
    let r = rig(None);
    std::fs::write(r.at("file"), "").unwrap();
    let refused = r.recording.start(Some(&r.at("file/x"))).unwrap_err();
    assert!(refused.message.contains("cannot write a capture in"), "{refused}");
    assert!(!r.recording.status().on && r.recording.status().dir.is_none());
    r.recording.start(Some(&r.at("a"))).unwrap();
    r.bring("one");
    r.recording.start(Some(&r.at("file"))).unwrap_err();
    r.bring("two");
    let status = r.recording.status();
    assert!(status.on && status.dir == Some(r.at("a")), "{status:?}");
    r.recording.stop().unwrap();
    assert_eq!(frames(&r.at("a")), ["one", "two", "one", "two"]);
}

#[test]
fn without_a_name_it_goes_where_the_setting_says_or_into_a_new_directory_of_the_home() {
    let named = tempfile::tempdir().unwrap();
    let r = rig(Some(named.path().into()));
    assert_eq!(r.recording.start(None).unwrap().recording.dir, Some(named.path().into()));
    let r = rig(None);
    let dir = r.recording.start(None).unwrap().recording.dir.unwrap();
    assert_eq!(dir.parent(), Some(&*r.home.path().join("recordings")));
    let name = dir.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("r-1-2") && name.ends_with('Z'), "{name}");
}

#[test]
fn a_ban_is_told_to_who_begins_in_it() {
    let r = rig(None);
    let until = UnixNanos::from_secs(2_000_000_000);
    r.recording.heed_closures(move || {
        vec![ClosureStatus { group: "binance https://fapi.binance.com".into(), until, banned: true }]
    });
    let on = r.recording.start(Some(&r.at("a"))).unwrap();
    assert!(on.changed && on.recording.on, "what comes over the streams is worth having");
    let [notice] = &on.notices[..] else { panic!("{on:?}") };
    assert!(notice.contains("has banned this address until 2033-05-18") && notice.contains("books follow"), "{notice}");
}

#[test]
fn a_run_that_goes_on_records_as_it_was_left() {
    let (x, y) = (PathBuf::from("/x"), PathBuf::from("/y"));
    let begun =
        |r: &Rig, with: Option<&PathBuf>, now: Option<&PathBuf>| RecordFrom::of(Some((&r.run, with)), now).unwrap();
    let from = |r: &Rig, now: Option<&PathBuf>| begun(r, None, now);
    let first = |dir: &PathBuf| RecordFrom { first: Some(dir.clone()), again: None };
    // Nobody said anything: the setting.
    let r = rig(None);
    assert_eq!(from(&r, None), RecordFrom::default());
    assert_eq!(from(&r, Some(&x)), first(&x));
    // The setting that it began with: a disk that has become full does not keep it from going on.
    assert_eq!(begun(&r, Some(&x), Some(&x)), RecordFrom { first: None, again: Some(x.clone()) });
    assert_eq!(begun(&r, Some(&x), None), RecordFrom::default());
    assert_eq!(begun(&r, Some(&x), Some(&y)), first(&y));
    // Turned on: it goes on, unless the setting has changed since.
    r.recording.start(Some(&r.at("a"))).unwrap();
    assert_eq!(from(&r, None), RecordFrom { first: None, again: Some(r.at("a")) });
    assert_eq!(from(&r, Some(&x)), first(&x));
    r.recording.stop().unwrap();
    assert_eq!(from(&r, None), RecordFrom::default());
    // Turned off against the setting: it stays off, unless that has changed since.
    let r = rig(Some(x.clone()));
    r.recording.stop().unwrap();
    assert_eq!(begun(&r, Some(&x), Some(&x)), RecordFrom::default());
    assert_eq!(begun(&r, Some(&x), Some(&y)), first(&y));
    // A new run knows nothing of it.
    assert_eq!(RecordFrom::of(None, Some(&x)).unwrap(), first(&x));
    // The end of a run is no word of a person's.
    let r = rig(None);
    r.recording.start(Some(&r.at("a"))).unwrap();
    r.recording.finish();
    assert_eq!(from(&r, None).again, Some(r.at("a")));
}
