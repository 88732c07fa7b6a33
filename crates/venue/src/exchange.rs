//! The exchange as the outside sees it: market events, commands and time in; reports and account events out.
//! Never: a clock, I/O, a random number. Same inputs, same outputs, and a restored exchange goes on identically.

use crate::account::Account;
use crate::config::{ConfigError, ExchangeConfig};
use crate::core::{Core, Cx};
use crate::orders::{Order, Stage};
use ctos_types::{
    AccountEvent, AccountId, Balance, Command, Currency, Decimal, Instrument, InstrumentId, Instruments, L2Book, Leg,
    Market, NewOrder, NumberError, OrderReport, Position, Price, Qty, Rules, UnixNanos, VenueOrderId,
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

/// Why a deposit or withdrawal was not booked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("no such account")]
    Unknown,
    #[error("not enough free balance to withdraw")]
    InsufficientBalance,
    #[error(transparent)]
    Number(#[from] NumberError),
}

/// The simulated exchange: matching, accounts and margin of all its accounts.
///
/// Calling contract: one input at a time, in order of time; everything it causes is appended to `out` before the call
/// returns. Between inputs, `on_time` is due at `next_deadline`; an input that comes later catches up first. Each
/// order's reports come in the order things happened; balances and positions follow once, absolute, at the end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    instruments: Instruments,
    core: Core,
}

impl Exchange {
    /// Errors: settings that contradict themselves, or an instrument whose margin or fees make no sense.
    pub fn new(instruments: Instruments, config: ExchangeConfig) -> Result<Exchange, ConfigError> {
        config.validate()?;
        for i in instruments.iter() {
            check_instrument(i)?;
        }
        let core = Core::new(&instruments, config);
        Ok(Exchange { instruments, core })
    }

    /// Something happened on the market. Events of instruments not listed are ignored.
    pub fn on_market(&mut self, now: UnixNanos, market: &Market<'_>, out: &mut Vec<Private>) {
        if market.instrument.index() < self.instruments.len() {
            self.call(now, out, |core, cx| core.on_market(cx, market));
        }
    }

    /// The venue asks something else of orders from now on. What is open stays. Rules that make no definition are
    /// ignored, and whether it trades at all is not this exchange's to know: it goes by its market.
    pub fn set_rules(&mut self, instrument: InstrumentId, rules: &Rules) {
        if instrument.index() < self.instruments.len() {
            let _ = self.instruments.set_rules(instrument, rules);
        }
    }

    /// An account asks for something.
    pub fn on_command(&mut self, now: UnixNanos, command: &Command, out: &mut Vec<Private>) {
        self.call(now, out, |core, cx| match command {
            Command::Place(order) => core.place(cx, order),
            Command::Amend(amend) => core.amend(cx, amend),
            Command::Cancel(cancel) => core.cancel_order(cx, cancel),
            Command::CancelAll { account, instrument } => core.cancel_all(cx, *account, *instrument),
        });
    }

    /// When time alone next changes something: an order expires, interest is due, a future is settled.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        self.core.next_deadline()
    }

    /// Time has passed: everything due at or before `now` happens, at its own time.
    pub fn on_time(&mut self, now: UnixNanos, out: &mut Vec<Private>) {
        self.call(now, out, |_, _| ());
    }

    /// Deposits (positive) or withdraws, reported as an adjustment. A withdrawal is refused beyond what is free.
    pub fn transfer(
        &mut self,
        now: UnixNanos,
        account: AccountId,
        currency: Currency,
        amount: Decimal,
        out: &mut Vec<Private>,
    ) -> Result<(), TransferError> {
        let index = self.core.account_index(account).ok_or(TransferError::Unknown)?;
        self.call(now, out, |core, cx| {
            if amount.is_negative() && core.spendable(cx, index, currency)? < -amount {
                return Err(TransferError::InsufficientBalance);
            }
            Ok(core.adjust(cx, index, currency, amount)?)
        })
    }

    /// Sets an account's leverage on a contract: 1 up to `1 / initial_margin`. Balance events follow with the next call.
    pub fn set_leverage(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        leverage: Decimal,
    ) -> Result<(), LeverageError> {
        let index = self.core.account_index(account).ok_or(LeverageError::Unknown)?;
        if instrument.index() >= self.instruments.len() {
            return Err(LeverageError::Unknown);
        }
        self.core.change_leverage(&self.instruments, index, instrument, leverage)
    }

    fn call<R>(&mut self, now: UnixNanos, out: &mut Vec<Private>, act: impl FnOnce(&mut Core, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx { now: now.max(self.core.now), all: &self.instruments, out };
        self.core.advance(&mut cx);
        let result = act(&mut self.core, &mut cx);
        self.core.flush(&mut cx);
        result
    }

    // ---- queries

    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    fn account(&self, id: AccountId) -> Option<&Account> {
        self.core.account_index(id).map(|index| self.core.account(index))
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.core.accounts.iter().map(|a| a.config.id)
    }

    /// Zero for an account or currency that is not known.
    pub fn balance(&self, account: AccountId, currency: Currency) -> Balance {
        self.account(account).map(|a| a.balance(currency)).unwrap_or_default()
    }

    /// Every currency the account ever had, by code.
    pub fn balances(&self, account: AccountId) -> impl Iterator<Item = (Currency, Balance)> + '_ {
        self.account(account).into_iter().flat_map(|a| a.balances().iter().copied())
    }

    /// Flat where there is none. Spot has no positions, only balances.
    pub fn position(&self, account: AccountId, instrument: InstrumentId, leg: Leg) -> Position {
        self.account(account).map(|a| a.position(instrument, leg)).unwrap_or_default()
    }

    /// Positions that are not flat, by instrument and leg.
    pub fn positions(&self, account: AccountId) -> impl Iterator<Item = (InstrumentId, Leg, Position)> + '_ {
        self.account(account).into_iter().flat_map(|a| a.held().iter().map(|h| (h.instrument, h.leg, h.position)))
    }

    /// In order of acceptance.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = OpenOrder> + '_ {
        let open = self.account(account).into_iter().flat_map(|a| a.open.iter());
        open.map(|o| self.describe(&self.core.orders[o.slot]))
    }

    fn describe(&self, o: &Order) -> OpenOrder {
        let resting = o.limit().filter(|_| o.stage == Stage::Resting);
        let queue = self.core.market(o.instrument()).queue(o.side());
        OpenOrder {
            request: o.request,
            venue_order_id: VenueOrderId::from_u64(o.seq),
            qty: if o.amount_left.is_some() { o.cum } else { o.size },
            cum_qty: o.cum,
            price: o.limit(),
            live: o.live,
            hold: o.hold,
            hold_currency: o.hold_currency,
            ahead: resting.and_then(|px| queue.get(px, o.priority)).map(|r| Qty(r.ahead)),
        }
    }

    /// Balance net of debt plus unrealised profit of the contracts that settle in `settle`. Errors: overflow.
    pub fn equity(&self, account: AccountId, settle: Currency) -> Result<Decimal, NumberError> {
        Ok(self.margin(account, settle)?.equity)
    }

    /// Zero for an account that is not known. Errors: overflow.
    pub fn margin(&self, account: AccountId, settle: Currency) -> Result<Margin, NumberError> {
        match self.core.account_index(account) {
            Some(index) => self.core.margin(&self.instruments, index, settle),
            None => Ok(Margin::default()),
        }
    }

    /// Price at which positions are valued: the mark feed, else the last price, else the middle of the book.
    pub fn mark(&self, instrument: InstrumentId) -> Option<Decimal> {
        self.core.market(instrument).mark(self.instruments.get(instrument))
    }

    /// The ambient book: what the tape shows, less what we took since it last said so. Our own orders are not in it.
    pub fn book(&self, instrument: InstrumentId) -> &L2Book {
        &self.core.market(instrument).ambient
    }
}

fn check_instrument(i: &Instrument) -> Result<(), ConfigError> {
    let fail = |why: &str| Err(ConfigError::Instrument { symbol: i.symbol.to_string(), why: why.into() });
    let share = |x: Decimal| !x.is_negative() && x <= Decimal::ONE;
    if !share(i.initial_margin) || !share(i.maintenance_margin) {
        return fail("margins must lie between 0 and 1");
    }
    if [i.maker_fee, i.taker_fee].into_iter().any(|f| f.abs() > Decimal::ONE) {
        return fail("fee rates must lie between -1 and 1");
    }
    Ok(())
}
