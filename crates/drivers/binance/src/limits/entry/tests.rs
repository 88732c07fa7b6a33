use super::*;
use crate::errors;
use crate::limits::BinanceWords;
use crate::request::{Params, Stamp};
use crate::sign::Credentials;
use crate::symbols::Product;
use ctos_link::gateway::{Answer, BaseNo, Budget, Draft, VenueWords};
use ctos_types::{Nanos, UnixNanos};
use proptest::prelude::*;
use std::sync::Arc;

fn words() -> (BinanceWords, crate::limits::Route) {
    let mut words = BinanceWords::new();
    let base = words.base(Product::Spot, "https://host");
    let keys = Arc::new(Credentials::new(&"k".repeat(64), "secret").unwrap());
    let route = words.account("one", Profile::Spot, base, keys, Some(5_000));
    let route = words.over_websocket(route, Profile::Spot, "wss://host/ws-api/v3");
    (words, route)
}

fn place() -> Call {
    let params = Params::new().text("symbol", "BTCUSDT").text("side", "BUY").int("orderId", 7);
    Call::signed(Method::Post, "/api/v3/order", 1, params).purpose(Purpose::Order)
}

#[test]
fn orders_have_messages_and_nothing_else_has() {
    let (mut words, route) = words();
    assert_eq!(words.entries(), [(BaseNo(0), "wss://host/ws-api/v3".to_string())]);
    let cost: Vec<_> = words.connect_cost("wss://host/ws-api/v3").iter().map(|(_, n)| n).collect();
    assert_eq!(cost, [2]);
    let at = UnixNanos(1_645_423_376_532_000_000);
    let draft = route.draft(place());
    assert!(draft.has_message());
    let text = draft.write_message(at, 42).unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((value["id"].as_u64(), value["method"].as_str()), (Some(42), Some("order.place")));
    assert_eq!(value["params"]["apiKey"].as_str(), Some("k".repeat(64).as_str()), "each message proves itself");
    assert!(value["params"]["timestamp"] == 1_645_423_376_532i64 && value["params"]["recvWindow"] == 5_000);
    assert_eq!(value["params"]["orderId"], 7);
    let call = crate::request::WsCall {
        method: "order.place",
        security: place().security,
        purpose: Purpose::Order,
        cost: place().cost,
        params: place().query,
    };
    let stamp = Stamp { timestamp_ms: 1_645_423_376_532, recv_window_ms: Some(5_000) };
    let auth = Some(crate::request::WsAuth::Each(route.keys().unwrap()));
    assert_eq!(text, call.build(42, auth, stamp).unwrap());
    for call in [
        Call::signed(Method::Get, "/api/v3/order", 4, Params::new()),
        Call::signed(Method::Delete, "/api/v3/openOrders", 1, Params::new()).purpose(Purpose::Reduce),
        Call { body: Params::new().text("a", "b"), ..place() },
    ] {
        let draft = route.draft(call);
        assert!(!draft.has_message() && draft.write_message(at, 1).is_none(), "{draft:?}");
    }
    // Another address of the same host, and cross margin, stay with REST.
    for (profile, address) in [(Profile::Spot, "wss://other"), (Profile::Margin, "wss://host/ws-api/v3")] {
        let plain = crate::limits::Route { entry: None, ..route.clone() };
        let other = words.over_websocket(plain, profile, address);
        assert!(!other.draft(place()).has_message(), "{profile} {address}");
    }
    assert!(!words.public(BaseNo(0)).draft(place()).has_message());
}

#[test]
fn every_change_of_an_order_has_its_method() {
    let cases = [
        (Profile::Spot, Method::Delete, "/api/v3/order", Some("order.cancel")),
        (Profile::Spot, Method::Post, "/api/v3/order/cancelReplace", Some("order.cancelReplace")),
        (Profile::Spot, Method::Put, "/api/v3/order/amend/keepPriority", Some("order.amend.keepPriority")),
        (Profile::UsdM, Method::Post, "/fapi/v1/order", Some("order.place")),
        (Profile::UsdM, Method::Put, "/fapi/v1/order", Some("order.modify")),
        (Profile::UsdM, Method::Delete, "/fapi/v1/order", Some("order.cancel")),
        (Profile::UsdM, Method::Post, "/fapi/v1/algoOrder", Some("algoOrder.place")),
        (Profile::UsdM, Method::Delete, "/fapi/v1/algoOrder", Some("algoOrder.cancel")),
        (Profile::UsdM, Method::Delete, "/fapi/v1/allOpenOrders", None),
        (Profile::UsdM, Method::Post, "/fapi/v1/countdownCancelAll", None),
        (Profile::Margin, Method::Post, "/sapi/v1/margin/order", None),
        (Profile::Margin, Method::Post, "/api/v3/order", None),
    ];
    for (profile, verb, path, want) in cases {
        let call = Call::signed(verb, path, 1, Params::new()).purpose(Purpose::Reduce);
        assert_eq!(method(profile, &call), want, "{profile} {path}");
    }
}

#[test]
fn a_success_reads_like_an_http_answer() {
    let text = r#"{ "id":7, "status":200,"result":{"orderId":1,"s":"a\"}b"},
        "rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3},
        {"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":160000,"count":9},
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":55},
        {"rateLimitType":"SOMETHING","interval":"WEEK","intervalNum":1,"limit":1,"count":1}]} "#;
    let EntryFrame::Reply { id, status, headers, body } = read(text) else { panic!("a reply") };
    assert_eq!((id, status, &*body), (Some(7), 200, br#"{"orderId":1,"s":"a\"}b"}"#.as_slice()));
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(header("x-mbx-order-count-10s"), Some("3"));
    assert_eq!(header("x-mbx-order-count-1d"), Some("9"));
    assert_eq!((header("x-mbx-used-weight-1m"), headers.len()), (Some("55"), 3));
    let (words, route) = words();
    let cost = route.cost("/api/v3/order", place().cost);
    let at = UnixNanos(0);
    let answer = Answer::Http { status, headers: &headers, body: &body, sent: at, received: at };
    let mut told = Vec::new();
    words.budgets(BaseNo(0), &cost, &answer, &mut told);
    let totals: Vec<u64> =
        told.iter().filter_map(|b| if let Budget::Used { total, .. } = b { Some(*total) } else { None }).collect();
    assert_eq!(totals, [3, 9, 55]);
}

/// What an error of the WebSocket API is for desks and budgets.
fn refused(text: &str) -> (errors::ErrorReply, Vec<Budget>) {
    let EntryFrame::Reply { status, headers, body, .. } = read(text) else { panic!("a reply: {text}") };
    let (words, route) = words();
    let at = UnixNanos(0);
    let answer = Answer::Http { status, headers: &headers, body: &body, sent: at, received: at };
    let mut told = Vec::new();
    words.budgets(BaseNo(0), &route.cost("/api/v3/order", place().cost), &answer, &mut told);
    let wait = headers.iter().find(|(n, _)| n == "retry-after").and_then(|(_, v)| v.parse().ok());
    (errors::read(Profile::Spot, status, wait, &body), told)
}

#[test]
fn errors_read_like_http_answers() {
    let (reply, told) = refused(
        r#"{"id":1,"status":400,"error":{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}}"#,
    );
    assert_eq!((reply.verdict, told), (errors::Verdict::Clock, vec![Budget::Clock]));
    let (reply, told) = refused(
        r#"{"id":1,"status":429,"error":{"code":-1003,"msg":"Too many requests.","data":{"serverTime":1000,"retryAfter":3500}}}"#,
    );
    assert_eq!((reply.verdict, reply.retry_after), (errors::Verdict::RateLimited, Some(Nanos::from_secs(3))));
    assert!(matches!(told[..], [Budget::Limited { retry_after: Some(_), .. }]), "{told:?}");
    let (reply, told) = refused(
        r#"{"id":1,"status":418,"error":{"code":-1003,"msg":"Way too much request weight used; IP banned until 1659146400000.","data":{"serverTime":1659146300000,"retryAfter":1659146400000}}}"#,
    );
    assert_eq!((reply.verdict, reply.banned_until_ms), (errors::Verdict::RateLimited, Some(1_659_146_400_000)));
    let [Budget::Banned { retry_after: Some(wait), .. }] = told[..] else { panic!("{told:?}") };
    assert_eq!(wait, Nanos::from_secs(100));
    let (reply, _) = refused(
        r#"{"id":1,"status":409,"error":{"code":-2021,"msg":"Order cancel-replace partially failed.","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{},"newOrderResponse":{"code":-2010,"msg":"x"}}}}"#,
    );
    assert_eq!((reply.verdict, reply.data["cancelResult"].as_str()), (errors::Verdict::Partly, Some("SUCCESS")));
    for status in [500, 502, 503, 504] {
        let (reply, told) = refused(&format!(r#"{{"id":1,"status":{status},"error":{{"code":-1000,"msg":"?"}}}}"#));
        assert_eq!((reply.verdict, told.len()), (errors::Verdict::Unknown, 0));
    }
    // Without an error: nobody knows.
    let (reply, _) = refused(r#"{"id":1,"status":503}"#);
    assert_eq!(reply.verdict, errors::Verdict::Unknown);
}

#[test]
fn frames_that_are_no_replies() {
    let shutdown = r#"{"event":{"e":"serverShutdown","E":1}}"#;
    assert_eq!(read(shutdown), EntryFrame::Closing);
    assert_eq!(read(r#"{"e":"serverShutdown","E":1}"#), EntryFrame::Closing);
    for other in
        ["", "x", "[]", "{}", "{\"status\":200", r#"{"status":"a"}"#, r#"{"status":200}x"#, r#"{"event":{"e":"x"}}"#]
    {
        assert_eq!(read(other), EntryFrame::Other, "{other}");
    }
    // To nobody: the key was revoked.
    let text =
        r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}"#;
    assert!(matches!(read(text), EntryFrame::Reply { id: None, status: 401, .. }));
    assert!(matches!(read(r#"{"id":"7","status":200,"result":{}}"#), EntryFrame::Reply { id: None, .. }));
}

proptest! {
    /// The parts of a frame are the ones that a general parser finds.
    #[test]
    fn fields_are_what_a_parser_reads(text in "[ \n]{0,2}\\{(\"[a-z]{1,3}\"[ ]?:[ ]?(\\{\"a\":\\[1,\"\\}\"\\]\\}|null|-?[1-9][0-9]{0,3}|\"[a-z\\\\]{0,4}\"),?){0,4}\\}[ ]?") {
        let parsed: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text).ok();
        let ours = fields(&text);
        prop_assert_eq!(parsed.is_some(), ours.is_some(), "{}", text);
        for (name, value) in ours.into_iter().flatten() {
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            // Of a name that comes twice a parser keeps the last.
            let twice = parsed.as_ref().unwrap().len() < fields(&text).unwrap().len();
            prop_assert!(twice || parsed.as_ref().unwrap()[name] == value);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(&text);
        let _ = read(&String::from_utf8_lossy(&bytes));
        let _ = read(&format!("{{\"status\":418,\"error\":{text},\"rateLimits\":{text}}}"));
    }
}
