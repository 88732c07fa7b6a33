//! What a backtest leaves behind: everything that result files, figures and reports are made from.

use ctos_kernel::Order;
use ctos_types::{
    AccountId, Bar, ClientOrderId, Currency, Decimal, InstrumentId, Instruments, Interval, Leg, Liquidity, Price, Qty,
    Side, StrategyId, UnixNanos,
};

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
    /// Prices for charts, one line an instrument that was traded or subscribed.
    pub prices: Vec<PriceLine>,
    /// What strategies plotted.
    pub plots: Vec<PlotLine>,
}

/// What the run was.
#[derive(Clone, Debug, Default)]
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

#[derive(Clone, Debug)]
pub struct AccountFacts {
    pub name: String,
    /// The currency its worth is counted in.
    pub reporting: Currency,
    pub start_equity: Decimal,
}

#[derive(Clone, Debug)]
pub struct StrategyFacts {
    pub id: String,
    pub name: String,
    pub params: Vec<(String, String)>,
    pub account: AccountId,
}

/// An account's worth over time in buckets of equal length. A bucket's low and high are exact, so that drawdowns are
/// found however coarse the buckets are.
#[derive(Clone, Debug)]
pub struct EquityLine {
    pub account: AccountId,
    pub currency: Currency,
    pub bucket: Interval,
    /// Only buckets in which the worth was sampled.
    pub points: Vec<EquityPoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquityPoint {
    /// Start of the bucket.
    pub at: UnixNanos,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    /// Largest fall from an earlier high inside the bucket, at least zero.
    pub fall: Decimal,
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
    /// Profit or loss that this fill realised, before fees, in the instrument's settlement currency.
    pub realized: Decimal,
    /// Best bid and ask known to the kernel when the order was sent, halved: what slippage is measured against.
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

/// An instrument's prices for a chart.
#[derive(Clone, Debug)]
pub struct PriceLine {
    pub instrument: InstrumentId,
    pub bars: Vec<Bar>,
}

/// One line a strategy plotted, for example an average.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotLine {
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub name: &'static str,
    pub points: Vec<(UnixNanos, f64)>,
}
