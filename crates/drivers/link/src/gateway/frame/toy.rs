//! Toy words and toy parts for tests: requests whose text is their tag, a part that does what a test tells it.

use crate::gateway::{
    Answer, Ask, BaseNo, Budget, Draft, EntryFrame, Notice, Outbox, Part, PartStatus, Permit, SocketDeed, SocketNews,
    SocketNo, VenueWords,
};
use crate::http::HttpRequest;
use crate::rate::{Cost, GroupId, Lane, LimiterConfig, MeterId, MeterSpec, Shares, WindowSpec};
use crate::session::LinkId;
use ctos_types::{AccountId, Command, Event, InstrumentId, Nanos, UnixNanos};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub const WEIGHT: MeterId = MeterId(0);
pub const MINUTE: Nanos = Nanos::from_secs(60);
pub const LIMIT: u32 = 100;

#[derive(Debug)]
pub struct ToyDraft {
    pub text: String,
    pub stamped: bool,
    /// It may go as a message.
    pub message: bool,
}

impl Draft for ToyDraft {
    fn write(&self, stamp: UnixNanos) -> Result<HttpRequest, String> {
        if self.text == "bad" {
            return Err("cannot be written".into());
        }
        let stamp = if self.stamped { format!("?stamp={}", stamp.0) } else { String::new() };
        Ok(HttpRequest::get(format!("/{}{stamp}", self.text)))
    }
    fn needs_clock(&self) -> bool {
        self.stamped
    }
    fn has_message(&self) -> bool {
        self.message
    }
    fn write_message(&self, stamp: UnixNanos, id: u64) -> Option<Result<String, String>> {
        let bad = self.text == "bad";
        self.message
            .then(|| if bad { Err("cannot be written".into()) } else { Ok(format!("{id} {} {}", self.text, stamp.0)) })
    }
}

pub fn ask(tag: u64, lane: Lane, weight: u32) -> Ask {
    let draft = Box::new(ToyDraft { text: tag.to_string(), stamped: lane != Lane::History, message: true });
    let cost = Cost::none().and(WEIGHT, weight);
    Ask { tag, lane, cost, within: Nanos::from_secs(5), base: BaseNo(0), draft }
}

pub fn permit(tag: u64, lane: Lane, weight: u32) -> Permit {
    Permit { tag, lane, cost: Cost::none().and(WEIGHT, weight), within: Nanos::from_secs(5) }
}

/// One group, one meter of [`LIMIT`] a minute. Bodies: a number is the venue's time; `used N`, `limited S`,
/// `banned S` speak of the budget.
#[derive(Debug)]
pub struct ToyWords {
    pub bases: u16,
    /// Base 0 has an order-entry socket. Its frames: `reply ID STATUS BODY`, `bye`.
    pub entry: bool,
}

impl VenueWords for ToyWords {
    fn limiter(&self) -> (LimiterConfig, Vec<String>, Vec<MeterSpec>) {
        let windows = vec![WindowSpec::aligned(MINUTE, LIMIT)];
        let meter = MeterSpec { name: "weight".into(), group: GroupId(0), windows, shares: Shares::default() };
        (LimiterConfig::default(), vec!["address".into()], vec![meter])
    }
    fn bases(&self) -> Vec<String> {
        (0..self.bases).map(|i| format!("http://toy{i}")).collect()
    }
    fn budgets(&self, _: BaseNo, _: &Cost, answer: &Answer<'_>, out: &mut Vec<Budget>) {
        let Answer::Http { status, body, .. } = answer else { return };
        let text = std::str::from_utf8(body).unwrap();
        let number = |word: &str| text.split(word).nth(1)?.split(' ').next()?.parse::<i64>().ok();
        let seconds = |n: i64| Some(Nanos::from_secs(n));
        if let Some(total) = number("used=") {
            out.push(Budget::Used { meter: WEIGHT, period: MINUTE, total: total as u64 });
        }
        match status {
            429 => out.push(Budget::Limited { meter: WEIGHT, retry_after: number("for=").and_then(seconds) }),
            418 => out.push(Budget::Banned {
                group: GroupId(0),
                retry_after: number("for=").and_then(seconds),
                until: number("until=").map(UnixNanos),
            }),
            400 if text.contains("stamp") => out.push(Budget::Clock),
            _ => {}
        }
    }
    fn ask_time(&self, turn: u32) -> (BaseNo, Cost, Box<dyn Draft>) {
        let draft = ToyDraft { text: "time".into(), stamped: false, message: false };
        (BaseNo(turn as u16 % self.bases), Cost::none().and(WEIGHT, 1), Box::new(draft))
    }
    fn read_time(&self, body: &[u8]) -> Option<UnixNanos> {
        std::str::from_utf8(body).ok()?.split(' ').next()?.parse().ok().map(UnixNanos)
    }
    fn connect_cost(&self, address: &str) -> Cost {
        if address.contains("counted") { Cost::none().and(WEIGHT, 5) } else { Cost::none() }
    }
    fn entries(&self) -> Vec<(BaseNo, String)> {
        if self.entry { vec![(BaseNo(0), "ws://counted/orders".into())] } else { Vec::new() }
    }
    fn read_entry<'a>(&self, _: BaseNo, text: &'a str) -> EntryFrame<'a> {
        let mut words = text.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("bye"), ..) => EntryFrame::Closing,
            (Some("reply"), Some(id), Some(status), Some(body)) => EntryFrame::Reply {
                id: id.parse().ok(),
                status: status.parse().unwrap(),
                headers: Vec::new(),
                body: body.as_bytes().into(),
            },
            _ => EntryFrame::Other,
        }
    }
}

/// What a part was told, and what it shall do at its next call.
#[derive(Debug, Default)]
pub struct Told {
    pub answers: BTreeMap<u64, Vec<String>>,
    pub lines: Vec<String>,
    pub offset: Option<Nanos>,
    pub asks: Vec<Ask>,
    pub permits: Vec<Permit>,
    pub sockets: Vec<(SocketNo, LinkId, SocketDeed)>,
    pub settle: Vec<(u64, Vec<Budget>)>,
    pub notices: Vec<Notice>,
    pub due: Option<UnixNanos>,
}

#[derive(Debug)]
pub struct ToyPart {
    pub accounts: Vec<AccountId>,
    pub told: Arc<Mutex<Told>>,
}

impl ToyPart {
    pub fn make(accounts: &[u16]) -> (Box<dyn Part>, Arc<Mutex<Told>>) {
        let told = Arc::new(Mutex::new(Told::default()));
        let accounts = accounts.iter().map(|a| AccountId(*a)).collect();
        (Box::new(ToyPart { accounts, told: told.clone() }), told)
    }

    fn act(&self, line: String, out: &mut Outbox) {
        let mut told = self.told.lock().unwrap();
        told.lines.push(line);
        out.asks.append(&mut told.asks);
        out.permits.append(&mut told.permits);
        out.sockets.append(&mut told.sockets);
        out.notices.append(&mut told.notices);
        for (tag, budgets) in told.settle.drain(..) {
            out.settle(tag, budgets);
        }
    }
}

impl Part for ToyPart {
    fn start(&mut self, _: UnixNanos, out: &mut Outbox) {
        self.act("start".into(), out);
    }
    fn on_command(&mut self, _: UnixNanos, command: &Command, out: &mut Outbox) {
        self.act(format!("command {}", command.account().0), out);
    }
    fn on_answer(&mut self, now: UnixNanos, tag: u64, answer: &Answer<'_>, out: &mut Outbox) {
        let line = match answer {
            Answer::Http { status, .. } => format!("{status}"),
            Answer::Go { .. } => "go".into(),
            Answer::NotSent { .. } => "not sent".into(),
            Answer::Unknown { .. } => "unknown".into(),
        };
        self.told.lock().unwrap().answers.entry(tag).or_default().push(line.clone());
        out.event(now, Event::Wake);
        self.act(format!("answer {tag} {line}"), out);
    }
    fn on_socket(&mut self, at: UnixNanos, socket: SocketNo, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox) {
        match news {
            SocketNews::Text("data") => out.event(at, Event::Wake),
            SocketNews::Closed { why } => {
                let why = if why.contains("budget") { "budget" } else { why };
                self.act(format!("socket {} {} closed: {why}", socket.0, link.0), out);
            }
            other => self.act(format!("socket {} {} {other:?}", socket.0, link.0), out),
        }
    }
    fn deadline(&self) -> (UnixNanos, &'static str) {
        (self.told.lock().unwrap().due.unwrap_or(UnixNanos::MAX), "toy")
    }
    fn on_deadline(&mut self, _: UnixNanos, out: &mut Outbox) {
        self.told.lock().unwrap().due = None;
        self.act("deadline".into(), out);
    }
    fn set_clock(&mut self, _: UnixNanos, offset: Nanos) {
        self.told.lock().unwrap().offset = Some(offset);
    }
    fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }
    fn resend(&mut self, _: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        self.act(format!("resend {}", instrument.0), out);
    }
    fn status(&self, _: UnixNanos) -> PartStatus {
        PartStatus { name: "toy".into(), live: true, doubts: Vec::new() }
    }
    fn stop(&mut self, _: UnixNanos, out: &mut Outbox) {
        self.act("stop".into(), out);
    }
}
