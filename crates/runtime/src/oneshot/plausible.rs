//! What can be said of arguments without a venue: words, numbers, and what belongs together. It is said before anybody is
//! asked for a confirmation, or anything is sent.
//! Never: decides what an argument means; whoever reads it does.

use super::Args;
use super::orders;
use crate::UserError;
use ctos_driver_binance::market::KlineInterval;
use ctos_types::Decimal;

/// Values of arguments that are words.
const YES: &[(&str, ())] = &[("true", ()), ("false", ())];
const LEGS: &[(&str, ())] = &[("long", ()), ("short", ())];

/// # Errors
/// The first argument that cannot be meant, with how the syscall is written.
pub(super) fn check(args: &Args) -> Result<(), UserError> {
    for param in args.syscall.params {
        one(args, param.name)?;
    }
    match args.syscall.name {
        "place_order" => orders::check_shape(args),
        "amend_order" if args.text("price").is_none() && args.text("size").is_none() => {
            Err(args.wrong("amend_order needs price or size"))
        }
        _ => Ok(()),
    }
}

fn one(args: &Args, name: &str) -> Result<(), UserError> {
    match name {
        "symbol" => symbol(args),
        "size" | "price" | "quote" | "trigger" => args.positive(name).map(drop),
        "post_only" | "reduce_only" | "auto_borrow" | "is_good" => args.word(name, YES).map(drop),
        "leg" => args.word(name, LEGS).map(drop),
        "side" if args.syscall.name == "close_all_positions" => args.word(name, LEGS).map(drop),
        "side" => args.word(name, orders::SIDES).map(drop),
        "time_in_force" => args.word(name, orders::TIMES_IN_FORCE).map(drop),
        "trigger_by" => args.word(name, orders::TRIGGERS).map(drop),
        "mode" => args.word(name, &[("market", ()), ("limit", ())]).map(drop),
        "callback_bps" => args.whole(name, 1, 10_000).map(drop),
        "level" => args.whole(name, 1, 5_000).map(drop),
        "limit" => args.whole(name, 1, 1_000).map(drop),
        "start_time" | "end_time" => args.time(name).map(drop),
        "timeframe" => match args.text(name).map(str::parse::<KlineInterval>) {
            Some(Err(why)) => Err(args.wrong(format!("timeframe: {why}"))),
            _ => Ok(()),
        },
        "price_offset" => match args.opt::<Decimal>(name, "a fraction from 0 to 1")? {
            Some(offset) if offset.is_negative() || offset >= Decimal::ONE => {
                Err(args.wrong(format!("price_offset is a fraction from 0 to 1, not {offset}")))
            }
            _ => Ok(()),
        },
        // Whatever the venue calls its things.
        _ => Ok(()),
    }
}

/// What no venue has in a name.
fn symbol(args: &Args) -> Result<(), UserError> {
    let Some(text) = args.text("symbol") else { return Ok(()) };
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.chars().any(odd) || text.chars().count() > 64 {
        return Err(args.wrong(format!("symbol is a unified symbol such as binance:BTC-USDT-PERP, not {text:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
