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
