//! `strategies`: the programs there are, their parameters, and which of them run.

use crate::args::Global;
use crate::client::{self, Found};
use crate::error::CliError;
use crate::{out, settings};
use ctos_runtime::UserError;
use ctos_server::model::{Strategies, StrategyLine};
use ctos_strategies::{Catalog, ParamSpec, StrategyInfo};
use serde_json::{Value, json};

pub fn strategies(global: &Global, catalog: Catalog, name: Option<&str>) -> Result<(), CliError> {
    let chosen: Vec<&StrategyInfo> = match name {
        Some(name) => vec![catalog.info(name).map_err(|e| UserError::new(e.message, e.hint))?],
        None => catalog.list().collect(),
    };
    let (running, lines) = running(global);
    let of = |info: &StrategyInfo| lines.iter().filter(|l| l.kind == info.name).cloned().collect::<Vec<_>>();
    let values: Vec<Value> = chosen.iter().map(|info| as_json(info, &of(info))).collect();
    out::show(global.json, &json!({ "running": running, "strategies": values }), |_| match (name, chosen.first()) {
        (Some(_), Some(info)) => detail(info, &of(info)),
        _ => list(&chosen, &lines),
    })
}

/// What runs now. The list of programs is worth showing whatever the state of the home.
fn running(global: &Global) -> (bool, Vec<StrategyLine>) {
    let found = settings::home(global).and_then(|home| client::find(&home));
    match found {
        Ok(Found::Running(client)) => match client.get::<Strategies>("/strategies") {
            Ok(s) => (true, s.strategies),
            Err(_) => (true, Vec::new()),
        },
        _ => (false, Vec::new()),
    }
}

fn as_json(info: &StrategyInfo, instances: &[StrategyLine]) -> Value {
    let param = |p: &ParamSpec| json!({ "name": p.name, "type": p.kind.to_string(), "default": p.default, "range": p.range.to_string(), "doc": p.doc });
    let params: Vec<Value> = info.params.iter().map(param).collect();
    json!({ "name": info.name, "summary": info.summary, "example": info.example, "params": params, "instances": instances })
}

fn list(infos: &[&StrategyInfo], lines: &[StrategyLine]) -> String {
    let state = |info: &&StrategyInfo| {
        let own: Vec<String> =
            lines.iter().filter(|l| l.kind == info.name).map(|l| format!("{} {}", l.id, l.state)).collect();
        if own.is_empty() { "-".into() } else { own.join(", ") }
    };
    let rows: Vec<_> = infos.iter().map(|i| vec![i.name.into(), state(i), i.summary.into()]).collect();
    let table = out::table(&["strategy", "runs as", "what it does"], &[], &rows);
    format!("{table}\nparameters of one: ctos strategies NAME\n")
}

fn detail(info: &StrategyInfo, instances: &[StrategyLine]) -> String {
    let mut text = format!("{}: {}\n\n", info.name, info.summary);
    for line in instances {
        text += &format!("runs as {} on account {}: {}\n\n", line.id, line.account, line.state);
    }
    let row = |p: &ParamSpec| {
        vec![p.name.into(), p.kind.to_string(), p.default.unwrap_or("-").into(), p.range.to_string(), p.doc.into()]
    };
    let rows: Vec<_> = info.params.iter().map(row).collect();
    text += &out::table(&["parameter", "type", "default", "range", "meaning"], &[], &rows);
    text + &format!("\nexample: {}\n", info.example)
}
