//! What the frame wants done by whoever owns the sockets.
//! Never: does any of it.

use super::{BaseNo, Notice, SocketDeed, SocketNo};
use crate::http::HttpRequest;
use crate::rate::Ticket;
use crate::session::LinkId;
use ctos_types::Nanos;

/// One socket of one part. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    /// Which part, as they were given to [`super::Gateway::new`].
    pub part: u16,
    pub socket: SocketNo,
    pub link: LinkId,
}

/// A one-shot request of somebody outside: `ctos call`, the account check. The caller's own number, used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestNo(pub u64);

/// A request to send now, once.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Goes back to [`super::Gateway::answered`].
    pub ticket: Ticket,
    pub base: BaseNo,
    pub request: HttpRequest,
}

/// What came of one input, in order of each list. Emptied by the shell, which keeps the storage. Events for the kernel
/// are taken from [`super::Gateway::take_events`].
#[derive(Debug, Default)]
pub struct Deeds {
    pub sends: Vec<Outgoing>,
    pub sockets: Vec<(SocketKey, SocketDeed)>,
    pub notices: Vec<Notice>,
    /// Guests whose request was not sent, why, and when another try makes sense.
    pub refused: Vec<(GuestNo, String, Option<Nanos>)>,
    /// What is closed has changed: whoever keeps it over a restart reads [`super::Gateway::closures`].
    pub closures_changed: bool,
}
