//! Saving, restoring, and what a damaged state does.

use super::market;
use crate::source::MarketSource;
use ctos_types::EventBuf;
use serde_json::Value;

#[test]
fn a_restored_market_goes_on_with_the_very_next_event() {
    let symbols = ["BTC-USDT", "BTC-USDT-PERP", "SOL-USDT-PERP"];
    let mut original = market(5, &symbols);
    let (mut a, mut b) = (EventBuf::default(), EventBuf::default());
    // Stops at the start, within a step's queue, and after a while.
    for events in [0, 1, 2, 7, 500, 5_003] {
        (0..events).for_each(|_| assert!(original.next(&mut a).is_some()));
        let text = original.save().to_string();
        let mut copy = market(5, &symbols);
        copy.restore(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(copy.digest(), original.digest());
        let mut on = original.clone();
        for _ in 0..2_000 {
            assert_eq!(on.peek(), copy.peek());
            assert_eq!(on.next(&mut a), copy.next(&mut b));
            assert_eq!(a, b);
        }
        assert_eq!(copy.digest(), on.digest());
        assert_eq!(copy.save(), on.save());
    }
}

#[test]
fn a_state_of_another_market_is_refused() {
    let state = market(5, &["BTC-USDT"]).save();
    for mut other in [market(6, &["BTC-USDT"]), market(5, &["ETH-USDT"]), market(5, &["BTC-USDT", "ETH-USDT"])] {
        assert!(other.restore(&state).unwrap_err().contains("other settings"));
    }
    assert!(market(5, &["BTC-USDT"]).restore(&Value::Null).unwrap_err().contains("not a state"));
}

/// Paths to every number in a JSON value.
fn numbers(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Number(_) => out.push(at),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| numbers(v, format!("{at}/{i}"), out)),
        Value::Object(map) => map.iter().for_each(|(k, v)| numbers(v, format!("{at}/{k}"), out)),
        _ => {}
    }
}

// Whatever single number is damaged: an error, or a market that still runs. Never a panic.
#[test]
fn a_damaged_state_never_panics() {
    let mut m = market(5, &["BTC-USDT-PERP"]);
    let mut event = EventBuf::default();
    (0..400).for_each(|_| assert!(m.next(&mut event).is_some()));
    let state = m.save();
    let mut paths = Vec::new();
    numbers(&state, String::new(), &mut paths);
    let (mut refused, mut total) = (0, 0);
    for path in paths.iter().filter(|p| !p.contains("/chain/") && !p.starts_with("/config")) {
        for bad in
            [Value::from(0), Value::from(u64::MAX), Value::from(i64::MAX), Value::from(1u64 << 62), Value::from(-1)]
        {
            let mut damaged = state.clone();
            *damaged.pointer_mut(path).unwrap() = bad;
            let mut copy = m.clone();
            total += 1;
            match copy.restore(&damaged) {
                Ok(()) => {
                    (0..20).for_each(|_| assert!(copy.next(&mut event).is_some() || copy.peek().is_none()));
                }
                Err(why) => {
                    refused += 1;
                    assert!(why.contains("state"), "{why}");
                }
            }
        }
    }
    assert!(total > 500 && refused > total / 2, "{refused} of {total}");
}
