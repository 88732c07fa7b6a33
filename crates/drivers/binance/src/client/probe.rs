//! Looks whether an account can be traded on safely: clock, what the key may do, how the account is set, what it pays.
//! Never: changes anything at the venue, or lets a key pass that may take money out.

use super::{Client, Failure};
use crate::account::{AccountState, FeeRates, KeyPermissions, key_permissions, read_key_permissions};
use crate::errors::Verdict;
use crate::profile::Profile;
use ctos_types::{InstrumentId, Nanos};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Unwise, and allowed.
    Warning,
    /// Must be mended before this account is traded on.
    Refusal,
}

/// Something to know about an account, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub what: String,
    pub hint: String,
}

impl Finding {
    pub fn new(severity: Severity, what: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { severity, what: what.into(), hint: hint.into() }
    }
}

/// What was found. Absent parts could not be read; a finding says why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    pub permissions: Option<KeyPermissions>,
    pub state: Option<AccountState>,
    /// By instrument asked for.
    pub fees: Vec<(InstrumentId, FeeRates)>,
    pub findings: Vec<Finding>,
}

impl Probe {
    /// The first thing that keeps the account from being traded on.
    pub fn refusal(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.severity == Severity::Refusal)
    }

    fn add(&mut self, severity: Severity, what: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Finding::new(severity, what, hint));
    }

    fn failed(&mut self, severity: Severity, what: &str, failure: &Failure) {
        self.add(severity, format!("{what}: {failure}"), failure.hint());
    }
}

/// What the venue stands for: whether real money is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stakes {
    /// A key whose permissions cannot be read is refused.
    Real,
    /// A twin or a test network: there it is a warning.
    Practice,
}

/// A clock this far off deserves a word: stamps are corrected, other programs of the machine are not.
const CLOCK_NOTE: Nanos = Nanos::from_millis(1_000);

impl Client {
    /// Reads clock, permissions, settings and fee rates of `instruments`. `hedge` is what the settings want. Fails only
    /// where the venue cannot be talked to at all; everything else is a finding.
    pub async fn probe(&self, stakes: Stakes, hedge: bool, instruments: &[InstrumentId]) -> Result<Probe, Failure> {
        let mut probe = Probe::default();
        self.venue_time().await?;
        if let Some(clock) = self.caller.clock()
            && clock.ahead.0.abs() > CLOCK_NOTE.0
        {
            let way = if clock.ahead.0 > 0 { "ahead of" } else { "behind" };
            probe.add(
                Severity::Warning,
                format!("this machine's clock is {:.1} s {way} the venue's", clock.ahead.0.abs() as f64 / 1e9),
                "ctos corrects its own stamps; keep the system clock in step (NTP) all the same",
            );
        }
        self.probe_key(stakes, &mut probe).await;
        self.probe_state(hedge, &mut probe).await;
        for id in instruments {
            match self.fees(*id).await {
                Ok(fees) => probe.fees.push((*id, fees)),
                Err(failure) => {
                    probe.failed(Severity::Warning, "the fee rates cannot be read", &failure);
                    break;
                }
            }
        }
        probe.findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
        Ok(probe)
    }

    async fn probe_key(&self, stakes: Stakes, probe: &mut Probe) {
        let unread = match stakes {
            Stakes::Real => Severity::Refusal,
            Stakes::Practice => Severity::Warning,
        };
        let key = match self.ask(&key_permissions(), "key permissions", read_key_permissions).await {
            Ok(key) => key,
            // The key itself was not accepted: the same everywhere.
            Err(failure @ Failure::Refused(_)) if is_auth(&failure) => {
                probe.failed(Severity::Refusal, "the venue refuses the key", &failure);
                return;
            }
            Err(failure) => {
                probe.failed(unread, "what the key may do cannot be read", &failure);
                return;
            }
        };
        if let Some((what, hint)) = key.refusal(self.profile()) {
            probe.add(Severity::Refusal, what, hint);
        }
        if let Some((what, hint)) = key.warning() {
            probe.add(Severity::Warning, what, hint);
        }
        if key.transfers {
            probe.add(
                Severity::Warning,
                "the API key may move funds between accounts",
                "trading does not need it: take the permission away",
            );
        }
        probe.permissions = Some(key);
    }

    async fn probe_state(&self, hedge: bool, probe: &mut Probe) {
        let state = match self.state().await {
            Ok(state) => state,
            Err(failure) => {
                // Where the key was refused already, once is enough.
                if probe.refusal().is_none() || !is_auth(&failure) {
                    probe.failed(Severity::Refusal, "the account cannot be read", &failure);
                }
                return;
            }
        };
        if !state.can_trade {
            probe.add(
                Severity::Refusal,
                "the venue does not let this account trade",
                "open the account on the venue's page; it may need a transfer, a confirmation, or support",
            );
        }
        match state.hedge {
            Some(true) if !hedge => probe.add(
                Severity::Refusal,
                "the account is in hedge mode, and the settings say one-way",
                "set the account's hedge_mode: true, or switch the account to one-way on the venue's page",
            ),
            Some(false) if hedge => probe.add(
                Severity::Refusal,
                "the account is in one-way mode, and the settings say hedge mode",
                "set the account's hedge_mode: false, or switch the account to hedge mode on the venue's page",
            ),
            None if hedge && self.profile() != Profile::UsdM => probe.add(
                Severity::Refusal,
                format!("{} has no hedge mode", self.profile()),
                "set the account's hedge_mode: false",
            ),
            _ => {}
        }
        if state.multi_assets == Some(true) {
            probe.add(
                Severity::Warning,
                "the account is in multi-assets mode: every asset is margin for every position",
                "ctos counts each currency by itself; switch to single-asset mode unless you mean it",
            );
        }
        probe.state = Some(state);
    }
}

fn is_auth(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|r| r.verdict == Verdict::Auth)
}
