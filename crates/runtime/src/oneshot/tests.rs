//! Arguments, orders from them, intents, and the whole way to a twin over real sockets.

use super::*;
use crate::config::Layers;
use ctos_driver_binance::instruments::builtin_all;
use ctos_link::LinkTime;
use ctos_twin::server::{Server, ServerConfig, SystemClock};
use ctos_twin::{AccountSetting, Product, Twin, TwinConfig};
use ctos_types::{Decimal, Instrument, OrderKind, OrderQty, Side};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[track_caller]
fn args(syscall: &str, given: &[&str]) -> Args {
    Args::parse(syscall, given.iter().copied()).unwrap_or_else(|e| panic!("{e}; {}", e.hint))
}

#[track_caller]
fn wrong(syscall: &str, given: &[&str], what: &str) {
    let error = Args::parse(syscall, given.iter().copied()).unwrap_err();
    assert!(format!("{error} {}", error.hint).contains(what), "{what:?} is not in {error} / {}", error.hint);
}

#[test]
fn arguments_are_given_by_name_or_in_order() {
    let by_place = args("place_order", &["BTC-USDT", "buy", "limit", "0.01", "60000"]);
    let by_name = args("place_order", &["price=60000", "symbol=BTC-USDT", "buy", "order_type=limit", "size=0.01"]);
    assert_eq!(by_place, by_name);
    assert_eq!(args("cancel_order", &["12", "BTC-USDT"]).syscall.name, "revoke_order");
    assert_eq!(args("cancel_all", &["symbol="]).text("symbol"), None);
    let named: BTreeMap<String, String> = [("symbol".to_owned(), "BTC-USDT".to_owned())].into();
    assert_eq!(Args::named("get_price_now", &named).unwrap(), args("get_price_now", &["BTC-USDT"]));
    assert_eq!(
        args("get_klines", &["x", "start_time=2026-01-31T12:30:00Z"]).time("start_time").unwrap().unwrap().to_string(),
        "2026-01-31T12:30:00Z"
    );
    assert_eq!(args("get_klines", &["x", "end_time=1000"]).time("end_time").unwrap(), Some(UnixNanos(1_000_000_000)));
    wrong("get_klines", &["x", "end_time=tomorrow"], "end_time is ms since 1970");
    wrong("cancel_order", &["12"], "cancel_order needs symbol");
    wrong("cancel_order", &["12"], "write ctos call cancel_order order_id=");
    wrong("get_price", &["x"], "did you mean get_price_now?");
    wrong("get_price_now", &[], "needs symbol");
    wrong("get_price_now", &["a", "b"], "one value too many");
    wrong("place_order", &["sybmol=x"], "did you mean symbol?");
    wrong("place_order", &["symbol=x", "symbol=y"], "given twice");
    for syscall in SYSCALLS {
        assert!(!syscall.risks || syscall.trades, "{}", syscall.name);
        assert!(!syscall.trades || syscall.keyed, "{}", syscall.name);
    }
}

fn perp() -> Instrument {
    builtin_all().iter().find(|i| i.symbol.as_str() == "binance:BTC-USDT-PERP").unwrap().clone()
}

#[test]
fn orders_come_out_as_they_were_meant() {
    let i = perp();
    let order = |given: &[&str]| {
        let given = [&["BTC-USDT-PERP"], given].concat();
        Args::parse("place_order", given.iter().copied()).and_then(|args| orders::new_order(&args, &i))
    };
    let limit = order(&["SELL", "post_only", "0.010", "61000.1"]).unwrap();
    assert_eq!((limit.side, limit.post_only), (Side::Sell, true));
    assert_eq!(limit.kind, OrderKind::Limit { price: i.parse_price("61000.1").unwrap() });
    assert_eq!(limit.qty, OrderQty::Size(i.parse_qty("0.01").unwrap()));
    let stop = order(&["buy", "stop_market", "0.01", "trigger=62000", "reduce_only=true", "trigger_by=mark"]).unwrap();
    assert!(stop.reduce_only && stop.kind.is_conditional());
    let trail = order(&["sell", "trailing_stop", "0.01", "callback_bps=50"]).unwrap();
    assert_eq!(trail.kind, OrderKind::TrailingStop { callback_bps: 50, activation: None });
    let lent = |given| order(&["sell", "market", "0.01", given]).unwrap().auto_borrow;
    assert_eq!(limit.auto_borrow, None);
    assert_eq!((lent("auto_borrow=true"), lent("auto_borrow=false")), (Some(true), Some(false)));
    for (given, what) in [
        (&["buy", "limit", "0.01"][..], "needs price"),
        (&["buy", "limit", "0.01", "60000.05"], "price=60000.0"),
        (&["buy", "limit", "0.0105", "60000"], "size=0.010"),
        (&["buy", "limit", "0.0001", "60000"], "the least is"),
        (&["buy", "limit", "-1", "60000"], "above 0"),
        (&["hold", "limit", "1", "60000"], "side is one of"),
        (&["buy", "iceberg", "1"], "order_type is"),
        (&["buy", "market", "1", "60000"], "has no price"),
        (&["buy", "market"], "needs size"),
        (&["buy", "market", "1", "quote=5"], "not both"),
        (&["buy", "limit", "price=60000", "quote=5"], "only market orders"),
        (&["buy", "market", "1", "post_only=true"], "cannot be post-only"),
        (&["buy", "limit", "1", "60000", "callback_bps=5"], "no callback_bps"),
        (&["buy", "stop_limit", "1", "60000"], "needs trigger"),
    ] {
        let error = order(given).unwrap_err();
        assert!(format!("{error} {}", error.hint).contains(what), "{given:?}: {error} / {}", error.hint);
    }
}

#[test]
fn an_intent_is_on_the_disk_before_its_order_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("new");
    let mut log = IntentLog::new(&home, || UnixNanos(1_700_000_000_000_000_000));
    let place = args("place_order", &["BTC-USDT", "buy", "limit", "0.01", "60000"]);
    let (a, b) = (log.record("main", &place).unwrap(), log.record("main", &place).unwrap());
    assert_ne!(a, b, "a clock that stands gives different ids all the same");
    let text = std::fs::read_to_string(home.join("calls.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["cl_ord_id"], &lines[0]["args"]["size"]), (&json!(a.to_string()), &json!("0.01")));
    assert!(a.to_string().starts_with("czzzzzz") && a.to_string().len() <= 20, "{a}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = IntentLog::new(&file, || UnixNanos(1)).record("main", &place).unwrap_err();
    assert!(error.message.contains("the order was not sent"), "{error}");
}

// ---- over sockets

fn wall() -> UnixNanos {
    LinkTime::start().wall()
}

struct Venue {
    server: Server,
    key: (String, String),
    dir: tempfile::TempDir,
}

fn venue(change: impl Fn(&mut AccountSetting)) -> Venue {
    let clock = Arc::new(SystemClock::new(1.0));
    let mut account = AccountSetting::test(5);
    change(&mut account);
    let twin = |product| {
        use ctos_twin::server::Clock;
        let config = TwinConfig { accounts: vec![account.clone()], ..TwinConfig::new(product, 5, clock.now()) };
        Some((Twin::synthetic(config, 5, Nanos::from_secs(600)).unwrap(), 0))
    };
    let config =
        ServerConfig { spot: twin(Product::Spot), usdm: twin(Product::UsdM), ..ServerConfig::new(clock.clone()) };
    let (key, secret) = account.hmac_pair().unwrap();
    let key = (key.to_owned(), secret.to_owned());
    Venue { server: Server::start(config).unwrap(), key, dir: tempfile::tempdir().unwrap() }
}

impl Venue {
    fn settings(&self, profile: &str, more: &str) -> Settings {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join("secrets.yaml");
        let text = format!("keys:\n  main: {{api_key: {}, api_secret: {}}}\n", self.key.0, self.key.1);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let spot = self.server.spot.unwrap();
        let rest = if profile == "usdm" { self.server.usdm.unwrap() } else { spot };
        let yaml = format!(
            "accounts:\n  - {{id: main, venue: binance, profile: {profile}, base_url: \"http://{rest}\", sapi_url: \"http://{spot}\"{more}}}\n\
             secrets: {{file: {}}}\n",
            path.display()
        );
        let mut layers = Layers::new();
        layers.file("c.yaml", &yaml).unwrap();
        Settings::resolve(&layers).unwrap()
    }

    /// One syscall as the command line makes it.
    fn call(&self, settings: &Settings, syscall: &str, given: &[&str]) -> Result<Value, UserError> {
        let client = connect(settings, 0, Keys::Needed, &Clock::machine(Vec::new()))?;
        let bounds = Bounds {
            account: "main",
            limits: &settings.risk.per_account["main"],
            halted: halted(self.dir.path(), "main")?,
        };
        let mut intents = IntentLog::new(self.dir.path(), wall);
        let args = Args::parse(syscall, given.iter().copied())?;
        let mut inner = client.client.clone();
        client.wait(run(&mut inner, &args, &bounds, &mut intents))
    }
}

fn text(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

/// A price this many percent away from the last one, on the tick grid.
fn away(venue: &Venue, settings: &Settings, symbol: &str, percent: i64) -> String {
    let last: Decimal = text(&venue.call(settings, "get_price_now", &[symbol]).unwrap()).parse().unwrap();
    last.mul_ratio(100 + percent, 100, ctos_types::Rounding::Down)
        .unwrap()
        .round(1, ctos_types::Rounding::Down)
        .to_string()
}

#[test]
fn every_syscall_works_on_usdm() {
    let venue = venue(|_| {});
    let settings = venue.settings("usdm", "");
    let call = |syscall: &str, given: &[&str]| {
        venue.call(&settings, syscall, given).unwrap_or_else(|e| panic!("{syscall}: {e}; {}", e.hint))
    };
    let symbols = call("symbols", &[]);
    assert!(symbols.as_array().unwrap().contains(&json!("binance:BTC-USDT-PERP")), "{symbols}");
    let limits = call("exchange_limits", &["BTC-USDT-PERP"]);
    assert!(limits["max_leverage"].as_u64().unwrap() >= 20 && limits["price_precision"] == "0.1", "{limits}");
    let fees = call("fees", &["BTC-USDT-PERP"]);
    assert!(fees["period_hours"] == 8 && fees["taker"].is_string(), "{fees}");
    let book = call("get_orderbook", &["BTC-USDT-PERP", "5"]);
    assert_eq!((book["bids"].as_array().unwrap().len(), book["asks"].as_array().unwrap().len()), (5, 5), "{book}");
    let klines = call("get_klines", &["BTC-USDT-PERP", "1m", "5"]);
    let rows = klines.as_array().unwrap();
    assert!(
        rows.len() == 5
            && rows[0]["is_closed"] == true
            && rows[0]["trade_date"].as_i64() < rows[4]["trade_date"].as_i64()
    );
    assert!(!call("fetch_balance", &[]).as_array().unwrap().is_empty());
    assert_eq!(text(&call("balances", &["usdt"])), "100000");

    let low = away(&venue, &settings, "BTC-USDT-PERP", -2);
    let order = call("place_order", &["BTC-USDT-PERP", "buy", "post_only", "0.01", &low]);
    assert_eq!(
        (&order["status"], &order["orderType"], &order["quantity"]),
        (&json!("new"), &json!("post_only"), &json!("0.01")),
        "{order}"
    );
    let id = text(&order["clientId"]);
    let lower = away(&venue, &settings, "BTC-USDT-PERP", -3);
    let amended = call("amend_order", &[&id, "BTC-USDT-PERP", &format!("price={lower}")]);
    assert_eq!(text(&amended["price"]).parse::<Decimal>(), lower.parse());
    let trigger = away(&venue, &settings, "BTC-USDT-PERP", 3);
    let stop = call("place_order", &["BTC-USDT-PERP", "buy", "stop_market", "0.01", &format!("trigger={trigger}")]);
    assert_eq!((&stop["conditional"], &stop["status"]), (&json!(true), &json!("new")), "{stop}");
    assert_eq!(call("get_open_orders", &[]).as_array().unwrap().len(), 2);
    let found = call("get_order_status", &[&text(&stop["clientId"]), "BTC-USDT-PERP"]);
    assert_eq!(found["orderId"], stop["orderId"]);
    let gone = call("cancel_order", &[&text(&order["orderId"]), "BTC-USDT-PERP"]);
    assert_eq!(gone["status"], "canceled");
    assert_eq!(call("revoke_order", &[&id, "BTC-USDT-PERP"])["status"], "canceled", "told again");
    let swept = call("cancel_all", &[]);
    assert_eq!((&swept["ok"], &swept["found"]), (&json!(true), &json!(1)), "{swept}");
    assert_eq!(call("get_open_orders", &["BTC-USDT-PERP"]), json!([]));

    let bought = call("place_order", &["BTC-USDT-PERP", "buy", "market", "0.02"]);
    assert_eq!(bought["status"], "filled", "{bought}");
    let position = call("get_position", &[]);
    assert_eq!((&position[0]["side"], &position[0]["quantity"]), (&json!("long"), &json!("0.02")), "{position}");
    assert_eq!(call("close_all_positions", &["side=short"]), json!({ "closed": [], "unclosed": [] }));
    let closed = call("close_all_positions", &[]);
    assert_eq!(closed["closed"][0]["status"], "filled", "{closed}");
    assert_eq!(call("positions", &[]), json!([]));
}

#[test]
fn every_syscall_works_on_spot_and_margin() {
    let venue = venue(|_| {});
    for profile in ["spot", "margin"] {
        let settings = venue.settings(profile, "");
        let call = |syscall: &str, given: &[&str]| {
            venue.call(&settings, syscall, given).unwrap_or_else(|e| panic!("{profile} {syscall}: {e}; {}", e.hint))
        };
        let low = away(&venue, &settings, "BTC-USDT", -2);
        let order = call("place_order", &["btc-usdt", "buy", "limit", "0.01", &low]);
        assert_eq!((&order["status"], &order["symbol"]), (&json!("new"), &json!("binance:BTC-USDT")), "{order}");
        let id = text(&order["clientId"]);
        if profile == "spot" {
            let lower = away(&venue, &settings, "BTC-USDT", -3);
            let replaced = call("amend_order", &[&id, "BTC-USDT", &format!("price={lower}")]);
            assert_eq!(text(&replaced["clientId"]), format!("{id}-1"), "{replaced}");
            let smaller = call("amend_order", &[&text(&replaced["orderId"]), "BTC-USDT", "size=0.008"]);
            assert_eq!(text(&smaller["quantity"]).parse::<Decimal>(), "0.008".parse(), "{smaller}");
        } else {
            let replaced = call("amend_order", &[&id, "BTC-USDT", "size=0.008"]);
            assert_eq!(text(&replaced["clientId"]), format!("{id}-1"), "{replaced}");
            assert_eq!(text(&replaced["quantity"]).parse::<Decimal>(), "0.008".parse(), "{replaced}");
        }
        assert_eq!(call("get_open_orders", &[]).as_array().unwrap().len(), 1);
        assert_eq!(call("cancel_all", &["BTC-USDT"])["found"], 1);
        let bought = call("place_order", &["BTC-USDT", "buy", "market", "quote=500"]);
        assert_eq!(bought["status"], "filled", "{bought}");
        assert!(call("balances", &[]).as_array().unwrap().iter().any(|b| b["currency"] == "BTC"));
        let error = venue.call(&settings, "get_position", &[]).unwrap_err();
        assert!(error.message.contains("no positions"), "{error}");
    }
}

#[test]
fn limits_and_halts_hold_without_an_instance_too() {
    let venue = venue(|_| {});
    let settings = venue.settings("usdm", "");
    let refused = |given: &[&str]| venue.call(&settings, "place_order", given).unwrap_err();
    let far = away(&venue, &settings, "BTC-USDT-PERP", -10);
    assert!(refused(&["BTC-USDT-PERP", "buy", "limit", "0.01", &far]).message.starts_with("denied by price_band_bps"));
    assert!(refused(&["BTC-USDT-PERP", "buy", "market", "1"]).message.starts_with("denied by max_order_notional"));
    let near = away(&venue, &settings, "BTC-USDT-PERP", -1);
    let small = refused(&["BTC-USDT-PERP", "buy", "limit", "0.001", &near]);
    assert!(small.message.contains("takes none below 100") && small.hint.contains("make it larger"), "{small}");
    let large = refused(&["BTC-USDT-PERP", "buy", "limit", "9999999999999999", &near]);
    assert!(large.message.contains("the most is 1000"), "{large}");
    assert!(!venue.dir.path().join("calls.jsonl").exists(), "nothing was meant to leave");
    // The venue's own no.
    let low = away(&venue, &settings, "BTC-USDT-PERP", -2);
    let error = refused(&["BTC-USDT-PERP", "sell", "post_only", "0.01", &low]);
    assert!(error.message.contains("-5022") && !error.hint.is_empty(), "{error}");
    // A halt in the home stops new risk and nothing else.
    let latch = json!({ "account:main": { "state": "HALTED", "reason": "news", "since": 0 } });
    std::fs::write(venue.dir.path().join("latches.json"), latch.to_string()).unwrap();
    let error = refused(&["BTC-USDT-PERP", "buy", "market", "0.01"]);
    assert!(error.message.contains("kill switch is pulled on account:main: news"), "{error}");
    assert!(error.hint.contains("ctos resume account:main"));
    assert!(venue.call(&settings, "cancel_all", &[]).is_ok());
}

#[test]
fn an_account_is_checked() {
    let venue = venue(|_| {});
    for profile in ["spot", "margin", "usdm"] {
        let report = check(&venue.settings(profile, ""), 0, &Clock::machine(Vec::new())).unwrap();
        assert!(report.ok && report.findings.is_empty(), "{report:?}");
        let key = report.key.as_ref().unwrap();
        assert_eq!((key.withdraws, key.ip_restricted, key.trades), (Some(false), Some(true), Some(true)));
        assert_eq!(report.position_mode.as_deref(), (profile == "usdm").then_some("one-way"));
        assert_eq!(report.environment, "practice", "a twin is not the venue itself");
        assert!(
            report.clock.as_ref().unwrap().ahead_ms.abs() < 1_000
                && report.fees.len() == 1
                && !report.limits.is_empty()
        );
        assert!(!report.balances.is_empty());
        let shown = serde_json::to_string(&report).unwrap();
        assert!(!shown.contains(&venue.key.0[..10]) && !shown.contains(&venue.key.1[..10]), "{shown}");
    }
    let hedge = check(&venue.settings("usdm", ", hedge_mode: true"), 0, &Clock::machine(Vec::new())).unwrap();
    assert!(!hedge.ok && hedge.findings[0].what.contains("one-way"), "{hedge:?}");
    let mut settings = venue.settings("usdm", "");
    settings.accounts[0].leverage = Decimal::from_int(126);
    let high = check(&settings, 0, &Clock::machine(Vec::new())).unwrap();
    let found = &high.findings[0];
    assert!(!high.ok && found.what.contains("takes a leverage of at most 125, and the settings say 126"), "{found:?}");
    assert!(found.hint.contains("set leverage: 125 or less for account main"), "{found:?}");
}

#[test]
fn bad_keys_are_told_as_such() {
    let dangerous = venue(|a| {
        a.keys[0].can_withdraw = true;
        a.keys[0].ip_restricted = false;
    });
    let report = check(&dangerous.settings("usdm", ""), 0, &Clock::machine(Vec::new())).unwrap();
    let what: Vec<_> = report.findings.iter().map(|f| (f.severity.as_str(), f.what.as_str())).collect();
    assert_eq!(what, [("refusal", "the API key can withdraw"), ("warning", "the API key works from any address")]);
    assert!(!report.ok);
    let venue = venue(|_| {});
    let mut settings = venue.settings("usdm", "");
    // A secret of another key, and no key at all.
    let path = settings.secrets.file.clone().unwrap();
    std::fs::write(&path, format!("keys:\n  main: {{api_key: {}, api_secret: {}}}\n", venue.key.0, "x".repeat(64)))
        .unwrap();
    let report = check(&settings, 0, &Clock::machine(Vec::new())).unwrap();
    assert!(!report.ok && report.findings[0].what.contains("signature"), "{report:?}");
    settings.accounts[0].venue.as_mut().unwrap().key = "other".into();
    let report = check(&settings, 0, &Clock::machine(Vec::new())).unwrap();
    assert!(!report.ok && report.findings[0].what.contains("no API key called other"), "{report:?}");
    assert!(report.clock.is_some(), "the clock is looked at all the same");
    // Nobody there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let account = settings.accounts[0].venue.as_mut().unwrap();
    (account.key, account.base_url) = ("main".into(), Some(format!("http://{free}").parse().unwrap()));
    let report = check(&settings, 0, &Clock::machine(Vec::new())).unwrap();
    assert!(!report.ok && report.findings[0].what.contains("nothing was sent"), "{report:?}");
}

#[test]
fn the_brake_leaves_nothing_open() {
    use crate::brake::EmergencyBrake;
    use std::time::Duration;
    let venue = venue(|_| {});
    let settings = venue.settings("usdm", "");
    for symbol in ["BTC-USDT-PERP", "ETH-USDT-PERP"] {
        let low = away(&venue, &settings, symbol, -2);
        let size = if symbol.starts_with('B') { "0.01" } else { "0.1" };
        venue.call(&settings, "place_order", &[symbol, "buy", "post_only", size, &low]).unwrap();
    }
    let trigger = away(&venue, &settings, "BTC-USDT-PERP", 3);
    venue
        .call(&settings, "place_order", &["BTC-USDT-PERP", "buy", "stop_market", "0.01", &format!("trigger={trigger}")])
        .unwrap();
    let brake = EmergencyBrake::new(&settings, 0, &Clock::machine(Vec::new())).unwrap();
    let braked = brake.pull(Duration::from_secs(20)).unwrap();
    assert_eq!((braked.found, braked.symbols.len()), (3, 2), "{braked:?}");
    assert_eq!(venue.call(&settings, "get_open_orders", &[]).unwrap(), json!([]));
    assert_eq!(brake.pull(Duration::from_secs(20)).unwrap().found, 0, "again does no harm");
    // A ban that is known is not extended by a single request.
    let wall = LinkTime::start().wall();
    let rest = settings.accounts[0].venue.as_ref().unwrap().hosts().unwrap().rest;
    let closed =
        ClosedUntil { group: format!("binance {rest}"), until: wall.after(Nanos::from_secs(60)), banned: true };
    let brake = EmergencyBrake::new(&settings, 0, &Clock::machine(vec![closed])).unwrap();
    let error = brake.pull(Duration::from_millis(300)).unwrap_err();
    assert!(error.message.contains("may still be open") && error.hint.contains("venue's own page"), "{error}");
}
