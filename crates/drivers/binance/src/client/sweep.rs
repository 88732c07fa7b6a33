//! Cancels everything that is open and asks again until nothing is: symbols that ctos does not know and conditional
//! orders included.
//! Never: takes one empty answer for the truth, or goes on against a venue that said stop.

use super::{Client, Failure};
use crate::errors::Verdict;
use crate::fields::{Row, parse, rows};
use crate::request::Call;
use ctos_types::{Nanos, RejectReason};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepConfig {
    /// Rounds of cancelling and looking.
    pub rounds: u32,
    /// Between the look that found nothing and the one that confirms it: an order on its way shows late.
    pub confirm_after: Nanos,
    /// First pause after a round that left something; doubles up to `longest`.
    pub pause: Nanos,
    pub longest: Nanos,
    /// A pause that the venue asks for is kept up to here; a longer one ends the sweep.
    pub patience: Nanos,
}

impl Default for SweepConfig {
    fn default() -> SweepConfig {
        SweepConfig {
            rounds: 8,
            confirm_after: Nanos::from_secs(1),
            pause: Nanos::from_millis(300),
            longest: Nanos::from_secs(10),
            patience: Nanos::from_secs(15),
        }
    }
}

/// A sweep that ended with nothing open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Orders that were open at the first look.
    pub found: usize,
    /// The venue's names of the symbols that had any.
    pub symbols: Vec<String>,
    pub rounds: u32,
}

impl Client {
    /// Cancels every open order of the account, or of one symbol in the venue's own spelling.
    ///
    /// # Errors
    /// [`Failure::StillOpen`] after the last round; [`Failure::NotSent`] and rate limits where the venue wants a longer
    /// pause than the patience of `config`.
    pub async fn sweep(&self, symbol: Option<&str>, config: &SweepConfig) -> Result<Sweep, Failure> {
        let mut sweep = Sweep::default();
        let mut empty = 0;
        let mut pause = config.pause;
        let mut why = "they came back after each cancel".to_owned();
        let mut left = 0;
        while sweep.rounds < config.rounds {
            let mut wait = pause;
            match self.open_symbols(symbol).await {
                Ok(open) if open.is_empty() => {
                    empty += 1;
                    if empty >= 2 {
                        return Ok(sweep);
                    }
                    self.caller.sleep(config.confirm_after).await;
                    continue;
                }
                Ok(open) => {
                    empty = 0;
                    sweep.rounds += 1;
                    left = open.values().sum();
                    if sweep.found == 0 {
                        sweep.found = left;
                        sweep.symbols = open.keys().cloned().collect();
                    }
                    for symbol in open.keys() {
                        for call in self.desk.cancel_all_of(symbol) {
                            if let Err(failure) = self.fetch(&call).await {
                                if is_gone(&failure) {
                                    continue;
                                }
                                wait = wait.max(pause_of(&failure, config)?);
                                why = failure.to_string();
                            }
                        }
                    }
                    // What was cancelled a moment ago may still be shown.
                    if why.starts_with("they") && sweep.rounds == 1 {
                        wait = Nanos::from_millis(100);
                    }
                }
                Err(failure) => {
                    empty = 0;
                    sweep.rounds += 1;
                    wait = wait.max(pause_of(&failure, config)?);
                    why = format!("the venue does not tell what is open: {failure}");
                }
            }
            self.caller.sleep(wait).await;
            pause = Nanos((pause.0 * 2).min(config.longest.0));
        }
        Err(Failure::StillOpen { left, why })
    }

    /// How many orders are open, by the venue's own symbols.
    pub async fn open_symbols(&self, symbol: Option<&str>) -> Result<BTreeMap<String, usize>, Failure> {
        let mut open = BTreeMap::new();
        let mut calls = vec![self.desk.open_orders(None)?];
        calls.extend(self.desk.open_conditional_orders(None)?);
        for call in calls {
            let call = match symbol {
                Some(symbol) => narrowed(call, symbol),
                None => call,
            };
            let names = self.ask(&call, "open orders", |body| {
                let value = parse(body)?;
                let mut names = Vec::new();
                for row in rows(&value, "order")? {
                    let row: Row<'_> = row?;
                    names.push(row.text("symbol")?.to_owned());
                }
                Ok(names)
            });
            for name in names.await? {
                *open.entry(name).or_default() += 1;
            }
        }
        Ok(open)
    }
}

/// The same question about one symbol: cheaper, whether ctos knows the symbol or not.
fn narrowed(mut call: Call, symbol: &str) -> Call {
    call.query = call.query.text("symbol", symbol.to_owned());
    call.cost.weight = match call.cost.weight {
        80 => 6,
        40 => 1,
        other => other,
    };
    call
}

/// Spot refuses to cancel where nothing is open.
fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(r)
        if matches!(r.verdict, Verdict::Rejected(RejectReason::UnknownOrder) | Verdict::Already))
}

/// How long to wait after this failure; those that more trying cannot mend end the sweep.
fn pause_of(failure: &Failure, config: &SweepConfig) -> Result<Nanos, Failure> {
    let wait = match failure {
        Failure::Refused(reply) => match reply.verdict {
            Verdict::RateLimited => reply.pause(),
            Verdict::Auth => return Err(failure.clone()),
            _ => Nanos::ZERO,
        },
        Failure::NotSent { retry_after, .. } => retry_after.unwrap_or(Nanos::ZERO),
        Failure::Invalid { .. } => return Err(failure.clone()),
        _ => Nanos::ZERO,
    };
    if wait > config.patience { Err(failure.clone()) } else { Ok(wait) }
}
