//! What goes over the wires between ctos and the twin: requests, replies, sockets and their frames.
//! Never: decides what is lost; the network's dice do.

use super::{US, World};
use crate::engine::{Sabotage, secs};
use crate::net::{Back, Ev, News};
use ctos_link::gateway::{Answer, ENTRY, SocketDeed, SocketKey, SocketNews};
use ctos_link::http::HttpRequest;
use ctos_link::rate::Ticket;
use ctos_link::session::LinkId;
use ctos_twin::{ConnId, Frame, Manner, Outgoing, Request, Upgrade};
use ctos_types::{Nanos, UnixNanos};

/// Without an answer for this long, a request's outcome is unknown.
const TIMEOUT: Nanos = Nanos::from_secs(10);

impl World {
    pub(super) fn carry_out(&mut self) {
        let now = self.now;
        let life = self.life;
        loop {
            let engine = self.engine_mut();
            engine.drain(now);
            let sends = std::mem::take(&mut engine.deeds.sends);
            let sockets = std::mem::take(&mut engine.deeds.sockets);
            if sends.is_empty() && sockets.is_empty() {
                return;
            }
            for out in sends {
                self.resend_on_purpose(&out);
                if self.trace {
                    let path = out.request.path.split("&timestamp").next().unwrap_or_default().to_string();
                    eprintln!("{:.3} -> {:?} {} {path}", secs(now), out.ticket, out.request.method);
                }
                let lost = self.net.quality.lose_request;
                if self.net.chance(lost) {
                    self.lost(now, out.ticket, "the request was lost");
                    continue;
                }
                let at = now.after(self.net.delay());
                self.net.put(at, Ev::Request { life, ticket: out.ticket, request: out.request, sent: now });
            }
            for (key, deed) in sockets {
                self.socket_deed(key, deed);
            }
        }
    }

    /// A driver that sends what it has heard nothing of again.
    fn resend_on_purpose(&mut self, out: &ctos_link::gateway::Outgoing) {
        let places = out.request.path.contains("/order?") && out.request.method.as_str() == "POST";
        if self.setup.sabotage == Some(Sabotage::Resend) && places {
            for ms in [400, 1_200, 2_400] {
                let at = self.now.after(Nanos::from_millis(ms));
                let ev = Ev::Request { life: 0, ticket: out.ticket, request: out.request.clone(), sent: self.now };
                self.net.put(at, ev);
            }
        }
    }

    /// No answer: told at once by a broken connection, or by nobody for as long as a client waits.
    fn lost(&mut self, sent: UnixNanos, ticket: Ticket, why: &str) {
        let at = if self.net.upto(2) == 0 { self.now.after(self.net.delay()) } else { sent.after(TIMEOUT) };
        let back = Back::Unknown(why.into());
        self.net.put(at.max(self.now), Ev::Reply { life: self.life, ticket, back });
    }

    fn socket_deed(&mut self, key: SocketKey, deed: SocketDeed) {
        let (now, life) = (self.now, self.life);
        let conn = self.conns.get(&key).copied();
        let at = now.after(self.net.delay());
        match (deed, conn) {
            (SocketDeed::Connect { address }, _) => {
                let rest = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
                let path = rest.find('/').map_or("/", |i| &rest[i..]).to_string();
                self.net.put(at, Ev::Open { life, key, path });
            }
            (SocketDeed::Send(text), Some(conn)) => {
                if self.trace && key.part == ENTRY {
                    eprintln!("{:.3} => {}", secs(now), text.split("\"signature\"").next().unwrap_or_default());
                }
                let lost = self.net.quality.lose_request;
                if key.part == ENTRY && self.net.chance(lost) {
                    return self.break_off(conn);
                }
                self.net.put_in_order(at, true, conn, Ev::Say { conn, text });
            }
            (SocketDeed::Ping, Some(conn)) => self.net.put_in_order(at, true, conn, Ev::PingVenue { conn }),
            (SocketDeed::Close { .. }, Some(conn)) => {
                self.forget(conn);
                self.net.put_in_order(at, true, conn, Ev::Shut { conn });
            }
            (_, None) => {}
        }
    }

    /// A connection ends with what is on it: somebody is told, or nobody is.
    fn break_off(&mut self, conn: ConnId) {
        if self.net.upto(2) == 0 {
            self.tell(conn, News::Closed("connection reset".into()));
            self.twin.ws_close(self.now, conn);
        } else {
            self.dead.insert(conn);
        }
    }

    /// Every order-entry socket is cut.
    pub fn cut_entries(&mut self) {
        let conns: Vec<ConnId> = self.conns.iter().filter(|(k, _)| k.part == ENTRY).map(|(_, c)| *c).collect();
        for conn in conns {
            self.tell(conn, News::Closed("connection reset".into()));
            self.twin.ws_close(self.now, conn);
        }
    }

    fn forget(&mut self, conn: ConnId) {
        self.dead.remove(&conn);
        if let Some(key) = self.keys.remove(&conn) {
            self.conns.remove(&key);
        }
    }

    // ---- arrivals

    pub(super) fn arrive(&mut self, ev: Ev) {
        let now = self.now;
        match ev {
            Ev::Request { life, ticket, request, sent } => self.at_venue(life, ticket, &request, sent),
            Ev::Reply { life, ticket, back } if life == self.life => {
                if self.trace {
                    eprintln!("{:.3} <- {ticket:?} {}", secs(now), short(&back));
                }
                let engine = self.engine_mut();
                match &back {
                    Back::Http { status, headers, body, sent } => {
                        let answer = Answer::Http { status: *status, headers, body, sent: *sent, received: now };
                        engine.gateway.answered(now, ticket, &answer, &mut engine.deeds);
                    }
                    Back::Unknown(why) => {
                        let answer = Answer::Unknown { why: why.clone() };
                        engine.gateway.answered(now, ticket, &answer, &mut engine.deeds);
                    }
                }
                engine.drain(now);
            }
            Ev::Open { life, key, path } if life == self.life => self.open(key, &path),
            Ev::Say { conn, .. } | Ev::PingVenue { conn } | Ev::PongVenue { conn } if self.dead.contains(&conn) => {}
            Ev::Say { conn, text } => self.twin.ws_text(now, conn, &text),
            Ev::PingVenue { conn } => {
                self.twin.ws_ping(now, conn);
                self.tell(conn, News::Pong);
            }
            Ev::PongVenue { conn } => self.twin.ws_pong(now, conn),
            Ev::Shut { conn } => self.twin.ws_close(now, conn),
            Ev::News { life, key, news } if life == self.life => {
                if self.trace
                    && let News::Text(text) = &news
                {
                    eprintln!("{:.3} << {text}", secs(now));
                }
                let engine = self.engine_mut();
                let told = match &news {
                    News::Opened => SocketNews::Opened,
                    News::Closed(why) => SocketNews::Closed { why },
                    News::Text(text) => SocketNews::Text(text),
                    News::Ping => SocketNews::Ping,
                    News::Pong => SocketNews::Pong,
                };
                engine.gateway.socket(now, key, &told, &mut engine.deeds);
                engine.drain(now);
                if let News::Closed(_) = news
                    && let Some(conn) = self.conns.get(&key).copied()
                {
                    self.forget(conn);
                }
            }
            Ev::Reply { .. } | Ev::Open { .. } | Ev::News { .. } => {}
        }
    }

    fn at_venue(&mut self, life: u32, ticket: Ticket, request: &HttpRequest, sent: UnixNanos) {
        let now = self.now;
        if now < self.away_until {
            if life == self.life {
                self.lost(sent, ticket, "the venue is down");
            }
            return;
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let key = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("x-mbx-apikey")).map(|(_, v)| v.as_str());
        let ask = Request {
            method: request.method.as_str(),
            path,
            query,
            body: &body,
            api_key: key,
            micros: false,
            from: US,
        };
        let reply = self.twin.rest(now, &ask);
        let orders = ["/order", "/order/cancelReplace", "/order/amend/keepPriority", "/algoOrder"];
        if ask.method != "GET" && orders.iter().any(|o| path.ends_with(o)) {
            self.by_http += 1;
        }
        match reply.status {
            418 => self.banned_replies += 1,
            429 => self.limited_replies += 1,
            _ => {}
        }
        let lost = self.net.quality.lose_reply;
        if life != self.life {
            return;
        }
        if reply.manner != Manner::Whole || self.net.chance(lost) {
            return self.lost(sent, ticket, "no whole answer came");
        }
        let at = now.after(self.net.delay()).after(Nanos::from_millis(reply.delay_ms));
        if at >= sent.after(TIMEOUT) {
            let back = Back::Unknown("no answer in time".into());
            return self.net.put(sent.after(TIMEOUT).max(now), Ev::Reply { life, ticket, back });
        }
        let headers = reply.headers.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        let back = Back::Http { status: reply.status, headers, body: reply.body.into_bytes(), sent };
        self.net.put(at, Ev::Reply { life, ticket, back });
    }

    fn open(&mut self, key: SocketKey, path: &str) {
        let (now, life) = (self.now, self.life);
        let conn = self.next_conn;
        self.next_conn += 1;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let failed = if now < self.away_until { 1_000 } else { self.net.quality.no_connection };
        let at = now.after(self.net.delay());
        if self.net.chance(failed) || (self.net.quality.no_entry && key.part == ENTRY) {
            let news = News::Closed("no connection".into());
            return self.net.put(at, Ev::News { life, key, news });
        }
        match self.twin.ws_open(now, conn, &Upgrade { path, query, from: US }) {
            Ok(()) => {
                self.conns.insert(key, conn);
                self.keys.insert(conn, key);
                self.net.put_in_order(at, false, conn, Ev::News { life, key, news: News::Opened });
            }
            Err(reply) => {
                self.banned_replies += u64::from(reply.status == 418);
                let news = News::Closed(format!("refused: {}", reply.status));
                self.net.put(at, Ev::News { life, key, news });
            }
        }
    }

    // ---- from the venue

    pub(super) fn take_from_venue(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        self.twin.drain(&mut frames);
        for Outgoing { conn, frame } in frames.drain(..) {
            match frame {
                Frame::Text(text) => self.frame(conn, text),
                Frame::Ping(_) => {
                    self.tell(conn, News::Ping);
                    let at = self.now.after(self.net.delay());
                    self.net.put_in_order(at, true, conn, Ev::PongVenue { conn });
                }
                Frame::Close(code, why) => {
                    self.tell(conn, News::Closed(format!("closed by the venue: {code} {why}")));
                    self.twin.ws_close(self.now, conn);
                }
                Frame::Cut | Frame::Half(_) => {
                    self.tell(conn, News::Closed("connection reset".into()));
                    self.twin.ws_close(self.now, conn);
                }
            }
        }
        self.frames = frames;
    }

    fn frame(&mut self, conn: ConnId, text: String) {
        if self.keys.get(&conn).is_some_and(|key| key.part == ENTRY) {
            self.banned_replies += u64::from(text.contains("\"status\":418,"));
            self.limited_replies += u64::from(text.contains("\"status\":429,"));
            let lost = self.net.quality.lose_reply;
            if self.net.chance(lost) {
                return self.break_off(conn);
            }
        }
        self.tell(conn, News::Text(text));
    }

    pub(super) fn tell(&mut self, conn: ConnId, news: News) {
        let Some(key) = self.keys.get(&conn).copied().filter(|_| !self.dead.contains(&conn)) else { return };
        let at = self.now.after(self.net.delay());
        self.net.put_in_order(at, false, conn, Ev::News { life: self.life, key, news });
    }

    /// Links that are open, for rows that want to know.
    pub fn links(&self) -> Vec<LinkId> {
        self.conns.keys().map(|k| k.link).collect()
    }
}

fn short(back: &Back) -> String {
    match back {
        Back::Http { status, body, .. } => {
            let text = String::from_utf8_lossy(body);
            format!("{status} {}", text.chars().take(700).collect::<String>())
        }
        Back::Unknown(why) => why.clone(),
    }
}
