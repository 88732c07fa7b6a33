//! Recording as a user has it: the real binary on a real twin's market, from the start (`--record`) with its sockets cut
//! in the middle, and by the switch (`ctos record`) in mid-run. What is recorded is what the run lived through, and
//! trades again.

#[path = "live/trader.rs"]
#[allow(dead_code, reason = "other stories need more of it")]
mod trader;
#[path = "live/twin.rs"]
#[allow(dead_code, reason = "other stories need more of it")]
mod twin;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use trader::{Trader, refusal};
use twin::{Twin, ctos, plain, wait_until};

const SYMBOL: &str = "binance:BTC-USDT-PERP";

struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(dir: &Path, args: &[&str]) -> Value {
    let out = ctos(args).current_dir(dir).arg("--json").output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Rows of a catalog's series without their times: what happened, in order.
fn rows(dir: &Path, catalog: &str, kind: &str) -> Vec<Vec<String>> {
    let file = format!("{catalog}-{kind}.csv");
    said(dir, &["data", "export", SYMBOL, "--catalog", catalog, "--kind", kind, "--to-file", &file]);
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').map(plain).collect::<Vec<String>>());
    let names = lines.next().unwrap();
    let keep: Vec<usize> = (0..names.len()).filter(|at| !names[*at].starts_with("ts_")).collect();
    lines.map(|row| keep.iter().map(|at| row[*at].clone()).collect()).collect()
}

/// Rows of a book: of a recording's file, or (`None`) of what the runs of the home received.
fn book(said: &dyn Fn(&[&str]) -> Value, dir: &Path, tape: Option<&Path>) -> Vec<Vec<String>> {
    let of = tape.map_or("lived", |t| t.file_name().unwrap().to_str().unwrap());
    let (catalog, csv) = (dir.join(format!("catalog-{of}")), dir.join(format!("{of}.csv")));
    let (catalog, csv) = (catalog.to_str().unwrap(), csv.to_str().unwrap());
    match tape {
        Some(tape) => said(&["data", "import", tape.to_str().unwrap(), "--catalog", catalog]),
        None => said(&["data", "record", "--catalog", catalog]),
    };
    said(&["data", "export", SYMBOL, "--catalog", catalog, "--kind", "book", "--to-file", csv]);
    let text = std::fs::read_to_string(csv).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').map(plain).collect::<Vec<String>>());
    let names = lines.next().unwrap();
    let at = |name: &str| names.iter().position(|n| n == name).unwrap();
    let keep = ["action", "update_id", "side", "price", "qty"].map(at);
    lines.map(|row| keep.iter().map(|at| row[*at].clone()).collect()).collect()
}

/// What ended a recording.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Switch,
    /// Its sockets are heard for a moment longer than the run is.
    Run,
}

/// A file of a recording, replayed: it begins with a book, its chain never breaks, and each change is one that the run
/// received, all of them from the first to the last.
fn is_whole(said: &dyn Fn(&[&str]) -> Value, dir: &Path, tape: &Path, lived: &[Vec<String>], end: End) {
    let taped = book(said, dir, Some(tape));
    let of = |action: &str| taped.iter().filter(|r| r[0] == action).count();
    // The word that the file is over is one, at its end.
    let gap = taped.iter().position(|r| r[0] == "gap").unwrap_or(taped.len());
    assert!(of("snapshot") > 0 && of("gap") <= 1 && gap + 1 >= taped.len(), "{}", tape.display());
    let id = |row: &[String]| row[1].parse::<u64>().unwrap();
    let changes: Vec<&Vec<String>> = taped.iter().filter(|r| r[0] == "update").collect();
    assert!(changes.len() > 50, "{}: {} changes", tape.display(), changes.len());
    let (first, last) = (id(changes[0]), id(changes[changes.len() - 1]));
    let same: Vec<&Vec<String>> =
        lived.iter().filter(|r| r[0] == "update" && (first..=last).contains(&id(r))).collect();
    let differs = changes.iter().zip(&same).position(|(t, l)| t != l);
    assert_eq!(differs, None, "{}", tape.display());
    let is_all = changes.len() == same.len() || (end == End::Run && changes.len() > same.len());
    assert!(is_all, "{}: {} changes, {} of them lived through", tape.display(), changes.len(), same.len());
}

/// Waits until the books are in the recording, and after them as many frames.
fn recorded(said: &dyn Fn(&[&str]) -> Value, log: &dyn Fn() -> String, frames: u64) -> Value {
    let (mut now, mut enough) = (Value::Null, None);
    let look = || {
        now = said(&["record"]);
        let has_books = now["markets"].as_array().unwrap().iter().all(|m| m["books_missing"] == 0);
        let got = now["frames"].as_u64().unwrap();
        now["on"] == true && has_books && got >= *enough.get_or_insert(got + frames)
    };
    wait_until("a recording", look, log);
    now
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_recorded_market_is_what_the_run_lived_through() {
    let twin = Twin::start();
    let dir = tempfile::tempdir().unwrap();
    let speed = format!("{}x", twin.speed);
    let market = ["--market", "binance", "--symbols", SYMBOL, "--speed", &speed, "--record", "tape"];
    let place = ["--base-url", twin.url("usdm", "rest"), "--ws-url", twin.url("usdm", "ws")];
    let mut command = ctos(&["run", "--plain", "--json", "--strategy", "grid", "--conf", "api.bind=127.0.0.1:0"]);
    command.args(market).args(place).args(["--duration", "10m"]).current_dir(dir.path());
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut run = Run(command.stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    wait_until("the recording", || log().contains("recording to"), log);
    let status = || ctos(&["status", "--json"]).current_dir(dir.path()).output().unwrap();
    wait_until("the run", || status().status.success(), log);
    // A book in the run, a cut, and a book again.
    let lived = || log().matches("link lost").count();
    std::thread::sleep(std::time::Duration::from_secs(1));
    twin.deed("usdm", json!({"do": "close", "code": null}));
    wait_until("the cut", || lived() > 0, log);
    wait_until("the way back", || log().matches("is up").count() >= 4, log);
    std::thread::sleep(std::time::Duration::from_secs(1));
    Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
    assert!(run.0.wait().unwrap().success(), "{}", log());
    let tapes = files(&dir.path().join("tape"));
    let [tape] = &tapes[..] else { panic!("{tapes:?}") };
    assert!(tape.to_string_lossy().contains("binance-usdm-2"), "{tape:?}");
    let tape = tape.to_str().unwrap();
    let imported = said(dir.path(), &["data", "import", tape, "--catalog", "taped"]);
    said(dir.path(), &["data", "record", "--catalog", "lived"]);
    for (kind, least) in [("book", 500), ("trades", 20), ("quotes", 50), ("marks", 20)] {
        let (lived, taped) = (rows(dir.path(), "lived", kind), rows(dir.path(), "taped", kind));
        assert!(lived.len() > least && taped.len() >= lived.len(), "{kind}: {} of {}", lived.len(), taped.len());
        // The run ends a moment before its sockets do.
        let differs = lived.iter().zip(&taped).position(|(l, t)| l != t);
        assert_eq!(differs.map(|at| (at, &lived[at], &taped[at])), None, "{kind}: {imported}");
        if kind == "book" {
            let count = |word: &str| lived.iter().filter(|r| r.iter().any(|cell| cell == word)).count();
            assert!(count("gap") >= 1 && count("snapshot") >= 2, "{} gaps", count("gap"));
        }
    }
    let summary = said(
        dir.path(),
        &[
            "run",
            "--plain",
            "--home",
            "again",
            "--market",
            &format!("replay:{tape}"),
            "--speed",
            "max",
            "--strategy",
            "grid",
        ],
    );
    let source = summary["source"].to_string();
    assert!(source.contains("\"bad_lines\":0"), "{source}");
}

#[test]
fn a_recording_that_cannot_be_is_refused_before_anything_begins() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let out = ctos(&["run", "--plain"]).args(args).current_dir(dir.path()).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let text = run(&["--record", "tape"]);
    assert!(text.contains("record: only a market that comes in as it happens") && text.contains("hint:"), "{text}");
    assert!(!dir.path().join("var").exists());
}

/// A run on paper in a directory of its own.
struct Paper<'a> {
    twin: &'a Twin,
    dir: tempfile::TempDir,
}

impl Paper<'_> {
    fn start(&self) -> Run {
        let (twin, speed) = (self.twin, format!("{}x", self.twin.speed));
        let mut command = ctos(&["run", "--plain", "--json", "--strategy", "grid", "--conf", "api.bind=127.0.0.1:0"]);
        command.args(["--market", "binance", "--symbols", SYMBOL, "--speed", &speed]);
        command.args(["--base-url", twin.url("usdm", "rest"), "--ws-url", twin.url("usdm", "ws")]);
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let run = Run(command.current_dir(self.dir.path()).stdout(Stdio::piped()).stderr(log).spawn().unwrap());
        let has_book = |s: &Value| s["markets"].as_array().is_some_and(|m| m.iter().any(|m| m["book_valid"] == true));
        let is_up = || {
            let out = ctos(&["status", "--json"]).current_dir(self.dir.path()).output().unwrap();
            serde_json::from_slice(&out.stdout).is_ok_and(|s: Value| s["running"] == true && has_book(&s))
        };
        wait_until("a market", is_up, || self.log());
        run
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn said(&self, args: &[&str]) -> Value {
        said(self.dir.path(), args)
    }

    fn text(&self, args: &[&str]) -> String {
        let out = ctos(args).current_dir(self.dir.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn recorded(&self) -> Value {
        recorded(&|args| self.said(args), &|| self.log(), 400)
    }
}

#[test]
fn the_switch_is_thrown_while_the_run_goes_on_and_each_part_is_whole() {
    let twin = Twin::start();
    let paper = Paper { twin: &twin, dir: tempfile::tempdir().unwrap() };
    let (dir, ask) = (paper.dir.path(), |args: &[&str]| paper.said(args));
    let mut run = paper.start();
    let off = paper.said(&["record"]);
    assert_eq!((&off["on"], &off["dir"], off["markets"].as_array().unwrap().len()), (&json!(false), &Value::Null, 1));
    assert!(!paper.text(&["status"]).contains("recording"));
    assert_eq!(paper.said(&["record", "stop"])["changed"], false);
    assert!(paper.text(&["record"]).contains("turn it on with `ctos record start`"));

    // On, by a name that is relative to whoever asks.
    let on = paper.said(&["record", "start", "tape"]);
    let tape = dir.join("tape").canonicalize().unwrap();
    assert_eq!((&on["changed"], Path::new(on["recording"]["dir"].as_str().unwrap())), (&json!(true), &*tape), "{on}");
    paper.recorded();
    assert!(paper.text(&["status"]).contains(&format!("recording into {}", tape.display())));
    assert_eq!(paper.said(&["status"])["live"]["recording"]["on"], true);
    assert_eq!(paper.said(&["record", "start", "tape"])["changed"], false);
    assert!(paper.text(&["record", "start"]).starts_with("it is recorded already"));
    std::fs::write(dir.join("file"), "").unwrap();
    let refused = ctos(&["record", "start", "file"]).current_dir(dir).output().unwrap();
    refusal(&refused, "cannot write a capture in", "nothing else has changed");

    // Off: what there is is whole, and trades again while the run goes on.
    let off = paper.said(&["record", "stop"]);
    assert_eq!((&off["changed"], &off["recording"]["on"], files(&tape).len()), (&json!(true), &json!(false), 1));
    let first = files(&tape)[0].clone();
    let size = first.metadata().unwrap().len();
    assert_eq!(off["recording"]["bytes"], size);
    let market = format!("replay:{}", first.display());
    let again = ["run", "--plain", "--home", "again", "--market", &market, "--speed", "max", "--strategy", "grid"];
    let summary = paper.said(&again);
    let source = summary["source"].to_string();
    assert!(source.contains("\"bad_lines\":0") && !source.contains("broke") && !source.contains("dropped"), "{source}");
    assert!(summary["orders"]["sent"].as_u64() > Some(0), "{summary}");

    // On again in the same directory, elsewhere, killed: the run goes on as it was left.
    paper.said(&["record", "start", "tape"]);
    paper.recorded();
    let moved = paper.said(&["record", "start", "other"]);
    assert_eq!((&moved["changed"], files(&tape).len()), (&json!(true), 2), "{moved}");
    paper.recorded();
    drop(run);
    run = paper.start();
    let other = dir.join("other");
    let on = paper.recorded();
    assert_eq!(Path::new(on["dir"].as_str().unwrap()).canonicalize().unwrap(), other.canonicalize().unwrap(), "{on}");
    paper.said(&["record", "stop"]);
    drop(run);
    run = paper.start();
    assert_eq!(paper.said(&["record"])["on"], false, "off is a word, too");
    // A disk that takes nothing any more does not keep a run from going on.
    paper.said(&["record", "start", "gone"]);
    drop(run);
    std::fs::remove_dir_all(dir.join("gone")).unwrap();
    std::fs::write(dir.join("gone"), "").unwrap();
    run = paper.start();
    assert_eq!(paper.said(&["record"])["on"], false);
    assert!(paper.log().contains("the market is not recorded any more: cannot write a capture in"), "{}", paper.log());
    // The run's end is the end of the recording.
    paper.said(&["record", "start", "last"]);
    paper.recorded();
    Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
    assert!(run.0.wait().unwrap().success(), "{}", paper.log());
    assert_eq!(first.metadata().unwrap().len(), size);

    let lived = book(&ask, dir, None);
    let killed = files(&other)[0].clone();
    for tape in [files(&tape), files(&other), files(&dir.join("last"))].concat() {
        let end = if tape == killed || tape.starts_with(dir.join("last")) { End::Run } else { End::Switch };
        is_whole(&ask, dir, &tape, &lived, end);
        let whole = Command::new("gzip").arg("-t").arg(&tape).output().unwrap().status.success();
        assert_eq!(whole, tape != killed, "{}", tape.display());
    }
    assert_eq!(files(&other).len(), 2);
    // Both parts of a directory, as one market with a hole between them.
    let market = format!("replay:{}", tape.display());
    let summary =
        paper.said(&["run", "--plain", "--home", "both", "--market", &market, "--speed", "max", "--strategy", "grid"]);
    let source = summary["source"].to_string();
    assert!(source.contains("\"bad_lines\":0") && !source.contains("broke"), "{source}");
    let log = paper.log();
    assert!(log.contains("recording: turned on") && log.contains("recording: turned off"), "{log}");
    let gone = ctos(&["record"]).current_dir(dir).output().unwrap();
    refusal(&gone, "no instance runs", "ctos run");
}

#[test]
fn a_live_run_is_recorded_too_and_a_ban_only_delays_its_books() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let run = trader.start();
    trader.wait_ready();
    let ask = |trader: &Trader, args: &[&str]| trader.json(&[args, &["--json"]].concat());
    let on = ask(&trader, &["record", "start"]);
    let dir = PathBuf::from(on["recording"]["dir"].as_str().unwrap());
    assert!(dir.starts_with(trader.dir.path().canonicalize().unwrap().join("home/recordings")), "{on}");
    recorded(&|args| ask(&trader, args), &|| trader.logs(), 400);
    trader.trade(&twin, &desk, 2);
    ask(&trader, &["record", "stop"]);
    let tape = files(&dir)[0].clone();

    // A ban of a minute, by the venue's clock.
    twin.deed("usdm", json!({"do": "ban", "secs": 60}));
    let banned = || ask(&trader, &["status"])["live"]["closures"].as_array().is_some_and(|c| !c.is_empty());
    wait_until("the ban", banned, || trader.logs());
    let begun = ask(&trader, &["record", "start", dir.join("../banned").to_str().unwrap()]);
    assert!(begun["notices"][0].as_str().unwrap().contains("banned this address until"), "{begun}");
    recorded(&|args| ask(&trader, args), &|| trader.logs(), 400);
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
    let lived = book(&|args| ask(&trader, args), trader.dir.path(), None);
    let banned = files(&dir.join("../banned")).into_iter().map(|tape| (tape, End::Run));
    for (tape, end) in [(tape, End::Switch)].into_iter().chain(banned) {
        is_whole(&|args| ask(&trader, args), trader.dir.path(), &tape, &lived, end);
        let text = Command::new("gzip").arg("-cd").arg(&tape).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        let secret = ["listenKey", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", &desk.key.key, &desk.key.secret];
        assert!(secret.iter().all(|word| !text.contains(word)), "only the market is recorded");
    }
}

#[test]
fn a_run_without_a_live_market_has_nothing_to_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = ctos(&["run", "--plain", "--speed", "60x", "--conf", "api.bind=127.0.0.1:0"]);
    let _run = Run(command.current_dir(dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let ask = |args: &[&str]| ctos(args).current_dir(dir.path()).output().unwrap();
    wait_until("the run", || ask(&["record"]).status.success(), String::new);
    let said = String::from_utf8(ask(&["record"]).stdout).unwrap();
    assert!(said.contains("no live market"), "{said}");
    for what in ["start", "stop"] {
        refusal(&ask(&["record", what]), "no live market that could be recorded", "--market binance");
    }
}
