//! From the raw tree to [`Settings`]: every default applied, every rule checked, the first mistake reported.
//! Never: I/O; whether a file, a symbol or a strategy exists is found out where it is used.

use super::layers::Layers;
use super::node::{Node, Origin, Raw, quoted};
use super::section::{Section, Trace, join, note, text, value};
use super::settings::*;
use super::values::*;
use super::venue_account::VenueAccount;
use super::{ConfigError, keys, live, risk, venue_account};
use ctos_types::{Currency, Decimal, Nanos};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

const DEFAULT_SYMBOL: &str = "sim:BTC-USDT-PERP";
const DEFAULT_STRATEGY: &str = "grid";
const DEFAULT_ACCOUNT: &str = "main";

/// Accounts and strategies are counted in 16 bits; nobody runs this many by hand.
const MAX_ITEMS: usize = 1_000;

impl Settings {
    /// The settings that `layers` add up to.
    pub fn resolve(layers: &Layers) -> Result<Settings, ConfigError> {
        let tree = layers.merged()?;
        let trace = Trace::default();
        let root = Section::open(String::new(), keys::TOP, Some(&tree), &trace)?;
        let mut settings = resolve(&root)?;
        settings.explained = trace.take();
        Ok(settings)
    }
}

fn resolve(s: &Section) -> Result<Settings, ConfigError> {
    let mode = s.read("mode", Mode::Paper, str::parse)?;
    let usual = if mode == Mode::Live { MarketSetting::Binance(None) } else { MarketSetting::Synthetic };
    let market = s.read("market", usual, str::parse)?;
    let symbols = symbols(s, &market)?;
    let speed = s.read("speed", Speed::Factor(Decimal::ONE), str::parse)?;
    let duration = s.read_opt("duration", span(Nanos(1), Nanos::from_secs(10 * 365 * 86_400)))?;
    let seed = s.read("seed", 1, whole(0, u64::MAX))?;
    let home = s.read("home", "./var".to_owned(), path)?.into();
    let accounts = accounts(s)?;
    if mode == Mode::Live {
        all_at_venues(s, &accounts)?;
    }
    let feed = live::feed(s, mode, &market)?;
    let instruments = instruments(s, &market)?;
    let record = live::record(s, &market)?;
    live::check(s, mode, &market, &symbols, speed, &accounts, feed.as_ref())?;
    let account_ids: Vec<&str> = accounts.iter().map(|a| a.id.as_str()).collect();
    let strategies = strategies(s, &account_ids)?;
    let owners: Vec<(&str, &str)> = strategies.iter().map(|s| (s.id.as_str(), s.account.as_str())).collect();
    Ok(Settings {
        mode,
        market,
        symbols,
        speed,
        duration,
        seed,
        home,
        instruments,
        record,
        venue: venue(s)?,
        feed,
        live: live::limits(s)?,
        risk: risk::resolve(s, &account_ids, &owners)?,
        journal: journal(s)?,
        api: api(s)?,
        watchdog: watchdog(s)?,
        alerts: AlertSettings { webhook: webhook(s)? },
        log: log(s)?,
        secrets: secrets(s)?,
        accounts,
        strategies,
        explained: Vec::new(),
    })
}

pub(super) fn path(text: &str) -> Result<String, Expected> {
    let ok = !text.trim().is_empty() && !text.contains('\0');
    if ok { Ok(text.into()) } else { Err(expected("a directory", "./var")) }
}

fn symbols(s: &Section, market: &MarketSetting) -> Result<Vec<String>, ConfigError> {
    let (symbols, origin) = match s.texts("symbols")? {
        Some(given) => given,
        None if *market == MarketSetting::Synthetic => (vec![DEFAULT_SYMBOL.to_owned()], Origin::Default),
        None => (Vec::new(), Origin::Default),
    };
    for (i, symbol) in symbols.iter().enumerate() {
        if symbol.is_empty() || symbol.contains(char::is_whitespace) {
            let message = format!("{origin}: symbols: expected unified symbols, got {}", quoted(symbol));
            return Err(ConfigError::new(message, format!("write for example {DEFAULT_SYMBOL}")));
        }
        if symbols[..i].contains(symbol) {
            let message = format!("{origin}: symbols: {} is named twice", quoted(symbol));
            return Err(ConfigError::new(message, "name each symbol once"));
        }
    }
    let shown = if symbols.is_empty() { "all of the recording".into() } else { symbols.join(",") };
    note(s.trace(), "symbols", shown, &origin);
    Ok(symbols)
}

/// The sections of a list; one empty section when the list was not given, so that its defaults apply.
fn items<'a>(s: &Section<'a>, key: &str) -> Result<Vec<Option<&'a Node>>, ConfigError> {
    let Some(list) = s.list(key)? else { return Ok(vec![None]) };
    if list.len() > MAX_ITEMS {
        let message = format!("{}: {} items, at most {MAX_ITEMS} are possible", s.path(key), list.len());
        return Err(ConfigError::new(message, "split them over several homes"));
    }
    Ok(list.iter().map(Some).collect())
}

// ---- accounts

fn accounts(s: &Section) -> Result<Vec<AccountSettings>, ConfigError> {
    let mut list: Vec<AccountSettings> = Vec::new();
    for (i, node) in items(s, "accounts")?.into_iter().enumerate() {
        let section = Section::open(format!("accounts.{i}"), keys::ACCOUNT, node, s.trace())?;
        let id = match section.node("id") {
            None if i > 0 => return Err(missing(&section, "id", node, "hedge")),
            _ => section.read("id", DEFAULT_ACCOUNT.to_owned(), id)?,
        };
        unique(&section, "id", &id, list.iter().map(|a| a.id.as_str()))?;
        list.push(account(&section, id)?);
    }
    if list.is_empty() {
        return Err(ConfigError::new(
            "accounts: the list is empty",
            "leave `accounts` out to get one with 10000 USDT, or write one",
        ));
    }
    Ok(list)
}

/// Real money needs real accounts.
fn all_at_venues(s: &Section, accounts: &[AccountSettings]) -> Result<(), ConfigError> {
    let Some((at, account)) = accounts.iter().enumerate().find(|(_, a)| a.venue.is_none()) else { return Ok(()) };
    let origin = s.node("mode").map_or(&Origin::Default, |n| &n.origin);
    let message = format!("{origin}: mode: live trading needs accounts at a venue, and {} is on paper", account.id);
    let hint = format!("set accounts.{at}.venue and its profile, or write mode: paper to trade simulated money");
    Err(ConfigError::new(message, hint))
}

/// Definitions that stand before those of a recording.
fn instruments(s: &Section, market: &MarketSetting) -> Result<Option<PathBuf>, ConfigError> {
    let file = s.read_opt("instruments", path)?;
    if file.is_some() && !matches!(market, MarketSetting::Replay(_)) {
        let origin = s.node("instruments").map_or(&Origin::Default, |n| &n.origin);
        let message = format!("{origin}: instruments: only a recording takes definitions from a file");
        return Err(ConfigError::new(message, "add market: replay:PATH, or leave it out"));
    }
    Ok(file.map(Into::into))
}

fn account(s: &Section, id: String) -> Result<AccountSettings, ConfigError> {
    let venue = venue_account::read(s, &id)?;
    let mut balances = currencies(s, "balances", amount)?;
    if s.node("balances").is_none() && venue.is_none() {
        let usdt = Currency::cut("USDT");
        balances.insert(usdt, Decimal::from_int(10_000));
        note(s.trace(), &s.path("balances.USDT"), "10000".into(), &Origin::Default);
    }
    let leverage = decimal("a leverage from 1 to 125", "5", Decimal::ONE, Decimal::from_int(125));
    // Cross margin lends up to three times what is owned unless it was told to lend more.
    let usual = if venue.as_ref().is_some_and(VenueAccount::borrows) { 3 } else { 5 };
    let (leverage, hedge_mode) =
        (s.read("leverage", Decimal::from_int(usual), leverage)?, s.read("hedge_mode", false, truth)?);
    if venue.is_some() {
        return Ok(AccountSettings { id, venue, balances, leverage, hedge_mode, fees: None, borrow: None });
    }
    Ok(AccountSettings { id, venue, balances, leverage, hedge_mode, fees: fees(s)?, borrow: borrow(s)? })
}

fn secrets(s: &Section) -> Result<SecretSettings, ConfigError> {
    let section = s.section("secrets", keys::SECRETS)?;
    let command = section.texts("command")?;
    let shown = command.as_ref().map_or("unset".into(), |(words, _)| words.join(","));
    let origin = command.as_ref().map_or(Origin::Default, |(_, origin)| origin.clone());
    note(s.trace(), &section.path("command"), shown, &origin);
    Ok(SecretSettings {
        file: section.read_opt("file", path)?.map(Into::into),
        command: command.map(|(words, _)| words).unwrap_or_default(),
    })
}

fn fees(s: &Section) -> Result<Option<FeeSettings>, ConfigError> {
    let Some(node) = s.node("fees") else {
        note(s.trace(), &s.path("fees"), "the instrument's".into(), &Origin::Default);
        return Ok(None);
    };
    let fees = s.section("fees", keys::FEES)?;
    let required = |key| match fees.node(key) {
        Some(_) => fees.read(key, Decimal::ZERO, rate),
        None => Err(missing(&fees, key, Some(node), "\"0.0002\" or \"0.02%\"")),
    };
    Ok(Some(FeeSettings { maker: required("maker")?, taker: required("taker")? }))
}

fn borrow(s: &Section) -> Result<Option<BorrowSettings>, ConfigError> {
    if s.node("borrow").is_none() {
        note(s.trace(), &s.path("borrow"), "off".into(), &Origin::Default);
        return Ok(None);
    }
    let borrow = s.section("borrow", keys::BORROW)?;
    let above_one = |text: &str| {
        let wanted = || expected("a leverage above 1 and up to 10", "3");
        let value = text.parse::<Decimal>().map_err(|_| wanted())?;
        if value > Decimal::ONE && value <= Decimal::from_int(10) { Ok(value) } else { Err(wanted()) }
    };
    let interest = |text: &str| {
        rate(text).ok().filter(|r| !r.is_negative()).ok_or_else(|| expected("a rate from 0 to 10%", "\"0.00001\""))
    };
    Ok(Some(BorrowSettings {
        max_leverage: borrow.read("max_leverage", Decimal::from_int(3), above_one)?,
        interest_per_hour: currencies(&borrow, "interest_per_hour", interest)?,
    }))
}

/// A section of currency codes with one number each.
fn currencies(
    s: &Section,
    key: &str,
    parse: impl Fn(&str) -> Result<Decimal, Expected>,
) -> Result<BTreeMap<Currency, Decimal>, ConfigError> {
    let mut map = BTreeMap::new();
    for (code, node) in s.entries(key)? {
        let at = join(&s.path(key), code);
        let currency = Currency::new(code).ok().filter(|_| !code.is_empty() && !code.contains(char::is_whitespace));
        let currency = currency.ok_or_else(|| {
            let message = format!("{}: {at}: expected a currency code of at most 15 bytes", node.origin);
            ConfigError::new(message, "write for example USDT: \"10000\"")
        })?;
        let number = value(&at, node, &parse)?;
        note(s.trace(), &at, number.to_string(), &node.origin);
        map.insert(currency, number);
    }
    Ok(map)
}

// ---- strategies

fn strategies(s: &Section, accounts: &[&str]) -> Result<Vec<StrategySettings>, ConfigError> {
    let mut list: Vec<StrategySettings> = Vec::new();
    for (i, node) in items(s, "strategies")?.into_iter().enumerate() {
        let section = Section::open(format!("strategies.{i}"), keys::STRATEGY, node, s.trace())?;
        // A parameter given by flag or environment alone belongs to the default strategy; an item written into the
        // file says what it is.
        let in_file = node.is_some_and(|n| matches!(n.origin, Origin::File { .. }));
        let name = match section.node("name") {
            None if i > 0 || in_file => return Err(missing(&section, "name", node, DEFAULT_STRATEGY)),
            _ => section.read("name", DEFAULT_STRATEGY.to_owned(), id)?,
        };
        let id = section.read("id", free_id(&name, &list), id)?;
        unique(&section, "id", &id, list.iter().map(|s| s.id.as_str()))?;
        let account = section.read("account", accounts[0].to_owned(), id_or_any)?;
        if !accounts.contains(&account.as_str()) {
            let origin = section.node("account").map_or(&Origin::Default, |n| &n.origin);
            let message = format!("{origin}: {}: there is no account {}", section.path("account"), quoted(&account));
            return Err(ConfigError::new(message, known_hint(&account, accounts)));
        }
        list.push(StrategySettings { params: params(&section)?, name, id, account });
    }
    Ok(list)
}

/// `grid`, then `grid-2`, `grid-3`, …
fn free_id(name: &str, taken: &[StrategySettings]) -> String {
    let free = |id: &String| taken.iter().all(|s| s.id != *id);
    std::iter::once(name.to_owned())
        .chain((2..).map(|n| format!("{name}-{n}")))
        .find(free)
        .unwrap_or_else(|| name.to_owned())
}

fn params(s: &Section) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut params = BTreeMap::new();
    for (key, node) in s.entries("params")? {
        let at = join(&s.path("params"), key);
        let written = match &node.value {
            Raw::Null => continue,
            Raw::List(items) => {
                let items: Vec<&str> = items.iter().map(|n| text(&at, n)).collect::<Result<_, _>>()?;
                items.join(",")
            }
            _ => text(&at, node)?.to_owned(),
        };
        note(s.trace(), &at, written.clone(), &node.origin);
        params.insert(key.to_owned(), written);
    }
    Ok(params)
}

// ---- names

/// Ids go into file names, environment variables and command lines.
pub(super) fn id(text: &str) -> Result<String, Expected> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if first && plain && text.len() <= 32 {
        return Ok(text.into());
    }
    Err(expected("a name of lower-case letters, digits, - and _ that starts with a letter (at most 32)", "grid-btc"))
}

/// A reference to an id: whether it exists says more than whether it could.
fn id_or_any(text: &str) -> Result<String, Expected> {
    if text.is_empty() { id(text) } else { Ok(text.into()) }
}

fn unique<'a>(s: &Section, key: &str, id: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    if taken.all(|other| other != id) {
        return Ok(());
    }
    let origin = s.node(key).map_or(&Origin::Default, |n| &n.origin);
    let message = format!("{origin}: {}: {} is used twice", s.path(key), quoted(id));
    Err(ConfigError::new(message, "give each one its own id"))
}

pub(super) fn missing(s: &Section, key: &str, node: Option<&Node>, example: &str) -> ConfigError {
    let origin = node.map_or(&Origin::Default, |n| &n.origin);
    ConfigError::new(format!("{origin}: {} is missing", s.path(key)), format!("write for example {key}: {example}"))
}

/// The known name that was probably meant, or all of them.
pub(super) fn known_hint(name: &str, known: &[&str]) -> String {
    match keys::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "none is configured".into(),
        None => format!("known: {}", known.join(", ")),
    }
}

// ---- the smaller sections

fn venue(s: &Section) -> Result<VenueSettings, ConfigError> {
    let v = s.section("venue", keys::VENUE)?;
    let queue = v.read("queue", QueueSetting::Conservative, str::parse)?;
    let l = v.section("latency", keys::LATENCY)?;
    let constant = |ms| LatencySetting::Constant(Nanos::from_millis(ms));
    let latency = LatencySettings {
        feed: l.read("feed", constant(2), str::parse)?,
        order: l.read("order", constant(5), str::parse)?,
        response: l.read("response", constant(5), str::parse)?,
    };
    Ok(VenueSettings {
        queue,
        latency,
        stp: v.read("stp", StpSetting::CancelNewest, str::parse)?,
        bar_slippage_ticks: v.read("bar_slippage_ticks", 1, whole(0, 10_000))?,
        bar_slippage_range_pct: v.read("bar_slippage_range_pct", 0, whole(0, 100))?,
        bar_touch_fills: v.read("bar_touch_fills", false, truth)?,
        bar_taker_fees: v.read("bar_taker_fees", false, truth)?,
    })
}

fn journal(s: &Section) -> Result<JournalSettings, ConfigError> {
    let j = s.section("journal", keys::JOURNAL)?;
    let journal = JournalSettings {
        sync: j.read("sync", SyncSetting::Always, str::parse)?,
        segment_mb: j.read("segment_mb", 64, whole(1, 4096))?,
        keep_snapshots: j.read("keep_snapshots", 3, whole(2, 1000))?,
        snapshot_every: j.read("snapshot_every", 120_000, whole(100, 1_000_000_000))?,
        max_mb: j.read("max_mb", 1024, whole(4, 10_000_000))?,
    };
    if journal.max_mb < 4 * journal.segment_mb {
        let (max, segment) = (journal.max_mb, journal.segment_mb);
        let message = format!("journal.max_mb is {max}, less than four segments of {segment} MiB");
        return Err(ConfigError::new(message, format!("write max_mb: {} or a smaller segment_mb", 4 * segment)));
    }
    Ok(journal)
}

fn api(s: &Section) -> Result<ApiSettings, ConfigError> {
    let api = s.section("api", keys::API)?;
    let loopback = |text: &str| {
        let address = text.parse::<SocketAddr>().ok().filter(|a| a.ip().is_loopback());
        address.ok_or_else(|| expected("a loopback address with a port (0: any free one)", "127.0.0.1:0"))
    };
    let any_port = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
    Ok(ApiSettings { enabled: api.read("enabled", true, truth)?, bind: api.read("bind", any_port, loopback)? })
}

fn watchdog(s: &Section) -> Result<WatchdogSettings, ConfigError> {
    let w = s.section("watchdog", keys::WATCHDOG)?;
    let bounds = span(Nanos::from_millis(100), Nanos::from_secs(600));
    Ok(WatchdogSettings { timeout: w.read("timeout", Nanos::from_secs(5), bounds)? })
}

fn webhook(s: &Section) -> Result<Option<WebhookUrl>, ConfigError> {
    let alerts = s.section("alerts", keys::ALERTS)?;
    alerts.read_opt("webhook", str::parse).map_err(|error| match alerts.node("webhook") {
        // The address may hold a secret even where it is not a valid one.
        Some(node) => ConfigError::new(
            format!("{}: {}: expected an http:// or https:// address", node.origin, alerts.path("webhook")),
            error.hint,
        ),
        None => error,
    })
}

fn log(s: &Section) -> Result<LogSettings, ConfigError> {
    let log = s.section("log", keys::LOG)?;
    Ok(LogSettings {
        level: log.read("level", LogLevel::Info, str::parse)?,
        format: log.read("format", LogFormat::Auto, str::parse)?,
    })
}
