//! The HTTP client: one venue, reused connections, and an honest word on whether a request left.
//! Never: tries again what may have been heard, follows a redirect, or waits without an end.

mod meter;

use crate::Time;
use crate::dial::{DialError, Dialer, Target};
use bytes::Bytes;
use ctos_types::{ClientOrderId, Nanos, UnixNanos, VenueError};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use meter::Metered;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

pub use hyper::Method;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// From the first byte of the request to the last of the answer.
    pub answer_within: Nanos,
    /// A connection that was not used for this long is closed rather than reused.
    pub idle: Nanos,
    /// Idle connections that are kept.
    pub max_idle: usize,
    /// Larger answers are refused.
    pub max_body: usize,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig { answer_within: Nanos::from_secs(10), idle: Nanos::from_secs(30), max_idle: 8, max_body: 64 << 20 }
    }
}

/// A request. Path and body are sent byte for byte as they are: a signature covers them.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: Method,
    /// Path and query, percent-encoded, beginning with `/`.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl HttpRequest {
    pub fn get(path: impl Into<String>) -> HttpRequest {
        HttpRequest { method: Method::GET, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }
}

#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// When the request was handed over and when the answer was whole, on the room's clock: for the server's time.
    pub sent: UnixNanos,
    pub received: UnixNanos,
}

impl HttpResponse {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds.
    pub fn retry_after(&self) -> Option<Nanos> {
        let seconds: i64 = self.header("retry-after")?.trim().parse().ok()?;
        (0..=30 * 86_400).contains(&seconds).then(|| Nanos::from_secs(seconds))
    }
}

/// Why there is no answer, by what may be concluded.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Ours: the request cannot be written down.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// No byte of it left this process.
    #[error("not sent: {0}")]
    NotSent(#[from] NotSent),
    /// Bytes left and no whole answer came: what the venue did is not known.
    #[error("sent, no answer: {0}")]
    Unknown(String),
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the connection ended before anything was written: {0}")]
    Connection(String),
}

impl HttpError {
    /// In the words of the taxonomy. `order`: whom an unknown outcome is about; a read without one is only a failed
    /// transport.
    pub fn into_venue_error(self, order: Option<ClientOrderId>) -> VenueError {
        match (self, order) {
            (HttpError::Invalid(why), _) => VenueError::Invalid { field: "request", why },
            (HttpError::NotSent(why), _) => VenueError::Transport(why.to_string()),
            (HttpError::Unknown(_), Some(order)) => VenueError::UnknownState(order),
            (HttpError::Unknown(why), None) => VenueError::Transport(why),
        }
    }
}

/// The base address is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address of a venue: {address:?}: {why}")]
pub struct BadAddress {
    pub address: String,
    pub why: &'static str,
}

/// Splits `scheme://host[:port][/prefix]`. `plain` and `secure` are the schemes.
pub(crate) fn parse_address(address: &str, plain: &str, secure: &str) -> Result<(Target, String), BadAddress> {
    let bad = |why| BadAddress { address: address.into(), why };
    let (scheme, rest) = address.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
    let tls = match scheme {
        s if s == plain => false,
        s if s == secure => true,
        _ => return Err(bad("the scheme is another one")),
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    if authority.contains('@') {
        return Err(bad("it must not hold a user or password"));
    }
    let (host, port) = match authority.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| bad("the port is not a number up to 65535"))?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    if host.is_empty() || host.contains([' ', '?', '#']) {
        return Err(bad("it has no host"));
    }
    Ok((Target { tls, host: host.into(), port }, path.into()))
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
    /// Bytes ever written to it.
    written: Arc<AtomicU64>,
    used: UnixNanos,
}

/// Talks to one address of one venue. The watchdog has its own.
pub struct HttpClient {
    config: HttpConfig,
    dialer: Dialer,
    target: Target,
    prefix: String,
    host: HeaderValue,
    time: Arc<dyn Time>,
    idle: Mutex<Vec<Connection>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("target", &self.target).field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// `base`: `https://api.example.com`, with a path in front of every request's if there is one.
    pub fn new(base: &str, config: HttpConfig, dialer: Dialer, time: Arc<dyn Time>) -> Result<HttpClient, BadAddress> {
        let (target, prefix) = parse_address(base, "http", "https")?;
        let default = if target.tls { 443 } else { 80 };
        let host =
            if target.port == default { target.host.clone() } else { format!("{}:{}", target.host, target.port) };
        let host = HeaderValue::try_from(host)
            .map_err(|_| BadAddress { address: base.into(), why: "the host is not ASCII" })?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(HttpClient { config, dialer, target, prefix, host, time, idle: Mutex::default() })
    }

    /// Sends the request once, and waits for the whole answer, whatever its status.
    ///
    /// A reused connection that the venue closed before a byte was written is replaced by a fresh one; nothing else is
    /// tried again here. Must run inside a tokio runtime.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let built = self.build(&request)?;
        while let Some(connection) = self.take_idle() {
            match self.exchange(connection, built.clone()).await {
                Err(HttpError::NotSent(_)) => {}
                answer => return answer,
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, built).await
    }

    fn build(&self, request: &HttpRequest) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let invalid = |what: &str| HttpError::Invalid(what.into());
        if !request.path.starts_with('/') {
            return Err(invalid("the path does not begin with a slash"));
        }
        let mut built = hyper::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.prefix, request.path))
            .header(HOST, self.host.clone())
            .header(USER_AGENT, concat!("ctos/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &request.headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| invalid(&format!("header {name}")))?;
            // Keys travel in headers: they stay out of any debug output.
            value.set_sensitive(true);
            built = built.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(name))?, value);
        }
        built.body(Full::new(request.body.clone())).map_err(|e| HttpError::Invalid(e.to_string()))
    }

    fn take_idle(&self) -> Option<Connection> {
        let now = self.time.now();
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The latest used first: the others may time out.
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && now < connection.used.after(self.config.idle) {
                return Some(connection);
            }
            connection.task.abort();
        }
        None
    }

    async fn connect(&self) -> Result<Connection, NotSent> {
        let stream = self.dialer.dial(&self.target).await?;
        let written = Arc::new(AtomicU64::new(0));
        let io = TokioIo::new(Metered::new(stream, written.clone()));
        let (sender, connection) = http1::handshake(io).await.map_err(|e| NotSent::Connection(e.to_string()))?;
        let task = tokio::spawn(async move {
            // How it ended is told to whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(Connection { sender, task, written, used: self.time.now() })
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<HttpResponse, HttpError> {
        let before = connection.written.load(Ordering::Acquire);
        let sent = self.time.now();
        let within = Duration::from_nanos(self.config.answer_within.0.max(0) as u64);
        let answer = tokio::time::timeout(within, self.answer(&mut connection.sender, request)).await;
        let why = match answer {
            Ok(Ok((status, headers, body))) => {
                let received = self.time.now();
                connection.used = received;
                self.keep(connection);
                return Ok(HttpResponse { status, headers, body, sent, received });
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no whole answer within {} s", self.config.answer_within.as_secs_f64()),
        };
        // Nothing may be written after the verdict: the connection ends first, then its count is read.
        connection.task.abort();
        let _ = (&mut connection.task).await;
        if connection.written.load(Ordering::Acquire) == before {
            return Err(HttpError::NotSent(NotSent::Connection(why)));
        }
        Err(HttpError::Unknown(why))
    }

    async fn answer(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<(u16, Vec<(String, String)>, Bytes), String> {
        sender.ready().await.map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let text = |v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect();
        let body = Limited::new(response.into_body(), self.config.max_body).collect().await;
        let body = body.map_err(|e| format!("the answer broke off: {e}"))?.to_bytes();
        Ok((status, headers, body))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if idle.len() < self.config.max_idle {
            idle.push(connection);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
