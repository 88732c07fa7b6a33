use super::*;
use proptest::prelude::*;

// The venue's published example keys: they open nothing.
pub const SPOT_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
pub const SPOT_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const ED_KEY: &str = "4yNzx3yWC5bS6YTwEkSRaC0nRmSQIIStAUOh1b6kqaBrTLIhjCpI5lJH8q8R8WNO";
pub const ED_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

fn spot() -> Credentials {
    Credentials::new(SPOT_KEY, SPOT_SECRET).unwrap()
}

fn stamp(timestamp_ms: i64, window: u32) -> Stamp {
    Stamp { timestamp_ms, recv_window_ms: (window > 0).then_some(window) }
}

fn order(symbol: &'static str) -> Params {
    Params::new().text("symbol", symbol).text("side", "BUY").text("type", "LIMIT").text("timeInForce", "GTC")
}

fn place(query: Params, body: Params) -> Call {
    Call { body, ..Call::signed(Method::Post, "/api/v3/order", 1, query) }
}

#[test]
fn rest_query_is_encoded_stamped_and_signed_last() {
    let sized = |p: Params| p.int("quantity", 1).text("price", "0.1");
    let call = place(sized(order("LTCBTC")), Params::default());
    let sent = call.build(Some(&spot()), stamp(1_499_827_319_559, 5_000)).unwrap();
    assert_eq!(
        sent.target,
        "/api/v3/order?symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&\
         timestamp=1499827319559&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    );
    assert_eq!((sent.method.as_str(), sent.body.as_str(), sent.keyed), ("POST", "", true));
    let wide = place(sized(order("１２３４５６")), Params::default());
    let sent = wide.build(Some(&spot()), stamp(1_499_827_319_559, 5_000)).unwrap();
    assert!(sent.target.contains("symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&"), "{}", sent.target);
    assert!(sent.target.ends_with("&signature=e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"));
}

#[test]
fn with_a_body_query_and_body_are_signed_as_one() {
    let body = Params::new().text("batchOrders", "[{\"symbol\":\"BTCUSDT\"}]");
    let call = place(Params::new().text("a", "b"), body);
    let sent = call.build(Some(&spot()), stamp(1, 0)).unwrap();
    assert_eq!(sent.target, "/api/v3/order?a=b&timestamp=1");
    let (payload, signature) = sent.body.split_once("&signature=").unwrap();
    assert_eq!(payload, "batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%7D%5D");
    assert_eq!(signature, spot().sign(format!("a=b&timestamp=1{payload}").as_bytes()));
}

#[test]
fn base64_signatures_are_percent_encoded_in_a_url() {
    let keys = Credentials::new(ED_KEY, ED_PEM).unwrap();
    let call = place(Params::new().text("symbol", "BTCUSDT"), Params::default());
    let sent = call.build(Some(&keys), stamp(1_668_481_559_918, 5_000)).unwrap();
    let (_, signature) = sent.target.split_once("&signature=").unwrap();
    assert!(signature.ends_with("%3D%3D") && !signature.contains(['+', '/', '=']), "{signature}");
}

#[test]
fn who_needs_a_key_says_so() {
    let public = Call::public("/api/v3/time", 1, Params::default());
    let sent = public.build(None, stamp(0, 0)).unwrap();
    assert_eq!((sent.target.as_str(), sent.keyed), ("/api/v3/time", false));
    let keyed = Call::new(Method::Post, "/fapi/v1/listenKey", Security::Keyed, Cost::weight(1), Params::default());
    assert_eq!(keyed.build(None, stamp(0, 0)), Err(NoKey));
    let sent = keyed.build(Some(&spot()), stamp(0, 0)).unwrap();
    assert_eq!((sent.target.as_str(), sent.keyed), ("/fapi/v1/listenKey", true));
    let bare = Call::signed(Method::Get, "/api/v3/account", 20, Params::default());
    assert!(bare.build(Some(&spot()), stamp(7, 0)).unwrap().target.starts_with("/api/v3/account?timestamp=7&sig"));
}

fn ws(method: &'static str, params: Params) -> WsCall {
    WsCall { method, security: Security::Signed, purpose: Purpose::Order, cost: Cost::weight(1), params }
}

#[test]
fn websocket_requests_sort_and_sign_raw_text() {
    let params = Params::new()
        .text("symbol", "１２３４５６")
        .text("side", "BUY")
        .text("type", "LIMIT")
        .text("timeInForce", "GTC")
        .text("price", "0.10000000")
        .text("quantity", "1.00000000");
    let text =
        ws("order.place", params).build(7, Some(WsAuth::Each(&spot())), stamp(1_645_423_376_532, 5_000)).unwrap();
    let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&frame["id"], &frame["method"]), (&7.into(), &"order.place".into()));
    assert_eq!(frame["params"]["timestamp"], 1_645_423_376_532i64, "times are integers");
    assert_eq!(frame["params"]["price"], "0.10000000", "decimals are text");
    assert_eq!(frame["params"]["symbol"], "１２３４５６", "raw, not percent-encoded");
    assert_eq!(frame["params"]["signature"], "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd");
}

#[test]
fn a_logged_on_socket_needs_the_time_only() {
    let keys = Credentials::new(ED_KEY, ED_PEM).unwrap();
    let logon = ws("session.logon", Params::new()).build(1, Some(WsAuth::Each(&keys)), stamp(1_649_729_878_532, 0));
    let frame: serde_json::Value = serde_json::from_str(&logon.unwrap()).unwrap();
    assert_eq!(
        frame["params"]["signature"],
        "NBJq5sX1RkU7ta3XDctruMgnrhyBcouMvvPIxxQSCUbVWxhp3ai6W7a0Iip/3nOwmJxkVIv6n20cekYCOa5qAg=="
    );
    let later = ws("account.status", Params::new()).build(2, Some(WsAuth::LoggedOn), stamp(5, 0)).unwrap();
    assert_eq!(later, r#"{"id":2,"method":"account.status","params":{"timestamp":5}}"#);
    assert_eq!(ws("account.status", Params::new()).build(2, None, stamp(5, 0)), Err(NoKey));
    let ping = WsCall { security: Security::Public, ..ws("ping", Params::new()) };
    assert_eq!(ping.build(3, None, stamp(5, 0)).unwrap(), r#"{"id":3,"method":"ping"}"#);
}

fn decode(text: &str) -> Vec<u8> {
    let (mut out, bytes, mut at) = (Vec::new(), text.as_bytes(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
        let mut out = String::new();
        percent_encode(&text, &mut out);
        prop_assert!(out.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        prop_assert_eq!(decode(&out), text.as_bytes());
        let mut json = String::new();
        json_text(&text, &mut json);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
