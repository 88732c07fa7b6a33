//! `ctos sweep` as a process: killed and started again, with one job and two, and every mistake.
//! Never: a wall-clock assertion.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With so many minutes of a market that swings.
    fn new(minutes: i64) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let mut text = String::from("timestamp,open,high,low,close,volume\n");
        let mut last = 40_000i64;
        for i in 0..minutes {
            let wave = |length: i64, high: i64| ((i % length) - length / 2).abs() * high / length;
            let close = 40_000 + wave(90, 900) + wave(37, 300) + (i * 7_919 % 101);
            let (high, low) = (last.max(close) + 15, last.min(close) - 15);
            writeln!(text, "{},{last},{high},{low},{close},12.5", 1_640_995_200_000 + i * 60_000).unwrap();
            last = close;
        }
        std::fs::write(dir.path().join("btc_perp_1m.csv"), text).unwrap();
        Place { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
        // Settings of whoever runs the tests must not reach in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CTOS_") {
                command.env_remove(name);
            }
        }
        command.args(["sweep", "--market", "replay:btc_perp_1m.csv", "--strategy", "ma_cross"]).args(args);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Value {
        let out = self.command(args).arg("--json").output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

const SEARCH: [&str; 12] = [
    "--param",
    "fast=2..14",
    "--param",
    "slow=log:15..60:9",
    "--method",
    "tpe",
    "--trials",
    "24",
    "--batch",
    "6",
    "--walk-forward",
    "2",
];
const FILES: [&str; 4] = ["trials.csv", "trials.parquet", "sweep.html", "summary.json"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SEARCH, more].concat()
}

#[track_caller]
fn same_files(a: &Path, b: &Path) {
    for file in FILES {
        let [x, y] = [a, b].map(|dir| std::fs::read(dir.join(file)).unwrap());
        assert!(x == y && !x.is_empty(), "{file} of {} and {}", a.display(), b.display());
    }
}

fn finished_lines(dir: &Path) -> usize {
    std::fs::read(dir.join("results.jsonl")).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count())
}

#[test]
fn killed_at_any_moment_the_same_command_ends_with_the_same_table() {
    let place = Place::new(12_000);
    let whole = place.run(&with(&["--out", "whole", "--jobs", "1"]));
    let mut killed = 0;
    for lines in [1, 5, 12, 20, 33, 60] {
        let mut child = place.command(&with(&["--out", "cut", "--jobs", "2"])).spawn().unwrap();
        while finished_lines(&place.path("cut")) < lines && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        assert!(!place.path("cut/trials.csv").exists() || killed < 6, "files are written at the end");
    }
    assert!(killed >= 3, "the sweep is long enough to be killed");
    // What a kill in the middle of a write leaves.
    let path = place.path("cut/results.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(br#"{"trial":"half a li"#);
    std::fs::write(&path, bytes).unwrap();
    let kept = finished_lines(&place.path("cut"));
    let resumed = place.run(&with(&["--out", "cut"]));
    assert_eq!(resumed["table_hash"], whole["table_hash"]);
    assert!(kept > 1 && finished_lines(&place.path("cut")) >= kept);
    same_files(&place.path("whole"), &place.path("cut"));
    // A finished sweep runs nothing again.
    let lines = finished_lines(&place.path("cut"));
    place.run(&with(&["--out", "cut"]));
    assert_eq!(finished_lines(&place.path("cut")), lines);
}

#[test]
fn the_number_of_jobs_changes_nothing_and_the_home_names_the_sweep() {
    let place = Place::new(3_000);
    let one = place.run(&with(&["--jobs", "1", "--home", "one"]));
    let three = place.run(&with(&["--jobs", "3", "--home", "three"]));
    let folder = |v: &Value| place.path(v["folder"].as_str().unwrap());
    assert_eq!(folder(&one).file_name(), folder(&three).file_name());
    same_files(&folder(&one), &folder(&three));
    let other = place.run(&with(&["--jobs", "3", "--home", "three", "--seed", "2"]));
    assert_ne!(other["folder"], three["folder"]);
    assert_ne!(other["table_hash"], three["table_hash"]);
    assert_eq!(one["tried"], 48);
    assert_eq!(one["folds"].as_array().unwrap().len(), 2);
    assert!(one["walk_forward"]["test_mean"].is_number(), "{one}");
}

#[test]
fn people_read_a_table_and_its_doubts() {
    let place = Place::new(2_000);
    let out = place.command(&["--param", "fast=3,5", "--param", "slow=10,20", "--out", "o"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.starts_with("grid of ma_cross on replay:btc_perp_1m.csv\n"), "{text}");
    assert!(text.contains("4 combinations tried") && text.contains("--walk-forward 4"), "{text}");
    assert!(text.ends_with("o/sweep.html\n"), "{text}");
}

#[track_caller]
fn two_lines(out: &Output, args: &[&str], error: &str, hint: &str) {
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {err}");
    let lines: Vec<&str> = err.lines().collect();
    let [first, second] = lines[..] else { panic!("{args:?}: {err}") };
    assert!(first.starts_with("error: ") && first.contains(error), "{args:?}: {first}");
    assert!(second.starts_with("hint: ") && second.contains(hint) && second.len() > 8, "{args:?}: {second}");
}

#[test]
fn every_mistake_gives_two_lines_and_leaves_nothing() {
    let place = Place::new(400);
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "no parameter is swept", "--param"),
        (&["--param", "fsat=1..9"], "no parameter fsat", "did you mean fast?"),
        (&["--param", "fast=9..1"], "the range 9..1 is empty", "fast"),
        (&["--param", "fast=0..9"], "out of range", "1 to 10000"),
        (&["--param", "fast=a,b"], "not a decimal", "fast"),
        (&["--param", "order_amount=1..9"], "without a step", "--method tpe"),
        (&["--param", "fast=3,5", "--set", "fast=4"], "both set and swept", "--set fast"),
        (&["--param", "fast=3,5", "--set", "slwo=4"], "no parameter slwo", "did you mean slow?"),
        (&["--param", "fast=30,40", "--set", "slow=20"], "no combination is possible", ""),
        (&["--param", "fast=3", "--method", "random", "--trials", "0"], "no trials", "--trials 100"),
        (&["--param", "fast=3", "--objective", "luck"], "'luck'", "sharpe"),
        (&["--param", "fast=3", "--method", "gird"], "'gird'", "grid"),
        (&["--param", "fast=3", "--walk", "anchored"], "--walk-forward", ""),
        (&["--param", "fast=3", "--walk-forward", "0"], "'0'", ""),
        (&["--param", "fast=3", "--jobs", "0"], "'0'", ""),
        (&["--param", "fast=3", "--from", "soon"], "'soon'", ""),
        (&["--param", "fast=3", "--from", "2023-01-01"], "nothing in that range", "--from"),
        (&["--param", "fast=3", "--from", "2022-01-02", "--to", "2022-01-01"], "is empty", "--to"),
        (&["--param", "slow=500"], "not longer than the warm-up", "shorter"),
        (&["--param", "slow=60", "--walk-forward", "9"], "not longer than the warm-up", "--walk-forward"),
        (&["--param", "fast=3", "--symbols", "file:ETH-USDT"], "unknown instrument", "file:BTC-USDT-PERP"),
        (&["--param", "fast=3", "--out", "btc_perp_1m.csv"], "btc_perp_1m.csv", "--out"),
    ];
    for (args, error, hint) in cases {
        two_lines(&place.command(args).output().unwrap(), args, error, hint);
        let left = std::fs::read_dir(place.dir.path()).unwrap().count();
        assert_eq!(left, 1, "{args:?} left something behind");
    }
    place.run(&["--param", "fast=3,5", "--out", "mine"]);
    let other = ["--param", "fast=3,7", "--out", "mine"];
    two_lines(&place.command(&other).output().unwrap(), &other, "holds another sweep", "--fresh");
    place.run(&["--param", "fast=3,7", "--out", "mine", "--fresh"]);
    let nothing = place.path("empty.csv");
    std::fs::write(&nothing, "timestamp,open,high,low,close,volume\n").unwrap();
    let empty = ["--param", "fast=3"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    command.args(["sweep", "--market", "replay:empty.csv", "--strategy", "ma_cross"]).args(empty);
    two_lines(&command.current_dir(place.dir.path()).output().unwrap(), &empty, "empty.csv", "");
}
