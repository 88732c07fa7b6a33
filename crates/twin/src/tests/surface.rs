//! What the twin answers at all: every call of Binance's tables that it stands for, and what it says no to.

use super::*;
use crate::rest::endpoints;
use crate::ws_api::methods;

/// Method and paths, as the venue's tables have them.
const SPOT: &[(&str, &str)] = &[
    ("GET", "ping time exchangeInfo ticker/price ticker/bookTicker ticker/24hr avgPrice depth trades aggTrades klines"),
    ("GET", "referencePrice executionRules"),
    ("POST", "order order/test order/cancelReplace sor/order"),
    ("DELETE", "order openOrders"),
    ("PUT", "order/amend/keepPriority"),
    ("GET", "order openOrders allOrders account myTrades rateLimit/order account/commission myFilters"),
    ("GET", "myPreventedMatches order/amendments"),
];

const MARGIN: &[(&str, &str)] = &[
    ("POST", "margin/order margin/borrow-repay userListenToken"),
    ("DELETE", "margin/order margin/openOrders"),
    ("GET", "margin/order margin/openOrders margin/myTrades margin/allOrders margin/account"),
    ("GET", "margin/maxBorrowable margin/maxTransferable margin/rateLimit/order account/apiRestrictions"),
];

const USDM: &[(&str, &str)] = &[
    ("GET", "v1/ping v1/time v1/exchangeInfo v2/ticker/price v1/ticker/bookTicker v1/ticker/24hr v1/depth v1/klines"),
    ("GET", "v1/markPriceKlines v1/indexPriceKlines v1/continuousKlines v1/premiumIndexKlines v1/aggTrades v1/trades"),
    ("GET", "v1/premiumIndex v1/fundingRate v1/fundingInfo v1/openInterest"),
    ("POST", "v1/order v1/order/test v1/batchOrders v1/countdownCancelAll v1/algoOrder"),
    ("PUT", "v1/order v1/batchOrders"),
    ("DELETE", "v1/order v1/allOpenOrders v1/batchOrders v1/algoOrder v1/algoOpenOrders"),
    ("GET", "v1/algoOrder v1/openAlgoOrders v1/allAlgoOrders"),
    ("GET", "v1/order v1/openOrder v1/openOrders v1/allOrders v1/userTrades v2/positionRisk v3/positionRisk"),
    ("GET", "v2/balance v3/balance v3/account v2/account v1/accountConfig v1/symbolConfig"),
    ("POST", "v1/leverage v1/marginType v1/positionSide/dual v1/multiAssetsMargin v1/positionMargin"),
    ("GET", "v1/positionSide/dual v1/multiAssetsMargin v1/leverageBracket v1/commissionRate v1/rateLimit/order"),
    ("GET", "v1/income v1/forceOrders"),
    ("POST", "v1/listenKey"),
    ("PUT", "v1/listenKey"),
    ("DELETE", "v1/listenKey"),
];

const SPOT_WS: &str = "order.place order.test order.cancel order.cancelReplace order.amend.keepPriority order.status \
    openOrders.status allOrders myTrades openOrders.cancelAll account.status account.rateLimits.orders \
    account.commission ping time exchangeInfo depth trades.recent trades.aggregate klines ticker.price ticker.book \
    ticker.24hr avgPrice trades.historical referencePrice executionRules sor.order.place myPreventedMatches myFilters";

const USDM_WS: &str = "order.place order.cancel order.modify order.status algoOrder.place algoOrder.cancel \
    v2/account.balance v2/account.status v2/account.position depth ticker.price ticker.book userDataStream.start \
    userDataStream.ping userDataStream.stop";

#[test]
fn every_call_of_the_tables_is_answered() {
    for (product, prefix, table) in
        [(Product::Spot, "/api/v3/", SPOT), (Product::Spot, "/sapi/v1/", MARGIN), (Product::UsdM, "/fapi/", USDM)]
    {
        let mut c = client(product, 3);
        for (method, paths) in table {
            for path in paths.split(' ') {
                let path = format!("{prefix}{path}");
                let there = endpoints(product).any(|e| e.method == *method && e.path == path);
                assert!(there, "{method} {path}");
                // Whatever it says to a bare call, it is not that there is no such path.
                let (status, body) = c.call(method, &path, "");
                assert!(status != 404 && status < 500, "{method} {path}: {status} {body}");
            }
        }
    }
    for (product, names) in [(Product::Spot, SPOT_WS), (Product::UsdM, USDM_WS)] {
        let served = methods(product);
        for name in names.split_whitespace() {
            assert!(served.contains(&name), "{product:?} {name}");
        }
    }
}

#[test]
fn what_is_not_served_is_said() {
    let mut c = client(Product::Spot, 3);
    // Isolated margin: there is no such account.
    for (method, path, query) in [
        ("POST", "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&isIsolated=TRUE"),
        ("DELETE", "order", "symbol=BTCUSDT&orderId=1&isIsolated=TRUE"),
        ("GET", "openOrders", "symbol=BTCUSDT&isIsolated=TRUE"),
        ("GET", "allOrders", "symbol=BTCUSDT&isIsolated=TRUE"),
        ("POST", "borrow-repay", "asset=USDT&amount=5&type=BORROW&isIsolated=TRUE&symbol=BTCUSDT"),
        ("GET", "maxBorrowable", "asset=USDT&isolatedSymbol=BTCUSDT"),
    ] {
        assert_eq!(c.code(method, &format!("/sapi/v1/margin/{path}"), query), -11001, "{method} {path}");
    }
    assert_eq!(c.call("POST", "/sapi/v1/userListenToken", "symbol=BTCUSDT&isIsolated=TRUE").1["code"], -11001);
    // Order lists and pegged orders are not served.
    assert_eq!(c.call("POST", "/api/v3/orderList/oco", "").0, 404);
    let peg = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=100&pegPriceType=PRIMARY_PEG";
    let (status, body) = c.call("POST", "/api/v3/order", peg);
    assert!(status == 400, "{body}");
}
