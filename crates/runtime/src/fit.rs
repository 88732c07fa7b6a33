//! Whether strategies and settings fit the accounts they are to trade on: what would be refused order by order is told
//! at the start.
//! Never: asks a venue, or refuses what only may go wrong.

use crate::UserError;
use crate::config::{AccountSettings, ProfileName, RiskLimits, Settings, StrategySettings};
use ctos_kernel::{PositionMode, Strategy};
use ctos_strategies::Catalog;
use ctos_types::{Instrument, InstrumentId, Instruments};

/// Symbols that a hint names; more are counted.
const NAMED: usize = 5;

/// Looks at every account and every strategy. `default_symbols`: what a strategy gets that names none.
pub(crate) fn check(
    settings: &Settings,
    catalog: Catalog,
    instruments: &Instruments,
    default_symbols: &[InstrumentId],
) -> Result<(), UserError> {
    settings.accounts.iter().try_for_each(account)?;
    for s in &settings.strategies {
        // What is wrong with its name and parameters is told by whoever builds it to run it.
        let Ok(strategy) = catalog.build(&s.name, &s.params, instruments, default_symbols) else { continue };
        let Some(account) = settings.accounts.iter().find(|a| a.id == s.account) else { continue };
        let all = Traded { instruments, default_symbols, account };
        all.check(s, &*strategy)?;
        if let Some(limits) = settings.risk.per_strategy.get(&s.id) {
            strategy.trades().into_iter().try_for_each(|id| smallest(s, limits, instruments.get(id)))?;
        }
    }
    Ok(())
}

/// A futures venue sets leverage in whole numbers.
fn account(account: &AccountSettings) -> Result<(), UserError> {
    let futures = account.venue.as_ref().is_some_and(|at| at.profile == ProfileName::UsdM);
    if !futures || account.leverage.to_mantissa(0).is_ok() {
        return Ok(());
    }
    let (id, leverage) = (&account.id, account.leverage);
    let whole = leverage.round(0, ctos_types::Rounding::Down);
    Err(UserError::new(
        format!("account {id}: the venue sets leverage in whole numbers, and the settings say {leverage}"),
        format!("write leverage: {whole}"),
    ))
}

/// The market of an instrument, as profiles know it.
fn market_of(i: &Instrument) -> ProfileName {
    if i.is_spot() { ProfileName::Spot } else { ProfileName::UsdM }
}

struct Traded<'a> {
    instruments: &'a Instruments,
    default_symbols: &'a [InstrumentId],
    account: &'a AccountSettings,
}

impl Traded<'_> {
    fn is_of_account(&self, i: &Instrument) -> bool {
        self.account.venue.as_ref().is_none_or(|at| at.profile.market() == market_of(i))
    }

    /// What the account can trade of the run, for a hint.
    fn tradable(&self) -> String {
        let all = self.default_symbols.iter().map(|id| self.instruments.get(*id));
        let names: Vec<&str> = all.filter(|i| self.is_of_account(i)).map(|i| i.symbol.as_str()).collect();
        let more = names.len().saturating_sub(NAMED);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        names[..names.len().min(NAMED)].join(", ") + &tail
    }

    fn check(&self, s: &StrategySettings, strategy: &dyn Strategy) -> Result<(), UserError> {
        let named = strategy.trades();
        if let Some(foreign) = named.iter().map(|id| self.instruments.get(*id)).find(|i| !self.is_of_account(i)) {
            return Err(self.not_there(s, foreign));
        }
        let sought = if named.is_empty() { self.default_symbols } else { &named };
        let futures = sought.iter().map(|id| self.instruments.get(*id)).find(|i| !i.is_spot() && self.is_of_account(i));
        let Some(future) = futures else { return Ok(()) };
        let mode = if self.account.hedge_mode { PositionMode::Hedge } else { PositionMode::OneWay };
        if strategy.position_modes().contains(&mode) {
            return Ok(());
        }
        let (id, name, account, symbol) = (&s.id, &s.name, &self.account.id, &future.symbol);
        Err(match mode {
            PositionMode::Hedge => UserError::new(
                format!(
                    "strategy {id} ({name}) trades {symbol} in one net position, and account {account} keeps long and \
                     short apart (hedge_mode: true): every order of it would be refused"
                ),
                format!(
                    "set hedge_mode: false for account {account} (and one-way mode at the venue), or give the strategy \
                     an account of its own"
                ),
            ),
            PositionMode::OneWay => UserError::new(
                format!(
                    "strategy {id} ({name}) trades the long and short legs of {symbol} apart, and account {account} has \
                     one net position (hedge_mode: false): every order of it would be refused"
                ),
                format!("set hedge_mode: true for account {account} (and hedge mode at the venue)"),
            ),
        })
    }

    fn not_there(&self, s: &StrategySettings, foreign: &Instrument) -> UserError {
        let (id, account, symbol) = (&s.id, &self.account.id, &foreign.symbol);
        let profile = self.account.venue.as_ref().map_or(String::new(), |at| format!(" (profile {})", at.profile));
        let tradable = self.tradable();
        let hint = if tradable.is_empty() {
            format!("put the strategy on an account with profile {}", market_of(foreign))
        } else {
            format!("name a symbol of that account in the strategy's params ({tradable}), or another account")
        };
        UserError::new(format!("strategy {id} trades {symbol}, and account {account}{profile} cannot"), hint)
    }
}

/// Limits below what the venue takes at least let no order through at all.
fn smallest(s: &StrategySettings, limits: &RiskLimits, i: &Instrument) -> Result<(), UserError> {
    let least_qty = i.qty_decimal(i.min_qty);
    let too_low = [
        ("max_order_notional", limits.max_order_notional, i.min_notional, "an order's worth"),
        ("max_position_notional", limits.max_position_notional, i.min_notional, "a position's worth"),
        ("max_total_notional", limits.max_total_notional, i.min_notional, "the worth of all positions"),
        ("max_order_qty", limits.max_order_qty, least_qty, "an order's size"),
    ];
    for (key, limit, least, what) in too_low {
        let Some(limit) = limit.filter(|limit| *limit < least) else { continue };
        let (id, symbol) = (&s.id, &i.symbol);
        return Err(UserError::new(
            format!(
                "strategy {id}: risk.{key} allows {limit} for {what}, and {symbol} takes no order below {least}: every \
                 order would be denied"
            ),
            format!("raise risk.{key} to at least {least}, or leave {symbol} out"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
