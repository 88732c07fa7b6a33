//! `ctos run --record` as a user has it: the real binary on a real twin's market, its sockets cut in the middle. What
//! is recorded is what the run lived through, and trades again.

#[path = "live/twin.rs"]
#[allow(dead_code, reason = "other stories need more of it")]
mod twin;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
