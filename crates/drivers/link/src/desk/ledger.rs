//! What the account owns by the fills and flows that the kernel was told of: the same sums as the kernel's.
//! Never: takes the venue's word for its own; differences are found by comparing.

use ctos_types::{Currency, Decimal, Fill, Instrument, InstrumentId, Instruments, Leg, Position, Qty, Side, UnixNanos};
use std::collections::BTreeMap;

/// Money that left the range of numbers is counted as unchanged: the next comparison shows it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    cash: BTreeMap<Currency, Decimal>,
    positions: BTreeMap<(InstrumentId, Leg), Position>,
    /// When each holding last changed.
    cash_moved: BTreeMap<Currency, UnixNanos>,
    moved: BTreeMap<(InstrumentId, Leg), Moved>,
}

#[derive(Clone, Copy, Debug)]
struct Moved {
    at: UnixNanos,
    /// The venue's time of the newest fill that was booked.
    newest: UnixNanos,
}

impl Ledger {
    pub fn set_cash(&mut self, currency: Currency, amount: Decimal) {
        self.cash.insert(currency, amount);
    }

    pub fn set_position(&mut self, key: (InstrumentId, Leg), position: Position) {
        self.positions.insert(key, position);
    }

    pub fn cash(&self, currency: Currency) -> Decimal {
        self.cash.get(&currency).copied().unwrap_or_default()
    }

    pub fn all_cash(&self) -> &BTreeMap<Currency, Decimal> {
        &self.cash
    }

    pub fn position(&self, key: (InstrumentId, Leg)) -> Position {
        self.positions.get(&key).copied().unwrap_or_default()
    }

    /// Those that are not flat.
    pub fn quantities(&self) -> BTreeMap<(InstrumentId, Leg), Qty> {
        self.positions.iter().filter(|(_, p)| !p.is_flat()).map(|(key, p)| (*key, p.qty)).collect()
    }

    pub fn flow(&mut self, now: UnixNanos, currency: Currency, amount: Decimal) {
        let cash = self.cash.entry(currency).or_default();
        *cash = cash.checked_add(amount).unwrap_or(*cash);
        self.cash_moved.insert(currency, now);
    }

    /// A part of a position that nobody here traded. Without a price it costs nothing until the venue says otherwise.
    pub fn adopt(&mut self, now: UnixNanos, i: &Instrument, leg: Leg, qty: Qty, px: Option<Decimal>) {
        let key = (i.id, leg);
        let position = self.positions.entry(key).or_default();
        let realized = match px.filter(|px| px.is_positive()) {
            Some(px) => position.adopt(i, px, qty).unwrap_or_default(),
            None => {
                position.qty.0 = position.qty.0.saturating_add(qty.0);
                Decimal::ZERO
            }
        };
        self.moved(key, now);
        if !i.is_spot() && !realized.is_zero() {
            self.flow(now, i.settle(), realized);
        }
    }

    fn moved(&mut self, key: (InstrumentId, Leg), now: UnixNanos) -> &mut Moved {
        let moved = self.moved.entry(key).or_insert(Moved { at: now, newest: UnixNanos::MIN });
        moved.at = now;
        moved
    }

    /// Whether fills are booked in the venue's order: out of it, the cost of a position comes out another.
    pub fn fill(
        &mut self,
        now: UnixNanos,
        id: InstrumentId,
        instruments: &Instruments,
        fill: &Fill,
        ts_event: UnixNanos,
    ) -> bool {
        let i = instruments.get(id);
        let key = (id, fill.leg);
        let position = self.positions.entry(key).or_default();
        let realized = position.apply(i, fill.side, fill.last_px, fill.last_qty).unwrap_or_default();
        let moved = self.moved(key, now);
        let in_order = ts_event >= moved.newest;
        moved.newest = moved.newest.max(ts_event);
        if i.is_spot() {
            let value = i.value(fill.last_px, fill.last_qty).unwrap_or_default();
            let (base, sign) = (i.qty_decimal(fill.last_qty), fill.side == Side::Buy);
            self.flow(now, i.base, if sign { base } else { -base });
            self.flow(now, i.quote, if sign { -value } else { value });
        } else {
            self.flow(now, i.settle(), realized);
        }
        if !fill.fee.is_zero() {
            self.flow(now, fill.fee_currency, -fill.fee);
        }
        in_order
    }

    /// Whether nothing happened to the position after `since`.
    pub fn is_quiet(&self, key: (InstrumentId, Leg), since: UnixNanos) -> bool {
        self.moved.get(&key).is_none_or(|moved| moved.at < since)
    }

    pub fn is_cash_quiet(&self, currency: Currency, since: UnixNanos) -> bool {
        self.cash_moved.get(&currency).is_none_or(|at| *at < since)
    }
}
