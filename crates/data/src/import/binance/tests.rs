use crate::import::testing::{self, gz, render, zip};
use crate::import::{Format, ImportOptions, detect};
use proptest::prelude::*;
use std::path::Path;

const KLINE: &str = "1704067200000,42314.00,42335.80,42289.60,42331.90,289.641,1704067259999,12256155.27200,3310,170.166,7200533.14420,0\n";
const KLINE_HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
const KLINE_RECORD: &str = "binance:BTC-USDT-PERP@2024-01-01T00:00:00Z 1m bar 42314 42335.8 42289.6 42331.9 v=289.641 q=12256155.272 n=3310 t=170.166";

#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>, want: &[&str]) {
    check_with(name, content, &ImportOptions::default(), want);
}

#[track_caller]
fn check_with(name: &str, content: impl AsRef<[u8]>, options: &ImportOptions, want: &[&str]) {
    assert_eq!(testing::import(Format::Binance, name, content.as_ref(), options), want, "{name}");
}

#[test]
fn klines_with_header_and_without() {
    let name = "futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.csv";
    check(name, format!("{KLINE_HEADER}{KLINE}"), &[&format!("2: {KLINE_RECORD}")]);
    check(name, KLINE, &[&format!("1: {KLINE_RECORD}")]);
    check(name, format!("\u{feff}{KLINE_HEADER}\r\n{}\r\n", KLINE.trim()), &[&format!("3: {KLINE_RECORD}")]);
    check(name, gz(KLINE.as_bytes()), &[&format!("1: {KLINE_RECORD}")]);
    check(
        &name.replace(".csv", ".zip"),
        zip(&[("BTCUSDT-1m-2024-01.csv", KLINE.as_bytes())]),
        &[&format!("1: {KLINE_RECORD}")],
    );
    // Columns in another order, as somebody's script may leave them.
    let turned = "close_time,open,high,low,close,volume,open_time\n1704067259999,1,2,0.5,1.5,7,1704067200000\n";
    check(name, turned, &["2: binance:BTC-USDT-PERP@2024-01-01T00:00:00Z 1m bar 1 2 0.5 1.5 v=7"]);
}

#[test]
fn spot_klines_in_both_units() {
    let micros = "1735689600000000,93576.00,93610.93,93537.50,93610.93,8.21827,1735689659999999,768978.30,2631,3.95157,369757.32,0\n";
    let want = "1: binance:BTC-USDT@2025-01-01T00:00:00Z 1m bar 93576 93610.93 93537.5 93610.93 v=8.21827 q=768978.3 n=2631 t=3.95157";
    check("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.csv", micros, &[want]);
    // Microseconds exist on spot only, so the path need not say it.
    check("BTCUSDT-1m-2025-01-01.csv", micros, &[want]);
    let millis =
        "1733011200000,96407.99,96500.00,96400.00,96480.00,20.1,1733011259999,1938000.5,2000,10.5,1012000.2,0\n";
    let want =
        "1: binance:BTC-USDT@2024-12-01T00:00:00Z 1m bar 96407.99 96500 96400 96480 v=20.1 q=1938000.5 n=2000 t=10.5";
    check("spot/BTCUSDT-1m-2024-12.csv", millis, &[want]);
    let options = ImportOptions { market: Some("spot".into()), ..Default::default() };
    check_with("BTCUSDT-1m-2024-12.csv", millis, &options, &[want]);
    check(
        "BTCUSDT-1m-2024-12.csv",
        millis,
        &["error: neither path nor content tell whether these klines are of spot or of futures \
           | hint: state it: --market spot, --market um or --market cm"],
    );
    // The symbol says what the market would have said.
    let options = ImportOptions { symbol: Some("BTC-USDT".into()), ..Default::default() };
    check_with("old.csv", millis, &options, &[want]);
}

#[test]
fn mixed_units_in_one_file_are_an_error() {
    let rows =
        "1733011200000,1,1,1,1,1,1733011259999,1,1,1,1,0\n1735689600000000,1,1,1,1,1,1735689659999999,1,1,1,1,0\n";
    check(
        "spot/BTCUSDT-1m-2024-12.csv",
        rows,
        &[
            "1: binance:BTC-USDT@2024-12-01T00:00:00Z 1m bar 1 1 1 1 v=1 q=1 n=1 t=1",
            "error: line 2: mixed time units: microseconds here, milliseconds at line 1 \
           | hint: two archives were put together in one file: split them and import each by itself",
        ],
    );
}

#[test]
fn coin_margined_klines_have_no_quote_volume() {
    let row = "1704067200000,42500,42550.1,42400,42450,1000,1704070799999,2.35,150,600,1.4,0\n";
    check(
        "futures/cm/daily/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-01-01.csv",
        row,
        &["1: binance:BTC-USD-PERP@2024-01-01T00:00:00Z 1h bar 42500 42550.1 42400 42450 v=1000 n=150 t=600"],
    );
    check(
        "BTCUSD_240628-1h-2024-01-01.csv",
        row,
        &["1: binance:BTC-USD-20240628@2024-01-01T00:00:00Z 1h bar 42500 42550.1 42400 42450 v=1000 n=150 t=600"],
    );
}

#[test]
fn mark_price_klines_give_the_mark_at_the_end_of_each_bar() {
    let row = "1704067200000,42500,42550.1,42400,42450,0,1704070799999,0,3600,0,0,0\n";
    check(
        "futures/um/daily/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01-01.csv",
        row,
        &["1: binance:BTC-USDT-PERP@2024-01-01T01:00:00Z mark 42450"],
    );
    for kind in ["indexPriceKlines", "premiumIndexKlines"] {
        let want = format!(
            "error: {kind} archives have no place in the catalog | hint: there is a place for klines, markPriceKlines, \
             trades, aggTrades, bookTicker, bookDepth, fundingRate"
        );
        check(&format!("futures/um/daily/{kind}/BTCUSDT/1h/BTCUSDT-1h-2024-01-01.csv"), row, &[&want]);
    }
}

#[test]
fn the_interval_comes_from_name_flag_or_first_bar() {
    let hour = "1704067200000,1,1,1,1,1,1704070799999,1,1,1,1,0\n";
    let perp = |more: ImportOptions| ImportOptions { symbol: Some("BTC-USDT-PERP".into()), ..more };
    let bar = "1: binance:BTC-USDT-PERP@2024-01-01T00:00:00Z 1h bar 1 1 1 1 v=1 q=1 n=1 t=1";
    check_with("bars.csv", hour, &perp(ImportOptions::default()), &[bar]);
    let minute = ImportOptions { interval: "1m".parse().ok(), ..perp(ImportOptions::default()) };
    let want =
        "error: the first bar is one of 1h, not of 1m | hint: check the file's name, and --interval if it was given";
    check_with("bars.csv", hour, &minute, &[want]);
    let want = "error: the name says 1h bars and --interval says 1m | hint: leave --interval out, or rename the file";
    check_with("BTCUSDT-1h-2024-01.csv", hour, &minute, &[want]);
    check_with(
        "BTCUSDT-1mo-2024-01.csv",
        hour,
        &perp(ImportOptions::default()),
        &[
            "error: the first bar is one of 1h, not of 1mo | hint: check the file's name, and --interval if it was given",
        ],
    );
    // A leap year's February, with its name and without.
    let february = "1706745600000,1,1,1,1,1,1709251199999,1,1,1,1,0\n";
    let month = "1: binance:BTC-USDT-PERP@2024-02-01T00:00:00Z 1mo bar 1 1 1 1 v=1 q=1 n=1 t=1";
    for name in ["BTCUSDT-1mo-2024-02.csv", "bars.csv"] {
        check_with(name, february, &perp(ImportOptions::default()), &[month]);
    }
    // An outage cut the second bar short; the third is of another interval.
    let rows = format!(
        "{hour}1704070800000,1,1,1,1,1,1704071000000,1,1,1,1,0\n1704074400000,1,1,1,1,1,1704088799999,1,1,1,1,0\n"
    );
    check_with(
        "bars.csv",
        rows,
        &perp(ImportOptions::default()),
        &[
            bar,
            "2: binance:BTC-USDT-PERP@2024-01-01T01:00:00Z 1h bar 1 1 1 1 v=1 q=1 n=1 t=1",
            "1 skipped: time not understood (first at line 3: opens 2024-01-01T02:00:00Z, closes \
             2024-01-01T05:59:59.999000000Z among 1h bars)",
        ],
    );
}

#[test]
fn trades() {
    let spot = "3298293461,42283.58,0.00034,14.3764172,1704067200011,True,True\n3298293462,42283.59,0.1,4228.359,1704067200012,False,True\n";
    check(
        "BTCUSDT-trades-2024-01-01.csv",
        spot,
        &[
            "1: binance:BTC-USDT@2024-01-01T00:00:00.011000000Z trade 42283.58 x 0.00034 Sell id=3298293461",
            "2: binance:BTC-USDT@2024-01-01T00:00:00.012000000Z trade 42283.59 x 0.1 Buy id=3298293462",
        ],
    );
    let row = "4449186240,42313.9,0.002,84.6278,1704067200003,true\n";
    let want = ":binance:BTC-USDT-PERP@2024-01-01T00:00:00.003000000Z trade 42313.9 x 0.002 Sell id=4449186240";
    check("BTCUSDT-trades-2024-01-01.csv", row, &[&want.replacen(':', "1: ", 1)]);
    let header = "id,price,qty,quote_qty,time,is_buyer_maker\n";
    check("BTCUSDT-trades-2024-01-01.csv", format!("{header}{row}"), &[&want.replacen(':', "2: ", 1)]);
    // A name that tells nothing: the columns say trades of a future, the flag which.
    let options = ImportOptions { symbol: Some("binance:BTC-USDT-PERP".into()), ..Default::default() };
    check_with("t.csv", row, &options, &[&want.replacen(':', "1: ", 1)]);
    check_with(
        "t.csv",
        row,
        &ImportOptions::default(),
        &[
            "error: the file's name does not tell its symbol | hint: state it, for example --symbol binance:BTC-USDT-PERP",
        ],
    );
}

#[test]
fn agg_trades() {
    let spot = "2850000001,93576.00,0.00100,4359800001,4359800003,1735689600123456,True,True\n";
    check(
        "BTCUSDT-aggTrades-2025-01-01.csv",
        spot,
        &["1: binance:BTC-USDT@2025-01-01T00:00:00.123456000Z trade 93576 x 0.001 Sell id=2850000001"],
    );
    let row = "2012345678,2281.01,0.5,3500000001,3500000001,1704067200100,false\n";
    let want = "binance:ETH-USDT-PERP@2024-01-01T00:00:00.100000000Z trade 2281.01 x 0.5 Buy id=2012345678";
    check("ETHUSDT-aggTrades-2024-01-01.csv", row, &[&format!("1: {want}")]);
    let header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n";
    check("ETHUSDT-aggTrades-2024-01-01.csv", format!("{header}{row}"), &[&format!("2: {want}")]);
}

#[test]
fn book_ticker_keeps_the_order_of_the_file() {
    let header = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n";
    let rows = "3000000002,42313.9,8.5,42314.0,12.003,1704067200010,1704067200014\n3000000001,42313.8,1,42313.9,2,1704067200005,1704067200009\n";
    let want = [
        "binance:BTC-USDT-PERP@2024-01-01T00:00:00.010000000Z quote 42313.9 x 8.5 / 42314 x 12.003 u=3000000002",
        "binance:BTC-USDT-PERP@2024-01-01T00:00:00.005000000Z quote 42313.8 x 1 / 42313.9 x 2 u=3000000001",
    ];
    let at = |first: usize| want.iter().enumerate().map(|(n, w)| format!("{}: {w}", n + first)).collect::<Vec<_>>();
    check(
        "BTCUSDT-bookTicker-2024-01-01.csv",
        format!("{header}{rows}"),
        &at(2).iter().map(|s| &**s).collect::<Vec<_>>(),
    );
    check("BTCUSDT-bookTicker-2024-01-01.csv", rows, &at(1).iter().map(|s| &**s).collect::<Vec<_>>());
}

#[test]
fn book_depth_is_bands() {
    let rows = "2024-01-01 00:00:08,-5,5673.123,238123456.78\n2024-01-01 00:00:08,-1.00,100.5,4200000\n";
    let want = [
        "binance:BTC-USDT-PERP@2024-01-01T00:00:08Z band -5% 5673.123 238123456.78",
        "binance:BTC-USDT-PERP@2024-01-01T00:00:08Z band -1% 100.5 4200000",
    ];
    check("BTCUSDT-bookDepth-2024-01-01.csv", rows, &[&format!("1: {}", want[0]), &format!("2: {}", want[1])]);
    let with = format!("timestamp,percentage,depth,notional\n{rows}");
    check("BTCUSDT-bookDepth-2024-01-01.csv", &with, &[&format!("2: {}", want[0]), &format!("3: {}", want[1])]);
    // A plain file that ends in a number without a newline may have lost digits; behind a checksum it has not.
    let half = with.trim_end();
    check(
        "BTCUSDT-bookDepth-2024-01-01.csv",
        half,
        &[
            &format!("2: {}", want[0]),
            "1 skipped: unreadable (first at line 3: half a line: the file ends in the middle of it)",
        ],
    );
    check(
        "BTCUSDT-bookDepth-2024-01-01.zip",
        zip(&[("x.csv", half.as_bytes())]),
        &[&format!("2: {}", want[0]), &format!("3: {}", want[1])],
    );
}

#[test]
fn funding_rate() {
    let rows = "1704067200000,8,0.00037409\n1704096000001,8,-0.00001\n";
    let want = [
        "binance:BTC-USDT-PERP@2024-01-01T00:00:00Z funding 0.00037409",
        "binance:BTC-USDT-PERP@2024-01-01T08:00:00.001000000Z funding -0.00001",
    ];
    check("BTCUSDT-fundingRate-2024-01.csv", rows, &[&format!("1: {}", want[0]), &format!("2: {}", want[1])]);
    let with = format!("calc_time,funding_interval_hours,last_funding_rate\n{rows}");
    check("BTCUSDT-fundingRate-2024-01.csv", with, &[&format!("2: {}", want[0]), &format!("3: {}", want[1])]);
}

#[test]
fn bad_rows_are_counted_with_their_lines_and_passed() {
    let good = "4449186240,42313.9,0.002,84.6278,1704067200003,true";
    let rows = [
        good,
        "4449186241,42313.9,0.002,84.6278,1704067200003",
        "",
        "4449186242,42313.x,0.002,84.6278,1704067200003,true",
        "4449186243,,0.002,84.6278,1704067200003,true",
        "4449186244,42313.9,0.002,84.6278,1704067200,true",
        "4449186245,42313.9,0.002,84.6278,1704067200003,yes",
        "-5,42313.9,0.002,84.6278,1704067200003,true",
        "4449186246,42313.9,0.002,84.6278,1704067200003,true,extra",
        "4449186247,0.12345678901234567891,0.002,84.6278,1704067200003,true",
        good,
        "4449186248,42313.9,0.0",
    ];
    let good = "binance:BTC-USDT-PERP@2024-01-01T00:00:00.003000000Z trade 42313.9 x 0.002 Sell id=4449186240";
    check(
        "um/BTCUSDT-trades-2024-01-01.csv",
        rows.join("\n"),
        &[
            &format!("1: {good}"),
            "10: binance:BTC-USDT-PERP@2024-01-01T00:00:00.003000000Z trade 0.123456789012346 x 0.002 Sell id=4449186247",
            &format!("11: {good}"),
            "3 skipped: unreadable (first at line 2: 5 columns where there should be 6)",
            "1 skipped: field missing (first at line 5: no price)",
            "1 skipped: time not understood (first at line 6: time \"1704067200\")",
            "3 skipped: not a number that fits (first at line 4: price \"42313.x\")",
            "1 kept: more digits than can be meant, rounded to 15 (first at line 10: 0.12345678901234567891)",
        ],
    );
    let mut bytes = KLINE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\xff\xfe\n");
    bytes.extend(std::iter::repeat_n(b'1', 100_000));
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(KLINE.as_bytes());
    check(
        "um/BTCUSDT-1m-2024-01.csv",
        bytes,
        &[
            &format!("1: {KLINE_RECORD}"),
            &format!("4: {KLINE_RECORD}"),
            "2 skipped: unreadable (first at line 2: not UTF-8)",
        ],
    );
}

#[test]
fn files_that_are_of_no_use_say_why() {
    let again = "hint: the download may have failed: fetch it again";
    check("um/BTCUSDT-1m-2024-01.csv", "", &[&format!("error: the file is empty | {again}")]);
    check("um/BTCUSDT-1m-2024-01.csv", "\n\n", &[&format!("error: the file is empty | {again}")]);
    check(
        "um/BTCUSDT-1m-2024-01.csv",
        KLINE_HEADER,
        &["error: a header and no rows | hint: check that this is the file you meant"],
    );
    check(
        "um/BTCUSDT-1m-2024-01.csv",
        "open_time,open,high,low\n1704067200000,1,1,1\n",
        &["error: line 1: no column close, volume, close_time in the header | hint: check that this is the whole \
           archive file; --data states what it holds"],
    );
    check(
        "um/BTCUSDT-trades-2024-01.csv",
        "1704067200000,1,1,1\n",
        &[
            "error: line 1: 4 columns where Trades files have 6 or 7 | hint: check that this is the whole archive file; \
           --data states what it holds",
        ],
    );
    check(
        "x.csv",
        "a,b,c\n1,2,3\n",
        &[
            "error: line 1: neither name nor columns tell which Binance archive this is | hint: state what it holds with \
           --data: klines, markPriceKlines, trades, aggTrades, bookTicker, bookDepth, fundingRate",
        ],
    );
    let options = ImportOptions { data: Some("candles".into()), ..Default::default() };
    check_with(
        "x.csv",
        KLINE,
        &options,
        &["error: --data candles is no kind of archive | hint: there are klines, markPriceKlines, trades, aggTrades, \
           bookTicker, bookDepth, fundingRate"],
    );
    let options = ImportOptions { market: Some("swap".into()), ..Default::default() };
    let want = "error: --market swap is none of Binance's | hint: there are spot, um, cm";
    check_with("BTCUSDT-1m-2024-01.csv", KLINE, &options, &[want]);
    let options = ImportOptions { market: Some("spot".into()), ..Default::default() };
    let want = "error: the path says um and --market says spot | hint: leave --market out, or move the file";
    check_with("um/BTCUSDT-1m-2024-01.csv", KLINE, &options, &[want]);
    check(
        "um/ABCXYZ-1m-2024-01.csv",
        KLINE,
        &["error: what base and quote of ABCXYZ are is not known | hint: state it, for example --symbol \
           binance:BTC-USDT-PERP"],
    );
}

#[test]
fn zips_that_are_broken_say_how() {
    let name = "um/BTCUSDT-1m-2024-01.zip";
    let rows = KLINE.repeat(200);
    let whole = zip(&[("BTCUSDT-1m-2024-01.csv", rows.as_bytes())]);
    let starts = |content: &[u8], want: &str| {
        let seen = testing::import(Format::Binance, name, content, &ImportOptions::default());
        let last = seen.last().unwrap();
        assert!(last.starts_with(want), "{last}");
        assert!(last.contains("| hint: "), "{last}");
    };
    for cut in [4, 100, whole.len() / 2, whole.len() - 1] {
        starts(&whole[..cut], "error: not a whole zip file (");
    }
    starts(&zip(&[]), "error: the zip holds no file");
    starts(&zip(&[("a.csv", b"1"), ("b.csv", b"2")]), "error: the zip holds several files (a.csv, b.csv, ...)");
    // The flag of encryption stands in the local header and in the directory.
    let mut locked = whole.clone();
    locked[6] |= 1;
    let directory = locked.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    locked[directory + 8] |= 1;
    starts(&locked, "error: \"BTCUSDT-1m-2024-01.csv\" in the zip is encrypted | hint: unpack it");
    // Another checksum in the directory than the bytes have.
    let mut wrong = whole.clone();
    wrong[directory + 16] ^= 0x10;
    starts(&wrong, "error: line 201: the compressed data is damaged from here on: length or checksum is not what");
    // Damage in the middle of the stream.
    let mut flipped = whole.clone();
    let middle = directory / 2;
    flipped[middle] ^= 0x55;
    starts(&flipped, "error: ");
}

#[test]
fn a_checksum_beside_the_file_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("BTCUSDT-trades-2024-01-01.csv");
    std::fs::write(&path, "4449186240,42313.9,0.002,84.6278,1704067200003,true\n").unwrap();
    let beside = folder.path().join("BTCUSDT-trades-2024-01-01.csv.CHECKSUM");
    let digest = crate::hex(&<sha2::Sha256 as sha2::Digest>::digest(std::fs::read(&path).unwrap()));
    std::fs::write(&beside, format!("{digest}  BTCUSDT-trades-2024-01-01.csv\n")).unwrap();
    assert_eq!(testing::read(Format::Binance, &path, &ImportOptions::default()).len(), 1);
    std::fs::write(&beside, format!("{}  BTCUSDT-trades-2024-01-01.csv\n", "0".repeat(64))).unwrap();
    let seen = testing::read(Format::Binance, &path, &ImportOptions::default());
    assert!(seen[0].contains("the file is not the one that") && seen[0].contains("hint: fetch both again"), "{seen:?}");
}

#[test]
fn a_long_file_comes_in_steps_with_its_line_numbers() {
    let mut text = String::from(KLINE_HEADER);
    for n in 0..10_000u64 {
        let open = 1_704_067_200_000 + n * 60_000;
        text += &format!("{open},1,2,0.5,{},1,{},1,1,1,1,0\n", n % 2 + 1, open + 59_999);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("um").join("BTCUSDT-1m-2024-01.zip");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, zip(&[("BTCUSDT-1m-2024-01.csv", text.as_bytes())])).unwrap();
    let mut importer = Format::Binance.open(&path, &ImportOptions::default()).unwrap();
    let (mut places, mut batch, mut steps) = (Vec::new(), crate::import::Batch::default(), 0);
    loop {
        batch.clear();
        let more = importer.next(&mut batch).unwrap();
        assert!(batch.records.len() <= crate::import::Batch::TARGET);
        places.extend(batch.records.iter().map(|r| r.place));
        steps += 1;
        if !more {
            break;
        }
    }
    assert_eq!((importer.name(), steps), ("binance-klines", 3));
    assert_eq!(places, (2..10_002).collect::<Vec<_>>());
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(importer.bytes_read() <= size && importer.bytes_read() > size / 2, "{} of {size}", importer.bytes_read());
}

#[test]
fn detection() {
    let fits = |name: &str, content: &[u8]| testing::with_file(name, content, |path| detect(path).unwrap());
    let zipped = zip(&[("BTCUSDT-1m-2024-01.csv", KLINE.as_bytes())]);
    assert_eq!(fits("BTCUSDT-1m-2024-01.zip", &zipped), Some(Format::Binance));
    assert_eq!(fits("renamed.bin", &zipped), Some(Format::Binance));
    assert_eq!(fits("x.csv", KLINE_HEADER.as_bytes()), Some(Format::Binance));
    assert_eq!(fits("bars.csv", b"timestamp,open,high,low,close,volume\n1,2,3,4,5,6\n"), None);
    assert_eq!(fits("capture.jsonl", b"1704067200000000000 {\"stream\":\"x\"}\n"), None);
    let e = testing::with_file("x.csv", b"", |path| detect(path).unwrap_err());
    assert_eq!((e.why.as_str(), e.hint.is_empty()), ("the file is empty", false));
    let e = detect(Path::new("no/such/file.zip")).unwrap_err();
    assert!(e.to_string().contains("no/such/file.zip") && !e.hint.is_empty(), "{e}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What stands in the file is what comes out, digit for digit.
    #[test]
    fn numbers_come_through_exactly(
        rows in proptest::collection::vec(
            (0i64..=999_999_999_999_999_999, 0u8..=12, 0i64..=999_999_999_999_999, 0u8..=8, any::<bool>()),
            1..40,
        )
    ) {
        let text = |m: i64, p: u8| ctos_types::instrument::mantissa_text(m, p);
        let mut file = String::new();
        for (n, (px, px_places, qty, qty_places, maker)) in rows.iter().enumerate() {
            file += &format!("{n},{},{},0,1704067200003,{maker}\n", text(*px, *px_places), text(*qty, *qty_places));
        }
        let seen = testing::records(Format::Binance, "um/BTCUSDT-trades-2024-01-01.csv", file.as_bytes());
        prop_assert_eq!(seen.len(), rows.len());
        for (record, (px, px_places, qty, qty_places, maker)) in seen.iter().zip(&rows) {
            let trimmed = |text: String| match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            };
            let side = if *maker { "Sell" } else { "Buy" };
            let (px, qty) = (trimmed(text(*px, *px_places)), trimmed(text(*qty, *qty_places)));
            let want = format!("trade {px} x {qty} {side}");
            prop_assert!(render(record).contains(&want), "{} lacks {want}", render(record));
        }
    }
}
