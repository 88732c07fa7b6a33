//! All at once: every fault of the catalogue that a venue, a network or a machine can cause, several of them in each second,
//! by the dice. Accounts: one or two on an address, on USD-M with one leg or two.
//! Never: a fault that has no end before the faults do.

use super::deeds::{change_by_hand, front_end, honest, kill, near, orders_too, rule, user_event};
use super::stage::Stage;
use super::{FROM, TO};
use crate::net::Quality;
use crate::world::Setup;
use ctos_driver_binance::Profile;
use ctos_types::Nanos;
use serde_json::json;

/// From this seed on a person changes our orders, too. Seeds below keep the story that something was once found in.
const BY_HAND_FROM: u64 = 40_000;

pub(super) fn setup(setup: &mut Setup) {
    // A dice of its own: the seed's remainders choose the market and the way of orders.
    let dice = setup.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    setup.hedge = setup.profile == Profile::UsdM && dice.is_multiple_of(2);
    // The grid trades one leg.
    setup.grid = !setup.hedge;
    setup.two = (dice / 2).is_multiple_of(2);
    setup.entry = (dice / 4).is_multiple_of(2);
    setup.fee_token = (setup.profile == Profile::Spot && (dice / 8).is_multiple_of(3)).then_some("BNB");
    setup.held_before = !setup.hedge && (dice / 24).is_multiple_of(3);
}

pub(super) fn stir(w: &mut dyn Stage, s: i64) {
    if s == TO - 2 {
        // What a symbol was changed to must be over before the faults are.
        mend_symbol(w);
    }
    for _ in 0..=w.dice(2) {
        match w.dice(10) {
            0..=2 => requests(w),
            3..=5 => events(w),
            6 => network(w),
            7 => venue(w, s),
            _ => account(w, s),
        }
    }
    if s % 3 == 0 && w.dice(3) == 0 {
        kill(w);
    }
    if s % 4 == 1 && w.seed() >= BY_HAND_FROM {
        change_by_hand(w);
    }
}

/// What becomes of requests and their answers.
fn requests(w: &mut dyn Stage) {
    let method = ["POST", "DELETE", "PUT", "GET"][w.dice(4) as usize];
    let named = match (method, w.dice(4)) {
        ("GET", 0) => "GET *".to_string(),
        _ => orders_too(w, method),
    };
    let times = 1 + w.dice(3) as u32;
    let fault = match w.dice(12) {
        0 => json!({"kind": "lost"}),
        1 => json!({"kind": "reply_lost"}),
        2 => json!({"kind": "half_reply"}),
        3 => json!({"kind": "unheard"}),
        4 => json!({"kind": "unanswered"}),
        5 | 6 => {
            let text = front_end(w);
            let executed = method != "GET" && w.dice(2) == 0 && honest(w, text);
            json!({"kind": "error", "text": text, "executed": executed})
        }
        7 => json!({"kind": "delay", "before_ms": w.dice(3_000), "after_ms": w.dice(3_000)}),
        8 if method != "GET" => json!({"kind": "fill_first", "quantity": null}),
        9 if method != "GET" => json!({"kind": "fill_first", "quantity": "0.002"}),
        10 if w.profile() == Profile::Spot => {
            let both = "POST /api/v3/order/cancelReplace";
            return rule(w, "request", both, times, 1.0, json!({"kind": "half_done"}));
        }
        10 | 11 => return lists(w),
        _ => json!({"kind": "reply_lost"}),
    };
    rule(w, "request", &named, times, 0.7, fault);
}

/// Lists that fail, leave something out, or are empty.
fn lists(w: &mut dyn Stage) {
    let names: &[&str] = match w.profile() {
        Profile::UsdM => &["positionRisk", "openOrders", "balance", "userTrades", "openAlgoOrders"],
        Profile::Spot => &["account", "openOrders", "myTrades"],
        Profile::Margin => &["margin/account", "margin/openOrders", "margin/myTrades"],
    };
    let name = names[w.dice(names.len() as u64) as usize];
    let path = match w.profile() {
        Profile::UsdM if name == "positionRisk" => "GET /fapi/v2/",
        Profile::UsdM if name == "balance" => "GET /fapi/v3/",
        Profile::UsdM => "GET /fapi/v1/",
        Profile::Spot => "GET /api/v3/",
        Profile::Margin => "GET /sapi/v1/",
    };
    let money = matches!(name, "balance" | "account" | "margin/account");
    let fault = match w.dice(3) {
        0 if !money && !name.contains("rades") => json!({"kind": "empty_list"}),
        1 if !name.contains("rades") => json!({"kind": "omit", "name": if money { "USDT" } else { "BTCUSDT" }}),
        _ => json!({"kind": "error", "text": "html", "executed": false}),
    };
    rule(w, "request", &format!("{path}{name}"), 2, 1.0, fault);
}

/// What becomes of user events and market frames.
fn events(w: &mut dyn Stage) {
    let event = user_event(w);
    let (on, named, times, fault) = match w.dice(11) {
        0 | 1 => ("user", "*", 2, json!({"kind": "drop"})),
        2 => ("user", "*", 3, json!({"kind": "duplicate"})),
        3 => ("user", event, 1, json!({"kind": "new_trade_id"})),
        4 => ("user", event, 2, json!({"kind": "hold", "ms": 200 + w.dice(2_000)})),
        5 => ("user", "*", 2, json!({"kind": "swap"})),
        6 => ("user", event, 1, json!({"kind": "no_fee"})),
        7 => ("user", "*", 1, json!({"kind": if w.dice(2) == 0 { "half_frame" } else { "then_cut" }})),
        8 => ("market", "*", 1, json!({"kind": "drop"})),
        9 => ("market", "*", 1, json!({"kind": "duplicate"})),
        _ => ("market", "*", 1, json!({"kind": "swap"})),
    };
    rule(w, on, named, times, 0.5, fault);
}

fn network(w: &mut dyn Stage) {
    let bad = w.dice(3) != 0;
    let (a, b, c, d) = (w.dice(80), w.dice(80), w.dice(200), w.dice(300));
    let slow_ms = 500 + w.dice(4_000);
    let no_entry = bad && w.dice(4) == 0;
    *w.quality() = if bad {
        Quality { lose_request: a, lose_reply: b, slow: c, slow_ms, no_connection: d, no_entry }
    } else {
        Quality::default()
    };
}

/// What the venue does to everybody.
fn venue(w: &mut dyn Stage, s: i64) {
    match w.dice(16) {
        0 => drop(w.admin(&json!({"do": "close", "code": 1000}))),
        1 => drop(w.admin(&json!({"do": "close", "code": null}))),
        2 => drop(w.admin(&json!({"do": "expire_keys"}))),
        3 => drop(w.admin(&json!({"do": "shutdown"}))),
        4 => {
            let ms = 4_000 + w.dice(10_000);
            w.admin(&json!({"do": "life", "ms": ms}));
        }
        5 => {
            let ms = w.dice(60_000) as i64 - 30_000;
            w.admin(&json!({"do": "skew", "ms": ms}));
        }
        6 => {
            let ppm = w.dice(4_000) as i64 - 2_000;
            w.admin(&json!({"do": "drift", "ppm": ppm}));
        }
        7 => {
            w.admin(&json!({"do": "invisible", "ms": 4_000}));
            w.admin(&json!({"do": "snapshot_age", "ms": 3_000}));
        }
        8 => {
            let on = w.dice(2) == 0;
            w.admin(&json!({"do": "stall", "on": on}));
        }
        9 => {
            w.notes().limits_injected = true;
            rule(w, "request", "*", 1, 1.0, json!({"kind": "limit", "retry_after": 2}));
        }
        10 => {
            w.notes().bans += 1;
            let secs = 3 + w.dice(6);
            rule(w, "request", "*", 1, 1.0, json!({"kind": "ban", "secs": secs}));
        }
        11 | 12 => {
            let away = Nanos::from_millis(200 + w.dice(4_000) as i64);
            w.restart_venue(away);
        }
        // Maintenance: nothing is answered but errors.
        13 => {
            let secs = 1 + w.dice(4);
            let answer = json!({"kind": "error", "text": "unavailable", "executed": false});
            let rule = json!({"on": "request", "named": "*", "times": 0, "chance": 1.0, "fault": answer});
            let number = w.admin(&json!({"do": "rule", "rule": rule}))["number"].clone();
            let over = json!({"do": "remove_rule", "number": number});
            w.admin(&json!({"do": "later", "ms": secs * 1_000, "every_ms": null, "deed": over}));
        }
        14 if s < TO - 4 => {
            let symbol = w.symbol();
            let status = if w.is_usdm() { "SETTLING" } else { "BREAK" };
            let change = if w.dice(2) == 0 {
                json!({"status": status})
            } else {
                json!({"filter": {"filterType": "LOT_SIZE", "stepSize": "0.00500000", "minQty": "0.00500000"}})
            };
            w.try_admin(&json!({"do": "symbol", "symbol": symbol, "change": change}));
        }
        14 => {}
        _ => mend_symbol(w),
    }
}

fn mend_symbol(w: &mut dyn Stage) {
    let symbol = w.symbol();
    let lots = if w.is_usdm() { "0.00100000" } else { "0.00001000" };
    for change in
        [json!({"status": "TRADING"}), json!({"filter": {"filterType": "LOT_SIZE", "stepSize": lots, "minQty": lots}})]
    {
        w.try_admin(&json!({"do": "symbol", "symbol": symbol, "change": change}));
    }
}

/// What happens to one account.
fn account(w: &mut dyn Stage, s: i64) {
    let (victim, symbol) = (w.victim(), w.symbol());
    match w.dice(14) {
        0..=2 => {
            let side = if w.dice(2) == 0 { "BUY" } else { "SELL" };
            let mut deed =
                json!({"do": "foreign", "account": victim, "symbol": symbol, "side": side, "quantity": "0.01"});
            if w.dice(2) == 0 {
                deed["price"] = json!(near(w, if side == "BUY" { 0.99 } else { 1.01 }));
            }
            let done = w.try_admin(&deed);
            w.notes().strangers += u64::from(done);
        }
        3 | 4 => drop(w.try_admin(&json!({"do": "cancel", "account": victim, "order_id": null}))),
        5 | 6 => {
            let amount = if w.dice(2) == 0 { "25.5" } else { "-12.25" };
            w.try_admin(&json!({"do": "transfer", "account": victim, "asset": "USDT", "amount": amount}));
        }
        7 => drop(w.try_admin(&json!({"do": "funding", "symbol": symbol, "rate": "0.0004"}))),
        8 => drop(w.try_admin(&json!({"do": "margin_call", "account": victim}))),
        9 | 10 => {
            let deed = json!({"do": "adl", "account": victim, "symbol": symbol, "quantity": "0.002"});
            let done = w.try_admin(&deed);
            // One for each leg.
            w.notes().strangers += u64::from(done) * 2;
        }
        11 => overfill(w, &victim),
        12 if s > TO - 6 && w.dice(4) == 0 => {
            let done = w.try_admin(&json!({"do": "liquidate", "account": victim}));
            w.notes().strangers += u64::from(done) * 2;
        }
        13 if s == FROM + 20 => another_instance(w),
        _ => {}
    }
}

fn overfill(w: &mut dyn Stage, victim: &str) {
    let truth = w.truth();
    let account = crate::judge::account(&truth, victim);
    let Some(order) = account["openOrders"].as_array().and_then(|list| list.first()) else { return };
    let quantity: f64 = order["quantity"].as_str().and_then(|q| q.parse().ok()).unwrap_or(0.0);
    let deed = json!({
        "do": "overfill",
        "account": victim,
        "order_id": order["orderId"],
        "quantity": format!("{:.3}", quantity + 0.001),
    });
    w.try_admin(&deed);
}

/// An order with the tag of an instance that is not this one, on the first account.
fn another_instance(w: &mut dyn Stage) {
    let quote = near(w, 0.97);
    let kind = "timeInForce=GTC&type=LIMIT&side=BUY";
    let query = format!("symbol={}&{kind}&quantity=0.01&price={quote}&newClientOrderId=c00000g1", w.symbol());
    let path = w.order_path();
    // The front end errs towards this one too: whether it came is what the venue has.
    let orders = |w: &mut dyn Stage| crate::judge::account(&w.truth(), &w.account())["orders"].as_u64().unwrap_or(0);
    let before = orders(w);
    w.signed("POST", path, &query);
    let came = orders(w).saturating_sub(before);
    w.notes().strangers += came;
}
