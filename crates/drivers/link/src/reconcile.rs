//! The safety net: asks for open orders and positions at a steady pace, and compares what both sides hold.
//! Never: takes a failed query for an empty account, or a symbol that the venue leaves out for agreement.

use ctos_types::{InstrumentId, Leg, Nanos, Qty, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};

/// A question that fails is asked again after this at the latest: until it is answered no new risk is allowed.
const SLOWEST: Nanos = Nanos::from_secs(45);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    OpenOrders,
    Positions,
    Balances,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    pub open_orders: Nanos,
    pub positions: Nanos,
    pub balances: Nanos,
    /// After this many failures in a row the owner is told that the account is not known.
    pub blind_after: u32,
}

impl Default for ScheduleConfig {
    fn default() -> ScheduleConfig {
        ScheduleConfig {
            open_orders: Nanos::from_secs(8),
            positions: Nanos::from_secs(45),
            balances: Nanos::from_secs(60),
            blind_after: 3,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    every: Nanos,
    due: UnixNanos,
    under_way: bool,
    failures: u32,
    confirmed: Option<UnixNanos>,
}

/// When to ask for what. One per account; the requests themselves go through the account's limiter.
#[derive(Debug)]
pub struct Schedule {
    slots: BTreeMap<Subject, Slot>,
    blind_after: u32,
}

impl Schedule {
    /// The subjects are spread over the first interval by `random`, so that many accounts do not ask together.
    pub fn new(config: ScheduleConfig, now: UnixNanos, random: u64) -> Schedule {
        let every = [
            (Subject::OpenOrders, config.open_orders),
            (Subject::Positions, config.positions),
            (Subject::Balances, config.balances),
        ];
        let slot = |every: Nanos, i: u64| Slot {
            every,
            due: now.after(Nanos((random.rotate_left(i as u32 * 16) % every.0.max(1) as u64) as i64)),
            under_way: false,
            failures: 0,
            confirmed: None,
        };
        let slots = every.into_iter().enumerate().map(|(i, (subject, every))| (subject, slot(every, i as u64)));
        Schedule { slots: slots.collect(), blind_after: config.blind_after }
    }

    /// A subject that the venue does not have (positions on spot).
    pub fn without(mut self, subject: Subject) -> Schedule {
        self.slots.remove(&subject);
        self
    }

    /// When something is due, and what.
    pub fn deadline(&self) -> Option<(UnixNanos, Subject)> {
        self.slots.iter().filter(|(_, s)| !s.under_way).map(|(subject, s)| (s.due, *subject)).min()
    }

    /// What is to be asked now. Each answer, and each failure, must come back with [`Schedule::done`].
    pub fn due(&mut self, now: UnixNanos) -> Vec<Subject> {
        let due = self.slots.iter_mut().filter(|(_, s)| !s.under_way && s.due <= now);
        due.map(|(subject, s)| {
            s.under_way = true;
            *subject
        })
        .collect()
    }

    /// As soon as possible: after a gap in the user stream, a 5xx storm, a start.
    pub fn hurry(&mut self, now: UnixNanos) {
        self.slots.values_mut().for_each(|s| s.due = s.due.min(now));
    }

    /// This subject not later than `at`; what is under way is not asked twice.
    pub fn sooner(&mut self, subject: Subject, at: UnixNanos) {
        if let Some(slot) = self.slots.get_mut(&subject) {
            slot.due = slot.due.min(at);
        }
    }

    /// Subjects that the venue has.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        self.slots.keys().copied()
    }

    /// How the question ended: `Err` with the pause that the venue or the limiter asked for, zero if none.
    pub fn done(&mut self, now: UnixNanos, subject: Subject, result: Result<(), Nanos>) {
        let Some(slot) = self.slots.get_mut(&subject) else { return };
        slot.under_way = false;
        match result {
            Ok(()) => {
                slot.failures = 0;
                slot.confirmed = Some(now);
                slot.due = now.after(slot.every);
            }
            Err(pause) => {
                slot.failures = slot.failures.saturating_add(1);
                // Not faster than usual, and slower the longer it fails: a venue in trouble is not helped by questions.
                let slower = slot.every.0.saturating_mul(1 << slot.failures.min(4).saturating_sub(1));
                let slower = slower.min(SLOWEST.0.max(slot.every.0));
                slot.due = now.after(Nanos(slower.max(pause.0)));
            }
        }
    }

    /// When the venue last confirmed this.
    pub fn confirmed(&self, subject: Subject) -> Option<UnixNanos> {
        self.slots.get(&subject).and_then(|s| s.confirmed)
    }

    /// Subjects that failed so often that what is held there is not known: new risk must wait.
    pub fn blind(&self) -> impl Iterator<Item = Subject> + '_ {
        self.slots.iter().filter(|(_, s)| s.failures >= self.blind_after).map(|(subject, _)| *subject)
    }
}

/// A difference between what we hold to be true and what the venue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference<K> {
    pub key: K,
    pub ours: Qty,
    pub theirs: Qty,
}

/// Compares by the union of both sides. `theirs`: `None` where the query failed, which agrees with nothing and differs
/// from nothing. A key that one side leaves out is zero there: venues list only what is not flat.
pub fn compare<K: Ord + Copy>(
    ours: &BTreeMap<K, Qty>,
    theirs: Option<&BTreeMap<K, Qty>>,
) -> Option<Vec<Difference<K>>> {
    let theirs = theirs?;
    let keys: BTreeSet<K> = ours.keys().chain(theirs.keys()).copied().collect();
    let side = |map: &BTreeMap<K, Qty>, key: &K| map.get(key).copied().unwrap_or(Qty::ZERO);
    let rows = keys.into_iter().map(|key| Difference { key, ours: side(ours, &key), theirs: side(theirs, &key) });
    Some(rows.filter(|d| d.ours != d.theirs).collect())
}

/// A difference that stood through several comparisons. One that comes and goes is a fill on its way.
#[derive(Debug)]
pub struct Persistent<K> {
    needed: u32,
    seen: BTreeMap<K, (Difference<K>, u32)>,
}

/// What positions are compared by.
pub type PositionKey = (InstrumentId, Leg);

impl<K: Ord + Copy> Persistent<K> {
    /// `needed` comparisons in a row must show the same difference. At least 1.
    pub fn new(needed: u32) -> Persistent<K> {
        Persistent { needed: needed.max(1), seen: BTreeMap::new() }
    }

    /// Takes a comparison; gives the differences that have stood long enough, each once until it changes. A failed
    /// comparison changes nothing.
    pub fn on_compared(&mut self, differences: Option<&[Difference<K>]>) -> Vec<Difference<K>> {
        let Some(differences) = differences else { return Vec::new() };
        let now: BTreeSet<K> = differences.iter().map(|d| d.key).collect();
        self.seen.retain(|key, _| now.contains(key));
        let mut stood = Vec::new();
        for difference in differences {
            let entry = self.seen.entry(difference.key).or_insert((*difference, 0));
            if entry.0.ours != difference.ours || entry.0.theirs != difference.theirs {
                *entry = (*difference, 0);
            }
            entry.1 += 1;
            if entry.1 == self.needed {
                stood.push(*difference);
            }
        }
        stood
    }

    /// Whether anything differs now.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: i64) -> UnixNanos {
        UnixNanos::from_secs(s)
    }

    #[test]
    fn asks_at_its_pace_and_more_slowly_while_the_venue_fails() {
        let mut schedule = Schedule::new(ScheduleConfig::default(), at(0), 0).without(Subject::Positions);
        assert_eq!(schedule.due(at(0)), [Subject::OpenOrders, Subject::Balances]);
        assert_eq!(schedule.due(at(1)), [], "one question at a time");
        schedule.done(at(1), Subject::OpenOrders, Ok(()));
        assert_eq!(schedule.deadline(), Some((at(9), Subject::OpenOrders)));
        for (i, (now, next)) in [(9, 17), (17, 33), (33, 65), (65, 110), (110, 155)].into_iter().enumerate() {
            assert_eq!(schedule.due(at(now)), [Subject::OpenOrders]);
            schedule.done(at(now), Subject::OpenOrders, Err(Nanos::ZERO));
            assert_eq!(schedule.deadline(), Some((at(next), Subject::OpenOrders)));
            assert_eq!(schedule.blind().count(), usize::from(i >= 2));
        }
        schedule.hurry(at(130));
        assert_eq!(schedule.due(at(130)), [Subject::OpenOrders]);
        schedule.done(at(130), Subject::OpenOrders, Err(Nanos::from_secs(600)));
        assert_eq!(schedule.deadline(), Some((at(730), Subject::OpenOrders)), "a ban is waited for");
        assert_eq!(schedule.confirmed(Subject::OpenOrders), Some(at(1)));
    }

    #[test]
    fn a_difference_must_stand_and_is_told_once() {
        let key = |i| (InstrumentId(i), Leg::Net);
        let ours = BTreeMap::from([(key(0), Qty(5)), (key(1), Qty(7))]);
        let theirs = BTreeMap::from([(key(0), Qty(5)), (key(2), Qty(-1))]);
        assert_eq!(compare(&ours, None), None, "a failed query is not an empty account");
        let differences = compare(&ours, Some(&theirs)).unwrap();
        let row = |i, ours, theirs| Difference { key: key(i), ours: Qty(ours), theirs: Qty(theirs) };
        assert_eq!(differences, [row(1, 7, 0), row(2, 0, -1)]);
        let mut persistent = Persistent::new(2);
        assert_eq!(persistent.on_compared(Some(&differences)), []);
        assert_eq!(persistent.on_compared(None), []);
        assert_eq!(persistent.on_compared(Some(&differences[..1])), [differences[0]]);
        assert_eq!(persistent.on_compared(Some(&differences)), [], "told, and the other begins anew");
        assert_eq!(persistent.on_compared(Some(&[row(1, 7, 1), row(2, 0, -1)])), [row(2, 0, -1)]);
        assert_eq!(persistent.on_compared(Some(&[])), []);
        assert!(persistent.is_empty());
    }

    proptest! {
        #[test]
        fn the_union_is_compared(
            ours in prop::collection::btree_map(0u8..8, -3i64..3, 0..8),
            theirs in prop::collection::btree_map(0u8..8, -3i64..3, 0..8),
        ) {
            let of = |m: &BTreeMap<u8, i64>| m.iter().map(|(k, v)| (*k, Qty(*v))).collect::<BTreeMap<_, _>>();
            let differences = compare(&of(&ours), Some(&of(&theirs))).unwrap();
            for key in 0u8..8 {
                let at = |m: &BTreeMap<u8, i64>| m.get(&key).copied().unwrap_or(0);
                prop_assert_eq!(at(&ours) != at(&theirs), differences.iter().any(|d| d.key == key));
            }
        }
    }
}
