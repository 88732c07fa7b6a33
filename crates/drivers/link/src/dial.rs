//! Connections: TCP, TLS over it, and the ways through a proxy, the same for HTTP and WebSocket.
//! Never: sends a byte of a request. Whatever fails here, the venue has heard nothing of it.

mod proxy;

pub use proxy::{BadProxy, Proxy};

use ctos_types::Nanos;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Anything that bytes go through in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

/// Why there is no connection. No byte of a request has left.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("cannot reach {at}: {why}")]
    Unreachable { at: String, why: String },
    #[error("no connection to {at} within {} s", within.as_secs_f64())]
    Timeout { at: String, within: Nanos },
    #[error("TLS with {at} failed: {why}")]
    Tls { at: String, why: String },
    #[error("proxy {at}: {why}")]
    Proxy { at: String, why: String },
    #[error("cannot use the certificates: {0}")]
    Roots(String),
}

impl DialError {
    /// What a person can try.
    pub fn hint(&self) -> &'static str {
        match self {
            DialError::Unreachable { .. } => "check the network and the address in the account's settings",
            DialError::Timeout { .. } => "check the network; a firewall that drops packets looks like this",
            DialError::Tls { .. } => {
                "check the machine's clock and the address; a server with a certificate of its own needs it in the settings"
            }
            DialError::Proxy { .. } => "check the proxy's address, user and password in the settings",
            DialError::Roots(_) => "the file must hold certificates in PEM form",
        }
    }
}

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Proxy>>,
    within: Nanos,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("proxy", &self.proxy).field("within", &self.within).finish_non_exhaustive()
    }
}

impl Dialer {
    /// Trusts the well-known authorities and those in `extra_roots` (PEM; a twin's own certificate). `within` bounds the
    /// whole way to an open connection, proxy and TLS included.
    pub fn new(extra_roots: &[u8], proxy: Option<Proxy>, within: Nanos) -> Result<Dialer, DialError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(extra_roots) {
            let certificate = certificate.map_err(|e| DialError::Roots(e.to_string()))?;
            roots.add(certificate).map_err(|e| DialError::Roots(e.to_string()))?;
        }
        if !extra_roots.is_empty() && roots.roots.len() == webpki_roots::TLS_SERVER_ROOTS.len() {
            return Err(DialError::Roots("there is no certificate in them".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| DialError::Roots(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Dialer { tls: Arc::new(tls), proxy: proxy.map(Arc::new), within })
    }

    pub async fn dial(&self, target: &Target) -> Result<Box<dyn Stream>, DialError> {
        let timeout = Duration::from_nanos(self.within.0.max(0) as u64);
        let at = || format!("{}:{}", target.host, target.port);
        match tokio::time::timeout(timeout, self.open(target)).await {
            Ok(stream) => stream,
            Err(_) => Err(DialError::Timeout { at: at(), within: self.within }),
        }
    }

    async fn open(&self, target: &Target) -> Result<Box<dyn Stream>, DialError> {
        let stream: Box<dyn Stream> = match &self.proxy {
            None => Box::new(tcp(&target.host, target.port).await?),
            Some(proxy) => {
                let tcp = tcp(proxy.host(), proxy.port()).await?;
                let inner: Box<dyn Stream> = if proxy.is_tls() {
                    self.tls(proxy.host(), proxy.port(), Box::new(tcp)).await?
                } else {
                    Box::new(tcp)
                };
                proxy.tunnel(inner, target).await?
            }
        };
        if target.tls { self.tls(&target.host, target.port, stream).await } else { Ok(stream) }
    }

    async fn tls(&self, host: &str, port: u16, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, DialError> {
        let failed = |why: String| DialError::Tls { at: format!("{host}:{port}"), why };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|e| failed(e.to_string()))?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|e| failed(e.to_string()))?))
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let failed = |e: std::io::Error| DialError::Unreachable { at: format!("{host}:{port}"), why: e.to_string() };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}
