use super::*;
use crate::instruments::builtin_all;
use ctos_types::{
    ClientOrderId, InstanceTag, NewOrder, OrderKind, OrderQty, Price, Qty, Side, StrategyId, TimeInForce,
};
use ctos_types::{PositionEffect, TriggerBy};

pub(super) fn desk(profile: Profile) -> Desk {
    Desk::new(profile, AccountId(3), false, &Instruments::new(builtin_all().to_vec()).unwrap())
}

pub(super) fn btc(desk: &Desk) -> InstrumentId {
    desk.symbols().find(b"BTCUSDT").unwrap().id
}

pub(super) fn client(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(10), seq }
}

/// A limit order to buy 0.002 at 61800.2.
pub(super) fn limit(desk: &Desk) -> NewOrder {
    let (_, i) = desk.of(btc(desk)).unwrap();
    NewOrder {
        strategy: StrategyId(1),
        ..NewOrder::new(
            AccountId(3),
            client(1),
            i.id,
            Side::Buy,
            OrderKind::Limit { price: px(desk, "61800.2") },
            OrderQty::Size(size(desk, "0.002")),
        )
    }
}

pub(super) fn px(desk: &Desk, text: &str) -> Price {
    desk.of(btc(desk)).unwrap().1.parse_price(text).unwrap()
}

pub(super) fn size(desk: &Desk, text: &str) -> Qty {
    desk.of(btc(desk)).unwrap().1.parse_qty(text).unwrap()
}

mod changes;
mod replies;
mod requests;
