//! What a user meets who has the wrong key, rights, clock or money: one clear line, a hint, and nothing traded.
//! Never: a key in what is said.

use crate::trader::{Desk, PERP, Trader};
use crate::twin::{Key, Twin, funded, with};
use serde_json::json;

fn twin(key: serde_json::Value) -> Twin {
    let mut setting = Key::named("test").setting();
    for (name, value) in key.as_object().unwrap() {
        setting[name] = value.clone();
    }
    Twin::with(1, &[with(funded("test"), json!({"keys": [setting]}))])
}

#[track_caller]
fn refused(trader: &Trader, twin: &Twin, what: &str, hint: &str) -> String {
    let said = trader.refused(twin, what, hint);
    for desk in &trader.desks {
        assert!(!said.contains(&desk.key.key) && !said.contains(&desk.key.secret), "a key was shown: {said}");
    }
    said
}

#[test]
fn a_key_that_may_withdraw_is_refused_on_every_market() {
    let twin = twin(json!({"can_withdraw": true}));
    for profile in ["spot", "margin", "usdm"] {
        let trader = Trader::new(&twin, &[Desk::new("main", profile, "test")]);
        refused(&trader, &twin, "withdraw", "permission");
    }
}

#[test]
fn a_key_that_may_not_trade_is_refused() {
    let twin = twin(json!({"can_trade": false}));
    let trader = Trader::new(&twin, &[Desk::new("main", "usdm", "test")]);
    refused(&trader, &twin, "the API key may not trade here", "permission");
    let trader = Trader::new(&twin, &[Desk::new("main", "spot", "test")]);
    refused(&trader, &twin, "the API key may not trade here", "permission");
}

#[test]
fn wrong_keys_and_wrong_secrets_are_told_apart() {
    let twin = twin(json!({}));
    for profile in ["spot", "usdm"] {
        let desk = |key: &str, secret: &str| Desk {
            key: Key { key: Key::named(key).key, secret: Key::named(secret).secret },
            ..Desk::new("main", profile, "test")
        };
        let trader = Trader::new(&twin, &[desk("nobody", "test")]);
        refused(&trader, &twin, "the venue refuses the key", "check the key on the venue's page");
        let trader = Trader::new(&twin, &[desk("test", "nobody")]);
        refused(&trader, &twin, "signature", "secret");
    }
}

#[test]
fn no_key_at_all_is_told_before_anything_is_asked() {
    let twin = twin(json!({}));
    let trader = Trader::usdm(&twin);
    let mut command = trader.command(&["run", "--plain", "--yes"]);
    command.env_remove("CTOS__SECRETS__MAIN__API_KEY").env_remove("CTOS__SECRETS__MAIN__API_SECRET");
    let out = command.output().unwrap();
    crate::trader::refusal(&out, "no API key called main", "CTOS__SECRETS__MAIN__API_KEY");
}

/// Allowed, and told: a key that works from anywhere, and a clock half a minute off, whose stamps are corrected.
#[test]
fn an_unrestricted_key_and_a_wrong_clock_are_warned_of_and_traded_with() {
    let twin = twin(json!({"ip_restricted": false}));
    twin.deed("usdm", json!({"do": "skew", "ms": 30_000}));
    twin.deed("spot", json!({"do": "skew", "ms": 30_000}));
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let run = trader.start();
    trader.wait_for(&twin, &desk, "an order", |t| !t.open.is_empty());
    let said = trader.logs();
    for words in ["warning     ", "any address", "30.0 s behind the venue's", "(NTP)"] {
        assert!(said.contains(words), "{words:?} was not said\n{said}");
    }
    // A clock that jumps while it runs is followed.
    for market in ["usdm", "spot"] {
        twin.deed(market, json!({"do": "skew", "ms": -30_000}));
    }
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
}

#[test]
fn too_little_money_is_told_and_nothing_is_traded() {
    let poor = with(funded("test"), json!({"usdm": [["USDT", "3"]]}));
    let twin = Twin::with(1, &[poor]);
    let mut trader = Trader::usdm(&twin);
    let run = trader.start();
    trader.wait_log("denied by");
    trader.end(run);
    assert_eq!(twin.truth("usdm", "test").trades, 0);
    // By hand, and past the limits of the settings: then it is the venue that says no.
    let yaml = std::fs::read_to_string(trader.dir.path().join("ctos.yaml")).unwrap();
    let yaml = yaml.replace("risk: {", "risk: {max_leverage: off, ");
    let other = Trader::of(&yaml, &trader.desks);
    let price = format!("{:.1}", (twin.price("usdm", "BTCUSDT").unwrap() * 0.99).floor());
    let out = other.call(&["call", "place_order", PERP, "buy", "limit", "0.05", &price, "--yes", "--json"]);
    crate::trader::refusal(&out, "margin", "add margin, or make the order smaller");
    assert_eq!(twin.truth("usdm", "test").orders, 0);
}
