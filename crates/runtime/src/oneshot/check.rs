//! What `ctos account check` tells of an account, and what a live run asks before it starts.
//! Never: changes anything at the venue, or shows a key.

use super::{Clock, Keys, at_venue, connect};
use crate::UserError;
use crate::config::Settings;
use ctos_driver_binance::Profile;
use ctos_driver_binance::client::{Blocking, Client, Failure, Finding, Probe, Severity, Stakes};
use ctos_types::{Decimal, InstrumentId};
use serde::{Deserialize, Serialize};

/// What was found. Spans are in seconds or milliseconds, as their names say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountReport {
    pub account: String,
    /// Position in the settings: the account's number.
    pub number: usize,
    pub venue: String,
    pub profile: String,
    /// `production`, `testnet`, or `practice` for an address on this machine.
    pub environment: String,
    pub rest: String,
    /// Where what the key may do was asked; absent where nobody tells.
    pub sapi: Option<String>,
    pub key: Option<KeyLine>,
    pub clock: Option<ClockLine>,
    /// `one-way` or `hedge`, where there is such a thing.
    pub position_mode: Option<String>,
    pub multi_assets: Option<bool>,
    pub can_trade: Option<bool>,
    pub fees: Vec<FeeLine>,
    pub limits: Vec<LimitLine>,
    pub balances: Vec<BalanceLine>,
    pub findings: Vec<FindingLine>,
    /// Nothing has to be mended.
    pub ok: bool,
}

/// The key, as far as anybody may see it. Permissions are absent where they could not be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyLine {
    pub name: String,
    pub reads: Option<bool>,
    pub trades: Option<bool>,
    pub withdraws: Option<bool>,
    pub transfers: Option<bool>,
    pub ip_restricted: Option<bool>,
}

/// This machine's clock against the venue's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockLine {
    /// Positive: ahead of the venue's.
    pub ahead_ms: i64,
    pub uncertainty_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeeLine {
    pub symbol: String,
    pub maker: Decimal,
    pub taker: Decimal,
}

/// One window of the venue's limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LimitLine {
    pub meter: String,
    pub period_s: i64,
    pub used: u64,
    pub limit: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceLine {
    pub currency: String,
    pub total: Decimal,
    pub available: Decimal,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingLine {
    /// `refusal`, `warning` or `note`.
    pub severity: String,
    pub what: String,
    pub hint: String,
}

impl From<&Finding> for FindingLine {
    fn from(f: &Finding) -> FindingLine {
        let severity = match f.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Refusal => "refusal",
        };
        FindingLine { severity: severity.into(), what: f.what.clone(), hint: f.hint.clone() }
    }
}

/// Looks at the account at this position in the settings.
///
/// # Errors
/// Its settings cannot be used at all. What is wrong with key, account or network is in the report.
pub fn check(settings: &Settings, account: usize, clock: &Clock) -> Result<AccountReport, UserError> {
    let mut findings = Vec::new();
    let refused = |e: UserError| Finding::new(Severity::Refusal, e.message, e.hint);
    let (client, keyed) = match connect(settings, account, Keys::Needed, clock) {
        Ok(client) => (client, true),
        Err(e) => {
            // Without a usable key the clock and the way there can be looked at all the same.
            let open = connect(settings, account, Keys::None, clock)?;
            findings.push(refused(e));
            (open, false)
        }
    };
    let caller = client.client.caller().clone();
    let report = look(settings, account, client, keyed, findings);
    if clock.is_machine() {
        super::keep_closures_of(&settings.home, &*caller, &*clock.time);
    }
    report
}

/// Looks at the account through `client`. `keyed`: with a key; `findings`: what is known to be wrong already.
pub(super) fn look(
    settings: &Settings,
    account: usize,
    mut client: Blocking,
    keyed: bool,
    mut findings: Vec<Finding>,
) -> Result<AccountReport, UserError> {
    let of = &settings.accounts[account];
    let venue = at_venue(settings, account)?;
    let stakes = if venue.is_real() { Stakes::Real } else { Stakes::Practice };
    let first = symbols_of(settings, venue.profile.into());
    let mut fee_of = Vec::new();
    let loaded = client.load(first.first().map(String::as_str).filter(|_| first.len() == 1));
    match loaded {
        Ok(()) => {
            for symbol in &first {
                match client.client.find(symbol) {
                    Ok(i) => fee_of.push(i.id),
                    Err(failure) => findings.push(finding(Severity::Warning, &failure)),
                }
            }
        }
        Err(failure) => findings.push(finding(Severity::Refusal, &failure)),
    }
    let probe = if keyed && findings.iter().all(|f| f.severity != Severity::Refusal) {
        match client.wait(client.client.probe(stakes, of.hedge_mode, &fee_of)) {
            Ok(probe) => probe,
            Err(failure) => Probe { findings: vec![finding(Severity::Refusal, &failure)], ..Probe::default() },
        }
    } else {
        // The venue's clock is worth a look even then.
        let _ = client.wait(client.client.venue_time());
        Probe::default()
    };
    findings.extend(probe.findings.iter().cloned());
    if probe.state.is_some() {
        findings.extend(leverage(settings, account, &client, &fee_of));
    }
    let balances = match probe.state {
        Some(_) => client.wait(client.client.balances()).unwrap_or_else(|failure| {
            findings.push(finding(Severity::Warning, &failure));
            Vec::new()
        }),
        None => Vec::new(),
    };
    if probe.state.is_some() && balances.is_empty() {
        let hint = "transfer funds into it on the venue's page";
        findings.push(Finding::new(Severity::Warning, "the account is empty", hint));
    }
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let caller = client.client.caller();
    Ok(AccountReport {
        account: of.id.clone(),
        number: account,
        venue: "binance".into(),
        profile: venue.profile.to_string(),
        environment: if venue.is_here() { "practice".into() } else { venue.environment.to_string() },
        rest: venue.hosts()?.rest,
        sapi: venue.sapi(),
        key: keyed.then(|| key_line(&venue.key, &probe, venue.profile.into())),
        clock: caller.clock().map(|c| ClockLine {
            ahead_ms: c.ahead.0 / 1_000_000,
            uncertainty_ms: c.uncertainty.0.max(0).unsigned_abs().div_ceil(1_000_000) as i64,
        }),
        position_mode: probe.state.and_then(|s| s.hedge).map(|hedge| if hedge { "hedge" } else { "one-way" }.into()),
        multi_assets: probe.state.and_then(|s| s.multi_assets),
        can_trade: probe.state.map(|s| s.can_trade),
        fees: probe.fees.iter().map(|(id, fees)| fee_line(&client.client, *id, *fees)).collect(),
        limits: caller
            .usage()
            .into_iter()
            .map(|u| LimitLine { meter: u.meter, period_s: u.period.0 / 1_000_000_000, used: u.used, limit: u.limit })
            .collect(),
        balances: balances
            .iter()
            .map(|b| BalanceLine { currency: b.currency.to_string(), total: b.balance.total, available: b.available })
            .collect(),
        ok: findings.iter().all(|f| f.severity != Severity::Refusal),
        findings: findings.iter().map(FindingLine::from).collect(),
    })
}

/// A leverage that the venue does not give on one of these instruments; it would refuse to set it. What cannot be asked
/// is told when it is set.
pub(crate) fn leverage(
    settings: &Settings,
    account: usize,
    client: &Blocking,
    instruments: &[InstrumentId],
) -> Option<Finding> {
    let of = &settings.accounts[account];
    if client.client.profile() != Profile::UsdM {
        return None;
    }
    let ask = |id: &InstrumentId| {
        let brackets = client.wait(client.client.brackets(*id)).ok()?;
        let most = brackets.iter().map(|b| b.max_leverage).max()?;
        (of.leverage > Decimal::from_int(i64::from(most))).then_some((*id, most))
    };
    let (id, most) = instruments.iter().find_map(ask)?;
    let symbol = &client.client.instruments().get(id).symbol;
    Some(Finding::new(
        Severity::Refusal,
        format!("{symbol} takes a leverage of at most {most}, and the settings say {}", of.leverage),
        format!("set leverage: {most} or less for account {}, or leave {symbol} out", of.id),
    ))
}

fn finding(severity: Severity, failure: &Failure) -> Finding {
    Finding::new(severity, failure.to_string(), failure.hint())
}

fn key_line(name: &str, probe: &Probe, profile: Profile) -> KeyLine {
    let p = probe.permissions;
    KeyLine {
        name: name.into(),
        reads: p.map(|p| p.reads),
        trades: p.map(|p| if profile == Profile::UsdM { p.futures } else { p.spot_and_margin }),
        withdraws: p.map(|p| p.withdraws),
        transfers: p.map(|p| p.transfers),
        ip_restricted: p.map(|p| p.is_restricted),
    }
}

fn fee_line(client: &Client, id: InstrumentId, fees: ctos_driver_binance::account::FeeRates) -> FeeLine {
    let symbol = client.instruments().get(id).symbol.to_string();
    FeeLine { symbol, maker: fees.maker, taker: fees.taker }
}

/// Symbols of the settings that this profile trades; the best known one where there are none.
fn symbols_of(settings: &Settings, profile: Profile) -> Vec<String> {
    let contract = |s: &str| s.ends_with("-PERP") || s.rsplit('-').next().is_some_and(|d| d.parse::<u32>().is_ok());
    let ours = |s: &&String| s.starts_with("binance:") && contract(s) == (profile == Profile::UsdM);
    let found: Vec<String> = settings.symbols.iter().filter(ours).cloned().collect();
    if !found.is_empty() {
        return found;
    }
    vec![if profile == Profile::UsdM { "binance:BTC-USDT-PERP" } else { "binance:BTC-USDT" }.to_owned()]
}
