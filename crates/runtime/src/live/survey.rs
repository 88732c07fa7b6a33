//! What a person should see before real money moves: accounts, addresses, keys, holdings, limits, and what will trade.
//! Never: changes anything at the venue.

use crate::config::{ProfileName, Settings, Speed, VenueAccount, product_of};
use crate::{UserError, oneshot};
use ctos_driver_binance::Verdict;
use ctos_driver_binance::client::{Failure, Severity, Stakes};
use ctos_types::{Currency, Decimal};
use serde::Serialize;

/// One account at its venue.
#[derive(Clone, Debug, Serialize)]
pub struct AccountSurvey {
    pub account: String,
    /// `binance usdm`.
    pub venue: String,
    pub rest: String,
    pub streams: String,
    /// Whether real money is behind it.
    pub real: bool,
    /// Owned, by currency: what is not zero. `None`: the venue could not be asked.
    pub balances: Option<Vec<(Currency, String)>>,
    /// Symbol and signed size.
    pub positions: Vec<(String, String)>,
    /// `None`: the venue could not be asked.
    pub open_orders: Option<usize>,
    /// Limits of the settings that are set, `key value`.
    pub limits: Vec<String>,
    /// Strategies on it, and what they are called with.
    pub strategies: Vec<String>,
    /// What is unwise about key or settings, and what to do about it.
    pub warnings: Vec<String>,
}

/// Asks each account's venue. A key that may take money out, and whatever else keeps an account from being traded on,
/// is an error.
pub fn survey(settings: &Settings) -> Result<Vec<AccountSurvey>, UserError> {
    (0..settings.accounts.len()).map(|at| one(settings, at)).collect()
}

fn one(settings: &Settings, at: usize) -> Result<AccountSurvey, UserError> {
    let account = &settings.accounts[at];
    let venue = oneshot::at_venue(settings, at)?;
    let _hosts = venue.hosts()?;
    let clock = oneshot::Clock::of(settings, venue)?;
    same_pace(settings, venue, &clock)?;
    let mut client = oneshot::connect(settings, at, oneshot::Keys::Needed, &clock)?;
    if let Err(failure) = client.load(None) {
        return unasked(settings, at, failure);
    }
    let stakes = if venue.is_real() { Stakes::Real } else { Stakes::Practice };
    let probe = client.wait(client.client.probe(stakes, account.hedge_mode, &[]))?;
    if let Some(refusal) = probe.refusal() {
        return Err(UserError::new(format!("account {}: {}", account.id, refusal.what), refusal.hint.clone()));
    }
    // Symbols that are not there are told by the run itself.
    let traded: Vec<_> = settings.symbols.iter().filter(|s| product_of(s) == venue.profile.market()).collect();
    let traded: Vec<_> = traded.iter().filter_map(|s| Some(client.client.find(s).ok()?.id)).collect();
    if let Some(refusal) = oneshot::leverage(settings, at, &client, &traded) {
        return Err(UserError::new(format!("account {}: {}", account.id, refusal.what), refusal.hint));
    }
    let findings = probe.findings.iter().filter(|f| f.severity == Severity::Warning);
    let balances = client.wait(client.client.balances())?;
    // Spot and cross margin hold coins, which are balances.
    let positions = match venue.profile {
        ProfileName::UsdM => client.wait(client.client.positions())?.0,
        ProfileName::Spot | ProfileName::Margin => Vec::new(),
    };
    let open = client.wait(client.client.open_orders(None))?;
    let named = |id| client.client.instruments().get(id);
    Ok(AccountSurvey {
        balances: Some(
            balances
                .iter()
                .filter(|b| !b.balance.total.is_zero() || !b.balance.borrowed.is_zero())
                .map(|b| (b.currency, b.balance.total.to_string()))
                .collect(),
        ),
        positions: positions
            .iter()
            .filter(|p| p.qty.0 != 0)
            .map(|p| (named(p.instrument).symbol.to_string(), named(p.instrument).qty_text(p.qty)))
            .collect(),
        open_orders: Some(open.len()),
        warnings: findings.map(|f| format!("{} ({})", f.what, f.hint)).collect(),
        ..as_set(settings, at)?
    })
}

/// A run and the twin beside it share one pace: at another one every stamp would be refused before long.
fn same_pace(settings: &Settings, venue: &VenueAccount, clock: &oneshot::Clock) -> Result<(), UserError> {
    let Speed::Factor(factor) = settings.speed else { return Ok(()) };
    if !clock.told || factor == Decimal::from_int(i64::from(clock.speed)) {
        return Ok(());
    }
    Err(UserError::new(
        format!("speed: the twin at {} goes at {}x, and the settings say {factor}x", venue.hosts()?.rest, clock.speed),
        format!("write speed: {0}x (--speed {0}x), or start the twin with --speed {factor}", clock.speed),
    ))
}

/// An account whose venue wants to be left alone for now: a run that was cut off goes on all the same, and its desk waits
/// until it may ask.
fn unasked(settings: &Settings, at: usize, failure: Failure) -> Result<AccountSurvey, UserError> {
    let closed = matches!(&failure, Failure::NotSent { retry_after: Some(_), .. })
        || failure.refusal().is_some_and(|reply| reply.verdict == Verdict::RateLimited);
    if !closed {
        return Err(failure.into());
    }
    let warnings = vec![format!("what it holds could not be asked: {failure} ({})", failure.hint())];
    Ok(AccountSurvey { warnings, ..as_set(settings, at)? })
}

/// What settings alone tell of an account.
fn as_set(settings: &Settings, at: usize) -> Result<AccountSurvey, UserError> {
    let account = &settings.accounts[at];
    let venue = oneshot::at_venue(settings, at)?;
    let hosts = venue.hosts()?;
    let loans = venue.borrows().then(|| format!("margin_borrow auto, leverage {}", account.leverage));
    Ok(AccountSurvey {
        account: account.id.clone(),
        venue: format!("binance {}", venue.profile),
        rest: hosts.rest,
        streams: hosts.streams,
        real: venue.is_real(),
        balances: None,
        positions: Vec::new(),
        open_orders: None,
        limits: loans.into_iter().chain(limits(settings, &account.id)).collect(),
        strategies: settings.strategies.iter().filter(|s| s.account == account.id).map(strategy).collect(),
        warnings: Vec::new(),
    })
}

fn strategy(s: &crate::config::StrategySettings) -> String {
    let params: Vec<String> = s.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let name = if s.id == s.name { s.id.clone() } else { format!("{} ({})", s.id, s.name) };
    if params.is_empty() { name } else { format!("{name} with {}", params.join(" ")) }
}

fn limits(settings: &Settings, account: &str) -> Vec<String> {
    let Some(of) = settings.risk.per_account.get(account) else { return Vec::new() };
    let Ok(serde_json::Value::Object(map)) = serde_json::to_value(of) else { return Vec::new() };
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k} {}", text(v))).collect()
}
