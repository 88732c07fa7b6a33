//! USD-M conditional orders: waiting apart from the book, watched, and turned into orders of their own when triggered.
//! Never: holds margin before its trigger, as at the venue.

use crate::json::Obj;
use crate::number::{eight, fixed};
use crate::numbered::Numbered;
use crate::orders::{OrderType, Tif};
use crate::publish::side_name;
use crate::saved::{Word, word};
use crate::tell::leg_name;
use crate::twin::Twin;
use crate::usdm_trade::Draft;
use ctos_types::{Decimal, InstrumentId, Leg, Price, Qty, Rounding, Side};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AlgoType {
    Stop,
    StopMarket,
    TakeProfit,
    TakeProfitMarket,
    Trailing,
}

impl AlgoType {
    pub fn name(self) -> &'static str {
        match self {
            AlgoType::Stop => "STOP",
            AlgoType::StopMarket => "STOP_MARKET",
            AlgoType::TakeProfit => "TAKE_PROFIT",
            AlgoType::TakeProfitMarket => "TAKE_PROFIT_MARKET",
            AlgoType::Trailing => "TRAILING_STOP_MARKET",
        }
    }

    pub fn parse(text: &str) -> Option<AlgoType> {
        use AlgoType::*;
        [Stop, StopMarket, TakeProfit, TakeProfitMarket, Trailing].into_iter().find(|t| t.name() == text)
    }

    pub fn is_limit(self) -> bool {
        matches!(self, AlgoType::Stop | AlgoType::TakeProfit)
    }
}

/// A conditional order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Algo {
    pub id: i64,
    pub client_id: String,
    pub user: usize,
    pub instrument: InstrumentId,
    pub side: Side,
    pub leg: Leg,
    pub kind: AlgoType,
    pub tif: Tif,
    pub qty: Qty,
    pub price: Price,
    pub trigger: Price,
    pub by_mark: bool,
    pub close_position: bool,
    pub price_protect: bool,
    pub reduce_only: bool,
    pub activate: Option<Decimal>,
    /// Percent, one decimal.
    pub callback: Option<Decimal>,
    pub active: bool,
    pub extreme: Option<Decimal>,
    pub stp: String,
    pub price_match: String,
    pub gtd_ms: i64,
    #[serde(deserialize_with = "word")]
    pub status: Word,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub triggered_ms: i64,
    /// The order it became.
    pub child: Option<usize>,
    pub why: String,
}

/// Conditional orders that are remembered: when there are more, the oldest that is over is forgotten.
const KEPT: usize = 20_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Algos {
    pub list: Numbered<Algo>,
    pub open: BTreeSet<usize>,
    first_id: i64,
}

impl Algos {
    pub fn new(first_id: i64) -> Algos {
        Algos { first_id, ..Algos::default() }
    }

    pub fn enter(&mut self, mut algo: Algo) -> usize {
        let n = self.list.next();
        algo.id = self.first_id + n as i64;
        self.open.insert(n);
        self.list.push(algo);
        let over = |a: &Algo| matches!(a.status, "CANCELED" | "FINISHED" | "REJECTED" | "EXPIRED");
        let oldest = if self.list.len() > KEPT { self.list.numbers().find(|(_, a)| over(a)) } else { None };
        if let Some(oldest) = oldest.map(|(n, _)| n) {
            self.list.forget(oldest);
        }
        n
    }

    pub fn find(&self, user: usize, id: Option<i64>, client: Option<&str>) -> Option<usize> {
        let by_id = |a: &Algo| id.map_or_else(|| client == Some(a.client_id.as_str()), |id| a.id == id);
        self.list.numbers().rev().find(|(_, a)| a.user == user && by_id(a)).map(|(n, _)| n)
    }
}

impl Twin {
    /// Shows the present prices to the conditional orders of an instrument; those reached become orders.
    pub(crate) fn watch_algos(&mut self, id: InstrumentId) {
        if self.algos.open.is_empty() {
            return;
        }
        let waiting: Vec<usize> =
            self.algos.open.iter().copied().filter(|n| self.algos.list[*n].instrument == id).collect();
        for n in waiting {
            if self.algos.open.contains(&n) && self.reached(n) {
                self.trigger(n);
            }
        }
    }

    /// The price an algo watches now.
    pub(crate) fn watched_price(&self, id: InstrumentId, by_mark: bool) -> Option<Decimal> {
        let last = self.public(id).last.map(|p| self.instrument(id).price_decimal(p.price));
        if by_mark { self.mark(id).or(last) } else { last.or_else(|| self.mark(id)) }
    }

    fn reached(&mut self, n: usize) -> bool {
        let (id, by_mark) = (self.algos.list[n].instrument, self.algos.list[n].by_mark);
        let Some(px) = self.watched_price(id, by_mark) else { return false };
        let trigger = self.instrument(id).price_decimal(self.algos.list[n].trigger);
        reached(&mut self.algos.list[n], trigger, px)
    }

    fn trigger(&mut self, n: usize) {
        let now = self.now_ms();
        self.algos.open.remove(&n);
        self.set_algo(n, "TRIGGERING");
        let a = self.algos.list[n].clone();
        let held = self.venue.position(self.users.engine(a.user), a.instrument, a.leg).qty;
        let closes = (held.0 > 0) == (a.side == Side::Sell) && held.0 != 0;
        if a.close_position && !closes {
            self.algos.list[n].why = "ReduceOnly Order is rejected.".into();
            return self.set_algo(n, "EXPIRED");
        }
        let draft = Draft {
            user: a.user,
            instrument: a.instrument,
            side: a.side,
            kind: if a.kind.is_limit() { OrderType::Limit } else { OrderType::Market },
            tif: a.tif,
            price: a.price,
            qty: if a.close_position { held.abs() } else { a.qty },
            client_id: a.client_id.clone(),
            leg: a.leg,
            reduce_only: a.reduce_only || a.close_position,
            stp: a.stp.clone(),
            gtd_ms: a.gtd_ms,
            price_match: a.price_match.clone(),
            origin: a.kind.name(),
            stop: a.trigger,
            close_position: a.close_position,
        };
        self.algos.list[n].triggered_ms = now;
        match self.place_usdm(draft) {
            Ok(child) => {
                self.algos.list[n].child = Some(child);
                self.set_algo(n, "TRIGGERED");
                if !self.orders.list[child].status.is_open() {
                    self.on_child_closed(child);
                }
            }
            Err(e) => {
                self.algos.list[n].why = e.msg;
                self.set_algo(n, "REJECTED");
            }
        }
    }

    /// The order an algo became is over: so is the algo.
    pub(crate) fn on_child_closed(&mut self, child: usize) {
        let parent = {
            let of = |a: &Algo| a.child == Some(child) && a.status == "TRIGGERED";
            self.algos.list.numbers().rev().find(|(_, a)| of(a)).map(|(n, _)| n)
        };
        if let Some(n) = parent {
            self.set_algo(n, "FINISHED");
        }
    }

    /// Changes an algo's status and tells its owner.
    pub(crate) fn set_algo(&mut self, n: usize, status: &'static str) {
        let now = self.now_ms();
        let a = &mut self.algos.list[n];
        (a.status, a.updated_ms) = (status, now);
        if !matches!(status, "NEW") {
            self.algos.open.remove(&n);
        }
        let user = self.algos.list[n].user;
        let event = self.algo_update(n);
        self.tell(user, "ALGO_UPDATE", &event);
    }

    fn algo_update(&self, n: usize) -> String {
        let a = &self.algos.list[n];
        let (id, now) = (a.instrument, self.server_ms());
        let child = a.child.map(|c| &self.orders.list[c]);
        let o = Obj::new().str("caid", &a.client_id).int("aid", a.id).str("at", "CONDITIONAL").str("o", a.kind.name());
        let o = o.str("s", &self.symbols.of(id).name).str("S", side_name(a.side)).str("ps", leg_name(a.leg));
        let o = o.str("f", a.tif.name()).str("q", &self.qty(id, a.qty.0)).str("X", a.status);
        let o = o.str("ai", &child.map_or(String::new(), |c| c.id.to_string()));
        let o = o.str("ap", &child.map_or("0".into(), |c| self.average_px(c)));
        let o =
            o.str("aq", &self.qty(id, child.map_or(0, |c| c.cum.0))).str("act", child.map_or("", |c| c.kind.name()));
        let o = o.str("tp", &self.px(id, a.trigger)).str("p", &self.px(id, a.price)).str("V", &a.stp);
        let o = o.str("wt", working(a.by_mark)).str("pm", &a.price_match).bool("cp", a.close_position);
        let o = o.bool("pP", a.price_protect).bool("R", a.reduce_only).int("tt", a.triggered_ms).int("gtd", a.gtd_ms);
        let o = o.str("rm", &a.why).bool("ia", a.active).done();
        Obj::new().str("e", "ALGO_UPDATE").int("T", a.updated_ms).int("E", now).raw("o", &o).done()
    }

    /// The reply to placing (`query` false) and asking for an algo.
    pub(crate) fn algo_json(&self, n: usize, query: bool) -> String {
        let a = &self.algos.list[n];
        let id = a.instrument;
        let o = Obj::new().int("algoId", a.id).str("clientAlgoId", &a.client_id).str("algoType", "CONDITIONAL");
        let o = o.str("orderType", a.kind.name()).str("symbol", &self.symbols.of(id).name);
        let o = o.str("side", side_name(a.side)).str("positionSide", leg_name(a.leg)).str("timeInForce", a.tif.name());
        let o = o.str("quantity", &self.qty(id, a.qty.0)).str("algoStatus", a.status);
        let o = if query {
            let child = a.child.map(|c| &self.orders.list[c]);
            let o = o.str("actualOrderId", &child.map_or(String::new(), |c| c.id.to_string()));
            let o = o.str("actualPrice", &child.map_or("0.00000".into(), |c| self.average_px(c)));
            let o = o.str("actualType", child.map_or("", |c| c.kind.name()));
            o.str("actualQty", &self.qty(id, child.map_or(0, |c| c.cum.0)))
        } else {
            o
        };
        let o =
            o.str("triggerPrice", &self.px(id, a.trigger)).str("price", &self.px(id, a.price)).null("icebergQuantity");
        let o = o.str("selfTradePreventionMode", &a.stp).str("workingType", working(a.by_mark));
        let o = o.str("priceMatch", &a.price_match).bool("closePosition", a.close_position);
        let o = o.bool("priceProtect", a.price_protect).bool("reduceOnly", a.reduce_only);
        let o = match a.kind {
            AlgoType::Trailing => o
                .str("activatePrice", &a.activate.map_or("0".into(), eight))
                .str("callbackRate", &a.callback.map_or("0".into(), |c| fixed(c, 1))),
            _ => o.str("activatePrice", "").str("callbackRate", ""),
        };
        let o = o.int("createTime", a.created_ms).int("updateTime", a.updated_ms).int("triggerTime", a.triggered_ms);
        o.int("goodTillDate", a.gtd_ms).done()
    }
}

fn working(by_mark: bool) -> &'static str {
    if by_mark { "MARK_PRICE" } else { "CONTRACT_PRICE" }
}

/// Whether the price reaches the order; a trailing one moves with it.
pub(crate) fn reached(a: &mut Algo, trigger: Decimal, px: Decimal) -> bool {
    let buy = a.side == Side::Buy;
    match a.kind {
        AlgoType::Stop | AlgoType::StopMarket => {
            if buy {
                px >= trigger
            } else {
                px <= trigger
            }
        }
        AlgoType::TakeProfit | AlgoType::TakeProfitMarket => {
            if buy {
                px <= trigger
            } else {
                px >= trigger
            }
        }
        AlgoType::Trailing => {
            let ahead = |a: Decimal, b: Decimal| if buy { a <= b } else { a >= b };
            a.active |= a.activate.is_none_or(|at| ahead(px, at));
            if !a.active {
                return false;
            }
            if a.extreme.is_none_or(|e| ahead(px, e)) {
                a.extreme = Some(px);
            }
            let (Some(extreme), Some(rate)) = (a.extreme, a.callback) else { return false };
            let part = extreme.mul(rate, Rounding::HalfEven).and_then(|p| p.mul_ratio(1, 100, Rounding::HalfEven));
            let Ok(part) = part else { return false };
            if buy { px >= extreme + part } else { px <= extreme - part }
        }
    }
}
