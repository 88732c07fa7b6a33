//! Serialises maps whose keys are not text as lists of pairs, because JSON object keys must be text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub fn serialize<'a, K, V, M, S>(map: &'a M, s: S) -> Result<S::Ok, S::Error>
where
    K: Serialize + 'a,
    V: Serialize + 'a,
    &'a M: IntoIterator<Item = (&'a K, &'a V)>,
    S: Serializer,
{
    s.collect_seq(map)
}

pub fn deserialize<'de, K, V, M, D>(d: D) -> Result<M, D::Error>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    M: FromIterator<(K, V)>,
    D: Deserializer<'de>,
{
    Ok(Vec::<(K, V)>::deserialize(d)?.into_iter().collect())
}
