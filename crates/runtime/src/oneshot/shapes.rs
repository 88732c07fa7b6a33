//! Answers in the unified shapes: the same fields whatever the venue. Numbers are exact decimal text, times are ms.
//! Never: a float.

use ctos_driver_binance::account::{AssetBalance, VenuePosition};
use ctos_driver_binance::client::Book;
use ctos_driver_binance::market::Kline;
use ctos_driver_binance::orders::{Owner, VenueOrder};
use ctos_driver_binance::rules::Rules;
use ctos_types::{
    Decimal, Instrument, InstrumentKind, Leg, Level, OrderKind, OrderStatus, Rounding, Side, TimeInForce, UnixNanos,
};
use serde_json::{Value, json};

/// A number as text without the zeros that say nothing.
pub fn number(value: Decimal) -> Value {
    Value::String(value.to_string())
}

pub fn opt(value: Option<Decimal>) -> Value {
    value.map_or(Value::Null, number)
}

pub fn ms(at: UnixNanos) -> Value {
    if at == UnixNanos::MIN { Value::Null } else { json!(at.0.div_euclid(1_000_000)) }
}

pub fn inst_type(i: &Instrument) -> &'static str {
    match i.kind {
        InstrumentKind::Spot => "SPOT",
        InstrumentKind::Perpetual(_) => "PERP",
        InstrumentKind::Future { .. } => "FUTURE",
    }
}

pub fn limits(i: &Instrument, rules: Option<&Rules>, max_leverage: Option<u32>) -> Value {
    json!({
        "symbol": i.symbol.to_string(),
        "instType": inst_type(i),
        "price_precision": number(i.price_decimal(i.tick)),
        "size_precision": number(i.qty_decimal(i.lot)),
        "min_order_size": number(i.qty_decimal(i.min_qty)),
        "max_order_size": number(i.qty_decimal(i.max_qty)),
        "min_notional": number(i.min_notional),
        "contract_value": number(i.contract_value),
        "max_leverage": max_leverage,
        "state": rules.map_or("TRADING", |r| r.status.as_str()),
        "order_types": rules.map(|r| r.order_types.clone()).unwrap_or_default(),
    })
}

fn levels(i: &Instrument, side: &[Level]) -> Value {
    side.iter().map(|l| json!([number(i.price_decimal(l.price)), number(i.qty_decimal(l.qty))])).collect()
}

pub fn book(i: &Instrument, book: &Book) -> Value {
    json!({
        "symbol": i.symbol.to_string(),
        "bids": levels(i, &book.bids),
        "asks": levels(i, &book.asks),
        "update_id": book.update_id,
        "ts": book.ts_event.map_or(Value::Null, ms),
    })
}

pub fn kline(i: &Instrument, k: &Kline) -> Value {
    let px = |p| number(i.price_decimal(p));
    json!({
        "trade_date": ms(k.open_time),
        "open": px(k.open),
        "high": px(k.high),
        "low": px(k.low),
        "close": px(k.close),
        "vol1": number(k.volume),
        "vol": number(k.quote_volume),
        "is_closed": k.closed,
    })
}

pub fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// Every end and every life of an order in one word each.
pub fn status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Denied => "denied",
        OrderStatus::PendingNew | OrderStatus::New => "new",
        OrderStatus::PartiallyFilled => "partially_filled",
        OrderStatus::Filled => "filled",
        OrderStatus::Canceled => "canceled",
        OrderStatus::Rejected => "rejected",
        OrderStatus::Expired => "expired",
        OrderStatus::Unknown => "unknown",
    }
}

pub fn kind_word(kind: Option<OrderKind>, post_only: bool) -> &'static str {
    match kind {
        None => "liquidation",
        Some(OrderKind::Market) => "market",
        Some(OrderKind::Limit { .. }) if post_only => "post_only",
        Some(OrderKind::Limit { .. }) => "limit",
        Some(OrderKind::StopMarket { .. }) => "stop_market",
        Some(OrderKind::StopLimit { .. }) => "stop_limit",
        Some(OrderKind::TakeProfitMarket { .. }) => "take_profit_market",
        Some(OrderKind::TakeProfitLimit { .. }) => "take_profit_limit",
        Some(OrderKind::TrailingStop { .. }) => "trailing_stop",
    }
}

fn leg(leg: Leg) -> &'static str {
    match leg {
        Leg::Net => "net",
        Leg::Long => "long",
        Leg::Short => "short",
    }
}

pub fn order(i: &Instrument, o: &VenueOrder) -> Value {
    let trigger = match o.kind {
        Some(
            OrderKind::StopMarket { trigger }
            | OrderKind::StopLimit { trigger, .. }
            | OrderKind::TakeProfitMarket { trigger }
            | OrderKind::TakeProfitLimit { trigger, .. },
        ) => Some(trigger),
        Some(OrderKind::TrailingStop { activation, .. }) => activation,
        _ => None,
    };
    let client = match &o.owner {
        Owner::Ours(client) => client.to_string(),
        Owner::Foreign(text) => text.to_string(),
    };
    json!({
        "orderId": o.venue_order_id.to_string(),
        "clientId": client,
        "symbol": i.symbol.to_string(),
        "side": side(o.side),
        "orderType": kind_word(o.kind, o.post_only),
        "price": opt(o.kind.and_then(|k| k.limit_price()).map(|p| i.price_decimal(p))),
        "trigger": opt(trigger.map(|p| i.price_decimal(p))),
        "quantity": number(i.qty_decimal(o.qty)),
        "filledQuantity": number(i.qty_decimal(o.cum_qty)),
        "avgPrice": opt(o.avg_px(i.qty_decimals)),
        "status": status(o.status),
        "timeInForce": match o.tif {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
            TimeInForce::Gtd(_) => "GTD",
        },
        "postOnly": o.post_only,
        "reduceOnly": o.reduce_only,
        "conditional": o.conditional,
        "leg": leg(o.leg),
        "updatedAt": ms(o.ts_event),
    })
}

pub fn balance(b: &AssetBalance) -> Value {
    json!({
        "currency": b.currency.to_string(),
        "total": number(b.balance.total),
        "available": number(b.available),
        "hold": number(b.balance.hold),
        "borrowed": number(b.balance.borrowed),
        "interest": number(b.balance.interest),
    })
}

pub fn position(i: &Instrument, p: &VenuePosition) -> Value {
    let qty = i.qty_decimal(p.qty.abs());
    let notional = p.mark_px.mul(qty, Rounding::HalfEven).ok();
    json!({
        "symbol": i.symbol.to_string(),
        "side": if p.qty.0 > 0 { "long" } else { "short" },
        "leg": leg(p.leg),
        "quantity": number(qty),
        "quantityUSD": opt(notional),
        "entryPrice": number(p.entry_px),
        "markPrice": number(p.mark_px),
        "pnlUnrealized": number(p.unrealized),
        "leverage": p.leverage,
        "liquidationPrice": opt(p.liquidation_px),
        "marginType": p.margin_type.map(|m| match m {
            ctos_driver_binance::account::MarginType::Cross => "cross",
            ctos_driver_binance::account::MarginType::Isolated => "isolated",
        }),
        "ts": p.ts_event.map_or(Value::Null, ms),
    })
}
