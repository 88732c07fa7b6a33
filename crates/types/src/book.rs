//! An order book by price level, as a venue publishes it.

use crate::instrument::{Price, Qty};
use crate::market::{Level, Quote};
use crate::order::Side;
use serde::{Deserialize, Serialize};

/// Both sides sorted with the best level last, so that the changes near the top, which are most, move few entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct L2Book {
    /// Ascending prices.
    bids: Vec<Level>,
    /// Descending prices.
    asks: Vec<Level>,
}

impl L2Book {
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    /// Sets the absolute size at a price. Zero deletes; deleting an unknown level is normal on every venue.
    pub fn set(&mut self, side: Side, price: Price, qty: Qty) {
        // One copy of the code a side: the search then compares without a call.
        match side {
            Side::Buy => put(&mut self.bids, price, qty, |p| p < price),
            Side::Sell => put(&mut self.asks, price, qty, |p| p > price),
        }
    }

    pub fn best(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.bids.last().copied(),
            Side::Sell => self.asks.last().copied(),
        }
    }

    /// Best bid and ask; a side without orders shows size zero.
    pub fn quote(&self) -> Quote {
        let (bid, ask) = (self.bids.last().copied().unwrap_or_default(), self.asks.last().copied().unwrap_or_default());
        Quote { bid_px: bid.price, bid_qty: bid.qty, ask_px: ask.price, ask_qty: ask.qty }
    }

    /// Levels of one side, best first.
    pub fn levels(&self, side: Side) -> impl DoubleEndedIterator<Item = Level> + ExactSizeIterator + '_ {
        match side {
            Side::Buy => self.bids.iter().rev().copied(),
            Side::Sell => self.asks.iter().rev().copied(),
        }
    }

    pub fn depth(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.bids.len(),
            Side::Sell => self.asks.len(),
        }
    }

    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        let found = match side {
            Side::Buy => self.bids.binary_search_by_key(&price.0, |l| l.price.0).map(|i| self.bids[i].qty),
            Side::Sell => self.asks.binary_search_by_key(&-price.0, |l| -l.price.0).map(|i| self.asks[i].qty),
        };
        found.unwrap_or(Qty(0))
    }

    /// Replaces the whole book. Levels may come in any order; zero sizes are skipped.
    pub fn replace(&mut self, bids: &[Level], asks: &[Level]) {
        self.clear();
        // Venues send best first: inserting from the far end appends.
        for l in bids.iter().rev() {
            self.set(Side::Buy, l.price, l.qty);
        }
        for l in asks.iter().rev() {
            self.set(Side::Sell, l.price, l.qty);
        }
    }

    pub fn is_crossed(&self) -> bool {
        matches!((self.bids.last(), self.asks.last()), (Some(b), Some(a)) if b.price >= a.price)
    }
}

/// Levels at the end that are looked through one by one before the others are searched.
const NEAR: usize = 8;

/// Sets a size in levels that are sorted. `before`: what lies below `price` in them.
#[inline]
fn put(levels: &mut Vec<Level>, price: Price, qty: Qty, before: impl Fn(Price) -> bool) {
    let at = match levels.last_chunk::<NEAR>() {
        // Most updates touch the last few entries. All of them are counted: leaving off early would have to be guessed.
        Some(near) if before(near[0].price) => {
            let below = near.iter().fold(0, |n, l| n + usize::from(before(l.price)));
            levels.len() - NEAR + below
        }
        _ => levels.partition_point(|l| before(l.price)),
    };
    match levels.get_mut(at).filter(|l| l.price == price) {
        Some(level) if qty.0 > 0 => level.qty = qty,
        Some(_) => {
            levels.remove(at);
        }
        None if qty.0 > 0 => levels.insert(at, Level { price, qty }),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        // The slow, obvious twin: one ordered map a side.
        #[test]
        fn same_as_ordered_maps(updates in prop::collection::vec((any::<bool>(), 0i64..60, 0i64..4), 0..400)) {
            let mut book = L2Book::default();
            let (mut bids, mut asks) = (BTreeMap::new(), BTreeMap::new());
            for (buy, px, qty) in updates {
                let side = if buy { Side::Buy } else { Side::Sell };
                book.set(side, Price(px), Qty(qty));
                let map = if buy { &mut bids } else { &mut asks };
                if qty == 0 { map.remove(&px); } else { map.insert(px, qty); }
                let flat = |s| book.levels(s).map(|l| (l.price.0, l.qty.0)).collect::<Vec<_>>();
                prop_assert_eq!(flat(Side::Buy), bids.iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>());
                prop_assert_eq!(flat(Side::Sell), asks.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>());
                prop_assert_eq!(book.qty_at(side, Price(px)), Qty(qty));
            }
        }
    }
}
