//! How each deed of the operator is done, and the venue's own truth about its accounts. Never: reads a deed's JSON.

use crate::absorb::blank_order;
use crate::conns::Kind;
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Order, OrderType, Tif};
use crate::twin::Twin;
use crate::wire::Frame;
use ctos_types::{
    Command, Decimal, FundingRate, InstrumentId, Leg, Market, MarketData, NewOrder, OrderKind, OrderQty, Qty, Side,
    TimeInForce, UnixNanos,
};

/// The newest orders that the truth tells, open and closed.
const RECENT: usize = 1_000;

impl Twin {
    pub(crate) fn close_all(&mut self, code: Option<u16>) {
        let ids: Vec<u64> = self.conns.map.keys().copied().collect();
        for id in ids {
            let frame = code.map_or(Frame::Cut, |code| Frame::Close(code, String::new()));
            self.end_or_send(id, frame);
        }
    }

    pub(crate) fn expire_keys(&mut self) {
        for user in 0..self.users.list.len() {
            if let Some(key) = self.users.list[user].listen_key.take() {
                self.tell_expired(user, &key.text);
            }
        }
        let event = Obj::new().str("e", "eventStreamTerminated").int("E", self.server_ms()).done();
        let mut frames = Vec::new();
        for (id, c) in &mut self.conns.map {
            if let Kind::Api(session) = &mut c.kind {
                for (subscription, ..) in session.subscriptions.drain(..) {
                    let o = Obj::new().int("subscriptionId", subscription.into()).raw("event", &event);
                    frames.push((*id, o.done()));
                }
            }
        }
        for (id, text) in frames {
            self.send_with(id, text, None);
        }
    }

    /// A session whose key is gone hears so and loses what came with it.
    pub(crate) fn tell_revoked(&mut self, api_key: &str) {
        let error = Obj::new().int("code", -2015).str("msg", "Invalid API-key, IP, or permissions for action.").done();
        let text = Obj::new().null("id").int("status", 401).raw("error", &error).done();
        let mut hit = Vec::new();
        for (id, c) in &mut self.conns.map {
            if let Kind::Api(s) = &mut c.kind
                && s.logon.as_ref().is_some_and(|(key, _)| key == api_key)
            {
                s.logon = None;
                s.subscriptions.retain(|(.., by_logon)| !by_logon);
                hit.push(*id);
            }
        }
        for id in hit {
            self.send_with(id, text.clone(), None);
        }
    }

    pub(crate) fn foreign(
        &mut self,
        account: &str,
        symbol: &str,
        side: &str,
        qty: Decimal,
        price: Option<Decimal>,
    ) -> Result<Order, String> {
        let (user, id) = (self.user(account)?, self.traded(symbol)?);
        let side = match side {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err("side is BUY or SELL".into()),
        };
        let i = self.instrument(id);
        let price = price.map(|p| i.price(p)).transpose().map_err(|e| e.to_string())?;
        let qty = i.qty(qty).map_err(|e| e.to_string())?;
        let kind = if price.is_some() { OrderType::Limit } else { OrderType::Market };
        let client_id = format!("web_{}", self.server_id());
        Ok(Order {
            client_id,
            kind,
            origin: kind.name(),
            price: price.unwrap_or_default(),
            qty,
            ..blank_order(user, id, side, self.now_ms())
        })
    }

    /// Another engine order trades on the account of the same order.
    pub(crate) fn overfill(&mut self, account: &str, order_id: i64, quantity: Decimal) -> Result<(), String> {
        let user = self.user(account)?;
        let n = self
            .orders
            .list
            .numbers()
            .find(|(_, o)| o.user == user && o.id == order_id)
            .map(|(n, _)| n)
            .ok_or("no such order")?;
        let id = self.orders.list[n].instrument;
        let extra = self.instrument(id).qty(quantity).map_err(|e| e.to_string())?;
        let o = &self.orders.list[n];
        let market = Order { kind: OrderType::Market, qty: extra, tif: Tif::Ioc, cum: Qty(0), ..o.clone() };
        self.market_behind(n, &market)
    }

    pub(crate) fn market_behind(&mut self, n: usize, market: &Order) -> Result<(), String> {
        let seq = self.orders.next_engine(n);
        let place = Command::Place(NewOrder {
            tif: TimeInForce::Ioc,
            reduce_only: market.reduce_only,
            leg: market.leg,
            ..NewOrder::new(
                self.users.engine(market.user),
                crate::desk::engine_id(seq),
                market.instrument,
                market.side,
                OrderKind::Market,
                OrderQty::Size(market.qty),
            )
        });
        let mut batch = Vec::new();
        self.venue.on_command(self.now, &place, &mut batch);
        self.absorb(batch, None).map_or(Ok(()), |(_, reason)| Err(reason.to_string()))
    }

    /// Closes positions in the venue's own name.
    pub(crate) fn close_out(
        &mut self,
        user: usize,
        only: Option<InstrumentId>,
        quantity: Option<Decimal>,
        kind: OrderType,
        name: &str,
    ) -> Result<(), String> {
        let engine = self.users.engine(user);
        let held: Vec<(InstrumentId, Leg, Qty)> =
            self.venue.positions(engine).map(|(id, leg, p)| (id, leg, p.qty)).collect();
        let mut any = false;
        for (id, leg, qty) in held.into_iter().filter(|(id, ..)| only.is_none_or(|o| o == *id)) {
            let side = if qty.0 > 0 { Side::Sell } else { Side::Buy };
            let asked = match quantity {
                Some(q) => self.instrument(id).qty(q).map_err(|e| e.to_string())?,
                None => qty.abs(),
            };
            let now = self.now_ms();
            let order = Order {
                client_id: name.to_string(),
                kind,
                origin: kind.name(),
                tif: Tif::Ioc,
                qty: Qty(asked.0.min(qty.0.abs())),
                leg,
                reduce_only: leg == Leg::Net,
                ..blank_order(user, id, side, now)
            };
            self.submit_as(order, OrderKind::Market, true).map_err(|r| r.to_string())?;
            any = true;
        }
        if any { Ok(()) } else { Err("the account has no such position".into()) }
    }

    pub(crate) fn fund(&mut self, symbol: &str, rate: Decimal) -> Result<(), String> {
        let id = self.traded(symbol)?;
        let mark = self.mark(id).ok_or("the symbol has no mark yet")?;
        let funding = FundingRate { rate, mark };
        let event = Market { instrument: id, ts_event: self.now, data: MarketData::Funding(&funding) };
        let (mut batch, now) = (Vec::new(), self.now_ms());
        self.venue.on_market(self.now, &event, &mut batch);
        self.publics[id.index()].funded(now, rate, mark);
        self.absorb(batch, None);
        Ok(())
    }

    /// The truth about every account: what a judge compares a client's view with.
    pub fn truth(&mut self, now: UnixNanos) -> String {
        self.advance(now);
        let accounts = (0..self.users.list.len()).map(|user| {
            let engine = self.users.engine(user);
            let balances = self.venue.balances(engine).map(|(a, b)| {
                let loan = self.loan(user, a);
                let o = Obj::new().str("asset", a.as_str()).str("total", &eight(b.total));
                let o = o.str("locked", &eight(b.hold)).str("borrowed", &eight(loan.principal));
                o.str("interest", &eight(loan.interest)).done()
            });
            let positions = self.venue.positions(engine).map(|(id, leg, p)| {
                let o = Obj::new().str("symbol", &self.symbols.of(id).name).str("side", crate::tell::leg_name(leg));
                o.str("quantity", &self.qty(id, p.qty.0)).done()
            });
            let orders = self.orders.open_of(user, None).into_iter().map(|n| {
                let o = &self.orders.list[n];
                let j = Obj::new().str("symbol", &self.symbols.of(o.instrument).name).int("orderId", o.id);
                let j = j.str("clientOrderId", &o.client_id).str("placedAs", self.orders.placed_as(n));
                let j = j.str("price", &self.px(o.instrument, o.price));
                j.str("quantity", &self.qty(o.instrument, o.qty.0))
                    .str("filled", &self.qty(o.instrument, o.cum.0))
                    .done()
            });
            let waiting = self.algos.open.iter().map(|n| &self.algos.list[*n]).filter(|a| a.user == user);
            let conditionals = waiting.map(|a| {
                let j = Obj::new().str("symbol", &self.symbols.of(a.instrument).name).int("algoId", a.id);
                let j = j.str("clientOrderId", &a.client_id).str("type", a.kind.name());
                let j = j.str("price", &self.px(a.instrument, a.price));
                j.str("trigger", &self.px(a.instrument, a.trigger))
                    .str("quantity", &self.qty(a.instrument, a.qty.0))
                    .done()
            });
            let counts = self.orders.list.iter().filter(|o| o.user == user).count();
            let recent = self.orders.list.numbers().rev().filter(|(_, o)| o.user == user).take(RECENT).map(|(n, o)| {
                let j = Obj::new().int("orderId", o.id).str("clientOrderId", &o.client_id);
                let j = j.str("placedAs", self.orders.placed_as(n));
                let j = j.str("status", o.status.name()).str("quantity", &self.qty(o.instrument, o.qty.0));
                j.str("filled", &self.qty(o.instrument, o.cum.0)).done()
            });
            let recent = array(recent);
            let waited = self.algos.list.iter().rev().filter(|a| a.user == user).take(RECENT);
            let waited = waited.map(|a| Obj::new().int("algoId", a.id).str("clientOrderId", &a.client_id).done());
            let waited = array(waited);
            let trades = self.orders.trades.iter().filter(|x| x.user == user).count();
            let o = Obj::new().str("account", &self.users.list[user].name).raw("balances", &array(balances));
            let o = o.raw("positions", &array(positions)).raw("openOrders", &array(orders));
            let o = o.raw("openConditionals", &array(conditionals));
            let o = o.raw("recentOrders", &recent).raw("recentConditionals", &waited);
            o.int("orders", counts as i64).int("trades", trades as i64).done()
        });
        let rules = self.faults.rules().map(|(n, r)| {
            Obj::new().int("number", n.into()).raw("rule", &serde_json::to_string(r).unwrap_or_default()).done()
        });
        let acted = i64::try_from(self.faults.acted).unwrap_or(i64::MAX);
        let (limited, banned, bans) = self.limits.refused();
        let refused = Obj::new().int("limited", limited).int("banned", banned).int("bans", bans).done();
        let connections = self.conns.map.len() as i64;
        let o = Obj::new().int("time", self.now_ms()).raw("accounts", &array(accounts)).raw("rules", &array(rules));
        o.int("connections", connections).int("acted", acted).raw("refused", &refused).done()
    }
}
