//! Rubbish, for every syscall: one line that says which argument, and one that says how it is written.

use super::super::{Args, SYSCALLS};
use proptest::prelude::*;

#[track_caller]
fn wrong(syscall: &str, given: &[&str], what: &str) {
    let error = Args::parse(syscall, given.iter().copied()).expect_err(what);
    assert!(error.message.contains(what), "{syscall} {given:?}: {what:?} is not in {:?}", error.message);
    assert!(error.hint.starts_with(&format!("write ctos call {syscall}")), "{}", error.hint);
    assert!(!error.message.contains('\n') && !error.hint.contains('\n'));
}

/// What every argument takes, so that only one of them is wrong at a time.
fn good(name: &str, syscall: &str) -> &'static str {
    match name {
        "symbol" => "binance:BTC-USDT-PERP",
        "order_id" => "12",
        "side" if syscall == "close_all_positions" => "long",
        "side" => "buy",
        "order_type" | "mode" => "limit",
        "size" | "price" => "1",
        other => panic!("{other}"),
    }
}

fn required(syscall: &str) -> Vec<String> {
    let of = SYSCALLS.iter().find(|s| s.name == syscall).unwrap();
    let mut given: Vec<String> =
        of.params.iter().filter(|p| p.required).map(|p| format!("{}={}", p.name, good(p.name, syscall))).collect();
    match syscall {
        "place_order" => given.extend(["size=1".to_owned(), "price=1".to_owned()]),
        "amend_order" => given.push("price=1".to_owned()),
        _ => {}
    }
    given
}

#[test]
fn every_syscall_refuses_what_it_cannot_mean() {
    for syscall in SYSCALLS {
        let given = required(syscall.name);
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        Args::parse(syscall.name, given.iter().copied()).unwrap_or_else(|e| panic!("{}: {e}", syscall.name));
        wrong(syscall.name, &[&given[..], &["colour=red"]].concat(), "takes no argument \"colour\"");
        let many = vec!["x"; 20];
        wrong(syscall.name, &many, "");
        for param in syscall.params {
            let others: Vec<&str> =
                given.iter().copied().filter(|g| !g.starts_with(&format!("{}=", param.name))).collect();
            if param.required {
                wrong(syscall.name, &others, &format!("needs {}", param.name));
            }
            // Names of the venue's own things may be anything without a space.
            let free = matches!(param.name, "order_id" | "currency");
            if !free {
                let bad = format!("{}=no such thing", param.name);
                wrong(syscall.name, &[&others[..], &[&bad]].concat(), param.name);
            }
        }
    }
}

#[test]
fn numbers_are_told_apart_by_what_is_wrong_with_them() {
    let order = |more: &[&str], what: &str| {
        let given = [&["symbol=X", "side=buy", "order_type=limit"], more].concat();
        wrong("place_order", &given, what);
    };
    let thirty = "size=0.123456789012345678901234567891";
    order(&[thirty, "price=1"], "has more decimal places than the 18 that can be held exactly");
    order(&["size=1e40", "price=1"], "number out of range");
    order(&["size=99999999999999999999999999999999999999999", "price=1"], "number out of range");
    for bad in ["-1", "0", "0.0", "-0", "NaN", "inf", "0x10", "1,5", "1_000", "1.", ".", "--1", "1 000", "١"] {
        order(&[&format!("size={bad}"), "price=1"], "size is an amount above 0");
        order(&["size=1", &format!("price={bad}")], "price is an amount above 0");
    }
    order(&["size=1"], "a limit order needs price");
    order(&["price=1"], "needs size");
    order(&["price=1", "size=1", "quote=1"], "give size or quote, not both");
    order(&["price=1", "quote=1"], "only market orders");
    order(&["price=1", "size=1", "trigger=1"], "has no trigger");
    order(&["price=1", "size=1", "callback_bps=0"], "callback_bps is a whole number from 1 to 10000");
    order(&["price=1", "size=1", "callback_bps=1.5"], "callback_bps is a whole number");
    let market = |more: &[&str], what: &str| {
        wrong("place_order", &[&["symbol=X", "side=buy", "order_type=market"], more].concat(), what);
    };
    market(&["size=1", "price=1"], "has no price");
    market(&["size=1", "post_only=true"], "cannot be post-only");
    market(&["size=1", "post_only=yes"], "post_only is one of true, false");
    wrong("amend_order", &["12", "X"], "needs price or size");
    wrong("get_orderbook", &["X", "level=0"], "level is a whole number from 1 to 5000");
    wrong("get_klines", &["X", "limit=1001"], "limit is a whole number from 1 to 1000");
    wrong("get_klines", &["X", "timeframe=7m"], "");
    wrong("get_klines", &["X", "start_time=99999999999999999999"], "start_time is ms since 1970");
    wrong("get_klines", &["X", "start_time=2026-02-30"], "start_time");
    wrong("close_all_positions", &["price_offset=1"], "a fraction from 0 to 1");
    wrong("close_all_positions", &["price_offset=-0.1"], "a fraction from 0 to 1");
    wrong("close_all_positions", &["side=buy"], "side is one of long, short");
    wrong("get_price_now", &["a b"], "symbol is a unified symbol");
    wrong("get_price_now", &[&"x".repeat(10_000)], "symbol is a unified symbol");
}

proptest! {
    #[test]
    fn nothing_panics(
        at in 0..SYSCALLS.len(),
        given in prop::collection::vec("[a-z_]{0,12}=?[ -~\\u{e9}\\u{5e01}]{0,40}|\\PC{0,20}", 0..6),
    ) {
        let name = SYSCALLS[at].name;
        if let Err(e) = Args::parse(name, given.iter().map(String::as_str)) {
            prop_assert!(!e.message.is_empty() && !e.hint.is_empty());
        }
    }

    #[test]
    fn any_name_and_value_is_read_or_refused(at in 0..SYSCALLS.len(), values in prop::collection::vec("\\PC{0,30}", 16)) {
        let syscall = &SYSCALLS[at];
        let pairs = syscall.params.iter().zip(&values).map(|(p, v)| (p.name.to_owned(), v.clone()));
        let _ = Args::named(syscall.name, &pairs.collect());
    }
}
