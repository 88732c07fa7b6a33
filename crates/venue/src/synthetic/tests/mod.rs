//! Tests of the synthetic market: its stream (`stream`), its state (`state`), its statistics (`facts`).

mod facts;
mod state;
mod stream;

use super::{SyntheticConfig, SyntheticMarket};
use crate::source::MarketSource;
use ctos_types::{EventBuf, UnixNanos};

fn market(seed: u64, symbols: &[&str]) -> SyntheticMarket {
    SyntheticMarket::new(SyntheticConfig::for_symbols(seed, symbols).unwrap()).unwrap()
}

/// Calls `see` with every event before `secs` of market time are over.
fn watch(market: &mut SyntheticMarket, secs: i64, mut see: impl FnMut(&EventBuf, UnixNanos)) {
    let mut event = EventBuf::default();
    let end = market.peek().unwrap() + ctos_types::Nanos::from_secs(secs);
    while market.peek().is_some_and(|t| t < end) {
        let times = market.next(&mut event).unwrap();
        see(&event, times.venue);
    }
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
