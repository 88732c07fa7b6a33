//! Spot orders: placing, cancelling, replacing, amending. Never: queries (`spot_account`), matching.

use crate::absorb::blank_order;
use crate::error::ApiError;
use crate::filters::{Asked, check_spot};
use crate::json::Obj;
use crate::number::eight;
use crate::orders::{Order, OrderType, Tif};
use crate::params::{Params, precise};
use crate::rest::{Call, Endpoint, Security};
use crate::spot_change::{amend, cancel, cancel_all, cancel_replace};
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

pub(crate) fn place(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
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
pub(crate) enum Response {
    Ack,
    Result,
    Full,
}

pub(crate) fn response_type(p: &Params, kind: OrderType) -> Result<Response, ApiError> {
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
pub(crate) fn client_id(p: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(id) = p.text(name)? else { return Ok(None) };
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if id.len() > 36 || !id.bytes().all(fine) {
        return Err(ApiError::illegal(name, "^[a-zA-Z0-9-_]{1,36}$"));
    }
    Ok(Some(id.to_string()))
}

/// A number of at most eight decimals.
pub(crate) fn number(p: &Params, name: &str) -> Result<Option<Decimal>, ApiError> {
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
    pub(crate) fn read_spot(&mut self, c: &Call) -> Result<Order, ApiError> {
        let p = &c.params;
        let (symbol, id) = self.symbols.traded(p.need("symbol")?)?;
        let (open, filters) = (symbol.may_trade(), symbol.filters.clone());
        let modes = symbol.row["allowedSelfTradePreventionModes"].clone();
        if p.iter().any(|(name, _)| name.starts_with("peg")) {
            return Err(ApiError::new(-1020, "This operation is not supported."));
        }
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
    pub(crate) fn free_name(&self, user: usize, id: InstrumentId, name: String) -> Result<String, ApiError> {
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
}
