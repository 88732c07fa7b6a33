use super::*;
use crate::LinkTime;
use crate::dial::Proxy;
use crate::testnet::{certificate, http_proxy, listen, read_head, socks_proxy};
use ctos_types::InstanceTag;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// What the server does with each request on a connection, by its path.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let length: usize =
            (head.lines()).find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let answer = match path.as_str() {
            "/base/drop" => return,
            "/base/half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
                return;
            }
            "/base/stall" => return std::future::pending().await,
            "/base/ban" => {
                "HTTP/1.1 418 x\r\nRetry-After: 120\r\nX-MBX-USED-WEIGHT-1M: 6001\r\ncontent-length: 2\r\n\r\n{}".into()
            }
            "/base/last" => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast".into(),
            _ => {
                let text = format!("{head}{}", String::from_utf8(body).unwrap());
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
            }
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        if path == "/base/last" {
            return;
        }
    }
}

/// The port and how many connections were taken.
async fn server(tls: Option<TlsAcceptor>) -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            match tls.clone() {
                None => drop(tokio::spawn(serve(stream))),
                Some(tls) => drop(tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream).await;
                    }
                })),
            }
        }
    });
    (port, count)
}

fn client(base: &str, roots: &[u8], proxy: Option<&str>) -> HttpClient {
    let proxy: Option<Proxy> = proxy.map(|p| p.parse().unwrap());
    let dialer = Dialer::new(roots, proxy, Nanos::from_secs(5)).unwrap();
    let config = HttpConfig { answer_within: Nanos::from_millis(400), ..HttpConfig::default() };
    HttpClient::new(base, config, dialer, Arc::new(LinkTime::start())).unwrap()
}

#[tokio::test]
async fn connections_are_reused_and_everything_is_sent_as_it_is() {
    let (port, connections) = server(None).await;
    let client = client(&format!("http://127.0.0.1:{port}/base/"), &[], None);
    let request = HttpRequest {
        method: Method::POST,
        path: "/order?symbol=%E5%B8%81&b=2".into(),
        headers: vec![("X-MBX-APIKEY", "key".into())],
        body: Bytes::from_static(b"quantity=1&signature=ab"),
    };
    for _ in 0..3 {
        let response = client.send(request.clone()).await.unwrap();
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(text.starts_with("POST /base/order?symbol=%E5%B8%81&b=2 HTTP/1.1\r\n"), "{text}");
        assert!(
            text.contains(&format!("host: 127.0.0.1:{port}\r\n")) && text.contains("x-mbx-apikey: key\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\nquantity=1&signature=ab"), "{text}");
        assert!(response.sent <= response.received);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let response = client.send(HttpRequest::get("/ban")).await.unwrap();
    assert_eq!((response.status, response.retry_after()), (418, Some(Nanos::from_secs(120))));
    assert_eq!(response.header("x-mbx-used-weight-1m"), Some("6001"));
}

#[tokio::test]
async fn what_was_sent_and_what_was_not_are_told_apart() {
    let (port, connections) = server(None).await;
    let client = client(&format!("http://127.0.0.1:{port}/base"), &[], None);
    for path in ["/drop", "/half", "/stall"] {
        let error = client.send(HttpRequest::get(path)).await.unwrap_err();
        assert!(matches!(error, HttpError::Unknown(_)), "{path}: {error}");
        let order = ClientOrderId { tag: InstanceTag(1), seq: 1 };
        assert_eq!(error.into_venue_error(Some(order)), VenueError::UnknownState(order));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3, "nothing is sent twice");
    // Nobody listens there: nothing can have left.
    let (listener, dead) = listen().await;
    drop(listener);
    let nobody = self::client(&format!("http://127.0.0.1:{dead}"), &[], None);
    let error = nobody.send(HttpRequest::get("/")).await.unwrap_err();
    assert!(matches!(&error, HttpError::NotSent(NotSent::Dial(DialError::Unreachable { .. }))), "{error}");
    assert!(matches!(error.into_venue_error(None), VenueError::Transport(_)));
    let bad = HttpRequest { headers: vec![("x", "a\nb".into())], ..HttpRequest::get("/") };
    assert!(matches!(client.send(bad).await, Err(HttpError::Invalid(_))));
}

#[tokio::test]
async fn a_connection_that_the_venue_closed_while_idle_is_replaced() {
    let (port, connections) = server(None).await;
    let client = client(&format!("http://127.0.0.1:{port}/base"), &[], None);
    for _ in 0..5 {
        assert_eq!(client.send(HttpRequest::get("/last")).await.unwrap().body, "last");
        // The goodbye of the server must have arrived; a request that crosses it would rightly be unknown.
        while client.idle.lock().unwrap().iter().any(|c| !c.sender.is_closed()) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn tls_is_checked_and_goes_through_every_kind_of_proxy() {
    let (pem, tls) = certificate();
    let (port, _) = server(Some(tls.clone())).await;
    let base = format!("https://localhost:{port}/base");
    let stranger = client(&base, &[], None).send(HttpRequest::get("/x")).await.unwrap_err();
    assert!(matches!(&stranger, HttpError::NotSent(NotSent::Dial(DialError::Tls { .. }))), "{stranger}");
    assert!(client(&base, &pem, None).send(HttpRequest::get("/x")).await.is_ok());

    let (http, through_http) = http_proxy(Some("bWU6c2VjcmV0"), None).await;
    let (https, through_https) = http_proxy(None, Some(tls)).await;
    let (socks, through_socks) = socks_proxy(true).await;
    let ways = [
        (format!("http://me:secret@127.0.0.1:{http}"), &through_http),
        (format!("https://localhost:{https}"), &through_https),
        (format!("socks5://me:secret@127.0.0.1:{socks}"), &through_socks),
    ];
    for (proxy, tunnels) in ways {
        let client = client(&base, &pem, Some(&proxy));
        for _ in 0..2 {
            assert_eq!(client.send(HttpRequest::get("/x")).await.unwrap().status, 200, "{proxy}");
        }
        assert_eq!(tunnels.load(Ordering::SeqCst), 1, "{proxy}");
    }
    let refused = [
        (format!("http://127.0.0.1:{http}"), "another user or password"),
        (format!("socks5://127.0.0.1:{socks}"), "wants a user"),
        (format!("socks5://me:wrong1@127.0.0.1:{socks}"), "refused user and password"),
    ];
    for (proxy, why) in refused {
        let error = client(&base, &pem, Some(&proxy)).send(HttpRequest::get("/x")).await.unwrap_err();
        assert!(matches!(&error, HttpError::NotSent(_)) && error.to_string().contains(why), "{proxy}: {error}");
    }
    let (socks, _) = socks_proxy(false).await;
    let nowhere = client("https://localhost:1", &pem, Some(&format!("socks5://127.0.0.1:{socks}")));
    let error = nowhere.send(HttpRequest::get("/x")).await.unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn addresses() {
    let parse = |a| parse_address(a, "http", "https");
    let target = |tls, host: &str, port| Target { tls, host: host.into(), port };
    assert_eq!(parse("https://api.example.com"), Ok((target(true, "api.example.com", 443), String::new())));
    assert_eq!(parse("http://[::1]:8080/v1/"), Ok((target(false, "[::1]", 8080), "/v1/".into())));
    for bad in ["api.example.com", "wss://x", "https://", "https://u:p@x", "https://x:y", "https://a b"] {
        assert!(parse(bad).is_err(), "{bad:?} was taken");
    }
    assert!(Dialer::new(b"no certificate", None, Nanos::from_secs(1)).is_err());
}
