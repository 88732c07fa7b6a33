//! What an exchange does: matching, queue and latency models, accounts, margin, funding, fees, and where its market comes from.
//! Never: a wire format, a clock, I/O.

pub mod config;
pub mod exchange;
pub mod latency;
pub mod source;
pub mod synthetic;
pub mod tape;

pub use config::{
    AccountConfig, BorrowConfig, ConfigError, ExchangeConfig, FeeCurrency, FeeRates, FeeSchedule, FeeTier, QueueModel,
    SelfTradePrevention,
};
pub use exchange::{Exchange, LeverageError, Margin, OpenOrder, Private};
pub use latency::{Latency, LatencyConfig, LatencyError, LatencyModel};
pub use source::{MarketSource, SourceTimes};
pub use synthetic::{SyntheticConfig, SyntheticError, SyntheticMarket};
pub use tape::{Tape, TapeBuilder};
