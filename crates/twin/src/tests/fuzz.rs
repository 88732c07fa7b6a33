//! No input makes the twin panic.

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;

thread_local! {
    // Made once: opening a market costs more than a case.
    static TWINS: RefCell<[Client; 2]> = RefCell::new([client(Product::Spot, 61), client(Product::UsdM, 61)]);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z]{0,12}",
        "-?[0-9]{0,25}(\\.[0-9]{0,22})?",
        Just("BTCUSDT".to_string()),
        Just("BUY".to_string()),
        Just("LIMIT".to_string()),
        Just("STOP_MARKET".to_string()),
        Just("TRAILING_STOP_MARKET".to_string()),
        Just("GTC".to_string()),
        Just("0.01".to_string()),
        Just("99999999999999999999".to_string()),
        "%[0-9A-F]{0,2}",
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u32>().prop_map(|n| n.to_string()),
        "-?[0-9]{1,4}",
        Just("null".to_string())
    ]
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("test".to_string()),
        Just("BTCUSDT".to_string()),
        Just("USDT".to_string()),
        Just("BUY".to_string()),
        Just("BREAK".to_string()),
        Just("LOT_SIZE".to_string()),
        "-?[0-9]{1,20}(\\.[0-9]{1,20})?",
        "[A-Za-z0-9*@ /]{0,12}",
    ]
}

/// `#n` is a number, `$n` a text.
const DEEDS: [&str; 29] = [
    r##"{"do":"rule","rule":{"on":"request","named":"$0","skip":#0,"times":#1,"fault":{"kind":"error","text":"html","executed":true}}}"##,
    r##"{"do":"rule","rule":{"on":"market","named":"*","chance":0.5,"times":#1,"fault":{"kind":"hold","ms":#0}}}"##,
    r##"{"do":"rule","rule":{"on":"user","named":"$0","fault":{"kind":"swap"}}}"##,
    r##"{"do":"remove_rule","number":#0}"##,
    r##"{"do":"skew","ms":#0}"##,
    r##"{"do":"drift","ppm":#0}"##,
    r##"{"do":"invisible","ms":#0}"##,
    r##"{"do":"stall","on":true}"##,
    r##"{"do":"snapshot_age","ms":#0}"##,
    r##"{"do":"life","ms":#0}"##,
    r##"{"do":"ban","secs":#0}"##,
    r##"{"do":"close","code":#0}"##,
    r##"{"do":"shutdown"}"##,
    r##"{"do":"expire_keys"}"##,
    r##"{"do":"cancel","account":"$0","order_id":#0}"##,
    r##"{"do":"foreign","account":"test","symbol":"$0","side":"$1","quantity":"$2","price":null}"##,
    r##"{"do":"foreign","account":"test","symbol":"BTCUSDT","side":"BUY","quantity":"0.01","price":"$2"}"##,
    r##"{"do":"fill","account":"test","order_id":#0,"quantity":"$0"}"##,
    r##"{"do":"overfill","account":"test","order_id":#0,"quantity":"$0"}"##,
    r##"{"do":"adl","account":"test","symbol":"$0","quantity":"$1"}"##,
    r##"{"do":"liquidate","account":"$0"}"##,
    r##"{"do":"margin_call","account":"$0"}"##,
    r##"{"do":"funding","symbol":"$0","rate":"$1"}"##,
    r##"{"do":"transfer","account":"test","asset":"$0","amount":"$1"}"##,
    r##"{"do":"symbol","symbol":"XRPUSDT","change":{"status":"$0","filter":{"filterType":"$1","stepSize":"$2","minQty":"$2","limit":#0}}}"##,
    r##"{"do":"delist","symbol":"$0","remove":false}"##,
    r##"{"do":"later","ms":#0,"every_ms":#1,"deed":{"do":"skew","ms":#2}}"##,
    r##"{"do":"revoke_key","api_key":"$0"}"##,
    r##"{"do":"add_key","account":"test","key":{"api_key":"$0","material":{"type":"RSA","public_key":"$1"}}}"##,
];

const NAMES: [&str; 24] = [
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "stopPrice",
    "triggerPrice",
    "quoteOrderQty",
    "limit",
    "startTime",
    "endTime",
    "fromId",
    "orderId",
    "origClientOrderId",
    "interval",
    "timeZone",
    "trailingDelta",
    "callbackRate",
    "activatePrice",
    "algoType",
    "newQty",
    "goodTillDate",
    "countdownTime",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn requests(at in 0usize..400, params in prop::collection::vec((0usize..NAMES.len(), value()), 0..8), usdm in any::<bool>()) {
        TWINS.with_borrow_mut(|twins| {
            let c = &mut twins[usize::from(usdm)];
            let all: Vec<_> = crate::rest::endpoints(c.twin.product()).collect();
            let e = all[at % all.len()];
            let mut query = String::new();
            for (n, (name, value)) in params.iter().enumerate() {
                if params[..n].iter().all(|(m, _)| m != name) {
                    query += &format!("{}{}={value}", if query.is_empty() { "" } else { "&" }, NAMES[*name]);
                }
            }
            let reply = c.signed(e.method, e.path, &query);
            prop_assert!(reply.status < 500);
            c.pass(3);
            prop_assert!(serde_json::from_str::<Value>(&reply.body).is_ok(), "{}", reply.body);
            Ok(())
        })?;
    }

    #[test]
    fn frames(text in prop_oneof![
        any::<String>(),
        "\\{\"method\":\"(SUBSCRIBE|UNSUBSCRIBE|SET_PROPERTY|order.place|depth|session.logon)\",\"params\":(\\[\"[a-z@_0-9]{0,16}\"\\]|\\{\"[a-zA-Z]{0,8}\":(1|\"x\"|null|\\[\\])\\}),\"id\":(1|\"a\"|null|-1|1.5|\\{\\})\\}",
    ], path in 0usize..3) {
        TWINS.with_borrow_mut(|twins| {
            let (usdm, path) = [(0, "/ws"), (1, "/market/stream"), (0, "/ws-api/v3")][path];
            let c = &mut twins[usdm];
            let conn = c.open(path);
            c.say(conn, &text);
            let replies = c.heard(conn);
            c.twin.ws_close(c.now, conn);
            c.pass(3);
            prop_assert_eq!(replies.len(), 1);
            Ok(())
        })?;
    }

    // The operator's port: deeds of every kind, with numbers nobody would write.
    #[test]
    fn deeds(kind in 0usize..DEEDS.len(), numbers in prop::collection::vec(number(), 3), texts in prop::collection::vec(word(), 3), text in any::<String>(), raw in 0usize..20) {
        TWINS.with_borrow_mut(|twins| {
            for c in twins {
                let n = |k: usize| numbers[k].clone();
                let t = |k: usize| texts[k].clone();
                let json = DEEDS[kind].replace("#0", &n(0)).replace("#1", &n(1)).replace("#2", &n(2));
                let json = json.replace("$0", &t(0)).replace("$1", &t(1)).replace("$2", &t(2));
                let json = if raw == 0 { text.clone() } else { json };
                let _ = c.twin.admin(c.now, &json);
                c.pass(120);
                prop_assert!(serde_json::from_str::<Value>(&c.twin.truth(c.now)).is_ok());
                let _ = c.twin.admin(c.now, r#"{"do":"behave"}"#);
            }
            Ok(())
        })?;
    }

    // Signed calls of the WebSocket API, where the same parameters come as JSON.
    #[test]
    fn methods(at in 0usize..200, params in prop::collection::vec((0usize..NAMES.len(), value(), any::<bool>()), 0..8), usdm in any::<bool>()) {
        TWINS.with_borrow_mut(|twins| {
            let c = &mut twins[usize::from(usdm)];
            let all = crate::ws_api::methods(c.twin.product());
            let mut object = serde_json::Map::new();
            for (name, value, number) in &params {
                let bare = number.then(|| serde_json::from_str::<Value>(value).ok()).flatten();
                object.insert(NAMES[*name].into(), bare.unwrap_or_else(|| value.as_str().into()));
            }
            object.insert("apiKey".into(), c.key.clone().into());
            object.insert("timestamp".into(), c.ms().into());
            let pairs: Vec<(String, String)> = object.iter().map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_string))).collect();
            let payload = crate::sign::ws_payload(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            object.insert("signature".into(), c.sign(&String::from_utf8(payload).unwrap()).into());
            let request = serde_json::json!({ "id": 7, "method": all[at % all.len()], "params": object });
            let conn = c.open(if usdm { "/ws-fapi/v1" } else { "/ws-api/v3" });
            c.say(conn, &request.to_string());
            let replies = c.heard(conn);
            c.twin.ws_close(c.now, conn);
            c.pass(3);
            prop_assert_eq!(replies.iter().filter(|r| r["id"] == 7).count(), 1);
            Ok(())
        })?;
    }

    // Bytes a client never sends, in query and body at once.
    #[test]
    fn bytes(at in 0usize..400, query in "([a-zA-Z]{0,8}=?[%&a-z0-9\\[\\]\"{}:,.+-]{0,12}){0,3}", body in any::<String>(), usdm in any::<bool>()) {
        TWINS.with_borrow_mut(|twins| {
            let c = &mut twins[usize::from(usdm)];
            let all: Vec<_> = crate::rest::endpoints(c.twin.product()).collect();
            let e = all[at % all.len()];
            let payload = format!("{query}&timestamp={}{body}", c.ms());
            let query = format!("{query}&timestamp={}&signature={}", c.ms(), c.sign(&payload));
            let key = c.key.clone();
            let request = Request { method: e.method, path: e.path, query: &query, body: &body, api_key: Some(&key), micros: true, from: IP };
            let reply = c.twin.rest(c.now, &request);
            c.twin.drain(&mut c.frames);
            c.frames.clear();
            prop_assert!(reply.status < 500);
            Ok(())
        })?;
    }

    #[test]
    fn paths(path in "/(ws|stream|public|market|private|ws-api)?/?[a-z@%0-9/]{0,20}", query in "[a-z=&/@%0-9]{0,30}") {
        TWINS.with_borrow_mut(|twins| {
            for c in twins {
                if let Ok(conn) = c.try_open(&format!("{path}?{query}")) {
                    c.pass(1);
                    c.twin.ws_close(c.now, conn);
                }
            }
        });
    }
}
