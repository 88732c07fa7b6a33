//! User events: what happened to our orders, balances and positions, as it happens.
//! Never: an order state it does not know, a fill without its fee, or a balance it would have to guess.

mod calls;
mod spot;
mod usdm;

pub use calls::{ListenKey, ListenToken, subscribe_spot};

use crate::decode::DecodeError;
use crate::fields::{Row, parse};
use crate::orders::{Desk, Outcome, Owner};
use crate::profile::Profile;
use ctos_types::{
    AccountEvent, Currency, Decimal, ExecId, InstrumentId, Leg, OrderReport, Price, Qty, ReportBody, Side, Text,
    UnixNanos, VenueOrderId,
};
use serde_json::Value;

/// One thing that a user event said.
#[derive(Clone, Debug, PartialEq)]
pub enum UserEvent {
    /// An order changed. Reports may repeat what a reply said: fills are told apart by their execution id.
    Order(OrderUpdate),
    /// A fill told early, without fee and state (USD-M). The same execution id comes again as an [`UserEvent::Order`]:
    /// count one of them.
    EarlyFill(EarlyFill),
    /// A balance, position or cash flow.
    Account { event: AccountEvent, ts_event: UnixNanos },
    /// Free and held amount of a currency on cross margin. Debt and interest are not in the event: the account has to
    /// be asked.
    MarginBalance { currency: Currency, free: Decimal, held: Decimal, ts_event: UnixNanos },
    /// A funding payment, negative when paid. The venue does not always say of which instrument.
    Funding { instrument: Option<InstrumentId>, amount: Decimal, currency: Currency, ts_event: UnixNanos },
    /// Leverage of an instrument was changed, by whomever.
    Leverage { instrument: InstrumentId, leverage: u32 },
    /// Multi-assets mode was switched.
    MultiAssets(bool),
    /// Positions are close to liquidation. The instruments that are ours.
    MarginCall { instruments: Vec<InstrumentId>, ts_event: UnixNanos },
    /// The stream has ended although the socket may stay open: open another one and reconcile.
    Ended(Ended),
    /// An order or position of a symbol that is not ours. Not an error: people trade other things too.
    OtherSymbol(Text<23>),
    /// Known, and nothing to do with us. The name is for counting.
    Ignored(Text<23>),
}

/// Why a user stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// USD-M's key ran out.
    KeyExpired,
    /// The subscription ended: token expired, key revoked, logged out.
    Terminated,
    /// The server goes down: reconnect at once.
    Shutdown,
}

/// A change of one order: what the kernel is told, and what the order is now.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderUpdate {
    pub owner: Owner,
    pub instrument: InstrumentId,
    pub venue_order_id: VenueOrderId,
    /// In this order; none for what changes nothing.
    pub reports: Vec<OrderReport>,
    pub qty: Qty,
    /// Never goes back; an event with less is older than what is known.
    pub cum_qty: Qty,
    pub outcome: Option<Outcome>,
    /// A conditional order of USD-M, not yet or no longer waiting.
    pub conditional: bool,
    /// The order that came of it.
    pub child: Option<VenueOrderId>,
    pub ts_event: UnixNanos,
    /// When it was sent.
    pub ts_sent: UnixNanos,
}

/// USD-M's `TRADE_LITE`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyFill {
    pub owner: Owner,
    pub instrument: InstrumentId,
    pub venue_order_id: VenueOrderId,
    pub exec_id: ExecId,
    pub side: Side,
    pub last_px: Price,
    pub last_qty: Qty,
    pub maker: bool,
    pub ts_event: UnixNanos,
}

/// A frame of a socket that carries user events: an event, or a reply to a request of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum UserFrame {
    Events(Vec<UserEvent>),
    Reply(WsReply),
}

/// A reply of the WebSocket API.
#[derive(Clone, Debug, PartialEq)]
pub struct WsReply {
    /// Of the request; `None` where the venue spoke by itself (a revoked key).
    pub id: Option<u64>,
    /// As of HTTP.
    pub status: u16,
    /// `result`, or `error` where the status is not 200.
    pub body: Value,
    /// Requests' weight and orders counted so far, as it stands in the reply.
    pub rate_limits: Vec<RateLimit>,
}

/// One of the venue's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `true`: orders of the account. `false`: weight of the address.
    pub orders: bool,
    pub interval_s: u32,
    pub limit: u64,
    /// Absent in exchangeInfo.
    pub count: Option<u64>,
}

/// Reads the frames of user streams and of the WebSocket API.
#[derive(Clone, Copy, Debug)]
pub struct UserDecoder<'d> {
    desk: &'d Desk,
}

impl<'d> UserDecoder<'d> {
    pub fn new(desk: &'d Desk) -> UserDecoder<'d> {
        UserDecoder { desk }
    }

    /// Reads one frame, in whatever envelope it comes.
    ///
    /// # Errors
    /// [`DecodeError`] for a frame that is not understood whole: the account's state is unknown then, and has to be
    /// read again.
    pub fn decode(&self, frame: &[u8]) -> Result<UserFrame, DecodeError> {
        let value = parse(frame)?;
        let row = Row::new(&value, "user")?;
        if row.has("status") && !row.has("e") {
            return reply(&row).map(UserFrame::Reply);
        }
        // `{"subscriptionId":…,"event":…}` over the WebSocket API, `{"stream":…,"data":…}` on a combined socket.
        let event = match (value.get("event"), value.get("data")) {
            (Some(event), _) | (None, Some(event)) if !row.has("e") => event,
            _ => &value,
        };
        let row = Row::new(event, "user event")?;
        if row.text("e")? == "serverShutdown" {
            return Ok(UserFrame::Events(vec![UserEvent::Ended(Ended::Shutdown)]));
        }
        let read = match self.desk.profile {
            Profile::Spot | Profile::Margin => self.spot(&row),
            Profile::UsdM => self.usdm(&row),
        };
        match read {
            // Positions and orders of other symbols are other people's, or other programs'.
            Err(DecodeError::UnknownSymbol(symbol)) => {
                Ok(UserFrame::Events(vec![UserEvent::OtherSymbol(Text::cut(&symbol))]))
            }
            other => other.map(UserFrame::Events),
        }
    }

    fn report(&self, update: &OrderUpdate, body: ReportBody) -> OrderReport {
        OrderReport {
            account: self.desk.account,
            instrument: update.instrument,
            cl_ord_id: update.owner.client().map(|c| c.id),
            venue_order_id: update.venue_order_id,
            ts_event: update.ts_event,
            body,
        }
    }

    fn adjustment(&self, currency: Currency, amount: Decimal, ts_event: UnixNanos) -> UserEvent {
        let event = AccountEvent::Adjustment { account: self.desk.account, currency, amount };
        UserEvent::Account { event, ts_event }
    }

    fn position(&self, instrument: InstrumentId, leg: Leg, qty: Qty, ts_event: UnixNanos) -> UserEvent {
        let event = AccountEvent::Position { account: self.desk.account, instrument, leg, qty };
        UserEvent::Account { event, ts_event }
    }
}

/// The end of an order as a report; a fill ends it by itself.
fn end(outcome: Option<Outcome>) -> Option<ReportBody> {
    match outcome? {
        Outcome::Filled => None,
        Outcome::Canceled(reason) => Some(ReportBody::Canceled { reason }),
        Outcome::Expired => Some(ReportBody::Expired),
        Outcome::Rejected => Some(ReportBody::Rejected {
            request: ctos_types::Request::Place,
            reason: ctos_types::RejectReason::Other,
            code: Text::cut("REJECTED"),
        }),
    }
}

fn reply(row: &Row<'_>) -> Result<WsReply, DecodeError> {
    let status = u16::try_from(row.int("status")?).map_err(|_| row.missing("status"))?;
    let body = row.value(if status == 200 { "result" } else { "error" })?.clone();
    let rate_limits = if row.has("rateLimits") { rate_limits(row.value("rateLimits")?)? } else { Vec::new() };
    Ok(WsReply { id: if row.has("id") { row.id("id").ok() } else { None }, status, body, rate_limits })
}

/// The rows of `rateLimits`, of a reply or of exchangeInfo; raw request and connection counters are left out.
pub fn rate_limits(list: &Value) -> Result<Vec<RateLimit>, DecodeError> {
    let mut limits = Vec::new();
    for row in crate::fields::rows(list, "rateLimits")? {
        let row = row?;
        let orders = match row.text("rateLimitType")? {
            "ORDERS" => true,
            "REQUEST_WEIGHT" => false,
            _ => continue,
        };
        let unit = match row.text("interval")? {
            "SECOND" => 1,
            "MINUTE" => 60,
            "HOUR" => 3_600,
            "DAY" => 86_400,
            other => return Err(row.unknown("interval", other)),
        };
        let n = u32::try_from(row.id("intervalNum")?).ok().and_then(|n| n.checked_mul(unit));
        let interval_s = n.filter(|n| *n > 0).ok_or_else(|| row.missing("intervalNum"))?;
        let count = if row.has("count") { Some(row.id("count")?) } else { None };
        limits.push(RateLimit { orders, interval_s, limit: row.id("limit")?, count });
    }
    Ok(limits)
}

#[cfg(test)]
mod tests;
