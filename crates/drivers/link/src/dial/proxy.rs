//! Ways through a proxy: CONNECT (http, https) and SOCKS5. Source: RFC 9110 section 9.3.6, RFC 1928, RFC 1929.
//! Never: resolves the venue's name itself (the proxy does), or shows a password.

use super::{DialError, Stream, Target};
use base64::Engine;
use std::fmt;
use std::str::FromStr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Https,
    Socks5,
}

/// A proxy as settings name it: `http://host:port`, `https://user:password@host:port`, `socks5://host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

/// The text does not name a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a proxy address: {why}; it looks like socks5://host:port or http://user:password@host:port")]
pub struct BadProxy {
    why: String,
}

impl FromStr for Proxy {
    type Err = BadProxy;
    fn from_str(text: &str) -> Result<Proxy, BadProxy> {
        let bad = |why: &str| BadProxy { why: why.into() };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("no scheme"))?;
        let (kind, default_port) = match scheme {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(bad("the scheme must be http, https or socks5")),
        };
        let rest = rest.trim_end_matches('/');
        let (login, address) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let plain = |s: &str| unescape(s).ok_or_else(|| bad("user or password is not percent-encoded text"));
                (Some((plain(user)?, plain(password)?)), address)
            }
        };
        // An IPv6 address has colons of its own and stands in brackets.
        let (host, port) = match address.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
        {
            Some((host, port)) => (host, port.parse().map_err(|_| bad("the port is not a number up to 65535"))?),
            None => (address, default_port),
        };
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(bad("no host"));
        }
        if kind == Kind::Socks5 && login.as_ref().is_some_and(|(u, p)| u.is_empty() || u.len() > 255 || p.len() > 255) {
            return Err(bad("user and password of socks5 have 1 to 255 bytes"));
        }
        Ok(Proxy { kind, host: host.into(), port, login })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "***@" } else { "" };
        write!(f, "{:?} {login}{}:{}", self.kind, self.host, self.port)
    }
}

impl Proxy {
    pub fn host(&self) -> &str {
        &self.host
    }
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Whether the way to the proxy itself is encrypted.
    pub fn is_tls(&self) -> bool {
        self.kind == Kind::Https
    }

    pub(super) async fn tunnel(
        &self,
        mut stream: Box<dyn Stream>,
        target: &Target,
    ) -> Result<Box<dyn Stream>, DialError> {
        let done = match self.kind {
            Kind::Http | Kind::Https => self.connect(&mut stream, target).await,
            Kind::Socks5 => self.socks5(&mut stream, target).await,
        };
        let at = format!("{}:{}", self.host, self.port);
        done.map(|()| stream).map_err(|why| DialError::Proxy { at, why })
    }

    async fn connect(&self, stream: &mut Box<dyn Stream>, target: &Target) -> Result<(), String> {
        let at = format!("{}:{}", target.host, target.port);
        let login = self.login.as_ref().map_or_else(String::new, |(user, password)| {
            let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("Proxy-Authorization: Basic {token}\r\n")
        });
        let request = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
        stream.flush().await.map_err(|e| e.to_string())?;
        // Byte by byte: what follows the head belongs to the tunnel.
        let mut head = Vec::with_capacity(256);
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > 16 << 10 {
                return Err("its answer to CONNECT does not end".into());
            }
            head.push(stream.read_u8().await.map_err(|e| format!("no answer to CONNECT: {e}"))?);
        }
        let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
        match line.split(' ').nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            Some("407") => Err("it wants another user or password (407)".into()),
            _ => Err(format!("it refused the way to {at}: {line}")),
        }
    }

    async fn socks5(&self, stream: &mut Box<dyn Stream>, target: &Target) -> Result<(), String> {
        let io = |e: std::io::Error| format!("no answer: {e}");
        let methods: &[u8] = if self.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        stream.write_all(methods).await.map_err(io)?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await.map_err(io)?;
        match (chosen, &self.login) {
            ([5, 0], _) => {}
            ([5, 2], Some((user, password))) => {
                let mut login = vec![1, user.len() as u8];
                login.extend_from_slice(user.as_bytes());
                login.push(password.len() as u8);
                login.extend_from_slice(password.as_bytes());
                stream.write_all(&login).await.map_err(io)?;
                let mut verdict = [0; 2];
                stream.read_exact(&mut verdict).await.map_err(io)?;
                if verdict[1] != 0 {
                    return Err("it refused user and password".into());
                }
            }
            ([5, _], _) => return Err("it wants a user and a password".into()),
            _ => return Err("it does not speak SOCKS5".into()),
        }
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let mut request = vec![5, 1, 0];
        match host.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(ip)) => {
                request.push(1);
                request.extend_from_slice(&ip.octets());
            }
            Ok(std::net::IpAddr::V6(ip)) => {
                request.push(4);
                request.extend_from_slice(&ip.octets());
            }
            Err(_) => {
                let length = u8::try_from(host.len()).map_err(|_| "the host name is too long".to_owned())?;
                request.extend_from_slice(&[3, length]);
                request.extend_from_slice(host.as_bytes());
            }
        }
        request.extend_from_slice(&target.port.to_be_bytes());
        stream.write_all(&request).await.map_err(io)?;
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await.map_err(io)?;
        if reply[0] != 5 || reply[1] != 0 {
            let why = match reply[1] {
                1 => "general failure",
                2 => "not allowed by its rules",
                3 => "network unreachable",
                4 => "host unreachable",
                5 => "connection refused",
                6 => "expired on the way",
                _ => "refused",
            };
            return Err(format!("it refused the way to {host}:{}: {why}", target.port));
        }
        let rest = match reply[3] {
            1 => 4,
            4 => 16,
            3 => usize::from(stream.read_u8().await.map_err(io)?),
            _ => return Err("its answer is not SOCKS5".into()),
        };
        let mut bound = vec![0; rest + 2];
        stream.read_exact(&mut bound).await.map_err(io)?;
        Ok(())
    }
}

/// Percent-decoding; `None` where that does not give text.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| (b? as char).to_digit(16);
        out.push((digit(bytes.next())? * 16 + digit(bytes.next())?) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_never_shown() {
        let proxy: Proxy = "socks5://me:p%40ss@10.0.0.1:9050".parse().unwrap();
        assert_eq!((proxy.kind, proxy.host(), proxy.port()), (Kind::Socks5, "10.0.0.1", 9050));
        assert_eq!(proxy.login, Some(("me".into(), "p@ss".into())));
        assert_eq!(format!("{proxy:?}"), "Socks5 ***@10.0.0.1:9050");
        let proxy: Proxy = "https://[::1]/".parse().unwrap();
        assert_eq!((proxy.host(), proxy.port(), proxy.is_tls()), ("[::1]", 443, true));
        for bad in ["", "host:80", "ftp://host", "http://", "http://host:99999", "http://a b", "http://%zz@host"] {
            assert!(bad.parse::<Proxy>().is_err(), "{bad:?} was taken");
        }
    }
}
