//! What the venue is told to do by itself: fills, half-done replacements, delistings, clocks that go wrong, deeds for
//! later. The same with the twin taken up again in between.

use super::*;

fn rule(c: &mut Client, on: &str, named: &str, fault: &str) {
    c.admin(&format!(r#"{{"do":"rule","rule":{{"on":"{on}","named":"{named}","fault":{fault}}}}}"#));
}

/// A resting buy below the market: its id.
fn rest(c: &mut Client, share: f64, name: &str) -> i64 {
    let px = (c.price("BTCUSDT") * share).round();
    let path = if c.twin.product() == Product::Spot { "/api/v3/order" } else { "/fapi/v1/order" };
    let o = c.ok(
        "POST",
        path,
        &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.02&price={px}&newClientOrderId={name}"),
    );
    o["orderId"].as_i64().unwrap()
}

#[test]
fn orders_are_filled_at_their_price_when_told() {
    for product in [Product::Spot, Product::UsdM] {
        let mut c = client(product, 81);
        let (near, far) = (rest(&mut c, 0.99, "near"), rest(&mut c, 0.97, "far"));
        let fill = |id: i64, q: &str| format!(r#"{{"do":"fill","account":"test","order_id":{id},"quantity":{q}}}"#);
        c.admin(&fill(near, r#""0.005""#));
        let path = if product == Product::Spot { "/api/v3/order" } else { "/fapi/v1/order" };
        let state = |c: &mut Client, id: i64| {
            let o = c.ok("GET", path, &format!("symbol=BTCUSDT&orderId={id}"));
            (o["status"].as_str().unwrap().to_string(), num(&o["executedQty"]))
        };
        assert_eq!(state(&mut c, near), ("PARTIALLY_FILLED".into(), 0.005));
        c.admin(&fill(far, "null"));
        assert_eq!(state(&mut c, far), ("FILLED".into(), 0.02), "{product:?}");
        assert_eq!(state(&mut c, near).0, "FILLED", "what stands better trades first");
        let trades = if product == Product::Spot { "/api/v3/myTrades" } else { "/fapi/v1/userTrades" };
        let trades = c.ok("GET", trades, &format!("symbol=BTCUSDT&orderId={far}"));
        let o = c.ok("GET", path, &format!("symbol=BTCUSDT&orderId={far}"));
        let trades = trades.as_array().unwrap();
        assert!(trades.iter().all(|t| num(&t["price"]) == num(&o["price"])), "at its own price: {trades:?}");
        assert!(c.twin.admin(c.now, &fill(near, "null")).is_err(), "it is not open");
    }
}

#[test]
fn a_fill_comes_between_a_cancel_and_its_reply() {
    let mut c = client(Product::UsdM, 82);
    let user = c.user_stream();
    rest(&mut c, 0.99, "race");
    rule(&mut c, "request", "DELETE /fapi/v1/order", r#"{"kind":"fill_first"}"#);
    assert_eq!(c.code("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=race"), -2011, "row 6");
    assert!(c.heard(user).iter().any(|e| e["o"]["c"] == "race" && e["o"]["X"] == "FILLED"));
    rest(&mut c, 0.99, "part");
    rule(&mut c, "request", "DELETE /fapi/v1/order", r#"{"kind":"fill_first","quantity":"0.005"}"#);
    let gone = c.ok("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=part");
    assert_eq!((gone["status"].as_str(), num(&gone["executedQty"])), (Some("CANCELED"), 0.005), "row 6: in part");
}

#[test]
fn a_replacement_is_done_half_way() {
    let mut c = client(Product::Spot, 83);
    let id = rest(&mut c, 0.98, "old");
    rule(&mut c, "request", "POST /api/v3/order/cancelReplace", r#"{"kind":"half_done"}"#);
    let px = (c.price("BTCUSDT") * 0.97).round();
    let (status, e) = c.call(
        "POST",
        "/api/v3/order/cancelReplace",
        &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.02&price={px}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={id}"),
    );
    assert_eq!((status, e["code"].as_i64()), (409, Some(-2021)), "row 7: {e}");
    assert_eq!((&e["data"]["cancelResult"], &e["data"]["newOrderResult"]), (&"SUCCESS".into(), &"FAILURE".into()));
    assert_eq!(c.ok("GET", "/api/v3/openOrders", "").as_array().unwrap().len(), 0);
}

#[test]
fn replies_and_events_leave_things_out() {
    let mut c = client(Product::UsdM, 84);
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        c.ok("POST", "/fapi/v1/order", &format!("symbol={symbol}&side=BUY&type=MARKET&quantity=0.1"));
    }
    rule(&mut c, "request", "GET /fapi/v3/positionRisk", r#"{"kind":"omit","name":"ETHUSDT"}"#);
    let rows = c.ok("GET", "/fapi/v3/positionRisk", "");
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|r| r["symbol"].as_str().unwrap()).collect();
    assert_eq!(names, ["BTCUSDT"], "row 24");
    rule(&mut c, "request", "GET /fapi/v2/account", r#"{"kind":"omit","name":"USDT"}"#);
    let account = c.ok("GET", "/fapi/v2/account", "");
    assert!(account["assets"].as_array().unwrap().iter().all(|a| a["asset"] != "USDT"));
    let user = c.user_stream();
    rule(&mut c, "user", "ORDER_TRADE_UPDATE", r#"{"kind":"no_fee"}"#);
    rule(&mut c, "user", "ORDER_TRADE_UPDATE", r#"{"kind":"no_fee"}"#);
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    let heard = c.heard(user);
    let trade = heard.iter().find(|e| e["o"]["x"] == "TRADE").unwrap();
    assert!(trade["o"].get("n").is_none() && trade["o"].get("N").is_none(), "row 12: {trade}");
    let mut c = client(Product::Spot, 84);
    let user = c.user_stream();
    c.admin(r#"{"do":"rule","rule":{"on":"user","named":"executionReport","times":0,"fault":{"kind":"no_fee"}}}"#);
    c.ok("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    let heard = c.heard(user);
    let trade = heard.iter().find(|e| e["event"]["x"] == "TRADE").unwrap();
    assert_eq!((&trade["event"]["N"], &trade["event"]["n"]), (&Value::Null, &"0".into()), "row 12");
}

#[test]
fn a_symbol_goes() {
    let mut c = client(Product::UsdM, 85);
    let user = c.user_stream();
    let info = c.open("/market/ws/!contractInfo");
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    rest(&mut c, 0.97, "left");
    c.heard(user);
    c.admin(r#"{"do":"margin_call","account":"test"}"#);
    let call = &c.heard(user)[0];
    assert_eq!((call["e"].as_str(), call["p"][0]["s"].as_str()), (Some("MARGIN_CALL"), Some("BTCUSDT")));
    c.admin(r#"{"do":"delist","symbol":"BTCUSDT"}"#);
    let e = c.heard(user);
    let left = e.iter().find(|e| e["o"]["c"] == "left").unwrap();
    assert_eq!((left["o"]["X"].as_str(), left["o"]["er"].as_str()), (Some("EXPIRED"), Some("7")), "row 25");
    let settled = |e: &Value| e["o"]["c"].as_str().is_some_and(|c| c.starts_with("settlement_autoclose-"));
    assert!(e.iter().any(settled), "{e:?}");
    assert_eq!(c.heard(info)[0]["cs"], "SETTLING");
    assert_eq!(c.ok("GET", "/fapi/v3/positionRisk", "").as_array().unwrap().len(), 0);
    assert_eq!(c.code("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1"), -4141);
    c.admin(r#"{"do":"delist","symbol":"ETHUSDT","remove":true}"#);
    assert_eq!(c.code("POST", "/fapi/v1/order", "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0.1"), -1121);
    let (_, info) = c.get("/fapi/v1/exchangeInfo", "");
    assert!(info["symbols"].as_array().unwrap().iter().all(|s| s["symbol"] != "ETHUSDT"));
    assert!(c.twin.admin(c.now, r#"{"do":"delist","symbol":"ETHUSDT"}"#).is_err());
    let mut c = client(Product::Spot, 85);
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"status":"HALT"}}"#);
    assert_eq!(c.code("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1"), -2010, "row 25");
    let (_, halted) = c.get("/api/v3/exchangeInfo", "symbolStatus=HALT");
    assert_eq!(halted["symbols"][0]["symbol"], "BTCUSDT");
}

#[test]
fn clocks_drift_and_step() {
    let mut c = client(Product::Spot, 86);
    let off = |c: &mut Client| c.get("/api/v3/time", "").1["serverTime"].as_i64().unwrap() - c.ms();
    c.admin(r#"{"do":"drift","ppm":500}"#);
    c.pass(100_000);
    assert_eq!(off(&mut c), 50, "row 17: drift");
    c.admin(r#"{"do":"drift","ppm":-1000}"#);
    c.pass(60_000);
    assert_eq!(off(&mut c), -10, "row 17: what it went wrong by stays");
    c.admin(r#"{"do":"skew","ms":-3600000}"#);
    assert_eq!(off(&mut c), -3_600_000, "row 17: a step back");
    c.admin(r#"{"do":"skew","ms":0}"#);
    c.pass(5_000);
    assert_eq!(off(&mut c), 0);
}

#[test]
fn deeds_wait_for_their_time_through_a_restart() {
    let mut c = client(Product::Spot, 87);
    c.twin.record();
    let kept = c.twin.state();
    c.admin(r#"{"do":"later","ms":30000,"deed":{"do":"transfer","account":"test","asset":"USDT","amount":"7"}}"#);
    c.admin(r#"{"do":"later","ms":1030,"every_ms":1000,"deed":{"do":"transfer","account":"test","asset":"BNB","amount":"1"}}"#);
    assert!(c.twin.admin(c.now, r#"{"do":"later","ms":1,"deed":{"do":"fly"}}"#).is_err());
    let lines: Vec<crate::saved::Entry> =
        c.twin.take_record().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    c.pass(29_000);
    let of = |c: &mut Client, asset: &str| {
        let account = c.ok("GET", "/api/v3/account", "");
        account["balances"].as_array().unwrap().iter().find(|b| b["asset"] == asset).map(|b| num(&b["free"])).unwrap()
    };
    assert_eq!((of(&mut c, "USDT"), of(&mut c, "BNB")), (100_000.0, 128.0));
    c.pass(1_000);
    assert_eq!(of(&mut c, "USDT"), 100_007.0);
    let mut config = TwinConfig::new(Product::Spot, 87, START);
    config.limits = LimitSettings { weight: Some(1_000_000), ..LimitSettings::default() };
    c.twin = Twin::resume(config, crate::saved::Market::Synthetic(87), kept, &lines, c.now).unwrap();
    assert_eq!((of(&mut c, "USDT"), of(&mut c, "BNB")), (100_007.0, 129.0), "gone through again, at the same times");
    c.admin(r#"{"do":"behave"}"#);
    c.pass(5_000);
    assert_eq!(of(&mut c, "BNB"), 129.0);
}
