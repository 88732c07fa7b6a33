//! The control API of a running instance: HTTP with JSON under `/api/v1`, on a loopback address, with a bearer token.
//! Never: touches kernel state (it reads the published view and sends requests), listens on a public address.

mod call;
mod guard;
mod listen;
pub mod model;
mod names;
mod record;
mod routes;
pub mod store;
#[cfg(test)]
mod tests;

pub use names::nearest;

use ctos_runtime::config::Settings;
use ctos_runtime::instance::{Handle, Names};
use ctos_storage::home::{ApiInfo, Home, HomeError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long answers that are under way may take once the server is told to end.
const LINGER: Duration = Duration::from_millis(500);

/// Why the API could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address can be reached from other machines.
    #[error("api.bind: {0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The system does not give us the address.
    #[error("the control API cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Token or address file.
    #[error("{0}")]
    Home(#[from] HomeError),
    /// The system gives no thread or no event queue.
    #[error("the control API cannot start: {0}")]
    System(io::Error),
}

impl ServerError {
    /// What a person can try; `None` when it is not theirs to mend.
    pub fn hint(&self) -> Option<String> {
        match self {
            ServerError::NotLoopback(_) => Some("bind to 127.0.0.1 or [::1]; use an SSH tunnel from elsewhere".into()),
            ServerError::Bind { .. } => Some("choose another address with api.bind; port 0 takes any free one".into()),
            ServerError::Home(e) => e.hint(),
            ServerError::System(_) => None,
        }
    }
}

/// A listening API. Dropping it closes it and withdraws the published address.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    home: Arc<Home>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address that is ours. Held before a run is made, so that a taken one leaves nothing behind.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens the API of the run `run_id` on `settings.api.bind` and publishes its address in the home.
///
/// # Errors
/// [`ServerError`]; nothing is left behind then.
pub fn start(handle: Handle, home: Arc<Home>, settings: &Settings, run_id: &str) -> Result<Server, ServerError> {
    Bound::bind(settings.api.bind)?.serve(handle, home, settings, run_id)
}

impl Bound {
    /// Takes a loopback address; port 0 takes any free one.
    pub fn bind(address: SocketAddr) -> Result<Bound, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address));
        }
        let bound = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Bound { listener, address })
        };
        bound().map_err(|source| ServerError::Bind { address, source })
    }

    /// Answers for the run `run_id` from now on, and publishes the address in the home.
    pub fn serve(
        self,
        handle: Handle,
        home: Arc<Home>,
        settings: &Settings,
        run_id: &str,
    ) -> Result<Server, ServerError> {
        let Bound { listener, address } = self;
        let app = Arc::new(routes::App {
            handle,
            names: Names::of(settings),
            scopes: scopes(settings),
            strategies: settings.strategies.clone(),
            run_id: run_id.into(),
            token: home.api_token()?,
            address,
            home: home.clone(),
            slots: tokio::sync::Semaphore::new(guard::AT_ONCE),
        });
        // One thread: the API is for a few local clients and must not take cores from the kernel.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(guard::AT_ONCE)
            .thread_name("api-work")
            .build()
            .map_err(ServerError::System)?;
        let (end, ended) = oneshot::channel();
        let body = move || {
            runtime.block_on(serve(listener, app, ended));
            runtime.shutdown_timeout(LINGER);
        };
        let thread = std::thread::Builder::new().name("api".into()).spawn(body).map_err(ServerError::System)?;
        let server = Server { address, home, end: Some(end), thread: Some(thread) };
        let info = ApiInfo { address: address.to_string(), pid: std::process::id(), run_id: run_id.into() };
        server.home.write_api(&info)?;
        Ok(server)
    }
}

/// Every scope that can be halted in a run with these settings.
pub fn scopes(settings: &Settings) -> Vec<String> {
    let accounts = settings.accounts.iter().map(|a| format!("account:{}", a.id));
    let strategies = settings.strategies.iter().map(|s| format!("strategy:{}", s.id));
    std::iter::once("system".to_owned()).chain(accounts).chain(strategies).collect()
}

async fn serve(listener: TcpListener, app: Arc<routes::App>, ended: oneshot::Receiver<()>) {
    let listener = match listen::Bounded::new(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the control API cannot listen");
            return;
        }
    };
    let (closing, closed) = oneshot::channel::<()>();
    let graceful = axum::serve(listener, routes::router(app)).with_graceful_shutdown(async move {
        // Either way: the owner wants it closed.
        let _ = ended.await;
        let _ = closing.send(());
    });
    let overdue = async move {
        let _ = closed.await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        result = graceful => {
            if let Err(error) = result {
                tracing::error!(%error, "the control API ended");
            }
        }
        () = overdue => {}
    }
}

impl Server {
    /// Closes the API; answers under way get a moment to leave.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.home.remove_api() {
            tracing::warn!(%error, "the published API address could not be withdrawn");
        }
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It logs its own failures.
            let _ = thread.join();
        }
    }
}
