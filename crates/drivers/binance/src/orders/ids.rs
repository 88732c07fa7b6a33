//! Client order ids as the venue sees them.
//! Never: one id for two orders of the venue: a replacement is another order there, though it stays one of ours.

use ctos_types::{ClientOrderId, VenueOrderId};
use std::fmt;
use std::str::FromStr;

/// One of our orders at the venue. A replaced order (spot's amend) keeps its client order id with us and gets the next
/// generation there: `c000001a`, `c000001a-1`, … At most 26 characters of `[a-z0-9-]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VenueClientId {
    pub id: ClientOrderId,
    pub generation: u16,
}

impl VenueClientId {
    /// The id of the order that replaces this one. `None` after the last of 65,535.
    pub fn next(self) -> Option<VenueClientId> {
        Some(VenueClientId { generation: self.generation.checked_add(1)?, ..self })
    }
}

impl From<ClientOrderId> for VenueClientId {
    fn from(id: ClientOrderId) -> VenueClientId {
        VenueClientId { id, generation: 0 }
    }
}

impl fmt::Display for VenueClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            0 => write!(f, "{}", self.id),
            n => write!(f, "{}-{n}", self.id),
        }
    }
}

impl FromStr for VenueClientId {
    type Err = ctos_types::ids::ForeignId;

    fn from_str(text: &str) -> Result<VenueClientId, Self::Err> {
        let (id, generation) = match text.split_once('-') {
            None => (text, 0),
            Some((id, n)) => {
                let plain = !n.starts_with(['0', '+']);
                let n = n.parse().ok().filter(|_| plain);
                (id, n.ok_or_else(|| ctos_types::ids::ForeignId(text.into()))?)
            }
        };
        Ok(VenueClientId { id: id.parse()?, generation })
    }
}

/// How the venue finds an order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRef {
    pub client: VenueClientId,
    /// Preferred where it is known: the venue looks it up faster.
    pub venue_order_id: Option<VenueOrderId>,
    /// USD-M keeps conditional orders apart until they are triggered; then the order that came of it is meant by its
    /// venue id, and this is false.
    pub conditional: bool,
}

impl OrderRef {
    /// By client order id alone.
    pub fn of(id: ClientOrderId) -> OrderRef {
        OrderRef { client: id.into(), venue_order_id: None, conditional: false }
    }
}
