//! A recording, loaded: market events in compact records, handed out in the venue's own order of time.
//! Never: more than 64 bytes for an event of one price, quote, bar or level, while it loads or afterwards.
//!
//! Venue and receive clocks differ by an unknown constant and a varying delay. The smallest difference seen is taken
//! for the constant, so on our clock an event happened at the venue at `ts_event + min(ts_recv - ts_event)`, never
//! after we received it.

mod entry;
mod order;
mod words;

use crate::source::{MarketSource, SourceTimes};
use ctos_types::{EventBuf, InstrumentId, Instruments, Interval, Market, MarketData, Rules, UnixNanos};
use serde_json::{Value, json};
use std::sync::Arc;
use words::Words;

/// Takes in events in the order received and makes a [`Tape`] of them.
#[derive(Debug)]
pub struct TapeBuilder {
    instruments: Instruments,
    words: Words,
    /// The entry being made.
    entry: Vec<u64>,
    intervals: Vec<Interval>,
    /// The last venue time heard, for events that do not state one.
    last_event: Option<UnixNanos>,
    last_recv: UnixNanos,
    /// When the last of the events before the first stated time was received.
    unstated: Option<UnixNanos>,
    first_event: Option<UnixNanos>,
    /// The smallest `ts_recv - ts_event` so far.
    lag: Option<i64>,
    /// Venue times never went back.
    in_order: bool,
    /// What the venue takes from a moment of receipt on.
    rules: Vec<(UnixNanos, InstrumentId, Rules)>,
}

impl TapeBuilder {
    pub fn new(instruments: Instruments) -> TapeBuilder {
        TapeBuilder {
            instruments,
            words: Words::default(),
            entry: Vec::new(),
            intervals: Vec::new(),
            last_event: None,
            last_recv: UnixNanos::MIN,
            unstated: None,
            first_event: None,
            lag: None,
            in_order: true,
            rules: Vec::new(),
        }
    }

    /// Appends an event. `ts_recv` never goes back. A `ts_event` of [`UnixNanos::MIN`] means that the event states
    /// none: it takes that of the event before it. A bar counts as happening at its close time.
    pub fn push(&mut self, ts_recv: UnixNanos, market: &Market<'_>) {
        debug_assert!(self.last_recv <= ts_recv, "events come in receive order");
        self.last_recv = ts_recv;
        self.put(ts_recv, market);
    }

    /// Adds an event that happened earlier than what came last, with both of its times.
    pub fn insert(&mut self, ts_recv: UnixNanos, market: &Market<'_>) {
        let last = self.last_event;
        self.put(ts_recv, market);
        self.last_event = last;
    }

    /// The venue takes something else for an instrument, as of when we heard of it: nothing tells since when.
    pub fn change_rules(&mut self, ts_recv: UnixNanos, instrument: InstrumentId, rules: Rules) {
        self.rules.push((ts_recv, instrument, rules));
    }

    fn put(&mut self, ts_recv: UnixNanos, market: &Market<'_>) {
        let stated = match market.data {
            MarketData::Bar(bar) => bar.close_time(),
            _ => market.ts_event,
        };
        let ts_event = if stated == UnixNanos::MIN { self.last_event.unwrap_or(UnixNanos::MIN) } else { stated };
        if ts_event == UnixNanos::MIN {
            self.unstated = Some(ts_recv);
        } else {
            self.in_order &= self.last_event.is_none_or(|last| last <= ts_event);
            self.last_event = Some(ts_event);
            self.first_event.get_or_insert(ts_event);
            let lag = ts_recv.0.saturating_sub(ts_event.0);
            self.lag = Some(self.lag.map_or(lag, |least| least.min(lag)));
        }
        self.entry.clear();
        entry::write(ts_recv, ts_event, market, &mut self.intervals, &mut self.entry);
        self.words.push(&self.entry);
    }

    /// `digest` identifies the recording.
    pub fn finish(mut self, digest: [u8; 32]) -> Tape {
        let offset = self.lag.unwrap_or(0);
        let mut rules = Vec::with_capacity(self.rules.len());
        for (recv, instrument, now) in std::mem::take(&mut self.rules) {
            self.entry.clear();
            let place = u32::try_from(rules.len()).expect("fewer changes of rules than numbers");
            entry::write_rules(recv, UnixNanos(recv.0.saturating_sub(offset)), instrument, place, &mut self.entry);
            self.words.push(&self.entry);
            self.in_order = false;
            rules.push(now);
        }
        self.words.seal();
        let first = self.first_event.map(|event| UnixNanos(event.0.saturating_add(offset)));
        let in_order = self.in_order && self.unstated.is_none_or(|recv| first.is_none_or(|first| recv <= first));
        let words = match in_order {
            true => self.words,
            false => order::by_time(self.words, |entry| venue_time(entry, offset).map_or(i64::MIN, |t| t.0)),
        };
        let (instruments, intervals) = (self.instruments, self.intervals);
        Tape::at_start(Arc::new(Recording { instruments, words, intervals, rules, offset, digest }))
    }
}

/// A loaded recording as a market source. A clone reads the same data, from where the original stands.
#[derive(Clone, Debug)]
pub struct Tape {
    recording: Arc<Recording>,
    /// The block and the word in it where the next event begins.
    block: usize,
    at: usize,
    /// Events handed out.
    next: usize,
    /// When the next event happens at the venue.
    due: Option<UnixNanos>,
}

#[derive(Debug)]
struct Recording {
    instruments: Instruments,
    /// In the venue's order.
    words: Words,
    intervals: Vec<Interval>,
    rules: Vec<Rules>,
    /// The recording's smallest `ts_recv - ts_event`, in nanoseconds.
    offset: i64,
    digest: [u8; 32],
}

/// Events before the first stated time happen when received.
#[inline]
fn on_our_clock(recv: UnixNanos, event: UnixNanos, offset: i64) -> UnixNanos {
    if event == UnixNanos::MIN { recv } else { UnixNanos(event.0.saturating_add(offset)) }
}

/// When the entry in front happened at the venue, on our clock.
#[inline]
fn venue_time(words: &[u64], offset: i64) -> Option<UnixNanos> {
    entry::times(words).map(|(recv, event)| on_our_clock(recv, event, offset))
}

impl Tape {
    fn at_start(recording: Arc<Recording>) -> Tape {
        let due = recording.words.blocks.first().and_then(|block| venue_time(block, recording.offset));
        Tape { recording, block: 0, at: 0, next: 0, due }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.recording.words.entries
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands between the venue's clock and ours at the fastest, in nanoseconds; may be negative.
    pub fn clock_offset(&self) -> i64 {
        self.recording.offset
    }

    /// Bytes of memory that the events take, shared by all clones.
    pub fn bytes(&self) -> usize {
        self.recording.words.blocks.iter().map(|block| size_of_val(&**block)).sum()
    }

    /// Moves behind an entry of `words` words.
    fn advance(&mut self, words: usize) {
        let tape = &*self.recording;
        let rest = tape.words.blocks.get(self.block).and_then(|block| block.get(self.at + words..));
        let due = rest.and_then(|rest| venue_time(rest, tape.offset));
        self.go_on(words, due);
    }

    /// [`Tape::advance`], where what comes next in the block is known already.
    #[inline]
    fn go_on(&mut self, words: usize, due: Option<UnixNanos>) {
        self.next += 1;
        self.at += words;
        self.due = due;
        if due.is_none() {
            self.begin_block();
        }
    }

    #[cold]
    fn begin_block(&mut self) {
        let tape = &*self.recording;
        (self.block, self.at) = (self.block + 1, 0);
        self.due = tape.words.blocks.get(self.block).and_then(|block| venue_time(block, tape.offset));
    }
}

impl MarketSource for Tape {
    fn instruments(&self) -> &Instruments {
        &self.recording.instruments
    }

    #[inline]
    fn peek(&mut self) -> Option<UnixNanos> {
        self.due
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        let venue = self.due?;
        let tape = &*self.recording;
        let words = &tape.words.blocks[self.block][self.at..];
        let (recv, _) = entry::times(words)?;
        let len = entry::read(words, &tape.intervals, &tape.rules, out);
        let due = words.get(len..).and_then(|rest| venue_time(rest, tape.offset));
        self.go_on(len, due);
        Some(SourceTimes { venue, recv })
    }

    fn digest(&self) -> [u8; 32] {
        self.recording.digest
    }

    fn share(&self) -> Option<Box<dyn MarketSource>> {
        Some(Box::new(Tape::at_start(self.recording.clone())))
    }

    fn save(&self) -> Value {
        json!({ "next": self.next, "digest": self.recording.digest })
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        if state["digest"] != json!(self.recording.digest) {
            return Err("the recording is not the one this run was started with".into());
        }
        let next = state["next"].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= self.len());
        let next = next.ok_or("the position in the recording is out of range")?;
        *self = Tape::at_start(self.recording.clone());
        let tape = self.recording.clone();
        let block = tape.words.firsts.partition_point(|first| *first <= next).saturating_sub(1);
        (self.block, self.next) = (block, tape.words.firsts.get(block).copied().unwrap_or(0));
        self.due = tape.words.blocks.get(block).and_then(|words| venue_time(words, tape.offset));
        while self.next < next {
            self.advance(entry::len(&tape.words.blocks[self.block][self.at..]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
