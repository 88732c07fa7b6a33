use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

struct Case {
    entry: Entry,
    out: Vec<Wish>,
}

impl Case {
    fn new() -> Case {
        Case { entry: Entry::new(BaseNo(3), "wss://orders".into()), out: Vec::new() }
    }

    /// Open since `at(0)`.
    fn open() -> (Case, SocketKey) {
        let mut case = Case::new();
        let key = case.connects(at(0));
        case.entry.opened(at(0), key.link, &mut case.out);
        assert!(matches!(&case.out[..], [Wish::Tell(Notice::Info(text))] if text.contains("wss://orders")));
        case.out.clear();
        (case, key)
    }

    fn advance(&mut self, now: UnixNanos) -> Vec<Wish> {
        self.entry.advance(now, None, &mut self.out);
        self.take()
    }

    fn take(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.out)
    }

    #[track_caller]
    fn connects(&mut self, now: UnixNanos) -> SocketKey {
        let wishes = self.advance(now);
        let [Wish::Connect(key, address)] = &wishes[..] else { panic!("{wishes:?}") };
        assert_eq!((key.part, key.socket, address.as_str()), (ENTRY, SocketNo(3), "wss://orders"));
        *key
    }

    fn closed(&mut self, now: UnixNanos, key: SocketKey) -> Vec<Wish> {
        self.entry.closed(now, key.link, "gone", &mut self.out);
        self.take()
    }

    fn replied(&mut self, now: UnixNanos, key: SocketKey, ticket: u64) -> bool {
        self.entry.replied(now, key.link, Some(Ticket(ticket)), &mut self.out)
    }
}

fn unknown(wishes: &[Wish]) -> Vec<u64> {
    wishes.iter().filter_map(|w| if let Wish::Unknown(t, _) = w { Some(t.0) } else { None }).collect()
}

#[test]
fn messages_of_a_socket_that_ends_are_unknown_and_it_is_opened_again() {
    let (mut case, key) = Case::open();
    assert_eq!(case.entry.usable(at(1)), Some(key));
    for ticket in 0..3 {
        case.entry.handed(at(1), Ticket(ticket));
    }
    assert!(case.replied(at(2), key, 1));
    assert!(!case.replied(at(2), key, 1), "once");
    assert!(!case.replied(at(2), key, 99) && !case.entry.replied(at(2), key.link, None, &mut Vec::new()));
    let wishes = case.closed(at(5), key);
    assert_eq!((unknown(&wishes), case.entry.usable(at(5))), (vec![0, 2], None));
    assert!(!case.replied(at(6), key, 0), "late");
    let (due, _) = case.entry.deadline();
    assert!(due > at(5 + 200) && due <= at(5 + 500), "{due:?}");
    let next = case.connects(due);
    assert_ne!(next.link, key.link);
    assert_eq!(case.closed(at(6_000), key), [], "an old one");
    let status = case.entry.status(at(6_000));
    assert!(!status.open && status.sent == 3 && status.unknown == 2);
}

#[test]
fn a_dead_socket_is_found_by_its_silence() {
    let (mut case, key) = Case::open();
    assert_eq!(case.entry.deadline(), (at(20_000), "order entry: ping"));
    assert_eq!(case.advance(at(20_000)), [Wish::Do(key, SocketDeed::Ping)]);
    assert_eq!(case.entry.deadline(), (at(30_000), "order entry: pong"));
    case.entry.pong(at(20_050), key.link);
    assert_eq!(case.advance(at(30_000)), []);
    assert_eq!(case.advance(at(40_050)), [Wish::Do(key, SocketDeed::Ping)]);
    case.entry.handed(at(45_000), Ticket(1));
    let wishes = case.advance(at(50_050));
    assert!(matches!(&wishes[0], Wish::Do(k, SocketDeed::Close { .. }) if *k == key), "{wishes:?}");
    assert_eq!((unknown(&wishes), case.entry.usable(at(50_050))), (vec![1], None));
    assert!(case.entry.deadline().0 <= at(50_550));
}

#[test]
fn a_mute_socket_is_left_for_a_while_and_a_slow_one_gets_nothing_more() {
    let (mut case, key) = Case::open();
    case.entry.handed(at(1_000), Ticket(1));
    assert!(case.entry.usable(at(3_000)).is_some());
    case.entry.handed(at(3_000), Ticket(2));
    assert_eq!(case.entry.usable(at(3_001)), None, "it owes a reply for two seconds");
    assert!(case.replied(at(3_500), key, 2));
    assert_eq!(case.entry.usable(at(3_500)), Some(key), "only one reply is late");
    let wishes = case.advance(at(11_000));
    assert_eq!(unknown(&wishes), [1]);
    assert_eq!(case.entry.usable(at(11_000)), Some(key), "it is not mute");

    case.entry.handed(at(12_000), Ticket(3));
    case.entry.handed(at(13_000), Ticket(4));
    let wishes = case.advance(at(22_000));
    assert_eq!(unknown(&wishes), [3]);
    assert!(wishes.iter().any(|w| matches!(w, Wish::Tell(Notice::Warning(_)))), "{wishes:?}");
    assert_eq!(case.entry.usable(at(22_000)), None);
    assert!(case.replied(at(22_500), key, 4), "what it still says is listened to");
    assert_eq!(case.take(), [Wish::Do(key, SocketDeed::Close { why: "replaced" })]);
    let (due, why) = case.entry.deadline();
    assert!(due >= at(22_000 + 15_000) && due <= at(22_000 + 30_000) && why == "order entry: open", "{due:?}");
}

#[test]
fn a_socket_is_replaced_before_its_day_is_over_and_the_old_one_still_replies() {
    let (mut case, old) = Case::open();
    let hour = 3_600_000;
    let mut now = at(0);
    // Somebody is there all the time.
    let new = loop {
        let (due, _) = case.entry.deadline();
        assert!(due > now);
        now = due;
        let wishes = case.advance(now);
        match &wishes[..] {
            [Wish::Do(_, SocketDeed::Ping)] => case.entry.pong(now, old.link),
            [Wish::Connect(key, _)] => break *key,
            other => panic!("{other:?}"),
        }
    };
    assert!(now > at(22 * hour) && now <= at(23 * hour), "{now:?}");
    case.entry.handed(now, Ticket(1));
    let ms = |ms| now.after(Nanos::from_millis(ms));
    case.entry.opened(ms(100), new.link, &mut case.out);
    assert_eq!((case.take(), case.entry.usable(ms(100))), (vec![], Some(new)), "the old one owes a reply");
    case.entry.handed(ms(200), Ticket(2));
    assert!(!case.replied(ms(250), old, 2), "that went over the new one");
    assert!(case.replied(ms(300), old, 1));
    assert_eq!(case.take(), [Wish::Do(old, SocketDeed::Close { why: "replaced" })]);
    assert!(case.replied(ms(310), new, 2));
    // The venue says that it will close: the same.
    case.entry.goodbye(ms(400), new.link);
    let third = case.connects(ms(400));
    // It does not work: the second goes on.
    assert_eq!(case.closed(ms(500), third), []);
    assert_eq!(case.entry.usable(ms(500)), Some(new));
    let (due, _) = case.entry.deadline();
    assert!(due > ms(500) && due <= ms(1_000));
}

#[test]
fn repeated_failure_is_told_once_and_so_is_its_end() {
    let mut case = Case::new();
    let (mut now, mut told, mut tries) = (at(0), 0, 0);
    while now < at(3_600_000) {
        let key = case.connects(now);
        tries += 1;
        let wishes = case.closed(now, key);
        told += wishes.iter().filter(|w| matches!(w, Wish::Tell(Notice::Warning(_)))).count();
        let (due, _) = case.entry.deadline();
        assert!(due > now);
        now = due;
    }
    assert_eq!(told, 1);
    assert!((60..160).contains(&tries), "{tries} in an hour");
    let key = case.connects(now);
    case.entry.opened(now, key.link, &mut case.out);
    case.take();
    case.entry.pong(now.after(Nanos::from_secs(19)), key.link);
    case.advance(now.after(Nanos::from_secs(39)));
    case.entry.pong(now.after(Nanos::from_secs(40)), key.link);
    assert_eq!(case.entry.deadline(), (now.after(Nanos::from_secs(60)), "order entry: ping"));
    let wishes = case.advance(now.after(Nanos::from_secs(60)));
    assert!(wishes.iter().any(|w| matches!(w, Wish::Tell(Notice::Info(t)) if t.contains("again"))), "{wishes:?}");
}

#[test]
fn a_ban_ends_it_until_it_is_over_and_nothing_opens_meanwhile() {
    let (mut case, key) = Case::open();
    case.entry.handed(at(1_000), Ticket(1));
    let ban = |ms| Some((Nanos::from_millis(ms), true));
    case.entry.advance(at(1_100), ban(30_000), &mut case.out);
    assert_eq!((case.take(), case.entry.usable(at(1_100))), (vec![], None), "it waits for the last reply");
    assert!(case.replied(at(1_200), key, 1));
    assert_eq!(case.take(), [Wish::Do(key, SocketDeed::Close { why: "replaced" })]);
    let (due, _) = case.entry.deadline();
    assert_eq!(due, at(31_100));
    case.connects(at(31_100));
    // A full budget does not end what is open.
    let (mut case, key) = Case::open();
    case.entry.advance(at(1_100), Some((Nanos::from_secs(5), false)), &mut case.out);
    assert_eq!(case.entry.usable(at(1_100)), Some(key));
}

#[test]
fn a_connection_that_hangs_is_given_up_and_one_that_stops_is_not_replaced() {
    let mut case = Case::new();
    let key = case.connects(at(0));
    assert_eq!(case.entry.deadline(), (at(20_000), "order entry: connection"));
    assert_eq!(case.advance(at(20_000))[0], Wish::Do(key, SocketDeed::Close { why: "not open in time" }));
    case.entry.opened(at(20_001), key.link, &mut case.out);
    assert_eq!(case.entry.usable(at(20_001)), None, "it is being closed");
    let (mut case, key) = Case::open();
    case.entry.stop();
    assert_eq!(case.entry.usable(at(10)), Some(key), "what still leaves may go there");
    case.closed(at(20), key);
    assert_eq!(case.entry.deadline().0, UnixNanos::MAX);
}

/// Whatever happens in whatever order, each message that was handed over has one end.
#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    Send,
    Reply { nth: u8, twice: bool },
    Pong,
    Close(u8),
    Open(u8),
    Ban,
    Goodbye,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u16..15_000).prop_map(Step::Pass),
        4 => Just(Step::Send),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(nth, twice)| Step::Reply { nth, twice }),
        1 => Just(Step::Pong),
        1 => any::<u8>().prop_map(Step::Close),
        3 => any::<u8>().prop_map(Step::Open),
        1 => Just(Step::Ban),
        1 => Just(Step::Goodbye),
    ]
}

proptest! {
    #[test]
    fn every_message_has_one_end(steps in prop::collection::vec(step(), 1..120)) {
        let mut entry = Entry::new(BaseNo(0), "wss://orders".into());
        let (mut now, mut out, mut next) = (at(0), Vec::new(), 0u64);
        let mut open: BTreeSet<LinkId> = BTreeSet::new();
        let mut opening: BTreeSet<LinkId> = BTreeSet::new();
        let mut handed: BTreeMap<u64, LinkId> = BTreeMap::new();
        let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Pass(15_000), Step::Pass(15_000)]) {
            let link = |set: &BTreeSet<LinkId>, n: u8| set.iter().nth(n as usize % set.len().max(1)).copied();
            match step {
                Step::Pass(ms) => {
                    let to = now.after(Nanos::from_millis(i64::from(ms)));
                    let mut calls = 0;
                    while entry.deadline().0 <= to {
                        now = now.max(entry.deadline().0);
                        entry.advance(now, None, &mut out);
                        calls += 1;
                        prop_assert!(calls < 1_000, "stuck: {:?}", entry.deadline());
                    }
                    now = to;
                }
                Step::Send => if let Some(key) = entry.usable(now) {
                    prop_assert!(open.contains(&key.link), "only over what is open");
                    entry.handed(now, Ticket(next));
                    handed.insert(next, key.link);
                    next += 1;
                },
                Step::Reply { nth, twice } if next > 0 => {
                    let ticket = u64::from(nth) % next;
                    let from = handed[&ticket];
                    for _ in 0..1 + u8::from(twice) {
                        if open.contains(&from) && entry.replied(now, from, Some(Ticket(ticket)), &mut out) {
                            *ends.entry(ticket).or_default() += 1;
                        }
                    }
                }
                Step::Reply { .. } => {}
                Step::Pong => open.iter().for_each(|l| entry.pong(now, *l)),
                Step::Close(n) => if let Some(link) = link(&open, n) {
                    open.remove(&link);
                    entry.closed(now, link, "gone", &mut out);
                },
                Step::Open(n) => if let Some(link) = link(&opening, n) {
                    opening.remove(&link);
                    open.insert(link);
                    entry.opened(now, link, &mut out);
                },
                Step::Ban => entry.advance(now, Some((Nanos::from_secs(3), true)), &mut out),
                Step::Goodbye => open.iter().for_each(|l| entry.goodbye(now, *l)),
            }
            for wish in out.drain(..) {
                match wish {
                    Wish::Connect(key, _) => { opening.insert(key.link); }
                    Wish::Do(key, SocketDeed::Close { .. }) => { open.remove(&key.link); opening.remove(&key.link); }
                    Wish::Unknown(ticket, _) => *ends.entry(ticket.0).or_default() += 1,
                    _ => {}
                }
            }
            prop_assert!(ends.values().all(|n| *n == 1), "{ends:?}");
            prop_assert!(open.len() <= 8);
        }
        prop_assert_eq!(ends.len() as u64, next, "after half a minute nothing is owed");
    }
}
