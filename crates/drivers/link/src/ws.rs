//! WebSocket connections: opening one, over TLS and proxies, and many of them listened to and written to together.
//! Never: waits for one of them while another has something to say, or queues without a bound.

mod links;

use crate::dial::Dialer;
use crate::http;
pub(crate) use links::{Heard, Links, Socket};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// How large a message may be.
const MAX_MESSAGE: usize = 64 << 20;

/// Opens a connection at `address` (`wss://host/path`).
pub(crate) async fn open(address: String, dialer: Dialer) -> Result<Socket, String> {
    let (target, _) = http::parse_address(&address, "ws", "wss").map_err(|e| e.to_string())?;
    let request = address.as_str().into_client_request().map_err(|e| e.to_string())?;
    let stream = dialer.dial(&target).await.map_err(|e| e.to_string())?;
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let shaken = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    shaken.map(|(socket, _)| socket).map_err(|e| format!("the venue refused the WebSocket: {e}"))
}
