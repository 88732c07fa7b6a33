//! Counts the bytes that were handed to a connection: the evidence for "nothing was sent".
//! Never: counts less than left. What TLS buffered counts as sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Metered<S> {
    inner: S,
    written: Arc<AtomicU64>,
}

impl<S> Metered<S> {
    pub fn new(inner: S, written: Arc<AtomicU64>) -> Metered<S> {
        Metered { inner, written }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(cx, buf);
        // An error may come after some of it left.
        let left = match &done {
            Poll::Ready(Ok(n)) => *n as u64,
            Poll::Ready(Err(_)) => buf.len() as u64,
            Poll::Pending => 0,
        };
        self.written.fetch_add(left, Ordering::AcqRel);
        done
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
