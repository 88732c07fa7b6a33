//! Replies of the venue, as documented; each a whole body.

use super::*;
use ctos_types::{CancelReason, Decimal, Liquidity, OrderStatus, RejectReason, ReportBody, UnixNanos};
use proptest::prelude::*;

const SPOT_FULL: &str = r#"{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"c00000a1","transactTime":1507725176595,"price":"0.00000000","origQty":"0.00200000","executedQty":"0.00200000","origQuoteOrderQty":"0.000000","cummulativeQuoteQty":"123.60100000","status":"FILLED","timeInForce":"GTC","type":"MARKET","side":"SELL","workingTime":1507725176595,"selfTradePreventionMode":"NONE","fills":[{"price":"61801.00000000","qty":"0.00100000","commission":"0.06180100","commissionAsset":"USDT","tradeId":56},{"price":"61800.00000000","qty":"0.00100000","commission":"0.06180000","commissionAsset":"USDT","tradeId":57}]}"#;
const SPOT_CANCEL: &str = r#"{"symbol":"BTCUSDT","origClientOrderId":"c00000a1-2","orderId":28,"orderListId":-1,"clientOrderId":"qTpZ2pVYnGj0CIZ2Nw2D6H","transactTime":1684804350068,"price":"61800.20000000","origQty":"0.00200000","executedQty":"0.00050000","origQuoteOrderQty":"0.000000","cummulativeQuoteQty":"30.90010000","status":"CANCELED","timeInForce":"GTC","type":"LIMIT","side":"BUY","selfTradePreventionMode":"NONE"}"#;
const SPOT_QUERY: &str = r#"{"symbol":"BTCUSDT","orderId":1,"orderListId":-1,"clientOrderId":"myOrder1","price":"61800.2","origQty":"1.0","executedQty":"0.0","cummulativeQuoteQty":"0.0","status":"NEW","timeInForce":"GTC","type":"STOP_LOSS_LIMIT","side":"BUY","stopPrice":"60000.0","icebergQty":"0.0","time":1499827319559,"updateTime":1499827319560,"isWorking":true,"workingTime":1499827319559,"origQuoteOrderQty":"0.000000","selfTradePreventionMode":"NONE"}"#;
const USDM_PLACED: &str = r#"{"orderId":22542179,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"c00000a1","price":"61800.20","origQty":"0.002","executedQty":"0.000","cumQty":"0.000","timeInForce":"GTX","type":"LIMIT","reduceOnly":false,"closePosition":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0.00","workingType":"CONTRACT_PRICE","priceProtect":false,"origType":"LIMIT","priceMatch":"NONE","selfTradePreventionMode":"EXPIRE_MAKER","goodTillDate":0,"updateTime":1705385954229}"#;
const ALGO: &str = r#"{"algoId":2146760,"clientAlgoId":"c00000a1","algoType":"CONDITIONAL","orderType":"STOP","symbol":"BTCUSDT","side":"SELL","positionSide":"BOTH","timeInForce":"GTC","quantity":"0.010","algoStatus":"NEW","triggerPrice":"60000.00","price":"59990.00","icebergQuantity":null,"selfTradePreventionMode":"EXPIRE_MAKER","workingType":"MARK_PRICE","priceMatch":"NONE","closePosition":false,"priceProtect":false,"reduceOnly":true,"activatePrice":"","callbackRate":"","createTime":1750485492076,"updateTime":1750485492077,"triggerTime":0,"goodTillDate":0,"actualOrderId":""}"#;
const SPOT_FILLS: &str = r#"[{"symbol":"BTCUSDT","id":28457,"orderId":100234,"orderListId":-1,"price":"61800.00000000","qty":"0.00100000","quoteQty":"61.80000000","commission":"0.00000100","commissionAsset":"BNB","time":1499865549590,"isBuyer":true,"isMaker":false,"isBestMatch":true}]"#;
const USDM_FILLS: &str = r#"[{"buyer":false,"commission":"-0.07819010","commissionAsset":"USDT","id":698759,"maker":true,"orderId":25851813,"price":"61800.20","qty":"0.002","quoteQty":"123.60","realizedPnl":"-0.91539999","side":"SELL","positionSide":"SHORT","symbol":"BTCUSDT","time":1569514978020,"marginAsset":"USDT"}]"#;

#[test]
fn a_market_order_filled_in_its_reply() {
    let d = desk(Profile::Spot);
    let o = d.read_order(SPOT_FULL.as_bytes()).unwrap();
    assert_eq!((o.status, o.outcome, o.kind), (OrderStatus::Filled, Some(Outcome::Filled), Some(OrderKind::Market)));
    assert_eq!((o.owner.client(), o.cum_qty, o.is_whole()), (Some(client(1).into()), size(&d, "0.002"), true));
    assert_eq!(o.avg_px(8), Some("61800.5".parse().unwrap()));
    let reports = d.reports(&o);
    assert_eq!(reports.len(), 3);
    let ReportBody::Fill(fill) = reports[1].body else { panic!() };
    assert_eq!((fill.exec_id.as_str(), fill.last_px, fill.liquidity), ("56", px(&d, "61801"), Liquidity::Taker));
    assert_eq!((fill.fee.to_string(), fill.fee_currency.as_str()), ("0.061801".into(), "USDT"));
    assert_eq!((reports[0].account, reports[0].cl_ord_id), (AccountId(3), Some(client(1))));
}

#[test]
fn the_rest_of_an_ioc_and_of_a_market_order() {
    let d = desk(Profile::Spot);
    let rest = SPOT_FULL.replace("\"FILLED\"", "\"EXPIRED\"").replace("\"origQty\":\"0.002", "\"origQty\":\"0.009");
    let o = d.read_order(rest.as_bytes()).unwrap();
    assert_eq!(o.outcome, Some(Outcome::Canceled(CancelReason::NoLiquidity)));
    assert_eq!(d.reports(&o).last().unwrap().body, ReportBody::Canceled { reason: CancelReason::NoLiquidity });
    // Where a fill is missing in the reply its end is not told: the fill comes first.
    let missing = rest.replace("\"executedQty\":\"0.00200000\"", "\"executedQty\":\"0.00300000\"");
    let o = d.read_order(missing.as_bytes()).unwrap();
    assert!(!o.is_whole() && d.reports(&o).len() == 3);
}

#[test]
fn a_spot_cancel_is_named_by_the_original_id() {
    let d = desk(Profile::Spot);
    let o = d.read_order(SPOT_CANCEL.as_bytes()).unwrap();
    assert_eq!(o.owner, Owner::Ours(VenueClientId { id: client(1), generation: 2 }));
    assert_eq!(o.outcome, Some(Outcome::Canceled(CancelReason::Requested)));
    let list = format!("[{SPOT_CANCEL},{{\"orderListId\":1,\"orderReports\":[{SPOT_CANCEL},{SPOT_CANCEL}]}}]");
    assert_eq!(d.read_orders(list.as_bytes()).unwrap().len(), 3);
}

#[test]
fn a_foreign_conditional_order_of_spot() {
    let d = desk(Profile::Spot);
    let o = d.read_order(SPOT_QUERY.as_bytes()).unwrap();
    assert_eq!(o.kind, Some(OrderKind::StopLimit { trigger: px(&d, "60000"), price: px(&d, "61800.2") }));
    assert_eq!((o.owner, o.status), (Owner::Foreign(ctos_types::Text::cut("myOrder1")), OrderStatus::New));
    assert_eq!(o.ts_event, UnixNanos::from_millis(1_499_827_319_560));
    let trailing = SPOT_QUERY
        .replace("STOP_LOSS_LIMIT", "TAKE_PROFIT")
        .replace("\"61800.2\"", "\"0.00\"")
        .replace("\"orderListId\"", "\"trailingDelta\":120,\"orderListId\"");
    let o = d.read_order(trailing.as_bytes()).unwrap();
    assert_eq!(o.kind, Some(OrderKind::TrailingStop { callback_bps: 120, activation: Some(px(&d, "60000")) }));
}

#[test]
fn usdm_orders_plain_and_conditional() {
    let d = desk(Profile::UsdM);
    let o = d.read_order(USDM_PLACED.as_bytes()).unwrap();
    assert_eq!((o.tif, o.post_only, o.leg, o.cum_quote), (TimeInForce::Gtc, true, Leg::Net, None));
    assert_eq!(d.reports(&o).iter().map(|r| r.body).collect::<Vec<_>>(), [ReportBody::Accepted]);
    let o = d.read_order(ALGO.as_bytes()).unwrap();
    assert_eq!(o.kind, Some(OrderKind::StopLimit { trigger: px(&d, "60000"), price: px(&d, "59990") }));
    assert_eq!((o.conditional, o.reduce_only, o.child, o.status), (true, true, None, OrderStatus::New));
    let state = |status: &str, actual: &str| {
        let text = ALGO.replace("\"NEW\"", &format!("\"{status}\",\"actualQty\":\"{actual}\""));
        let text = text.replace("\"actualOrderId\":\"\"", "\"actualOrderId\":\"77\"");
        let o = d.read_order(text.as_bytes()).unwrap();
        (o.status, o.child.unwrap().to_string())
    };
    assert_eq!(state("TRIGGERED", ""), (OrderStatus::New, "77".into()));
    assert_eq!(state("FINISHED", "0.010").0, OrderStatus::Filled);
    assert_eq!(state("FINISHED", "0.000").0, OrderStatus::Canceled);
    assert_eq!(state("EXPIRED", "").0, OrderStatus::Expired);
    // Codes are numbers in one reply and text in another.
    for done in [r#"{"code":200,"msg":"done"}"#, r#"{"algoId":1,"clientAlgoId":"a","code":"200","msg":"success"}"#] {
        d.read_done(done.as_bytes()).unwrap();
    }
    assert!(d.read_done(br#"{"code":"300","msg":"x"}"#).is_err());
    assert_eq!(d.read_countdown(br#"{"symbol":"BTCUSDT","countdownTime":"100000"}"#), Ok(100_000));
}

#[test]
fn fills_of_both_markets() {
    let spot = desk(Profile::Spot);
    let [f] = spot.read_fills(SPOT_FILLS.as_bytes()).unwrap()[..] else { panic!() };
    assert_eq!((f.fill.side, f.fill.liquidity, f.fill.fee_currency.as_str()), (Side::Buy, Liquidity::Taker, "BNB"));
    let usdm = desk(Profile::UsdM);
    let [f] = usdm.read_fills(USDM_FILLS.as_bytes()).unwrap()[..] else { panic!() };
    assert_eq!((f.fill.side, f.fill.leg, f.fill.liquidity), (Side::Sell, Leg::Short, Liquidity::Maker));
    assert_eq!((f.fill.fee, f.venue_order_id.as_str()), ("-0.0781901".parse::<Decimal>().unwrap(), "25851813"));
}

#[test]
fn every_half_of_a_replacement() {
    let d = desk(Profile::Spot);
    let order: serde_json::Value = serde_json::from_str(SPOT_FULL).unwrap();
    let gone: serde_json::Value = serde_json::from_str(SPOT_CANCEL).unwrap();
    let error = |code: i64| serde_json::json!({"code": code, "msg": "Unknown order sent."});
    let read = |cancel: &str, place: &str, first: &serde_json::Value, second: serde_json::Value| {
        let data = serde_json::json!({
            "cancelResult": cancel, "newOrderResult": place, "cancelResponse": first, "newOrderResponse": second
        });
        d.read_replaced(&data)
    };
    let both = read("SUCCESS", "SUCCESS", &gone, order.clone()).unwrap();
    assert!(both.canceled.is_ok() && both.placed.unwrap().is_ok());
    let nothing = read("FAILURE", "NOT_ATTEMPTED", &error(-2011), serde_json::Value::Null).unwrap();
    assert_eq!(nothing.canceled.unwrap_err().verdict, crate::Verdict::Rejected(RejectReason::UnknownOrder));
    assert_eq!(nothing.placed, None);
    let old_gone = read("SUCCESS", "FAILURE", &gone, error(-2010)).unwrap();
    assert!(old_gone.canceled.is_ok() && old_gone.placed.unwrap().is_err());
    let both_live = read("FAILURE", "SUCCESS", &error(-2011), order).unwrap();
    assert!(both_live.canceled.is_err() && both_live.placed.unwrap().is_ok());
    assert!(read("MAYBE", "SUCCESS", &gone, gone.clone()).is_err());
    assert!(read("NOT_ATTEMPTED", "SUCCESS", &gone, gone.clone()).is_err());
}

#[test]
fn an_amended_order() {
    let d = desk(Profile::Spot);
    let body = r#"{"transactTime":1741926410255,"executionId":75,"amendedOrder":{"symbol":"BTCUSDT","orderId":33,"orderListId":-1,"origClientOrderId":"c00000a1","clientOrderId":"c00000a1","price":"6.00000000","qty":"5.00000000","executedQty":"0.00000000","preventedQty":"0.00000000","quoteOrderQty":"0.00000000","cumulativeQuoteQty":"0.00000000","status":"NEW","timeInForce":"GTC","type":"LIMIT","side":"SELL","workingTime":1741926410242,"selfTradePreventionMode":"NONE"}}"#;
    let o = d.read_amended(body.as_bytes()).unwrap();
    assert_eq!((o.qty, o.ts_event), (size(&d, "5"), UnixNanos::from_millis(1_741_926_410_255)));
}

#[test]
fn what_moves_money_is_read_strictly() {
    let d = desk(Profile::UsdM);
    let fails = |from: &str, to: &str, want: &str| {
        let text = USDM_PLACED.replacen(from, to, 1);
        assert_ne!(text, USDM_PLACED);
        let e = d.read_order(text.as_bytes()).unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    };
    fails("\"NEW\"", "\"HALF_NEW\"", "status: unknown value \"HALF_NEW\"");
    fails("\"BUY\"", "\"BOTH\"", "side: unknown value");
    fails("\"GTX\"", "\"GTZ\"", "timeInForce: unknown value");
    fails("\"origType\":\"LIMIT\"", "\"origType\":\"ODD\"", "origType: unknown value");
    fails("\"positionSide\":\"BOTH\"", "\"positionSide\":\"LEFT\"", "positionSide: unknown value");
    fails("\"executedQty\":\"0.000\",", "", "without a usable executedQty");
    fails("\"0.002\"", "\"0.0021\"", "origQty: 0.0021 has more decimal places");
    fails("\"0.002\"", "\"-1\"", "origQty");
    fails("BTCUSDT", "XYZUSDT", "unknown symbol");
    fails("\"orderId\":22542179", "\"orderId\":-1", "without a usable orderId");
}

const ALL: [(&str, Profile); 7] = [
    (SPOT_FULL, Profile::Spot),
    (SPOT_CANCEL, Profile::Spot),
    (SPOT_QUERY, Profile::Margin),
    (USDM_PLACED, Profile::UsdM),
    (ALGO, Profile::UsdM),
    (SPOT_FILLS, Profile::Spot),
    (USDM_FILLS, Profile::UsdM),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_reply_makes_it_panic(which in 0..ALL.len(), at in any::<prop::sample::Index>(), len in 0usize..6, into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,6}") {
        let (text, profile) = ALL[which];
        let d = desk(profile);
        let mut bytes = text.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        if let Ok(order) = d.read_order(&bytes) {
            let _ = (d.reports(&order), order.avg_px(8));
        }
        let _ = (d.read_orders(&bytes), d.read_fills(&bytes), d.read_amended(&bytes));
        if let Ok(value) = serde_json::from_slice(&bytes) {
            let _ = d.read_replaced(&value);
        }
    }
}
