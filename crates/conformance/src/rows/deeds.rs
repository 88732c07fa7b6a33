//! What each row of the catalogue does to the world, second by second.
//! Never: judges.

use super::FROM;
use super::stage::Stage;
use crate::world::Setup;
use ctos_driver_binance::Profile;
use ctos_types::Nanos;
use serde_json::{Value, json};

pub(super) fn plain(_: &mut Setup) {}

pub(super) fn rule(w: &mut dyn Stage, on: &str, named: &str, times: u32, chance: f64, fault: Value) {
    w.admin(
        &json!({"do": "rule", "rule": {"on": on, "named": named, "times": times, "chance": chance, "fault": fault}}),
    );
}

pub(super) fn orders_too(w: &dyn Stage, method: &str) -> String {
    format!("{method} {}*", w.order_path())
}

pub(super) fn user_event(w: &dyn Stage) -> &'static str {
    if w.is_usdm() { "ORDER_TRADE_UPDATE" } else { "executionReport" }
}

/// A text of the venue's front end, by the dice.
pub(super) fn front_end(w: &mut dyn Stage) -> &'static str {
    const TEXTS: [&str; 8] =
        ["unknown", "unavailable", "internal", "throttled", "timeout", "unexpected", "html", "empty"];
    TEXTS[w.dice(8) as usize]
}

/// The texts after which USD-M promises that nothing was done.
pub(super) fn honest(w: &dyn Stage, text: &str) -> bool {
    !(w.is_usdm() && matches!(text, "unavailable" | "internal" | "throttled"))
}

pub(super) fn lost(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.3, json!({"kind": "lost"}));
        w.quality().lose_request = 60;
    }
}

pub(super) fn reply_lost(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.4, json!({"kind": "reply_lost"}));
        w.quality().lose_reply = 60;
    }
}

pub(super) fn reply_lost_and_events(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let (post, event) = (orders_too(w, "POST"), user_event(w));
        rule(w, "request", &post, 0, 0.4, json!({"kind": "half_reply"}));
        rule(w, "user", event, 0, 0.25, json!({"kind": "drop"}));
    }
}

pub(super) fn front_end_errors(w: &mut dyn Stage, _: i64) {
    let text = front_end(w);
    let executed = w.dice(2) == 0 && honest(w, text);
    for method in ["POST", "DELETE"] {
        let named = orders_too(w, method);
        rule(w, "request", &named, 1, 0.5, json!({"kind": "error", "text": text, "executed": executed}));
    }
}

pub(super) fn bans(w: &mut dyn Stage, s: i64) {
    w.notes().limits_injected = true;
    let ban = |w: &mut dyn Stage| {
        let secs = 5 + w.dice(10);
        w.notes().bans += 1;
        rule(w, "request", "*", 1, 1.0, json!({"kind": "ban", "secs": secs}));
    };
    let limit = |w: &mut dyn Stage| rule(w, "request", "*", 2, 1.0, json!({"kind": "limit", "retry_after": 3}));
    // A refusal for want of room is believed until the window turns, which is after the faults: whatever still went out
    // would meet the ban. The other way round both are met.
    match (s, w.seed().is_multiple_of(2)) {
        (8, true) | (28, false) => limit(w),
        (16, true) | (8, false) => ban(w),
        _ => {}
    }
}

pub(super) fn races(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let (delete, post) = (orders_too(w, "DELETE"), orders_too(w, "POST"));
        rule(w, "request", &delete, 0, 0.25, json!({"kind": "fill_first", "quantity": null}));
        rule(w, "request", &delete, 0, 0.1, json!({"kind": "fill_first", "quantity": "0.002"}));
        rule(w, "request", &delete, 0, 0.6, json!({"kind": "delay", "before_ms": 1800, "after_ms": 300}));
        rule(w, "request", &post, 0, 0.2, json!({"kind": "delay", "before_ms": 0, "after_ms": 1500}));
    }
}

pub(super) fn half_amends(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        // In place; in one request, and apart where it has begun to trade; always apart.
        let requests: &[&str] = match w.profile() {
            Profile::UsdM => &["PUT /fapi/v1/order"],
            Profile::Spot => &["POST /api/v3/order/cancelReplace", "DELETE /api/v3/order"],
            Profile::Margin => &["DELETE /sapi/v1/margin/order", "POST /sapi/v1/margin/order"],
        };
        if w.profile() == Profile::Spot {
            // Cancelled, and the order in its place refused.
            rule(w, "request", requests[0], 0, 0.2, json!({"kind": "half_done"}));
        }
        for named in requests {
            rule(w, "request", named, 0, 0.15, json!({"kind": "fill_first", "quantity": "0.002"}));
            rule(w, "request", named, 0, 0.25, json!({"kind": "reply_lost"}));
            rule(w, "request", named, 0, 0.2, json!({"kind": "lost"}));
            rule(w, "request", named, 0, 0.2, json!({"kind": "delay", "before_ms": 700, "after_ms": 700}));
        }
        let event = user_event(w);
        rule(w, "user", event, 0, 0.1, json!({"kind": "drop"}));
    }
    if s == 20 && w.seed().is_multiple_of(2) {
        w.restart();
    }
}

pub(super) fn doubles(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        rule(w, "user", "*", 0, 0.5, json!({"kind": "duplicate"}));
    }
}

pub(super) fn new_trade_ids(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let event = user_event(w);
        rule(w, "user", event, 0, 0.4, json!({"kind": "new_trade_id"}));
    }
}

pub(super) fn shuffled(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let event = user_event(w);
        rule(w, "user", event, 0, 0.3, json!({"kind": "hold", "ms": 900}));
        rule(w, "user", "*", 0, 0.3, json!({"kind": "swap"}));
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.4, json!({"kind": "delay", "after_ms": 800}));
    }
}

pub(super) fn overfills(w: &mut dyn Stage, s: i64) {
    if s % 8 == 0 {
        let orders = w.true_account()["openOrders"].as_array().cloned().unwrap_or_default();
        if let Some(order) = orders.first() {
            let (account, id) = (w.account(), order["orderId"].as_i64().unwrap_or(0));
            let quantity: f64 = order["quantity"].as_str().and_then(|q| q.parse().ok()).unwrap_or(0.0);
            let quantity = format!("{:.3}", quantity + 0.001);
            w.try_admin(&json!({"do": "overfill", "account": account, "order_id": id, "quantity": quantity}));
        }
    }
}

pub(super) fn third_asset(setup: &mut Setup) {
    setup.fee_token = Some("BNB");
}

pub(super) fn transfers(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        if w.seed().is_multiple_of(2) {
            let event = user_event(w);
            rule(w, "user", event, 0, 0.3, json!({"kind": "no_fee"}));
        }
        rule(w, "user", "*", 0, 0.15, json!({"kind": "drop"}));
    }
    if s % 9 == 0 {
        let account = w.account();
        let amount = if s % 2 == 0 { "25.5" } else { "-12.25" };
        w.try_admin(&json!({"do": "transfer", "account": account, "asset": "USDT", "amount": amount}));
    }
}

pub(super) fn gaps(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        rule(w, "user", "*", 0, 0.3, json!({"kind": "drop"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "drop"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "duplicate"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "swap"}));
    }
}

pub(super) fn stall(w: &mut dyn Stage, s: i64) {
    match s {
        FROM => {
            w.admin(&json!({"do": "stall", "on": true}));
            rule(w, "user", "*", 0, 1.0, json!({"kind": "drop"}));
        }
        30 => {
            w.admin(&json!({"do": "stall", "on": false}));
            w.admin(&json!({"do": "remove_rule", "number": null}));
        }
        _ => {}
    }
}

pub(super) fn cuts(w: &mut dyn Stage, s: i64) {
    match (s % 7, w.dice(6)) {
        (0, 0) => drop(w.admin(&json!({"do": "close", "code": 1000}))),
        (0, 1) => drop(w.admin(&json!({"do": "close", "code": null}))),
        (0, 2) => drop(w.admin(&json!({"do": "expire_keys"}))),
        (0, 3) => drop(w.admin(&json!({"do": "shutdown"}))),
        (0, 4) => rule(w, "user", "*", 1, 1.0, json!({"kind": "half_frame"})),
        (0, _) => rule(w, "user", "*", 1, 1.0, json!({"kind": "then_cut"})),
        _ => {}
    }
    w.quality().no_connection = 300;
    if s == 12 {
        w.admin(&json!({"do": "life", "ms": 9_000}));
    }
}

pub(super) fn old_snapshots(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        w.admin(&json!({"do": "snapshot_age", "ms": 3_000}));
        w.admin(&json!({"do": "invisible", "ms": 4_000}));
        // Snapshots are asked for where the chain of differences is broken.
        rule(w, "market", "*", 0, 0.02, json!({"kind": "drop"}));
        w.quality().lose_reply = 150;
    }
}

pub(super) fn skews(w: &mut dyn Stage, s: i64) {
    if s % 9 == 0 {
        let ms = w.dice(60_000) as i64 - 30_000;
        w.admin(&json!({"do": "skew", "ms": ms}));
    } else if s == 30 {
        w.admin(&json!({"do": "drift", "ppm": if w.seed().is_multiple_of(2) { 2_000 } else { -2_000 }}));
    }
}

pub(super) fn another_instance(w: &mut dyn Stage, s: i64) {
    if s == 20 {
        let kind = "timeInForce=GTC&type=LIMIT&side=BUY";
        let quote = near(w, 0.97);
        // The tag of an instance that is not this one.
        let query = format!("symbol={}&{kind}&quantity=0.01&price={quote}&newClientOrderId=c00000g1", w.symbol());
        let path = w.order_path();
        let (status, body) = w.signed("POST", path, &query);
        assert_eq!(status, 200, "{body}");
        w.notes().strangers += 1;
    }
}

/// A price at this share of the best bid, on a coarse grid.
pub(super) fn near(w: &mut dyn Stage, share: f64) -> String {
    let path = if w.is_usdm() { "/fapi/v1/ticker/bookTicker" } else { "/api/v3/ticker/bookTicker" };
    let (_, row) = w.signed("GET", path, "symbol=BTCUSDT");
    let bid: f64 = row["bidPrice"].as_str().and_then(|p| p.parse().ok()).unwrap_or(60_000.0);
    format!("{:.0}", (bid * share / 10.0).round() * 10.0)
}

pub(super) fn manual(w: &mut dyn Stage, s: i64) {
    let account = w.account();
    let symbol = w.symbol();
    if s % 6 == 0 {
        let side = if s % 12 == 0 { "BUY" } else { "SELL" };
        let mut deed = json!({"do": "foreign", "account": account, "symbol": symbol, "side": side, "quantity": "0.01"});
        if w.dice(2) == 0 {
            let share = if side == "BUY" { 0.99 } else { 1.01 };
            deed["price"] = json!(near(w, share));
        }
        if w.try_admin(&deed) {
            w.notes().strangers += 1;
        }
    }
    if s % 10 == 0 {
        w.try_admin(&json!({"do": "cancel", "account": account, "order_id": null}));
    }
    if s % 7 == 0 {
        change_by_hand(w);
    }
    if s == FROM && w.seed().is_multiple_of(2) {
        rule(w, "user", "*", 0, 0.2, json!({"kind": "drop"}));
    }
}

/// A person moves an order, on spot makes it smaller; whose order it is, the dice say.
pub(super) fn change_by_hand(w: &mut dyn Stage) {
    let list = match w.profile() {
        Profile::UsdM => "/fapi/v1/openOrders",
        Profile::Spot => "/api/v3/openOrders",
        Profile::Margin => return,
    };
    let (_, list) = w.signed("GET", list, "symbol=BTCUSDT");
    let count = list.as_array().map_or(0, Vec::len) as u64;
    if count == 0 {
        return;
    }
    let order = &list[w.dice(count) as usize];
    let text = |field: &str| order[field].as_str().unwrap_or_default().to_owned();
    let named = format!("symbol=BTCUSDT&orderId={}", order["orderId"]);
    let (side, size) = (text("side"), text("origQty"));
    if w.is_usdm() {
        let px = near(w, if side == "BUY" { 0.995 } else { 1.005 });
        w.signed("PUT", "/fapi/v1/order", &format!("{named}&side={side}&quantity={size}&price={px}"));
    } else {
        let less = format!("{:.5}", size.parse::<f64>().unwrap_or_default() * 0.75);
        // Unless it is asked to keep its name, the venue gives it another.
        let name = if w.dice(2) == 0 { String::new() } else { format!("&newClientOrderId={}", text("clientOrderId")) };
        w.signed("PUT", "/api/v3/order/amend/keepPriority", &format!("{named}&newQty={less}{name}"));
    }
}

pub(super) fn blind(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let lists: &[&str] = if w.is_usdm() {
            &["GET /fapi/v2/positionRisk", "GET /fapi/v1/openOrders", "GET /fapi/v3/balance"]
        } else {
            &[
                "GET /api/v3/account",
                "GET /api/v3/openOrders",
                "GET /sapi/v1/margin/account",
                "GET /sapi/v1/margin/openOrders",
            ]
        };
        for list in lists {
            if !list.ends_with("balance") && !list.ends_with("account") {
                rule(w, "request", list, 0, 0.4, json!({"kind": "empty_list"}));
            }
            let name = if list.contains("balance") || list.contains("account") { "USDT" } else { "BTCUSDT" };
            rule(w, "request", list, 0, 0.3, json!({"kind": "omit", "name": name}));
            rule(w, "request", list, 0, 0.4, json!({"kind": "error", "text": "html", "executed": false}));
        }
        rule(w, "user", "*", 0, 0.1, json!({"kind": "drop"}));
    }
}

pub(super) fn other_rules(w: &mut dyn Stage, s: i64) {
    let symbol = w.symbol();
    let change = match s {
        10 => json!({"filter": {"filterType": "LOT_SIZE", "stepSize": "0.00500000", "minQty": "0.00500000"}}),
        20 => json!({"status": if w.is_usdm() { "SETTLING" } else { "BREAK" }}),
        30 => json!({"status": "TRADING"}),
        36 => json!({"filter": {"filterType": "LOT_SIZE", "stepSize": "0.00100000", "minQty": "0.00100000"}}),
        _ => return,
    };
    w.try_admin(&json!({"do": "symbol", "symbol": symbol, "change": change}));
}

pub(super) fn funding_and_adl(w: &mut dyn Stage, s: i64) {
    let (account, symbol) = (w.account(), w.symbol());
    match s % 11 {
        0 => {
            w.try_admin(&json!({"do": "funding", "symbol": symbol, "rate": "0.0004"}));
        }
        2 => {
            w.try_admin(&json!({"do": "margin_call", "account": account}));
        }
        4 => {
            let deed = json!({"do": "adl", "account": account, "symbol": symbol, "quantity": "0.002"});
            let done = w.try_admin(&deed);
            w.notes().strangers += u64::from(done);
        }
        _ => {}
    }
    if s == 36 && w.seed().is_multiple_of(3) {
        let done = w.try_admin(&json!({"do": "liquidate", "account": account}));
        w.notes().strangers += u64::from(done);
    }
    if s == FROM && w.seed().is_multiple_of(2) {
        rule(w, "user", "*", 0, 0.2, json!({"kind": "drop"}));
    }
}

pub(super) fn restarts(w: &mut dyn Stage, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.2, json!({"kind": "reply_lost"}));
        *w.quality() = crate::net::Quality {
            lose_request: 30,
            lose_reply: 30,
            slow: 100,
            slow_ms: 2_000,
            no_connection: 100,
            ..Default::default()
        };
    }
    if s % 11 == 0 {
        kill(w);
    }
}

/// `kill -9`, anywhere within the second.
pub(super) fn kill(w: &mut dyn Stage) {
    let ms = w.dice(900) as i64;
    w.run_for(Nanos::from_millis(ms));
    w.restart();
}
