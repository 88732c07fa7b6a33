//! What holds for every indicator, whatever it computes.

use ctos_indicators::*;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// An input that can be taken from a bar.
trait Sample: Copy + Debug {
    type Table<'a>: Columns<Row = Self>;
    fn of(bar: Hlcv) -> Self;
    fn table(columns: [&[f64]; 4]) -> Self::Table<'_>;
    /// Whether the rules of the type let it in.
    fn good(self) -> bool;
}

fn finite(x: f64) -> bool {
    x.abs() <= LIMIT
}

impl Sample for f64 {
    type Table<'a> = &'a [f64];
    fn of(bar: Hlcv) -> f64 {
        bar.close
    }
    fn table([_, _, close, _]: [&[f64]; 4]) -> &[f64] {
        close
    }
    fn good(self) -> bool {
        finite(self)
    }
}

impl Sample for HighLow {
    type Table<'a> = HighLow<&'a [f64]>;
    fn of(bar: Hlcv) -> HighLow {
        HighLow { high: bar.high, low: bar.low }
    }
    fn table([high, low, ..]: [&[f64]; 4]) -> HighLow<&[f64]> {
        HighLow { high, low }
    }
    fn good(self) -> bool {
        finite(self.high) && finite(self.low) && self.high >= self.low
    }
}

impl Sample for Hlc {
    type Table<'a> = Hlc<&'a [f64]>;
    fn of(bar: Hlcv) -> Hlc {
        bar.hlc()
    }
    fn table([high, low, close, _]: [&[f64]; 4]) -> Hlc<&[f64]> {
        Hlc { high, low, close }
    }
    fn good(self) -> bool {
        HighLow { high: self.high, low: self.low }.good() && finite(self.close)
    }
}

impl Sample for Hlcv {
    type Table<'a> = Hlcv<&'a [f64]>;
    fn of(bar: Hlcv) -> Hlcv {
        bar
    }
    fn table([high, low, close, volume]: [&[f64]; 4]) -> Hlcv<&[f64]> {
        Hlcv { high, low, close, volume }
    }
    fn good(self) -> bool {
        self.hlc().good() && finite(self.volume) && self.volume >= 0.0
    }
}

impl Sample for Priced {
    type Table<'a> = Priced<&'a [f64]>;
    fn of(bar: Hlcv) -> Priced {
        Priced { price: bar.close, volume: bar.volume }
    }
    fn table([_, _, price, volume]: [&[f64]; 4]) -> Priced<&[f64]> {
        Priced { price, volume }
    }
    fn good(self) -> bool {
        finite(self.price) && finite(self.volume) && self.volume >= 0.0
    }
}

impl Sample for Pair {
    type Table<'a> = Pair<&'a [f64]>;
    fn of(bar: Hlcv) -> Pair {
        Pair { x: bar.close, y: bar.low }
    }
    fn table([_, low, close, _]: [&[f64]; 4]) -> Pair<&[f64]> {
        Pair { x: close, y: low }
    }
    fn good(self) -> bool {
        finite(self.x) && finite(self.y)
    }
}

/// A check that any indicator can be put to.
trait Check {
    fn run<I, const N: usize>(&mut self, name: &str, indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>;
}

fn every(check: &mut impl Check, p: usize) {
    check.run("Sma", Sma::new(p).unwrap());
    check.run("Wma", Wma::new(p).unwrap());
    check.run("Ema", Ema::new(p).unwrap());
    check.run("Rma", Rma::new(p).unwrap());
    check.run("Rsi", Rsi::new(p).unwrap());
    check.run("Roc", Roc::new(p).unwrap());
    check.run("Macd", Macd::new(p, p + 5, 4).unwrap());
    check.run("RollingMin", RollingMin::new(p).unwrap());
    check.run("RollingMax", RollingMax::new(p).unwrap());
    check.run("RollingStats", RollingStats::new(p).unwrap());
    check.run("ZScore", ZScore::new(p).unwrap());
    check.run("Bollinger", Bollinger::new(p, 2.1).unwrap());
    check.run("LinearRegression", LinearRegression::new(p).unwrap());
    check.run("Correlation", Correlation::new(p).unwrap());
    check.run("Donchian", Donchian::new(p).unwrap());
    check.run("Aroon", Aroon::new(p).unwrap());
    check.run("Ichimoku", Ichimoku::new(p, p + 3, 2 * p, p).unwrap());
    check.run("Atr", Atr::new(p).unwrap());
    check.run("Di", Di::new(p).unwrap());
    check.run("Adx", Adx::new(p).unwrap());
    check.run("Cci", Cci::new(p).unwrap());
    check.run("Stochastic", Stochastic::slow(p, 3, 2).unwrap());
    check.run("Stochastic fast", Stochastic::fast(p, 3).unwrap());
    check.run("Keltner", Keltner::new(p, 5, 2.0).unwrap());
    check.run("SuperTrend", SuperTrend::new(p, 1.5).unwrap());
    check.run("Mfi", Mfi::new(p).unwrap());
    check.run("Obv", Obv::new());
    check.run("Vwap", Vwap::new());
    check.run("RollingVwap", RollingVwap::new(p).unwrap());
}

/// Bits, so that a value that is not there compares like any other.
fn bits<const N: usize, T: Reading<N>>(value: Option<T>) -> [u64; N] {
    value.map_or([f64::NAN; N], T::row).map(f64::to_bits)
}

struct BatchIsStream<'a> {
    bars: &'a [Hlcv],
    cut: usize,
}

impl Check for BatchIsStream<'_> {
    fn run<I, const N: usize>(&mut self, name: &str, indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>,
    {
        let column = |part: fn(&Hlcv) -> f64| self.bars.iter().map(part).collect::<Vec<_>>();
        let columns = [column(|b| b.high), column(|b| b.low), column(|b| b.close), column(|b| b.volume)];
        let (mut streamed, mut batched) = (indicator.clone(), indicator);
        let rows = self.bars.len();
        let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; rows]);
        for (from, to) in [(0, self.cut), (self.cut, rows)] {
            let table = I::Input::table(columns.each_ref().map(|c| &c[from..to]));
            batched.batch(table, out.each_mut().map(|c| &mut c[from..to])).unwrap();
        }
        for (i, bar) in self.bars.iter().enumerate() {
            let want = bits(streamed.update(I::Input::of(*bar)));
            assert_eq!(out.each_ref().map(|c| c[i].to_bits()), want, "{name} at {i}, cut at {}", self.cut);
        }
        assert_eq!(batched, streamed, "{name}");
    }
}

struct Restores<'a> {
    bars: &'a [Hlcv],
    cut: usize,
}

impl Check for Restores<'_> {
    fn run<I, const N: usize>(&mut self, name: &str, mut indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>,
    {
        let (before, after) = self.bars.split_at(self.cut);
        for bar in before {
            indicator.update(I::Input::of(*bar));
        }
        let json = serde_json::to_string(&indicator).unwrap();
        let mut back: I = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{name}: {e}: {json}"));
        assert_eq!(back, indicator, "{name}");
        assert_eq!(bits(back.value()), bits(indicator.value()), "{name}");
        for bar in after {
            let want = bits(indicator.update(I::Input::of(*bar)));
            assert_eq!(bits(back.update(I::Input::of(*bar))), want, "{name}");
        }
        assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&indicator).unwrap(), "{name}");
    }
}

/// Bad input changes nothing, the warm-up is as long as told, and no value is ever beyond numbers.
struct Behaves<'a>(&'a [Hlcv]);

impl Check for Behaves<'_> {
    fn run<I, const N: usize>(&mut self, name: &str, mut indicator: I)
    where
        I: Indicator + PartialEq + Debug + Serialize + DeserializeOwned,
        I::Input: Sample,
        I::Output: Reading<N>,
    {
        let mut taken = 0;
        // Averages by volume have nothing to say before there was some.
        let by_volume = name.ends_with("Vwap");
        for bar in self.0 {
            let x = I::Input::of(*bar);
            let before = indicator.clone();
            let got = indicator.update(x);
            if x.good() {
                taken += 1;
            } else {
                assert_eq!(indicator, before, "{name} after {x:?}");
            }
            assert_eq!(bits(got), bits(indicator.value()), "{name}");
            let value = indicator.value().map(I::Output::row);
            assert!(by_volume || value.is_some() == (taken >= indicator.warmup()), "{name}: {value:?} after {taken}");
            let spans_later = |i: usize| name == "Ichimoku" && i >= 4;
            let numbers = value.iter().flatten().enumerate().all(|(i, x)| x.is_finite() || spans_later(i));
            assert!(numbers, "{name}: {value:?} after {bar:?}");
        }
    }
}

/// Bars like those of a market, and everything that should not be.
fn bars() -> impl Strategy<Value = Vec<Hlcv>> {
    let price = prop_oneof![
        12 => 90.0..110.0f64,
        4 => (95..105i32).prop_map(f64::from),
        1 => 1e8..1e9f64,
        1 => -1.0..1.0f64,
        1 => Just(f64::NAN),
        1 => Just(f64::NEG_INFINITY)
    ];
    let volume = prop_oneof![8 => 0.0..50.0f64, 3 => Just(0.0), 1 => Just(-1.0), 1 => Just(f64::NAN)];
    let range = prop_oneof![5 => 0.0..2.0f64, 2 => Just(0.0)];
    let bar = (price, range.clone(), range, volume, 0..40u8).prop_map(|(close, up, down, volume, odd)| match odd {
        0 => Hlcv { high: close - 1.0, low: close, close, volume },
        1 => Hlcv { high: f64::INFINITY, low: close, close, volume },
        _ => Hlcv { high: close + up, low: close - down, close, volume },
    });
    prop::collection::vec(bar, 0..160)
}

proptest! {
    #[test]
    fn a_batch_is_the_stream(bars in bars(), period in 1usize..24, cut in 0usize..160) {
        every(&mut BatchIsStream { bars: &bars, cut: cut.min(bars.len()) }, period);
    }

    #[test]
    fn saved_state_goes_on_identically(bars in bars(), period in 1usize..24, cut in 0usize..160) {
        every(&mut Restores { bars: &bars, cut: cut.min(bars.len()) }, period);
    }

    #[test]
    fn bad_input_changes_nothing(bars in bars(), period in 1usize..24) {
        every(&mut Behaves(&bars), period);
    }
}

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
        let batch = |bars: &[Hlcv]| {
            let column = |part: fn(&Hlcv) -> f64| bars.iter().map(part).collect::<Vec<_>>();
            let columns = [column(|b| b.high), column(|b| b.low), column(|b| b.close), column(|b| b.volume)];
            let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; bars.len()]);
            let table = I::Input::table(columns.each_ref().map(|c| &c[..]));
            indicator.clone().batch(table, out.each_mut().map(|c| &mut c[..])).unwrap();
            out
        };
        let odd: Vec<&(usize, Hlcv)> = self.odd.iter().filter(|(_, bar)| !I::Input::of(*bar).good()).collect();
        let mut with = self.bars.to_vec();
        for (at, bar) in odd.iter().rev() {
            with.insert(*at, *bar);
        }
        let (plain, got) = (batch(self.bars), batch(&with));
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
        let columns = self.blocks.each_ref().map(|bars| {
            let column = |part: fn(&Hlcv) -> f64| bars.iter().map(part).collect::<Vec<_>>();
            [column(|b| b.high), column(|b| b.low), column(|b| b.close), column(|b| b.volume)]
        });
        let run = |indicator: &mut I, block: usize| {
            let columns = columns[block].each_ref().map(|c| &c[..]);
            let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; columns[0].len()]);
            indicator.batch(I::Input::table(columns), out.each_mut().map(|c| &mut c[..])).unwrap();
            out.map(|column| column[column.len() - 1])
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

// Prices, ranges and volumes at both ends of what is taken in: quotients of them leave the range of an `f64`.
#[test]
fn extremes_stay_numbers() {
    let values = [LIMIT, -LIMIT, 0.0, 5e-324, -5e-324, 1e-300, LIMIT, 1.0];
    let mut bars = Vec::new();
    for i in 0..512usize {
        let (a, b) = (values[i % 8], values[(i / 8) % 8]);
        let close = if i % 3 == 0 { a } else { values[(i / 64) % 8] };
        bars.push(Hlcv { high: a.max(b), low: a.min(b), close, volume: values[(i * 5) % 8].abs() });
    }
    for period in [1, 2, 3, 7, 50] {
        every(&mut Behaves(&bars), period);
    }
}

#[test]
fn columns_of_different_lengths_are_refused() {
    let (long, short) = ([1.0; 5], [1.0; 4]);
    let mut out = [0.0; 5];
    let mut atr = Atr::new(1).unwrap();
    let before = atr.clone();
    let uneven = Hlc { high: &long[..], low: &long[..], close: &short[..] };
    assert_eq!(atr.batch(uneven, [&mut out]), Err(BadLength));
    let even = Hlc { high: &short[..], low: &short[..], close: &short[..] };
    assert_eq!(atr.batch(even, [&mut out]), Err(BadLength));
    let mut sma = Sma::new(2).unwrap();
    assert_eq!(sma.batch(&long[..], [&mut out[..4]]), Err(BadLength));
    assert_eq!((atr, sma, out), (before, Sma::new(2).unwrap(), [0.0; 5]));
}
