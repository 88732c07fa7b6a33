//! Nanoseconds that a batch of each indicator takes for one row, on ten million rows of a seeded market.
//!
//! One sample is one batch over all rows into columns that are already there, by a fresh indicator. Parameters are the
//! usual ones. `benches/talib_side_by_side.py` measures TA-Lib in the same way.

use crate::measure::{Measure, Samples};
use crate::{Lab, Run, internal};
use ctos_indicators::{
    Adx, Aroon, Atr, BadPeriod, Bollinger, Cci, Columns, Correlation, Di, Donchian, Ema, HighLow, Hlc, Hlcv, Ichimoku,
    Indicator, Keltner, LinearRegression, Macd, Mfi, Obv, Pair, Priced, Reading, Rma, Roc, RollingMax, RollingMin,
    RollingStats, RollingVwap, Rsi, Sma, Stochastic, SuperTrend, Vwap, Wma, ZScore,
};
use ctos_runtime::RunError;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

const ROWS: usize = 10_000_000;
const SAMPLES: usize = 7;

pub(crate) const ALL: [(&str, Run); 29] = [
    ("indicator_sma", |lab, name| measure(lab, name, Sma::new(20), Market::closes)),
    ("indicator_ema", |lab, name| measure(lab, name, Ema::new(20), Market::closes)),
    ("indicator_wma", |lab, name| measure(lab, name, Wma::new(20), Market::closes)),
    ("indicator_rma", |lab, name| measure(lab, name, Rma::new(14), Market::closes)),
    ("indicator_min", |lab, name| measure(lab, name, RollingMin::new(20), Market::closes)),
    ("indicator_max", |lab, name| measure(lab, name, RollingMax::new(20), Market::closes)),
    ("indicator_stats", |lab, name| measure(lab, name, RollingStats::new(20), Market::closes)),
    ("indicator_zscore", |lab, name| measure(lab, name, ZScore::new(20), Market::closes)),
    ("indicator_bollinger", |lab, name| measure(lab, name, Bollinger::new(20, 2.0), Market::closes)),
    ("indicator_rsi", |lab, name| measure(lab, name, Rsi::new(14), Market::closes)),
    ("indicator_roc", |lab, name| measure(lab, name, Roc::new(10), Market::closes)),
    ("indicator_macd", |lab, name| measure(lab, name, Macd::new(12, 26, 9), Market::closes)),
    ("indicator_linear_regression", |lab, name| measure(lab, name, LinearRegression::new(20), Market::closes)),
    ("indicator_correlation", |lab, name| measure(lab, name, Correlation::new(20), Market::pairs)),
    ("indicator_donchian", |lab, name| measure(lab, name, Donchian::new(20), Market::ranges)),
    ("indicator_aroon", |lab, name| measure(lab, name, Aroon::new(25), Market::ranges)),
    ("indicator_ichimoku", |lab, name| measure(lab, name, Ichimoku::new(9, 26, 52, 26), Market::ranges)),
    ("indicator_atr", |lab, name| measure(lab, name, Atr::new(14), Market::bars)),
    ("indicator_di", |lab, name| measure(lab, name, Di::new(14), Market::bars)),
    ("indicator_adx", |lab, name| measure(lab, name, Adx::new(14), Market::bars)),
    ("indicator_cci", |lab, name| measure(lab, name, Cci::new(20), Market::bars)),
    ("indicator_stochastic", |lab, name| measure(lab, name, Stochastic::slow(14, 3, 3), Market::bars)),
    ("indicator_stochastic_fast", |lab, name| measure(lab, name, Stochastic::fast(14, 3), Market::bars)),
    ("indicator_keltner", |lab, name| measure(lab, name, Keltner::new(20, 10, 2.0), Market::bars)),
    ("indicator_supertrend", |lab, name| measure(lab, name, SuperTrend::new(10, 3.0), Market::bars)),
    ("indicator_mfi", |lab, name| measure(lab, name, Mfi::new(14), Market::volumes)),
    ("indicator_obv", |lab, name| measure(lab, name, Ok(Obv::new()), Market::priced)),
    ("indicator_vwap", |lab, name| measure(lab, name, Ok(Vwap::new()), Market::priced)),
    ("indicator_rolling_vwap", |lab, name| measure(lab, name, RollingVwap::new(20), Market::priced)),
];

/// Columns of bars around a price that moves by up to 5 in 10,000 a bar.
struct Market {
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

impl Market {
    /// Made once for all measurements of a process; a quick one has a thousandth of the rows.
    fn get(quick: bool) -> &'static Market {
        static LONG: OnceLock<Market> = OnceLock::new();
        static QUICK: OnceLock<Market> = OnceLock::new();
        if quick { QUICK.get_or_init(|| Market::new(ROWS / 1000)) } else { LONG.get_or_init(|| Market::new(ROWS)) }
    }

    fn new(rows: usize) -> Market {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let column = || Vec::with_capacity(rows);
        let mut market = Market { high: column(), low: column(), close: column(), volume: column() };
        let mut close = 100.0f64;
        for _ in 0..rows {
            let open = close;
            // Drawn back towards 100, so that ten million steps stay in the range of prices.
            close *= 1.0 + (next() - 0.5) * 1e-3 - (close - 100.0) * 1e-7;
            market.high.push(open.max(close) * (1.0 + next() * 1e-4));
            market.low.push(open.min(close) * (1.0 - next() * 1e-4));
            market.close.push(close);
            market.volume.push(next() * 10.0);
        }
        market
    }

    fn closes(&self) -> &[f64] {
        &self.close
    }

    fn pairs(&self) -> Pair<&[f64]> {
        Pair { x: &self.high, y: &self.low }
    }

    fn ranges(&self) -> HighLow<&[f64]> {
        HighLow { high: &self.high, low: &self.low }
    }

    fn bars(&self) -> Hlc<&[f64]> {
        Hlc { high: &self.high, low: &self.low, close: &self.close }
    }

    fn volumes(&self) -> Hlcv<&[f64]> {
        Hlcv { high: &self.high, low: &self.low, close: &self.close, volume: &self.volume }
    }

    fn priced(&self) -> Priced<&[f64]> {
        Priced { price: &self.close, volume: &self.volume }
    }
}

fn measure<I, C, const N: usize>(
    lab: &Lab,
    name: &'static str,
    indicator: Result<I, BadPeriod>,
    input: fn(&'static Market) -> C,
) -> Result<Measure, RunError>
where
    I: Indicator,
    C: Columns<Row = I::Input>,
    I::Output: Reading<N>,
{
    let indicator = indicator.map_err(internal)?;
    let market = Market::get(lab.quick);
    let rows = market.close.len();
    let mut out: [Vec<f64>; N] = std::array::from_fn(|_| vec![0.0; rows]);
    let mut times = Vec::new();
    for _ in 0..if lab.quick { 1 } else { SAMPLES } {
        let mut fresh = indicator.clone();
        let columns = out.each_mut().map(|c| &mut c[..]);
        let begun = Instant::now();
        fresh.batch(black_box(input(market)), columns).map_err(internal)?;
        times.push(begun.elapsed().as_nanos() as f64 / rows as f64);
        black_box(&mut out);
    }
    let begins = out[0].iter().position(|x| !x.is_nan());
    if begins != Some(indicator.warmup() - 1) || !out.iter().all(|c| c[rows - 1].is_finite()) {
        return Err(internal(format!("{name}: the first value is in row {begins:?}, or the last one is none")));
    }
    let note = format!("by row; one sample: a batch of {rows} rows into {N} columns");
    Ok(Samples::new(times).measure(name, "ns", &lab.machine, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Prices of the made market are prices all along: what is measured is not the handling of odd input.
    #[test]
    fn the_market_is_one() {
        let market = Market::get(true);
        assert_eq!(market.close.len(), ROWS / 1000);
        for i in 0..market.close.len() {
            assert!(market.low[i] <= market.close[i] && market.close[i] <= market.high[i], "row {i}");
            assert!(market.low[i] > 50.0 && market.high[i] < 200.0 && market.volume[i] >= 0.0, "row {i}");
        }
    }
}
