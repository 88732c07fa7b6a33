//! Cross margin: orders that borrow, debts, and their events.

use super::*;
use serde_json::json;

const ORDER: &str = "/sapi/v1/margin/order";

#[test]
fn an_order_borrows_when_it_asks_for_that() {
    let mut c = client(Product::Spot, 71);
    let key = c.key.clone();
    let token: Value = serde_json::from_str(&c.raw("POST", "/sapi/v1/userListenToken", "", Some(&key)).body).unwrap();
    let conn = c.open("/ws-api/v3");
    let listen = |token: &Value| {
        format!(r#"{{"id":1,"method":"userDataStream.subscribe.listenToken","params":{{"listenToken":{token}}}}}"#)
    };
    c.say(conn, &listen(&"nonsense".into()));
    assert_eq!(c.heard(conn)[0]["error"]["code"], -1209);
    c.say(conn, &listen(&token["token"]));
    assert_eq!(c.heard(conn)[0]["result"]["subscriptionId"], 0);
    // 10,000 USDT of its own; 0.2 BTC cost more.
    let buy = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2";
    assert_eq!(c.code("POST", ORDER, buy), -2010);
    let o = c.ok("POST", ORDER, &format!("{buy}&sideEffectType=AUTO_BORROW_REPAY"));
    assert_eq!(
        (o["status"].as_str(), o["isIsolated"].as_bool(), o["marginBuyBorrowAsset"].as_str()),
        (Some("FILLED"), Some(false), Some("USDT"))
    );
    assert!(o["marginBuyBorrowAmount"].as_f64().unwrap() > 2_000.0);
    let events = c.heard(conn);
    assert!(events.iter().any(|e| e["event"]["x"] == "TRADE" && e["subscriptionId"] == 0));
    let account = c.ok("GET", "/sapi/v1/margin/account", "");
    let row =
        |asset: &str| account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == asset).cloned().unwrap();
    assert!(o["marginBuyBorrowAmount"].is_number());
    assert_eq!(num(&row("USDT")["borrowed"]), o["marginBuyBorrowAmount"].as_f64().unwrap());
    assert!(num(&row("USDT")["netAsset"]) < 0.0 && num(&row("BTC")["netAsset"]) > 0.19);
    assert!(num(&account["marginLevel"]) > 1.0);
    let q = format!("symbol=BTCUSDT&orderId={}", o["orderId"]);
    assert_eq!(c.ok("GET", ORDER, &q)["isIsolated"], false);
    assert_eq!(c.code("GET", "/api/v3/order", &q), -2013, "another account");
    assert_eq!(c.ok("GET", "/sapi/v1/margin/myTrades", "symbol=BTCUSDT")[0]["isIsolated"], false);
    let free = num(&row("BTC")["free"]);
    c.ok(
        "POST",
        ORDER,
        &format!("symbol=BTCUSDT&side=SELL&type=MARKET&quantity={:.5}&sideEffectType=AUTO_REPAY", free - 0.000_01),
    );
    let account = c.ok("GET", "/sapi/v1/margin/account", "");
    let usdt = account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == "USDT").unwrap();
    assert_eq!(usdt["borrowed"], "0.00000000");
    assert_eq!(c.code("POST", ORDER, &format!("{buy}&isIsolated=TRUE&sideEffectType=MARGIN_BUY")), -11001);
    let px = (c.price("BTCUSDT") * 0.9).round();
    let o =
        c.ok("POST", ORDER, &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={px}"));
    assert_eq!(c.ok("GET", "/sapi/v1/margin/openOrders", "symbol=BTCUSDT").as_array().unwrap().len(), 1);
    assert_eq!(c.ok("DELETE", ORDER, &format!("symbol=BTCUSDT&orderId={}", o["orderId"]))["status"], "CANCELED");
}

/// Borrowed, free and locked of an asset of the margin account.
fn debt(c: &mut Client, asset: &str) -> (f64, f64, f64) {
    let account = c.ok("GET", "/sapi/v1/margin/account", "");
    let row = account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == asset).cloned().unwrap();
    (num(&row["borrowed"]), num(&row["free"]), num(&row["locked"]))
}

#[test]
fn a_short_sale_and_the_four_ways_to_close_it() {
    for (effect, owed, kept) in [
        ("AUTO_REPAY", 0.000_01, 0.0),
        ("AUTO_BORROW_REPAY", 0.000_01, 0.0),
        ("NO_SIDE_EFFECT", 0.01, 0.009_99),
        ("MARGIN_BUY", 0.01, 0.009_99),
    ] {
        let mut c = client(Product::Spot, 74);
        let trade = |c: &mut Client, side: &str, effect: &str| {
            let order = format!("symbol=BTCUSDT&side={side}&type=MARKET&quantity=0.01&sideEffectType={effect}");
            c.ok("POST", ORDER, &order)
        };
        assert_eq!(c.code("POST", ORDER, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01"), -2010);
        let o = trade(&mut c, "SELL", "AUTO_BORROW_REPAY");
        assert_eq!((&o["marginBuyBorrowAmount"], &o["marginBuyBorrowAsset"]), (&json!(0.01), &json!("BTC")));
        assert_eq!(debt(&mut c, "BTC"), (0.01, 0.0, 0.0));
        // There are dollars enough: nothing is borrowed to buy it back.
        let o = trade(&mut c, "BUY", effect);
        assert_eq!((o["status"].as_str(), o.get("marginBuyBorrowAmount")), (Some("FILLED"), None), "{effect}");
        // The fee is taken from the coins.
        assert_eq!(debt(&mut c, "BTC"), (owed, kept, 0.0), "{effect}");
        assert_eq!(debt(&mut c, "USDT").0, 0.0);
    }
}

#[test]
fn a_loan_is_taken_when_the_order_is_placed_and_given_back_when_it_is_cancelled() {
    let mut c = client(Product::Spot, 75);
    let px = (c.price("BTCUSDT") * 1.1).round();
    let rest = format!("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.02&price={px}");
    let place = |c: &mut Client, more: &str| c.ok("POST", ORDER, &format!("{rest}{more}"));
    let cancel = |c: &mut Client, o: &Value| {
        c.ok("DELETE", ORDER, &format!("symbol=BTCUSDT&orderId={}", o["orderId"]));
    };
    for word in ["MARGIN_BUY", "AUTO_BORROW_REPAY"] {
        let o = place(&mut c, &format!("&sideEffectType={word}"));
        assert_eq!((o["status"].as_str(), o["marginBuyBorrowAmount"].as_f64()), (Some("NEW"), Some(0.02)));
        assert_eq!(debt(&mut c, "BTC"), (0.02, 0.0, 0.02));
        cancel(&mut c, &o);
        assert_eq!(debt(&mut c, "BTC"), (0.0, 0.0, 0.0));
    }
    // What has traded of it is owed.
    let o = place(&mut c, "&sideEffectType=AUTO_BORROW_REPAY");
    let fill = json!({"do": "fill", "account": "test:margin", "order_id": o["orderId"], "quantity": "0.005"});
    c.admin(&fill.to_string());
    cancel(&mut c, &o);
    assert_eq!(debt(&mut c, "BTC"), (0.005, 0.0, 0.0));
    // Kept where the order says so; the next one uses what is there.
    let o = place(&mut c, "&sideEffectType=AUTO_BORROW_REPAY&autoRepayAtCancel=false");
    cancel(&mut c, &o);
    assert_eq!(debt(&mut c, "BTC"), (0.025, 0.02, 0.0));
    let o = place(&mut c, "&sideEffectType=AUTO_BORROW_REPAY");
    assert_eq!(o.get("marginBuyBorrowAmount"), None);
    cancel(&mut c, &o);
    assert_eq!(debt(&mut c, "BTC"), (0.025, 0.02, 0.0));
}

#[test]
fn what_is_not_lent_is_refused_and_leaves_nothing_behind() {
    let mut c = client(Product::Spot, 76);
    let sell = |qty: &str| format!("symbol=BTCUSDT&side=SELL&type=MARKET&quantity={qty}&sideEffectType=MARGIN_BUY");
    // 10,000 USDT back loans of 20,000.
    assert_eq!(c.code("POST", ORDER, &sell("0.9")), -3006);
    let far = (c.price("BTCUSDT") * 0.5).round();
    let post = format!("symbol=BTCUSDT&side=SELL&type=LIMIT_MAKER&quantity=0.01&price={far}");
    assert_eq!(c.code("POST", ORDER, &format!("{post}&sideEffectType=MARGIN_BUY")), -2010, "it would take");
    assert_eq!(c.code("POST", ORDER, &format!("{}X", sell("0.01"))), -1130, "no such effect");
    assert_eq!(debt(&mut c, "BTC"), (0.0, 0.0, 0.0));
    c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"isMarginTradingAllowed":false}}"#);
    assert_eq!(c.code("POST", ORDER, &sell("0.01")), -3021);
}

#[test]
fn loans_are_taken_and_repaid() {
    const LOAN: &str = "/sapi/v1/margin/borrow-repay";
    let mut c = client(Product::Spot, 72);
    let most = |c: &mut Client, asset: &str| {
        num(&c.ok("GET", "/sapi/v1/margin/maxBorrowable", &format!("asset={asset}"))["amount"])
    };
    // 10,000 USDT of its own, at most twice that of others.
    assert_eq!(most(&mut c, "USDT"), 20_000.0);
    assert!((most(&mut c, "BTC") * c.price("BTCUSDT") - 20_000.0).abs() < 1.0);
    for (query, code) in [
        ("asset=USDT&amount=20000.1&type=BORROW", -3006),
        ("asset=NOPE&amount=1&type=BORROW", -3027),
        ("asset=USDT&amount=0&type=BORROW", -1130),
        ("asset=USDT&amount=1&type=GIVE", -1130),
        ("asset=USDT&amount=1&type=REPAY", -3015),
        ("asset=USDT&amount=1&type=BORROW&isIsolated=TRUE", -11001),
        ("asset=USDT&type=BORROW", -1102),
    ] {
        assert_eq!(c.code("POST", LOAN, query), code, "{query}");
    }
    assert!(c.ok("POST", LOAN, "asset=USDT&amount=6000&type=BORROW")["tranId"].is_i64());
    let row = |c: &mut Client| {
        let account = c.ok("GET", "/sapi/v1/margin/account", "");
        account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == "USDT").unwrap().clone()
    };
    let usdt = row(&mut c);
    assert_eq!((num(&usdt["free"]), num(&usdt["borrowed"]), num(&usdt["netAsset"])), (16_000.0, 6_000.0, 10_000.0));
    assert_eq!(most(&mut c, "USDT"), 14_000.0);
    assert_eq!(num(&c.ok("GET", "/sapi/v1/margin/maxTransferable", "asset=USDT")["amount"]), 4_000.0);
    c.pass(3_600_000);
    let usdt = row(&mut c);
    assert_eq!((num(&usdt["free"]), num(&usdt["borrowed"]), num(&usdt["interest"])), (16_000.0, 6_000.0, 0.006));
    c.ok("POST", LOAN, "asset=USDT&amount=6000.006&type=REPAY");
    let usdt = row(&mut c);
    assert_eq!((num(&usdt["borrowed"]), num(&usdt["interest"]), num(&usdt["free"])), (0.0, 0.0, 9_999.994));
}

#[test]
fn its_calls_count_apart() {
    let mut c = client(Product::Spot, 73);
    let header = |r: &Reply, name: &str| -> u32 {
        r.headers.iter().find(|h| h.0 == name).map(|h| h.1.parse().unwrap()).unwrap_or_else(|| panic!("no {name}"))
    };
    let before = c.signed("GET", "/api/v3/account", "");
    let spot = header(&before, "x-mbx-used-weight-1m");
    let r = c.signed("GET", "/sapi/v1/margin/account", "");
    assert_eq!((header(&r, "x-sapi-used-ip-weight-1m"), header(&r, "x-sapi-used-uid-weight-1m")), (10, 0));
    let r = c.signed("GET", "/sapi/v1/margin/maxBorrowable", "asset=USDT");
    assert_eq!((header(&r, "x-sapi-used-ip-weight-1m"), header(&r, "x-sapi-used-uid-weight-1m")), (10, 750));
    let r = c.signed("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&sideEffectType=MARGIN_BUY");
    assert_eq!(header(&r, "x-sapi-used-uid-weight-1m"), 2_250);
    assert_eq!(header(&r, "x-mbx-used-weight-1m"), spot);
    let mut refused = 0;
    for _ in 0..240 {
        refused += u32::from(c.signed("GET", "/sapi/v1/margin/maxBorrowable", "asset=USDT").status == 429);
    }
    assert_eq!(refused, 3, "180,000 a minute and account");
}
