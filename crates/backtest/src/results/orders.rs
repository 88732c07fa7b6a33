//! Orders as cells, and back.
//! Never: keeps what only a kernel needs of an order (repeated execution ids, amends under way).

use super::cursor::{Cursor, parse_word, qty, word};
use super::rows::Names;
use super::table::{Cell, Column, Kind};
use ctos_kernel::Order;
use ctos_types::{Instrument, NewOrder, OrderKind, OrderQty, Price, Rounding, Text, TimeInForce};

pub const COLUMNS: &[Column] = &[
    ("order", Kind::Text, false),
    ("venue_order", Kind::Text, true),
    ("account", Kind::Text, false),
    ("strategy", Kind::Text, false),
    ("symbol", Kind::Text, false),
    ("side", Kind::Text, false),
    ("leg", Kind::Text, false),
    ("kind", Kind::Text, false),
    ("price", Kind::Decimal, true),
    ("trigger_price", Kind::Decimal, true),
    ("trigger_by", Kind::Text, false),
    ("callback_bps", Kind::Int, true),
    ("qty", Kind::Decimal, true),
    ("quote_amount", Kind::Decimal, true),
    ("time_in_force", Kind::Text, false),
    ("expires_at", Kind::Time, true),
    ("post_only", Kind::Bool, false),
    ("reduce_only", Kind::Bool, false),
    ("position_effect", Kind::Text, false),
    ("status", Kind::Text, false),
    ("size", Kind::Decimal, false),
    ("cum_qty", Kind::Decimal, false),
    ("cum_value", Kind::Decimal, false),
    ("avg_px", Kind::Decimal, true),
    ("triggered", Kind::Bool, false),
    ("created_at", Kind::Time, false),
    ("created_seq", Kind::Int, false),
    ("updated_at", Kind::Time, false),
    ("reject_reason", Kind::Text, true),
    ("reject_code", Kind::Text, true),
];

pub fn cells<'a>(n: &Names<'a>, o: &Order) -> Vec<Cell<'a>> {
    let r = &o.request;
    let i = n.instrument(r.instrument);
    let (kind, price, trigger, callback) = kind_cells(&r.kind);
    let (size, quote) = match r.qty {
        OrderQty::Size(q) => (Some(i.qty_decimal(q)), None),
        OrderQty::Quote(amount) => (None, Some(amount)),
    };
    let (tif, expires) = match r.tif {
        TimeInForce::Gtc => ("gtc", None),
        TimeInForce::Ioc => ("ioc", None),
        TimeInForce::Fok => ("fok", None),
        TimeInForce::Gtd(until) => ("gtd", Some(until)),
    };
    vec![
        o.id().to_string().into(),
        (!o.venue_order_id.is_empty()).then(|| o.venue_order_id.to_string()).into(),
        n.account(r.account).into(),
        n.strategy(r.strategy).into(),
        i.symbol.as_str().into(),
        word(r.side).into(),
        word(r.leg).into(),
        kind.into(),
        price.map(|p| i.price_decimal(p)).into(),
        trigger.map(|p| i.price_decimal(p)).into(),
        word(r.trigger_by).into(),
        callback.map(i64::from).into(),
        size.into(),
        quote.into(),
        tif.into(),
        expires.into(),
        r.post_only.into(),
        r.reduce_only.into(),
        word(r.position_effect).into(),
        word(o.status).into(),
        i.qty_decimal(o.size).into(),
        i.qty_decimal(o.cum_qty).into(),
        o.cum_value.into(),
        avg_px(i, o).into(),
        o.triggered.into(),
        o.created.into(),
        (o.created_seq as i64).into(),
        o.updated.into(),
        o.reject.map(|(reason, _)| word(reason)).into(),
        o.reject.map(|(_, code)| code.to_string()).into(),
    ]
}

/// Average price of the fills of a linear order or a spot order; an inverse contract's value says nothing about it.
fn avg_px(i: &Instrument, o: &Order) -> Option<ctos_types::Decimal> {
    if o.cum_qty.0 == 0 || i.is_inverse() {
        return None;
    }
    let unit = i.contract_value.mul(i.multiplier, Rounding::HalfEven).ok()?;
    let units = i.qty_decimal(o.cum_qty).mul(unit, Rounding::HalfEven).ok()?;
    o.cum_value.div(units, Rounding::HalfEven).ok()
}

fn kind_cells(kind: &OrderKind) -> (&'static str, Option<Price>, Option<Price>, Option<u32>) {
    match *kind {
        OrderKind::Market => ("market", None, None, None),
        OrderKind::Limit { price } => ("limit", Some(price), None, None),
        OrderKind::StopMarket { trigger } => ("stop_market", None, Some(trigger), None),
        OrderKind::StopLimit { trigger, price } => ("stop_limit", Some(price), Some(trigger), None),
        OrderKind::TakeProfitMarket { trigger } => ("take_profit_market", None, Some(trigger), None),
        OrderKind::TakeProfitLimit { trigger, price } => ("take_profit_limit", Some(price), Some(trigger), None),
        OrderKind::TrailingStop { callback_bps, activation } => ("trailing_stop", None, activation, Some(callback_bps)),
    }
}

fn read_kind(
    kind: &str,
    price: Option<Price>,
    trigger: Option<Price>,
    callback: Option<i64>,
) -> Result<OrderKind, String> {
    let has = |p: Option<Price>, what: &str| p.ok_or_else(|| format!("a {kind} order without a {what}"));
    Ok(match kind {
        "market" => OrderKind::Market,
        "limit" => OrderKind::Limit { price: has(price, "price")? },
        "stop_market" => OrderKind::StopMarket { trigger: has(trigger, "trigger")? },
        "stop_limit" => OrderKind::StopLimit { trigger: has(trigger, "trigger")?, price: has(price, "price")? },
        "take_profit_market" => OrderKind::TakeProfitMarket { trigger: has(trigger, "trigger")? },
        "take_profit_limit" => {
            OrderKind::TakeProfitLimit { trigger: has(trigger, "trigger")?, price: has(price, "price")? }
        }
        "trailing_stop" => {
            let callback_bps =
                callback.and_then(|c| u32::try_from(c).ok()).ok_or("a trailing stop without a distance")?;
            OrderKind::TrailingStop { callback_bps, activation: trigger }
        }
        other => return Err(format!("no order kind {other:?}")),
    })
}

pub fn read(n: &Names<'_>, c: &mut Cursor<'_>) -> Result<Order, String> {
    let cl_ord_id = c.opt_order()?.ok_or("an order without an id")?;
    let venue_order_id = Text::new(c.opt_text()?.unwrap_or_default()).map_err(|e| e.to_string())?;
    let (account, strategy, i) = (n.read_account(c)?, n.read_strategy(c)?, n.read_instrument(c)?);
    let (side, leg, kind) = (c.word()?, c.word()?, c.text()?);
    let (price, trigger, trigger_by) = (c.opt_price(i)?, c.opt_price(i)?, c.word()?);
    let kind = read_kind(kind, price, trigger, c.opt_int()?)?;
    let order_qty = match (c.opt_decimal()?, c.opt_decimal()?) {
        (Some(size), None) => OrderQty::Size(qty(i, size)?),
        (None, Some(amount)) => OrderQty::Quote(amount),
        _ => return Err("an order without a size, or with two".into()),
    };
    let tif = match (c.text()?, c.opt_time()?) {
        ("gtc", _) => TimeInForce::Gtc,
        ("ioc", _) => TimeInForce::Ioc,
        ("fok", _) => TimeInForce::Fok,
        ("gtd", Some(until)) => TimeInForce::Gtd(until),
        (other, _) => return Err(format!("no time in force {other:?}")),
    };
    let (post_only, reduce_only, position_effect) = (c.flag()?, c.flag()?, c.word()?);
    let (instrument, qty) = (i.id, order_qty);
    let request = NewOrder {
        account,
        strategy,
        cl_ord_id,
        instrument,
        side,
        kind,
        qty,
        tif,
        post_only,
        reduce_only,
        position_effect,
        leg,
        trigger_by,
        auto_borrow: None,
    };
    let (status, size, cum_qty, cum_value) = (c.word()?, c.qty(i)?, c.qty(i)?, c.decimal()?);
    c.skip()?;
    let (triggered, created, created_seq) = (c.flag()?, c.time()?, c.int::<i64>()? as u64);
    let mut order = Order::new(request, size, created).caused_by(created_seq);
    (order.status, order.venue_order_id, order.triggered) = (status, venue_order_id, triggered);
    (order.cum_qty, order.cum_value, order.updated) = (cum_qty, cum_value, c.time()?);
    order.reject = match (c.opt_text()?, c.opt_text()?) {
        (Some(reason), code) => {
            Some((parse_word(reason)?, Text::new(code.unwrap_or_default()).map_err(|e| e.to_string())?))
        }
        _ => None,
    };
    Ok(order)
}
