//! Money on the wire ties out to the last decimal, whatever was traded and whatever went wrong on the way.

use super::*;
use ctos_types::Decimal;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn d(v: &Value) -> Decimal {
    v.as_str().unwrap().parse().unwrap()
}

/// Start plus every trade's flows, against the balances the account is told.
fn spot_ties_out(c: &mut Client) {
    let mut want: BTreeMap<String, Decimal> = BTreeMap::new();
    for (asset, amount) in AccountSetting::test(c.twin_seed()).spot {
        want.insert(asset.to_string(), amount);
    }
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        for t in c.ok("GET", "/api/v3/myTrades", &format!("symbol={symbol}&limit=1000")).as_array().unwrap() {
            let sign = |on: bool, x: Decimal| if on { x } else { -x };
            let buy = t["isBuyer"].as_bool().unwrap();
            *want.entry(symbol[..3].into()).or_default() += sign(buy, d(&t["qty"]));
            *want.entry("USDT".into()).or_default() += sign(!buy, d(&t["quoteQty"]));
            *want.entry(t["commissionAsset"].as_str().unwrap().into()).or_default() -= d(&t["commission"]);
        }
    }
    let account = c.ok("GET", "/api/v3/account", "omitZeroBalances=true");
    for b in account["balances"].as_array().unwrap() {
        let asset = b["asset"].as_str().unwrap();
        assert_eq!(d(&b["free"]) + d(&b["locked"]), want[asset], "{asset}");
    }
    // Fills never exceed orders, and closed orders hold nothing.
    let mut locked = Decimal::ZERO;
    for o in c.ok("GET", "/api/v3/openOrders", "").as_array().unwrap() {
        assert!(d(&o["executedQty"]) < d(&o["origQty"]));
        if o["side"] == "BUY" {
            let left = d(&o["origQty"]) - d(&o["executedQty"]);
            locked += left.mul(d(&o["price"]), ctos_types::Rounding::HalfEven).unwrap();
        }
    }
    let usdt = account["balances"].as_array().unwrap().iter().find(|b| b["asset"] == "USDT").unwrap();
    assert_eq!(d(&usdt["locked"]), locked);
}

impl Client {
    fn twin_seed(&self) -> u64 {
        SEED
    }
}

const SEED: u64 = 51;

const FAULTS: [&str; 6] = [
    r#"{"kind":"lost"}"#,
    r#"{"kind":"reply_lost"}"#,
    r#"{"kind":"error","text":"timeout","executed":true}"#,
    r#"{"kind":"error","text":"unavailable","executed":false}"#,
    r#"{"kind":"half_reply"}"#,
    r#"{"kind":"limit","retry_after":1}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn spot(steps in prop::collection::vec((0u8..8, any::<bool>(), 1u32..400, -300i32..300, 0usize..12), 1..40)) {
        let mut c = client(Product::Spot, SEED);
        let user = c.user_stream();
        for (n, (what, buy, size, offset, fault)) in steps.into_iter().enumerate() {
            if let Some(fault) = FAULTS.get(fault) {
                c.admin(&format!(r#"{{"do":"rule","rule":{{"on":"request","named":"POST /api/v3/order","fault":{fault}}}}}"#));
            }
            let symbol = if size % 2 == 0 { "BTCUSDT" } else { "ETHUSDT" };
            let side = if buy { "BUY" } else { "SELL" };
            let px = c.price(symbol) * (1.0 + f64::from(offset) / 20_000.0);
            let qty = f64::from(size) / 1_000.0;
            let base = format!("symbol={symbol}&side={side}&quantity={qty:.4}&newClientOrderId=o{n}");
            match what {
                0 | 1 => drop(c.call("POST", "/api/v3/order", &format!("{base}&type=MARKET"))),
                2..=4 => drop(c.call("POST", "/api/v3/order", &format!("{base}&type=LIMIT&timeInForce=GTC&price={px:.2}"))),
                5 => drop(c.call("POST", "/api/v3/order", &format!("{base}&type=LIMIT&timeInForce=IOC&price={px:.2}"))),
                6 => drop(c.call("DELETE", "/api/v3/openOrders", &format!("symbol={symbol}"))),
                _ => c.pass(i64::from(size) * 20),
            }
        }
        // What the stream said last about each asset is what the account says now.
        c.admin(r#"{"do":"behave"}"#);
        spot_ties_out(&mut c);
        let mut told: BTreeMap<String, Value> = BTreeMap::new();
        for e in c.heard(user) {
            for b in e["event"]["B"].as_array().into_iter().flatten() {
                told.insert(b["a"].as_str().unwrap().into(), b.clone());
            }
        }
        let account = c.ok("GET", "/api/v3/account", "");
        for b in account["balances"].as_array().unwrap() {
            if let Some(t) = told.get(b["asset"].as_str().unwrap()) {
                prop_assert_eq!((&t["f"], &t["l"]), (&b["free"], &b["locked"]));
            }
        }
    }

    #[test]
    fn usdm(steps in prop::collection::vec((0u8..8, any::<bool>(), 2u32..400, -300i32..300), 1..40)) {
        let mut c = client(Product::UsdM, SEED);
        for (what, buy, size, offset) in steps {
            let side = if buy { "BUY" } else { "SELL" };
            let px = c.price("BTCUSDT") * (1.0 + f64::from(offset) / 20_000.0);
            let qty = f64::from(size) / 1_000.0;
            let base = format!("symbol=BTCUSDT&side={side}&quantity={qty:.3}");
            match what {
                0 | 1 => drop(c.call("POST", "/fapi/v1/order", &format!("{base}&type=MARKET"))),
                2..=4 => drop(c.call("POST", "/fapi/v1/order", &format!("{base}&type=LIMIT&timeInForce=GTC&price={px:.1}"))),
                5 => drop(c.admin(r#"{"do":"funding","symbol":"BTCUSDT","rate":"0.00012345"}"#)),
                6 => drop(c.call("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT")),
                _ => c.pass(i64::from(size) * 20),
            }
        }
        let income = c.ok("GET", "/fapi/v1/income", "limit=1000&startTime=1");
        let sum = income.as_array().unwrap().iter().fold(Decimal::from_int(100_000), |s, l| s + d(&l["income"]));
        let balance = c.ok("GET", "/fapi/v2/balance", "");
        prop_assert_eq!(d(&balance[0]["balance"]), sum);
        let trades = c.ok("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT&limit=1000");
        let signed = |t: &Value| if t["buyer"] == true { d(&t["qty"]) } else { -d(&t["qty"]) };
        let position = trades.as_array().unwrap().iter().fold(Decimal::ZERO, |s, t| s + signed(t));
        let risk = c.ok("GET", "/fapi/v2/positionRisk", "symbol=BTCUSDT");
        prop_assert_eq!(d(&risk[0]["positionAmt"]), position);
    }
}
