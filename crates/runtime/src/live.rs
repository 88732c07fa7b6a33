//! The way to real venues: what a run needs of a gateway, and the market that comes in as it happens.
//! Never: a venue's word, a socket (the gateway's shell has them), a decision about trading.

mod inlet;

pub use inlet::{Inlet, LiveMarket};

use ctos_link::gateway::Notice;
use ctos_types::{Command, EventBuf, UnixNanos};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
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
    pub until: UnixNanos,
    pub why: String,
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
