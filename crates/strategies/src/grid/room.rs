//! What the grid knows of its own orders and its inventory before it orders more.
//! Never: asks the market, or orders anything.

use super::cell::Cell;
use super::settings::Settings;
use ctos_types::{Decimal, Instrument, Price, Qty, Rounding, Rules, Side};

/// What follows from the settings, the venue's rules and the cells' levels alone, so that it need not be computed on each
/// quote: a grid that waits for room in its inventory looks at all of its cells whenever the market moves.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// One full order of each cell. As many as cells, or none: not known yet.
    pub full: Vec<Option<Qty>>,
    /// The inventory limit where none is set: two orders for every level of one side.
    pub most: Option<Decimal>,
    /// The venue's rules that they follow from: a venue changes these without notice.
    rules: Option<Rules>,
}

impl Sizes {
    pub fn of(instrument: &Instrument, settings: &Settings, cells: &[Cell]) -> Sizes {
        let full: Vec<_> = cells.iter().map(|c| c.full(instrument, settings.amount)).collect();
        let one = full.iter().flatten().max().copied().unwrap_or_default();
        let most = instrument.qty_decimal(one).mul(Decimal::from_int(2 * settings.levels as i64), Rounding::Down).ok();
        Sizes { full, most, rules: Some(instrument.rules()) }
    }

    /// Whether they still hold.
    pub fn fit(&self, instrument: &Instrument, cells: &[Cell]) -> bool {
        self.full.len() == cells.len() && self.rules == Some(instrument.rules())
    }
}

/// Cells that want to open and may not, for the inventory limit or an own order in the way. No move of the market
/// changes that: only news of orders, time, or coins do, and then all cells are looked at again. So a grid at its limit
/// does not plan each of its waiting cells on each quote.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    cells: Vec<bool>,
    /// Spot: coins that the account owned when this was found out.
    owned: Option<Decimal>,
}

impl Blocked {
    /// Something other than the market has changed.
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    /// As [`Blocked::clear`] if the account owns other coins than before. `None` on derivatives.
    pub fn with_coins(&mut self, owned: Option<Decimal>) {
        if std::mem::replace(&mut self.owned, owned) != owned {
            self.clear();
        }
    }

    pub fn has(&self, at: usize) -> bool {
        self.cells.get(at).is_some_and(|blocked| *blocked)
    }

    pub fn add(&mut self, at: usize) {
        if self.cells.len() <= at {
            self.cells.resize(at + 1, false);
        }
        self.cells[at] = true;
    }
}

/// Own orders and inventory at a glance.
pub(super) struct Resting {
    /// Signed coins or contracts.
    pub inventory: Decimal,
    highest_buy: Price,
    lowest_sell: Price,
    prices: Vec<Price>,
    /// What may still be bought and sold.
    pub buy: Decimal,
    pub sell: Decimal,
}

impl Resting {
    pub fn of(instrument: &Instrument, cells: &[Cell], inventory: Decimal) -> Resting {
        let mut r = Resting {
            inventory,
            highest_buy: Price(i64::MIN),
            lowest_sell: Price(i64::MAX),
            prices: Vec::with_capacity(cells.len()),
            buy: Decimal::ZERO,
            sell: Decimal::ZERO,
        };
        for order in cells.iter().filter_map(|c| c.order) {
            r.add(instrument, order.side, order.price.unwrap_or_default(), order.leaves());
        }
        r
    }

    pub fn add(&mut self, instrument: &Instrument, side: Side, price: Price, leaves: Qty) {
        self.prices.push(price);
        match side {
            Side::Buy => {
                self.highest_buy = self.highest_buy.max(price);
                self.buy += instrument.qty_decimal(leaves);
            }
            Side::Sell => {
                self.lowest_sell = self.lowest_sell.min(price);
                self.sell += instrument.qty_decimal(leaves);
            }
        }
    }

    /// Whether an order of ours would be met, or its price is taken.
    pub fn collides(&self, side: Side, price: Price) -> bool {
        let crosses = match side {
            Side::Buy => price >= self.lowest_sell,
            Side::Sell => price <= self.highest_buy,
        };
        crosses || self.prices.contains(&price)
    }
}
