use crate::import::testing::{self, gz, zip};
use crate::import::{Format, ImportOptions, detect};
use proptest::prelude::*;

const TRADES: &str = "instrument_name,trade_id,side,price,size,created_time\n\
    BTC-USDT-SWAP,2802853319,sell,64927.5,0.2,1784822400188\nBTC-USDT-SWAP,2802853320,buy,64927.6,1,1784822400190\n";
const TRADES_READ: [&str; 2] = [
    "2: okx:BTC-USDT-PERP@2026-07-23T16:00:00.188000000Z trade 64927.5 x 0.2 Sell id=2802853319",
    "3: okx:BTC-USDT-PERP@2026-07-23T16:00:00.190000000Z trade 64927.6 x 1 Buy id=2802853320",
];

#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>, want: &[&str]) {
    check_with(name, content, &ImportOptions::default(), want);
}

#[track_caller]
fn check_with(name: &str, content: impl AsRef<[u8]>, options: &ImportOptions, want: &[&str]) {
    assert_eq!(testing::import(Format::Okx, name, content.as_ref(), options), want, "{name}");
}

#[test]
fn trades_plain_and_packed() {
    check("BTC-USDT-SWAP-trades-2026-07-24.csv", TRADES, &TRADES_READ);
    check("x.csv", TRADES, &TRADES_READ);
    check("x.csv.gz", gz(TRADES.as_bytes()), &TRADES_READ);
    check("x.zip", zip(&[("BTC-USDT-SWAP-trades-2026-07-24.csv", TRADES.as_bytes())]), &TRADES_READ);
    // A column that came later.
    let with_source = TRADES.replace("created_time\n", "created_time,source\n").replace("188\n", "188,0\n");
    check("x.csv", with_source.replace("190\n", "190,1\n"), &TRADES_READ);
}

#[test]
fn old_trades_have_bilingual_headers_and_the_size_before_the_price() {
    let utf8 = "\u{feff}trade_id/成交id,side/交易方向,size/数量,price/价格,created_time/成交时间\n";
    // The same in GBK.
    let gbk = b"trade_id/\xb3\xc9\xbd\xbbid,side/\xbd\xbb\xd2\xd7\xb7\xbd\xcf\xf2,size/\xca\xfd\xc1\xbf,price/\xbc\xdb\xb8\xf1,created_time/\xb3\xc9\xbd\xbb\xca\xb1\xbc\xe4\n";
    let row = b"719977054,buy,0.00527188,84760.0,1682434103856\n";
    let want = "2: okx:BTC-USDT@2023-04-25T14:48:23.856000000Z trade 84760 x 0.00527188 Buy id=719977054";
    for head in [utf8.as_bytes(), gbk] {
        let name = "BTC-USDT-trades-2023-04-25.csv";
        check(name, [head, row].concat(), &[want]);
        let options = ImportOptions { symbol: Some("BTC-USDT".into()), ..Default::default() };
        check_with("x.csv", [head, row].concat(), &options, &[want]);
        check(
            "x.csv",
            [head, row].concat(),
            &["error: neither columns nor name tell the instrument | hint: state it, for example --symbol \
               okx:BTC-USDT-PERP"],
        );
        assert!(testing::with_file(name, &[head, row].concat(), |path| detect(path).unwrap()) == Some(Format::Okx));
    }
}

#[test]
fn candles_are_kept_whatever_confirm_says() {
    let file = "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm\n\
        ETH-USDT-SWAP,3839.44,3843.58,3836.71,3838.16,23503.2,2350.32,9024127.30277,1761148800000,1\n\
        ETH-USDT-SWAP,3838.16,3840,3838,3839.5,10,1,3839.1,1761148860000,0\n";
    let name = "ETH-USDT-SWAP-candlesticks-2025-10-23.csv";
    check(
        name,
        file,
        &[
            "2: okx:ETH-USDT-PERP@2025-10-22T16:00:00Z 1m bar 3839.44 3843.58 3836.71 3838.16 v=23503.2 q=9024127.30277",
            "3: okx:ETH-USDT-PERP@2025-10-22T16:01:00Z 1m bar 3838.16 3840 3838 3839.5 v=10 q=3839.1",
        ],
    );
}

#[test]
fn funding_of_all_swaps_and_of_one() {
    let file = "instrument_name,funding_rate,funding_time\nBTC-USDT-SWAP,0.0001,1761148800000\n\
        ETH-USD-SWAP,-0.000023,1761148800000\nBTC-USD-260327-50000-C,0,1761148800000\nBTC-USD-260327,0.1,1761148800000\n";
    let name = "allswap-fundingrates-2025-10-23.csv";
    let bitcoin = "2: okx:BTC-USDT-PERP@2025-10-22T16:00:00Z funding 0.0001";
    let option = "1 skipped: no place for it in the catalog (first at line 4: instrument \"BTC-USD-260327-50000-C\")";
    let want = [
        bitcoin,
        "3: okx:ETH-USD-PERP@2025-10-22T16:00:00Z funding -0.000023",
        "5: okx:BTC-USD-20260327@2025-10-22T16:00:00Z funding 0.1",
        option,
    ];
    check(name, file, &want);
    for symbol in ["BTC-USDT-PERP", "okx:BTC-USDT-PERP"] {
        let options = ImportOptions { symbol: Some(symbol.into()), ..Default::default() };
        check_with(name, file, &options, &[bitcoin, option]);
    }
}

#[test]
fn bad_rows_are_counted_with_their_lines_and_passed() {
    let file = format!(
        "{TRADES}BTC-USDT-SWAP,2802853321,hold,64927.6,1,1784822400190\nBTC-USDT-SWAP,1,buy,x,1,1784822400190\n\
         BTC-USDT-SWAP,1,buy,1,1,1784822400\n,1,buy,1,1,1784822400190\nBTC-USDT-SWAP,1,buy,1\nBTC-USDT-SWAP,1,buy,1,1,17848224"
    );
    check(
        "x.csv",
        file,
        &[
            TRADES_READ[0],
            TRADES_READ[1],
            "2 skipped: unreadable (first at line 4: side \"hold\" is neither buy nor sell)",
            "1 skipped: field missing (first at line 7: no instrument_name)",
            "2 skipped: time not understood (first at line 6: created_time \"1784822400\")",
            "1 skipped: not a number that fits (first at line 5: price \"x\")",
        ],
    );
}

#[test]
fn files_that_are_of_no_use_say_why() {
    check("x.csv", "", &["error: the file is empty | hint: the download may have failed: fetch it again"]);
    check(
        "x.csv",
        "instrument_name,funding_rate,funding_time\n",
        &["error: a header and no rows | hint: check that this is the file you meant, and --symbol if it was given"],
    );
    check(
        "BTC-USDT-SWAP-trades-2026-07-24.csv",
        "instrument_name,trade_id,price,created_time\n",
        &["error: line 1: no column side, size in the header | hint: fetch the file again, whole"],
    );
    check(
        "x.csv",
        "a,b\n1,2\n",
        &["error: line 1: not the header of an OKX file | hint: OKX files start with a header: trade_id,side,... or \
           open,high,... or funding_rate,funding_time"],
    );
    let mixed = TRADES.replace("1784822400190", "1784822400190000");
    check(
        "x.csv",
        mixed,
        &[
            TRADES_READ[0],
            "error: line 3: mixed time units: microseconds here, milliseconds at line 2 | hint: two archives were put \
             together in one file: split them and import each by itself",
        ],
    );
}

#[test]
fn detection_by_header() {
    let fits = |name: &str, content: &[u8]| testing::with_file(name, content, |path| detect(path).unwrap());
    assert_eq!(fits("x.zip", &zip(&[("y.csv", TRADES.as_bytes())])), Some(Format::Okx));
    assert_eq!(fits("x.csv", b"instrument_name,funding_rate,funding_time\n"), Some(Format::Okx));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_come_through_exactly(mantissa in 0i64..=999_999_999_999_999_999, places in 0u8..=18) {
        let text = ctos_types::instrument::mantissa_text(mantissa, places);
        let file = format!("instrument_name,funding_rate,funding_time\nBTC-USDT-SWAP,{text},1761148800000\n");
        let seen = testing::records(Format::Okx, "x.csv", file.as_bytes());
        let crate::Body::Funding { rate, .. } = seen[0].body else { panic!("{seen:?}") };
        prop_assert_eq!(rate, crate::Number::parse(&text).unwrap());
    }
}
