//! Lines over the time of a run: worth, drawdown, exposure, and what holding the instrument would have given.
//! Never: judges them; figures come from the run's statistics.

use super::data::{Curve, Hold, Line};
use super::pack::{Column, Times, thin};
use crate::log::{EquityLine, EquityPoint, RunLog};

/// The run as a whole, then each account where they are several. Together at most about `limit` points.
pub fn equity(log: &RunLog, limit: usize) -> Vec<Curve> {
    let Some(main) = log.main_equity() else {
        return Vec::new();
    };
    let others = log.equity.iter().filter(|l| l.currency == main.currency && !std::ptr::eq(*l, main));
    let lines: Vec<&EquityLine> = std::iter::once(main).chain(others).collect();
    lines.iter().map(|line| curve(log, line, limit / lines.len())).collect()
}

fn curve(log: &RunLog, line: &EquityLine, limit: usize) -> Curve {
    let account = line.account.and_then(|id| log.facts.accounts.get(usize::from(id.0)));
    let name = account.map_or_else(|| "All accounts".to_owned(), |a| format!("Equity {}", a.name));
    let first = line.points.first().map_or(0.0, |p| p.open.to_f64());
    let mut peak = f64::NEG_INFINITY;
    let mut drawdown = |p: &EquityPoint| {
        let (high, low) = (p.high.to_f64(), p.low.to_f64());
        // From a high before this bucket to its low, or inside the bucket; a share of nothing is undefined.
        let across = if peak > 0.0 { (peak - low) / peak } else { 0.0 };
        peak = peak.max(high);
        if peak > 0.0 { -across.max(p.fall_ratio).max(0.0) } else { f64::NAN }
    };
    let points: Vec<(&EquityPoint, f64)> = line.points.iter().map(|p| (p, drawdown(p))).collect();
    let kept = thin_both(&points, limit);
    let kept = || kept.iter().map(|i| points[*i]);
    Curve {
        name,
        start: first,
        t: Times::of(kept().map(|(p, _)| p.at)),
        close: Column::of(kept().map(|(p, _)| p.close.to_f64())),
        drawdown: Column::of(kept().map(|(_, fall)| fall)),
    }
}

/// Which points to keep so that neither line loses a high or a low.
fn thin_both(points: &[(&EquityPoint, f64)], limit: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..points.len()).collect();
    if all.len() <= limit {
        return all;
    }
    let mut kept = thin(&all, limit / 2, |i| points[*i].0.close.to_f64());
    kept.extend(thin(&all, limit / 2, |i| points[*i].1));
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Value of all positions as a share of worth. `None`: nothing was held, or nobody knows its value.
pub fn exposure(log: &RunLog) -> Option<Line> {
    let line = log.main_equity()?;
    let share = |p: &EquityPoint| match p.exposure {
        Some(value) if p.close.is_positive() => value.to_f64() / p.close.to_f64(),
        _ => f64::NAN,
    };
    let values: Vec<f64> = line.points.iter().map(share).collect();
    let held = values.iter().any(|v| *v > 0.0);
    held.then(|| Line { t: Times::of(line.points.iter().map(|p| p.at)), v: Column::of(values) })
}

/// The starting worth put into the only instrument of the run at its first price. `None` for several instruments.
pub fn hold(log: &RunLog) -> Option<Hold> {
    let [line] = log.prices.as_slice() else {
        return None;
    };
    let instrument = log.facts.instruments.get(line.instrument);
    if instrument.is_inverse() {
        return None;
    }
    let start = log.main_equity()?.points.first()?.open.to_f64();
    let first = line.bars.first()?.open.0;
    if start <= 0.0 || first <= 0 {
        return None;
    }
    let bars = super::prices::merge(&line.bars, 2_000);
    Some(Hold {
        symbol: instrument.symbol.split().1.to_owned(),
        shown: false,
        t: Times::of(bars.iter().map(|b| b.open_time)),
        v: Column::of(bars.iter().map(|b| start * b.close.0 as f64 / first as f64)),
    })
}
