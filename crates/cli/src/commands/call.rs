//! `ctos call`: one syscall, through the running instance or by itself, with its answer as JSON.
//! Never: an order without somebody's word for it.

mod at;
mod describe;

pub use at::At;

use crate::args::Global;
use crate::client::{self, Client, Found};
use crate::error::{CliError, note};
use crate::{out, settings};
use clap::Args as ClapArgs;
use ctos_runtime::config::{Settings, product_of};
use ctos_runtime::live::{Holder, Place};
use ctos_runtime::oneshot::{self, Args, Bounds, IntentLog, Keys, Way};
use ctos_server::model::{CallDone, CallRequest};
use ctos_types::UnixNanos;
use serde_json::Value;
use std::io::{BufRead, IsTerminal, Write};
use std::time::SystemTime;

#[derive(Debug, ClapArgs)]
pub struct CallArgs {
    /// What to do; without it, everything there is
    #[arg(value_name = "SYSCALL")]
    pub syscall: Option<String>,
    /// Its arguments: NAME=VALUE, or values in the order of the table
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub args: Vec<String>,
    #[command(flatten)]
    pub at: At,
    /// Do not ask before an order is sent
    #[arg(long)]
    pub yes: bool,
}

pub fn call(global: &Global, args: &CallArgs) -> Result<(), CliError> {
    let Some(name) = &args.syscall else { return describe::all(global) };
    let parsed = Args::parse(name, args.args.iter().map(String::as_str))?;
    let settings = settings::resolve(global)?;
    if args.at.is_elsewhere() {
        // Past the instance, but not past its rate budget where that is the same place's.
        let client = client::find(&settings.home).ok().and_then(Found::client);
        return direct(global, args, &parsed, args.at.settings(settings, &parsed)?, client);
    }
    let (_, account) = args.at.over(settings.clone())?;
    let (found, other) = client::find_for(&settings, account, parsed.syscall.keyed)?;
    match found {
        Found::Running(client) if is_of_instance(&settings, account, &parsed, &client)? => {
            through(global, args, &parsed, &client, &settings, account)
        }
        found => {
            if let Some(holder) = other {
                beside(&parsed, &settings.accounts[account].id, &holder)?;
            }
            direct(global, args, &parsed, args.at.settings(settings, &parsed)?, found.client())
        }
    }
}

/// What an instance in another home has to do with this call: new risk goes through its gates or not at all, and a
/// question is asked, with a word about the budget.
fn beside(args: &Args, account: &str, holder: &Holder) -> Result<(), CliError> {
    let pid = holder.pid;
    let home = holder.home.as_ref().map(|home| home.display().to_string());
    let whose = format!("the account {account} is traded by ctos process {pid}");
    let through = match &home {
        Some(home) => format!("go through it: add --home {home}"),
        None => "name its home with --home, or stop it first".into(),
    };
    if args.syscall.risks {
        let what = format!("{whose}, and an order past it would pass by its limits");
        return Err(CliError::user(what, through));
    }
    note(&format!("{whose}; this goes beside it, and counts in the venue's limits but not in its budget"), &through);
    Ok(())
}

/// Whether the instance that runs in the home answers this. Live it answers everything but streams, at the venue and
/// within its rate budget; on paper everything but public questions about symbols of a venue that it is not connected to.
fn is_of_instance(settings: &Settings, account: usize, args: &Args, client: &Client) -> Result<bool, CliError> {
    if args.syscall.name == "subscribe_ticks" {
        return Ok(false);
    }
    if settings.accounts[account].venue.is_some() {
        return Ok(true);
    }
    let named = args.syscall.params.iter().any(|p| p.name == "symbol").then(|| args.text("symbol")).flatten();
    let Some(symbol) = named.filter(|s| !args.syscall.keyed && s.starts_with("binance:")) else { return Ok(true) };
    if settings.symbols.iter().any(|s| s == symbol) {
        return Ok(true);
    }
    let product = product_of(symbol);
    Ok(client.places()?.iter().any(|place| place.product == product))
}

/// Through the instance and its gates.
fn through(
    global: &Global,
    args: &CallArgs,
    parsed: &Args,
    client: &Client,
    settings: &Settings,
    account: usize,
) -> Result<(), CliError> {
    let of = &settings.accounts[account];
    if of.venue.is_some() && asks(parsed) {
        confirm(args.yes, parsed, &format!("account {}, through the running instance", of.id))?;
    }
    let body =
        CallRequest { syscall: parsed.syscall.name.into(), account: Some(of.id.clone()), args: parsed.to_named() };
    let answer: CallDone = client.post_patiently("/call", &body)?;
    show(global, &answer.result)
}

/// By itself: over a connection of its own, or where an instance runs that is connected there, within its rate budget.
fn direct(
    global: &Global,
    args: &CallArgs,
    parsed: &Args,
    (settings, account): (Settings, usize),
    client: Option<Client>,
) -> Result<(), CliError> {
    let of = &settings.accounts[account];
    let venue = oneshot::at_venue(&settings, account)?;
    let keys = match (parsed.syscall.keyed, parsed.syscall.name) {
        (true, _) => Keys::Needed,
        (false, "fees" | "exchange_limits") => Keys::IfThere,
        _ => Keys::None,
    };
    if asks(parsed) {
        let rest = venue.hosts()?.rest;
        confirm(args.yes, parsed, &format!("account {}, binance {} at {rest}", of.id, venue.profile))?;
    }
    let place = Place { product: venue.profile.market(), rest: venue.hosts()?.rest };
    let relay = match client.filter(|_| keys == Keys::None) {
        Some(client) => client.relay(place)?,
        None => None,
    };
    let way = relay.map_or(Way::Own(keys), Way::Through);
    let halted = oneshot::halted(&settings.home, &of.id)?;
    let bounds = Bounds { account: &of.id, limits: &settings.risk.per_account[&of.id], halted };
    let mut intents = IntentLog::new(&settings.home, wall);
    let value =
        oneshot::call(&settings, account, way, parsed, &bounds, &mut intents, &mut |line| out::json(line).is_ok())?;
    match value {
        Some(value) => show(global, &value),
        None => Ok(()),
    }
}

fn show(global: &Global, value: &Value) -> Result<(), CliError> {
    out::show(global.json, value, |value| match value {
        Value::String(text) => format!("{text}\n"),
        value => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
    })
}

/// Whether a person has to say yes: to everything that places or changes orders.
fn asks(args: &Args) -> bool {
    args.syscall.risks || args.syscall.name == "close_all_positions"
}

/// Asks on a terminal; elsewhere only `--yes` will do.
fn confirm(yes: bool, args: &Args, whose: &str) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let given: Vec<String> = args.to_named().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let what = format!("{} {}", args.syscall.name, given.join(" "));
    let hint = format!("add --yes if you mean it ({whose})");
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(CliError::user(format!("not sent without a confirmation: {what}"), hint));
    }
    let mut err = std::io::stderr();
    let asked = write!(err, "{what}\n{whose}\nType yes to send it: ").and_then(|()| err.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    match read {
        Ok(_) if answer.trim().eq_ignore_ascii_case("yes") => Ok(()),
        _ => Err(CliError::user(format!("not sent: {what}"), hint)),
    }
}

fn wall() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
