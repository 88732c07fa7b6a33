//! What an exchange does: matching, queue and latency models, accounts, margin, funding, fees, and where its market comes from.
//! Never: a wire format, a clock, I/O.

mod account;
mod bars;
pub mod config;
mod core;
pub mod exchange;
mod feed;
mod fees;
mod funds;
pub mod latency;
mod ledger;
mod liquidation;
mod market;
mod matching;
mod orders;
mod pairs;
mod place;
mod queue;
mod requests;
pub mod source;
pub mod synthetic;
pub mod tape;
mod triggers;
mod used_ids;

pub use config::{
    AccountConfig, BorrowConfig, ConfigError, ExchangeConfig, FeeCurrency, FeeRates, FeeSchedule, FeeTier, QueueModel,
    SelfTradePrevention,
};
pub use exchange::{Exchange, LeverageError, Margin, OpenOrder, Private, TransferError};
pub use latency::{Latency, LatencyConfig, LatencyError, LatencyModel};
pub use source::{MarketSource, SourceTimes};
pub use synthetic::{SyntheticConfig, SyntheticError, SyntheticMarket};
pub use tape::{Tape, TapeBuilder};
