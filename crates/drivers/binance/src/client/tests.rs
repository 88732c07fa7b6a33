//! The client against a venue that is a script: each answer is told beforehand, time is a number.

use super::*;
use crate::instruments::builtin_all;
use crate::orders::Outcome;
use ctos_types::{ClientOrderId, InstanceTag, NewOrder, OrderKind, OrderQty, Price, Qty, Side};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// What the venue does with one request.
#[derive(Clone, Debug)]
enum Does {
    Answers(u16, Value),
    Waits(u16, Value, i64),
    /// Bytes left, nothing came.
    Loses,
    /// No connection.
    Fails,
}

#[derive(Debug, Default)]
struct Script {
    /// By path; the last answer of a path is given again and again.
    paths: Mutex<BTreeMap<String, VecDeque<Does>>>,
    /// `METHOD path` of everything that was sent.
    asked: Mutex<Vec<(String, BTreeMap<String, String>)>>,
    now: AtomicI64,
    distrusted: AtomicU32,
}

impl Script {
    fn on(self: &Arc<Self>, what: &str, does: &[Does]) -> Arc<Self> {
        self.paths.lock().unwrap().insert(what.into(), does.iter().cloned().collect());
        self.clone()
    }

    fn count(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(name, _)| name == what).count()
    }

    fn params(&self, what: &str, nth: usize) -> BTreeMap<String, String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name == what).nth(nth).unwrap_or_else(|| panic!("no {what}")).1.clone()
    }
}

impl Caller for Script {
    fn call<'a>(&'a self, call: &'a Call) -> Later<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let name = format!("{} {}", call.method.as_str(), call.path);
            // By the venue's number, where something is told of that.
            let by_number = format!("{name}?orderId");
            let known = self.paths.lock().unwrap().contains_key(&by_number);
            let name = if known && call.query.get("orderId").is_some() { by_number } else { name };
            let names = call.query.iter().map(|(n, _)| n);
            let params = names.map(|n| (n.to_owned(), call.query.get(n).unwrap_or_default().into_owned())).collect();
            self.asked.lock().unwrap().push((name.clone(), params));
            self.now.fetch_add(5_000_000, Ordering::Relaxed);
            let mut paths = self.paths.lock().unwrap();
            // Where nothing else is told, nothing is held and nothing has traded.
            let usual = match call.path {
                "/fapi/v2/positionRisk" | "/fapi/v3/positionRisk" | "/fapi/v1/userTrades" | "/api/v3/myTrades" => {
                    json!([])
                }
                "/api/v3/account" => json!({"balances": [], "canTrade": true}),
                _ => Value::Null,
            };
            if !usual.is_null() {
                paths.entry(name.clone()).or_insert_with(|| VecDeque::from([Does::Answers(200, usual)]));
            }
            let list = paths.get_mut(&name).unwrap_or_else(|| panic!("nobody told what {name} does"));
            let does = if list.len() > 1 { list.pop_front() } else { list.front().cloned() };
            let reply = |status, body: Value, wait: Option<i64>| {
                Ok(Reply { status, retry_after: wait.map(Nanos::from_secs), body: body.to_string().into() })
            };
            match does.unwrap() {
                Does::Answers(status, body) => reply(status, body, None),
                Does::Waits(status, body, wait) => reply(status, body, Some(wait)),
                Does::Loses => Err(CallError::Unknown { why: "no whole answer within 10 s".into() }),
                Does::Fails => {
                    Err(CallError::NotSent { why: "cannot reach it".into(), hint: "check".into(), retry_after: None })
                }
            }
        })
    }

    fn venue_time(&self) -> Later<'_, Result<UnixNanos, CallError>> {
        Box::pin(async { Ok(self.now()) })
    }

    fn distrust_clock(&self) {
        self.distrusted.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> UnixNanos {
        UnixNanos(self.now.load(Ordering::Relaxed))
    }

    fn sleep(&self, span: Nanos) -> Later<'_, ()> {
        self.now.fetch_add(span.0, Ordering::Relaxed);
        Box::pin(async {})
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn client(profile: Profile) -> (Arc<Script>, Client) {
    let script = Arc::new(Script::default());
    let instruments = Instruments::new(builtin_all().to_vec()).unwrap();
    (script.clone(), Client::new(script, profile, AccountId(0), false).with_instruments(instruments))
}

const ID: ClientOrderId = ClientOrderId { tag: InstanceTag(7), seq: 11 };

fn limit(client: &Client, symbol: &str) -> NewOrder {
    let i = client.find(symbol).unwrap();
    NewOrder::new(
        AccountId(0),
        ID,
        i.id,
        Side::Buy,
        OrderKind::Limit { price: Price(i.tick.0 * 1_000) },
        OrderQty::Size(Qty(i.lot.0 * 10)),
    )
}

fn usdm_row(status: &str, executed: &str) -> Value {
    json!({"orderId": 22_542_179, "symbol": "BTCUSDT", "status": status, "clientOrderId": ID.to_string(),
        "price": "100.00", "origQty": "0.010", "executedQty": executed, "cumQty": executed, "timeInForce": "GTC",
        "type": "LIMIT", "reduceOnly": false, "closePosition": false, "side": "BUY", "positionSide": "BOTH",
        "stopPrice": "0.00", "workingType": "CONTRACT_PRICE", "priceProtect": false, "origType": "LIMIT",
        "priceMatch": "NONE", "selfTradePreventionMode": "EXPIRE_MAKER", "goodTillDate": 0,
        "updateTime": 1_705_385_954_229_i64})
}

fn error(code: i64, msg: &str) -> Value {
    json!({"code": code, "msg": msg})
}

const PLACE: &str = "POST /fapi/v1/order";
const ASK: &str = "GET /fapi/v1/order";
const ASK_APART: &str = "GET /fapi/v1/algoOrder";

#[test]
fn symbols_are_found_however_they_are_written() {
    let (_, usdm) = client(Profile::UsdM);
    let (_, spot) = client(Profile::Spot);
    let name = |c: &Client, s: &str| c.find(s).map(|i| i.symbol.to_string()).map_err(|e| e.hint());
    for text in ["binance:BTC-USDT-PERP", "BTC-USDT-PERP", "btc-usdt-perp", "BTC/USDT", "btc_usdt", "BTCUSDT"] {
        assert_eq!(name(&usdm, text).as_deref(), Ok("binance:BTC-USDT-PERP"), "{text}");
    }
    for text in ["binance:BTC-USDT", "btc-usdt", "BTC/USDT", "btcusdt"] {
        assert_eq!(name(&spot, text).as_deref(), Ok("binance:BTC-USDT"), "{text}");
    }
    for text in ["", "BTC", "okx:BTC-USDT", "BTC-USDT-PERP-PERP"] {
        assert!(name(&usdm, text).unwrap_err().contains("binance:BTC-USDT-PERP"), "{text}");
    }
    assert!(spot.find("okx:BTC-USDT").is_err());
}

#[test]
fn an_order_whose_answer_was_lost_is_found_and_not_sent_again() {
    let (script, client) = client(Profile::UsdM);
    let lost = [
        Does::Loses,
        Does::Answers(503, error(-1000, "Unknown error, please check your request or try again later.")),
        Does::Answers(504, json!("<html>")),
    ];
    for (n, does) in lost.into_iter().enumerate() {
        script.on(PLACE, &[does]).on(
            ASK,
            &[
                Does::Answers(400, error(-2013, "Order does not exist.")),
                Does::Answers(200, usdm_row("FILLED", "0.010")),
            ],
        );
        let order = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap();
        assert_eq!(order.outcome, Some(Outcome::Filled));
        assert_eq!(script.count(PLACE), n + 1, "one request each");
        assert_eq!(script.params(ASK, 0)["origClientOrderId"], ID.to_string());
    }
}

#[test]
fn an_order_that_never_arrived_is_only_so_after_it_could_not_arrive_any_more() {
    let (script, client) = client(Profile::UsdM);
    script.on(PLACE, &[Does::Loses]).on(ASK, &[Does::Answers(400, error(-2013, "Order does not exist."))]);
    let begun = script.now();
    let failure = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap_err();
    assert!(matches!(failure, Failure::NeverArrived { order: ID, .. }), "{failure:?}");
    assert!(script.now() - begun > Nanos::from_secs(10), "window and visibility have passed");
    assert_eq!(script.count(PLACE), 1);
}

fn usdm_fill(order: u64, qty: &str) -> Value {
    json!({"buyer": true, "commission": "0.01", "commissionAsset": "USDT", "id": 7, "maker": false, "orderId": order,
        "price": "100.00", "qty": qty, "quoteQty": "1.00", "realizedPnl": "0", "side": "BUY", "positionSide": "BOTH",
        "symbol": "BTCUSDT", "time": 1_000, "marginAsset": "USDT"})
}

fn usdm_position(qty: &str) -> Value {
    json!({"symbol": "BTCUSDT", "positionAmt": qty, "entryPrice": "100.0", "breakEvenPrice": "100.1",
        "markPrice": "100.0", "unRealizedProfit": "0", "liquidationPrice": "0", "leverage": "10",
        "maxNotionalValue": "20000000", "marginType": "cross", "isolatedMargin": "0", "isAutoAddMargin": "false",
        "positionSide": "BOTH", "notional": "1", "isolatedWallet": "0", "updateTime": 1_000})
}

const FILLS: &str = "GET /fapi/v1/userTrades";
const HELD: &str = "GET /fapi/v2/positionRisk";
const BY_NUMBER: &str = "GET /fapi/v1/order?orderId";

#[test]
fn absence_by_client_id_is_not_proof() {
    let absent = [Does::Answers(400, error(-2013, "Order does not exist."))];
    let case = |fills: Value, row: Value, held: &[Does]| {
        let (script, client) = client(Profile::UsdM);
        script.on(PLACE, &[Does::Loses]).on(ASK, &absent).on(FILLS, &[Does::Answers(200, fills)]).on(HELD, held);
        script.on(BY_NUMBER, &[Does::Answers(200, row)]);
        let result = wait(client.place(&limit(&client, "BTCUSDT")));
        assert_eq!(script.count(PLACE), 1, "never again");
        result
    };
    let rows = |qty: &str| Does::Answers(200, json!([usdm_position(qty)]));
    let fill = json!([usdm_fill(22_542_179, "0.010")]);
    // Its fill is there, and leads to it.
    let found = case(fill.clone(), usdm_row("FILLED", "0.010"), &[rows("0"), rows("0.010")]).unwrap();
    assert_eq!(found.outcome, Some(Outcome::Filled));
    // The fill is another order's, and what is held agrees.
    let mut other = usdm_row("FILLED", "0.010");
    other["clientOrderId"] = "web_x".into();
    let result = case(fill.clone(), other.clone(), &[rows("0"), rows("0.010")]);
    assert!(matches!(result, Err(Failure::NeverArrived { order: ID, .. })), "{result:?}");
    // More is held than the fills explain: nobody may say that it never arrived.
    let result = case(fill, other, &[rows("0"), rows("0.020")]);
    assert!(matches!(&result, Err(Failure::Unknown { why, .. }) if why.contains("moved by 0.02")), "{result:?}");
    let result = case(json!([]), Value::Null, &[rows("0"), rows("0.010")]);
    assert!(matches!(result, Err(Failure::Unknown { .. })), "{result:?}");
    // What was held before could not be asked.
    let result = case(json!([]), Value::Null, &[Does::Answers(400, error(-1100, "no")), rows("0")]);
    assert!(matches!(&result, Err(Failure::Unknown { why, .. }) if why.contains("held before")), "{result:?}");
}

#[test]
fn where_the_venue_does_not_answer_nobody_knows() {
    let (script, client) = client(Profile::UsdM);
    script.on(PLACE, &[Does::Loses]).on(ASK, &[Does::Loses]);
    let failure = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap_err();
    assert!(matches!(failure, Failure::Unknown { order: ID, .. }), "{failure:?}");
    assert!(failure.hint().contains("do not send it again") && failure.hint().contains(&ID.to_string()));
    // No connection at all: nothing was sent, nothing is asked.
    script.on(PLACE, &[Does::Fails]);
    let asked = script.count(ASK);
    assert!(matches!(wait(client.place(&limit(&client, "BTCUSDT"))), Err(Failure::NotSent { .. })));
    assert_eq!(script.count(ASK), asked);
}

#[test]
fn what_is_documented_as_not_done_goes_again_and_what_is_refused_does_not() {
    let (script, client) = client(Profile::UsdM);
    let busy = Does::Answers(503, error(-1008, "Request throttled by system-level protection."));
    script.on(PLACE, &[busy.clone(), busy, Does::Answers(200, usdm_row("NEW", "0.000"))]);
    assert!(wait(client.place(&limit(&client, "BTCUSDT"))).unwrap().outcome.is_none());
    assert_eq!(script.count(PLACE), 3);
    // Our own id from a try that was said not to be done: it is ours.
    script
        .on(
            PLACE,
            &[Does::Answers(503, error(-1008, "x")), Does::Answers(400, error(-4116, "ClientOrderId is duplicated."))],
        )
        .on(ASK, &[Does::Answers(200, usdm_row("NEW", "0.000"))]);
    assert!(wait(client.place(&limit(&client, "BTCUSDT"))).is_ok());
    // Somebody else's use of the id.
    script.on(PLACE, &[Does::Answers(400, error(-4116, "ClientOrderId is duplicated."))]);
    let failure = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap_err();
    assert!(failure.to_string().contains("in use") && failure.to_string().contains("-4116"), "{failure}");
    // Told to wait: one try, and the hint says how long.
    script.on(PLACE, &[Does::Waits(429, error(-1015, "Too many new orders."), 8)]);
    let before = script.count(PLACE);
    let failure = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap_err();
    assert!(failure.hint().contains("8 s"), "{}", failure.hint());
    assert_eq!(script.count(PLACE), before + 1);
}

#[test]
fn a_refused_stamp_is_measured_and_tried_once() {
    let (script, client) = client(Profile::UsdM);
    let stale = Does::Answers(400, error(-1021, "Timestamp for this request is outside of the recvWindow."));
    script.on(PLACE, &[stale.clone(), Does::Answers(200, usdm_row("NEW", "0.000"))]);
    assert!(wait(client.place(&limit(&client, "BTCUSDT"))).is_ok());
    assert_eq!(script.distrusted.load(Ordering::Relaxed), 1);
    script.on(PLACE, &[stale]);
    let before = script.count(PLACE);
    let failure = wait(client.place(&limit(&client, "BTCUSDT"))).unwrap_err();
    assert!(failure.hint().contains("NTP"), "{failure}");
    assert_eq!(script.count(PLACE), before + 2);
}

#[test]
fn a_cancel_says_how_the_order_ended() {
    let (script, client) = client(Profile::UsdM);
    let i = client.find("BTCUSDT").unwrap().id;
    let gone = Does::Answers(400, error(-2011, "Unknown order sent."));
    // Filled before the cancel came.
    script
        .on("DELETE /fapi/v1/order", &[gone])
        .on(ASK, &[Does::Answers(200, usdm_row("NEW", "0.000")), Does::Answers(200, usdm_row("FILLED", "0.010"))]);
    let name: OrderName = ID.to_string().parse().unwrap();
    assert_eq!(wait(client.cancel(i, name)).unwrap().outcome, Some(Outcome::Filled));
    // A lost answer: it is still there, and the cancel goes again.
    script.on("DELETE /fapi/v1/order", &[Does::Loses]).on(ASK, &[Does::Answers(200, usdm_row("NEW", "0.000"))]);
    assert!(matches!(wait(client.cancel(i, name)), Err(Failure::StillOpen { left: 1, .. })));
    // An order that is nowhere.
    let missing = Does::Answers(400, error(-2013, "Order does not exist."));
    script.on(ASK, std::slice::from_ref(&missing)).on(ASK_APART, &[missing]);
    let failure = wait(client.cancel(i, name)).unwrap_err();
    assert!(failure.to_string().contains("knows no order"), "{failure}");
    assert!("".parse::<OrderName>().is_err() && "web_12".parse::<OrderName>().is_err());
    assert_eq!("12345".parse::<OrderName>().unwrap().to_string(), "12345");
}

#[test]
fn a_sweep_asks_until_nothing_is_open() {
    let (script, client) = client(Profile::UsdM);
    let row = |symbol: &str| json!({"symbol": symbol});
    let done = Does::Answers(200, json!({"code": 200, "msg": "done"}));
    script
        .on("DELETE /fapi/v1/allOpenOrders", &[Does::Loses, done.clone()])
        .on("DELETE /fapi/v1/algoOpenOrders", &[done])
        .on(
            "GET /fapi/v1/openOrders",
            &[
                Does::Answers(200, json!([row("BTCUSDT"), row("STRANGEUSDT"), row("BTCUSDT")])),
                Does::Answers(500, json!("x")),
                Does::Answers(200, json!([row("BTCUSDT")])),
                // Empty once, and one more shows up late.
                Does::Answers(200, json!([])),
                Does::Answers(200, json!([row("BTCUSDT")])),
                Does::Answers(200, json!([])),
            ],
        )
        .on(
            "GET /fapi/v1/openAlgoOrders",
            &[Does::Answers(200, json!([row("ETHUSDT")])), Does::Answers(200, json!([]))],
        );
    let sweep = wait(client.sweep(None, &SweepConfig::default())).unwrap();
    assert_eq!(
        (sweep.found, sweep.symbols.as_slice()),
        (4, &["BTCUSDT", "ETHUSDT", "STRANGEUSDT"].map(String::from)[..])
    );
    assert_eq!(sweep.rounds, 3);
    assert_eq!(script.params("DELETE /fapi/v1/algoOpenOrders", 0)["symbol"], "BTCUSDT");
}

#[test]
fn a_sweep_does_not_hammer() {
    let (script, client) = client(Profile::Spot);
    let banned = Does::Waits(418, error(-1003, "Way too many requests; IP banned until 1573672000123."), 120);
    script.on("GET /api/v3/openOrders", &[banned]);
    let failure = wait(client.sweep(None, &SweepConfig::default())).unwrap_err();
    assert!(failure.hint().contains("120 s"), "{failure}");
    assert_eq!(script.count("GET /api/v3/openOrders"), 1);
    // A short pause is kept, and it goes on.
    let pause = Does::Waits(429, error(-1003, "Too many requests."), 3);
    script.on("GET /api/v3/openOrders", &[pause, Does::Answers(200, json!([]))]);
    let begun = script.now();
    assert_eq!(wait(client.sweep(Some("BTCUSDT"), &SweepConfig::default())).unwrap().found, 0);
    assert!(script.now() - begun >= Nanos::from_secs(3));
    // What the key may not do is not tried again.
    script.on(
        "GET /api/v3/openOrders",
        &[Does::Answers(401, error(-2015, "Invalid API-key, IP, or permissions for action."))],
    );
    let before = script.count("GET /api/v3/openOrders");
    assert!(wait(client.sweep(None, &SweepConfig::default())).is_err());
    assert_eq!(script.count("GET /api/v3/openOrders"), before + 1);
}

fn restrictions(withdraw: bool, futures: bool, ip: bool) -> Does {
    Does::Answers(
        200,
        json!({"ipRestrict": ip, "enableReading": true, "enableFutures": futures, "enableWithdrawals": withdraw,
            "enableSpotAndMarginTrading": true, "enableInternalTransfer": false}),
    )
}

fn config(dual: bool) -> Does {
    Does::Answers(
        200,
        json!({"feeTier": 0, "canTrade": true, "canDeposit": true, "canWithdraw": true, "dualSidePosition": dual,
            "multiAssetsMargin": false, "updateTime": 0}),
    )
}

#[test]
fn a_key_that_can_take_money_out_is_refused() {
    const KEY: &str = "GET /sapi/v1/account/apiRestrictions";
    const STATE: &str = "GET /fapi/v1/accountConfig";
    let (script, client) = client(Profile::UsdM);
    let of = |key: Does, state: Does, stakes, hedge| {
        script.on(KEY, &[key]).on(STATE, &[state]);
        wait(client.probe(stakes, hedge, &[])).unwrap()
    };
    let what = |p: &Probe| p.refusal().map(|f| f.what.clone());
    let good = of(restrictions(false, true, true), config(false), Stakes::Real, false);
    assert_eq!(good.findings, []);
    let bad = of(restrictions(true, true, true), config(false), Stakes::Practice, false);
    assert_eq!(what(&bad).as_deref(), Some("the API key can withdraw"));
    let no_futures = of(restrictions(false, false, true), config(false), Stakes::Real, false);
    assert_eq!(what(&no_futures).as_deref(), Some("the API key may not trade here"));
    let open = of(restrictions(false, true, false), config(false), Stakes::Real, false);
    assert_eq!((what(&open), open.findings[0].severity), (None, Severity::Warning));
    for (dual, hedge) in [(true, false), (false, true)] {
        let mode = of(restrictions(false, true, true), config(dual), Stakes::Real, hedge);
        assert!(what(&mode).unwrap().contains("mode"), "{mode:?}");
    }
    // Not known is not good enough where there is money behind it.
    let html = || Does::Answers(404, json!("<html>"));
    assert!(what(&of(html(), config(false), Stakes::Real, false)).unwrap().contains("cannot be read"));
    assert_eq!(what(&of(html(), config(false), Stakes::Practice, false)), None);
    let refused = Does::Answers(401, error(-2015, "Invalid API-key, IP, or permissions for action."));
    let auth = of(refused.clone(), refused, Stakes::Practice, false);
    assert_eq!(auth.findings.len(), 1, "{:?}", auth.findings);
    assert!(what(&auth).unwrap().contains("-2015"));
}
