//! Spot orders that are there: replies about them, finding, cancelling, replacing, amending. Never: new orders' checks.

use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Amendment, Order, Status};
use crate::params::Params;
use crate::publish::side_name;
use crate::rest::Call;
use crate::spot_trade::{Response, client_id, number, response_type};
use crate::twin::Twin;
use ctos_types::RejectReason;

impl Twin {
    pub(crate) fn spot_reply(&self, n: usize, how: Response) -> String {
        let o = &self.orders.list[n];
        let id = o.instrument;
        let j = Obj::new().str("symbol", &self.symbols.of(id).name).int("orderId", o.id).int("orderListId", -1);
        let j = j.str("clientOrderId", &o.client_id).int("transactTime", o.updated_ms);
        if how == Response::Ack {
            return j.done();
        }
        let j = self.spot_state(j, o).int("workingTime", o.working_ms);
        let j = if how == Response::Full { j.raw("fills", &self.spot_fills(o)) } else { j };
        j.str("selfTradePreventionMode", &o.stp).done()
    }

    /// The fields that replies to placing, cancelling and querying share.
    pub(crate) fn spot_state(&self, j: Obj, o: &Order) -> Obj {
        let id = o.instrument;
        let j = j.str("price", &self.px(id, o.price)).str("origQty", &self.qty(id, o.qty.0));
        let j = j.str("executedQty", &self.qty(id, o.cum.0)).str("origQuoteOrderQty", &eight(o.quote_qty));
        let j = j.str("cummulativeQuoteQty", &eight(o.cum_quote)).str("status", o.status.name());
        let j = j.str("timeInForce", o.tif.name()).str("type", o.kind.name()).str("side", side_name(o.side));
        let j = j.when(o.kind.is_conditional() && o.stop.0 > 0, |j| j.str("stopPrice", &self.px(id, o.stop)));
        let j = j.when(o.trailing_delta > 0, |j| j.int("trailingDelta", o.trailing_delta));
        let j = j.when(o.iceberg.0 > 0, |j| j.str("icebergQty", &self.qty(id, o.iceberg.0)));
        let j = match o.strategy.0 {
            Some(s) => j.int("strategyId", s),
            None => j,
        };
        match o.strategy.1 {
            Some(s) => j.int("strategyType", s),
            None => j,
        }
    }

    pub(crate) fn spot_fills(&self, o: &Order) -> String {
        array(o.trades.iter().filter_map(|t| self.orders.trades.get(*t)).map(|t| {
            let f =
                Obj::new().str("price", &self.px(o.instrument, t.price)).str("qty", &self.qty(o.instrument, t.qty.0));
            let f = f.str("commission", &eight(t.fee)).str("commissionAsset", &t.fee_asset);
            f.int("tradeId", t.id).done()
        }))
    }

    pub(crate) fn spot_canceled(&self, n: usize, name: &str) -> String {
        let o = &self.orders.list[n];
        let j = Obj::new().str("symbol", &self.symbols.of(o.instrument).name).str("origClientOrderId", &o.client_id);
        let j = j.int("orderId", o.id).int("orderListId", -1).str("clientOrderId", name);
        let j = j.int("transactTime", o.updated_ms);
        self.spot_state(j, o).str("selfTradePreventionMode", &o.stp).done()
    }

    /// The order an id or client id means. Errors: neither given, or `none` when there is no such order.
    pub(crate) fn spot_find(&self, c: &Call, ids: (&str, &str), none: ApiError) -> Result<usize, ApiError> {
        let p = &c.params;
        let (_, id) = self.symbols.traded(p.need("symbol")?)?;
        let (order_id, name) = (p.int(ids.0)?, p.text(ids.1)?);
        match (order_id, name) {
            (None, None) => Err(ApiError::new(
                -1102,
                format!("Param '{}' or '{}' must be sent, but both were empty/null!", ids.1, ids.0),
            )),
            (Some(order_id), name) => {
                let n = self.orders.by_id(c.user, id, order_id).ok_or(none)?;
                match name.is_none_or(|name| self.orders.list[n].client_id == name) {
                    true => Ok(n),
                    false => Err(ApiError::new(-2039, "Client order ID is not correct for this order ID.")),
                }
            }
            (None, Some(name)) => self.orders.by_client(c.user, id, name).ok_or(none),
        }
    }

    pub(crate) fn cancel_spot(&mut self, c: &Call, ids: (&str, &str), name: &str) -> Result<String, ApiError> {
        let n = self.spot_find(c, ids, ApiError::unknown_order())?;
        let restriction = c.params.text("cancelRestrictions")?;
        let status = self.orders.list[n].status;
        if !status.is_open() {
            return Err(ApiError::unknown_order());
        }
        match restriction {
            None => {}
            Some("ONLY_NEW") if status == Status::New => {}
            Some("ONLY_PARTIALLY_FILLED") if status == Status::PartiallyFilled => {}
            Some("ONLY_NEW" | "ONLY_PARTIALLY_FILLED") => {
                return Err(ApiError::new(-2011, "Order was not canceled due to cancel restrictions."));
            }
            Some(_) => return Err(ApiError::new(-1145, "Invalid cancelRestrictions.")),
        }
        let name = match client_id(&c.params, name)? {
            Some(name) => name,
            None => self.server_id(),
        };
        if !self.cancel(n, Some(name.clone())) {
            return Err(ApiError::unknown_order());
        }
        Ok(self.spot_canceled(n, &name))
    }
}

pub(crate) fn cancel(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    t.cancel_spot(c, ("orderId", "origClientOrderId"), "newClientOrderId")
}

pub(crate) fn cancel_all(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let gone = t.cancel_everything(c.user, id);
    if gone.is_empty() {
        return Err(ApiError::unknown_order());
    }
    let name = |n: usize| t.orders.list[n].other_id.clone().unwrap_or_default();
    Ok(array(gone.iter().map(|n| t.spot_canceled(*n, &name(*n)))))
}

pub(crate) fn cancel_replace(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let go_on = match c.params.need("cancelReplaceMode")? {
        "STOP_ON_FAILURE" => false,
        "ALLOW_FAILURE" => true,
        _ => return Err(ApiError::invalid("cancelReplaceMode")),
    };
    // The name may be that of the order to be cancelled, so it is looked at after the cancel. All else is checked first.
    let name = c.params.raw("newClientOrderId").unwrap_or_default();
    let free: Vec<(String, String)> =
        c.params.iter().filter(|(n, _)| *n != "newClientOrderId").map(|(n, v)| (n.into(), v.into())).collect();
    let mut order = t.read_spot(&Call { params: Params::from_pairs(free), ..c.clone() })?;
    if let Some(name) = client_id(&c.params, "newClientOrderId")
        .map_err(|e| if name.is_empty() { ApiError::missing("newClientOrderId") } else { e })?
    {
        order.client_id = name;
    }
    let how = response_type(&c.params, order.kind)?;
    let gone = t.cancel_spot(c, ("cancelOrderId", "cancelOrigClientOrderId"), "cancelNewClientOrderId");
    let placed = if gone.is_ok() || go_on {
        let (user, id, name) = (order.user, order.instrument, order.client_id.clone());
        let refused = t.half.then(|| ApiError::new(-2010, "Account has insufficient balance for requested action."));
        let placed = match refused {
            Some(e) => Err(e),
            None => t.free_name(user, id, name).and_then(|_| t.place_spot(order)),
        };
        Some(placed.map(|n| t.spot_reply(n, how)))
    } else {
        None
    };
    let word = |ok: bool| if ok { "SUCCESS" } else { "FAILURE" };
    let body = |r: &Result<String, ApiError>| r.as_ref().map_or_else(ApiError::body, Clone::clone);
    let o = Obj::new().str("cancelResult", word(gone.is_ok()));
    let o = o.str("newOrderResult", placed.as_ref().map_or("NOT_ATTEMPTED", |p| word(p.is_ok())));
    let o = o.raw("cancelResponse", &body(&gone));
    let data = o.raw("newOrderResponse", &placed.as_ref().map_or("null".into(), body)).done();
    let fail =
        |code, msg: &str, status| Err(ApiError { data: Some(data.clone()), ..ApiError::new(code, msg).status(status) });
    match (gone.is_ok(), placed.is_some_and(|p| p.is_ok())) {
        (true, true) => Ok(data),
        (false, false) => fail(-2022, "Order cancel-replace failed.", 400),
        _ => fail(-2021, "Order cancel-replace partially failed.", 409),
    }
}

pub(crate) fn amend(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.spot_find(c, ("orderId", "origClientOrderId"), ApiError::no_order())?;
    let (id, now) = (t.orders.list[n].instrument, t.now_ms());
    let o = t.orders.list[n].clone();
    let no = |msg: &str| Err(ApiError::new(-2038, msg));
    if !o.status.is_open() {
        return Err(ApiError::no_order());
    }
    if t.symbols.of(id).row["amendAllowed"] == false {
        return no("Order amend is not supported on this symbol.");
    }
    let asked = number(&c.params, "newQty")?.unwrap_or_default();
    let filters = t.symbols.of(id).filters.clone();
    if !asked.is_positive() || filters.lot.step.is_some_and(|s| asked.atoms() % s.atoms() != 0) {
        return Err(ApiError::filter("LOT_SIZE"));
    }
    let qty = t.instrument(id).qty(asked).map_err(|_| ApiError::filter("LOT_SIZE"))?;
    if qty > o.qty {
        return no("Order amend (quantity increase) is not supported.");
    }
    if qty == o.qty || qty <= o.cum {
        return no("The requested action would change no state; rejecting.");
    }
    if filters.max_amends.is_some_and(|m| o.amends >= m) {
        return no("The order has already been amended the maximum number of times.");
    }
    let name = match client_id(&c.params, "newClientOrderId")? {
        Some(name) if name == o.client_id => name,
        Some(name) => t.free_name(c.user, id, name)?,
        None => t.server_id(),
    };
    let execution = t.executions + 1;
    t.orders.rename(n, &name);
    t.orders.list[n].other_id = Some(o.client_id.clone());
    t.announce = Some("REPLACED");
    if let Err(reason) = t.amend(n, None, Some(qty)) {
        t.announce = None;
        t.orders.unname(n);
        t.orders.list[n].other_id = o.other_id;
        return Err(match reason {
            RejectReason::MinNotional => ApiError::filter("NOTIONAL"),
            other => ApiError::new(-2038, other.to_string()),
        });
    }
    t.orders.list[n].amends += 1;
    let done = Amendment {
        order: n,
        execution,
        old_id: o.client_id.clone(),
        new_id: name,
        old_qty: o.qty,
        new_qty: qty,
        at_ms: now,
    };
    t.orders.add_amendment(done);
    let new = &t.orders.list[n];
    let a = Obj::new().str("symbol", &t.symbols.of(id).name).int("orderId", new.id).int("orderListId", -1);
    let a = a.str("origClientOrderId", &o.client_id).str("clientOrderId", &new.client_id);
    let a = a.str("price", &t.px(id, new.price)).str("qty", &t.qty(id, new.qty.0));
    let a = a.str("executedQty", &t.qty(id, new.cum.0)).str("preventedQty", &t.qty(id, 0));
    let a = a.str("quoteOrderQty", &eight(new.quote_qty)).str("cumulativeQuoteQty", &eight(new.cum_quote));
    let a = a.str("status", new.status.name()).str("timeInForce", new.tif.name()).str("type", new.kind.name());
    let a = a.str("side", side_name(new.side)).int("workingTime", new.working_ms);
    let a = a.str("selfTradePreventionMode", &new.stp).done();
    Ok(Obj::new().int("transactTime", now).int("executionId", execution).raw("amendedOrder", &a).done())
}
