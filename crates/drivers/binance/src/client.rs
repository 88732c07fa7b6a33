//! One-shot requests: asks Binance one thing and gives the answer, over connections of its own or through a running
//! instance. The core is async; [`Blocking`] is its face for threads.
//! Never: sends an order again whose outcome is not known, hammers a venue that said stop, or keeps state of its own.

mod access;
mod accounts;
mod amend;
mod blocking;
mod direct;
mod failure;
mod guest;
mod marks;
mod orders;
mod probe;
mod relay;
mod resolve;
mod sweep;
mod ticks;

pub use access::Access;
pub use accounts::{CloseMode, closing_order};
pub use blocking::Blocking;
pub use direct::Direct;
pub use failure::Failure;
pub use guest::Guest;
pub use marks::Book;
pub use orders::OrderName;
pub use probe::{Finding, Probe, Severity, Stakes};
pub use relay::{Pass, Question, Relay, Told};
pub use sweep::{Sweep, SweepConfig};
pub use ticks::Tick;

use crate::decode::DecodeError;
use crate::errors::{self, Verdict};
use crate::instruments::{InstrumentList, parse_instruments};
use crate::market;
use crate::orders::Desk;
use crate::profile::Profile;
use crate::request::Call;
use crate::rules::{Rules, parse_rules};
use bytes::Bytes;
use ctos_link::rate::Usage;
use ctos_types::{AccountId, Instrument, InstrumentId, Instruments, Nanos, UnixNanos};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future of a [`Caller`].
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The venue's answer, with whatever status.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Of the header of that name.
    pub retry_after: Option<Nanos>,
    pub body: Bytes,
}

/// Why there is no answer, by what may be concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No byte left this process. `hint`: what a person can try.
    NotSent { why: String, hint: String, retry_after: Option<Nanos> },
    /// Bytes left and no whole answer came: what the venue did is not known.
    Unknown { why: String },
}

/// Sends one request and gives its one answer: connections of its own ([`Direct`]), or a running instance's. Stamps
/// and signs at the moment of sending, and keeps to the rate budget.
pub trait Caller: Debug + Send + Sync {
    /// Sends once; tries nothing again.
    fn call<'a>(&'a self, call: &'a Call) -> Later<'a, Result<Reply, CallError>>;
    /// The venue's time as well as it is known; asks for it where it is not known yet.
    fn venue_time(&self) -> Later<'_, Result<UnixNanos, CallError>>;
    /// The venue refused a stamp: measures its clock again before the next signed call.
    fn distrust_clock(&self);
    /// The room's clock, which never goes back.
    fn now(&self) -> UnixNanos;
    fn sleep(&self, span: Nanos) -> Later<'_, ()>;
    /// The machine's clock against the venue's, where it was measured.
    fn clock(&self) -> Option<Reading> {
        None
    }
    /// What the venue has closed, by a name that outlives the process, for how long yet, and whether it is a ban.
    fn closures(&self) -> Vec<(String, Nanos, bool)> {
        Vec::new()
    }
    /// What is used of the venue's limits.
    fn usage(&self) -> Vec<Usage> {
        Vec::new()
    }
}

/// How the machine's clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Ahead of the venue's; negative: behind.
    pub ahead: Nanos,
    pub uncertainty: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a signed request may travel; what the [`Caller`] stamps with.
    pub recv_window: Nanos,
    /// How long after a request could last have been accepted the venue may still deny knowing its order.
    pub visibility: Nanos,
    /// Tries of a request that can be repeated without harm.
    pub tries: u32,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig { recv_window: Nanos::from_secs(5), visibility: Nanos::from_secs(5), tries: 4 }
    }
}

/// Asks for one account of one profile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Arc<dyn Caller>,
    config: ClientConfig,
    desk: Desk,
    instruments: Instruments,
    rules: Arc<BTreeMap<String, Rules>>,
}

impl Client {
    /// Knows no instruments yet: see [`Client::load`]. `hedge` is how the account is set (USD-M).
    pub fn new(caller: Arc<dyn Caller>, profile: Profile, account: AccountId, hedge: bool) -> Client {
        let instruments = Instruments::default();
        let desk = Desk::new(profile, account, hedge, &instruments);
        Client { caller, config: ClientConfig::default(), desk, instruments, rules: Arc::default() }
    }

    #[must_use]
    pub fn with_config(self, config: ClientConfig) -> Client {
        Client { config, ..self }
    }

    /// Orders borrow what they lack, unless they say no (cross margin).
    #[must_use]
    pub fn with_loans(self, borrows: bool) -> Client {
        Client { desk: self.desk.clone().with_loans(borrows), ..self }
    }

    /// With instruments that are known already, of a running instance for example: nothing is loaded.
    #[must_use]
    pub fn with_instruments(self, instruments: Instruments) -> Client {
        let desk = self.desk.over(&instruments);
        Client { desk, instruments, ..self }
    }

    pub fn profile(&self) -> Profile {
        self.desk.profile
    }

    /// The words of this account, for what has no method here.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    pub fn caller(&self) -> &Arc<dyn Caller> {
        &self.caller
    }

    /// Those loaded, in the venue's order.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Filters of a loaded instrument, where the venue's list had readable ones.
    pub fn rules(&self, instrument: InstrumentId) -> Option<&Rules> {
        self.rules.get(self.desk.symbols().symbol_of(instrument)?)
    }

    /// Reads the venue's instruments with their filters: all, or on spot only `symbol` (unified, or the venue's own).
    pub async fn load(&mut self, symbol: Option<&str>) -> Result<(), Failure> {
        let mut call = market::exchange_info(self.profile());
        if self.profile() != Profile::UsdM
            && let Some(symbol) = symbol
        {
            call.query = call.query.text("symbol", venue_form(symbol));
        }
        let body = self.fetch(&call).await?;
        let text = std::str::from_utf8(&body).map_err(|e| Failure::misread("instruments", e))?;
        let InstrumentList { instruments, skipped } =
            parse_instruments(text).map_err(|e| Failure::misread("instruments", e))?;
        let (rules, _) = parse_rules(&body).map_err(|e| Failure::misread("filters", e))?;
        if instruments.is_empty() {
            let why = skipped.first().map_or("the list is empty".into(), |(s, why)| format!("{s}: {why}"));
            return Err(Failure::invalid(
                format!("binance {} has nothing to trade there: {why}", self.profile()),
                "check the symbol, and that its market is open",
            ));
        }
        let instruments = Instruments::new(instruments).map_err(|e| Failure::misread("instruments", e))?;
        self.desk = self.desk.over(&instruments);
        self.instruments = instruments;
        self.rules = Arc::new(rules);
        Ok(())
    }

    /// A loaded instrument by its unified symbol, the venue part left out or not, or by the venue's own name. Case and
    /// separators of the unified form are forgiven (`btc/usdt`), a missing quote currency is not.
    pub fn find(&self, symbol: &str) -> Result<&Instrument, Failure> {
        // With a running instance's list, other markets of the venue are in it, too.
        let ours = |i: &&Instrument| self.desk.symbols().by_id(i.id).is_some();
        let find = |text: &str| self.instruments.find(text).filter(ours);
        let bare =
            symbol.split_once(':').map_or(symbol, |(venue, rest)| if venue == "binance" { rest } else { symbol });
        let wanted = bare.to_uppercase().replace(['/', '_'], "-");
        let perpetual = || match self.profile() {
            Profile::UsdM => find(&format!("{wanted}-PERP")),
            _ => None,
        };
        let by_venue = self.desk.symbols().find(wanted.replace('-', "").as_bytes()).map(|g| self.instruments.get(g.id));
        let found = find(symbol).or_else(|| find(&wanted)).or_else(perpetual);
        found.or(by_venue.filter(|_| !bare.contains(':'))).ok_or_else(|| {
            let example = if self.profile() == Profile::UsdM { "binance:BTC-USDT-PERP" } else { "binance:BTC-USDT" };
            Failure::invalid(
                format!("binance {} has no instrument {symbol:?} that is trading", self.profile()),
                format!("write for example {example}; `ctos call symbols` lists them"),
            )
        })
    }

    /// The body of a success. What can be repeated without harm is: a refused stamp once, a busy venue and a lost
    /// answer a few times. For requests that change nothing, and for cancels.
    pub async fn fetch(&self, call: &Call) -> Result<Bytes, Failure> {
        let mut clock_tried = false;
        let mut tries = 1;
        loop {
            let failure = match self.once(call).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let wait = match &failure {
                Failure::Refused(reply) if reply.verdict == Verdict::Clock && !clock_tried => {
                    clock_tried = true;
                    continue;
                }
                Failure::Refused(reply) if reply.verdict == Verdict::NotDone => reply.pause(),
                Failure::NoAnswer { .. } => Nanos::from_millis(300),
                _ => return Err(failure),
            };
            if tries >= self.config.tries {
                return Err(failure);
            }
            self.caller.sleep(Nanos(wait.0 << (tries - 1))).await;
            tries += 1;
        }
    }

    /// As [`Client::fetch`], read.
    pub async fn ask<T>(
        &self,
        call: &Call,
        what: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, Failure> {
        let body = self.fetch(call).await?;
        read(&body).map_err(|e| Failure::misread(what, e))
    }

    /// One try. The body of a success, or what became of it: a refusal of the stamp has made the caller look at the
    /// clock again.
    async fn once(&self, call: &Call) -> Result<Bytes, Failure> {
        match self.caller.call(call).await {
            Ok(Reply { status: 200..300, body, .. }) => Ok(body),
            Ok(Reply { status, retry_after, body }) => {
                let seconds = retry_after.and_then(|n| u32::try_from(n.0 / 1_000_000_000).ok());
                let reply = errors::read(self.profile(), status, seconds, &body);
                match reply.verdict {
                    Verdict::Unknown => Err(Failure::NoAnswer { why: Failure::refused_line(&reply) }),
                    verdict => {
                        if verdict == Verdict::Clock {
                            self.caller.distrust_clock();
                        }
                        Err(Failure::Refused(Box::new(reply)))
                    }
                }
            }
            Err(CallError::NotSent { why, hint, retry_after }) => Err(Failure::NotSent { why, hint, retry_after }),
            Err(CallError::Unknown { why }) => Err(Failure::NoAnswer { why }),
        }
    }

    /// The venue's time.
    pub async fn venue_time(&self) -> Result<UnixNanos, Failure> {
        self.caller.venue_time().await.map_err(Failure::from)
    }
}

/// `binance:btc-usdt` as the venue writes it on spot.
fn venue_form(symbol: &str) -> String {
    let bare = symbol.split_once(':').map_or(symbol, |(_, rest)| rest);
    bare.chars().filter(|c| !matches!(c, '-' | '/' | '_')).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests;
