//! The network between the driver and the venue: how long things take, what gets lost, and in which order they arrive.
//! Never: touches what it carries.

use ctos_link::gateway::SocketKey;
use ctos_link::http::HttpRequest;
use ctos_link::rate::Ticket;
use ctos_types::{Nanos, UnixNanos};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// How bad it is. Chances are in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// A request never arrives.
    pub lose_request: u64,
    /// A reply never arrives.
    pub lose_reply: u64,
    /// Something takes up to `slow_ms` instead of a few milliseconds.
    pub slow: u64,
    pub slow_ms: u64,
    /// A connection attempt fails.
    pub no_connection: u64,
    /// Order-entry sockets cannot be opened.
    pub no_entry: bool,
}

/// What an answer was.
#[derive(Clone, Debug)]
pub enum Back {
    Http { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, sent: UnixNanos },
    Unknown(String),
}

#[derive(Clone, Debug)]
pub enum News {
    Opened,
    Closed(String),
    Text(String),
    Ping,
    Pong,
}

/// Something on its way. `life`: which life of ctos it belongs to.
#[derive(Clone, Debug)]
pub enum Ev {
    Request { life: u32, ticket: Ticket, request: HttpRequest, sent: UnixNanos },
    Reply { life: u32, ticket: Ticket, back: Back },
    Open { life: u32, key: SocketKey, path: String },
    Say { conn: u64, text: String },
    PingVenue { conn: u64 },
    PongVenue { conn: u64 },
    Shut { conn: u64 },
    News { life: u32, key: SocketKey, news: News },
}

/// Everything under way, in the order of arrival.
#[derive(Debug)]
pub struct Net {
    pub quality: Quality,
    rng: Xoshiro256PlusPlus,
    queue: BTreeMap<(UnixNanos, u64), Ev>,
    n: u64,
    /// Frames of a socket arrive in order: when its last one does.
    last: BTreeMap<(bool, u64), UnixNanos>,
}

impl Net {
    pub fn new(seed: u64) -> Net {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x006e_6574_776f_726b);
        Net { quality: Quality::default(), rng, queue: BTreeMap::new(), n: 0, last: BTreeMap::new() }
    }

    pub fn chance(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.rng.next_u64() % 1_000 < thousandths
    }

    pub fn upto(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n.max(1)
    }

    pub fn delay(&mut self) -> Nanos {
        let slow = self.quality.slow;
        let ms = if self.chance(slow) { self.upto(self.quality.slow_ms.max(1)) } else { self.upto(30) };
        Nanos::from_millis(2 + ms as i64)
    }

    pub fn put(&mut self, at: UnixNanos, ev: Ev) {
        self.n += 1;
        self.queue.insert((at, self.n), ev);
    }

    /// On a socket, behind everything that went the same way before.
    pub fn put_in_order(&mut self, at: UnixNanos, to_venue: bool, conn: u64, ev: Ev) {
        let last = self.last.entry((to_venue, conn)).or_insert(at);
        *last = (*last).max(at);
        let at = *last;
        self.put(at, ev);
    }

    pub fn next_due(&self) -> Option<UnixNanos> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn pop(&mut self, now: UnixNanos) -> Option<Ev> {
        let first = self.queue.first_entry().filter(|e| e.key().0 <= now)?;
        Some(first.remove())
    }
}
