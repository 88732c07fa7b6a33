//! The fault catalogue as things done to a running world, row by row, and what must hold after them.
//! Never: a fault whose end is not told: after it, both sides must come to agree.

use crate::world::{Setup, World};
use ctos_driver_binance::Profile;
use ctos_kernel::Audit;
use ctos_types::Nanos;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Seconds between which faults happen.
const FROM: i64 = 6;
const TO: i64 = 40;
/// After faults stop both sides agree within this.
const WITHIN: i64 = 90;

/// One row of the catalogue.
#[derive(Clone, Copy)]
pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub profiles: &'static [Profile],
    /// Before it begins.
    pub setup: fn(&mut Setup),
    /// Each second while faults happen. `n`: a dice for this second.
    pub stir: fn(&mut World, second: i64),
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {} ({})", self.number, self.name)
    }
}

const BOTH: &[Profile] = &[Profile::Spot, Profile::UsdM];
const USDM: &[Profile] = &[Profile::UsdM];
const SPOT: &[Profile] = &[Profile::Spot];
const ALL: &[Profile] = &[Profile::Spot, Profile::UsdM, Profile::Margin];

fn plain(_: &mut Setup) {}

fn rule(w: &mut World, on: &str, named: &str, times: u32, chance: f64, fault: Value) {
    w.admin(
        &json!({"do": "rule", "rule": {"on": on, "named": named, "times": times, "chance": chance, "fault": fault}}),
    );
}

fn order_path(w: &World) -> &'static str {
    match w.setup.profile {
        Profile::Spot => "/api/v3/order",
        Profile::Margin => "/sapi/v1/margin/order",
        Profile::UsdM => "/fapi/v1/order",
    }
}

fn orders_too(w: &World, method: &str) -> String {
    format!("{method} {}*", order_path(w))
}

fn user_event(w: &World) -> &'static str {
    if w.is_usdm() { "ORDER_TRADE_UPDATE" } else { "executionReport" }
}

/// A text of the venue's front end, by the dice.
fn front_end(w: &mut World) -> &'static str {
    const TEXTS: [&str; 8] =
        ["unknown", "unavailable", "internal", "throttled", "timeout", "unexpected", "html", "empty"];
    TEXTS[w.net.upto(8) as usize]
}

/// The texts after which USD-M promises that nothing was done.
fn honest(w: &World, text: &str) -> bool {
    !(w.is_usdm() && matches!(text, "unavailable" | "internal" | "throttled"))
}

fn lost(w: &mut World, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.3, json!({"kind": "lost"}));
        w.net.quality.lose_request = 60;
    }
}

fn reply_lost(w: &mut World, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.4, json!({"kind": "reply_lost"}));
        w.net.quality.lose_reply = 60;
    }
}

fn reply_lost_and_events(w: &mut World, s: i64) {
    if s == FROM {
        let (post, event) = (orders_too(w, "POST"), user_event(w));
        rule(w, "request", &post, 0, 0.4, json!({"kind": "half_reply"}));
        rule(w, "user", event, 0, 0.25, json!({"kind": "drop"}));
    }
}

fn front_end_errors(w: &mut World, _: i64) {
    let text = front_end(w);
    let executed = w.net.upto(2) == 0 && honest(w, text);
    for method in ["POST", "DELETE"] {
        let named = orders_too(w, method);
        rule(w, "request", &named, 1, 0.5, json!({"kind": "error", "text": text, "executed": executed}));
    }
}

fn bans(w: &mut World, s: i64) {
    (w.bans_injected, w.limits_injected) = (true, true);
    match s {
        8 => rule(w, "request", "*", 2, 0.5, json!({"kind": "limit", "retry_after": 3})),
        16 => {
            let secs = 5 + w.net.upto(15);
            rule(w, "request", "*", 1, 1.0, json!({"kind": "ban", "secs": secs}));
        }
        _ => {}
    }
}

fn races(w: &mut World, s: i64) {
    if s == FROM {
        let (delete, post) = (orders_too(w, "DELETE"), orders_too(w, "POST"));
        rule(w, "request", &delete, 0, 0.6, json!({"kind": "delay", "before_ms": 1800, "after_ms": 300}));
        rule(w, "request", &post, 0, 0.2, json!({"kind": "delay", "before_ms": 0, "after_ms": 1500}));
    }
}

fn half_amends(w: &mut World, s: i64) {
    if s == FROM {
        let named = if w.is_usdm() { "PUT /fapi/v1/order" } else { "POST /api/v3/order/cancelReplace" };
        rule(w, "request", named, 0, 0.25, json!({"kind": "reply_lost"}));
        rule(w, "request", named, 0, 0.2, json!({"kind": "lost"}));
        rule(w, "request", named, 0, 0.2, json!({"kind": "delay", "before_ms": 700, "after_ms": 700}));
        rule(w, "user", user_event(w), 0, 0.1, json!({"kind": "drop"}));
    }
    if s == 20 && w.setup.seed.is_multiple_of(2) {
        w.restart();
    }
}

fn doubles(w: &mut World, s: i64) {
    if s == FROM {
        rule(w, "user", "*", 0, 0.5, json!({"kind": "duplicate"}));
    }
}

fn new_trade_ids(w: &mut World, s: i64) {
    if s == FROM {
        rule(w, "user", user_event(w), 0, 0.4, json!({"kind": "new_trade_id"}));
    }
}

fn shuffled(w: &mut World, s: i64) {
    if s == FROM {
        rule(w, "user", user_event(w), 0, 0.3, json!({"kind": "hold", "ms": 900}));
        rule(w, "user", "*", 0, 0.3, json!({"kind": "swap"}));
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.4, json!({"kind": "delay", "after_ms": 800}));
    }
}

fn overfills(w: &mut World, s: i64) {
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

fn third_asset(setup: &mut Setup) {
    setup.fee_token = Some("BNB");
}

fn transfers(w: &mut World, s: i64) {
    if s == FROM {
        rule(w, "user", "*", 0, 0.15, json!({"kind": "drop"}));
    }
    if s % 9 == 0 {
        let account = w.account();
        let amount = if s % 2 == 0 { "25.5" } else { "-12.25" };
        w.try_admin(&json!({"do": "transfer", "account": account, "asset": "USDT", "amount": amount}));
    }
}

fn gaps(w: &mut World, s: i64) {
    if s == FROM {
        rule(w, "user", "*", 0, 0.3, json!({"kind": "drop"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "drop"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "duplicate"}));
        rule(w, "market", "*", 0, 0.02, json!({"kind": "swap"}));
    }
}

fn stall(w: &mut World, s: i64) {
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

fn cuts(w: &mut World, s: i64) {
    match (s % 7, w.net.upto(6)) {
        (0, 0) => drop(w.admin(&json!({"do": "close", "code": 1000}))),
        (0, 1) => drop(w.admin(&json!({"do": "close", "code": null}))),
        (0, 2) => drop(w.admin(&json!({"do": "expire_keys"}))),
        (0, 3) => drop(w.admin(&json!({"do": "shutdown"}))),
        (0, 4) => rule(w, "user", "*", 1, 1.0, json!({"kind": "half_frame"})),
        (0, _) => rule(w, "user", "*", 1, 1.0, json!({"kind": "then_cut"})),
        _ => {}
    }
    w.net.quality.no_connection = 300;
    if s == 12 {
        w.admin(&json!({"do": "life", "ms": 9_000}));
    }
}

fn old_snapshots(w: &mut World, s: i64) {
    if s == FROM {
        w.admin(&json!({"do": "snapshot_age", "ms": 3_000}));
        w.admin(&json!({"do": "invisible", "ms": 4_000}));
        w.net.quality.lose_reply = 150;
    }
}

fn skews(w: &mut World, s: i64) {
    if s % 9 == 0 {
        let ms = w.net.upto(60_000) as i64 - 30_000;
        w.admin(&json!({"do": "skew", "ms": ms}));
    }
}

fn another_instance(w: &mut World, s: i64) {
    if s == 20 {
        let px =
            if w.is_usdm() { "timeInForce=GTC&type=LIMIT&side=BUY" } else { "timeInForce=GTC&type=LIMIT&side=BUY" };
        let quote = near(w, 0.97);
        // The tag of an instance that is not this one.
        let query = format!("symbol={}&{px}&quantity=0.01&price={quote}&newClientOrderId=c00000g1", w.symbol());
        let path = order_path(w);
        let (status, body) = w.signed("POST", path, &query);
        assert_eq!(status, 200, "{body}");
        w.strangers += 1;
    }
}

/// A price at this share of the best bid, on a coarse grid.
fn near(w: &mut World, share: f64) -> String {
    let path = if w.is_usdm() { "/fapi/v1/ticker/bookTicker" } else { "/api/v3/ticker/bookTicker" };
    let (_, row) = w.signed("GET", path, "symbol=BTCUSDT");
    let bid: f64 = row["bidPrice"].as_str().and_then(|p| p.parse().ok()).unwrap_or(60_000.0);
    format!("{:.0}", (bid * share / 10.0).round() * 10.0)
}

fn manual(w: &mut World, s: i64) {
    let account = w.account();
    let symbol = w.symbol();
    if s % 6 == 0 {
        let side = if s % 12 == 0 { "BUY" } else { "SELL" };
        let mut deed = json!({"do": "foreign", "account": account, "symbol": symbol, "side": side, "quantity": "0.01"});
        if w.net.upto(2) == 0 {
            let share = if side == "BUY" { 0.99 } else { 1.01 };
            deed["price"] = json!(near(w, share));
        }
        if w.try_admin(&deed) {
            w.strangers += 1;
        }
    }
    if s % 10 == 0 {
        w.try_admin(&json!({"do": "cancel", "account": account, "order_id": null}));
    }
    if s == FROM && w.setup.seed.is_multiple_of(2) {
        rule(w, "user", "*", 0, 0.2, json!({"kind": "drop"}));
    }
}

fn blind(w: &mut World, s: i64) {
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
            rule(w, "request", list, 0, 0.4, json!({"kind": "error", "text": "html", "executed": false}));
        }
        rule(w, "user", "*", 0, 0.1, json!({"kind": "drop"}));
    }
}

fn other_rules(w: &mut World, s: i64) {
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

fn funding_and_adl(w: &mut World, s: i64) {
    let (account, symbol) = (w.account(), w.symbol());
    match s % 11 {
        0 => {
            w.try_admin(&json!({"do": "funding", "symbol": symbol, "rate": "0.0004"}));
        }
        4 => {
            let deed = json!({"do": "adl", "account": account, "symbol": symbol, "quantity": "0.002"});
            w.strangers += u64::from(w.try_admin(&deed));
        }
        _ => {}
    }
    if s == 36 && w.setup.seed.is_multiple_of(3) {
        w.strangers += u64::from(w.try_admin(&json!({"do": "liquidate", "account": account})));
    }
    if s == FROM && w.setup.seed.is_multiple_of(2) {
        rule(w, "user", "*", 0, 0.2, json!({"kind": "drop"}));
    }
}

fn restarts(w: &mut World, s: i64) {
    if s == FROM {
        let post = orders_too(w, "POST");
        rule(w, "request", &post, 0, 0.2, json!({"kind": "reply_lost"}));
        w.net.quality =
            crate::net::Quality { lose_request: 30, lose_reply: 30, slow: 100, slow_ms: 2_000, no_connection: 100 };
    }
    if s % 11 == 0 {
        // Anywhere within the second.
        let ms = w.net.upto(900) as i64;
        w.run_for(Nanos::from_millis(ms));
        w.restart();
    }
}

const fn row(
    number: u32,
    name: &'static str,
    profiles: &'static [Profile],
    setup: fn(&mut Setup),
    stir: fn(&mut World, i64),
) -> Row {
    Row { number, name, profiles, setup, stir }
}

/// Rows that a venue can cause, and the kill of ctos (18).
pub const ROWS: &[Row] = &[
    row(1, "submit: request lost", ALL, plain, lost),
    row(2, "submit: response lost, order live", ALL, plain, reply_lost),
    row(3, "submit: response and events lost", ALL, plain, reply_lost_and_events),
    row(4, "errors of the front end, before and after the deed", ALL, plain, front_end_errors),
    row(5, "429, then 418", BOTH, plain, bans),
    row(6, "cancels race fills", ALL, plain, races),
    row(7, "amends half done", BOTH, plain, half_amends),
    row(8, "every event twice", ALL, plain, doubles),
    row(9, "fills again under another id", BOTH, plain, new_trade_ids),
    row(10, "events late and out of order", ALL, plain, shuffled),
    row(11, "over-fills", BOTH, plain, overfills),
    row(12, "fees in a third asset, transfers", SPOT, third_asset, transfers),
    row(13, "events missing", ALL, plain, gaps),
    row(14, "silence with pings alive", BOTH, plain, stall),
    row(15, "sockets close, keys expire, lives end", ALL, plain, cuts),
    row(16, "orders and snapshots that show late", BOTH, plain, old_snapshots),
    row(17, "the venue's clock jumps", ALL, plain, skews),
    row(18, "killed and started again", ALL, plain, restarts),
    row(22, "another instance on the account", BOTH, plain, another_instance),
    row(23, "a person trades on the account", BOTH, plain, manual),
    row(24, "lists fail or come empty", ALL, plain, blind),
    row(25, "filters change, trading halts", BOTH, plain, other_rules),
    row(26, "funding, deleveraging, liquidation", USDM, plain, funding_and_adl),
];

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Orders that ctos placed, and those that the venue had.
    pub placed: u64,
    pub trades: u64,
    /// Seconds after the end of the faults until both sides agreed.
    pub agreed_after: i64,
    /// What the kernel raised, and how often.
    pub alarms: BTreeMap<String, u64>,
}

/// Runs one seed of a row. `Err`: what did not hold.
pub fn run(row: &Row, seed: u64) -> Result<Tally, String> {
    let profile = row.profiles[(seed % row.profiles.len() as u64) as usize];
    let mut setup = Setup::new(profile, seed);
    (row.setup)(&mut setup);
    let mut w = World::new(setup);
    let second = Nanos::from_secs(1);
    while w.secs() < TO {
        let s = w.secs();
        if s >= FROM {
            (row.stir)(&mut w, s);
            // A kill at any moment is part of every row.
            if row.number != 18 && s == 25 && seed % 5 == 3 {
                w.restart();
            }
        }
        w.run_for(second);
        w.always().map_err(|why| format!("second {s}: {why}"))?;
    }
    if !w.engine().is_started() {
        return Err("the account never came to be known".into());
    }
    w.admin(&json!({"do": "behave"}));
    w.net.quality = Default::default();
    let mut why = String::new();
    let mut held = 0;
    for after in 0..=WITHIN {
        w.run_for(second);
        w.always().map_err(|why| format!("{after} s after the faults: {why}"))?;
        let halted = matches!(row.number, 22 | 26);
        let known = w.engine().kernel.is_known(crate::engine::ACCOUNT);
        match w.agreement() {
            Ok(()) if known || halted => held += 1,
            Ok(()) => (held, why) = (0, "the account is not known".into()),
            Err(other) => (held, why) = (0, other),
        }
        if held == 2 {
            let account = w.true_account();
            let trades = account["trades"].as_u64().unwrap_or(0);
            let engine = w.engine();
            if row.number == 22 && !is_halted(&w) {
                return Err("another instance's order did not halt the account".into());
            }
            let mut alarms = BTreeMap::new();
            for audit in &engine.audits {
                let Audit::Alarm(alarm) = audit else { continue };
                let name = format!("{alarm:?}");
                let name = name.split([' ', '{']).next().unwrap_or_default().to_string();
                *alarms.entry(name).or_insert(0) += 1;
            }
            return Ok(Tally { placed: engine.places, trades, agreed_after: after, alarms });
        }
    }
    Err(format!("{WITHIN} s after the faults: {why}"))
}

fn is_halted(w: &World) -> bool {
    let kernel = &w.engine().kernel;
    let account = crate::engine::ACCOUNT;
    kernel.kill().effective(account, ctos_types::StrategyId(0)) != ctos_types::KillState::Active
}
