//! `ctos call`, `ctos account check` and `ctos halt` as a user has them: the real binary against a real twin, and through
//! a running instance.

mod beside;
mod doctor;
mod place;
mod starting;

use place::{Place, Running};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// A price this many percent from the last one, on a grid of one decimal.
fn away(place: &Place, symbol: &str, percent: f64) -> String {
    let last: f64 = place.call(&["get_price_now", symbol]).json().as_str().unwrap().parse().unwrap();
    format!("{:.1}", (last * (1.0 + percent / 100.0)).floor())
}

#[test]
fn public_questions_need_no_account() {
    let place = Place::new();
    let all = place.call(&[]).json();
    assert!(all.as_array().unwrap().iter().any(|s| s["name"] == "place_order" && s["trades"] == true));
    assert!(place.ctos(&["call"]).out.contains("get_orderbook"));
    let url = place.text("/usdm/rest");
    let px = place.call(&["get_price_now", "binance:BTC-USDT-PERP", "--base-url", url, "--profile", "usdm"]).json();
    assert!(px.as_str().unwrap().parse::<f64>().unwrap() > 0.0);
    let book = place.call(&[
        "get_orderbook",
        "BTC-USDT",
        "level=3",
        "--base-url",
        place.text("/spot/rest"),
        "--profile",
        "spot",
    ]);
    assert_eq!(book.json()["bids"].as_array().unwrap().len(), 3);
    place.call(&["get_price_nwo", "x"]).refused("there is no syscall", "did you mean get_price_now?");
    place.call(&["get_price_now"]).refused("needs symbol", "ctos call get_price_now symbol=");
    place.call(&["get_price_now", "BTC-USDT"]).refused("on the simulated exchange", "--profile");
    place
        .call(&["get_price_now", "NOPE-USDT", "--profile", "usdm", "--base-url", url])
        .refused("no instrument", "ctos call symbols");
    place
        .call(&["get_price_now", "x", "--profile", "usdm", "--base-url", "http://example.com"])
        .refused("--base-url", "https://");
    place.call(&["symbols", "--account", "7"]).refused("there is no account \"7\"", "known accounts: main (0)");
}

#[test]
fn a_program_finds_errors_where_it_would_find_answers() {
    let place = Place::new();
    place.configured("");
    let cases: &[(&[&str], &str)] = &[
        (&["call", "get_price_nwo", "x", "--json"], "there is no syscall"),
        (&["call", "get_price_now", "--json"], "needs symbol"),
        (&["call", "get_price_now", "NOPE-USDT-PERP", "--json"], "no instrument"),
        (&["call", "place_order", "BTC-USDT-PERP", "buy", "limit", "-1", "60000", "--json"], "above 0"),
        (&["call", "place_order", "BTC-USDT-PERP", "buy", "limit", "0.1234567890123456789", "1", "--json"], "18"),
        (&["call", "balances", "--account", "nobody", "--json"], "there is no account"),
        (&["call", "close_all_positions", "--json"], "not sent without a confirmation"),
        (&["call", "symbols", "--colour", "--json"], "unexpected argument"),
        (&["status", "--home", "nowhere", "--json"], "no ctos home"),
        (&["account", "check", "nobody", "--json"], "there is no account"),
    ];
    for (args, what) in cases {
        let said = place.ctos(args);
        said.refused(what, "hint: ");
        let object: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
        assert!(object["error"].as_str().unwrap().contains(what) && object["code"] == 1, "{args:?}: {object}");
        assert!(!object["hint"].as_str().unwrap().is_empty(), "{args:?}: {object}");
        assert_eq!(said.err.lines().count(), 2, "people still read two lines: {said:?}");
        let plain: Vec<&str> = args.iter().copied().filter(|a| *a != "--json").collect();
        assert!(place.ctos(&plain).out.is_empty(), "{plain:?}: only a program that asked for JSON gets it");
    }
}

#[test]
fn orders_go_to_the_venue_with_a_yes() {
    let place = Place::new();
    place.configured("");
    let low = away(&place, "BTC-USDT-PERP", -2.0);
    let order = ["place_order", "BTC-USDT-PERP", "buy", "post_only", "0.01", &low];
    place.call(&order).refused("not sent without a confirmation", "--yes");
    let placed = place.call(&[&order[..], &["--yes"]].concat()).json();
    assert_eq!((&placed["status"], &placed["quantity"]), (&"new".into(), &"0.01".into()), "{placed}");
    let id = placed["clientId"].as_str().unwrap().to_owned();
    let intents = std::fs::read_to_string(place.dir.path().join("var/calls.jsonl")).unwrap();
    assert!(intents.lines().count() == 1 && intents.contains(&id), "{intents}");
    assert_eq!(place.call(&["get_open_orders"]).json()[0]["clientId"], id.as_str());
    assert_eq!(place.call(&["get_order_status", &id, "BTC-USDT-PERP", "--account", "0"]).json()["status"], "new");
    assert_eq!(place.call(&["cancel_order", &id, "BTC-USDT-PERP"]).json()["status"], "canceled");
    let far = away(&place, "BTC-USDT-PERP", -20.0);
    let denied = place.call(&["place_order", "BTC-USDT-PERP", "buy", "limit", "0.01", &far, "--yes"]);
    denied.refused("denied by price_band_bps", "risk.price_band_bps");
    place.call(&["get_order_status", "web_x", "BTC-USDT-PERP"]).refused("names no order", "get_open_orders");
    // A file that others can read is not taken.
    place.secrets(0o644);
    place.call(&["balances"]).refused("can be read by others (mode 644)", "chmod 600 configs/secrets.yaml");
    std::fs::remove_file(place.dir.path().join("configs/secrets.yaml")).unwrap();
    place.call(&["balances"]).refused("no API key called main", "CTOS__SECRETS__MAIN__API_KEY");
    let mut by_env = place.command(&["call", "balances", "usdt", "--json"]);
    by_env.env("CTOS__SECRETS__MAIN__API_KEY", place.text("/api_key"));
    by_env.env("CTOS__SECRETS__MAIN__API_SECRET", place.text("/api_secret"));
    let out = by_env.output().unwrap();
    assert!(String::from_utf8_lossy(&out.stdout).starts_with("\"100000"), "{out:?}");
}

#[test]
fn an_account_is_checked() {
    let place = Place::new();
    place.configured("  - {id: paper}\n");
    let reports = place.ctos(&["account", "check", "--json"]).json();
    assert_eq!(reports.as_array().unwrap().len(), 1, "only those at a venue");
    assert!(reports[0]["ok"] == true && reports[0]["key"]["withdraws"] == false, "{reports}");
    let said = place.ctos(&["account", "check", "main"]);
    assert!(said.code == Some(0) && said.out.contains("ready to trade") && said.out.contains("one-way"), "{said:?}");
    place.ctos(&["account", "check", "paper"]).refused("on the simulated exchange", "venue");
    place.ctos(&["account", "check", "nobody"]).refused("there is no account", "known accounts: main (0), paper (1)");
    place.configured("    hedge_mode: true\n");
    let said = place.ctos(&["account", "check", "0"]);
    assert!(said.code == Some(1) && said.out.contains("refusal: the account is in one-way mode"), "{said:?}");
    assert!(place.ctos(&["config", "show", "--resolved"]).out.contains("accounts.0.base_url"));
}

#[test]
fn ticks_stream_until_stopped() {
    let place = Place::new();
    place.configured("");
    let mut child =
        Running(place.command(&["call", "subscribe_ticks", "BTC-USDT-PERP"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let (mut quotes, mut trades) = (0, 0);
    while quotes < 3 || trades < 1 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        match line["type"].as_str().unwrap() {
            "quote" => quotes += 1,
            "trade" => trades += 1,
            other => panic!("{other}: {line}"),
        }
        assert_eq!(line["symbol"], "binance:BTC-USDT-PERP");
    }
}

#[test]
fn a_halt_reaches_the_venue_when_nothing_runs() {
    let place = Place::new();
    place.configured("mode: live\nsymbols: [binance:BTC-USDT-PERP]\n");
    let low = away(&place, "BTC-USDT-PERP", -2.0);
    place.call(&["place_order", "BTC-USDT-PERP", "buy", "post_only", "0.01", &low, "--yes"]).json();
    // A home that has been run in.
    let paper =
        ["run", "--mode", "paper", "--duration", "1s", "--speed", "max", "--plain", "--conf", "accounts.0.venue=paper"];
    let first = place.ctos(&[&paper[..], &["--config", "/dev/null"]].concat());
    assert_eq!(first.code, Some(0), "{first:?}");
    let halted = place.ctos(&["halt", "--reason", "news", "--json"]).json();
    assert_eq!((&halted["verified"], &halted["venues"][0]["found"]), (&true.into(), &1.into()), "{halted}");
    assert_eq!(place.call(&["get_open_orders"]).json(), Value::Array(vec![]));
    let refused = place.call(&["place_order", "BTC-USDT-PERP", "buy", "post_only", "0.01", &low, "--yes"]);
    refused.refused("the kill switch is pulled on system: news", "ctos resume system");
    place.ctos(&["resume", "--reason", "looked"]).json_or_text();
    assert_eq!(
        place.call(&["place_order", "BTC-USDT-PERP", "buy", "post_only", "0.01", &low, "--yes"]).json()["status"],
        "new"
    );
}

#[test]
fn a_paper_instance_takes_orders_by_hand() {
    let place = Place::new();
    place.file("ctos.yaml", "strategies: []\n", 0o644);
    let _instance = Running(
        place
            .command(&["run", "--plain", "--conf", "journal.sync=os"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let symbol = "sim:BTC-USDT-PERP";
    let mut px = None;
    for _ in 0..500 {
        let said = place.call(&["get_price_now", symbol]);
        if said.code == Some(0) {
            px = said.json().as_str().map(|t| t.parse::<f64>().unwrap());
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let px = px.expect("the instance has a price");
    let low = format!("{:.0}", px * 0.98);
    let placed = place.call(&["place_order", symbol, "buy", "post_only", "0.01", &low]).json();
    assert_eq!((&placed["status"], &placed["strategy"]), (&"new".into(), &"external".into()), "{placed}");
    let id = placed["clientId"].as_str().unwrap().to_owned();
    let lower = format!("{:.0}", px * 0.97);
    assert_eq!(place.call(&["amend_order", &id, symbol, &format!("price={lower}")]).json()["price"], lower.as_str());
    assert_eq!(place.call(&["get_open_orders"]).json().as_array().unwrap().len(), 1);
    let far = format!("{:.0}", px * 0.5);
    place.call(&["place_order", symbol, "buy", "limit", "0.01", &far]).refused("denied by", "risk");
    place.call(&["place_order", symbol, "buy", "limit", "0.0000001", &low]).refused("size", "");
    let high = format!("{:.0}", px * 1.01);
    place
        .call(&["place_order", symbol, "buy", "post_only", "0.01", &high])
        .refused("was refused", "nothing of it is open");
    assert_eq!(place.call(&["cancel_order", &id, symbol]).json()["status"], "canceled");
    let bought = place.call(&["place_order", symbol, "buy", "market", "0.01"]).json();
    assert_eq!(bought["status"], "filled", "{bought}");
    let held = place.call(&["get_position"]).json();
    assert_eq!((&held[0]["side"], &held[0]["quantity"]), (&"long".into(), &"0.01".into()), "{held}");
    let closed = place.call(&["close_all_positions"]).json();
    assert_eq!(closed["closed"][0]["status"], "filled", "{closed}");
    assert!(place.call(&["balances"]).json()[0]["total"].is_string());
    place.call(&["get_klines", symbol]).refused("does not answer get_klines", "--profile");
    // What was ordered by hand is in the journal like everything else.
    assert_eq!(place.ctos(&["stop"]).code, Some(0));
    assert_eq!(place.ctos(&["replay", "latest"]).code, Some(0));
}
