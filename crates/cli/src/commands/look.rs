//! `status`, `orders`, `positions`, `fills`: from the running instance, or from the store when none runs.
//! Never: changes anything.

use super::summary;
use crate::args::Global;
use crate::client::{self, Client, Found};
use crate::error::CliError;
use crate::out::{self, money, or_dash, price, short_time, signed, table};
use crate::settings;
use ctos_runtime::RunError;
use ctos_runtime::live::GatewayStatus;
use ctos_server::model::{FillLine, Fills, HaltLine, OrderLine, Orders, PositionLine, Positions, Status, StrategyLine};
use ctos_server::store::{self, StoredRun};
use std::path::{Path, PathBuf};

/// Asks the instance, or reads the store. `Ok(None)`: the home holds no run.
fn from<T>(
    global: &Global,
    ask: impl FnOnce(&Client) -> Result<T, CliError>,
    read: impl FnOnce(&StoredRun) -> Result<T, RunError>,
) -> Result<Option<T>, CliError> {
    let path = settings::home(global)?;
    match client::find(&path)? {
        Found::Running(client) => ask(&client).map(Some),
        Found::Stored(home) => match StoredRun::latest(&home)? {
            Some(run) => Ok(Some(read(&run)?)),
            None => Ok(None),
        },
        Found::Nothing => Err(no_home(&path)),
    }
}

pub fn no_home(path: &Path) -> CliError {
    CliError::user(format!("no ctos home at {}", path.display()), "check --home, or start a run there with `ctos run`")
}

pub fn status(global: &Global) -> Result<(), CliError> {
    let path: PathBuf = settings::home(global)?;
    let status: Status = match client::find(&path)? {
        Found::Running(client) => client.get("/status")?,
        Found::Stored(home) => store::status(&home)?,
        Found::Nothing => return Err(no_home(&path)),
    };
    out::show(global.json, &status, status_text)
}

pub fn orders(global: &Global, all: bool, limit: u32) -> Result<(), CliError> {
    let query = format!("/orders?limit={limit}{}", if all { "&all=1" } else { "" });
    let found = from(global, |c| c.get(&query), |run| run.orders(all, limit))?;
    let orders = found.unwrap_or(Orders { running: false, run_id: None, orders: Vec::new() });
    let what = if all { "orders" } else { "open orders" };
    out::show(global.json, &orders, |o| headed(o.running, &o.run_id, what, orders_table(&o.orders)))
}

pub fn positions(global: &Global) -> Result<(), CliError> {
    let found = from(global, |c| c.get("/positions"), StoredRun::positions)?;
    let none = Positions { running: false, run_id: None, positions: Vec::new(), balances: Default::default() };
    out::show(global.json, &found.unwrap_or(none), |p| {
        let mut text = headed(p.running, &p.run_id, "positions", positions_table(&p.positions));
        let balances = p.balances.iter().flat_map(|(account, all)| {
            all.iter().map(move |(currency, amount)| vec![account.clone(), currency.clone(), amount.to_string()])
        });
        let rows: Vec<_> = balances.collect();
        if !rows.is_empty() {
            text += "\n";
            text += &table(&["account", "currency", "balance"], &[2], &rows);
        }
        text
    })
}

pub fn fills(global: &Global, limit: u32) -> Result<(), CliError> {
    let found = from(global, |c| c.get(&format!("/fills?limit={limit}")), |run| run.fills(limit))?;
    let fills = found.unwrap_or(Fills { running: false, run_id: None, fills: Vec::new() });
    out::show(global.json, &fills, |f| headed(f.running, &f.run_id, "fills", fills_table(&f.fills)))
}

/// What a list is of, and the list, or that there is none.
fn headed(running: bool, run_id: &Option<String>, what: &str, table: Option<String>) -> String {
    let of = match (run_id, running) {
        (None, _) => "no run yet".to_owned(),
        (Some(id), true) => format!("run {id}"),
        (Some(id), false) => format!("run {id} (not running; from the store)"),
    };
    match table {
        Some(table) => format!("{what} of {of}\n\n{table}"),
        None => format!("no {what}: {of}\n"),
    }
}

fn status_text(s: &Status) -> String {
    let mut text = match (&s.run_id, s.running) {
        (None, _) => "no run yet: start one with `ctos run`\n".to_owned(),
        (Some(id), true) => {
            format!("run {id} is running (process {}, API {})\n", or_dash(s.pid), or_dash(s.address.as_ref()))
        }
        (Some(id), false) => format!("no instance runs; last run {id}: {}\n", s.state.replace('_', " ")),
    };
    if let Some(why) = &s.degraded {
        text += &format!("DEGRADED: the journal cannot be written: {why}\n");
    }
    text += &halts_text(&s.halts);
    text += &s.live.as_ref().map_or(String::new(), links_text);
    for market in s.markets.iter().filter(|m| m.age_ns.is_none()) {
        text += &format!("{}: no data yet\n", market.symbol);
    }
    match &s.summary {
        Some(summary) => text += &format!("\n{}", summary::text(summary)),
        None if !s.positions.is_empty() => text += &format!("\n{}", positions_table(&s.positions).unwrap_or_default()),
        None => {}
    }
    if s.summary.is_none() && !s.strategies.is_empty() {
        text += &format!("\n{}", strategies_table(&s.strategies));
    }
    if !s.runs.is_empty() {
        let row = |r: &ctos_server::model::RunLine| {
            vec![r.run_id.clone(), r.state.replace('_', " "), short_time(&r.created), r.market.clone()]
        };
        // The newest are the ones somebody looks for.
        let rows: Vec<_> = s.runs.iter().rev().take(10).map(row).collect();
        text += &format!("\n{}", table(&["run", "state", "started", "market"], &[], &rows));
    }
    text
}

/// How the links to venues are.
fn links_text(live: &GatewayStatus) -> String {
    let mut text = String::new();
    let up = live.links.iter().filter(|l| l.up).count();
    text += &format!("links: {up} of {} up", live.links.len());
    if let (Some(offset), Some(doubt)) = (live.clock_offset_ms, live.clock_doubt_ms) {
        text += &format!("; the venue's clock is {offset:+.0} ms from ours (within {doubt:.0})");
    }
    text += "\n";
    for a in &live.accounts {
        let known = if a.known { "known" } else { "NOT KNOWN: no new risk" };
        let doubts = if a.doubts > 0 { format!(", {} in doubt ({})", a.doubts, a.state) } else { String::new() };
        text += &format!("account {}: {known}{doubts}\n", a.account);
    }
    for c in &live.closures {
        let what = if c.banned { "BANNED" } else { "closed" };
        text += &format!("{what}: {} until {}\n", c.group, short_time(&c.until.to_string()));
    }
    text += &live.recording.as_ref().and_then(super::record::line).unwrap_or_default();
    let busy = live.budgets.iter().filter(|b| b.limit > 0 && b.used * 10 >= b.limit * 7);
    for b in busy {
        text += &format!("budget {}: {} of {} in {} s\n", b.name, b.used, b.limit, b.window_s);
    }
    text
}

pub fn halts_text(halts: &[HaltLine]) -> String {
    let line = |h: &HaltLine| {
        let open = h.open_orders.map_or(String::new(), |n| format!(", {n} orders open"));
        format!("{} is {}: {}{open}; release it with `ctos resume {}`\n", h.scope, word(h.state), h.reason, h.scope)
    };
    halts.iter().map(line).collect()
}

pub fn word(state: ctos_types::KillState) -> &'static str {
    match state {
        ctos_types::KillState::Active => "ACTIVE",
        ctos_types::KillState::Reducing => "REDUCING",
        ctos_types::KillState::Halted => "HALTED",
    }
}

fn strategies_table(lines: &[StrategyLine]) -> String {
    let row = |s: &StrategyLine| vec![s.id.clone(), s.kind.clone(), s.account.clone(), s.state.clone()];
    table(&["strategy", "kind", "account", "state"], &[], &lines.iter().map(row).collect::<Vec<_>>())
}

fn orders_table(orders: &[OrderLine]) -> Option<String> {
    let row = |o: &OrderLine| {
        let status = o.reason.as_ref().map_or(o.status.clone(), |why| format!("{}: {why}", o.status));
        vec![
            short_time(&o.created),
            o.id.clone(),
            o.strategy.clone(),
            o.symbol.clone(),
            o.side.clone(),
            o.kind.clone(),
            price(o.price.or(o.trigger)),
            o.qty.to_string(),
            o.filled.to_string(),
            status,
        ]
    };
    let head = ["created", "order", "strategy", "symbol", "side", "kind", "price", "size", "filled", "status"];
    let rows: Vec<_> = orders.iter().map(row).collect();
    (!rows.is_empty()).then(|| table(&head, &[6, 7, 8], &rows))
}

fn positions_table(positions: &[PositionLine]) -> Option<String> {
    let row = |p: &PositionLine| {
        vec![
            p.account.clone(),
            p.symbol.clone(),
            format!("{:?}", p.leg).to_lowercase(),
            p.qty.to_string(),
            price(p.avg_px),
            price(p.mark),
            or_dash(p.unrealized_pnl.map(signed)),
        ]
    };
    let rows: Vec<_> = positions.iter().map(row).collect();
    let head = ["account", "symbol", "leg", "size", "average", "mark", "unrealized"];
    (!rows.is_empty()).then(|| table(&head, &[3, 4, 5, 6], &rows))
}

fn fills_table(fills: &[FillLine]) -> Option<String> {
    let row = |f: &FillLine| {
        vec![
            short_time(&f.at),
            f.strategy.clone(),
            f.symbol.clone(),
            f.side.clone(),
            f.qty.to_string(),
            f.price.to_string(),
            f.liquidity.clone(),
            format!("{} {}", money(f.fee), f.fee_currency),
            or_dash(f.realized_pnl.map(signed)),
        ]
    };
    let rows: Vec<_> = fills.iter().map(row).collect();
    let head = ["time", "strategy", "symbol", "side", "size", "price", "liquidity", "fee", "realized"];
    (!rows.is_empty()).then(|| table(&head, &[4, 5, 7, 8], &rows))
}
