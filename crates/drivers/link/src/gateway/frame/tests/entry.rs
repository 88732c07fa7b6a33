//! Orders over the order-entry socket, and by HTTP where it does not serve.

use super::*;

/// Ready, with its socket open.
fn open() -> (Case, SocketKey) {
    let mut case = Case::with(ToyWords { bases: 1, entry: true });
    case.gateway.start(at(0), &mut case.deeds);
    assert_eq!(case.deeds.sockets, [], "it waits for the clock as everything does that is counted");
    let time = case.sends();
    case.answer(at(10), &time[0], 200, &at(5).0.to_string());
    let sockets = std::mem::take(&mut case.deeds.sockets);
    let [(key, SocketDeed::Connect { .. })] = &sockets[..] else { panic!("{sockets:?}") };
    let key = *key;
    assert_eq!((key.part, case.gateway.usage()[0].used), (ENTRY, 6));
    case.gateway.socket(at(15), key, &SocketNews::Opened, &mut case.deeds);
    (case, key)
}

impl Case {
    /// Id and tag of each message that was handed to `key`.
    fn messages(&mut self, key: SocketKey) -> Vec<(u64, u64)> {
        let deeds = std::mem::take(&mut self.deeds.sockets);
        let sent = deeds.into_iter().map(|(k, deed)| match deed {
            SocketDeed::Send(text) if k == key => {
                let mut words = text.split(' ').map(|w| w.parse().unwrap());
                (words.next().unwrap(), words.next().unwrap())
            }
            other => panic!("{k:?} {other:?}"),
        });
        sent.collect()
    }

    fn frame(&mut self, now: UnixNanos, key: SocketKey, text: &str) {
        self.gateway.socket(now, key, &SocketNews::Text(text), &mut self.deeds);
    }
}

#[test]
fn orders_go_over_the_socket_and_questions_by_http() {
    let (mut case, key) = open();
    case.asks(
        at(20),
        vec![ask(1, Lane::New, 1), ask(2, Lane::Query, 1), ask(3, Lane::Reduce, 1), ask(4, Lane::History, 1)],
    );
    assert_eq!(case.paths(), ["2", "4"]);
    let sent = case.messages(key);
    assert_eq!(sent.iter().map(|(_, tag)| *tag).collect::<Vec<_>>(), [3, 1]);
    assert!(!case.gateway.is_idle());
    case.frame(at(30), key, &format!("reply {} 200 used=50 ", sent[1].0));
    assert_eq!(case.answers(1), ["200"]);
    // What is still under way comes on top of what the venue counted.
    assert_eq!(case.gateway.usage()[0].used, 53, "the same budget");
    case.frame(at(31), key, &format!("reply {} 400 x", sent[0].0));
    assert_eq!(case.answers(3), ["400"]);
    // A guest's goes by HTTP: its answer is bytes for somebody who waits.
    case.gateway.request(at(40), GuestNo(1), ask(0, Lane::New, 1), &mut case.deeds);
    assert_eq!((case.paths().len(), case.messages(key)), (1, vec![]));
    let bad = Ask {
        draft: Box::new(toy::ToyDraft { text: "bad".into(), stamped: true, message: true }),
        ..ask(5, Lane::New, 1)
    };
    case.asks(at(50), vec![bad]);
    assert_eq!((case.answers(5), case.messages(key)), (vec!["not sent".to_string()], vec![]));
}

#[test]
fn a_message_ends_once_whatever_comes_after() {
    let (mut case, key) = open();
    case.asks(at(20), vec![ask(1, Lane::New, 1), ask(2, Lane::New, 1), ask(3, Lane::New, 1)]);
    let sent = case.messages(key);
    for reply in ["reply 999 200 x", "reply - 200 x", "hello", "reply"] {
        case.frame(at(21), key, reply);
    }
    let another = SocketKey { link: LinkId(77), ..key };
    case.frame(at(21), another, &format!("reply {} 200 x", sent[0].0));
    assert_eq!([1, 2, 3].map(|t| case.answers(t).len()), [0; 3]);
    for _ in 0..2 {
        case.frame(at(22), key, &format!("reply {} 200 x", sent[0].0));
    }
    // An HTTP answer to a message is none.
    let unknown = Answer::Unknown { why: "x".into() };
    case.gateway.answered(at(22), Ticket(sent[1].0), &unknown, &mut case.deeds);
    assert_eq!(case.answers(2), Vec::<String>::new());
    case.gateway.socket(at(23), key, &SocketNews::Closed { why: "cut" }, &mut case.deeds);
    assert_eq!(
        [1, 2, 3].map(|t| case.answers(t)),
        [vec!["200".to_string()], vec!["unknown".into()], vec!["unknown".into()]]
    );
    case.frame(at(24), key, &format!("reply {} 200 x", sent[1].0));
    assert_eq!((case.answers(2).len(), case.paths()), (1, vec![]), "and nothing is sent again");
    // Down: by HTTP at once.
    case.asks(at(25), vec![ask(4, Lane::New, 1)]);
    assert_eq!((case.paths(), case.messages(key)), (vec!["4".to_string()], vec![]));
}

#[test]
fn without_a_reply_it_is_unknown_in_time() {
    let (mut case, key) = open();
    case.gateway.set_answer_within(Nanos::from_secs(3));
    case.asks(at(20), vec![ask(1, Lane::New, 1)]);
    let sent = case.messages(key);
    case.gateway.on_deadline(at(3_019), &mut case.deeds);
    assert_eq!(case.answers(1), Vec::<String>::new());
    case.gateway.on_deadline(at(3_020), &mut case.deeds);
    assert_eq!(case.answers(1), ["unknown"]);
    assert!(case.gateway.is_idle());
    assert!(case.deeds.sockets.iter().any(|(k, d)| *k == key && matches!(d, SocketDeed::Close { .. })), "it is mute");
    case.frame(at(3_030), key, &format!("reply {} 200 x", sent[0].0));
    assert_eq!(case.answers(1).len(), 1);
    assert!(!case.gateway.entry_status(at(3_030))[0].open);
}

#[test]
fn a_ban_that_a_message_met_counts_for_everything() {
    let (mut case, key) = open();
    case.asks(at(20), vec![ask(1, Lane::New, 1), ask(2, Lane::New, 1)]);
    let sent = case.messages(key);
    case.frame(at(30), key, &format!("reply {} 418 for=30 ", sent[0].0));
    assert!(case.deeds.closures_changed && case.gateway.closures()[0].banned);
    case.asks(at(40), vec![ask(3, Lane::New, 1)]);
    assert_eq!((case.answers(3), case.messages(key)), (vec!["not sent".to_string()], vec![]));
    // The other reply still counts, and then the socket is left until the ban is over.
    case.frame(at(50), key, &format!("reply {} 418 for=30 ", sent[1].0));
    assert_eq!(case.answers(2), ["418"]);
    assert!(matches!(&std::mem::take(&mut case.deeds.sockets)[..], [(k, SocketDeed::Close { .. })] if *k == key));
    case.sends();
    for ms in (1_000..29_000).step_by(500) {
        case.gateway.on_deadline(at(ms), &mut case.deeds);
    }
    assert_eq!((case.deeds.sockets.len(), case.paths()), (0, vec![]));
    for ms in (29_000..40_000).step_by(500) {
        case.gateway.on_deadline(at(ms), &mut case.deeds);
    }
    assert!(
        matches!(&case.deeds.sockets[..], [(k, SocketDeed::Connect { .. })] if k.part == ENTRY && k.link != key.link)
    );
}

#[test]
fn a_socket_needs_no_connection_of_http_and_no_desk_means_no_socket() {
    let (mut case, key) = open();
    case.asks(at(20), (0..50).map(|i| ask(i, Lane::Query, 1)).collect());
    assert_eq!(case.paths().len(), 32);
    case.asks(at(21), vec![ask(60, Lane::New, 1)]);
    assert_eq!(case.messages(key).len(), 1);

    let (part, _) = ToyPart::make(&[]);
    let words = Box::new(ToyWords { bases: 1, entry: true });
    let mut gateway = Gateway::new(words, vec![part], ClockConfig::default());
    let mut deeds = Deeds::default();
    gateway.start(at(0), &mut deeds);
    let ticket = deeds.sends[0].ticket;
    let body = at(5).0.to_string();
    let answer = Answer::Http { status: 200, headers: &[], body: body.as_bytes(), sent: at(0), received: at(10) };
    gateway.answered(at(10), ticket, &answer, &mut deeds);
    assert!(deeds.sockets.is_empty() && gateway.entry_status(at(10)).is_empty(), "{deeds:?}");
}
