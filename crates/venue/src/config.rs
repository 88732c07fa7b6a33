//! Settings of the simulated exchange: accounts, fees, borrowing, queue model, self-trade prevention, bar fills.
//! Never: state. Everything here is checked once, by `Exchange::new`.

use ctos_types::{AccountId, Currency, Decimal};
use serde::{Deserialize, Serialize};

/// Settings of one exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExchangeConfig {
    pub queue: QueueModel,
    pub stp: SelfTradePrevention,
    /// How much worse than the path point a market order fills on bar data, in ticks. Never outside the bar.
    pub bar_slippage_ticks: u32,
    /// How much worse still, in percent of the bar's range, rounded up to a tick. Limit orders need the path to trade
    /// through them by as much. 0 to 100.
    pub bar_slippage_range_pct: u32,
    /// Whether every fill on bars counts and pays as a taker's, also that of an order which rested.
    pub bar_taker_fees: bool,
    /// Whether a resting order fills when a bar's path only touches its price. Default: the path must trade through
    /// it by at least a tick.
    pub bar_touch_fills: bool,
    /// Open orders one account may have, conditional ones included.
    pub max_open_orders: u32,
    pub accounts: Vec<AccountConfig>,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        ExchangeConfig {
            queue: QueueModel::default(),
            stp: SelfTradePrevention::default(),
            bar_slippage_ticks: 1,
            bar_slippage_range_pct: 0,
            bar_taker_fees: false,
            bar_touch_fills: false,
            max_open_orders: 10_000,
            accounts: Vec::new(),
        }
    }
}

/// How a resting order moves up in the queue of its price when the recorded market says nothing of our order.
///
/// On arrival the order stands behind all ambient quantity shown at its price (`ahead`). In both models a trade at
/// the price, by an aggressor of the other side, first eats `ahead`, and `ahead` is never more than the level shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueModel {
    /// Cancels are taken to come from behind us: nothing else moves us.
    #[default]
    Conservative,
    /// Cancels are spread evenly over the level. When it shrinks by more than the trades at the price since its last
    /// update explain, by `d`, then `ahead` falls by `floor(ahead * d / q)`, `q` being the level's former size less
    /// those trades.
    Proportional,
}

/// What happens when an order would trade with another order of the same account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTradePrevention {
    /// The rest of the incoming order is cancelled.
    #[default]
    CancelNewest,
    /// The resting order is cancelled and the incoming one goes on.
    CancelOldest,
    CancelBoth,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    pub id: AccountId,
    /// Starting balances. Not negative.
    pub balances: Vec<(Currency, Decimal)>,
    #[serde(default)]
    pub fees: FeeSchedule,
    /// `None`: a cash account, which can spend only what it has.
    #[serde(default)]
    pub borrow: Option<BorrowConfig>,
    /// Leverage on contracts until `set_leverage` changes it; held to `1 / initial_margin` of each instrument.
    #[serde(default = "one")]
    pub leverage: Decimal,
    /// Long and short legs are separate positions.
    #[serde(default)]
    pub hedge_mode: bool,
}

impl AccountConfig {
    /// A cash account with unlevered contracts, in one-way mode, on the instruments' own fee rates.
    pub fn cash(id: AccountId, balances: Vec<(Currency, Decimal)>) -> AccountConfig {
        AccountConfig {
            id,
            balances,
            fees: FeeSchedule::default(),
            borrow: None,
            leverage: Decimal::ONE,
            hedge_mode: false,
        }
    }
}

fn one() -> Decimal {
    Decimal::ONE
}

/// Maker and taker rates as shares of the notional. Negative: rebate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRates {
    pub maker: Decimal,
    pub taker: Decimal,
}

/// Rates that apply from a traded volume on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeTier {
    /// Traded notional over the 30 UTC days before today, each instrument in its own quote currency.
    pub min_volume: Decimal,
    pub rates: FeeRates,
}

/// What an account pays. Precedence: `fixed`, then the highest tier reached, then the instrument's own rates.
/// An order keeps the rates of the moment it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeeSchedule {
    pub fixed: Option<FeeRates>,
    /// Ascending by volume.
    pub tiers: Vec<FeeTier>,
    pub currency: FeeCurrency,
}

/// What fees are paid in. Contracts always pay in their settlement currency unless a token pays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeCurrency {
    /// What the trade brings in: base on a spot buy, quote on a spot sell.
    #[default]
    Received,
    /// Quote currency on both sides of a spot trade.
    Quote,
    /// A third currency, at a discount, where enough of it is free and its price is known; as `Received` otherwise.
    /// Rebates are always paid as `Received`.
    Token {
        currency: Currency,
        /// Share of the fee that is waived: 0.25 pays three quarters.
        discount: Decimal,
        /// Fixed prices of the token by the currency they are in; other pairs use the mark of a spot instrument.
        prices: Vec<(Currency, Decimal)>,
    },
}

/// Borrowing on spot: what is short is borrowed when a fill needs it, and repaid from what comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorrowConfig {
    /// The currency in which worth and debt are compared.
    pub valuation: Currency,
    /// Debt may be at most `max_leverage - 1` times the account's net worth. At least 1.
    pub max_leverage: Decimal,
    /// Interest on what is borrowed, charged on every full hour UTC. A currency not listed cannot be borrowed.
    pub interest_per_hour: Vec<(Currency, Decimal)>,
}

impl BorrowConfig {
    /// The hourly rate of a currency; `None` where it cannot be borrowed.
    pub fn rate(&self, currency: Currency) -> Option<Decimal> {
        self.interest_per_hour.iter().find(|(c, _)| *c == currency).map(|(_, r)| *r)
    }
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("account {} is listed twice", .0.0)]
    DuplicateAccount(AccountId),
    #[error("account {}: starting balance of {currency} is negative: {amount}", account.0)]
    NegativeBalance { account: AccountId, currency: Currency, amount: Decimal },
    #[error("account {}: {currency} is listed twice", account.0)]
    DuplicateCurrency { account: AccountId, currency: Currency },
    #[error("account {}: leverage must be at least 1, not {leverage}", account.0)]
    Leverage { account: AccountId, leverage: Decimal },
    #[error("account {}: {what} must be between {min} and {max}, not {value}", account.0)]
    Range { account: AccountId, what: &'static str, min: Decimal, max: Decimal, value: Decimal },
    #[error("account {}: fee tiers must ascend by volume", account.0)]
    TierOrder { account: AccountId },
    #[error("instrument {symbol}: {why}")]
    Instrument { symbol: String, why: String },
}

impl ExchangeConfig {
    /// Checks everything but the instruments.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (n, account) in self.accounts.iter().enumerate() {
            if self.accounts[..n].iter().any(|a| a.id == account.id) {
                return Err(ConfigError::DuplicateAccount(account.id));
            }
            account.validate()?;
        }
        Ok(())
    }
}

impl AccountConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let account = self.id;
        for (n, (currency, amount)) in self.balances.iter().enumerate() {
            if amount.is_negative() {
                return Err(ConfigError::NegativeBalance { account, currency: *currency, amount: *amount });
            }
            if self.balances[..n].iter().any(|(c, _)| c == currency) {
                return Err(ConfigError::DuplicateCurrency { account, currency: *currency });
            }
        }
        if self.leverage < Decimal::ONE {
            return Err(ConfigError::Leverage { account, leverage: self.leverage });
        }
        let rates = self.fees.tiers.iter().map(|t| t.rates).chain(self.fees.fixed);
        for value in rates.flat_map(|r| [r.maker, r.taker]) {
            range(account, "a fee rate", value, -Decimal::ONE, Decimal::ONE)?;
        }
        if self.fees.tiers.windows(2).any(|w| w[0].min_volume >= w[1].min_volume) {
            return Err(ConfigError::TierOrder { account });
        }
        if let FeeCurrency::Token { discount, prices, .. } = &self.fees.currency {
            range(account, "the fee discount", *discount, Decimal::ZERO, Decimal::ONE)?;
            for (_, px) in prices {
                range(account, "a fee token's price", *px, Decimal::from_atoms(1), Decimal::MAX)?;
            }
        }
        if let Some(borrow) = &self.borrow {
            range(account, "max_leverage", borrow.max_leverage, Decimal::ONE, Decimal::from_int(1000))?;
            for (_, rate) in &borrow.interest_per_hour {
                range(account, "an hourly interest rate", *rate, Decimal::ZERO, Decimal::ONE)?;
            }
        }
        Ok(())
    }
}

fn range(
    account: AccountId,
    what: &'static str,
    value: Decimal,
    min: Decimal,
    max: Decimal,
) -> Result<(), ConfigError> {
    if value < min || value > max { Err(ConfigError::Range { account, what, min, max, value }) } else { Ok(()) }
}
