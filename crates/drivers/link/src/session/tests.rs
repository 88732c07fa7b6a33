use super::*;
use std::collections::BTreeMap;

/// A venue whose every word is short: `sub 1 a,b`, `uns 2 a`, `login 3`; `ok 1`, `no 1 why`, `fatal 3 why`,
/// `d a 17`, `pong`, `ping x`, `bye`, `expired`; anything else is the owner's.
#[derive(Debug, Default)]
pub(crate) struct TestWords {
    pub next: u64,
    pub login: bool,
    pub text_ping: bool,
    /// One reply for each stream instead of one for all.
    pub one_by_one: bool,
    pub expect: BTreeMap<String, Expect>,
}

impl TestWords {
    fn message(&mut self, what: &str, streams: &[&str]) -> Message {
        self.next += 1;
        let text = format!("{what} {} {}", self.next, streams.join(","));
        let acks = if self.one_by_one { streams.len() as u32 } else { 1 };
        Message { text: text.trim_end().into(), id: self.next, acks }
    }
}

impl Words for TestWords {
    fn login(&mut self, _at: UnixNanos) -> Option<Message> {
        self.login.then(|| Message { acks: 1, ..self.message("login", &[]) })
    }
    fn subscribe(&mut self, streams: &[&str], _at: UnixNanos) -> Message {
        self.message("sub", streams)
    }
    fn unsubscribe(&mut self, streams: &[&str], _at: UnixNanos) -> Message {
        self.message("uns", streams)
    }
    fn ping(&mut self, _at: UnixNanos) -> Option<String> {
        self.text_ping.then(|| "ping".into())
    }
    fn classify<'a>(&mut self, text: &'a str) -> Class<'a> {
        let mut parts = text.splitn(3, ' ');
        let (what, one, two) = (parts.next().unwrap(), parts.next(), parts.next());
        let id = || one.and_then(|id| id.parse().ok()).unwrap_or(0);
        let refusal = |fatal| Refusal { code: "-1".into(), text: two.unwrap_or_default().into(), fatal };
        match what {
            "d" => Class::Data { stream: one.unwrap(), seq: two.and_then(|seq| seq.parse().ok()) },
            "ok" => Class::Reply { id: id(), stream: two, result: Ok(()) },
            "no" if self.one_by_one => Class::Reply { id: id(), stream: two, result: Err(refusal(false)) },
            "no" => Class::Reply { id: id(), stream: None, result: Err(refusal(false)) },
            "fatal" => Class::Reply { id: id(), stream: None, result: Err(refusal(true)) },
            "pong" => Class::Pong,
            "ping" => Class::Ping { answer: format!("pong {}", one.unwrap_or_default()) },
            "bye" => Class::Closing,
            "expired" => Class::Expired,
            _ => Class::Other,
        }
    }
    fn expect(&self, stream: &str) -> Option<Expect> {
        self.expect.get(stream).copied()
    }
}

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

struct Bench {
    session: Session<TestWords>,
    out: Vec<Action>,
}

fn bench(config: SessionConfig, words: TestWords) -> Bench {
    Bench { session: Session::new(config, words, 1), out: Vec::new() }
}

impl Bench {
    /// What the session asked for since the last look, in short.
    #[track_caller]
    fn check(&mut self, want: &[&str]) {
        let short = |a: Action| match a {
            Action::Connect(l) => format!("{}: connect", l.0),
            Action::Send(l, text) => format!("{}> {text}", l.0),
            Action::Ping(l) => format!("{}: ping", l.0),
            Action::Close(l, why) => format!("{}: close, {why}", l.0),
            Action::Renew(l) => format!("{}: renew", l.0),
            Action::Frame(text) => format!("held {text}"),
            Action::Emit(SessionEvent::Gap { stream, since, why }) => {
                format!("gap {} since {} {why}", stream.unwrap_or("*".into()), (since - at(0)).0 / 1_000_000)
            }
            Action::Emit(SessionEvent::Resync { since }) => {
                format!("resync since {:?}", since.map(|s| (s - at(0)).0 / 1_000_000))
            }
            Action::Emit(SessionEvent::Retrying { failures, why, .. }) => format!("retry {failures}: {why}"),
            Action::Emit(event) => format!("{event:?}"),
        };
        let have: Vec<String> = self.out.drain(..).map(short).collect();
        assert_eq!(have, want);
    }
    fn hear(&mut self, ms: i64, link: u64, text: &str) -> Forward {
        self.session.on_text(at(ms), LinkId(link), text, &mut self.out)
    }
    fn tick(&mut self, ms: i64) {
        self.session.on_deadline(at(ms), &mut self.out);
    }
    fn due(&self) -> (i64, &'static str) {
        let (when, why) = self.session.deadline();
        (((when.0 - at(0).0).saturating_add(999_999)).div_euclid(1_000_000), why)
    }
    fn start(&mut self, streams: &[&str]) {
        self.session.subscribe(at(0), streams, &mut self.out);
        self.session.start(at(0), &mut self.out);
        self.session.on_connected(at(10), LinkId(1), &mut self.out);
    }
    /// Started, subscribed, live.
    fn live(config: SessionConfig, words: TestWords, streams: &[&str]) -> Bench {
        let mut b = bench(config, words);
        b.start(streams);
        b.hear(20, 1, "ok 1");
        assert!(b.session.is_live());
        b.out.clear();
        b
    }
}

#[test]
fn logs_in_subscribes_in_batches_at_its_pace_catches_up_and_is_live() {
    let config = SessionConfig {
        max_batch: 2,
        max_messages: 3,
        resync_within: Some(Nanos::from_secs(30)),
        ..SessionConfig::default()
    };
    let mut b = bench(config, TestWords { login: true, ..TestWords::default() });
    b.start(&["a", "b", "c", "d", "e"]);
    b.check(&["1: connect", "1> login 1"]);
    assert_eq!(b.due(), (10_010, "login timeout"));
    b.hear(20, 1, "ok 1");
    b.check(&["1> sub 2 a,b"]);
    assert_eq!(b.due(), (1_010, "message pace"));
    b.tick(1_010);
    b.check(&["1> sub 3 c,d"]);
    b.hear(1_011, 1, "ok 2");
    b.tick(1_020);
    b.check(&["1> sub 4 e"]);
    b.hear(1_021, 1, "ok 4");
    b.hear(1_021, 1, "ok 3");
    b.check(&["resync since None"]);
    assert!(!b.session.is_live());
    b.session.on_resynced(at(2_000), true, &mut b.out);
    b.check(&["Live"]);
    assert_eq!(b.hear(2_001, 1, "d a 1"), Forward::Yes);
    assert_eq!(b.hear(2_001, 1, "answer to an order"), Forward::Yes);
}

#[test]
fn a_lost_link_is_a_gap_at_once_and_comes_back_after_a_while() {
    let config = SessionConfig { resync_within: Some(Nanos::from_secs(30)), ..SessionConfig::default() };
    let mut b = bench(config, TestWords::default());
    b.start(&["a"]);
    b.hear(20, 1, "ok 1");
    b.session.on_resynced(at(30), true, &mut b.out);
    b.out.clear();
    b.hear(500, 1, "d a 7");
    b.session.on_closed(at(900), LinkId(1), "closed by the venue (1006)", &mut b.out);
    b.check(&["gap * since 500 closed by the venue (1006)", "retry 1: closed by the venue (1006)"]);
    let (due, why) = b.due();
    assert!(why == "reconnect" && (1_150..=1_400).contains(&due), "{due}");
    assert_eq!(b.session.request(at(1_000), "order".into(), &mut b.out), Err(NotSent::Down));
    b.tick(due);
    b.check(&["2: connect"]);
    b.session.on_closed(at(2_000), LinkId(2), "refused", &mut b.out);
    b.check(&["retry 2: refused"]);
    let (due, _) = b.due();
    b.tick(due);
    b.session.on_connected(at(4_000), LinkId(3), &mut b.out);
    b.hear(4_010, 3, "ok 2");
    b.check(&["3: connect", "3> sub 2 a", "resync since Some(500)"]);
    b.session.on_resynced(at(4_020), false, &mut b.out);
    b.check(&["3: close, given up", "retry 3: resync failed"]);
}

#[test]
fn rotation_opens_the_next_link_before_the_last_one_closes_and_repeats_nothing() {
    let mut b = Bench::live(SessionConfig::default(), TestWords::default(), &["a"]);
    let day = 23 * 3_600_000;
    b.hear(day - 1, 1, "d a 5");
    assert_eq!(b.due(), (day + 10, "rotate"));
    b.tick(day + 10);
    b.check(&["2: connect"]);
    b.session.on_connected(at(day + 20), LinkId(2), &mut b.out);
    b.hear(day + 25, 1, "d a 6");
    assert_eq!(b.hear(day + 30, 2, "ok 2"), Forward::No);
    b.check(&["2> sub 2 a", "Rotated { why: \"age\" }"]);
    assert_eq!(b.hear(day + 31, 2, "d a 6"), Forward::No, "the old link had it");
    assert_eq!(b.hear(day + 32, 2, "d a 7"), Forward::Yes);
    assert_eq!(b.hear(day + 33, 1, "d a 7"), Forward::No);
    assert_eq!(b.hear(day + 34, 1, "d a 8"), Forward::Yes, "whichever link is first with it");
    assert_eq!(b.hear(day + 35, 2, "d a 8"), Forward::No);
    assert_eq!(b.due(), (day + 5_030, "end of overlap"));
    b.tick(day + 5_030);
    b.check(&["1: close, replaced"]);
    assert_eq!(b.hear(day + 5_031, 1, "d a 9"), Forward::No);
    assert!(b.session.is_live());
}

#[test]
fn a_link_that_does_not_tell_everything_is_replaced_without_a_gap() {
    let mut b = Bench::live(SessionConfig::default(), TestWords::default(), &["a"]);
    b.session.replace(at(1_000), "mute", &mut b.out);
    b.session.replace(at(1_001), "mute", &mut b.out);
    b.check(&["2: connect"]);
    b.session.on_connected(at(1_010), LinkId(2), &mut b.out);
    b.hear(1_020, 2, "ok 2");
    b.check(&["2> sub 2 a", "Rotated { why: \"mute\" }"]);
    assert!(b.session.is_live());
}

#[test]
fn a_venue_that_says_goodbye_is_left_at_once_and_a_failed_replacement_changes_nothing() {
    let mut b = Bench::live(SessionConfig::default(), TestWords::default(), &["a"]);
    b.hear(1_000, 1, "bye");
    b.check(&["2: connect"]);
    b.session.on_closed(at(1_100), LinkId(2), "refused", &mut b.out);
    b.check(&[]);
    assert!(b.session.is_live());
    let (due, why) = b.due();
    assert_eq!(why, "rotate");
    b.tick(due);
    b.check(&["3: connect"]);
    // The old one dies before the new one is ready: the gap is told, the new one becomes the link.
    b.session.on_connected(at(due + 10), LinkId(3), &mut b.out);
    b.session.on_closed(at(due + 20), LinkId(1), "closed", &mut b.out);
    b.hear(due + 30, 3, "ok 2");
    b.check(&["3> sub 2 a", "gap * since 1000 closed", "Live"]);
}

#[test]
fn pings_and_silence() {
    let config = SessionConfig { ping_after: Some(Nanos::from_secs(20)), ..SessionConfig::default() };
    let mut b = Bench::live(config, TestWords { text_ping: true, ..TestWords::default() }, &[]);
    assert_eq!(b.due(), (20_020, "idle ping"));
    b.tick(20_020);
    b.check(&["1> ping"]);
    b.hear(20_030, 1, "pong");
    assert_eq!(b.due(), (40_030, "idle ping"));
    b.tick(40_030);
    assert_eq!(b.due(), (50_030, "no pong"));
    b.tick(50_030);
    b.check(&["1> ping", "1: close, given up", "gap * since 20030 no pong", "retry 1: no pong"]);
    let mut b = Bench::live(SessionConfig::default(), TestWords::default(), &[]);
    b.session.on_ping(at(20_000), LinkId(1));
    b.hear(30_000, 1, "ping 7");
    b.check(&["1> pong 7"]);
    assert_eq!(b.due(), (90_000, "dead link"));
    b.tick(90_000);
    b.check(&["1: close, given up", "gap * since 30000 dead link", "retry 1: dead link"]);
}

#[test]
fn a_silent_stream_is_subscribed_again_then_the_link_replaced_though_pings_flow() {
    let expect = Expect { floor: Nanos::from_secs(5), ceiling: Nanos::from_secs(10) };
    let words =
        TestWords { expect: [("a", expect), ("b", expect)].map(|(s, e)| (s.into(), e)).into(), ..TestWords::default() };
    let mut b = Bench::live(SessionConfig::default(), words, &["a", "b", "private"]);
    for i in 0..200 {
        b.hear(20 + i * 100, 1, &format!("d b {i}"));
        if i == 100 {
            assert_eq!(b.due().1, "silent stream");
            b.tick(10_020);
            b.check(&["gap a since 20 silent for 10.0 s", "1> uns 2 a"]);
            b.hear(10_021, 1, "ok 2");
            b.hear(10_030, 1, "ok 3");
            b.check(&["1> sub 3 a"]);
        }
    }
    b.hear(20_050, 1, "d a 9");
    b.check(&["Restored { stream: \"a\" }"]);
    // All of them fall silent: the link is up and worthless.
    for i in 0..150 {
        b.session.on_ping(at(20_100 + i * 100), LinkId(1));
        let (due, _) = b.due();
        if due <= 20_100 + i * 100 {
            b.tick(20_100 + i * 100);
        }
    }
    let replaced =
        |a: &Action| matches!(a, Action::Emit(SessionEvent::Retrying { why, .. }) if why.starts_with("no data"));
    assert!(b.out.iter().any(replaced), "{:?}", b.out);
}

#[test]
fn a_halted_markets_silence_does_not_cost_the_others_their_link() {
    let expect = Expect { floor: Nanos::from_secs(5), ceiling: Nanos::from_secs(10) };
    let words =
        TestWords { expect: [("a", expect), ("b", expect)].map(|(s, e)| (s.into(), e)).into(), ..TestWords::default() };
    let mut b = Bench::live(SessionConfig::default(), words, &["a", "b"]);
    b.session.excuse("a", true);
    for i in 0..1_000 {
        let now = 20 + i * 100;
        b.hear(now, 1, &format!("d b {i}"));
        if b.due().0 <= now {
            b.tick(now);
        }
    }
    b.check(&["gap a since 20 silent for 10.0 s"]);
    b.hear(100_100, 1, "d a 9");
    b.check(&["Restored { stream: \"a\" }"]);
    // It trades again: from here on its silence counts.
    b.session.excuse("a", false);
    for i in 0..1_000 {
        let now = 100_200 + i * 100;
        if b.due().0 <= now {
            b.tick(now);
        }
        b.hear(now, 1, &format!("d b {i}"));
    }
    assert!(b.out.iter().any(|a| matches!(a, Action::Emit(SessionEvent::Retrying { .. }))), "{:?}", b.out);
}

#[test]
fn one_bad_stream_in_a_batch_does_not_spoil_the_others() {
    let mut b = bench(SessionConfig::default(), TestWords::default());
    b.start(&["a", "bad", "c"]);
    b.hear(20, 1, "no 1 unknown stream");
    b.check(&["1: connect", "1> sub 1 a,bad,c", "1> sub 2 a", "1> sub 3 bad", "1> sub 4 c"]);
    b.hear(30, 1, "ok 2");
    b.hear(30, 1, "no 3 unknown stream");
    b.hear(30, 1, "ok 4");
    let refused = "StreamRefused { stream: \"bad\", code: \"-1\", text: \"unknown stream\" }";
    b.check(&[refused, "Live"]);
    b.session.unsubscribe(at(2_000), &["a", "bad"], &mut b.out);
    b.check(&["1> uns 5 a"]);
    let mut b = bench(SessionConfig::default(), TestWords { one_by_one: true, ..TestWords::default() });
    b.start(&["a", "bad"]);
    b.hear(20, 1, "ok 1 a");
    b.hear(20, 1, "no 1 bad");
    b.check(&[
        "1: connect",
        "1> sub 1 a,bad",
        "StreamRefused { stream: \"bad\", code: \"-1\", text: \"bad\" }",
        "Live",
    ]);
}

#[test]
fn subscriptions_without_a_reply_are_repeated_then_the_link_is_given_up() {
    let config = SessionConfig { ack_misses: 1, ..SessionConfig::default() };
    let mut b = bench(config, TestWords::default());
    b.start(&["a"]);
    b.session.on_ping(at(10_000), LinkId(1));
    assert_eq!(b.due(), (10_010, "no reply to a subscription"));
    b.tick(10_010);
    b.check(&["1: connect", "1> sub 1 a", "1> sub 2 a"]);
    b.tick(20_010);
    b.check(&["1: close, given up", "retry 1: no reply to subscriptions"]);
}

#[test]
fn a_login_refused_for_good_stops_until_a_person_starts_again() {
    let mut b = bench(SessionConfig::default(), TestWords { login: true, ..TestWords::default() });
    b.start(&["a"]);
    b.hear(20, 1, "fatal 1 key unknown");
    b.check(&["1: connect", "1> login 1", "1: close, stopped", "LoginRefused { code: \"-1\", text: \"key unknown\" }"]);
    assert_eq!(b.session.deadline().0, UnixNanos::MAX);
    b.session.start(at(60_000), &mut b.out);
    b.check(&["2: connect"]);
}

#[test]
fn credentials_are_renewed_and_their_end_is_the_links_end() {
    let renew = Renew { every: Nanos::from_secs(1800), within: Nanos::from_secs(3600) };
    let config =
        SessionConfig { renew: Some(renew), dead_after: Nanos::from_secs(100_000), ..SessionConfig::default() };
    let mut b = Bench::live(config, TestWords::default(), &[]);
    assert_eq!(b.due(), (1_800_000, "renew credentials"));
    b.tick(1_800_000);
    b.check(&["1: renew"]);
    assert_eq!(b.due(), (3_600_000, "credentials ran out"));
    b.session.on_renewed(at(1_800_500), LinkId(1), Renewal::Failed, &mut b.out);
    assert_eq!(b.due(), (1_890_500, "renew credentials"));
    b.tick(1_890_500);
    b.session.on_renewed(at(1_890_600), LinkId(1), Renewal::Done, &mut b.out);
    assert_eq!(b.due(), (3_690_600, "renew credentials"));
    b.tick(3_690_600);
    b.session.on_renewed(at(3_690_700), LinkId(1), Renewal::Gone, &mut b.out);
    let ended = ["1: close, given up", "gap * since 20 credentials expired", "retry 1: credentials expired"];
    b.check(&["1: renew", "1: renew", ended[0], ended[1], ended[2]]);
    let mut b = Bench::live(config, TestWords::default(), &[]);
    b.hear(100, 1, "expired");
    b.check(&["1: close, given up", "gap * since 100 credentials expired", "retry 1: credentials expired"]);
}

#[test]
fn requests_go_before_subscriptions_and_their_queue_is_bounded() {
    let config = SessionConfig { max_messages: 3, max_requests: 2, max_batch: 1, ..SessionConfig::default() };
    let mut b = bench(config, TestWords::default());
    b.start(&["a", "b", "c"]);
    b.check(&["1: connect", "1> sub 1 a", "1> sub 2 b"]);
    assert_eq!(b.session.request(at(11), "x".into(), &mut b.out), Ok(()));
    assert_eq!(b.session.request(at(11), "y".into(), &mut b.out), Ok(()));
    assert_eq!(b.session.request(at(11), "z".into(), &mut b.out), Err(NotSent::Crowded));
    b.tick(1_010);
    b.check(&["1> x", "1> y"]);
    b.tick(2_010);
    b.check(&["1> sub 3 c"]);
}
