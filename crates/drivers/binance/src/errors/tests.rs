use super::*;
use ctos_types::InstanceTag;
use proptest::prelude::*;
use std::ops::RangeInclusive;

fn id() -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(7), seq: 1 }
}

fn of(profile: Profile, status: u16, code: i64, msg: &str) -> ErrorReply {
    read(profile, status, None, format!(r#"{{"code":{code},"msg":"{msg}"}}"#).as_bytes())
}

fn verdict(profile: Profile, status: u16, code: i64, msg: &str) -> Verdict {
    of(profile, status, code, msg).verdict
}

#[test]
fn one_code_two_meanings() {
    use RejectReason as R;
    use Verdict::{Partly, Rejected};
    for (code, spot, usdm) in [
        (-2021, Partly, Rejected(R::WouldTriggerImmediately)),
        (-2022, Rejected(R::Other), Rejected(R::ReduceOnly)),
        (-2026, Rejected(R::UnknownOrder), Rejected(R::Unsupported)),
    ] {
        assert_eq!(verdict(Profile::Spot, 400, code, "x"), spot);
        assert_eq!(verdict(Profile::Margin, 400, code, "x"), spot);
        assert_eq!(verdict(Profile::UsdM, 400, code, "x"), usdm);
    }
    assert_ne!(of(Profile::Spot, 400, -1108, "").line, of(Profile::UsdM, 400, -1108, "").line);
    assert_eq!(verdict(Profile::Spot, 400, -1008, ""), Verdict::Unknown);
    assert_eq!(verdict(Profile::UsdM, 503, -1008, ""), Verdict::NotDone);
}

#[test]
fn texts_tell_where_a_code_does_not() {
    use RejectReason as R;
    for (msg, reason) in [
        ("Account has insufficient balance for requested action.", R::InsufficientBalance),
        ("Duplicate order sent.", R::DuplicateClientOrderId),
        ("Order would immediately match and take.", R::PostOnlyWouldTake),
        ("Order would trigger immediately.", R::WouldTriggerImmediately),
        ("Market is closed.", R::InstrumentNotTrading),
        ("This symbol is not permitted for this account.", R::InstrumentNotTrading),
        ("Order book liquidity is less than LOT_SIZE filter minimum quantity.", R::NoLiquidity),
        ("Price * QTY is zero or less.", R::BadQty),
        ("Something new.", R::Other),
    ] {
        assert_eq!(verdict(Profile::Spot, 400, -2010, msg), Verdict::Rejected(reason), "{msg}");
    }
    for (filter, reason) in [
        ("PRICE_FILTER", R::BadPrice),
        ("PERCENT_PRICE_BY_SIDE", R::BadPrice),
        ("LOT_SIZE", R::BadQty),
        ("MARKET_LOT_SIZE", R::BadQty),
        ("NOTIONAL", R::MinNotional),
        ("MIN_NOTIONAL", R::MinNotional),
        ("MAX_NUM_ALGO_ORDERS", R::TooManyOrders),
        ("ICEBERG_PARTS", R::Other),
    ] {
        let msg = format!("Filter failure: {filter}");
        assert_eq!(verdict(Profile::Spot, 400, -1013, &msg), Verdict::Rejected(reason), "{msg}");
    }
}

#[test]
fn what_is_doubtful_is_unknown() {
    for profile in [Profile::Spot, Profile::Margin, Profile::UsdM] {
        for (status, body) in [
            (500, ""),
            (502, "<html>Bad gateway</html>"),
            (504, "{}"),
            (408, r#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#),
            (400, "not JSON"),
            (403, "<html>forbidden</html>"),
            (503, r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#),
            (400, r#"{"code":-1006,"msg":"An unexpected response was received"}"#),
            (200, r#"{"code":-2010,"msg":"x"}"#),
        ] {
            let reply = read(profile, status, None, body.as_bytes());
            assert_eq!(reply.verdict, Verdict::Unknown, "{profile} {status} {body}");
            assert_eq!(reply.of_order(id()), Some(VenueError::UnknownState(id())));
        }
        // Spot: any 5xx, whatever it says.
        assert_eq!(verdict(Profile::Spot, 503, -2010, "Duplicate order sent."), Verdict::Unknown);
    }
    for (code, msg, want) in [
        (-1, "Service Unavailable.", Verdict::NotDone),
        (-1001, "Internal error; unable to process your request. Please try again.", Verdict::NotDone),
        (-1008, "Request throttled by system-level protection.", Verdict::NotDone),
        (-1000, "Unknown error, please check your request or try again later.", Verdict::Unknown),
        (-1, "A text nobody has seen", Verdict::Unknown),
    ] {
        assert_eq!(verdict(Profile::UsdM, 503, code, msg), want, "{msg}");
        assert_eq!(verdict(Profile::UsdM, 502, code, msg), Verdict::Unknown, "{msg}");
    }
}

#[test]
fn limits_and_bans_say_how_long() {
    let e = read(Profile::UsdM, 429, Some(7), br#"{"code":-1003,"msg":"Too many requests."}"#);
    assert_eq!((e.verdict, e.pause()), (Verdict::RateLimited, Nanos::from_secs(7)));
    assert_eq!(e.of_order(id()), Some(VenueError::RateLimited { retry_after: Nanos::from_secs(7) }));
    let ban = "Way too much request weight used; IP banned until 1659146400000. Please use WebSocket Streams.";
    let e = read(Profile::Spot, 418, None, format!(r#"{{"code":-1003,"msg":"{ban}"}}"#).as_bytes());
    assert_eq!((e.banned_until_ms, e.pause()), (Some(1_659_146_400_000), Nanos::from_secs(120)));
    assert_eq!(read(Profile::Spot, 418, None, b"").verdict, Verdict::RateLimited);
    let ws = serde_json::json!({"code": -1003, "msg": "x", "data": {"serverTime": 1_000, "retryAfter": 4_000}});
    assert_eq!(read_ws(Profile::Spot, 429, &ws).pause(), Nanos::from_secs(3));
}

#[test]
fn replies_become_the_words_of_errors() {
    let e = of(Profile::UsdM, 400, -2019, "Margin is insufficient.");
    let want = VenueError::Rejected { reason: RejectReason::InsufficientBalance, code: "-2019".into() };
    assert_eq!(e.of_order(id()), Some(want));
    assert_eq!(
        e.to_string(),
        "not enough margin (binance -2019: Margin is insufficient.)\nhint: add margin, or make the order smaller"
    );
    assert!(matches!(of(Profile::Spot, 401, -2015, "x").of_query(), VenueError::Auth(_)));
    assert!(matches!(of(Profile::Spot, 400, -1021, "x").of_order(id()), Some(VenueError::Auth(_))));
    assert_eq!(of(Profile::UsdM, 400, -4046, "No need to change margin type.").of_order(id()), None);
    assert_eq!(of(Profile::UsdM, 400, -9999, "new").verdict, Verdict::Rejected(RejectReason::Other));
    assert_eq!(of(Profile::UsdM, 400, -4205, "x").line, "this leverage is not open to this account or symbol");
    let part = serde_json::json!({"code": -2022, "msg": "ReduceOnly Order is rejected."});
    assert_eq!(read_part(Profile::UsdM, &part).unwrap().verdict, Verdict::Rejected(RejectReason::ReduceOnly));
    assert_eq!(read_part(Profile::UsdM, &serde_json::json!({"code": 200, "msg": "success"})), None);
}

#[test]
fn every_row_has_its_line_and_hint_and_is_reached() {
    for (at, row) in TABLE.iter().enumerate() {
        assert!(!row.line.is_empty() && !row.hint.is_empty() && !row.line.ends_with('.'), "{row:?}");
        let profile = if row.market == Market::UsdM { Profile::UsdM } else { Profile::Spot };
        let found = find(profile, *row.codes.start(), row.text).unwrap();
        assert_eq!(found, row, "row {at} is behind another one");
    }
}

/// What the venue documents, by where it holds; none of it may fall through to "an unknown refusal".
#[test]
fn every_documented_code_has_its_line() {
    let both: &[RangeInclusive<i64>] = &[
        -1003..=-1000,
        -1008..=-1006,
        -1016..=-1013,
        -1022..=-1020,
        -1106..=-1100,
        -1111..=-1111,
        -1117..=-1115,
        -1121..=-1121,
        -1125..=-1125,
        -1128..=-1127,
        -1130..=-1130,
        -2011..=-2010,
        -2015..=-2013,
    ];
    let spot: &[i64] = &[-1034, -1145, -1220, -2021, -2022, -2026, -2035, -2036, -2038, -2039, -2042, -2043];
    let margin: &[i64] = &[-3006, -3027, -3041, -3067];
    let usdm: &[i64] = &[
        -1099, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025, -2026, -2027, -2028, -4001, -4002, -4003, -4004,
        -4005, -4013, -4014, -4015, -4016, -4023, -4024, -4028, -4045, -4046, -4047, -4048, -4059, -4060, -4061, -4062,
        -4067, -4068, -4082, -4083, -4087, -4088, -4109, -4116, -4117, -4118, -4120, -4131, -4137, -4138, -4140, -4141,
        -4161, -4164, -4168, -4171, -4183, -4184, -4192, -4202, -4203, -4204, -4205, -4206, -4207, -4208, -4209, -4400,
        -4401, -4402, -4403, -4531, -5021, -5022, -5024, -5025, -5026, -5027, -5028, -5029, -5037, -5038, -5039, -5040,
        -5041, -5043,
    ];
    let everywhere = [Profile::Spot, Profile::Margin, Profile::UsdM];
    let rows = both.iter().cloned().flatten().flat_map(|code| everywhere.map(|p| (p, code)));
    let rows = rows.chain(spot.iter().chain(margin).flat_map(|c| [(Profile::Spot, *c), (Profile::Margin, *c)]));
    for (profile, code) in rows.chain(usdm.iter().map(|c| (Profile::UsdM, *c))) {
        let reply = of(profile, 400, code, "");
        assert!(find(profile, code, "").is_some(), "{profile} {code}: no row");
        assert!(!reply.line.is_empty() && !reply.hint.is_empty(), "{profile} {code}");
    }
    assert!(find(Profile::Spot, -9999, "").is_none());
}

/// `docs/venues/binance.md` carries the table. `UPDATE=1 cargo test -p ctos-driver-binance` writes it anew.
#[test]
fn the_documentation_has_this_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/venues/binance.md");
    let have = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- errors: generated -->\n", "<!-- end of errors -->");
    let (head, rest) = have.split_once(begin).expect("the mark before the table");
    let (_, tail) = rest.split_once(end).expect("the mark behind the table");
    let want = format!("{head}{begin}{}{end}{tail}", markdown());
    if want != have && std::env::var("UPDATE").as_deref() == Ok("1") {
        std::fs::write(&path, &want).unwrap();
        return;
    }
    assert_eq!(have, want, "docs/venues/binance.md is stale: UPDATE=1 cargo test -p ctos-driver-binance");
}

proptest! {
    #[test]
    fn no_reply_makes_it_panic(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..80), wait in any::<Option<u32>>()) {
        for profile in [Profile::Spot, Profile::UsdM] {
            let e = read(profile, status, wait, &body);
            let _ = (e.of_order(id()), e.pause(), e.to_string());
        }
    }

    #[test]
    fn no_code_makes_it_panic(status in any::<u16>(), code in -6000i64..10, msg in ".{0,40}", at in any::<i64>(), until in any::<i64>()) {
        let body = serde_json::json!({"code": code, "msg": msg, "data": {"serverTime": at, "retryAfter": until}});
        let e = read_ws(Profile::UsdM, status, &body);
        prop_assert!(e.pause() >= Nanos::ZERO);
        // A refusal needs a status that says so.
        if matches!(e.verdict, Verdict::Rejected(_) | Verdict::Already) {
            prop_assert!((400..500).contains(&status));
        }
    }
}
