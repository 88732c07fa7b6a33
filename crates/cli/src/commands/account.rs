//! `ctos account check`: whether an account can be traded on, and what has to be mended first.
//! Never: shows a key.

use super::call::At;
use crate::args::Global;
use crate::client::{self, Client};
use crate::error::{CliError, note};
use crate::out::{self, money, table};
use crate::settings;
use clap::{Args as ClapArgs, Subcommand};
use ctos_runtime::config::{Mode, Settings};
use ctos_runtime::oneshot::{self, AccountReport};
use ctos_runtime::runs::record_of;
use ctos_server::model::AccountCheck;
use ctos_storage::home::Home;

#[derive(Debug, ClapArgs)]
pub struct AccountArgs {
    #[command(subcommand)]
    pub command: AccountCommand,
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Clock, key, settings, fees, limits, and what has to be mended before trading
    #[command(
        after_help = "Examples:\n  ctos account check\n  ctos account check sub1 --json\n\nExits 0 when nothing has to be mended, 1 otherwise."
    )]
    Check(CheckArgs),
}

#[derive(Debug, ClapArgs)]
pub struct CheckArgs {
    /// The account, by its name or its number (from 0) [default: every one at a venue]
    #[arg(value_name = "ACCOUNT", conflicts_with = "account")]
    pub name: Option<String>,
    #[command(flatten)]
    pub at: At,
}

pub fn account(global: &Global, args: &AccountArgs) -> Result<(), CliError> {
    let AccountCommand::Check(args) = &args.command;
    let mut at = args.at.clone();
    at.account = args.name.clone().or(at.account);
    let everyone = at.account.is_none() && !at.is_elsewhere();
    let (settings, first) = at.over(settings::resolve(global)?)?;
    let at_venues = || (0..settings.accounts.len()).filter(|n| settings.accounts[*n].venue.is_some());
    let wanted: Vec<usize> = if everyone { at_venues().collect() } else { vec![first] };
    if wanted.is_empty() {
        return Err(CliError::user(
            "every account is on the simulated exchange: there is nothing to check",
            "give one a venue and a profile in the settings (docs/accounts.md), or try --profile usdm",
        ));
    }
    // A running instance looks with its own key, clock and rate budget.
    let client = if at.is_elsewhere() { None } else { instance(&settings, wanted[0])? };
    let mut reports: Vec<AccountReport> = Vec::new();
    for n in wanted {
        reports.push(match &client {
            Some(client) => {
                let account = settings.accounts[n].id.clone();
                client.post_patiently("/account/check", &AccountCheck { account })?
            }
            None => oneshot::check_now(&settings, n)?,
        });
    }
    out::show(global.json, &reports, |reports| reports.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    if reports.iter().all(|r| r.ok) { Ok(()) } else { Err(CliError::Silent(1)) }
}

/// The instance of the home, if it trades these very accounts at their venues. `account`: one of those that are asked
/// about.
fn instance(settings: &Settings, account: usize) -> Result<Option<Client>, CliError> {
    let (found, other) = client::find_for(settings, account, true)?;
    if let Some(holder) = other {
        let id = &settings.accounts[account].id;
        note(
            &format!(
                "the account {id} is traded by ctos process {}, and this look is not in its rate budget",
                holder.pid
            ),
            &holder.home.map_or("name its home with --home".into(), |home| format!("add --home {}", home.display())),
        );
    }
    let Some(client) = found.client() else { return Ok(None) };
    let record = record_of(&Home::read_only(&settings.home)?.run(&client.run_id)?)?;
    let key = |s: &Settings| serde_json::to_value((s.mode, &s.accounts)).ok();
    Ok((record.settings.mode == Mode::Live && key(&record.settings) == key(settings)).then_some(client))
}

fn text(r: &AccountReport) -> String {
    let yes = |b: Option<bool>| match b {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".into(),
        None => "not known".into(),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.into(), value]);
    row("account", format!("{} (number {})", r.account, r.number));
    row("venue", format!("{} {}, {}, {}", r.venue, r.profile, r.environment, r.rest));
    if let Some(clock) = &r.clock {
        let way = if clock.ahead_ms < 0 { "behind" } else { "ahead" };
        row("clock", format!("{} ms {way} (±{} ms)", clock.ahead_ms.abs(), clock.uncertainty_ms));
    }
    if let Some(key) = &r.key {
        row("key", key.name.clone());
        row("  may read", yes(key.reads));
        row("  may trade here", yes(key.trades));
        row("  may withdraw", yes(key.withdraws));
        row("  may transfer", yes(key.transfers));
        row("  bound to addresses", yes(key.ip_restricted));
    }
    if r.can_trade.is_some() {
        row("account may trade", yes(r.can_trade));
    }
    if let Some(mode) = &r.position_mode {
        row("position mode", mode.clone());
    }
    for fee in &r.fees {
        row("fees", format!("{}: maker {}, taker {}", fee.symbol, fee.maker, fee.taker));
    }
    for balance in &r.balances {
        let (total, free) = (money(balance.total), money(balance.available));
        row("balance", format!("{} {total} ({free} available)", balance.currency));
    }
    for limit in &r.limits {
        row("limit", format!("{}: {} of {} in {} s", limit.meter, limit.used, limit.limit, limit.period_s));
    }
    let mut text = table(&["", ""], &[], &rows).trim_start_matches('\n').to_owned();
    for f in &r.findings {
        text += &format!("\n{}: {}\n  hint: {}\n", f.severity, f.what, f.hint);
    }
    text + if r.ok { "\nready to trade\n" } else { "\nnot ready: mend the refusals first\n" }
}
