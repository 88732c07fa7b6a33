//! The exchange as the outside sees it: market events, commands and time in; reports and account events out.
//! Never: a clock, I/O, a random number. Same inputs, same outputs, and a restored exchange goes on identically.

use crate::config::{ConfigError, ExchangeConfig};
use ctos_types::{
    AccountEvent, AccountId, Balance, Command, Currency, Decimal, InstrumentId, Instruments, L2Book, Leg, Market,
    NewOrder, NumberError, OrderReport, Position, Price, Qty, UnixNanos, VenueOrderId,
};
use serde::{Deserialize, Serialize};

/// What the exchange tells an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    Report(OrderReport),
    Account(AccountEvent),
}

/// An open order as the exchange keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// As placed, with amended price and size.
    pub request: NewOrder,
    pub venue_order_id: VenueOrderId,
    /// Total size; for an order by amount what it has bought so far.
    pub qty: Qty,
    pub cum_qty: Qty,
    /// Limit price, where there is one.
    pub price: Option<Price>,
    /// A conditional order that has been triggered, or an order without a trigger.
    pub live: bool,
    /// What is held for it, in `hold_currency`.
    pub hold: Decimal,
    pub hold_currency: Currency,
    /// Ambient quantity that trades before it at its price; `None` when it does not rest in the book.
    pub ahead: Option<Qty>,
}

/// Margin of the contracts that settle in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Margin {
    /// Balance net of debt plus unrealised profit at the mark.
    pub equity: Decimal,
    pub unrealized: Decimal,
    /// Initial margin of the open positions.
    pub initial: Decimal,
    /// Below this equity the account is liquidated.
    pub maintenance: Decimal,
    /// Held for open orders.
    pub orders: Decimal,
    /// What new orders may use.
    pub free: Decimal,
}

/// Why leverage was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeverageError {
    #[error("no such account or instrument")]
    Unknown,
    #[error("{0} has no leverage: it is not a contract")]
    NotAContract(String),
    #[error("leverage must be between 1 and {max}, not {asked}")]
    Range { asked: Decimal, max: Decimal },
    #[error("not enough margin for that leverage")]
    InsufficientMargin,
    #[error(transparent)]
    Number(#[from] NumberError),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    instruments: Instruments,
    config: ExchangeConfig,
    books: Vec<L2Book>,
}

impl Exchange {
    pub fn new(instruments: Instruments, config: ExchangeConfig) -> Result<Exchange, ConfigError> {
        config.validate()?;
        let books = instruments.iter().map(|_| L2Book::default()).collect();
        Ok(Exchange { instruments, config, books })
    }
    pub fn on_market(&mut self, _now: UnixNanos, _market: &Market<'_>, _out: &mut Vec<Private>) {}
    pub fn on_command(&mut self, _now: UnixNanos, _command: &Command, _out: &mut Vec<Private>) {}
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        None
    }
    pub fn on_time(&mut self, _now: UnixNanos, _out: &mut Vec<Private>) {}
    pub fn set_leverage(
        &mut self,
        _account: AccountId,
        _instrument: InstrumentId,
        _leverage: Decimal,
        _out: &mut Vec<Private>,
    ) -> Result<(), LeverageError> {
        Err(LeverageError::Unknown)
    }
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }
    pub fn balance(&self, _account: AccountId, _currency: Currency) -> Balance {
        Balance::default()
    }
    pub fn balances(&self, _account: AccountId) -> impl Iterator<Item = (Currency, Balance)> + '_ {
        std::iter::empty()
    }
    pub fn position(&self, _account: AccountId, _instrument: InstrumentId, _leg: Leg) -> Position {
        Position::default()
    }
    pub fn positions(&self, _account: AccountId) -> impl Iterator<Item = (InstrumentId, Leg, Position)> + '_ {
        std::iter::empty()
    }
    pub fn open_orders(&self, _account: AccountId) -> impl Iterator<Item = OpenOrder> + '_ {
        std::iter::empty()
    }
    pub fn equity(&self, account: AccountId, settle: Currency) -> Result<Decimal, NumberError> {
        Ok(self.margin(account, settle)?.equity)
    }
    pub fn margin(&self, _account: AccountId, _settle: Currency) -> Result<Margin, NumberError> {
        Ok(Margin::default())
    }
    pub fn book(&self, instrument: InstrumentId) -> &L2Book {
        &self.books[instrument.index()]
    }
}
