//! What an exchange does: matching, queue and latency models, accounts, margin, funding, fees, and where its market comes from.
//! Never: a wire format, a clock, I/O.

pub mod source;

pub use source::{MarketSource, SourceTimes};
