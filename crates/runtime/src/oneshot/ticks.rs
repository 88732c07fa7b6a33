//! `subscribe_ticks`: one line of JSON for each change of best bid and ask and each trade.
//! Never: ends by itself.

use super::{Args, access, at_venue, shapes};
use crate::UserError;
use crate::config::Settings;
use ctos_driver_binance::client::{Blocking, Tick};
use ctos_link::Time;
use ctos_link::dial::Dialer;
use ctos_types::{Instrument, Nanos, UnixNanos};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn subscribe(
    settings: &Settings,
    account: usize,
    client: &mut Blocking,
    args: &Args,
    time: Arc<dyn Time>,
    line: &mut (dyn FnMut(&Value) -> bool + Send),
) -> Result<(), UserError> {
    let venue = at_venue(settings, account)?;
    let symbol = args.required("symbol")?;
    client.load(Some(symbol))?;
    let way = access(&settings.accounts[account].id, venue, None, 1)?;
    let dialer = Dialer::new(&way.extra_roots, way.proxy, Nanos::from_secs(10));
    let dialer = dialer.map_err(|e| UserError::new(e.to_string(), e.hint()))?;
    let streams = venue.hosts()?.streams;
    let i = client.client.find(symbol)?.clone();
    let mut each = |tick: Tick| line(&tick_line(&i, &tick, time.wall()));
    Ok(client.wait(client.client.ticks(&streams, &dialer, i.id, &mut each))?)
}

fn tick_line(i: &Instrument, tick: &Tick, now: UnixNanos) -> Value {
    let symbol = i.symbol.as_str();
    match tick {
        Tick::Quote { quote, ts_event } => json!({
            "type": "quote",
            "symbol": symbol,
            "bid": shapes::number(i.price_decimal(quote.bid_px)),
            "bid_size": shapes::number(i.qty_decimal(quote.bid_qty)),
            "ask": shapes::number(i.price_decimal(quote.ask_px)),
            "ask_size": shapes::number(i.qty_decimal(quote.ask_qty)),
            "ts": ts_event.map_or(Value::Null, shapes::ms),
            "ts_recv": shapes::ms(now),
        }),
        Tick::Trade { trade, ts_event } => json!({
            "type": "trade",
            "symbol": symbol,
            "price": shapes::number(i.price_decimal(trade.price)),
            "size": shapes::number(i.qty_decimal(trade.qty)),
            "side": shapes::side(trade.aggressor),
            "id": trade.id,
            "ts": shapes::ms(*ts_event),
            "ts_recv": shapes::ms(now),
        }),
        Tick::Gap { why } => json!({ "type": "gap", "symbol": symbol, "why": why, "ts_recv": shapes::ms(now) }),
    }
}
