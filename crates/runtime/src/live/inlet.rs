//! A market that comes in as it happens, for the simulated exchange: what the gateway brings is put in order behind
//! everything the exchange has lived through, so that a journal of it repeats the exchange exactly.
//! Never: reorders, invents or drops an event. What was not taken by the exchange yet is in no snapshot.

use crate::shard::lock;
use ctos_storage::codec::encode_event;
use ctos_types::{EventBuf, Instruments, Stamped, UnixNanos};
use ctos_venue::{MarketSource, SourceTimes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// The queue between the two ends.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(UnixNanos, Box<EventBuf>)>,
    #[expect(clippy::vec_box, reason = "an event moves between queues by its pointer")]
    spare: Vec<Box<EventBuf>>,
}

/// Where events are put in. Its times grow strictly, and lie behind everything that was polled for: what the exchange
/// did before an event was put in happened before the event, here and in every repetition.
#[derive(Debug)]
pub struct Inlet {
    queue: Arc<Mutex<Queue>>,
    /// Nothing may happen at or before this.
    horizon: UnixNanos,
}

impl Inlet {
    /// The exchange has been asked for everything up to here.
    pub fn polled(&mut self, until: UnixNanos) {
        self.horizon = self.horizon.max(until);
    }

    /// Puts in an event that reached us at `recv`. `event` is taken; what is given back is storage.
    pub fn push(&mut self, recv: UnixNanos, event: &mut Box<EventBuf>) {
        let at = recv.max(UnixNanos(self.horizon.0.saturating_add(1)));
        self.horizon = at;
        self.put(at, event);
    }

    /// Puts in a recorded event at the very time it was recorded at.
    pub fn repeat(&mut self, at: UnixNanos, event: &EventBuf) {
        let mut copy = Box::new(event.clone());
        self.horizon = self.horizon.max(at);
        self.put(at, &mut copy);
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.queue).waiting.is_empty()
    }

    fn put(&self, at: UnixNanos, event: &mut Box<EventBuf>) {
        let mut queue = lock(&self.queue);
        let next = queue.spare.pop().unwrap_or_default();
        queue.waiting.push_back((at, std::mem::replace(event, next)));
    }
}

/// The other end: what the exchange trades on.
#[derive(Debug)]
pub struct LiveMarket {
    instruments: Instruments,
    queue: Arc<Mutex<Queue>>,
    chain: [u8; 32],
    handed_out: u64,
    text: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct SavedMarket {
    chain: [u8; 32],
    handed_out: u64,
}

impl LiveMarket {
    /// A market of these instruments, and the end that fills it.
    pub fn new(instruments: Instruments) -> (LiveMarket, Inlet) {
        let queue = Arc::<Mutex<Queue>>::default();
        let inlet = Inlet { queue: queue.clone(), horizon: UnixNanos::MIN };
        (LiveMarket { instruments, queue, chain: [0; 32], handed_out: 0, text: Vec::new() }, inlet)
    }
}

impl MarketSource for LiveMarket {
    fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        lock(&self.queue).waiting.front().map(|(at, _)| *at)
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        let mut queue = lock(&self.queue);
        let (at, mut event) = queue.waiting.pop_front()?;
        std::mem::swap(out, &mut event);
        queue.spare.push(event);
        drop(queue);
        self.text.clear();
        self.text.extend_from_slice(&self.chain);
        encode_event(&Stamped { seq: self.handed_out, at, event: out.as_event() }, &mut self.text);
        self.chain = Sha256::digest(&self.text).into();
        self.handed_out += 1;
        Some(SourceTimes { venue: at, recv: at })
    }

    fn digest(&self) -> [u8; 32] {
        self.chain
    }

    fn save(&self) -> Value {
        json!(SavedMarket { chain: self.chain, handed_out: self.handed_out })
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        let saved = SavedMarket::deserialize(state).map_err(|e| format!("live market: {e}"))?;
        (self.chain, self.handed_out) = (saved.chain, saved.handed_out);
        Ok(())
    }
}
