//! `ctos data record --follow` beside a live instance: killed, started again, the instance killed too; nothing is lost or
//! recorded twice, and what was recorded trades again.

use crate::support::{Place, Running, Said, until};
use serde_json::Value;
use std::process::{Child, Stdio};

fn follow(place: &Place) -> Child {
    let args = ["data", "record", "--follow", "--every", "100ms", "--json", "-q"];
    place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// What a follower says that came to its end by itself.
fn ended(follower: Child) -> Value {
    Said::from(follower.wait_with_output().expect("ended")).json()
}

/// Rows in the catalog, of every kind but definitions.
fn rows(place: &Place) -> u64 {
    let said = place.ctos(&["data", "list", "--json"]);
    let list: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let of = |s: &Value| if s["kind"] == "instruments" { 0 } else { s["rows"].as_u64().unwrap_or(0) };
    list.as_array().map_or(0, |all| all.iter().map(of).sum())
}

fn events(place: &Place) -> u64 {
    let status: Value = serde_json::from_str(&place.ctos(&["status", "--json"]).out).unwrap_or_default();
    status["summary"]["market_events"].as_u64().unwrap_or(0)
}

#[track_caller]
fn grows(place: &Place, by: u64) {
    let had = rows(place);
    until("more is recorded", || rows(place) > had + by);
}

#[test]
fn a_recording_survives_kills_of_the_follower_and_of_the_instance() {
    let place = Place::new();
    let fast = ["--speed", "60x", "--seed", "5"];
    let instance = place.instance(&fast);

    // The follower is killed in the middle; the market goes on without it for a while.
    let mut first = follow(&place);
    grows(&place, 100);
    first.kill().expect("killed");
    first.wait().expect("ended");
    let (had, seen) = (rows(&place), events(&place));
    until("the market goes on", || events(&place) > seen + 200);

    // The next one takes up where the first one was cut off, and ends when the instance is killed under it.
    let second = follow(&place);
    until("it has taken up", || rows(&place) > had + 100);
    instance.kill();
    let said = ended(second);
    assert!(said["imports"].as_array().is_some_and(|all| !all.is_empty()), "{said}");

    // The instance goes on with its run, and a third follower with the recording, to the ordered end.
    let again = place.instance(&fast);
    let running = || serde_json::from_str::<Value>(&place.ctos(&["status", "--json"]).out).unwrap_or_default();
    // What the killed one left behind looks like an instance until the new one has taken its place.
    until("it runs again", || running()["running"] == true);
    let third = follow(&place);
    grows(&place, 100);
    let stopped = place.ctos(&["stop", "--json"]).json();
    assert_eq!(stopped["stopped"], true, "{stopped}");
    let said = ended(third);
    assert_eq!(said["run"], stopped["summary"]["run_id"], "{said}");
    assert_eq!(again.end().code, Some(0));

    // Nothing is new, nothing is damaged, nothing is missing or there twice.
    let last = place.ctos(&["data", "record", "--json"]).json();
    assert_eq!(last["imports"], serde_json::json!([]), "{last}");
    let verified = place.ctos(&["data", "verify", "--json"]).json();
    assert_eq!(verified["problems"], serde_json::json!([]), "{verified}");
    let run = place.ctos(&["status", "--json"]).json()["summary"].clone();
    let total = run["market_events"].as_u64().expect("a count");
    assert!(total > 300, "{run}");

    // It trades again: every event of the run, once, in a run and in a backtest alike.
    let catalog = format!("catalog:{}", place.home().join("catalog").display());
    let market = ["--market", catalog.as_str(), "--json", "-q"];
    let other = Place::new();
    let run = other.ctos(&[&["run", "--speed", "max", "--plain"], &market[..]].concat()).json();
    assert_eq!(run["market_events"].as_u64(), Some(total), "{run}");
    let back = other.ctos(&[&["backtest", "--no-files"], &market[..]].concat()).json();
    assert_eq!(back["command_hash"], run["command_hash"], "{back}");
    assert!(back["orders"]["sent"].as_u64() > Some(0), "{back}");
    assert_eq!(
        back["data_quality"].as_array().map(|all| all.iter().any(|l| l.to_string().contains("missing"))),
        Some(false)
    );
}

#[test]
fn an_interrupt_ends_the_following_with_what_there_is() {
    let place = Place::new();
    let instance: Running = place.instance(&["--speed", "60x"]);
    let follower = follow(&place);
    grows(&place, 50);
    let pid = rustix::process::Pid::from_raw(follower.id() as i32).expect("an id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    let said = ended(follower);
    assert!(said["imports"].as_array().is_some_and(|all| !all.is_empty()), "{said}");
    assert_eq!(place.ctos(&["status", "--json"]).json()["running"], true, "the instance goes on");
    instance.kill();
}
