//! Commands, and the control inputs that people and the watchdog send.
//! Never: decides whether a command is allowed.

use super::CodecError;
use super::raw::{Reader, Writer};
use ctos_types::{
    AmendOrder, CancelOrder, Command, Control, HaltScope, KillState, NewOrder, OrderKind, OrderQty, PositionEffect,
    TimeInForce, TriggerBy,
};

type Result<T> = std::result::Result<T, CodecError>;

/// Appends the command. Without `with_tag` the instance tag of its client order id is left out: the canonical form
/// that `command_hash` digests, equal for two runs that differ in nothing but their tags.
pub fn encode_command(command: &Command, with_tag: bool, out: &mut Vec<u8>) {
    let w = &mut Writer(out);
    match command {
        Command::Place(o) => {
            w.u8(0);
            new_order(w, o, with_tag);
        }
        Command::Amend(o) => {
            w.u8(1);
            w.account(o.account);
            w.cl_ord_id(o.cl_ord_id, with_tag);
            w.instrument(o.instrument);
            w.option(o.price, Writer::price);
            w.option(o.qty, Writer::qty);
        }
        Command::Cancel(o) => {
            w.u8(2);
            w.account(o.account);
            w.cl_ord_id(o.cl_ord_id, with_tag);
            w.instrument(o.instrument);
        }
        Command::CancelAll { account, instrument } => {
            w.u8(3);
            w.account(*account);
            w.option(*instrument, Writer::instrument);
        }
    }
}

/// The command that [`encode_command`] wrote with its tag; all of `bytes` must belong to it.
pub fn decode_command(bytes: &[u8]) -> Result<Command> {
    let r = &mut Reader(bytes);
    let command = match r.u8()? {
        0 => Command::Place(read_new_order(r)?),
        1 => Command::Amend(AmendOrder {
            account: r.account()?,
            cl_ord_id: r.cl_ord_id()?,
            instrument: r.instrument()?,
            price: r.option("amend price", Reader::price)?,
            qty: r.option("amend size", Reader::qty)?,
        }),
        2 => Command::Cancel(CancelOrder {
            account: r.account()?,
            cl_ord_id: r.cl_ord_id()?,
            instrument: r.instrument()?,
        }),
        3 => Command::CancelAll {
            account: r.account()?,
            instrument: r.option("cancel-all instrument", Reader::instrument)?,
        },
        tag => return Err(CodecError::UnknownTag { what: "command", tag }),
    };
    r.finish()?;
    Ok(command)
}

fn new_order(w: &mut Writer<'_>, o: &NewOrder, with_tag: bool) {
    w.account(o.account);
    w.strategy(o.strategy);
    w.cl_ord_id(o.cl_ord_id, with_tag);
    w.instrument(o.instrument);
    w.side(o.side);
    order_kind(w, &o.kind);
    match o.qty {
        OrderQty::Size(qty) => {
            w.u8(0);
            w.qty(qty);
        }
        OrderQty::Quote(amount) => {
            w.u8(1);
            w.decimal(amount);
        }
    }
    match o.tif {
        TimeInForce::Gtc => w.u8(0),
        TimeInForce::Ioc => w.u8(1),
        TimeInForce::Fok => w.u8(2),
        TimeInForce::Gtd(until) => {
            w.u8(3);
            w.time(until);
        }
    }
    w.bool(o.post_only);
    w.bool(o.reduce_only);
    w.u8(match o.position_effect {
        PositionEffect::Auto => 0,
        PositionEffect::Open => 1,
        PositionEffect::Close => 2,
        PositionEffect::CloseToday => 3,
        PositionEffect::CloseYesterday => 4,
    });
    w.leg(o.leg);
    let trigger = match o.trigger_by {
        TriggerBy::Last => 0,
        TriggerBy::Mark => 1,
    };
    let borrow = match o.auto_borrow {
        None => 0,
        Some(true) => 2,
        Some(false) => 4,
    };
    w.u8(trigger + borrow);
}

fn read_new_order(r: &mut Reader<'_>) -> Result<NewOrder> {
    let mut order = NewOrder {
        account: r.account()?,
        strategy: r.strategy()?,
        cl_ord_id: r.cl_ord_id()?,
        instrument: r.instrument()?,
        side: r.side()?,
        kind: read_order_kind(r)?,
        qty: match r.u8()? {
            0 => OrderQty::Size(r.qty()?),
            1 => OrderQty::Quote(r.decimal("quote amount")?),
            tag => return Err(CodecError::UnknownTag { what: "order size", tag }),
        },
        tif: match r.u8()? {
            0 => TimeInForce::Gtc,
            1 => TimeInForce::Ioc,
            2 => TimeInForce::Fok,
            3 => TimeInForce::Gtd(r.time()?),
            tag => return Err(CodecError::UnknownTag { what: "time in force", tag }),
        },
        post_only: r.bool("post-only")?,
        reduce_only: r.bool("reduce-only")?,
        position_effect: match r.u8()? {
            0 => PositionEffect::Auto,
            1 => PositionEffect::Open,
            2 => PositionEffect::Close,
            3 => PositionEffect::CloseToday,
            4 => PositionEffect::CloseYesterday,
            tag => return Err(CodecError::UnknownTag { what: "position effect", tag }),
        },
        leg: r.leg()?,
        trigger_by: TriggerBy::Last,
        auto_borrow: None,
    };
    let tag = r.u8()?;
    (order.trigger_by, order.auto_borrow) = match (tag % 2, tag / 2) {
        (trigger, borrow @ 0..=2) => {
            let trigger_by = if trigger == 0 { TriggerBy::Last } else { TriggerBy::Mark };
            (trigger_by, [None, Some(true), Some(false)][usize::from(borrow)])
        }
        _ => return Err(CodecError::UnknownTag { what: "trigger", tag }),
    };
    Ok(order)
}

fn order_kind(w: &mut Writer<'_>, kind: &OrderKind) {
    let mut prices = |tag, prices: &[_]| {
        w.u8(tag);
        prices.iter().for_each(|px| w.price(*px));
    };
    match *kind {
        OrderKind::Market => prices(0, &[]),
        OrderKind::Limit { price } => prices(1, &[price]),
        OrderKind::StopMarket { trigger } => prices(2, &[trigger]),
        OrderKind::StopLimit { trigger, price } => prices(3, &[trigger, price]),
        OrderKind::TakeProfitMarket { trigger } => prices(4, &[trigger]),
        OrderKind::TakeProfitLimit { trigger, price } => prices(5, &[trigger, price]),
        OrderKind::TrailingStop { callback_bps, activation } => {
            w.u8(6);
            w.uint(u64::from(callback_bps));
            w.option(activation, Writer::price);
        }
    }
}

fn read_order_kind(r: &mut Reader<'_>) -> Result<OrderKind> {
    Ok(match r.u8()? {
        0 => OrderKind::Market,
        1 => OrderKind::Limit { price: r.price()? },
        2 => OrderKind::StopMarket { trigger: r.price()? },
        3 => OrderKind::StopLimit { trigger: r.price()?, price: r.price()? },
        4 => OrderKind::TakeProfitMarket { trigger: r.price()? },
        5 => OrderKind::TakeProfitLimit { trigger: r.price()?, price: r.price()? },
        6 => OrderKind::TrailingStop {
            callback_bps: u32::try_from(r.uint("callback")?).map_err(|_| CodecError::OutOfRange("callback"))?,
            activation: r.option("activation price", Reader::price)?,
        },
        tag => return Err(CodecError::UnknownTag { what: "order type", tag }),
    })
}

pub(super) fn control(w: &mut Writer<'_>, control: &Control) {
    match control {
        Control::Start => w.u8(0),
        Control::Stop { reason } => {
            w.u8(1);
            w.str(reason);
        }
        Control::StartStrategy { strategy } => {
            w.u8(2);
            w.strategy(*strategy);
        }
        Control::StopStrategy { strategy } => {
            w.u8(3);
            w.strategy(*strategy);
        }
        Control::Halt { scope, state, reason } => {
            w.u8(4);
            halt_scope(w, scope);
            w.u8(match state {
                KillState::Active => 0,
                KillState::Reducing => 1,
                KillState::Halted => 2,
            });
            w.str(reason);
        }
        Control::Resume { scope, reason } => {
            w.u8(5);
            halt_scope(w, scope);
            w.str(reason);
        }
        Control::Watchdog { seq, strategy } => {
            w.u8(6);
            w.uint(*seq);
            w.option(*strategy, Writer::strategy);
        }
        Control::JournalFailed { error } => {
            w.u8(7);
            w.str(error);
        }
        // The rest are commands that a person gave.
        Control::Order(order) => {
            w.u8(8);
            new_order(w, order, true);
        }
        Control::Amend { cl_ord_id, price, qty } => {
            w.u8(9);
            w.cl_ord_id(*cl_ord_id, true);
            w.option(*price, Writer::price);
            w.option(*qty, Writer::qty);
        }
        Control::Cancel { cl_ord_id } => {
            w.u8(10);
            w.cl_ord_id(*cl_ord_id, true);
        }
        Control::CancelAll { account, instrument } => {
            w.u8(11);
            w.account(*account);
            w.option(*instrument, Writer::instrument);
        }
    }
}

pub(super) fn read_control(r: &mut Reader<'_>) -> Result<Control> {
    Ok(match r.u8()? {
        0 => Control::Start,
        1 => Control::Stop { reason: r.string("stop reason")? },
        2 => Control::StartStrategy { strategy: r.strategy()? },
        3 => Control::StopStrategy { strategy: r.strategy()? },
        4 => Control::Halt {
            scope: read_halt_scope(r)?,
            state: match r.u8()? {
                0 => KillState::Active,
                1 => KillState::Reducing,
                2 => KillState::Halted,
                tag => return Err(CodecError::UnknownTag { what: "kill state", tag }),
            },
            reason: r.string("halt reason")?,
        },
        5 => Control::Resume { scope: read_halt_scope(r)?, reason: r.string("resume reason")? },
        6 => Control::Watchdog {
            seq: r.uint("watchdog sequence")?,
            strategy: r.option("watchdog strategy", Reader::strategy)?,
        },
        7 => Control::JournalFailed { error: r.string("journal error")? },
        8 => Control::Order(Box::new(read_new_order(r)?)),
        9 => Control::Amend {
            cl_ord_id: r.cl_ord_id()?,
            price: r.option("amended price", Reader::price)?,
            qty: r.option("amended size", Reader::qty)?,
        },
        10 => Control::Cancel { cl_ord_id: r.cl_ord_id()? },
        11 => Control::CancelAll {
            account: r.account()?,
            instrument: r.option("instrument of a cancel", Reader::instrument)?,
        },
        tag => return Err(CodecError::UnknownTag { what: "control", tag }),
    })
}

fn halt_scope(w: &mut Writer<'_>, scope: &HaltScope) {
    match scope {
        HaltScope::System => w.u8(0),
        HaltScope::Account(id) => {
            w.u8(1);
            w.account(*id);
        }
        HaltScope::Strategy(id) => {
            w.u8(2);
            w.strategy(*id);
        }
    }
}

fn read_halt_scope(r: &mut Reader<'_>) -> Result<HaltScope> {
    Ok(match r.u8()? {
        0 => HaltScope::System,
        1 => HaltScope::Account(r.account()?),
        2 => HaltScope::Strategy(r.strategy()?),
        tag => return Err(CodecError::UnknownTag { what: "halt scope", tag }),
    })
}
