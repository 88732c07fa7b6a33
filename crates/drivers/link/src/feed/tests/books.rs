//! Books: snapshots, holes, silence.

use super::*;

#[test]
fn a_book_is_asked_for_when_diffs_flow_and_goes_on_behind_its_snapshot() {
    let mut b = Bench::live(&[all()]);
    b.say(10, 0, 1, "d0 1 5");
    b.check(&["? /snapshot/0"]);
    b.say(20, 0, 1, "d0 6 9");
    b.check(&[]);
    let tag = b.tag();
    b.answer(30, tag, 200, "5");
    b.check(&["0 S5", "0 D9"]);
    b.say(40, 0, 1, "d0 10 12");
    b.say(41, 0, 1, "q0 12");
    b.say(42, 1, 1, "t0 3");
    b.check(&["0 D12", "0 Q12", "0 T3"]);
    assert!(b.feed.is_whole());
    assert_eq!(b.feed.book_id(InstrumentId(0)), Some(12));
    assert_eq!(b.feed.status(at(50)).doubts, Vec::<String>::new());
}

#[test]
fn a_hole_is_told_with_the_frame_that_shows_it() {
    let mut b = in_step();
    b.say(20, 0, 1, "d0 12 13");
    b.check(&["0 gap"]);
    // A short pause, then the question.
    let (due, why) = b.feed.deadline();
    assert!(why == "snapshot of a book" && due <= at(270), "{why}");
    b.tick(270);
    b.check(&["? /snapshot/0"]);
    // Older than what waits: asked again after a longer pause, and no book is shown that cannot go on.
    let tag = b.tag();
    b.answer(280, tag, 200, "10");
    b.check(&[]);
    b.tick(800);
    b.check(&["? /snapshot/0"]);
    let tag = b.tag();
    b.answer(810, tag, 200, "13");
    b.check(&["0 S13"]);
}

#[test]
fn an_answer_from_before_a_break_is_not_believed() {
    let mut b = Bench::live(&[all()]);
    b.say(10, 0, 1, "d0 1 10");
    b.seen();
    let old = b.tag();
    b.news(20, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&[]);
    b.tick(1_100);
    b.open(1_200, 0, 2);
    b.seen();
    b.say(1_300, 0, 2, "d0 30 40");
    b.check(&[]);
    b.answer(1_310, old, 200, "10");
    b.check(&["? /snapshot/0"]);
    let tag = b.tag();
    b.answer(1_320, tag, 200, "40");
    b.check(&["0 S40"]);
}

#[test]
fn a_lost_link_is_a_gap_at_once() {
    let mut b = in_step();
    b.say(20, 0, 1, "q0 10");
    b.seen();
    b.news(30, 0, 1, SocketNews::Closed { why: "1006" });
    b.check(&["0 gap"]);
    assert!(matches!(b.out.notices.last(), Some(Notice::Warning(_))));
    assert!(b.feed.status(at(30)).doubts.iter().any(|d| d.contains("A0-B-PERP")));
}

#[test]
fn a_silent_book_is_a_gap_and_is_subscribed_again() {
    let mut b = stepped(Bench::patient(&[all()], Nanos::from_secs(20)).started());
    for n in 0..100 {
        let ms = 100 + n * 100;
        b.say(ms, 0, 1, &format!("d0 {} {}", 11 + n, 11 + n));
        b.say(ms, 0, 1, &format!("q0 {}", 11 + n));
    }
    b.seen();
    // Quotes go on, the book does not.
    for n in 0..60 {
        b.say(10_100 + n * 100, 0, 1, &format!("q0 {}", 200 + n));
    }
    b.seen();
    let mut told = Vec::new();
    for n in 60..200 {
        b.tick(10_100 + n * 100);
        told.extend(b.seen());
        b.say(10_100 + n * 100, 0, 1, &format!("q0 {}", 200 + n));
        b.seen();
        if !told.is_empty() {
            break;
        }
    }
    assert_eq!(told, ["0 gap"]);
    // Only the list of instruments tells a halted market from a broken stream.
    b.tick(60_100);
    b.check(&["? /listing"]);
    let tag = b.tag();
    b.answer(60_200, tag, 200, "off");
    b.check(&["0 trading: false"]);
    for n in 0..6_000 {
        let ms = 60_300 + n * 100;
        b.tick(ms);
        b.say(ms, 0, 1, &format!("q0 {}", 500 + n));
    }
    assert!(b.seen().iter().all(|s| s.starts_with("0 Q")), "the link stays, and what else is on it");
}

#[test]
fn an_unreadable_frame_is_a_hole() {
    let mut b = in_step();
    b.say(20, 0, 1, "?0");
    b.check(&["0 gap"]);
    b.say(30, 0, 1, "d0 11 12");
    b.check(&["? /snapshot/0"]);
    assert_eq!(b.feed.counts().bad, 1);
}

#[test]
fn a_book_that_was_lost_on_the_way_is_fetched_again() {
    let mut b = in_step();
    b.feed.resend(at(20), InstrumentId(0), &mut b.out);
    b.check(&["0 gap", "? /snapshot/0"]);
    let tag = b.tag();
    b.say(25, 0, 1, "d0 11 12");
    b.answer(30, tag, 200, "11");
    b.check(&["0 S11", "0 D12"]);
}

#[test]
fn snapshots_are_asked_for_a_few_at_once() {
    let mut b = Bench::live(&vec![Want { book: true, ..Want::default() }; 7]);
    for n in 0..7u16 {
        b.say(10, n / 3, 1, &format!("d{n} 1 5"));
    }
    assert_eq!(b.seen().len(), 4);
    let tag = b.tags[0];
    b.answer(20, tag, 200, "5");
    b.check(&["0 S5", "? /snapshot/4"]);
    let tag = b.tags[1];
    b.feed.on_answer(
        at(30),
        tag,
        &Answer::NotSent { why: "banned".into(), retry_after: Some(Nanos::from_secs(60)) },
        &mut b.out,
    );
    b.check(&["? /snapshot/5"]);
    for n in 2..6 {
        b.answer(40, b.tags[n], 200, "5");
    }
    let tag = b.tag();
    b.seen();
    let tag = b.tags.last().copied().unwrap_or(tag);
    b.answer(50, tag, 200, "5");
    b.seen();
    b.tick(59_000);
    b.check(&[]);
    b.tick(60_031);
    b.check(&["? /snapshot/1"]);
}
