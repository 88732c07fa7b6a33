use super::*;
use crate::LinkTime;
use crate::dial::Proxy;
use crate::session::SessionConfig;
use crate::session::tests::TestWords;
use crate::testnet::{certificate, http_proxy, listen, socks_proxy};
use futures_util::StreamExt;
use std::sync::atomic::Ordering;
use tokio_rustls::TlsAcceptor;

/// What the owner was told, as text.
type Told = mpsc::UnboundedReceiver<String>;

struct TestOwner {
    address: String,
    told: mpsc::UnboundedSender<String>,
}

impl Owner for TestOwner {
    fn address(&mut self) -> Boxed<Result<String, String>> {
        let address = self.address.clone();
        Box::pin(async { Ok(address) })
    }
    fn frame(&mut self, _at: UnixNanos, text: &str) {
        let _ = self.told.send(text.into());
    }
    fn event(&mut self, _at: UnixNanos, event: SessionEvent) {
        let _ = self.told.send(match event {
            SessionEvent::Gap { .. } => "gap".into(),
            SessionEvent::Retrying { .. } => "retrying".into(),
            other => format!("{other:?}"),
        });
    }
}

/// Speaks the words of [`TestWords`]: acknowledges, sends two frames of each stream that is subscribed, and closes
/// when it is told `crash`.
async fn speak(stream: impl crate::dial::Stream) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let parts: Vec<&str> = text.split(' ').collect();
        let answers = match parts[..] {
            ["sub", id, streams] => {
                let data = streams.split(',').flat_map(|s| [format!("d {s} 1"), format!("d {s} 2")]);
                std::iter::once(format!("ok {id}")).chain(data).collect()
            }
            ["crash"] => return,
            _ => vec![format!("echo {text}")],
        };
        for answer in answers {
            socket.send(Message::text(answer)).await.unwrap();
        }
    }
}

async fn venue(tls: Option<TlsAcceptor>) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => speak(stream).await,
                    Some(tls) => speak(tls.accept(stream).await.unwrap()).await,
                }
            });
        }
    });
    port
}

fn link(address: String, roots: &[u8], proxy: Option<&str>, capture: Option<Arc<CaptureSwitch>>) -> (WsHandle, Told) {
    let (sender, told) = mpsc::unbounded_channel();
    let proxy: Option<Proxy> = proxy.map(|p| p.parse().unwrap());
    let backoff = crate::backoff::BackoffConfig { first: Nanos::from_millis(1), ..Default::default() };
    let config = SessionConfig { backoff, ..SessionConfig::default() };
    let mut session = Session::new(config, TestWords::default(), 1);
    session.subscribe(UnixNanos(0), &["a"], &mut Vec::new());
    let dialer = Dialer::new(roots, proxy, Nanos::from_secs(5)).unwrap();
    let parts = WsParts { session, dialer, time: Arc::new(LinkTime::start()), capture };
    (spawn(parts, TestOwner { address, told: sender }).0, told)
}

async fn hears(told: &mut Told, want: &[&str]) {
    for want in want {
        let next = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
        assert_eq!(next.expect("something is told").as_deref(), Some(*want));
    }
}

#[tokio::test]
async fn subscribes_comes_back_after_a_crash_and_records_every_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.jsonl");
    let capture = Arc::new(CaptureSwitch::default());
    capture.start(&path).unwrap();
    let port = venue(None).await;
    let (handle, mut told) = link(format!("ws://127.0.0.1:{port}/ws"), &[], None, Some(capture.clone()));
    hears(&mut told, &["Live", "d a 1", "d a 2"]).await;
    handle.request("hello".into()).await.unwrap();
    hears(&mut told, &["echo hello"]).await;
    handle.subscribe(vec!["b".into()]).await;
    hears(&mut told, &["d b 1", "d b 2"]).await;
    handle.request("crash".into()).await.unwrap();
    hears(&mut told, &["gap", "retrying", "Live", "d a 1", "d a 2", "d b 1", "d b 2"]).await;
    handle.stop().await;
    hears(&mut told, &["gap"]).await;
    assert_eq!(told.recv().await, None, "the task has ended");
    assert_eq!(handle.request("late".into()).await, Err(NotSent::Down));
    let end = capture.stop().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let frames: Vec<&str> = text.lines().map(|l| l.split_once(' ').unwrap().1).collect();
    assert_eq!(frames[..6], ["ok 1", "d a 1", "d a 2", "echo hello", "ok 2", "d b 1"]);
    assert_eq!(frames.iter().filter(|f| f.starts_with("{\"ctos\":\"gap\"")).count(), 2);
    assert_eq!(end.lines as usize, frames.len());
}

#[tokio::test]
async fn goes_over_tls_and_through_every_kind_of_proxy() {
    let (pem, tls) = certificate();
    let port = venue(Some(tls.clone())).await;
    let address = format!("wss://localhost:{port}/ws");
    let (http, through_http) = http_proxy(Some("bWU6c2VjcmV0"), None).await;
    let (https, through_https) = http_proxy(None, Some(tls)).await;
    let (socks, through_socks) = socks_proxy(false).await;
    let ways = [
        (format!("http://me:secret@127.0.0.1:{http}"), through_http),
        (format!("https://localhost:{https}"), through_https),
        (format!("socks5://127.0.0.1:{socks}"), through_socks),
    ];
    let (_direct, mut told) = link(address.clone(), &pem, None, None);
    hears(&mut told, &["Live", "d a 1", "d a 2"]).await;
    for (proxy, tunnels) in ways {
        let (_handle, mut told) = link(address.clone(), &pem, Some(&proxy), None);
        hears(&mut told, &["Live", "d a 1", "d a 2"]).await;
        assert_eq!(tunnels.load(Ordering::SeqCst), 1, "{proxy}");
    }
    // A certificate that nobody vouches for: no link, and it goes on trying.
    let (_handle, mut told) = link(address, &[], None, None);
    hears(&mut told, &["retrying", "retrying"]).await;
}
