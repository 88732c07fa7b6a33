use super::*;
use crate::request::{self, Call, Method, Params, Purpose};
use ctos_link::rate::{Lane, Limiter};
use serde_json::json;

fn keys() -> Arc<Credentials> {
    Arc::new(Credentials::new("key", "secret").unwrap())
}

struct Case {
    words: BinanceWords,
    spot: Route,
    usdm: Route,
}

fn case() -> Case {
    let mut words = BinanceWords::new();
    let spot = words.base(Product::Spot, "https://api.test/");
    let usdm = words.base(Product::UsdM, "https://fapi.test");
    assert_eq!(words.base(Product::Spot, "https://api.test"), spot);
    let spot = words.account("one", Profile::Margin, spot, keys(), Some(4_000));
    let usdm = words.account("two", Profile::UsdM, usdm, keys(), None);
    Case { words, spot, usdm }
}

/// Meter names with amounts.
fn named(words: &BinanceWords, cost: &Cost) -> Vec<(String, u32)> {
    cost.iter().map(|(m, n)| (words.meters[m.0 as usize].name.clone(), n)).collect()
}

fn told(
    words: &BinanceWords,
    base: BaseNo,
    cost: &Cost,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Vec<Budget> {
    let headers: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    let (sent, received) = (UnixNanos(0), UnixNanos(1));
    let answer = Answer::Http { status, headers: &headers, body: body.as_bytes(), sent, received };
    let mut out = Vec::new();
    words.budgets(base, cost, &answer, &mut out);
    out
}

#[test]
fn calls_touch_the_counters_they_are_counted_on() {
    let Case { words, spot, usdm } = case();
    let order = request::Cost { weight: 1, uid_weight: 0, orders: 1 };
    let on = |route: &Route, path, cost| named(&words, &route.cost(path, cost));
    let list = |rows: &[(&str, u32)]| rows.iter().map(|(n, a)| (n.to_string(), *a)).collect::<Vec<_>>();
    assert_eq!(
        on(&spot, "/api/v3/order", order),
        list(&[("binance spot weight", 1), ("binance spot requests", 1), ("binance one orders", 1)])
    );
    let margin = request::Cost { weight: 0, uid_weight: 6, orders: 1 };
    assert_eq!(
        on(&spot, "/sapi/v1/margin/order", margin),
        list(&[("binance spot sapi weight", 0), ("binance one sapi weight", 6), ("binance one orders", 1)])
    );
    assert_eq!(
        on(&usdm, "/fapi/v1/fundingRate", request::Cost::weight(0)),
        list(&[("binance USD-M futures weight", 0), ("binance USD-M futures funding requests", 1)])
    );
    let public = words.public(usdm.base());
    assert_eq!(on(&public, "/fapi/v1/depth", request::Cost::weight(20)), list(&[("binance USD-M futures weight", 20)]));
    assert!(public.keys().is_none() && usdm.keys().is_some());
    assert!(!format!("{spot:?}").contains("secret\""));
}

#[test]
fn a_call_is_signed_when_it_is_written() {
    let Case { words, spot, .. } = case();
    let params = Params::new().text("symbol", "BTCUSDT");
    let cost = request::Cost { weight: 1, uid_weight: 0, orders: 1 };
    let call = Call { cost, ..Call::signed(Method::Post, "/api/v3/order", 1, params) }.purpose(Purpose::Order);
    let ask = spot.ask(7, SECOND, call.clone());
    assert_eq!((ask.tag, ask.lane, ask.base, ask.within), (7, Lane::New, spot.base(), SECOND));
    assert!(ask.draft.needs_clock());
    let request = ask.draft.write(UnixNanos(1_700_000_000_123_999_999)).unwrap();
    let want = "/api/v3/order?symbol=BTCUSDT&recvWindow=4000&timestamp=1700000000123&signature=";
    assert!(request.path.starts_with(want), "{}", request.path);
    assert_eq!(request.headers, [("X-MBX-APIKEY", "key".to_string())]);
    let without = words.public(spot.base()).ask(7, SECOND, call).draft.write(UnixNanos(0)).unwrap_err();
    assert!(without.contains("needs an API key"));
    let (base, _, time) = words.ask_time(1);
    assert!(!time.needs_clock());
    assert_eq!((base, time.write(UnixNanos(0)).unwrap().path.as_str()), (BaseNo(1), "/fapi/v1/time"));
    assert_eq!(words.ask_time(2).2.write(UnixNanos(0)).unwrap().path, "/api/v3/time");
    assert_eq!(words.read_time(br#"{"serverTime":1499827319559}"#), Some(UnixNanos::from_millis(1_499_827_319_559)));
    assert_eq!(words.read_time(b"<html>"), None);
}

#[test]
fn headers_are_the_venues_own_count() {
    let Case { words, spot, usdm } = case();
    let headers = [("x-mbx-used-weight-1m", "17"), ("x-mbx-order-count-10s", "3"), ("x-mbx-order-count-1d", "40")];
    let cost = spot.cost("/api/v3/order", request::Cost { weight: 1, uid_weight: 0, orders: 1 });
    let (weight, orders) = (spot.weight, spot.orders.unwrap());
    assert_eq!(
        told(&words, spot.base(), &cost, 200, &headers, "{}"),
        [
            Budget::Used { meter: weight, period: MINUTE, total: 17 },
            Budget::Used { meter: orders, period: TEN_SECONDS, total: 3 },
            Budget::Used { meter: orders, period: DAY, total: 40 },
        ]
    );
    let sapi = [("x-sapi-used-uid-weight-1m", "1500"), ("x-sapi-used-ip-weight-1m", "10"), ("x-mbx-uuid", "7")];
    let meters = [spot.uid.unwrap(), spot.sapi.unwrap()];
    let totals: Vec<Budget> = told(&words, spot.base(), &cost, 200, &sapi, "{}");
    assert_eq!(
        totals,
        [(meters[0], 1_500), (meters[1], 10)].map(|(meter, total)| Budget::Used { meter, period: MINUTE, total })
    );
    // A header that is no number says nothing.
    let cost = Cost::none().and(usdm.weight, 1);
    assert_eq!(told(&words, usdm.base(), &cost, 200, &[("x-mbx-used-weight-1m", "many")], "{}"), []);
}

/// Counts of an account are not another's, though both are reached at one address.
#[test]
fn each_account_has_its_own_count() {
    let Case { mut words, spot, .. } = case();
    let other = words.account("three", Profile::Margin, spot.base(), keys(), None);
    let headers =
        [("x-sapi-used-uid-weight-1m", "3000"), ("x-mbx-order-count-10s", "2"), ("x-mbx-used-weight-1m", "9")];
    let at = |cost: &Cost| told(&words, spot.base(), cost, 200, &headers, "{}");
    let used = |meter, period, total| Budget::Used { meter, period, total };
    let order = request::Cost { weight: 0, uid_weight: 1_500, orders: 1 };
    for route in [&spot, &other] {
        assert_eq!(
            at(&route.cost("/sapi/v1/margin/order", order)),
            [
                used(route.uid.unwrap(), MINUTE, 3_000),
                used(route.orders.unwrap(), TEN_SECONDS, 2),
                used(spot.weight, MINUTE, 9)
            ]
        );
    }
    // Whose they are is not known where the request was counted on neither.
    assert_eq!(at(&spot.cost("/sapi/v1/margin/account", request::Cost::weight(10))), [used(spot.weight, MINUTE, 9)]);
}

#[test]
fn refusals_close_what_they_are_about() {
    let Case { words, spot, usdm } = case();
    let cost = usdm.cost("/fapi/v1/order", request::Cost { weight: 1, uid_weight: 0, orders: 1 });
    let at = |status, headers: &[(&str, &str)], body: &str| told(&words, usdm.base(), &cost, status, headers, body);
    let ten = Some(Nanos::from_secs(10));
    assert_eq!(
        at(429, &[("retry-after", "10")], r#"{"code":-1003,"msg":"Too many requests."}"#),
        [Budget::Limited { meter: usdm.weight, retry_after: ten }]
    );
    assert_eq!(
        at(429, &[], r#"{"code":-1015,"msg":"Too many new orders."}"#),
        [Budget::Limited { meter: usdm.orders.unwrap(), retry_after: None }]
    );
    let banned = r#"{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1573672000123. Please use the websocket."}"#;
    assert_eq!(
        at(418, &[], banned),
        [Budget::Banned {
            group: usdm.group,
            retry_after: None,
            until: Some(UnixNanos::from_millis(1_573_672_000_123))
        }]
    );
    assert_eq!(
        at(418, &[("retry-after", "10")], "<html>"),
        [Budget::Banned { group: usdm.group, retry_after: ten, until: None }]
    );
    assert_eq!(
        at(403, &[], "<html>firewall</html>"),
        [Budget::Limited { meter: usdm.weight, retry_after: Some(FIREWALL) }]
    );
    let clock = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    assert_eq!(at(400, &[], clock), [Budget::Clock]);
    assert_eq!(at(400, &[], r#"{"code":-2019,"msg":"Margin is insufficient."}"#), []);
    assert_eq!(at(503, &[], "Service Unavailable."), []);
    // Where only the account is counted, only the account waits.
    let cost = spot.cost("/sapi/v1/margin/order", request::Cost { weight: 0, uid_weight: 6, orders: 1 });
    let limited = told(&words, spot.base(), &cost, 429, &[], r#"{"code":-1003,"msg":"x"}"#);
    assert_eq!(limited, [Budget::Limited { meter: spot.uid.unwrap(), retry_after: None }]);
    let cost = spot.cost("/sapi/v1/margin/account", request::Cost::weight(10));
    let limited = told(&words, spot.base(), &cost, 429, &[], r#"{"code":-1003,"msg":"x"}"#);
    assert_eq!(limited, [Budget::Limited { meter: spot.sapi.unwrap(), retry_after: None }]);
}

#[test]
fn limits_come_from_the_venue() {
    let Case { mut words, spot, usdm } = case();
    let info = r#"{"timezone":"UTC","serverTime":1,"rateLimits":[
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100},
        {"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000},
        {"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000},
        {"rateLimitType":"CONNECTIONS","interval":"MINUTE","intervalNum":5,"limit":300},
        {"rateLimitType":"ORDERS","interval":"FORTNIGHT","intervalNum":1,"limit":3},
        {"interval":7}],"exchangeFilters":[],"symbols":[]}"#;
    let limit = |meter, period, limit| Budget::Limit { meter, period, limit };
    let orders = spot.orders.unwrap();
    let want = [
        limit(spot.weight, MINUTE, 1_200),
        limit(orders, TEN_SECONDS, 100),
        limit(orders, DAY, 200_000),
        limit(spot.raw.unwrap(), FIVE_MINUTES, 300_000),
    ];
    let cost = Cost::none().and(spot.weight, 20);
    assert_eq!(told(&words, spot.base(), &cost, 200, &[], info), want);
    let value: serde_json::Value = serde_json::from_str(info).unwrap();
    words.set_limits(spot.base(), &read_limits(&value["rateLimits"]));
    let (config, groups, meters) = words.limiter();
    let mut limiter = Limiter::new(config);
    for group in &groups {
        limiter.add_group(group);
    }
    for meter in meters {
        limiter.add_meter(meter);
    }
    let usage: Vec<_> = limiter.usage().filter(|u| u.meter == "binance one orders").map(|u| u.limit).collect();
    assert_eq!(usage, [100, 200_000]);
    assert_eq!(usdm.weight, MeterId(3));
}

#[test]
fn replies_over_the_websocket_count_as_well() {
    let Case { spot, .. } = case();
    let limits = json!([
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":71},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":2}]);
    let told = spot.ws_budgets(Profile::Spot, 200, &limits, &json!(null));
    assert!(told.contains(&Budget::Used { meter: spot.weight, period: MINUTE, total: 71 }));
    assert!(told.contains(&Budget::Used { meter: spot.orders.unwrap(), period: TEN_SECONDS, total: 2 }));
    let error = json!({"code":-1003,"msg":"Way too many","data":{"serverTime":1_000_000_000_000i64,"retryAfter":1_000_000_030_000i64}});
    let told = spot.ws_budgets(Profile::Spot, 418, &json!(null), &error);
    let [Budget::Banned { group, retry_after, .. }] = told[..] else { panic!("{told:?}") };
    assert_eq!((group, retry_after), (spot.group, Some(Nanos::from_secs(30))));
    let told = spot.ws_budgets(Profile::Spot, 429, &json!(null), &json!({"code":-1015,"msg":"x"}));
    assert_eq!(told, [Budget::Limited { meter: spot.orders.unwrap(), retry_after: None }]);
}

#[test]
fn sockets_of_the_websocket_api_cost_weight() {
    let Case { words, spot, usdm } = case();
    assert_eq!(words.connect_cost("wss://x/ws-api/v3"), Cost::none().and(spot.weight, 2));
    assert_eq!(words.connect_cost("wss://x/ws-fapi/v1?a=b"), Cost::none().and(usdm.weight, 5));
    assert_eq!(words.connect_cost("wss://x/public/stream"), Cost::none());
}
