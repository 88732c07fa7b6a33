//! Orders that a person gives by hand: through the same gates as a strategy's, with the account's own limits.
//! Never: lets a person's order leave that the gates did not approve, or keeps a cancel back.

use crate::core::Core;
use crate::orders::Order;
use crate::risk::{self, Denied};
use crate::strategy::OrderRequest;
use ctos_types::{AccountId, ClientOrderId, Command, InstrumentId, NewOrder, OrderStatus, Price, Qty, StrategyId};

/// What became of it, as far as the kernel decides that.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It left for the venue under this id; an order that is changed or cancelled keeps its own.
    Sent(ClientOrderId),
    Denied(Denied),
    /// There is no such open order, account or instrument, or nothing about it to change.
    Nothing(&'static str),
    /// So many of our open orders are being cancelled.
    Canceling(usize),
}

impl Core {
    pub(crate) fn order_by_hand(&mut self, order: &NewOrder) {
        let known =
            (order.account.0 as usize) < self.accounts.len() && order.instrument.index() < self.instruments.len();
        if !known {
            self.answer = Some(Answer::Nothing("no such account or instrument in this run"));
            return;
        }
        let request = OrderRequest {
            instrument: order.instrument,
            side: order.side,
            kind: order.kind,
            qty: order.qty,
            tif: order.tif,
            post_only: order.post_only,
            reduce_only: order.reduce_only,
            position_effect: order.position_effect,
            leg: order.leg,
            trigger_by: order.trigger_by,
            auto_borrow: order.auto_borrow,
        };
        let id = self.place(StrategyId::EXTERNAL, order.account, request);
        self.answer = Some(match self.refusal_of(id) {
            Some(denied) => Answer::Denied(denied),
            None => Answer::Sent(id),
        });
    }

    /// What the gates said of an order that was refused within this input.
    fn refusal_of(&self, id: ClientOrderId) -> Option<Denied> {
        self.out.audits.iter().rev().find_map(|audit| match audit {
            crate::audit::Audit::Denied { order, denied } if order.cl_ord_id == id => Some(*denied),
            _ => None,
        })
    }

    pub(crate) fn amend_by_hand(&mut self, id: ClientOrderId, price: Option<Price>, qty: Option<Qty>) {
        let open = |o: &&Order| o.is_open() && o.status != OrderStatus::Unknown;
        let Some(owner) = self.s.orders.get(id).filter(open).map(|o| o.request.strategy) else {
            self.answer = Some(Answer::Nothing("no such open order in this run"));
            return;
        };
        let sent = self.amend(owner, id, price, qty);
        self.answer = Some(match (sent, self.refusal_of(id)) {
            (true, Some(denied)) => Answer::Denied(denied),
            (true, None) => Answer::Sent(id),
            (false, _) => Answer::Nothing("a change or cancel of this order is under way, or nothing changes"),
        });
    }

    pub(crate) fn cancel_by_hand(&mut self, id: ClientOrderId) {
        self.answer = Some(match self.cancel(id) {
            true => Answer::Sent(id),
            false => Answer::Nothing("no such open order in this run, or its cancel is under way"),
        });
    }

    pub(crate) fn cancel_all_by_hand(&mut self, account: AccountId, instrument: Option<InstrumentId>) {
        if account.0 as usize >= self.accounts.len() || instrument.is_some_and(|i| i.index() >= self.instruments.len())
        {
            self.answer = Some(Answer::Nothing("no such account or instrument in this run"));
            return;
        }
        let ids = self
            .s
            .orders
            .open_ids(|o| o.request.account == account && instrument.is_none_or(|i| o.request.instrument == i));
        self.answer = Some(Answer::Canceling(ids.len()));
        for (id, ..) in ids {
            self.s.orders.set_pending_cancel(id);
        }
        // Also where none is known: a person may mean orders that only the venue knows.
        self.send(risk::approve_cancel(Command::CancelAll { account, instrument }));
    }
}
