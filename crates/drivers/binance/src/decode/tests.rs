use super::*;
use crate::instruments::builtin_all;
use ctos_types::{Instruments, Level, Price, Qty, Side};
use proptest::prelude::*;

fn decoder(product: Product) -> Decoder {
    let list = Instruments::new(builtin_all().to_vec()).unwrap();
    Decoder::new(SymbolMap::new(product, list.iter()))
}

fn id(d: &Decoder, symbol: &str) -> InstrumentId {
    d.symbols().find(symbol.as_bytes()).unwrap().id
}

fn usdm(frame: &str) -> Result<(Frame, Levels), DecodeError> {
    decode(&decoder(Product::UsdM), frame)
}

fn decode(d: &Decoder, frame: &str) -> Result<(Frame, Levels), DecodeError> {
    let mut levels = Levels::default();
    let frame = d.decode(frame.as_bytes(), Some(id(d, "BTCUSDT")), &mut levels)?;
    Ok((frame, levels))
}

// Recorded frames: USD-M of 2024-08-08, spot of 2024-08-09.
const QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}"#;
const SPOT_QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":50093421613,"s":"BTCUSDT","b":"61685.99000000","B":"1.25869000","a":"61686.00000000","A":"2.44816000"}}"#;
const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256323,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#;
const SPOT_TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161601438,"s":"BTCUSDT","t":3735693016,"p":"61685.99000000","q":"0.00017000","T":1723161601437,"m":true,"M":true}}"#;
// Recorded, levels shortened.
const DIFF: &str = r#"{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61510.90","0.000"]],"a":[["61810.00","1.5"]]}}"#;
const SPOT_DIFF: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161601374,"s":"BTCUSDT","U":50093421613,"u":50093421620,"b":[["61685.29000000","0.00083000"]],"a":[]}}"#;
const SNAPSHOT: &str = r#"{"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"]],"asks":[["61800.30","0.2"],["61800.40","1"]]}"#;
// From the documentation, values from TRADE.
const AGG: &str = r#"{"e":"aggTrade","E":1723161256323,"s":"BTCUSDT","a":26129,"p":"61800.30","q":"1.5","f":100,"l":105,"T":1723161256322,"m":true}"#;
const SPOT_AGG: &str = r#"{"e":"aggTrade","E":1723161256323,"s":"BTCUSDT","a":26129,"p":"61800.30","q":"1.5","f":100,"l":105,"T":1723161256322,"m":true,"M":true}"#;
const MARK: &str = r#"{"e":"markPriceUpdate","E":1723161256000,"s":"BTCUSDT","p":"61794.15","i":"61784.62659091","P":"61300.5","r":"0.00038167","T":1723161600000}"#;

const ALL: [&str; 10] = [QUOTE, SPOT_QUOTE, TRADE, SPOT_TRADE, DIFF, SPOT_DIFF, SNAPSHOT, AGG, SPOT_AGG, MARK];

fn level(price: i64, qty: i64) -> Level {
    Level { price: Price(price), qty: Qty(qty) }
}

const fn ms(t: i64) -> UnixNanos {
    UnixNanos::from_millis(t)
}

#[test]
fn book_tickers() {
    let Frame::BookTicker(q) = usdm(QUOTE).unwrap().0 else { panic!() };
    let want = Quote { bid_px: Price(6_180_020), bid_qty: Qty(2_507), ask_px: Price(6_180_030), ask_qty: Qty(2_510) };
    assert_eq!((q.update_id, q.quote), (5_123_107_839_020, want));
    assert_eq!((q.ts_engine, q.ts_sent), (Some(ms(1_723_161_256_313)), Some(ms(1_723_161_256_314))));
    let Frame::BookTicker(q) = decode(&decoder(Product::Spot), SPOT_QUOTE).unwrap().0 else { panic!() };
    let want = Quote {
        bid_px: Price(6_168_599_000_000),
        bid_qty: Qty(125_869_000),
        ask_px: Price(6_168_600_000_000),
        ask_qty: Qty(244_816_000),
    };
    assert_eq!((q.update_id, q.quote, q.ts_engine, q.ts_sent), (50_093_421_613, want, None, None));
}

#[test]
fn trades() {
    let Frame::Trade(t) = usdm(TRADE).unwrap().0 else { panic!() };
    let want = Trade { price: Price(6_180_030), qty: Qty(6), aggressor: Side::Buy, id: 5_266_583_935 };
    assert_eq!(
        (t.trade, t.on_book, t.ts_event, t.ts_sent),
        (want, Some(true), ms(1_723_161_256_322), ms(1_723_161_256_323))
    );
    let insurance = TRADE.replace("MARKET", "INSURANCE_FUND");
    assert!(matches!(usdm(&insurance).unwrap().0, Frame::Trade(TradeTick { on_book: Some(false), .. })));
    let Frame::Trade(t) = decode(&decoder(Product::Spot), SPOT_TRADE).unwrap().0 else { panic!() };
    assert_eq!((t.trade.aggressor, t.trade.qty, t.on_book), (Side::Sell, Qty(17_000), None));
    let Frame::AggTrade(a) = usdm(AGG).unwrap().0 else { panic!() };
    assert_eq!((a.trade.id, a.first_trade, a.last_trade, a.trade.aggressor), (26_129, 100, 105, Side::Sell));
}

#[test]
fn depth() {
    let (Frame::Depth(d), levels) = usdm(DIFF).unwrap() else { panic!() };
    assert_eq!((d.first, d.last, d.prev), (5_123_107_832_006, 5_123_107_837_557, Some(5_123_107_831_937)));
    assert_eq!((d.ts_event(), d.ts_sent), (ms(1_723_161_256_298), ms(1_723_161_256_299)));
    assert_eq!(levels.bids, [level(5_871_020, 14), level(6_151_090, 0)]);
    assert_eq!(levels.asks, [level(6_181_000, 1_500)]);
    let (Frame::Depth(d), levels) = decode(&decoder(Product::Spot), SPOT_DIFF).unwrap() else { panic!() };
    assert_eq!((d.prev, d.ts_engine, levels.bids.len(), levels.asks.len()), (None, None, 1, 0));
    let (Frame::Snapshot(s), levels) = usdm(SNAPSHOT).unwrap() else { panic!() };
    assert_eq!((s.last_update_id, s.ts_event), (5_123_107_852_948, Some(ms(1_723_161_256_493))));
    assert_eq!(levels.asks, [level(6_180_030, 200), level(6_180_040, 1_000)]);
}

#[test]
fn mark_prices() {
    let Frame::MarkPrice(m) = usdm(MARK).unwrap().0 else { panic!() };
    assert_eq!((m.mark.mark.to_string(), m.mark.index.to_string()), ("61794.15".into(), "61784.62659091".into()));
    assert_eq!((m.mark.funding_rate.to_string(), m.mark.next_funding), ("0.00038167".into(), ms(1_723_161_600_000)));
    let Frame::MarkPrice(dated) = usdm(&MARK.replace("0.00038167", "")).unwrap().0 else { panic!() };
    assert!(dated.mark.funding_rate.is_zero());
}

#[test]
fn every_product_shows_in_its_frames() {
    for (frame, product) in [(QUOTE, Some(Product::UsdM)), (TRADE, Some(Product::UsdM)), (DIFF, Some(Product::UsdM))] {
        assert_eq!(usdm(frame).unwrap().0.product(), product);
    }
    for frame in ALL {
        let want =
            if [SPOT_QUOTE, SPOT_TRADE, SPOT_DIFF, SPOT_AGG].contains(&frame) { Product::Spot } else { Product::UsdM };
        assert_eq!(sniff(frame.as_bytes()).unwrap().product, Some(want), "{frame}");
    }
    assert_eq!(sniff(DIFF.as_bytes()).unwrap().symbol.as_deref(), Some("BTCUSDT"));
    assert_eq!(sniff(b"{\"result\":null,\"id\":1}"), None);
}

#[test]
fn what_is_no_market_frame_is_named() {
    let kind = |frame: &str| match usdm(frame) {
        Ok((Frame::Other(kind), _)) => kind.to_string(),
        other => panic!("{frame}: {other:?}"),
    };
    assert_eq!(kind(r#"{"result":null,"id":1}"#), "reply");
    assert_eq!(kind(r#"{"code":2,"msg":"Invalid request"}"#), "error");
    assert_eq!(kind(r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT"}}"#), "kline");
    assert_eq!(kind(r#"{"stream":"!markPrice@arr","data":[]}"#), "array");
    assert_eq!(kind("17"), "array");
    // The very shape of a diff: only the stream's name tells that it is a partial book.
    assert_eq!(kind(&DIFF.replace("depth@0ms", "depth20@100ms")), "partialDepth");
    assert_eq!(kind(&format!(r#"{{"stream":"btcusdt@depth5","data":{SNAPSHOT}}}"#)), "partialDepth");
}

#[test]
fn errors_say_what_is_wrong() {
    let fails = |frame: &str, want: &str| {
        let e = usdm(frame).unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    };
    fails("", "not JSON");
    fails(&DIFF[..200], "not JSON");
    fails(&QUOTE.replace("BTCUSDT", "XYZUSDT"), "unknown symbol \"XYZUSDT\"");
    fails(&QUOTE.replace("61800.20", "61800.205"), "bookTicker frame, b: 61800.205 has more decimal places");
    fails(&QUOTE.replace("61800.20", "-1.5"), "bookTicker frame, b: -1.5 is not a multiple of 0.01");
    fails(&QUOTE.replace("\"61800.20\"", "61800.20"), "bookTicker frame without a usable b");
    fails(&TRADE.replace("\"t\":5266583935,", ""), "trade frame without a usable t");
    fails(&DIFF.replace("\"0.014\"", "\"0.01x\""), "depth frame, b: not a decimal number");
    fails(&DIFF.replace("[\"58710.20\",\"0.014\"]", "[\"58710.20\"]"), "depth frame without a usable b");
    fails(&TRADE.replace("\"m\":false", "\"m\":0"), "trade frame without a usable m");
    fails(&DIFF.replace("5123107837557", "99999999999999999999"), "depth frame without a usable u");
    let d = decoder(Product::UsdM);
    let no_owner = d.decode(SNAPSHOT.as_bytes(), None, &mut Levels::default());
    assert_eq!(no_owner, Err(DecodeError::SnapshotOwner));
    let named = SNAPSHOT.replace("{\"lastUpdateId\"", "{\"s\":\"ETHUSDT\",\"lastUpdateId\"");
    let Frame::Snapshot(s) = decode(&d, &named).unwrap().0 else { panic!() };
    assert_eq!(s.instrument, id(&d, "ETHUSDT"));
}

#[test]
fn fields_in_any_order_and_extra_fields_are_the_same() {
    for frame in ALL {
        let want = usdm(frame);
        let value: serde_json::Value = serde_json::from_str(frame).unwrap();
        // serde_json's own map sorts the keys.
        let sorted = serde_json::to_string(&value).unwrap();
        assert_ne!(sorted, frame);
        assert_eq!(usdm(&sorted), want, "{sorted}");
        let spaced = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(usdm(&spaced), want, "{spaced}");
        let extra = frame.replacen("\"s\":", "\"st\":1,\"s\":", 1);
        assert_eq!(usdm(&extra), want, "{extra}");
        let escaped = frame.replace("BTCUSDT", "\\u0042TCUSDT");
        assert_eq!(usdm(&escaped), want, "{escaped}");
    }
}

/// Since June 2026 payloads carry a stream type and some a pair, and nobody says where.
#[test]
fn fields_that_nobody_asks_for_do_not_leave_the_fast_way() {
    let d = decoder(Product::UsdM);
    for frame in [QUOTE, TRADE, DIFF, AGG] {
        let want = usdm(frame).unwrap();
        for extra in [r#""st":1,"#, r#""ps":"BTCUSDT","st":1,"#, r#""nq":"0.5","x":null,"y":true,"#] {
            for before in [r#""s":"#, r#""E":"#] {
                let longer = frame.replacen(before, &format!("{extra}{before}"), 1);
                let fast = fast::decode(&d.map, longer.as_bytes(), None, &mut Levels::default());
                assert_eq!(fast, Some(want.0), "{longer}");
            }
        }
        // A second value of a field, and a second kind, are for the parser.
        for twice in [r#""E":1,"E":"#, r#""e":"trade","E":"#] {
            let twice = frame.replacen(r#""E":"#, twice, 1);
            assert_eq!(fast::decode(&d.map, twice.as_bytes(), None, &mut Levels::default()), None, "{twice}");
        }
    }
}

#[test]
fn the_usual_shapes_are_scanned() {
    for (product, frames) in [
        (Product::UsdM, &[QUOTE, TRADE, DIFF, SNAPSHOT, AGG][..]),
        (Product::Spot, &[SPOT_QUOTE, SPOT_TRADE, SPOT_DIFF, SPOT_AGG][..]),
    ] {
        let d = decoder(product);
        for frame in frames {
            let fast = fast::decode(&d.map, frame.as_bytes(), Some(id(&d, "BTCUSDT")), &mut Levels::default());
            assert!(fast.is_some(), "{frame}");
        }
    }
}

/// The scanner and the parser on one frame: where the scanner has an answer, it is the parser's.
fn check_both(d: &Decoder, frame: &[u8]) -> Result<(), TestCaseError> {
    let of = d.symbols().find(b"BTCUSDT").map(|g| g.id);
    let (mut scanned, mut parsed) = (Levels::default(), Levels::default());
    let fast = fast::decode(&d.map, frame, of, &mut scanned);
    let slow = slow::decode(&d.map, frame, of, &mut parsed);
    if let Some(fast) = fast {
        prop_assert_eq!(Ok(fast), slow, "{}", String::from_utf8_lossy(frame));
        if matches!(fast, Frame::Depth(_) | Frame::Snapshot(_)) {
            prop_assert_eq!(scanned, parsed);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn scanner_and_parser_agree_on_mutated_frames(
        which in 0..ALL.len(), at in any::<prop::sample::Index>(), len in 0usize..4,
        into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,5}", product in prop::bool::ANY,
    ) {
        let d = decoder(if product { Product::Spot } else { Product::UsdM });
        let mut bytes = ALL[which].as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        check_both(&d, &bytes)?;
    }

    #[test]
    fn scanner_and_parser_agree_on_numbers(
        price in "[0-9]{0,20}(\\.[0-9]{0,12})?", qty in "0{0,2}[0-9]{1,12}\\.[0-9]{0,3}0{0,9}", n in "[0-9]{1,21}",
    ) {
        let d = decoder(Product::UsdM);
        let f = QUOTE.replace("61800.20", &price).replace("2.507", &qty).replace("5123107839020", &n);
        check_both(&d, f.as_bytes())?;
        let f = DIFF.replace("58710.20", &price).replace("0.014", &qty).replace("1723161256299", &n);
        check_both(&d, f.as_bytes())?;
        // What both read is what the instrument itself reads.
        if let Ok((Frame::BookTicker(q), _)) = usdm(&QUOTE.replace("61800.20", &price).replace("2.507", &qty)) {
            let list = Instruments::new(builtin_all().to_vec()).unwrap();
            let i = list.get(q.instrument);
            prop_assert_eq!((Ok(q.quote.bid_px), Ok(q.quote.bid_qty)), (i.parse_price(&price), i.parse_qty(&qty)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..300) {
        let d = decoder(Product::UsdM);
        let _ = d.decode(&bytes, None, &mut Levels::default());
        let _ = d.decode(&DIFF.as_bytes()[..cut.min(DIFF.len())], None, &mut Levels::default());
        sniff(&bytes);
    }
}

/// Every recorded frame, and every fiftieth with one byte changed, through both ways.
#[test]
fn scanner_and_parser_agree_on_recorded_traffic() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/raw");
    for (name, product, symbol) in [
        ("binance_usdm_btcusdt_20240808.jsonl.gz", Product::UsdM, "BTCUSDT"),
        ("binance_usdm_ethusdt_20240808.jsonl.gz", Product::UsdM, "ETHUSDT"),
        ("binance_spot_btcusdt_20240809.jsonl.gz", Product::Spot, "BTCUSDT"),
    ] {
        let path = folder.join(name);
        if !path.exists() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
            println!("skipped: {} is absent", path.display());
            continue;
        }
        let d = decoder(product);
        let of = Some(id(&d, symbol));
        let mut reader = ctos_storage::capture::CaptureReader::open(&path).unwrap();
        let (mut scanned, mut parsed, mut mutated) = (Levels::default(), Levels::default(), Vec::new());
        while let Some(line) = reader.next_line().unwrap() {
            let fast = fast::decode(&d.map, line.frame, of, &mut scanned).unwrap_or_else(|| {
                panic!("line {} is not scanned: {}", line.number, String::from_utf8_lossy(line.frame))
            });
            assert_eq!(slow::decode(&d.map, line.frame, of, &mut parsed), Ok(fast), "line {}", line.number);
            if matches!(fast, Frame::Depth(_) | Frame::Snapshot(_)) {
                assert_eq!(scanned, parsed, "line {}", line.number);
            }
            if line.number % 50 == 0 {
                mutated.clear();
                mutated.extend_from_slice(line.frame);
                let at = (line.number as usize * 7_919) % mutated.len();
                mutated[at] = b"0\"\\.,:{}[]-9e"[line.number as usize / 50 % 13];
                check_both(&d, &mutated).unwrap();
            }
        }
    }
}
