//! What a venue says about an account apart from its orders.

use crate::decimal::Decimal;
use crate::ids::{AccountId, InstrumentId};
use crate::instrument::Qty;
use crate::order::Leg;
use crate::text::Currency;
use serde::{Deserialize, Serialize};

/// One currency of one account. `total` is what is owned, before unrealised profit and net of nothing borrowed;
/// equity in the currency is `total - borrowed - interest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub total: Decimal,
    /// Part of `total` held for open orders.
    pub hold: Decimal,
    pub borrowed: Decimal,
    /// Interest accrued and not yet paid.
    pub interest: Decimal,
}

impl Balance {
    pub fn available(&self) -> Decimal {
        self.total - self.hold
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountEvent {
    /// The venue's balance of one currency, absolute.
    Balance { account: AccountId, currency: Currency, balance: Balance },
    /// The venue's position on one leg, absolute and signed. Kept for comparison with our own.
    Position { account: AccountId, instrument: InstrumentId, leg: Leg, qty: Qty },
    /// A funding payment; negative when paid.
    Funding { account: AccountId, instrument: InstrumentId, leg: Leg, amount: Decimal, currency: Currency },
    /// Interest charged on borrowings, positive when charged.
    Interest { account: AccountId, currency: Currency, amount: Decimal },
    /// A declared cash flow outside trading: deposit, withdrawal, a venue's insurance covering a loss.
    Adjustment { account: AccountId, currency: Currency, amount: Decimal },
    /// The account fell below maintenance margin: its orders are cancelled and its positions closed by the venue.
    Liquidated { account: AccountId },
}
