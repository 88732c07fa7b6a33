//! What every request must pass: a free slot, a local host and origin, the token, a time limit.
//! Never: looks at what is asked.

use crate::model::ApiError;
use crate::routes::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Requests in work at once; more are refused.
pub(crate) const AT_ONCE: usize = 32;
/// From the request's head to the answer. Above what a control waits for the kernel.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// The one route that needs no token.
pub(crate) const HEALTH: &str = "/api/v1/health";

pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = app.slots.try_acquire() else {
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once", "try again in a moment")
            .into_response();
    };
    if let Err(refused) = check(&app, request.uri().path(), request.headers()) {
        return refused.into_response();
    }
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let error = format!("the request took longer than {} s", TIME_LIMIT.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, error, "send it whole, or ask `ctos doctor`").into_response()
        }
    }
}

fn check(app: &App, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    // A web page that made its own name point at this machine sends that name (DNS rebinding); one that only posts
    // here sends its own origin.
    let host = one(headers, header::HOST).is_some_and(|host| is_local(host, app.address));
    let origin = match headers.get(header::ORIGIN) {
        None => true,
        Some(_) => one(headers, header::ORIGIN)
            .and_then(|o| o.strip_prefix("http://"))
            .is_some_and(|host| is_local(host, app.address)),
    };
    if !(host && origin) {
        let hint = format!("use http://{}", app.address);
        return Err(ApiError::new(StatusCode::FORBIDDEN, "the request names a foreign host or origin", hint));
    }
    if path == HEALTH {
        return Ok(());
    }
    let presented = one(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    if presented.is_some_and(|token| app.token.matches(token)) {
        return Ok(());
    }
    let error = if presented.is_some() { "wrong token" } else { "no token" };
    let hint = "send `Authorization: Bearer TOKEN` with the text of the file api-token in the home directory";
    Err(ApiError::new(StatusCode::UNAUTHORIZED, error, hint))
}

/// The header's text, if it came exactly once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// Whether `host` (with or without port) is this machine by a name that nobody else can claim, and our port.
fn is_local(host: &str, ours: SocketAddr) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback() && address.port() == ours.port();
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
        _ => (host, Some(80)),
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let local = bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    local && port == Some(ours.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_port_are_local() {
        let ours: SocketAddr = "127.0.0.1:7777".parse().expect("an address");
        for yes in ["127.0.0.1:7777", "localhost:7777", "LOCALHOST:7777", "[::1]:7777"] {
            assert!(is_local(yes, ours), "{yes}");
        }
        for no in [
            "127.0.0.1",
            "localhost",
            "127.0.0.1:7778",
            "evil.example:7777",
            "localhost.evil.example:7777",
            "",
            ":7777",
            "10.0.0.1:7777",
            "127.0.0.1:7777/x",
            "::1",
            "localhost:",
            "null",
        ] {
            assert!(!is_local(no, ours), "{no}");
        }
    }
}
