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
    /// A part of a position that no report of ours explains: what the account held before the run, or a trade that was
    /// never told. `qty` is signed and comes on top of what our books have; it goes to
    /// [`crate::StrategyId::EXTERNAL`] as if it had traded at `entry_px`, without a fee. Spot balances do not move: they
    /// are declared by themselves. Without `entry_px` it is booked at the market's price, as soon as there is one; until
    /// then the account counts as unknown.
    Opening { account: AccountId, instrument: InstrumentId, leg: Leg, qty: Qty, entry_px: Option<Decimal> },
    /// Whether what we believe of the account is what the venue has. While it is not known, the gates let no new risk
    /// out; cancels and orders that shrink a position pass. An account is known until it is said otherwise.
    Standing { account: AccountId, known: bool },
}
