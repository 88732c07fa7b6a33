//! Seeded simulation of the frame: toy parts that ask for whatever they like, behind a network that loses both ways, a
//! venue that counts what arrives, bans on a whim, and restarts. Orders of one base go over a socket that is cut, falls
//! silent, replies late, twice or to nobody, and says goodbye.

use super::toy::{LIMIT, MINUTE, Told, ToyDraft, ToyPart, ToyWords, WEIGHT, permit};
use super::*;
use crate::gateway::{BaseNo, Outgoing, SocketNo};
use crate::rate::Lane;
use crate::session::LinkId;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Rerun one case with `LINK_SEED=N`.
const SEEDS: u64 = 400;
const ASKING: Nanos = Nanos::from_secs(240);

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn upto(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
    fn ms(&mut self, from: u64, to: u64) -> Nanos {
        Nanos::from_millis((from + self.upto(to - from)) as i64)
    }
    fn lane(&mut self) -> Lane {
        Lane::ALL[self.upto(4) as usize]
    }
}

#[derive(Debug)]
enum Step {
    Ask {
        part: usize,
    },
    Guest,
    Arrive(Outgoing),
    Answer {
        ticket: Ticket,
        status: u16,
        body: String,
        sent: UnixNanos,
    },
    Fail {
        ticket: Ticket,
        sent: bool,
    },
    Settle {
        part: usize,
        tag: u64,
        used: u64,
    },
    Connected(SocketKey),
    /// A message reaches the venue, a frame reaches us.
    Say {
        key: SocketKey,
        text: String,
    },
    Frame {
        key: SocketKey,
        text: String,
    },
    Pong(SocketKey),
    Cut(SocketKey),
    Restart,
}

/// The venue's side: its clock, its count, its ban.
struct Venue {
    offset: Nanos,
    counted: Vec<(UnixNanos, u64)>,
    banned_until: UnixNanos,
}

impl Venue {
    fn time(&self, now: UnixNanos) -> UnixNanos {
        now.after(self.offset)
    }
    fn count(&mut self, now: UnixNanos, weight: u64) -> u64 {
        let at = self.time(now);
        self.counted.retain(|(t, _)| t.floor(MINUTE) == at.floor(MINUTE));
        self.counted.push((at, weight));
        self.counted.iter().map(|(_, w)| w).sum()
    }
}

struct World {
    seed: u64,
    dice: Dice,
    now: UnixNanos,
    gateway: Gateway,
    told: Vec<Arc<Mutex<Told>>>,
    deeds: Deeds,
    venue: Venue,
    queue: BTreeMap<(UnixNanos, u64), Step>,
    count: u64,
    next_tag: u64,
    /// Tags of this process's parts, and those of permits.
    tags: Vec<BTreeSet<u64>>,
    weights: BTreeMap<u64, u64>,
    guests: BTreeMap<u64, u32>,
    /// What has reached the venue, whichever way.
    arrived: BTreeSet<String>,
    /// Order-entry sockets that are open, and whether they still say anything.
    open: BTreeMap<SocketKey, bool>,
    /// Messages that left.
    messages: u64,
    trace: bool,
    /// Until when the process knows that the group is closed.
    known_closed: UnixNanos,

    bans: u32,
}

fn frame() -> (Gateway, Vec<Arc<Mutex<Told>>>) {
    let (a, told_a) = ToyPart::make(&[1]);
    let (b, told_b) = ToyPart::make(&[2]);
    let gateway = Gateway::new(Box::new(ToyWords { bases: 2, entry: true }), vec![a, b], ClockConfig::default());
    (gateway, vec![told_a, told_b])
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(seed));
        let start = UnixNanos::from_secs(1_700_000_000).after(dice.ms(0, 60_000));
        let offset = Nanos(dice.ms(0, 60_000).0 - 30_000_000_000);
        let (gateway, told) = frame();
        let venue = Venue { offset, counted: Vec::new(), banned_until: UnixNanos(0) };
        let mut world = World {
            seed,
            dice,
            now: start,
            gateway,
            told,
            deeds: Deeds::default(),
            venue,
            queue: BTreeMap::new(),
            count: 0,
            next_tag: 0,
            tags: vec![BTreeSet::new(), BTreeSet::new()],
            weights: BTreeMap::new(),
            guests: BTreeMap::new(),
            arrived: BTreeSet::new(),
            open: BTreeMap::new(),
            messages: 0,
            trace: std::env::var_os("LINK_TRACE").is_some(),
            known_closed: UnixNanos::MIN,
            bans: 0,
        };
        for part in 0..2 {
            world.plan(Nanos::ZERO, Step::Ask { part });
        }
        world.plan(Nanos::from_secs(5), Step::Guest);
        if world.dice.upto(3) == 0 {
            let after = world.dice.ms(10_000, 200_000);
            world.plan(after, Step::Restart);
        }
        world.gateway.start(start, &mut world.deeds);
        world
    }

    fn plan(&mut self, after: Nanos, step: Step) {
        self.count += 1;
        self.queue.insert((self.now.after(after), self.count), step);
    }

    fn ask(&mut self, tag: u64) -> Ask {
        let lane = self.dice.lane();
        let weight = 1 + self.dice.upto(9);
        let stamped = self.dice.upto(4) > 0;
        let message = self.dice.upto(8) > 0;
        self.weights.insert(tag, weight);
        Ask {
            tag,
            lane,
            cost: crate::rate::Cost::none().and(WEIGHT, weight as u32),
            within: self.dice.ms(100, 30_000),
            base: BaseNo(self.dice.upto(2) as u16),
            draft: Box::new(ToyDraft { text: tag.to_string(), stamped, message }),
        }
    }

    fn part_asks(&mut self, part: usize) {
        for _ in 0..1 + self.dice.upto(4) {
            let tag = self.next_tag;
            self.next_tag += 1;
            self.tags[part].insert(tag);
            if self.dice.upto(4) == 0 {
                let (lane, weight) = (self.dice.lane(), 1 + self.dice.upto(5));
                self.weights.insert(tag, weight);
                self.told[part].lock().unwrap().permits.push(permit(tag, lane, weight as u32));
            } else {
                let ask = self.ask(tag);
                self.told[part].lock().unwrap().asks.push(ask);
            }
        }
        if self.dice.upto(20) == 0 {
            let address = if self.dice.upto(2) == 0 { "ws://counted" } else { "ws://free" };
            let link = LinkId(self.count);
            let deed = SocketDeed::Connect { address: address.into() };
            self.told[part].lock().unwrap().sockets.push((SocketNo(0), link, deed));
        }
        self.told[part].lock().unwrap().due = Some(self.now);
        self.gateway.deadlines[part].0 = self.now;
        self.gateway.on_deadline(self.now, &mut self.deeds);
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        if self.trace && !matches!(step, Step::Ask { .. } | Step::Arrive(_)) {
            eprintln!("{:.3} {step:?}", now.0 as f64 / 1e9 - 1.7e9);
        }
        match step {
            Step::Ask { part } => {
                self.part_asks(part);
                if now < UnixNanos::from_secs(1_700_000_000).after(ASKING) {
                    let after = self.dice.ms(1, 2_500);
                    self.plan(after, Step::Ask { part });
                }
            }
            Step::Guest => {
                let guest = self.next_tag;
                self.next_tag += 1;
                let ask = self.ask(guest);
                self.guests.insert(guest, 0);
                self.gateway.request(now, GuestNo(guest), ask, &mut self.deeds);
            }
            Step::Arrive(sent) => self.arrive(sent),
            Step::Answer { ticket, status, body, sent } => {
                self.heed(&body);
                let answer = Answer::Http { status, headers: &[], body: body.as_bytes(), sent, received: now };
                let guest = self.gateway.answered(now, ticket, &answer, &mut self.deeds);
                self.guest_answered(guest);
            }
            Step::Fail { ticket, sent } => {
                let why = "toy network".to_string();
                let answer = if sent { Answer::Unknown { why } } else { Answer::NotSent { why, retry_after: None } };
                let guest = self.gateway.answered(now, ticket, &answer, &mut self.deeds);
                self.guest_answered(guest);
            }
            Step::Settle { part, tag, used } => {
                let budget = Budget::Used { meter: WEIGHT, period: MINUTE, total: used };
                self.told[part].lock().unwrap().settle.push((tag, vec![budget]));
                self.told[part].lock().unwrap().due = Some(now);
                self.gateway.deadlines[part].0 = now;
                self.gateway.on_deadline(now, &mut self.deeds);
            }
            Step::Connected(key) => {
                let opens = if key.part == ENTRY { self.dice.upto(4) > 0 } else { self.dice.upto(2) == 0 };
                let news = if opens { SocketNews::Opened } else { SocketNews::Closed { why: "x" } };
                if key.part == ENTRY && opens {
                    self.open.insert(key, true);
                }
                self.gateway.socket(now, key, &news, &mut self.deeds);
            }
            Step::Say { key, text } => self.said(key, &text),
            Step::Frame { key, text } if self.open.get(&key) == Some(&true) => {
                self.heed(&text);
                self.gateway.socket(now, key, &SocketNews::Text(&text), &mut self.deeds);
            }
            Step::Pong(key) if self.open.get(&key) == Some(&true) => {
                self.gateway.socket(now, key, &SocketNews::Pong, &mut self.deeds);
            }
            Step::Cut(key) if self.open.remove(&key).is_some() => {
                let news = SocketNews::Closed { why: "cut" };
                self.gateway.socket(now, key, &news, &mut self.deeds);
            }
            Step::Frame { .. } | Step::Pong(_) | Step::Cut(_) => {}
            Step::Restart => {
                // A new process knows what was kept, nothing else; what was under way is nobody's any more.
                let closures = self.gateway.closures();
                self.check_answers(false);
                (self.gateway, self.told) = frame();
                self.deeds = Deeds::default();
                self.tags = vec![BTreeSet::new(), BTreeSet::new()];
                self.guests.clear();
                let open = std::mem::take(&mut self.open);
                // Starting takes longer than what was sent travels.
                let steps: Vec<Step> = std::mem::take(&mut self.queue).into_values().collect();
                for step in steps {
                    match step {
                        Step::Arrive(sent) => {
                            self.venue.count(now, self.weight(&sent).1);
                        }
                        Step::Say { key, text } if open.get(&key) == Some(&true) => {
                            self.venue.count(now, self.weights[&told_in(&text).1]);
                        }
                        Step::Ask { part } => self.plan(Nanos::from_secs(1), Step::Ask { part }),
                        _ => {}
                    }
                }
                for c in closures {
                    self.gateway.resume_closure(&c.name, c.until, c.banned);
                }
                self.gateway.start(now, &mut self.deeds);
            }
        }
    }

    /// What we know to be closed from now on.
    fn heed(&mut self, body: &str) {
        if let Some(rest) = body.split("for=").nth(1) {
            let seconds: i64 = rest.split(' ').next().unwrap().parse().unwrap();
            self.known_closed = self.known_closed.max(self.now.after(Nanos::from_secs(seconds)));
        }
    }

    /// A message reaches the venue, unless its socket is gone.
    fn said(&mut self, key: SocketKey, text: &str) {
        if self.open.get(&key) != Some(&true) {
            return;
        }
        let (id, tag) = told_in(text);
        let (status, body) = self.judge(&tag.to_string(), self.weights[&tag]);
        let back = self.dice.ms(0, 800);
        let reply = |world: &mut World, after, id: &str| {
            let text = format!("reply {id} {status} {body}");
            world.plan(after, Step::Frame { key, text });
        };
        match self.dice.upto(40) {
            // Executed, and nobody tells.
            0 => {}
            1 => drop(self.open.insert(key, false)),
            2 => self.plan(back, Step::Cut(key)),
            3 => {
                let late = self.dice.ms(9_000, 25_000);
                reply(self, late, &id.to_string());
            }
            4 => {
                reply(self, back, &id.to_string());
                reply(self, back, &id.to_string());
                let later = self.dice.ms(1_000, 5_000);
                reply(self, later, &id.to_string());
            }
            5 => {
                for other in ["-", "123456789"] {
                    reply(self, Nanos::ZERO, other);
                }
                reply(self, back, &id.to_string());
            }
            6 => {
                self.plan(Nanos::ZERO, Step::Frame { key, text: "bye".into() });
                self.plan(Nanos::from_secs(3), Step::Cut(key));
                reply(self, back, &id.to_string());
            }
            _ => reply(self, back, &id.to_string()),
        }
    }

    fn guest_answered(&mut self, guest: Option<GuestNo>) {
        if let Some(guest) = guest {
            *self.guests.get_mut(&guest.0).unwrap() += 1;
        }
    }

    fn weight(&self, sent: &Outgoing) -> (String, u64) {
        let path = sent.request.path.split('?').next().unwrap()[1..].to_string();
        let weight = path.parse::<u64>().map_or(1, |tag| self.weights[&tag]);
        (path, weight)
    }

    /// A request reaches the venue.
    fn arrive(&mut self, sent: Outgoing) {
        let ticket = sent.ticket;
        let (path, weight) = self.weight(&sent);
        let (status, body) = self.judge(&path, weight);
        let back = self.dice.ms(1, 800);
        if self.dice.upto(15) == 0 {
            self.plan(Nanos::from_secs(10), Step::Fail { ticket, sent: true });
        } else {
            // The way there is not told: the frame measures from sending to receiving.
            let there = sent.request.headers.iter().find(|(n, _)| *n == "sent").unwrap().1.parse().unwrap();
            self.plan(back, Step::Answer { ticket, status, body, sent: UnixNanos(there) });
        }
    }

    /// The venue counts a request and does it, or not.
    fn judge(&mut self, path: &str, weight: u64) -> (u16, String) {
        let (seed, now) = (self.seed, self.now);
        if path != "time" {
            assert!(self.arrived.insert(path.to_string()), "seed={seed}: {path} came twice");
        }
        let at = self.venue.time(now);
        let used = self.venue.count(now, weight);
        if self.trace {
            eprintln!(
                "{:.3} venue counts {path} {weight}: {used}, we {:?}",
                now.0 as f64 / 1e9 - 1.7e9,
                self.gateway.usage()
            );
        }
        assert!(used <= u64::from(LIMIT), "seed={seed}: {used} used");
        if at >= self.venue.banned_until && self.dice.upto(60) == 0 {
            let seconds = 2 + self.dice.upto(40) as i64;
            self.bans += 1;
            self.venue.banned_until = at.after(Nanos::from_secs(seconds));
        }
        let left = ((self.venue.banned_until - at).0 + 999_999_999) / 1_000_000_000;
        match () {
            () if left > 0 => (if left % 2 == 0 { 418 } else { 429 }, format!("used={used} for={left} ")),
            () if self.dice.upto(20) == 0 => (503, String::new()),
            () if path == "time" => (200, format!("{} used={used} ", at.floor(Nanos::from_millis(1)).0)),
            () => (200, format!("used={used} ")),
        }
    }

    /// Carries out the deeds.
    fn act(&mut self) {
        let now = self.now;
        for mut out in std::mem::take(&mut self.deeds.sends) {
            if self.trace {
                eprintln!("{:.3} {:?} {}", now.0 as f64 / 1e9 - 1.7e9, out.ticket, out.request.path);
            }
            assert!(now >= self.known_closed, "seed={}: sent into a closed group: {out:?}", self.seed);
            if let Some(stamp) = out.request.path.split("?stamp=").nth(1) {
                let behind = self.venue.time(now) - UnixNanos(stamp.parse().unwrap());
                let fine = (Nanos::ZERO..Nanos::from_secs(5)).contains(&behind);
                assert!(fine, "seed={}: stamped {behind:?} behind the venue", self.seed);
            }
            let (ticket, there) = (out.ticket, self.dice.ms(1, 400));
            out.request.headers.push(("sent", now.0.to_string()));
            match self.dice.upto(30) {
                0 => self.plan(there, Step::Fail { ticket, sent: false }),
                1 => self.plan(Nanos::from_secs(10), Step::Fail { ticket, sent: true }),
                _ => self.plan(there, Step::Arrive(out)),
            }
        }
        for (key, deed) in std::mem::take(&mut self.deeds.sockets) {
            if self.trace {
                eprintln!("{:.3} {key:?} {deed:?}", now.0 as f64 / 1e9 - 1.7e9);
            }
            match deed {
                SocketDeed::Connect { address } => {
                    if address.contains("counted") {
                        assert!(now >= self.known_closed, "seed={}: connected into a closed group", self.seed);
                        self.venue.count(now, 5);
                    }
                    let after = self.dice.ms(1, 200);
                    self.plan(after, Step::Connected(key));
                }
                SocketDeed::Send(text) => {
                    assert!(now >= self.known_closed, "seed={}: said into a closed group: {text}", self.seed);
                    assert!(self.open.contains_key(&key), "seed={}: said to a socket that is not open", self.seed);
                    let stamp = UnixNanos(text.rsplit(' ').next().unwrap().parse().unwrap());
                    let behind = self.venue.time(now) - stamp;
                    let fine = (Nanos::ZERO..Nanos::from_secs(5)).contains(&behind);
                    assert!(fine, "seed={}: stamped {behind:?} behind the venue", self.seed);
                    self.messages += 1;
                    let there = self.dice.ms(0, 400);
                    match self.dice.upto(40) {
                        // Lost with its socket, or without a word.
                        0 => self.plan(there, Step::Cut(key)),
                        1 => drop(self.open.insert(key, false)),
                        _ => self.plan(there, Step::Say { key, text }),
                    }
                }
                SocketDeed::Ping => {
                    let after = self.dice.ms(1, 300);
                    self.plan(after, Step::Pong(key));
                }
                SocketDeed::Close { .. } => drop(self.open.remove(&key)),
            }
        }
        for (guest, _, _) in std::mem::take(&mut self.deeds.refused) {
            self.guest_answered(Some(guest));
        }
        for part in 0..2 {
            let lines = std::mem::take(&mut self.told[part].lock().unwrap().lines);
            for line in lines.iter().filter(|l| l.ends_with(" go")) {
                assert!(now >= self.known_closed, "seed={}: let into a closed group", self.seed);
                let tag: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
                let used = self.venue.count(now, self.weights[&tag]);
                assert!(used <= u64::from(LIMIT), "seed={}: {used} used", self.seed);
                if self.dice.upto(10) > 0 {
                    let after = self.dice.ms(1, 900);
                    self.plan(after, Step::Settle { part, tag, used });
                }
            }
        }
        self.deeds.notices.clear();
        self.gateway.take_events().for_each(drop);
    }

    fn check_answers(&self, all: bool) {
        for (part, tags) in self.tags.iter().enumerate() {
            let told = self.told[part].lock().unwrap();
            for tag in tags {
                let answers = told.answers.get(tag).map_or(0, Vec::len);
                assert!(
                    answers <= 1 && (!all || answers == 1),
                    "seed={}: {tag} was answered {answers} times",
                    self.seed
                );
            }
        }
        let guests = |n: &u32| *n <= 1 && (!all || *n == 1);
        assert!(self.guests.values().all(guests), "seed={}: guests {:?}", self.seed, self.guests);
    }

    fn run(mut self) -> (u32, u64) {
        self.act();
        let end = self.now.after(ASKING).after(Nanos::from_secs(200));
        loop {
            let planned = self.queue.keys().next().map_or(UnixNanos::MAX, |(at, _)| *at);
            let (due, why) = self.gateway.deadline();
            let next = planned.min(due.max(self.now));
            if next > end {
                break;
            }
            assert!(next >= self.now);
            let stuck = next == self.now && planned > self.now;
            self.now = next;
            if planned <= next {
                let (_, step) = self.queue.pop_first().unwrap();
                self.step(step);
            } else {
                self.gateway.on_deadline(next, &mut self.deeds);
                let (after, _) = self.gateway.deadline();
                assert!(!stuck || after > next || after == UnixNanos::MIN, "seed={}: stuck at {why}", self.seed);
            }
            self.act();
        }
        self.check_answers(true);
        assert!(self.gateway.is_idle(), "seed={}", self.seed);
        (self.bans, self.messages)
    }
}

/// The id and the tag of a message.
fn told_in(text: &str) -> (u64, u64) {
    let mut words = text.split(' ').map(|w| w.parse().unwrap());
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn every_request_ends_once_and_nothing_leaves_what_is_closed() {
    let one = std::env::var("LINK_SEED").ok().map(|s| s.parse::<u64>().expect("LINK_SEED is a number"));
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let ends: Vec<(u32, u64)> = seeds.map(|seed| World::new(seed).run()).collect();
    let (bans, messages) = ends.iter().fold((0, 0), |(b, m), (bans, messages)| (b + bans, m + messages));
    assert!(one.is_some() || bans > 100, "only {bans} bans");
    assert!(one.is_some() || messages > 3_000, "only {messages} messages over sockets");
}
