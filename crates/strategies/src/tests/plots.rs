use super::harness::{Rig, perp};
use ctos_types::{Control, Instrument, Side, Symbol};

fn plots(rig: &mut Rig) -> Vec<(u32, &'static str, f64)> {
    std::mem::take(&mut rig.plots)
}

fn stop(rig: &mut Rig) {
    rig.control(&Control::Stop { reason: "test".into() });
}

#[test]
fn averages_are_drawn_from_their_first_value_on() {
    let mut rig = Rig::new(vec![perp()], "ma_cross", &[("fast", "1"), ("slow", "3")]);
    rig.start();
    rig.bar(1000);
    assert_eq!(plots(&mut rig), [(0, "fast", 100.0)]);
    rig.bar(1010);
    rig.bar(1080);
    assert_eq!(plots(&mut rig), [(0, "fast", 101.0), (0, "fast", 108.0), (0, "slow", 103.0)]);
}

#[test]
fn a_mean_and_the_closes_that_enter() {
    let mut rig = Rig::new(vec![perp()], "mean_reversion", &[("lookback", "4"), ("entry_z", "1.2"), ("stop_z", "1.7")]);
    rig.start();
    for close in [990, 1010, 990] {
        rig.bar(close);
        assert_eq!(plots(&mut rig), []);
    }
    // Mean 100, deviation 1.
    rig.bar(1010);
    assert_eq!(plots(&mut rig), [(0, "mean", 100.0), (0, "upper", 101.2), (0, "lower", 98.8)]);
}

#[test]
fn a_baseline_moves_in_steps() {
    let steps = [
        ("order_amount", "100"),
        ("buy_step", "0.99"),
        ("sell_step", "1.01"),
        ("buy_move", "0.995"),
        ("sell_move", "1.005"),
    ];
    let other = Instrument { symbol: Symbol::new("sim:SOL-USDT-PERP"), ..perp() };
    let mut rig = Rig::new(vec![perp(), other], "grid_all", &steps);
    rig.start();
    rig.quote_of(0, 999, 1001);
    rig.quote_of(1, 1999, 2001);
    assert_eq!(plots(&mut rig), [(0, "baseline", 100.0), (1, "baseline", 200.0)]);
    let buy = rig.order_at(Side::Buy, 990);
    rig.fill(buy, i64::MAX);
    rig.deliver();
    assert_eq!(plots(&mut rig), [(0, "baseline", 100.0), (0, "baseline", 99.5)]);
    stop(&mut rig);
    assert_eq!(plots(&mut rig), [(0, "baseline", 99.5), (1, "baseline", 200.0)]);
}

#[test]
fn a_grid_is_drawn_where_it_lies_and_moves_in_steps() {
    let place = [("spacing", "1"), ("levels", "2"), ("mode", "arithmetic"), ("order_amount", "100"), ("recenter", "1")];
    let mut rig = Rig::new(vec![perp()], "grid", &place);
    rig.start();
    rig.quote(999, 1001);
    let first = [(0, "lowest", 98.0), (0, "centre", 100.0), (0, "highest", 102.0)];
    assert_eq!(plots(&mut rig), first);
    rig.quote(999, 1002);
    assert_eq!(plots(&mut rig), [], "a grid that stays is not drawn again");
    rig.quote(1099, 1101);
    rig.after(10_000);
    let second = [(0, "lowest", 107.8), (0, "centre", 110.0), (0, "highest", 112.2)];
    assert_eq!(plots(&mut rig), [first, second].concat());
    stop(&mut rig);
    assert_eq!(plots(&mut rig), second);
}
