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
