//! Init: configuration, the shard loop, recovery, watchdog, observers.

pub mod config;
