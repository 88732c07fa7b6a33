//! Market streams: books that can be kept by the venue's rules, envelopes, pings, ends.

use super::*;
use std::collections::BTreeMap;

type Side = BTreeMap<String, String>;

fn apply(side: &mut Side, rows: &Value) {
    for row in rows.as_array().unwrap() {
        let (price, qty) = (row[0].as_str().unwrap().to_string(), row[1].as_str().unwrap().to_string());
        if qty.parse::<f64>().unwrap() == 0.0 {
            side.remove(&price)
        } else {
            side.insert(price, qty)
        };
    }
}

/// Keeps a book by each market's rule and compares it with the venue's own after a while.
fn keeps_a_book(product: Product, stream: &str, depth: &str, least: i32) {
    let mut c = client(product, 11);
    let conn = c.open(stream);
    // Ends on a beat, so that everything shown was published.
    c.pass(1_000);
    let (_, snapshot) = c.get(depth, "symbol=BTCUSDT&limit=1000");
    let last = snapshot["lastUpdateId"].as_i64().unwrap();
    c.pass(30_000);
    let (_, fresh) = c.get(depth, "symbol=BTCUSDT&limit=1000");
    let (mut bids, mut asks) = (Side::new(), Side::new());
    apply(&mut bids, &snapshot["bids"]);
    apply(&mut asks, &snapshot["asks"]);
    let (mut at, mut applied, mut previous) = (last, 0, None);
    for e in c.heard(conn) {
        assert_eq!((e["e"].as_str(), e["s"].as_str()), (Some("depthUpdate"), Some("BTCUSDT")));
        let (first, end) = (e["U"].as_i64().unwrap(), e["u"].as_i64().unwrap());
        if product == Product::UsdM {
            if let Some(p) = previous {
                assert_eq!(e["pu"].as_i64(), Some(p), "the chain holds");
            }
            previous = Some(end);
        } else {
            assert!(end < at || first <= at + 1, "no gap");
        }
        if end <= last {
            continue;
        }
        apply(&mut bids, &e["b"]);
        apply(&mut asks, &e["a"]);
        (at, applied) = (end, applied + 1);
    }
    assert!(applied >= least, "{applied}");
    assert_eq!(at, fresh["lastUpdateId"].as_i64().unwrap());
    for (kept, rows) in [(&bids, &fresh["bids"]), (&asks, &fresh["asks"])] {
        let mut want = Side::new();
        apply(&mut want, rows);
        assert_eq!(*kept, want);
    }
}

#[test]
fn spot_books_can_be_kept() {
    keeps_a_book(Product::Spot, "/ws/btcusdt@depth@100ms", "/api/v3/depth", 50);
    keeps_a_book(Product::Spot, "/ws/btcusdt@depth", "/api/v3/depth", 25);
}

#[test]
fn usdm_books_can_be_kept() {
    keeps_a_book(Product::UsdM, "/public/ws/btcusdt@depth@100ms", "/fapi/v1/depth", 50);
    keeps_a_book(Product::UsdM, "/public/ws/btcusdt@depth", "/fapi/v1/depth", 50);
}

#[test]
fn requests_on_a_socket() {
    let mut c = client(Product::Spot, 12);
    let conn = c.open("/stream?streams=btcusdt@trade/ethusdt@bookTicker");
    c.pass(3_000);
    let heard = c.heard(conn);
    assert!(heard.iter().any(|e| e["stream"] == "btcusdt@trade" && e["data"]["e"] == "trade"));
    assert!(heard.iter().any(|e| e["stream"] == "ethusdt@bookTicker" && e["data"].get("e").is_none()));
    for (text, want) in [
        (r#"{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":7}"#, r#"{"result":null,"id":7}"#),
        (r#"{"method":"LIST_SUBSCRIPTIONS","id":"x"}"#, r#"{"result":["ethusdt@bookTicker"],"id":"x"}"#),
        (r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#, r#"{"result":true,"id":1}"#),
        (
            r#"{"method":"SET_PROPERTY","params":["combined",5],"id":1}"#,
            r#"{"code":1,"msg":"Invalid value type: expected Boolean","id":1}"#,
        ),
    ] {
        c.pass(1_000);
        c.heard(conn);
        c.say(conn, text);
        assert_eq!(c.heard(conn), [serde_json::from_str::<Value>(want).unwrap()], "{text}");
    }
    c.pass(1_000);
    c.heard(conn);
    c.say(conn, "nonsense");
    assert_eq!(c.heard(conn)[0]["code"], 3);
    c.say(conn, r#"{"method":"SUBSCRIBE","params":["nothing@atall"],"id":2}"#);
    assert!(c.heard(conn)[0]["result"].is_null(), "unknown names are accepted");
}

#[test]
fn usdm_routes_decide_what_is_heard() {
    let mut c = client(Product::UsdM, 13);
    let old = c.open("/stream?streams=btcusdt@markPrice@1s/btcusdt@bookTicker");
    let market =
        c.open("/market/stream?streams=btcusdt@markPrice@1s/btcusdt@bookTicker/!markPrice@arr@1s/btcusdt@kline_1m");
    c.pass(5_000);
    let names = |all: Vec<Value>| -> std::collections::BTreeSet<String> {
        all.iter().map(|e| e["stream"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(c.heard(old)).into_iter().collect::<Vec<_>>(), ["btcusdt@bookTicker"], "only what is public");
    assert_eq!(
        names(c.heard(market)).into_iter().collect::<Vec<_>>(),
        ["!markPrice@arr@1s", "btcusdt@kline_1m", "btcusdt@markPrice@1s"]
    );
    assert!(c.try_open("/nowhere/ws").is_err());
}

#[test]
fn candles_close_once() {
    let mut c = client(Product::Spot, 14);
    let conn = c.open("/ws/btcusdt@kline_1m");
    c.pass(125_000);
    let all = c.heard(conn);
    let closed: Vec<i64> = all.iter().filter(|e| e["k"]["x"] == true).map(|e| e["k"]["t"].as_i64().unwrap()).collect();
    assert_eq!(closed, [crate::number::ms(START), crate::number::ms(START) + 60_000]);
    let (_, rows) = c.get("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=3");
    let last = all.iter().rfind(|e| e["k"]["x"] == true).unwrap();
    let row = rows.as_array().unwrap().iter().find(|r| r[0] == last["k"]["t"]).unwrap();
    assert_eq!(
        (&row[1], &row[4], &row[5], &row[8]),
        (&last["k"]["o"], &last["k"]["c"], &last["k"]["v"], &last["k"]["n"])
    );
    let (status, json) = c.get("/api/v3/klines", "symbol=BTCUSDT&interval=7m");
    assert_eq!((status, json["code"].as_i64()), (400, Some(-1120)));
}

#[test]
fn silence_and_age_end_connections() {
    let mut c = client(Product::Spot, 15);
    let (deaf, good) = (c.open("/ws/btcusdt@miniTicker"), c.open("/ws/btcusdt@miniTicker"));
    let mut pings = 0;
    for _ in 0..12 {
        c.pass(10_000);
        for o in std::mem::take(&mut c.frames) {
            match o.frame {
                Frame::Ping(_) if o.conn == good => {
                    pings += 1;
                    c.twin.ws_pong(c.now, good);
                }
                Frame::Close(code, _) => assert_eq!((o.conn, code), (deaf, 1008), "{:?}", c.now),
                _ => {}
            }
        }
    }
    assert_eq!(pings, 6, "every twenty seconds");
    c.admin(r#"{"do":"life","ms":200000}"#);
    c.pass(90_000);
    c.twin.ws_pong(c.now, good);
    let closed = c.frames.iter().any(|o| o.conn == good && matches!(o.frame, Frame::Close(1008, _)));
    assert!(closed, "a life is over");
    let chatty = c.open("/ws");
    for n in 0..6 {
        c.say(chatty, &format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{n}}}"#));
    }
    assert!(
        c.frames.iter().any(|o| o.conn == chatty && matches!(o.frame, Frame::Close(1008, _))),
        "five messages a second"
    );
}

#[test]
fn same_inputs_same_outputs() {
    let run = || {
        let mut c = client(Product::UsdM, 16);
        let conn = c.open("/public/ws/btcusdt@depth@100ms/ethusdt@bookTicker");
        let user = c.user_stream();
        c.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1");
        c.pass(5_000);
        (c.heard(conn), c.heard(user), c.truth())
    };
    assert_eq!(run(), run());
}
