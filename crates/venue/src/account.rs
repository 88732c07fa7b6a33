//! One account's cash, positions, order lists and traded volume.
//! Never: prices, matching, reports.

use crate::config::{AccountConfig, FeeRates};
use crate::pairs;
use crate::used_ids::UsedIds;
use ctos_types::{
    Balance, ClientOrderId, Currency, Decimal, Instrument, InstrumentId, Leg, NumberError, Position, Price, Rounding,
    Side, UnixNanos,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Whole days that count for a fee tier.
const VOLUME_DAYS: i64 = 30;

/// A position that is not flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub instrument: InstrumentId,
    pub leg: Leg,
    pub position: Position,
}

/// An open order in an account's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenRef {
    pub seq: u64,
    pub slot: u32,
    pub instrument: InstrumentId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub config: AccountConfig,
    /// Ascending by currency.
    cash: Vec<(Currency, Balance)>,
    /// Ascending by (instrument, leg); flat ones are not kept.
    held: Vec<Held>,
    /// Leverage set by the user, ascending by instrument.
    leverage: Vec<(InstrumentId, Decimal)>,
    /// In order of acceptance.
    pub open: Vec<OpenRef>,
    /// How many of them only reduce.
    pub reducers: u32,
    #[serde(with = "pairs")]
    pub by_client: FxHashMap<ClientOrderId, u32>,
    pub used: UsedIds,
    volume: Volume,
    /// Marks between which no maintenance margin can be missed; empty when that is not known.
    #[serde(skip)]
    pub calm: Calm,
}

/// What the last look at an account's margin found: as long as each mark stays in its range and neither cash nor a
/// position changes, the account stays above its maintenance margin. Follows from the state and is no part of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calm(Vec<Range>);

/// Marks from `low` to `high`; the same range once more on the price grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub instrument: InstrumentId,
    pub low: Decimal,
    pub high: Decimal,
    pub low_px: Price,
    pub high_px: Price,
}

impl PartialEq for Calm {
    fn eq(&self, _: &Calm) -> bool {
        true
    }
}

impl Eq for Calm {}

impl Calm {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts `range` in the place of what was known of the same instrument.
    pub fn put(&mut self, range: Range) {
        match self.0.iter_mut().find(|r| r.instrument == range.instrument) {
            Some(known) => *known = range,
            None => self.0.push(range),
        }
    }

    pub fn holds_at(&self, instrument: InstrumentId, mark: Decimal) -> bool {
        self.0.iter().any(|r| r.instrument == instrument && r.low <= mark && mark <= r.high)
    }

    #[inline]
    pub fn holds_between(&self, instrument: InstrumentId, low: Price, high: Price) -> bool {
        self.0.iter().any(|r| r.instrument == instrument && r.low_px <= low && high <= r.high_px)
    }
}

impl Account {
    pub fn new(config: AccountConfig) -> Account {
        let mut cash: Vec<(Currency, Balance)> =
            config.balances.iter().map(|(c, total)| (*c, Balance { total: *total, ..Balance::default() })).collect();
        cash.sort_by_key(|(c, _)| *c);
        Account {
            config,
            cash,
            held: Vec::new(),
            leverage: Vec::new(),
            open: Vec::new(),
            reducers: 0,
            by_client: FxHashMap::default(),
            used: UsedIds::default(),
            volume: Volume::default(),
            calm: Calm::default(),
        }
    }

    pub fn balance(&self, currency: Currency) -> Balance {
        self.cash.iter().find(|(c, _)| *c == currency).map(|(_, b)| *b).unwrap_or_default()
    }

    pub fn balances(&self) -> &[(Currency, Balance)] {
        &self.cash
    }

    pub fn cash(&mut self, currency: Currency) -> &mut Balance {
        self.calm.clear();
        self.entry(currency)
    }

    /// Changes what is held of a currency. What is held still counts against the maintenance margin, so calm remains.
    pub fn add_hold(&mut self, currency: Currency, change: Decimal) {
        self.entry(currency).hold += change;
    }

    fn entry(&mut self, currency: Currency) -> &mut Balance {
        let at = match self.cash.first() {
            // The only currency, or the first of a few, is the usual one.
            Some((first, _)) if *first == currency => 0,
            _ => self.cash.binary_search_by_key(&currency, |(c, _)| *c).unwrap_or_else(|at| {
                self.cash.insert(at, (currency, Balance::default()));
                at
            }),
        };
        &mut self.cash[at].1
    }

    /// Adds all flows or, where one overflows, none.
    pub fn apply_flows(&mut self, flows: &[(Currency, Decimal)]) -> Result<(), NumberError> {
        for (n, (currency, _)) in flows.iter().enumerate() {
            if flows[..n].iter().any(|(c, _)| c == currency) {
                continue;
            }
            let mut total = self.balance(*currency).total;
            for (_, amount) in flows.iter().filter(|(c, _)| c == currency) {
                total = total.checked_add(*amount)?;
            }
        }
        for (currency, amount) in flows {
            self.cash(*currency).total += *amount;
        }
        Ok(())
    }

    pub fn held(&self) -> &[Held] {
        &self.held
    }

    fn find(&self, instrument: InstrumentId, leg: Leg) -> Result<usize, usize> {
        self.held.binary_search_by_key(&(instrument, leg), |h| (h.instrument, h.leg))
    }

    pub fn position(&self, instrument: InstrumentId, leg: Leg) -> Position {
        self.find(instrument, leg).map(|at| self.held[at].position).unwrap_or_default()
    }

    pub fn set_position(&mut self, instrument: InstrumentId, leg: Leg, position: Position) {
        self.calm.clear();
        match (self.find(instrument, leg), position.is_flat()) {
            (Ok(at), true) => {
                self.held.remove(at);
            }
            (Ok(at), false) => self.held[at].position = position,
            (Err(_), true) => {}
            (Err(at), false) => self.held.insert(at, Held { instrument, leg, position }),
        }
    }

    pub fn holds(&self, instrument: InstrumentId) -> bool {
        let at = self.held.partition_point(|h| h.instrument < instrument);
        self.held.get(at).is_some_and(|h| h.instrument == instrument)
    }

    /// How much an order of `side` on `leg` can close, as a size mantissa.
    pub fn closable(&self, instrument: InstrumentId, leg: Leg, side: Side) -> i64 {
        let qty = self.position(instrument, leg).qty.0;
        if (qty > 0) == (side == Side::Sell) { qty.abs() } else { 0 }
    }

    /// The leverage that applies: as set, or the account's default, never above what the instrument allows.
    pub fn leverage(&self, i: &Instrument) -> Decimal {
        let set = self.leverage.binary_search_by_key(&i.id, |(id, _)| *id).ok().map(|at| self.leverage[at].1);
        let leverage = set.unwrap_or(self.config.leverage);
        // The usual case without a division: a leverage fits when its margin is at least the smallest one.
        let margin = leverage.atoms().checked_mul(i.initial_margin.atoms());
        let fits =
            i.initial_margin.is_positive() && margin.is_some_and(|m| m <= Decimal::ONE.atoms() * Decimal::ONE.atoms());
        if fits { leverage } else { leverage.min(max_leverage(i)) }
    }

    pub fn set_leverage(&mut self, instrument: InstrumentId, leverage: Decimal) {
        match self.leverage.binary_search_by_key(&instrument, |(id, _)| *id) {
            Ok(at) => self.leverage[at].1 = leverage,
            Err(at) => self.leverage.insert(at, (instrument, leverage)),
        }
    }

    /// The rates an order accepted at `now` pays.
    pub fn rates(&mut self, i: &Instrument, now: UnixNanos) -> FeeRates {
        let fees = &self.config.fees;
        if let Some(fixed) = fees.fixed {
            return fixed;
        }
        let own = FeeRates { maker: i.maker_fee, taker: i.taker_fee };
        if fees.tiers.is_empty() {
            return own;
        }
        let volume = self.volume.before(now.day());
        fees.tiers.iter().rev().find(|t| t.min_volume <= volume).map_or(own, |t| t.rates)
    }

    pub fn add_volume(&mut self, now: UnixNanos, notional: Decimal) {
        if !self.config.fees.tiers.is_empty() {
            self.volume.add(now.day(), notional);
        }
    }
}

/// `1 / initial_margin`, at least 1; 1 where the instrument states no margin.
pub(crate) fn max_leverage(i: &Instrument) -> Decimal {
    if !i.initial_margin.is_positive() {
        return Decimal::ONE;
    }
    Decimal::ONE.div(i.initial_margin, Rounding::Down).map_or(Decimal::ONE, |l| l.max(Decimal::ONE))
}

/// Traded notional by UTC day, as far back as a fee tier looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Volume(VecDeque<(i64, Decimal)>);

impl Volume {
    fn add(&mut self, day: i64, notional: Decimal) {
        match self.0.back_mut() {
            // Held at the end of the range: the top tier is reached long before.
            Some((last, sum)) if *last == day => *sum = sum.checked_add(notional).unwrap_or(*sum),
            _ => self.0.push_back((day, notional)),
        }
        self.forget(day);
    }

    fn forget(&mut self, day: i64) {
        while self.0.front().is_some_and(|(first, _)| *first < day - VOLUME_DAYS) {
            self.0.pop_front();
        }
    }

    /// Over the 30 days before `day`.
    fn before(&mut self, day: i64) -> Decimal {
        self.forget(day);
        let days = self.0.iter().filter(|(d, _)| *d < day);
        days.fold(Decimal::ZERO, |sum, (_, v)| sum.checked_add(*v).unwrap_or(sum))
    }
}
