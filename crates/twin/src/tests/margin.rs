//! Cross margin: orders that borrow, debts, and their events.

use super::*;

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
    assert!(num(&o["marginBuyBorrowAmount"]) > 2_000.0);
    let events = c.heard(conn);
    assert!(events.iter().any(|e| e["event"]["x"] == "TRADE" && e["subscriptionId"] == 0));
    let account = c.ok("GET", "/sapi/v1/margin/account", "");
    let row =
        |asset: &str| account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == asset).cloned().unwrap();
    assert_eq!(row("USDT")["borrowed"], o["marginBuyBorrowAmount"]);
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
