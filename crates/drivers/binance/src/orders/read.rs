//! What the venue's replies say about orders and fills.
//! Never: fills in what a reply leaves out: a reply that cannot be read whole leaves the outcome unknown.

use super::conditional::bps;
use super::states::{self, Prices, State};
use super::{Desk, VenueClientId};
use crate::decode::DecodeError;
use crate::errors::{self, ErrorReply};
use crate::fields::{Row, parse, rows};
use crate::symbols::Grid;
use ctos_types::{
    Decimal, ExecId, Fill, InstrumentId, Leg, Liquidity, OrderKind, OrderReport, OrderStatus, Qty, ReportBody,
    Rounding, Side, Text, TimeInForce, UnixNanos, VenueOrderId,
};
use serde_json::Value;

pub use super::states::Outcome;

/// Whose an order is, by its client order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An id of the form that ctos gives. Whether the tag is this run's is the caller's to see.
    Ours(VenueClientId),
    /// Another program, a person, the venue itself. The text may be empty.
    Foreign(Text<36>),
}

impl Owner {
    pub(crate) fn of(text: &str) -> Owner {
        match text.parse() {
            Ok(id) => Owner::Ours(id),
            Err(_) => Owner::Foreign(Text::cut(text)),
        }
    }

    /// Our client order id.
    pub fn client(&self) -> Option<VenueClientId> {
        match self {
            Owner::Ours(id) => Some(*id),
            Owner::Foreign(_) => None,
        }
    }
}

/// An order as the venue has it.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueOrder {
    pub instrument: InstrumentId,
    pub owner: Owner,
    pub venue_order_id: VenueOrderId,
    pub side: Side,
    /// `None` for what no syscall orders: a liquidation.
    pub kind: Option<OrderKind>,
    pub tif: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    pub leg: Leg,
    /// Total size; 0 while a market order by quote amount has not traded.
    pub qty: Qty,
    pub cum_qty: Qty,
    /// What `cum_qty` cost in quote currency; `None` where the venue does not tell.
    pub cum_quote: Option<Decimal>,
    /// `None` while it is open.
    pub outcome: Option<Outcome>,
    pub status: OrderStatus,
    /// It waits for its trigger at USD-M's conditional endpoint.
    pub conditional: bool,
    /// The order that came of a triggered conditional one.
    pub child: Option<VenueOrderId>,
    /// The venue's time of this state; `MIN` where the reply has none (margin's cancel).
    pub ts_event: UnixNanos,
    /// Only in spot's replies to new orders.
    pub fills: Vec<Fill>,
}

/// One of our trades, from a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VenueFill {
    pub instrument: InstrumentId,
    pub venue_order_id: VenueOrderId,
    pub fill: Fill,
    pub ts_event: UnixNanos,
}

/// What became of the two halves of a replacement.
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced {
    /// The old order: cancelled, or why not.
    pub canceled: Result<VenueOrder, ErrorReply>,
    /// The new order: there, why not, or not tried because the first half failed.
    pub placed: Option<Result<VenueOrder, ErrorReply>>,
}

impl VenueOrder {
    /// Average price of what has traded, rounded half-even to 18 places.
    pub fn avg_px(&self, qty_decimals: u8) -> Option<Decimal> {
        let qty = Decimal::new(self.cum_qty.0, qty_decimals);
        self.cum_quote.filter(|_| qty.is_positive()).and_then(|quote| quote.div(qty, Rounding::HalfEven).ok())
    }

    /// Whether a reply to a new order tells each of its fills, so that nothing has to be waited or asked for.
    pub fn is_whole(&self) -> bool {
        self.fills.iter().map(|f| i128::from(f.last_qty.0)).sum::<i128>() == i128::from(self.cum_qty.0)
    }
}

impl Desk {
    /// The reply to a new order, a cancel, a modify or a question, of the plain endpoints and of USD-M's conditional
    /// one.
    pub fn read_order(&self, body: &[u8]) -> Result<VenueOrder, DecodeError> {
        self.order_of(&Row::new(&parse(body)?, "order")?)
    }

    /// A list of orders; on spot those of order lists are among them.
    pub fn read_orders(&self, body: &[u8]) -> Result<Vec<VenueOrder>, DecodeError> {
        let value = parse(body)?;
        let mut orders = Vec::new();
        for row in rows(&value, "order")? {
            let row = row?;
            if row.has("orderReports") {
                for part in row.list("orderReports", "order")? {
                    orders.push(self.order_of(&part?)?);
                }
            } else {
                orders.push(self.order_of(&row)?);
            }
        }
        Ok(orders)
    }

    /// As [`Desk::read_orders`], without those of symbols that are not ours.
    pub fn read_orders_known(&self, body: &[u8]) -> Result<Vec<VenueOrder>, DecodeError> {
        let mut orders = Vec::new();
        for row in rows(&parse(body)?, "order")? {
            match self.order_of(&row?) {
                Ok(order) => orders.push(order),
                Err(DecodeError::UnknownSymbol(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(orders)
    }

    /// The reply to a replacement: the whole body of a success, or the `data` of a −2021 or −2022.
    pub fn read_replaced(&self, data: &Value) -> Result<Replaced, DecodeError> {
        let row = Row::new(data, "cancelReplace")?;
        let half = |result, response| match row.text(result)? {
            "SUCCESS" => self.order_of(&row.row(response, "order")?).map(|order| Some(Ok(order))),
            "FAILURE" => {
                let error = errors::read_part(self.profile, row.value(response)?);
                Ok(Some(Err(error.ok_or_else(|| row.missing(response))?)))
            }
            "NOT_ATTEMPTED" => Ok(None),
            other => Err(row.unknown(result, other)),
        };
        let canceled = half("cancelResult", "cancelResponse")?.ok_or_else(|| row.missing("cancelResponse"))?;
        Ok(Replaced { canceled, placed: half("newOrderResult", "newOrderResponse")? })
    }

    /// The reply to spot's amend in place.
    pub fn read_amended(&self, body: &[u8]) -> Result<VenueOrder, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "amend")?;
        let mut order = self.order_of(&row.row("amendedOrder", "amended order")?)?;
        order.ts_event = row.time("transactTime")?;
        Ok(order)
    }

    /// The reply to a request that only says it was done (USD-M's cancel all, leverage-like settings, conditional
    /// cancels: there the code is text).
    pub fn read_done(&self, body: &[u8]) -> Result<(), DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "confirmation")?;
        if row.id("code")? == 200 { Ok(()) } else { Err(row.missing("code")) }
    }

    /// The reply to the dead man's switch: how long it runs now, ms.
    pub fn read_countdown(&self, body: &[u8]) -> Result<u64, DecodeError> {
        Row::new(&parse(body)?, "countdown")?.id("countdownTime")
    }

    /// A list of own trades, oldest first as it came. A symbol that is not ours is an error.
    pub fn read_fills(&self, body: &[u8]) -> Result<Vec<VenueFill>, DecodeError> {
        rows(&parse(body)?, "trade")?.map(|row| self.fill_of(&row?)).collect()
    }

    fn fill_of(&self, row: &Row<'_>) -> Result<VenueFill, DecodeError> {
        let grid = row.grid("symbol", self.symbols())?;
        let (buyer, maker) = match self.is_usdm() {
            true => (row.side("side")? == Side::Buy, row.bool("maker")?),
            false => (row.bool("isBuyer")?, row.bool("isMaker")?),
        };
        let fill = Fill {
            exec_id: ExecId::from_u64(row.id("id")?),
            side: if buyer { Side::Buy } else { Side::Sell },
            leg: states::leg(row, "positionSide")?,
            last_px: row.price("price", grid)?,
            last_qty: row.qty("qty", grid)?,
            liquidity: if maker { Liquidity::Maker } else { Liquidity::Taker },
            fee: row.decimal("commission")?,
            fee_currency: row.currency("commissionAsset")?,
        };
        let venue_order_id = VenueOrderId::from_u64(row.id("orderId")?);
        Ok(VenueFill { instrument: grid.id, venue_order_id, fill, ts_event: row.time("time")? })
    }

    /// One order from a row of any of the plain or conditional endpoints.
    pub(crate) fn order_of(&self, row: &Row<'_>) -> Result<VenueOrder, DecodeError> {
        let grid = row.grid("symbol", self.symbols())?;
        if row.has("algoId") {
            return self.conditional_of(row, grid);
        }
        let prices = Prices {
            price: row.opt_price("price", grid)?,
            stop: row.opt_price("stopPrice", grid)?,
            trailing_bps: match row.opt_int("trailingDelta")? {
                Some(bps) => u32::try_from(bps).ok(),
                None => bps(row.opt_decimal("priceRate")?),
            },
            activation: row.opt_price("activatePrice", grid)?,
        };
        // What a conditional order of USD-M was, not the market order that it has become.
        let field = if row.has("origType") { "origType" } else { "type" };
        let (kind, maker_only) = states::kind(row, field, prices)?;
        let (tif, gtx) = states::tif(row, "timeInForce", row.opt_time("goodTillDate")?)?;
        let post_only = maker_only || gtx;
        let state = states::state(row, "status")?;
        let outcome = states::ended(state, row.opt_text("expiryReason")?, kind, tif, post_only);
        // A cancel's reply carries the cancel's own id in the usual place.
        let client = match row.opt_text("origClientOrderId")? {
            Some(original) if !original.is_empty() && !self.is_usdm() => original,
            _ => row.text("clientOrderId")?,
        };
        let qty_field = if row.has("origQty") { "origQty" } else { "qty" };
        let side = row.side("side")?;
        let leg = states::leg(row, "positionSide")?;
        let cum_qty = row.qty("executedQty", grid)?;
        Ok(VenueOrder {
            instrument: grid.id,
            owner: Owner::of(client),
            venue_order_id: VenueOrderId::from_u64(row.id("orderId")?),
            side,
            kind,
            tif,
            post_only,
            reduce_only: row.opt_bool("reduceOnly")?.unwrap_or(false),
            leg,
            qty: row.qty(qty_field, grid)?,
            cum_qty,
            cum_quote: cum_quote(row)?,
            outcome,
            status: status(state, outcome),
            conditional: false,
            child: None,
            ts_event: when(row)?,
            fills: if row.has("fills") { self.fills_of(row, grid, side)? } else { Vec::new() },
        })
    }

    fn fills_of(&self, row: &Row<'_>, grid: &Grid, side: Side) -> Result<Vec<Fill>, DecodeError> {
        let one = |fill: Result<Row<'_>, DecodeError>| {
            let fill = fill?;
            Ok(Fill {
                exec_id: ExecId::from_u64(fill.id("tradeId")?),
                side,
                leg: Leg::Net,
                last_px: fill.price("price", grid)?,
                last_qty: fill.qty("qty", grid)?,
                // A fill in the reply to its own order took.
                liquidity: Liquidity::Taker,
                fee: fill.decimal("commission")?,
                fee_currency: fill.currency("commissionAsset")?,
            })
        };
        row.list("fills", "fill")?.map(one).collect()
    }

    /// What an order's reply reports. Fills only where the reply has them; an end only where no fill is missing before
    /// it, because the ones that come by the user stream belong first.
    pub fn reports(&self, order: &VenueOrder) -> Vec<OrderReport> {
        let report = |body| OrderReport {
            account: self.account,
            instrument: order.instrument,
            cl_ord_id: order.owner.client().map(|c| c.id),
            venue_order_id: order.venue_order_id,
            ts_event: order.ts_event,
            body,
        };
        let mut reports = vec![report(ReportBody::Accepted)];
        reports.extend(order.fills.iter().map(|fill| report(ReportBody::Fill(*fill))));
        let end = match order.outcome {
            Some(Outcome::Canceled(reason)) => Some(ReportBody::Canceled { reason }),
            Some(Outcome::Expired) => Some(ReportBody::Expired),
            _ => None,
        };
        reports.extend(end.filter(|_| order.is_whole()).map(report));
        reports
    }
}

pub(super) fn status(state: State, outcome: Option<Outcome>) -> OrderStatus {
    match (state, outcome) {
        (_, Some(outcome)) => outcome.status(),
        (State::Open(status), None) => status,
        (_, None) => OrderStatus::New,
    }
}

/// The amount for which an order has traded: spot's field (misspelled by the venue but in the amend's reply), or
/// USD-M's. Below zero it is unknown: very old orders.
fn cum_quote(row: &Row<'_>) -> Result<Option<Decimal>, DecodeError> {
    for field in ["cummulativeQuoteQty", "cumulativeQuoteQty", "cumQuote"] {
        if let Some(amount) = row.opt_decimal(field)? {
            return Ok(Some(amount).filter(|a| !a.is_negative()));
        }
    }
    Ok(None)
}

/// Replies name the time of the state in different ways; margin's cancel may have none at all.
fn when(row: &Row<'_>) -> Result<UnixNanos, DecodeError> {
    for field in ["updateTime", "transactTime", "workingTime", "time"] {
        if let Some(at) = row.opt_time(field).ok().flatten().filter(|at| at.0 > 0) {
            return Ok(at);
        }
    }
    Ok(UnixNanos::MIN)
}
