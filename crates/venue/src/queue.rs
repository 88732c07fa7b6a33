//! One side of our resting orders of one instrument in price-time order, each with its place behind ambient quantity.
//! Never: money, reports, or the ambient book itself.

use crate::config::QueueModel;
use ctos_types::{Price, Side};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A resting order as the queue sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resting {
    pub price: Price,
    /// Time priority: lower is earlier. Unique within the exchange.
    pub priority: u64,
    /// Where the order is kept.
    pub slot: u32,
    /// Index of its account.
    pub account: u16,
    /// What is left, in the instrument's size mantissa. Positive.
    pub leaves: i64,
    /// Ambient quantity that trades before it at its price.
    pub ahead: i64,
    /// Traded at this price since the tape last gave the level's size.
    pub explained: i64,
}

/// Sorted with the first to trade last, where it is cheap to remove. Within a price `ahead` never decreases in time order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    side: Side,
    orders: Vec<Resting>,
}

impl Queue {
    pub fn new(side: Side) -> Queue {
        Queue { side, orders: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Higher is better for this side.
    fn rank(&self, price: Price) -> i64 {
        price.0 * self.side.sign()
    }

    fn find(&self, price: Price, priority: u64) -> Result<usize, usize> {
        let want = (self.rank(price), Reverse(priority));
        self.orders.binary_search_by_key(&want, |o| (self.rank(o.price), Reverse(o.priority)))
    }

    pub fn insert(&mut self, order: Resting) {
        let at = self.find(order.price, order.priority).unwrap_or_else(|at| at);
        self.orders.insert(at, order);
    }

    pub fn remove(&mut self, price: Price, priority: u64) -> Option<Resting> {
        self.find(price, priority).ok().map(|at| self.orders.remove(at))
    }

    pub fn get(&self, price: Price, priority: u64) -> Option<&Resting> {
        self.find(price, priority).ok().map(|at| &self.orders[at])
    }

    /// Changes what is left of an order that keeps its place.
    pub fn set_leaves(&mut self, price: Price, priority: u64, leaves: i64) {
        if let Ok(at) = self.find(price, priority) {
            self.orders[at].leaves = leaves;
        }
    }

    /// The first to trade.
    pub fn best(&self) -> Option<&Resting> {
        self.orders.last()
    }

    /// First to trade first.
    pub fn iter(&self) -> impl Iterator<Item = &Resting> + '_ {
        self.orders.iter().rev()
    }

    fn level(&mut self, price: Price) -> &mut [Resting] {
        let rank = self.rank(price);
        // Nearly every update of the ambient book is at a price where none of ours rests.
        let outside = |o: Option<&Resting>, out: fn(i64, i64) -> bool| o.is_none_or(|o| out(self.rank(o.price), rank));
        if outside(self.orders.last(), |best, rank| best < rank)
            || outside(self.orders.first(), |worst, rank| worst > rank)
        {
            return &mut [];
        }
        let (buy, orders) = (self.side.sign(), &self.orders);
        let from = orders.partition_point(|o| o.price.0 * buy < rank);
        let to = orders.partition_point(|o| o.price.0 * buy <= rank);
        &mut self.orders[from..to]
    }

    /// Whether an order of ours rests at `price`.
    pub fn rests_at(&mut self, price: Price) -> bool {
        !self.level(price).is_empty()
    }

    /// `qty` of the ambient quantity at the head of the level is gone.
    pub fn eat_ahead(&mut self, price: Price, qty: i64) {
        for o in self.level(price) {
            o.ahead = (o.ahead - qty).max(0);
        }
    }

    /// The tape reported a trade of `qty` at `price`: so much of the level's next decrease is explained.
    pub fn explain(&mut self, price: Price, qty: i64) {
        for o in self.level(price) {
            o.explained = o.explained.saturating_add(qty);
        }
    }

    /// The tape gave the level's size anew: `old` is what the ambient book showed until now.
    pub fn level_changed(&mut self, price: Price, old: i64, new: i64, model: QueueModel) {
        for o in self.level(price) {
            let traded = std::mem::take(&mut o.explained);
            if model == QueueModel::Proportional {
                let base = old.saturating_sub(traded);
                let cancelled = base.saturating_sub(new);
                if cancelled > 0 && base > 0 {
                    let share = i128::from(o.ahead) * i128::from(cancelled) / i128::from(base);
                    o.ahead -= (share as i64).min(o.ahead);
                }
            }
            o.ahead = o.ahead.min(new);
        }
    }

    /// The level's size is known again after a gap: nothing is known of what happened in between.
    pub fn level_known(&mut self, price: Price, new: i64) {
        for o in self.level(price) {
            o.explained = 0;
            o.ahead = o.ahead.min(new);
        }
    }

    /// Each distinct price with orders of ours, best first.
    pub fn next_price_after(&self, price: Option<Price>) -> Option<Price> {
        match price {
            None => self.orders.last().map(|o| o.price),
            Some(p) => {
                let rank = self.rank(p);
                let below = self.orders.partition_point(|o| self.rank(o.price) < rank);
                below.checked_sub(1).map(|at| self.orders[at].price)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(orders: &[(i64, i64)]) -> Queue {
        let mut q = Queue::new(Side::Buy);
        for (n, (price, ahead)) in orders.iter().enumerate() {
            q.insert(Resting {
                price: Price(*price),
                priority: n as u64,
                slot: n as u32,
                account: 0,
                leaves: 1,
                ahead: *ahead,
                explained: 0,
            });
        }
        q
    }

    fn aheads(q: &Queue) -> Vec<i64> {
        q.iter().map(|o| o.ahead).collect()
    }

    #[test]
    fn price_then_time() {
        let q = queue(&[(10, 0), (12, 0), (10, 0), (11, 0)]);
        assert_eq!(q.iter().map(|o| (o.price.0, o.priority)).collect::<Vec<_>>(), [(12, 1), (11, 3), (10, 0), (10, 2)]);
        assert_eq!(q.next_price_after(None), Some(Price(12)));
        assert_eq!(q.next_price_after(Some(Price(12))), Some(Price(11)));
        assert_eq!(q.next_price_after(Some(Price(10))), None);
    }

    #[test]
    fn conservative_moves_only_by_trades_and_when_the_level_is_smaller() {
        let mut q = queue(&[(10, 6), (10, 9)]);
        q.level_changed(Price(10), 9, 7, QueueModel::Conservative);
        assert_eq!(aheads(&q), [6, 7]);
        q.eat_ahead(Price(10), 2);
        assert_eq!(aheads(&q), [4, 5]);
        q.level_changed(Price(10), 7, 20, QueueModel::Conservative);
        assert_eq!(aheads(&q), [4, 5]);
    }

    #[test]
    fn proportional_counts_cancels_in_part() {
        // 30 ahead of 100; 40 leave, 10 of them by trades that already moved us to 20: floor(20 * 30 / 90) = 6.
        let mut q = queue(&[(10, 30)]);
        q.eat_ahead(Price(10), 10);
        q.explain(Price(10), 10);
        q.level_changed(Price(10), 100, 60, QueueModel::Proportional);
        assert_eq!(aheads(&q), [14]);
        // The trades explained that update only: floor(14 * 15 / 60) = 3.
        q.level_changed(Price(10), 60, 45, QueueModel::Proportional);
        assert_eq!(aheads(&q), [11]);
    }
}
