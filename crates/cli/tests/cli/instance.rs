//! Commands against a running instance, and how an instance ends.

use crate::support::{Place, until};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn commands_speak_to_the_running_instance() {
    let place = Place::new();
    let running = place.instance(&[]);
    let status = place.ctos(&["status", "--json"]).json();
    assert_eq!((status["running"].as_bool(), status["state"].as_str()), (Some(true), Some("running")));
    let text = place.ctos(&["status"]);
    assert!(text.out.contains("is running") && text.out.contains("equity"), "{text:?}");
    assert!(place.ctos(&["orders"]).out.contains("sim:BTC-USDT-PERP"));
    assert!(place.ctos(&["positions"]).out.contains("USDT"));
    assert_eq!(place.ctos(&["fills", "--json"]).json()["running"], true);
    let programs = place.ctos(&["strategies", "grid", "--json"]).json();
    assert_eq!(programs["strategies"][0]["instances"][0]["state"], "running", "{programs}");
    assert_eq!(place.ctos(&["doctor", "--json"]).json()["ok"], true);

    let second = place.ctos(&["run", "--duration", "1s"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("is in use by ctos process") && second.err.contains("hint: "), "{second:?}");

    let halted = place.ctos(&["halt", "--reason", "test", "--json"]).json();
    assert_eq!((halted["state"].as_str(), halted["verified"].as_bool()), (Some("HALTED"), Some(true)), "{halted}");
    assert_eq!(place.ctos(&["orders", "--json"]).json()["orders"], serde_json::json!([]));
    let halts = place.ctos(&["status", "--json"]).json()["halts"].clone();
    assert_eq!((halts[0]["scope"].as_str(), halts[0]["reason"].as_str()), (Some("system"), Some("test")));
    let released = place.ctos(&["resume", "--json"]).json();
    assert_eq!((released["released"].as_bool(), &released["halts"]), (Some(true), &serde_json::json!([])));

    assert_eq!(place.ctos(&["stop", "grid", "--json"]).json()["state"], "stopped");
    assert_eq!(place.ctos(&["start", "grid", "--json"]).json()["state"], "running");
    let unknown = place.ctos(&["stop", "gird"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("did you mean grid?"), "{unknown:?}");

    let stopped = place.ctos(&["stop", "--reason", "enough", "--json"]).json();
    assert_eq!((stopped["stopped"].as_bool(), stopped["summary"]["ended"].as_str()), (Some(true), Some("enough")));
    let said = running.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("ended: enough"), "{said:?}");
    assert!(!place.home().join("api.json").exists());
}

#[test]
fn an_interrupt_ends_the_run_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::new();
        let running = place.instance(&["--json"]);
        running.signal(signal);
        let summary = running.end().json();
        assert_eq!(
            (summary["ended"].as_str(), summary["open_orders"].as_u64()),
            (Some("interrupted"), Some(0)),
            "{summary}"
        );
        assert!(summary["orders"]["canceled"].as_u64() > Some(0), "{summary}");
        assert_eq!(place.ctos(&["replay", "--json"]).json()["identical"], true);
    }
}

#[test]
fn a_killed_run_is_seen_continued_and_stays_halted() {
    let place = Place::new();
    place.instance(&[]).kill();
    let status = place.ctos(&["status", "--json"]).json();
    assert_eq!((status["running"].as_bool(), status["state"].as_str()), (Some(false), Some("cut_off")), "{status}");
    let doctor = place.ctos(&["doctor"]);
    assert!(doctor.code == Some(0) && doctor.out.contains("was cut off"), "{doctor:?}");
    assert_eq!(place.ctos(&["halt", "--reason", "while it was down", "--json"]).json()["running"], false);

    let other = place.ctos(&["run", "--seed", "2", "--duration", "1s"]);
    assert!(other.code == Some(1) && other.err.contains("seed has changed"), "{other:?}");

    let again = place.command(&["run", "--plain", "--json"]).stdout(std::process::Stdio::piped()).spawn();
    let again = again.expect("the binary starts");
    let asked = || serde_json::from_str::<Value>(&place.ctos(&["status", "--json"]).out).unwrap_or_default();
    until("it runs again", || asked()["running"] == true);
    let now = asked();
    assert_eq!(now["run_id"], status["run_id"], "the run goes on");
    assert_eq!(now["halts"][0]["reason"], "while it was down");
    until("its orders are gone", || asked()["summary"]["open_orders"] == 0);
    assert_eq!(place.ctos(&["stop", "--json"]).json()["stopped"], true);
    let said: crate::support::Said = again.wait_with_output().expect("ended").into();
    assert_eq!(said.json()["run_id"], status["run_id"]);
    assert_eq!(place.ctos(&["replay", "--json"]).json()["identical"], true);

    // The latch outlives the run until a person releases it.
    assert_eq!(place.ctos(&["status", "--json"]).json()["halts"][0]["scope"], "system");
    assert_eq!(place.ctos(&["resume", "--json"]).json()["released"], true);
    assert_eq!(place.ctos(&["status", "--json"]).json()["halts"], serde_json::json!([]));
}
