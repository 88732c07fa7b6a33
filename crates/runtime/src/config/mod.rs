//! Settings: defaults, then a YAML file, then `CTOS__SECTION__KEY` environment variables, then flags.
//! Never: reads a number through a float, prints a secret, or guesses at a key it does not know.
//!
//! Two stages. [`Layers`] collects raw text with where each piece came from; [`Settings::resolve`] turns it into one
//! typed value with every default applied and every rule checked.

mod keys;
mod layers;
mod live;
mod node;
mod resolve;
mod risk;
mod section;
mod settings;
mod values;
mod venue_account;
mod yaml;

pub use keys::SECTIONS;
pub(crate) use keys::nearest;
pub use layers::{Layers, read_file};
pub use live::product_of;
pub use node::Origin;
pub(crate) use node::{Node, Raw};
pub use risk::{LossLimit, RiskLimits, RiskSettings};
pub use section::Explained;
pub use settings::{
    AccountSettings, AlertSettings, ApiSettings, BorrowSettings, FeeSettings, JournalSettings, LatencySettings,
    LogFormat, LogLevel, LogSettings, MarketSetting, Mode, QueueSetting, SecretSettings, Settings, StpSetting,
    StrategySettings, SyncSetting, VenueSettings, WatchdogSettings, WebhookUrl,
};
pub use values::{Expected, LatencySetting, Speed, parse_span, span_text};
pub use venue_account::{
    Address, Environment, MarginBorrow, OrderEntry, ProfileName, ProxyAddress, VenueAccount, VenueName,
};
pub(crate) use yaml::parse as parse_yaml;

/// A setting that cannot be used: one line that says what and where, and one that says what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    pub message: String,
    /// What to try, without the `hint:` in front.
    pub hint: String,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { message: message.into(), hint: hint.into() }
    }
}

#[cfg(test)]
mod tests;
