//! A twin between two lives: its state as a document, and the record of what was done since, which is done again.
//! Never: a file; where documents and records are kept is the server's.
//!
//! Calling contract: `record` once; after every input `take_record`, whose lines must be safe before the input's reply
//! leaves. Connections are not kept: clients find them closed.

mod form;

pub(crate) use form::{Word, pairs, word};

use crate::algo::Algos;
use crate::config::{Product, TwinConfig, TwinError};
use crate::faults::Faults;
use crate::feed::SavedFeed;
use crate::limits::Used;
use crate::orders::Orders;
use crate::params::Params;
use crate::public::Public;
use crate::rest::{Call, endpoints};
use crate::twin::{OldBook, TICK, Twin};
use crate::users::SavedUsers;
use ctos_types::{InstrumentId, L2Book, Nanos, UnixNanos};
use ctos_venue::{Exchange, MarketSource};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Version of the document.
const SCHEMA: u32 = 3;
/// A market that stood still for longer goes on where it was; whole days, so that fundings keep their hours.
const DAY: Nanos = Nanos::from_secs(86_400);

/// The market behind a twin that is taken up again.
#[allow(missing_debug_implementations)]
pub enum Market {
    /// Seed of the synthetic market.
    Synthetic(u64),
    Recorded(Box<dyn MarketSource>),
}

/// Everything a twin knows, apart from its settings and its connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    schema: u32,
    product: Product,
    pub(crate) now: UnixNanos,
    /// Where the synthetic market began.
    pub(crate) born: UnixNanos,
    pub(crate) feed: SavedFeed,
    venue: Exchange,
    /// Rows of exchangeInfo, which may have been changed.
    rows: Vec<(String, Value)>,
    publics: Vec<Public>,
    users: SavedUsers,
    orders: Orders,
    algos: Algos,
    used: Used,
    faults: Faults,
    rng: Xoshiro256PlusPlus,
    book_rng: Xoshiro256PlusPlus,
    next_tick: UnixNanos,
    shared_id: i64,
    executions: i64,
    tokens: BTreeMap<String, (usize, i64)>,
    old_books: Vec<OldBook>,
    hidden: Vec<(InstrumentId, L2Book)>,
}

/// One thing that was done, with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    at: UnixNanos,
    #[serde(flatten)]
    done: Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Call {
        method: String,
        path: String,
        ip: IpAddr,
        user: usize,
        api_key: String,
        params: Vec<(String, String)>,
        /// A fault let it fail half way.
        #[serde(default)]
        half: bool,
        /// Digest of the reply.
        reply: u64,
    },
    Deed {
        json: String,
        reply: u64,
    },
    /// What is left of the script, and the bans.
    Aside {
        faults: Box<Faults>,
        bans: BTreeMap<IpAddr, (i64, u32)>,
    },
}

/// What a recording twin has not handed out yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    entries: Vec<Entry>,
    faults: Option<Faults>,
    bans: BTreeMap<IpAddr, (i64, u32)>,
}

fn unfit(why: impl std::fmt::Display) -> TwinError {
    TwinError::new(
        format!("the kept state cannot be taken up again: {why}"),
        "it was written by another version of ctos or with other settings, or is damaged: use another directory",
    )
}

impl Twin {
    /// From now on everything that changes the twin is recorded.
    pub fn record(&mut self) {
        let (faults, bans) = (Some(self.faults.clone()), self.limits.bans());
        self.record = Some(Record { entries: Vec::new(), faults, bans });
    }

    /// What was done since it was last asked, as lines of text. Empty for most inputs.
    pub fn take_record(&mut self) -> String {
        let Some(record) = &mut self.record else { return String::new() };
        let bans = self.limits.bans();
        if record.faults.as_ref() != Some(&self.faults) || record.bans != bans {
            (record.faults, record.bans) = (Some(self.faults.clone()), bans.clone());
            let done = Done::Aside { faults: Box::new(self.faults.clone()), bans };
            record.entries.push(Entry { at: self.now, done });
        }
        let mut lines = String::new();
        for entry in record.entries.drain(..) {
            lines += &serde_json::to_string(&entry).expect("entries are texts and numbers");
            lines.push('\n');
        }
        lines
    }

    pub(crate) fn note_call(&mut self, method: &str, path: &str, ip: IpAddr, call: &Call, reply: &str) {
        let Some(record) = &mut self.record else { return };
        let secret = ["signature", "timestamp", "recvWindow", "apiKey"];
        let params = call.params.iter().filter(|(n, _)| !secret.contains(n));
        let done = Done::Call {
            method: method.into(),
            path: path.into(),
            ip,
            user: call.user,
            api_key: call.api_key.clone(),
            params: params.map(|(n, v)| (n.into(), v.into())).collect(),
            half: self.half,
            reply: digest(reply),
        };
        record.entries.push(Entry { at: self.now, done });
    }

    pub(crate) fn note_deed(&mut self, json: &str, reply: &str) {
        let Some(record) = &mut self.record else { return };
        let done = Done::Deed { json: json.into(), reply: digest(reply) };
        record.entries.push(Entry { at: self.now, done });
    }

    /// The state as it is now. What `take_record` gives from here on comes after it.
    pub fn state(&self) -> State {
        State {
            schema: SCHEMA,
            product: self.product,
            now: self.now,
            born: self.born,
            feed: self.feed.save(),
            venue: self.venue.clone(),
            rows: self.symbols.list.iter().map(|s| (s.name.clone(), s.row.clone())).collect(),
            publics: self.publics.clone(),
            users: self.users.save(),
            orders: self.orders.clone(),
            algos: self.algos.clone(),
            used: self.limits.save(),
            faults: self.faults.clone(),
            rng: self.rng.clone(),
            book_rng: self.book_rng.clone(),
            next_tick: self.next_tick,
            shared_id: self.shared_id,
            executions: self.executions,
            tokens: self.tokens.clone(),
            old_books: self.old_books.iter().cloned().collect(),
            hidden: self.hidden.iter().map(|(id, book)| (*id, book.clone())).collect(),
        }
    }

    /// Takes a twin up again: the state, then everything recorded after it, then time up to `now`. Errors: the state or a
    /// recorded outcome does not fit these settings or this version.
    pub fn resume(
        config: TwinConfig,
        market: Market,
        state: State,
        recorded: &[Entry],
        now: UnixNanos,
    ) -> Result<Twin, TwinError> {
        if state.schema != SCHEMA || state.product != config.product {
            return Err(unfit("it is of another kind"));
        }
        let mut twin = Twin::fresh(config, market, state.born)?;
        twin.take(state)?;
        let before = twin.now;
        twin.quiet = true;
        twin.hurry();
        for entry in recorded {
            twin.again(entry)?;
        }
        // The market of a twin that was away for long waited for it; what the venue itself does by time happens anyway.
        let away = (now - twin.now).0.max(0);
        twin.feed.sleep(Nanos(away - away % DAY.0));
        twin.advance(now);
        twin.roll(twin.now_ms());
        twin.next_tick = twin.now.floor(TICK).after(TICK);
        twin.quiet = false;
        // More than anybody can have seen of ids while the time that was gone through again passed first.
        let passed = (twin.now - before).0 / 1_000_000_000 + 10;
        twin.skip_ids(passed.saturating_mul(100_000));
        twin.dirty.extend(twin.publics.iter().map(|p| p.id));
        twin.settle();
        Ok(twin)
    }

    fn take(&mut self, s: State) -> Result<(), TwinError> {
        if s.venue.instruments() != self.venue.instruments() || s.publics.len() != self.publics.len() {
            return Err(unfit("its instruments are others"));
        }
        self.feed.restore(s.feed).map_err(unfit)?;
        for (name, row) in s.rows {
            self.symbols.replace(self.product, &name, row).map_err(unfit)?;
        }
        self.users.restore(s.users).map_err(unfit)?;
        self.limits.restore(s.used);
        (self.now, self.venue, self.publics) = (s.now, s.venue, s.publics);
        (self.orders, self.algos, self.faults) = (s.orders, s.algos, s.faults);
        (self.rng, self.book_rng, self.next_tick) = (s.rng, s.book_rng, s.next_tick);
        (self.shared_id, self.executions, self.tokens) = (s.shared_id, s.executions, s.tokens);
        self.old_books = s.old_books.into();
        self.hidden = s.hidden.into_iter().collect();
        self.warming = false;
        Ok(())
    }

    fn again(&mut self, entry: &Entry) -> Result<(), TwinError> {
        self.advance(entry.at);
        // Calls look at the books as they are shown.
        self.show_dirty();
        let differs = || unfit("something that was done comes out differently");
        match &entry.done {
            Done::Call { method, path, ip, user, api_key, params, half, reply } => {
                let e = endpoints(self.product).find(|e| e.method == method && e.path == path).ok_or_else(differs)?;
                let params = Params::from_pairs(params.clone());
                let call = Call { params, user: *user, api_key: api_key.clone() };
                self.half = *half;
                let got = self.execute(e, &call, *ip);
                self.half = false;
                let text = got.unwrap_or_else(|e| e.body());
                if digest(&text) != *reply {
                    return Err(differs());
                }
            }
            Done::Deed { json, reply } => {
                let text = self.admin(entry.at, json).unwrap_or_else(|why| why);
                if digest(&text) != *reply {
                    return Err(differs());
                }
            }
            Done::Aside { faults, bans } => {
                self.faults = (**faults).clone();
                self.limits.set_bans(bans);
            }
        }
        self.settle();
        self.hurry();
        Ok(())
    }
}

/// FNV-1a, 64 bits: the same in every version and on every machine.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}
