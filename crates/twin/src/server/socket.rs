//! One WebSocket connection: frames of the twin out, frames of the client in. Never: reads a frame's text.

use super::Desk;
use crate::wire::{ConnId, Frame};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

/// The largest message of a client.
const LARGEST: usize = 1 << 20;
/// How long a client has to answer a close.
const FAREWELL: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves the connection until either side ends it.
pub(super) async fn run(desk: &Arc<Desk>, id: ConnId, io: TokioIo<Upgraded>, mut frames: mpsc::Receiver<Frame>) {
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    loop {
        let go_on = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => send(&mut socket, frame).await,
                None => false,
            },
            message = socket.next() => match message {
                Some(Ok(message)) => {
                    receive(desk, id, message);
                    true
                }
                _ => false,
            },
        };
        if !go_on {
            return;
        }
    }
}

/// False when it was the last.
async fn send(socket: &mut Socket, frame: Frame) -> bool {
    let sent = match frame {
        Frame::Text(text) => socket.send(Message::text(text)).await,
        Frame::Ping(text) => socket.send(Message::Ping(text.into_bytes().into())).await,
        Frame::Close(code, reason) => {
            let close = CloseFrame { code: code.into(), reason: reason.into() };
            if socket.send(Message::Close(Some(close))).await.is_ok() {
                // The client's answer, if it has the time.
                let _ = tokio::time::timeout(FAREWELL, async { while let Some(Ok(_)) = socket.next().await {} }).await;
            }
            return false;
        }
        Frame::Cut => return false,
        Frame::Half(text) => {
            let io = socket.get_mut();
            // A frame's head promises all of the text, and half of it follows; nobody is left to hear of a failure.
            let _ = io.write_all(&head(text.len())).await;
            let _ = io.write_all(&text.as_bytes()[..text.len() / 2]).await;
            let _ = io.flush().await;
            return false;
        }
    };
    sent.is_ok()
}

/// Head of an unmasked text frame.
fn head(len: usize) -> Vec<u8> {
    let mut head = vec![0x81];
    match len {
        0..=125 => head.push(len as u8),
        126..=0xffff => {
            head.push(126);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((len as u64).to_be_bytes());
        }
    }
    head
}

fn receive(desk: &Arc<Desk>, id: ConnId, message: Message) {
    match message {
        Message::Text(text) => desk.with(|twin, now| twin.ws_text(now, id, text.as_str())),
        Message::Ping(_) => desk.with(|twin, now| twin.ws_ping(now, id)),
        Message::Pong(_) => desk.with(|twin, now| twin.ws_pong(now, id)),
        // The answer leaves with the next look for a message, which finds the end. The venue speaks text only.
        Message::Close(_) | Message::Binary(_) | Message::Frame(_) => {}
    }
}
