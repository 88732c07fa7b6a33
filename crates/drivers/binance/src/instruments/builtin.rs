//! Filters of the main USDT instruments, so that a capture can be replayed without an instrument file.
//! Never: the truth for live trading: filters change, and there exchangeInfo is asked.

use super::{InstrumentList, parse_instruments};
use crate::symbols::{Product, venue_symbol};
use ctos_types::Instrument;
use std::sync::OnceLock;

/// A reply of exchangeInfo for each product, with the fields that matter. USD-M as of January 2026.
const TABLE: &str = include_str!("builtin.json");

/// All built-in instruments, spot first.
pub fn builtin_all() -> &'static [Instrument] {
    static LIST: OnceLock<InstrumentList> = OnceLock::new();
    &LIST.get_or_init(|| parse_instruments(TABLE).expect("the table in this crate is well-formed")).instruments
}

/// The built-in instrument of a venue symbol (`BTCUSDT`).
pub fn builtin(product: Product, symbol: &str) -> Option<&'static Instrument> {
    builtin_all().iter().find(|i| venue_symbol(i).is_some_and(|(p, s)| p == product && s == symbol))
}
