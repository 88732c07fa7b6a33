//! The emergency brake: cancels every open order of an account at its venue over a connection of its own, and looks
//! until nothing is open.
//! Never: needs anything of a running kernel, extends a ban, or says that orders are gone before it has looked.

use crate::UserError;
use crate::config::Settings;
use crate::oneshot::{self, Clock, Keys};
use ctos_driver_binance::client::{Blocking, Failure, Sweep, SweepConfig};
use ctos_types::Nanos;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// Between two sweeps that did not come to an end; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// Made while all is well, so that key, address and certificates are at hand when they are needed.
pub struct EmergencyBrake {
    account: String,
    client: Blocking,
}

impl fmt::Debug for EmergencyBrake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmergencyBrake").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What a pulled brake says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Braked {
    pub account: String,
    /// Orders that were open at the first look, and the venue's names of their symbols.
    pub found: usize,
    pub symbols: Vec<String>,
}

impl EmergencyBrake {
    /// For the account at this position in the settings. `clock` has the bans that are known, so that none is extended.
    ///
    /// # Errors
    /// The account is on paper, or its key or address cannot be used. Nothing is sent yet.
    pub fn new(settings: &Settings, account: usize, clock: &Clock) -> Result<EmergencyBrake, UserError> {
        let client = oneshot::connect(settings, account, Keys::Needed, clock)?;
        Ok(EmergencyBrake { account: settings.accounts[account].id.clone(), client })
    }

    /// As [`EmergencyBrake::new`], on the clock that fits the account's venue, with the bans that the home remembers.
    pub fn now(settings: &Settings, account: usize) -> Result<EmergencyBrake, UserError> {
        EmergencyBrake::new(settings, account, &Clock::about(settings, oneshot::at_venue(settings, account)?)?)
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    /// Cancels everything and verifies, trying again for up to `within` of real time.
    ///
    /// # Errors
    /// Orders may still be open: why, and what a person must do.
    pub fn pull(&self, within: Duration) -> Result<Braked, UserError> {
        let begun = Instant::now();
        let left = || within.saturating_sub(begun.elapsed());
        let (mut found, mut symbols): (usize, Vec<String>) = (0, Vec::new());
        let mut pause = PAUSE;
        loop {
            let config =
                SweepConfig { patience: Nanos(left().as_nanos().min(i64::MAX as u128) as i64), ..Default::default() };
            let work = self.client.client.sweep(None, &config);
            let sweep = self.client.wait_at_most(left().max(Duration::from_millis(1)), work);
            let failure = match sweep {
                Some(Ok(Sweep { found: first, symbols: names, .. })) => {
                    // What an earlier, unfinished sweep saw first counts.
                    if first > found {
                        (found, symbols) = (first, names);
                    }
                    return Ok(Braked { account: self.account.clone(), found, symbols });
                }
                Some(Err(failure)) => failure,
                None => Failure::NoAnswer { why: format!("not done within {} s", within.as_secs_f32()) },
            };
            if let Failure::StillOpen { left, .. } = &failure {
                found = found.max(*left);
            }
            let hopeless = matches!(&failure, Failure::Invalid { .. })
                || failure.refusal().is_some_and(|r| {
                    use ctos_driver_binance::Verdict;
                    // Of what the venue wants us to wait for, the sweep has waited as long as there was time.
                    matches!(r.verdict, Verdict::Auth | Verdict::RateLimited)
                })
                || matches!(&failure, Failure::NotSent { retry_after: Some(wait), .. }
                    if u128::try_from(wait.0).is_ok_and(|ns| ns > left().as_nanos()));
            if hopeless || left() <= pause {
                return Err(UserError::new(
                    format!("orders of the account {} may still be open: {failure}", self.account),
                    format!("cancel them on the venue's own page; {}", failure.hint()),
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    }
}
