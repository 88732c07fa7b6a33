//! Maintenance margin, liquidation, and the settlement of dated futures.
//! Never: new risk. What the venue closes is reported as fills without a client order id.

use crate::config::FeeRates;
use crate::core::{Core, Cx};
use crate::ledger::closing_side;
use crate::orders::{Order, Stage, Trail};
use ctos_types::{
    AccountEvent, CancelReason, ClientOrderId, Currency, Decimal, InstanceTag, Instrument, InstrumentId, Leg,
    Liquidity, NewOrder, OrderKind, OrderQty, PositionEffect, Qty, Rounding, StrategyId, TimeInForce, TriggerBy,
};

impl Core {
    /// Liquidates every account with a position in the instrument whose equity is below its maintenance margin.
    /// Looks only when the mark or a position here has changed.
    pub fn check_margins(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        let i = cx.all.get(instrument);
        let market = self.market(instrument);
        if market.holders == 0 {
            return;
        }
        let mark = market.mark(i);
        if mark.is_none() || mark == market.margin_checked {
            return;
        }
        for account in 0..self.accounts.len() as u16 {
            if !self.account(account).holds(instrument) {
                continue;
            }
            if self.is_below_maintenance(cx.all, account, i.settle()).unwrap_or(false) {
                self.liquidate(cx, account, i.settle());
            }
        }
        self.market_mut(instrument).margin_checked = mark;
    }

    /// Cancels all orders, closes every position that settles in `settle`, and covers what is lost beyond the balance.
    fn liquidate(&mut self, cx: &mut Cx<'_>, account: u16, settle: Currency) {
        for slot in self.open_slots(account, None) {
            self.cancel(cx, slot, CancelReason::Liquidation);
        }
        let id = self.account(account).config.id;
        self.tell(cx, AccountEvent::Liquidated { account: id });
        let held: Vec<_> = self.account(account).held().to_vec();
        for h in held.iter().filter(|h| cx.all.get(h.instrument).settle() == settle) {
            let i = cx.all.get(h.instrument);
            let rates = self.account_mut(account).rates(i, cx.now);
            self.close_position(cx, account, i, h.leg, rates, true);
        }
        self.cover(cx, account, settle);
    }

    /// A cash account cannot owe: what is lost beyond its balance is a declared flow.
    fn cover(&mut self, cx: &mut Cx<'_>, account: u16, settle: Currency) {
        let a = self.account(account);
        let total = a.balance(settle).total;
        let open = a.held().iter().any(|h| cx.all.get(h.instrument).settle() == settle);
        if total.is_negative() && !open && a.config.borrow.is_none() {
            // Adding the opposite of a balance cannot overflow.
            let _ = self.adjust(cx, account, settle, -total);
        }
    }

    /// Closes one leg: in the book first where `book`, the rest at the mark rounded to the tick.
    fn close_position(&mut self, cx: &mut Cx<'_>, account: u16, i: &Instrument, leg: Leg, rates: FeeRates, book: bool) {
        let qty = self.account(account).position(i.id, leg).qty;
        if qty.0 == 0 {
            return;
        }
        let order = self.venue_order(cx, account, i, leg, qty, rates);
        let (seq, slot) = (order.seq, self.enlist(order));
        if book {
            self.execute(cx, slot);
        }
        if self.orders.find(slot, seq).is_none() {
            return;
        }
        // Where nothing has a price, what was paid is the only one.
        let fair = self.market(i.id).mark(i).or_else(|| self.account(account).position(i.id, leg).avg_px(i));
        let px = fair.and_then(|m| i.price_rounded(m, Rounding::HalfEven).ok()).map_or(i.tick, |px| px.max(i.tick));
        let left = Qty(self.orders[slot].leaves());
        // A close that cannot be booked (overflow) leaves the position standing rather than a wrong balance.
        self.fill(cx, slot, px, left, Liquidity::Taker);
    }

    fn venue_order(&mut self, cx: &Cx<'_>, account: u16, i: &Instrument, leg: Leg, qty: Qty, rates: FeeRates) -> Order {
        let request = NewOrder {
            account: self.account(account).config.id,
            strategy: StrategyId::EXTERNAL,
            cl_ord_id: ClientOrderId { tag: InstanceTag(0), seq: 0 },
            instrument: i.id,
            side: closing_side(qty),
            kind: OrderKind::Market,
            qty: OrderQty::Size(qty.abs()),
            tif: TimeInForce::Ioc,
            post_only: false,
            reduce_only: true,
            position_effect: PositionEffect::Close,
            leg,
            trigger_by: TriggerBy::Last,
        };
        Order {
            request,
            account,
            seq: self.next_order_id(),
            priority: 0,
            stage: Stage::Active,
            live: true,
            foreign: true,
            size: qty.abs(),
            amount_left: None,
            cum: Qty(0),
            hold: Decimal::ZERO,
            hold_currency: i.settle(),
            held_for: -1,
            hold_px: None,
            rates,
            reduce: true,
            arrived: cx.now,
            trail: Trail::default(),
        }
    }

    /// A dated future has expired: its orders are cancelled and its positions settled at the mark, without a fee.
    pub fn deliver(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        let i = cx.all.get(instrument);
        for account in 0..self.accounts.len() as u16 {
            for slot in self.open_slots(account, Some(instrument)) {
                self.cancel(cx, slot, CancelReason::Venue);
            }
            for leg in [Leg::Net, Leg::Long, Leg::Short] {
                self.close_position(cx, account, i, leg, FeeRates::default(), false);
            }
            self.cover(cx, account, i.settle());
        }
    }
}
