//! The WebSocket API: calls, sessions, user data.

use super::*;
use base64::Engine;
use ring::signature::{Ed25519KeyPair, KeyPair};

fn ed25519() -> (Ed25519KeyPair, String) {
    // RFC 8032, test 1.
    let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(pair.public_key().as_ref());
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    (pair, format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"))
}

#[test]
fn a_session_is_logged_on_and_trades() {
    let mut c = client(Product::Spot, 21);
    let (pair, pem) = ed25519();
    let key = "E".repeat(64);
    c.admin(&serde_json::json!({"do": "add_key", "account": "test", "key": {"api_key": key, "material": {"type": "ED25519", "public_key": pem}}}).to_string());
    let conn = c.open("/ws-api/v3");
    let call = |c: &mut Client, text: String| {
        c.say(conn, &text);
        c.heard(conn)
    };
    let r = call(&mut c, r#"{"id":"x","method":"time"}"#.into());
    assert_eq!(
        (r[0]["id"].as_str(), r[0]["status"].as_i64(), r[0]["result"]["serverTime"].as_i64()),
        (Some("x"), Some(200), Some(c.ms()))
    );
    assert_eq!(r[0]["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
    let text = format!(r#"{{"id":1,"method":"account.status","params":{{"timestamp":{}}}}}"#, c.ms());
    let r = call(&mut c, text);
    assert_eq!((r[0]["status"].as_i64(), r[0]["error"]["code"].as_i64()), (Some(401), Some(-2014)));
    let payload = format!("apiKey={key}&timestamp={}", c.ms());
    let signature = base64::engine::general_purpose::STANDARD.encode(pair.sign(payload.as_bytes()));
    let logon = format!(
        r#"{{"id":2,"method":"session.logon","params":{{"apiKey":"{key}","signature":"{signature}","timestamp":{}}}}}"#,
        c.ms()
    );
    let r = call(&mut c, logon);
    assert_eq!(
        (r[0]["result"]["apiKey"].as_str(), r[0]["result"]["userDataStream"].as_bool()),
        (Some(key.as_str()), Some(false))
    );
    let r = call(&mut c, r#"{"id":3,"method":"userDataStream.subscribe"}"#.into());
    assert_eq!(r[0]["result"]["subscriptionId"], 0);
    let r = call(&mut c, r#"{"id":3,"method":"userDataStream.subscribe"}"#.into());
    assert_eq!(r[0]["error"]["code"], -2035);
    let place = format!(
        r#"{{"id":4,"method":"order.place","params":{{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.01","timestamp":{}}}}}"#,
        c.ms()
    );
    let r = call(&mut c, place);
    let (reply, events): (Vec<&Value>, Vec<&Value>) = r.iter().partition(|m| m.get("id").is_some());
    assert_eq!(reply[0]["result"]["status"], "FILLED");
    assert!(events.iter().any(|e| e["event"]["x"] == "TRADE") && events.iter().all(|e| e["subscriptionId"] == 0));
    c.admin(&serde_json::json!({"do": "revoke_key", "api_key": key}).to_string());
    let r = c.heard(conn);
    assert_eq!((r[0]["status"].as_i64(), r[0]["error"]["code"].as_i64()), (Some(401), Some(-2015)));
    let r = call(&mut c, r#"{"id":5,"method":"session.status"}"#.into());
    assert!(r[0]["result"]["apiKey"].is_null());
    let r = call(&mut c, r#"{"id":6,"method":"nothing"}"#.into());
    assert_eq!(r[0]["status"], 404);
}

#[test]
fn hmac_keys_sign_each_request() {
    let mut c = client(Product::UsdM, 22);
    let conn = c.open("/ws-fapi/v1");
    let (key, ms) = (c.key.clone(), c.ms());
    let payload = format!("apiKey={key}&quantity=0.1&side=BUY&symbol=BTCUSDT&timestamp={ms}&type=MARKET");
    let signature = c.sign(&payload);
    let text = format!(
        r#"{{"id":"1","method":"order.place","params":{{"apiKey":"{key}","symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.1","timestamp":{ms},"signature":"{signature}"}}}}"#
    );
    c.say(conn, &text);
    assert_eq!(c.heard(conn)[0]["result"]["status"], "NEW");
    c.say(conn, &text.replace("0.1", "0.2"));
    assert_eq!(c.heard(conn)[0]["error"]["code"], -1022);
    let logon = format!(
        r#"{{"id":2,"method":"session.logon","params":{{"apiKey":"{key}","timestamp":{ms},"signature":"{}"}}}}"#,
        c.sign(&format!("apiKey={key}&timestamp={ms}"))
    );
    c.say(conn, &logon);
    assert_eq!(c.heard(conn)[0]["status"], 400, "a logon needs an Ed25519 key");
}

/// A signed message.
fn signed(c: &Client, id: u32, method: &str, params: &[(&str, &str)]) -> String {
    let ms = c.ms().to_string();
    let mut all: Vec<(&str, &str)> = params.to_vec();
    all.extend([("apiKey", c.key.as_str()), ("timestamp", ms.as_str())]);
    all.sort_unstable();
    let payload: Vec<String> = all.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let signature = c.sign(&payload.join("&"));
    let mut object: serde_json::Map<String, Value> = all.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    object.insert("timestamp".into(), c.ms().into());
    object.insert("signature".into(), signature.into());
    serde_json::json!({"id": id, "method": method, "params": object}).to_string()
}

fn place(c: &Client, id: u32, name: &str) -> String {
    let quote = "40000";
    signed(
        c,
        id,
        "order.place",
        &[
            ("symbol", "BTCUSDT"),
            ("side", "BUY"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "0.01"),
            ("price", quote),
            ("newClientOrderId", name),
        ],
    )
}

fn rule(c: &mut Client, fault: &str) {
    c.admin(&format!(r#"{{"do":"rule","rule":{{"on":"request","named":"POST *","fault":{fault}}}}}"#));
}

fn lives(c: &mut Client, name: &str) -> bool {
    let path = if c.twin.product == Product::Spot { "/api/v3/openOrders" } else { "/fapi/v1/openOrders" };
    let open = c.ok("GET", path, "symbol=BTCUSDT");
    open.as_array().unwrap().iter().any(|o| o["clientOrderId"] == name)
}

#[test]
fn requests_misbehave_over_sockets_as_over_rest() {
    for (product, path) in [(Product::Spot, "/ws-api/v3"), (Product::UsdM, "/ws-fapi/v1")] {
        let mut c = client(product, 23);
        // Fault, whether the order lives after it, status of the reply; `None`: the socket stays without a word.
        let cases: [(&str, bool, Option<i64>); 8] = [
            (r#"{"kind":"error","text":"unknown","executed":false}"#, false, Some(503)),
            (r#"{"kind":"error","text":"unknown","executed":true}"#, true, Some(503)),
            (r#"{"kind":"error","text":"html","executed":true}"#, true, Some(502)),
            (r#"{"kind":"error","text":"timeout","executed":true}"#, true, Some(504)),
            (r#"{"kind":"limit","retry_after":7}"#, false, Some(429)),
            (r#"{"kind":"unheard"}"#, false, None),
            (r#"{"kind":"unanswered"}"#, true, None),
            (r#"{"kind":"delay","before_ms":0,"after_ms":0}"#, true, Some(200)),
        ];
        let conn = c.open(path);
        for (n, (fault, live, status)) in cases.into_iter().enumerate() {
            let name = format!("order{n}");
            rule(&mut c, fault);
            let text = place(&c, n as u32, &name);
            c.say(conn, &text);
            let heard = c.heard(conn);
            assert_eq!(heard.first().and_then(|r| r["status"].as_i64()), status, "{product:?} {fault}: {heard:?}");
            assert_eq!(lives(&mut c, &name), live, "{product:?} {fault}");
            if status == Some(429) {
                let data = &heard[0]["error"]["data"];
                assert_eq!(data["retryAfter"].as_i64().unwrap() - data["serverTime"].as_i64().unwrap(), 7_000);
            }
        }
        for (fault, name, live) in [(r#"{"kind":"lost"}"#, "cut1", false), (r#"{"kind":"reply_lost"}"#, "cut2", true)] {
            let conn = c.open(path);
            rule(&mut c, fault);
            let text = place(&c, 50, name);
            c.say(conn, &text);
            assert!(c.frames.iter().any(|f| f.conn == conn && f.frame == Frame::Cut), "{fault}: {:?}", c.frames);
            assert_eq!(lives(&mut c, name), live, "{product:?} {fault}");
        }
    }
}

#[test]
fn a_message_may_take_its_time_both_ways() {
    let mut c = client(Product::UsdM, 24);
    let conn = c.open("/ws-fapi/v1");
    rule(&mut c, r#"{"kind":"delay","before_ms":400,"after_ms":300}"#);
    let (slow, quick) = (place(&c, 1, "slow"), place(&c, 2, "quick"));
    c.say(conn, &slow);
    c.say(conn, &quick);
    assert_eq!(c.heard(conn)[0]["id"], 2, "another one passes it");
    assert!(!lives(&mut c, "slow"));
    c.pass(400);
    assert!(lives(&mut c, "slow") && c.heard(conn).is_empty());
    c.pass(300);
    let reply = &c.heard(conn)[0];
    assert_eq!((reply["id"].as_i64(), reply["status"].as_i64()), (Some(1), Some(200)));
    // What was said on a socket that is gone is not done.
    rule(&mut c, r#"{"kind":"delay","before_ms":400}"#);
    let gone = place(&c, 3, "gone");
    c.say(conn, &gone);
    let now = c.now;
    c.twin.ws_close(now, conn);
    c.pass(1_000);
    assert!(!lives(&mut c, "gone"));
}

#[test]
fn bans_clocks_and_counts_are_the_same_as_on_rest() {
    let mut c = client(Product::Spot, 25);
    let conn = c.open("/ws-api/v3");
    let text = place(&c, 1, "one");
    c.say(conn, &text);
    let reply = &c.heard(conn)[0];
    let rows = reply["rateLimits"].as_array().unwrap();
    let of = |kind: &str, interval: &str| {
        let row = rows.iter().find(|r| r["rateLimitType"] == kind && r["interval"] == interval);
        row.unwrap_or_else(|| panic!("{kind} {interval}: {reply}"))["count"].as_i64()
    };
    assert_eq!((of("ORDERS", "SECOND"), of("ORDERS", "DAY")), (Some(1), Some(1)));
    assert!(of("REQUEST_WEIGHT", "MINUTE") > Some(0));
    c.admin(r#"{"do":"skew","ms":30000}"#);
    let text = place(&c, 2, "two");
    c.say(conn, &text);
    assert_eq!(c.heard(conn)[0]["error"]["code"], -1021);
    c.admin(r#"{"do":"behave"}"#);
    rule(&mut c, r#"{"kind":"ban","secs":20}"#);
    let text = place(&c, 3, "three");
    c.say(conn, &text);
    let reply = &c.heard(conn)[0];
    assert_eq!((reply["status"].as_i64(), reply["error"]["code"].as_i64()), (Some(418), Some(-1003)));
    let data = &reply["error"]["data"];
    assert_eq!(data["retryAfter"].as_i64().unwrap() - data["serverTime"].as_i64().unwrap(), 20_000);
    assert_eq!(c.call("GET", "/api/v3/openOrders", "").0, 418, "the address is banned, whichever way");
    assert!(c.try_open("/ws-api/v3").is_err());
    c.pass(20_000);
    assert!(lives(&mut c, "one") && !lives(&mut c, "three"));
}
