//! Things under way, sorted by arrival; equal times keep the order in which they were sent.

use ctos_types::{EventBuf, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Items<T>")]
pub struct TimedQueue<T = Box<EventBuf>> {
    items: VecDeque<(UnixNanos, T)>,
    /// Of the first item; the end of time when there is none. Asked several times an event.
    #[serde(skip)]
    due: UnixNanos,
}

/// What is saved of a queue.
#[derive(Deserialize)]
struct Items<T> {
    items: VecDeque<(UnixNanos, T)>,
}

impl<T> From<Items<T>> for TimedQueue<T> {
    fn from(saved: Items<T>) -> Self {
        let mut queue = TimedQueue { items: saved.items, due: UnixNanos::MAX };
        queue.look();
        queue
    }
}

impl<T> Default for TimedQueue<T> {
    fn default() -> Self {
        TimedQueue { items: VecDeque::new(), due: UnixNanos::MAX }
    }
}

impl<T> TimedQueue<T> {
    /// When the first arrives; the end of time when there is none.
    #[inline]
    pub fn due(&self) -> UnixNanos {
        self.due
    }

    fn look(&mut self) {
        self.due = self.items.front().map_or(UnixNanos::MAX, |(at, _)| *at);
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn clear(&mut self) {
        self.items.clear();
        self.look();
    }

    /// For one ordered stream: arrives not before what was sent earlier.
    pub fn push_in_order(&mut self, at: UnixNanos, item: T) {
        let at = self.items.back().map_or(at, |(last, _)| at.max(*last));
        self.items.push_back((at, item));
        self.due = self.due.min(at);
    }

    /// For a stream whose parts overtake each other, as recorded feeds do.
    pub fn push_sorted(&mut self, at: UnixNanos, item: T) {
        // Recordings are nearly sorted: the place is at or near the end.
        let behind = self.items.iter().rev().take_while(|(other, _)| *other > at).count();
        if behind == 0 {
            self.items.push_back((at, item));
        } else {
            self.items.insert(self.items.len() - behind, (at, item));
        }
        self.due = self.due.min(at);
    }

    #[inline]
    pub fn pop(&mut self) -> Option<(UnixNanos, T)> {
        let first = self.items.pop_front();
        self.look();
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_streams_do_not_overtake() {
        let mut q = TimedQueue::default();
        q.push_in_order(UnixNanos(10), 'a');
        q.push_in_order(UnixNanos(5), 'b');
        q.push_in_order(UnixNanos(20), 'c');
        let all: Vec<_> = std::iter::from_fn(|| q.pop()).map(|(at, c)| (at.0, c)).collect();
        assert_eq!(all, [(10, 'a'), (10, 'b'), (20, 'c')]);
        assert_eq!(q.due(), UnixNanos::MAX);
    }

    #[test]
    fn recorded_streams_are_sorted_and_stable() {
        let mut q = TimedQueue::default();
        for (at, n) in [(5, 0), (9, 1), (7, 2), (7, 3), (1, 4)] {
            q.push_sorted(UnixNanos(at), n);
        }
        let all: Vec<_> = std::iter::from_fn(|| q.pop()).map(|(at, n)| (at.0, n)).collect();
        assert_eq!(all, [(1, 4), (5, 0), (7, 2), (7, 3), (9, 1)]);
    }
}
