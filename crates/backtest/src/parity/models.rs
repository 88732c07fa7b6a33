//! "What if": the settings of a recorded run with other models of the simulated venue.
//! Never: changes what the run decided by: market, strategies, balances, limits.

use ctos_runtime::UserError;
use ctos_runtime::config::{AccountSettings, Layers, Settings};

/// Settings that may be changed.
pub const CHANGEABLE: &str = "venue.* and accounts.N.fees.*";

/// `settings` with `conf`, path and value each, and what has become different in words.
///
/// # Errors
/// A path that is not of the venue's models, or a value that it cannot have.
pub fn apply(settings: &Settings, conf: &[(String, String)]) -> Result<(Settings, Vec<String>), UserError> {
    if conf.is_empty() {
        return Ok((settings.clone(), Vec::new()));
    }
    let mut layers = Layers::new();
    for (path, text) in venue(settings).iter().chain(&accounts(settings)) {
        layers.flag("run.json", path, text);
    }
    for (path, text) in conf {
        allowed(path, settings.accounts.len())?;
        layers.flag("--conf", path, text);
    }
    let given = Settings::resolve(&layers)?;
    let mut changed = settings.clone();
    changed.venue = given.venue;
    for (account, given) in changed.accounts.iter_mut().zip(given.accounts) {
        account.fees = given.fees;
    }
    let words = difference(settings, &changed);
    Ok((changed, words))
}

fn allowed(path: &str, accounts: usize) -> Result<(), UserError> {
    if path.starts_with("venue.") {
        return Ok(());
    }
    let no = |message: String| Err(UserError::new(message, format!("--conf takes {CHANGEABLE}")));
    let Some((number, key)) = path.strip_prefix("accounts.").and_then(|rest| rest.split_once('.')) else {
        return no(format!("{path} cannot be changed: the run would not be the same run"));
    };
    match number.parse::<usize>() {
        Ok(n) if n < accounts && key.starts_with("fees.") => Ok(()),
        Ok(n) if n >= accounts => no(format!("{path}: the run has {accounts} accounts, counted from 0")),
        _ => no(format!("{path} cannot be changed: the run would not be the same run")),
    }
}

fn venue(settings: &Settings) -> Vec<(String, String)> {
    let v = &settings.venue;
    let all = [
        ("queue", v.queue.to_string()),
        ("stp", v.stp.to_string()),
        ("bar_slippage_ticks", v.bar_slippage_ticks.to_string()),
        ("bar_slippage_range_pct", v.bar_slippage_range_pct.to_string()),
        ("bar_touch_fills", v.bar_touch_fills.to_string()),
        ("bar_taker_fees", v.bar_taker_fees.to_string()),
        ("latency.feed", v.latency.feed.to_string()),
        ("latency.order", v.latency.order.to_string()),
        ("latency.response", v.latency.response.to_string()),
    ];
    all.map(|(key, text)| (format!("venue.{key}"), text)).into()
}

fn fees(n: usize, account: &AccountSettings) -> Vec<(String, String)> {
    let path = |key: &str| format!("accounts.{n}.fees.{key}");
    account
        .fees
        .map_or(Vec::new(), |f| vec![(path("maker"), f.maker.to_string()), (path("taker"), f.taker.to_string())])
}

fn accounts(settings: &Settings) -> Vec<(String, String)> {
    let of = |(n, account): (usize, &AccountSettings)| {
        let mut all = vec![(format!("accounts.{n}.id"), account.id.clone())];
        all.extend(fees(n, account));
        all
    };
    settings.accounts.iter().enumerate().flat_map(of).collect()
}

fn difference(old: &Settings, new: &Settings) -> Vec<String> {
    let all = |s: &Settings| -> Vec<(String, String)> {
        let fees = s.accounts.iter().enumerate().flat_map(|(n, a)| {
            let own = fees(n, a);
            let standard = ["maker", "taker"].map(|k| (format!("accounts.{n}.fees.{k}"), "the instrument's".into()));
            if own.is_empty() { standard.into() } else { own }
        });
        venue(s).into_iter().chain(fees).collect()
    };
    all(old)
        .into_iter()
        .zip(all(new))
        .filter(|((_, was), (_, is))| was != is)
        .map(|((path, was), (_, is))| format!("{path}: {was} -> {is}"))
        .collect()
}
