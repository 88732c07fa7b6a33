//! Every indicator against a naive computation over the whole window, and against hand-computed TA-Lib values.

use super::*;
use proptest::prelude::*;

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * scale.abs().max(1e-9)
}

fn naive(window: &[f64]) -> Stats {
    let n = window.len() as f64;
    let mean = window.iter().sum::<f64>() / n;
    let var = window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    Stats { mean, std: var.sqrt() }
}

#[test]
fn known_values() {
    let xs = [1.0, 2.0, 3.0, 4.0, 11.0];
    let mut sma = Sma::new(3).unwrap();
    assert_eq!(batch(&xs, |x| sma.update(x)), [None, None, Some(2.0), Some(3.0), Some(6.0)]);
    // Seeded with mean(1, 2, 3) = 2; weight 0.5: 2 + 1 = 3, then 3 + 4.
    let mut ema = Ema::new(3).unwrap();
    assert_eq!(batch(&xs, |x| ema.update(x)), [None, None, Some(2.0), Some(3.0), Some(7.0)]);
    let mut low = RollingMin::new(2).unwrap();
    assert_eq!(batch(&[3.0, 1.0, 2.0, 5.0], |x| low.update(x)), [None, Some(1.0), Some(1.0), Some(2.0)]);
    let mut high = RollingMax::new(2).unwrap();
    assert_eq!(batch(&[3.0, 1.0, 2.0, 5.0], |x| high.update(x)), [None, Some(3.0), Some(2.0), Some(5.0)]);
    // The textbook population: mean 5, deviation 2.
    let mut bands = Bollinger::new(8, 2.0).unwrap();
    let last = batch(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], |x| bands.update(x))[7].unwrap();
    assert_eq!(last, Band { lower: 1.0, middle: 5.0, upper: 9.0, std: 2.0 });
    let mut z = ZScore::new(8).unwrap();
    assert_eq!(batch(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], |x| z.update(x))[7], Some(2.0));
}

#[test]
fn a_flat_window_has_no_spread_and_no_score() {
    let mut z = ZScore::new(7).unwrap();
    assert_eq!(batch(&[0.1; 50], |x| z.update(x))[49], Some(0.0));
    assert_eq!(z.stats().unwrap().std, 0.0);
}

#[test]
fn bad_inputs_change_nothing() {
    let mut sma = Sma::new(2).unwrap();
    let mut ema = Ema::new(2).unwrap();
    let mut z = ZScore::new(2).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, -f64::MAX] {
        assert_eq!((sma.update(bad), ema.update(bad), z.update(bad)), (None, None, None));
    }
    for x in [1.0, 3.0] {
        sma.update(x);
        ema.update(x);
        z.update(x);
    }
    let before = (sma.clone(), ema.clone(), z.clone());
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200, -f64::MAX] {
        assert_eq!((sma.update(bad), ema.update(bad), z.update(bad)), (Some(2.0), Some(2.0), Some(1.0)));
    }
    assert_eq!((sma, ema, z), before);
}

#[test]
fn values_at_the_limit_stay_finite() {
    let mut bands = Bollinger::new(3, 2.0).unwrap();
    for x in [LIMIT, -LIMIT, LIMIT, -LIMIT] {
        bands.update(x);
    }
    let b = bands.value().unwrap();
    assert!(b.lower.is_finite() && b.upper.is_finite() && b.std > 0.0, "{b:?}");
}

#[test]
fn periods_are_checked() {
    assert_eq!(Sma::new(0), Err(BadPeriod(0)));
    assert_eq!(Ema::new(MAX_PERIOD + 1).unwrap_err().to_string(), "period 1000001 is not between 1 and 1000000");
    assert!(Bollinger::new(0, 2.0).is_err() && RollingMin::new(0).is_err() && ZScore::new(0).is_err());
}

#[test]
fn damaged_state_is_refused() {
    for bad in [
        r#"{"period":0,"front":[],"back":[]}"#,
        r#"{"period":1,"front":["1"],"back":["2"]}"#,
        r#"{"period":3,"front":["NaN"],"back":[]}"#,
        r#"{"period":3,"front":["1e200"],"back":[]}"#,
        r#"{"period":3,"front":["x"],"back":[]}"#,
        // The older block cannot have gone while the newer one is not whole.
        r#"{"period":3,"front":["1"],"back":["2"]}"#,
        r#"{"period":3,"front":["1","2","3"],"back":[]}"#,
    ] {
        assert!(serde_json::from_str::<Sma>(bad).is_err(), "{bad}");
    }
    let lane = r#"{"weight":"0.5","period":"3.0","value":"1.0","before":"1.0","newest":"1.0"}"#;
    let ema = |seeds: usize, seen: usize, lanes: &str| {
        serde_json::from_str::<Ema>(&format!(r#"{{"seeds":{seeds},"seen":{seen},"lanes":[{lanes}]}}"#))
    };
    assert_eq!(ema(3, 3, lane).unwrap().value(), Some(1.0));
    assert!(ema(2, 3, lane).is_err() && ema(3, 3, "").is_err() && ema(3, 3, &format!("{lane},{lane}")).is_err());
    assert!(ema(MAX_PERIOD + 1, 0, lane).is_err() && ema(3, 3, &lane.replace("0.5", "1.5")).is_err());
    assert!(ema(3, 3, &lane.replace("1.0", "inf")).is_err());
}

// A tick a thousand million times the others passes through: a running sum that adds and subtracts would keep its
// rounding error for ever.
#[test]
fn no_drift_over_ten_million_updates() {
    const PERIOD: usize = 20;
    let (mut sma, mut stats) = (Sma::new(PERIOD).unwrap(), RollingStats::new(PERIOD).unwrap());
    let mut tail = [0.0f64; PERIOD];
    let mut state = 1u64;
    for i in 0..10_000_000usize {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 40) as f64 / (1u64 << 24) as f64;
        let x = if i % 100_003 == 0 { 1e15 + noise } else { 100.0 + noise };
        sma.update(x);
        stats.update(x);
        tail[i % PERIOD] = x;
    }
    let want = naive(&tail);
    let got = stats.value().unwrap();
    assert!(close(sma.value().unwrap(), want.mean, want.mean), "{:?} {want:?}", sma.value());
    assert!(close(got.mean, want.mean, want.mean) && close(got.std, want.std, want.std), "{got:?} {want:?}");
}

/// Prices of very different sizes in one stream, and bad ones among them.
fn stream() -> impl Strategy<Value = Vec<f64>> {
    let x = prop_oneof![
        8 => 90.0..110.0f64,
        2 => -1.0..1.0f64,
        1 => 1e8..1e9f64,
        1 => Just(100.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY)
    ];
    prop::collection::vec(x, 0..200)
}

proptest! {
    #[test]
    fn agrees_with_the_naive_window(xs in stream(), period in 1usize..40) {
        let mut sma = Sma::new(period).unwrap();
        let mut stats = RollingStats::new(period).unwrap();
        let mut z = ZScore::new(period).unwrap();
        let (mut low, mut high) = (RollingMin::new(period).unwrap(), RollingMax::new(period).unwrap());
        let mut seen: Vec<f64> = Vec::new();
        for x in xs {
            let got = (sma.update(x), stats.update(x), z.update(x), low.update(x), high.update(x));
            if x.is_finite() {
                seen.push(x);
            }
            if seen.len() < sma.warmup() {
                prop_assert_eq!(got, (None, None, None, None, None));
                continue;
            }
            let window = &seen[seen.len() - period..];
            let want = naive(window);
            let scale = window.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            let (s, z) = (got.1.unwrap(), got.2.unwrap());
            prop_assert!(close(got.0.unwrap(), want.mean, scale), "{:?} {:?}", got, want);
            prop_assert!(close(s.mean, want.mean, scale) && close(s.std, want.std, scale), "{:?} {:?}", s, want);
            prop_assert!(s.std < 1e-6 * scale || (z - (window[period - 1] - want.mean) / want.std).abs() < 1e-6);
            prop_assert_eq!(got.3.unwrap(), window.iter().copied().fold(f64::MAX, f64::min));
            prop_assert_eq!(got.4.unwrap(), window.iter().copied().fold(f64::MIN, f64::max));
        }
    }

    #[test]
    fn ema_agrees_with_its_definition(xs in prop::collection::vec(1.0..1e6f64, 1..120), period in 1usize..30) {
        let mut ema = Ema::new(period).unwrap();
        let got = batch(&xs, |x| ema.update(x));
        for (i, got) in got.iter().enumerate() {
            if i + 1 < period {
                prop_assert_eq!(*got, None);
                continue;
            }
            let k = 2.0 / (period as f64 + 1.0);
            let seed = xs[..period].iter().sum::<f64>() / period as f64;
            let want = xs[period..=i].iter().fold(seed, |e, x| k * x + (1.0 - k) * e);
            prop_assert!(close(got.unwrap(), want, 1e6));
        }
    }

    // Saved at any moment and read back through JSON text, everything goes on bit for bit.
    #[test]
    fn saved_state_goes_on_identically(xs in stream(), ys in stream(), period in 1usize..40) {
        let mut all = (
            Sma::new(period).unwrap(),
            Ema::new(period).unwrap(),
            Bollinger::new(period, 2.1).unwrap(),
            ZScore::new(period).unwrap(),
            (RollingMin::new(period).unwrap(), RollingMax::new(period).unwrap()),
        );
        let mut feed = xs.iter().chain(&ys);
        for x in feed.by_ref().take(xs.len()) {
            all.0.update(*x);
            all.1.update(*x);
            all.2.update(*x);
            all.3.update(*x);
            all.4.0.update(*x);
            all.4.1.update(*x);
        }
        let json = serde_json::to_string(&all).unwrap();
        let mut back: (Sma, Ema, Bollinger, ZScore, (RollingMin, RollingMax)) = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&back, &all);
        for x in feed {
            prop_assert_eq!(back.0.update(*x), all.0.update(*x));
            prop_assert_eq!(back.1.update(*x), all.1.update(*x));
            prop_assert_eq!(back.2.update(*x), all.2.update(*x));
            prop_assert_eq!(back.3.update(*x), all.3.update(*x));
            prop_assert_eq!(back.4.0.update(*x), all.4.0.update(*x));
            prop_assert_eq!(back.4.1.update(*x), all.4.1.update(*x));
        }
    }
}
