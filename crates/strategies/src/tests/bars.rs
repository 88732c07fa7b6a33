use super::harness::{Answer, Rig, perp, spot};
use ctos_types::*;

const CROSS: &[(&str, &str)] = &[("fast", "1"), ("slow", "3"), ("order_amount", "100")];
/// z of the newest of four: the window's own value included.
const REVERT: &[(&str, &str)] = &[
    ("lookback", "4"),
    ("entry_z", "1.3"),
    ("exit_z", "0.4"),
    ("stop_z", "1.7"),
    ("max_bars", "3"),
    ("order_amount", "100"),
];

fn run(list: Vec<Instrument>, name: &str, params: &[(&str, &str)], closes: &[i64]) -> Rig {
    let mut rig = Rig::new(list, name, params);
    rig.start();
    for close in closes {
        rig.bar(*close);
    }
    rig
}

#[test]
fn one_order_for_each_crossing() {
    // Slow means: 100, 99, 99.33, 100.67, ...; the first relation (98 below 99) is no crossing.
    let mut rig = run(vec![perp()], "ma_cross", CROSS, &[1000, 1000, 1000, 970]);
    assert_eq!(rig.said(), [""; 0]);
    rig.bar(1010);
    assert_eq!(rig.said(), ["buy 0.99"]);
    rig.bar(1030);
    assert_eq!(rig.said(), [""; 0], "still above: no second order");
    // Falls below its mean: 0.99 closed and 1 opened, by one order.
    rig.bar(1000);
    assert_eq!(rig.said(), ["sell 1.99"]);
    assert_eq!(rig.position(), -1000);
    rig.bar(1020);
    assert_eq!(rig.said(), ["buy 1.98"]);
}

#[test]
fn touching_is_not_crossing() {
    let mut rig = run(vec![perp()], "ma_cross", CROSS, &[1000, 1000, 970, 1010]);
    assert_eq!(rig.said(), ["buy 0.99"]);
    // Close 990 with 970+1010+990 = 2970: equal to the mean; then above it again.
    rig.bar(990);
    rig.bar(1020);
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn long_only_closes_and_waits() {
    let mut rig = run(vec![spot()], "ma_cross", CROSS, &[1_000_000, 1_000_000, 970_000, 1_010_000]);
    assert_eq!(rig.said(), ["buy 0.00099"]);
    rig.bar(950_000);
    assert_eq!(rig.said(), ["sell 0.00099"]);
    assert_eq!(rig.position(), 0);
}

#[test]
fn an_opening_that_is_refused_is_given_up_a_closing_never() {
    let mut rig = run(vec![perp()], "ma_cross", CROSS, &[1000, 1000, 970]);
    rig.answer = Answer::RejectOther;
    rig.bar(1010);
    rig.after(600_000);
    assert_eq!(rig.said(), ["buy 0.99"; 5]);
    let mut rig = run(vec![perp()], "ma_cross", CROSS, &[1000, 1000, 970, 1010]);
    rig.said();
    rig.answer = Answer::RejectOther;
    rig.bar(950);
    rig.after(600_000);
    let tries = rig.said();
    // Both legs in one order first; where that is refused, the closing alone, again and again.
    assert_eq!(tries[0], "sell 2.042");
    assert!(tries.len() > 10 && tries[1..].iter().all(|t| t == "sell 0.99 reduce"), "{tries:?}");
    rig.answer = Answer::Accept;
    rig.after(64_000);
    assert_eq!(rig.said(), ["sell 0.99 reduce", "sell 1.052"]);
}

#[test]
fn spot_fees_in_coins_are_not_sold() {
    let mut rig = Rig::new(vec![spot()], "ma_cross", CROSS);
    rig.base_fee_permille = 1;
    rig.start();
    for close in [1_000_000, 1_000_000, 970_000, 1_010_000, 950_000] {
        rig.bar(close);
    }
    // 0.00099 less 0.1 % is 0.00098901, cut to seven places.
    assert_eq!(rig.said(), ["buy 0.00099", "sell 0.000989"]);
}

#[test]
fn enters_far_from_the_mean_and_leaves_near_it() {
    // 100, 101, 100, 96: mean 99.25, deviation 1.92, z -1.69.
    let mut rig = run(vec![perp()], "mean_reversion", REVERT, &[1000, 1010, 1000]);
    assert_eq!(rig.said(), [""; 0]);
    rig.bar(960);
    assert_eq!(rig.said(), ["buy 1.041"]);
    // 101, 100, 96, 99: mean 99, z 0.
    rig.bar(990);
    assert_eq!(rig.said(), ["sell 1.041 reduce"]);
    // The mirror image: 100, 96, 99, 103 has z 1.40; short.
    rig.bar(1030);
    assert_eq!(rig.said(), ["sell 0.97"]);
}

#[test]
fn leaves_after_max_bars_and_waits_for_the_mean() {
    let mut rig = run(vec![perp()], "mean_reversion", REVERT, &[1000, 1010, 1000, 960]);
    rig.said();
    // z stays below -0.4 for three bars: -1.10, -1.07, -1.36.
    rig.bar(960);
    rig.bar(950);
    assert_eq!(rig.said(), [""; 0]);
    rig.bar(930);
    assert_eq!(rig.said(), ["sell 1.041 reduce"]);
    // Far again (z -1.65), but not before the close has been back at the mean.
    rig.bar(880);
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn a_stop_leaves_and_no_entry_is_made_beyond_it() {
    // 100, 100, 100, 90 has z -1.73, beyond the stop of 1.7: no entry.
    let mut rig = run(vec![perp()], "mean_reversion", REVERT, &[1000, 1000, 1000, 900]);
    assert_eq!(rig.said(), [""; 0]);
    // Entered at -1.69, then a crash: 101, 100, 96, 50 has z -1.72.
    let mut rig = run(vec![perp()], "mean_reversion", REVERT, &[1000, 1010, 1000, 960]);
    assert_eq!(rig.said(), ["buy 1.041"]);
    rig.bar(500);
    assert_eq!(rig.said(), ["sell 1.041 reduce"]);
    assert!(rig.strategy_state()["signal"]["armed"] == false);
}

#[test]
fn a_restart_changes_no_command() {
    let closes: Vec<i64> = (0..200).map(|n: i64| 1000 + (n * n * 7919 + n * 104_729) % 97 - 48).collect();
    let ema = [("fast", "3"), ("slow", "7"), ("order_amount", "100"), ("kind", "ema")];
    for (name, params) in [("ma_cross", CROSS), ("ma_cross", &ema[..]), ("mean_reversion", REVERT)] {
        let mut hashes = Vec::new();
        for every in [usize::MAX, 1, 7] {
            let mut rig = Rig::new(vec![perp()], name, params);
            rig.start();
            for (n, close) in closes.iter().enumerate() {
                if n % 5 == 0 {
                    rig.answer = if n % 3 == 0 { Answer::RejectOther } else { Answer::Accept };
                }
                rig.bar(*close);
                if n % every == every - 1 {
                    rig.restart(name, params);
                }
            }
            assert!(rig.log.len() > 20, "{name} sent {}", rig.log.len());
            hashes.push(rig.kernel.command_hash());
        }
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{name}");
    }
}
