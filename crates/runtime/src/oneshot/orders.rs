//! From arguments to an order: types, options, sizes on the grid.
//! Never: rounds an order; what is off the grid is refused with the nearest size or price that is on it.

use super::Args;
use crate::UserError;
use crate::config::{AccountSettings, ProfileName};
use ctos_types::{
    AccountId, ClientOrderId, Decimal, Instrument, Leg, NewOrder, NumberError, OrderKind, OrderQty, PositionEffect,
    Price, Qty, Rounding, Side, StrategyId, TimeInForce, TriggerBy,
};

pub(super) const SIDES: &[(&str, Side)] =
    &[("buy", Side::Buy), ("sell", Side::Sell), ("bid", Side::Buy), ("ask", Side::Sell)];
pub(super) const TIMES_IN_FORCE: &[(&str, TimeInForce)] =
    &[("GTC", TimeInForce::Gtc), ("IOC", TimeInForce::Ioc), ("FOK", TimeInForce::Fok)];
pub(super) const TRIGGERS: &[(&str, TriggerBy)] = &[("last", TriggerBy::Last), ("mark", TriggerBy::Mark)];

/// Whether the arguments of `place_order` belong together, as far as that can be told without the instrument.
pub(super) fn check_shape(args: &Args) -> Result<(), UserError> {
    let word = args.required("order_type")?.to_lowercase();
    // Any price will do: whether it is on the grid is looked at later.
    let given = |name| Ok::<_, UserError>(args.positive(name)?.map(|_| Price(1)));
    let (kind, is_post_only) = kind(args, &word, given("price")?, given("trigger")?)?;
    if (args.truth("post_only", false)? || is_post_only) && !matches!(kind, OrderKind::Limit { .. }) {
        return Err(args.wrong(format!("a {word} order cannot be post-only")));
    }
    amounts(args, kind).map(drop)
}

/// What `place_order` asks for. Account and id are the caller's to fill in.
pub fn new_order(args: &Args, i: &Instrument) -> Result<NewOrder, UserError> {
    let side = args.word("side", SIDES)?;
    let side = side.ok_or_else(|| args.wrong("place_order needs side"))?;
    let price = args.positive("price")?.map(|px| price(args, i, "price", px)).transpose()?;
    let trigger = args.positive("trigger")?.map(|px| self::price(args, i, "trigger", px)).transpose()?;
    let word = args.required("order_type")?.to_lowercase();
    let (kind, is_post_only) = kind(args, &word, price, trigger)?;
    let post_only = args.truth("post_only", false)? || is_post_only;
    let tif = args.word("time_in_force", TIMES_IN_FORCE)?;
    if post_only && !matches!(kind, OrderKind::Limit { .. }) {
        return Err(args.wrong(format!("a {word} order cannot be post-only")));
    }
    let reduce_only = args.truth("reduce_only", false)?;
    let leg = args.word("leg", &[("long", Leg::Long), ("short", Leg::Short)])?.unwrap_or_default();
    Ok(NewOrder {
        account: AccountId(0),
        strategy: StrategyId::EXTERNAL,
        cl_ord_id: ClientOrderId { tag: ctos_types::InstanceTag(0), seq: 0 },
        instrument: i.id,
        side,
        kind,
        qty: quantity(args, i, kind)?,
        tif: tif.unwrap_or_default(),
        post_only,
        reduce_only,
        position_effect: if reduce_only && leg != Leg::Net { PositionEffect::Close } else { PositionEffect::Auto },
        leg,
        trigger_by: args.word("trigger_by", TRIGGERS)?.unwrap_or_default(),
        auto_borrow: args.word("auto_borrow", &[("true", true), ("false", false)])?,
    })
}

/// An order's word on loans says something only where there are any.
pub fn may_ask_for_loans(args: &Args, account: &AccountSettings) -> Result<(), UserError> {
    let lends = match &account.venue {
        Some(at) => at.profile == ProfileName::Margin,
        None => account.borrow.is_some(),
    };
    let is_order = args.syscall.params.iter().any(|p| p.name == "auto_borrow");
    if lends || !is_order || args.text("auto_borrow").is_none() {
        return Ok(());
    }
    let hint = match &account.venue {
        Some(_) => "leave it out, or name an account with profile: margin",
        None => "leave it out, or give the account a `borrow` section",
    };
    Err(UserError::new(format!("auto_borrow: nothing is lent to the account {}", account.id), hint))
}

fn kind(args: &Args, word: &str, price: Option<Price>, trigger: Option<Price>) -> Result<(OrderKind, bool), UserError> {
    let need = |px: Option<Price>, what: &str| px.ok_or_else(|| args.wrong(format!("a {word} order needs {what}")));
    let none = |px: Option<Price>, what: &str| match px {
        Some(_) => Err(args.wrong(format!("a {word} order has no {what}"))),
        None => Ok(()),
    };
    let callback = args.opt::<u32>("callback_bps", "a whole number of hundredths of a percent")?;
    if callback.is_some() && word != "trailing_stop" {
        return Err(args.wrong(format!("a {word} order has no callback_bps")));
    }
    Ok(match word {
        "market" => {
            none(price, "price")?;
            none(trigger, "trigger")?;
            (OrderKind::Market, false)
        }
        "limit" | "post_only" => {
            none(trigger, "trigger")?;
            (OrderKind::Limit { price: need(price, "price")? }, word == "post_only")
        }
        "stop_market" => {
            none(price, "price")?;
            (OrderKind::StopMarket { trigger: need(trigger, "trigger")? }, false)
        }
        "take_profit_market" => {
            none(price, "price")?;
            (OrderKind::TakeProfitMarket { trigger: need(trigger, "trigger")? }, false)
        }
        "stop_limit" => {
            (OrderKind::StopLimit { trigger: need(trigger, "trigger")?, price: need(price, "price")? }, false)
        }
        "take_profit_limit" => {
            (OrderKind::TakeProfitLimit { trigger: need(trigger, "trigger")?, price: need(price, "price")? }, false)
        }
        "trailing_stop" => {
            none(price, "price")?;
            let callback_bps = callback.ok_or_else(|| args.wrong("a trailing_stop order needs callback_bps"))?;
            (OrderKind::TrailingStop { callback_bps, activation: trigger }, false)
        }
        _ => {
            return Err(args.wrong(format!(
                "order_type is market, limit, post_only, stop_market, stop_limit, take_profit_market, take_profit_limit or \
                 trailing_stop, not {word:?}"
            )));
        }
    })
}

enum Amount {
    Size(Decimal),
    Quote(Decimal),
}

fn quantity(args: &Args, i: &Instrument, kind: OrderKind) -> Result<OrderQty, UserError> {
    Ok(match amounts(args, kind)? {
        Amount::Size(size) => OrderQty::Size(size_of(args, i, size)?),
        Amount::Quote(amount) => OrderQty::Quote(amount),
    })
}

fn amounts(args: &Args, kind: OrderKind) -> Result<Amount, UserError> {
    match (args.positive("size")?, args.positive("quote")?) {
        (Some(size), None) => Ok(Amount::Size(size)),
        (None, Some(amount)) if kind == OrderKind::Market => Ok(Amount::Quote(amount)),
        (None, Some(_)) => Err(args.wrong("only market orders take an amount of quote currency")),
        (None, None) => Err(args.wrong("place_order needs size")),
        (Some(_), Some(_)) => Err(args.wrong("give size or quote, not both")),
    }
}

/// A size that is on the lot grid.
pub fn size_of(args: &Args, i: &Instrument, size: Decimal) -> Result<Qty, UserError> {
    i.qty(size).map_err(|e| match i.qty_down(size) {
        _ if size > i.qty_decimal(i.max_qty) => {
            args.wrong(format!("size: {size} is more than {} takes; the most is {}", i.symbol, i.qty_text(i.max_qty)))
        }
        Ok(below) if below.0 > 0 => off_grid(&e, "size", i.qty_text(below), i.qty_text(i.lot)),
        _ => args.wrong(format!("size: {e}; the least is {}", i.qty_text(i.min_qty))),
    })
}

/// A price that is on the tick grid.
pub fn price(args: &Args, i: &Instrument, name: &str, px: Decimal) -> Result<Price, UserError> {
    i.price(px).map_err(|e| match i.price_rounded(px, Rounding::HalfEven) {
        Ok(near) if near.0 > 0 => off_grid(&e, name, i.price_text(near), i.price_text(i.tick)),
        _ => args.wrong(format!("{name}: {e}")),
    })
}

fn off_grid(e: &NumberError, name: &str, near: String, step: String) -> UserError {
    UserError::new(format!("{name}: {e}"), format!("the step is {step}: write for example {name}={near}"))
}
