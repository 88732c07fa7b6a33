//! Every mistake: one `error:` line, one `hint:` line, exit code 1, nothing half made.

use crate::support::{Place, Said};

#[track_caller]
fn two_lines(said: &Said, args: &[&str], error: &str, hint: &str) {
    assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
    // A program that asked for JSON finds the same there.
    assert_eq!(said.out.is_empty(), !args.contains(&"--json"), "{args:?}: {said:?}");
    let lines: Vec<&str> = said.err.lines().collect();
    let [first, second] = lines[..] else { panic!("{args:?}: {said:?}") };
    assert!(first.starts_with("error: ") && first.contains(error), "{args:?}: {first}");
    assert!(second.starts_with("hint: ") && second.contains(hint), "{args:?}: {second}");
}

#[test]
fn each_gives_two_lines_and_leaves_no_home() {
    let place = Place::new();
    let unknown_key = place.file("key.yaml", "markt: synthetic\n");
    let wrong_type = place.file("type.yaml", "seed: many\n");
    let unknown_limit = place.file("limit.yaml", "risk:\n  max_leverag: \"3\"\n");
    let not_yaml = place.file("broken.yaml", "a: [1,\n");
    // The head of a gzip file that promises more than there is.
    let truncated = place.file("cut.jsonl.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c]);
    let empty = place.file("empty.csv", "");
    let truncated = format!("replay:{truncated}");
    let empty = format!("replay:{empty}");
    let dir = format!("replay:{}", place.dir.path().display());
    let cases: &[(&[&str], &str, &str)] = &[
        (&["run", "--config", &unknown_key], "unknown key \"markt\"", "did you mean market?"),
        (&["run", "--config", &wrong_type], "seed: expected a whole number", "write for example"),
        (&["run", "--config", &unknown_limit], "unknown key \"risk.max_leverag\"", "did you mean max_leverage?"),
        (&["run", "--config", &not_yaml], "broken.yaml", ""),
        (&["run", "--config", "nowhere.yaml"], "nowhere.yaml", "check the path"),
        (&["config", "show", "--config", "nowhere.yaml"], "nowhere.yaml", "check the path"),
        (&["run", "--market", "replay:nowhere.jsonl.gz"], "nowhere.jsonl.gz", ""),
        (&["run", "--market", &truncated], "cut.jsonl.gz", ""),
        (&["run", "--market", &empty], "empty.csv", ""),
        (&["run", "--market", &dir], "", ""),
        (
            &["run", "--market", "moon"],
            "synthetic, replay:PATH, catalog:DIR, binance, binance:spot or binance:usdm",
            "",
        ),
        (&["run", "--balance", "USDT=-5"], "balances.USDT", ""),
        (&["run", "--balance", "USDT"], "--balance \"USDT\" is not KEY=VALUE", "USDT=10000"),
        (&["run", "--symbols", "sim:BTC-USDT-PREP"], "sim:BTC-USDT-PREP", ""),
        (&["run", "--strategy", "gird"], "there is no strategy gird", "did you mean grid?"),
        (&["run", "--strategy", "grid", "--set", "level=3"], "no parameter level", "did you mean levels?"),
        (&["run", "--strategy", "grid", "--set", "levels=0"], "levels", ""),
        (&["run", "--strategy", "grid", "--set", "levels=ten"], "levels", ""),
        (&["run", "--strategy", "grid", "--set", "lower=10", "--set", "upper=5"], "grid", ""),
        (&["run", "--strategy", "grid", "--set", "symbol=sim:NOPE-USDT"], "sim:NOPE-USDT", ""),
        (&["run", "--speed", "fast"], "expected a speed", ""),
        (&["run", "--speed", ""], "--speed is empty", ""),
        (&["run", "--duration", "10"], "a time span with a unit", "30s"),
        (&["run", "--seed", "-1"], "'-1'", ""),
        (&["run", "--seed", "1.5"], "seed", ""),
        (&["run", "--mode", "live"], "live", "paper"),
        (&["run", "--risk", "max_leverage=0"], "max_leverage", ""),
        (&["run", "--conf", "api.bind=0.0.0.0:80"], "api.bind", ""),
        (&["run", "--conf", "nothing=1"], "unknown key", ""),
        (&["run", "--sped", "max"], "--sped", "'--speed'"),
        (&["rum"], "'rum'", "'run'"),
        (&["strategies", "gird"], "there is no strategy gird", "did you mean grid?"),
        (&["completions", "dos"], "'dos'", "bash"),
        (&["orders", "--limit", "0"], "'0'", "--help"),
        (&["status"], "no ctos home", "ctos run"),
        (&["orders"], "no ctos home", "ctos run"),
        (&["fills", "--json"], "no ctos home", "ctos run"),
        (&["positions"], "no ctos home", "ctos run"),
        (&["replay", "latest"], "no ctos home", "ctos run"),
        (&["halt"], "no ctos home", "ctos run"),
        (&["resume"], "no ctos home", "ctos run"),
        (&["stop"], "no ctos home", "ctos run"),
        (&["start", "grid"], "no ctos home", "ctos run"),
        (&["doctor", "--rebuild-store"], "no ctos home", "ctos run"),
        (&["status", "--home", ""], "home", ""),
    ];
    for (args, error, hint) in cases {
        let said = place.ctos(args);
        two_lines(&said, args, error, hint);
        assert!(!place.home().exists(), "{args:?} left a home behind");
    }
    assert_eq!(std::fs::read_dir(place.dir.path()).expect("listed").count(), 6, "only the test's own files are there");
}

#[test]
fn unknown_runs_scopes_and_strategies_of_a_home_are_named() {
    let place = Place::new();
    let run = place.ctos(&["run", "--duration", "1s", "--speed", "max", "--json", "-q"]).json();
    let id = run["run_id"].as_str().expect("an id");
    let near = id.replace('t', "T");
    for (args, error, hint) in [
        (vec!["replay", near.as_str()], "there is no run", id),
        (vec!["replay", "../../etc"], "there is no run", "latest"),
        (vec!["halt", "strategy:gird"], "strategy:gird", ""),
        (vec!["resume", "nobody"], "nobody", ""),
        (vec!["stop"], "no instance runs", "ctos run"),
        (vec!["start", "grid"], "no instance runs", "ctos run"),
    ] {
        two_lines(&place.ctos(&args), &args, error, hint);
    }
    assert_eq!(place.ctos(&["status", "--json"]).json()["halts"], serde_json::json!([]), "no mistake halts anything");
}

#[test]
fn a_taken_address_leaves_no_home() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let bind = format!("api.bind={}", taken.local_addr().expect("an address"));
    let args = ["run", "--conf", &bind];
    two_lines(&place.ctos(&args), &args, "cannot listen on", "port 0");
    assert!(!place.home().exists());
}

#[test]
fn damaged_files_are_named_not_trusted() {
    let place = Place::new();
    place.ctos(&["run", "--duration", "1s", "--speed", "max", "-q"]).code.expect("ended");
    std::fs::write(place.home().join("latches.json"), "{ not json").expect("written");
    let args = ["run", "--duration", "1s", "--speed", "max"];
    let said = place.ctos(&args);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("latches.json is damaged"), "a damaged latch must not be taken for none: {said:?}");
    let doctor = place.ctos(&["doctor", "--json"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.out.contains("\"fail\"") && doctor.out.contains("latches"), "{doctor:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let place = Place::new();
    let mut child = place
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let said: Said = child.wait_with_output().expect("ended").into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}
