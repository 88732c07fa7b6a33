//! Local servers that speak a venue's own protocol over the simulated exchange, and misbehave on command.
//!
//! [`Twin`] is the venue without sockets: requests, connections and time in, replies and frames out, the same for the
//! same inputs. [`server`] puts it on loopback ports. A twin is what drivers are judged by, so it shares no wire code
//! with any of them.
//! Never: a real venue, an address other than loopback unless asked, a driver's code.

mod absorb;
mod acts;
mod admin;
mod algo;
mod config;
mod conns;
mod deeds;
mod desk;
mod effects;
mod error;
mod faults;
mod feed;
mod filters;
mod halt;
mod house;
mod json;
mod klines;
mod known;
mod limits;
mod loans;
mod number;
mod numbered;
mod orders;
mod params;
mod public;
mod publish;
mod rest;
mod saved;
pub mod server;
mod sign;
mod spot_account;
mod spot_change;
mod spot_margin;
mod spot_market;
mod spot_trade;
mod streams;
mod symbols;
mod tell;
#[cfg(test)]
mod tests;
mod tickers;
mod twin;
mod usdm_account;
mod usdm_algo;
mod usdm_change;
mod usdm_market;
mod usdm_settings;
mod usdm_trade;
mod users;
mod wire;
mod ws;
mod ws_api;

pub use config::{AccountSetting, DEFAULT_HISTORY, KeySetting, LimitSettings, Product, TwinConfig, TwinError};
pub use conns::Outgoing;
pub use faults::{ErrorText, Fault, Place, Rule};
pub use saved::{Entry, Market, State};
pub use sign::KeyMaterial;
pub use symbols::synthetic_config;
pub use twin::Twin;
pub use wire::{ConnId, Frame, Manner, Reply, Request};
pub use ws::Upgrade;
