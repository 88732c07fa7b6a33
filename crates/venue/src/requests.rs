//! Amend, cancel and cancel-all of open orders, and expiry.
//! Never: admission of new orders.

use crate::Private;
use crate::core::{Core, Cx, refusal};
use crate::orders::{Order, Stage};
use ctos_types::{
    AccountId, AmendOrder, CancelOrder, CancelReason, ClientOrderId, InstrumentId, OrderReport, Price, Qty,
    RejectReason, ReportBody, Request, Text, VenueOrderId,
};

impl Core {
    fn find(&self, account: AccountId, instrument: InstrumentId, id: ClientOrderId) -> Option<u32> {
        let slot = *self.account(self.account_index(account)?).by_client.get(&id)?;
        (self.orders[slot].instrument() == instrument).then_some(slot)
    }

    pub fn cancel_order(&mut self, cx: &mut Cx<'_>, request: &CancelOrder) {
        match self.find(request.account, request.instrument, request.cl_ord_id) {
            Some(slot) => self.cancel(cx, slot, CancelReason::Requested),
            None => cx.out.push(refusal(
                cx.now,
                request.account,
                request.instrument,
                request.cl_ord_id,
                Request::Cancel,
                RejectReason::UnknownOrder,
            )),
        }
    }

    pub fn cancel_all(&mut self, cx: &mut Cx<'_>, account: AccountId, instrument: Option<InstrumentId>) {
        let Some(account) = self.account_index(account) else { return };
        for slot in self.open_slots(account, instrument) {
            self.cancel(cx, slot, CancelReason::Requested);
        }
    }

    /// Changes price or total size. A smaller size keeps the order's place in the queue; a larger size or another price
    /// sends it to the back. A total not above what is filled cancels the rest.
    pub fn amend(&mut self, cx: &mut Cx<'_>, request: &AmendOrder) {
        let Some(slot) = self.find(request.account, request.instrument, request.cl_ord_id) else {
            let (account, id) = (request.account, request.cl_ord_id);
            let reason = RejectReason::UnknownOrder;
            return cx.out.push(refusal(cx.now, account, request.instrument, id, Request::Amend, reason));
        };
        if let Err(reason) = self.try_amend(cx, slot, request.price, request.qty) {
            let order = self.orders[slot];
            cx.out.push(Private::Report(OrderReport {
                account: request.account,
                instrument: request.instrument,
                cl_ord_id: Some(request.cl_ord_id),
                venue_order_id: VenueOrderId::from_u64(order.seq),
                ts_event: cx.now,
                body: ReportBody::Rejected { request: Request::Amend, reason, code: Text::EMPTY },
            }));
        }
        self.check_triggers(cx, request.instrument);
    }

    fn try_amend(
        &mut self,
        cx: &mut Cx<'_>,
        slot: u32,
        price: Option<Price>,
        qty: Option<Qty>,
    ) -> Result<(), RejectReason> {
        let old = self.orders[slot];
        let i = cx.all.get(old.instrument());
        if old.stage == Stage::Pending || old.amount_left.is_some() || (price.is_some() && old.limit().is_none()) {
            return Err(RejectReason::Unsupported);
        }
        if qty.is_some_and(|q| q <= old.cum) {
            if qty.is_some_and(|q| q.0 < 0) {
                return Err(RejectReason::BadQty);
            }
            self.cancel(cx, slot, CancelReason::Requested);
            return Ok(());
        }
        let mut new = old;
        if let Some(px) = price {
            new.set_limit(px);
            new.hold_px = Some(px);
            new.held_for = -1;
        }
        if let Some(q) = qty {
            new.set_size(q);
        }
        match i.check(new.limit(), new.size) {
            Err(RejectReason::MinNotional) if new.reduce => {}
            other => other?,
        }
        if new.reduce && !i.is_spot() && old.stage == Stage::Resting {
            let closable = self.account(old.account).closable(i.id, old.leg(), old.side());
            new.set_size(Qty(new.size.0.min(old.cum.0 + closable)));
        }
        let moves = new.limit() != old.limit() || new.size > old.size;
        if old.stage == Stage::Resting && moves && new.request.post_only && self.would_take(&new) {
            return Err(RejectReason::PostOnlyWouldTake);
        }
        self.check_amended_funds(cx, &old, &mut new)?;
        self.apply_amend(cx, slot, new, moves);
        Ok(())
    }

    fn check_amended_funds(&self, cx: &Cx<'_>, old: &Order, new: &mut Order) -> Result<(), RejectReason> {
        let i = cx.all.get(new.instrument());
        let overflow = |_| RejectReason::BadQty;
        let hold = if i.is_spot() {
            self.spot_hold(i, new).map_err(overflow)?
        } else if new.reduce {
            return Ok(());
        } else {
            let opening = self.opening_part(new.account, i, new.leg(), new.side(), new.leaves(), new.seq);
            let hold = self.margin_hold(i, new, opening).map_err(overflow)?;
            new.quoted = Some((opening, hold));
            hold
        };
        let more = hold - old.hold;
        let fits = if !more.is_positive() {
            true
        } else if i.is_spot() {
            self.can_hold(cx, new.account, new.hold_currency, more).unwrap_or(false)
        } else {
            self.free_margin(cx.all, new.account, i.settle()).is_ok_and(|free| more <= free)
        };
        if fits { Ok(()) } else { Err(RejectReason::InsufficientBalance) }
    }

    fn apply_amend(&mut self, cx: &mut Cx<'_>, slot: u32, new: Order, moves: bool) {
        let i = cx.all.get(new.instrument());
        let resting = new.stage == Stage::Resting;
        if resting && moves {
            self.withdraw(slot);
        }
        let stage = self.orders[slot].stage;
        self.orders[slot] = Order { stage, ..new };
        if let (true, false, Some(limit)) = (resting, moves, new.limit()) {
            self.market_mut(i.id).queue_mut(new.side()).set_leaves(limit, new.priority, new.leaves());
        }
        self.refresh_hold(i, slot);
        self.report(cx, &new, ReportBody::Amended { price: new.limit(), qty: new.size });
        if resting && moves {
            // On bars an amended order is a new arrival.
            self.orders[slot].arrived = cx.now;
            self.submit(cx, slot);
        }
    }

    /// Closes a good-till-date order whose time has come.
    pub fn expire(&mut self, cx: &mut Cx<'_>, seq: u64, slot: u32) {
        if self.orders.find(slot, seq).is_some() {
            let order = self.close(slot);
            self.report(cx, &order, ReportBody::Expired);
        }
    }
}
