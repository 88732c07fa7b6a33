//! The resolved settings: what everything else reads. Every field is present and checked.
//! Never: raw text where a type says more; a secret in `Debug`, in `explain` or in the journal.

use super::ConfigError;
use super::risk::RiskSettings;
use super::section::Explained;
use super::values::{Expected, LatencySetting, Show, Speed, as_opt_span, as_span, expected, serde_as_text};
use super::venue_account::{ProfileName, VenueAccount};
use ctos_types::{Currency, Decimal, Nanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Everything a run needs to know. Serialises for the journal with amounts and spans as text, without secrets; read
/// back from there, [`Settings::explain`] is empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub mode: Mode,
    pub market: MarketSetting,
    /// Unified symbols to trade. Empty: everything in the recording.
    pub symbols: Vec<String>,
    pub speed: Speed,
    /// Market time after which the run ends; without it, it ends with the data or when stopped.
    #[serde(with = "as_opt_span")]
    pub duration: Option<Nanos>,
    /// Seeds the synthetic market and every random model.
    pub seed: u64,
    /// Where journals, snapshots and the database live.
    pub home: PathBuf,
    /// Definitions of the instruments of a recording; `None`: its own, or the built-in ones.
    #[serde(default)]
    pub instruments: Option<PathBuf>,
    /// Where a market that comes in as it happens is recorded; `None`: nowhere.
    #[serde(default)]
    pub record: Option<PathBuf>,
    /// At least one. An account's position here is its `AccountId`.
    pub accounts: Vec<AccountSettings>,
    /// A strategy's position here is its `StrategyId`.
    pub strategies: Vec<StrategySettings>,
    pub venue: VenueSettings,
    /// How public market data is reached that a run on paper trades on; `None` where it comes from elsewhere. What it is
    /// asked for with is in here as an account without a key.
    #[serde(default)]
    pub feed: Option<VenueAccount>,
    /// What only a run at real venues has.
    #[serde(default)]
    pub live: LiveSettings,
    pub risk: RiskSettings,
    pub journal: JournalSettings,
    pub api: ApiSettings,
    pub watchdog: WatchdogSettings,
    pub alerts: AlertSettings,
    pub log: LogSettings,
    /// Where keys are. Never journaled, as they are not.
    #[serde(skip)]
    pub secrets: SecretSettings,
    #[serde(skip)]
    pub(super) explained: Vec<Explained>,
}

/// Where API keys come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSettings {
    /// A file of keys; the usual places where it is not named.
    pub file: Option<PathBuf>,
    /// A program that prints the key of an account, with its arguments; `{key}` stands for what the key is called.
    pub command: Vec<String>,
}

impl Settings {
    /// An account by its id or by its position in the list, counted from 0.
    ///
    /// # Errors
    /// There is no such account. Never another one in its place.
    pub fn account(&self, named: &str) -> Result<(usize, &AccountSettings), ConfigError> {
        let by_id = || self.accounts.iter().position(|a| a.id == named);
        let by_place = || named.parse::<usize>().ok().filter(|n| *n < self.accounts.len());
        let at = by_id().or_else(by_place).ok_or_else(|| {
            let known: Vec<String> = self.accounts.iter().enumerate().map(|(n, a)| format!("{} ({n})", a.id)).collect();
            let message = format!("there is no account {}", super::node::quoted(named));
            ConfigError::new(message, format!("known accounts: {}", known.join(", ")))
        })?;
        Ok((at, &self.accounts[at]))
    }

    /// Every setting with its value and where it came from, in the order of the documentation.
    pub fn explain(&self) -> &[Explained] {
        &self.explained
    }
}

/// A fixed set of words, each with its text form.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl FromStr for $name {
            type Err = Expected;
            fn from_str(text: &str) -> Result<Self, Expected> {
                const WORDS: &[&str] = &[$($text),+];
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err(expected(WORDS.join(" or "), WORDS[0])),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $($name::$variant => $text),+ })
            }
        }

        impl Show for $name {
            fn show(&self) -> String {
                self.to_string()
            }
        }
        serde_as_text!($name);
    };
}
pub(super) use words;

words! {
    /// Whether money is real.
    Mode {
        /// Simulated money.
        Paper = "paper",
        /// Real money, at the venues of the accounts.
        Live = "live",
    }
}

words! {
    /// How a resting order's place in the queue is judged from recorded data.
    QueueSetting {
        /// Only trades at the order's price, and the level shrinking below what is ahead, move it forward.
        Conservative = "conservative",
        /// Cancels count in proportion to what is ahead.
        Proportional = "proportional",
    }
}

words! {
    /// What happens when an order would trade with another of the same account.
    StpSetting {
        CancelNewest = "cancel_newest",
        CancelOldest = "cancel_oldest",
        CancelBoth = "cancel_both",
    }
}

words! {
    /// What a journaled input survives.
    SyncSetting {
        /// Power loss: synced to the disk before a command leaves.
        Always = "always",
        /// A crash of this process: handed to the operating system before a command leaves.
        Os = "os",
        /// Nothing is promised.
        Off = "off",
    }
}

words! {
    /// The least severe message that is logged.
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
}

words! {
    /// How log lines look.
    LogFormat {
        /// Text on a terminal, JSON lines otherwise.
        Auto = "auto",
        Json = "json",
        Text = "text",
    }
}

/// Where the market comes from: `synthetic`, `replay:PATH`, `catalog:DIR`, or live: `binance`, `binance:spot`,
/// `binance:usdm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarketSetting {
    /// The seeded market inside the program.
    Synthetic,
    /// A recording; relative paths are relative to the working directory.
    Replay(PathBuf),
    /// A data catalog; relative paths are relative to the working directory.
    Catalog(PathBuf),
    /// What Binance tells everybody, as it happens. Without a product, the symbols say of which.
    Binance(Option<ProfileName>),
}

impl MarketSetting {
    /// Whether it comes in as it happens.
    pub fn is_live(&self) -> bool {
        matches!(self, MarketSetting::Binance(_))
    }
}

impl FromStr for MarketSetting {
    type Err = Expected;
    fn from_str(text: &str) -> Result<Self, Expected> {
        match text.split_once(':') {
            None if text == "synthetic" => Ok(MarketSetting::Synthetic),
            None if text == "binance" => Ok(MarketSetting::Binance(None)),
            Some(("binance", "spot")) => Ok(MarketSetting::Binance(Some(ProfileName::Spot))),
            Some(("binance", "usdm")) => Ok(MarketSetting::Binance(Some(ProfileName::UsdM))),
            Some(("replay", path)) if !path.is_empty() => Ok(MarketSetting::Replay(path.into())),
            Some(("catalog", path)) if !path.is_empty() => Ok(MarketSetting::Catalog(path.into())),
            _ => Err(expected(
                "synthetic, replay:PATH, catalog:DIR, binance, binance:spot or binance:usdm",
                "replay:capture.jsonl.gz",
            )),
        }
    }
}

impl fmt::Display for MarketSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MarketSetting::Synthetic => f.write_str("synthetic"),
            MarketSetting::Replay(path) => write!(f, "replay:{}", path.display()),
            MarketSetting::Catalog(path) => write!(f, "catalog:{}", path.display()),
            MarketSetting::Binance(None) => f.write_str("binance"),
            MarketSetting::Binance(Some(product)) => write!(f, "binance:{product}"),
        }
    }
}
serde_as_text!(MarketSetting);

impl Show for MarketSetting {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// One account: on the simulated exchange, or at a venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSettings {
    pub id: String,
    /// At a venue; `None`: on the simulated exchange, which alone uses balances, fees and borrowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<VenueAccount>,
    /// What it starts with; never negative.
    pub balances: BTreeMap<Currency, Decimal>,
    /// Leverage of derivatives: 1 to 125, further bounded by the instrument.
    pub leverage: Decimal,
    /// Long and short legs are kept apart.
    pub hedge_mode: bool,
    /// Replaces the instruments' own rates.
    pub fees: Option<FeeSettings>,
    /// Spot margin; without it nothing can be borrowed.
    pub borrow: Option<BorrowSettings>,
}

/// Shares of the traded value; a negative maker rate is a rebate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSettings {
    pub maker: Decimal,
    pub taker: Decimal,
}

/// Borrowing on spot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BorrowSettings {
    /// Assets over equity: above 1, at most 10.
    pub max_leverage: Decimal,
    /// Share of the borrowed amount charged each hour; 0 for a currency that is not named.
    pub interest_per_hour: BTreeMap<Currency, Decimal>,
}

/// One strategy process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategySettings {
    /// Its kind, for example `grid`.
    pub name: String,
    /// What it is called here; unique.
    pub id: String,
    /// Id of the account it trades on.
    pub account: String,
    /// As written; the strategy types and checks them.
    pub params: BTreeMap<String, String>,
}

/// The simulated exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueSettings {
    pub queue: QueueSetting,
    pub latency: LatencySettings,
    pub stp: StpSetting,
    /// How much worse than the bar's price a market order fills.
    pub bar_slippage_ticks: u32,
    /// How much worse still, in percent of the bar's range; limit orders need to be traded through by as much.
    #[serde(default)]
    pub bar_slippage_range_pct: u32,
    /// A bar that only touches a limit price fills it; otherwise it must trade through.
    pub bar_touch_fills: bool,
    /// Orders that rested pay on bars as takers, too.
    #[serde(default)]
    pub bar_taker_fees: bool,
}

/// How long messages take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySettings {
    /// Venue to us. A recording with its own receive times keeps them.
    pub feed: LatencySetting,
    /// Our request to the venue.
    pub order: LatencySetting,
    /// The venue's answer to us.
    pub response: LatencySetting,
}

/// A run at real venues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSettings {
    /// Real time after which a new run gives up whose accounts are still not known.
    #[serde(with = "as_span")]
    pub known_within: Nanos,
}

impl Default for LiveSettings {
    fn default() -> LiveSettings {
        LiveSettings { known_within: Nanos::from_secs(90) }
    }
}

/// The journal and its snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSettings {
    pub sync: SyncSetting,
    /// Size at which a new segment starts, in MiB.
    pub segment_mb: u64,
    /// At least 2, so that a damaged one has a predecessor.
    pub keep_snapshots: u32,
    /// Inputs from one snapshot to the next.
    pub snapshot_every: u64,
    /// Disk that the journal of a run may use, in MiB.
    pub max_mb: u64,
}

/// The control API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSettings {
    pub enabled: bool,
    /// A loopback address; port 0 takes any free one.
    pub bind: SocketAddr,
}

/// The watchdog outside the kernel thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogSettings {
    /// Real time without progress after which it halts.
    #[serde(with = "as_span")]
    pub timeout: Nanos,
}

/// Where alerts go besides the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSettings {
    /// Never journaled: whoever has the address can post to it.
    #[serde(skip)]
    pub webhook: Option<WebhookUrl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// An address that alerts are posted to. Its path is a secret: `Debug` and [`Show`] give the host only.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// The whole address, for the one place that posts to it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        host.rsplit('@').next().unwrap_or_default()
    }
}

impl FromStr for WebhookUrl {
    type Err = Expected;
    fn from_str(text: &str) -> Result<Self, Expected> {
        let bad = || expected("an http:// or https:// address", "https://hooks.example.com/ctos");
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        let url = WebhookUrl(text.into());
        let scheme = text.starts_with("https://") || text.starts_with("http://");
        if scheme && plain && !url.host().is_empty() { Ok(url) } else { Err(bad()) }
    }
}

impl Show for WebhookUrl {
    fn show(&self) -> String {
        format!("{}://{}/***", self.0.split(':').next().unwrap_or_default(), self.host())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}
