//! What a feed does about each kind of news, on a venue whose every word is short.

mod books;
mod recorded;
mod streams;
mod switched;
mod toy;

use super::*;
use crate::gateway::{Answer, Notice, Part, SocketDeed, SocketNews, SocketNo};
use crate::session::LinkId;
use ctos_types::{Event, MarketData};
use toy::{TestWords, at, instrument};

struct Bench {
    feed: Feed<TestWords>,
    out: Outbox,
    tags: Vec<u64>,
}

fn all() -> Want {
    Want { book: true, quotes: true, trades: true, marks: true, ..Want::default() }
}

impl Bench {
    fn new(wants: &[Want]) -> Bench {
        Bench::patient(wants, Nanos::from_secs(3_600))
    }

    fn patient(wants: &[Want], ceiling: Nanos) -> Bench {
        let wants = wants.iter().enumerate().map(|(n, w)| (instrument(n as u32), w.clone())).collect();
        let feed = Feed::new(TestWords { ceiling }, wants, FeedConfig::default());
        Bench { feed, out: Outbox::default(), tags: Vec::new() }
    }

    /// Started, every socket subscribed.
    fn live(wants: &[Want]) -> Bench {
        Bench::new(wants).started()
    }

    fn started(self) -> Bench {
        let mut b = self;
        b.feed.start(at(0), &mut b.out);
        for socket in 0..b.feed.sockets() {
            b.open(1, socket as u16, 1);
        }
        b.seen();
        b
    }

    fn open(&mut self, ms: i64, socket: u16, link: u64) {
        self.news(ms, socket, link, SocketNews::Opened);
        let id = self.out.sockets.iter().rev().find_map(|(s, _, deed)| match deed {
            SocketDeed::Send(text) if s.0 == socket => text.split(' ').nth(1).map(str::to_string),
            _ => None,
        });
        self.say(ms, socket, link, &format!("ok {}", id.unwrap_or_default()));
    }

    fn news(&mut self, ms: i64, socket: u16, link: u64, news: SocketNews<'_>) {
        self.feed.on_socket(at(ms), SocketNo(socket), LinkId(link), &news, &mut self.out);
    }

    fn say(&mut self, ms: i64, socket: u16, link: u64, text: &str) {
        self.news(ms, socket, link, SocketNews::Text(text));
    }

    fn answer(&mut self, ms: i64, tag: u64, status: u16, text: &str) {
        let (sent, received) = (at(ms - 1), at(ms));
        let answer = Answer::Http { status, headers: &[], body: text.as_bytes(), sent, received };
        self.feed.on_answer(at(ms), tag, &answer, &mut self.out);
    }

    fn tick(&mut self, ms: i64) {
        self.feed.on_deadline(at(ms), &mut self.out);
    }

    /// What came out since the last look, in short: events, questions, and notices by their first letter.
    fn seen(&mut self) -> Vec<String> {
        let mut list = Vec::new();
        for (_, buf) in self.out.take_events() {
            list.push(match buf.as_event() {
                Event::Market(m) => match m.data {
                    MarketData::Depth { snapshot: true, update_id, .. } => format!("{} S{update_id}", m.instrument.0),
                    MarketData::Depth { update_id, .. } => format!("{} D{update_id}", m.instrument.0),
                    MarketData::Quote { update_id, .. } => format!("{} Q{update_id}", m.instrument.0),
                    MarketData::Trade(t) => format!("{} T{}", m.instrument.0, t.id),
                    MarketData::Gap => format!("{} gap", m.instrument.0),
                    MarketData::Mark(_) => format!("{} mark", m.instrument.0),
                    MarketData::Bar(_) => format!("{} bar", m.instrument.0),
                    MarketData::Funding(f) => format!("{} funding {}", m.instrument.0, f.rate),
                },
                Event::Rules { instrument, rules } => format!("{} trading: {}", instrument.0, rules.trading),
                other => panic!("{other:?}"),
            });
        }
        for ask in self.out.asks.drain(..) {
            self.tags.push(ask.tag);
            list.push(format!("? {}", ask.draft.write(at(0)).unwrap().path));
        }
        self.out.sockets.clear();
        list
    }

    fn tag(&self) -> u64 {
        *self.tags.last().unwrap()
    }

    #[track_caller]
    fn check(&mut self, want: &[&str]) {
        assert_eq!(self.seen(), want);
    }
}

/// Like [`Bench::live`], with the book at id 10.
fn in_step() -> Bench {
    stepped(Bench::live(&[all()]))
}

fn stepped(mut b: Bench) -> Bench {
    b.say(10, 0, 1, "d0 1 10");
    b.seen();
    let tag = b.tag();
    b.answer(11, tag, 200, "10");
    b.check(&["0 S10"]);
    b
}
