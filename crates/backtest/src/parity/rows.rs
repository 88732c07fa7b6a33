//! What happened to orders, one row each, taken from the audits of a kernel: the same way on both sides.
//! Never: compares anything.

use ctos_kernel::{Audit, Gate, Kernel, OrderChange};
use ctos_runtime::shard::Observer;
use ctos_types::{
    ClientOrderId, Currency, Decimal, InstrumentId, Liquidity, OrderKind, OrderQty, Price, Qty, Side, UnixNanos,
};

/// One thing that happened to one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Market time at which the kernel learned of it or decided it.
    pub at: UnixNanos,
    /// `None`: a fill that no order of ours asked for, as in a liquidation.
    pub id: Option<ClientOrderId>,
    pub instrument: InstrumentId,
    pub side: Side,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Sent {
        kind: OrderKind,
        qty: OrderQty,
    },
    Denied(Gate),
    Fill(Filled),
    /// What the venue answered, with price and size as they are after it.
    Answer {
        change: OrderChange,
        price: Option<Price>,
        size: Qty,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    pub px: Price,
    pub qty: Qty,
    pub liquidity: Liquidity,
    pub fee: Decimal,
    pub fee_currency: Currency,
}

impl Row {
    /// The same kind of happening on the same order.
    pub fn is_like(&self, other: &Row) -> bool {
        let alike = match (&self.what, &other.what) {
            (What::Answer { change: a, .. }, What::Answer { change: b, .. }) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        };
        alike && self.id == other.id && self.instrument == other.instrument
    }
}

/// Adds the rows that one step gave.
pub fn take(rows: &mut Vec<Row>, at: UnixNanos, audits: &[Audit]) {
    for audit in audits {
        rows.extend(row(at, audit));
    }
}

/// Takes the rows of a run as it goes.
#[derive(Debug, Default)]
pub struct Watch(pub Vec<Row>);

impl Observer for Watch {
    fn on_step(&mut self, _: u64, at: UnixNanos, audits: &mut Vec<Audit>, _: &Kernel) {
        take(&mut self.0, at, audits);
    }
}

fn row(at: UnixNanos, audit: &Audit) -> Option<Row> {
    match audit {
        Audit::Order { order, change } => {
            let r = &order.request;
            let what = match change {
                OrderChange::Sent => What::Sent { kind: r.kind, qty: r.qty },
                // These have audits of their own that say more.
                OrderChange::Filled | OrderChange::Denied => return None,
                change => What::Answer { change: *change, price: r.kind.limit_price(), size: order.size },
            };
            Some(Row { at, id: Some(r.cl_ord_id), instrument: r.instrument, side: r.side, what })
        }
        Audit::Denied { order, denied } => Some(Row {
            at,
            id: Some(order.cl_ord_id),
            instrument: order.instrument,
            side: order.side,
            what: What::Denied(denied.gate),
        }),
        Audit::Fill { instrument, order, fill, .. } => Some(Row {
            at,
            id: *order,
            instrument: *instrument,
            side: fill.side,
            what: What::Fill(Filled {
                px: fill.last_px,
                qty: fill.last_qty,
                liquidity: fill.liquidity,
                fee: fill.fee,
                fee_currency: fill.fee_currency,
            }),
        }),
        _ => None,
    }
}
