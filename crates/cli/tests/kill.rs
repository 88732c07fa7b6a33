//! `kill -9` of the real process at every persistence point: a killed and restarted run ends as one never killed.
//! Never: a network, a wall-clock assertion.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Kills of each run, one after the other, each followed by a restart.
const KILLS: u64 = 10;
/// How a run dies in a disk operation: before it, half-way through a write, right behind it.
const WAYS: [&str; 3] = ["", ":torn", ":after"];

/// A run's arguments: short, busy with orders, and with small limits, so that snapshots, new segments and retention
/// come many times.
const ARGS: [&str; 24] = [
    "run",
    "--market",
    "synthetic",
    "--symbols",
    "sim:BTC-USDT-PERP",
    "--speed",
    "max",
    "--duration",
    "150s",
    "--set",
    "spacing=0.005",
    "--set",
    "levels=10",
    "--json",
    "--plain",
    "-qq",
    "--conf",
    "journal.snapshot_every=100",
    "--conf",
    "journal.keep_snapshots=2",
    "--conf",
    "watchdog.timeout=60s",
    "--conf",
    "log.format=json",
];

struct Home {
    dir: tempfile::TempDir,
    seed: u64,
    /// The control API writes files of its own; with it, operations of two threads interleave.
    api: bool,
}

impl Home {
    fn new(seed: u64, api: bool) -> Home {
        Home { dir: tempfile::tempdir().unwrap(), seed, api }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
        // Settings of whoever runs the tests must not reach in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CTOS_") {
                command.env_remove(name);
            }
        }
        command.args(args).arg("--home").arg(self.path()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Command {
        let mut command = self.command(&ARGS);
        command.args(["--seed", &self.seed.to_string(), "--conf", &format!("api.enabled={}", self.api)]);
        command.args(["--conf", "api.bind=127.0.0.1:0"]);
        command
    }

    /// Runs until disk operation `n` kills it. The summary when it ended before.
    fn run_until(&self, n: u64, way: &str) -> Option<Value> {
        let out = self.run().env("CTOS_CRASH_AT", format!("{n}{way}")).output().unwrap();
        if out.status.code().is_none() { None } else { Some(self.summary(&out)) }
    }

    #[track_caller]
    fn summary(&self, out: &Output) -> Value {
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "seed={} {}: {stderr}", self.seed, out.status);
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// The summary of a run that was killed after it had ended: nothing is left to continue.
    fn ended(&self) -> Option<Value> {
        let dir = only_run(&self.path())?;
        let read = |name: &str| -> Option<Value> { serde_json::from_slice(&std::fs::read(dir.join(name)).ok()?).ok() };
        if read("run.json")?["status"] == "finished" { read("summary.json") } else { None }
    }

    /// Starts it until it ends.
    fn finish(&self) -> Value {
        self.ended().unwrap_or_else(|| self.summary(&self.run().output().unwrap()))
    }

    fn json(&self, args: &[&str]) -> Value {
        self.summary(&self.command(args).arg("--json").output().unwrap())
    }
}

/// The directory of the one run of a home; a killed run must never make a second.
fn only_run(home: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(home.join("runs")).ok()?.map(|e| e.unwrap().path());
    let runs: Vec<PathBuf> = runs.filter(|p| !p.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
    assert!(runs.len() <= 1, "{runs:?}");
    runs.into_iter().next()
}

/// What must not depend on where a run was killed.
fn decided(summary: &Value) -> Value {
    let mut all = summary.clone();
    let map = all.as_object_mut().unwrap();
    for own in ["run_id", "step_latency_ns"] {
        map.remove(own).unwrap();
    }
    all
}

/// What the store says about a run, without what its name and tag make of it.
fn stored(home: &Home) -> (Vec<Value>, Value) {
    let tagless = |row: &Value| {
        let mut row = row.clone();
        let map = row.as_object_mut().unwrap();
        for own in ["run_id", "cl_ord_id", "order_key", "order"] {
            map.remove(own);
        }
        row
    };
    let fills = home.json(&["fills", "--limit", "10000"]);
    let fills = fills["fills"].as_array().unwrap().iter().map(tagless).collect();
    let mut positions = home.json(&["positions"]);
    positions.as_object_mut().unwrap().remove("run_id");
    (fills, positions)
}

fn check(home: &Home, summary: &Value, want: &Value, want_stored: &(Vec<Value>, Value), how: &str) {
    let seed = home.seed;
    assert_eq!(decided(summary), *want, "seed={seed} {how}");
    let replay = home.json(&["replay", "latest"]);
    assert_eq!(replay["identical"], true, "seed={seed} {how}: {replay}");
    assert_eq!(stored(home), *want_stored, "seed={seed} {how}");
}

/// A run that nobody kills.
fn reference(seed: u64) -> (Value, (Vec<Value>, Value)) {
    let home = Home::new(seed, false);
    let summary = home.finish();
    let stored = stored(&home);
    assert!(stored.0.len() > 20, "seed={seed}: too quiet a market proves nothing");
    assert_eq!(stored.0.len() as u64, summary["fills"].as_u64().unwrap(), "seed={seed}");
    (decided(&summary), stored)
}

/// Disk operations of a whole run, within two of a hundred.
fn operations(seed: u64) -> u64 {
    let survives = |n| Home::new(seed, false).run_until(n, "").is_some();
    let mut high = 64;
    while !survives(high) {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > high / 50 + 1 {
        let mid = low.midpoint(high);
        if survives(mid) {
            high = mid;
        } else {
            low = mid;
        }
    }
    high
}

/// Each run is killed in operations spread over the whole range of an uninterrupted one, then killed again and again
/// on its way back: recovery has persistence points too.
fn killed_in_disk_operations(seeds: std::ops::Range<u64>) {
    let all = operations(seeds.start);
    for seed in seeds {
        let (want, want_stored) = reference(seed);
        let mut home = Home::new(seed, seed % 4 == 3);
        let mut how = Vec::new();
        for kill in 0..KILLS {
            // Over seeds and kills, every part of the range and every way of dying.
            let share = (kill * 20 + seed * 7 % 20) % (KILLS * 20);
            let n = 1 + share * all / (KILLS * 20);
            let way = WAYS[((seed + kill) % 3) as usize];
            let mut n = n;
            loop {
                how.push(format!("{n}{way}"));
                let fresh = how.len() == 1;
                if home.ended().is_none() && home.run_until(n, way).is_none() {
                    break;
                }
                // It lived on to its end: this kill is for a run of its own, and a seed with less to write has fewer
                // operations.
                check(&home, &home.ended().unwrap(), &want, &want_stored, &how.join(" "));
                home = Home::new(seed, home.api);
                how.clear();
                n = if fresh { n * 3 / 4 } else { n };
            }
        }
        check(&home, &home.finish(), &want, &want_stored, &how.join(" "));
    }
}

#[test]
fn killed_in_disk_operations_1() {
    killed_in_disk_operations(1..6);
}

#[test]
fn killed_in_disk_operations_2() {
    killed_in_disk_operations(6..11);
}

#[test]
fn killed_in_disk_operations_3() {
    killed_in_disk_operations(11..16);
}

#[test]
fn killed_in_disk_operations_4() {
    killed_in_disk_operations(16..21);
}

/// From outside, at moments that no operation marks. Where exactly they fall differs from time to time; what must hold
/// does not.
#[test]
fn killed_at_any_moment() {
    for seed in 1..4 {
        let (want, want_stored) = reference(seed);
        let home = Home::new(seed, true);
        let mut pause = seed * 7_919;
        for _ in 0..KILLS {
            if home.ended().is_some() {
                break;
            }
            let mut child = home.run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            pause = (pause * 1_103_515_245 + 12_345) % 60_000;
            std::thread::sleep(Duration::from_micros(5_000 + pause));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        check(&home, &home.finish(), &want, &want_stored, "killed from outside");
    }
}
