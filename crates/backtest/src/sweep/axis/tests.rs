use super::*;
use ctos_strategies::info;
use proptest::prelude::*;

fn axis(strategy: &str, text: &str) -> Axis {
    Axis::parse(text, info(strategy).unwrap()).unwrap()
}

fn values(strategy: &str, text: &str) -> Vec<String> {
    axis(strategy, text).values
}

#[track_caller]
fn refused(strategy: &str, text: &str, part: &str) {
    let error = Axis::parse(text, info(strategy).unwrap()).unwrap_err();
    assert!(error.message.contains(part), "{text}: {}", error.message);
    assert!(!error.hint.is_empty());
}

#[test]
fn every_form() {
    assert_eq!(values("ma_cross", "fast=5..20:5"), ["5", "10", "15", "20"]);
    assert_eq!(values("ma_cross", "fast=5..18:5"), ["5", "10", "15"]);
    assert_eq!(values("ma_cross", "fast=3..5"), ["3", "4", "5"]);
    assert_eq!(values("ma_cross", "slow=100, 20,50"), ["20", "50", "100"]);
    assert_eq!(values("ma_cross", "fast=7..7"), ["7"]);
    assert_eq!(values("ma_cross", "order_amount=log:10..1000:5"), ["10", "31.62", "100", "316.2", "1000"]);
    assert_eq!(values("ma_cross", "slow=log:2..32:5"), ["2", "4", "8", "16", "32"]);
    assert_eq!(values("ma_cross", "fast=log:1..4:9"), ["1", "2", "3", "4"]);
    assert_eq!(values("mean_reversion", "entry_z=1.5..2.5:0.5"), ["1.5", "2", "2.5"]);
    assert_eq!(values("ma_cross", "kind=sma,ema"), ["sma", "ema"]);
    assert_eq!(values("ma_cross", "interval=1h,5m,1m"), ["1m", "5m", "1h"]);
    assert_eq!(values("grid", "spacing=0.1%,0.05"), ["0.05", "0.1"]);
    assert_eq!(values("grid", "sell_owned=yes,no"), ["true", "false"]);
    assert_eq!(values("grid_all", "symbols=A,B|C"), ["A,B", "C"]);
}

#[test]
fn open_ranges_stand_for_a_continuum() {
    let open = axis("mean_reversion", "entry_z=1..3");
    assert!(open.open && open.values.len() == 1_001);
    assert_eq!((open.values[0].as_str(), open.values[1].as_str(), open.values[1_000].as_str()), ("1", "1.002", "3"));
    assert!(axis("ma_cross", "order_amount=log:10..1000").open);
    assert!(!axis("ma_cross", "fast=5..50").open);
    assert_eq!(axis("ma_cross", "kind=sma,ema").scale, Scale::Words);
    assert!(axis("ma_cross", "slow=20,50").is_numeric() && !axis("ma_cross", "interval=1m,5m").is_numeric());
}

#[test]
fn mistakes_are_named() {
    refused("ma_cross", "fast", "is not NAME=VALUES");
    refused("ma_cross", "fsat=1..3", "no parameter fsat");
    refused("ma_cross", "fast=9..3", "the range 9..3 is empty");
    refused("ma_cross", "fast=1..9:0", "the step is not above 0");
    refused("ma_cross", "fast=1..9:-1", "the step is not above 0");
    refused("ma_cross", "fast=1..9:0.5", "not a whole number");
    refused("ma_cross", "fast=0..9", "0 is out of range");
    refused("ma_cross", "fast=1..", "not a decimal");
    refused("ma_cross", "fast=1,x", "not a decimal");
    refused("ma_cross", "fast=1,,2", "a value is empty");
    refused("ma_cross", "fast=1,1.0", "1 is named twice");
    refused("ma_cross", "kind=sma,wma", "not one of its words");
    refused("ma_cross", "kind=log:1..2", "only numbers");
    refused("ma_cross", "interval=1x", "");
    refused("grid", "sell_owned=perhaps", "neither true nor false");
    refused("ma_cross", "slow=log:2..32:1", "2 to 10000 values");
    refused("ma_cross", "order_amount=1..100000:1", "at most 10000");
    let hint = Axis::parse("fsat=1..3", info("ma_cross").unwrap()).unwrap_err().hint;
    assert!(hint.contains("did you mean fast?"), "{hint}");
}

proptest! {
    #[test]
    fn a_linear_range_holds_its_steps_exactly(low in 1i64..10_000, steps in 0i64..300, step in 1i64..500) {
        let (l, s) = (Decimal::new(low, 3), Decimal::new(step, 3));
        let high = Decimal::new(low + steps * step, 3);
        let axis = axis("ma_cross", &format!("order_amount={l}..{high}:{s}"));
        prop_assert_eq!(axis.values.len() as i64, steps + 1);
        for (i, value) in axis.values.iter().enumerate() {
            prop_assert_eq!(value.parse::<Decimal>().unwrap(), Decimal::new(low + i as i64 * step, 3));
        }
    }

    #[test]
    fn log_values_rise_between_their_bounds(low in 1i64..1_000_000, factor in 1i64..10_000, n in 2usize..200) {
        let (l, h) = (Decimal::new(low, 4), Decimal::new(low * factor, 4));
        let axis = axis("ma_cross", &format!("order_amount=log:{l}..{h}:{n}"));
        let values: Vec<Decimal> = axis.values.iter().map(|v| v.parse().unwrap()).collect();
        prop_assert!(values.windows(2).all(|w| w[0] < w[1]), "{:?}", values);
        prop_assert_eq!((values[0], *values.last().unwrap()), (l, h));
        prop_assert!(values.len() <= n.max(2));
    }
}
