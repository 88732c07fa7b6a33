//! What holds for every indicator, whatever it computes.

mod long;

use ctos_indicators::*;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::ops::Range;

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

type Table = [Vec<f64>; 4];

fn table(bars: &[Hlcv]) -> Table {
    let column = |part: fn(&Hlcv) -> f64| bars.iter().map(part).collect();
    [column(|b| b.high), column(|b| b.low), column(|b| b.close), column(|b| b.volume)]
}

/// What a batch of these rows answers.
fn batch<I, const N: usize>(indicator: &mut I, table: &Table, rows: Range<usize>) -> [Vec<f64>; N]
where
    I: Indicator<Input: Sample, Output: Reading<N>>,
{
    let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; rows.len()]);
    let input = I::Input::table(table.each_ref().map(|c| &c[rows.clone()]));
    indicator.batch(input, out.each_mut().map(|c| &mut c[..])).unwrap();
    out
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
        let table = table(self.bars);
        let (mut streamed, mut batched) = (indicator.clone(), indicator);
        let mut out = batch(&mut batched, &table, 0..self.cut);
        for (column, more) in out.iter_mut().zip(batch::<I, N>(&mut batched, &table, self.cut..self.bars.len())) {
            column.extend(more);
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
