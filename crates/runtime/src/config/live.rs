//! What a market that comes in as it happens asks of the settings.
//! Never: asks the venue.

use super::node::Origin;
use super::resolve::path;
use super::section::Section;
use super::settings::{AccountSettings, LiveSettings, MarketSetting, Mode};
use super::values::{Speed, span};
use super::venue_account::{self, Address, Environment, ProfileName, VenueAccount};
use super::{ConfigError, keys};
use ctos_types::{Decimal, Nanos};
use std::path::PathBuf;

/// The fastest that a run may go beside a twin that goes as fast.
const FASTEST: i64 = 1_000;

/// How public data is reached.
pub(super) fn feed(s: &Section, mode: Mode, market: &MarketSetting) -> Result<Option<VenueAccount>, ConfigError> {
    let section = s.section("feed", keys::FEED)?;
    let MarketSetting::Binance(product) = market else {
        let given = keys::FEED.iter().find_map(|key| section.node(key));
        return match given {
            None => Ok(None),
            Some(node) => {
                let message = format!("{}: feed: is for market data as it happens only", node.origin);
                Err(ConfigError::new(message, "add market: binance, or leave it out"))
            }
        };
    };
    if mode == Mode::Live {
        // Real accounts say where their markets are.
        if let Some(node) = keys::FEED.iter().find_map(|key| section.node(key)) {
            let message = format!("{}: feed: with mode: live the accounts say where the market is", node.origin);
            return Err(ConfigError::new(message, "set base_url and ws_url of the account"));
        }
        return Ok(None);
    }
    Ok(Some(VenueAccount {
        environment: section.read("environment", Environment::Production, str::parse)?,
        base_url: section.read_opt("base_url", str::parse)?,
        ws_url: section.read_opt("ws_url", str::parse)?,
        proxy: venue_account::proxy(&section)?,
        extra_ca: section.read_opt("extra_ca", path)?.map(Into::into),
        ..VenueAccount::binance(product.unwrap_or(ProfileName::Spot), "")
    }))
}

/// What only a run at real venues has; settings for both kinds of runs may keep it while they are on paper.
pub(super) fn limits(s: &Section) -> Result<LiveSettings, ConfigError> {
    let section = s.section("live", keys::LIVE)?;
    let bounds = span(Nanos::from_secs(1), Nanos::from_secs(3_600));
    Ok(LiveSettings { known_within: section.read("known_within", LiveSettings::default().known_within, bounds)? })
}

/// Where the market is recorded.
pub(super) fn record(s: &Section, market: &MarketSetting) -> Result<Option<PathBuf>, ConfigError> {
    let dir = s.read_opt("record", path)?;
    if dir.is_some() && !market.is_live() {
        let origin = s.node("record").map_or(&Origin::Default, |n| &n.origin);
        let message = format!("{origin}: record: only a market that comes in as it happens can be recorded");
        return Err(ConfigError::new(message, "add market: binance, or leave it out"));
    }
    Ok(dir.map(Into::into))
}

/// What only makes sense together.
pub(super) fn check(
    s: &Section,
    mode: Mode,
    market: &MarketSetting,
    symbols: &[String],
    speed: Speed,
    accounts: &[AccountSettings],
    feed: Option<&VenueAccount>,
) -> Result<(), ConfigError> {
    let origin = |key: &str| s.node(key).map_or(&Origin::Default, |n| &n.origin);
    let fail =
        |key: &str, what: String, hint: &str| Err(ConfigError::new(format!("{}: {key}: {what}", origin(key)), hint));
    if mode == Mode::Live && !market.is_live() {
        return fail(
            "market",
            format!("{market} cannot be traded with real money"),
            "leave market out with mode: live",
        );
    }
    if !market.is_live() {
        return Ok(());
    }
    if symbols.is_empty() {
        let hint = "name what to trade, for example --symbols binance:BTC-USDT-PERP";
        return fail("symbols", "a live market has hundreds of instruments, and none is named".into(), hint);
    }
    if let MarketSetting::Binance(Some(product)) = market
        && let Some(other) = symbols.iter().find(|symbol| product_of(symbol) != *product)
    {
        let hint = "spot symbols read binance:BTC-USDT, futures binance:BTC-USDT-PERP; market: binance takes both";
        return fail("symbols", format!("{other} is not traded on {market}"), hint);
    }
    if feed.is_some_and(|f| f.base_url.is_some()) && symbols.iter().any(|a| product_of(a) != product_of(&symbols[0])) {
        let hint = "one address serves spot or futures: use two homes, or the venue's own addresses";
        return fail("feed", "base_url with symbols of spot and of futures".into(), hint);
    }
    let Speed::Factor(factor) = speed else {
        return fail("speed", "a live market cannot be hurried".into(), "leave speed out");
    };
    if factor == Decimal::ONE {
        return Ok(());
    }
    let whole = (2..=FASTEST).any(|n| factor == Decimal::from_int(n));
    let here = |url: &Option<Address>| url.as_ref().is_some_and(Address::is_loopback);
    let local = |v: &VenueAccount| here(&v.base_url) && v.ws_url.as_ref().is_none_or(Address::is_loopback);
    let all_local = match mode {
        Mode::Live => accounts.iter().all(|a| a.venue.as_ref().is_some_and(local)),
        Mode::Paper => feed.is_some_and(local),
    };
    if whole && all_local {
        return Ok(());
    }
    let hint = "leave speed out; only beside `ctos twin binance --speed N` on this machine a whole number does";
    fail("speed", "a live market cannot be hurried".into(), hint)
}

/// Of which product a unified symbol is: futures carry more than a pair.
pub fn product_of(symbol: &str) -> ProfileName {
    let pair = symbol.split_once(':').map_or(symbol, |(_, pair)| pair);
    if pair.matches('-').count() > 1 { ProfileName::UsdM } else { ProfileName::Spot }
}
