//! One account at one venue, as a part of a gateway: its user stream, its orders followed to their end, and the safety
//! net that compares what both sides hold. Calling contract: that of [`Part`](crate::gateway::Part).
//! Never: a venue's word (those are [`DeskWords`]'), an order sent twice, a command without an outcome, or an account
//! called known while anything about it is not.

mod core;
mod history;
mod holdings;
mod ledger;
mod look;
mod orders;
mod safety;
mod start;
mod stream;
mod suspect;

pub use self::core::Desk;

use crate::gateway::{Answer, BaseNo, Draft, Notice};
use crate::rate::{Cost, Lane};
use crate::reconcile::{ScheduleConfig, Subject};
use crate::session::{Renewal, SessionConfig, Words};
use crate::tracker::{self, Held, News, OrderView, Query, Reply, TrackerConfig};
use ctos_types::{
    AccountId, AmendOrder, Balance, CancelOrder, ClientOrderId, Currency, Decimal, ExecId, InstanceTag, InstrumentId,
    Instruments, Leg, Nanos, NewOrder, Position, Qty, Request, UnixNanos, VenueError, VenueOrderId,
};
use std::fmt::Debug;

#[derive(Clone, Debug)]
pub struct DeskConfig {
    pub tracker: TrackerConfig,
    pub schedule: ScheduleConfig,
    /// How long a new order or an amend may wait for room in the budget. Together with the time for which a signed
    /// request stays valid it must be less than the tracker's `visibility`.
    pub order_within: Nanos,
    /// As `order_within`, for what takes risk away and for questions.
    pub other_within: Nanos,
    /// How long before and after a comparison nothing may have happened to a holding, for its difference to count.
    pub quiet: Nanos,
    /// The second look after a difference.
    pub second_look: Nanos,
    /// Fills that were announced without their fee and not told in full for this long are asked for.
    pub early_within: Nanos,
    /// Jitter of the user stream's back-off and of the schedule.
    pub seed: u64,
}

impl Default for DeskConfig {
    fn default() -> DeskConfig {
        DeskConfig {
            tracker: TrackerConfig::default(),
            schedule: ScheduleConfig {
                open_orders: Nanos::from_secs(7),
                positions: Nanos::from_secs(30),
                balances: Nanos::from_secs(40),
                ..ScheduleConfig::default()
            },
            order_within: Nanos::from_secs(3),
            other_within: Nanos::from_secs(8),
            quiet: Nanos::from_millis(1_500),
            second_look: Nanos::from_secs(3),
            early_within: Nanos::from_secs(3),
            seed: 0,
        }
    }
}

/// What the kernel holds of the account when the desk opens: nothing for a new run.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Orders that are not closed.
    pub orders: Vec<Held>,
    pub positions: Vec<(InstrumentId, Leg, Position)>,
    /// Owned net of borrowings and interest. Empty: no balance was ever told, so the venue's first word is the start.
    pub cash: Vec<(Currency, Decimal)>,
    /// Executions that are booked and remembered, whoever's orders they are on.
    pub booked: Vec<(InstrumentId, ExecId)>,
    /// Highest sequence of each tag of ours that was ever placed.
    pub placed: Vec<(InstanceTag, u64)>,
}

/// A request in the venue's words, before its moment.
#[derive(Debug)]
pub struct Wire {
    pub base: BaseNo,
    pub lane: Lane,
    pub cost: Cost,
    pub draft: Box<dyn Draft>,
}

/// Why an answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub why: String,
    /// What a person can do about it; trying again will not help before.
    pub hint: Option<String>,
    /// The pause that the venue or the budget asked for.
    pub pause: Nanos,
}

impl Trouble {
    /// Passes by itself.
    pub fn passing(why: impl Into<String>) -> Trouble {
        Trouble { why: why.into(), hint: None, pause: Nanos::ZERO }
    }
}

/// Where the user stream is reached.
#[derive(Debug)]
pub enum Connect {
    Address(String),
    /// A key or token must be fetched first; [`DeskWords::read_connect`] gives the address.
    Ask(Wire),
}

/// The dead man's switch of a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadMan {
    /// The venue cancels after this long without a word.
    pub countdown: Nanos,
    /// How often it is wound up.
    pub every: Nanos,
}

/// What the venue has for this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Positions apart from balances (futures).
    pub positions: bool,
    pub dead_man: Option<DeadMan>,
}

/// What the user stream, or the answer to an order request, said.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    Order(News),
    /// A fill without its fee: the same execution comes again in full.
    Early {
        instrument: InstrumentId,
        exec_id: ExecId,
        cl_ord_id: Option<ClientOrderId>,
        venue_order_id: VenueOrderId,
    },
    Balance {
        currency: Currency,
        balance: Balance,
        ts_event: UnixNanos,
    },
    /// Part of a balance was told: the whole has to be asked for.
    BalanceMoved {
        currency: Currency,
    },
    Position {
        instrument: InstrumentId,
        leg: Leg,
        qty: Qty,
    },
    /// A cash flow outside trading that the venue declared.
    Flow {
        currency: Currency,
        amount: Decimal,
        ts_event: UnixNanos,
    },
    Funding {
        instrument: Option<InstrumentId>,
        amount: Decimal,
        currency: Currency,
        ts_event: UnixNanos,
    },
    Liquidated,
    /// Something may have happened that was not told: look at everything.
    Doubtful(String),
    Tell(Notice),
}

/// An order of the venue's list of open ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub instrument: InstrumentId,
    /// `None`: not an id of ctos.
    pub cl_ord_id: Option<ClientOrderId>,
    pub view: OrderView,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionRow {
    pub instrument: InstrumentId,
    pub leg: Leg,
    /// Signed.
    pub qty: Qty,
    pub entry_px: Option<Decimal>,
    /// One of the last digit that the venue writes of `entry_px`: what lies below is not known.
    pub entry_unit: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceRow {
    pub currency: Currency,
    pub balance: Balance,
}

/// What is read of an answer to an order request.
#[derive(Debug)]
pub enum Told {
    Ended(Reply),
    /// The request takes another one.
    More(Wire),
}

/// What is read of a query's answer.
#[derive(Debug)]
pub enum Found {
    Done(tracker::Answer),
    /// Another question belongs to it.
    More(Wire),
}

/// A venue's part in a desk: how to say what is wanted and how to read what is said. Pure but for what it must know of
/// the orders it was told of; time is an argument.
///
/// Answers that are no success are read like the others: [`Answer::NotSent`] and the venue's "not processed" are
/// [`Reply::NotSent`], whatever leaves room for doubt is [`Reply::Unknown`].
pub trait DeskWords: Debug + Send {
    type Stream: Words + Debug + Send;

    fn account(&self) -> AccountId;
    /// As in settings.
    fn name(&self) -> String;
    fn offers(&self) -> Offers;
    /// Instruments of the run; ids index it.
    fn instruments(&self) -> &Instruments;
    /// Instruments of the run that this account can trade.
    fn traded(&self) -> Vec<InstrumentId>;
    /// Venue time minus ours.
    fn set_clock(&mut self, offset: Nanos);

    // ---- the account's settings, before anything else
    fn settings(&mut self) -> Vec<Wire>;
    /// The answer to the `part`th of them. More may have to be asked or set; those get the next parts.
    ///
    /// # Errors
    /// With a hint: the account must not be traded on as it is set.
    fn read_settings(&mut self, part: usize, answer: &Answer<'_>) -> Result<Vec<Wire>, Trouble>;

    // ---- the user stream
    fn stream(&self) -> (SessionConfig, Self::Stream, Vec<String>);
    fn connect(&mut self) -> Connect;
    /// # Errors
    /// No key, no token: tried again after a while.
    fn read_connect(&mut self, stream: &mut Self::Stream, answer: &Answer<'_>) -> Result<String, Trouble>;
    /// Renews what the stream was opened with.
    fn renew(&mut self) -> Option<Wire>;
    fn read_renew(&mut self, answer: &Answer<'_>) -> Renewal;
    /// # Errors
    /// A frame that was not understood: what it said is found out by asking.
    fn read_frame(&mut self, now: UnixNanos, text: &str, out: &mut Vec<Word>) -> Result<(), String>;
    /// What is said at the end of an orderly life, the stream's key given back for example.
    fn farewell(&mut self) -> Vec<Wire>;

    // ---- orders
    /// # Errors
    /// What this venue cannot do: nothing is sent.
    fn place(&mut self, order: &NewOrder) -> Result<Wire, VenueError>;
    /// `cum_qty`: what is counted of the order.
    ///
    /// # Errors
    /// What this venue cannot do: nothing is sent.
    fn amend(&mut self, now: UnixNanos, amend: &AmendOrder, cum_qty: Qty) -> Result<Wire, VenueError>;
    /// # Errors
    /// What this venue cannot do: nothing is sent.
    fn cancel(&mut self, cancel: &CancelOrder) -> Result<Wire, VenueError>;
    /// What the answer to a request says: words first, then how the request ended, or what belongs to it yet. The answer
    /// to that comes back here.
    fn read_reply(
        &mut self,
        now: UnixNanos,
        request: Request,
        id: ClientOrderId,
        answer: &Answer<'_>,
        out: &mut Vec<Word>,
    ) -> Told;
    /// Cancels everything of an instrument, other people's orders included.
    fn cancel_all(&mut self, instrument: InstrumentId) -> Vec<Wire>;
    /// Cancels an order that only the venue knows of.
    fn cancel_stray(&mut self, order: &OpenOrder) -> Option<Wire>;
    /// The answer to a request that has no other reader: done (or nothing to do), or not.
    ///
    /// # Errors
    /// It was not done, or nobody knows.
    fn read_done(&mut self, answer: &Answer<'_>) -> Result<(), Trouble>;
    /// An order of an earlier life.
    fn recall(&mut self, held: &Held);
    /// The order is closed for good: what is kept of it may be forgotten in time.
    fn closed(&mut self, id: ClientOrderId);
    /// Winds the dead man's switch of an instrument up, or with zero off.
    fn dead_man(&mut self, instrument: InstrumentId, countdown: Nanos) -> Option<Wire>;

    // ---- questions
    /// # Errors
    /// What this venue cannot be asked.
    fn query(&mut self, now: UnixNanos, query: &Query) -> Result<Wire, VenueError>;
    /// `part`: 0 for the answer to the first question, then one more for each that followed.
    fn read_query(&mut self, now: UnixNanos, query: &Query, part: u32, answer: &Answer<'_>) -> Found;
    /// The questions that together tell the whole of a subject.
    fn look(&mut self, subject: Subject) -> Vec<Wire>;
    /// # Errors
    /// Nothing is known that was not known before.
    fn read_open_orders(
        &mut self,
        now: UnixNanos,
        answer: &Answer<'_>,
        out: &mut Vec<OpenOrder>,
    ) -> Result<(), Trouble>;
    /// # Errors
    /// Nothing is known that was not known before.
    fn read_positions(&mut self, answer: &Answer<'_>, out: &mut Vec<PositionRow>) -> Result<(), Trouble>;
    /// # Errors
    /// Nothing is known that was not known before.
    fn read_balances(&mut self, answer: &Answer<'_>, out: &mut Vec<BalanceRow>) -> Result<(), Trouble>;
}
