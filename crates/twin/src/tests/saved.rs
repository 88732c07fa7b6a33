//! A twin that is taken up again is the one that was left.

use super::*;
use crate::saved::{Entry, Market, State};

/// What a server keeps: a state and the lines after it.
struct Kept {
    state: String,
    lines: String,
}

impl Client {
    fn keep(&mut self) -> Kept {
        self.twin.record();
        Kept { state: serde_json::to_string(&self.twin.state()).unwrap(), lines: String::new() }
    }

    fn note(&mut self, kept: &mut Kept) {
        kept.lines += &self.twin.take_record();
    }

    /// The same client with a twin made of what was kept, at the client's time.
    fn again(&self, product: Product, kept: &Kept, change: impl FnOnce(&mut TwinConfig)) -> Client {
        let mut next = client_with(product, 71, |_| ());
        let mut config = TwinConfig::new(product, 71, START);
        config.limits =
            LimitSettings { weight: Some(1_000_000), orders_10s: Some(1_000_000), ..LimitSettings::default() };
        change(&mut config);
        let state: State = serde_json::from_str(&kept.state).unwrap();
        let lines: Vec<Entry> = kept.lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        next.twin = Twin::resume(config, Market::Synthetic(71), state, &lines, self.now).unwrap();
        next.now = self.now;
        next
    }
}

/// Orders, fills, balances and settings of every kind on either product.
fn trade(c: &mut Client, kept: &mut Kept) {
    let spot = c.twin.product() == Product::Spot;
    let px = c.price("BTCUSDT").round();
    let path = if spot { "/api/v3/order" } else { "/fapi/v1/order" };
    for (n, off) in [0.97, 0.98, 0.999].into_iter().enumerate() {
        let price = (px * off).round();
        let id = format!("rest{n}-{}", c.ms());
        c.ok(
            "POST",
            path,
            &format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={price}&newClientOrderId={id}"
            ),
        );
        c.pass(300);
    }
    c.ok("POST", path, "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0.5");
    c.code("POST", path, "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0");
    c.note(kept);
    c.pass(2_000);
    if spot {
        let stop = (px * 0.9).round();
        c.ok(
            "POST",
            path,
            &format!("symbol=BTCUSDT&side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.02&price={stop}&stopPrice={stop}"),
        );
        c.ok(
            "POST",
            "/sapi/v1/margin/order",
            "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=3&sideEffectType=MARGIN_BUY",
        );
    } else {
        let stop = (px * 0.9).round();
        c.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=50");
        c.ok(
            "POST",
            "/fapi/v1/algoOrder",
            &format!(
                "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice={stop}"
            ),
        );
        c.admin(r#"{"do":"funding","symbol":"ETHUSDT","rate":"0.0003"}"#);
    }
    c.admin(r#"{"do":"symbol","symbol":"XRPUSDT","change":{"status":"BREAK"}}"#);
    c.admin(r#"{"do":"rule","rule":{"on":"request","times":3,"named":"GET /nothing","fault":{"kind":"lost"}}}"#);
    c.raw("GET", "/nothing", "", None);
    c.note(kept);
}

/// Everything a client can ask for that must not be lost.
fn view(c: &mut Client) -> Vec<Value> {
    let paths: &[(&str, &str)] = if c.twin.product() == Product::Spot {
        &[
            ("/api/v3/openOrders", ""),
            ("/api/v3/allOrders", "symbol=BTCUSDT"),
            ("/api/v3/allOrders", "symbol=ETHUSDT"),
            ("/api/v3/myTrades", "symbol=ETHUSDT"),
            ("/api/v3/trades", "symbol=BTCUSDT"),
            ("/api/v3/klines", "symbol=BTCUSDT&interval=1m"),
            ("/api/v3/aggTrades", "symbol=BTCUSDT"),
            ("/sapi/v1/margin/account", ""),
            ("/sapi/v1/margin/myTrades", "symbol=ETHUSDT"),
            ("/api/v3/exchangeInfo", ""),
        ]
    } else {
        &[
            ("/fapi/v1/openOrders", ""),
            ("/fapi/v1/allOrders", "symbol=BTCUSDT"),
            ("/fapi/v1/userTrades", "symbol=ETHUSDT"),
            ("/fapi/v1/openAlgoOrders", ""),
            ("/fapi/v1/income", ""),
            ("/fapi/v2/positionRisk", ""),
            ("/fapi/v2/account", ""),
            ("/fapi/v1/symbolConfig", ""),
            ("/fapi/v1/aggTrades", "symbol=BTCUSDT"),
            ("/fapi/v1/premiumIndex", ""),
            ("/fapi/v1/exchangeInfo", ""),
        ]
    };
    let mut all: Vec<Value> = paths
        .iter()
        .map(|(path, query)| match path.contains("exchangeInfo") || path.contains("premium") || path.contains("aggT") {
            true => c.get(path, query).1,
            false if path.ends_with("/trades") || path.ends_with("klines") => c.get(path, query).1,
            false => c.ok("GET", path, query),
        })
        .collect();
    let mut truth = c.truth();
    truth.as_object_mut().unwrap().remove("connections");
    all.push(truth);
    all
}

#[track_caller]
fn same(c: &mut Client, d: &mut Client) {
    for (n, (was, is)) in view(c).into_iter().zip(view(d)).enumerate() {
        match (was.as_array(), is.as_array()) {
            (Some(was), Some(is)) => {
                for (was, is) in was.iter().zip(is) {
                    assert_eq!(was, is, "answer {n}");
                }
                assert_eq!(was.len(), is.len(), "answer {n}");
            }
            _ => assert_eq!(was, is, "answer {n}"),
        }
    }
}

#[test]
fn nothing_that_was_answered_is_lost() {
    for product in [Product::Spot, Product::UsdM] {
        let mut c = client(product, 71);
        c.pass(1_000);
        let mut kept = c.keep();
        trade(&mut c, &mut kept);
        c.pass(30_000);
        trade(&mut c, &mut kept);
        // The machine dies here; somebody starts the twin again later.
        c.pass(45_000);
        let mut d = c.again(product, &kept, |_| ());
        same(&mut c, &mut d);
        // It goes on: the same orders come to the same ends, names are not given twice.
        let place = |c: &mut Client| {
            let path = if product == Product::Spot { "/api/v3/order" } else { "/fapi/v1/order" };
            c.ok("POST", path, "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01&newOrderRespType=RESULT")
        };
        assert_eq!(place(&mut c), place(&mut d));
        for c in [&mut c, &mut d] {
            c.pass(20_000);
        }
        same(&mut c, &mut d);
    }
}

#[test]
fn update_ids_never_go_back() {
    for product in [Product::Spot, Product::UsdM] {
        let mut c = client(product, 71);
        let kept = c.keep();
        c.pass(20_000);
        let path = if product == Product::Spot { "/api/v3/depth" } else { "/fapi/v1/depth" };
        let (_, before) = c.get(path, "symbol=BTCUSDT&limit=20");
        let mut d = c.again(product, &kept, |_| ());
        let (_, after) = d.get(path, "symbol=BTCUSDT&limit=20");
        assert!(after["lastUpdateId"].as_i64() > before["lastUpdateId"].as_i64(), "{product:?}");
        assert_eq!((&before["bids"], &before["asks"]), (&after["bids"], &after["asks"]), "the book is the same");
    }
}

#[test]
fn a_long_absence_is_slept_through() {
    let mut c = client(Product::UsdM, 71);
    let mut kept = c.keep();
    c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    c.note(&mut kept);
    let before = c.price("BTCUSDT");
    c.now = c.now + Nanos::from_secs(40 * 86_400 + 60);
    let mut d = c.again(Product::UsdM, &kept, |_| ());
    assert_eq!(d.ok("GET", "/fapi/v3/positionRisk", "")[0]["positionAmt"], "0.100");
    let after = d.price("BTCUSDT");
    assert!((after / before - 1.0).abs() < 0.02, "the market waited: {before} {after}");
    d.pass(5_000);
    let (_, k) = d.get("/fapi/v1/klines", "symbol=BTCUSDT&interval=1m&limit=3");
    let last = k.as_array().unwrap().last().unwrap()[0].as_i64().unwrap();
    assert!(d.ms() - last < 60_000);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut c = client(Product::Spot, 71);
    let mut kept = c.keep();
    c.ok("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
    c.note(&mut kept);
    let state: State = serde_json::from_str(&kept.state).unwrap();
    let resume = |product: Product, seed: u64, lines: &str| {
        let lines: Vec<Entry> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        Twin::resume(TwinConfig::new(product, seed, START), Market::Synthetic(seed), state.clone(), &lines, START)
    };
    assert!(resume(Product::Spot, 71, &kept.lines).is_ok());
    for (product, seed, lines) in [
        (Product::UsdM, 71, kept.lines.clone()),
        (Product::Spot, 72, kept.lines.clone()),
        (Product::Spot, 71, kept.lines.replace("0.1", "0.2")),
    ] {
        let e = resume(product, seed, &lines).unwrap_err();
        assert!(e.message.contains("cannot be taken up again") && e.hint.contains("another directory"), "{e:?}");
    }
}

#[test]
fn bans_and_rules_survive() {
    let mut c = client(Product::Spot, 71);
    let mut kept = c.keep();
    c.admin(r#"{"do":"rule","rule":{"on":"request","times":2,"named":"GET /api/v3/time","fault":{"kind":"lost"}}}"#);
    c.get("/api/v3/time", "");
    c.admin(r#"{"do":"skew","ms":250}"#);
    c.note(&mut kept);
    let mut d = c.again(Product::Spot, &kept, |_| ());
    let rules = d.truth()["rules"].clone();
    assert_eq!(rules[0]["rule"]["times"], 1);
    d.get("/api/v3/time", "");
    assert_eq!(d.get("/api/v3/time", "").1["serverTime"].as_i64(), Some(d.ms() + 250));
    c.admin(r#"{"do":"ban","secs":60}"#);
    c.note(&mut kept);
    let mut d = c.again(Product::Spot, &kept, |_| ());
    assert_eq!(d.get("/api/v3/ping", "").0, 418);
    d.pass(60_000);
    assert_eq!(d.get("/api/v3/ping", "").0, 200);
}
