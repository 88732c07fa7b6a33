//! One file for each group of commands.

pub mod account;
pub mod backtest;
pub mod bench;
pub mod call;
pub mod completions;
pub mod config;
pub mod confirm;
pub mod data;
pub mod doctor;
pub mod history;
pub mod look;
pub mod parity;
pub mod record;
pub mod replay;
pub mod run;
pub mod strategies;
pub mod summary;
pub mod sweep;
pub mod switch;
pub mod twin;
