//! USD-M: orders, positions, settings, conditional orders, and the events that belong to them.

use super::*;

const ORDER: &str = "/fapi/v1/order";

fn kinds(events: &[Value]) -> Vec<String> {
    let one = |e: &Value| match e["e"].as_str().unwrap_or("?") {
        "ORDER_TRADE_UPDATE" => format!("{} {}", e["o"]["x"].as_str().unwrap(), e["o"]["X"].as_str().unwrap()),
        "ACCOUNT_UPDATE" => format!("account {}", e["a"]["m"].as_str().unwrap()),
        "ALGO_UPDATE" => format!("algo {}", e["o"]["X"].as_str().unwrap()),
        other => other.to_string(),
    };
    events.iter().map(one).collect()
}

#[test]
fn refusals_have_their_codes() {
    let mut c = client(Product::UsdM, 1);
    let px = c.price("BTCUSDT").round();
    for (query, code) in [
        ("symbol=NOPE&side=BUY&type=LIMIT".to_string(), -1121),
        ("symbol=BTCUSDT&side=BUY&type=STOP_MARKET&quantity=0.01&stopPrice=1".into(), -4120),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&positionSide=LONG".into(), -4061),
        (format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price={px}"), -4164),
        (format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={}.05", px - 10.0), -4014),
        ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=100000".into(), -4016),
        (format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.01&price={}", px + 500.0), -5022),
        (format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=FOK&quantity=0.01&price={}", px - 500.0), -5021),
        (
            format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTD&quantity=0.01&price={}&goodTillDate=1",
                px - 500.0
            ),
            -5040,
        ),
        ("symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01&reduceOnly=true".into(), -2022),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=100".into(), -2019),
        (format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=900&price={}", px - 500.0), -2019),
        ("symbol=1000XUSDT&side=BUY&type=MARKET&quantity=100".into(), -1121),
    ] {
        assert_eq!(c.code("POST", ORDER, &query), code, "{query}");
    }
    assert_eq!(c.truth()["accounts"][0]["orders"], 0);
    let (status, json) = c.get("/fapi/v1/depth", "symbol=BTCUSDT&limit=7");
    assert_eq!((status, json["code"].as_i64()), (400, Some(-4021)));
}

#[test]
fn a_position_is_opened_turned_and_closed() {
    let mut c = client(Product::UsdM, 2);
    let user = c.user_stream();
    let o = c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    assert_eq!((o["status"].as_str(), o["executedQty"].as_str()), (Some("NEW"), Some("0.000")), "an acknowledgement");
    assert!(o.get("fills").is_none() && o.get("avgPrice").is_none());
    let events = c.heard(user);
    assert_eq!(kinds(&events)[..3], ["NEW NEW", "TRADE_LITE", "TRADE FILLED"]);
    assert_eq!(kinds(&events).last().unwrap(), "account ORDER");
    assert!(events[0]["o"].get("N").is_none(), "no commission: the key is absent");
    let entry = num(&events[2]["o"]["L"]);
    let fee = num(&events[2]["o"]["n"]);
    assert!((fee - entry * 0.1 * 0.0005).abs() < 1e-8);
    let p = &events.last().unwrap()["a"]["P"][0];
    assert_eq!((p["pa"].as_str(), p["ps"].as_str(), num(&p["ep"])), (Some("0.100"), Some("BOTH"), entry));
    let o = c.ok("POST", ORDER, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.3&newOrderRespType=RESULT");
    assert_eq!((o["status"].as_str(), o["cumQty"].as_str()), (Some("FILLED"), Some("0.300")));
    let risk = c.ok("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT");
    assert_eq!(
        (risk[0]["positionAmt"].as_str(), risk[0]["leverage"].as_str(), risk[0]["marginType"].as_str()),
        (Some("-0.200"), Some("20"), Some("cross"))
    );
    let v3 = c.ok("GET", "/fapi/v3/positionRisk", "");
    assert_eq!((v3.as_array().unwrap().len(), v3[0].get("leverage").is_none()), (1, true));
    c.heard(user);
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&reduceOnly=true");
    assert_eq!(c.ok("GET", "/fapi/v3/positionRisk", "").as_array().unwrap().len(), 0);
    // Wallet = start + realised - fees, exactly.
    let trades = c.ok("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    let atoms = |v: &Value| v.as_str().unwrap().parse::<ctos_types::Decimal>().unwrap();
    let sum =
        trades.as_array().unwrap().iter().fold(ctos_types::Decimal::from_int(100_000), |s, t| {
            s + atoms(&t["realizedPnl"]) - atoms(&t["commission"])
        });
    let balance = c.ok("GET", "/fapi/v2/balance", "");
    assert_eq!(atoms(&balance[0]["balance"]), sum);
    assert_eq!(c.code("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.2&reduceOnly=true"), -2022);
}

#[test]
fn modify_goes_to_the_back_and_knows_its_limits() {
    let mut c = client(Product::UsdM, 3);
    let user = c.user_stream();
    let px = (c.price("BTCUSDT") * 0.98).round();
    let o = c.ok(
        "POST",
        ORDER,
        &format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price={px}&newClientOrderId=a.b:c/d_e"
        ),
    );
    let id = o["orderId"].as_i64().unwrap();
    let put = |q: &str| format!("symbol=BTCUSDT&side=BUY&orderId={id}&{q}");
    assert_eq!(c.code("PUT", ORDER, &put(&format!("quantity=0.1&price={px}"))), -5027);
    assert_eq!(c.code("PUT", ORDER, &put(&format!("quantity=0.1&price={px}.05"))), -4014);
    let m = c.ok("PUT", ORDER, &put(&format!("quantity=0.05&price={px}&modifyId=7")));
    assert_eq!(
        (m["origQty"].as_str(), m["modifyId"].as_i64(), m["selfTradePreventionMode"].as_str()),
        (Some("0.050"), Some(7), Some("NONE"))
    );
    assert_eq!(kinds(&c.heard(user)), ["NEW NEW", "AMENDMENT NEW"]);
    assert_eq!(
        c.code(
            "POST",
            ORDER,
            &format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price={px}&newClientOrderId=a.b:c/d_e"
            )
        ),
        -4116
    );
    let gone = c.ok("DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=a.b:c/d_e");
    assert_eq!(
        (gone["status"].as_str(), gone["clientOrderId"].as_str()),
        (Some("CANCELED"), Some("a.b:c/d_e")),
        "its own id"
    );
    assert_eq!(c.code("DELETE", ORDER, &format!("symbol=BTCUSDT&orderId={id}")), -2011);
    let all = c.ok("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT");
    assert_eq!(all["code"], 200, "also when nothing was open");
    // A post-only order that would cross after the change is cancelled.
    let o = c.ok("POST", ORDER, &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.1&price={px}"));
    let put =
        format!("symbol=BTCUSDT&side=BUY&orderId={}&quantity=0.1&price={}", o["orderId"], (px / 0.98).round() + 500.0);
    assert_eq!(c.ok("PUT", ORDER, &put)["status"], "CANCELED");
}

#[test]
fn batches_answer_item_by_item() {
    let mut c = client(Product::UsdM, 4);
    let px = (c.price("BTCUSDT") * 0.98).round();
    let item = |q: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"{q}","price":"{px}"}}"#
        )
    };
    let text = format!("[{},{}]", item("0.01"), item("0.0001"));
    let encoded: String = text
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    let out = c.ok("POST", "/fapi/v1/batchOrders", &format!("batchOrders={encoded}"));
    assert_eq!((out[0]["status"].as_str(), out[1]["code"].as_i64()), (Some("NEW"), Some(-1111)));
    let list = format!("%5B{},1%5D", out[0]["orderId"]);
    let gone = c.ok("DELETE", "/fapi/v1/batchOrders", &format!("symbol=BTCUSDT&orderIdList={list}"));
    assert_eq!((gone[0]["status"].as_str(), gone[1]["code"].as_i64()), (Some("CANCELED"), Some(-2011)));
    let again = c.ok("POST", "/fapi/v1/batchOrders", &format!("batchOrders={encoded}"));
    let list = format!("symbol=BTCUSDT&orderidlist=%5B{}%5D", again[0]["orderId"]);
    assert_eq!(c.ok("DELETE", "/fapi/v1/batchOrders", &list)[0]["status"], "CANCELED", "without capitals");
    assert_eq!(c.code("DELETE", "/fapi/v1/batchOrders", "symbol=BTCUSDT"), -1102);
    assert_eq!(c.code("POST", "/fapi/v1/batchOrders", "batchOrders=%5B%5D"), -4082);
}

#[test]
fn a_trade_names_its_pair_and_base_size() {
    let mut c = client(Product::UsdM, 6);
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.02");
    let trades = c.ok("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    let first = &trades[0];
    assert_eq!((first["pair"].as_str(), &first["baseQty"]), (Some("BTCUSDT"), &first["qty"]));
}

#[test]
fn premium_candles_are_rates_and_no_prices() {
    let mut c = client(Product::UsdM, 6);
    let rows = c.ok("GET", "/fapi/v1/premiumIndexKlines", "symbol=BTCUSDT&interval=1m&limit=2");
    let marks = c.ok("GET", "/fapi/v1/markPriceKlines", "symbol=BTCUSDT&interval=1m&limit=2");
    assert_eq!((&rows[0][0], &rows[0][6]), (&marks[0][0], &marks[0][6]), "the same minutes");
    assert_eq!((rows[0][1].as_str(), rows[0].as_array().map(Vec::len)), (Some("0.00000000"), Some(12)));
}

#[test]
fn settings_of_an_account() {
    let mut c = client(Product::UsdM, 5);
    let user = c.user_stream();
    assert_eq!(c.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=50")["leverage"], 50);
    assert_eq!(c.heard(user)[0]["ac"]["l"], 50);
    assert_eq!(c.code("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=126"), -4028);
    assert_eq!(c.code("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=CROSSED"), -4046);
    c.ok("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=ISOLATED");
    assert_eq!(c.ok("GET", "/fapi/v1/symbolConfig", "symbol=BTCUSDT")[0]["marginType"], "ISOLATED");
    assert_eq!(c.code("POST", "/fapi/v1/positionSide/dual", "dualSidePosition=false"), -4059);
    c.ok("POST", "/fapi/v1/positionSide/dual", "dualSidePosition=true");
    assert_eq!(c.ok("GET", "/fapi/v1/positionSide/dual", "")["dualSidePosition"], true);
    assert_eq!(c.ok("GET", "/fapi/v2/balance", "")[0]["balance"], "100000.00000000", "the wallet moves with the mode");
    assert_eq!(c.code("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01"), -4061);
    assert_eq!(
        c.code("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&positionSide=LONG&reduceOnly=true"),
        -4062
    );
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.02&positionSide=LONG");
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01&positionSide=SHORT");
    let risk = c.ok("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT");
    let rows: Vec<_> = risk
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["positionSide"].as_str().unwrap(), p["positionAmt"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("LONG", "0.020"), ("SHORT", "-0.010")]);
    assert_eq!(c.code("POST", "/fapi/v1/positionSide/dual", "dualSidePosition=false"), -4068);
    assert_eq!(c.code("POST", "/fapi/v1/multiAssetsMargin", "multiAssetsMargin=false"), -4171);
}

#[test]
fn conditional_orders_wait_trigger_and_finish() {
    let mut c = client(Product::UsdM, 6);
    let user = c.user_stream();
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    let px = c.price("BTCUSDT");
    let algo = "/fapi/v1/algoOrder";
    let base = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL";
    assert_eq!(
        c.code("POST", algo, &format!("{base}&type=STOP_MARKET&quantity=0.1&triggerPrice={}", px.round() + 100.0)),
        -2021
    );
    assert_eq!(
        c.code(
            "POST",
            algo,
            &format!("{base}&type=STOP_MARKET&quantity=0.1&closePosition=true&triggerPrice={}", px.round() - 100.0)
        ),
        -4137
    );
    c.heard(user);
    let stop = format!("{:.1}", px * 0.9998);
    let a = c.ok(
        "POST",
        algo,
        &format!("{base}&type=STOP_MARKET&closePosition=true&triggerPrice={stop}&clientAlgoId=guard"),
    );
    assert_eq!(
        (a["algoStatus"].as_str(), a["orderType"].as_str(), a["clientAlgoId"].as_str()),
        (Some("NEW"), Some("STOP_MARKET"), Some("guard"))
    );
    let far =
        c.ok("POST", algo, &format!("{base}&type=TRAILING_STOP_MARKET&quantity=0.1&callbackRate=10&reduceOnly=true"));
    assert_eq!(c.ok("GET", "/fapi/v1/openAlgoOrders", "").as_array().unwrap().len(), 2);
    let gone = c.ok("DELETE", algo, &format!("algoId={}", far["algoId"]));
    assert_eq!(gone["code"], "200", "a text here");
    assert_eq!(c.ok("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT")["code"], 200);
    assert_eq!(c.ok("GET", "/fapi/v1/openAlgoOrders", "").as_array().unwrap().len(), 1, "untouched by cancel-all");
    c.heard(user);
    for _ in 0..900 {
        c.pass(1_000);
        if c.ok("GET", algo, "clientAlgoId=guard")["algoStatus"] == "FINISHED" {
            break;
        }
    }
    let done = c.ok("GET", algo, "clientAlgoId=guard");
    assert_eq!((done["algoStatus"].as_str(), done["actualQty"].as_str()), (Some("FINISHED"), Some("0.100")));
    let all = kinds(&c.heard(user));
    let at = |what: &str| all.iter().position(|k| k == what).unwrap_or_else(|| panic!("no {what} in {all:?}"));
    assert!(at("algo TRIGGERING") < at("NEW NEW") && at("NEW NEW") < at("TRADE FILLED"), "{all:?}");
    assert!(at("algo TRIGGERED") < at("algo FINISHED"));
    assert_eq!(c.ok("GET", "/fapi/v3/positionRisk", "").as_array().unwrap().len(), 0);
}

#[test]
fn the_dead_mans_switch_cancels() {
    let mut c = client(Product::UsdM, 7);
    let px = (c.price("BTCUSDT") * 0.96).round();
    c.ok("POST", ORDER, &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price={px}"));
    assert_eq!(
        c.ok("POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=5000")["countdownTime"],
        "5000"
    );
    c.pass(4_000);
    c.ok("POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT&countdownTime=5000");
    c.pass(4_900);
    assert_eq!(c.ok("GET", "/fapi/v1/openOrders", "").as_array().unwrap().len(), 1);
    c.pass(200);
    assert_eq!(c.ok("GET", "/fapi/v1/openOrders", "").as_array().unwrap().len(), 0);
}

#[test]
fn listen_keys_live_an_hour() {
    let mut c = client(Product::UsdM, 8);
    let user = c.user_stream();
    let key = c.key.clone();
    let same: Value = serde_json::from_str(&c.raw("POST", "/fapi/v1/listenKey", "", Some(&key)).body).unwrap();
    // The key it already has, good for another hour; pings are answered meanwhile.
    assert_eq!(c.raw("PUT", "/fapi/v1/listenKey", "", Some(&key)).status, 200);
    for _ in 0..61 {
        c.pass(60_000);
        c.twin.ws_pong(c.now, user);
    }
    let heard = c.heard(user);
    let last = heard.iter().find(|e| e["e"] == "listenKeyExpired").unwrap();
    assert_eq!((last["listenKey"].clone(), last["E"].is_string()), (same["listenKey"].clone(), true));
    assert_eq!(
        serde_json::from_str::<Value>(&c.raw("PUT", "/fapi/v1/listenKey", "", Some(&key)).body).unwrap()["code"],
        -1125
    );
    c.ok("POST", ORDER, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    assert!(c.heard(user).is_empty(), "the socket stays open and hears nothing");
}

#[test]
fn margin_is_added_to_isolated_positions() {
    const MARGIN: &str = "/fapi/v1/positionMargin";
    let mut c = client(Product::UsdM, 57);
    assert_eq!(c.code("POST", MARGIN, "symbol=BTCUSDT&amount=10&type=1"), -4054);
    c.ok("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=ISOLATED");
    c.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=10");
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    let user = c.user_stream();
    let wallet = |c: &mut Client| num(&c.ok("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT")[0]["isolatedWallet"]);
    let before = wallet(&mut c);
    let done = c.ok("POST", MARGIN, "symbol=BTCUSDT&amount=100.5&type=1");
    assert_eq!((done["code"].as_i64(), done["amount"].as_f64()), (Some(200), Some(100.5)));
    assert!((wallet(&mut c) - before - 100.5).abs() < 1e-6);
    let e = &c.heard(user)[0]["a"];
    assert_eq!((e["m"].as_str(), e["P"][0]["mt"].as_str()), (Some("MARGIN_TRANSFER"), Some("isolated")));
    for (query, code) in [
        ("symbol=BTCUSDT&amount=200&type=2", -4051),
        ("symbol=BTCUSDT&amount=99999999&type=1", -4050),
        ("symbol=BTCUSDT&amount=0&type=1", -4055),
        ("symbol=BTCUSDT&amount=1&type=3", -1130),
        ("symbol=BTCUSDT&amount=1&type=1&positionSide=LONG", -4061),
    ] {
        assert_eq!(c.code("POST", MARGIN, query), code, "{query}");
    }
    c.ok("POST", MARGIN, "symbol=BTCUSDT&amount=100&type=2");
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.1&reduceOnly=true");
    assert_eq!(wallet(&mut c), 0.0);
}
