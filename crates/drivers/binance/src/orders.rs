//! Orders in Binance's words: requests from the syscalls' orders, and what the venue says about an order.
//! Never: sends, waits, or rounds: what does not fit the grid or the market is refused before it leaves.

mod change;
mod conditional;
mod ids;
mod place;
mod query;
mod read;
pub(crate) mod states;

pub use change::{Amendment, Replacement};
pub(crate) use conditional::{algo_state, bps};
pub use ids::{OrderRef, VenueClientId};
pub use place::Loan;
pub use query::{FillsFrom, LIST_MAX};
pub use read::{Outcome, Owner, Replaced, VenueFill, VenueOrder};

use crate::profile::Profile;
use crate::symbols::SymbolMap;
use ctos_types::{AccountId, Currency, Instrument, InstrumentId, Instruments, Leg, NewOrder, Side, VenueError};

/// Who trades what and how: everything that turns our orders into the venue's and back.
#[derive(Clone, Debug)]
pub struct Desk {
    pub profile: Profile,
    pub account: AccountId,
    /// Hedge mode (USD-M): positions have a long and a short leg. One-way otherwise.
    pub hedge: bool,
    /// Orders borrow what they lack unless they say no (cross margin).
    borrows: bool,
    instruments: Instruments,
    map: SymbolMap,
}

impl Desk {
    /// `instruments` are those of the run; only the profile's own are known afterwards.
    pub fn new(profile: Profile, account: AccountId, hedge: bool, instruments: &Instruments) -> Desk {
        let map = SymbolMap::new(profile.product(), instruments.iter());
        let hedge = hedge && profile == Profile::UsdM;
        Desk { profile, account, hedge, borrows: false, instruments: instruments.clone(), map }
    }

    /// Whether orders borrow what they lack; of no account but cross margin.
    #[must_use]
    pub fn with_loans(self, borrows: bool) -> Desk {
        Desk { borrows: borrows && self.profile == Profile::Margin, ..self }
    }

    /// The same account with other instruments.
    pub(crate) fn over(&self, instruments: &Instruments) -> Desk {
        Desk::new(self.profile, self.account, self.hedge, instruments).with_loans(self.borrows)
    }

    pub fn borrows(&self) -> bool {
        self.borrows
    }

    /// The currency an order on this side is paid with (spot).
    pub(crate) fn spends(&self, order: &NewOrder) -> Option<Currency> {
        let (_, i) = self.of(order.instrument).ok()?;
        Some(if order.side == Side::Buy { i.quote } else { i.base })
    }

    /// The currency an order on this side brings in (spot).
    pub(crate) fn receives(&self, order: &NewOrder) -> Option<Currency> {
        let (_, i) = self.of(order.instrument).ok()?;
        Some(if order.side == Side::Buy { i.base } else { i.quote })
    }

    /// The profile's symbols.
    pub fn symbols(&self) -> &SymbolMap {
        &self.map
    }

    /// The venue's name and the rules of an instrument.
    pub(crate) fn of(&self, id: InstrumentId) -> Result<(&str, &Instrument), VenueError> {
        let symbol = self.map.symbol_of(id).ok_or_else(|| {
            invalid("instrument", format!("binance {} has no instrument of ours with the id {}", self.profile, id.0))
        })?;
        Ok((symbol, self.instruments.get(id)))
    }

    fn is_usdm(&self) -> bool {
        self.profile == Profile::UsdM
    }

    /// `BOTH`, `LONG` or `SHORT`.
    fn position_side(&self, leg: Leg) -> Result<Option<&'static str>, VenueError> {
        match (self.is_usdm(), self.hedge, leg) {
            (false, _, Leg::Net) => Ok(None),
            (false, ..) => Err(invalid("leg", format!("{} has no long and short legs", self.profile))),
            (true, false, Leg::Net) => Ok(Some("BOTH")),
            (true, false, _) => Err(invalid("leg", "the account is in one-way mode")),
            (true, true, Leg::Long) => Ok(Some("LONG")),
            (true, true, Leg::Short) => Ok(Some("SHORT")),
            (true, true, Leg::Net) => Err(invalid("leg", "the account is in hedge mode: say long or short")),
        }
    }
}

/// Ours: nothing was sent.
pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> VenueError {
    VenueError::Invalid { field, why: why.into() }
}

#[cfg(test)]
mod tests;
