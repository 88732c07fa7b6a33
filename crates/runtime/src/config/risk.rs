//! The `risk` section: limits, with overrides for one account or one strategy.
//! Never: applies a limit; the kernel's gates do.

use super::ConfigError;
use super::keys;
use super::section::Section;
use super::values::{
    Expected, Show, amount, amount_above_zero, as_opt_span, decimal, expected, or_off, serde_as_text, span_or_off,
    truth, whole,
};
use ctos_types::{Decimal, Nanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Limits with every override worked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskSettings {
    /// What applies where nothing narrower is said.
    pub limits: RiskLimits,
    /// Limits of every configured account: `limits` with `risk.per_account.<id>` over them.
    pub per_account: BTreeMap<String, RiskLimits>,
    /// Limits of every configured strategy: its account's with `risk.per_strategy.<id>` over them.
    pub per_strategy: BTreeMap<String, RiskLimits>,
}

/// What the gates allow. `None` is a limit switched off. Amounts are in the instrument's quote currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskLimits {
    /// Distance of an order's price from the reference price, in hundredths of a percent.
    pub price_band_bps: Option<Decimal>,
    /// No new orders on a market that has been silent for longer.
    #[serde(with = "as_opt_span")]
    pub stale_after: Option<Nanos>,
    /// In the instrument's size unit.
    pub min_order_qty: Option<Decimal>,
    pub max_order_qty: Option<Decimal>,
    pub min_order_notional: Option<Decimal>,
    pub max_order_notional: Option<Decimal>,
    /// Of one position, open orders on its side included.
    pub max_position_notional: Option<Decimal>,
    /// Of all positions of an account together, open orders included.
    pub max_total_notional: Option<Decimal>,
    /// Total notional over equity.
    pub max_leverage: Option<Decimal>,
    pub max_open_orders: Option<u32>,
    pub max_orders_per_sec: Option<u32>,
    pub max_orders_per_min: Option<u32>,
    /// Cancels per order over the last minute.
    pub max_cancel_ratio: Option<Decimal>,
    /// Orders within that minute before the ratio is looked at.
    pub cancel_ratio_min: u32,
    /// Refuse an order that would trade with one of the same account.
    pub self_cross: bool,
    /// Refuse the same intent again within this time.
    #[serde(with = "as_opt_span")]
    pub duplicate_window: Option<Nanos>,
    /// Loss since the start of the UTC day at which trading stops.
    pub daily_loss: Option<LossLimit>,
    /// Fall from the highest equity at which trading stops, in percent.
    pub max_drawdown_pct: Option<Decimal>,
}

/// A loss as an amount of the account's reporting currency, or in percent of its equity at the start of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossLimit {
    Amount(Decimal),
    Percent(Decimal),
}

impl FromStr for LossLimit {
    type Err = Expected;
    fn from_str(text: &str) -> Result<LossLimit, Expected> {
        let bad = || expected("an amount above 0, or a percentage above 0 and up to 100%", "\"500\" or 10%");
        match text.strip_suffix('%') {
            None => amount_above_zero(text).map(LossLimit::Amount).map_err(|_| bad()),
            Some(number) => {
                let value: Decimal = number.trim_end().parse().map_err(|_| bad())?;
                let ok = value.is_positive() && value <= Decimal::from_int(100);
                ok.then_some(LossLimit::Percent(value)).ok_or_else(bad)
            }
        }
    }
}

impl fmt::Display for LossLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossLimit::Amount(amount) => write!(f, "{amount}"),
            LossLimit::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
serde_as_text!(LossLimit);

impl Show for LossLimit {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Chosen for a paper account of 10,000 USDT: wide enough for any built-in strategy as it comes, narrow enough to stop
/// one that runs away.
impl Default for RiskLimits {
    fn default() -> RiskLimits {
        let int = |n| Some(Decimal::from_int(n));
        RiskLimits {
            price_band_bps: int(500),
            stale_after: Some(Nanos::from_secs(10)),
            min_order_qty: None,
            max_order_qty: None,
            min_order_notional: None,
            max_order_notional: int(5_000),
            max_position_notional: int(20_000),
            max_total_notional: int(50_000),
            max_leverage: int(5),
            max_open_orders: Some(200),
            max_orders_per_sec: Some(50),
            max_orders_per_min: Some(1_000),
            max_cancel_ratio: int(20),
            cancel_ratio_min: 50,
            self_cross: true,
            duplicate_window: Some(Nanos::from_millis(100)),
            daily_loss: Some(LossLimit::Percent(Decimal::from_int(10))),
            max_drawdown_pct: int(20),
        }
    }
}

/// The limits written in `s`, those of `base` where nothing is written.
fn read_limits(s: &Section, base: &RiskLimits) -> Result<RiskLimits, ConfigError> {
    let (int, zero) = (Decimal::from_int, Decimal::ZERO);
    let above_zero = || or_off(amount_above_zero);
    let count = || or_off(whole(1u32, 1_000_000));
    let percent = |text: &str| {
        let what = "a percentage above 0 and up to 100";
        decimal(what, "20", zero, int(100))(text).ok().filter(|d| d.is_positive()).ok_or_else(|| expected(what, "20"))
    };
    let bps = |text: &str| {
        let what = "basis points above 0 and up to 10000";
        let value = decimal(what, "500", zero, int(10_000))(text).ok().filter(|d| d.is_positive());
        value.ok_or_else(|| expected(what, "500"))
    };
    let leverage = decimal("a leverage from 0.01 to 1000", "5", Decimal::new(1, 2), int(1000));
    let limits = RiskLimits {
        price_band_bps: s.read("price_band_bps", base.price_band_bps, or_off(bps))?,
        stale_after: s.read(
            "stale_after",
            base.stale_after,
            span_or_off(Nanos(1_000_000), Nanos::from_secs(86_400)),
        )?,
        min_order_qty: s.read("min_order_qty", base.min_order_qty, or_off(amount))?,
        max_order_qty: s.read("max_order_qty", base.max_order_qty, above_zero())?,
        min_order_notional: s.read("min_order_notional", base.min_order_notional, or_off(amount))?,
        max_order_notional: s.read("max_order_notional", base.max_order_notional, above_zero())?,
        max_position_notional: s.read("max_position_notional", base.max_position_notional, above_zero())?,
        max_total_notional: s.read("max_total_notional", base.max_total_notional, above_zero())?,
        max_leverage: s.read("max_leverage", base.max_leverage, or_off(leverage))?,
        max_open_orders: s.read("max_open_orders", base.max_open_orders, count())?,
        max_orders_per_sec: s.read("max_orders_per_sec", base.max_orders_per_sec, count())?,
        max_orders_per_min: s.read("max_orders_per_min", base.max_orders_per_min, count())?,
        max_cancel_ratio: s.read("max_cancel_ratio", base.max_cancel_ratio, above_zero())?,
        cancel_ratio_min: s.read("cancel_ratio_min", base.cancel_ratio_min, whole(1, 1_000_000))?,
        self_cross: s.read("self_cross", base.self_cross, truth)?,
        duplicate_window: s.read(
            "duplicate_window",
            base.duplicate_window,
            span_or_off(Nanos(1), Nanos::from_secs(3600)),
        )?,
        daily_loss: s.read("daily_loss", base.daily_loss, or_off(str::parse))?,
        max_drawdown_pct: s.read("max_drawdown_pct", base.max_drawdown_pct, or_off(percent))?,
    };
    for (low, high, min, max) in [
        ("min_order_qty", "max_order_qty", limits.min_order_qty, limits.max_order_qty),
        ("min_order_notional", "max_order_notional", limits.min_order_notional, limits.max_order_notional),
    ] {
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message = format!("{} is {min}, above {high} {max}: no order could pass", s.path(low));
            return Err(ConfigError::new(message, "swap the two, or set one of them to off"));
        }
    }
    Ok(limits)
}

/// `accounts` are the configured account ids, `strategies` the configured strategy ids with their accounts' ids.
pub(super) fn resolve(
    root: &Section,
    accounts: &[&str],
    strategies: &[(&str, &str)],
) -> Result<RiskSettings, ConfigError> {
    let section = root.section("risk", keys::RISK)?;
    let limits = read_limits(&section, &RiskLimits::default())?;
    let strategy_ids: Vec<&str> = strategies.iter().map(|s| s.0).collect();
    check_names(&section, "per_account", "account", accounts)?;
    check_names(&section, "per_strategy", "strategy", &strategy_ids)?;
    let mut per_account = BTreeMap::new();
    for id in accounts {
        per_account.insert(id.to_string(), overridden(&section, "per_account", id, &limits)?);
    }
    let mut per_strategy = BTreeMap::new();
    for (id, account) in strategies {
        let base = per_account.get(*account).unwrap_or(&limits);
        per_strategy.insert(id.to_string(), overridden(&section, "per_strategy", id, base)?);
    }
    Ok(RiskSettings { limits, per_account, per_strategy })
}

fn overridden(risk: &Section, kind: &str, id: &str, base: &RiskLimits) -> Result<RiskLimits, ConfigError> {
    let Some((_, node)) = risk.entries(kind)?.into_iter().find(|(name, _)| *name == id) else {
        return Ok(base.clone());
    };
    let path = format!("{}.{id}", risk.path(kind));
    let section = Section::open(path, keys::risk_override(), Some(node), risk.trace())?.inheriting();
    read_limits(&section, base)
}

/// An override for something that does not exist would silently protect nothing.
fn check_names(risk: &Section, key: &str, kind: &str, known: &[&str]) -> Result<(), ConfigError> {
    for (name, node) in risk.entries(key)? {
        if !known.contains(&name) {
            let message = format!("{}: {}.{name}: there is no {kind} with this id", node.origin, risk.path(key));
            return Err(ConfigError::new(message, super::resolve::known_hint(name, known)));
        }
    }
    Ok(())
}
