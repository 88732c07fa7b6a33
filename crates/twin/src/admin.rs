//! What an operator of the twin can do to it: the fault script, standing oddities, and things venues do by themselves.
//! Never: reachable by the venue's own protocol.

use crate::absorb::blank_order;
use crate::config::{KeySetting, Product};
use crate::conns::Kind;
use crate::faults::Rule;
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Order, OrderType, Tif};
use crate::twin::Twin;
use crate::wire::Frame;
use ctos_types::{Currency, Decimal, FundingRate, InstrumentId, Leg, Market, MarketData, Qty, Side, UnixNanos};
use serde::Deserialize;
use serde_json::Value;

/// A deed, as JSON with its name under `do`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Adds a rule to the fault script.
    Rule {
        rule: Rule,
    },
    /// Removes one rule, or all.
    RemoveRule {
        number: Option<u32>,
    },
    /// The venue's clock is off by so much.
    Skew {
        ms: i64,
    },
    /// New orders cannot be queried for so long.
    Invisible {
        ms: i64,
    },
    /// Market data stops, pings go on; or goes on.
    Stall {
        on: bool,
    },
    /// Depth snapshots are so old.
    SnapshotAge {
        ms: i64,
    },
    /// A connection lives so long.
    Life {
        ms: i64,
    },
    /// Bans every address seen.
    Ban {
        secs: i64,
    },
    /// Ends bans.
    Unban,
    /// Closes every connection: in order with this code, or without a word.
    Close {
        code: Option<u16>,
    },
    /// Announces a shutdown, then closes every connection.
    Shutdown,
    /// Listen keys, or on spot the user subscriptions, end now.
    ExpireKeys,
    /// Cancels an order without being asked; all of the account's without an id.
    Cancel {
        account: String,
        order_id: Option<i64>,
    },
    /// An order the account's owner placed elsewhere.
    Foreign {
        account: String,
        symbol: String,
        side: String,
        quantity: Decimal,
        price: Option<Decimal>,
    },
    /// Fills an order by more than its size.
    Overfill {
        account: String,
        order_id: i64,
        quantity: Decimal,
    },
    /// Closes a position as auto-deleveraging does.
    Adl {
        account: String,
        symbol: String,
        quantity: Option<Decimal>,
    },
    /// Closes all positions of an account as a liquidation does.
    Liquidate {
        account: String,
    },
    /// A funding payment now.
    Funding {
        symbol: String,
        rate: Decimal,
    },
    /// Deposits, or withdraws what is negative.
    Transfer {
        account: String,
        asset: String,
        amount: Decimal,
    },
    /// Changes a symbol's status or one of its filters.
    Symbol {
        symbol: String,
        change: Value,
    },
    /// Gives an account another key.
    AddKey {
        account: String,
        key: KeySetting,
    },
    RevokeKey {
        api_key: String,
    },
    /// Everything as it should be: no rules, no oddities, no bans.
    Behave,
}

impl Twin {
    /// Does one deed. Errors: what is wrong with it.
    pub fn admin(&mut self, now: UnixNanos, json: &str) -> Result<String, String> {
        self.advance(now);
        let deed: Deed = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let result = self.deed(deed);
        self.settle();
        result.map(|extra| extra.unwrap_or_else(|| "{}".into()))
    }

    fn user(&self, name: &str) -> Result<usize, String> {
        self.users.by_name(name).ok_or_else(|| format!("no account {name}"))
    }

    fn deed(&mut self, deed: Deed) -> Result<Option<String>, String> {
        let now = self.now_ms();
        match deed {
            Deed::Rule { rule } => {
                let number = self.faults.add(rule)?;
                return Ok(Some(Obj::new().int("number", number.into()).done()));
            }
            Deed::RemoveRule { number } => self.faults.remove(number),
            Deed::Skew { ms } => self.faults.skew_ms = ms,
            Deed::Invisible { ms } => self.faults.invisible_ms = ms.max(0),
            Deed::Stall { on } => self.faults.stalled = on,
            Deed::SnapshotAge { ms } => self.faults.snapshot_age_ms = ms.max(0),
            Deed::Life { ms } => self.faults.life_ms = ms.max(1_000),
            Deed::Ban { secs } => self.limits.ban(None, now, secs.max(0) * 1_000),
            Deed::Unban => self.limits.ban(None, now, 0),
            Deed::Close { code } => self.close_all(code),
            Deed::Shutdown => {
                self.tell_shutdown();
                self.close_all(Some(1001));
            }
            Deed::ExpireKeys => self.expire_keys(),
            Deed::Cancel { account, order_id } => {
                let user = self.user(&account)?;
                let open = self.orders.open_of(user, None);
                let wanted = |n: &usize| order_id.is_none_or(|id| self.orders.list[*n].id == id);
                let list: Vec<usize> = open.into_iter().filter(wanted).collect();
                if list.is_empty() && order_id.is_some() {
                    return Err("no such open order".into());
                }
                for n in list {
                    self.cancel(n, None);
                }
            }
            Deed::Foreign { account, symbol, side, quantity, price } => {
                let order = self.foreign(&account, &symbol, &side, quantity, price)?;
                let n = self.submit(order).map_err(|r| r.to_string())?;
                return Ok(Some(Obj::new().int("orderId", self.orders.list[n].id).done()));
            }
            Deed::Overfill { account, order_id, quantity } => self.overfill(&account, order_id, quantity)?,
            Deed::Adl { account, symbol, quantity } => {
                let (user, id) = (self.user(&account)?, self.traded(&symbol)?);
                self.close_out(user, Some(id), quantity, OrderType::Market, &format!("adl_autoclose{now}"))?;
            }
            Deed::Liquidate { account } => {
                let user = self.user(&account)?;
                for n in self.orders.open_of(user, None) {
                    self.cancel(n, None);
                }
                self.close_out(user, None, None, OrderType::Liquidation, &format!("autoclose-{now}"))?;
            }
            Deed::Funding { symbol, rate } => self.fund(&symbol, rate)?,
            Deed::Transfer { account, asset, amount } => {
                let engine = self.users.engine(self.user(&account)?);
                let asset = Currency::new(&asset).map_err(|e| e.to_string())?;
                let mut batch = Vec::new();
                self.venue.transfer(self.now, engine, asset, amount, &mut batch).map_err(|e| e.to_string())?;
                self.absorb(batch, None);
            }
            Deed::Symbol { symbol, change } => {
                self.symbols.patch(self.product, &symbol, &change)?;
                if self.product == Product::UsdM {
                    self.publish_contract(&symbol);
                }
            }
            Deed::AddKey { account, key } => {
                let user = self.user(&account)?;
                self.users.add_key(user, key)?;
            }
            Deed::RevokeKey { api_key } => {
                if !self.users.revoke(&api_key) {
                    return Err("no such key".into());
                }
                self.tell_revoked(&api_key);
            }
            Deed::Behave => {
                self.faults.remove(None);
                let f = &mut self.faults;
                (f.skew_ms, f.invisible_ms, f.stalled, f.snapshot_age_ms) = (0, 0, false, 0);
                f.life_ms = 24 * 3_600_000;
                self.limits.ban(None, now, 0);
            }
        }
        Ok(None)
    }

    fn traded(&self, symbol: &str) -> Result<InstrumentId, String> {
        self.symbols.traded(symbol).map(|s| s.1).map_err(|e| e.msg)
    }

    fn close_all(&mut self, code: Option<u16>) {
        let ids: Vec<u64> = self.conns.map.keys().copied().collect();
        for id in ids {
            let frame = code.map_or(Frame::Cut, |code| Frame::Close(code, String::new()));
            self.end_or_send(id, frame);
        }
    }

    fn expire_keys(&mut self) {
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
    fn tell_revoked(&mut self, api_key: &str) {
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

    fn foreign(
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
    fn overfill(&mut self, account: &str, order_id: i64, quantity: Decimal) -> Result<(), String> {
        let user = self.user(account)?;
        let n = self.orders.list.iter().position(|o| o.user == user && o.id == order_id).ok_or("no such order")?;
        let id = self.orders.list[n].instrument;
        let extra = self.instrument(id).qty(quantity).map_err(|e| e.to_string())?;
        let o = &self.orders.list[n];
        let market = Order { kind: OrderType::Market, qty: extra, tif: Tif::Ioc, cum: Qty(0), ..o.clone() };
        self.market_behind(n, &market)
    }

    fn market_behind(&mut self, n: usize, market: &Order) -> Result<(), String> {
        use ctos_types::{Command, NewOrder, OrderKind, OrderQty, PositionEffect, StrategyId, TimeInForce, TriggerBy};
        let seq = self.orders.next_engine(n);
        let place = Command::Place(NewOrder {
            account: self.users.engine(market.user),
            strategy: StrategyId::EXTERNAL,
            cl_ord_id: crate::desk::engine_id(seq),
            instrument: market.instrument,
            side: market.side,
            kind: OrderKind::Market,
            qty: OrderQty::Size(market.qty),
            tif: TimeInForce::Ioc,
            post_only: false,
            reduce_only: market.reduce_only,
            position_effect: PositionEffect::Auto,
            leg: market.leg,
            trigger_by: TriggerBy::Last,
        });
        let mut batch = Vec::new();
        self.venue.on_command(self.now, &place, &mut batch);
        self.absorb(batch, None).map_or(Ok(()), |(_, reason)| Err(reason.to_string()))
    }

    /// Closes positions in the venue's own name.
    fn close_out(
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
            self.submit_as(order, ctos_types::OrderKind::Market, true).map_err(|r| r.to_string())?;
            any = true;
        }
        if any { Ok(()) } else { Err("the account has no such position".into()) }
    }

    fn fund(&mut self, symbol: &str, rate: Decimal) -> Result<(), String> {
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
                let o = Obj::new().str("asset", a.as_str()).str("total", &eight(b.total));
                o.str("locked", &eight(b.hold)).done()
            });
            let positions = self.venue.positions(engine).map(|(id, leg, p)| {
                let o = Obj::new().str("symbol", &self.symbols.of(id).name).str("side", crate::tell::leg_name(leg));
                o.str("quantity", &self.qty(id, p.qty.0)).done()
            });
            let orders = self.orders.open_of(user, None).into_iter().map(|n| {
                let o = &self.orders.list[n];
                let j = Obj::new().str("symbol", &self.symbols.of(o.instrument).name).int("orderId", o.id);
                let j = j.str("clientOrderId", &o.client_id).str("price", &self.px(o.instrument, o.price));
                j.str("quantity", &self.qty(o.instrument, o.qty.0))
                    .str("filled", &self.qty(o.instrument, o.cum.0))
                    .done()
            });
            let counts = self.orders.list.iter().filter(|o| o.user == user).count();
            let trades = self.orders.trades.iter().filter(|x| x.user == user).count();
            let o = Obj::new().str("account", &self.users.list[user].name).raw("balances", &array(balances));
            let o = o.raw("positions", &array(positions)).raw("openOrders", &array(orders));
            o.int("orders", counts as i64).int("trades", trades as i64).done()
        });
        let rules = self.faults.rules().map(|(n, r)| {
            Obj::new().int("number", n.into()).raw("rule", &serde_json::to_string(r).unwrap_or_default()).done()
        });
        let connections = self.conns.map.len() as i64;
        let o = Obj::new().int("time", self.now_ms()).raw("accounts", &array(accounts)).raw("rules", &array(rules));
        o.int("connections", connections).done()
    }
}
