//! The way to real venues: what a run needs of a gateway, and the market that comes in as it happens.
//! Never: a venue's word, a socket (the gateway's shell has them), a decision about trading.

mod binance;
mod callers;
mod held;
mod inlet;
mod leftovers;
mod locks;
mod recording;
mod shell;
mod survey;

pub use binance::Binance;
pub use callers::{Callers, Place};
pub use held::holdings;
pub use inlet::{Inlet, LiveMarket};
pub use leftovers::Leftover;
pub(crate) use leftovers::clear;
pub use locks::{AccountLock, Holder};
pub use recording::{MarketRecording, RecordDone, RecordFrom, Recording, RecordingStatus};
pub use survey::{AccountSurvey, survey};

use crate::UserError;
use crate::config::Settings;
use crate::shard::lock;
use ctos_driver_paper::PaperDriver;
use ctos_link::desk::Holdings;
use ctos_link::gateway::Notice;
use ctos_types::{Command, EventBuf, InstanceTag, Instruments, UnixNanos};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sockets, clocks, budgets and desks of one or more venues behind one handle, for the shard's thread.
///
/// Outcomes come back only as events. Each event carries when it reached this process, on a clock that never goes back:
/// [`Gateway::now`]. Nothing here blocks but [`Gateway::wait`] and [`Gateway::stop`].
pub trait Gateway: Send + Debug {
    /// Hands a command over.
    ///
    /// # Errors
    /// [`Full`]: it was not taken, and no byte of it will leave.
    fn send(&mut self, command: &Command) -> Result<(), Full>;

    /// Moves the next event into `event` and says when it reached us. Times never decrease.
    fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos>;

    /// Returns when something came, or after `at_most` real time.
    fn wait(&mut self, at_most: Duration);

    /// The clock that events are stamped by.
    fn now(&self) -> UnixNanos;

    /// What people should hear of, in order; emptied by the call.
    fn notices(&mut self) -> Vec<Notice>;

    fn status(&self) -> GatewayStatus;

    /// Why nothing will come any more, once that is so: the gateway's own thread is gone.
    fn ended(&self) -> Option<String>;

    /// Leaves quietly: what is on its way to the venue goes out, dead-man switches are disarmed, sockets close.
    fn stop(&mut self, within: Duration);
}

/// Cancels everything at the venue past a kernel that may not answer any more, over a way of its own.
pub trait Brake: Send + Debug {
    /// Returns how many orders are open after that, by the venue's own word.
    ///
    /// # Errors
    /// It is not known: orders may be open.
    fn cancel_everything(&mut self) -> Result<usize, UserError>;
}

impl Brake for Arc<Mutex<PaperDriver>> {
    fn cancel_everything(&mut self) -> Result<usize, UserError> {
        Ok(lock(self).cancel_everything())
    }
}

/// What opens the way to the venues: the venues' own driver, or a test's.
pub trait Opener {
    /// What is traded, by the venue's word now. For a new run.
    fn instruments(&mut self, settings: &Settings) -> Result<Instruments, UserError>;

    /// Orders with a tag of ctos that are open at the venues, before a new run begins. For a venue that cannot be asked
    /// before it is connected to, none.
    fn leftovers(&mut self, _settings: &Settings) -> Result<Vec<Leftover>, UserError> {
        Ok(Vec::new())
    }

    /// Cancels these, and returns when none of them is open.
    fn cancel(&mut self, _settings: &Settings, orders: &[Leftover]) -> Result<(), UserError> {
        match orders.first() {
            None => Ok(()),
            Some(first) => Err(UserError::new(
                format!("{} cannot be cancelled here", first.id),
                "cancel it on the venue's own page",
            )),
        }
    }

    /// Connects. Returns at once; how it goes is told by the gateway.
    fn open(&mut self, settings: &Settings, way: Way<'_>) -> Result<Opened, UserError>;
}

/// What a gateway begins with.
#[derive(Debug)]
pub struct Way<'a> {
    pub instruments: &'a Instruments,
    /// Of the run.
    pub tag: InstanceTag,
    /// What the kernel holds of each account; `None` where the venue is simulated and only its market comes in.
    pub holdings: Option<Vec<Holdings>>,
    /// The run's clock has come so far: it must not go back.
    pub not_before: UnixNanos,
    /// What earlier processes of this home were told to keep away from.
    pub closures: Vec<ClosureStatus>,
    /// Where the market is recorded from the first frame on. Where that cannot be, nothing is opened.
    pub record: Option<&'a Path>,
}

/// An open way.
#[derive(Debug)]
pub struct Opened {
    pub gateway: Box<dyn Gateway>,
    /// Where the venue is real.
    pub brake: Option<Box<dyn Brake>>,
    /// For questions of people.
    pub callers: Callers,
    /// The switch that records the markets.
    pub recording: Option<Arc<Recording>>,
}

/// The gateway's queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many commands are waiting for the venue")]
pub struct Full;

/// How the links to the venues are, in the words and units of people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatus {
    pub links: Vec<LinkStatus>,
    /// Venue time minus ours; `None` until it was measured.
    pub clock_offset_ms: Option<f64>,
    /// The truth is at most this far from it.
    pub clock_doubt_ms: Option<f64>,
    pub budgets: Vec<BudgetStatus>,
    pub closures: Vec<ClosureStatus>,
    pub accounts: Vec<AccountStatus>,
    /// Whether the markets are recorded; absent where they cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingStatus>,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// What it is for.
    pub name: String,
    pub up: bool,
    /// Where it stands, in a word: `live`, `connecting`, `waiting`, …
    pub state: String,
    pub since: UnixNanos,
}

/// How much of what the venue allows within a window is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStatus {
    pub name: String,
    /// Length of the window in seconds.
    pub window_s: i64,
    pub used: u64,
    pub limit: u64,
}

/// What may not be asked, and until when: a ban, or a pause the venue asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosureStatus {
    /// What is closed, by a name that outlives the process.
    pub group: String,
    /// On the machine's clock.
    pub until: UnixNanos,
    /// The venue said so in its strongest words: whoever goes on asking is kept out for longer.
    pub banned: bool,
}

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    pub account: String,
    pub known: bool,
    /// Orders whose outcome is not known.
    pub doubts: usize,
    /// Where it stands, in a few words.
    pub state: String,
}
