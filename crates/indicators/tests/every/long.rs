//! What holds for every indicator over histories that are long for its windows.

use super::*;

/// A market of whole ticks, so that extremes tie, with a bar that cannot be right at each of `odd`.
fn market(rows: usize, odd: &[usize]) -> Vec<Hlcv> {
    let mut state = 7u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f64
    };
    let mut close = 1000.0;
    let mut bar = |i: usize| {
        let open: f64 = close;
        close += next(21) - 10.0;
        let (high, low) = (open.max(close) + next(4), open.min(close) - next(4));
        let volume = if odd.contains(&i) { f64::NAN } else { next(50) };
        Hlcv { high: if odd.contains(&i) { f64::NAN } else { high }, low, close, volume }
    };
    let mut bars: Vec<Hlcv> = (0..rows).map(&mut bar).collect();
    for i in odd {
        bars[*i].close = f64::INFINITY;
    }
    bars
}

// Long enough for a batch to take many rows at a time, from the middle of a window on, with rows between that it must not.
#[test]
fn a_long_batch_is_the_stream() {
    for (odd, cut) in [(&[][..], 0), (&[], 2_500), (&[0, 1, 4_000, 4_001, 6_333, 8_999], 1_234)] {
        let bars = market(9_000, odd);
        for period in [1, 2, 3, 14, 20, 52, 300] {
            every(&mut BatchIsStream { bars: &bars, cut }, period);
        }
    }
}

/// Bars that cannot be right are as if they were not there: a batch answers in their rows what it did before.
struct Skips<'a> {
    bars: &'a [Hlcv],
    odd: &'a [(usize, Hlcv)],
}

impl Check for Skips<'_> {
    fn run<I, const N: usize>(&mut self, name: &str, indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>,
    {
        let odd: Vec<&(usize, Hlcv)> = self.odd.iter().filter(|(_, bar)| !I::Input::of(*bar).good()).collect();
        let mut with = self.bars.to_vec();
        for (at, bar) in odd.iter().rev() {
            with.insert(*at, *bar);
        }
        let plain = batch::<I, N>(&mut indicator.clone(), &table(self.bars), 0..self.bars.len());
        let got = batch(&mut indicator.clone(), &table(&with), 0..with.len());
        for (plain, got) in plain.iter().zip(&got) {
            let mut want = plain.clone();
            for (at, _) in odd.iter().rev() {
                want.insert(*at, if *at == 0 { f64::NAN } else { plain[at - 1] });
            }
            let differs = want.iter().zip(got).position(|(a, b)| a.to_bits() != b.to_bits());
            assert_eq!(differs, None, "{name}");
        }
    }
}

#[test]
fn every_kind_of_bad_row_is_skipped_by_a_batch() {
    let bars = market(3_000, &[]);
    let usual = bars[0];
    let mut kinds = Vec::new();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e151, -1e151] {
        kinds.extend([Hlcv { high: bad, ..usual }, Hlcv { low: bad, ..usual }]);
        kinds.extend([Hlcv { close: bad, ..usual }, Hlcv { volume: bad, ..usual }]);
        kinds.push(Hlcv { high: bad, low: bad, close: bad, volume: bad });
    }
    kinds.extend([Hlcv { high: usual.low - 1.0, ..usual }, Hlcv { volume: -1.0, ..usual }]);
    // The first row, rows of the warm-up, then some far apart and some one after the other.
    let at = |i: usize| if i < 5 { i * 3 } else { i * 100 - 400 + (i % 3) * 37 };
    let mut odd: Vec<(usize, Hlcv)> = kinds.iter().enumerate().map(|(i, bar)| (at(i), *bar)).collect();
    odd.extend(kinds.iter().map(|bar| (2_900, *bar)));
    for period in [1, 3, 14, 26] {
        every(&mut Skips { bars: &bars, odd: &odd }, period);
    }
}

/// Ten million rows and some enormous ones among them leave nothing behind: an indicator that only saw the last rows
/// answers the same.
struct Forgets<'a> {
    blocks: &'a [Vec<Hlcv>; 2],
}

impl Check for Forgets<'_> {
    fn run<I, const N: usize>(&mut self, name: &str, indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>,
    {
        // Sums since the beginning, and a trend that began at a moment of its own.
        if ["Obv", "Vwap", "SuperTrend"].contains(&name) {
            return;
        }
        let tables = self.blocks.each_ref().map(|bars| table(bars));
        let run = |indicator: &mut I, block: usize| {
            batch(indicator, &tables[block], 0..self.blocks[block].len()).map(|column| column[column.len() - 1])
        };
        let (mut old, mut young) = (indicator.clone(), indicator);
        for _ in 0..100 {
            run(&mut old, 0);
        }
        let (got, want) = (run(&mut old, 1), run(&mut young, 1));
        for (got, want) in got.into_iter().zip(want) {
            assert!((got - want).abs() <= 1e-11 * want.abs().max(1.0), "{name}: {got} after all, {want} alone");
        }
    }
}

#[test]
fn nothing_is_left_after_ten_million_rows() {
    let mut first = market(100_000, &[]);
    for bar in first.iter_mut().step_by(20_011) {
        *bar = Hlcv { high: 1e15, low: 0.1, close: 1e14, volume: 1e12 };
    }
    every(&mut Forgets { blocks: &[first, market(4_000, &[])] }, 20);
}

// Windows so wide that a batch keeps fewer of them at a time.
#[test]
fn a_batch_of_wide_windows_is_the_stream() {
    let bars = market(20_000, &[17_000]);
    every(&mut BatchIsStream { bars: &bars, cut: 100 }, 4_097);
}
