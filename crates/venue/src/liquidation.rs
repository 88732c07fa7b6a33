//! Maintenance margin, liquidation, and the settlement of dated futures.
//! Never: new risk. What the venue closes is reported as fills without a client order id.

use crate::account::Range;
use crate::config::FeeRates;
use crate::core::{Core, Cx};
use crate::ledger::closing_side;
use crate::orders::{Order, Stage, Trail};
use ctos_types::{
    AccountEvent, CancelReason, ClientOrderId, Currency, Decimal, InstanceTag, Instrument, InstrumentId, Instruments,
    Leg, Liquidity, NewOrder, OrderKind, OrderQty, PositionEffect, Price, Qty, Rounding, TimeInForce,
};

impl Core {
    /// Liquidates every account with a position in the instrument whose equity is below its maintenance margin.
    /// Looks only when the mark or a position here has changed.
    #[inline]
    pub fn check_margins(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        let market = self.market(instrument);
        // The usual case first: the mark is a price of the grid and nobody is near the edge.
        let calm = || market.mark_price().is_some_and(|px| self.calm_between(instrument, px, px));
        if market.holders > 0 && !calm() {
            self.look_at_margins(cx, instrument);
        }
    }

    fn look_at_margins(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId) {
        let (i, market) = (cx.all.get(instrument), self.market(instrument));
        let Some(mark) = market.mark(i).filter(|mark| market.margin_checked != Some(*mark)) else { return };
        for account in 0..self.accounts.len() as u16 {
            let a = self.account(account);
            if !a.holds(instrument) || a.calm.holds_at(instrument, mark) {
                continue;
            }
            match self.margin_slack(cx.all, account, i.settle()) {
                Ok(slack) if slack.is_negative() => self.liquidate(cx, account, i.settle()),
                Ok(slack) => self.note_calm(cx.all, account, i.settle(), slack),
                Err(_) => {}
            }
        }
        self.market_mut(instrument).margin_checked = Some(mark);
    }

    /// Whether no account can miss its maintenance margin while the mark, in the absence of a mark feed, stays within
    /// `low` and `high`. `false` where that is not known.
    #[inline(always)]
    pub fn calm_between(&self, instrument: InstrumentId, low: Price, high: Price) -> bool {
        let market = self.market(instrument);
        if market.holders == 0 || market.mark_feed.is_some() {
            return market.holders == 0;
        }
        for account in &self.accounts {
            // Asked in this order because the first answer is nearly always yes.
            if !account.calm.holds_between(instrument, low, high) && account.holds(instrument) {
                return false;
            }
        }
        true
    }

    /// Shares `slack` (what equity is above the maintenance margin) out to the instruments that settle in `settle`, as
    /// ranges of their marks. A mark that moves by x takes at most |qty| * unit * (1 + maintenance) * x from it, which is
    /// less than twice that without maintenance: its rate is at most one.
    fn note_calm(&mut self, all: &Instruments, account: u16, settle: Currency, slack: Decimal) {
        // Each value is rounded by less than this.
        let Ok(slack) = slack.checked_sub(Decimal::new(1, 12)) else { return };
        if !slack.is_positive() {
            return;
        }
        let held = self.account(account).held().iter().filter(|h| all.get(h.instrument).settle() == settle);
        let (count, _) =
            held.fold((0, None), |(n, last), h| (n + i128::from(last != Some(h.instrument)), Some(h.instrument)));
        let share = if count > 1 { slack.atoms() / count } else { slack.atoms() };
        let mut at = 0;
        while let Some(first) = self.account(account).held().get(at) {
            let i = all.get(first.instrument);
            let legs = self.account(account).held()[at..].iter().take_while(|h| h.instrument == i.id);
            let (n, qty) =
                legs.fold((0, 0i64), |(n, sum), h| (n + 1, sum.saturating_add(h.position.qty.0.saturating_abs())));
            at += n;
            if i.settle() != settle {
                continue;
            }
            let range = self.calm_range(i, Qty(qty), share);
            let calm = &mut self.account_mut(account).calm;
            match range {
                Some(range) => calm.put(range),
                // A mark that has no range would be missed by the others' ranges: then all are looked at each time.
                None => return calm.clear(),
            }
        }
    }

    /// The marks of `i` between which `qty` of it takes at most `share` (a count of 10^-18) from the equity.
    fn calm_range(&self, i: &Instrument, qty: Qty, share: i128) -> Option<Range> {
        let market = self.market(i.id);
        let mark = market.mark(i).filter(|m| m.is_positive() && !i.is_inverse())?;
        let rate = i.value(Price(1), qty).ok()?.atoms().checked_mul(2)?;
        // In steps of the price's last decimal. Where no price could miss it, the ends are out of reach rather than out
        // of range.
        let steps = (share / rate.max(1)).min(1 << 60) as i64;
        let far = i.price_decimal(Price(steps));
        // A mark that is not positive counts as none.
        let low = mark.checked_sub(far).ok()?.max(Decimal::from_atoms(1));
        let high = mark.checked_add(far).ok()?;
        let (low_px, high_px) = match market.mark_price() {
            Some(px) => (Price(px.0.saturating_sub(steps).max(1)), Price(px.0.saturating_add(steps))),
            None => {
                let low_px = i.price_rounded(low, Rounding::Ceil).unwrap_or(Price(i64::MAX));
                (low_px, i.price_rounded(high, Rounding::Floor).unwrap_or(low_px))
            }
        };
        Some(Range { instrument: i.id, low, high, low_px, high_px })
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
            tif: TimeInForce::Ioc,
            reduce_only: true,
            position_effect: PositionEffect::Close,
            leg,
            ..NewOrder::new(
                self.account(account).config.id,
                ClientOrderId { tag: InstanceTag(0), seq: 0 },
                i.id,
                closing_side(qty),
                OrderKind::Market,
                OrderQty::Size(qty.abs()),
            )
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
            quoted: None,
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
