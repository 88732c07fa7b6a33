use super::*;
use crate::symbols::{SymbolMap, venue_symbol};
use ctos_types::Instruments;
use std::path::Path;

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn usdm_row(with: &str) -> String {
    let row = r#"{"symbol":"BTCUSDT","contractType":"PERPETUAL","deliveryDate":4133404800000,"status":"TRADING",
        "maintMarginPercent":"2.5000","requiredMarginPercent":"5.0000","baseAsset":"BTC","quoteAsset":"USDT",
        "pricePrecision":2,"quantityPrecision":3,"filters":[
        {"filterType":"PRICE_FILTER","minPrice":"556.80","maxPrice":"4529764","tickSize":"0.10"},
        {"filterType":"LOT_SIZE","minQty":"0.001","maxQty":"1000","stepSize":"0.001"},
        {"filterType":"MIN_NOTIONAL","notional":"100"},{"filterType":"MAX_NUM_ORDERS","limit":200}]}"#;
    let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
    let with: serde_json::Value = serde_json::from_str(with).unwrap();
    for (key, value) in with.as_object().unwrap() {
        row[key] = value.clone();
    }
    format!("{{\"futuresType\":\"U_MARGINED\",\"symbols\":[{row}]}}")
}

fn one(with: &str) -> Result<Instrument, String> {
    let list = parse_instruments(&usdm_row(with)).unwrap();
    match list.skipped.first() {
        Some((_, why)) => Err(why.clone()),
        None => Ok(list.instruments[0].clone()),
    }
}

#[test]
fn a_usdm_perpetual() {
    let i = one("{}").unwrap();
    assert_eq!(i.symbol.as_str(), "binance:BTC-USDT-PERP");
    assert_eq!(i.kind, InstrumentKind::Perpetual(Settlement::Linear));
    // Tick 0.1, but the wire pads to two places: both fit.
    assert_eq!((i.price_decimals, i.tick, i.qty_decimals, i.lot), (2, Price(10), 3, Qty(1)));
    assert_eq!((i.min_qty, i.max_qty, i.min_notional), (Qty(1), Qty(1_000_000), d("100")));
    assert_eq!((i.initial_margin, i.maintenance_margin), (d("0.05"), d("0.025")));
    assert_eq!((i.maker_fee, i.taker_fee), (d("0.0002"), d("0.0005")));
    assert_eq!(i.parse_price("61800.25").unwrap(), Price(6_180_025));
    assert!(i.price(d("61800.25")).is_err());
}

#[test]
fn a_dated_future() {
    let i = one(r#"{"contractType":"CURRENT_QUARTER","deliveryDate":1798185600000}"#).unwrap();
    assert_eq!(i.symbol.as_str(), "binance:BTC-USDT-20261225");
    assert_eq!(venue_symbol(&i).unwrap(), (Product::UsdM, "BTCUSDT_261225".into()));
}

#[test]
fn rows_that_are_no_instrument_are_named_and_passed() {
    for (with, why) in [
        (r#"{"status":"SETTLING"}"#, "not trading: SETTLING"),
        (r#"{"status":"SOMETHING_NEW"}"#, "not trading: SOMETHING_NEW"),
        (r#"{"contractType":"PERPETUAL DELIVERING"}"#, "contract type PERPETUAL DELIVERING is not traded here"),
        (r#"{"filters":[]}"#, "no LOT_SIZE filter"),
        (
            r#"{"filters":[{"filterType":"PRICE_FILTER","tickSize":"0"},{"filterType":"LOT_SIZE","maxQty":"1","stepSize":"1"}]}"#,
            "tickSize is missing or not positive",
        ),
        (r#"{"baseAsset":"A VERY LONG ASSET NAME"}"#, "longer than the 15 allowed"),
        (r#"{"filters":7}"#, "invalid type"),
    ] {
        let e = one(with).unwrap_err();
        assert!(e.contains(why), "{e}");
    }
    assert!(matches!(parse_instruments("{}"), Err(InstrumentsError::NoSymbols)));
    assert!(matches!(parse_instruments("<html>"), Err(InstrumentsError::NotJson(_))));
}

#[test]
fn the_built_in_table() {
    let list = parse_instruments(include_str!("builtin.json")).unwrap();
    assert_eq!((list.instruments.len(), list.skipped.len()), (18, 0));
    let all = Instruments::new(builtin_all().to_vec()).unwrap();
    assert_eq!(all.len(), 18);
    for coin in ["BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "ADA", "LTC", "LINK"] {
        let spot = builtin(Product::Spot, &format!("{coin}USDT")).unwrap();
        let perp = builtin(Product::UsdM, &format!("{coin}USDT")).unwrap();
        assert_eq!(spot.symbol.as_str(), format!("binance:{coin}-USDT"));
        assert_eq!(perp.symbol.as_str(), format!("binance:{coin}-USDT-PERP"));
        assert_eq!((spot.maker_fee, spot.initial_margin), (d("0.001"), Decimal::ZERO));
        // Spot's wire writes eight places, and old orders use them.
        assert!(spot.parse_price("12.00000001").is_ok() && spot.parse_qty("191.38900600").is_ok());
    }
    assert_eq!(builtin(Product::Spot, "NOSUCH"), None);
    let map = SymbolMap::new(Product::UsdM, all.iter());
    let btc = map.find(b"BTCUSDT").unwrap();
    assert_eq!(all.get(btc.id).symbol.as_str(), "binance:BTC-USDT-PERP");
    assert_eq!(map.by_id(btc.id), Some(btc));
    assert_eq!(map.find(b"btcusdt"), None);
}

#[test]
fn the_real_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/binance_instruments.json");
    let Ok(json) = std::fs::read_to_string(&path) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
        println!("skipped: {} is absent", path.display());
        return;
    };
    let list = parse_instruments(&json).unwrap();
    let skipped: Vec<_> = list.skipped.iter().map(|(s, why)| format!("{s} {why}")).collect();
    assert_eq!(skipped, ["BTCSTUSDT not trading: PENDING_TRADING", "1000XUSDT not trading: SETTLING"]);
    let all = Instruments::new(list.instruments).unwrap();
    assert_eq!(all.len(), 19);
    // The built-in futures are those of this list.
    for i in builtin_all().iter().filter(|i| !i.is_spot()) {
        let real = all.find(i.symbol.as_str()).unwrap();
        assert_eq!(&Instrument { id: real.id, ..i.clone() }, real);
    }
    let odd = all.find("binance:币安人生-USDT-PERP").unwrap();
    assert_eq!((odd.price_decimals, odd.tick), (7, Price(100)));
    let sats = all.find("binance:1000SATS-USDT-PERP").unwrap();
    assert_eq!(sats.max_qty, Qty(40_000_000_000));
}
