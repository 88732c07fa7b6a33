//! What the accounts own and owe by our own books, and which strategy each part belongs to.
//!
//! Invariants: a position of an account is the sum of its strategies' positions; our balance of a currency is the
//! first balance the venue declared plus every cash flow since; both are exact.

use crate::pairs;
use crate::table::Table;
use ctos_types::{
    AccountId, Balance, Currency, Decimal, Fill, Instrument, InstrumentId, Leg, NumberError, Position, Qty, Rounding,
    Side, StrategyId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One strategy's part in one instrument of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub position: Position,
    /// In settlement currency, before fees and funding.
    pub realized: Decimal,
    /// Funding received, in settlement currency; negative when paid.
    pub funding: Decimal,
    /// Fees paid, by currency.
    #[serde(with = "pairs")]
    pub fees: BTreeMap<Currency, Decimal>,
    /// Unsigned traded value in quote currency.
    pub volume: Decimal,
    pub fills: u64,
}

/// One currency of one account: the venue's word and our own sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cash {
    pub venue: Balance,
    /// What our books say the account owns net of borrowings and interest.
    pub ours: Decimal,
    /// What the run began with.
    pub start: Decimal,
}

type PositionKey = (AccountId, InstrumentId, Leg);
type LedgerKey = (StrategyId, AccountId, InstrumentId, Leg);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portfolio {
    cash: Table<(AccountId, Currency), Cash>,
    /// As the venue nets them.
    positions: Table<PositionKey, Position>,
    ledgers: Table<LedgerKey, Ledger>,
    #[serde(skip)]
    changes: Changes,
}

/// How often cash or a position may have changed. No part of what a portfolio is: only what was worked out from it
/// looks at this.
#[derive(Clone, Copy, Debug, Default)]
struct Changes(u64);

impl PartialEq for Changes {
    fn eq(&self, _: &Changes) -> bool {
        true
    }
}

impl Eq for Changes {}

/// Our sum and the venue's balance differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    pub venue: Decimal,
    pub ours: Decimal,
}

impl Portfolio {
    /// Differs from what it was before any change of cash or of a position.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.0
    }

    /// Books a fill of `strategy`. Returns what it realised on the account's own position, before fees.
    pub fn fill(
        &mut self,
        account: AccountId,
        strategy: StrategyId,
        instrument: &Instrument,
        fill: &Fill,
    ) -> Result<Decimal, NumberError> {
        let (px, qty, leg) = (fill.last_px, fill.last_qty, fill.leg);
        let value = instrument.value(px, qty)?;
        let volume = instrument.notional(px, qty)?;
        // Both sides are worked out before either is written: a sum that overflows must not book half a fill.
        let before = self.position(account, instrument.id, leg);
        let mut position = before;
        let realized = position.apply(instrument, fill.side, px, qty)?;
        let ledger = self.ledgers.entry((strategy, account, instrument.id, leg));
        // Where nobody else trades it on the account, both are the same.
        let (own, gained) = if ledger.position == before {
            (position, realized)
        } else {
            let mut own = ledger.position;
            let gained = own.apply(instrument, fill.side, px, qty)?;
            (own, gained)
        };
        let own_realized = ledger.realized.checked_add(gained)?;
        let own_volume = ledger.volume.checked_add(volume)?;
        if !fill.fee.is_zero() {
            let fees = ledger.fees.entry(fill.fee_currency).or_default();
            *fees = fees.checked_add(fill.fee)?;
        }
        (ledger.position, ledger.realized, ledger.volume) = (own, own_realized, own_volume);
        ledger.fills += 1;
        *self.positions.entry((account, instrument.id, leg)) = position;
        self.changes.0 += 1;

        if instrument.is_spot() {
            let (base, quote) = (instrument.qty_decimal(qty), value);
            let sign = if fill.side == Side::Buy { (base, -quote) } else { (-base, quote) };
            self.flow(account, instrument.base, sign.0)?;
            self.flow(account, instrument.quote, sign.1)?;
        } else {
            self.flow(account, instrument.settle(), realized)?;
        }
        if !fill.fee.is_zero() {
            self.flow(account, fill.fee_currency, -fill.fee)?;
        }
        Ok(realized)
    }

    /// Books a part of a position that nobody here traded, as if at `px` and without a fee, under
    /// [`StrategyId::EXTERNAL`]. A contract's profit on what it closes is paid; spot balances do not move. `qty` is signed.
    pub fn adopt(
        &mut self,
        account: AccountId,
        leg: Leg,
        instrument: &Instrument,
        qty: Qty,
        px: Decimal,
    ) -> Result<Decimal, NumberError> {
        let mut position = self.position(account, instrument.id, leg);
        let realized = position.adopt(instrument, px, qty)?;
        let ledger = self.ledgers.entry((StrategyId::EXTERNAL, account, instrument.id, leg));
        let mut own = ledger.position;
        let own_realized = ledger.realized.checked_add(own.adopt(instrument, px, qty)?)?;
        (ledger.position, ledger.realized) = (own, own_realized);
        *self.positions.entry((account, instrument.id, leg)) = position;
        self.changes.0 += 1;
        if !instrument.is_spot() && !realized.is_zero() {
            self.flow(account, instrument.settle(), realized)?;
        }
        Ok(realized)
    }

    /// Books funding and shares it among the strategies that hold the position, by size; the remainder of the
    /// division goes to the last of them, so that the shares sum exactly.
    pub fn funding(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        leg: Leg,
        amount: Decimal,
        currency: Currency,
    ) -> Result<(), NumberError> {
        self.flow(account, currency, amount)?;
        let total = self.position(account, instrument, leg).qty.0;
        let mut holders: Vec<&mut Ledger> = self
            .ledgers
            .iter_mut()
            .filter(|((_, a, i, l), held)| (*a, *i, *l) == (account, instrument, leg) && !held.position.is_flat())
            .map(|(_, held)| held)
            .collect();
        let Some((last, others)) = holders.split_last_mut().filter(|_| total != 0) else {
            // Paid on a position that closed meanwhile: no strategy holds it any more.
            let key = (StrategyId::EXTERNAL, account, instrument, leg);
            let ledger = self.ledgers.entry(key);
            ledger.funding = ledger.funding.checked_add(amount)?;
            return Ok(());
        };
        let mut rest = amount;
        for held in others {
            let share = amount.mul_ratio(held.position.qty.0, total, Rounding::HalfEven)?;
            held.funding = held.funding.checked_add(share)?;
            rest = rest.checked_sub(share)?;
        }
        last.funding = last.funding.checked_add(rest)?;
        Ok(())
    }

    /// Books a cash flow outside trading: interest (negative), a declared adjustment.
    pub fn flow(&mut self, account: AccountId, currency: Currency, amount: Decimal) -> Result<(), NumberError> {
        self.changes.0 += 1;
        let cash = self.cash.entry((account, currency));
        cash.ours = cash.ours.checked_add(amount)?;
        Ok(())
    }

    /// Takes in the venue's balance. The first one of a currency without cash flows is the starting balance.
    pub fn venue_balance(&mut self, account: AccountId, currency: Currency, balance: Balance) -> Option<Drift> {
        let net = balance.total.checked_sub(balance.borrowed).and_then(|n| n.checked_sub(balance.interest));
        // Beyond every real amount: shown as the drift it is, and never taken over.
        let Ok(net) = net else {
            return Some(Drift { venue: balance.total, ours: self.cash(account, currency).ours });
        };
        let fresh = !self.knows(account, currency);
        let cash = self.cash.entry((account, currency));
        if fresh {
            self.changes.0 += 1;
            cash.ours = net;
            cash.start = net;
        }
        cash.venue = balance;
        (cash.ours != net).then_some(Drift { venue: net, ours: cash.ours })
    }

    pub fn cash(&self, account: AccountId, currency: Currency) -> Cash {
        self.cash.get(&(account, currency)).copied().unwrap_or_default()
    }

    /// Whether the currency has had a balance or a cash flow on the account.
    pub fn knows(&self, account: AccountId, currency: Currency) -> bool {
        self.cash.contains(&(account, currency))
    }

    pub fn all_cash(&self) -> impl Iterator<Item = (AccountId, Currency, &Cash)> + '_ {
        self.cash.iter().map(|((a, c), cash)| (*a, *c, cash))
    }

    pub fn position(&self, account: AccountId, instrument: InstrumentId, leg: Leg) -> Position {
        self.positions.get(&(account, instrument, leg)).copied().unwrap_or_default()
    }

    pub fn positions(&self) -> impl Iterator<Item = (PositionKey, &Position)> + '_ {
        self.positions.iter().map(|(k, p)| (*k, p))
    }

    /// Signed size over all legs.
    pub fn net_qty(&self, account: AccountId, instrument: InstrumentId) -> Qty {
        let leg = |leg| (account, instrument, leg);
        Qty(self.positions.range(leg(Leg::Net), leg(Leg::Short)).iter().map(|(_, p)| p.qty.0).sum())
    }

    pub fn strategy_position(
        &self,
        strategy: StrategyId,
        account: AccountId,
        instrument: InstrumentId,
        leg: Leg,
    ) -> Position {
        self.ledgers.get(&(strategy, account, instrument, leg)).map(|l| l.position).unwrap_or_default()
    }

    /// One strategy's position in an instrument, all legs together.
    pub fn strategy_net(&self, strategy: StrategyId, account: AccountId, instrument: InstrumentId) -> Position {
        let leg = |leg| (strategy, account, instrument, leg);
        let mut sum = Position::default();
        for (_, ledger) in self.ledgers.range(leg(Leg::Net), leg(Leg::Short)) {
            sum.qty.0 = sum.qty.0.saturating_add(ledger.position.qty.0);
            sum.cost = sum.cost.checked_add(ledger.position.cost).unwrap_or(sum.cost);
        }
        sum
    }

    pub fn ledgers(&self) -> impl Iterator<Item = (LedgerKey, &Ledger)> + '_ {
        self.ledgers.iter().map(|(k, l)| (*k, l))
    }

    /// One strategy's profit by settlement currency as (realised with funding, unrealised), before fees.
    pub fn strategy_pnl(
        &self,
        strategy: StrategyId,
        instruments: &ctos_types::Instruments,
        mark: impl Fn(InstrumentId) -> Option<Decimal>,
    ) -> BTreeMap<Currency, (Decimal, Decimal)> {
        let mut sums: BTreeMap<Currency, (Decimal, Decimal)> = BTreeMap::new();
        for ((_, _, id, _), ledger) in self.ledgers().filter(|((s, ..), _)| *s == strategy) {
            let instrument = instruments.get(id);
            let unrealized = mark(id).and_then(|m| ledger.position.unrealized(instrument, m).ok()).unwrap_or_default();
            let sum = sums.entry(instrument.settle()).or_default();
            sum.0 += ledger.realized + ledger.funding;
            sum.1 += unrealized;
        }
        sums
    }
}
