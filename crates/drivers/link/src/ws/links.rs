//! The open sockets of a session, listened to together, each in its turn.
//! Never: lets a busy socket silence the other.

use crate::dial::Stream;
use crate::session::LinkId;
use futures_util::Stream as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

pub(super) enum Heard {
    Text(Utf8Bytes),
    Ping,
    Pong,
    Closed(String),
}

#[derive(Default)]
pub(super) struct Links {
    open: Vec<(LinkId, Socket)>,
    /// Who is asked first next time.
    turn: usize,
}

impl Links {
    pub fn insert(&mut self, id: LinkId, socket: Socket) {
        self.open.push((id, socket));
    }

    pub fn remove(&mut self, id: LinkId) -> Option<Socket> {
        let at = self.open.iter().position(|(link, _)| *link == id)?;
        Some(self.open.remove(at).1)
    }

    pub fn get(&mut self, id: LinkId) -> Option<&mut Socket> {
        self.open.iter_mut().find(|(link, _)| *link == id).map(|(_, socket)| socket)
    }

    /// The next thing that any socket has to say. Waits for ever while there is none.
    pub async fn next(&mut self) -> (LinkId, Heard) {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(LinkId, Heard)> {
        let count = self.open.len();
        for i in 0..count {
            let at = (self.turn + i) % count;
            let (id, socket) = &mut self.open[at];
            if let Poll::Ready(item) = Pin::new(socket).poll_next(cx) {
                self.turn = at + 1;
                return Poll::Ready((*id, heard(item)));
            }
        }
        Poll::Pending
    }
}

fn heard(item: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> Heard {
    match item {
        Some(Ok(Message::Text(text))) => Heard::Text(text),
        // Some venues send their text as bytes. What is not text is of no known kind; it still is a sign of life.
        Some(Ok(Message::Binary(bytes))) => Utf8Bytes::try_from(bytes).map_or(Heard::Ping, Heard::Text),
        Some(Ok(Message::Pong(_))) => Heard::Pong,
        Some(Ok(Message::Ping(_) | Message::Frame(_))) => Heard::Ping,
        Some(Ok(Message::Close(Some(frame)))) => {
            Heard::Closed(format!("closed by the venue ({}) {}", u16::from(frame.code), frame.reason).trim_end().into())
        }
        Some(Ok(Message::Close(None))) => Heard::Closed("closed by the venue".into()),
        Some(Err(e)) => Heard::Closed(format!("the socket failed: {e}")),
        None => Heard::Closed("the socket ended".into()),
    }
}
