//! A stream of ticks for somebody who watches: best bid and ask and trades of one instrument, for as long as wanted.
//! Never: hides that something was missed: a lost or silent connection is told as a gap.

use super::{Client, Failure};
use crate::decode::{Decoder, Frame, Levels};
use crate::market::{Route, Stream};
use crate::symbols::Product;
use ctos_link::dial::{Dialer, Target};
use ctos_types::{InstrumentId, Quote, Trade, UnixNanos};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Without a frame for this long a connection is taken for dead: the venue pings far more often on spot, and a market
/// that is worth watching moves.
const SILENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Frames that may wait for a slow reader; then the venue's connection waits, too.
const WAITING: usize = 1_024;

/// What was seen. Times are the venue's, where it tells them.
#[derive(Clone, Debug, PartialEq)]
pub enum Tick {
    Quote {
        quote: Quote,
        ts_event: Option<UnixNanos>,
    },
    Trade {
        trade: Trade,
        ts_event: UnixNanos,
    },
    /// Nothing is known from the last tick up to the next one.
    Gap {
        why: String,
    },
}

impl Client {
    /// Tells each tick until `each` wants no more. `streams`: base address of market streams.
    ///
    /// # Errors
    /// The first connection cannot be made. Later ones are made again, after a gap.
    pub async fn ticks(
        &self,
        streams: &str,
        dialer: &Dialer,
        instrument: InstrumentId,
        each: &mut (dyn FnMut(Tick) -> bool + Send),
    ) -> Result<(), Failure> {
        let product = self.profile().product();
        let symbol = self.desk.of(instrument)?.0.to_owned();
        let trades = if product == Product::Spot { Stream::Trade } else { Stream::AggTrade };
        let address = |stream: Stream| {
            let prefix = stream.route(product).unwrap_or(Route::Spot).prefix();
            format!("{streams}{prefix}/ws/{}", stream.name(product, &symbol))
        };
        let (sender, mut frames) = mpsc::channel(WAITING);
        let mut tasks = Vec::new();
        for stream in [Stream::BookTicker, trades] {
            let address = address(stream);
            let first = connect(&address, dialer).await?;
            let job = follow(address, dialer.clone(), first, sender.clone());
            tasks.push(Task(tokio::spawn(job)));
        }
        drop(sender);
        let decoder = Decoder::new(self.desk.symbols().clone());
        let mut levels = Levels::default();
        while let Some(heard) = frames.recv().await {
            let tick = match heard {
                Err(why) => Tick::Gap { why },
                Ok(text) => match decoder.decode(text.as_bytes(), None, &mut levels) {
                    Ok(Frame::BookTicker(t)) => Tick::Quote { quote: t.quote, ts_event: t.ts_engine.or(t.ts_sent) },
                    Ok(Frame::Trade(t)) => Tick::Trade { trade: t.trade, ts_event: t.ts_event },
                    Ok(Frame::AggTrade(t)) => Tick::Trade { trade: t.trade, ts_event: t.ts_event },
                    Ok(_) => continue,
                    Err(e) => Tick::Gap { why: format!("a frame that cannot be read: {e}") },
                },
            };
            if !each(tick) {
                break;
            }
        }
        Ok(())
    }
}

/// Ends with its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Socket = tokio_tungstenite::WebSocketStream<Box<dyn ctos_link::dial::Stream>>;

/// Passes on what a socket says, and opens it again when it ends.
async fn follow(address: String, dialer: Dialer, first: Socket, to: mpsc::Sender<Result<String, String>>) {
    let mut socket = first;
    let mut pause = FIRST_PAUSE;
    loop {
        let why = loop {
            match tokio::time::timeout(SILENCE, socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    pause = FIRST_PAUSE;
                    if to.send(Ok(text.as_str().to_owned())).await.is_err() {
                        return;
                    }
                }
                // Pings are answered by the library.
                Ok(Some(Ok(Message::Close(_)))) | Ok(None) => break "the venue closed the connection".to_owned(),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(e))) => break format!("the connection failed: {e}"),
                Err(_) => break format!("nothing came for {} s", SILENCE.as_secs()),
            }
        };
        if to.send(Err(why)).await.is_err() {
            return;
        }
        socket = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match connect(&address, &dialer).await {
                Ok(socket) => break socket,
                Err(failure) => {
                    if to.send(Err(failure.to_string())).await.is_err() {
                        return;
                    }
                }
            }
        };
    }
}

async fn connect(address: &str, dialer: &Dialer) -> Result<Socket, Failure> {
    let bad = |why: String| Failure::invalid(format!("{address}: {why}"), "check ws_url, or --ws-url");
    let request = address.into_client_request().map_err(|e| bad(e.to_string()))?;
    let uri = request.uri();
    let tls = uri.scheme_str() == Some("wss");
    let host = uri.host().ok_or_else(|| bad("it has no host".into()))?.to_owned();
    let target = Target { tls, host, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }) };
    let stream = dialer.dial(&target).await.map_err(|e| Failure::NotSent {
        why: e.to_string(),
        hint: e.hint().into(),
        retry_after: None,
    })?;
    let shaken = tokio_tungstenite::client_async(request, stream).await;
    shaken.map(|(socket, _)| socket).map_err(|e| Failure::NotSent {
        why: format!("the venue refused the WebSocket at {address}: {e}"),
        hint: "check ws_url, or --ws-url".into(),
        retry_after: None,
    })
}
