//! The WebSocket shell: sockets, timers and tasks around a [`Session`], and nothing that decides anything.
//! Never: copies a frame on its way to the owner, or queues without a bound.

mod links;

use crate::capture::CaptureSwitch;
use crate::dial::Dialer;
use crate::session::{Action, Forward, LinkId, NotSent, Renewal, Session, SessionEvent, Words};
use crate::{Time, http};
use ctos_types::{Nanos, UnixNanos};
use futures_util::SinkExt;
use links::{Heard, Links, Socket};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A future of the owner's.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the owner of a link does. Frames and events are told in the order in which they happened, on the link's task:
/// whatever takes long belongs elsewhere.
pub trait Owner: Send + 'static {
    /// The address of the next connection (`wss://host/path`), after whatever must be fetched for it (a listen key).
    fn address(&mut self) -> Boxed<Result<String, String>>;
    /// Renews what the last address was made with.
    fn renew(&mut self) -> Boxed<Renewal> {
        Box::pin(async { Renewal::Done })
    }
    /// A frame as received. `at`: when it was read from the socket.
    fn frame(&mut self, at: UnixNanos, text: &str);
    fn event(&mut self, at: UnixNanos, event: SessionEvent);
}

/// How large a message may be, and what is done about a peer that does not read.
const MAX_MESSAGE: usize = 64 << 20;
const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// Orders of the owner to the shell that may wait.
const COMMANDS: usize = 256;

enum Command {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    Request(String, oneshot::Sender<Result<(), NotSent>>),
    Resynced(bool),
    Clock(Nanos),
    Start,
    Stop,
}

enum News {
    Opened(LinkId, Result<Box<Socket>, String>),
    Renewed(LinkId, Renewal),
}

/// Orders to a running link. Cheap to clone; the link ends when all of them are gone.
#[derive(Clone, Debug)]
pub struct WsHandle {
    commands: mpsc::Sender<Command>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Command::Subscribe(_) => "Subscribe",
            Command::Unsubscribe(_) => "Unsubscribe",
            Command::Request(..) => "Request",
            Command::Resynced(_) => "Resynced",
            Command::Clock(_) => "Clock",
            Command::Start => "Start",
            Command::Stop => "Stop",
        })
    }
}

impl WsHandle {
    pub async fn subscribe(&self, streams: Vec<String>) {
        self.tell(Command::Subscribe(streams)).await;
    }
    pub async fn unsubscribe(&self, streams: Vec<String>) {
        self.tell(Command::Unsubscribe(streams)).await;
    }
    /// Sends a message of the owner's own. `Ok`: it was handed to the link; its outcome is the answer, or unknown.
    pub async fn request(&self, text: String) -> Result<(), NotSent> {
        let (sender, receiver) = oneshot::channel();
        self.tell(Command::Request(text, sender)).await;
        receiver.await.unwrap_or(Err(NotSent::Down))
    }
    /// After [`SessionEvent::Resync`]: whether the owner has caught up.
    pub async fn resynced(&self, ok: bool) {
        self.tell(Command::Resynced(ok)).await;
    }
    /// Venue time minus ours.
    pub async fn set_clock(&self, offset: Nanos) {
        self.tell(Command::Clock(offset)).await;
    }
    /// Again, after [`SessionEvent::LoginRefused`].
    pub async fn start(&self) {
        self.tell(Command::Start).await;
    }
    /// Closes the sockets and ends the task.
    pub async fn stop(&self) {
        self.tell(Command::Stop).await;
    }
    async fn tell(&self, command: Command) {
        // A link that has ended hears nothing, and its owner was told.
        let _ = self.commands.send(command).await;
    }
}

/// What a link is made of.
#[derive(Debug)]
pub struct WsParts<W> {
    pub session: Session<W>,
    pub dialer: Dialer,
    pub time: Arc<dyn Time>,
    pub capture: Option<Arc<CaptureSwitch>>,
}

/// Starts the link on a task of its own, connecting at once.
pub fn spawn<W, O>(parts: WsParts<W>, owner: O) -> (WsHandle, JoinHandle<()>)
where
    W: Words + Send + 'static,
    O: Owner,
{
    let (commands, inbox) = mpsc::channel(COMMANDS);
    // As many as there can be connections and renewals under way.
    let (news, from_tasks) = mpsc::channel(16);
    let shell = Shell { parts, owner, links: Links::default(), news, out: Vec::new() };
    (WsHandle { commands }, tokio::spawn(shell.run(inbox, from_tasks)))
}

struct Shell<W, O> {
    parts: WsParts<W>,
    owner: O,
    links: Links,
    news: mpsc::Sender<News>,
    out: Vec<Action>,
}

impl<W: Words + Send + 'static, O: Owner> Shell<W, O> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, mut from_tasks: mpsc::Receiver<News>) {
        let time = self.parts.time.clone();
        self.parts.session.start(time.now(), &mut self.out);
        loop {
            self.act().await;
            let (due, _why) = self.parts.session.deadline();
            tokio::select! {
                heard = self.links.next() => self.hear(heard),
                command = inbox.recv() => {
                    let stop = matches!(command, None | Some(Command::Stop));
                    self.obey(command.unwrap_or(Command::Stop));
                    if stop {
                        return self.act().await;
                    }
                }
                Some(news) = from_tasks.recv() => self.learn(news),
                () = time.sleep_until(due) => self.parts.session.on_deadline(time.now(), &mut self.out),
            }
        }
    }

    fn hear(&mut self, (id, heard): (LinkId, Heard)) {
        let now = self.parts.time.now();
        let session = &mut self.parts.session;
        match heard {
            Heard::Text(text) => {
                if let Some(capture) = &self.parts.capture {
                    capture.frame(now, &text);
                }
                if session.on_text(now, id, &text, &mut self.out) == Forward::Yes {
                    self.owner.frame(now, &text);
                }
            }
            Heard::Ping => session.on_ping(now, id),
            Heard::Pong => session.on_pong(now, id),
            Heard::Closed(why) => {
                self.links.remove(id);
                session.on_closed(now, id, &why, &mut self.out);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let (now, session, out) = (self.parts.time.now(), &mut self.parts.session, &mut self.out);
        match command {
            Command::Subscribe(streams) => session.subscribe(now, &streams, out),
            Command::Unsubscribe(streams) => session.unsubscribe(now, &streams, out),
            Command::Request(text, answer) => {
                // Whoever asked may have gone; the message goes all the same.
                let _ = answer.send(session.request(now, text, out));
            }
            Command::Resynced(ok) => session.on_resynced(now, ok, out),
            Command::Clock(offset) => session.set_clock(offset),
            Command::Start => session.start(now, out),
            Command::Stop => session.stop(now, out),
        }
    }

    fn learn(&mut self, news: News) {
        let now = self.parts.time.now();
        let (session, out) = (&mut self.parts.session, &mut self.out);
        match news {
            News::Opened(id, Ok(socket)) => {
                self.links.insert(id, *socket);
                session.on_connected(now, id, out);
            }
            News::Opened(id, Err(why)) => session.on_closed(now, id, &why, out),
            News::Renewed(id, how) => session.on_renewed(now, id, how, out),
        }
    }

    /// Carries out what the session asked for.
    async fn act(&mut self) {
        while !self.out.is_empty() {
            for action in std::mem::take(&mut self.out) {
                match action {
                    Action::Connect(id) => self.connect(id),
                    Action::Send(id, text) => self.send(id, Message::text(text)).await,
                    Action::Ping(id) => self.send(id, Message::Ping(Default::default())).await,
                    Action::Close(id, _why) => self.close(id),
                    Action::Renew(id) => {
                        let (renewal, news) = (self.owner.renew(), self.news.clone());
                        tokio::spawn(async move {
                            let how = renewal.await;
                            let _ = news.send(News::Renewed(id, how)).await;
                        });
                    }
                    Action::Frame(text) => self.owner.frame(self.parts.time.now(), &text),
                    Action::Emit(event) => {
                        let now = self.parts.time.now();
                        if let (Some(capture), SessionEvent::Gap { stream, since, why }) = (&self.parts.capture, &event)
                        {
                            capture.gap(now, *since, stream.as_deref(), why);
                        }
                        self.owner.event(now, event);
                    }
                }
            }
        }
    }

    fn connect(&mut self, id: LinkId) {
        let (address, dialer, news) = (self.owner.address(), self.parts.dialer.clone(), self.news.clone());
        tokio::spawn(async move {
            let opened = open(address, dialer).await;
            let _ = news.send(News::Opened(id, opened.map(Box::new))).await;
        });
    }

    async fn send(&mut self, id: LinkId, message: Message) {
        let Some(socket) = self.links.get(id) else { return };
        let why = match tokio::time::timeout(WRITE_WITHIN, socket.send(message)).await {
            Ok(Ok(())) => return,
            Ok(Err(e)) => format!("write failed: {e}"),
            Err(_) => "the venue does not read".into(),
        };
        self.links.remove(id);
        let now = self.parts.time.now();
        self.parts.session.on_closed(now, id, &why, &mut self.out);
    }

    /// Says goodbye without waiting for the answer.
    fn close(&mut self, id: LinkId) {
        if let Some(mut socket) = self.links.remove(id) {
            tokio::spawn(async move {
                let _ = tokio::time::timeout(WRITE_WITHIN, socket.close(None)).await;
            });
        }
    }
}

async fn open(address: Boxed<Result<String, String>>, dialer: Dialer) -> Result<Socket, String> {
    let address = address.await?;
    let (target, _) = http::parse_address(&address, "ws", "wss").map_err(|e| e.to_string())?;
    let request = address.as_str().into_client_request().map_err(|e| e.to_string())?;
    let stream = dialer.dial(&target).await.map_err(|e| e.to_string())?;
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let shaken = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    shaken.map(|(socket, _)| socket).map_err(|e| format!("the venue refused the WebSocket: {e}"))
}

#[cfg(test)]
mod tests;
