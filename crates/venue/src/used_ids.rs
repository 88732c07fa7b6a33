//! Which client order ids an account has used, for ever, in bounded memory.
//! Never: lets a used id through. Never-used ids far in the past may be refused once the bound is reached.

use ctos_types::{ClientOrderId, InstanceTag};
use serde::{Deserialize, Serialize};

/// Ranges kept for one account and tag (16 bytes each).
const RANGES_KEPT: usize = 16_384;

/// The used sequences of each tag as disjoint ranges.
///
/// A client that counts up costs one range. Gaps cost one each; beyond `RANGES_KEPT` the two lowest ranges of the
/// tag become one, so the ids in the oldest gap count as used: refused rather than ever accepted twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedIds(Vec<(InstanceTag, Vec<(u64, u64)>)>);

impl UsedIds {
    pub fn contains(&self, id: ClientOrderId) -> bool {
        let Ok(at) = self.0.binary_search_by_key(&id.tag, |(tag, _)| *tag) else { return false };
        let ranges = &self.0[at].1;
        let after = ranges.partition_point(|(first, _)| *first <= id.seq);
        after > 0 && ranges[after - 1].1 >= id.seq
    }

    /// Marks `id` as used; marking twice is harmless.
    pub fn insert(&mut self, id: ClientOrderId) {
        if self.contains(id) {
            return;
        }
        let at = self.0.binary_search_by_key(&id.tag, |(tag, _)| *tag).unwrap_or_else(|at| {
            self.0.insert(at, (id.tag, Vec::new()));
            at
        });
        let ranges = &mut self.0[at].1;
        let after = ranges.partition_point(|(first, _)| *first <= id.seq);
        let joins_left = after > 0 && ranges[after - 1].1.checked_add(1) == Some(id.seq);
        let joins_right = ranges.get(after).is_some_and(|(first, _)| id.seq.checked_add(1) == Some(*first));
        match (joins_left, joins_right) {
            (true, true) => ranges[after - 1].1 = ranges.remove(after).1,
            (true, false) => ranges[after - 1].1 = id.seq,
            (false, true) => ranges[after].0 = id.seq,
            (false, false) => ranges.insert(after, (id.seq, id.seq)),
        }
        if ranges.len() > RANGES_KEPT {
            let lowest = ranges.remove(0);
            ranges[0].0 = lowest.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn id(tag: u32, seq: u64) -> ClientOrderId {
        ClientOrderId { tag: InstanceTag(tag), seq }
    }

    proptest! {
        #[test]
        fn same_as_a_set(ids in prop::collection::vec((0u32..3, 0u64..40), 0..200)) {
            let (mut used, mut set) = (UsedIds::default(), BTreeSet::new());
            for (tag, seq) in ids {
                prop_assert_eq!(used.contains(id(tag, seq)), set.contains(&(tag, seq)));
                used.insert(id(tag, seq));
                set.insert((tag, seq));
            }
            for (tag, seq) in (0..3).flat_map(|t| (0..42).map(move |s| (t, s))) {
                prop_assert_eq!(used.contains(id(tag, seq)), set.contains(&(tag, seq)));
            }
        }
    }

    #[test]
    fn bounded_and_never_forgets() {
        let mut used = UsedIds::default();
        for n in 0..40_000 {
            used.insert(id(1, n * 2));
        }
        assert_eq!(used.0[0].1.len(), RANGES_KEPT);
        assert!((0..40_000).all(|n| used.contains(id(1, n * 2))));
        assert!(!used.contains(id(1, 79_997)), "a recent gap is still free");
        used.insert(id(1, u64::MAX));
        assert!(used.contains(id(1, u64::MAX)));
    }
}
