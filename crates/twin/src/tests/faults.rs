//! Misbehaviour on command: every venue-side row of the fault catalogue can be caused, and the venue's truth holds.

use super::*;
use crate::wire::Manner;

fn order(c: &mut Client, id: &str) -> Reply {
    let px = (c.price("BTCUSDT") * 0.95).round();
    c.signed(
        "POST",
        "/api/v3/order",
        &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={px}&newClientOrderId={id}"),
    )
}

fn rule(c: &mut Client, named: &str, fault: &str) {
    let on = if named.contains(' ') {
        "request"
    } else if named.contains('@') {
        "market"
    } else {
        "user"
    };
    c.admin(&format!(r#"{{"do":"rule","rule":{{"on":"{on}","named":"{named}","fault":{fault}}}}}"#));
}

fn open_ids(c: &mut Client) -> Vec<String> {
    let truth = c.truth();
    let list = truth["accounts"][0]["openOrders"].as_array().unwrap().clone();
    list.iter().map(|o| o["clientOrderId"].as_str().unwrap().to_string()).collect()
}

#[test]
fn lost_requests_and_lost_replies() {
    let mut c = client(Product::Spot, 31);
    rule(&mut c, "POST /api/v3/order", r#"{"kind":"lost"}"#);
    assert_eq!(order(&mut c, "a").manner, Manner::Nothing);
    assert!(open_ids(&mut c).is_empty(), "row 1: never executed");
    rule(&mut c, "POST /api/v3/order", r#"{"kind":"reply_lost"}"#);
    assert_eq!(order(&mut c, "b").manner, Manner::Nothing);
    assert_eq!(open_ids(&mut c), ["b"], "row 2: executed");
    rule(&mut c, "POST /api/v3/order", r#"{"kind":"half_reply"}"#);
    assert_eq!(order(&mut c, "c").manner, Manner::Half);
    for text in
        ["unknown", "unavailable", "internal", "throttled", "timeout", "unexpected", "html", "empty", "firewall"]
    {
        for executed in [true, false] {
            rule(&mut c, "POST /api/v3/order", &format!(r#"{{"kind":"error","text":"{text}","executed":{executed}}}"#));
            let id = format!("{text}{executed}");
            let reply = order(&mut c, &id);
            assert!(reply.status >= 403, "{text}");
            assert_eq!(open_ids(&mut c).contains(&id), executed, "row 4: {text}");
        }
    }
    assert_eq!(order(&mut c, "last").status, 200, "rules are used up");
}

#[test]
fn limits_and_bans() {
    let mut c = client(Product::Spot, 32);
    rule(&mut c, "POST /api/v3/order", r#"{"kind":"limit","retry_after":3}"#);
    let reply = order(&mut c, "a");
    assert_eq!(
        (reply.status, reply.headers.iter().find(|h| h.0 == "retry-after").map(|h| h.1.as_str())),
        (429, Some("3"))
    );
    rule(&mut c, "POST /api/v3/order", r#"{"kind":"ban","secs":60}"#);
    assert_eq!(order(&mut c, "b").status, 418);
    assert_eq!(c.get("/api/v3/ping", "").0, 418, "everything from that address");
    assert!(c.try_open("/ws/btcusdt@trade").is_err());
    c.pass(60_000);
    assert_eq!(order(&mut c, "d").status, 200);
    assert_eq!(open_ids(&mut c), ["d"]);
}

#[test]
fn real_limits_work_without_a_script() {
    let mut c = client_with(Product::Spot, 33, |config| {
        config.limits = LimitSettings { weight: Some(40), strikes: 2, ban_secs: 120, ..LimitSettings::default() };
    });
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(c.get("/api/v3/exchangeInfo", "").0);
    }
    assert_eq!(seen, [200, 200, 429, 418, 418, 418]);
    c.pass(120_000);
    assert_eq!(c.get("/api/v3/exchangeInfo", "").0, 200);
}

#[test]
fn market_frames_drop_double_and_swap() {
    for (fault, gap) in [("drop", true), ("duplicate", false), ("swap", true)] {
        let mut c = client(Product::UsdM, 34);
        let conn = c.open("/public/ws/btcusdt@depth@100ms");
        c.pass(2_000);
        rule(&mut c, "btcusdt@depth@100ms", &format!(r#"{{"kind":"{fault}"}}"#));
        c.pass(3_000);
        let chain: Vec<(i64, i64)> =
            c.heard(conn).iter().map(|e| (e["pu"].as_i64().unwrap(), e["u"].as_i64().unwrap())).collect();
        let broken = chain.windows(2).any(|w| w[1].0 != w[0].1 && w[1] != w[0]);
        assert_eq!(broken, gap, "row 13: {fault}");
        let doubled = chain.windows(2).any(|w| w[1] == w[0]);
        assert_eq!(doubled, fault == "duplicate");
    }
    let mut c = client(Product::Spot, 35);
    let conn = c.open("/ws/btcusdt@depth@100ms");
    c.admin(r#"{"do":"stall","on":true}"#);
    c.pass(25_000);
    assert!(c.frames.iter().any(|o| matches!(o.frame, Frame::Ping(_))), "row 14: pings go on");
    assert!(c.heard(conn).is_empty(), "row 14: data does not");
    c.admin(r#"{"do":"stall","on":false}"#);
    c.pass(2_000);
    assert!(!c.heard(conn).is_empty());
}

#[test]
fn snapshots_can_be_older_than_what_was_buffered() {
    let mut c = client(Product::Spot, 36);
    c.admin(r#"{"do":"snapshot_age","ms":3000}"#);
    c.pass(5_000);
    let conn = c.open("/ws/btcusdt@depth@100ms");
    c.pass(1_500);
    let (_, snapshot) = c.get("/api/v3/depth", "symbol=BTCUSDT");
    let first = c.heard(conn)[0]["U"].as_i64().unwrap();
    assert!(snapshot["lastUpdateId"].as_i64().unwrap() < first, "row 16: it must be asked for again");
    c.admin(r#"{"do":"behave"}"#);
    let (_, snapshot) = c.get("/api/v3/depth", "symbol=BTCUSDT");
    assert!(snapshot["lastUpdateId"].as_i64().unwrap() >= first);
}

#[test]
fn connections_close_in_every_way() {
    let mut c = client(Product::Spot, 37);
    let ends = |c: &mut Client, deed: &str| {
        let conn = c.open("/ws/btcusdt@trade");
        c.frames.clear();
        c.admin(deed);
        let frames: Vec<Frame> = c.frames.iter().filter(|o| o.conn == conn).map(|o| o.frame.clone()).collect();
        c.twin.ws_close(c.now, conn);
        frames
    };
    assert!(matches!(ends(&mut c, r#"{"do":"close","code":1000}"#)[..], [Frame::Close(1000, _)]), "row 15");
    assert!(matches!(ends(&mut c, r#"{"do":"close","code":null}"#)[..], [Frame::Cut]), "row 15: 1006");
    let shutdown = ends(&mut c, r#"{"do":"shutdown"}"#);
    assert!(matches!(&shutdown[..], [Frame::Text(t), Frame::Close(1001, _)] if t.contains("serverShutdown")));
    rule(&mut c, "btcusdt@bookTicker", r#"{"kind":"half_frame"}"#);
    let conn = c.open("/ws/btcusdt@bookTicker");
    c.pass(5_000);
    assert!(c.frames.iter().any(|o| o.conn == conn && matches!(o.frame, Frame::Half(_))));
    let user = c.user_stream();
    c.admin(r#"{"do":"expire_keys"}"#);
    assert_eq!(c.heard(user)[0]["event"]["e"], "eventStreamTerminated");
}

#[test]
fn user_events_repeat_wait_and_change_places() {
    let mut c = client(Product::Spot, 38);
    let user = c.user_stream();
    let buy = |c: &mut Client| c.ok("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001");
    let trades = |c: &mut Client| -> Vec<(i64, String)> {
        let all = c.heard(user);
        let fills = all.iter().filter(|e| e["event"]["x"] == "TRADE");
        fills.map(|e| (e["event"]["t"].as_i64().unwrap(), e["event"]["z"].as_str().unwrap().into())).collect()
    };
    let report = |fault: &str| {
        format!(r#"{{"do":"rule","rule":{{"on":"user","named":"executionReport","skip":1,"fault":{fault}}}}}"#)
    };
    c.admin(&report(r#"{"kind":"duplicate"}"#));
    buy(&mut c);
    let t = trades(&mut c);
    assert!(t.len() == 2 && t[0] == t[1], "row 8: {t:?}");
    c.admin(&report(r#"{"kind":"new_trade_id"}"#));
    buy(&mut c);
    let t = trades(&mut c);
    assert!(t.len() == 2 && t[0].0 != t[1].0 && t[0].1 == t[1].1, "row 9: {t:?}");
    rule(&mut c, "executionReport", r#"{"kind":"hold","ms":700}"#);
    buy(&mut c);
    let kinds: Vec<Value> = c.heard(user).iter().map(|e| e["event"]["x"].clone()).collect();
    assert_eq!(kinds[0], "TRADE", "row 10: the fill before the acknowledgement");
    c.pass(1_000);
    assert_eq!(c.heard(user)[0]["event"]["x"], "NEW");
    rule(&mut c, "executionReport", r#"{"kind":"drop"}"#);
    buy(&mut c);
    assert!(c.heard(user).iter().all(|e| e["event"]["x"] != "NEW"));
}

#[test]
fn the_venue_does_things_by_itself() {
    let mut c = client(Product::UsdM, 39);
    let user = c.user_stream();
    let foreign =
        c.admin(r#"{"do":"foreign","account":"test","symbol":"BTCUSDT","side":"BUY","quantity":"0.1","price":null}"#);
    let e = c.heard(user);
    let web = e.iter().any(|e| e["o"]["i"] == foreign["orderId"] && e["o"]["c"].as_str().unwrap().starts_with("web_"));
    assert!(web, "row 23");
    let n = c.admin(r#"{"do":"overfill","account":"test","order_id":0,"quantity":"0.01"}"#.replace(":0,", &format!(":{},", foreign["orderId"])).as_str());
    assert_eq!(n, serde_json::json!({}));
    let over = c.heard(user).iter().find(|e| e["o"]["x"] == "TRADE").map(|e| (num(&e["o"]["q"]), num(&e["o"]["z"])));
    assert_eq!(over, Some((0.1, 0.11)), "row 11");
    assert_eq!(c.ok("GET", "/fapi/v3/positionRisk", "")[0]["positionAmt"], "0.110");
    c.admin(r#"{"do":"funding","symbol":"BTCUSDT","rate":"0.001"}"#);
    let e = c.heard(user);
    assert_eq!(
        (e[0]["a"]["m"].as_str(), e[0]["a"]["P"].as_array().map(Vec::len)),
        (Some("FUNDING_FEE"), Some(0)),
        "row 26"
    );
    assert!(num(&e[0]["a"]["B"][0]["bc"]) < 0.0, "longs pay");
    c.admin(r#"{"do":"adl","account":"test","symbol":"BTCUSDT","quantity":"0.05"}"#);
    assert!(
        c.heard(user).iter().any(|e| e["o"]["c"].as_str().is_some_and(|c| c.starts_with("adl_autoclose"))),
        "row 26"
    );
    let force = c.open("/market/ws/!forceOrder@arr");
    c.admin(r#"{"do":"liquidate","account":"test"}"#);
    let e = c.heard(user);
    assert!(e.iter().any(|e| e["o"]["o"] == "LIQUIDATION" && e["o"]["x"] == "CALCULATED"), "row 26");
    assert_eq!(c.heard(force)[0]["o"]["s"], "BTCUSDT");
    assert_eq!(c.ok("GET", "/fapi/v3/positionRisk", "").as_array().unwrap().len(), 0);
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    rule(&mut c, "GET /fapi/v2/positionRisk", r#"{"kind":"empty_list"}"#);
    assert_eq!(c.ok("GET", "/fapi/v2/positionRisk", "").as_array().unwrap().len(), 0, "row 24");
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"status":"SETTLING"}}"#);
    assert_eq!(c.code("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1"), -4141, "row 25");
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"status":"TRADING","filter":{"filterType":"LOT_SIZE","stepSize":"0.01"}}}"#);
    assert_eq!(c.code("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.105"), -4023, "row 25");
    c.admin(r#"{"do":"transfer","account":"test","asset":"USDT","amount":"-500"}"#);
    assert!(c.heard(user).iter().any(|e| e["a"]["m"] == "WITHDRAW" && num(&e["a"]["B"][0]["bc"]) == -500.0));
}

#[test]
fn fees_may_be_paid_in_a_third_asset() {
    let mut c =
        client_with(Product::Spot, 41, |config| config.accounts[0].fee_token = Some(ctos_types::Currency::cut("BNB")));
    let o = c.ok("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    let fill = &o["fills"][0];
    assert_eq!(fill["commissionAsset"], "BNB", "row 12");
    let bnb: f64 = c.price("BNBUSDT");
    let worth = num(&fill["commission"]) * bnb / (num(&fill["price"]) * num(&fill["qty"]));
    assert!((worth - 0.000_75).abs() < 0.000_01, "{worth}");
    let account = c.ok("GET", "/api/v3/account", "");
    let of = |asset: &str| {
        account["balances"].as_array().unwrap().iter().find(|b| b["asset"] == asset).map(|b| num(&b["free"])).unwrap()
    };
    let paid: f64 = o["fills"].as_array().unwrap().iter().map(|f| num(&f["commission"])).sum();
    assert!((of("BNB") - (100.0 - paid)).abs() < 1e-9 && (of("BTC") - 2.01).abs() < 1e-9);
}

#[test]
fn clocks_and_visibility() {
    let mut c = client(Product::Spot, 40);
    for skew in [-30_000, 30_000] {
        c.admin(&format!(r#"{{"do":"skew","ms":{skew}}}"#));
        assert_eq!(c.code("GET", "/api/v3/account", ""), -1021, "row 17: {skew}");
        let (_, time) = c.get("/api/v3/time", "");
        assert_eq!(time["serverTime"].as_i64(), Some(c.ms() + skew));
    }
    c.admin(r#"{"do":"behave"}"#);
    c.admin(r#"{"do":"invisible","ms":400}"#);
    order(&mut c, "new");
    assert_eq!(c.code("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=new"), -2013);
    assert_eq!(c.ok("GET", "/api/v3/openOrders", "").as_array().unwrap().len(), 0);
    c.pass(400);
    assert_eq!(c.ok("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=new")["status"], "NEW");
    assert!(c.twin.admin(c.now, r#"{"do":"fly"}"#).is_err() && c.twin.admin(c.now, "x").is_err());
    rule(&mut c, "DELETE /api/v3/order", r#"{"kind":"delay","before_ms":250,"after_ms":100}"#);
    assert_eq!(c.twin.before("DELETE", "/api/v3/order"), 250, "row 6: what happens before the cancel arrives");
    assert_eq!(c.signed("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=new").delay_ms, 100);
}
