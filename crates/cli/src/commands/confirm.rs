//! The word that real money needs: shows whose account it is, where, what it holds, which limits bind and what will
//! trade, and asks.
//! Never: takes silence for a yes.

use crate::error::{CliError, tell};
use ctos_runtime::config::Settings;
use ctos_runtime::live::{AccountSurvey, survey};
use std::io::{BufRead, IsTerminal, Write};

const WORD: &str = "live";

/// Asks before a live run. `yes`: the answer was given on the command line.
pub fn live(settings: &Settings, yes: bool) -> Result<(), CliError> {
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !yes && !can_ask {
        return Err(CliError::user(
            "mode: live is not started without a confirmation, and there is nobody to ask",
            "run it on a terminal, or add --yes if you mean it",
        ));
    }
    let accounts = survey(settings)?;
    for line in text(settings, &accounts) {
        // Once: on a terminal the log is read by the same person.
        if can_ask {
            let _ = writeln!(std::io::stderr(), "{line}");
        } else {
            tracing::info!("{line}");
        }
    }
    if yes { Ok(()) } else { ask(&accounts) }
}

fn ask(accounts: &[AccountSurvey]) -> Result<(), CliError> {
    let what = if accounts.iter().any(|a| a.real) { "with REAL MONEY" } else { "for practice" };
    let mut err = std::io::stderr();
    let _ = write!(err, "\nTrade these accounts {what}? Write {WORD:?} to go on: ");
    let _ = err.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer).map_err(CliError::internal)?;
    if read > 0 && answer.trim().eq_ignore_ascii_case(WORD) {
        return Ok(());
    }
    tell("not started", "nothing was sent; `ctos run` without mode: live trades simulated money");
    Err(CliError::Silent(1))
}

fn text(settings: &Settings, accounts: &[AccountSurvey]) -> Vec<String> {
    let list = |items: Vec<String>, none: &str| if items.is_empty() { none.to_owned() } else { items.join(", ") };
    let mut lines = vec![format!("live trading of {}", settings.symbols.join(", "))];
    for a in accounts {
        let money = if a.real { "REAL MONEY" } else { "practice" };
        lines.push(format!("account {} ({}, {money})", a.account, a.venue));
        lines.push(format!("  at          {} and {}", a.rest, a.streams));
        let pairs = |of: &[(String, String)]| of.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>();
        if let Some(balances) = &a.balances {
            let balances: Vec<String> = balances.iter().map(|(c, n)| format!("{n} {c}")).collect();
            lines.push(format!("  owns        {}", list(balances, "nothing")));
            lines.push(format!("  positions   {}", list(pairs(&a.positions), "none")));
        }
        if let Some(open) = a.open_orders {
            lines.push(format!("  open orders {open}"));
        }
        lines.push(format!("  strategies  {}", list(a.strategies.clone(), "none")));
        lines.push(format!("  limits      {}", list(a.limits.clone(), "none")));
        lines.extend(a.warnings.iter().map(|w| format!("  warning     {w}")));
    }
    lines
}
