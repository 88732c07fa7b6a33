//! Questions beside a running instance that is connected to a venue: they go through it, and so through its rate budget.
//! The proof is a ban: the instance knows of it, and whoever asked past the instance would show at the twin.

use crate::place::{Place, Said};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SYMBOL: &str = "binance:BTC-USDT-PERP";

/// Turned away by the instance: at once, with the time to wait.
#[track_caller]
fn is_told_to_wait(said: &Said) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("nothing was sent") && said.err.contains("try again in"), "{said:?}");
}

/// Bans everybody for ten minutes and waits until the instance was told.
fn ban(place: &Place) {
    place.admin("POST /usdm/do", r#"{"do":"ban","secs":600}"#);
    place.until("the ban", || {
        place.call(&["get_price_now", SYMBOL]).code == Some(1)
            && std::fs::read_to_string(place.dir.path().join("var/closures.json")).is_ok_and(|t| t.contains("true"))
    });
}

#[test]
fn a_live_instance_asks_the_venue_for_everybody() {
    let place = Place::new();
    place.configured(&format!("mode: live\nsymbols: [\"{SYMBOL}\"]\nstrategies: []\n"));
    let _run = place.run(&[]);
    place.until("the account", || place.log().contains("the venue's accounts are taken in"));
    let low = {
        let last: f64 = place.call(&["get_price_now", SYMBOL]).json().as_str().unwrap().parse().unwrap();
        format!("{:.1}", (last * 0.98).floor())
    };
    let order = ["place_order", SYMBOL, "buy", "post_only", "0.01", &low, "--yes"];
    // Until the market has been seen, its gate lets nothing out.
    let placed = std::cell::OnceCell::new();
    place.until("an order", || {
        let said = place.call(&order);
        said.code == Some(0) && placed.set(said.json()).is_ok()
    });
    let placed = placed.into_inner().unwrap();
    let id = placed["clientId"].as_str().unwrap().to_owned();
    // A change that does not come about is an error, as without an instance.
    let busy =
        r#"{"on":"request","named":"PUT /fapi/v1/order","fault":{"kind":"error","text":"throttled","executed":false}}"#;
    let done = place.admin("POST /usdm/do", &format!(r#"{{"do":"rule","rule":{busy}}}"#));
    assert!(done["error"].is_null(), "{done}");
    let lower = format!("{:.1}", low.parse::<f64>().unwrap() - 10.0);
    let amend = ["amend_order", &id, SYMBOL, &format!("price={lower}"), "--yes"];
    let said = place.call(&amend);
    assert!(said.code == Some(1) && said.err.contains("stands as it was"), "{said:?}");
    assert_eq!(place.call(&["get_order_status", &id, SYMBOL]).json()["price"], low.trim_end_matches(".0"));
    assert_eq!(place.call(&amend).json()["price"], lower.trim_end_matches(".0"));
    let questions: Vec<Vec<&str>> = vec![
        vec!["symbols"],
        vec!["exchange_limits", SYMBOL],
        vec!["fees", SYMBOL],
        vec!["get_price_now", "binance:ETH-USDT-PERP"],
        vec!["get_orderbook", SYMBOL, "5"],
        vec!["get_klines", SYMBOL, "1m", "3"],
        vec!["get_open_orders"],
        vec!["get_order_status", &id, SYMBOL],
        vec!["balances"],
        vec!["positions"],
    ];
    for question in &questions {
        place.call(question).json();
    }
    // The venue's own answers, not what the kernel's view has.
    assert_eq!(place.call(&["get_orderbook", SYMBOL, "5"]).json()["bids"].as_array().unwrap().len(), 5);
    let fees = place.call(&["fees", SYMBOL]).json();
    assert!(fees["period_hours"] == 8 && fees["taker"].is_string(), "{fees}");
    assert!(place.call(&["symbols"]).json().as_array().unwrap().len() > 1);
    assert_eq!(place.call(&["get_open_orders"]).json()[0]["clientId"], id.as_str());
    let report = &place.ctos(&["account", "check", "--json"]).json()[0];
    assert!(report["ok"] == true && report["environment"] == "practice", "{report}");
    assert!(report["clock"].is_object() && report["key"]["withdraws"] == false, "{report}");
    let out = place.command(&["call", "subscribe_ticks", SYMBOL]).stdout(Stdio::piped()).spawn();
    let mut ticks = crate::place::Running(out.unwrap());
    let first = BufReader::new(ticks.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(first.contains(SYMBOL), "{first}");
    drop(ticks);
    let minute = || (std::time::SystemTime::now() - Duration::from_secs(120)).duration_since(std::time::UNIX_EPOCH);
    let from = minute().unwrap().as_millis().to_string();
    let url = place.text("/usdm/rest").to_owned();
    let download = ["data", "download", "binance", SYMBOL, "--from", &from, "--base-url", &url, "--json"];
    assert_eq!(place.ctos(&download).code, Some(0), "{:?}", place.ctos(&download));

    ban(&place);
    let before = place.banned();
    let begun = Instant::now();
    for question in &questions {
        is_told_to_wait(&place.call(question));
    }
    is_told_to_wait(&place.ctos(&["call", "subscribe_ticks", SYMBOL]));
    is_told_to_wait(&place.call(&["get_price_now", SYMBOL, "--profile", "usdm", "--base-url", &url]));
    let other = ["data", "download", "binance", "binance:ETH-USDT-PERP", "--from", &from, "--base-url", &url];
    is_told_to_wait(&place.ctos(&other));
    let checked = place.ctos(&["account", "check", "--json"]);
    assert!(checked.code == Some(1) && checked.out.contains("nothing was sent"), "{checked:?}");
    assert_eq!(place.banned(), before, "somebody asked past the instance");
    assert!(begun.elapsed() < Duration::from_secs(60), "refusals come at once");
}

#[test]
fn a_run_on_paper_asks_its_live_market_for_everybody() {
    let place = Place::new();
    let feed = format!("market: binance:usdm\nfeed: {{base_url: \"{}\"}}\n", place.text("/usdm/rest"));
    place.file("ctos.yaml", &format!("{feed}symbols: [\"{SYMBOL}\"]\nstrategies: []\n"), 0o644);
    let _run = place.run(&[]);
    place.until("the instance", || place.log().contains("control API"));
    place.until("the market", || place.call(&["get_klines", SYMBOL, "1m", "3"]).code == Some(0));
    assert_eq!(place.call(&["get_orderbook", SYMBOL, "5"]).json()["bids"].as_array().unwrap().len(), 5);
    // A symbol that the run does not trade, and what the simulated exchange says by itself.
    assert!(place.call(&["get_price_now", "binance:ETH-USDT-PERP"]).json().is_string());
    assert_eq!(place.call(&["balances"]).json()[0]["total"], "10000");
    assert_eq!(place.call(&["get_open_orders"]).json().as_array().unwrap().len(), 0);
    ban(&place);
    let before = place.banned();
    for question in [
        vec!["get_klines", SYMBOL],
        vec!["get_price_now", "binance:ETH-USDT-PERP"],
        vec!["fees", "binance:ETH-USDT-PERP"],
    ] {
        is_told_to_wait(&place.call(&question));
    }
    is_told_to_wait(&place.ctos(&["call", "subscribe_ticks", SYMBOL]));
    assert_eq!(place.banned(), before, "somebody asked past the instance");
}

#[test]
fn a_market_that_has_sent_nothing_says_so() {
    let place = Place::new();
    place.admin(
        "POST /usdm/do",
        r#"{"do":"rule","rule":{"on":"market","named":"*","times":0,"fault":{"kind":"drop"}}}"#,
    );
    let feed = format!("market: binance:usdm\nfeed: {{base_url: \"{}\"}}\n", place.text("/usdm/rest"));
    place.file("ctos.yaml", &format!("{feed}symbols: [\"{SYMBOL}\"]\nstrategies: []\n"), 0o644);
    let _run = place.run(&[]);
    place.until("the instance", || place.log().contains("control API"));
    place.until("a view", || place.ctos(&["status", "--json"]).json()["markets"][0]["symbol"] == SYMBOL);
    let status = place.ctos(&["status", "--json"]).json();
    assert!(status["markets"][0]["age_ns"].is_null(), "{status}");
    let text = place.ctos(&["status"]).out;
    assert!(text.contains(&format!("{SYMBOL}: no data yet")), "{text}");
    let order = ["place_order", SYMBOL, "buy", "limit", "0.01", "60000"];
    place.call(&order).refused("no price of this market has come yet", "wait until the market sends prices");
    place.admin("POST /usdm/do", r#"{"do":"behave"}"#);
    place.until("data", || place.ctos(&["status", "--json"]).json()["markets"][0]["age_ns"].is_number());
    assert!(!place.ctos(&["status"]).out.contains("no data yet"));
}

/// A run that places orders, killed.
fn cut_off(place: &Place) -> Vec<String> {
    let run = place.run(&[]);
    place.until("an order", || !place.open().is_empty());
    drop(run);
    place.open()
}

#[test]
fn what_a_given_up_run_left_is_told_and_cancelled_when_asked() {
    let place = Place::new();
    let grid = "strategies: [{name: grid, params: {spacing: \"0.5%\", levels: 2}}]";
    place.configured(&format!("mode: live\nsymbols: [\"{SYMBOL}\"]\n{grid}\n"));
    let left = cut_off(&place);
    let fresh = ["run", "--plain", "--yes", "--fresh"];
    let said = place.ctos(&fresh);
    said.refused("of this home left", "--cancel-leftovers");
    assert!(said.err.contains("without --fresh") && said.err.contains(&left[0]), "{said:?}");
    let runs = || std::fs::read_dir(place.dir.path().join("var/runs")).unwrap().count();
    assert_eq!(runs(), 1, "a refused start makes nothing");
    // From a home that does not know them they are somebody else's, whatever is asked.
    let other = place.ctos(&[&fresh[..], &["--cancel-leftovers", "--home", "other"]].concat());
    other.refused("not this home's", "ctos call cancel_all --account main");
    assert_eq!(place.open(), left);
    let _run = place.run(&["--fresh", "--cancel-leftovers"]);
    place.until("the new run", || place.log().contains("the venue's accounts are taken in"));
    assert!(place.log().contains("of earlier runs were cancelled"), "{}", place.log());
    assert!(place.open().iter().all(|id| !left.contains(id)), "{left:?} {:?}", place.open());
    assert_eq!(runs(), 2);
}

#[test]
fn a_new_run_says_what_it_does_not_know() {
    let place = Place::new();
    place.configured(&format!("mode: live\nsymbols: [\"{SYMBOL}\"]\nstrategies: []\nlive: {{known_within: 2s}}\n"));
    let fault = r#"{"kind":"error","text":"html","executed":false}"#;
    let rule = format!(r#"{{"on":"request","named":"POST /fapi/v1/listenKey","times":0,"fault":{fault}}}"#);
    place.admin("POST /usdm/do", &format!(r#"{{"do":"rule","rule":{rule}}}"#));
    let said = place.ctos(&["run", "--plain", "--yes"]);
    said.refused(
        "not known within 2 s (live.known_within): account main: the user stream is not live",
        "ctos account check",
    );
}
