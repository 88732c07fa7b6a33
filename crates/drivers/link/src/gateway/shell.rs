//! The gateway with real sockets, on a thread of its own: a tokio runtime around [`Gateway`], and nothing that decides
//! anything. The kernel's thread holds [`Running`].
//! Never: copies a frame on its way to a part, blocks for one peer, or queues without a bound.
//!
//! Queues and what happens when they are full: commands (1,024) are given back to the sender; events of orders and
//! accounts never drop, the sockets are not read meanwhile; market data (65,536) of an instrument is dropped, with a gap
//! that says so, and told anew when there is room; notices (1,024) drop the oldest that is no alarm, and count.

mod inbox;
mod running;
mod thread;

pub use running::{Full, Handle, RequestError, Running, Waker};

use super::{ClockState, EntryStatus, Part, PartStatus, SocketNo, VenueWords};
use crate::clock::ClockConfig;
use crate::dial::Dialer;
use crate::http::{BadAddress, HttpClient, HttpConfig};
use crate::rate::{Closure, Usage};
use crate::{LinkTime, Time};
use ctos_types::UnixNanos;
use inbox::Shared;
use std::sync::Arc;

/// What a gateway needs beside its parts.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The thread's name and the name in messages: the venue's.
    pub name: String,
    pub time: Arc<dyn Time>,
    pub dialer: Dialer,
    pub http: HttpConfig,
    pub clock: ClockConfig,
    /// What an earlier process found closed.
    pub closures: Vec<Closure>,
}

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// One socket as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketStatus {
    /// Which part, as they were given to [`spawn`].
    pub part: u16,
    pub socket: SocketNo,
    /// Open, or being opened.
    pub open: bool,
    pub since: UnixNanos,
}

/// How the gateway is, at most a second old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub at: UnixNanos,
    /// Those of parts.
    pub sockets: Vec<SocketStatus>,
    /// Order-entry sockets: which way orders go.
    pub entries: Vec<EntryStatus>,
    pub clock: ClockState,
    pub usage: Vec<Usage>,
    pub closures: Vec<Closure>,
    pub parts: Vec<PartStatus>,
    /// Notices that nobody took in time.
    pub notices_lost: u64,
    /// Events of market data that were dropped and told anew.
    pub market_lost: u64,
}

/// Starts the gateway on a thread of its own, connecting at once.
///
/// # Errors
/// A base of the words is no address, or there is no thread to be had: nothing runs then.
pub fn spawn(
    config: GatewayConfig,
    words: Box<dyn VenueWords>,
    parts: Vec<Box<dyn Part>>,
) -> Result<Running, SpawnError> {
    let client =
        |base: &String| HttpClient::new(base, config.http, config.dialer.clone(), config.time.clone()).map(Arc::new);
    let clients = words.bases().iter().map(client).collect::<Result<Vec<_>, _>>()?;
    let mut gateway = super::Gateway::new(words, parts, config.clock);
    gateway.set_answer_within(config.http.answer_within);
    for closure in &config.closures {
        gateway.resume_closure(&closure.name, closure.until, closure.banned);
    }
    let shared = Arc::new(Shared::default());
    let (running, inputs) = running::pair(shared.clone(), config.time.clone());
    let name = config.name.clone();
    let thread = std::thread::Builder::new()
        .name(format!("gateway {name}").chars().take(15).collect())
        .spawn(move || thread::main(config, gateway, clients, shared, inputs))?;
    Ok(running.with_thread(thread))
}

/// Time for a run `speed` times as fast as the world against a twin that does the same: it begins at `server`, what the
/// twin's clock shows now. At speed 1 it is the machine's.
pub fn shared_time(server: UnixNanos, speed: u32) -> Arc<dyn Time> {
    if speed <= 1 { Arc::new(LinkTime::start()) } else { Arc::new(LinkTime::anchored(server, speed)) }
}

#[cfg(test)]
mod tests;
