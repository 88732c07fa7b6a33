//! A saved exchange is the exchange: equal after its trip through text, and identical in all it does afterwards.

use crate::kit::*;
use crate::money::{World, four_accounts};
use ctos_venue::*;

#[test]
fn a_restored_exchange_goes_on_identically() {
    for seed in 100..108 {
        let bars = seed % 4 == 3;
        let mut ex = Exchange::new(instruments(), four_accounts(seed)).unwrap();
        let (mut world, mut out) = (World::new(seed), Vec::new());
        for _ in 0..1_500 {
            world.act(&mut ex, bars, &mut out);
        }
        let text = serde_json::to_string(&ex).unwrap();
        let mut restored: Exchange = serde_json::from_str(&text).unwrap();
        assert_eq!(restored, ex, "seed {seed}");
        assert_eq!(serde_json::to_string(&restored).unwrap(), text, "seed {seed}");

        let mut again = world.clone();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for step in 0..1_500 {
            a.clear();
            b.clear();
            world.act(&mut ex, bars, &mut a);
            again.act(&mut restored, bars, &mut b);
            assert_eq!(a, b, "seed {seed} step {step}");
        }
        assert_eq!(restored, ex, "seed {seed}");
    }
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut ex = Exchange::new(instruments(), four_accounts(5)).unwrap();
        let (mut world, mut out) = (World::new(5), Vec::new());
        for _ in 0..2_000 {
            world.act(&mut ex, false, &mut out);
        }
        (serde_json::to_string(&out).unwrap(), serde_json::to_string(&ex).unwrap())
    };
    assert!(run() == run());
}
