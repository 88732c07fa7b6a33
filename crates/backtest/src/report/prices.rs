//! Prices with what the strategies did there: bars, plotted lines, fills, positions.
//! Never: more points than a page can carry; bars are merged and lines thinned so that no high or low is lost.

use super::data::{Fills, Line, Plot, PriceChart};
use super::pack::{Column, Times, thin};
use crate::log::{FillRow, PositionRow, RunLog};
use ctos_types::{AccountId, Bar, Instrument, InstrumentId, Interval, Leg, Qty, Side, UnixNanos};
use std::collections::BTreeMap;

/// Bars, plotted points, fills and position changes of a whole page; shared by its instruments.
const BARS: usize = 24_000;
const PLOTTED: usize = 30_000;
const FILLS: usize = 16_000;
const CHANGES: usize = 12_000;

/// Lengths that bars are merged to, in seconds.
const LENGTHS: [u32; 22] = [
    1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400,
    172_800, 604_800,
];

/// One chart for each instrument with prices; those that were traded first.
pub fn charts(log: &RunLog) -> Vec<PriceChart> {
    let used: Vec<_> = log.prices.iter().filter(|l| !l.bars.is_empty()).collect();
    let share = |total: usize| (total / used.len().max(1)).max(200);
    let mut fills: BTreeMap<InstrumentId, Vec<(&FillRow, bool)>> = BTreeMap::new();
    for (fill, exit) in with_exits(&log.fills) {
        fills.entry(fill.instrument).or_default().push((fill, exit));
    }
    let mut charts: Vec<(bool, PriceChart)> = Vec::new();
    for line in &used {
        let instrument = log.facts.instruments.get(line.instrument);
        let bars = merge(&line.bars, share(BARS));
        let own = fills.remove(&line.instrument).unwrap_or_default();
        let every = bars[0].interval;
        let chart = PriceChart {
            symbol: instrument.symbol.to_string(),
            unit: unit(instrument),
            price_places: instrument.price_decimals,
            qty_places: instrument.qty_decimals,
            every_ms: i64::from(every.secs()) * 1_000,
            note: note(log, line.bars[0].interval, every),
            t: Times::of(bars.iter().map(|b| b.open_time)),
            o: Column::grid(instrument.price_decimals, bars.iter().map(|b| b.open.0)),
            h: Column::grid(instrument.price_decimals, bars.iter().map(|b| b.high.0)),
            l: Column::grid(instrument.price_decimals, bars.iter().map(|b| b.low.0)),
            c: Column::grid(instrument.price_decimals, bars.iter().map(|b| b.close.0)),
            plots: plots(log, instrument.id, share(PLOTTED)),
            fills: marks(&own, instrument, every, share(FILLS)),
            position: position(log, instrument, share(CHANGES)),
        };
        charts.push((own.is_empty(), chart));
    }
    charts.sort_by_key(|(untraded, _)| *untraded);
    charts.into_iter().map(|(_, chart)| chart).collect()
}

fn unit(instrument: &Instrument) -> String {
    let plain =
        instrument.contract_value == ctos_types::Decimal::ONE && instrument.multiplier == instrument.contract_value;
    if plain && !instrument.is_inverse() { instrument.base.to_string() } else { "contracts".to_owned() }
}

fn note(log: &RunLog, own: Interval, shown: Interval) -> String {
    let mut note = if own == shown { format!("Bars of {own}.") } else { format!("Bars of {own}, shown as {shown}.") };
    if log.left_out.fills > 0 {
        note += &format!(" The last {} fills of the run are not shown.", super::text::count(log.left_out.fills));
    }
    note
}

/// At most about `limit` bars, merged to a longer round length where there are more. Gaps stay gaps.
pub fn merge(bars: &[Bar], limit: usize) -> Vec<Bar> {
    let Some(first) = bars.first() else {
        return Vec::new();
    };
    let needed = first.interval.secs() as u64 * bars.len().div_ceil(limit.max(1)) as u64;
    if bars.len() <= limit {
        return bars.to_vec();
    }
    let fits = |secs: &&u32| u64::from(**secs) >= needed && secs.is_multiple_of(first.interval.secs());
    let secs = LENGTHS.iter().find(fits).copied().unwrap_or_else(|| u32::try_from(needed).unwrap_or(u32::MAX));
    let interval = Interval::from_secs(secs).unwrap_or(first.interval);
    let mut merged: Vec<Bar> = Vec::with_capacity(limit);
    for bar in bars {
        let open_time = interval.floor(bar.open_time);
        match merged.last_mut().filter(|m| m.open_time == open_time) {
            Some(last) => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.volume = Qty(last.volume.0.saturating_add(bar.volume.0));
            }
            None => merged.push(Bar { interval, open_time, ..*bar }),
        }
    }
    merged
}

fn plots(log: &RunLog, instrument: InstrumentId, limit: usize) -> Vec<Plot> {
    let own: Vec<_> = log.plots.iter().filter(|p| p.instrument == instrument && !p.points.is_empty()).collect();
    let each = (limit / own.len().max(1)).max(100);
    let several = own.iter().any(|p| p.strategy != own[0].strategy);
    let strategy = |id: ctos_types::StrategyId| super::shares::strategy_name(log, id);
    let name = |p: &crate::log::PlotLine| match several {
        true => format!("{} {}", strategy(p.strategy), p.name),
        false => p.name.to_string(),
    };
    let plot = |p: &&crate::log::PlotLine| {
        let points = thin(&p.points, each, |(_, v)| *v);
        Plot {
            name: name(p),
            t: Times::of(points.iter().map(|(at, _)| *at)),
            v: Column::of(points.iter().map(|(_, v)| *v)),
        }
    };
    own.iter().map(plot).collect()
}

/// Whether each fill made its account's position smaller. One that turns it round does both and counts as an entry.
pub(super) fn with_exits(fills: &[FillRow]) -> Vec<(&FillRow, bool)> {
    let mut held: BTreeMap<(AccountId, InstrumentId, Leg), i64> = BTreeMap::new();
    let exit = |fill: &FillRow| {
        let qty = held.entry((fill.account, fill.instrument, fill.leg)).or_default();
        let before = *qty;
        *qty = before.saturating_add(fill.qty.0.saturating_mul(fill.side.sign()));
        before != 0 && (before > 0) == (fill.side == Side::Sell) && (*qty == 0 || (*qty > 0) == (before > 0))
    };
    let exits: Vec<bool> = fills.iter().map(exit).collect();
    fills.iter().zip(exits).collect()
}

pub(super) fn marks(fills: &[(&FillRow, bool)], instrument: &Instrument, every: Interval, limit: usize) -> Fills {
    struct Mark {
        at: UnixNanos,
        side: u8,
        exit: bool,
        n: u32,
        value: f64,
        qty: i64,
    }
    let mut marks: Vec<Mark> = Vec::new();
    let span = fills.last().map_or(0, |l| l.0.at.0 - fills[0].0.at.0);
    // At most four kinds a bucket.
    let bucket = match fills.len() > limit {
        true => every.as_nanos().0.max(span / (limit as i64 / 4).max(1) + 1),
        false => 0,
    };
    let mut open: BTreeMap<(i64, u8, bool), usize> = BTreeMap::new();
    for (fill, exit) in fills {
        let side = u8::from(fill.side == Side::Sell);
        let value = instrument.price_decimal(fill.price).to_f64() * fill.qty.0 as f64;
        let new = Mark { at: fill.at, side, exit: *exit, n: 1, value, qty: fill.qty.0 };
        let key = (if bucket > 0 { fill.at.0.div_euclid(bucket) } else { marks.len() as i64 }, side, *exit);
        let at = *open.entry(key).or_insert(marks.len());
        match marks.get_mut(at) {
            Some(mark) => {
                mark.n += 1;
                mark.value += new.value;
                mark.qty = mark.qty.saturating_add(new.qty);
            }
            None => marks.push(new),
        }
    }
    Fills {
        t: Times::of(marks.iter().map(|m| m.at)),
        side: marks.iter().map(|m| m.side).collect(),
        exit: marks.iter().map(|m| u8::from(m.exit)).collect(),
        n: marks.iter().map(|m| m.n).collect(),
        px: Column::of(marks.iter().map(|m| m.value / (m.qty as f64).max(1.0))),
        qty: Column::grid(instrument.qty_decimals, marks.iter().map(|m| m.qty)),
    }
}

/// The position of all accounts together, from the start of the run to its end.
fn position(log: &RunLog, instrument: &Instrument, limit: usize) -> Line {
    let mut held: BTreeMap<(AccountId, Leg), i64> = BTreeMap::new();
    let mut points = vec![(log.facts.from, 0.0)];
    let unit = 10_f64.powi(i32::from(instrument.qty_decimals));
    let mine = |p: &&PositionRow| p.instrument == instrument.id;
    for row in log.positions.iter().filter(mine) {
        held.insert((row.account, row.leg), row.qty.0);
        let total = held.values().map(|q| *q as f64).sum::<f64>() / unit;
        points.push((row.at, total));
    }
    if points.len() == 1 {
        return Line::default();
    }
    let last = points[points.len() - 1].1;
    if log.left_out.positions == 0 {
        points.push((log.facts.to, last));
    }
    let points = thin(&points, limit, |(_, v)| *v);
    Line { t: Times::of(points.iter().map(|(at, _)| *at)), v: Column::of(points.iter().map(|(_, v)| *v)) }
}
