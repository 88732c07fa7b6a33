//! User events: what an account hears about its orders and balances, in each product's words.
//! Never: decides what happened.

use crate::absorb::Touched;
use crate::acts::without_fee;
use crate::config::Product;
use crate::conns::{Kind, envelope};
use crate::faults::{Fault, Place};
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Order, OrderType, Status};
use crate::publish::side_name;
use crate::twin::Twin;
use ctos_types::{Currency, Decimal, InstrumentId, Leg, Price, Qty, Rounding, Side};

impl Twin {
    /// Tells an order's owner. `trade`: number of the trade it is about.
    pub(crate) fn tell_order(&mut self, n: usize, exec: &'static str, trade: Option<usize>) {
        let execution = self.next_execution();
        let user = self.orders.list[n].user;
        match self.product {
            Product::Spot => {
                let event = self.execution_report(n, exec, trade, execution);
                self.tell(user, "executionReport", &event);
            }
            Product::UsdM => {
                if let Some(t) = trade {
                    let event = self.trade_lite(n, t);
                    self.tell(user, "TRADE_LITE", &event);
                }
                let event = self.order_trade_update(n, exec, trade);
                self.tell(user, "ORDER_TRADE_UPDATE", &event);
                let o = &self.orders.list[n];
                if let (Some(t), OrderType::Liquidation) = (trade, o.kind) {
                    let t = &self.orders.trades[t];
                    let (id, side, qty, price) = (t.instrument, t.side, t.qty.0, t.price);
                    self.publish_force_order(id, side, qty, price);
                }
            }
        }
    }

    /// Sends an event to every connection that listens to the account.
    pub(crate) fn tell(&mut self, user: usize, kind: &str, event: &str) {
        let mut frames = Vec::new();
        for (id, conn) in &self.conns.map {
            match &conn.kind {
                Kind::Streams(listens) => {
                    let mine = listens
                        .iter()
                        .find(|(u, events, _)| *u == user && (events.is_empty() || events.iter().any(|e| e == kind)));
                    if let Some((.., key)) = mine {
                        let text = if conn.combined { envelope(key, event) } else { event.to_string() };
                        frames.push((*id, text));
                    }
                }
                Kind::Api(session) => {
                    for (subscription, ..) in session.subscriptions.iter().filter(|(_, u, _)| *u == user) {
                        let o = Obj::new().int("subscriptionId", i64::from(*subscription)).raw("event", event);
                        frames.push((*id, o.done()));
                    }
                }
            }
        }
        let fault = if frames.is_empty() { None } else { self.faults.pick(Place::User, kind) };
        for (conn, text) in frames {
            if fault == Some(Fault::NoFee) {
                self.send_with(conn, without_fee(&text), None);
            } else if fault == Some(Fault::NewTradeId) {
                self.send_with(conn, text.clone(), None);
                self.send_with(conn, another_trade_id(&text), None);
            } else {
                self.send_with(conn, text, fault.clone());
            }
        }
    }

    fn execution_report(&self, n: usize, exec: &str, trade: Option<usize>, execution: i64) -> String {
        let o = &self.orders.list[n];
        let id = o.instrument;
        let px = |p: Price| self.px(id, p);
        let qty = |q: Qty| self.qty(id, q.0);
        let now = self.server_ms();
        let named = matches!(exec, "CANCELED" | "REPLACED");
        let other = o.other_id.as_deref().filter(|_| named);
        // On a cancel the order's own id is in C, the cancel's in c; after an amendment C is the id it had.
        let (c, original) = match (exec, other) {
            ("CANCELED", Some(cancel)) => (cancel, o.client_id.as_str()),
            (_, Some(old)) => (o.client_id.as_str(), old),
            _ => (o.client_id.as_str(), ""),
        };
        let t = trade.map(|t| &self.orders.trades[t]);
        let zero = Decimal::ZERO;
        let e = Obj::new().str("e", "executionReport").int("E", now).str("s", &self.symbols.of(id).name).str("c", c);
        let e = e.str("S", side_name(o.side)).str("o", o.kind.name()).str("f", o.tif.name()).str("q", &qty(o.qty));
        let e = e.str("p", &px(o.price)).str("P", &px(o.stop)).str("F", &qty(o.iceberg)).int("g", -1);
        let e = e.str("C", original).str("x", exec).str("X", o.status.name()).str("r", "NONE").int("i", o.id);
        let e = e.str("l", &qty(t.map_or(Qty(0), |t| t.qty))).str("z", &qty(o.cum));
        let e = e.str("L", &px(t.map_or(Price(0), |t| t.price))).str("n", &t.map_or("0".into(), |t| eight(t.fee)));
        let e = match t {
            Some(t) => e.str("N", &t.fee_asset),
            None => e.null("N"),
        };
        let e = e.int("T", now).int("t", t.map_or(-1, |t| t.id)).int("I", execution);
        let e = e.bool("w", o.status.is_open() && o.working_ms >= 0 && o.kind != OrderType::Market);
        let e = e.bool("m", t.is_some_and(|t| t.maker)).bool("M", t.is_some()).int("O", o.created_ms);
        let e = e.str("Z", &eight(o.cum_quote)).str("Y", &eight(t.map_or(zero, |t| t.quote)));
        let e = e.str("Q", &eight(o.quote_qty)).when(o.working_ms >= 0, |e| e.int("W", o.working_ms)).str("V", &o.stp);
        let e = e.when(o.trailing_delta > 0, |e| e.int("d", o.trailing_delta));
        let e = match o.strategy.0 {
            Some(j) => e.int("j", j),
            None => e,
        };
        let e = match o.strategy.1 {
            Some(j) => e.int("J", j),
            None => e,
        };
        let prevented = o.status == Status::ExpiredInMatch;
        let left = Qty(o.qty.0 - o.cum.0);
        e.when(prevented, |e| e.str("A", &qty(left)).str("B", &qty(left)).int("v", execution)).done()
    }

    fn trade_lite(&self, n: usize, t: usize) -> String {
        let (o, t) = (&self.orders.list[n], &self.orders.trades[t]);
        let id = o.instrument;
        let e = Obj::new().str("e", "TRADE_LITE").int("E", self.server_ms()).int("T", t.at_ms);
        let e = e.str("s", &self.symbols.of(id).name).str("q", &self.qty(id, o.qty.0)).str("p", &self.px(id, o.price));
        let e = e.bool("m", t.maker).str("c", &o.client_id).str("S", side_name(o.side));
        e.str("L", &self.px(id, t.price)).str("l", &self.qty(id, t.qty.0)).int("t", t.id).int("i", o.id).done()
    }

    fn order_trade_update(&self, n: usize, exec: &str, trade: Option<usize>) -> String {
        let o = &self.orders.list[n];
        let id = o.instrument;
        let now = self.server_ms();
        let t = trade.map(|t| &self.orders.trades[t]);
        // A liquidation is booked, not traded by its owner.
        let exec = if o.kind == OrderType::Liquidation && t.is_some() { "CALCULATED" } else { exec };
        let e = Obj::new().str("s", &self.symbols.of(id).name).str("c", &o.client_id).str("S", side_name(o.side));
        let e = e.str("o", o.kind.name()).str("f", o.tif.name()).str("q", &self.qty(id, o.qty.0));
        let e = e.str("p", &self.px(id, o.price)).str("ap", &self.average_px(o)).str("sp", &self.px(id, o.stop));
        let e = e.str("x", exec).str("X", o.status.name()).int("i", o.id);
        let e = e.str("l", &self.qty(id, t.map_or(0, |t| t.qty.0))).str("z", &self.qty(id, o.cum.0));
        let e = e.str("L", &self.px(id, t.map_or(Price(0), |t| t.price)));
        // Without a commission both keys are absent.
        let e = match t {
            Some(t) => e.str("n", &eight(t.fee)).str("N", &t.fee_asset),
            None => e,
        };
        let (bid, ask) = self.open_notional(o.user, id);
        let e = e.int("T", o.updated_ms).int("t", t.map_or(0, |t| t.id)).str("b", &bid).str("a", &ask);
        let e = e.bool("m", t.is_some_and(|t| t.maker)).bool("R", o.reduce_only).str("wt", "CONTRACT_PRICE");
        let e = e.str("ot", o.origin).str("ps", leg_name(o.leg)).bool("cp", o.close_position);
        let e =
            e.bool("pP", false).int("si", 0).int("ss", 0).str("rp", &eight(t.map_or(Decimal::ZERO, |t| t.realized)));
        let e = e.str("V", &o.stp).str("pm", &o.price_match).int("gtd", o.gtd_ms).str("er", o.expiry).done();
        Obj::new().str("e", "ORDER_TRADE_UPDATE").int("E", now).int("T", o.updated_ms).raw("o", &e).done()
    }

    /// Average price of what is filled, zero before.
    pub(crate) fn average_px(&self, o: &Order) -> String {
        let places = self.symbols.of(o.instrument).wire.0;
        let filled = self.instrument(o.instrument).qty_decimal(o.cum);
        let average = o.cum_quote.div(filled, Rounding::HalfEven).unwrap_or_default();
        crate::number::fixed(average, places.max(5))
    }

    /// Values of the account's open buys and sells.
    fn open_notional(&self, user: usize, id: InstrumentId) -> (String, String) {
        let mut sums = [Decimal::ZERO; 2];
        let i = self.instrument(id);
        for n in self.orders.open_of(user, Some(id)) {
            let o = &self.orders.list[n];
            let value = i.value(o.price, Qty(o.qty.0 - o.cum.0)).unwrap_or_default();
            sums[usize::from(o.side == Side::Sell)] += value;
        }
        (self.money(sums[0]), self.money(sums[1]))
    }

    // ---- balances

    pub(crate) fn tell_account(&mut self, user: usize, t: &Touched) {
        match self.product {
            Product::Spot => {
                for (asset, amount) in &t.moved {
                    let (now, a) = (self.server_ms(), asset.as_str());
                    let e = Obj::new().str("e", "balanceUpdate").int("E", now).str("a", a);
                    let e = e.str("d", &eight(*amount)).int("T", now).done();
                    self.tell(user, "balanceUpdate", &e);
                }
                if !t.assets.is_empty() {
                    let e = self.account_position(user, t);
                    self.tell(user, "outboundAccountPosition", &e);
                }
            }
            Product::UsdM => {
                if t.traded {
                    let e = self.account_update(user, "ORDER", t, &[]);
                    self.tell(user, "ACCOUNT_UPDATE", &e);
                }
                for (id, amount, currency) in &t.funded {
                    // A cross position's funding names the balance only.
                    let only = Touched { assets: [*currency].into(), ..Touched::default() };
                    let isolated = self.users.list[user].isolated.get(id).copied().unwrap_or(false);
                    let mut only = only;
                    if isolated {
                        only.positions.extend(self.legs(user, *id));
                    }
                    let e = self.account_update(user, "FUNDING_FEE", &only, &[(*currency, *amount)]);
                    self.tell(user, "ACCOUNT_UPDATE", &e);
                }
                for (currency, amount) in &t.moved {
                    let only = Touched { assets: [*currency].into(), ..Touched::default() };
                    let reason = if amount.is_negative() { "WITHDRAW" } else { "DEPOSIT" };
                    let e = self.account_update(user, reason, &only, &[(*currency, *amount)]);
                    self.tell(user, "ACCOUNT_UPDATE", &e);
                }
            }
        }
    }

    fn account_position(&self, user: usize, t: &Touched) -> String {
        let now = self.server_ms();
        let account = self.users.engine(user);
        let rows = t.assets.iter().map(|a| {
            let b = self.venue.balance(account, *a);
            Obj::new().str("a", a.as_str()).str("f", &eight(b.available())).str("l", &eight(b.hold)).done()
        });
        let e = Obj::new().str("e", "outboundAccountPosition").int("E", now).int("u", now);
        e.raw("B", &array(rows)).done()
    }

    /// Both legs, or the one of one-way mode.
    pub(crate) fn legs(&self, user: usize, id: InstrumentId) -> Vec<(InstrumentId, Leg)> {
        let legs: &[Leg] = if self.users.list[user].hedge { &[Leg::Long, Leg::Short] } else { &[Leg::Net] };
        legs.iter().map(|l| (id, *l)).collect()
    }

    pub(crate) fn account_update(
        &self,
        user: usize,
        reason: &str,
        t: &Touched,
        moved: &[(Currency, Decimal)],
    ) -> String {
        let now = self.server_ms();
        let account = self.users.engine(user);
        let balances = t.assets.iter().map(|a| {
            let total = eight(self.venue.balance(account, *a).total);
            let change = moved.iter().find(|(c, _)| c == a).map_or(Decimal::ZERO, |(_, amount)| *amount);
            let b = Obj::new().str("a", a.as_str()).str("wb", &total).str("cw", &total);
            b.str("bc", &eight(change)).done()
        });
        let positions = t.positions.iter().map(|(id, leg)| self.position_event(user, *id, *leg));
        let a = Obj::new().str("m", reason).raw("B", &array(balances)).raw("P", &array(positions)).done();
        Obj::new().str("e", "ACCOUNT_UPDATE").int("E", now).int("T", now).raw("a", &a).done()
    }

    fn position_event(&self, user: usize, id: InstrumentId, leg: Leg) -> String {
        let u = &self.users.list[user];
        let position = self.venue.position(self.users.engine(user), id, leg);
        let i = self.instrument(id);
        let entry = position.avg_px(i).map_or("0".into(), eight);
        let unrealized = self.mark(id).and_then(|m| position.unrealized(i, m).ok()).unwrap_or_default();
        let isolated = u.isolated.get(&id).copied().unwrap_or(false);
        let p =
            Obj::new().str("s", &self.symbols.of(id).name).str("pa", &self.qty(id, position.qty.0)).str("ep", &entry);
        let own = self.isolated_wallet(user, id, leg);
        let iw = if own.is_zero() { "0".into() } else { eight(own) };
        let realized = u.realized.get(&(id, leg)).copied().unwrap_or_default();
        let p = p.str("cr", &eight(realized)).str("up", &eight(unrealized));
        let p = p.str("mt", if isolated { "isolated" } else { "cross" }).str("iw", &iw);
        p.str("ps", leg_name(leg)).str("ma", i.settle().as_str()).str("bep", &entry).done()
    }
}

pub(crate) fn leg_name(leg: Leg) -> &'static str {
    match leg {
        Leg::Net => "BOTH",
        Leg::Long => "LONG",
        Leg::Short => "SHORT",
    }
}

/// The same event with the trade id a client has never seen.
fn another_trade_id(text: &str) -> String {
    let Some(at) = text.find("\"t\":") else { return text.to_string() };
    let start = at + 4;
    let end = text[start..].find([',', '}']).map_or(text.len(), |n| start + n);
    match text[start..end].parse::<i64>() {
        Ok(id) if id > 0 => format!("{}{}{}", &text[..start], id + 1_000_000_000, &text[end..]),
        _ => text.to_string(),
    }
}
