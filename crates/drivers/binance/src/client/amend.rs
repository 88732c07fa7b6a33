//! Changes of open orders: in place where the market can, else as a cancel and a new order, in one request while nothing
//! of the order has traded.
//! Never: two live orders where there was one, or a second try of a replacement whose outcome is not known.

use super::{Client, Failure, OrderName};
use crate::errors::Verdict;
use crate::orders::{Amendment, Loan, OrderRef, Outcome, Owner, Replacement, VenueClientId, VenueOrder};
use crate::profile::Profile;
use crate::request::Call;
use ctos_types::{AmendOrder, ClientOrderId, InstrumentId, NewOrder, OrderKind, OrderQty, Price, Qty};
use std::fmt;

impl Client {
    /// Changes price or total size of an open limit order. `fresh` is a client order id that was never used: a market
    /// that cannot change an order of somebody else places another one under it.
    pub async fn amend(
        &self,
        instrument: InstrumentId,
        name: OrderName,
        change: (Option<Price>, Option<Qty>),
        fresh: ClientOrderId,
    ) -> Result<VenueOrder, Failure> {
        let order = self.known_order(instrument, name).await?;
        if let Some(outcome) = order.outcome {
            return Err(Failure::invalid(
                format!("the order {name} is not open any more: {}", outcome_word(outcome)),
                "place another one",
            ));
        }
        if order.owner.client().is_none() && self.profile() != Profile::UsdM {
            return Err(Failure::invalid(
                format!("the order {name} was not placed by ctos, and this market cannot change it in place"),
                "cancel it and place another",
            ));
        }
        let as_is = self.as_placed(&order, fresh)?;
        let client = order.owner.client().unwrap_or(fresh.into());
        // With the venue, a replaced order's size and fills begin anew: earlier generations are settled business here.
        let amendment = Amendment {
            order: &as_is,
            at_venue: OrderRef { client, venue_order_id: Some(order.venue_order_id), conditional: false },
            cum_qty: order.cum_qty,
            carried: Qty::ZERO,
        };
        let change = AmendOrder {
            account: self.desk.account,
            cl_ord_id: as_is.cl_ord_id,
            instrument,
            price: change.0,
            qty: change.1,
        };
        match self.desk.amend(&change, &amendment)? {
            Replacement::InPlace(call) => self.amend_in_place(&order, &call).await,
            Replacement::CancelReplace { call, client, .. } => self.replace(&order, &call, client).await,
            Replacement::CancelThenPlace { client, .. } => {
                let kind = match (change.price, as_is.kind) {
                    (Some(price), OrderKind::Limit { .. }) => OrderKind::Limit { price },
                    (_, kind) => kind,
                };
                let qty = change.qty.map_or(as_is.qty, OrderQty::Size);
                self.replace_apart(&order, &NewOrder { kind, qty, ..as_is }, client).await
            }
        }
    }

    /// Cancels, sees how much had traded, and places the rest.
    async fn replace_apart(
        &self,
        old: &VenueOrder,
        wanted: &NewOrder,
        client: VenueClientId,
    ) -> Result<VenueOrder, Failure> {
        let ended = self.cancel_found(old).await?;
        if !matches!(ended.outcome, Some(Outcome::Canceled(_))) {
            let word = ended.outcome.map_or("open", outcome_word);
            return Err(Failure::invalid(
                format!("the order was not changed: it is {word}"),
                "look at it with `ctos call get_order_status`",
            ));
        }
        let gone = |why: String, hint: &str| {
            Failure::invalid(format!("the old order is cancelled and nothing took its place: {why}"), hint.to_string())
        };
        // Whether the new one lacks something, nobody here knows.
        let loan = if self.desk.borrows() { Loan::BorrowRepay } else { Loan::None };
        let call = self.desk.place_rest(wanted, client, ended.cum_qty, loan);
        let call = call.map_err(|e| gone(e.to_string(), "place another one if you still want it"))?;
        let at = OrderName::Client(client).at(false);
        let intent = self.intent((old.instrument, old.leg, old.side), client.id, at).await;
        let intent = intent.map_err(|e| gone(e.to_string(), "place another one if you still want it"))?;
        let why = match self.once(&call).await {
            Ok(body) => match self.desk.read_order(&body) {
                Ok(order) => return Ok(order),
                Err(e) => format!("its answer cannot be read: {e}"),
            },
            Err(Failure::NoAnswer { why }) => why,
            Err(Failure::Refused(reply)) => return Err(gone(Failure::refused_line(&reply), reply.hint)),
            Err(failure) => return Err(gone(failure.to_string(), "place another one")),
        };
        self.resolve(&intent, why).await
    }

    async fn amend_in_place(&self, order: &VenueOrder, call: &Call) -> Result<VenueOrder, Failure> {
        let name = OrderName::Venue(order.venue_order_id);
        // The same change twice changes nothing more.
        match self.fetch(call).await {
            Ok(body) if self.profile() == Profile::UsdM => self.desk.read_order(&body).map_err(misread),
            Ok(body) => self.desk.read_amended(&body).map_err(misread),
            Err(Failure::Refused(reply)) if reply.verdict == Verdict::Already => {
                self.known_order(order.instrument, name).await
            }
            Err(failure) => Err(failure),
        }
    }

    async fn replace(&self, old: &VenueOrder, call: &Call, client: VenueClientId) -> Result<VenueOrder, Failure> {
        let at = OrderName::Client(client).at(false);
        let intent = self.intent((old.instrument, old.leg, old.side), client.id, at).await?;
        let why = match self.once(call).await {
            Ok(body) => {
                let value: serde_json::Value = serde_json::from_slice(&body).map_err(misread)?;
                match self.desk.read_replaced(&value).map_err(misread)?.placed {
                    Some(Ok(order)) => return Ok(order),
                    _ => return Err(Failure::misread("replacement", "a success without its new order")),
                }
            }
            Err(Failure::Refused(reply)) if reply.verdict == Verdict::Partly => {
                let both = self.desk.read_replaced(&reply.data).map_err(misread)?;
                return match (both.canceled, both.placed) {
                    (Ok(_), Some(Err(error))) => Err(Failure::invalid(
                        format!(
                            "the old order is cancelled and the new one was refused: {}",
                            Failure::refused_line(&error)
                        ),
                        error.hint,
                    )),
                    (_, Some(Ok(order))) => Ok(order),
                    (Err(error), _) => Err(Failure::Refused(Box::new(error))),
                    (Ok(_), None) => Err(Failure::invalid(
                        "the old order is cancelled and the new one was not tried",
                        "place another one",
                    )),
                };
            }
            Err(Failure::NoAnswer { why }) => why,
            Err(failure) => return Err(failure),
        };
        match self.resolve(&intent, why).await {
            Err(Failure::NeverArrived { order, why }) => {
                let still = self.order(old.instrument, OrderName::Venue(old.venue_order_id)).await?;
                let state = match still.map(|o| o.outcome) {
                    Some(None) => "the old order stands as it was",
                    _ => "the old order is not open any more either",
                };
                Err(Failure::NeverArrived { order, why: format!("{why}; {state}") })
            }
            other => other,
        }
    }

    /// The order that would place what the venue shows.
    fn as_placed(&self, order: &VenueOrder, fresh: ClientOrderId) -> Result<NewOrder, Failure> {
        let kind = order.kind.ok_or_else(|| {
            Failure::invalid("an order of the venue's own cannot be changed", "leave it, or cancel it")
        })?;
        Ok(NewOrder {
            tif: order.tif,
            post_only: order.post_only,
            reduce_only: order.reduce_only,
            leg: order.leg,
            ..NewOrder::new(
                self.desk.account,
                match order.owner {
                    Owner::Ours(client) => client.id,
                    Owner::Foreign(_) => fresh,
                },
                order.instrument,
                order.side,
                kind,
                OrderQty::Size(order.qty),
            )
        })
    }
}

fn misread(e: impl fmt::Display) -> Failure {
    Failure::misread("order", e)
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Filled => "filled",
        Outcome::Canceled(_) => "cancelled",
        Outcome::Rejected => "rejected",
        Outcome::Expired => "expired",
    }
}
