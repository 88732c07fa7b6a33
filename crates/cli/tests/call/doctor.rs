//! What `ctos doctor` says of an account at a venue: one line and one hint for each thing that is wrong, and an exit code.

use crate::place::{Place, Said};
use serde_json::Value;

/// The lines of one kind of check, as JSON.
#[track_caller]
fn lines(said: &Said, name: &str) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of = report["checks"].as_array().unwrap().iter().filter(|c| c["name"] == name);
    of.map(|c| (text(&c["state"]), text(&c["message"]), text(&c["hint"]))).collect()
}

#[track_caller]
fn says(said: &Said, name: &str, state: &str, what: &str, hint: &str) {
    let lines = lines(said, name);
    let found = lines.iter().any(|(s, m, h)| s == state && m.contains(what) && h.contains(hint));
    assert!(found, "no {state} line of {name} with {what:?} and {hint:?}: {lines:?}");
    assert_eq!(said.code, Some(i32::from(said.out.contains("\"state\":\"fail\""))), "{said:?}");
}

fn offline(place: &Place) -> Said {
    place.ctos(&["doctor", "--json"])
}

fn online(place: &Place) -> Said {
    place.ctos(&["doctor", "--online", "--json"])
}

#[test]
fn keys_are_looked_at_without_asking_anybody() {
    let place = Place::new();
    place.configured("");
    let said = offline(&place);
    says(&said, "key", "ok", "main: readable, in configs/secrets.yaml", "");
    says(&said, "lock", "ok", "main: nobody trades it", "");
    says(&said, "bans", "ok", "none in force", "");
    says(&said, "account", "ok", "main: binance usdm, practice", "");
    assert_eq!(said.code, Some(0));
    for mode in [0o644, 0o640, 0o604] {
        place.secrets(mode);
        let can = format!("can be read by others (mode {mode:o})");
        says(&offline(&place), "key", "fail", &can, "chmod 600 configs/secrets.yaml");
    }
    place.secrets(0o600);
    let write = |text: &str| place.file("configs/secrets.yaml", text, 0o600);
    let key = place.text("/api_key").to_owned();
    write("");
    says(&offline(&place), "key", "fail", "no API key called main", "configs/secrets.yaml");
    write("keys: [what");
    says(&offline(&place), "key", "fail", "not readable as keys", "configs/secrets.example.yaml");
    write(&format!("keys:\n  main: {{api_key: \"{key}\"}}\n"));
    says(&offline(&place), "key", "fail", "has no", "api_secret or private_key_file");
    write(&format!("keys:\n  main: {{api_key: \"{key}\", api_sekret: x}}\n"));
    says(&offline(&place), "key", "fail", "not known", "did you mean api_secret?");
    // A PEM file where it belongs and where it does not, damaged, public, and open to others.
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    place.file("configs/key.pem", pem, 0o600);
    write(&format!("keys:\n  main: {{api_key: \"{key}\", private_key_file: key.pem}}\n"));
    says(&offline(&place), "key", "fail", "cannot be used", "");
    place.file("configs/key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0o600);
    says(&offline(&place), "key", "fail", "this is a public key", "the private key stays here");
    place.file("configs/key.pem", pem, 0o644);
    says(&offline(&place), "key", "fail", "can be read by others (mode 644)", "chmod 600");
    std::fs::remove_file(place.dir.path().join("configs/key.pem")).unwrap();
    says(&offline(&place), "key", "fail", "key.pem", "check the path");
    let path = place.dir.path().join("configs/secrets.yaml");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    says(&offline(&place), "key", "fail", "is no file of keys", "name a small text file");
}

#[test]
fn a_valid_pem_key_that_the_venue_does_not_know_is_the_venues_to_refuse() {
    let place = Place::new();
    place.configured("");
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
               -----END PRIVATE KEY-----\n";
    place.file("configs/key.pem", pem, 0o600);
    let key = place.text("/api_key").to_owned();
    let text = format!("keys:\n  main: {{api_key: \"{key}\", private_key_file: key.pem}}\n");
    place.file("configs/secrets.yaml", &text, 0o600);
    says(&offline(&place), "key", "ok", "main: readable", "");
    says(&online(&place), "venue", "fail", "signature", "");
}

#[test]
fn the_venue_is_asked_when_it_is_told_to() {
    let place = Place::new();
    place.configured("");
    let good = online(&place);
    says(&good, "venue", "ok", "main: ready to trade", "");
    assert_eq!(good.code, Some(0));
    // The wrong secret.
    let key = place.text("/api_key").to_owned();
    let wrong = format!("keys:\n  main: {{api_key: \"{key}\", api_secret: \"{}\"}}\n", "x".repeat(64));
    place.file("configs/secrets.yaml", &wrong, 0o600);
    let said = online(&place);
    says(&said, "venue", "fail", "signature", "secret");
    assert_eq!(lines(&said, "venue").iter().filter(|l| l.0 == "fail").count(), 1, "told once: {said:?}");
    place.secrets(0o600);
    // A clock that is 5 s off is corrected, and told.
    for market in ["usdm", "spot"] {
        place.admin(&format!("POST /{market}/do"), r#"{"do":"skew","ms":-5000}"#);
    }
    let said = online(&place);
    says(&said, "venue", "warn", "5.0 s ahead of the venue's", "NTP");
    assert_eq!(said.code, Some(0), "a warning is no failure");
    for market in ["usdm", "spot"] {
        place.admin(&format!("POST /{market}/do"), r#"{"do":"skew","ms":5000}"#);
    }
    // A ban that a call met is in force for whoever comes next, and is not asked into.
    place.admin("POST /usdm/do", r#"{"do":"ban","secs":600}"#);
    place.call(&["balances"]).refused("nothing was sent", "try again in");
    let before = place.banned();
    place.call(&["balances"]).refused("nothing was sent", "try again in");
    let said = online(&place);
    says(&said, "bans", "warn", "has banned this address until", "nothing is asked there before that");
    says(&said, "venue", "fail", "nothing was sent", "try again in");
    assert_eq!(place.banned(), before, "doctor asked into a ban");
}

#[test]
fn a_key_that_can_withdraw_and_a_house_that_is_empty() {
    let place = Place::with_key("\"can_withdraw\": true, \"ip_restricted\": false");
    place.configured("");
    let said = online(&place);
    says(&said, "venue", "fail", "main: the API key can withdraw", "permission");
    says(&said, "venue", "warn", "main: the API key works from any address", "");
    assert_eq!(said.code, Some(1));
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = std::fs::read_to_string(place.dir.path().join("ctos.yaml")).unwrap();
    let yaml = yaml.replace(place.text("/usdm/rest"), &format!("http://{free}"));
    place.file("ctos.yaml", &yaml, 0o644);
    let said = online(&place);
    says(&said, "venue", "fail", "nothing was sent", "check the network and the address");
    assert!(!place.ctos(&["doctor"]).out.contains("FAIL"), "without --online nobody is asked");
}
