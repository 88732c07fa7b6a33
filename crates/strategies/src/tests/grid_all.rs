use super::harness::{Answer, Rig, perp, spot};
use ctos_types::*;

/// Steps of 1 %, moves of 0.5 %, 100 an order.
const STEPS: &[(&str, &str)] = &[
    ("order_amount", "100"),
    ("buy_step", "0.99"),
    ("sell_step", "1.01"),
    ("buy_move", "0.995"),
    ("sell_move", "1.005"),
];

fn two_coins() -> Vec<Instrument> {
    vec![perp(), Instrument { symbol: Symbol::new("sim:SOL-USDT-PERP"), ..perp() }]
}

#[test]
fn each_coin_has_its_own_baseline_and_it_moves_with_every_fill() {
    let mut rig = Rig::new(two_coins(), "grid_all", STEPS);
    rig.start();
    rig.quote_of(0, 999, 1001);
    assert_eq!(rig.said(), ["buy 1.01 @ 99", "sell 0.99 @ 101"]);
    rig.quote_of(1, 1999, 2001);
    assert_eq!(rig.said(), ["buy 0.505 @ 198", "sell 0.495 @ 202"]);
    // A buy at 99: the baseline goes to 99.5, the sell is cancelled, both are placed anew (98.505 down, 100.495 up).
    rig.quote_of(0, 987, 989);
    assert_eq!(rig.said(), ["cancel @ 101", "buy 1.015 @ 98.5", "sell 0.995 @ 100.5"]);
    // A sell of the other coin at 202: baseline 201.
    rig.quote_of(1, 2021, 2023);
    assert_eq!(rig.said(), ["cancel @ 198", "buy 0.502 @ 198.9", "sell 0.492 @ 203.1"]);
}

#[test]
fn both_orders_may_fill_before_the_cancel_arrives() {
    let mut rig = Rig::new(vec![perp()], "grid_all", STEPS);
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    let (buy, sell) = (rig.order_at(Side::Buy, 990), rig.order_at(Side::Sell, 1010));
    rig.fill(buy, i64::MAX);
    rig.fill(sell, i64::MAX);
    rig.deliver();
    // 100 * 0.995 * 1.005 = 99.9975: 98.997525 down to 98.9, 100.997475 up to 101.
    assert_eq!(rig.said(), ["cancel @ 101", "buy 1.011 @ 98.9", "sell 0.99 @ 101"]);
}

#[test]
fn a_cancel_by_the_venue_is_no_fill() {
    let mut rig = Rig::new(vec![perp()], "grid_all", STEPS);
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    let buy = rig.order_at(Side::Buy, 990);
    let order = rig.book.remove(&buy).unwrap().order;
    rig.report(order.cl_ord_id, order.instrument, ReportBody::Canceled { reason: CancelReason::Venue });
    rig.deliver();
    assert_eq!(rig.said(), [""; 0]);
    rig.after(1000);
    assert_eq!(rig.said(), ["buy 1.01 @ 99"]);
}

#[test]
fn a_coin_whose_baseline_has_run_away_is_given_up() {
    let mut rig = Rig::new(vec![perp()], "grid_all", &[STEPS, &[("exit_below", "0.993")]].concat());
    rig.start();
    rig.quote(999, 1001);
    rig.quote(987, 989);
    rig.said();
    // The second buy takes the baseline to 0.990025: the sell goes, nothing comes back.
    rig.quote(982, 984);
    assert_eq!(rig.said(), ["cancel @ 100.5"]);
    rig.after(600_000);
    rig.quote(999, 1001);
    assert_eq!(rig.said(), [""; 0]);
    assert!(rig.notes.iter().any(|n| n.contains("giving sim:BTC-USDT-PERP up")), "{:?}", rig.notes);
}

#[test]
fn inventory_limit_and_spot_coins() {
    let mut rig = Rig::new(vec![perp()], "grid_all", &[STEPS, &[("max_inventory", "150")]].concat());
    rig.start();
    rig.quote(999, 1001);
    rig.said();
    rig.quote(987, 989);
    assert_eq!(rig.said(), ["cancel @ 101", "sell 0.995 @ 100.5"], "a second buy would hold more than 150");
    let mut rig = Rig::new(vec![Instrument { qty_decimals: 4, ..spot() }], "grid_all", STEPS);
    rig.start();
    rig.quote(999, 1001);
    assert_eq!(rig.said(), ["buy 1.0101 @ 99"], "nothing to sell yet");
    rig.quote(987, 989);
    assert_eq!(rig.said(), ["buy 1.0152 @ 98.5", "sell 0.995 @ 100.5"]);
}

#[test]
fn refusals_are_retried_with_growing_pauses_and_bars_are_enough() {
    let mut rig = Rig::new(vec![perp()], "grid_all", STEPS);
    rig.answer = Answer::RejectOther;
    rig.start();
    rig.bar(1000);
    rig.after(20_000);
    let first = rig.said();
    assert_eq!(first[..2], ["buy 1.01 @ 99", "sell 0.99 @ 101"]);
    rig.after(3_600_000);
    let tries = rig.said().len();
    assert!((100..=130).contains(&tries), "{tries}");
}

#[test]
fn a_restart_changes_no_command() {
    let mut hashes = Vec::new();
    for restarts in [false, true] {
        let mut rig = Rig::new(two_coins(), "grid_all", STEPS);
        rig.start();
        for (n, by) in [0, -9, -12, 4, 15, 11, -3, -20, -7, 6, 30, 2].into_iter().enumerate() {
            let mid = 1000 + by * 2;
            rig.quote_of((n % 2) as u32, mid - 1, mid + 1);
            rig.after(700);
            if restarts {
                rig.restart("grid_all", STEPS);
            }
        }
        assert!(rig.log.len() > 10);
        hashes.push(rig.kernel.command_hash());
    }
    assert_eq!(hashes[0], hashes[1]);
}
