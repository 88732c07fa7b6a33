//! Spot orders: placing, cancelling, replacing, amending. Never: queries (`spot_account`), matching.

use crate::absorb::blank_order;
use crate::error::ApiError;
use crate::filters::{Asked, check_spot};
use crate::json::{Obj, array};
use crate::number::eight;
use crate::orders::{Amendment, Order, OrderType, Status, Tif};
use crate::params::{Params, precise};
use crate::publish::side_name;
use crate::rest::{Call, Endpoint, Security};
use crate::twin::Twin;
use ctos_types::{Decimal, InstrumentId, Price, Qty, RejectReason, Rounding, Side};

const PLACE: &[&str] = &["symbol", "side", "type"];

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "POST",
        path: "/api/v3/order",
        security: Security::Trade,
        weight: |_| 1,
        orders: 1,
        free: true,
        need: PLACE,
        run: place,
    },
    Endpoint {
        method: "POST",
        path: "/api/v3/order/test",
        security: Security::Trade,
        weight: |p| if p.raw("computeCommissionRates") == Some("true") { 20 } else { 1 },
        orders: 0,
        free: false,
        need: PLACE,
        run: test,
    },
    Endpoint {
        method: "POST",
        path: "/api/v3/sor/order",
        security: Security::Trade,
        weight: |_| 1,
        orders: 1,
        free: true,
        need: PLACE,
        run: place,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v3/order",
        security: Security::Trade,
        weight: |_| 1,
        orders: 0,
        free: true,
        need: &["symbol"],
        run: cancel,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v3/openOrders",
        security: Security::Trade,
        weight: |_| 1,
        orders: 0,
        free: true,
        need: &["symbol"],
        run: cancel_all,
    },
    Endpoint {
        method: "POST",
        path: "/api/v3/order/cancelReplace",
        security: Security::Trade,
        weight: |_| 1,
        orders: 1,
        free: true,
        need: &["symbol", "side", "type", "cancelReplaceMode"],
        run: cancel_replace,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v3/order/amend/keepPriority",
        security: Security::Trade,
        weight: |_| 4,
        orders: 0,
        free: false,
        need: &["symbol", "newQty"],
        run: amend,
    },
];

fn rejected(msg: &str) -> ApiError {
    ApiError::new(-2010, msg)
}

fn place(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let order = t.read_spot(c)?;
    let how = response_type(&c.params, order.kind)?;
    let n = t.place_spot(order)?;
    Ok(t.spot_reply(n, how))
}

fn test(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let order = t.read_spot(c)?;
    if c.params.bool("computeCommissionRates")? != Some(true) {
        return Ok("{}".into());
    }
    let i = t.instrument(order.instrument);
    let rates =
        |maker: Decimal, taker: Decimal| Obj::new().str("maker", &eight(maker)).str("taker", &eight(taker)).done();
    let o = Obj::new().raw("standardCommissionForOrder", &rates(i.maker_fee, i.taker_fee));
    let o = o.raw("taxCommissionForOrder", &rates(Decimal::ZERO, Decimal::ZERO));
    let discount = Obj::new().bool("enabledForAccount", false).bool("enabledForSymbol", false);
    Ok(o.raw("discount", &discount.str("discountAsset", "BNB").str("discount", "0.25000000").done()).done())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Response {
    Ack,
    Result,
    Full,
}

fn response_type(p: &Params, kind: OrderType) -> Result<Response, ApiError> {
    match p.text("newOrderRespType")? {
        Some("ACK") => Ok(Response::Ack),
        Some("RESULT") => Ok(Response::Result),
        Some("FULL") => Ok(Response::Full),
        Some(_) => Err(ApiError::new(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")),
        None if matches!(kind, OrderType::Market | OrderType::Limit) => Ok(Response::Full),
        None => Ok(Response::Ack),
    }
}

/// A client's name for an order. Errors: characters or length.
fn client_id(p: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(id) = p.text(name)? else { return Ok(None) };
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if id.len() > 36 || !id.bytes().all(fine) {
        return Err(ApiError::illegal(name, "^[a-zA-Z0-9-_]{1,36}$"));
    }
    Ok(Some(id.to_string()))
}

/// A number of at most eight decimals.
fn number(p: &Params, name: &str) -> Result<Option<Decimal>, ApiError> {
    match p.decimal(name)? {
        Some(d) if d.round(8, Rounding::Down) != d => Err(precise(name)),
        other => Ok(other),
    }
}

fn unwanted(p: &Params, names: &[&str]) -> Result<(), ApiError> {
    match names.iter().find(|n| p.raw(n).is_some()) {
        Some(n) => Err(ApiError::new(-1106, format!("Parameter '{n}' sent when not required."))),
        None => Ok(()),
    }
}

impl Twin {
    /// Reads and checks an order up to the filters.
    fn read_spot(&mut self, c: &Call) -> Result<Order, ApiError> {
        let p = &c.params;
        let (symbol, id) = self.symbols.traded(p.need("symbol")?)?;
        let (open, filters) = (symbol.may_trade(), symbol.filters.clone());
        let modes = symbol.row["allowedSelfTradePreventionModes"].clone();
        let side = match p.need("side")? {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(ApiError::new(-1117, "Invalid side.")),
        };
        let kind = OrderType::parse(p.need("type")?).ok_or_else(|| ApiError::new(-1116, "Invalid orderType."))?;
        let tif = match p.text("timeInForce")? {
            Some(text) => Some(
                Tif::parse(text)
                    .filter(|t| matches!(t, Tif::Gtc | Tif::Ioc | Tif::Fok))
                    .ok_or_else(|| ApiError::new(-1115, "Invalid timeInForce."))?,
            ),
            None => None,
        };
        let limit = matches!(kind, OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit);
        let (price, stop) = (number(p, "price")?, number(p, "stopPrice")?);
        let (quantity, quote) = (number(p, "quantity")?, number(p, "quoteOrderQty")?);
        let trailing = p.int("trailingDelta")?;
        if limit && tif.is_none() {
            return Err(ApiError::missing("timeInForce"));
        }
        if limit || kind == OrderType::LimitMaker {
            price.ok_or_else(|| ApiError::missing("price"))?;
        } else {
            unwanted(p, &["price", "timeInForce"])?;
        }
        if kind == OrderType::LimitMaker {
            unwanted(p, &["timeInForce"])?;
        }
        match (kind, quantity, quote) {
            (OrderType::Market, Some(_), Some(_)) => {
                return Err(ApiError::new(-1128, "Combination of optional parameters invalid."));
            }
            (OrderType::Market, None, None) | (_, None, _) if kind != OrderType::Market || quote.is_none() => {
                return Err(ApiError::missing("quantity"));
            }
            _ => {}
        }
        if kind.is_conditional() {
            if stop.is_none() && trailing.is_none() {
                return Err(ApiError::missing("stopPrice"));
            }
            if limit && trailing.is_some() {
                return Err(ApiError::new(-1020, "This operation is not supported."));
            }
        } else {
            unwanted(p, &["stopPrice", "trailingDelta"])?;
        }
        let stp = p.text("selfTradePreventionMode")?.unwrap_or("EXPIRE_MAKER").to_string();
        if stp != "NONE" && !modes.as_array().is_some_and(|m| m.iter().any(|m| m.as_str() == Some(&stp))) {
            return Err(ApiError::new(-1013, "This symbol does not allow the specified self-trade prevention mode."));
        }
        let strategy = (p.int("strategyId")?, p.int("strategyType")?);
        if strategy.1.is_some_and(|t| t < 1_000_000) {
            return Err(ApiError::new(-1134, "strategyType was less than 1000000."));
        }
        let named = client_id(p, "newClientOrderId")?;
        let quantity = match (quantity, quote) {
            (Some(q), _) => q,
            (None, amount) => self.size_for(id, side, amount.unwrap_or_default())?,
        };
        let iceberg = number(p, "icebergQty")?.unwrap_or_default();
        if !open {
            return Err(rejected("Market is closed."));
        }
        let market = matches!(kind, OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit);
        let asked = Asked {
            side,
            price,
            stop,
            qty: quantity,
            market,
            reference: self.average(id),
            iceberg,
            trailing,
            reduce: false,
        };
        check_spot(&filters, &asked)?;
        self.check_counts(c.user, id, kind.is_conditional())?;
        let client_id = match named {
            Some(name) => self.free_name(c.user, id, name)?,
            None => self.server_id(),
        };
        let i = self.instrument(id);
        let px = |d: Option<Decimal>| match d {
            Some(d) => i.price(d).map_err(|_| ApiError::filter("PRICE_FILTER")),
            None => Ok(Price(0)),
        };
        let size = |d: Decimal| i.qty(d).map_err(|_| ApiError::filter("LOT_SIZE"));
        Ok(Order {
            client_id,
            kind,
            origin: kind.name(),
            tif: tif.unwrap_or(Tif::Gtc),
            price: px(price)?,
            stop: px(stop)?,
            qty: size(quantity)?,
            iceberg: if iceberg.is_positive() { size(iceberg)? } else { Qty(0) },
            quote_qty: quote.unwrap_or_default(),
            trailing_delta: trailing.unwrap_or_default(),
            stp,
            strategy,
            ..blank_order(c.user, id, side, self.now_ms())
        })
    }

    /// What an amount of quote currency buys or sells in the book as it stands, in whole lots.
    fn size_for(&self, id: InstrumentId, side: Side, amount: Decimal) -> Result<Decimal, ApiError> {
        let (i, p) = (self.instrument(id), self.public(id));
        let rows = if side == Side::Buy { &p.asks } else { &p.bids };
        let (mut left, mut total) = (amount, 0i64);
        for (price, there) in rows {
            let fits = i.qty_for_quote(left, Price(*price)).map_or(0, |q| q.0).min(*there);
            total = total.saturating_add(fits);
            left -= i.value(Price(*price), Qty(fits)).unwrap_or_default();
            if fits < *there {
                break;
            }
        }
        if total == 0 {
            return Err(rejected("Order book liquidity is less than LOT_SIZE filter minimum quantity."));
        }
        Ok(i.qty_decimal(Qty(total - total % i.lot.0)))
    }

    fn check_counts(&self, user: usize, id: InstrumentId, conditional: bool) -> Result<(), ApiError> {
        let f = &self.symbols.of(id).filters;
        let open = self.orders.open_of(user, Some(id));
        if f.max_orders.is_some_and(|m| open.len() >= m) {
            return Err(ApiError::filter("MAX_NUM_ORDERS"));
        }
        let stops = open.iter().filter(|n| self.orders.list[**n].kind.is_conditional()).count();
        if conditional && f.max_algo.is_some_and(|m| stops >= m) {
            return Err(ApiError::filter("MAX_NUM_ALGO_ORDERS"));
        }
        Ok(())
    }

    /// A name may be used again once its order is closed.
    fn free_name(&self, user: usize, id: InstrumentId, name: String) -> Result<String, ApiError> {
        let taken = self.orders.by_client(user, id, &name).is_some_and(|n| self.orders.list[n].status.is_open());
        if taken { Err(rejected("Duplicate order sent.")) } else { Ok(name) }
    }

    pub(crate) fn place_spot(&mut self, order: Order) -> Result<usize, ApiError> {
        match self.submit(order.clone()) {
            Ok(n) => Ok(n),
            Err(RejectReason::FokNotFilled) => Ok(self.enter_killed(order)),
            Err(reason) => Err(match reason {
                RejectReason::InsufficientBalance => rejected("Account has insufficient balance for requested action."),
                RejectReason::PostOnlyWouldTake => rejected("Order would immediately match and take."),
                RejectReason::WouldTriggerImmediately => rejected("Order would trigger immediately."),
                RejectReason::BadQty => ApiError::filter("LOT_SIZE"),
                RejectReason::BadPrice => ApiError::filter("PRICE_FILTER"),
                RejectReason::MinNotional => ApiError::filter("NOTIONAL"),
                RejectReason::TooManyOrders => ApiError::filter("MAX_NUM_ORDERS"),
                RejectReason::InstrumentNotTrading => rejected("Market is closed."),
                other => rejected(&other.to_string()),
            }),
        }
    }

    // ---- replies

    fn spot_reply(&self, n: usize, how: Response) -> String {
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
    fn spot_state(&self, j: Obj, o: &Order) -> Obj {
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

    fn spot_fills(&self, o: &Order) -> String {
        array(o.trades.iter().map(|t| {
            let t = &self.orders.trades[*t];
            let f =
                Obj::new().str("price", &self.px(o.instrument, t.price)).str("qty", &self.qty(o.instrument, t.qty.0));
            let f = f.str("commission", &eight(t.fee)).str("commissionAsset", &t.fee_asset);
            f.int("tradeId", t.id).done()
        }))
    }

    fn spot_canceled(&self, n: usize, name: &str) -> String {
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

    fn cancel_spot(&mut self, c: &Call, ids: (&str, &str), name: &str) -> Result<String, ApiError> {
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

fn cancel(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    t.cancel_spot(c, ("orderId", "origClientOrderId"), "newClientOrderId")
}

fn cancel_all(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (_, id) = t.symbols.traded(c.params.need("symbol")?)?;
    let gone = t.cancel_everything(c.user, id);
    if gone.is_empty() {
        return Err(ApiError::unknown_order());
    }
    let name = |n: usize| t.orders.list[n].other_id.clone().unwrap_or_default();
    Ok(array(gone.iter().map(|n| t.spot_canceled(*n, &name(*n)))))
}

fn cancel_replace(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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
        Some(t.free_name(user, id, name).and_then(|_| t.place_spot(order)).map(|n| t.spot_reply(n, how)))
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

fn amend(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let n = t.spot_find(c, ("orderId", "origClientOrderId"), ApiError::no_order())?;
    let (id, now) = (t.orders.list[n].instrument, t.now_ms());
    let o = t.orders.list[n].clone();
    let no = |msg: &str| Err(ApiError::new(-2038, msg));
    if !o.status.is_open() {
        return Err(ApiError::no_order());
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
    t.amend(n, None, Some(qty)).map_err(|r| match r {
        RejectReason::MinNotional => ApiError::filter("NOTIONAL"),
        other => ApiError::new(-2038, other.to_string()),
    })?;
    t.orders.rename(n, &name);
    t.orders.list[n].other_id = Some(o.client_id.clone());
    t.orders.list[n].amends += 1;
    let execution = t.executions + 1;
    t.tell_order(n, "REPLACED", None);
    let done = Amendment {
        order: n,
        execution,
        old_id: o.client_id.clone(),
        new_id: name,
        old_qty: o.qty,
        new_qty: qty,
        at_ms: now,
    };
    t.orders.amendments.push(done);
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
