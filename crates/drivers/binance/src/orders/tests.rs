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
        account: AccountId(3),
        strategy: StrategyId(1),
        cl_ord_id: client(1),
        instrument: i.id,
        side: Side::Buy,
        kind: OrderKind::Limit { price: px(desk, "61800.2") },
        qty: OrderQty::Size(size(desk, "0.002")),
        tif: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        position_effect: PositionEffect::Auto,
        leg: Leg::Net,
        trigger_by: TriggerBy::Last,
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
