//! Ten real coins at once through two strategies, gaps told with their true number; minutes make the imported bars.
//! Never: a synthetic price.

use ctos_backtest::whole::{Done, Request, backtest};
use ctos_runtime::config::{Layers, Settings};
use ctos_strategies::Catalog;
use ctos_types::Nanos;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bars").join(name);
    if path.is_file() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

type Strategy<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn run(file: &Path, folder: &Path, balance: (&str, &str), strategies: &[Strategy<'_>]) -> Done {
    let mut layers = Layers::new();
    let home = folder.with_extension("home").display().to_string();
    let market = format!("replay:{}", file.display());
    for (path, text) in [
        ("home", home.as_str()),
        ("market", market.as_str()),
        ("api.enabled", "false"),
        ("risk.daily_loss", "off"),
        ("risk.max_drawdown_pct", "off"),
        ("risk.price_band_bps", "off"),
        ("risk.stale_after", "off"),
    ] {
        layers.flag("--conf", path, text);
    }
    layers.flag_balance(balance.0, balance.1);
    for (name, params) in strategies {
        layers.flag_strategy(name);
        params.iter().for_each(|(key, text)| layers.flag_param(key, text));
    }
    let request = Request {
        settings: Settings::resolve(&layers).unwrap(),
        from: None,
        to: None,
        warm_up: Nanos::ZERO,
        folder: Some(folder.into()),
        pessimistic: false,
    };
    backtest(&request, Catalog::default(), &mut |_| true).unwrap().unwrap()
}

const FIVE_MINUTES: i64 = 300_000;

/// Missing bars by symbol: steps that are not there between the first and the last of its open times, in ms.
fn missing(file: &Path) -> (u64, BTreeMap<String, u64>) {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let mut times = BTreeMap::<String, BTreeSet<i64>>::new();
    let mut rows = 0;
    for row in reader.get_row_iter(None).unwrap() {
        let (mut symbol, mut at) = (None, None);
        for (name, field) in row.unwrap().into_columns() {
            match (name.as_str(), field) {
                ("symbol", Field::Str(s)) => symbol = Some(s),
                ("open_time", Field::Long(ms) | Field::TimestampMillis(ms)) => at = Some(ms),
                _ => {}
            }
        }
        rows += 1;
        assert!(times.entry(symbol.unwrap()).or_default().insert(at.unwrap()), "no bar is there twice");
    }
    let count = |times: &BTreeSet<i64>| {
        let (first, last) = (times.first().unwrap(), times.last().unwrap());
        assert!(times.iter().all(|t| (t - first) % FIVE_MINUTES == 0));
        ((last - first) / FIVE_MINUTES + 1) as u64 - times.len() as u64
    };
    (rows, times.iter().map(|(symbol, times)| (symbol.clone(), count(times))).collect())
}

#[test]
fn ten_coins_trade_together_and_their_gaps_are_counted() {
    let Some(file) = data("ten_coins_btc_5m_2018-01.parquet") else { return };
    let (rows, missing) = missing(&file);
    let dir = tempfile::tempdir().unwrap();
    let grid: Strategy<'_> = ("grid_all", &[("order_amount", "0.05"), ("buy_step", "0.99"), ("sell_step", "1.01")]);
    let cross: Strategy<'_> = ("ma_cross", &[("symbol", "file:ETH-BTC"), ("interval", "5m"), ("order_amount", "0.1")]);
    let summary = run(&file, &dir.path().join("run"), ("BTC", "10"), &[grid, cross]).summary;
    assert_eq!((missing.len(), summary["market_events"].as_u64()), (10, Some(rows)));

    let parts = |key: &str| -> BTreeMap<String, u64> {
        let all = summary["metrics"][key].as_array().unwrap().iter();
        all.map(|p| (p["name"].as_str().unwrap().into(), p["fills"].as_u64().unwrap())).collect()
    };
    let by_strategy = parts("by_strategy");
    assert!(by_strategy["grid_all"] > 1_000 && by_strategy["ma_cross"] > 10, "{by_strategy:?}");
    let by_coin = parts("by_instrument");
    assert!(by_coin.len() == 10 && by_coin.values().all(|n| *n > 0), "{by_coin:?}");

    // Each coin with gaps has a line that says how many bars are missing, and no other has one.
    let told: Vec<&str> = summary["data_quality"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (symbol, n) in &missing {
        let coin = symbol.split(['/', '-', '_']).next().unwrap();
        let lines: Vec<&&str> = told.iter().filter(|l| l.contains(&format!("file:{coin}-"))).collect();
        match n {
            0 => assert!(lines.is_empty(), "{symbol}: {lines:?}"),
            n => assert!(lines.len() == 1 && lines[0].contains(&format!(" {n} bars of ")), "{symbol}, {n}: {lines:?}"),
        }
    }
    let total: u64 = missing.values().sum();
    assert!(total > 0 && summary["source"]["missing_bars"] == total, "{total}: {}", summary["source"]);
}

#[test]
fn bars_made_of_minutes_are_the_five_minute_bars() {
    let Some(file) = data("btc_perp_1m_2022-01.csv") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    // From the first whole five minutes on.
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).skip(4).take(10_000).collect();
    assert!(rows[0][0].contains("23:05:00"), "{:?}", rows[0]);
    let (mut fine, mut coarse) = (format!("{header}\n"), format!("{header}\n"));
    for five in rows.chunks_exact(5) {
        let number = |n: usize, k: usize| five[n][k].parse::<f64>().unwrap();
        let most =
            |k: usize, sign: f64| (0..5).max_by(|a, b| (number(*a, k) * sign).total_cmp(&(number(*b, k) * sign)));
        let (high, low) = (five[most(2, 1.0).unwrap()][2], five[most(3, -1.0).unwrap()][3]);
        writeln!(coarse, "{},{},{high},{low},{},50", five[0][0], five[0][1], five[4][4]).unwrap();
        for r in five {
            writeln!(fine, "{},{},{},{},{},10", r[0], r[1], r[2], r[3], r[4]).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let plots = |name: &str, text: &str| {
        let path = dir.path().join(name).join("btc_perp.csv");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let cross: Strategy<'_> = ("ma_cross", &[("interval", "5m"), ("kind", "ema")]);
        let folder = path.with_file_name("run");
        run(&path, &folder, ("USDT", "100000"), &[cross]);
        std::fs::read_to_string(folder.join("plots.csv")).unwrap()
    };
    let (fine, coarse) = (plots("fine", &fine), plots("coarse", &coarse));
    assert!(coarse.lines().count() > 3_900, "{}", coarse.lines().count());
    let differs = fine.lines().zip(coarse.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None, "every average at every close, to the last digit");
    assert_eq!(fine.lines().count(), coarse.lines().count());
}
