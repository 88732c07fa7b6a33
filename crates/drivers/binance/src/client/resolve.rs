//! What became of an order whose request had no verdict: three proofs, one after the other.
//! Never: takes absence in one answer for proof, or sends the order again.

use super::{Client, Failure, OrderName};
use crate::orders::{FillsFrom, LIST_MAX, OrderRef, VenueFill, VenueOrder};
use crate::profile::Profile;
use ctos_types::{ClientOrderId, Decimal, InstrumentId, Leg, Nanos, Side, UnixNanos};
use std::collections::BTreeSet;

/// Fills from so long before the request are looked at: the two clocks differ by less.
const SLACK: Nanos = Nanos::from_secs(2);

/// An order as it was before its request left: what the proofs compare with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    pub instrument: InstrumentId,
    pub id: ClientOrderId,
    pub at: OrderRef,
    leg: Leg,
    side: Side,
    /// On the room's clock and on the venue's.
    begun: UnixNanos,
    venue_begun: UnixNanos,
    /// What was held; `None`: it could not be asked.
    held: Option<Decimal>,
}

/// What fills and holdings say of an order that the venue does not know.
enum Proof {
    Found(Box<VenueOrder>),
    /// Every fill belongs to another order, and what is held agrees with them.
    Absent,
    Doubtful(String),
}

impl Client {
    /// To be made before the request leaves.
    pub(super) async fn intent(
        &self,
        (instrument, leg, side): (InstrumentId, Leg, Side),
        id: ClientOrderId,
        at: OrderRef,
    ) -> Result<Intent, Failure> {
        let venue_begun = self.venue_time().await?;
        let held = self.held(instrument, leg).await.ok();
        Ok(Intent { instrument, id, at, leg, side, begun: self.caller.now(), venue_begun, held })
    }

    /// Asks for an order whose request had no verdict until it is found, or until it could not arrive any more, the venue
    /// has denied it after that twice, and neither fills nor holdings tell of it.
    pub(super) async fn resolve(&self, intent: &Intent, why: String) -> Result<VenueOrder, Failure> {
        let Intent { instrument, id, at, begun, .. } = intent;
        let settled = self.caller.now().max(*begun).after(self.config.recv_window).after(self.config.visibility);
        let give_up = settled.after(self.config.visibility).after(self.config.recv_window);
        let (mut wait, mut denials) = (Nanos::from_millis(300), 0);
        loop {
            self.caller.sleep(wait).await;
            let late = self.caller.now() >= give_up;
            let unknown = |then: String| Failure::Unknown { order: *id, why: format!("{why}; then: {then}") };
            match self.order_at(*instrument, at).await {
                Ok(Some(order)) => return Ok(order),
                Ok(None) => denials += u32::from(self.caller.now() >= settled),
                Err(failure) if late => return Err(unknown(failure.to_string())),
                Err(_) => denials = 0,
            }
            if denials >= 2 {
                match self.proofs(intent).await {
                    Ok(Proof::Found(order)) => return Ok(*order),
                    Ok(Proof::Absent) => return Err(Failure::NeverArrived { order: *id, why }),
                    // A fill may be told before its order, and a holding after its fill: another look.
                    Ok(Proof::Doubtful(odd)) if late => return Err(unknown(odd)),
                    Err(failure) if late => return Err(unknown(failure.to_string())),
                    Ok(Proof::Doubtful(_)) | Err(_) => {}
                }
            }
            wait = Nanos((wait.0 * 2).min(Nanos::from_secs(3).0));
        }
    }

    /// The second and the third proof.
    async fn proofs(&self, intent: &Intent) -> Result<Proof, Failure> {
        let since = UnixNanos(intent.venue_begun.0 - SLACK.0);
        let fills = self.fills(intent.instrument, FillsFrom::Time(since)).await?;
        if fills.len() >= LIST_MAX as usize {
            return Ok(Proof::Doubtful("there are more fills since then than the venue lists".into()));
        }
        let orders: BTreeSet<_> =
            fills.iter().filter(|f| f.fill.side == intent.side).map(|f| f.venue_order_id).collect();
        for venue_order_id in orders {
            let at = OrderName::Venue(venue_order_id).at(false);
            match self.order_at(intent.instrument, &at).await? {
                Some(order) if order.owner.client() == Some(intent.at.client) => {
                    return Ok(Proof::Found(Box::new(order)));
                }
                Some(_) => {}
                None => {
                    let odd = format!("the fills of order {venue_order_id} belong to no order that the venue shows");
                    return Ok(Proof::Doubtful(odd));
                }
            }
        }
        let Some(before) = intent.held else {
            return Ok(Proof::Doubtful("what was held before could not be asked".into()));
        };
        let now = self.held(intent.instrument, intent.leg).await?;
        let moved = now.checked_sub(before).map_err(|e| Failure::misread("holdings", e))?;
        // A fill at the very beginning may be in what was held already.
        for from in [since, intent.venue_begun] {
            if self.explained(intent, fills.iter().filter(|f| f.ts_event >= from))? == moved {
                return Ok(Proof::Absent);
            }
        }
        Ok(Proof::Doubtful(format!("what is held moved by {moved}, and no fill says why")))
    }

    /// By how much these fills moved what is held.
    fn explained<'a>(&self, intent: &Intent, fills: impl Iterator<Item = &'a VenueFill>) -> Result<Decimal, Failure> {
        let i = self.instruments.get(intent.instrument);
        let mut sum = Decimal::ZERO;
        for VenueFill { fill, .. } in fills.filter(|f| intent.leg == Leg::Net || f.fill.leg == intent.leg) {
            let qty = i.qty_decimal(fill.last_qty);
            let signed = if fill.side == Side::Buy { qty } else { -qty };
            let add = |sum: Decimal, d: Decimal| sum.checked_add(d).map_err(|e| Failure::misread("fills", e));
            sum = add(sum, signed)?;
            // On spot a fee may be taken out of what was bought.
            if self.profile() != Profile::UsdM && fill.fee_currency == i.base {
                sum = add(sum, -fill.fee)?;
            }
        }
        Ok(sum)
    }

    /// What the account holds of an instrument: the signed position, or the coins net of what is borrowed.
    async fn held(&self, instrument: InstrumentId, leg: Leg) -> Result<Decimal, Failure> {
        let i = self.instruments.get(instrument);
        if self.profile() == Profile::UsdM {
            let (positions, _) = self.positions().await?;
            let of = positions.iter().filter(|p| p.instrument == instrument && (leg == Leg::Net || p.leg == leg));
            return Ok(of.map(|p| i.qty_decimal(p.qty)).fold(Decimal::ZERO, |sum, qty| sum + qty));
        }
        let balances = self.balances().await?;
        Ok(balances
            .iter()
            .find(|b| b.currency == i.base)
            .map_or(Decimal::ZERO, |b| b.balance.total - b.balance.borrowed))
    }
}
