//! What strategies ask for: orders, amends and cancels on their way through the gates.
//! Never: lets an order leave that the gates did not approve.

use crate::audit::{Audit, OrderChange};
use crate::core::{Core, Notice};
use crate::orders::{Amending, Order};
use crate::risk::{self, Approved, Check, Denied};
use crate::strategy::OrderRequest;
use ctos_types::{
    AccountId, AmendOrder, CancelOrder, ClientOrderId, Command, Currency, Decimal, Instrument, InstrumentId, KillState,
    Leg, NewOrder, OrderKind, OrderQty, OrderStatus, PositionEffect, Price, Qty, Rounding, Side, StrategyId,
};

/// Requests one strategy may make within one input before it counts as running away.
const MAX_INTENTS_PER_STEP: u32 = 10_000;

impl Core {
    pub fn place(&mut self, strategy: StrategyId, account: AccountId, request: OrderRequest) -> ClientOrderId {
        let id = ClientOrderId { tag: self.tag, seq: self.s.orders.next_seq() };
        let mut order = request.into_order(account, strategy, id);
        if !self.admit(strategy) {
            return id;
        }
        let size = self.estimate_size(&order);
        match self.check(&order, size, None) {
            Ok(approved) => {
                if let Command::Place(NewOrder { auto_borrow, .. }) = approved.get() {
                    order.auto_borrow = *auto_borrow;
                }
                let order = Order::new(order, size, self.s.now).caused_by(self.s.next_input - 1);
                let told = Core::told(&mut self.spare, &order);
                self.tell(|| Audit::Order { order: told, change: OrderChange::Sent });
                self.s.orders.insert(order);
                self.s.traffic[account.0 as usize].ordered(self.s.now);
                self.send(approved);
            }
            Err(denied) => self.deny(order, size, denied),
        }
        id
    }

    /// Counts a request. False above the bound: nothing of it is sent, kept or told, so that a strategy that asks
    /// without end costs no memory until its callback returns and it is ended.
    pub fn admit(&mut self, strategy: StrategyId) -> bool {
        let seq = self.s.next_input;
        let Some((at, count)) = self.intents.get_mut(strategy.0 as usize) else { return true };
        if *at != seq {
            (*at, *count) = (seq, 0);
        }
        *count = count.saturating_add(1);
        *count <= MAX_INTENTS_PER_STEP
    }

    /// Whether the strategy keeps sending without end within one input.
    pub fn is_flooding(&self, strategy: StrategyId) -> bool {
        let (at, count) = self.intents[strategy.0 as usize];
        at == self.s.next_input && count > MAX_INTENTS_PER_STEP
    }

    fn estimate_size(&self, order: &NewOrder) -> Qty {
        let instrument = self.instruments.get(order.instrument);
        match order.qty {
            OrderQty::Size(qty) => qty,
            OrderQty::Quote(amount) => {
                let px =
                    self.reference(order.instrument).and_then(|r| instrument.price_rounded(r, Rounding::Floor).ok());
                px.and_then(|px| instrument.qty_for_quote(amount, px).ok()).unwrap_or(Qty(0))
            }
        }
    }

    fn deny(&mut self, request: NewOrder, size: Qty, denied: Denied) {
        self.s.denied += 1;
        let mut order = Order::new(request, size, self.s.now).caused_by(self.s.next_input - 1);
        order.status = OrderStatus::Denied;
        self.audit(Audit::Denied { order: Box::new(request), denied });
        let (strategy, order) = (request.strategy, Box::new(order));
        self.s.notices.push_back(Notice { strategy, order, change: OrderChange::Denied, fill: None });
    }

    /// Asks the gates about an order, or about what `replacing` would become.
    fn check(&self, order: &NewOrder, size: Qty, replacing: Option<&Order>) -> Result<Approved<Command>, Denied> {
        let (s, account) = (&self.s, order.account);
        let instrument = self.instruments.get(order.instrument);
        let mut exposure = s.orders.exposure(account, order.instrument);
        let mut open_orders: u32 = s.orders.exposures().filter(|(a, ..)| *a == account).map(|(_, _, e)| e.orders).sum();
        if let Some(old) = replacing {
            match old.request.side {
                Side::Buy => exposure.buy -= old.reserved().0,
                Side::Sell => exposure.sell -= old.reserved().0,
            }
            open_orders -= 1;
        }
        let replaced = replacing.map(Order::id);
        let (leg_position, leg_waiting) = self.reducible(order, exposure, replaced);
        let spec = &self.accounts[account.0 as usize];
        let free = instrument.is_spot().then(|| self.free_to_spend(order, instrument, replaced));
        Check {
            now: s.now,
            order,
            size,
            instrument,
            market: &s.markets[order.instrument.index()],
            // What a person orders is held to the account's own limits.
            limits: self.limits.get(order.strategy.0 as usize).unwrap_or(&spec.limits),
            kill: s.kill.effective(account, order.strategy),
            journal_ok: s.journal_ok,
            known: self.is_known(account),
            trading: self.is_trading(order.instrument),
            traffic: &s.traffic[account.0 as usize],
            position: s.portfolio.net_qty(account, order.instrument),
            exposure,
            leg_position,
            leg_waiting,
            open_orders,
            other_notional: self.other_notional(account, order.instrument),
            equity: self.equity(account),
            free,
            may_borrow: spec.borrow.allows(order.auto_borrow),
            account_leverage: spec.leverage,
            orders: &s.orders,
            replaced,
        }
        .approve()
    }

    /// The position an order can shrink, and the size already waiting to shrink it. In hedge mode: of its own leg.
    fn reducible(&self, order: &NewOrder, all: crate::orders::Exposure, except: Option<ClientOrderId>) -> (Qty, i64) {
        let (account, id) = (order.account, order.instrument);
        if order.leg == Leg::Net {
            let waiting = if order.side == Side::Buy { all.buy } else { all.sell };
            return (self.s.portfolio.net_qty(account, id), waiting);
        }
        let alike = |o: &&Order| {
            let r = &o.request;
            (r.account, r.instrument, r.side, r.leg) == (account, id, order.side, order.leg) && Some(o.id()) != except
        };
        let waiting = self.s.orders.open().filter(alike).map(|o| o.reserved().0).sum();
        (self.s.portfolio.position(account, id, order.leg).qty, waiting)
    }

    /// Spot money in the currency the order spends, less what open orders of the account already claim.
    fn free_to_spend(&self, order: &NewOrder, instrument: &Instrument, except: Option<ClientOrderId>) -> Decimal {
        let currency = if order.side == Side::Buy { instrument.quote } else { instrument.base };
        let claimed: Decimal = self
            .s
            .orders
            .open()
            .filter(|o| o.request.account == order.account && Some(o.id()) != except)
            .map(|o| self.claim(o, currency))
            .sum();
        self.s.portfolio.cash(order.account, currency).ours - claimed
    }

    /// What an open spot order takes from `currency` when it fills.
    fn claim(&self, order: &Order, currency: Currency) -> Decimal {
        let instrument = self.instruments.get(order.request.instrument);
        if !instrument.is_spot() {
            return Decimal::ZERO;
        }
        match order.request.side {
            Side::Sell if instrument.base == currency => instrument.qty_decimal(order.reserved()),
            Side::Buy if instrument.quote == currency => {
                if let OrderQty::Quote(amount) = order.request.qty {
                    return amount.checked_sub(order.cum_value).unwrap_or_default().max(Decimal::ZERO);
                }
                let px = order.possible_prices().max().map(|p| instrument.price_decimal(p));
                let px = px.or_else(|| self.reference(instrument.id)).unwrap_or_default();
                let worth = instrument.notional_at(px, order.reserved()).unwrap_or(Decimal::ZERO);
                let fee = Decimal::ONE + instrument.taker_fee.max(Decimal::ZERO);
                worth.mul(fee, Rounding::Up).unwrap_or(worth)
            }
            _ => Decimal::ZERO,
        }
    }

    /// Worth of every other instrument's position in the worst case of its open orders.
    fn other_notional(&self, account: AccountId, except: InstrumentId) -> Decimal {
        let mut sum = Decimal::ZERO;
        for instrument in self.instruments.iter().filter(|i| i.id != except) {
            let (position, e) =
                (self.s.portfolio.net_qty(account, instrument.id).0, self.s.orders.exposure(account, instrument.id));
            let worst = (position.saturating_add(e.buy)).abs().max(position.saturating_sub(e.sell).abs());
            if worst != 0
                && let Some(reference) = self.reference(instrument.id)
            {
                let worth = instrument.notional_at(reference, Qty(worst)).unwrap_or(Decimal::MAX);
                sum = sum.checked_add(worth).unwrap_or(Decimal::MAX);
            }
        }
        sum
    }

    pub fn amend(&mut self, strategy: StrategyId, id: ClientOrderId, price: Option<Price>, qty: Option<Qty>) -> bool {
        if !self.admit(strategy) {
            return false;
        }
        let Some(order) = self.s.orders.get(id).filter(|o| o.request.strategy == strategy && o.is_open()).cloned()
        else {
            return false;
        };
        if order.pending_cancel || order.pending_amend || (price.is_none() && qty.is_none()) {
            return false;
        }
        let amend = AmendOrder {
            account: order.request.account,
            cl_ord_id: id,
            instrument: order.request.instrument,
            price,
            qty,
        };
        let halted = self.s.kill.effective(amend.account, strategy) == KillState::Halted || !self.s.journal_ok;
        let lot = self.instruments.get(amend.instrument).lot;
        let approved = match risk::approve_shrink(&order, amend, lot).filter(|_| !halted) {
            Some(approved) => approved,
            None => {
                let (wanted, size) = amended(&order, price, qty);
                match self.check(&wanted, size, Some(&order)) {
                    Ok(checked) => risk::approve_amend(checked, amend),
                    Err(denied) => {
                        self.s.denied += 1;
                        self.audit(Audit::Denied { order: Box::new(wanted), denied });
                        let order = Box::new(order);
                        self.s.notices.push_back(Notice {
                            strategy,
                            order,
                            change: OrderChange::AmendRejected,
                            fill: None,
                        });
                        return true;
                    }
                }
            }
        };
        self.s.orders.set_pending_amend(id, Amending { price, qty });
        // Venues count an amend against the order rate.
        self.s.traffic[amend.account.0 as usize].ordered(self.s.now);
        self.send(approved);
        true
    }

    pub fn cancel(&mut self, id: ClientOrderId) -> bool {
        let Some(order) = self.s.orders.get(id).filter(|o| o.is_open() && !o.pending_cancel) else { return false };
        let (account, instrument) = (order.request.account, order.request.instrument);
        self.s.orders.set_pending_cancel(id);
        self.send(risk::approve_cancel(Command::Cancel(CancelOrder { account, cl_ord_id: id, instrument })));
        true
    }

    pub fn cancel_where(&mut self, filter: impl Fn(&Order) -> bool) -> usize {
        let ids = self.s.orders.open_ids(|o| !o.pending_cancel && filter(o));
        ids.iter().filter(|(id, ..)| self.cancel(*id)).count()
    }

    /// Cancels its orders and trades the strategy's positions back to flat at market.
    pub fn close_all(&mut self, strategy: StrategyId, account: AccountId, only: Option<InstrumentId>) {
        self.cancel_where(|o| o.request.strategy == strategy && only.is_none_or(|i| o.request.instrument == i));
        let held: Vec<_> = self
            .s
            .portfolio
            .ledgers()
            .filter(|((s, a, i, _), l)| {
                *s == strategy && *a == account && only.is_none_or(|o| o == *i) && !l.position.is_flat()
            })
            .map(|((_, _, i, leg), l)| (i, leg, l.position.qty))
            .collect();
        for (id, leg, qty) in held {
            let side = if qty.0 > 0 { Side::Sell } else { Side::Buy };
            let size = self.closable(account, id, qty);
            if size.0 > 0 {
                let close = if leg == Leg::Net { PositionEffect::Auto } else { PositionEffect::Close };
                self.place(strategy, account, OrderRequest::market(id, side, size).leg(leg, close));
            }
        }
    }

    /// What of a position can be sent as one order: a spot sale cannot sell the part that went for fees.
    fn closable(&self, account: AccountId, id: InstrumentId, qty: Qty) -> Qty {
        let instrument = self.instruments.get(id);
        let mut size = qty.abs();
        if instrument.is_spot() && qty.0 > 0 {
            let owned = self.s.portfolio.cash(account, instrument.base).ours;
            size = size.min(instrument.qty_down(owned.max(Decimal::ZERO)).unwrap_or(size));
        }
        Qty((size.0 - size.0 % instrument.lot.0).min(instrument.max_qty.0))
    }
}

/// The order an amend asks for, and what of it would be open.
fn amended(order: &Order, price: Option<Price>, qty: Option<Qty>) -> (NewOrder, Qty) {
    let mut wanted = order.request;
    if let Some(px) = price {
        wanted.kind = match wanted.kind {
            OrderKind::Limit { .. } => OrderKind::Limit { price: px },
            OrderKind::StopLimit { trigger, .. } => OrderKind::StopLimit { trigger, price: px },
            OrderKind::TakeProfitLimit { trigger, .. } => OrderKind::TakeProfitLimit { trigger, price: px },
            other => other,
        };
    }
    let total = qty.unwrap_or(order.size);
    wanted.qty = OrderQty::Size(total);
    (wanted, Qty((total.0 - order.cum_qty.0).max(0)))
}
