//! What syscalls there are.

use crate::args::Global;
use crate::error::CliError;
use crate::out;
use ctos_runtime::oneshot::{SYSCALLS, Syscall};
use serde_json::{Value, json};

pub fn all(global: &Global) -> Result<(), CliError> {
    let value: Value = SYSCALLS.iter().map(one).collect();
    out::show(global.json, &value, |_| {
        let mut text = String::new();
        for s in SYSCALLS {
            let aliases = if s.aliases.is_empty() { String::new() } else { format!(" (or {})", s.aliases.join(", ")) };
            text += &format!("{}{aliases}\n    {}\n", s.name, s.about);
            for p in s.params {
                let name = if p.required { p.name.to_owned() } else { format!("[{}]", p.name) };
                text += &format!("    {name:<17} {}\n", p.about);
            }
            text += "\n";
        }
        text + "Example: ctos call get_price_now binance:BTC-USDT-PERP\n"
    })
}

fn one(s: &Syscall) -> Value {
    let params: Vec<Value> =
        s.params.iter().map(|p| json!({ "name": p.name, "required": p.required, "about": p.about })).collect();
    json!({
        "name": s.name,
        "aliases": s.aliases,
        "about": s.about,
        "params": params,
        "needs_key": s.keyed,
        "trades": s.trades,
    })
}
