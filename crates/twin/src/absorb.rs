//! What the exchange says becomes order states, trades, prints and user events.
//! Never: decides an order. Balances on the wire have eight decimals, so the exchange's are kept on that grid: what a fee
//! or profit has beyond them is settled with the account at once.

use crate::config::Product;
use crate::effects::Effect;
use crate::orders::{Order, OrderType, OwnTrade, Status, Tif};
use crate::twin::Twin;
use crate::users::Income;
use ctos_types::{
    AccountEvent, AccountId, CancelReason, Currency, Decimal, Fill, InstrumentId, Leg, Liquidity, OrderReport, Price,
    Qty, RejectReason, ReportBody, Request, Rounding, Side, Trade,
};
use ctos_venue::Private;
use std::collections::{BTreeMap, BTreeSet};

/// What a batch did to one account.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub assets: BTreeSet<Currency>,
    pub positions: BTreeSet<(InstrumentId, Leg)>,
    pub traded: bool,
    /// Funding: instrument, amount, currency.
    pub funded: Vec<(InstrumentId, Decimal, Currency)>,
    /// A deposit or withdrawal.
    pub moved: Vec<(Currency, Decimal)>,
}

/// A maker's fill whose taker may follow.
type Maker = (i64, Price, Qty, Side);

impl Twin {
    /// Takes in what the exchange said, in its order. `tape`: the market trade that caused it. Returns why a placement or
    /// amendment was refused, where one was.
    pub(crate) fn absorb(
        &mut self,
        batch: Vec<Private>,
        tape: Option<(InstrumentId, Trade)>,
    ) -> Option<(Request, RejectReason)> {
        let mut touched: BTreeMap<usize, Touched> = BTreeMap::new();
        let (mut maker, mut filled, mut refused) = (None, 0, None);
        let mut fixes = Vec::new();
        for said in batch {
            match said {
                Private::Report(r) => match r.body {
                    ReportBody::Rejected { request, reason, .. } => refused = Some((request, reason)),
                    ReportBody::Fill(fill) => {
                        if fill.liquidity == Liquidity::Maker {
                            filled += fill.last_qty.0;
                        }
                        self.on_fill(&r, &fill, &mut maker, &mut touched, &mut fixes);
                    }
                    _ => self.on_state(&r),
                },
                Private::Account(event) => self.on_account(event, &mut touched, &mut fixes),
            }
        }
        if let Some((id, trade)) = tape {
            let rest = trade.qty.0 - filled;
            if rest > 0 {
                self.print(id, trade.price, Qty(rest), trade.aggressor);
            }
        }
        self.settle_fractions(fixes);
        for (user, asset) in self.settle_due() {
            touched.entry(user).or_default().assets.insert(asset);
        }
        for (user, t) in touched {
            self.tell_account(user, &t);
        }
        refused
    }

    /// Pays out what is beyond eight decimals, so that the wire's balances tie out.
    fn settle_fractions(&mut self, fixes: Vec<(AccountId, Currency, Decimal)>) {
        let mut out = Vec::new();
        for (account, currency, amount) in fixes.into_iter().filter(|f| !f.2.is_zero()) {
            // A withdrawal of less than 10^-8 beyond what is free stays owed to nobody.
            let _ = self.venue.transfer(self.now, account, currency, amount, &mut out);
        }
        // The balances were touched already; nothing else can come of it.
        out.clear();
    }

    /// A trade the public sees. Returns its id.
    pub(crate) fn print(&mut self, id: InstrumentId, price: Price, qty: Qty, taker: Side) -> i64 {
        let (now, window) = (self.now_ms(), if self.product == Product::Spot { 1 } else { 100 });
        let value = self.instrument(id).value(price, qty).unwrap_or_default();
        let public = &mut self.publics[id.index()];
        let print = public.print(now, price, qty.0, value, taker);
        let done = public.aggregate(&print, window);
        if !self.is_warming() {
            self.publish_trade(id, &print);
            if let Some(a) = done {
                self.publish_aggregate(id, &a);
            }
        }
        print.id
    }

    fn order_of(&mut self, r: &OrderReport, side: Side) -> usize {
        let known = match r.cl_ord_id {
            Some(id) => self.orders.by_engine(id.seq),
            None => self.orders.foreign(&r.venue_order_id),
        };
        known.unwrap_or_else(|| self.enter_liquidation(r, side))
    }

    /// The venue closes a position by itself: an order nobody placed.
    fn enter_liquidation(&mut self, r: &OrderReport, side: Side) -> usize {
        let (user, now) = (self.users.of_engine(r.account), self.now_ms());
        let order = Order {
            kind: OrderType::Liquidation,
            origin: OrderType::Liquidation.name(),
            tif: Tif::Ioc,
            client_id: format!("autoclose-{now}{}", self.orders.list.next()),
            ..blank_order(user, r.instrument, side, now)
        };
        self.orders.enter_foreign(r.venue_order_id, order)
    }

    fn on_fill(
        &mut self,
        r: &OrderReport,
        fill: &Fill,
        maker: &mut Option<Maker>,
        touched: &mut BTreeMap<usize, Touched>,
        fixes: &mut Vec<(AccountId, Currency, Decimal)>,
    ) {
        let n = self.order_of(r, fill.side);
        let (id, now) = (r.instrument, self.now_ms());
        let is_maker = fill.liquidity == Liquidity::Maker;
        let trade_id = match maker.take() {
            Some((t, px, qty, side))
                if !is_maker && (px, qty, side) == (fill.last_px, fill.last_qty, fill.side.opposite()) =>
            {
                t
            }
            _ => {
                let taker = if is_maker { fill.side.opposite() } else { fill.side };
                self.print(id, fill.last_px, fill.last_qty, taker)
            }
        };
        if is_maker {
            *maker = Some((trade_id, fill.last_px, fill.last_qty, fill.side));
        }
        let user = self.orders.list[n].user;
        let instrument = self.instrument(id).clone();
        let quote = instrument.value(fill.last_px, fill.last_qty).unwrap_or_default();
        let fee = fill.fee.round(8, Rounding::Down);
        fixes.push((r.account, fill.fee_currency, fill.fee - fee));
        let mut realized = Decimal::ZERO;
        if !instrument.is_spot() {
            let u = &mut self.users.list[user];
            let position = u.positions.entry((id, fill.leg)).or_default();
            // The exchange did the same sum and it fitted.
            let exact = position.apply(&instrument, fill.side, fill.last_px, fill.last_qty).unwrap_or_default();
            realized = exact.round(8, Rounding::HalfEven);
            if position.is_flat() {
                u.added.remove(&(id, fill.leg));
            }
            *u.realized.entry((id, fill.leg)).or_default() += realized;
            fixes.push((r.account, instrument.settle(), realized - exact));
        }
        let trade = OwnTrade {
            id: trade_id,
            order: n,
            user,
            instrument: id,
            side: fill.side,
            leg: fill.leg,
            price: fill.last_px,
            qty: fill.last_qty,
            quote,
            fee,
            fee_asset: fill.fee_currency.to_string(),
            realized,
            at_ms: now,
            maker: is_maker,
        };
        self.note_income(&trade);
        let number = self.orders.add_trade(trade);
        let o = &mut self.orders.list[n];
        if o.cum.0 == 0 {
            self.limits.filled(user);
        }
        o.cum.0 += fill.last_qty.0;
        o.cum_quote += quote;
        o.trades.push(number);
        if o.kind == OrderType::Liquidation {
            o.qty = o.qty.max(o.cum);
        }
        let full = o.cum >= o.qty;
        self.orders.set_status(n, if full { Status::Filled } else { Status::PartiallyFilled }, now);
        self.dirty.insert(id);
        let t = touched.entry(user).or_default();
        (t.traded, _) = (true, t.positions.insert((id, fill.leg)));
        t.assets.extend([instrument.quote, fill.fee_currency]);
        if instrument.is_spot() {
            t.assets.insert(instrument.base);
        }
        self.tell_order(n, "TRADE", Some(number));
        self.note_received(n, instrument.qty_decimal(fill.last_qty), quote, fee, fill.fee_currency.as_str());
    }

    fn note_income(&mut self, t: &OwnTrade) {
        if self.product == Product::Spot {
            return;
        }
        let symbol = self.symbols.of(t.instrument).name.clone();
        let lines = [("REALIZED_PNL", t.realized), ("COMMISSION", -t.fee)];
        for (kind, amount) in lines.into_iter().filter(|l| !l.1.is_zero()) {
            let id = self.next_execution();
            let (asset, trade) = (t.fee_asset.clone(), t.id.to_string());
            let line = Income { symbol: symbol.clone(), kind, amount, asset, at_ms: t.at_ms, id, trade };
            self.users.list[t.user].note(line);
        }
    }

    fn on_state(&mut self, r: &OrderReport) {
        let Some(n) = r.cl_ord_id.and_then(|id| self.orders.by_engine(id.seq)) else { return };
        let (now, id) = (self.now_ms(), r.instrument);
        self.dirty.insert(id);
        match r.body {
            ReportBody::Accepted => {
                let o = &mut self.orders.list[n];
                // A second engine order behind one that filled already: an over-fill.
                if o.cum.0 > 0 || o.working_ms >= 0 {
                    return;
                }
                o.working_ms = if o.kind.is_conditional() { -1 } else { now };
                self.tell_order(n, "NEW", None);
            }
            ReportBody::Triggered => {
                let o = &mut self.orders.list[n];
                (o.working_ms, o.updated_ms) = (now, now);
                self.tell_order(n, "NEW", None);
            }
            ReportBody::Amended { price, qty } => self.on_amended(n, price, qty),
            ReportBody::Canceled { reason } => {
                let (status, exec, expiry) = match reason {
                    CancelReason::Requested | CancelReason::Venue => match self.ending {
                        Some(why) => (Status::Expired, "EXPIRED", why),
                        None => (Status::Canceled, "CANCELED", "0"),
                    },
                    CancelReason::NoLiquidity => {
                        let market = self.orders.list[n].kind == OrderType::Market;
                        (Status::Expired, "EXPIRED", if market { "9" } else { "2" })
                    }
                    CancelReason::SelfTrade => (Status::ExpiredInMatch, "EXPIRED", "1"),
                    CancelReason::ReduceOnly => (Status::Expired, "EXPIRED", "4"),
                    CancelReason::Liquidation => (Status::Expired, "EXPIRED", "5"),
                    CancelReason::PostOnly => (Status::Expired, "EXPIRED", "2"),
                };
                self.close(n, status, exec, expiry);
            }
            ReportBody::Expired => self.close(n, Status::Expired, "EXPIRED", "0"),
            ReportBody::Rejected { .. } | ReportBody::Fill(_) | ReportBody::Unknown { .. } => {}
        }
    }

    fn close(&mut self, n: usize, status: Status, exec: &'static str, expiry: &'static str) {
        let now = self.now_ms();
        self.orders.list[n].expiry = expiry;
        self.orders.set_status(n, status, now);
        let prevented = status == Status::ExpiredInMatch && self.product == Product::Spot;
        self.tell_order(n, if prevented { "TRADE_PREVENTION" } else { exec }, None);
        self.on_child_closed(n);
        self.note_over(n);
    }

    fn on_amended(&mut self, n: usize, price: Option<Price>, qty: Qty) {
        let now = self.now_ms();
        let o = &mut self.orders.list[n];
        if let Some(px) = price {
            o.price = px;
        }
        (o.qty, o.updated_ms) = (qty, now);
        // An amendment may take several steps: whoever asked for it names the one to be told.
        if let Some(name) = self.announce.take() {
            self.tell_order(n, name, None);
        }
    }

    fn on_account(
        &mut self,
        event: AccountEvent,
        touched: &mut BTreeMap<usize, Touched>,
        fixes: &mut Vec<(AccountId, Currency, Decimal)>,
    ) {
        match event {
            AccountEvent::Balance { account, currency, .. } => {
                touched.entry(self.users.of_engine(account)).or_default().assets.insert(currency);
            }
            AccountEvent::Position { account, instrument, leg, .. } => {
                touched.entry(self.users.of_engine(account)).or_default().positions.insert((instrument, leg));
            }
            AccountEvent::Funding { account, instrument, amount, currency, .. } => {
                let user = self.users.of_engine(account);
                let paid = amount.round(8, Rounding::HalfEven);
                fixes.push((account, currency, paid - amount));
                touched.entry(user).or_default().funded.push((instrument, paid, currency));
                let (id, at_ms) = (self.next_execution(), self.now_ms());
                let symbol = self.symbols.of(instrument).name.clone();
                let asset = currency.to_string();
                let line = Income { symbol, kind: "FUNDING_FEE", amount: paid, asset, at_ms, id, trade: String::new() };
                self.users.list[user].note(line);
            }
            AccountEvent::Adjustment { account, currency, amount } => {
                touched.entry(self.users.of_engine(account)).or_default().moved.push((currency, amount));
            }
            // The simulated exchange knows its accounts and adopts nothing.
            AccountEvent::Interest { .. }
            | AccountEvent::Liquidated { .. }
            | AccountEvent::Opening { .. }
            | AccountEvent::Standing { .. } => {}
        }
    }
}

/// An order with nothing said but whose and what.
pub(crate) fn blank_order(user: usize, instrument: InstrumentId, side: Side, now_ms: i64) -> Order {
    Order {
        id: 0,
        user,
        instrument,
        client_id: String::new(),
        former_ids: Vec::new(),
        other_id: None,
        side,
        kind: OrderType::Limit,
        tif: Tif::Gtc,
        price: Price(0),
        qty: Qty(0),
        quote_qty: Decimal::ZERO,
        stop: Price(0),
        trailing_delta: 0,
        iceberg: Qty(0),
        status: Status::New,
        cum: Qty(0),
        cum_quote: Decimal::ZERO,
        created_ms: now_ms,
        updated_ms: now_ms,
        working_ms: -1,
        stp: "EXPIRE_MAKER".into(),
        strategy: (None, None),
        leg: Leg::Net,
        reduce_only: false,
        close_position: false,
        gtd_ms: 0,
        origin: "LIMIT",
        price_match: "NONE".into(),
        amends: 0,
        expiry: "0",
        engine: 0,
        trades: Vec::new(),
        effect: Effect::default(),
        need: Decimal::ZERO,
        loan: Decimal::ZERO,
    }
}
