//! What a backtest leaves behind: everything that result files, figures and reports are made from.

use ctos_kernel::Order;
use ctos_types::{
    AccountId, Bar, ClientOrderId, Currency, Decimal, InstrumentId, Instruments, Interval, Leg, Liquidity, Price, Qty,
    Side, StrategyId, UnixNanos,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A whole run. Rows are in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct RunLog {
    pub facts: Facts,
    pub equity: Vec<EquityLine>,
    pub fills: Vec<FillRow>,
    /// Each order as it was last seen.
    pub orders: Vec<Order>,
    /// Each change of an account's position.
    pub positions: Vec<PositionRow>,
    pub funding: Vec<FundingRow>,
    /// Closed round trips, by the time of their exit. See `docs/metrics.md` for what counts as one.
    pub trades: Vec<TradeRow>,
    /// Sums over everything that happened, also over rows that were left out. `None` where nobody counted: they can be
    /// had from the rows then.
    pub tally: Option<Tally>,
    /// Rows that did not fit the bound on memory.
    pub left_out: LeftOut,
    /// Prices for charts, one line an instrument that was traded or subscribed.
    pub prices: Vec<PriceLine>,
    /// What strategies plotted.
    pub plots: Vec<PlotLine>,
}

impl RunLog {
    /// The currency in which the run as a whole is judged: that of its first account.
    pub fn currency(&self) -> Option<Currency> {
        self.facts.accounts.first().map(|a| a.reporting).or_else(|| self.equity.first().map(|l| l.currency))
    }

    /// The worth of the whole run: of its only account, or of all accounts that count in [`RunLog::currency`].
    pub fn main_equity(&self) -> Option<&EquityLine> {
        let currency = self.currency()?;
        let mut lines = self.equity.iter().filter(|l| l.currency == currency);
        let first = lines.next()?;
        Some(lines.find(|l| l.account.is_none()).unwrap_or(first))
    }
}

/// What the run was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub run_id: String,
    /// First and last market time.
    pub from: UnixNanos,
    pub to: UnixNanos,
    pub instruments: Instruments,
    /// By [`AccountId`].
    pub accounts: Vec<AccountFacts>,
    /// By [`StrategyId`].
    pub strategies: Vec<StrategyFacts>,
    /// What fills depend on (queue model, latencies, fees, slippage), name and value, ready to be shown.
    pub assumptions: Vec<(String, String)>,
    /// What is wrong with the data, one line each; empty when nothing was found.
    pub data_quality: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    pub name: String,
    /// The currency its worth is counted in.
    pub reporting: Currency,
    pub start_equity: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyFacts {
    pub id: String,
    pub name: String,
    pub params: Vec<(String, String)>,
    pub account: AccountId,
}

/// An account's worth over time in buckets of equal length. A bucket's low and high are exact, so that drawdowns are
/// found however coarse the buckets are.
#[derive(Clone, Debug, PartialEq)]
pub struct EquityLine {
    /// `None`: all accounts that count in `currency` together. There is such a line only where they are several.
    pub account: Option<AccountId>,
    pub currency: Currency,
    pub bucket: Interval,
    /// Only buckets in which the worth was sampled.
    pub points: Vec<EquityPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EquityPoint {
    /// Start of the bucket.
    pub at: UnixNanos,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    /// Largest fall from an earlier high inside the bucket, at least zero.
    pub fall: Decimal,
    /// Largest fall from an earlier high inside the bucket as a share of that high, 0 to 1.
    pub fall_ratio: f64,
    /// Worth of all positions, unsigned, at the market's prices when the bucket was last sampled. `None`: a position
    /// had no price, or counts in another currency.
    pub exposure: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillRow {
    pub seq: u64,
    pub at: UnixNanos,
    pub account: AccountId,
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub order: Option<ClientOrderId>,
    pub side: Side,
    pub leg: Leg,
    pub price: Price,
    pub qty: Qty,
    pub liquidity: Liquidity,
    /// Positive: paid.
    pub fee: Decimal,
    pub fee_currency: Currency,
    /// The fee in the instrument's settlement currency: converted at the fill's own price, or for a third currency at
    /// the market's price of that moment. `None`: there was no such price.
    pub fee_value: Option<Decimal>,
    /// Profit or loss that this fill realised, before fees, in the instrument's settlement currency.
    pub realized: Decimal,
    /// Best bid and ask known to the kernel when the order was sent, halved; without a two-sided quote the last price.
    /// What slippage is measured against.
    pub mid_at_send: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionRow {
    pub at: UnixNanos,
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub leg: Leg,
    /// Signed.
    pub qty: Qty,
    pub avg_px: Option<Decimal>,
    /// Sum since the start, before fees.
    pub realized: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingRow {
    pub at: UnixNanos,
    pub account: AccountId,
    pub instrument: InstrumentId,
    /// Positive: received.
    pub amount: Decimal,
    pub currency: Currency,
}

/// A closed round trip, or the closed part of one: what one order, or consecutive fills of it, took off a position.
/// Amounts are in the instrument's settlement currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeRow {
    pub account: AccountId,
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub leg: Leg,
    /// Of the entry: `Buy` for a long trade.
    pub side: Side,
    /// When the oldest unit that this trade closed was entered, first in first out.
    pub entry_at: UnixNanos,
    pub exit_at: UnixNanos,
    /// Unsigned.
    pub qty: Qty,
    /// Average price of the position that was closed.
    pub entry_px: Decimal,
    /// Average price of the closing fills.
    pub exit_px: Decimal,
    /// Before fees and funding.
    pub gross: Decimal,
    /// Of the exit and of the entry's share. Positive: paid.
    pub fees: Decimal,
    /// Positive: received.
    pub funding: Decimal,
    /// `gross - fees + funding`.
    pub net: Decimal,
    /// The order that closed; `None` for what was not ours (a liquidation).
    pub exit_order: Option<ClientOrderId>,
}

/// What is still open at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRow {
    pub account: AccountId,
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub leg: Leg,
    /// When the oldest open unit was entered, first in first out.
    pub entry_at: UnixNanos,
    /// Signed.
    pub qty: Qty,
    pub avg_px: Option<Decimal>,
    /// The market's price at the end. `None`: there is none.
    pub mark: Option<Decimal>,
    /// Profit if closed at `mark`, before fees.
    pub unrealized: Option<Decimal>,
    /// The open part's share of fees and funding.
    pub fees: Decimal,
    pub funding: Decimal,
}

/// Sums over a run that need no rows. Amounts of an instrument are in its settlement currency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub fills: u64,
    pub maker_fills: u64,
    /// Orders that were sent, and those that our own gates refused.
    pub orders: u64,
    pub denied: u64,
    /// By strategy and instrument, in that order.
    pub parts: Vec<Part>,
    /// What is still open at the end.
    pub open: Vec<OpenRow>,
    /// Fees as they were charged, by currency.
    pub fees: BTreeMap<Currency, Decimal>,
    /// Market time with any position open.
    pub in_market_ns: i64,
    /// Time-weighted mean of exposure divided by worth, and the largest seen. `None`: unknown.
    pub exposure: Option<ExposureTally>,
}

/// Unsigned position value as a share of worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExposureTally {
    pub mean: f64,
    pub max: f64,
}

/// What one strategy did in one instrument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub fills: u64,
    /// Unsigned traded value in quote currency.
    pub volume: Decimal,
    /// Profit of closed trades, before fees and funding.
    pub realized: Decimal,
    pub fees: Decimal,
    /// Fills whose fee could not be converted: it is missing in `fees`.
    pub fees_unknown: u64,
    /// Positive: received.
    pub funding: Decimal,
    /// What fills were worse than [`FillRow::mid_at_send`]. Negative: better.
    pub slippage: Decimal,
    /// Fills without a price to compare with: they are missing in `slippage`.
    pub slippage_unknown: u64,
    pub trades: TradeSums,
}

/// Closed trades by outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TradeSums {
    pub count: u64,
    /// Trades with a positive and with a negative `net`.
    pub wins: u64,
    pub losses: u64,
    /// Sums of `net` over each; `lost` is not negative.
    pub won: Decimal,
    pub lost: Decimal,
    /// Largest win and largest loss, at least zero.
    pub best: Decimal,
    pub worst: Decimal,
    /// Summed time from entry to exit.
    pub held_ns: i128,
}

/// Rows that are missing because the log is bounded. The first ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub fills: u64,
    pub orders: u64,
    pub positions: u64,
    pub funding: u64,
    pub trades: u64,
}

/// An instrument's prices for a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceLine {
    pub instrument: InstrumentId,
    pub bars: Vec<Bar>,
}

/// One line a strategy plotted, for example an average.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotLine {
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub name: Cow<'static, str>,
    pub points: Vec<(UnixNanos, f64)>,
}
