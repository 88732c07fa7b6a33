//! Differences that may be nothing: fills on their way, an answer that was true a moment ago.
//! Never: treats one that was seen once.

use ctos_types::{Decimal, Nanos, UnixNanos};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Looks in a row with the same difference, with the holding at rest around each of them.
const NEEDED: u32 = 2;
/// The same where it never rests.
const NEEDED_RESTLESS: u32 = 6;

/// So little is rounding: a ten-millionth of a coin.
pub(super) const DUST: Decimal = Decimal::from_atoms(100_000_000_000);

/// Whether two looks saw the same difference in money. The venue rounds every profit to the digits of its balances, and
/// the sums here keep more: while an account trades, one difference is seen a little differently by each look.
pub(super) fn is_near(a: Decimal, b: Decimal, within: Decimal) -> bool {
    a.checked_sub(b).is_ok_and(|off| off.abs() <= within)
}

#[derive(Debug)]
struct Suspect<D> {
    by: D,
    seen: u32,
    quiet: u32,
    /// When the last look that counted was asked for.
    asked: UnixNanos,
}

/// Differences by what they are of.
#[derive(Debug)]
pub(super) struct Suspects<K, D>(BTreeMap<K, Suspect<D>>);

impl<K, D> Default for Suspects<K, D> {
    fn default() -> Self {
        Suspects(BTreeMap::new())
    }
}

/// What to do about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Seen for the first time: find out, and look again soon.
    New,
    /// Not yet certain.
    Wait,
    /// It stands: treat it.
    Stands,
}

impl<K: Ord + Copy, D: Copy> Suspects<K, D> {
    /// Both sides agree.
    pub fn clear(&mut self, key: K) {
        self.0.remove(&key);
    }

    /// They differ by `by`, in a look that was asked for then. `quiet`: nothing was under way that could explain it.
    /// Looks count when they are `apart`: two in one breath are one, as what explains the difference takes its time.
    /// `same`: whether two looks saw the same difference.
    pub fn judge(
        &mut self,
        key: K,
        by: D,
        same: impl Fn(D, D) -> bool,
        quiet: bool,
        asked: UnixNanos,
        apart: Nanos,
    ) -> Judged {
        let new = Suspect { by, seen: 0, quiet: 0, asked };
        let suspect = match self.0.entry(key) {
            Entry::Occupied(o) if same(o.get().by, by) => o.into_mut(),
            Entry::Occupied(o) => {
                let suspect = o.into_mut();
                *suspect = new;
                suspect
            }
            Entry::Vacant(v) => v.insert(new),
        };
        if suspect.seen > 0 && asked < suspect.asked.after(apart) {
            return Judged::Wait;
        }
        suspect.by = by;
        suspect.asked = asked;
        suspect.seen += 1;
        suspect.quiet += u32::from(quiet);
        if suspect.quiet >= NEEDED || suspect.seen >= NEEDED_RESTLESS {
            self.0.remove(&key);
            return Judged::Stands;
        }
        if suspect.seen == 1 { Judged::New } else { Judged::Wait }
    }

    /// Whether something differs that nothing under way explains.
    pub fn any(&self) -> bool {
        self.0.values().any(|s| s.quiet > 0)
    }

    pub fn keys(&self) -> Vec<K> {
        self.0.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roundings_make_of_a_difference_is_the_same_difference() {
        let mut s: Suspects<u8, Decimal> = Suspects::default();
        let apart = Nanos::from_secs(3);
        let mut clock = UnixNanos::from_secs(0);
        let mut judge = |s: &mut Suspects<u8, Decimal>, by: &str| {
            clock = clock.after(apart);
            s.judge(1, by.parse().expect("a number"), |a, b| is_near(a, b, DUST), false, clock, apart)
        };
        assert_eq!(judge(&mut s, "0.003746622"), Judged::New);
        // Each look a rounding away from the one before, in sum more than dust.
        for by in ["0.003746552", "0.003746482", "0.003746412", "0.003746342"] {
            assert_eq!(judge(&mut s, by), Judged::Wait, "{by}");
        }
        assert_eq!(judge(&mut s, "0.003746272"), Judged::Stands);
        assert_eq!(judge(&mut s, "0.0037"), Judged::New);
        assert_eq!(judge(&mut s, "0.0038"), Judged::New, "more than roundings");
        assert_eq!(judge(&mut s, "-0.0038"), Judged::New);
    }

    #[test]
    fn only_what_stands_still_is_treated() {
        let mut s: Suspects<u8, i64> = Suspects::default();
        let apart = Nanos::from_secs(3);
        let mut clock = UnixNanos::from_secs(0);
        let mut judge = |s: &mut Suspects<u8, i64>, key, by, quiet| {
            clock = clock.after(apart);
            s.judge(key, by, |a, b| a == b, quiet, clock, apart)
        };
        assert_eq!(judge(&mut s, 1, 5, true), Judged::New);
        assert!(s.any());
        assert_eq!(judge(&mut s, 1, 4, true), Judged::New, "another difference begins anew");
        assert_eq!(judge(&mut s, 1, 4, false), Judged::Wait);
        assert_eq!(judge(&mut s, 1, 4, true), Judged::Stands);
        assert!(!s.any());
        for n in 1..NEEDED_RESTLESS {
            assert_eq!(judge(&mut s, 2, 1, false), if n == 1 { Judged::New } else { Judged::Wait });
            assert!(!s.any(), "something under way may explain it");
        }
        assert_eq!(judge(&mut s, 2, 1, false), Judged::Stands);
    }

    #[test]
    fn looks_in_one_breath_are_one() {
        let mut s: Suspects<u8, i64> = Suspects::default();
        let at = |ms| UnixNanos::from_secs(100).after(Nanos::from_millis(ms));
        let mut judge = |ms| s.judge(1, 5, |a, b| a == b, true, at(ms), Nanos::from_secs(3));
        assert_eq!(judge(0), Judged::New);
        for ms in [0, 1, 20, 2_999] {
            assert_eq!(judge(ms), Judged::Wait, "{ms} ms after the first");
        }
        assert_eq!(judge(3_000), Judged::Stands);
    }
}
