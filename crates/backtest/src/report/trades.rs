//! The table of closed trades.
//! Never: more rows than a page can carry; the ones left out are counted.

use super::data::Trades;
use super::pack::{Column, Times};
use super::shares::strategy_name;
use super::text;
use crate::log::{RunLog, TradeRow};
use crate::metrics::excursion::Excursion;
use ctos_types::{Decimal, Side, StrategyId};

/// Rows a page carries: about 1 MB.
const ROWS: usize = 16_000;

pub fn table(log: &RunLog) -> Trades {
    let all = log.trades.len();
    let rows = &log.trades[..all.min(ROWS)];
    let total = all as u64 + log.left_out.trades;
    let note = match total > rows.len() as u64 {
        true => format!(
            "the first {} of {}; the result files hold {}",
            text::count(rows.len() as u64),
            text::count(total),
            if log.left_out.trades == 0 { "all".to_owned() } else { text::count(all as u64) }
        ),
        false => "closed round trips; choose an entry to see it in the chart".to_owned(),
    };
    let mut ids: Vec<StrategyId> = rows.iter().map(|t| t.strategy).collect();
    ids.sort_unstable();
    ids.dedup();
    let index = |id: StrategyId| ids.binary_search(&id).unwrap_or_default() as u32;
    let amounts = |of: fn(&TradeRow) -> Decimal| Column::amounts(&rows.iter().map(of).collect::<Vec<_>>(), 8);
    let excursions = crate::metrics::excursion::excursions(log);
    let excursion = |of: fn(&Excursion) -> Decimal| {
        Column::of(excursions.iter().take(rows.len()).map(|e| e.as_ref().map_or(f64::NAN, |e| of(e).to_f64())))
    };
    Trades {
        count: rows.len(),
        note,
        none: none(log),
        strategies: ids.iter().map(|id| strategy_name(log, *id)).collect(),
        strategy: rows.iter().map(|t| index(t.strategy)).collect(),
        instrument: rows.iter().map(|t| t.instrument.0).collect(),
        side: rows.iter().map(|t| u8::from(t.side == Side::Sell)).collect(),
        entry: Times::of(rows.iter().map(|t| t.entry_at)),
        exit: Times::of(rows.iter().map(|t| t.exit_at)),
        qty: amounts_of_qty(log, rows),
        px_in: amounts(|t| t.entry_px),
        px_out: amounts(|t| t.exit_px),
        gross: amounts(|t| t.gross),
        fees: amounts(|t| t.fees),
        funding: amounts(|t| t.funding),
        net: amounts(|t| t.net),
        mae: excursion(|e| e.mae),
        mfe: excursion(|e| e.mfe),
    }
}

fn amounts_of_qty(log: &RunLog, rows: &[TradeRow]) -> Column {
    let qty = |t: &TradeRow| log.facts.instruments.get(t.instrument).qty_decimal(t.qty);
    Column::amounts(&rows.iter().map(qty).collect::<Vec<_>>(), 12)
}

/// Why there is no trade to show.
fn none(log: &RunLog) -> String {
    let fills = log.tally.as_ref().map_or(log.fills.len() as u64, |t| t.fills);
    let (sent, denied) = log.tally.as_ref().map_or((log.orders.len() as u64, 0), |t| (t.orders, t.denied));
    match (fills, sent, denied) {
        (0, 0, 0) => "No trade: the strategies never ordered anything.".to_owned(),
        (0, 0, denied) => {
            format!("No trade: all {} orders were denied by the risk gates.", text::count(denied))
        }
        (0, sent, _) => format!("No trade: {} orders were sent and none was filled.", text::count(sent)),
        (fills, ..) => format!("No closed trade: {} fills opened what is still held.", text::count(fills)),
    }
}
