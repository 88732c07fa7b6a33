//! What a second of the twin costs: `cargo test -p ctos-twin --lib pace -- --ignored --nocapture`.

use super::*;
use std::time::Instant;

#[test]
#[ignore = "measures; asserts nothing"]
fn a_twin_second() {
    for product in [Product::Spot, Product::UsdM] {
        let mut c = client(product, 91);
        let (_, info) =
            c.get(if product == Product::Spot { "/api/v3/exchangeInfo" } else { "/fapi/v1/exchangeInfo" }, "");
        let rows = info["symbols"].as_array().unwrap();
        let names: Vec<String> = rows
            .iter()
            .filter(|s| s["status"] == "TRADING")
            .map(|s| s["symbol"].as_str().unwrap().to_lowercase())
            .take(10)
            .collect();
        for (what, kinds) in [
            ("nobody listens", &[][..]),
            ("depth, bookTicker and trades", &["depth@100ms", "bookTicker", "trade", "aggTrade"]),
            ("candles, marks and tickers too", &["kline_1m", "markPrice@1s", "ticker", "depth20@100ms"]),
        ] {
            for kind in kinds {
                let public = ["depth@100ms", "bookTicker", "trade", "depth20@100ms"].contains(kind);
                let path = match (product, public) {
                    (Product::Spot, _) => "",
                    (_, true) => "/public",
                    (_, false) => "/market",
                };
                let streams: Vec<String> = names.iter().map(|n| format!("{n}@{kind}")).collect();
                c.open(&format!("{path}/stream?streams={}", streams.join("/")));
            }
            c.frames.clear();
            let began = Instant::now();
            c.pass(60_000);
            let spent = began.elapsed().as_secs_f64() * 1_000.0 / 60.0;
            let bytes: usize = c.frames.iter().map(|o| if let Frame::Text(t) = &o.frame { t.len() } else { 0 }).sum();
            println!(
                "{product:?}, {} symbols, {what}: {spent:.2} ms a twin second, {} frames and {} kB a second",
                names.len(),
                c.frames.len() / 60,
                bytes / 60_000
            );
        }
    }
}
