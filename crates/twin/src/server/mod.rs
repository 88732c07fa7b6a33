//! Puts twins on ports: HTTP and WebSocket on one port a product, and a port for the operator.
//! Never: decides what is answered; all of that is the twin's.

mod clock;
mod http;
mod socket;
mod store;
mod tls;

pub use clock::{Clock, ManualClock, SystemClock};
pub use store::{AUTHORITY, Found, Meta, StateDir};
pub use tls::Tls;

use crate::config::{Product, TwinError};
use crate::conns::Outgoing;
use crate::twin::Twin;
use crate::wire::{ConnId, Frame};
use ctos_types::UnixNanos;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Keeper;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// Frames that may wait for a slow reader before it is cut off.
const BACKLOG: usize = 8_192;
/// Time of the machine between states: what has to be gone through again grows in between.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// A twin with the connections of its port.
pub(crate) struct Desk {
    twin: Mutex<Twin>,
    /// Taken while the twin is held.
    keeper: Option<Mutex<Keeper>>,
    /// Why nothing may be answered any more.
    failed: Arc<OnceLock<TwinError>>,
    conns: Mutex<HashMap<ConnId, mpsc::Sender<Frame>>>,
    next: AtomicU64,
    wake: Notify,
    pub(crate) clock: Arc<dyn Clock>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside the twin is reported by its own thread; what it holds is still whole enough to be looked at.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn new(twin: Twin, keeper: Option<Keeper>, failed: Arc<OnceLock<TwinError>>, clock: Arc<dyn Clock>) -> Arc<Desk> {
        Arc::new(Desk {
            twin: Mutex::new(twin),
            keeper: keeper.map(Mutex::new),
            failed,
            conns: Mutex::new(HashMap::new()),
            next: AtomicU64::new(1),
            wake: Notify::new(),
            clock,
        })
    }

    /// Does one thing with the twin and hands its frames to their connections.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Twin, UnixNanos) -> R) -> R {
        let (result, out) = {
            let mut twin = lock(&self.twin);
            let now = self.clock.now().max(twin.now());
            let result = act(&mut twin, now);
            (result, self.collect(&mut twin))
        };
        self.deliver(out);
        self.wake.notify_one();
        result
    }

    /// Frames that are due; what was done is safe before they or a reply leave.
    fn collect(&self, twin: &mut Twin) -> Vec<Outgoing> {
        let mut out = Vec::new();
        twin.drain(&mut out);
        if let Some(keeper) = &self.keeper {
            let lines = twin.take_record();
            if !lines.is_empty()
                && let Err(e) = lock(keeper).append(&lines)
            {
                self.fail(e);
            }
        }
        if self.failed().is_some() {
            out.clear();
        }
        out
    }

    fn fail(&self, e: TwinError) {
        // The first reason is the one to tell.
        let _ = self.failed.set(e);
    }

    /// Why this twin has stopped answering.
    pub(crate) fn failed(&self) -> Option<&TwinError> {
        self.failed.get()
    }

    /// Writes a state now and then, aside from the work.
    async fn keep(self: Arc<Self>) {
        let Some(keeper) = &self.keeper else { return };
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            let turned = {
                let twin = lock(&self.twin);
                lock(keeper).turn(twin.state())
            };
            let written = match turned {
                Ok(write) => tokio::task::spawn_blocking(write).await,
                Err(e) => Ok(Err(e)),
            };
            match written {
                Ok(Ok(())) => {}
                Ok(Err(e)) => return self.fail(e),
                // The runtime is ending.
                Err(_) => return,
            }
        }
    }

    fn deliver(&self, out: Vec<Outgoing>) {
        if out.is_empty() {
            return;
        }
        let mut conns = lock(&self.conns);
        for Outgoing { conn, frame } in out {
            // A reader that lags this much is cut off: its sender goes away, and with it the socket.
            if conns.get(&conn).is_some_and(|c| c.try_send(frame).is_err()) {
                conns.remove(&conn);
            }
        }
    }

    pub(crate) fn register(&self) -> (ConnId, mpsc::Receiver<Frame>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (send, receive) = mpsc::channel(BACKLOG);
        lock(&self.conns).insert(id, send);
        (id, receive)
    }

    pub(crate) fn forget(&self, id: ConnId) {
        lock(&self.conns).remove(&id);
        self.with(|twin, now| twin.ws_close(now, id));
    }

    /// Lets time pass.
    async fn beat(self: Arc<Self>) {
        loop {
            let (now, due) = {
                let mut twin = lock(&self.twin);
                (self.clock.now(), twin.deadline())
            };
            if due > now {
                // Whatever happens in between may bring the deadline forward.
                let _ = tokio::time::timeout(self.clock.wait(due - now), self.wake.notified()).await;
            }
            let out = {
                let mut twin = lock(&self.twin);
                let now = self.clock.now().max(twin.now());
                twin.advance(now);
                self.collect(&mut twin)
            };
            self.deliver(out);
            tokio::task::yield_now().await;
        }
    }
}

/// What to serve, and where. Port 0: any free one.
pub struct ServerConfig {
    pub spot: Option<(Twin, u16)>,
    pub usdm: Option<(Twin, u16)>,
    pub admin_port: u16,
    pub address: IpAddr,
    pub clock: Arc<dyn Clock>,
    /// Where the twins outlive the process.
    pub state: Option<StateDir>,
    /// HTTPS and WSS on the venue's ports. The operator's stays plain.
    pub tls: Option<Tls>,
}

impl ServerConfig {
    /// Nothing served yet, any free port, loopback.
    pub fn new(clock: Arc<dyn Clock>) -> ServerConfig {
        let address = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        ServerConfig { spot: None, usdm: None, admin_port: 0, address, clock, state: None, tls: None }
    }
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Running twins. Dropping it ends them.
pub struct Server {
    pub spot: Option<SocketAddr>,
    pub usdm: Option<SocketAddr>,
    pub admin: SocketAddr,
    stop: Arc<Notify>,
    failed: Arc<OnceLock<TwinError>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("spot", &self.spot).field("usdm", &self.usdm).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the ports and serves from a thread of its own.
    pub fn start(config: ServerConfig) -> Result<Server, TwinError> {
        let (stop, failed) = (Arc::new(Notify::new()), Arc::new(OnceLock::new()));
        let (stopped, failure) = (stop.clone(), failed.clone());
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("twin".into())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(e) => {
                        let e = TwinError::new(format!("cannot start a runtime: {e}"), "free some threads and memory");
                        // Whoever started us waits for it.
                        let _ = tell.send(Err(e));
                        return;
                    }
                };
                runtime.block_on(async {
                    let opened = open(config, failed).await;
                    let open = opened.is_ok();
                    let _ = tell.send(opened);
                    if open {
                        stopped.notified().await;
                    }
                });
                // Sockets that are still open are closed with the runtime.
                runtime.shutdown_background();
            })
            .map_err(|e| TwinError::new(format!("cannot start a thread: {e}"), "free some threads and memory"))?;
        let gone = || TwinError::new("the twin ended while it was started", "see what it said before");
        let Addresses { spot, usdm, admin } = told.recv().map_err(|_| gone())??;
        Ok(Server { spot, usdm, admin, stop, failed: failure, thread: Some(thread) })
    }

    /// Why the twins have stopped answering: what they do cannot be kept any more.
    pub fn failure(&self) -> Option<&TwinError> {
        self.failed.get()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Where everything is served.
struct Addresses {
    spot: Option<SocketAddr>,
    usdm: Option<SocketAddr>,
    admin: SocketAddr,
}

/// Opens the ports and serves on them for as long as the runtime lives.
async fn open(config: ServerConfig, failed: Arc<OnceLock<TwinError>>) -> Result<Addresses, TwinError> {
    let ServerConfig { spot, usdm, admin_port, address, clock, state, tls } = config;
    let acceptor = tls.as_ref().map(Tls::acceptor).transpose()?;
    let local = |l: &TcpListener| l.local_addr().map_err(|e| TwinError::new(e.to_string(), "try again"));
    // Every port first: a twin that cannot be served leaves nothing behind.
    let mut twins = Vec::new();
    for (twin, port) in [spot, usdm].into_iter().flatten() {
        twins.push((bind(address, port).await?, twin));
    }
    let admin = bind(address, admin_port).await?;
    let mut addresses = Addresses { spot: None, usdm: None, admin: local(&admin)? };
    let mut desks: Vec<(Product, Arc<Desk>)> = Vec::new();
    for (listener, mut twin) in twins {
        let (product, at) = (twin.product(), local(&listener)?);
        match product {
            Product::Spot => addresses.spot = Some(at),
            Product::UsdM => addresses.usdm = Some(at),
        }
        let keeper = match &state {
            Some(dir) => {
                twin.record();
                Some(dir.keep(product, &twin.state())?)
            }
            None => None,
        };
        let desk = Desk::new(twin, keeper, failed.clone(), clock.clone());
        tokio::spawn(desk.clone().keep());
        tokio::spawn(desk.clone().beat());
        tokio::spawn(http::serve(listener, acceptor.clone(), http::Face::Venue(desk.clone())));
        desks.push((product, desk));
    }
    tokio::spawn(http::serve(admin, None, http::Face::Admin(Arc::new(desks))));
    Ok(addresses)
}

async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, TwinError> {
    TcpListener::bind((address, port)).await.map_err(|e| {
        TwinError::new(format!("cannot listen on {address}:{port}: {e}"), "choose another port, or 0 for any free one")
    })
}
