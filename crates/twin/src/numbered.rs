//! A list whose rows keep their numbers when old ones are forgotten.
//! Never: gives a number twice, unless the newest row is taken back.

use crate::saved::pairs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    next: usize,
    #[serde(with = "pairs", bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    rows: BTreeMap<usize, T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Numbered<T> {
        Numbered { next: 0, rows: BTreeMap::new() }
    }
}

impl<T> Numbered<T> {
    /// The number of the next row, and how many there ever were.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Rows that are remembered.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn push(&mut self, row: T) -> usize {
        let number = self.next;
        self.rows.insert(number, row);
        self.next += 1;
        number
    }

    pub fn get(&self, number: usize) -> Option<&T> {
        self.rows.get(&number)
    }

    /// The oldest.
    pub fn first(&self) -> Option<(usize, &T)> {
        self.rows.first_key_value().map(|(n, row)| (*n, row))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }

    pub fn numbers(&self) -> impl DoubleEndedIterator<Item = (usize, &T)> {
        self.rows.iter().map(|(n, row)| (*n, row))
    }

    pub fn forget(&mut self, number: usize) -> Option<T> {
        self.rows.remove(&number)
    }

    /// The newest row never was.
    pub fn take_back(&mut self) {
        if self.next > 0 && self.rows.remove(&(self.next - 1)).is_some() {
            self.next -= 1;
        }
    }
}

impl<T> Index<usize> for Numbered<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.rows[&number]
    }
}

impl<T> IndexMut<usize> for Numbered<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        self.rows.get_mut(&number).expect("a row that is remembered")
    }
}
