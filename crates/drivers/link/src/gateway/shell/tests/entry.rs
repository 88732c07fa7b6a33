//! Order entry over a real socket: replies, a cut in the middle of one, a peer that is there and says nothing, and HTTP
//! meanwhile. Whatever happens, each message leaves once and ends once.

use super::*;
use tokio_tungstenite::WebSocketStream;

/// Times as fast as the world: a reply may take 10 s, a mute socket is left for up to 30 s.
const SPEED: u32 = 20;

/// What the venue does with order-entry sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// The TCP connection ends in the middle of a reply, and no other one is opened.
    Cuts,
    /// Reads nothing any more and says nothing, not even a pong; the connection stays.
    Deaf,
    /// No socket is opened.
    Refuses,
}

/// What it saw.
#[derive(Debug)]
struct Seen {
    mood: Mood,
    /// `socket 7`, `http 7`: by which way a message came.
    orders: Vec<String>,
    sockets: u32,
}

#[derive(Clone)]
struct Venue {
    seen: Arc<Mutex<Seen>>,
    time: Arc<dyn Time>,
}

impl Venue {
    fn is(&self, mood: Mood) {
        self.seen.lock().unwrap().mood = mood;
    }

    fn mood(&self) -> Mood {
        self.seen.lock().unwrap().mood
    }

    fn note(&self, order: String) {
        self.seen.lock().unwrap().orders.push(order);
    }

    async fn open(self) -> u16 {
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().serve(stream));
            }
        });
        port
    }

    async fn serve(self, mut stream: tokio::net::TcpStream) {
        while let Some(head) = crate::testnet::read_head(&mut stream).await {
            if head.to_lowercase().contains("upgrade: websocket") {
                if self.mood() == Mood::Refuses {
                    let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                return self.entry(upgraded(stream, &head).await).await;
            }
            let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap().trim_start_matches('/');
            let body = if path == "time" { format!("{} ", self.time.now().0) } else { format!("hello {path}") };
            if path != "time" {
                self.note(format!("http {path}"));
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn entry(self, mut socket: WebSocketStream<tokio::net::TcpStream>) {
        self.seen.lock().unwrap().sockets += 1;
        loop {
            if self.mood() == Mood::Deaf {
                return std::future::pending().await;
            }
            // Moods change while nobody writes.
            let Ok(message) = tokio::time::timeout(Duration::from_millis(10), socket.next()).await else { continue };
            let Some(Ok(message)) = message else { return };
            let Message::Text(text) = message else { continue };
            let mut words = text.split(' ');
            let (id, order) = (words.next().unwrap(), words.next().unwrap());
            self.note(format!("socket {order}"));
            match self.mood() {
                Mood::Cuts => {
                    // A frame of 60 bytes of text, of which a third comes.
                    let mut part = vec![0x81, 60];
                    part.extend(format!("reply {id} 200 done").bytes());
                    let stream = socket.get_mut();
                    stream.write_all(&part).await.unwrap();
                    stream.flush().await.unwrap();
                    return self.is(Mood::Refuses);
                }
                Mood::Deaf => return std::future::pending().await,
                Mood::Well | Mood::Refuses => {
                    let reply = format!("reply {id} 200 done {order}");
                    socket.send(Message::text(reply)).await.unwrap();
                }
            }
        }
    }
}

/// A gateway with order entry at a venue.
struct Desk {
    case: Case,
    venue: Venue,
}

impl Desk {
    fn open() -> Desk {
        let time = shared_time(UnixNanos::from_secs(1_700_000_000), SPEED);
        let seen = Seen { mood: Mood::Well, orders: Vec::new(), sockets: 0 };
        let venue = Venue { seen: Arc::new(Mutex::new(seen)), time: time.clone() };
        let port = beside(venue.clone().open());
        let (part, told) = ToyPart::make(&[1]);
        let config = GatewayConfig {
            name: "toy".into(),
            time,
            dialer: Dialer::new(&[], None, Nanos::from_secs(5)).unwrap(),
            http: HttpConfig::default(),
            clock: ClockConfig::default(),
            closures: Vec::new(),
        };
        let words = At {
            words: ToyWords { bases: 1, entry: true },
            base: format!("http://127.0.0.1:{port}"),
            entry: Some(format!("ws://127.0.0.1:{port}/orders")),
        };
        Desk { case: Case { running: spawn(config, Box::new(words), vec![part]).unwrap(), told }, venue }
    }

    fn is(&self, mood: Mood) {
        self.venue.is(mood);
    }

    #[track_caller]
    fn until(&self, what: &str, done: impl Fn(&Desk) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            let status = self.case.running.status();
            assert!(Instant::now() < until, "never {what}: {:?}, {:?}", status.entries, self.venue.seen);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until orders go over the socket, or do not.
    #[track_caller]
    fn goes_over_it(&self, open: bool) {
        let (what, asked) = (if open { "over the socket" } else { "by HTTP" }, self.case.running.now());
        self.until(what, |d| {
            let status = d.case.running.status();
            // What people see is a second old at most, and that may be too old here.
            status.at >= asked && status.entries.iter().all(|e| e.open == open)
        });
    }

    /// Sends an order and waits for its end, which is told once.
    #[track_caller]
    fn orders(&mut self, tag: u64, end: &str) {
        self.case.does(|told| told.asks = vec![ask(tag, Lane::New, 1)]);
        self.case.hears(&format!("answer {tag} {end}"));
    }

    fn came(&self) -> Vec<String> {
        self.venue.seen.lock().unwrap().orders.clone()
    }
}

#[test]
fn orders_over_a_socket_that_is_cut_in_the_middle_of_a_reply() {
    let mut desk = Desk::open();
    desk.goes_over_it(true);
    desk.orders(10, "200");
    assert_eq!(desk.came(), ["socket 10"]);
    desk.is(Mood::Cuts);
    desk.orders(11, "unknown");
    desk.orders(12, "200");
    assert_eq!(desk.came(), ["socket 10", "socket 11", "http 12"], "HTTP while there is no socket");
    desk.is(Mood::Well);
    desk.goes_over_it(true);
    desk.orders(13, "200");
    assert_eq!(desk.came().last().unwrap(), "socket 13");
    desk.until("counted", |d| d.case.running.status().entries.iter().all(|e| (e.sent, e.unknown) == (3, 1)));
    desk.case.running.stop(Duration::from_secs(5));
    let told = desk.case.told.lock().unwrap();
    assert!(told.answers.iter().all(|(_, ends)| ends.len() == 1), "{:?}", told.answers);
    let came = desk.came();
    assert_eq!(came.iter().filter(|c| c.ends_with("11")).count(), 1, "never again, by no way: {came:?}");
}

#[test]
fn a_peer_that_is_there_and_says_nothing_costs_one_doubt_and_orders_go_by_http() {
    let mut desk = Desk::open();
    desk.goes_over_it(true);
    desk.orders(20, "200");
    // Deaf to what comes: the message left, and nobody knows what became of it.
    desk.is(Mood::Deaf);
    desk.orders(21, "unknown");
    desk.goes_over_it(false);
    desk.orders(22, "200");
    assert_eq!(desk.came().last().unwrap(), "http 22");
    let mute = |n: &crate::gateway::Notice| format!("{n:?}").contains("does not reply");
    let notices = desk.case.running.notices();
    assert!(notices.iter().any(mute), "{notices:?}");
    // It is tried again, and found well.
    desk.is(Mood::Well);
    desk.goes_over_it(true);
    desk.orders(23, "200");
    assert_eq!(desk.came().last().unwrap(), "socket 23");
    let came = desk.came();
    assert_eq!(came.iter().filter(|c| c.ends_with("21")).count(), usize::from(came.contains(&"socket 21".into())));
}

#[test]
fn a_half_open_socket_is_found_out_without_an_order() {
    let desk = Desk::open();
    desk.goes_over_it(true);
    desk.is(Mood::Deaf);
    // No pong: whoever only waits for the peer to close it waits for ever. The one that is opened instead is deaf, too.
    desk.until("replaced", |d| d.venue.seen.lock().unwrap().sockets > 1);
    desk.is(Mood::Well);
    let before = desk.venue.seen.lock().unwrap().sockets;
    desk.until("replaced by one that is well", |d| d.venue.seen.lock().unwrap().sockets > before);
    let mut desk = desk;
    desk.goes_over_it(true);
    desk.orders(30, "200");
    assert_eq!(desk.came(), ["socket 30"]);
}
