//! Orders: place, cancel, look up, each followed until its outcome is known or nobody knows it.
//! Never: a second request for an order whose first has no verdict; absence in one answer is not proof.

use super::{Client, Failure, Sweep, SweepConfig};
use crate::errors::Verdict;
use crate::orders::{FillsFrom, OrderRef, VenueClientId, VenueFill, VenueOrder};
use crate::profile::Profile;
use ctos_types::{ClientOrderId, InstrumentId, Nanos, NewOrder, RejectReason, VenueOrderId};
use std::fmt;
use std::str::FromStr;

/// An order as a person names it: the client order id that ctos gave it, or the venue's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderName {
    Client(VenueClientId),
    Venue(VenueOrderId),
}

impl FromStr for OrderName {
    type Err = Failure;
    fn from_str(text: &str) -> Result<OrderName, Failure> {
        let text = text.trim();
        if !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(OrderName::Venue(VenueOrderId::cut(text)));
        }
        text.parse().map(OrderName::Client).map_err(|_| {
            Failure::invalid(
                format!("{text:?} names no order"),
                "give the client order id that ctos made (c000001a2) or the venue's number, as `get_open_orders` shows them",
            )
        })
    }
}

impl fmt::Display for OrderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderName::Client(id) => id.fmt(f),
            OrderName::Venue(id) => id.fmt(f),
        }
    }
}

impl OrderName {
    pub(super) fn at(self, conditional: bool) -> OrderRef {
        // Where the venue's number is known the words use only that.
        let nobody = ClientOrderId { tag: ctos_types::InstanceTag(0), seq: 0 };
        match self {
            OrderName::Client(client) => OrderRef { client, venue_order_id: None, conditional },
            OrderName::Venue(id) => OrderRef { client: nobody.into(), venue_order_id: Some(id), conditional },
        }
    }
}

impl Client {
    /// Places an order and follows it until the venue has said what became of it.
    ///
    /// # Errors
    /// [`Failure::Unknown`] where nobody knows it: it must not be sent again. After every other one no order is open
    /// because of this call.
    pub async fn place(&self, order: &NewOrder) -> Result<VenueOrder, Failure> {
        let call = self.desk.place(order)?;
        let name = OrderName::Client(order.cl_ord_id.into());
        let at = name.at(self.is_apart(order.kind.is_conditional()));
        let intent = self.intent((order.instrument, order.leg, order.side), order.cl_ord_id, at).await?;
        let mut tries = 1;
        let mut clock_tried = false;
        let why = loop {
            let failure = match self.once(&call).await {
                Ok(body) => match self.desk.read_order(&body) {
                    Ok(placed) => return Ok(placed),
                    // Accepted, by its status; the order itself is asked for.
                    Err(e) => break format!("its answer cannot be read: {e}"),
                },
                Err(failure) => failure,
            };
            match failure {
                Failure::NoAnswer { why } => break why,
                Failure::Refused(reply) => match reply.verdict {
                    // Documented as not executed: the same id may go again.
                    Verdict::NotDone if tries < self.config.tries => {
                        self.caller.sleep(Nanos(reply.pause().0 << (tries - 1))).await;
                        tries += 1;
                    }
                    Verdict::Clock if !clock_tried => clock_tried = true,
                    // The id is ours alone: an order that has it is this one, from a try before.
                    Verdict::Rejected(RejectReason::DuplicateClientOrderId) if tries > 1 || clock_tried => {
                        break Failure::refused_line(&reply);
                    }
                    _ => return Err(Failure::Refused(reply)),
                },
                other => return Err(other),
            }
        };
        self.resolve(&intent, why).await
    }

    /// Whether the venue keeps it at the conditional endpoint.
    fn is_apart(&self, conditional: bool) -> bool {
        conditional && self.profile() == Profile::UsdM
    }

    /// One order where it is said to be; `None` where the venue does not know it.
    pub(super) async fn order_at(
        &self,
        instrument: InstrumentId,
        at: &OrderRef,
    ) -> Result<Option<VenueOrder>, Failure> {
        let call = self.desk.order(instrument, at)?;
        match self.ask(&call, "order", |body| self.desk.read_order(body)).await {
            Ok(order) => Ok(Some(order)),
            Err(Failure::Refused(reply)) if reply.verdict == Verdict::Rejected(RejectReason::UnknownOrder) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// One order by its name, wherever the venue keeps it: an open one before a closed one. A triggered conditional
    /// order stands for what came of it.
    pub async fn order(&self, instrument: InstrumentId, name: OrderName) -> Result<Option<VenueOrder>, Failure> {
        let plain = self.order_at(instrument, &name.at(false)).await?;
        if self.profile() != Profile::UsdM || plain.as_ref().is_some_and(|o| o.outcome.is_none()) {
            return Ok(plain);
        }
        let conditional = self.order_at(instrument, &name.at(true)).await?;
        match conditional {
            Some(order) if order.instrument == instrument && (order.outcome.is_none() || plain.is_none()) => {
                match order.child {
                    Some(child) => {
                        let child = self.order_at(instrument, &OrderName::Venue(child).at(false)).await?;
                        Ok(Some(child.unwrap_or(order)))
                    }
                    None => Ok(Some(order)),
                }
            }
            _ => Ok(plain),
        }
    }

    /// As [`Client::order`], and an order that is not there is a failure.
    pub async fn known_order(&self, instrument: InstrumentId, name: OrderName) -> Result<VenueOrder, Failure> {
        self.order(instrument, name).await?.ok_or_else(|| {
            Failure::invalid(
                format!("the venue knows no order {name} of this symbol"),
                "`ctos call get_open_orders` lists the open ones; very old ones are forgotten",
            )
        })
    }

    /// Every open order, of one instrument or of all that are loaded, conditional ones too.
    pub async fn open_orders(&self, instrument: Option<InstrumentId>) -> Result<Vec<VenueOrder>, Failure> {
        let call = self.desk.open_orders(instrument)?;
        let mut orders = self.ask(&call, "open orders", |body| self.desk.read_orders(body)).await?;
        if let Some(call) = self.desk.open_conditional_orders(instrument)? {
            orders.extend(self.ask(&call, "open orders", |body| self.desk.read_orders(body)).await?);
        }
        orders.retain(|o| o.outcome.is_none());
        Ok(orders)
    }

    /// Own trades of an instrument, oldest first.
    pub async fn fills(&self, instrument: InstrumentId, from: FillsFrom) -> Result<Vec<VenueFill>, Failure> {
        let call = self.desk.fills(instrument, from)?;
        self.ask(&call, "fills", |body| self.desk.read_fills(body)).await
    }

    /// Cancels one order and says how it ended: cancelled, or filled before the cancel came.
    pub async fn cancel(&self, instrument: InstrumentId, name: OrderName) -> Result<VenueOrder, Failure> {
        let order = self.known_order(instrument, name).await?;
        if order.outcome.is_some() {
            return Ok(order);
        }
        self.cancel_found(&order).await
    }

    pub(super) async fn cancel_found(&self, order: &VenueOrder) -> Result<VenueOrder, Failure> {
        let name = OrderName::Venue(order.venue_order_id);
        let at = name.at(order.conditional);
        let call = self.desk.cancel(order.instrument, &at)?;
        let mut why = String::new();
        for turn in 0..self.config.tries.max(2) {
            // A second cancel does no harm.
            match self.fetch(&call).await {
                Ok(_) => {}
                Err(Failure::Refused(reply)) if reply.verdict == Verdict::Rejected(RejectReason::UnknownOrder) => {
                    why = Failure::refused_line(&reply);
                }
                Err(Failure::NoAnswer { why: lost }) => why = lost,
                Err(failure) => return Err(failure),
            }
            let now = self.order_at(order.instrument, &at).await?;
            match now {
                Some(now) if now.outcome.is_some() => {
                    return match now.child {
                        // Triggered before the cancel came: what came of it is another order.
                        Some(child) => Box::pin(self.cancel(order.instrument, OrderName::Venue(child))).await,
                        None => Ok(now),
                    };
                }
                _ => self.caller.sleep(Nanos::from_millis(200 << turn)).await,
            }
        }
        let why = if why.is_empty() { "the venue took the cancel and still shows the order".into() } else { why };
        Err(Failure::StillOpen { left: 1, why })
    }

    /// Cancels every open order of an instrument, foreign ones included, and looks until none is left.
    pub async fn cancel_all(&self, instrument: Option<InstrumentId>) -> Result<Sweep, Failure> {
        let symbol = match instrument {
            Some(id) => Some(self.desk.of(id)?.0.to_owned()),
            None => None,
        };
        self.sweep(symbol.as_deref(), &SweepConfig::default()).await
    }
}
