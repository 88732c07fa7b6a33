//! Calls while an instance starts, and beside one of another home: never a second way to the account unsaid.

use crate::place::{Place, Said};
use std::time::{Duration, Instant};

const SYMBOL: &str = "binance:BTC-USDT-PERP";
/// How orders of no instance are called.
const BY_ITSELF: &str = "czzzzzz";

fn live(place: &Place) {
    place.configured(&format!("mode: live\nsymbols: [\"{SYMBOL}\"]\nstrategies: []\n"));
}

/// Whether an instance has taken the account. Before that, nobody trades it and a call goes by itself.
fn is_taken(place: &Place) -> bool {
    let accounts = place.dir.path().join("state/ctos/accounts");
    std::fs::read_dir(accounts).is_ok_and(|all| all.flatten().any(|a| a.path().join("home").exists()))
}

fn order(place: &Place, n: u32, more: &[&str]) -> Said {
    let last: f64 = {
        let url = place.text("/usdm/rest").to_owned();
        let said = place.call(&["get_price_now", SYMBOL, "--profile", "usdm", "--base-url", &url]);
        said.json().as_str().unwrap().parse().unwrap()
    };
    let price = format!("{:.1}", (last * 0.98).floor() - f64::from(n));
    place.call(&[&["place_order", SYMBOL, "buy", "post_only", "0.01", &price, "--yes"], more].concat())
}

#[test]
fn an_instance_that_starts_is_waited_for() {
    let place = Place::new();
    live(&place);
    // The start takes its time between the account's lock and the API.
    let fault = r#"{"kind":"delay","before_ms":0,"after_ms":700}"#;
    let rule = format!(r#"{{"on":"request","named":"GET /fapi/v1/openOrders","times":2,"fault":{fault}}}"#);
    place.admin("POST /usdm/do", &format!(r#"{{"do":"rule","rule":{rule}}}"#));
    let _run = place.run(&[]);
    let (begun, mut through) = (Instant::now(), 0);
    let mut seen = Vec::new();
    for n in 0.. {
        let taken = is_taken(&place);
        let said = order(&place, n, &[]);
        match said.code {
            Some(0) => {
                let id = said.json()["clientId"].as_str().unwrap().to_owned();
                if !id.starts_with(BY_ITSELF) {
                    through += 1;
                }
                assert!(!taken || !id.starts_with(BY_ITSELF), "past the instance that had the account: {id} {seen:?}");
                seen.push(id);
            }
            // Until the account and its market are known, the gates let nothing out; never a panic, never silence.
            _ => {
                assert_eq!(said.code, Some(1), "{said:?}");
                assert!(said.err.contains("error: ") && said.err.contains("hint: "), "{said:?}");
            }
        }
        if through >= 3 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{seen:?} {said:?}\n{}", place.log());
    }
}

#[test]
fn an_instance_of_another_home_is_told_of() {
    let place = Place::new();
    live(&place);
    let _run = place.run(&[]);
    place.until("the account", || place.log().contains("the venue's accounts are taken in"));
    place.until("the instance", || place.log().contains("control API"));
    let asked = place.call(&["balances", "--home", "other"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.err.contains("note: the account main is traded by ctos process"), "{asked:?}");
    assert!(asked.err.contains("hint: go through it: add --home ") && asked.err.contains("/var"), "{asked:?}");
    order(&place, 1, &["--home", "other"]).refused("an order past it would pass by its limits", "add --home");
    // Cancels pass, whatever else runs.
    assert_eq!(place.call(&["cancel_all", "--home", "other"]).json()["ok"], true);
    let checked = place.ctos(&["account", "check", "--home", "other", "--json"]);
    assert!(checked.code == Some(0) && checked.err.contains("not in its rate budget"), "{checked:?}");
    assert!(place.call(&["balances"]).err.is_empty(), "through its own home there is nothing to say");
    let doctor = place.ctos(&["doctor"]);
    assert!(doctor.out.contains("main: ctos process") && doctor.out.contains("trades it (home "), "{doctor:?}");
}
