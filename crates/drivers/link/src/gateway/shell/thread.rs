//! The gateway's thread: one tokio runtime, one loop.
//! Never: waits for anything but the next thing to happen.

use super::inbox::Shared;
use super::running::{Guest, Inputs, Reply, RequestError};
use super::{GatewayConfig, SocketStatus, Status};
use crate::Time;
use crate::gateway::{Answer, Deeds, ENTRY, Gateway, GuestNo, Notice, Outgoing, SocketDeed, SocketKey, SocketNews};
use crate::http::{HttpClient, HttpError, HttpResponse};
use crate::rate::Ticket;
use crate::ws::{self, Heard, Links, Socket};
use ctos_types::{EventBuf, UnixNanos};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// How opening a socket went.
type Opening = (SocketKey, Result<Box<Socket>, String>);

/// How often clocks are compared, sockets checked and the status told, in real time.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Inputs after which everybody is heard once, however busy the sockets are.
const TURNS: u32 = 32;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

pub(super) fn main(
    config: GatewayConfig,
    gateway: Gateway,
    clients: Vec<Arc<HttpClient>>,
    shared: Arc<Shared>,
    inputs: Inputs,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return shared.end(format!("the gateway's runtime cannot start: {e}")),
    };
    let shell = Shell {
        links: Links::default(),
        answers: FuturesUnordered::new(),
        opening: FuturesUnordered::new(),
        sockets: BTreeMap::new(),
        guests: BTreeMap::new(),
        next_guest: 0,
        deeds: Deeds::default(),
        boxes: Vec::new(),
        stopping: false,
        to_write: false,
        turn: 0,
        house_at: Instant::now(),
        config,
        gateway,
        clients,
        shared: shared.clone(),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(shell.run(inputs))));
    runtime.shutdown_background();
    shared.end(match ended {
        Ok(()) => "the gateway was stopped".into(),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            let what = format!("the gateway's thread panicked: {text}");
            let hint = "a bug of ours: orders may be open at the venue; the watchdog cancels them".into();
            shared.notice(std::iter::once(Notice::Alarm { what: what.clone(), hint }));
            what
        }
    });
}

/// A socket that a part wants.
struct Wanted {
    open: bool,
    since: UnixNanos,
}

struct Shell {
    config: GatewayConfig,
    gateway: Gateway,
    clients: Vec<Arc<HttpClient>>,
    shared: Arc<Shared>,
    links: Links<SocketKey>,
    answers: FuturesUnordered<Later<(Ticket, Result<HttpResponse, HttpError>)>>,
    opening: FuturesUnordered<Later<Opening>>,
    sockets: BTreeMap<SocketKey, Wanted>,
    guests: BTreeMap<GuestNo, Reply>,
    next_guest: u64,
    deeds: Deeds,
    #[expect(clippy::vec_box, reason = "an event moves between queues by its pointer")]
    boxes: Vec<Box<EventBuf>>,
    stopping: bool,
    /// Something waits to be written to a socket.
    to_write: bool,
    turn: u32,
    house_at: Instant,
}

impl Shell {
    async fn run(mut self, mut inputs: Inputs) {
        let time = self.config.time.clone();
        self.gateway.start(time.now(), &mut self.deeds);
        let (at, mut rings_at) = self.next_ring(time.as_ref());
        let alarm = tokio::time::sleep_until(at);
        tokio::pin!(alarm);
        loop {
            let now = time.now();
            if self.gateway.deadline().0 <= now {
                self.gateway.on_deadline(now, &mut self.deeds);
            }
            if Instant::now() >= self.house_at {
                self.keep_house(now);
            }
            self.act(now);
            if let Some(by) = inputs.stop.by()
                && self.has_left(now, by.into())
            {
                break;
            }
            // Armed anew only for something earlier: what moved later lets it ring once in vain.
            let (due, _) = self.gateway.deadline();
            if due < rings_at || alarm.is_elapsed() {
                let (at, for_due) = self.next_ring(time.as_ref());
                rings_at = for_due;
                alarm.as_mut().reset(at);
            }
            self.hear_the_quiet(&mut inputs);
            let is_full = self.shared.is_full();
            // An order does not wait for the commands behind it, nor for a kernel that has not caught up.
            if std::mem::take(&mut self.to_write) || is_full {
                self.links.flush().await;
            }
            tokio::select! {
                biased;
                Some(command) = inputs.commands.recv() => {
                    self.gateway.command(time.now(), &command, &mut self.deeds);
                }
                Some((ticket, answer)) = self.answers.next(), if !self.answers.is_empty() => {
                    self.answered(time.now(), ticket, answer);
                }
                (key, heard) = self.links.next(), if !is_full => self.hear(time.now(), key, heard),
                Some((key, opened)) = self.opening.next(), if !self.opening.is_empty() => {
                    self.opened(time.now(), key, opened);
                }
                Some(guest) = inputs.guests.recv() => self.welcome(time.now(), guest),
                () = inputs.stop.told.notified() => {}
                () = &mut alarm => {}
            }
        }
        self.leave().await;
    }

    /// When to look again, housekeeping included, and the gateway's deadline that this is for.
    fn next_ring(&self, time: &dyn Time) -> (Instant, UnixNanos) {
        let (due, _) = self.gateway.deadline();
        let at = Instant::now() + time.real_until(due);
        (at.min(self.house_at), due)
    }

    /// Sockets that always have something to say must not keep everybody else waiting.
    fn hear_the_quiet(&mut self, inputs: &mut Inputs) {
        self.turn = self.turn.wrapping_add(1);
        if !self.turn.is_multiple_of(TURNS) {
            return;
        }
        let now = self.config.time.now();
        while let Some(Some((key, opened))) = self.opening.next().now_or_never() {
            self.opened(now, key, opened);
        }
        while let Ok(guest) = inputs.guests.try_recv() {
            self.welcome(now, guest);
        }
        self.act(now);
    }

    fn answered(&mut self, now: UnixNanos, ticket: Ticket, answer: Result<HttpResponse, HttpError>) {
        let told = match &answer {
            Ok(r) => Answer::Http {
                status: r.status,
                headers: &r.headers,
                body: &r.body,
                sent: r.sent,
                received: r.received,
            },
            Err(HttpError::Unknown(why)) => Answer::Unknown { why: why.clone() },
            Err(e @ (HttpError::NotSent(_) | HttpError::Invalid(_))) => {
                Answer::NotSent { why: e.to_string(), retry_after: None }
            }
        };
        let guest = self.gateway.answered(now, ticket, &told, &mut self.deeds);
        // Who asked finds the ban that its answer brought where it looks for bans.
        self.tell_closures();
        if let Some(guest) = guest.and_then(|no| self.guests.remove(&no)) {
            // Whoever asked may have given up.
            let _ = guest.try_send(answer.map_err(|e| match e {
                HttpError::Unknown(why) => RequestError::Unknown { why },
                other => RequestError::NotSent { why: other.to_string(), retry_after: None },
            }));
        }
    }

    fn hear(&mut self, now: UnixNanos, key: SocketKey, heard: Heard) {
        match heard {
            Heard::Text(text) => {
                self.gateway.socket(now, key, &SocketNews::Text(&text), &mut self.deeds);
            }
            Heard::Ping => self.gateway.socket(now, key, &SocketNews::Ping, &mut self.deeds),
            Heard::Pong => self.gateway.socket(now, key, &SocketNews::Pong, &mut self.deeds),
            Heard::Closed(why) => {
                self.links.remove(key);
                self.sockets.remove(&key);
                self.gateway.socket(now, key, &SocketNews::Closed { why: &why }, &mut self.deeds);
            }
        }
    }

    fn opened(&mut self, now: UnixNanos, key: SocketKey, opened: Result<Box<Socket>, String>) {
        // Closed by its part before it was open.
        let Some(wanted) = self.sockets.get_mut(&key) else { return };
        match opened {
            Ok(socket) => {
                *wanted = Wanted { open: true, since: now };
                self.links.insert(key, *socket);
                self.gateway.socket(now, key, &SocketNews::Opened, &mut self.deeds);
            }
            Err(why) => {
                self.sockets.remove(&key);
                self.gateway.socket(now, key, &SocketNews::Closed { why: &why }, &mut self.deeds);
            }
        }
    }

    fn welcome(&mut self, now: UnixNanos, guest: Guest) {
        let no = GuestNo(self.next_guest);
        self.next_guest += 1;
        self.guests.insert(no, guest.reply);
        self.gateway.request(now, no, guest.ask, &mut self.deeds);
    }

    /// Carries out what came of the last input.
    fn act(&mut self, now: UnixNanos) {
        for Outgoing { ticket, base, request } in self.deeds.sends.drain(..) {
            let client = self.clients[base.0 as usize].clone();
            self.answers.push(Box::pin(async move { (ticket, client.send(request).await) }));
        }
        for (key, deed) in self.deeds.sockets.drain(..) {
            match deed {
                SocketDeed::Connect { address } => {
                    self.sockets.insert(key, Wanted { open: false, since: now });
                    let dialer = self.config.dialer.clone();
                    self.opening.push(Box::pin(async move { (key, ws::open(address, dialer).await.map(Box::new)) }));
                }
                SocketDeed::Send(text) => {
                    self.links.send(key, Message::text(text));
                    self.to_write = true;
                }
                SocketDeed::Ping => self.links.send(key, Message::Ping(Default::default())),
                SocketDeed::Close { .. } => {
                    self.sockets.remove(&key);
                    if let Some(socket) = self.links.remove(key) {
                        say_goodbye(socket);
                    }
                }
            }
        }
        for (no, why, retry_after) in self.deeds.refused.drain(..) {
            if let Some(guest) = self.guests.remove(&no) {
                let _ = guest.try_send(Err(RequestError::NotSent { why, retry_after }));
            }
        }
        if !self.deeds.notices.is_empty() {
            self.shared.notice(self.deeds.notices.drain(..));
        }
        self.tell_closures();
        if self.gateway.has_events() {
            self.shared.push(self.gateway.take_events(), &mut self.boxes);
            self.boxes.drain(..).for_each(|b| self.gateway.reuse(b));
        }
    }

    fn tell_closures(&mut self) {
        if std::mem::take(&mut self.deeds.closures_changed) {
            self.shared.set_closures(self.gateway.closures());
        }
    }

    fn keep_house(&mut self, now: UnixNanos) {
        self.house_at = Instant::now() + HOUSEKEEPING;
        self.gateway.on_wall(now, self.config.time.wall(), &mut self.deeds);
        self.links.break_stuck(Instant::now());
        for instrument in self.shared.take_lost() {
            self.gateway.resend(now, instrument, &mut self.deeds);
        }
        let socket = |(key, s): (&SocketKey, &Wanted)| SocketStatus {
            part: key.part,
            socket: key.socket,
            open: s.open,
            since: s.since,
        };
        self.shared.set_status(Status {
            at: now,
            sockets: self.sockets.iter().filter(|(key, _)| key.part != ENTRY).map(socket).collect(),
            entries: self.gateway.entry_status(now),
            clock: self.gateway.clock(now),
            usage: self.gateway.usage(),
            // One that is over stays known until the next request comes along.
            closures: self.gateway.closures().into_iter().filter(|c| c.until > now).collect(),
            parts: self.gateway.part_status(now),
            notices_lost: 0,
            market_lost: self.shared.lost_count(),
        });
    }

    /// Once stopping was asked for: whether everything has gone out, or the time is up.
    fn has_left(&mut self, now: UnixNanos, by: Instant) -> bool {
        if !std::mem::replace(&mut self.stopping, true) {
            self.gateway.stop(now, &mut self.deeds);
            self.act(now);
        }
        self.gateway.is_idle() || Instant::now() >= by
    }

    /// Closes what is open and lets go whoever waits.
    async fn leave(mut self) {
        self.links.flush().await;
        let keys: Vec<SocketKey> = self.links.keys().collect();
        let mut goodbyes: FuturesUnordered<_> = FuturesUnordered::new();
        for key in keys {
            if let Some(mut socket) = self.links.remove(key) {
                goodbyes.push(async move { socket.close(None).await.is_ok() });
            }
        }
        let _ = tokio::time::timeout(GOODBYE, async { while goodbyes.next().await.is_some() {} }).await;
        for (_, guest) in std::mem::take(&mut self.guests) {
            let why = "the gateway has ended".to_string();
            let _ = guest.try_send(Err(RequestError::Unknown { why }));
        }
        let now = self.config.time.now();
        self.act(now);
        self.keep_house(now);
    }
}

/// Says so without waiting for the answer.
fn say_goodbye(mut socket: Socket) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(GOODBYE, socket.close(None)).await;
    });
}
