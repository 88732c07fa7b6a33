//! The stylised facts of real markets, measured on fixed seeds.

use super::super::{SyntheticConfig, minute_prices};
use super::{market, watch};
use crate::source::MarketSource;
use ctos_types::event::EventKind;
use ctos_types::time::NANOS_PER_SEC;
use ctos_types::{L2Book, Side};

fn returns(prices: &[f64]) -> Vec<f64> {
    prices.windows(2).map(|w| (w[1] / w[0]).ln()).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum::<f64>() / x.len().min(y.len()) as f64
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    covariance(x, y) / (covariance(x, x) * covariance(y, y)).sqrt()
}

fn autocorrelation(x: &[f64], lag: usize) -> f64 {
    correlation(&x[..x.len() - lag], &x[lag..])
}

fn excess_kurtosis(x: &[f64]) -> f64 {
    let (m, var) = (mean(x), covariance(x, x));
    x.iter().map(|a| (a - m).powi(4)).sum::<f64>() / x.len() as f64 / (var * var) - 3.0
}

#[test]
fn minute_returns_look_like_those_of_real_coins() {
    let symbols = ["BTC-USDT", "ETH-USDT", "DOGE-USDT"];
    let config = SyntheticConfig::for_symbols(2, &symbols).unwrap();
    let prices = minute_prices(&config, 20_000).unwrap();
    let returns: Vec<_> = prices.iter().map(|p| returns(p)).collect();
    for (r, symbol) in returns.iter().zip(symbols) {
        let kurtosis = excess_kurtosis(r);
        assert!((3.0..50.0).contains(&kurtosis), "{symbol}: excess kurtosis {kurtosis}");
        for lag in 1..=5 {
            let ac = autocorrelation(r, lag);
            assert!(ac.abs() < 0.05, "{symbol}: autocorrelation {ac} at lag {lag}");
        }
        let size: Vec<f64> = r.iter().map(|x| x.abs()).collect();
        let (one, twenty, hours) = (autocorrelation(&size, 1), autocorrelation(&size, 20), autocorrelation(&size, 120));
        assert!(one > 0.1 && twenty > 0.03, "{symbol}: clustering {one} at lag 1, {twenty} at lag 20");
        assert!(one > twenty && twenty > hours, "{symbol}: clustering does not fade: {one} {twenty} {hours}");
        let annual = covariance(r, r).sqrt() * (365.0f64 * 1440.0).sqrt();
        assert!((0.25..1.5).contains(&annual), "{symbol}: annualised volatility {annual}");
    }
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        let c = correlation(&returns[i], &returns[j]);
        assert!((0.4..0.95).contains(&c), "{} and {}: correlation {c}", symbols[i], symbols[j]);
    }
}

/// One hour of one book: per second the mid and the spread, both in quote currency, and the number of trades.
struct Hour {
    mids: Vec<f64>,
    spreads: Vec<f64>,
    trades: Vec<f64>,
    /// Correlation of the net aggressor of a step with trades with the change of the mid that follows.
    flow: f64,
}

fn hour(symbol: &str) -> Hour {
    let mut m = market(2, &[symbol]);
    let unit = {
        let i = m.instruments().iter().next().unwrap();
        i.price_decimal(ctos_types::Price(1)).to_f64()
    };
    let start = SyntheticConfig::default().start;
    let mut book = L2Book::default();
    let (mut out, mut trades, mut signed) =
        (Hour { mids: vec![], spreads: vec![], trades: vec![], flow: 0.0 }, 0.0, 0.0);
    let (mut flows, mut moves) = (vec![], vec![]);
    let mid = |b: &L2Book| {
        let q = b.quote();
        (q.bid_px.0 + q.ask_px.0) as f64 / 2.0 * unit
    };
    watch(&mut m, 3_600, |event, at| {
        while (at - start).0 >= (out.mids.len() as i64 + 1) * NANOS_PER_SEC {
            let q = book.quote();
            out.mids.push(mid(&book));
            out.spreads.push((q.ask_px.0 - q.bid_px.0) as f64 * unit);
            out.trades.push(std::mem::take(&mut trades));
        }
        match &event.kind {
            EventKind::Trade { trade, .. } => {
                trades += 1.0;
                signed += trade.aggressor.sign() as f64;
            }
            EventKind::Depth { bids, .. } => {
                let before = mid(&book);
                let (bids, asks) = event.levels.split_at(*bids);
                bids.iter().for_each(|l| book.set(Side::Buy, l.price, l.qty));
                asks.iter().for_each(|l| book.set(Side::Sell, l.price, l.qty));
                if before > 0.0 && signed != 0.0 {
                    flows.push(std::mem::take(&mut signed));
                    moves.push(mid(&book) - before);
                }
            }
            _ => {}
        }
    });
    out.flow = correlation(&flows, &moves);
    out
}

#[test]
fn books_follow_the_price_process_with_sensible_spreads() {
    for (symbol, spread_bp) in [("BTC-USDT", 0.1..1.0), ("ADA-USDT", 2.0..8.0), ("AVAX-USDT", 0.5..4.0)] {
        let h = hour(symbol);
        let config = SyntheticConfig::for_symbols(2, &[symbol]).unwrap();
        let efficient = &minute_prices(&config, 59).unwrap()[0];
        for (minute, price) in efficient.iter().enumerate() {
            let mid = h.mids[60 * (minute + 1) - 1];
            assert!((mid / price - 1.0).abs() < 0.001, "{symbol}: mid {mid} at efficient price {price}");
        }
        let bp = mean(&h.spreads) / mean(&h.mids) * 1e4;
        assert!(spread_bp.contains(&bp), "{symbol}: mean spread {bp} bp");
        assert!(h.flow > 0.25, "{symbol}: trades lean against the move: {}", h.flow);
        let clustering = covariance(&h.trades, &h.trades) / mean(&h.trades);
        assert!(clustering > 1.5, "{symbol}: trade counts have variance over mean {clustering}");
    }
}

#[test]
fn perpetual_and_spot_stay_together() {
    let (spot, perp) = (hour("BTC-USDT").mids, hour("BTC-USDT-PERP").mids);
    let basis: Vec<f64> = spot.iter().zip(&perp).map(|(s, p)| (p / s - 1.0) * 1e4).collect();
    assert!(basis.iter().all(|b| b.abs() < 30.0), "basis beyond 30 bp");
    assert!(covariance(&basis, &basis).sqrt() > 0.3, "the basis does not move");
    let minutes = |mids: &[f64]| returns(&mids.iter().step_by(60).copied().collect::<Vec<_>>());
    assert!(correlation(&minutes(&spot), &minutes(&perp)) > 0.95);
}
