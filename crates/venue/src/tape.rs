//! A recording, loaded: market events in compact records, handed out in the venue's own order of time.
//!
//! Venue and receive clocks differ by an unknown constant and a varying delay. The smallest difference seen is taken
//! for the constant, so on our clock an event happened at the venue at `ts_event + min(ts_recv - ts_event)`, never
//! after we received it.

use crate::source::{MarketSource, SourceTimes};
use ctos_types::{
    Bar, EventBuf, EventKind, FundingRate, InstrumentId, Instruments, Interval, Level, MarkPrice, Market, MarketData,
    Price, Qty, Quote, Side, Trade, UnixNanos,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// One event. 64 bytes: a recording of tens of millions fits into memory.
#[derive(Clone, Copy, Debug)]
struct Record {
    ts_recv: UnixNanos,
    body: Body,
}

const _: () = assert!(size_of::<Record>() == 64);

#[derive(Clone, Copy, Debug)]
enum Body {
    Quote {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        quote: Quote,
        update_id: u64,
    },
    Trade {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        price: Price,
        qty: Qty,
        id: u64,
        aggressor: Side,
    },
    Depth {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        start: u64,
        update_id: u64,
        bids: u32,
        asks: u32,
        snapshot: bool,
    },
    /// Happens at its close time. `interval` is an index into the tape's intervals.
    Bar {
        instrument: InstrumentId,
        interval: u16,
        open_time: UnixNanos,
        ohlc: [Price; 4],
        volume: Qty,
    },
    Mark {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        at: u32,
    },
    Funding {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        at: u32,
    },
    Gap {
        instrument: InstrumentId,
        ts_event: UnixNanos,
    },
}

/// Takes in events in the order received and makes a [`Tape`] of them.
#[derive(Debug)]
pub struct TapeBuilder {
    instruments: Instruments,
    records: Vec<Record>,
    levels: Vec<Level>,
    marks: Vec<MarkPrice>,
    fundings: Vec<FundingRate>,
    intervals: Vec<Interval>,
    /// The last venue time heard, for events that do not state one.
    last_event: Option<UnixNanos>,
}

impl TapeBuilder {
    pub fn new(instruments: Instruments) -> TapeBuilder {
        TapeBuilder {
            instruments,
            records: Vec::new(),
            levels: Vec::new(),
            marks: Vec::new(),
            fundings: Vec::new(),
            intervals: Vec::new(),
            last_event: None,
        }
    }

    /// Appends an event. `ts_recv` never goes back. A `ts_event` of [`UnixNanos::MIN`] means that the event states
    /// none: it takes that of the event before it. A bar counts as happening at its close time.
    pub fn push(&mut self, ts_recv: UnixNanos, market: &Market<'_>) {
        let instrument = market.instrument;
        let ts_event = match (market.data, market.ts_event) {
            (MarketData::Bar(bar), _) => bar.close_time(),
            (_, UnixNanos::MIN) => self.last_event.unwrap_or(UnixNanos::MIN),
            (_, stated) => stated,
        };
        if ts_event != UnixNanos::MIN {
            self.last_event = Some(ts_event);
        }
        let body = match market.data {
            MarketData::Quote { quote, update_id } => Body::Quote { instrument, ts_event, quote, update_id },
            MarketData::Trade(Trade { price, qty, aggressor, id }) => {
                Body::Trade { instrument, ts_event, price, qty, id, aggressor }
            }
            MarketData::Depth { bids, asks, snapshot, update_id } => {
                let start = self.levels.len() as u64;
                self.levels.extend_from_slice(bids);
                self.levels.extend_from_slice(asks);
                let (bids, asks) = (bids.len() as u32, asks.len() as u32);
                Body::Depth { instrument, ts_event, start, update_id, bids, asks, snapshot }
            }
            MarketData::Bar(bar) => self.bar(instrument, &bar),
            MarketData::Mark(mark) => {
                self.marks.push(*mark);
                Body::Mark { instrument, ts_event, at: self.marks.len() as u32 - 1 }
            }
            MarketData::Funding(funding) => {
                self.fundings.push(*funding);
                Body::Funding { instrument, ts_event, at: self.fundings.len() as u32 - 1 }
            }
            MarketData::Gap => Body::Gap { instrument, ts_event },
        };
        debug_assert!(self.records.last().is_none_or(|r| r.ts_recv <= ts_recv), "events come in receive order");
        self.records.push(Record { ts_recv, body });
    }

    fn bar(&mut self, instrument: InstrumentId, bar: &Bar) -> Body {
        let known = self.intervals.iter().position(|i| *i == bar.interval);
        let interval = known.unwrap_or_else(|| {
            self.intervals.push(bar.interval);
            self.intervals.len() - 1
        });
        let (open_time, ohlc) = (bar.open_time, [bar.open, bar.high, bar.low, bar.close]);
        Body::Bar { instrument, interval: interval as u16, open_time, ohlc, volume: bar.volume }
    }

    /// `digest` identifies the recording.
    pub fn finish(mut self, digest: [u8; 32]) -> Tape {
        self.records.shrink_to_fit();
        self.levels.shrink_to_fit();
        let mut tape = Recording {
            instruments: self.instruments,
            records: self.records,
            levels: self.levels,
            marks: self.marks,
            fundings: self.fundings,
            intervals: self.intervals,
            offset: 0,
            order: None,
            digest,
        };
        let lag = |r: &Record| tape.stated(r).map(|t| r.ts_recv.0 - t.0);
        tape.offset = tape.records.iter().filter_map(lag).min().unwrap_or(0);
        let sorted = tape.records.windows(2).all(|w| tape.venue_time(&w[0]) <= tape.venue_time(&w[1]));
        if !sorted {
            let mut order: Vec<u32> = (0..tape.records.len() as u32).collect();
            // Stable: what the venue stamped alike keeps the order in which it came.
            order.sort_by_key(|i| tape.venue_time(&tape.records[*i as usize]));
            tape.order = Some(order);
        }
        Tape { recording: Arc::new(tape), next: 0 }
    }
}

/// A loaded recording as a market source. A clone reads the same data, from where the original stands.
#[derive(Clone, Debug)]
pub struct Tape {
    recording: Arc<Recording>,
    next: usize,
}

#[derive(Debug)]
struct Recording {
    instruments: Instruments,
    records: Vec<Record>,
    levels: Vec<Level>,
    marks: Vec<MarkPrice>,
    fundings: Vec<FundingRate>,
    intervals: Vec<Interval>,
    /// The recording's smallest `ts_recv - ts_event`, in nanoseconds.
    offset: i64,
    /// Record numbers in venue order, where that is not the order received.
    order: Option<Vec<u32>>,
    digest: [u8; 32],
}

impl Tape {
    /// Number of events.
    pub fn len(&self) -> usize {
        self.recording.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.recording.records.is_empty()
    }

    /// What stands between the venue's clock and ours at the fastest, in nanoseconds; may be negative.
    pub fn clock_offset(&self) -> i64 {
        self.recording.offset
    }
}

impl Recording {
    fn stated(&self, r: &Record) -> Option<UnixNanos> {
        let t = match r.body {
            Body::Quote { ts_event, .. }
            | Body::Trade { ts_event, .. }
            | Body::Depth { ts_event, .. }
            | Body::Mark { ts_event, .. }
            | Body::Funding { ts_event, .. }
            | Body::Gap { ts_event, .. } => ts_event,
            Body::Bar { open_time, interval, .. } => open_time.after(self.intervals[interval as usize].as_nanos()),
        };
        (t != UnixNanos::MIN).then_some(t)
    }

    /// When the event happened at the venue, on our clock. Events before the first stated time happen when received.
    fn venue_time(&self, r: &Record) -> UnixNanos {
        self.stated(r).map_or(r.ts_recv, |t| UnixNanos(t.0 + self.offset))
    }

    fn record(&self, at: usize) -> Option<&Record> {
        let at = match &self.order {
            Some(order) => *order.get(at)? as usize,
            None => at,
        };
        self.records.get(at)
    }
}

impl MarketSource for Tape {
    fn instruments(&self) -> &Instruments {
        &self.recording.instruments
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        let tape = &*self.recording;
        tape.record(self.next).map(|r| tape.venue_time(r))
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        let tape = &*self.recording;
        let record = *tape.record(self.next)?;
        self.next += 1;
        out.levels.clear();
        out.kind = match record.body {
            Body::Quote { instrument, ts_event, quote, update_id } => {
                EventKind::Quote { instrument, ts_event, quote, update_id }
            }
            Body::Trade { instrument, ts_event, price, qty, id, aggressor } => {
                EventKind::Trade { instrument, ts_event, trade: Trade { price, qty, aggressor, id } }
            }
            Body::Depth { instrument, ts_event, start, update_id, bids, asks, snapshot } => {
                let end = start as usize + (bids + asks) as usize;
                out.levels.extend_from_slice(&tape.levels[start as usize..end]);
                EventKind::Depth { instrument, ts_event, bids: bids as usize, snapshot, update_id }
            }
            Body::Bar { instrument, interval, open_time, ohlc: [open, high, low, close], volume } => {
                let interval = tape.intervals[interval as usize];
                let bar = Bar { interval, open_time, open, high, low, close, volume };
                EventKind::Bar { instrument, ts_event: bar.close_time(), bar }
            }
            Body::Mark { instrument, ts_event, at } => {
                EventKind::Mark { instrument, ts_event, mark: tape.marks[at as usize] }
            }
            Body::Funding { instrument, ts_event, at } => {
                EventKind::Funding { instrument, ts_event, funding: tape.fundings[at as usize] }
            }
            Body::Gap { instrument, ts_event } => EventKind::Gap { instrument, ts_event },
        };
        Some(SourceTimes { venue: tape.venue_time(&record), recv: record.ts_recv })
    }

    fn digest(&self) -> [u8; 32] {
        self.recording.digest
    }

    fn share(&self) -> Option<Box<dyn MarketSource>> {
        Some(Box::new(Tape { recording: self.recording.clone(), next: 0 }))
    }

    fn save(&self) -> Value {
        json!({ "next": self.next, "digest": self.recording.digest })
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        if state["digest"] != json!(self.recording.digest) {
            return Err("the recording is not the one this run was started with".into());
        }
        let next =
            state["next"].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= self.recording.records.len());
        self.next = next.ok_or("the position in the recording is out of range")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(ts_event: i64, id: u64) -> Market<'static> {
        let trade = Trade { price: Price(1), qty: Qty(1), aggressor: Side::Buy, id };
        Market { instrument: InstrumentId(0), ts_event: UnixNanos(ts_event), data: MarketData::Trade(trade) }
    }

    fn drain(tape: &mut Tape) -> Vec<(u64, i64, i64)> {
        let mut out = EventBuf::default();
        let mut seen = Vec::new();
        while let Some(peeked) = tape.peek() {
            let times = tape.next(&mut out).unwrap();
            assert_eq!(times.venue, peeked);
            assert!(times.recv >= times.venue);
            let EventKind::Trade { trade, .. } = &out.kind else { panic!("{out:?}") };
            seen.push((trade.id, times.venue.0, times.recv.0));
        }
        seen
    }

    #[test]
    fn the_venues_order_of_time_on_our_clock() {
        let mut b = TapeBuilder::new(Instruments::default());
        // The venue's clock runs 1000 ahead; the delays are 5, 50 and 7, so the second event happened first.
        b.push(UnixNanos(105), &trade(1100, 1));
        b.push(UnixNanos(120), &trade(1070, 2));
        b.push(UnixNanos(130), &trade(i64::MIN, 3));
        b.push(UnixNanos(140), &trade(1133, 4));
        let mut tape = b.finish([7; 32]);
        assert_eq!(tape.clock_offset(), -995);
        assert_eq!(drain(&mut tape), [(2, 75, 120), (3, 75, 130), (1, 105, 105), (4, 138, 140)]);
    }

    #[test]
    fn restore_goes_on_with_the_next() {
        let build = |digest| {
            let mut b = TapeBuilder::new(Instruments::default());
            (0..5).for_each(|i| b.push(UnixNanos(i), &trade(i, i as u64)));
            b.finish(digest)
        };
        let mut tape = build([1; 32]);
        let mut out = EventBuf::default();
        tape.next(&mut out);
        tape.next(&mut out);
        let saved = tape.save();
        let mut other = build([1; 32]);
        other.restore(&saved).unwrap();
        assert_eq!(drain(&mut other), drain(&mut tape));
        assert!(build([2; 32]).restore(&saved).is_err());
    }

    #[test]
    fn bars_keep_every_field() {
        let bar = Bar {
            interval: Interval::H1,
            open_time: UnixNanos::from_secs(3600),
            open: Price(2),
            high: Price(5),
            low: Price(1),
            close: Price(3),
            volume: Qty(9),
        };
        let mut b = TapeBuilder::new(Instruments::default());
        let data = MarketData::Bar(bar);
        b.push(bar.close_time(), &Market { instrument: InstrumentId(0), ts_event: bar.close_time(), data });
        let mut out = EventBuf::default();
        b.finish([0; 32]).next(&mut out);
        assert_eq!(out.kind, EventKind::Bar { instrument: InstrumentId(0), ts_event: bar.close_time(), bar });
    }
}
