//! The client for a thread that waits.
//! Never: inside an async runtime; there the client itself is used.

use super::{Client, Failure};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A client with the runtime that its connections live on.
#[derive(Debug)]
pub struct Blocking {
    runtime: Runtime,
    pub client: Client,
}

impl Blocking {
    pub fn new(client: Client) -> Result<Blocking, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| {
            Failure::invalid(format!("the system gives no event queue: {e}"), "free some file handles and threads")
        })?;
        Ok(Blocking { runtime, client })
    }

    /// `client.wait(client.client.balances())`, for every method of [`Client`].
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// For work that loads instruments into the client on the way.
    pub fn with<T>(&mut self, work: impl AsyncFnOnce(&mut Client) -> T) -> T {
        self.runtime.block_on(work(&mut self.client))
    }

    /// As [`Blocking::wait`], for at most this long; `None`: it was given up. What was sent until then was sent.
    pub fn wait_at_most<T>(&self, within: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(within, work).await.ok() })
    }

    /// As [`Client::load`].
    pub fn load(&mut self, symbol: Option<&str>) -> Result<(), Failure> {
        self.runtime.block_on(self.client.load(symbol))
    }
}
