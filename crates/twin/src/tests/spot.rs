//! Spot: checks in their order, orders of every type, and the events that belong to them.

use super::*;

const ORDER: &str = "/api/v3/order";

#[test]
fn refusals_come_in_the_venues_order() {
    let mut c = client(Product::Spot, 1);
    let status =
        |r: Reply| (r.status, serde_json::from_str::<Value>(&r.body).map_or(0, |j| j["code"].as_i64().unwrap_or(0)));
    assert_eq!(c.raw("GET", "/api/v3/nothing", "", None).status, 404);
    assert_eq!(c.raw("PATCH", ORDER, "", None).status, 405);
    assert_eq!(status(c.raw("GET", "/api/v3/account", "", None)), (401, -2014));
    assert_eq!(status(c.raw("GET", "/api/v3/account", "", Some("short"))), (401, -2014));
    assert_eq!(status(c.raw("GET", "/api/v3/account", "", Some(&"x".repeat(64)))), (401, -2015));
    let key = c.key.clone();
    assert_eq!(status(c.raw("POST", ORDER, "side=BUY", Some(&key))), (400, -1102));
    let old = format!("timestamp={}&signature=00", c.ms() - 5_001);
    assert_eq!(status(c.raw("GET", "/api/v3/account", &old, Some(&key))), (400, -1021));
    let early = format!("timestamp={}&signature=00", c.ms() + 1_000);
    assert_eq!(status(c.raw("GET", "/api/v3/account", &early, Some(&key))), (400, -1021));
    let unsigned = format!("timestamp={}&signature=00", c.ms());
    assert_eq!(status(c.raw("GET", "/api/v3/account", &unsigned, Some(&key))), (400, -1022));
    for (query, code) in [
        ("symbol=NOPE&side=BUY&type=LIMIT", -1121),
        ("symbol=BTCUSDT&side=UP&type=LIMIT", -1117),
        ("symbol=BTCUSDT&side=BUY&type=ODD", -1116),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=1&price=1", -1115),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1", -1102),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", -1128),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=1", -1106),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=60000.000000001", -1111),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1e-3&price=60000", -1100),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=60000.001", -1013),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=8&price=60000", -2010),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001&price=80000", -2010),
        ("symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.001&stopPrice=80000", -2010),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=60000&newClientOrderId=a%20b", -1100),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=60000&strategyType=1", -1134),
    ] {
        assert_eq!(c.code("POST", ORDER, query), code, "{query}");
    }
    assert_eq!(c.truth()["accounts"][0]["orders"], 0, "a refused order never was");
    assert_eq!(c.code("GET", ORDER, "symbol=BTCUSDT&origClientOrderId=none"), -2013);
    assert_eq!(c.code("DELETE", ORDER, "symbol=BTCUSDT&orderId=1"), -2011);
    assert_eq!(c.code("DELETE", ORDER, "symbol=BTCUSDT"), -1102);
}

#[test]
fn a_resting_order_lives_and_is_cancelled_under_another_name() {
    let mut c = client(Product::Spot, 1);
    let user = c.user_stream();
    let px = (c.price("BTCUSDT") * 0.95).round();
    let query =
        format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={px}&newClientOrderId=mine");
    let reply = c.signed("POST", ORDER, &query);
    let header = |name: &str| reply.headers.iter().find(|h| h.0 == name).map(|h| h.1.clone());
    assert_eq!(header("x-mbx-order-count-10s").as_deref(), Some("1"));
    assert!(header("x-mbx-used-weight-1m").is_some());
    let order: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((order["status"].as_str(), order["origQty"].as_str()), (Some("NEW"), Some("0.01000000")));
    assert_eq!(c.code("POST", ORDER, &query), -2010, "Duplicate order sent.");
    let heard = c.heard(user);
    assert_eq!(heard[0]["subscriptionId"], 0);
    let e = &heard[0]["event"];
    assert_eq!(
        (e["x"].as_str(), e["w"].as_bool(), e["C"].as_str(), e["N"].is_null()),
        (Some("NEW"), Some(true), Some(""), true)
    );
    assert_eq!(heard[1]["event"]["e"], "outboundAccountPosition");
    let locked = heard[1]["event"]["B"].as_array().unwrap().iter().find(|b| b["a"] == "USDT").map(|b| num(&b["l"]));
    assert_eq!(locked, Some(px * 0.01));
    // The order stands in the public book.
    let (_, book) = c.get("/api/v3/depth", "symbol=BTCUSDT&limit=5000");
    assert!(book["bids"].as_array().unwrap().iter().any(|l| num(&l[0]) == px && l[1] == "0.01000000"));
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"amendAllowed":false}}"#);
    assert_eq!(
        c.code("PUT", "/api/v3/order/amend/keepPriority", "symbol=BTCUSDT&origClientOrderId=mine&newQty=0.005"),
        -2038
    );
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"amendAllowed":true}}"#);
    let amended = c.ok("PUT", "/api/v3/order/amend/keepPriority", "symbol=BTCUSDT&origClientOrderId=mine&newQty=0.005");
    assert_eq!(amended["amendedOrder"]["qty"], "0.00500000");
    assert_eq!(
        c.code("PUT", "/api/v3/order/amend/keepPriority", "symbol=BTCUSDT&origClientOrderId=mine&newQty=0.01"),
        -2038
    );
    assert_eq!(c.heard(user)[0]["event"]["x"], "REPLACED");
    let gone = c.ok("DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=mine&newClientOrderId=bye");
    let renamed = amended["amendedOrder"]["clientOrderId"].as_str().unwrap().to_string();
    assert_eq!(
        (gone["clientOrderId"].as_str(), gone["origClientOrderId"].as_str()),
        (Some("bye"), Some(renamed.as_str()))
    );
    let e = c.heard(user)[0]["event"].clone();
    assert_eq!(
        (e["x"].as_str(), e["c"].as_str(), e["C"].as_str()),
        (Some("CANCELED"), Some("bye"), Some(renamed.as_str()))
    );
    assert_eq!(c.code("DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=mine"), -2011);
}

#[test]
fn market_orders_trade_and_say_so_trade_by_trade() {
    let mut c = client(Product::Spot, 2);
    let user = c.user_stream();
    let trades = c.open("/ws/btcusdt@trade");
    let order = c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1.5");
    assert_eq!(
        (order["status"].as_str(), order["timeInForce"].as_str(), order["price"].as_str()),
        (Some("FILLED"), Some("GTC"), Some("0.00000000"))
    );
    let fills = order["fills"].as_array().unwrap();
    let sum: f64 = fills.iter().map(|f| num(&f["qty"])).sum();
    assert!((sum - 1.5).abs() < 1e-9 && fills.len() > 1);
    let kinds: Vec<String> = c
        .heard(user)
        .iter()
        .map(|h| format!("{} {}", h["event"]["x"].as_str().unwrap_or("-"), h["event"]["X"].as_str().unwrap_or("-")))
        .collect();
    let last = kinds.len() - 1;
    assert_eq!(kinds[0], "NEW NEW");
    assert_eq!((kinds[last - 1].as_str(), kinds[last].as_str()), ("TRADE FILLED", "- -"), "{kinds:?}");
    assert!(kinds[1..last - 1].iter().all(|k| k == "TRADE PARTIALLY_FILLED"));
    let ids: Vec<i64> = c.heard(trades).iter().map(|t| t["t"].as_i64().unwrap()).collect();
    let own: Vec<i64> = fills.iter().map(|f| f["tradeId"].as_i64().unwrap()).collect();
    assert_eq!(ids, own, "the public sees the same trades");
    assert!(ids.windows(2).all(|w| w[1] == w[0] + 1));
    let mine = c.ok("GET", "/api/v3/myTrades", &format!("symbol=BTCUSDT&orderId={}", order["orderId"]));
    assert_eq!(mine.as_array().unwrap().len(), fills.len());
    let spent = c.ok("POST", ORDER, "symbol=ETHUSDT&side=BUY&type=MARKET&quoteOrderQty=1000");
    assert!(num(&spent["cummulativeQuoteQty"]) <= 1000.0 && num(&spent["cummulativeQuoteQty"]) > 999.0);
    assert_eq!(
        (spent["origQuoteOrderQty"].as_str(), spent["status"].as_str()),
        (Some("1000.00000000"), Some("FILLED"))
    );
    // More than the book holds: what is left expires.
    let all = c.ok("POST", ORDER, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=3");
    assert!(matches!(all["status"].as_str(), Some("FILLED" | "EXPIRED")));
}

#[test]
fn now_or_never_orders() {
    let mut c = client(Product::Spot, 3);
    let user = c.user_stream();
    let px = (c.price("BTCUSDT") * 0.9).round();
    for tif in ["IOC", "FOK"] {
        let o = c.ok(
            "POST",
            ORDER,
            &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce={tif}&quantity=0.01&price={px}"),
        );
        assert_eq!((o["status"].as_str(), o["executedQty"].as_str()), (Some("EXPIRED"), Some("0.00000000")), "{tif}");
        let kinds: Vec<Value> = c
            .heard(user)
            .iter()
            .filter(|h| h["event"]["e"] == "executionReport")
            .map(|h| h["event"]["x"].clone())
            .collect();
        assert_eq!(kinds, ["NEW", "EXPIRED"], "{tif}");
    }
}

#[test]
fn stops_wait_and_fire() {
    let mut c = client(Product::Spot, 4);
    let px = c.price("BTCUSDT");
    let stop = (px * 0.9999).round();
    let o = c.ok(
        "POST",
        ORDER,
        &format!("symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=0.01&stopPrice={stop}&newOrderRespType=RESULT"),
    );
    assert_eq!((o["status"].as_str(), o["workingTime"].as_i64()), (Some("NEW"), Some(-1)));
    let query = |o: &Value| format!("symbol=BTCUSDT&orderId={}", o["orderId"]);
    assert_eq!(c.ok("GET", ORDER, &query(&o))["isWorking"], false);
    // Whichever way the market goes, one of the two is reached.
    let up = (px * 1.0001).round() + 1.0;
    let p = c.ok("POST", ORDER, &format!("symbol=BTCUSDT&side=SELL&type=TAKE_PROFIT&quantity=0.01&stopPrice={up}"));
    for _ in 0..600 {
        c.pass(1_000);
        for order in [&o, &p] {
            if c.ok("GET", ORDER, &query(order))["status"] == "FILLED" {
                return;
            }
        }
    }
    panic!("the market stood still between {stop} and {up} from {px}");
}

#[test]
fn cancel_replace_in_all_its_outcomes() {
    let mut c = client(Product::Spot, 5);
    let px = (c.price("BTCUSDT") * 0.95).round();
    let new = format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={px}");
    let replace = "/api/v3/order/cancelReplace";
    let first = c.ok("POST", ORDER, &new)["orderId"].as_i64().unwrap();
    let done = c.ok("POST", replace, &format!("{new}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={first}"));
    assert_eq!((done["cancelResult"].as_str(), done["newOrderResult"].as_str()), (Some("SUCCESS"), Some("SUCCESS")));
    let second = done["newOrderResponse"]["orderId"].as_i64().unwrap();
    let (status, json) =
        c.call("POST", replace, &format!("{new}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={first}"));
    assert_eq!((status, json["code"].as_i64(), json["data"]["newOrderResponse"].is_null()), (400, Some(-2022), true));
    let (status, json) =
        c.call("POST", replace, &format!("{new}&cancelReplaceMode=ALLOW_FAILURE&cancelOrderId={first}"));
    assert_eq!(
        (status, json["code"].as_i64(), json["data"]["cancelResponse"]["code"].as_i64()),
        (409, Some(-2021), Some(-2011))
    );
    let dear = format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=9&price={px}");
    let (status, json) =
        c.call("POST", replace, &format!("{dear}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={second}"));
    assert_eq!((status, json["code"].as_i64()), (409, Some(-2021)), "the old order is gone, the new one never was");
    assert_eq!(c.ok("GET", "/api/v3/openOrders", "symbol=BTCUSDT").as_array().unwrap().len(), 1);
    assert_eq!(c.ok("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT").as_array().unwrap().len(), 1);
    assert_eq!(c.code("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT"), -2011);
}

#[test]
fn an_account_does_not_trade_with_itself() {
    let mut c = client(Product::Spot, 6);
    let user = c.user_stream();
    let (_, book) = c.get("/api/v3/ticker/bookTicker", "symbol=BTCUSDT");
    let (bid, ask) = (num(&book["bidPrice"]), num(&book["askPrice"]));
    let mid = format!("{:.2}", (bid + ask) / 2.0);
    c.ok(
        "POST",
        ORDER,
        &format!("symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&quantity=0.01&price={mid}&newClientOrderId=maker"),
    );
    c.heard(user);
    c.ok("POST", ORDER, &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={mid}"));
    let events: Vec<(Value, Value)> =
        c.heard(user).iter().map(|h| (h["event"]["x"].clone(), h["event"]["X"].clone())).collect();
    assert!(events.contains(&("TRADE_PREVENTION".into(), "EXPIRED_IN_MATCH".into())), "{events:?}");
}
