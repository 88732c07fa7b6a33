mod entry;

use super::toy::{Told, ToyPart, ToyWords, ask, permit};
use super::*;
use crate::gateway::{Notice, Outgoing, SocketNo};
use crate::rate::Lane;
use crate::session::LinkId;
use ctos_types::{CancelOrder, ClientOrderId, EventKind, InstanceTag, InstrumentId};
use std::sync::{Arc, Mutex};

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_040).after(Nanos::from_millis(ms))
}

struct Case {
    gateway: Gateway,
    told: Arc<Mutex<Told>>,
    deeds: Deeds,
}

impl Case {
    fn new(bases: u16) -> Case {
        Case::with(ToyWords { bases, entry: false })
    }

    fn with(words: ToyWords) -> Case {
        let (part, told) = ToyPart::make(&[1]);
        let gateway = Gateway::new(Box::new(words), vec![part], ClockConfig::default());
        Case { gateway, told, deeds: Deeds::default() }
    }

    /// Started, with a clock that is known.
    fn ready(bases: u16) -> Case {
        let mut case = Case::new(bases);
        case.gateway.start(at(0), &mut case.deeds);
        let time = case.sends();
        assert_eq!(time.len(), 1);
        case.answer(at(10), &time[0], 200, &at(5).0.to_string());
        case
    }

    fn sends(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.deeds.sends)
    }

    fn paths(&mut self) -> Vec<String> {
        self.sends().into_iter().map(|s| s.request.path.split('?').next().unwrap()[1..].to_string()).collect()
    }

    fn answer(&mut self, now: UnixNanos, to: &Outgoing, status: u16, body: &str) -> Option<GuestNo> {
        let answer = Answer::Http { status, headers: &[], body: body.as_bytes(), sent: at(0), received: now };
        self.gateway.answered(now, to.ticket, &answer, &mut self.deeds)
    }

    /// Lets the part ask at `now`.
    fn asks(&mut self, now: UnixNanos, asks: Vec<Ask>) {
        {
            let mut told = self.told.lock().unwrap();
            told.asks = asks;
            told.due = Some(now);
        }
        self.gateway.deadlines[0].0 = now;
        self.gateway.on_deadline(now, &mut self.deeds);
    }

    fn answers(&self, tag: u64) -> Vec<String> {
        self.told.lock().unwrap().answers.get(&tag).cloned().unwrap_or_default()
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().lines)
    }
}

#[test]
fn what_is_stamped_waits_for_the_clock_and_nothing_else_does() {
    let mut case = Case::new(1);
    case.told.lock().unwrap().asks = vec![ask(1, Lane::New, 1), ask(2, Lane::History, 1)];
    case.gateway.start(at(0), &mut case.deeds);
    let sends = case.sends();
    assert_eq!(sends.iter().map(|s| s.request.path.as_str()).collect::<Vec<_>>(), ["/time"]);
    assert_eq!(case.gateway.deadline(), (at(5_000), "request without a clock"));
    // Nobody knows what is left of the budget before either.
    case.answer(at(10), &sends[0], 400, "");
    assert_eq!(case.paths(), Vec::<String>::new());
    case.gateway.on_deadline(at(1_010), &mut case.deeds);
    let sends = case.sends();
    // Half a second ahead of us, give or take five milliseconds.
    let body = at(1_515).0.to_string();
    let answer =
        Answer::Http { status: 200, headers: &[], body: body.as_bytes(), sent: at(1_010), received: at(1_020) };
    case.gateway.answered(at(1_020), sends[0].ticket, &answer, &mut case.deeds);
    assert_eq!(case.told.lock().unwrap().offset.map(|o| o.0 / 1_000_000), Some(500));
    let stamped = case.sends();
    assert_eq!(stamped[1].request.path, "/2");
    let stamp: i64 = stamped[0].request.path.split("stamp=").nth(1).unwrap().parse().unwrap();
    let behind = at(1_520).0 - stamp;
    assert!((0..12_000_000).contains(&behind), "stamped {behind} ns behind the venue");
    assert_eq!(case.gateway.clock(at(1_020)).offset, case.told.lock().unwrap().offset);

    let mut silent = Case::new(1);
    silent.told.lock().unwrap().asks = vec![ask(1, Lane::New, 1)];
    silent.gateway.start(at(0), &mut silent.deeds);
    silent.gateway.on_deadline(at(5_000), &mut silent.deeds);
    assert_eq!(silent.answers(1), ["not sent"]);
}

#[test]
fn a_refused_stamp_holds_back_what_is_signed_until_the_clock_was_looked_at() {
    let mut case = Case::ready(1);
    case.asks(at(20), vec![ask(1, Lane::New, 1)]);
    let sent = case.sends();
    case.answer(at(30), &sent[0], 400, "stamp refused");
    case.asks(at(40), vec![ask(2, Lane::New, 1), ask(3, Lane::Reduce, 1)]);
    let sent = case.sends();
    let paths: Vec<_> = sent.iter().map(|s| s.request.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, ["/3", "/time"], "a cancel goes with the best stamp there is");
    assert_eq!(case.answers(2), Vec::<String>::new());
    case.gateway.on_deadline(at(41), &mut case.deeds);
    assert_eq!(case.paths(), Vec::<String>::new(), "one question at a time");
    let body = at(45).0.to_string();
    let answer = Answer::Http { status: 200, headers: &[], body: body.as_bytes(), sent: at(40), received: at(50) };
    case.gateway.answered(at(50), sent[1].ticket, &answer, &mut case.deeds);
    assert_eq!(case.paths(), ["2"]);
}

#[test]
fn lanes_go_by_rank_when_there_is_room_again() {
    let mut case = Case::ready(1);
    // The clock took 1; new orders may fill 80 of 100.
    case.asks(at(20), (0..4).map(|i| ask(i, Lane::New, 20)).collect());
    let mut sent = case.sends();
    assert_eq!(sent.len(), 3);
    let mut wanted =
        vec![ask(10, Lane::History, 1), ask(11, Lane::New, 10), ask(12, Lane::Query, 15), ask(13, Lane::Reduce, 5)];
    wanted.iter_mut().for_each(|a| a.within = Nanos::from_secs(120));
    case.asks(at(30), wanted);
    sent.append(&mut case.sends());
    let paths: Vec<_> = sent[3..].iter().map(|s| s.request.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, ["/13", "/12"]);
    // What is in front of a lane goes first: 3 was given up after five seconds.
    case.gateway.on_deadline(at(5_020), &mut case.deeds);
    assert_eq!(case.answers(3), ["not sent"]);
    let (due, _) = case.gateway.deadline();
    assert!(due > at(5_000));
    case.deeds.sends.clear();
    // The minute turns: at(0) is a full one. What is under way would count in the new one as well.
    for s in &sent {
        case.answer(at(5_100), s, 200, "");
    }
    case.gateway.on_deadline(at(60_300), &mut case.deeds);
    assert!(case.paths().contains(&"11".to_string()));
}

#[test]
fn a_ban_closes_the_group_and_outlives_the_process() {
    let mut case = Case::ready(1);
    case.asks(at(20), vec![ask(1, Lane::New, 1), ask(2, Lane::New, 1)]);
    let sent = case.sends();
    case.answer(at(30), &sent[0], 418, "for=30 ");
    assert!(case.deeds.closures_changed);
    assert!(
        matches!(&case.deeds.notices.last(), Some(crate::gateway::Notice::Alarm { what, .. }) if what.contains("address"))
    );
    let told = case.deeds.notices.len();
    case.answer(at(31), &sent[1], 418, "for=30 ");
    assert_eq!(case.deeds.notices.len(), told, "the same ban is told once");
    case.asks(
        at(40),
        vec![ask(3, Lane::New, 1), ask(4, Lane::Query, 1), ask(5, Lane::History, 1), ask(6, Lane::Reduce, 1)],
    );
    assert_eq!(case.paths(), Vec::<String>::new());
    assert_eq!([3, 4, 5].map(|t| case.answers(t)), [3, 4, 5].map(|_| vec!["not sent".to_string()]));
    case.gateway.on_deadline(at(5_040), &mut case.deeds);
    assert_eq!(case.answers(6), ["not sent"], "a cancel waits for as long as it was told to");

    let closures = case.gateway.closures();
    assert!(closures.len() == 1 && closures[0].banned && closures[0].until > at(30_000));
    let mut next = Case::new(1);
    next.gateway.resume_closure(&closures[0].name, closures[0].until, true);
    next.told.lock().unwrap().asks = vec![ask(1, Lane::History, 1)];
    next.gateway.start(at(6_000), &mut next.deeds);
    assert_eq!((next.paths(), next.answers(1)), (vec![], vec!["not sent".to_string()]));
    let mut asked = Vec::new();
    for second in 7..40 {
        next.gateway.on_deadline(at(second * 1_000), &mut next.deeds);
        asked.extend(next.paths().into_iter().map(|p| (second, p)));
    }
    assert!(asked[0].0 >= 30 && asked[0].1 == "time", "{asked:?}");
}

#[test]
fn the_end_of_a_ban_may_be_told_on_the_venues_clock() {
    let mut case = Case::new(1);
    case.gateway.start(at(0), &mut case.deeds);
    let time = case.sends();
    case.answer(at(10), &time[0], 200, &at(30_005).0.to_string());
    case.asks(at(20), vec![ask(1, Lane::New, 1)]);
    let sent = case.sends();
    case.answer(at(30), &sent[0], 418, &format!("until={} ", at(40_000).0));
    let until = case.gateway.closures()[0].until;
    assert!(until >= at(10_000) && until <= at(10_500), "{until:?}");
}

#[test]
fn closed_between_leave_and_connection() {
    let mut case = Case::ready(1);
    let full = (0..40).map(|i| ask(i, Lane::Query, 1)).collect();
    case.asks(at(20), full);
    let sent = case.sends();
    assert_eq!(sent.len(), 32, "so many connections at once");
    case.asks(at(21), vec![ask(50, Lane::Reduce, 1)]);
    assert_eq!(case.paths(), ["50"], "some are kept for what reduces");
    case.answer(at(30), &sent[0], 429, "for=3 ");
    assert_eq!((32..40).filter(|t| case.answers(*t) == ["not sent"]).count(), 8);
    assert_eq!(case.paths(), Vec::<String>::new());
    for other in &sent[1..] {
        case.answer(at(40), other, 200, "");
    }
    assert!((1..32).all(|t| case.answers(t) == ["200"]));
    assert!(!case.gateway.is_idle());
}

#[test]
fn a_late_request_and_one_that_cannot_be_written_are_told() {
    let mut case = Case::ready(1);
    let bad = Ask {
        draft: Box::new(toy::ToyDraft { text: "bad".into(), stamped: true, message: false }),
        ..ask(1, Lane::New, 1)
    };
    let nowhere = Ask { base: crate::gateway::BaseNo(9), ..ask(2, Lane::New, 1) };
    let heavy = ask(3, Lane::New, 200);
    case.asks(at(20), vec![bad, nowhere, heavy]);
    assert_eq!([1, 2, 3].map(|t| case.answers(t).len()), [1, 1, 1]);
    assert_eq!(case.gateway.usage()[0].used, 1, "what was not sent is given back");
    let unknown = Ticket(999);
    assert_eq!(case.gateway.answered(at(30), unknown, &Answer::Unknown { why: "x".into() }, &mut case.deeds), None);
}

#[test]
fn messages_over_sockets_share_the_budget() {
    let mut case = Case::ready(1);
    {
        let mut told = case.told.lock().unwrap();
        told.permits = vec![permit(7, Lane::New, 60), permit(8, Lane::New, 60)];
        told.due = Some(at(20));
    }
    case.gateway.deadlines[0].0 = at(20);
    case.gateway.on_deadline(at(20), &mut case.deeds);
    assert_eq!((case.answers(7), case.answers(8)), (vec!["go".to_string()], vec![]));
    let used = Budget::Used { meter: toy::WEIGHT, period: toy::MINUTE, total: 90 };
    {
        let mut told = case.told.lock().unwrap();
        told.settle = vec![(7, vec![used]), (99, vec![])];
        told.due = Some(at(30));
    }
    case.gateway.deadlines[0].0 = at(30);
    case.gateway.on_deadline(at(30), &mut case.deeds);
    assert_eq!(case.gateway.usage()[0].used, 90);
    // Never told of, it is settled all the same, and counts.
    case.gateway.on_deadline(at(5_030), &mut case.deeds);
    assert_eq!(case.answers(8), ["not sent"]);
    assert!(case.gateway.is_idle());
}

#[test]
fn sockets_that_are_counted_wait_and_others_do_not() {
    let mut case = Case::ready(1);
    let open = |n: u16, address: &str| (SocketNo(n), LinkId(1), SocketDeed::Connect { address: address.into() });
    let act = |case: &mut Case, now, sockets: Vec<_>| {
        case.told.lock().unwrap().sockets = sockets;
        case.gateway.deadlines[0].0 = now;
        case.gateway.on_deadline(now, &mut case.deeds);
        std::mem::take(&mut case.deeds.sockets).into_iter().map(|(k, _)| k.socket.0).collect::<Vec<_>>()
    };
    assert_eq!(act(&mut case, at(20), vec![open(0, "ws://free"), open(1, "ws://counted")]), [0, 1]);
    assert_eq!(case.gateway.usage()[0].used, 6);
    let sent = {
        case.asks(at(30), vec![ask(1, Lane::New, 1)]);
        case.sends()
    };
    case.answer(at(40), &sent[0], 418, "for=30 ");
    case.lines();
    assert_eq!(act(&mut case, at(50), vec![open(2, "ws://counted"), open(3, "ws://free")]), [3]);
    assert_eq!(case.lines()[1..], ["socket 2 1 closed: budget"]);
    let key = SocketKey { part: 0, socket: SocketNo(1), link: LinkId(1) };
    case.gateway.socket(at(60), key, &SocketNews::Opened, &mut case.deeds);
    assert_eq!(case.lines(), ["socket 1 1 Opened"]);
}

#[test]
fn a_socket_that_still_waits_can_be_withdrawn() {
    let mut case = Case::ready(1);
    case.asks(at(20), (0..4).map(|i| ask(i, Lane::Query, 21)).collect());
    case.deeds.sends.clear();
    let connect = SocketDeed::Connect { address: "ws://counted".into() };
    let close = SocketDeed::Close { why: "changed our mind" };
    for deed in [connect, close] {
        case.told.lock().unwrap().sockets = vec![(SocketNo(0), LinkId(1), deed)];
        case.gateway.deadlines[0].0 = at(30);
        case.gateway.on_deadline(at(30), &mut case.deeds);
    }
    assert_eq!(case.deeds.sockets, []);
    case.gateway.on_deadline(at(60_500), &mut case.deeds);
    assert_eq!(case.deeds.sockets, []);
}

#[test]
fn commands_go_to_their_desk_or_come_back() {
    let mut case = Case::ready(1);
    case.lines();
    case.gateway.take_events().count();
    let cl_ord_id = ClientOrderId { tag: InstanceTag(1), seq: 1 };
    let cancel =
        |account| Command::Cancel(CancelOrder { account: AccountId(account), cl_ord_id, instrument: InstrumentId(0) });
    case.gateway.command(at(20), &cancel(1), &mut case.deeds);
    assert_eq!(case.lines(), ["command 1"]);
    assert!(!case.gateway.has_events());
    case.gateway.command(at(20), &cancel(2), &mut case.deeds);
    let events: Vec<_> = case.gateway.take_events().map(|(_, e)| e.kind.clone()).collect();
    let [EventKind::Report(report)] = &events[..] else { panic!("{events:?}") };
    let ReportBody::Rejected { request: Request::Cancel, code, .. } = report.body else { panic!("{report:?}") };
    assert_eq!((code.as_str(), report.cl_ord_id), (NO_ACCOUNT, Some(cl_ord_id)));
}

#[test]
fn what_a_desk_says_bears_its_name_where_there_are_several() {
    let said = |accounts: &[u16]| {
        let (desks, told): (Vec<_>, Vec<_>) = accounts.iter().map(|a| ToyPart::make(&[*a])).unzip();
        let (feed, market) = ToyPart::make(&[]);
        let parts = desks.into_iter().chain([feed]).collect();
        let words = ToyWords { bases: 1, entry: false };
        let mut gateway = Gateway::new(Box::new(words), parts, ClockConfig::default());
        for told in told.iter().chain([&market]) {
            told.lock().unwrap().notices = vec![Notice::Warning("no new risk".into())];
        }
        let mut deeds = Deeds::default();
        gateway.start(at(0), &mut deeds);
        deeds.notices
    };
    let (plain, named) = (Notice::Warning("no new risk".into()), Notice::Warning("toy: no new risk".into()));
    assert_eq!(said(&[1]), [plain.clone(), plain.clone()], "one account needs no name");
    assert_eq!(said(&[1, 2]), [named.clone(), named, plain], "market data is no account");
}

#[test]
fn guests_are_answered_or_refused() {
    let mut case = Case::ready(1);
    case.gateway.request(at(20), GuestNo(1), ask(0, Lane::Query, 1), &mut case.deeds);
    let sent = case.sends();
    assert_eq!(case.answer(at(30), &sent[0], 200, "hello"), Some(GuestNo(1)));
    case.gateway.request(at(40), GuestNo(2), ask(0, Lane::History, 80), &mut case.deeds);
    let (guest, why, _) = case.deeds.refused.pop().unwrap();
    assert!(guest == GuestNo(2) && why.contains("costs 80"), "{why}");
}

#[test]
fn clocks_are_asked_for_at_every_base_in_turn() {
    let mut case = Case::new(2);
    case.gateway.start(at(0), &mut case.deeds);
    let first = case.sends();
    assert_eq!(first.iter().map(|s| s.base.0).collect::<Vec<_>>(), [0, 1]);
    case.answer(at(10), &first[0], 500, "");
    case.gateway.on_deadline(at(1_010), &mut case.deeds);
    assert_eq!(case.sends().len(), 0, "one is under way");
    case.answer(at(1_020), &first[1], 500, "");
    for (ms, base) in [(4_000, 0), (9_000, 1)] {
        case.gateway.on_deadline(at(ms), &mut case.deeds);
        let sent = case.sends();
        assert_eq!(sent[0].base.0, base);
        case.answer(at(ms + 1), &sent[0], 500, "");
    }
}

#[test]
fn stopping_waits_for_what_the_parts_still_want() {
    let mut case = Case::ready(1);
    case.told.lock().unwrap().asks = vec![ask(1, Lane::Reduce, 1)];
    case.gateway.stop(at(20), &mut case.deeds);
    case.gateway.stop(at(20), &mut case.deeds);
    assert_eq!(case.lines().iter().filter(|l| *l == "stop").count(), 1);
    let sent = case.sends();
    assert!(!case.gateway.is_idle());
    case.answer(at(30), &sent[0], 200, "");
    assert!(case.gateway.is_idle());
}

#[test]
fn frames_of_market_data_take_no_memory() {
    let mut case = Case::ready(1);
    let key = SocketKey { part: 0, socket: SocketNo(0), link: LinkId(1) };
    for i in 0..3 {
        case.gateway.socket(at(i), key, &SocketNews::Text("data"), &mut case.deeds);
        let events: Vec<_> = case.gateway.take_events().collect();
        assert_eq!(events.len(), 1);
        let boxes: Vec<_> = events.into_iter().map(|(_, b)| b).collect();
        boxes.into_iter().for_each(|b| case.gateway.reuse(b));
    }
}
