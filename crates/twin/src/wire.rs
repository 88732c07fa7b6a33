//! What passes between the core and a shell: requests, replies, frames. Never: a socket.

use std::net::IpAddr;

/// One HTTP request, as received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Without the question mark, as received.
    pub query: &'a str,
    pub body: &'a str,
    /// Header `X-MBX-APIKEY`.
    pub api_key: Option<&'a str>,
    /// Header `X-MBX-TIME-UNIT: MICROSECOND`.
    pub micros: bool,
    pub from: IpAddr,
}

/// How a reply leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Whole,
    /// The connection is closed without a byte.
    Nothing,
    /// The connection is closed half way through the body.
    Half,
}

/// One HTTP reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub manner: Manner,
    /// Time of the twin that passes before the reply leaves.
    pub delay_ms: i64,
}

impl Reply {
    pub(crate) fn json(status: u16, body: String) -> Reply {
        Reply {
            status,
            content_type: "application/json;charset=UTF-8",
            headers: Vec::new(),
            body,
            manner: Manner::Whole,
            delay_ms: 0,
        }
    }
}

/// A WebSocket connection, as the shell numbers them.
pub type ConnId = u64;

/// What is sent on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Ping(String),
    /// Closed in order, with code and reason.
    Close(u16, String),
    /// The socket goes away without a word.
    Cut,
    /// The first half of a text frame, then the socket goes away.
    Half(String),
}
