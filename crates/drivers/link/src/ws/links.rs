//! Open sockets, listened to together, each in its turn, and written to without waiting.
//! Never: lets a busy socket silence another, or a peer that does not read hold up anything but itself.

use crate::dial::Stream;
use futures_util::{Sink, Stream as _};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// What a socket says.
pub(crate) enum Heard {
    Text(Utf8Bytes),
    Ping,
    Pong,
    Closed(String),
}

/// Messages that may wait for one socket.
const MAX_QUEUED: usize = 1024;
/// How long a peer may not read.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

struct Link<K> {
    key: K,
    socket: Socket,
    queue: VecDeque<Message>,
    /// Something may still lie in the socket's own buffer.
    dirty: bool,
    /// Since when writing makes no progress.
    stuck: Option<Instant>,
    /// Why it must end: told instead of the next frame.
    broken: Option<String>,
}

pub(crate) struct Links<K> {
    open: Vec<Link<K>>,
    /// Who is asked first next time.
    turn: usize,
}

impl<K> Default for Links<K> {
    fn default() -> Links<K> {
        Links { open: Vec::new(), turn: 0 }
    }
}

impl<K: Copy + PartialEq> Links<K> {
    pub fn insert(&mut self, key: K, socket: Socket) {
        let queue = VecDeque::new();
        self.open.push(Link { key, socket, queue, dirty: false, stuck: None, broken: None });
    }

    /// Forgets the socket; the caller closes it.
    pub fn remove(&mut self, key: K) -> Option<Socket> {
        let at = self.open.iter().position(|l| l.key == key)?;
        Some(self.open.remove(at).socket)
    }

    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.open.iter().map(|l| l.key)
    }

    /// Queues a message; it is written with the next [`Links::next`] or [`Links::flush`]. Nothing of an unknown key.
    pub fn send(&mut self, key: K, message: Message) {
        let Some(link) = self.open.iter_mut().find(|l| l.key == key) else { return };
        if link.queue.len() < MAX_QUEUED {
            link.queue.push_back(message);
        } else {
            link.broken.get_or_insert_with(|| "the venue does not read".into());
        }
    }

    /// Breaks sockets whose peer has not read for too long.
    pub fn break_stuck(&mut self, now: Instant) {
        for link in &mut self.open {
            if link.stuck.is_some_and(|since| now.duration_since(since) >= WRITE_WITHIN) {
                link.broken.get_or_insert_with(|| "the venue does not read".into());
            }
        }
    }

    /// The next thing that any socket has to say. Waits for ever while there is none.
    pub async fn next(&mut self) -> (K, Heard) {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes what is queued, as far as it goes without waiting.
    pub async fn flush(&mut self) {
        poll_fn(|cx| {
            self.open.iter_mut().for_each(|l| l.write(cx));
            Poll::Ready(())
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(K, Heard)> {
        let count = self.open.len();
        for i in 0..count {
            let at = (self.turn + i) % count;
            let link = &mut self.open[at];
            link.write(cx);
            if let Some(why) = link.broken.take() {
                self.turn = at + 1;
                return Poll::Ready((link.key, Heard::Closed(why)));
            }
            if let Poll::Ready(item) = Pin::new(&mut link.socket).poll_next(cx) {
                self.turn = at + 1;
                return Poll::Ready((link.key, heard(item)));
            }
        }
        Poll::Pending
    }
}

impl<K> Link<K> {
    fn write(&mut self, cx: &mut Context<'_>) {
        if self.queue.is_empty() && !self.dirty {
            return;
        }
        let before = self.queue.len();
        let done = self.try_write(cx);
        match done {
            Poll::Ready(Ok(())) => (self.dirty, self.stuck) = (false, None),
            Poll::Ready(Err(e)) => {
                self.queue.clear();
                self.dirty = false;
                self.broken.get_or_insert_with(|| format!("write failed: {e}"));
            }
            Poll::Pending if self.queue.len() < before => self.stuck = Some(Instant::now()),
            Poll::Pending => _ = self.stuck.get_or_insert_with(Instant::now),
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tokio_tungstenite::tungstenite::Error>> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.queue.is_empty() {
            match socket.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            let message = self.queue.pop_front().expect("it is not empty");
            self.dirty = true;
            if let Err(e) = socket.as_mut().start_send(message) {
                return Poll::Ready(Err(e));
            }
        }
        socket.poll_flush(cx)
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
