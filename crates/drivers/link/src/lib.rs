//! What every venue session needs, written once: rate accounting, server clock, back-off, sessions, order tracking,
//! reconciliation, and the thin HTTP and WebSocket shells around them.
//! Never: a venue's word (those are a driver's), a trading decision, or a clock inside a core: time is an argument.

pub mod backoff;
pub mod capture;
pub mod clock;
pub mod desk;
pub mod dial;
pub mod feed;
pub mod gateway;
pub mod http;
pub mod pace;
pub mod rate;
pub mod reconcile;
pub mod session;
pub mod staleness;
pub mod time;
pub mod tracker;
pub mod ws;

pub use time::{LinkTime, Time};

#[cfg(test)]
mod testnet;
