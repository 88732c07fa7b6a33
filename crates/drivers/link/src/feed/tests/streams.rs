//! Streams beside the book, settlements, the list of instruments.

use super::*;

#[test]
fn streams_are_spread_over_sockets_by_route_and_number() {
    let mut b = Bench::new(&[all(), all()]);
    b.feed.start(at(0), &mut b.out);
    let addresses: Vec<String> = (b.out.sockets.iter())
        .filter_map(|(s, _, d)| match d {
            SocketDeed::Connect { address } => Some(format!("{} {address}", s.0)),
            _ => None,
        })
        .collect();
    assert_eq!(addresses, ["0 ws://toy/0", "1 ws://toy/0", "2 ws://toy/1", "3 ws://toy/1"]);
    assert!(!b.feed.is_whole() && b.feed.accounts().is_empty());
    assert_eq!(b.feed.status(at(0)).doubts.len(), 6, "four links and two books");
}

#[test]
fn holes_in_trades_count_and_break_only_what_has_no_book() {
    let mut b = in_step();
    for text in ["t0 3", "t0 4", "t0 4", "t0 7", "t0 6", "t0 8 1"] {
        b.say(20, 1, 1, text);
    }
    b.check(&["0 T3", "0 T4", "0 T7"]);
    let c = b.feed.counts();
    assert_eq!((c.trades, c.trades_repeated, c.trades_missing, c.trades_off_book), (3, 2, 2, 1));
    let mut b = Bench::live(&[Want { trades: true, ..Want::default() }]);
    for text in ["t0 3", "t0 7", "t0 8"] {
        b.say(20, 0, 1, text);
    }
    b.check(&["0 T3", "0 gap", "0 T7", "0 T8"]);
    b.news(30, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&["0 gap"]);
}

#[test]
fn quotes_never_go_back() {
    let mut b = Bench::live(&[Want { quotes: true, ..Want::default() }]);
    for text in ["q0 5", "q0 5", "q0 4", "q0 6"] {
        b.say(20, 0, 1, text);
    }
    b.check(&["0 Q5", "0 Q6"]);
    assert_eq!(b.feed.counts().quotes_old, 2);
    // After a break the venue may count anew.
    b.news(30, 0, 1, SocketNews::Closed { why: "restart" });
    b.tick(1_000);
    b.open(1_100, 0, 2);
    b.say(1_200, 0, 2, "q0 1");
    b.check(&["0 gap", "0 Q1"]);
}

#[test]
fn a_settlement_is_asked_for_when_marks_have_moved_on() {
    let mut b = in_step();
    b.say(20, 1, 1, "m0 60000");
    b.say(59_000, 1, 1, "m0 60000");
    b.check(&["0 mark", "0 mark"]);
    b.say(60_100, 1, 1, "m0 120000");
    b.check(&["0 mark"]);
    b.tick(65_000);
    b.check(&["? /funding/0/60000"]);
    let tag = b.tag();
    b.answer(65_100, tag, 200, "");
    b.check(&[]);
    b.tick(95_100);
    b.check(&["? /funding/0/60000"]);
    let tag = b.tag();
    b.answer(95_200, tag, 200, "60003");
    b.check(&["0 funding 1"]);
    b.tick(500_000);
    assert!(!b.seen().iter().any(|s| s.contains("funding")), "told once");
}

#[test]
fn news_of_the_list_read_it_again_once_and_tell_what_changed() {
    let mut b = in_step();
    b.say(20, 1, 1, "news");
    b.say(21, 1, 1, "news");
    b.check(&[]);
    b.tick(1_020);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(1_100, tag, 200, "off");
    b.check(&["0 trading: false"]);
    assert!(matches!(b.out.notices.last(), Some(Notice::Alarm { .. })));
    b.say(1_200, 1, 1, "news");
    b.tick(2_200);
    b.check(&[]);
    b.tick(11_100);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(11_200, tag, 503, "busy");
    b.check(&[]);
    b.tick(71_200);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(71_300, tag, 200, "on");
    b.check(&["0 trading: true"]);
}

#[test]
fn stopping_is_quiet() {
    let mut b = in_step();
    b.feed.stop(at(20), &mut b.out);
    assert!(b.out.sockets.iter().all(|(_, _, d)| matches!(d, SocketDeed::Close { .. })));
    b.check(&[]);
    assert_eq!(b.feed.deadline().0, UnixNanos::MAX);
}
