//! Finds among many open orders those that a new one could meet or repeat, without a walk.
//! Never: decides. It may name an order that does not count; it never misses one that does.

use crate::orders::Order;
use ctos_types::{AccountId, InstrumentId, NewOrder, OrderQty, Price, Side};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Where orders may be resting, and what was asked for. An exact function of the open orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// How many orders may be resting at a price.
    resting: BTreeMap<Place, u32>,
    /// How many orders ask alike.
    intents: FxHashMap<Intent, u32>,
}

type Place = (AccountId, InstrumentId, Side, Price);

/// Orders that are the same intent have the same; the reverse need not hold.
type Intent = (AccountId, InstrumentId, Side, Option<Price>, i128);

fn intent(order: &NewOrder) -> Intent {
    let qty = match order.qty {
        OrderQty::Size(qty) => qty.0.into(),
        OrderQty::Quote(amount) => amount.atoms(),
    };
    (order.account, order.instrument, order.side, order.kind.limit_price(), qty)
}

/// What one open order puts into the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    intent: Intent,
    /// Its own price and the one that an amend under way asks for, once it may rest.
    prices: [Option<Price>; 2],
}

impl Entry {
    /// `None` for an order that is closed.
    pub fn of(order: &Order) -> Option<Entry> {
        if !order.is_open() {
            return None;
        }
        let mut found = order.possible_prices();
        let mut price = || if order.may_rest() { found.next() } else { None };
        Some(Entry { intent: intent(&order.request), prices: [price(), price()] })
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let (account, instrument, side, ..) = self.intent;
        self.prices.into_iter().flatten().map(move |px| (account, instrument, side, px))
    }
}

impl Index {
    /// Takes `old` out and puts `new` in.
    pub fn shift(&mut self, old: Option<Entry>, new: Option<Entry>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            old.places().for_each(|place| lower_sorted(&mut self.resting, place));
            lower(&mut self.intents, old.intent);
        }
        if let Some(new) = new {
            new.places().for_each(|place| *self.resting.entry(place).or_default() += 1);
            *self.intents.entry(new.intent).or_default() += 1;
        }
    }

    /// Whether an order of the other side may be resting at `px` or, for whoever takes it, better.
    pub fn may_meet(&self, account: AccountId, instrument: InstrumentId, side: Side, px: Price) -> bool {
        let at = |px| (account, instrument, side.opposite(), px);
        let met = match side {
            Side::Buy => at(Price(i64::MIN))..=at(px),
            Side::Sell => at(px)..=at(Price(i64::MAX)),
        };
        self.resting.range(met).next().is_some()
    }

    /// Whether an open order may be the same intent.
    pub fn may_repeat(&self, order: &NewOrder) -> bool {
        self.intents.contains_key(&intent(order))
    }
}

fn lower(counts: &mut FxHashMap<Intent, u32>, key: Intent) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

fn lower_sorted(counts: &mut BTreeMap<Place, u32>, key: Place) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::orders::{Amending, Order, OrderStore};
    use crate::strategy::OrderRequest;
    use ctos_types::{
        AccountId, CancelReason, ClientOrderId, Currency, Decimal, ExecId, Fill, InstanceTag, InstrumentId, Leg,
        Liquidity, OrderKind, OrderQty, OrderReport, Price, Qty, ReportBody, Side, StrategyId, UnixNanos, VenueOrderId,
    };
    use proptest::prelude::*;

    const ACCOUNT: AccountId = AccountId(0);

    fn side(buy: bool) -> Side {
        if buy { Side::Buy } else { Side::Sell }
    }

    fn place(store: &mut OrderStore, buy: bool, px: i64, qty: i64, stop: bool) {
        let kind = match stop {
            true => OrderKind::StopLimit { trigger: Price(px), price: Price(px) },
            false => OrderKind::Limit { price: Price(px) },
        };
        let id = ClientOrderId { tag: InstanceTag(1), seq: store.next_seq() };
        let request = OrderRequest::new(InstrumentId(0), side(buy), kind, OrderQty::Size(Qty(qty)));
        store.insert(Order::new(request.into_order(ACCOUNT, StrategyId(0), id), Qty(qty), UnixNanos(0)));
    }

    fn body(what: u8, order: &Order, n: i64) -> ReportBody {
        match what {
            0 => ReportBody::Accepted,
            1 => ReportBody::Triggered,
            2 => ReportBody::Amended { price: Some(Price(n)), qty: Qty(order.size.0 + 1) },
            3 => ReportBody::Canceled { reason: CancelReason::Requested },
            _ => ReportBody::Fill(Fill {
                exec_id: ExecId::from_u64(n as u64),
                side: order.request.side,
                leg: Leg::Net,
                last_px: Price(1),
                last_qty: Qty(1),
                liquidity: Liquidity::Maker,
                fee: Decimal::ZERO,
                fee_currency: Currency::EMPTY,
            }),
        }
    }

    /// One random thing happens to one of the orders.
    fn act(store: &mut OrderStore, pick: usize, what: u8, px: i64, n: i64) {
        let count = store.open_count();
        let Some(order) = store.open().nth(pick % count.max(1)).cloned() else { return };
        match what {
            5 => store.set_pending_amend(order.id(), Amending { price: Some(Price(px)), qty: None }),
            _ => {
                let report = OrderReport {
                    account: ACCOUNT,
                    instrument: InstrumentId(0),
                    cl_ord_id: Some(order.id()),
                    venue_order_id: VenueOrderId::EMPTY,
                    ts_event: UnixNanos(n),
                    body: body(what, &order, if what == 2 { px } else { n }),
                };
                store.apply(UnixNanos(n), &report, Decimal::ZERO);
            }
        }
    }

    proptest! {
        // Whatever happens to orders, the index says of each price what a walk over the open orders says, and one
        // built anew from them is the same.
        #[test]
        fn as_a_walk_would_find(steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0u8..9, 0usize..9, 1i64..6), 1..60)) {
            let mut store = OrderStore::default();
            for (n, (buy, stop, what, pick, px)) in (1..).zip(steps) {
                match what {
                    0..=5 => act(&mut store, pick, what, px, n),
                    _ => place(&mut store, buy, px, pick as i64 + 1, stop),
                }
                for px in (0..8).map(Price) {
                    let rests = |o: &&Order, s| o.request.side == s && o.may_rest();
                    let sell = store.open().filter(|o| rests(o, Side::Sell)).any(|o| o.possible_prices().any(|p| p <= px));
                    let buy = store.open().filter(|o| rests(o, Side::Buy)).any(|o| o.possible_prices().any(|p| p >= px));
                    prop_assert_eq!(store.may_meet(ACCOUNT, InstrumentId(0), Side::Buy, px), sell);
                    prop_assert_eq!(store.may_meet(ACCOUNT, InstrumentId(0), Side::Sell, px), buy);
                }
                prop_assert!(store.open().all(|o| store.may_repeat(&o.request)));
                let mut anew = store.clone();
                anew.rebuild_index();
                prop_assert_eq!(&anew, &store);
            }
            let open: Vec<_> = store.open().cloned().collect();
            for (n, order) in (1_000..).zip(open) {
                let report = OrderReport {
                    account: ACCOUNT,
                    instrument: InstrumentId(0),
                    cl_ord_id: Some(order.id()),
                    venue_order_id: VenueOrderId::EMPTY,
                    ts_event: UnixNanos(n),
                    body: body(3, &order, n),
                };
                store.apply(UnixNanos(n), &report, Decimal::ZERO);
                prop_assert!(store.open_count() > 0 || !store.may_repeat(&order.request));
            }
        }
    }
}
