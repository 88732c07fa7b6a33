//! USD-M orders: placing, modifying, cancelling, batches, the dead-man switch. Never: conditional ones (`usdm_algo`).

use crate::absorb::blank_order;
use crate::algo::AlgoType;
use crate::error::ApiError;
use crate::filters::{Asked, check_usdm};
use crate::orders::{Order, OrderType, Status, Tif};
use crate::params::Params;
use crate::rest::{Call, Endpoint, Security};
use crate::twin::Twin;
use crate::usdm_change::{batch, cancel, cancel_all, cancel_batch, countdown, modify};
use ctos_types::{Decimal, InstrumentId, Leg, OrderKind, Price, Qty, RejectReason, Rounding, Side};

pub(crate) const PLACE: &[&str] = &["symbol", "side", "type"];

const fn trade(
    method: &'static str,
    path: &'static str,
    weight: fn(&Params) -> u32,
    orders: u32,
    need: &'static [&'static str],
    run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
) -> Endpoint {
    Endpoint { method, path, security: Security::Trade, weight, orders, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    trade("POST", "/fapi/v1/order", |_| 0, 1, PLACE, place),
    trade("POST", "/fapi/v1/order/test", |_| 0, 0, PLACE, test),
    trade("PUT", "/fapi/v1/order", |_| 0, 1, &["symbol", "side", "quantity"], modify),
    trade("DELETE", "/fapi/v1/order", |_| 1, 0, &["symbol"], cancel),
    trade("DELETE", "/fapi/v1/allOpenOrders", |_| 1, 0, &["symbol"], cancel_all),
    trade("POST", "/fapi/v1/batchOrders", |_| 5, 5, &["batchOrders"], |t, c| batch(t, c, place)),
    trade("PUT", "/fapi/v1/batchOrders", |_| 5, 5, &["batchOrders"], |t, c| batch(t, c, modify)),
    trade("DELETE", "/fapi/v1/batchOrders", |_| 1, 0, &["symbol"], cancel_batch),
    trade("POST", "/fapi/v1/countdownCancelAll", |_| 10, 0, &["symbol", "countdownTime"], countdown),
];

/// An order that was read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub user: usize,
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderType,
    pub tif: Tif,
    pub price: Price,
    pub qty: Qty,
    pub client_id: String,
    pub leg: Leg,
    pub reduce_only: bool,
    pub stp: String,
    pub gtd_ms: i64,
    pub price_match: String,
    pub origin: &'static str,
    pub stop: Price,
    pub close_position: bool,
}

pub(crate) fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

fn place(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let result = match c.params.text("newOrderRespType")? {
        None | Some("ACK") => false,
        Some("RESULT") => true,
        Some(_) => return Err(ApiError::invalid("newOrderRespType")),
    };
    let draft = t.read_usdm(c)?;
    let n = t.place_usdm(draft)?;
    if result {
        return Ok(t.usdm_order(&t.orders.list[n], false));
    }
    // An acknowledgement is from before any match.
    let at = t.orders.list[n].created_ms;
    let order = Order {
        status: Status::New,
        cum: Qty(0),
        cum_quote: Decimal::ZERO,
        updated_ms: at,
        ..t.orders.list[n].clone()
    };
    Ok(t.usdm_order(&order, false))
}

fn test(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let d = t.read_usdm(c)?;
    let order = t.order_of_draft(d);
    Ok(t.usdm_order(&order, false))
}

pub(crate) fn read_side(p: &Params) -> Result<Side, ApiError> {
    match p.need("side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(e(-1117, "Invalid side.")),
    }
}

/// A client's name for an order. Errors: characters or length.
pub(crate) fn read_name(p: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(id) = p.text(name)? else { return Ok(None) };
    let fine = |b: u8| b.is_ascii_alphanumeric() || b".:/_-".contains(&b);
    if id.len() > 36 {
        return Err(e(-4015, "Client order id length should be less than 36 chars"));
    }
    if !id.bytes().all(fine) {
        return Err(ApiError::illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"));
    }
    Ok(Some(id.into()))
}

impl Twin {
    /// The leg an order is for. Errors: it does not fit the account's mode.
    pub(crate) fn read_leg(&self, user: usize, p: &Params) -> Result<Leg, ApiError> {
        let leg = match p.text("positionSide")? {
            None | Some("BOTH") => Leg::Net,
            Some("LONG") => Leg::Long,
            Some("SHORT") => Leg::Short,
            Some(_) => return Err(e(-4060, "Invalid position side.")),
        };
        if (leg == Leg::Net) == self.users.list[user].hedge {
            return Err(e(-4061, "Order's position side does not match user's setting."));
        }
        Ok(leg)
    }

    pub(crate) fn read_stp(p: &Params) -> Result<String, ApiError> {
        match p.text("selfTradePreventionMode")? {
            None => Ok("EXPIRE_MAKER".into()),
            Some(m @ ("NONE" | "EXPIRE_TAKER" | "EXPIRE_MAKER" | "EXPIRE_BOTH")) => Ok(m.into()),
            Some(_) => Err(e(-5039, "Invalid self trade prevention mode.")),
        }
    }

    pub(crate) fn read_gtd(&self, p: &Params, tif: Tif) -> Result<i64, ApiError> {
        let at = p.int("goodTillDate")?;
        if tif != Tif::Gtd {
            return Ok(0);
        }
        let at = at.ok_or_else(|| ApiError::missing("goodTillDate"))? / 1_000 * 1_000;
        if at <= self.server_ms() + 600_000 || at >= 253_402_300_799_000 {
            return Err(e(
                -5040,
                "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than 253402300799000",
            ));
        }
        Ok(at)
    }

    fn read_usdm(&mut self, c: &Call) -> Result<Draft, ApiError> {
        let p = &c.params;
        let (symbol, id) = self.symbols.traded(p.need("symbol")?)?;
        let symbol = symbol.clone();
        let side = read_side(p)?;
        let kind = match p.need("type")? {
            "LIMIT" => OrderType::Limit,
            "MARKET" => OrderType::Market,
            other if AlgoType::parse(other).is_some() => {
                return Err(e(
                    -4120,
                    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
                ));
            }
            _ => return Err(e(-1116, "Invalid orderType.")),
        };
        let tif = match p.text("timeInForce")? {
            Some("RPI") => Tif::Gtx,
            Some(text) => Tif::parse(text).ok_or_else(|| e(-1115, "Invalid timeInForce."))?,
            None if kind == OrderType::Limit => return Err(ApiError::missing("timeInForce")),
            None => Tif::Gtc,
        };
        let leg = self.read_leg(c.user, p)?;
        let reduce_only = p.bool("reduceOnly")?;
        if reduce_only.is_some() && leg != Leg::Net {
            return Err(e(-4062, "Invalid or improper reduceOnly value."));
        }
        let gtd_ms = self.read_gtd(p, tif)?;
        let stp = Self::read_stp(p)?;
        let quantity = p.decimal("quantity")?.ok_or_else(|| ApiError::missing("quantity"))?;
        let (price, price_match) = self.read_price(p, id, side, kind)?;
        if kind == OrderType::Market && price.is_some() {
            return Err(ApiError::new(-1106, "Parameter 'price' sent when not required."));
        }
        if !symbol.may_trade() {
            return Err(e(-4141, "Symbol is closed."));
        }
        let closing = leg != Leg::Net && (leg == Leg::Long) == (side == Side::Sell);
        let reduce_only = reduce_only.unwrap_or(false);
        let asked = Asked {
            side,
            price,
            stop: None,
            qty: quantity,
            market: kind == OrderType::Market,
            reference: self.mark(id).unwrap_or_default(),
            iceberg: Decimal::ZERO,
            trailing: None,
            reduce: reduce_only || closing,
        };
        check_usdm(&symbol, &asked)?;
        let open = self.orders.open_of(c.user, Some(id)).len();
        if symbol.filters.max_orders.is_some_and(|m| open >= m) {
            return Err(e(-2025, "Reach max open order limit."));
        }
        let client_id = match read_name(p, "newClientOrderId")? {
            Some(name) => {
                let taken = self.orders.by_client(c.user, id, &name);
                if taken.is_some_and(|n| self.orders.list[n].status.is_open()) {
                    return Err(e(-4116, "ClientOrderId is duplicated."));
                }
                name
            }
            None => self.server_id(),
        };
        let i = self.instrument(id);
        let px =
            price.map_or(Ok(Price(0)), |d| i.price(d)).map_err(|_| e(-4014, "Price not increased by tick size."))?;
        let qty = i.qty(quantity).map_err(|_| e(-4023, "Qty not increased by step size."))?;
        Ok(Draft {
            user: c.user,
            instrument: id,
            side,
            kind,
            tif,
            price: px,
            qty,
            client_id,
            leg,
            reduce_only,
            stp,
            gtd_ms,
            price_match,
            origin: kind.name(),
            stop: Price(0),
            close_position: false,
        })
    }

    /// The limit price, said or taken from the book.
    pub(crate) fn read_price(
        &self,
        p: &Params,
        id: InstrumentId,
        side: Side,
        kind: OrderType,
    ) -> Result<(Option<Decimal>, String), ApiError> {
        let price = p.decimal("price")?;
        let Some(matched) = p.text("priceMatch")?.filter(|m| *m != "NONE") else {
            return match (kind, price) {
                (OrderType::Limit, None) => Err(ApiError::missing("price")),
                _ => Ok((price, "NONE".into())),
            };
        };
        if kind != OrderType::Limit {
            return Err(e(-5038, "priceMatch is not supported for this order type."));
        }
        if price.is_some() {
            return Err(e(-1106, "Parameter 'price' sent when not required."));
        }
        let (opponent, level) = match matched {
            "OPPONENT" => (true, 1),
            "OPPONENT_5" => (true, 5),
            "QUEUE" => (false, 1),
            "QUEUE_5" => (false, 5),
            "QUEUE_10" => (false, 10),
            "QUEUE_20" => (false, 20),
            _ => return Err(e(-5037, "Invalid priceMatch.")),
        };
        let public = self.public(id);
        let rows = if (side == Side::Buy) == opponent { &public.asks } else { &public.bids };
        let row = rows.get(level - 1).ok_or_else(|| e(-5041, "No depth matches this BBO order."))?;
        Ok((Some(self.instrument(id).price_decimal(Price(row.0))), matched.into()))
    }

    fn order_of_draft(&self, d: Draft) -> Order {
        Order {
            client_id: d.client_id,
            kind: d.kind,
            tif: d.tif,
            price: d.price,
            qty: d.qty,
            stop: d.stop,
            stp: d.stp,
            leg: d.leg,
            reduce_only: d.reduce_only,
            close_position: d.close_position,
            gtd_ms: d.gtd_ms,
            origin: d.origin,
            price_match: d.price_match,
            ..blank_order(d.user, d.instrument, d.side, self.now_ms())
        }
    }

    /// Sends an order to the engine. A market order goes no further from the mark than the symbol allows.
    pub(crate) fn place_usdm(&mut self, d: Draft) -> Result<usize, ApiError> {
        let (id, side, market) = (d.instrument, d.side, d.kind == OrderType::Market);
        let bound = if market { self.take_bound(id, side, d.qty)? } else { None };
        if market && !d.reduce_only {
            self.check_margin(&d)?;
        }
        let order = self.order_of_draft(d);
        let placed = match bound {
            Some(price) => self.submit_as(order, OrderKind::Limit { price }, true),
            None => self.submit(order),
        };
        placed.map_err(|reason| match reason {
            RejectReason::InsufficientBalance => e(-2019, "Margin is insufficient."),
            RejectReason::PostOnlyWouldTake => {
                e(-5022, "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history")
            }
            RejectReason::ReduceOnly => e(-2022, "ReduceOnly Order is rejected."),
            RejectReason::FokNotFilled => {
                e(-5021, "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history")
            }
            RejectReason::TooManyOrders => e(-2025, "Reach max open order limit."),
            RejectReason::BadPrice => e(-4014, "Price not increased by tick size."),
            RejectReason::BadQty => e(-4023, "Qty not increased by step size."),
            RejectReason::MinNotional => e(-4164, "Order's notional must be no smaller than the minimum (unless you choose reduce only)."),
            other => ApiError::new(-2010, other.to_string()),
        })
    }

    /// A market order needs margin for all of it, whatever the book has.
    fn check_margin(&self, d: &Draft) -> Result<(), ApiError> {
        let (i, mark) = (self.instrument(d.instrument), self.mark(d.instrument));
        let held = self.venue.position(self.users.engine(d.user), d.instrument, d.leg).qty.0;
        let closing = if (held > 0) == (d.side == Side::Sell) { held.abs() } else { 0 };
        let opening = Qty((d.qty.0 - closing).max(0));
        let needed = mark
            .and_then(|m| i.notional_at(m, opening).ok())
            .and_then(|n| n.mul_ratio(1, self.leverage_of(d.user, d.instrument), Rounding::Down).ok());
        let free = self.venue.margin(self.users.engine(d.user), i.settle()).map(|m| m.free).unwrap_or_default();
        if needed.is_some_and(|n| n > free) { Err(e(-2019, "Margin is insufficient.")) } else { Ok(()) }
    }

    /// The furthest price of a market order, where the book would take it beyond that.
    fn take_bound(&self, id: InstrumentId, side: Side, qty: Qty) -> Result<Option<Price>, ApiError> {
        let (Some(bound), Some(mark)) = (self.symbols.of(id).take_bound, self.mark(id)) else { return Ok(None) };
        let share = if side == Side::Buy { Decimal::ONE + bound } else { Decimal::ONE - bound };
        let limit = mark.mul(share, Rounding::Down).and_then(|l| self.instrument(id).price_passive(side, l));
        let Ok(limit) = limit else { return Ok(None) };
        let beyond = |px: Price| if side == Side::Buy { px > limit } else { px < limit };
        if self.public(id).best(side.opposite()).is_some_and(beyond) {
            return Err(e(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."));
        }
        let (worst, _) = self.public(id).sweep(side, qty.0);
        Ok(worst.filter(|w| beyond(*w)).map(|_| limit))
    }
}
