//! Things under way, sorted by arrival; equal times keep the order in which they were sent.

use ctos_types::{EventBuf, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimedQueue<T = EventBuf> {
    items: VecDeque<(UnixNanos, T)>,
    /// Emptied buffers, so that a steady stream settles into no allocation.
    #[serde(skip, default = "Vec::new")]
    spare: Vec<T>,
}

impl<T> Default for TimedQueue<T> {
    fn default() -> Self {
        TimedQueue { items: VecDeque::new(), spare: Vec::new() }
    }
}

impl<T> TimedQueue<T> {
    /// When the first arrives; the end of time when there is none.
    pub fn due(&self) -> UnixNanos {
        self.items.front().map_or(UnixNanos::MAX, |(at, _)| *at)
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// For one ordered stream: arrives not before what was sent earlier.
    pub fn push_in_order(&mut self, at: UnixNanos, item: T) {
        let at = self.items.back().map_or(at, |(last, _)| at.max(*last));
        self.items.push_back((at, item));
    }

    pub fn pop(&mut self) -> Option<(UnixNanos, T)> {
        self.items.pop_front()
    }
}

impl TimedQueue<EventBuf> {
    /// For a stream whose parts overtake each other, as recorded feeds do.
    pub fn push_sorted(&mut self, at: UnixNanos, event: &EventBuf) {
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.set(event.as_event());
        // Recordings are nearly sorted: the place is at or near the end.
        let mut place = self.items.len();
        while place > 0 && self.items[place - 1].0 > at {
            place -= 1;
        }
        if place == self.items.len() {
            self.items.push_back((at, buf));
        } else {
            self.items.insert(place, (at, buf));
        }
    }

    /// Moves the first event into `out` and keeps `out`'s old storage for later.
    pub fn pop_into(&mut self, out: &mut EventBuf) -> Option<UnixNanos> {
        let (at, buf) = self.items.pop_front()?;
        self.spare.push(std::mem::replace(out, buf));
        Some(at)
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
        use ctos_types::Control;
        let mut q = TimedQueue::default();
        let event = |n: u64| EventBuf::from(Control::Watchdog { seq: n, strategy: None });
        for (at, n) in [(5, 0), (9, 1), (7, 2), (7, 3), (1, 4)] {
            q.push_sorted(UnixNanos(at), &event(n));
        }
        let mut out = EventBuf::default();
        let mut seen = Vec::new();
        while let Some(at) = q.pop_into(&mut out) {
            seen.push((at.0, out.clone()));
        }
        assert_eq!(seen, [(1, 4), (5, 0), (7, 2), (7, 3), (9, 1)].map(|(at, n)| (at, event(n))));
    }
}
