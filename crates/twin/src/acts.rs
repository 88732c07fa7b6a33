//! What the venue is told to do by itself beyond single calls: fills, delistings, margin calls, deeds for later.
//! Never: reads a deed's JSON, apart from those that wait.

use crate::admin::Deed;
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Order, OrderType};
use crate::saved::Word;
use crate::tell::leg_name;
use crate::twin::{TICK, Twin};
use ctos_types::{Decimal, InstrumentId, Leg, Market, MarketData, Position, Qty, Rounding, Trade, UnixNanos};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A deed that waits for its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Later {
    pub at_ms: i64,
    /// And again, so often.
    pub every_ms: Option<i64>,
    pub deed: Value,
}

impl Twin {
    /// The market trades at a resting order's price, as much as it takes to fill it, or a part of it. What stands before it
    /// trades first.
    pub(crate) fn fill(&mut self, account: &str, order_id: i64, quantity: Option<Decimal>) -> Result<(), String> {
        let user = self.user(account)?;
        let open = self.orders.open_of(user, None).into_iter().find(|n| self.orders.list[*n].id == order_id);
        let n = open.ok_or("no such open order")?;
        self.fill_order(n, quantity)
    }

    fn fill_order(&mut self, n: usize, quantity: Option<Decimal>) -> Result<(), String> {
        let o = &self.orders.list[n];
        if o.price.0 <= 0 || o.working_ms < 0 {
            return Err("the order does not rest in the book".into());
        }
        let (id, goal) = (
            o.instrument,
            match quantity {
                Some(q) => {
                    Qty((o.cum.0 + self.instrument(o.instrument).qty(q).map_err(|e| e.to_string())?.0).min(o.qty.0))
                }
                None => o.qty,
            },
        );
        // Orders of the account that stand better trade first, so one print may not reach it.
        for _ in 0..8 {
            let o = &self.orders.list[n];
            if o.cum >= goal || !o.status.is_open() {
                return Ok(());
            }
            let engine = crate::desk::engine_id(o.engine);
            let resting = self.venue.open_orders(self.users.engine(o.user)).find(|r| r.request.cl_ord_id == engine);
            let ahead = resting.and_then(|r| r.ahead).map_or(0, |q| q.0);
            let qty = Qty((goal.0 - o.cum.0).saturating_add(ahead));
            let trade = Trade { price: o.price, qty, aggressor: o.side.opposite(), id: 0 };
            let event = Market { instrument: id, ts_event: self.now, data: MarketData::Trade(trade) };
            let mut batch = Vec::new();
            self.venue.on_market(self.now, &event, &mut batch);
            self.dirty.insert(id);
            self.absorb(batch, Some((id, trade)));
            self.settle();
        }
        let o = &self.orders.list[n];
        if o.cum >= goal { Ok(()) } else { Err("the market did not reach the order".into()) }
    }

    /// A fill that comes just before a request about the order is executed.
    pub(crate) fn fill_first(&mut self, of: impl Fn(&Order) -> bool, quantity: Option<Decimal>) {
        let Some(n) = self.orders.open.iter().copied().find(|n| of(&self.orders.list[*n])) else { return };
        let (account, order_id) = (self.users.list[self.orders.list[n].user].name.clone(), self.orders.list[n].id);
        let deed = serde_json::json!({ "do": "fill", "account": account, "order_id": order_id, "quantity": quantity });
        // An order that cannot be filled is left to the request.
        let _ = self.admin(self.now, &deed.to_string());
    }

    /// A symbol's trading ends: orders expire, positions are settled, its status says so; or its row is gone altogether.
    pub(crate) fn delist(&mut self, symbol: &str, remove: bool) -> Result<(), String> {
        let id = self.traded(symbol)?;
        self.ending = Some("7");
        for user in 0..self.users.list.len() {
            for n in self.orders.open_of(user, Some(id)) {
                self.cancel(n, None);
            }
            let waiting = |n: &usize| self.algos.list[*n].user == user && self.algos.list[*n].instrument == id;
            for n in self.algos.open.iter().copied().filter(waiting).collect::<Vec<_>>() {
                self.set_algo(n, "EXPIRED");
            }
        }
        self.ending = None;
        for user in 0..self.users.list.len() {
            let engine = self.users.engine(user);
            if self.venue.positions(engine).any(|(i, ..)| i == id) {
                let name = format!("settlement_autoclose-{}", self.now_ms());
                self.close_out(user, Some(id), None, OrderType::Market, &name)?;
            }
        }
        let status = if self.spot() { "BREAK" } else { "SETTLING" };
        let change = serde_json::json!({ "status": status, "delisted": remove });
        self.symbols.patch(self.product, symbol, &change)?;
        if !self.spot() {
            self.publish_contract(symbol);
        }
        Ok(())
    }

    /// The warning before a liquidation, with the positions as they are.
    pub(crate) fn margin_call(&mut self, account: &str) -> Result<(), String> {
        let user = self.user(account)?;
        if self.spot() {
            return Err("margin calls are of USD-M".into());
        }
        let engine = self.users.engine(user);
        let held: Vec<(InstrumentId, Leg, Position)> = self.venue.positions(engine).collect();
        if held.is_empty() {
            return Err("the account has no position".into());
        }
        let share = Decimal::new(crate::symbols::MAINTENANCE.0, crate::symbols::MAINTENANCE.1);
        let rows = held.iter().map(|(id, leg, p)| {
            let i = self.instrument(*id);
            let mark = self.mark(*id).unwrap_or_default();
            let up = p.unrealized(i, mark).unwrap_or_default();
            let kept = i.value_at(mark, p.qty).and_then(|v| v.abs().mul(share, Rounding::Up)).unwrap_or_default();
            let kind = if self.is_isolated(user, *id) { "ISOLATED" } else { "CROSSED" };
            let o = Obj::new().str("s", &self.symbols.of(*id).name).str("ps", leg_name(*leg));
            let o = o.str("pa", &self.qty(*id, p.qty.0)).str("mt", kind).str("iw", "0").str("mp", &eight(mark));
            o.str("up", &eight(up)).str("mm", &eight(kept)).done()
        });
        let rows = array(rows);
        let settle = self.instrument(held[0].0).settle();
        let wallet = eight(self.venue.balance(engine, settle).total);
        let e = Obj::new().str("e", "MARGIN_CALL").int("E", self.server_ms()).str("cw", &wallet).raw("p", &rows).done();
        self.tell(user, "MARGIN_CALL", &e);
        Ok(())
    }

    /// Puts a deed off. Errors: it is none.
    pub(crate) fn put_off(&mut self, ms: i64, every_ms: Option<i64>, deed: Value) -> Result<(), String> {
        serde_json::from_value::<Deed>(deed.clone()).map_err(|e| format!("the deed for later: {e}"))?;
        let every_ms = every_ms.map(|ms| ms.max(50));
        self.faults.later.push(Later { at_ms: self.now_ms().saturating_add(ms.max(0)), every_ms, deed });
        Ok(())
    }

    /// Deeds whose time has come. One that cannot be done any more is not.
    pub(crate) fn do_later(&mut self, now: i64) {
        while let Some(at) = self.faults.later.iter().position(|l| l.at_ms <= now) {
            let mut next = self.faults.later.remove(at);
            if let Ok(deed) = serde_json::from_value::<Deed>(next.deed.clone()) {
                let _ = self.deed(deed);
            }
            if let Some(every) = next.every_ms {
                next.at_ms = now + every;
                self.faults.later.push(next);
            }
        }
    }

    /// When the house has to be kept next, whoever looks: on the beat's own grid.
    pub(crate) fn house_due(&self) -> UnixNanos {
        let users = self.users.list.iter();
        let switches = users.clone().flat_map(|u| u.countdown.values().copied());
        let keys = users.filter_map(|u| u.listen_key.as_ref().map(|k| k.expires_ms));
        let later = self.faults.later.iter().map(|l| l.at_ms);
        let tokens = self.tokens.values().map(|t| t.1);
        let due = switches.chain(keys).chain(later).chain(tokens).min().unwrap_or(i64::MAX / 2_000_000);
        let at = UnixNanos::from_millis(due.min(i64::MAX / 2_000_000));
        let floor = at.floor(TICK);
        if floor == at { at } else { floor.after(TICK) }
    }
}

/// A reply without what is about a symbol or an asset.
pub(crate) fn without(json: &str, name: &str) -> String {
    fn prune(v: &mut Value, name: &str) {
        let about = |v: &Value| ["symbol", "asset"].iter().any(|k| v.get(k).and_then(Value::as_str) == Some(name));
        match v {
            Value::Array(list) => {
                list.retain(|v| !about(v));
                list.iter_mut().for_each(|v| prune(v, name));
            }
            Value::Object(map) => map.values_mut().for_each(|v| prune(v, name)),
            _ => {}
        }
    }
    let Ok(mut v) = serde_json::from_str::<Value>(json) else { return json.into() };
    prune(&mut v, name);
    v.to_string()
}

/// A user event that says nothing of the commission.
pub(crate) fn without_fee(text: &str) -> String {
    let Ok(mut v) = serde_json::from_str::<Value>(text) else { return text.into() };
    for path in ["/event", "", "/data", "/o", "/data/o"] {
        let Some(Value::Object(o)) = v.pointer_mut(path) else { continue };
        if o.get("e").and_then(Value::as_str) == Some("executionReport") {
            o.insert("n".into(), "0".into());
            o.insert("N".into(), Value::Null);
        } else if path.ends_with("/o") {
            o.remove("n");
            o.remove("N");
        }
    }
    v.to_string()
}

/// Why an order ends, where the venue says something else than usual.
pub(crate) type Ending = Option<Word>;
