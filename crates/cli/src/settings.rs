//! From flags, environment and file to settings, and to the home that a command is about.
//! Never: applies a default of its own.

use crate::args::{Global, RunArgs};
use crate::error::CliError;
use clap::ArgMatches;
use ctos_runtime::config::{Layers, Settings, read_file};
use std::path::PathBuf;

/// Where settings are looked for when no file is named.
const FILES: [&str; 2] = ["ctos.yaml", "configs/ctos.yaml"];

/// File and environment.
fn base(global: &Global) -> Result<Layers, CliError> {
    let mut layers = Layers::new();
    let found = FILES.iter().map(PathBuf::from).find(|p| p.is_file());
    if let Some(path) = global.config.clone().or(found) {
        layers.file(&path.display().to_string(), &read_file(&path)?)?;
    }
    // Names and values that are not text cannot be settings.
    layers.env(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))));
    if let Some(home) = &global.home {
        let text =
            home.to_str().ok_or_else(|| CliError::user("--home is not UTF-8 text", "name a directory in UTF-8"))?;
        if text.is_empty() {
            return Err(CliError::user("--home is empty", "name a directory, for example --home ./var"));
        }
        layers.flag("--home", "home", text);
    }
    Ok(layers)
}

/// The settings without any flag of `run`.
pub fn resolve(global: &Global) -> Result<Settings, CliError> {
    Ok(Settings::resolve(&base(global)?)?)
}

/// The home alone. A named one is taken as it is, so that a broken settings file never keeps anybody from halting.
pub fn home(global: &Global) -> Result<PathBuf, CliError> {
    match &global.home {
        Some(home) => Ok(home.clone()),
        None => Ok(resolve(global)?.home),
    }
}

/// The settings of `run`. `matches` are the command's own, for the order in which flags came.
pub fn for_run(global: &Global, args: &RunArgs, matches: &ArgMatches) -> Result<Settings, CliError> {
    let mut layers = base(global)?;
    let place = if args.mode.as_deref() == Some("live") { "accounts.0" } else { "feed" };
    let (base_url, ws_url) = (format!("{place}.base_url"), format!("{place}.ws_url"));
    let plain = [
        ("--base-url", base_url.as_str(), &args.base_url),
        ("--ws-url", ws_url.as_str(), &args.ws_url),
        ("--record", "record", &args.record),
        ("--market", "market", &args.market),
        ("--symbols", "symbols", &args.symbols),
        ("--speed", "speed", &args.speed),
        ("--duration", "duration", &args.duration),
        ("--seed", "seed", &args.seed),
        ("--mode", "mode", &args.mode),
    ];
    for (flag, path, value) in plain {
        let Some(text) = value else { continue };
        if text.is_empty() {
            return Err(CliError::user(format!("{flag} is empty"), format!("give {flag} a value, or leave it out")));
        }
        layers.flag(flag, path, text);
    }
    for given in &args.conf {
        let (path, text) = pair("--conf", given, "venue.queue=proportional")?;
        layers.flag("--conf", path, text);
    }
    for given in &args.risk {
        let (key, text) = pair("--risk", given, "max_leverage=3")?;
        layers.flag("--risk", &format!("risk.{key}"), text);
    }
    for given in &args.balance {
        let (currency, amount) = pair("--balance", given, "USDT=10000")?;
        layers.flag_balance(currency, amount);
    }
    for flag in in_order(args, matches) {
        match flag {
            Flag::Strategy(name) => layers.flag_strategy(name),
            Flag::Set(given) => {
                let (key, text) = pair("--set", given, "levels=8")?;
                layers.flag_param(key, text);
            }
        }
    }
    Ok(Settings::resolve(&layers)?)
}

enum Flag<'a> {
    Strategy(&'a str),
    Set(&'a str),
}

/// `--strategy` and `--set` in the order they were typed: each `--set` belongs to the `--strategy` before it.
fn in_order<'a>(args: &'a RunArgs, matches: &ArgMatches) -> Vec<Flag<'a>> {
    let at = |id: &str| matches.indices_of(id).into_iter().flatten().collect::<Vec<_>>();
    let strategies = at("strategy").into_iter().zip(args.strategy.iter().map(|s| Flag::Strategy(s)));
    let sets = at("set").into_iter().zip(args.set.iter().map(|s| Flag::Set(s)));
    let mut all: Vec<(usize, Flag)> = strategies.chain(sets).collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, flag)| flag).collect()
}

/// Key and value of a flag that is written KEY=VALUE.
pub fn pair<'a>(flag: &str, text: &'a str, example: &str) -> Result<(&'a str, &'a str), CliError> {
    let found = text.split_once('=').map(|(k, v)| (k.trim(), v.trim())).filter(|(k, v)| !k.is_empty() && !v.is_empty());
    found.ok_or_else(|| {
        CliError::user(format!("{flag} {text:?} is not KEY=VALUE"), format!("write for example {flag} {example}"))
    })
}
