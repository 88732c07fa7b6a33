//! `ctos bench`: the shape of what it prints, on the real binary. Never: a time or a rate.

use serde_json::Value;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    // A directory with nothing beside it, whatever lies beside the temporary one: frames come from a generated capture.
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    command.arg("bench").args(args).arg("--home").arg(dir.path().join("home")).current_dir(empty);
    let output = command.output().expect("the binary starts");
    let left: Vec<_> = std::fs::read_dir(dir.path().join("home")).map(|d| d.flatten().collect()).unwrap_or_default();
    assert!(left.is_empty(), "left behind: {left:?}");
    output
}

#[test]
fn every_measurement_has_its_shape() {
    let output = bench(&["--json", "--quick"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array of objects");
    let names: Vec<&str> = results.iter().filter_map(|r| r["name"].as_str()).collect();
    let want = [
        "step_top_of_book_1",
        "step_top_of_book_10",
        "step_trade_1",
        "step_trade_10",
        "step_depth_diff_1",
        "step_depth_diff_10",
        "frames_decoded",
        "frames_from_file",
        "input_to_durable",
        "input_to_durable_group",
        "order_round_trips",
        "decode_depth_20",
        "decode_depth_20_serde",
        "decode_book_ticker",
        "decode_book_ticker_serde",
        "request_signed",
        "feed_depth_20",
        "feed_book_ticker",
        "tick_to_order_bytes",
        "backtest_bars",
        "backtest_trades",
        "backtest_depth",
        "growth_bars",
        "growth_trades",
        "growth_depth",
        "indicator_ema",
        "indicator_bollinger",
        "indicator_rsi",
        "indicator_atr",
        "import_csv",
        "import_csv_rows",
        "load_parquet",
        "load_parquet_rows",
        "memory_bars_csv",
        "memory_bars_parquet",
        "memory_capture",
        "memory_catalog_bars",
        "memory_catalog_trades",
        "memory_catalog_book",
        "memory_results",
        "sweep_speedup",
    ];
    // Of the indicators, those that have a floor.
    let floored: Vec<&str> =
        names.iter().copied().filter(|n| !n.starts_with("indicator_") || want.contains(n)).collect();
    assert_eq!(floored, want);
    assert!(names.len() > want.len() + 20, "indicators are missing: {names:?}");
    for r in &results {
        let number = |key: &str| r[key].as_f64().unwrap_or_else(|| panic!("no {key} in {r}"));
        assert!(number("min") > 0.0 || r["source"] == "not told by this system", "{r}");
        assert!(number("min") <= number("median") && number("median") <= number("max"), "{r}");
        assert!(number("samples") >= 1.0 && r["machine"].as_str().is_some_and(|m| !m.is_empty()), "{r}");
        // Each of these ran once more in a process of its own; what it held is told where the system tells it.
        let held =
            ["backtest_", "growth_", "memory_"].iter().any(|k| r["name"].as_str().is_some_and(|n| n.starts_with(k)));
        if held && cfg!(target_os = "linux") {
            let memory = |key: &str| r["peak_memory"][key].as_f64().unwrap_or_else(|| panic!("no {key} in {r}"));
            assert!(memory("bytes") > 1e6 && memory("events") > 1e3 && memory("bytes_per_event") > 1.0, "{r}");
        }
        assert!(held || r.get("peak_memory").is_none(), "{r}");
        assert_eq!(r["name"] == "sweep_speedup", r["machine_speedup"].as_f64().is_some_and(|s| s > 0.0), "{r}");
        match r["unit"].as_str() {
            Some("ns") if r["name"].as_str().is_some_and(|n| n.starts_with("indicator_")) => {}
            Some("ns") => assert!(number("p99") <= number("p999") && number("p50") > 0.0, "{r}"),
            Some("frames/s") => assert!(r["source"].as_str().is_some_and(|s| s.contains("generated")), "{r}"),
            unit => assert!(matches!(unit, Some("orders/s" | "events/s" | "MB/s" | "rows/s" | "x" | "MB")), "{r}"),
        }
    }
}

#[test]
fn a_table_for_people() {
    let output = bench(&["--quick", "--filter", "trade_1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let rows: Vec<&str> = text.lines().take_while(|l| !l.is_empty()).collect();
    assert!(rows.len() == 3 && rows[0].starts_with("measurement") && rows[1].starts_with("step_trade_1 "), "{text}");
}

#[test]
fn mistakes_are_named() {
    for (args, part) in [
        (["--filter", "nonsense"], "no measurement has \"nonsense\" in its name"),
        (["--capture", "absent.jsonl.gz"], "cannot open absent.jsonl.gz"),
        (["--alone", "nonsense"], "nothing is measured alone by the name \"nonsense\""),
    ] {
        let output = bench(&args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(part) && stderr.contains("\nhint: "), "{stderr}");
    }
}
