//! How words and maps look in a kept state. Never: what they mean.

use serde::{Deserialize, Deserializer};

/// A word of the venue that is in this program's own tables.
pub(crate) type Word = &'static str;

const WORDS: &[&str] = &[
    "LIMIT",
    "MARKET",
    "LIMIT_MAKER",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
    "LIQUIDATION",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "NEW",
    "CANCELED",
    "TRIGGERING",
    "TRIGGERED",
    "FINISHED",
    "REJECTED",
    "EXPIRED",
    "REALIZED_PNL",
    "COMMISSION",
    "FUNDING_FEE",
    "TRANSFER",
    "INSURANCE_CLEAR",
];

pub(crate) fn word<'de, D: Deserializer<'de>>(d: D) -> Result<Word, D::Error> {
    let text = String::deserialize(d)?;
    let known = WORDS.iter().find(|w| **w == text);
    known.copied().ok_or_else(|| serde::de::Error::custom(format!("unknown word {text}")))
}

/// Maps whose keys are no texts, as lists of pairs, the same for the same map.
pub(crate) mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::{BTreeMap, HashMap};
    use std::hash::Hash;

    pub trait Map {
        type Key;
        type Value;

        fn pairs(&self) -> Vec<(&Self::Key, &Self::Value)>;
    }

    impl<K: Ord, V> Map for BTreeMap<K, V> {
        type Key = K;
        type Value = V;

        fn pairs(&self) -> Vec<(&K, &V)> {
            self.iter().collect()
        }
    }

    impl<K: Ord + Hash, V> Map for HashMap<K, V> {
        type Key = K;
        type Value = V;

        fn pairs(&self) -> Vec<(&K, &V)> {
            let mut list: Vec<_> = self.iter().collect();
            list.sort_unstable_by(|a, b| a.0.cmp(b.0));
            list
        }
    }

    pub fn serialize<M: Map<Key: Serialize, Value: Serialize>, S: Serializer>(
        map: &M,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(map.pairs())
    }

    pub fn deserialize<'de, M, D>(d: D) -> Result<M, D::Error>
    where
        M: Map + FromIterator<(M::Key, M::Value)>,
        M::Key: Deserialize<'de>,
        M::Value: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(M::Key, M::Value)>::deserialize(d)?.into_iter().collect())
    }
}
