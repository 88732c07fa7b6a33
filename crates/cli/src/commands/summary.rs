//! A run's summary for people. The exact figures are in the JSON.

use crate::out::{money, nanos, or_dash, price, short_time, signed, table};
use ctos_runtime::summary::Summary;
use ctos_types::{Currency, Decimal};
use std::collections::BTreeMap;

/// `1.00 USDT, 2.00 USDC`.
pub fn amounts(all: &BTreeMap<Currency, Decimal>, one: fn(Decimal) -> String) -> String {
    let parts: Vec<String> = all.iter().map(|(currency, amount)| format!("{} {currency}", one(*amount))).collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

pub fn text(s: &Summary) -> String {
    let o = &s.orders;
    let ended = if s.ended.is_empty() { "still running".into() } else { format!("ended: {}", s.ended) };
    let mut rows: Vec<(&str, String)> = vec![
        ("run", format!("{}  ({}, {}; {ended})", s.run_id, s.mode, s.market)),
        ("market time", format!("{} to {}", short_time(&s.from), short_time(&s.to))),
        ("inputs", format!("{} ({} market events)", s.events_in, s.market_events)),
        (
            "orders",
            format!(
                "{} sent, {} filled, {} canceled, {} rejected, {} expired, {} denied, {} open",
                o.sent, o.filled, o.canceled, o.rejected, o.expired, o.denied, s.open_orders
            ),
        ),
        ("fills", format!("{}, volume {}", s.fills, amounts(&s.volume, money))),
        ("realized", amounts(&s.realized_pnl, signed)),
        ("unrealized", amounts(&s.unrealized_pnl, signed)),
        ("fees", amounts(&s.fees, money)),
    ];
    for (account, by_currency) in &s.equity {
        for (currency, e) in by_currency {
            let change = e.end.checked_sub(e.start).map(signed).unwrap_or_else(|_| "-".into());
            rows.push(("equity", format!("{account}: {} -> {} {currency} ({change})", money(e.start), money(e.end))));
        }
    }
    if !s.denied_by.is_empty() {
        let gates: Vec<String> = s.denied_by.iter().map(|(gate, n)| format!("{gate} {n}")).collect();
        rows.push(("denied by", gates.join(", ")));
    }
    if s.alarms > 0 {
        rows.push(("alarms", s.alarms.to_string()));
    }
    let l = &s.step_latency_ns;
    rows.push((
        "step latency",
        format!("p50 {}, p99 {}, p99.9 {}, max {}", nanos(l.p50), nanos(l.p99), nanos(l.p999), nanos(l.max)),
    ));
    rows.push(("command hash", s.command_hash.clone()));
    let mut text: String = rows.into_iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect();
    text += &strategies(s);
    text += &positions(s);
    text
}

fn strategies(s: &Summary) -> String {
    if s.strategies.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = s
        .strategies
        .iter()
        .map(|one| {
            vec![
                one.id.clone(),
                one.fills.to_string(),
                money(one.volume),
                amounts(&one.realized_pnl, signed),
                amounts(&one.unrealized_pnl, signed),
                amounts(&one.fees, money),
                one.state.clone(),
            ]
        })
        .collect();
    let head = ["strategy", "fills", "volume", "realized", "unrealized", "fees", "state"];
    format!("\n{}", table(&head, &[1, 2, 3, 4, 5], &rows))
}

fn positions(s: &Summary) -> String {
    if s.positions.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = s
        .positions
        .iter()
        .map(|p| {
            let leg = format!("{:?}", p.leg).to_lowercase();
            let unrealized = or_dash(p.mark.map(|_| signed(p.unrealized_pnl)));
            vec![
                p.account.clone(),
                p.symbol.clone(),
                leg,
                p.qty.to_string(),
                price(p.avg_px),
                price(p.mark),
                unrealized,
            ]
        })
        .collect();
    let head = ["account", "symbol", "leg", "size", "average", "mark", "unrealized"];
    format!("\n{}", table(&head, &[3, 4, 5, 6], &rows))
}
