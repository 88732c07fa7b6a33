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
