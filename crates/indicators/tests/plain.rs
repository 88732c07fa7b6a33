//! Indicators that TA-Lib does not have, each against a straight-line computation over the whole history.

use ctos_indicators::*;

/// A market with trends, quiet bars and bars without volume, from a fixed generator.
fn market(rows: usize) -> Vec<Hlcv> {
    let mut state = 2024u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut close = 100.0;
    let mut bars = Vec::new();
    for i in 0..rows {
        let open = close;
        let drift = if (i / 90) % 2 == 0 { 0.1 } else { -0.1 };
        close += drift + (next() - 0.5);
        let (up, down) = (next() * 0.4, next() * 0.4);
        let volume = if next() < 0.2 || (300..340).contains(&i) { 0.0 } else { next() * 10.0 };
        bars.push(Hlcv { high: open.max(close) + up, low: open.min(close) - down, close, volume });
    }
    bars
}

#[track_caller]
fn same(got: Option<f64>, want: Option<f64>) {
    match (got, want) {
        (Some(got), Some(want)) => assert!((got - want).abs() <= 1e-10 * want.abs().max(1.0), "{got} {want}"),
        _ => assert_eq!(got, want),
    }
}

/// The average of the values from 0 on, with its seed at `period - 1`; at the last of them.
fn smoothed(values: &[f64], period: usize, weight: f64) -> Option<f64> {
    let seed = values.get(..period)?.iter().sum::<f64>() / period as f64;
    Some(values[period..].iter().fold(seed, |a, x| (1.0 - weight) * a + weight * x))
}

fn ranges(bars: &[Hlcv]) -> Vec<f64> {
    let range = |w: &[Hlcv]| {
        let gaps = [w[1].high - w[1].low, (w[1].high - w[0].close).abs(), (w[1].low - w[0].close).abs()];
        gaps.into_iter().fold(0.0, f64::max)
    };
    bars.windows(2).map(range).collect()
}

fn middle(bars: &[Hlcv], period: usize) -> Option<f64> {
    let window = &bars[bars.len().checked_sub(period)?..];
    let high = window.iter().map(|b| b.high).fold(f64::MIN, f64::max);
    let low = window.iter().map(|b| b.low).fold(f64::MAX, f64::min);
    Some((high + low) / 2.0)
}

#[test]
fn rma() {
    let bars = market(400);
    let closes: Vec<f64> = bars.iter().map(|b| b.close).collect();
    let mut rma = Rma::new(14).unwrap();
    for (i, close) in closes.iter().enumerate() {
        same(rma.update(*close), smoothed(&closes[..=i], 14, 1.0 / 14.0));
    }
}

#[test]
fn vwap_since_the_session_and_of_a_window() {
    let bars = market(500);
    let (mut session, mut rolling) = (Vwap::new(), RollingVwap::new(20).unwrap());
    let vwap = |bars: &[Hlcv]| {
        let volume: f64 = bars.iter().map(|b| b.volume).sum();
        let money: f64 = bars.iter().map(|b| (b.high + b.low + b.close) / 3.0 * b.volume).sum();
        (volume > 0.0).then(|| money / volume)
    };
    let (mut begun, mut last) = (0, None);
    for (i, bar) in bars.iter().enumerate() {
        if i % 96 == 0 {
            session.reset();
            begun = i;
        }
        let x = Priced { price: bar.hlc().typical(), volume: bar.volume };
        same(session.update(x), vwap(&bars[begun..=i]));
        if i >= 19 {
            last = vwap(&bars[i - 19..=i]).or(last);
        }
        same(rolling.update(x), last);
    }
    // 40 bars without volume: the window was empty for a while.
    assert!(vwap(&bars[320..340]).is_none() && last.is_some());
}

#[test]
fn donchian() {
    let bars = market(300);
    let mut donchian = Donchian::new(20).unwrap();
    for (i, bar) in bars.iter().enumerate() {
        let got = donchian.update(HighLow { high: bar.high, low: bar.low });
        assert_eq!(got.is_some(), i >= 19);
        let Some(got) = got else { continue };
        let window = &bars[i - 19..=i];
        assert_eq!(got.upper, window.iter().map(|b| b.high).fold(f64::MIN, f64::max));
        assert_eq!(got.lower, window.iter().map(|b| b.low).fold(f64::MAX, f64::min));
        same(Some(got.middle), middle(window, 20));
    }
}

#[test]
fn keltner() {
    let bars = market(300);
    let closes: Vec<f64> = bars.iter().map(|b| b.close).collect();
    let ranges = ranges(&bars);
    let mut keltner = Keltner::new(20, 10, 2.0).unwrap();
    for (i, bar) in bars.iter().enumerate() {
        let got = keltner.update(bar.hlc());
        let want = smoothed(&closes[..=i], 20, 2.0 / 21.0).zip(smoothed(&ranges[..i], 10, 0.1));
        same(got.map(|k| k.middle), want.map(|w| w.0));
        same(got.map(|k| k.lower), want.map(|w| w.0 - 2.0 * w.1));
        same(got.map(|k| k.upper), want.map(|w| w.0 + 2.0 * w.1));
    }
}

// Three passes over whole columns: the plain bands, the trailing ones, then the side.
#[test]
fn super_trend() {
    let bars = market(600);
    let ranges = ranges(&bars);
    let first = 10;
    let plain: Vec<(f64, f64)> = (first..bars.len())
        .map(|i| {
            let range = smoothed(&ranges[..i], 10, 0.1).unwrap();
            let middle = (bars[i].high + bars[i].low) / 2.0;
            (middle - 1.5 * range, middle + 1.5 * range)
        })
        .collect();
    let mut bands = vec![plain[0]];
    for k in 1..plain.len() {
        let ((lower, upper), close) = (bands[k - 1], bars[first + k - 1].close);
        let low = if close < lower { plain[k].0 } else { plain[k].0.max(lower) };
        let high = if close > upper { plain[k].1 } else { plain[k].1.min(upper) };
        bands.push((low, high));
    }
    let mut up = false;
    let mut turns = 0;
    let mut trend = SuperTrend::new(10, -1.5).unwrap();
    for (i, bar) in bars.iter().enumerate() {
        let got = trend.update(bar.hlc());
        assert_eq!(got.is_some(), i >= first);
        let Some(got) = got else { continue };
        let (lower, upper) = bands[i - first];
        let was = up;
        if up && bar.close < lower {
            up = false;
        } else if !up && i > first && bar.close > upper {
            up = true;
        }
        turns += usize::from(up != was);
        assert_eq!(got.up, up, "at {i}");
        same(Some(got.stop), Some(if up { lower } else { upper }));
    }
    assert!(turns > 5, "{turns} turns are too few to test anything");
}

#[test]
fn ichimoku() {
    let bars = market(300);
    let mut cloud = Ichimoku::new(9, 26, 52, 26).unwrap();
    for (i, bar) in bars.iter().enumerate() {
        let got = cloud.update(HighLow { high: bar.high, low: bar.low });
        let want = |i: usize| {
            let bars = &bars[..=i];
            let (conversion, base) = (middle(bars, 9)?, middle(bars, 26)?);
            Some((conversion, base, (conversion + base) / 2.0, middle(bars, 52)?))
        };
        same(got.map(|c| c.conversion), want(i).map(|w| w.0));
        same(got.map(|c| c.base), want(i).map(|w| w.1));
        same(got.map(|c| c.lead_a), want(i).map(|w| w.2));
        same(got.map(|c| c.lead_b), want(i).map(|w| w.3));
        let then = i.checked_sub(26).and_then(want);
        same(got.and_then(|c| c.spans).map(|s| s.0), then.map(|w| w.2));
        same(got.and_then(|c| c.spans).map(|s| s.1), then.map(|w| w.3));
    }
}
