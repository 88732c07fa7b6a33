//! Syscalls carried out at the venue, through a client.
//! Never: an order that the account's limits or a halt forbid.

use super::orders::{new_order, price, size_of};
use super::{Args, Intents, shapes};
use crate::UserError;
use crate::config::RiskLimits;
use ctos_driver_binance::Profile;
use ctos_driver_binance::account::VenuePosition;
use ctos_driver_binance::client::{Client, CloseMode, OrderName};
use ctos_driver_binance::market::KlineInterval;
use ctos_types::{Decimal, Instrument, InstrumentId, Leg, NewOrder, OrderKind, OrderQty, Rounding, Side};
use serde_json::{Value, json};

/// What stands between a one-shot order and the venue when no instance with its gates runs.
#[derive(Clone, Debug)]
pub struct Bounds<'a> {
    /// The account's name, for the intent.
    pub account: &'a str,
    pub limits: &'a RiskLimits,
    /// Why no new risk may be taken on: a latched halt, with what releases it.
    pub halted: Option<UserError>,
}

/// Carries out one syscall. `client` loads the instruments that it needs.
pub async fn run(
    client: &mut Client,
    args: &Args,
    bounds: &Bounds<'_>,
    intents: &mut dyn Intents,
) -> Result<Value, UserError> {
    if args.syscall.risks
        && let Some(halted) = &bounds.halted
    {
        return Err(halted.clone());
    }
    if client.instruments().is_empty() {
        let one = args.syscall.params.iter().any(|p| p.name == "symbol").then(|| args.text("symbol")).flatten();
        client.load(one).await?;
    }
    let client = &*client;
    match args.syscall.name {
        "symbols" => Ok(client.instruments().iter().map(|i| i.symbol.to_string()).collect()),
        "exchange_limits" => exchange_limits(client, args).await,
        "fees" => fees(client, args).await,
        "get_price_now" => {
            let i = symbol(client, args)?;
            Ok(shapes::number(i.price_decimal(client.price(i.id).await?)))
        }
        "get_orderbook" => {
            let i = symbol(client, args)?;
            let level = args.value("level", "a whole number from 1 to 5000", 50u32)?.clamp(1, 5_000);
            Ok(shapes::book(i, &client.book(i.id, level).await?))
        }
        "get_klines" => klines(client, args).await,
        "place_order" => place(client, args, bounds, intents).await,
        "amend_order" => amend(client, args, bounds, intents).await,
        "revoke_order" => {
            let (i, name) = (symbol(client, args)?, order_name(args)?);
            Ok(shapes::order(i, &client.cancel(i.id, name).await?))
        }
        "cancel_all" => {
            let sweep = client.cancel_all(maybe_symbol(client, args)?).await?;
            Ok(json!({ "ok": true, "found": sweep.found, "symbols": sweep.symbols }))
        }
        "get_open_orders" => {
            let orders = client.open_orders(maybe_symbol(client, args)?).await?;
            Ok(orders.iter().map(|o| shapes::order(client.instruments().get(o.instrument), o)).collect())
        }
        "get_order_status" => {
            let (i, name) = (symbol(client, args)?, order_name(args)?);
            Ok(shapes::order(i, &client.known_order(i.id, name).await?))
        }
        "fetch_balance" => balance(client, args).await,
        "get_position" => {
            let (positions, _) = wanted_positions(client, args).await?;
            Ok(positions.iter().map(|p| shapes::position(client.instruments().get(p.instrument), p)).collect())
        }
        "close_all_positions" => close_all(client, args, bounds, intents).await,
        other => Err(UserError::new(format!("{other} is not a question with one answer"), "use the command line")),
    }
}

fn symbol<'a>(client: &'a Client, args: &Args) -> Result<&'a Instrument, UserError> {
    Ok(client.find(args.required("symbol")?)?)
}

fn maybe_symbol(client: &Client, args: &Args) -> Result<Option<InstrumentId>, UserError> {
    args.text("symbol").map(|text| Ok(client.find(text)?.id)).transpose()
}

fn order_name(args: &Args) -> Result<OrderName, UserError> {
    Ok(args.required("order_id")?.parse::<OrderName>()?)
}

async fn exchange_limits(client: &Client, args: &Args) -> Result<Value, UserError> {
    let of = |i: &Instrument, leverage| shapes::limits(i, client.rules(i.id), leverage);
    let Some(text) = args.text("symbol") else {
        return Ok(client.instruments().iter().map(|i| of(i, None)).collect());
    };
    let i = client.find(text)?;
    // Leverage is told to accounts only; without a key it stays unknown.
    let brackets = if client.profile() == Profile::UsdM { client.brackets(i.id).await.ok() } else { None };
    let leverage = brackets.and_then(|b| b.iter().map(|b| b.max_leverage).max());
    Ok(of(i, leverage))
}

async fn fees(client: &Client, args: &Args) -> Result<Value, UserError> {
    let i = symbol(client, args)?;
    let mut out = json!({ "symbol": i.symbol.to_string(), "instType": shapes::inst_type(i) });
    if client.profile() == Profile::UsdM {
        let premium = client.premium(i.id).await?;
        let hours = client.funding_hours(i).await?;
        let hourly = premium.mark.funding_rate.mul_ratio(1, i64::from(hours), Rounding::HalfEven).ok();
        out["fundingRate_hourly"] = shapes::opt(hourly);
        out["fundingRate_period"] = shapes::number(premium.mark.funding_rate);
        out["period_hours"] = json!(hours);
        out["fundingTime"] = shapes::ms(premium.mark.next_funding);
    }
    match client.fees(i.id).await {
        Ok(rates) => {
            out["maker"] = shapes::number(rates.maker);
            out["taker"] = shapes::number(rates.taker);
        }
        // What the account pays is an extra; without a key it is not told.
        Err(failure) if failure.refusal().is_none() && client.profile() == Profile::UsdM => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(out)
}

async fn klines(client: &Client, args: &Args) -> Result<Value, UserError> {
    let i = symbol(client, args)?;
    let text = args.text("timeframe").unwrap_or("1h");
    let interval: KlineInterval = text.parse().map_err(|e: String| args.wrong(e))?;
    let limit = args.value("limit", "a whole number from 1 to 1000", 200u32)?;
    if !(1..=1_000).contains(&limit) {
        return Err(args.wrong(format!("limit is a whole number from 1 to 1000, not {limit}")));
    }
    let span = (args.time("start_time")?, args.time("end_time")?);
    let rows = client.klines(i.id, interval, span, limit).await?;
    Ok(rows.iter().map(|k| shapes::kline(i, k)).collect())
}

async fn balance(client: &Client, args: &Args) -> Result<Value, UserError> {
    let all = client.balances().await?;
    match args.text("currency").filter(|c| !matches!(*c, "ALL" | "*")) {
        None => Ok(all.iter().map(shapes::balance).collect()),
        Some(currency) => {
            let of = all.iter().find(|b| b.currency.as_str().eq_ignore_ascii_case(currency));
            Ok(shapes::number(of.map_or(Decimal::ZERO, |b| b.balance.total)))
        }
    }
}

/// Positions that the arguments mean, and the names of those on symbols that ctos does not know.
async fn wanted_positions(client: &Client, args: &Args) -> Result<(Vec<VenuePosition>, Vec<String>), UserError> {
    let only = maybe_symbol(client, args)?;
    let (mut positions, others) = client.positions().await?;
    positions.retain(|p| only.is_none_or(|id| p.instrument == id));
    Ok((positions, others))
}

async fn close_all(
    client: &Client,
    args: &Args,
    bounds: &Bounds<'_>,
    intents: &mut dyn Intents,
) -> Result<Value, UserError> {
    let offset = args.value("price_offset", "a fraction such as 0.0005", Decimal::new(5, 4))?;
    if offset.is_negative() || offset >= Decimal::ONE {
        return Err(args.wrong(format!("price_offset is a fraction from 0 to 1, not {offset}")));
    }
    let mode = args.word("mode", &[("market", CloseMode::Market), ("limit", CloseMode::Limit { offset })])?;
    let long = args.word("side", &[("long", true), ("short", false)])?;
    let good = args.word("is_good", &[("true", true), ("false", false)])?;
    let (mut positions, others) = wanted_positions(client, args).await?;
    positions.retain(|p| long.is_none_or(|long| (p.qty.0 > 0) == long));
    positions.retain(|p| good.is_none_or(|good| p.unrealized.is_positive() == good));
    let (mut closed, mut unclosed) = (Vec::new(), Vec::new());
    for position in &positions {
        let i = client.instruments().get(position.instrument);
        let id = intents.record(bounds.account, args)?;
        match client.close(position, mode.unwrap_or(CloseMode::Market), id).await {
            Ok(order) => closed.push(shapes::order(i, &order)),
            // The others are tried all the same.
            Err(failure) => unclosed.push(json!({
                "symbol": i.symbol.to_string(),
                "clientId": id.to_string(),
                "error": failure.to_string(),
                "hint": failure.hint(),
            })),
        }
    }
    if args.text("symbol").is_none() && long.is_none() && good.is_none() {
        let hint = "close it on the venue's own page: ctos does not know this contract";
        unclosed.extend(others.iter().map(|s| json!({ "symbol": s, "error": "unknown contract", "hint": hint })));
    }
    Ok(json!({ "closed": closed, "unclosed": unclosed }))
}

async fn place(
    client: &Client,
    args: &Args,
    bounds: &Bounds<'_>,
    intents: &mut dyn Intents,
) -> Result<Value, UserError> {
    let i = symbol(client, args)?;
    let order = new_order(args, i)?;
    // What the venue's words refuse is refused before the intent is written.
    client.desk().place(&order).map_err(|e| UserError::from(ctos_driver_binance::client::Failure::from(e)))?;
    worth_sending(i, &order)?;
    within(client, i, &order, bounds.limits).await?;
    let order = NewOrder { account: client.desk().account, cl_ord_id: intents.record(bounds.account, args)?, ..order };
    Ok(shapes::order(i, &client.place(&order).await?))
}

async fn amend(
    client: &Client,
    args: &Args,
    bounds: &Bounds<'_>,
    intents: &mut dyn Intents,
) -> Result<Value, UserError> {
    let (i, name) = (symbol(client, args)?, order_name(args)?);
    let px = args.positive("price")?.map(|px| price(args, i, "price", px)).transpose()?;
    let qty = args.positive("size")?.map(|size| size_of(args, i, size)).transpose()?;
    if px.is_none() && qty.is_none() {
        return Err(args.wrong("amend_order needs price or size"));
    }
    let now = client.known_order(i.id, name).await?;
    let as_it_will_be = NewOrder {
        side: now.side,
        kind: match (px, now.kind) {
            (Some(price), _) => OrderKind::Limit { price },
            (None, Some(kind)) => kind,
            (None, None) => OrderKind::Market,
        },
        qty: OrderQty::Size(qty.unwrap_or(now.qty)),
        reduce_only: now.reduce_only,
        ..blank(i)
    };
    within(client, i, &as_it_will_be, bounds.limits).await?;
    let fresh = intents.record(bounds.account, args)?;
    Ok(shapes::order(i, &client.amend(i.id, name, (px, qty), fresh).await?))
}

fn blank(i: &Instrument) -> NewOrder {
    use ctos_types::{AccountId, ClientOrderId, InstanceTag, Qty};
    NewOrder::new(
        AccountId(0),
        ClientOrderId { tag: InstanceTag(0), seq: 0 },
        i.id,
        Side::Buy,
        OrderKind::Market,
        OrderQty::Size(Qty::ZERO),
    )
}

/// The venue's own least, where the order alone tells it. Orders that only reduce are held to none.
fn worth_sending(i: &Instrument, order: &NewOrder) -> Result<(), UserError> {
    let (OrderKind::Limit { price }, OrderQty::Size(qty), false) = (order.kind, order.qty, order.reduce_only) else {
        return Ok(());
    };
    let Ok(worth) = i.notional(price, qty) else { return Ok(()) };
    // A leg may be closed whatever is left of it.
    if worth >= i.min_notional || order.leg != Leg::Net {
        return Ok(());
    }
    let least = i.min_notional;
    Err(UserError::new(
        format!("the order is worth {worth}, and {} takes none below {least}", i.symbol),
        format!("make it larger; `ctos call exchange_limits {}` shows what is taken", i.symbol),
    ))
}

/// The limits that need nothing but the order and the market's price. Those of positions and rates need an instance.
async fn within(client: &Client, i: &Instrument, order: &NewOrder, limits: &RiskLimits) -> Result<(), UserError> {
    let too = |what: String, key: &str| {
        let hint = format!("change the order, or risk.{key} in the settings if you mean it");
        Err(UserError::new(format!("denied by {key}: {what}"), hint))
    };
    let last = i.price_decimal(client.price(i.id).await?);
    let own = order.kind.limit_price().map(|px| i.price_decimal(px));
    let number = |e: ctos_types::NumberError| UserError::new(format!("the order's value: {e}"), "make it smaller");
    if let (Some(px), Some(bps)) = (own, limits.price_band_bps) {
        let away = px.checked_sub(last).map_err(number)?.abs();
        let allowed =
            last.mul(bps, Rounding::Down).and_then(|a| a.mul_ratio(1, 10_000, Rounding::Down)).map_err(number)?;
        if away > allowed {
            return too(format!("{px} is more than {bps} bps from the last price {last}"), "price_band_bps");
        }
    }
    let notional = match order.qty {
        OrderQty::Quote(amount) => amount,
        OrderQty::Size(qty) => {
            let size = i.qty_decimal(qty);
            if let Some(max) = limits.max_order_qty.filter(|max| size > *max) {
                return too(format!("a size of {size} is above {max}"), "max_order_qty");
            }
            if let Some(min) = limits.min_order_qty.filter(|min| size < *min) {
                return too(format!("a size of {size} is below {min}"), "min_order_qty");
            }
            i.notional_at(own.unwrap_or(last), qty).map_err(number)?
        }
    };
    if order.reduce_only {
        return Ok(());
    }
    if let Some(max) = limits.max_order_notional.filter(|max| notional > *max) {
        return too(format!("a value of {notional} is above {max}"), "max_order_notional");
    }
    if let Some(min) = limits.min_order_notional.filter(|min| notional < *min) {
        return too(format!("a value of {notional} is below {min}"), "min_order_notional");
    }
    Ok(())
}
