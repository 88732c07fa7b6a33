//! Real sockets on loopback for the tests of the shells: a certificate, TLS servers, proxies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate for `localhost` made on the spot: its PEM for the client, and what accepts TLS with it.
pub fn certificate() -> (Vec<u8>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem().into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

pub async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A proxy that tunnels by CONNECT, for those who bring `login` (user:password in base64) if one is given.
pub async fn http_proxy(login: Option<&'static str>, tls: Option<TlsAcceptor>) -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listen().await;
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, count) = (tls.clone(), count.clone());
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            tunnel(stream, login, &count).await;
                        }
                    }
                    None => tunnel(stream, login, &count).await,
                }
            });
        }
    });
    (port, tunnels)
}

async fn tunnel(mut stream: impl AsyncRead + AsyncWrite + Unpin, login: Option<&str>, count: &AtomicUsize) {
    let Some(head) = read_head(&mut stream).await else { return };
    if login.is_some_and(|login| !head.contains(&format!("Proxy-Authorization: Basic {login}\r\n"))) {
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        return;
    }
    let at = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
    let Ok(mut onward) = TcpStream::connect(at.replace("localhost", "127.0.0.1")).await else {
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    };
    count.fetch_add(1, Ordering::SeqCst);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}

/// A SOCKS5 proxy, with user `me` and password `secret` if `login`.
pub async fn socks_proxy(login: bool) -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listen().await;
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = [0; 2];
                stream.read_exact(&mut head).await.unwrap();
                let mut methods = vec![0; head[1] as usize];
                stream.read_exact(&mut methods).await.unwrap();
                if login {
                    if !methods.contains(&2) {
                        return stream.write_all(&[5, 0xff]).await.unwrap();
                    }
                    stream.write_all(&[5, 2]).await.unwrap();
                    let mut want = [0; 11];
                    stream.read_exact(&mut want).await.unwrap();
                    let ok = want == *b"\x01\x02me\x06secret";
                    stream.write_all(&[1, u8::from(!ok)]).await.unwrap();
                    if !ok {
                        return;
                    }
                } else {
                    stream.write_all(&[5, 0]).await.unwrap();
                }
                let mut request = [0; 5];
                stream.read_exact(&mut request).await.unwrap();
                assert_eq!(request[..4], [5, 1, 0, 3], "the name is left to the proxy");
                let mut host = vec![0; request[4] as usize];
                stream.read_exact(&mut host).await.unwrap();
                assert_eq!(host, b"localhost");
                let port = stream.read_u16().await.unwrap();
                let Ok(mut onward) = TcpStream::connect(("127.0.0.1", port)).await else {
                    return stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                };
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (port, tunnels)
}
