//! Where the data of an instrument was interrupted: a book that became unknown, bars that are missing between others.
//! Never: fills a hole.

use ctos_types::{EventBuf, InstrumentId, Instruments, Market, MarketData, UnixNanos};
use ctos_venue::{MarketSource, SourceTimes};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An interruption, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub instrument: InstrumentId,
    pub from: UnixNanos,
    /// [`UnixNanos::MAX`] while it lasts.
    pub to: UnixNanos,
}

impl Hole {
    /// Whether it touches the time from `from` to `to` on an instrument.
    pub fn meets(&self, instrument: InstrumentId, from: UnixNanos, to: UnixNanos) -> bool {
        self.instrument == instrument && self.from <= to && self.to >= from
    }
}

/// Finds interruptions in a market as it goes.
#[derive(Debug, Default)]
pub struct Holes {
    pub found: Vec<Hole>,
    /// When the last bar closed, and when a book was last heard of.
    closed: BTreeMap<InstrumentId, UnixNanos>,
    heard: BTreeMap<InstrumentId, UnixNanos>,
}

impl Holes {
    pub fn see(&mut self, at: UnixNanos, market: &Market<'_>) {
        let instrument = market.instrument;
        match market.data {
            // It shows at the first update that does not follow, but what is missing came before.
            MarketData::Gap => {
                let from = self.heard.get(&instrument).copied().unwrap_or(at);
                self.found.push(Hole { instrument, from, to: UnixNanos::MAX });
            }
            MarketData::Depth { snapshot, .. } => {
                self.heard.insert(instrument, at);
                // Nothing but a whole book mends one.
                if let Some(open) = self.found.iter_mut().rfind(|h| h.instrument == instrument && snapshot) {
                    open.to = open.to.min(at);
                }
            }
            MarketData::Bar(bar) => {
                let before = self.closed.insert(instrument, bar.close_time());
                if let Some(from) = before.filter(|closed| bar.open_time > *closed) {
                    self.found.push(Hole { instrument, from, to: at });
                }
            }
            _ => {}
        }
    }
}

/// A market whose interruptions are noted as it is read.
pub struct Noted {
    source: Box<dyn MarketSource>,
    holes: Arc<Mutex<Holes>>,
}

impl Noted {
    /// The market, and where its holes will be found.
    pub fn new(source: Box<dyn MarketSource>) -> (Noted, Arc<Mutex<Holes>>) {
        let holes = Arc::default();
        (Noted { source, holes: Arc::clone(&holes) }, holes)
    }
}

/// What was found so far.
pub fn taken(holes: &Mutex<Holes>) -> Vec<Hole> {
    std::mem::take(&mut holes.lock().unwrap_or_else(PoisonError::into_inner).found)
}

impl MarketSource for Noted {
    fn instruments(&self) -> &Instruments {
        self.source.instruments()
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        self.source.peek()
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        let times = self.source.next(out)?;
        if let ctos_types::Event::Market(market) = out.as_event() {
            self.holes.lock().unwrap_or_else(PoisonError::into_inner).see(times.recv, &market);
        }
        Some(times)
    }

    fn digest(&self) -> [u8; 32] {
        self.source.digest()
    }

    fn save(&self) -> Value {
        self.source.save()
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.source.restore(state)
    }
}
