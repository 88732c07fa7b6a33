//! Every indicator that TA-Lib has, against what TA-Lib answered: `vectors/make.py` wrote it down.

use ctos_indicators::*;
use std::collections::BTreeMap;

const VECTORS: &str = include_str!("vectors/talib.txt");

#[derive(Default)]
struct Case<'a> {
    name: &'a str,
    /// High, low, close, volume.
    columns: [Vec<f64>; 4],
    /// Key, first row, sampled values.
    outputs: BTreeMap<&'a str, (usize, Vec<f64>)>,
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

fn cases() -> Vec<Case<'static>> {
    let mut cases = Vec::new();
    for line in VECTORS.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        match words.next() {
            Some("case") => cases.push(Case { name: words.next().expect("a name"), ..Case::default() }),
            Some("out") => {
                let case: &mut Case<'_> = cases.last_mut().expect("a case");
                let (key, first) = (words.next().expect("a key"), words.next().expect("a row"));
                case.outputs.insert(key, (first.parse().expect("a row"), words.map(number).collect()));
            }
            Some(high) => {
                let case = cases.last_mut().expect("a case");
                for (column, text) in case.columns.iter_mut().zip([high].into_iter().chain(words)) {
                    column.push(number(text));
                }
            }
            None => {}
        }
    }
    cases
}

/// As `sampled` in `make.py`.
fn sampled(first: usize, rows: usize) -> impl Iterator<Item = usize> {
    (first..rows).filter(move |i| *i < first + 60 || i % 17 == 0 || *i == rows - 1)
}

/// To 1e-9 of the value; what is next to nothing against prices around 100 counts as nothing.
fn agrees(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-9 * want.abs().max(1e-3)
}

struct Checker<'a> {
    case: &'a Case<'a>,
    checked: Vec<String>,
}

impl Checker<'_> {
    /// Runs the indicator and compares the columns that the vectors have.
    fn check<I, C, const N: usize>(&mut self, key: &str, mut indicator: I, input: C)
    where
        I: Indicator,
        C: Columns<Row = I::Input>,
        I::Output: Reading<N>,
    {
        let rows = self.case.columns[0].len();
        let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; rows]);
        indicator.batch(input, out.each_mut().map(|c| &mut c[..])).expect("columns of one length");
        for (name, column) in <I::Output as Reading<N>>::NAMES.into_iter().zip(&out) {
            self.compare(&format!("{key}.{name}"), column);
        }
    }

    fn compare(&mut self, key: &str, got: &[f64]) {
        let Some((first, want)) = self.case.outputs.get(key) else { return };
        self.checked.push(key.into());
        let begins = got.iter().position(|x| !x.is_nan());
        assert_eq!(begins, Some(*first), "{}: first value of {key}", self.case.name);
        let mut rows = sampled(*first, got.len());
        for (i, want) in rows.by_ref().zip(want) {
            assert!(agrees(got[i], *want), "{}: {key} at row {i}: {:?}, TA-Lib {want:?}", self.case.name, got[i]);
        }
        assert_eq!(rows.next(), None, "{key}: rows without a value to compare with");
    }
}

#[test]
fn agrees_with_ta_lib() {
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let [high, low, close, volume] = case.columns.each_ref().map(|c| &c[..]);
        let hl = HighLow { high, low };
        let hlc = Hlc { high, low, close };
        let hlcv = Hlcv { high, low, close, volume };
        let mut c = Checker { case, checked: Vec::new() };
        c.check("sma_20", Sma::new(20).unwrap(), close);
        c.check("sma_3", Sma::new(3).unwrap(), close);
        c.check("ema_12", Ema::new(12).unwrap(), close);
        c.check("ema_3", Ema::new(3).unwrap(), close);
        c.check("wma_10", Wma::new(10).unwrap(), close);
        c.check("wma_30", Wma::new(30).unwrap(), close);
        c.check("rsi_14", Rsi::new(14).unwrap(), close);
        c.check("rsi_5", Rsi::new(5).unwrap(), close);
        c.check("macd_12_26_9", Macd::new(12, 26, 9).unwrap(), close);
        c.check("macd_5_8_3", Macd::new(8, 5, 3).unwrap(), close);
        c.check("bollinger_20_2", Bollinger::new(20, 2.0).unwrap(), close);
        c.check("stddev_10", RollingStats::new(10).unwrap(), close);
        c.check("min_10", RollingMin::new(10).unwrap(), close);
        c.check("max_10", RollingMax::new(10).unwrap(), close);
        c.check("roc_10", Roc::new(10).unwrap(), close);
        c.check("linear_14", LinearRegression::new(14).unwrap(), close);
        c.check("correlation_20", Correlation::new(20).unwrap(), Pair { x: close, y: volume });
        c.check("obv", Obv::new(), Priced { price: close, volume });
        c.check("aroon_25", Aroon::new(25).unwrap(), hl);
        c.check("atr_14", Atr::new(14).unwrap(), hlc);
        c.check("atr_5", Atr::new(5).unwrap(), hlc);
        c.check("di_14", Di::new(14).unwrap(), hlc);
        c.check("adx_14", Adx::new(14).unwrap(), hlc);
        c.check("adx_5", Adx::new(5).unwrap(), hlc);
        c.check("stochastic_14_3_3", Stochastic::slow(14, 3, 3).unwrap(), hlc);
        c.check("stochastic_14_3", Stochastic::fast(14, 3).unwrap(), hlc);
        c.check("cci_20", Cci::new(20).unwrap(), hlc);
        c.check("mfi_14", Mfi::new(14).unwrap(), hlcv);
        let mut line = LinearRegression::new(14).unwrap();
        let ahead: Vec<f64> = close.iter().map(|x| line.update(*x).map_or(f64::NAN, Line::forecast)).collect();
        c.compare("forecast_14.value", &ahead);
        c.checked.sort();
        assert!(c.checked.iter().eq(case.outputs.keys().copied()), "{}: {:?}", case.name, c.checked);
    }
}
