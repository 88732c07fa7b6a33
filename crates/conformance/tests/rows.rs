//! One test per row of the fault catalogue, many seeds each. A failure names the command that repeats it.

use ctos_conformance::rows::{ROWS, Tally, run};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Seeds of a row.
const SEEDS: u64 = 50;

fn row(number: u32) {
    let row = ROWS.iter().find(|r| r.number == number).expect("a row of the catalogue");
    let wanted = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    if wanted("CONF_ROW").is_some_and(|n| n != u64::from(number)) {
        return;
    }
    let seeds: Vec<u64> = match wanted("CONF_SEED") {
        Some(seed) => vec![seed],
        None => (1..=SEEDS).collect(),
    };
    let (mut failed, mut sum, mut slowest) = (Vec::new(), Tally::default(), (0, 0, String::new()));
    for seed in seeds {
        let result = catch_unwind(AssertUnwindSafe(|| run(row, seed)));
        let result = result.unwrap_or_else(|_| Err("panic, see above".into()));
        match result {
            Ok(tally) => {
                sum.placed += tally.placed;
                sum.trades += tally.trades;
                slowest = slowest.max((tally.agreed_after, seed, tally.waited_for));
                tally.alarms.into_iter().for_each(|(name, n)| *sum.alarms.entry(name).or_insert(0) += n);
            }
            Err(why) => failed.push((seed, why)),
        }
    }
    eprintln!(
        "{row:?}: {} orders, {} trades, agreed at the latest after {} s (seed {}: {}); {:?}",
        sum.placed, sum.trades, slowest.0, slowest.1, slowest.2, sum.alarms
    );
    let lines: Vec<String> = failed
        .iter()
        .map(|(seed, why)| {
            format!("CONF_SEED={seed} CONF_ROW={number} cargo test -p ctos-conformance --test rows: {why}")
        })
        .collect();
    assert!(failed.is_empty(), "{row:?}: {} seeds failed\n{}", failed.len(), lines.join("\n"));
}

macro_rules! rows {
    ($($name:ident = $number:literal;)*) => {
        $(#[test] fn $name() { row($number); })*
    };
}

rows! {
    row_01_request_lost = 1;
    row_02_response_lost = 2;
    row_03_response_and_events_lost = 3;
    row_04_front_end_errors = 4;
    row_05_limits_and_bans = 5;
    row_06_cancel_fill_races = 6;
    row_07_amends_half_done = 7;
    row_08_events_twice = 8;
    row_09_fills_under_another_id = 9;
    row_10_events_out_of_order = 10;
    row_11_over_fills = 11;
    row_12_third_asset = 12;
    row_13_events_missing = 13;
    row_14_silence = 14;
    row_15_sockets_end = 15;
    row_16_late_shows = 16;
    row_17_clock_jumps = 17;
    row_18_killed_and_started = 18;
    row_22_another_instance = 22;
    row_23_a_person_trades = 23;
    row_24_lists_fail = 24;
    row_25_rules_change = 25;
    row_26_funding_and_liquidation = 26;
}
