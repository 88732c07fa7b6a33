//! What the public sees of one instrument: the book with its update ids, trades, aggregates, candles, marks.
//! Never: matching (the exchange does), wire text.

use crate::klines::{Klines, Print};
use ctos_types::{Decimal, InstrumentId, L2Book, MarkPrice, Price, Side};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Trades and aggregates that can be asked for.
const KEPT: usize = 10_000;
const FUNDINGS_KEPT: usize = 1_000;

/// Price and size of a level, as mantissas.
pub(crate) type Row = (i64, i64);

/// Neighbouring trades of one taker side at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aggregate {
    pub id: i64,
    pub price: Price,
    pub qty: i64,
    pub first_id: i64,
    pub last_id: i64,
    pub at_ms: i64,
    pub buyer_is_taker: bool,
}

/// Levels that changed since the last difference of one speed was published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub every_ms: i64,
    first: i64,
    previous: i64,
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

/// A difference ready to be published. Best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diff {
    pub first: i64,
    pub last: i64,
    pub previous: i64,
    pub bids: Vec<Row>,
    pub asks: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Public {
    pub id: InstrumentId,
    /// As shown: ambient and our own orders, best first.
    pub bids: Vec<Row>,
    pub asks: Vec<Row>,
    /// Of the newest change of this book.
    pub update_id: i64,
    pub changed_ms: i64,
    changes: Vec<Changes>,
    pub trades: VecDeque<Print>,
    pub aggregates: VecDeque<Aggregate>,
    pending: Option<Aggregate>,
    pub klines: Klines,
    next_trade: i64,
    next_aggregate: i64,
    pub last: Option<Print>,
    pub mark: Option<MarkPrice>,
    /// Time in ms, rate, mark.
    pub fundings: VecDeque<(i64, Decimal, Decimal)>,
}

impl Public {
    /// `first` is where the ids begin: large, as at a venue that has been running for years.
    pub fn new(id: InstrumentId, first: i64, speeds: &[i64]) -> Public {
        let changes = speeds.iter().map(|&every_ms| Changes {
            every_ms,
            first: 0,
            previous: 0,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
        });
        Public {
            id,
            bids: Vec::new(),
            asks: Vec::new(),
            update_id: first * 10,
            changed_ms: 0,
            changes: changes.collect(),
            trades: VecDeque::new(),
            aggregates: VecDeque::new(),
            pending: None,
            klines: Klines::default(),
            next_trade: first,
            next_aggregate: first / 2,
            last: None,
            mark: None,
            fundings: VecDeque::new(),
        }
    }

    // ---- trades

    /// A trade happened: gives it its id and enters it everywhere.
    pub fn print(&mut self, at_ms: i64, price: Price, qty: i64, value: Decimal, taker: Side) -> Print {
        let id = self.next_trade;
        self.next_trade += 1;
        let print = Print { at_ms, id, price, qty, value, buyer_is_taker: taker == Side::Buy };
        self.last = Some(print);
        self.trades.push_back(print);
        if self.trades.len() > KEPT {
            self.trades.pop_front();
        }
        self.klines.on_trade(&print);
        print
    }

    /// Puts a trade behind the pending aggregate, or gives that back and starts another.
    pub fn aggregate(&mut self, p: &Print, window_ms: i64) -> Option<Aggregate> {
        if let Some(a) = &mut self.pending {
            let same = a.price == p.price && a.buyer_is_taker == p.buyer_is_taker;
            if same && a.at_ms.div_euclid(window_ms) == p.at_ms.div_euclid(window_ms) {
                (a.qty, a.last_id) = (a.qty + p.qty, p.id);
                return None;
            }
        }
        let done = self.flush_aggregate();
        self.pending = Some(Aggregate {
            id: self.next_aggregate,
            price: p.price,
            qty: p.qty,
            first_id: p.id,
            last_id: p.id,
            at_ms: p.at_ms,
            buyer_is_taker: p.buyer_is_taker,
        });
        self.next_aggregate += 1;
        done
    }

    /// When the pending aggregate began.
    pub fn pending_since(&self) -> Option<i64> {
        self.pending.map(|a| a.at_ms)
    }

    pub fn flush_aggregate(&mut self) -> Option<Aggregate> {
        let done = self.pending.take()?;
        self.aggregates.push_back(done);
        if self.aggregates.len() > KEPT {
            self.aggregates.pop_front();
        }
        Some(done)
    }

    pub fn funded(&mut self, at_ms: i64, rate: Decimal, mark: Decimal) {
        self.fundings.push_back((at_ms, rate, mark));
        if self.fundings.len() > FUNDINGS_KEPT {
            self.fundings.pop_front();
        }
    }

    // ---- the book

    /// Shows the exchange's book with `own` orders in it. Every changed level takes an id from `next_id`. Returns whether
    /// the best bid or ask changed.
    pub fn show(
        &mut self,
        ambient: &L2Book,
        own: &[(Side, i64, i64)],
        now_ms: i64,
        mut next_id: impl FnMut(i64) -> i64,
    ) -> bool {
        let side = |side: Side| {
            let mut rows: Vec<Row> = ambient.levels(side).map(|l| (l.price.0, l.qty.0)).collect();
            for (_, price, qty) in own.iter().filter(|(s, ..)| *s == side) {
                let worse = |r: &Row| if side == Side::Buy { r.0 > *price } else { r.0 < *price };
                let at = rows.partition_point(worse);
                match rows.get_mut(at).filter(|r| r.0 == *price) {
                    Some(row) => row.1 += qty,
                    None => rows.insert(at, (*price, *qty)),
                }
            }
            rows
        };
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        let best = (self.bids.first() != bids.first()) || (self.asks.first() != asks.first());
        for (buy, old, new) in [(true, &self.bids, &bids), (false, &self.asks, &asks)] {
            for (price, qty) in differences(old, new, buy) {
                self.update_id = next_id(self.update_id);
                self.changed_ms = now_ms;
                for c in &mut self.changes {
                    if c.first == 0 {
                        c.first = self.update_id;
                    }
                    if buy { &mut c.bids } else { &mut c.asks }.insert(price, qty);
                }
            }
        }
        (self.bids, self.asks) = (bids, asks);
        best
    }

    /// What changed at this speed since it was last asked; nothing is `None`.
    pub fn take_changes(&mut self, every_ms: i64) -> Option<Diff> {
        let last = self.update_id;
        let c = self.changes.iter_mut().find(|c| c.every_ms == every_ms)?;
        if c.first == 0 {
            return None;
        }
        let previous = if c.previous == 0 { c.first - 1 } else { c.previous };
        let bids = std::mem::take(&mut c.bids).into_iter().rev().collect();
        let asks = std::mem::take(&mut c.asks).into_iter().collect();
        let diff = Diff { first: c.first, last, previous, bids, asks };
        (c.first, c.previous) = (0, last);
        Some(diff)
    }

    /// Best bid or ask price.
    pub fn best(&self, side: Side) -> Option<Price> {
        let rows = if side == Side::Buy { &self.bids } else { &self.asks };
        rows.first().map(|r| Price(r.0))
    }

    /// The worst price a taker of `qty` on `side` would reach, and how much it would get.
    pub fn sweep(&self, side: Side, qty: i64) -> (Option<Price>, i64) {
        let rows = if side == Side::Buy { &self.asks } else { &self.bids };
        let (mut worst, mut got) = (None, 0);
        for (price, there) in rows {
            if got >= qty {
                break;
            }
            worst = Some(Price(*price));
            got += there.min(&(qty - got));
        }
        (worst, got)
    }
}

/// Levels that differ, with their new sizes; those that are gone with zero.
fn differences(old: &[Row], new: &[Row], descending: bool) -> Vec<Row> {
    let key = |r: Option<&Row>| r.map(|r| if descending { -r.0 } else { r.0 }).unwrap_or(i64::MAX);
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let (was, is) = (key(old.get(i)), key(new.get(j)));
        if was < is {
            out.push((old[i].0, 0));
        } else if is < was || old[i].1 != new[j].1 {
            out.push(new[j]);
        }
        i += usize::from(was <= is);
        j += usize::from(is <= was);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::Qty;
    use proptest::prelude::*;

    type Seen = (BTreeMap<i64, i64>, BTreeMap<i64, i64>, i64);

    fn apply(book: &mut BTreeMap<i64, i64>, rows: &[Row]) {
        for (price, qty) in rows {
            if *qty == 0 {
                book.remove(price)
            } else {
                book.insert(*price, *qty)
            };
        }
    }

    proptest! {
        // A client that applies the differences of either speed has the book that is shown, and its ids chain.
        #[test]
        fn differences_rebuild_the_book(steps in prop::collection::vec((any::<bool>(), 0i64..30, 0i64..4, any::<bool>()), 1..80)) {
            let mut public = Public::new(InstrumentId(0), 100, &[100, 1000]);
            let mut ambient = L2Book::default();
            let mut seen: [Seen; 2] = Default::default();
            for (n, (buy, px, qty, publish)) in steps.iter().enumerate() {
                let side = if *buy { Side::Buy } else { Side::Sell };
                let price = if *buy { *px } else { 100 + *px };
                ambient.set(side, Price(price), Qty(*qty));
                let own = [(Side::Buy, 31, 2), (Side::Sell, 99, 1 + n as i64 % 3)];
                public.show(&ambient, &own, n as i64, |id| id + 1);
                for (k, every) in [(0, 100), (1, 1000)] {
                    if k == 1 && !publish { continue; }
                    if let Some(d) = public.take_changes(every) {
                        let (bids, asks, last) = &mut seen[k];
                        if *last != 0 { prop_assert_eq!(d.previous, *last); prop_assert_eq!(d.first, *last + 1); }
                        prop_assert!(d.first <= d.last);
                        apply(bids, &d.bids);
                        apply(asks, &d.asks);
                        *last = d.last;
                    }
                    let (bids, asks, _) = &seen[k];
                    prop_assert_eq!(bids.iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), public.bids.clone());
                    prop_assert_eq!(asks.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), public.asks.clone());
                }
            }
        }
    }

    #[test]
    fn aggregates_join_neighbours_of_one_side() {
        let mut public = Public::new(InstrumentId(0), 100, &[100]);
        let mut done = Vec::new();
        for (at, px, taker) in [(1, 5, Side::Buy), (2, 5, Side::Buy), (3, 5, Side::Sell), (120, 5, Side::Sell)] {
            let p = public.print(at, Price(px), 2, Decimal::ONE, taker);
            done.extend(public.aggregate(&p, 100));
        }
        done.extend(public.flush_aggregate());
        assert_eq!(
            done.iter().map(|a| (a.first_id, a.last_id, a.qty)).collect::<Vec<_>>(),
            [(100, 101, 4), (102, 102, 2), (103, 103, 2)]
        );
        assert_eq!(done[2].id, 52);
    }
}
