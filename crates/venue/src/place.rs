//! Admission: whether a new order is well-formed, allowed and paid for, and what happens to it then.
//! Never: matching itself.

use crate::config::FeeRates;
use crate::core::{Core, Cx, refusal};
use crate::market::crosses;
use crate::matching::Sweep;
use crate::orders::{Order, Stage, Trail};
use ctos_types::{
    Decimal, Instrument, InstrumentKind, Leg, NewOrder, NumberError, OrderKind, OrderQty, PositionEffect, Price, Qty,
    RejectReason, ReportBody, Request, Side, TimeInForce, UnixNanos,
};

impl Core {
    /// A new order: refused with a reason, or accepted and then traded.
    pub fn place(&mut self, cx: &mut Cx<'_>, request: &NewOrder) {
        let order = match self.admit(cx, request) {
            Ok(order) => order,
            Err(reason) => {
                let (account, id) = (request.account, request.cl_ord_id);
                return cx.out.push(refusal(cx.now, account, request.instrument, id, Request::Place, reason));
            }
        };
        let asked = request.qty;
        let slot = self.enlist(order);
        let i = cx.all.get(order.instrument());
        self.refresh_hold(i, slot);
        self.report(cx, &order, ReportBody::Accepted);
        if matches!(asked, OrderQty::Size(q) if q != order.size) {
            self.report(cx, &order, ReportBody::Amended { price: order.limit(), qty: order.size });
        }
        if order.request.kind.is_conditional() {
            self.orders[slot].stage = Stage::Waiting;
            self.market_mut(i.id).triggers.push(slot);
            // A trailing stop without activation follows from the present price on.
            self.watch(i, slot);
        } else {
            self.submit(cx, slot);
        }
        self.check_triggers(cx, i.id);
    }

    fn admit(&mut self, cx: &Cx<'_>, request: &NewOrder) -> Result<Order, RejectReason> {
        let account = self.account_index(request.account).ok_or(RejectReason::Other)?;
        if request.instrument.index() >= cx.all.len() {
            return Err(RejectReason::InstrumentNotTrading);
        }
        let i = cx.all.get(request.instrument);
        if matches!(i.kind, InstrumentKind::Future { expiry, .. } if cx.now >= expiry) {
            return Err(RejectReason::InstrumentNotTrading);
        }
        let a = self.account(account);
        if a.used.contains(request.cl_ord_id) {
            return Err(RejectReason::DuplicateClientOrderId);
        }
        if a.open.len() >= self.rules.max_open_orders as usize {
            return Err(RejectReason::TooManyOrders);
        }
        let reduce = check_shape(i, request, a.config.hedge_mode)?;
        let rates = self.account_mut(account).rates(i, cx.now);
        let mut order = new_order(account, request, rates, i, reduce, cx.now);
        self.check_size(i, &mut order)?;
        self.check_prices(i, &order)?;
        if request.post_only && !request.kind.is_conditional() && self.would_take(&order) {
            return Err(RejectReason::PostOnlyWouldTake);
        }
        self.check_funds(cx, i, &mut order)?;
        order.seq = self.next_order_id();
        Ok(order)
    }

    /// Size against the filters, and against the position where the order only reduces.
    fn check_size(&self, i: &Instrument, order: &mut Order) -> Result<(), RejectReason> {
        let limit = order.limit();
        match order.request.qty {
            OrderQty::Size(size) => match i.check(limit, size) {
                // A position below the minimum must still be closable.
                Err(RejectReason::MinNotional) if order.reduce => {}
                other => other?,
            },
            OrderQty::Quote(amount) if !amount.is_positive() => return Err(RejectReason::BadQty),
            OrderQty::Quote(amount) if amount < i.min_notional => return Err(RejectReason::MinNotional),
            OrderQty::Quote(_) => {}
        }
        if limit.is_none() && !order.reduce && !order.request.kind.is_conditional() {
            self.check_expected_notional(i, order)?;
        }
        // A conditional order is held against the position when it fires.
        if !order.reduce || i.is_spot() || order.request.kind.is_conditional() {
            return Ok(());
        }
        let closable = self.account(order.account).closable(i.id, order.leg(), order.side());
        if closable == 0 {
            return Err(RejectReason::ReduceOnly);
        }
        if order.leaves() > closable {
            order.set_size(Qty(closable));
        }
        Ok(())
    }

    fn check_expected_notional(&self, i: &Instrument, order: &Order) -> Result<(), RejectReason> {
        let market = self.market(i.id);
        let Some(px) = market.touch(order.side().opposite()).or(market.last).filter(|px| px.0 > 0) else {
            return Ok(());
        };
        let bad = |_| RejectReason::BadQty;
        match order.request.qty {
            OrderQty::Size(size) if i.notional(px, size).map_err(bad)? < i.min_notional => {
                Err(RejectReason::MinNotional)
            }
            OrderQty::Quote(amount) if i.qty_for_quote(amount, px).map_err(bad)? < i.min_qty.max(i.lot) => {
                Err(RejectReason::BadQty)
            }
            _ => Ok(()),
        }
    }

    fn check_prices(&self, i: &Instrument, order: &Order) -> Result<(), RejectReason> {
        let on_grid = |px: Price| px.0 > 0 && px.0 % i.tick.0 == 0;
        let (trigger, rises) = match order.request.kind {
            OrderKind::Market | OrderKind::Limit { .. } => return Ok(()),
            OrderKind::StopMarket { trigger } | OrderKind::StopLimit { trigger, .. } => {
                (trigger, order.side() == Side::Buy)
            }
            OrderKind::TakeProfitMarket { trigger } | OrderKind::TakeProfitLimit { trigger, .. } => {
                (trigger, order.side() == Side::Sell)
            }
            OrderKind::TrailingStop { callback_bps, activation } => {
                let good = (1..10_000).contains(&callback_bps) && activation.is_none_or(on_grid);
                return if good { Ok(()) } else { Err(RejectReason::BadPrice) };
            }
        };
        if !on_grid(trigger) {
            return Err(RejectReason::BadPrice);
        }
        let level = i.price_decimal(trigger);
        let reached = |now: Decimal| if rises { now >= level } else { now <= level };
        if self.watched(i, order.request.trigger_by).is_some_and(reached) {
            return Err(RejectReason::WouldTriggerImmediately);
        }
        Ok(())
    }

    /// Whether a limit order would trade at once. On bars the last price stands for both sides of the book.
    pub fn would_take(&self, order: &Order) -> bool {
        let market = self.market(order.instrument());
        let touch = market.touch(order.side().opposite());
        let touch = touch.or(if market.on_bars() { market.last } else { None });
        touch.is_some_and(|px| crosses(order.side(), order.limit(), px))
    }

    /// Fill-or-kill and funds: works out what is held, or what an order that trades at once will need.
    fn check_funds(&self, cx: &Cx<'_>, i: &Instrument, order: &mut Order) -> Result<(), RejectReason> {
        let market = self.market(i.id);
        let now_or_never = !market.on_bars() && !order.request.kind.is_conditional();
        let sweep = if now_or_never && (order.limit().is_none() || order.request.tif == TimeInForce::Fok) {
            Some(self.sweep(i, order))
        } else {
            None
        };
        if let (TimeInForce::Fok, Some(sweep)) = (order.request.tif, sweep)
            && sweep.qty < order.leaves()
        {
            return Err(RejectReason::FokNotFilled);
        }
        order.hold_px = match (order.limit(), sweep) {
            (Some(limit), _) => Some(limit),
            // Trades at once or not at all: nothing stays held.
            (None, Some(_)) => None,
            (None, None) => self.expected_price(i, order),
        };
        let Some(needed) = self.needed(i, order, sweep).map_err(|_| RejectReason::BadQty)? else { return Ok(()) };
        let fits = if !i.is_spot() {
            needed.is_zero() || self.free_margin(cx.all, order.account, i.settle()).is_ok_and(|free| needed <= free)
        } else if order.reduce {
            self.spendable(cx, order.account, order.hold_currency).is_ok_and(|free| needed <= free)
        } else {
            self.can_hold(cx, order.account, order.hold_currency, needed).unwrap_or(false)
        };
        if fits { Ok(()) } else { Err(RejectReason::InsufficientBalance) }
    }

    /// The price a market order that waits is expected to get: its trigger, or the last price with the slippage of bars.
    fn expected_price(&self, i: &Instrument, order: &Order) -> Option<Price> {
        let slip =
            i64::from(self.rules.bar_slippage_ticks).saturating_mul(i.tick.0).saturating_mul(order.side().sign());
        let last = || self.market(i.id).last.map(|px| Price(px.0.saturating_add(slip).max(i.tick.0)));
        match order.request.kind {
            OrderKind::StopMarket { trigger } | OrderKind::TakeProfitMarket { trigger } => Some(trigger),
            OrderKind::TrailingStop { activation, .. } => activation.or_else(last),
            _ => last(),
        }
    }

    /// What the order needs in its hold currency; `None`: nothing to check.
    fn needed(&self, i: &Instrument, o: &mut Order, sweep: Option<Sweep>) -> Result<Option<Decimal>, NumberError> {
        let Some(sweep) = sweep.filter(|_| o.limit().is_none()) else {
            if i.is_spot() {
                return self.spot_hold(i, o).map(Some);
            }
            let opening = match (o.reduce, o.amount_left, o.hold_px) {
                (true, ..) => 0,
                (_, Some(amount), Some(px)) => i.qty_for_quote(amount, px)?.0,
                (_, Some(_), None) => 0,
                (_, None, _) => self.opening_part(o.account, i, o.leg(), o.side(), o.leaves(), u64::MAX),
            };
            let hold = self.margin_hold(i, o, opening)?;
            o.quoted = Some((opening, hold));
            return Ok(Some(hold));
        };
        let Some(worst) = sweep.worst else { return Ok(None) };
        let rate = o.rates.taker;
        match (i.is_spot(), o.side()) {
            (true, Side::Buy) => {
                let fee = self.quote_fee_bound(o.account, i, sweep.qty, sweep.value, rate)?;
                sweep.value.checked_add(fee).map(Some)
            }
            // All of it must be there, whether or not the book takes it.
            (true, Side::Sell) if o.amount_left.is_none() => Ok(Some(i.qty_decimal(Qty(o.leaves())))),
            (true, Side::Sell) => Ok(Some(i.qty_decimal(Qty(sweep.qty)))),
            (false, _) if o.reduce => Ok(Some(Decimal::ZERO)),
            (false, _) => {
                let opening = self.opening_part(o.account, i, o.leg(), o.side(), sweep.qty, u64::MAX);
                self.margin_hold(i, &Order { hold_px: Some(worst), ..*o }, opening).map(Some)
            }
        }
    }
}

/// What can be said of a request without the market. Returns whether it may only reduce.
fn check_shape(i: &Instrument, r: &NewOrder, hedge_mode: bool) -> Result<bool, RejectReason> {
    let unsupported = Err(RejectReason::Unsupported);
    let limit = r.kind.limit_price().is_some();
    if matches!(r.qty, OrderQty::Quote(_)) && r.kind != OrderKind::Market {
        return unsupported;
    }
    // An order by amount ends with an unspent rest, so it can never be filled or killed.
    if matches!((r.qty, r.tif), (OrderQty::Quote(_), TimeInForce::Fok)) {
        return unsupported;
    }
    if r.post_only && (!limit || matches!(r.tif, TimeInForce::Ioc | TimeInForce::Fok)) {
        return unsupported;
    }
    if matches!(r.tif, TimeInForce::Gtd(_)) && r.kind == OrderKind::Market {
        return unsupported;
    }
    let closes = !matches!(r.position_effect, PositionEffect::Auto | PositionEffect::Open);
    if i.is_spot() {
        // A cash or borrowed coin has no position: reducing means selling what is owned.
        return match (r.leg, r.reduce_only, r.side) {
            (Leg::Net, true, Side::Buy) => Err(RejectReason::ReduceOnly),
            (Leg::Net, reduce, _) => Ok(reduce),
            _ => unsupported,
        };
    }
    if !hedge_mode {
        let reduce = r.reduce_only || closes;
        let contradicts = reduce && r.position_effect == PositionEffect::Open;
        return if r.leg == Leg::Net && !contradicts { Ok(reduce) } else { unsupported };
    }
    let closing = match r.leg {
        Leg::Net => return unsupported,
        Leg::Long => r.side == Side::Sell,
        Leg::Short => r.side == Side::Buy,
    };
    let contradicts = closing && r.position_effect == PositionEffect::Open;
    if contradicts || (!closing && (closes || r.reduce_only)) { unsupported } else { Ok(closing) }
}

fn new_order(account: u16, request: &NewOrder, rates: FeeRates, i: &Instrument, reduce: bool, now: UnixNanos) -> Order {
    let (size, amount_left) = match request.qty {
        OrderQty::Size(size) => (size, None),
        OrderQty::Quote(amount) => (Qty(i64::MAX), Some(amount)),
    };
    let hold_currency = match (i.is_spot(), request.side) {
        (true, Side::Buy) => i.quote,
        (true, Side::Sell) => i.base,
        (false, _) => i.settle(),
    };
    Order {
        request: *request,
        account,
        seq: 0,
        priority: 0,
        stage: Stage::Active,
        live: !request.kind.is_conditional(),
        foreign: false,
        size,
        amount_left,
        cum: Qty(0),
        hold: Decimal::ZERO,
        hold_currency,
        held_for: -1,
        quoted: None,
        hold_px: None,
        rates,
        reduce,
        arrived: now,
        trail: Trail::default(),
    }
}
