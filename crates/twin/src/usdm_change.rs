//! USD-M orders that are there: replies about them, finding, modifying, cancelling, batches, the dead-man switch.
//! Never: new orders' checks.

use crate::error::ApiError;
use crate::filters::{Asked, check_usdm};
use crate::json::{Obj, array};
use crate::orders::{Order, OrderType};
use crate::params::Params;
use crate::publish::side_name;
use crate::rest::Call;
use crate::tell::leg_name;
use crate::twin::Twin;
use crate::usdm_trade::{PLACE, e, read_side};
use ctos_types::{Decimal, Leg, Qty, RejectReason};
use serde_json::Value;

impl Twin {
    /// An order; `query` adds what only queries have.
    pub(crate) fn usdm_order(&self, o: &Order, query: bool) -> String {
        self.usdm_order_fields(o, query).done()
    }

    pub(crate) fn usdm_order_fields(&self, o: &Order, query: bool) -> Obj {
        let id = o.instrument;
        let qty = |q: Qty| self.qty(id, q.0);
        let j = Obj::new().int("orderId", o.id).str("symbol", &self.symbols.of(id).name).str("status", o.status.name());
        let j = j.str("clientOrderId", &o.client_id).str("price", &self.px(id, o.price));
        let j = j.when(query, |j| j.str("avgPrice", &self.average_px(o)));
        let j = j.str("origQty", &qty(o.qty)).str("executedQty", &qty(o.cum));
        let j = if query { j.str("cumQuote", &self.money(o.cum_quote)) } else { j.str("cumQty", &qty(o.cum)) };
        let j = j.str("timeInForce", o.tif.name()).str("type", o.kind.name()).bool("reduceOnly", o.reduce_only);
        let j = j.bool("closePosition", o.close_position).str("side", side_name(o.side));
        let j = j.str("positionSide", leg_name(o.leg)).str("stopPrice", &self.px(id, o.stop));
        let j = j.str("workingType", "CONTRACT_PRICE").bool("priceProtect", false).str("origType", o.origin);
        let j =
            j.str("priceMatch", &o.price_match).str("selfTradePreventionMode", &o.stp).int("goodTillDate", o.gtd_ms);
        let j = j.when(query, |j| j.int("time", o.created_ms));
        j.int("updateTime", o.updated_ms)
    }

    /// The order an id or client id means.
    pub(crate) fn usdm_find(&self, c: &Call, none: ApiError) -> Result<usize, ApiError> {
        let p = &c.params;
        let (_, id) = self.symbols.traded(p.need("symbol")?)?;
        match (p.int("orderId")?, p.text("origClientOrderId")?) {
            (None, None) => Err(ApiError::missing("orderId")),
            (Some(order), _) => self.orders.by_id(c.user, id, order).ok_or(none),
            (None, Some(name)) => self.orders.by_client(c.user, id, name).ok_or(none),
        }
    }
}

pub(crate) fn modify(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let p = &c.params;
    let n = t.usdm_find(c, ApiError::no_order())?;
    let o = t.orders.list[n].clone();
    let (id, side) = (o.instrument, read_side(p)?);
    if !o.status.is_open() {
        return Err(ApiError::no_order());
    }
    if o.kind != OrderType::Limit {
        return Err(e(-5025, "Only limit order is supported."));
    }
    if side != o.side {
        return Err(ApiError::invalid("side"));
    }
    let symbol = t.symbols.of(id).clone();
    if !symbol.may_trade() {
        return Err(e(-5024, "Symbol is not in trading status. Order amendment is not permitted."));
    }
    if o.amends >= 9_999 {
        return Err(e(-5026, "Exceed maximum modify order limit."));
    }
    let quantity = p.decimal("quantity")?.ok_or_else(|| ApiError::missing("quantity"))?;
    let (price, price_match) = t.read_price(p, id, side, OrderType::Limit)?;
    let asked = Asked {
        side,
        price,
        stop: None,
        qty: quantity,
        market: false,
        reference: t.mark(id).unwrap_or_default(),
        iceberg: Decimal::ZERO,
        trailing: None,
        reduce: o.reduce_only || o.leg != Leg::Net,
    };
    check_usdm(&symbol, &asked)?;
    let i = t.instrument(id);
    let price = i.price(price.unwrap_or_default()).map_err(|_| e(-4014, "Price not increased by tick size."))?;
    let qty = i.qty(quantity).map_err(|_| e(-4023, "Qty not increased by step size."))?;
    let lot = i.lot.0;
    if (price, qty) == (o.price, o.qty) {
        return Err(e(-5027, "No need to modify the order."));
    }
    // The engine keeps the place of an order that only shrinks; here it goes to the back.
    if price == o.price && qty < o.qty && qty > o.cum {
        let _ = t.amend(n, None, Some(Qty(o.qty.0 + lot)));
    }
    t.announce = Some("AMENDMENT");
    t.orders.list[n].stp = "NONE".into();
    let amended = t.amend(n, Some(price), Some(qty));
    t.announce = None;
    match amended {
        Ok(()) => {}
        Err(RejectReason::PostOnlyWouldTake) => {
            t.cancel(n, None);
        }
        Err(reason) => {
            let _ = t.amend(n, None, Some(o.qty));
            t.orders.list[n].stp = o.stp;
            return Err(match reason {
                RejectReason::InsufficientBalance => e(-2019, "Margin is insufficient."),
                RejectReason::MinNotional => e(-5029, "Order's notional is too small."),
                other => ApiError::new(-2010, other.to_string()),
            });
        }
    }
    let order = &mut t.orders.list[n];
    (order.amends, order.price_match) = (order.amends + 1, price_match);
    let j = t.usdm_order_fields(&t.orders.list[n], false).str("pair", &symbol.name);
    Ok(match p.int("modifyId")? {
        Some(m) => j.int("modifyId", m).done(),
        None => j.done(),
    })
}

pub(crate) fn cancel(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.usdm_find(c, ApiError::unknown_order())?;
    if !t.cancel(n, None) {
        return Err(ApiError::unknown_order());
    }
    Ok(t.usdm_order(&t.orders.list[n], false))
}

pub(crate) fn cancel_all(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    t.cancel_everything(c.user, id);
    Ok(r#"{"code":200,"msg":"The operation of cancel all open order is done."}"#.into())
}

pub(crate) fn batch(
    t: &mut Twin,
    c: &Call,
    one: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Result<String, ApiError> {
    let bad = || ApiError::illegal("batchOrders", "^\\[.*\\]$");
    let list: Vec<Value> = serde_json::from_str(c.params.need("batchOrders")?).map_err(|_| bad())?;
    if list.is_empty() || list.len() > 5 {
        return Err(e(-4082, "Invalid number of batch place orders"));
    }
    let mut out = Vec::new();
    for item in list {
        let object = item.as_object().ok_or_else(bad)?;
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        let params = Params::from_pairs(object.iter().map(|(k, v)| (k.clone(), text(v))).collect());
        let needs = PLACE.iter().filter(|n| **n == "symbol" || **n == "side");
        let call = Call { params, ..c.clone() };
        let checked = needs.map(|n| call.params.need(n).map(drop)).collect::<Result<Vec<()>, _>>();
        out.push(checked.and_then(|_| one(t, &call)).unwrap_or_else(|e| e.body()));
    }
    Ok(array(out))
}

pub(crate) fn cancel_batch(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    // Clients of long standing write these two names without capitals.
    let list = |names: [&str; 2]| names.iter().find_map(|n| c.params.list(n).transpose()).transpose();
    let ids = list(["orderIdList", "orderidlist"])?;
    let names = list(["origClientOrderIdList", "origclientorderidlist"])?;
    let (key, list) = match (ids, names) {
        (Some(ids), _) => ("orderId", ids),
        (None, Some(names)) => ("origClientOrderId", names),
        (None, None) => return Err(ApiError::missing("orderIdList")),
    };
    if list.is_empty() || list.len() > 10 {
        return Err(e(-4082, "Invalid number of batch place orders"));
    }
    let symbol = c.params.need("symbol")?.to_string();
    let mut out = Vec::new();
    for id in list {
        let params = Params::from_pairs(vec![("symbol".into(), symbol.clone()), (key.into(), id)]);
        out.push(cancel(t, &Call { params, ..c.clone() }).unwrap_or_else(|e| e.body()));
    }
    Ok(array(out))
}

pub(crate) fn countdown(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (symbol, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let (name, ms) = (symbol.name.clone(), c.params.int("countdownTime")?.unwrap_or_default());
    let now = t.now_ms();
    let switches = &mut t.users.list[c.user].countdown;
    if ms == 0 {
        switches.remove(&id);
    } else {
        switches.insert(id, now.saturating_add(ms));
    }
    Ok(Obj::new().str("symbol", &name).str("countdownTime", &ms.to_string()).done())
}
