//! What a recovered kernel holds, in the words of the desks that will ask the venue about it.
//! Never: decides what became of an order.

use ctos_kernel::{Kernel, Order};
use ctos_link::desk::Holdings;
use ctos_link::tracker::Held;
use ctos_types::{AccountId, NewOrder, OrderQty};

/// What the kernel holds of one account.
pub fn holdings(kernel: &Kernel, account: AccountId) -> Holdings {
    let portfolio = kernel.portfolio();
    let of_account = |o: &&Order| o.request.account == account;
    let placed = kernel.orders_placed();
    Holdings {
        orders: kernel.open_orders().filter(of_account).map(held).collect(),
        positions: portfolio
            .positions()
            .filter(|((a, ..), p)| *a == account && !p.is_flat())
            .map(|((_, instrument, leg), position)| (instrument, leg, *position))
            .collect(),
        cash: portfolio.all_cash().filter(|(a, ..)| *a == account).map(|(_, c, cash)| (c, cash.ours)).collect(),
        booked: kernel.orders().booked(account).collect(),
        placed: if placed > 0 { vec![(kernel.tag(), placed)] } else { Vec::new() },
    }
}

fn held(order: &Order) -> Held {
    // An order by amount is told by what it was asked for; every other by the size it has now.
    let qty = match order.request.qty {
        OrderQty::Size(_) => OrderQty::Size(order.size),
        amount => amount,
    };
    Held {
        order: NewOrder { qty, ..order.request },
        venue_order_id: order.venue_order_id,
        sent: order.created,
        cum_qty: order.cum_qty,
        execs: order.exec_ids().to_vec(),
        amending: order.amending.map(|a| (a.price, a.qty)),
        canceling: order.pending_cancel,
        amended_at: order.amended_at(),
    }
}
