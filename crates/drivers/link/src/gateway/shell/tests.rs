//! The shell over real sockets: a toy venue on loopback, with TLS and through proxies.

use super::*;
use crate::dial::{Proxy, Stream};
use crate::gateway::frame::toy::{Told, ToyPart, ToyWords, ask};
use crate::gateway::{Answer, BaseNo, Budget, Draft, EntryFrame, SocketDeed, SocketNo};
use crate::rate::{Cost, Lane, LimiterConfig, MeterSpec};
use crate::session::LinkId;
use crate::testnet::{certificate, http_proxy, listen, socks_proxy};
use ctos_types::{AccountId, CancelOrder, ClientOrderId, Command, EventBuf, InstanceTag, InstrumentId, Nanos};
use futures_util::{SinkExt, StreamExt};
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

mod entry;

/// As [`ToyWords`], at an address.
#[derive(Debug)]
struct At {
    words: ToyWords,
    base: String,
    /// Where orders go over a socket.
    entry: Option<String>,
}

impl At {
    fn only(base: &str) -> At {
        At { words: ToyWords { bases: 1, entry: false }, base: base.into(), entry: None }
    }
}

impl VenueWords for At {
    fn limiter(&self) -> (LimiterConfig, Vec<String>, Vec<MeterSpec>) {
        self.words.limiter()
    }
    fn bases(&self) -> Vec<String> {
        vec![self.base.clone()]
    }
    fn budgets(&self, base: BaseNo, cost: &Cost, answer: &Answer<'_>, out: &mut Vec<Budget>) {
        self.words.budgets(base, cost, answer, out);
    }
    fn ask_time(&self, turn: u32) -> (BaseNo, Cost, Box<dyn Draft>) {
        self.words.ask_time(turn)
    }
    fn read_time(&self, body: &[u8]) -> Option<UnixNanos> {
        self.words.read_time(body)
    }
    fn entries(&self) -> Vec<(BaseNo, String)> {
        self.entry.iter().map(|address| (BaseNo(0), address.clone())).collect()
    }
    fn read_entry<'a>(&self, base: BaseNo, text: &'a str) -> EntryFrame<'a> {
        self.words.read_entry(base, text)
    }
}

/// Runs `work` on a thread with a runtime of its own, which goes on until the test ends, and gives its value.
fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (give, take) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            give.send(work.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    take.recv().unwrap()
}

/// A venue: REST and WebSocket on one port. A socket says `data` twice and echoes; `crash` ends it.
async fn venue(tls: Option<TlsAcceptor>, requests: Arc<AtomicU32>) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, requests) = (tls.clone(), requests.clone());
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &requests).await;
                        }
                    }
                    None => serve(stream, &requests).await,
                }
            });
        }
    });
    port
}

async fn serve(mut stream: impl Stream, requests: &AtomicU32) {
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        if text.to_lowercase().contains("upgrade: websocket") {
            return talk(upgraded(stream, &text).await).await;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let path = text.split(' ').nth(1).unwrap().split('?').next().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let (status, body) = match path {
            "/time" => ("200 OK", format!("{now} used=1 ")),
            "/66" => ("418 Teapot", "for=30 ".to_string()),
            _ => ("200 OK", format!("hello {path}")),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The other end of a WebSocket that was asked for with this head.
async fn upgraded<S: Stream>(mut stream: S, head: &str) -> tokio_tungstenite::WebSocketStream<S> {
    let key = |l: &str| {
        l.split_once(": ")
            .filter(|(n, _)| n.eq_ignore_ascii_case("sec-websocket-key"))
            .map(|(_, k)| k.trim().to_owned())
    };
    let key = head.lines().find_map(key).unwrap();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
    tokio_tungstenite::WebSocketStream::from_raw_socket(stream, role, None).await
}

async fn talk<S: Stream>(mut socket: tokio_tungstenite::WebSocketStream<S>) {
    for _ in 0..2 {
        socket.send(Message::text("data")).await.unwrap();
    }
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) if text.as_str() == "crash" => return,
            Message::Text(text) => socket.send(Message::text(format!("echo {text}"))).await.unwrap(),
            _ => {}
        }
    }
}

struct Case {
    running: Running,
    told: Arc<Mutex<Told>>,
}

fn start(base: String, socket: String, roots: &[u8], proxy: Option<&str>) -> Case {
    let (part, told) = ToyPart::make(&[1]);
    {
        let mut told = told.lock().unwrap();
        told.asks = vec![ask(1, Lane::Query, 1)];
        told.sockets = vec![(SocketNo(0), LinkId(1), SocketDeed::Connect { address: socket })];
    }
    let proxy = proxy.map(|p| p.parse::<Proxy>().unwrap());
    let config = GatewayConfig {
        name: "toy".into(),
        time: Arc::new(LinkTime::start()),
        dialer: Dialer::new(roots, proxy, Nanos::from_secs(5)).unwrap(),
        http: HttpConfig::default(),
        clock: ClockConfig::default(),
        closures: Vec::new(),
    };
    let words = At::only(&base);
    Case { running: spawn(config, Box::new(words), vec![part]).unwrap(), told }
}

impl Case {
    /// Waits until the part was told this.
    #[track_caller]
    fn hears(&mut self, line: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.told.lock().unwrap().lines.iter().any(|l| l.contains(line)) {
            assert!(Instant::now() < until, "no {line} in {:?}", self.told.lock().unwrap().lines);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn polls(&mut self, count: usize) -> Vec<UnixNanos> {
        let (mut event, mut out) = (Box::new(EventBuf::default()), Vec::new());
        while out.len() < count {
            match self.running.poll(&mut event) {
                Some(at) => out.push(at),
                None => self.running.wait(Duration::from_secs(20)),
            }
        }
        out
    }

    fn does(&self, f: impl FnOnce(&mut Told)) {
        f(&mut self.told.lock().unwrap());
        // A command makes the part look.
        let cl_ord_id = ClientOrderId { tag: InstanceTag(1), seq: 1 };
        let cancel = CancelOrder { account: AccountId(1), cl_ord_id, instrument: InstrumentId(0) };
        self.running.send(Command::Cancel(cancel)).unwrap();
    }
}

#[test]
fn requests_sockets_commands_guests_bans_and_an_orderly_end() {
    let requests = Arc::new(AtomicU32::new(0));
    let port = beside(venue(None, requests.clone()));
    let (base, socket) = (format!("http://127.0.0.1:{port}"), format!("ws://127.0.0.1:{port}/ws"));
    let mut case = start(base, socket, &[], None);
    case.hears("answer 1 200");
    case.hears("socket 0 1 Opened");
    // Two frames and an answer are an event each.
    let stamps = case.polls(3);
    assert!(stamps.is_sorted() && stamps[2] <= case.running.now());
    let send = |text: &str| (SocketNo(0), LinkId(1), SocketDeed::Send(text.into()));
    case.does(|told| told.sockets = vec![send("hi"), (SocketNo(0), LinkId(1), SocketDeed::Ping)]);
    case.hears("echo hi");
    case.hears("Pong");
    let handle = case.running.handle();
    let guest = |tag: u64| {
        let asked = ask(tag, Lane::Query, 1);
        handle.request((Lane::Query, asked.cost), BaseNo(0), asked.draft, Nanos::from_secs(5), Duration::from_secs(10))
    };
    assert_eq!(guest(7).unwrap().body.as_ref(), b"hello /7");
    assert_eq!(case.running.closures_changed(), None);
    assert_eq!(guest(66).unwrap().status, 418);
    let closures = case.running.closures_changed().unwrap();
    assert!(closures[0].banned && case.running.closures_changed().is_none());
    let before = requests.load(Ordering::SeqCst);
    assert!(matches!(guest(7), Err(RequestError::NotSent { retry_after: Some(_), .. })));
    assert_eq!(requests.load(Ordering::SeqCst), before, "nothing leaves under a ban");
    case.does(|told| told.sockets = vec![send("crash")]);
    case.hears("socket 0 1 closed");
    assert!(case.running.notices().iter().any(|n| matches!(n, crate::gateway::Notice::Alarm { .. })));
    case.running.stop(Duration::from_secs(5));
    case.hears("stop");
    let status = case.running.status();
    assert!(status.clock.offset.is_some() && status.sockets.is_empty() && status.parts[0].live);
    assert!(status.closures[0].banned && status.usage[0].used > 0);
    assert_eq!(case.running.ended().as_deref(), Some("the gateway was stopped"));
    assert!(matches!(guest(7), Err(RequestError::NotSent { .. })));
}

#[test]
fn over_tls_and_through_every_kind_of_proxy() {
    let (pem, tls) = certificate();
    let for_proxy = tls.clone();
    let (port, ways) = beside(async move {
        let port = venue(Some(tls), Arc::default()).await;
        let (http, through_http) = http_proxy(Some("bWU6c2VjcmV0"), None).await;
        let (https, through_https) = http_proxy(None, Some(for_proxy)).await;
        let (socks, through_socks) = socks_proxy(false).await;
        let ways = [
            (format!("http://me:secret@127.0.0.1:{http}"), through_http),
            (format!("https://localhost:{https}"), through_https),
            (format!("socks5://127.0.0.1:{socks}"), through_socks),
        ];
        (port, ways)
    });
    let (base, socket) = (format!("https://localhost:{port}"), format!("wss://localhost:{port}/ws"));
    let mut direct = start(base.clone(), socket.clone(), &pem, None);
    direct.hears("answer 1 200");
    direct.polls(3);
    for (proxy, tunnels) in ways {
        let mut case = start(base.clone(), socket.clone(), &pem, Some(&proxy));
        case.hears("answer 1 200");
        case.polls(3);
        assert!(tunnels.load(Ordering::SeqCst) >= 2, "{proxy}");
    }
    // A certificate that nobody vouches for: no byte leaves, and both are told.
    let mut case = start(base, socket, &[], None);
    case.hears("socket 0 1 closed");
    case.hears("answer 1 not sent");
}

#[test]
fn an_address_that_is_none_starts_nothing() {
    let config = GatewayConfig {
        name: "toy".into(),
        time: shared_time(UnixNanos::from_secs(1_700_000_000), 60),
        dialer: Dialer::new(&[], None, Nanos::from_secs(5)).unwrap(),
        http: HttpConfig::default(),
        clock: ClockConfig::default(),
        closures: Vec::new(),
    };
    assert!(config.time.now() >= UnixNanos::from_secs(1_700_000_000));
    assert!(config.time.now() < UnixNanos::from_secs(1_700_000_000 + 600));
    let words = At::only("nowhere");
    assert!(matches!(spawn(config, Box::new(words), Vec::new()), Err(SpawnError::Address(_))));
}
