//! A small map as one sorted list: an account has a handful of currencies, positions and exposures, and looking one up
//! there must cost less than a walk through a tree.
//! Never: for what grows with the length of a run.

use serde::{Deserialize, Serialize};

/// A map in order of its keys, saved as a list of pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Table<K, V>(Vec<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<K: Ord + Copy, V> Table<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        // The only entry, or the first of a few, is the usual answer.
        match self.0.first() {
            Some((first, _)) if first == key => Ok(0),
            _ => self.0.binary_search_by(|(k, _)| k.cmp(key)),
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// The value at `key`, a new one where there was none.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = self.find(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, V::default()));
            at
        });
        &mut self.0[at].1
    }

    pub fn iter(&self) -> std::slice::Iter<'_, (K, V)> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// Entries from `first` to `last`, both included.
    pub fn range(&self, first: K, last: K) -> &[(K, V)] {
        let from = self.0.partition_point(|(k, _)| *k < first);
        let to = self.0.partition_point(|(k, _)| *k <= last);
        &self.0[from..to.max(from)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map_in_order(steps in prop::collection::vec((0u8..20, any::<u16>()), 0..80), a in 0u8..20, b in 0u8..20) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (key, value) in steps {
                *table.entry(key) = value;
                map.insert(key, value);
                prop_assert_eq!(table.get(&key), Some(&value));
            }
            prop_assert!(table.iter().map(|(k, v)| (k, v)).eq(&map));
            let (first, last) = (a.min(b), a.max(b));
            prop_assert!(table.range(first, last).iter().map(|(k, v)| (k, v)).eq(map.range(first..=last)));
            prop_assert_eq!(table.contains(&a), map.contains_key(&a));
            let text = serde_json::to_string(&table).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Table<u8, u16>>(&text).unwrap(), &table);
        }
    }
}
