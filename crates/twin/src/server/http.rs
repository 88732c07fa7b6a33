//! HTTP/1.1 around the twin, and the operator's port. Never: knows an endpoint of the venue.

use super::{Desk, socket};
use crate::config::Product;
use crate::wire::{Manner, Reply, Request};
use crate::ws::Upgrade;
use ctos_types::Nanos;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame as BodyFrame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The largest request body.
const LARGEST: usize = 1 << 20;

/// Time for the first half of a reply to leave.
const FLUSH: Duration = Duration::from_millis(50);

/// Time for a client to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a port shows.
#[derive(Clone)]
pub(super) enum Face {
    Venue(Arc<Desk>),
    Admin(Arc<Vec<(Product, Arc<Desk>)>>),
}

/// A body that may break off.
pub(super) struct Text {
    data: Option<Bytes>,
    /// What is promised, which may be more than what comes.
    length: u64,
    /// How long what was sent has to leave before the rest does not come; `None`: it is all there.
    breaks: Option<Pin<Box<Sleep>>>,
}

impl Text {
    fn whole(text: String) -> Text {
        let data = Bytes::from(text);
        Text { length: data.len() as u64, data: Some(data), breaks: None }
    }

    fn half(text: String) -> Text {
        let mut data = Bytes::from(text);
        let length = data.len() as u64;
        data.truncate(data.len() / 2);
        Text { length, data: Some(data), breaks: Some(Box::pin(tokio::time::sleep(FLUSH))) }
    }
}

impl Body for Text {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(BodyFrame::data(data))));
        }
        let Some(sleep) = &mut self.breaks else { return Poll::Ready(None) };
        sleep.as_mut().poll(context).map(|()| Some(Err(io::ErrorKind::ConnectionReset.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.data.as_ref().is_none_or(Bytes::is_empty) && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Accepts connections until the runtime ends.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, face: Face) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of file handles, most likely: others must close first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Small frames must not wait for each other; a socket that is gone already says so later.
        let _ = stream.set_nodelay(true);
        let (face, tls) = (face.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => talk(stream, face, from).await,
                // A client that does not trust us goes away, and says why on its own side.
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        talk(stream, face, from).await;
                    }
                }
            }
        });
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, face: Face, from: SocketAddr) {
    let service = service_fn(move |request| answer(face.clone(), from, request));
    let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Clients go away as they like, and faults break connections on purpose.
    let _ = http.with_upgrades().await;
}

async fn answer(face: Face, from: SocketAddr, request: hyper::Request<Incoming>) -> Result<Response<Text>, io::Error> {
    match face {
        Face::Venue(desk) if request.headers().contains_key(UPGRADE) => Ok(upgrade(&desk, from, request)),
        Face::Venue(desk) => venue(&desk, from, request).await,
        Face::Admin(desks) => Ok(admin(&desks, request).await),
    }
}

async fn read(request: hyper::Request<Incoming>) -> Option<String> {
    let bytes = Limited::new(request.into_body(), LARGEST).collect().await.ok()?.to_bytes();
    String::from_utf8(bytes.to_vec()).ok()
}

async fn venue(
    desk: &Arc<Desk>,
    from: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response<Text>, io::Error> {
    let (method, uri) = (request.method().as_str().to_string(), request.uri().clone());
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_string);
    let (api_key, unit) = (header("x-mbx-apikey"), header("x-mbx-time-unit"));
    let Some(body) = read(request).await else {
        return Ok(respond(Reply { content_type: "text/html", ..Reply::json(413, "Request Entity Too Large".into()) }));
    };
    let wait = desk.with(|twin, _| twin.before(&method, uri.path()));
    pause(desk, wait).await;
    let reply = desk.with(|twin, now| {
        let request = Request {
            method: &method,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            body: &body,
            api_key: api_key.as_deref(),
            micros: unit.is_some_and(|u| u.eq_ignore_ascii_case("microsecond")),
            from: from.ip(),
        };
        twin.rest(now, &request)
    });
    pause(desk, reply.delay_ms).await;
    match reply.manner {
        // The connection is dropped without a reply.
        Manner::Nothing => Err(io::ErrorKind::ConnectionAborted.into()),
        // Nor where what was done is not safe.
        _ if desk.failed().is_some() => Err(io::ErrorKind::ConnectionAborted.into()),
        Manner::Whole | Manner::Half => Ok(respond(reply)),
    }
}

/// Waits until so much time of the venue has passed.
async fn pause(desk: &Arc<Desk>, ms: i64) {
    if ms <= 0 {
        return;
    }
    let until = desk.clock.now().after(Nanos::from_millis(ms));
    while desk.clock.now() < until {
        tokio::time::sleep(desk.clock.wait(until - desk.clock.now())).await;
    }
}

fn respond(reply: Reply) -> Response<Text> {
    let mut response = Response::new(match reply.manner {
        Manner::Half => Text::half(reply.body),
        _ => Text::whole(reply.body),
    });
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn upgrade(desk: &Arc<Desk>, from: SocketAddr, mut request: hyper::Request<Incoming>) -> Response<Text> {
    let refuse = |status, text: &str| respond(Reply { content_type: "text/plain", ..Reply::json(status, text.into()) });
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() else {
        return refuse(400, "Sec-WebSocket-Key is missing");
    };
    let (id, receive) = desk.register();
    let uri = request.uri().clone();
    let opened = desk.with(|twin, now| {
        let up = Upgrade { path: uri.path(), query: uri.query().unwrap_or_default(), from: from.ip() };
        twin.ws_open(now, id, &up)
    });
    if let Err(reply) = opened {
        desk.forget(id);
        return respond(reply);
    }
    let desk = desk.clone();
    let pending = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(io) = pending.await {
            socket::run(&desk, id, TokioIo::new(io), receive).await;
        }
        desk.forget(id);
    });
    let mut response = Response::new(Text::whole(String::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

// ---- the operator's port

async fn admin(desks: &[(Product, Arc<Desk>)], request: hyper::Request<Incoming>) -> Response<Text> {
    let (method, path) = (request.method().as_str().to_string(), request.uri().path().to_string());
    let body: Result<String, Infallible> = Ok(read(request).await.unwrap_or_default());
    let Ok(body) = body;
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fail = |status, what: &str| {
        let text = crate::json::Obj::new()
            .str("error", what)
            .str("hint", "POST /spot/do, POST /usdm/do, GET /spot/truth, GET /usdm/truth; see docs/twin.md");
        respond(Reply::json(status, text.done()))
    };
    let [market, what] = parts[..] else { return fail(404, "no such path") };
    let product = match market {
        "spot" => Product::Spot,
        "usdm" => Product::UsdM,
        _ => return fail(404, "no such market"),
    };
    let Some((_, desk)) = desks.iter().find(|(p, _)| *p == product) else {
        return fail(404, "that market is not served");
    };
    match (method.as_str(), what) {
        ("POST", "do") => match desk.with(|twin, now| twin.admin(now, &body)) {
            Ok(done) => respond(Reply::json(200, done)),
            Err(why) => fail(400, &why),
        },
        ("GET", "truth") => respond(Reply::json(200, desk.with(|twin, now| twin.truth(now)))),
        _ => fail(405, "no such deed"),
    }
}
