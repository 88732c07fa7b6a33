//! Where an account is: on the simulated exchange, or at a venue with addresses, key and way there.
//! Never: holds a key; only what it is called (see `crate::secrets`).

use super::node::Origin;
use super::resolve::{id as name, missing, path};
use super::section::Section;
use super::settings::words;
use super::values::{Expected, Show, expected, serde_as_text, span};
use super::{ConfigError, keys};
use ctos_driver_binance::{Hosts, Profile};
use ctos_types::Nanos;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

words! {
    /// Whose account it is.
    VenueName {
        /// The simulated exchange inside the program.
        Paper = "paper",
        Binance = "binance",
    }
}

words! {
    /// What is traded with the account at Binance.
    ProfileName {
        Spot = "spot",
        /// Spot's markets with the cross margin account.
        Margin = "margin",
        /// USD-margined futures.
        UsdM = "usdm",
    }
}

words! {
    /// Which of the venue's worlds.
    Environment {
        /// Real money.
        Production = "production",
        /// The venue's own test network.
        Testnet = "testnet",
    }
}

words! {
    /// Which way orders go.
    OrderEntry {
        /// As messages over the venue's socket for orders, and by REST where that is not well.
        WebSocket = "websocket",
        Rest = "rest",
    }
}

words! {
    /// What an account of cross margin borrows by itself.
    MarginBorrow {
        /// Nothing: only an order that asks for it gets a loan.
        Never = "never",
        /// What an order lacks; what comes in repays it.
        Auto = "auto",
    }
}

impl MarginBorrow {
    /// Runs of before there was a choice.
    fn before() -> MarginBorrow {
        MarginBorrow::Never
    }
}

impl OrderEntry {
    /// The venue does not trade cross margin over its socket.
    fn of(profile: ProfileName) -> OrderEntry {
        if profile == ProfileName::Margin { OrderEntry::Rest } else { OrderEntry::WebSocket }
    }

    /// Runs of before there was a choice.
    fn before() -> OrderEntry {
        OrderEntry::Rest
    }
}

impl ProfileName {
    /// Whose markets are traded: margin accounts trade on spot's.
    pub fn market(self) -> ProfileName {
        match self {
            ProfileName::Spot | ProfileName::Margin => ProfileName::Spot,
            ProfileName::UsdM => ProfileName::UsdM,
        }
    }
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Profile {
        match name {
            ProfileName::Spot => Profile::Spot,
            ProfileName::Margin => Profile::Margin,
            ProfileName::UsdM => Profile::UsdM,
        }
    }
}

impl From<Profile> for ProfileName {
    fn from(profile: Profile) -> ProfileName {
        match profile {
            Profile::Spot => ProfileName::Spot,
            Profile::Margin => ProfileName::Margin,
            Profile::UsdM => ProfileName::UsdM,
        }
    }
}

/// An account at a venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueAccount {
    pub profile: ProfileName,
    pub environment: Environment,
    /// In place of the environment's own addresses.
    pub base_url: Option<Address>,
    pub ws_url: Option<Address>,
    pub ws_api_url: Option<Address>,
    /// Where the spot host of a USD-M account is: it alone tells what a key may do.
    pub sapi_url: Option<Address>,
    /// How long a signed request may travel.
    #[serde(with = "super::values::as_span")]
    pub recv_window: Nanos,
    #[serde(default = "OrderEntry::before")]
    pub order_entry: OrderEntry,
    /// Cross margin only.
    #[serde(default = "MarginBorrow::before")]
    pub margin_borrow: MarginBorrow,
    /// Not journaled: it may hold a password.
    #[serde(skip)]
    pub proxy: Option<ProxyAddress>,
    /// Certificates to trust besides the well-known ones, PEM.
    pub extra_ca: Option<PathBuf>,
    /// What its key is called in the secrets.
    pub key: String,
}

impl VenueAccount {
    /// Binance itself, with a key of the account's name.
    pub fn binance(profile: ProfileName, key: &str) -> VenueAccount {
        VenueAccount {
            profile,
            environment: Environment::Production,
            base_url: None,
            ws_url: None,
            ws_api_url: None,
            sapi_url: None,
            recv_window: Nanos::from_secs(5),
            order_entry: OrderEntry::of(profile),
            margin_borrow: MarginBorrow::Never,
            proxy: None,
            extra_ca: None,
            key: key.into(),
        }
    }

    /// The addresses that count. With a REST address of one's own and no others, the sockets are expected on the same
    /// host, as a twin has them.
    pub fn hosts(&self) -> Result<Hosts, ConfigError> {
        let profile = Profile::from(self.profile);
        let known = match self.environment {
            Environment::Production => Some(Hosts::production(profile)),
            Environment::Testnet => Hosts::test_network(profile),
        };
        let mut hosts = match (known, &self.base_url) {
            (Some(hosts), _) => hosts,
            (None, Some(url)) => Hosts { rest: url.text().into(), streams: String::new(), ws_api: String::new() },
            (None, None) => {
                let message = format!("the test network has no {profile}");
                return Err(ConfigError::new(
                    message,
                    "use profile spot or usdm there, or practise on `ctos twin binance`",
                ));
            }
        };
        if let Some(url) = &self.base_url {
            let socket = url.socket();
            let api = if profile == Profile::UsdM { "/ws-fapi/v1" } else { "/ws-api/v3" };
            hosts = Hosts { rest: url.text().into(), ws_api: format!("{socket}{api}"), streams: socket };
        }
        if let Some(url) = &self.ws_url {
            hosts.streams = url.socket();
        }
        if let Some(url) = &self.ws_api_url {
            hosts.ws_api = url.text().into();
        }
        Ok(hosts)
    }

    /// Where `/sapi` is answered: what a key may do is told nowhere else. `None` where nobody does.
    pub fn sapi(&self) -> Option<String> {
        if let Some(url) = &self.sapi_url {
            return Some(url.text().into());
        }
        match (&self.base_url, self.environment, self.profile) {
            (Some(url), _, ProfileName::Spot | ProfileName::Margin) => Some(url.text().into()),
            (Some(url), ..) if url.is_loopback() => None,
            (_, Environment::Testnet, _) => None,
            _ => Some(Hosts::production(Profile::Spot).rest),
        }
    }

    /// Whether it borrows what its orders lack.
    pub fn borrows(&self) -> bool {
        (self.profile, self.margin_borrow) == (ProfileName::Margin, MarginBorrow::Auto)
    }

    /// Whether it is on this very machine: a twin.
    pub fn is_here(&self) -> bool {
        self.base_url.as_ref().is_some_and(Address::is_loopback)
    }

    /// Whether real money is behind it: everything but a test network and this very machine.
    pub fn is_real(&self) -> bool {
        self.environment == Environment::Production && !self.is_here()
    }
}

/// A base address: `https://host`, `wss://host:9443`; without encryption only to this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Without a slash at the end.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        if let Some(inner) = authority.strip_prefix('[') {
            return inner.split(']').next().unwrap_or_default();
        }
        authority.split(':').next().unwrap_or_default()
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The same as an address of sockets.
    fn socket(&self) -> String {
        match self.0.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}"),
            Some(("https", rest)) => format!("wss://{rest}"),
            _ => self.0.clone(),
        }
    }
}

impl FromStr for Address {
    type Err = Expected;
    fn from_str(text: &str) -> Result<Address, Expected> {
        let bad = || {
            expected("an https:// or wss:// address (http:// and ws:// only for 127.0.0.1)", "https://api.binance.com")
        };
        let address = Address(text.trim_end_matches('/').into());
        let (scheme, rest) = address.0.split_once("://").ok_or_else(bad)?;
        let plain = rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'@' | b'?' | b'#' | b'"'));
        let secure = matches!(scheme, "https" | "wss");
        let local = matches!(scheme, "http" | "ws") && address.is_loopback();
        if plain && !address.host().is_empty() && (secure || local) { Ok(address) } else { Err(bad()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
serde_as_text!(Address);

impl Show for Address {
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A proxy. Its user and password are secrets: `Debug` and [`Show`] leave them out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(ctos_link::dial::Proxy);

impl ProxyAddress {
    pub fn proxy(&self) -> &ctos_link::dial::Proxy {
        &self.0
    }
}

impl FromStr for ProxyAddress {
    type Err = Expected;
    fn from_str(text: &str) -> Result<ProxyAddress, Expected> {
        let bad =
            |_| expected("a proxy as http://, https:// or socks5:// with host and port", "socks5://127.0.0.1:1080");
        text.parse().map(ProxyAddress).map_err(bad)
    }
}

impl Show for ProxyAddress {
    fn show(&self) -> String {
        format!("{}:{}", self.0.host(), self.0.port())
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where an account is; `None` on paper.
pub(super) fn read(s: &Section, id: &str) -> Result<Option<VenueAccount>, ConfigError> {
    match s.read("venue", VenueName::Paper, str::parse)? {
        VenueName::Paper => {
            only_of(s, keys::AT_VENUE, "an account at a venue", "add venue: binance")?;
            Ok(None)
        }
        VenueName::Binance => {
            only_of(s, keys::ON_PAPER, "an account on paper", "the venue tells it: leave it out")?;
            at_binance(s, id).map(Some)
        }
    }
}

/// Keys that say nothing where the account is are a mistake.
fn only_of(s: &Section, foreign: &[&str], whose: &str, hint: &str) -> Result<(), ConfigError> {
    match foreign.iter().find_map(|key| Some((key, s.node(key)?))) {
        None => Ok(()),
        Some((key, node)) => {
            let message = format!("{}: {}: is for {whose} only", node.origin, s.path(key));
            Err(ConfigError::new(message, hint))
        }
    }
}

fn at_binance(s: &Section, id: &str) -> Result<VenueAccount, ConfigError> {
    let profile = match s.node("profile") {
        Some(_) => s.read("profile", ProfileName::Spot, str::parse)?,
        None => return Err(missing(s, "profile", s.node("venue"), "usdm (or spot, margin)")),
    };
    let account = VenueAccount {
        profile,
        environment: s.read("environment", Environment::Production, str::parse)?,
        base_url: s.read_opt("base_url", str::parse)?,
        ws_url: s.read_opt("ws_url", str::parse)?,
        ws_api_url: s.read_opt("ws_api_url", str::parse)?,
        sapi_url: s.read_opt("sapi_url", str::parse)?,
        recv_window: s.read("recv_window", Nanos::from_secs(5), span(Nanos::from_millis(100), Nanos::from_secs(60)))?,
        order_entry: s.read("order_entry", OrderEntry::of(profile), str::parse)?,
        margin_borrow: s.read("margin_borrow", MarginBorrow::Never, str::parse)?,
        proxy: proxy(s)?,
        extra_ca: s.read_opt("extra_ca", path)?.map(Into::into),
        key: s.read("key", id.to_owned(), name)?,
    };
    if (profile, account.order_entry) == (ProfileName::Margin, OrderEntry::WebSocket) {
        let origin = s.node("order_entry").map_or(&Origin::Default, |n| &n.origin);
        let message = format!("{origin}: {}: the venue takes no orders of cross margin there", s.path("order_entry"));
        return Err(ConfigError::new(message, "leave it out: they go by REST"));
    }
    if let (ProfileName::Spot | ProfileName::UsdM, Some(node)) = (profile, s.node("margin_borrow")) {
        let message = format!("{}: {}: only cross margin borrows", node.origin, s.path("margin_borrow"));
        return Err(ConfigError::new(message, "write profile: margin, or leave it out"));
    }
    // Whether there is such a place at all.
    account.hosts().map_err(|e| {
        let origin = s.node("environment").map_or(&Origin::Default, |n| &n.origin);
        ConfigError::new(format!("{origin}: {}: {}", s.path("environment"), e.message), e.hint)
    })?;
    Ok(account)
}

pub(super) fn proxy(s: &Section) -> Result<Option<ProxyAddress>, ConfigError> {
    s.read_opt("proxy", str::parse).map_err(|error| match s.node("proxy") {
        // The address may hold a password even where it is not a valid one.
        Some(node) => {
            let message =
                format!("{}: {}: expected a proxy as http://, https:// or socks5://", node.origin, s.path("proxy"));
            ConfigError::new(message, error.hint)
        }
        None => error,
    })
}
