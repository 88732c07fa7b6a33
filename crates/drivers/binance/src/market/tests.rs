use super::*;
use crate::decode::{Frame, Levels};
use crate::instruments::builtin_all;
use crate::profile::Profile;
use crate::symbols::{Product, SymbolMap};
use ctos_types::{Instruments, Interval, Price, Qty, Side, UnixNanos};
use proptest::prelude::*;

fn map(product: Product) -> SymbolMap {
    SymbolMap::new(product, Instruments::new(builtin_all().to_vec()).unwrap().iter())
}

fn decode(product: Product, frame: &str) -> MarketFrame {
    MarketDecoder::new(map(product)).decode(frame.as_bytes(), None, &mut Levels::default()).unwrap()
}

const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1672515782136,"s":"BTCUSDT","k":{"t":1672515780000,"T":1672515839999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"16500.10","c":"16520.00","h":"16525.00","l":"16499.90","v":"1000.123","n":100,"x":true,"q":"16510000.5","V":"500.5","Q":"8255000.1","B":"123456"}}}"#;
const FORCE: &str = r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910.5","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893}}"#;
const MARKS: &str = r#"{"stream":"!markPrice@arr@1s","data":[{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","i":"11784.62","P":"11784.25","r":"0.00038167","T":1562306400000,"st":1},{"e":"markPriceUpdate","E":1562305380000,"s":"XYZUSDT","p":"1","i":"1","P":"1","r":"","T":0}]}"#;
const PARTIAL: &str = r#"{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":160,"bids":[["61685.29000000","0.00083000"]],"asks":[["61686.00000000","1.0"]]}}"#;
const CONTRACT: &str = r#"{"e":"contractInfo","E":1669647330128,"s":"NEWUSDT","ps":"NEWUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":1666594800000,"cs":"TRADING","bks":[{"bs":1,"bnf":0,"bnc":5000,"mmr":0.01,"cf":0,"mi":21,"ma":50}]}"#;

#[test]
fn the_rarer_frames() {
    let MarketFrame::Kline(k) = decode(Product::UsdM, KLINE) else { panic!() };
    assert_eq!((k.open, k.close, k.closed, k.trades), (Price(1_650_010), Price(1_652_000), true, 100));
    let bar = k.bar(3).unwrap();
    assert_eq!(
        (bar.interval, bar.volume, bar.open_time),
        (Interval::M1, Qty(1_000_123), UnixNanos::from_millis(1_672_515_780_000))
    );
    let open = KLINE.replace("\"x\":true", "\"x\":false");
    let MarketFrame::Kline(k) = decode(Product::UsdM, &open) else { panic!() };
    assert_eq!(k.bar(3), None);
    let MarketFrame::ForceOrder(f) = decode(Product::UsdM, FORCE) else { panic!() };
    assert_eq!((f.side, f.qty, f.avg_px.to_string()), (Side::Sell, Qty(14), "9910.5".into()));
    let MarketFrame::Marks(marks) = decode(Product::UsdM, MARKS) else { panic!() };
    assert_eq!((marks.len(), marks[0].mark.mark.to_string()), (1, "11794.15".into()));
    let MarketFrame::ContractInfo(c) = decode(Product::UsdM, CONTRACT) else { panic!() };
    assert_eq!((c.symbol.as_str(), c.status.as_str()), ("NEWUSDT", "TRADING"));
    let down = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#;
    assert_eq!(decode(Product::Spot, down), MarketFrame::Shutdown);
    assert!(matches!(decode(Product::Spot, r#"{"e":"24hrTicker","s":"BTCUSDT"}"#), MarketFrame::Other(_)));
    assert!(matches!(decode(Product::Spot, "[]"), MarketFrame::Other(_)));
}

#[test]
fn partial_books_of_both_markets() {
    let spot = MarketDecoder::new(map(Product::Spot));
    let mut levels = Levels::default();
    let MarketFrame::PartialBook(p) = spot.decode(PARTIAL.as_bytes(), None, &mut levels).unwrap() else { panic!() };
    assert_eq!(
        (p.instrument, p.last_update_id, levels.bids.len()),
        (spot.symbols().find(b"BTCUSDT").unwrap().id, 160, 1)
    );
    let usdm = r#"{"stream":"btcusdt@depth5@100ms","data":{"e":"depthUpdate","E":2000,"T":1999,"s":"BTCUSDT","U":1,"u":7,"pu":0,"b":[["58710.20","0.014"]],"a":[]}}"#;
    let MarketFrame::PartialBook(p) = decode(Product::UsdM, usdm) else { panic!() };
    assert_eq!((p.last_update_id, p.ts_event), (7, Some(UnixNanos::from_millis(1_999))));
    // A diff stays a diff.
    let diff = usdm.replace("depth5@", "depth@");
    assert!(matches!(decode(Product::UsdM, &diff), MarketFrame::Frame(Frame::Depth(_))));
}

#[test]
fn streams_and_their_paths() {
    use KlineInterval::{M1, Mo1, S1};
    let name = |p, s: Stream| s.route(p).map(|r| (r.prefix(), s.name(p, "BTCUSDT")));
    let (spot, usdm) = (Product::Spot, Product::UsdM);
    for (product, stream, want) in [
        (spot, Stream::Depth(Speed::Fast), Some(("", "btcusdt@depth@100ms"))),
        (spot, Stream::Depth(Speed::Normal), Some(("", "btcusdt@depth"))),
        (spot, Stream::Depth(Speed::Slow), None),
        (spot, Stream::Kline(Mo1), Some(("", "btcusdt@kline_1M"))),
        (spot, Stream::Trade, Some(("", "btcusdt@trade"))),
        (spot, Stream::ForceOrder, None),
        (usdm, Stream::Depth(Speed::Slow), Some(("/public", "btcusdt@depth@500ms"))),
        (usdm, Stream::PartialDepth(20, Speed::Normal), Some(("/public", "btcusdt@depth20"))),
        (usdm, Stream::PartialDepth(7, Speed::Normal), None),
        (usdm, Stream::BookTicker, Some(("/public", "btcusdt@bookTicker"))),
        (usdm, Stream::AggTrade, Some(("/market", "btcusdt@aggTrade"))),
        (usdm, Stream::Trade, None),
        (usdm, Stream::Kline(S1), None),
        (usdm, Stream::Kline(M1), Some(("/market", "btcusdt@kline_1m"))),
        (usdm, Stream::MarkPrice { every_second: true }, Some(("/market", "btcusdt@markPrice@1s"))),
        (usdm, Stream::AllMarkPrices { every_second: false }, Some(("/market", "!markPrice@arr"))),
        (usdm, Stream::AllForceOrders, Some(("/market", "!forceOrder@arr"))),
        (usdm, Stream::ContractInfo, Some(("/market", "!contractInfo"))),
    ] {
        assert_eq!(name(product, stream), want.map(|(p, n)| (p, n.to_string())), "{product} {stream:?}");
    }
    assert_eq!(Route::Public.combined(), "/public/stream");
    assert_eq!(Stream::BookTicker.name(usdm, "币安人生USDT"), "币安人生usdt@bookTicker");
}

#[test]
fn messages_and_their_answers() {
    assert_eq!(
        subscribe(1, &["btcusdt@aggTrade", "btcusdt@depth@100ms"]),
        r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth@100ms"],"id":1}"#
    );
    assert_eq!(unsubscribe(2, &["a"]), r#"{"method":"UNSUBSCRIBE","params":["a"],"id":2}"#);
    assert_eq!(list_subscriptions(3), r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#);
    let reply = |frame: &str| match decode(Product::UsdM, frame) {
        MarketFrame::Reply(reply) => reply,
        other => panic!("{other:?}"),
    };
    assert_eq!(reply(r#"{"result":null,"id":1}"#), StreamReply { id: Some(1), result: Ok(vec![]) });
    assert_eq!(reply(r#"{"result":["a","b"],"id":3}"#).result, Ok(vec!["a".into(), "b".into()]));
    assert_eq!(reply(r#"{"code":2,"msg":"Invalid request: x"}"#).result, Err((2, "Invalid request: x".into())));
    assert_eq!(reply(r#"{"error":{"code":3,"msg":"Invalid JSON"},"id":9}"#).result, Err((3, "Invalid JSON".into())));
}

#[test]
fn intervals() {
    for k in KlineInterval::ALL {
        assert_eq!(k.as_str().parse(), Ok(k));
        assert_eq!(KlineInterval::of(k.interval()), Some(k));
    }
    assert!("1mo".parse::<KlineInterval>().unwrap_err().contains("1M"));
    assert_eq!(KlineInterval::of(Interval::from_secs(7).unwrap()), None);
    let at = |y, m| UnixNanos::from_civil(y, m, 1, 0, 0, 0, 0).unwrap();
    assert_eq!(KlineInterval::Mo1.end(at(2026, 12)), at(2027, 1));
    assert_eq!(KlineInterval::Mo1.end(at(2024, 2)), at(2024, 3));
}

#[test]
fn rest_questions() {
    let line = |call: crate::request::Call| {
        let sent = call.build(None, crate::request::Stamp { timestamp_ms: 0, recv_window_ms: None }).unwrap();
        (sent.target, call.cost.weight)
    };
    let at = Some(UnixNanos::from_millis(1_700_000_000_000));
    for (call, target, weight) in [
        (time(Profile::Spot), "/api/v3/time", 1),
        (exchange_info(Profile::UsdM), "/fapi/v1/exchangeInfo", 1),
        (depth(Profile::Spot, "BTCUSDT", 5_000), "/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
        (depth(Profile::UsdM, "BTCUSDT", 700), "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
        (
            depth(Profile::UsdM, "币安人生USDT", 1),
            "/fapi/v1/depth?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&limit=5",
            2,
        ),
        (
            klines(Profile::UsdM, "BTCUSDT", KlineInterval::Mo1, (at, None), 9_999),
            "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&startTime=1700000000000&limit=1500",
            10,
        ),
        (
            agg_trades(Profile::Spot, "BTCUSDT", AggFrom::Id(7)),
            "/api/v3/aggTrades?symbol=BTCUSDT&fromId=7&limit=1000",
            4,
        ),
        (trades(Profile::Spot, "BTCUSDT", 0), "/api/v3/trades?symbol=BTCUSDT&limit=1", 25),
        (premium_index(), "/fapi/v1/premiumIndex", 10),
        (funding_history("BTCUSDT", None), "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=1000", 1),
    ] {
        assert_eq!(line(call), (target.to_string(), weight));
    }
}

#[test]
fn rest_answers() {
    let m = map(Product::UsdM);
    let grid = *m.find(b"BTCUSDT").unwrap();
    assert_eq!(read_time(br#"{"serverTime":1499827319559}"#), Ok(UnixNanos::from_millis(1_499_827_319_559)));
    let rows = r#"[[1499040000000,"0.02","0.80","0.01","0.79","148976.1",1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"],[1499644800000,"1.00","2.00","0.50","1.50","1",1500249599999,"1",1,"1","1","0"]]"#;
    let now = UnixNanos::from_millis(1_500_249_599_999);
    let klines = read_klines(rows.as_bytes(), &grid, KlineInterval::W1, now).unwrap();
    assert_eq!((klines[0].closed, klines[1].closed, klines[0].high), (true, false, Price(80)));
    let crossed = rows.replace("\"0.80\"", "\"0.10\"");
    assert!(read_klines(crossed.as_bytes(), &grid, KlineInterval::W1, now).is_err());
    let agg = read_agg_trades(
        br#"[{"a":26129,"p":"61800.10","q":"4.70","nq":"4.7","f":27781,"l":27782,"T":1498793709153,"m":true}]"#,
        &grid,
    )
    .unwrap();
    assert_eq!((agg[0].trade.aggressor, agg[0].last_trade), (Side::Sell, 27_782));
    let trades = read_trades(
        br#"[{"id":28457,"price":"61800.10","qty":"12.0","quoteQty":"48","time":1499865549590,"isBuyerMaker":false}]"#,
        &grid,
    )
    .unwrap();
    assert_eq!((trades[0].trade.id, trades[0].trade.aggressor), (28_457, Side::Buy));
    let prices =
        read_prices(br#"[{"symbol":"BTCUSDT","price":"61800.10","time":1},{"symbol":"XYZUSDT","price":"1"}]"#, &m)
            .unwrap();
    assert_eq!(prices, [(grid.id, Price(6_180_010))]);
    let quotes = read_book_tickers(
        br#"{"symbol":"BTCUSDT","bidPrice":"1.00","bidQty":"2","askPrice":"3.00","askQty":"4","time":1}"#,
        &m,
    )
    .unwrap();
    assert_eq!(quotes[0].1.ask_px, Price(300));
    let premium = read_premium(br#"[{"symbol":"BTCUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970","estimatedSettlePrice":"11781.16","lastFundingRate":"0.00038246","interestRate":"0.0001","nextFundingTime":1597392000000,"time":1597370495002}]"#, &m).unwrap();
    assert_eq!(premium[0].mark.mark.to_string(), "11793.63104562");
    let funding = read_funding(br#"[{"symbol":"BTCUSDT","fundingRate":"-0.03750000","fundingTime":1570608000000,"markPrice":""},{"symbol":"BTCUSDT","fundingRate":"0.0001","fundingTime":1570636800000,"markPrice":"34287.54619963"}]"#).unwrap();
    assert!(funding[0].event().is_none() && funding[1].event().is_some());
}

const ALL: [&str; 5] = [KLINE, FORCE, MARKS, PARTIAL, CONTRACT];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_frame_makes_it_panic(which in 0..ALL.len(), at in any::<prop::sample::Index>(), len in 0usize..6, into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,6}", spot in any::<bool>()) {
        let mut bytes = ALL[which].as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        let m = map(if spot { Product::Spot } else { Product::UsdM });
        let grid = *m.find(b"BTCUSDT").unwrap();
        if let Ok(MarketFrame::Kline(k)) = MarketDecoder::new(m.clone()).decode(&bytes, None, &mut Levels::default()) {
            let _ = k.bar(3);
        }
        let _ = (read_klines(&bytes, &grid, KlineInterval::M1, UnixNanos(0)), read_prices(&bytes, &m), read_premium(&bytes, &m));
        let _ = (read_agg_trades(&bytes, &grid), read_trades(&bytes, &grid), read_funding(&bytes), read_time(&bytes));
    }

    #[test]
    fn no_kline_list_makes_it_panic(open in any::<u64>(), text in "-?[0-9]{0,30}(\\.[0-9]{0,3})?") {
        let grid = *map(Product::UsdM).find(b"BTCUSDT").unwrap();
        let body = serde_json::json!([[open, text, text, text, text, text, 1, text, 2, text, text, "0"]]).to_string();
        for interval in KlineInterval::ALL {
            if let Ok(klines) = read_klines(body.as_bytes(), &grid, interval, UnixNanos(0)) {
                let _ = klines[0].bar(3);
            }
        }
    }
}
