//! How much of a run is kept, so that its log is bounded.
//! Never: what a figure is made of; that is summed up as it happens.

use ctos_kernel::Order;

/// How much is kept. Figures do not depend on it: what they are made of is summed up as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Rows of each kind; later ones are only counted.
    pub fills: usize,
    pub orders: usize,
    pub positions: usize,
    pub funding: usize,
    pub trades: usize,
    /// Buckets of each equity line.
    pub points: usize,
    /// Points of each plotted line.
    pub plots: usize,
}

impl Keep {
    /// For a run whose files and report are wanted: at most about 0.8 GB, reached by a run of a million fills and orders.
    pub const FULL: Keep = Keep {
        fills: 1_000_000,
        orders: 1_000_000,
        positions: 1_000_000,
        funding: 1_000_000,
        trades: 1_000_000,
        points: 20_000,
        plots: 20_000,
    };

    /// Worth and sums only, for one of many trials: at most about 3 MB an account.
    pub const SUMS: Keep = Keep { fills: 0, orders: 0, positions: 0, funding: 0, trades: 0, points: 20_000, plots: 0 };
}

/// Keeps a row, or counts it where there are enough.
#[inline]
pub fn keep<T>(rows: &mut Vec<T>, most: usize, row: T, left_out: &mut u64) {
    if rows.len() < most {
        rows.push(row);
    } else {
        *left_out += 1;
    }
}

/// An order without what only the kernel needs of it.
pub fn plain(order: &Order) -> Order {
    let mut plain = Order::new(order.request, order.size, order.created).caused_by(order.created_seq);
    plain.status = order.status;
    plain.venue_order_id = order.venue_order_id;
    plain.cum_qty = order.cum_qty;
    plain.cum_value = order.cum_value;
    plain.triggered = order.triggered;
    plain.updated = order.updated;
    plain.reject = order.reject;
    plain
}
