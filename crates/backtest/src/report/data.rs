//! The words of a page: what `assets/report` draws, as it is written into the page in JSON.
//! Never: knows where the numbers come from. Times are milliseconds since 1970, shares are fractions of one.

use super::falls::Fall;
use super::figures::Figure;
use super::pack::{Column, Times};
use super::spread::{Month, Rolling, Spread, Year};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Page {
    pub kind: &'static str,
    pub runs: Vec<RunPage>,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct RunPage {
    pub label: String,
    pub from: i64,
    pub to: i64,
    pub currency: String,
    pub period: String,
    /// Keys of the figures at the head of the page, and what stands below some of them.
    pub headline: Vec<&'static str>,
    pub headline_notes: std::collections::BTreeMap<&'static str, String>,
    pub figures: Vec<Figure>,
    /// What a reader must know before believing a number.
    pub notes: Vec<String>,
    /// The run as a whole first, then its accounts where they are several.
    pub equity: Vec<Curve>,
    pub hold: Option<Hold>,
    pub prices: Vec<PriceChart>,
    pub months: Vec<Month>,
    pub years: Vec<Year>,
    pub returns: Option<Spread>,
    pub rolling: Option<Rolling>,
    /// Deepest first.
    pub falls: Vec<Fall>,
    /// Net results of closed trades in the run's own currency.
    pub results: Option<Spread>,
    pub exposure: Option<Line>,
    pub costs: Costs,
    pub shares: Shares,
    /// By instrument: name and places.
    pub symbols: Vec<String>,
    pub price_places: Vec<u8>,
    pub qty_places: Vec<u8>,
    pub trades: Trades,
    pub assumptions: Vec<(String, String)>,
    pub quality: Vec<String>,
    pub settings: Vec<(String, String)>,
    pub pessimistic: Option<Worse>,
}

#[derive(Debug, Default, Serialize)]
pub struct Line {
    pub t: Times,
    pub v: Column,
}

#[derive(Debug, Serialize)]
pub struct Curve {
    pub name: String,
    pub start: f64,
    pub t: Times,
    pub close: Column,
    /// Fall from the highest worth so far, as a share of it: zero or negative.
    pub drawdown: Column,
}

/// What the same money would have become in the instrument itself.
#[derive(Debug, Serialize)]
pub struct Hold {
    pub symbol: String,
    pub shown: bool,
    pub t: Times,
    pub v: Column,
}

#[derive(Debug, Serialize)]
pub struct PriceChart {
    pub symbol: String,
    pub unit: String,
    pub price_places: u8,
    pub qty_places: u8,
    /// Length of a bar.
    pub every_ms: i64,
    pub note: String,
    pub t: Times,
    pub o: Column,
    pub h: Column,
    pub l: Column,
    pub c: Column,
    pub plots: Vec<Plot>,
    pub fills: Fills,
    pub position: Line,
}

#[derive(Debug, Serialize)]
pub struct Plot {
    pub name: String,
    pub t: Times,
    pub v: Column,
}

/// Fills, those of one bar, side and kind added up where they are many.
#[derive(Debug, Default, Serialize)]
pub struct Fills {
    pub t: Times,
    /// 0: buy, 1: sell.
    pub side: Vec<u8>,
    /// 1: the position shrank.
    pub exit: Vec<u8>,
    pub n: Vec<u32>,
    pub px: Column,
    pub qty: Column,
}

#[derive(Debug, Default, Serialize)]
pub struct Costs {
    pub rows: Vec<CostRow>,
    pub note: String,
}

#[derive(Debug, Serialize)]
pub struct CostRow {
    pub label: &'static str,
    pub amount: f64,
    /// A sum of what stands above it, not a step.
    pub total: bool,
    pub note: &'static str,
}

#[derive(Debug, Default, Serialize)]
pub struct Shares {
    pub strategies: Vec<ShareRow>,
    pub instruments: Vec<ShareRow>,
}

#[derive(Debug, Serialize)]
pub struct ShareRow {
    pub name: String,
    pub currency: String,
    pub trades: u64,
    pub win_rate: Option<f64>,
    pub volume: f64,
    /// `None`, as is `net`: there is no price for what is open.
    pub gross: Option<f64>,
    pub fees: f64,
    /// Part of `gross` already.
    pub slippage: f64,
    pub funding: f64,
    pub net: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
pub struct Trades {
    pub count: usize,
    pub note: String,
    /// What stands there instead of an empty table.
    pub none: String,
    pub strategies: Vec<String>,
    /// Index into `strategies`.
    pub strategy: Vec<u32>,
    /// Index into the run's symbols.
    pub instrument: Vec<u32>,
    /// 0: long, 1: short.
    pub side: Vec<u8>,
    pub entry: Times,
    pub exit: Times,
    pub qty: Column,
    pub px_in: Column,
    pub px_out: Column,
    pub gross: Column,
    pub fees: Column,
    pub funding: Column,
    pub net: Column,
    /// How far the market went against and in favour of each; no value where no bar lies inside.
    pub mae: Column,
    pub mfe: Column,
}

/// The run repeated under pessimistic assumptions.
#[derive(Debug, Serialize)]
pub struct Worse {
    pub assumptions: Vec<(String, String)>,
    pub figures: Vec<Figure>,
    /// Keys of the figures that are shown side by side.
    pub shown: Vec<&'static str>,
    /// How much of the profit depends on the assumptions, as a sentence and in a few words.
    pub verdict: String,
    pub brief: String,
    pub bad: bool,
    pub equity: Option<Curve>,
}
