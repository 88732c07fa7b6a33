//! Inputs of the kernel. Borrowed while they travel ([`Event`]), owned where they must wait ([`EventBuf`]).

use crate::account::AccountEvent;
use crate::command::Control;
use crate::ids::InstrumentId;
use crate::instrument::Rules;
use crate::market::{Bar, FundingRate, Level, MarkPrice, Market, MarketData, Quote, Trade};
use crate::order::OrderReport;
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

/// An input with its place in the one order that everything replays in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamped<E> {
    /// 0, 1, 2, … without gaps within a run.
    pub seq: u64,
    /// Kernel time: never goes back.
    pub at: UnixNanos,
    pub event: E,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    Market(Market<'a>),
    Report(&'a OrderReport),
    Account(&'a AccountEvent),
    /// The venue changed what it takes for an instrument.
    Rules {
        instrument: InstrumentId,
        rules: &'a Rules,
    },
    /// Time has passed: timers due at or before `at` fire and bars close.
    Wake,
    Control(&'a Control),
}

/// An event that owns its parts. Reusing one keeps its level storage, so decoding into it settles into no allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventBuf {
    pub kind: EventKind,
    pub levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Quote {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        quote: Quote,
        update_id: u64,
    },
    Trade {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        trade: Trade,
    },
    /// The first `bids` entries of `levels` are bids, the rest asks.
    Depth {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        bids: usize,
        snapshot: bool,
        update_id: u64,
    },
    Bar {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        bar: Bar,
    },
    Mark {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        mark: MarkPrice,
    },
    Funding {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        funding: FundingRate,
    },
    Gap {
        instrument: InstrumentId,
        ts_event: UnixNanos,
    },
    Report(OrderReport),
    Account(AccountEvent),
    Rules {
        instrument: InstrumentId,
        rules: Rules,
    },
    Wake,
    Control(Control),
}

impl Default for EventBuf {
    fn default() -> Self {
        EventBuf { kind: EventKind::Wake, levels: Vec::new() }
    }
}

impl From<OrderReport> for EventBuf {
    fn from(report: OrderReport) -> Self {
        EventBuf { kind: EventKind::Report(report), levels: Vec::new() }
    }
}

impl From<AccountEvent> for EventBuf {
    fn from(event: AccountEvent) -> Self {
        EventBuf { kind: EventKind::Account(event), levels: Vec::new() }
    }
}

impl From<Control> for EventBuf {
    fn from(control: Control) -> Self {
        EventBuf { kind: EventKind::Control(control), levels: Vec::new() }
    }
}

impl EventBuf {
    #[inline]
    pub fn as_event(&self) -> Event<'_> {
        // Each is written where it is to be: one value that all of them pass through would be copied once more.
        match &self.kind {
            &EventKind::Quote { instrument, ts_event, quote, update_id } => {
                Event::Market(Market { instrument, ts_event, data: MarketData::Quote { quote, update_id } })
            }
            &EventKind::Trade { instrument, ts_event, trade } => {
                Event::Market(Market { instrument, ts_event, data: MarketData::Trade(trade) })
            }
            &EventKind::Depth { instrument, ts_event, bids, snapshot, update_id } => {
                let (bids, asks) = self.levels.split_at(bids);
                let data = MarketData::Depth { bids, asks, snapshot, update_id };
                Event::Market(Market { instrument, ts_event, data })
            }
            &EventKind::Bar { instrument, ts_event, bar } => {
                Event::Market(Market { instrument, ts_event, data: MarketData::Bar(bar) })
            }
            EventKind::Mark { instrument, ts_event, mark } => {
                Event::Market(Market { instrument: *instrument, ts_event: *ts_event, data: MarketData::Mark(mark) })
            }
            EventKind::Funding { instrument, ts_event, funding } => {
                let data = MarketData::Funding(funding);
                Event::Market(Market { instrument: *instrument, ts_event: *ts_event, data })
            }
            &EventKind::Gap { instrument, ts_event } => {
                Event::Market(Market { instrument, ts_event, data: MarketData::Gap })
            }
            EventKind::Report(report) => Event::Report(report),
            EventKind::Account(event) => Event::Account(event),
            EventKind::Rules { instrument, rules } => Event::Rules { instrument: *instrument, rules },
            EventKind::Wake => Event::Wake,
            EventKind::Control(control) => Event::Control(control),
        }
    }

    /// Copies `event` in, keeping the level storage.
    pub fn set(&mut self, event: Event<'_>) {
        self.levels.clear();
        self.kind = match event {
            Event::Market(Market { instrument, ts_event, data }) => match data {
                MarketData::Quote { quote, update_id } => EventKind::Quote { instrument, ts_event, quote, update_id },
                MarketData::Trade(trade) => EventKind::Trade { instrument, ts_event, trade },
                MarketData::Depth { bids, asks, snapshot, update_id } => {
                    self.levels.extend_from_slice(bids);
                    self.levels.extend_from_slice(asks);
                    EventKind::Depth { instrument, ts_event, bids: bids.len(), snapshot, update_id }
                }
                MarketData::Bar(bar) => EventKind::Bar { instrument, ts_event, bar },
                MarketData::Mark(mark) => EventKind::Mark { instrument, ts_event, mark: *mark },
                MarketData::Funding(funding) => EventKind::Funding { instrument, ts_event, funding: *funding },
                MarketData::Gap => EventKind::Gap { instrument, ts_event },
            },
            Event::Report(report) => EventKind::Report(*report),
            Event::Account(event) => EventKind::Account(*event),
            Event::Rules { instrument, rules } => EventKind::Rules { instrument, rules: *rules },
            Event::Wake => EventKind::Wake,
            Event::Control(control) => EventKind::Control(control.clone()),
        };
    }
}
