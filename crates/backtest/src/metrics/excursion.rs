//! How far the market went against and in favour of each trade while it was open.
//! Never: looks outside the trade: a bar counts only when all of it lies between entry and exit.

use crate::log::{RunLog, TradeRow};
use ctos_types::{Bar, Decimal, Instrument, Instruments, Price, Qty, Side};
use serde::Serialize;

/// Unsigned amounts in settlement currency, from the entry price at the trade's whole size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Excursion {
    /// Maximum adverse excursion.
    pub mae: Decimal,
    /// Maximum favourable excursion.
    pub mfe: Decimal,
}

/// Lows and highs over any range of bars in constant time: level `k` holds those of `2^k` bars.
struct Extremes<'a> {
    bars: &'a [Bar],
    levels: Vec<Vec<(Price, Price)>>,
}

impl<'a> Extremes<'a> {
    fn of(bars: &'a [Bar]) -> Extremes<'a> {
        let mut levels = vec![bars.iter().map(|b| (b.low, b.high)).collect::<Vec<_>>()];
        while let Some(below) = levels.last().filter(|l| l.len() > 1 << (levels.len() - 1)) {
            let half = 1 << (levels.len() - 1);
            let joined = below.iter().zip(&below[half..]).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))).collect();
            levels.push(joined);
        }
        Extremes { bars, levels }
    }

    /// Of the bars that lie wholly inside the trade.
    fn within(&self, trade: &TradeRow) -> Option<(Price, Price)> {
        let from = self.bars.partition_point(|b| b.open_time < trade.entry_at);
        let to = self.bars.partition_point(|b| b.close_time() <= trade.exit_at);
        let count = to.checked_sub(from).filter(|n| *n > 0)?;
        let level = count.ilog2() as usize;
        let (a, b) = (self.levels[level][from], self.levels[level][to - (1 << level)]);
        Some((a.0.min(b.0), a.1.max(b.1)))
    }
}

/// One for each trade of the log; `None` where no whole bar of its instrument's price line lies inside it.
pub fn excursions(log: &RunLog) -> Vec<Option<Excursion>> {
    let lines: Vec<_> = log.prices.iter().map(|line| (line.instrument, Extremes::of(&line.bars))).collect();
    let of = |trade: &TradeRow| {
        let (_, extremes) = lines.iter().find(|(id, _)| *id == trade.instrument)?;
        let (low, high) = extremes.within(trade)?;
        excursion(instrument(&log.facts.instruments, trade), trade, low, high)
    };
    log.trades.iter().map(of).collect()
}

fn instrument<'a>(instruments: &'a Instruments, trade: &TradeRow) -> &'a Instrument {
    instruments.get(trade.instrument)
}

fn excursion(i: &Instrument, trade: &TradeRow, low: Price, high: Price) -> Option<Excursion> {
    let signed = Qty(trade.qty.0 * trade.side.sign());
    let entry = i.value_at(trade.entry_px, signed).ok()?;
    let gain = |px: Decimal| i.value_at(px, signed).ok()?.checked_sub(entry).ok();
    let (low, high) = (i.price_decimal(low).min(trade.exit_px), i.price_decimal(high).max(trade.exit_px));
    let (worst, best) = if trade.side == Side::Buy { (low, high) } else { (high, low) };
    Some(Excursion { mae: (-gain(worst)?).max(Decimal::ZERO), mfe: gain(best)?.max(Decimal::ZERO) })
}
