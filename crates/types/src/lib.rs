//! The words of ctos: instruments, exact numbers, orders, events, errors, time.
//! Never: I/O, clocks, randomness, floats on money, a dependency on another room.

pub mod account;
pub mod book;
pub mod command;
pub mod decimal;
pub mod error;
pub mod event;
pub mod ids;
pub mod instrument;
pub mod market;
pub mod order;
pub mod position;
pub mod text;
pub mod time;

pub use account::{AccountEvent, Balance};
pub use book::L2Book;
pub use command::{AmendOrder, CancelOrder, Command, Control, HaltScope, KillState, NewOrder};
pub use decimal::{Decimal, NumberError, Rounding};
pub use error::{CancelReason, RejectReason, VenueError};
pub use event::{Event, EventBuf, EventKind, Stamped};
pub use ids::{AccountId, ClientOrderId, ExecId, InstanceTag, InstrumentId, StrategyId, VenueOrderId};
pub use instrument::{Instrument, InstrumentKind, Instruments, Price, Qty, Rules, Settlement, Symbol};
pub use market::{Bar, FundingRate, Interval, Level, MarkPrice, Market, MarketData, Quote, Trade};
pub use order::{
    Fill, Leg, Liquidity, OrderKind, OrderQty, OrderReport, OrderStatus, PositionEffect, ReportBody, Request, Side,
    TimeInForce, TriggerBy,
};
pub use position::Position;
pub use text::{Currency, Text};
pub use time::{Nanos, UnixNanos};
