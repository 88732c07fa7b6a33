//! `twin`: a local server that speaks a venue's own protocol, until it is stopped.
//! Never: the protocol (`ctos_twin`), a real venue.

use crate::args::Global;
use crate::error::CliError;
use crate::out;
use clap::{Args, Subcommand};
use ctos_runtime::config::{Layers, Settings, parse_span};
use ctos_runtime::market;
use ctos_twin::server::{AUTHORITY, Clock, Found, Meta, Server, ServerConfig, StateDir, SystemClock, Tls};
use ctos_twin::{AccountSetting, LimitSettings, Market, Product, Twin, TwinConfig, TwinError};
use ctos_types::Nanos;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Flags of `twin`.
#[derive(Debug, Args)]
pub struct TwinArgs {
    #[command(subcommand)]
    pub venue: Venue,
}

#[derive(Debug, Subcommand)]
pub enum Venue {
    /// Binance: spot and USD-M futures
    #[command(
        after_help = "Examples:\n  ctos twin binance --json\n  ctos twin binance --seed 7 --speed 60 --spot-port 9001 --usdm-port 9002\n  \
        ctos twin binance --market capture.jsonl.gz --accounts accounts.json --script faults.json\n\n\
        Prints its addresses and a test account, and serves until it is stopped."
    )]
    Binance(BinanceArgs),
}

#[derive(Debug, Args)]
pub struct BinanceArgs {
    /// Decides the market, the test account's keys and every fault's dice [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Venue seconds a second [default: 1]
    #[arg(long, value_name = "X", value_parser = speed)]
    pub speed: Option<f64>,
    /// `synthetic` (the default), or a raw capture: its product trades the recording, the other one stays synthetic
    #[arg(long, value_name = "MARKET")]
    pub market: Option<String>,
    /// How long the synthetic market has been running when the doors open
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    pub history: Nanos,
    /// Port of spot; 0: any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub spot_port: u16,
    /// Port of USD-M futures; 0: any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub usdm_port: u16,
    /// Port where the twin is told to misbehave; 0: any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub admin_port: u16,
    /// Directory in which orders, balances and the market outlive the twin: started again, it goes on
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// HTTPS and WSS with a certificate made on the spot; says which file to trust
    #[arg(long)]
    pub tls: bool,
    /// JSON list of accounts with balances and keys, in place of the test account
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// JSON list of fault rules and deeds that are in force from the start
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Request weight a minute and address, in place of the venue's own limits
    #[arg(long, value_name = "N")]
    pub weight_limit: Option<u32>,
    /// Refuse parameters that a call does not know (-1104)
    #[arg(long)]
    pub strict_params: bool,
}

fn span(text: &str) -> Result<Nanos, String> {
    parse_span(text).map_err(|e| format!("expected {}, for example {}", e.what, e.example))
}

fn speed(text: &str) -> Result<f64, String> {
    let value: f64 = text.trim_end_matches('x').parse().map_err(|_| "write a number, for example 60".to_string())?;
    if (0.01..=10_000.0).contains(&value) { Ok(value) } else { Err("speed is between 0.01 and 10000".into()) }
}

pub fn twin(global: &Global, args: &TwinArgs) -> Result<(), CliError> {
    let Venue::Binance(args) = &args.venue;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(CliError::internal)?;
    }
    let accounts = args.accounts.as_deref().map(|path| read::<Vec<AccountSetting>>(path, "accounts")).transpose()?;
    let script = args.script.as_deref().map(|path| read::<Vec<Value>>(path, "fault rules")).transpose()?;
    let state = args.state.as_deref().map(StateDir::open).transpose().map_err(told)?;
    let old = state.as_ref().map(StateDir::meta).transpose().map_err(told)?.flatten();
    let made = made_of(args, accounts, old.as_ref())?;
    let (machine, venue, speed) = made.clock;
    let clock = Arc::new(SystemClock::since(machine, venue, speed));
    let mut twins = Vec::new();
    for product in [Product::Spot, Product::UsdM] {
        let found = match (&state, &old) {
            (Some(dir), Some(_)) => dir.find(product).map_err(told)?,
            _ => None,
        };
        twins.push(open(args, product, &made, found, clock.as_ref())?);
    }
    // The script of a twin that goes on is kept with it.
    for entry in script.into_iter().flatten().filter(|_| old.is_none()) {
        scripted(&mut twins, entry)?;
    }
    let secure = if args.tls { Some(certificate(state.as_ref())?) } else { None };
    let mut config = ServerConfig { admin_port: args.admin_port, state: state.clone(), ..ServerConfig::new(clock) };
    for twin in twins {
        match twin.product() {
            Product::Spot => config.spot = Some((twin, args.spot_port)),
            Product::UsdM => config.usdm = Some((twin, args.usdm_port)),
        }
    }
    config.tls = secure.as_ref().map(|s| s.tls.clone());
    let server = Server::start(config).map_err(told)?;
    if let Some(dir) = &state {
        dir.set_meta(&made).map_err(told)?;
    }
    let addresses = addresses(&server, &made.accounts, secure.as_ref());
    out::show(global.json, &addresses, text)?;
    while !stop.load(Ordering::SeqCst) {
        if let Some(e) = server.failure() {
            return Err(told(e.clone()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);
    Ok(())
}

/// A rule or a deed from the start on: for the market it names, or for both.
fn scripted(twins: &mut [Twin], entry: Value) -> Result<(), CliError> {
    let wrong = |why: String| CliError::user(format!("--script: {why}"), "see docs/twin.md for rules and deeds");
    let mut entry = entry;
    let market = entry.as_object_mut().and_then(|o| o.remove("market"));
    let only = match market.as_ref().map(Value::as_str) {
        None => None,
        Some(Some("spot")) => Some(Product::Spot),
        Some(Some("usdm")) => Some(Product::UsdM),
        Some(_) => return Err(wrong("a market is \"spot\" or \"usdm\"".into())),
    };
    let deed = if entry.get("do").is_some() { entry } else { json!({ "do": "rule", "rule": entry }) };
    for t in twins.iter_mut().filter(|t| only.is_none_or(|o| o == t.product())) {
        let now = t.now();
        t.admin(now, &deed.to_string()).map_err(|why| wrong(format!("{deed}: {why}")))?;
    }
    Ok(())
}

/// A certificate, and where the file to trust lies.
struct Secure {
    tls: Tls,
    file: PathBuf,
    /// Goes with the twin, where nothing else is kept.
    _folder: Option<TempDir>,
}

fn certificate(state: Option<&StateDir>) -> Result<Secure, CliError> {
    if let Some(dir) = state {
        let (tls, file) = dir.tls().map_err(told)?;
        return Ok(Secure { tls, file, _folder: None });
    }
    let tls = Tls::make().map_err(told)?;
    let cannot = |e| {
        CliError::user(format!("cannot write the certificate: {e}"), "check the system's folder for temporary files")
    };
    let folder = TempDir::with_prefix("ctos-twin-").map_err(cannot)?;
    let file = folder.path().join(AUTHORITY);
    std::fs::write(&file, tls.authority()).map_err(cannot)?;
    Ok(Secure { tls, file, _folder: Some(folder) })
}

/// What the twins are made of: as before where they go on, else as the flags say. Errors: the flags say otherwise.
fn made_of(args: &BinanceArgs, accounts: Option<Vec<AccountSetting>>, old: Option<&Meta>) -> Result<Meta, CliError> {
    let now = SystemClock::machine();
    let Some(old) = old else {
        let seed = args.seed.unwrap_or(1);
        return Ok(Meta {
            venue: "binance".into(),
            seed,
            market: args.market.clone().unwrap_or_else(|| "synthetic".into()),
            accounts: accounts.unwrap_or_else(|| vec![AccountSetting::test(seed)]),
            clock: (now, now, args.speed.unwrap_or(1.0)),
        });
    };
    let other = |flag: &str, was: &str| {
        let hint = format!("leave {flag} out, or give another directory");
        Err(CliError::user(format!("--state was begun with {was}, which {flag} would change"), hint))
    };
    if args.seed.is_some_and(|s| s != old.seed) {
        return other("--seed", &format!("seed {}", old.seed));
    }
    if args.market.as_ref().is_some_and(|m| *m != old.market) {
        return other("--market", &format!("the market {}", old.market));
    }
    if accounts.is_some_and(|a| a != old.accounts) {
        return other("--accounts", "other accounts");
    }
    // Another speed counts from now on; the venue's clock does not jump.
    let clock = match args.speed.filter(|s| *s != old.clock.2) {
        Some(speed) => (now, SystemClock::since(old.clock.0, old.clock.1, old.clock.2).now(), speed),
        None => old.clock,
    };
    Ok(Meta { clock, ..old.clone() })
}

fn told(e: TwinError) -> CliError {
    CliError::user(e.message, e.hint)
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, CliError> {
    let hint = "see docs/twin.md for the form";
    let text = std::fs::read_to_string(path)
        .map_err(|e| CliError::user(format!("cannot read {}: {e}", path.display()), "check the path"))?;
    serde_json::from_str(&text).map_err(|e| CliError::user(format!("{} has no {what}: {e}", path.display()), hint))
}

fn open(
    args: &BinanceArgs,
    product: Product,
    made: &Meta,
    found: Option<Found>,
    clock: &SystemClock,
) -> Result<Twin, CliError> {
    let recording = if made.market == "synthetic" { None } else { recorded(&made.market, product)? };
    let config = TwinConfig {
        accounts: made.accounts.clone(),
        limits: LimitSettings { weight: args.weight_limit, ..LimitSettings::default() },
        strict_params: args.strict_params,
        ..TwinConfig::new(product, made.seed, clock.now())
    };
    if let Some(Found { state, recorded }) = found {
        let market = recording.map_or(Market::Synthetic(made.seed), |r| Market::Recorded(r.source));
        return Twin::resume(config, market, state, &recorded, clock.now()).map_err(told);
    }
    match recording {
        Some(opened) => Twin::recorded(config, opened.source),
        None => {
            if args.history < Nanos::ZERO || args.history > Nanos::from_secs(7 * 86_400) {
                return Err(CliError::user("--history is between 0s and 7d", "an hour is enough for most"));
            }
            Twin::synthetic(config, made.seed, args.history)
        }
    }
    .map_err(told)
}

/// The recording, where it is of this product.
fn recorded(file: &str, product: Product) -> Result<Option<market::Opened>, CliError> {
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{file}"));
    let opened = market::open(&Settings::resolve(&layers)?)?;
    let spot = opened.source.instruments().iter().all(|i| i.is_spot());
    Ok((spot == (product == Product::Spot)).then_some(opened))
}

fn addresses(server: &Server, accounts: &[AccountSetting], secure: Option<&Secure>) -> Value {
    let s = if secure.is_some() { "s" } else { "" };
    let urls = |at: Option<SocketAddr>, api: &str| match at {
        Some(at) => {
            json!({
                "rest": format!("http{s}://{at}"),
                "ws": format!("ws{s}://{at}"),
                "ws_api": format!("ws{s}://{at}{api}"),
            })
        }
        None => Value::Null,
    };
    let pair = accounts.iter().find_map(AccountSetting::hmac_pair);
    let mut out = json!({
        "venue": "binance",
        "spot": urls(server.spot, "/ws-api/v3"),
        "usdm": urls(server.usdm, "/ws-fapi/v1"),
        "admin": format!("http://{}", server.admin),
        "account": accounts.first().map(|a| a.name.clone()),
        "api_key": pair.map(|p| p.0),
        "api_secret": pair.map(|p| p.1),
    });
    if let Some(secure) = secure {
        out["ca_file"] = json!(secure.file);
    }
    out
}

fn text(a: &Value) -> String {
    let line = |name: &str, value: &Value| format!("{name:<11}{}\n", value.as_str().unwrap_or("(none)"));
    let mut out = String::new();
    for (name, market, key) in [
        ("spot", "spot", "rest"),
        ("", "spot", "ws"),
        ("", "spot", "ws_api"),
        ("usdm", "usdm", "rest"),
        ("", "usdm", "ws"),
        ("", "usdm", "ws_api"),
    ] {
        out += &line(name, &a[market][key]);
    }
    for key in ["admin", "api_key", "api_secret", "ca_file"].into_iter().filter(|k| a.get(k).is_some()) {
        out += &line(key, &a[key]);
    }
    out + "Serving until stopped (Ctrl-C).\n"
}
