//! Serialises hash maps whose keys are not text as lists of pairs in key order, because JSON keys must be text.
//! Never: leaks the map's own order.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::Hash;

pub fn serialize<K: Serialize + Ord, V: Serialize, S: Serializer>(
    map: &FxHashMap<K, V>,
    s: S,
) -> Result<S::Ok, S::Error> {
    let mut pairs: Vec<(&K, &V)> = map.iter().collect();
    pairs.sort_by_key(|(k, _)| *k);
    s.collect_seq(pairs)
}

pub fn deserialize<'de, K, V, D>(d: D) -> Result<FxHashMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Eq + Hash,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Vec::<(K, V)>::deserialize(d)?.into_iter().collect())
}
