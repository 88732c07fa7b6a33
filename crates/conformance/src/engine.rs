//! ctos as it runs: the kernel with its strategies, the driver's gateway with a desk, and the journal of inputs, from
//! which it comes back after a kill.
//! Never: state that a restart would not have.

use ctos_driver_binance::desk_words::{BinanceDesk, BinanceDeskConfig};
use ctos_driver_binance::feed_words::BinanceFeed;
use ctos_driver_binance::limits::BinanceWords;
use ctos_driver_binance::{Credentials, Hosts, Profile};
use ctos_kernel::{AccountSpec, Audit, Borrow, Kernel, KernelConfig, Limits, Output, ProcessSpec, Strategy};
use ctos_link::clock::ClockConfig;
use ctos_link::desk::{Desk, DeskConfig};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Deeds, Gateway, Part};
use ctos_link::tracker::TrackerConfig;
use ctos_runtime::live::holdings;
use ctos_types::{
    AccountEvent, AccountId, Command, Control, Currency, Decimal, Event, EventBuf, Fill, InstanceTag, Instrument,
    Instruments, Nanos, OrderReport, Qty, ReportBody, Stamped, Text, UnixNanos,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub const ACCOUNT: AccountId = AccountId(0);
/// Names of the accounts, by their ids.
pub const NAMES: [&str; 2] = ["test", "second"];
/// The tag of the instance under test.
pub const TAG: InstanceTag = InstanceTag(7);

/// What does not change over restarts.
pub struct Blueprint {
    pub profile: Profile,
    /// Where the venue is.
    pub hosts: Hosts,
    /// Orders go over the WebSocket API, where the market has it.
    pub entry: bool,
    pub instruments: Instruments,
    /// USD-M with two legs.
    pub hedge: bool,
    /// Orders borrow what they lack (cross margin).
    pub borrows: bool,
    pub api_key: String,
    pub secret: String,
    /// Key and secret of a second account, on the same address.
    pub second: Option<(String, String)>,
    /// What orders are multiples of.
    pub lot: Qty,
    pub strategies: Box<dyn Fn(AccountId) -> Vec<Box<dyn Strategy>>>,
    pub seed: u64,
}

impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blueprint").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// What a driver could get wrong, done on purpose, so that it is known that the judge sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// An order is sent again, as after a timeout.
    Resend,
    /// A fill is booked twice.
    BookTwice,
    /// A fill is not booked.
    ForgetFill,
    /// A fill is booked with another fee.
    ChangeFee,
    /// The end of an order is not told.
    ForgetEnd,
    /// An order is told as refused that lives.
    TakeForRefused,
}

/// A running instance.
#[derive(Debug)]
pub struct Engine {
    pub kernel: Kernel,
    pub gateway: Gateway,
    pub deeds: Deeds,
    out: Output,
    inputs: Vec<(UnixNanos, EventBuf)>,
    pub audits: Vec<Audit>,
    pub commands: u64,
    pub places: u64,
    pub amends: u64,
    started: bool,
    notes: bool,
    sabotage: Option<Sabotage>,
    /// Events that a sabotage could have spoilt.
    chances: u64,
}

impl Blueprint {
    /// A kernel that has lived through nothing yet.
    pub fn kernel(&self) -> Kernel {
        let all = self.keys().flat_map(|(id, ..)| (self.strategies)(id).into_iter().map(move |s| (id, s)));
        let processes = all.enumerate().map(|(i, (account, strategy))| ProcessSpec {
            label: format!("s{i}"),
            account,
            limits: Limits::unlimited(),
            strategy,
        });
        let accounts = self.keys().map(|(id, name, ..)| AccountSpec {
            id,
            name: name.into(),
            reporting: Currency::cut("USDT"),
            leverage: Decimal::from_int(10),
            borrow: if self.borrows { Borrow::Auto } else { Borrow::Never },
            limits: Limits::unlimited(),
        });
        Kernel::new(KernelConfig {
            instruments: self.instruments.clone(),
            accounts: accounts.collect(),
            processes: processes.collect(),
            tag: TAG,
            latches: BTreeMap::new(),
        })
    }

    /// Account, its name, key and secret.
    fn keys(&self) -> impl Iterator<Item = (AccountId, &'static str, &str, &str)> + '_ {
        let first = (self.api_key.as_str(), self.secret.as_str());
        let second = self.second.as_ref().map(|(key, secret)| (key.as_str(), secret.as_str()));
        let pairs = std::iter::once(first).chain(second);
        pairs.zip(NAMES).enumerate().map(|(n, ((key, secret), name))| (AccountId(n as u16), name, key, secret))
    }

    fn gateway(&self, now: UnixNanos, kernel: Option<&Kernel>) -> Gateway {
        let (words, parts) = self.parts(now, kernel);
        Gateway::new(Box::new(words), parts, ClockConfig::default())
    }

    /// What a gateway is made of: the venue's words, a desk for each account with what the kernel holds, and a feed.
    pub fn parts(&self, now: UnixNanos, kernel: Option<&Kernel>) -> (BinanceWords, Vec<Box<dyn Part>>) {
        let mut words = BinanceWords::new();
        let base = words.base(self.profile.product(), &self.hosts.rest);
        let mut parts: Vec<Box<dyn Part>> = Vec::new();
        for (account, name, key, secret) in self.keys() {
            let keys = Arc::new(Credentials::new(key, secret).expect("the twin's own key"));
            let route = words.account(name, self.profile, base, keys, Some(5_000));
            let route = if self.entry { words.over_websocket(route, self.profile, &self.hosts.ws_api) } else { route };
            let tracker = TrackerConfig { tags: vec![TAG], ..TrackerConfig::default() };
            let desk = BinanceDesk::new(BinanceDeskConfig {
                name: name.into(),
                account,
                profile: self.profile,
                hedge: self.hedge,
                leverage: Some(10),
                hosts: self.hosts.clone(),
                route,
                key_route: None,
                instruments: self.instruments.clone(),
                dead_man: true,
                borrows: self.borrows,
                visibility: tracker.visibility,
            });
            let seed = self.seed ^ (u64::from(account.0) << 32);
            let config = DeskConfig { tracker, seed, ..DeskConfig::default() };
            let holdings = kernel.map(|k| holdings(k, account)).unwrap_or_default();
            parts.push(Box::new(Desk::new(config, desk, &holdings, now)));
        }
        let public = words.public(base);
        let list: Vec<Instrument> = self.instruments.iter().cloned().collect();
        let feed = BinanceFeed::new(self.profile, &self.hosts.streams, public, &list);
        let want =
            Want { book: true, quotes: true, trades: true, marks: self.profile == Profile::UsdM, ..Want::default() };
        let wants = list.into_iter().map(|i| (i, want.clone())).collect();
        let config = FeedConfig { seed: self.seed, listing_every: Some(Nanos::from_secs(5)), ..FeedConfig::default() };
        parts.push(Box::new(Feed::new(feed, wants, config)));
        (words, parts)
    }
}

impl Engine {
    pub fn start(plan: &Blueprint, now: UnixNanos, sabotage: Option<Sabotage>) -> Engine {
        let kernel = plan.kernel();
        let gateway = plan.gateway(now, None);
        let mut engine = Engine {
            kernel,
            gateway,
            deeds: Deeds::default(),
            out: Output::default(),
            inputs: Vec::new(),
            audits: Vec::new(),
            commands: 0,
            places: 0,
            amends: 0,
            started: false,
            notes: std::env::var_os("CONF_TRACE").is_some(),
            sabotage,
            chances: 0,
        };
        for (account, ..) in plan.keys() {
            engine.input(now, AccountEvent::Standing { account, known: false }.into());
        }
        engine.gateway.start(now, &mut engine.deeds);
        engine.drain(now);
        engine
    }

    /// Killed and started again: the kernel from its inputs, the driver from the kernel.
    pub fn restart(self, plan: &Blueprint, now: UnixNanos) -> Engine {
        let mut kernel = plan.kernel();
        let mut out = Output::default();
        let mut commands = 0;
        for (seq, (at, event)) in self.inputs.iter().enumerate() {
            kernel.step(&Stamped { seq: seq as u64, at: *at, event: event.as_event() }, &mut out);
            commands += out.commands.len() as u64;
        }
        assert_eq!(commands, self.commands, "the same inputs give the same commands");
        assert_eq!(kernel.command_hash(), self.kernel.command_hash(), "the same inputs give the same commands");
        let gateway = plan.gateway(now, Some(&kernel));
        let mut engine = Engine { kernel, gateway, deeds: Deeds::default(), out, ..self };
        for (account, ..) in plan.keys() {
            engine.input(now, AccountEvent::Standing { account, known: false }.into());
        }
        engine.gateway.start(now, &mut engine.deeds);
        engine.drain(now);
        engine
    }

    /// An input for the kernel; its commands go to the gateway.
    pub fn input(&mut self, now: UnixNanos, event: EventBuf) {
        let at = now.max(self.kernel.now());
        let seq = self.kernel.next_input();
        if self.notes && !matches!(event.as_event(), ctos_types::Event::Market(_) | ctos_types::Event::Wake) {
            eprintln!("{:.3} < {:?}", secs(now), event.as_event());
        }
        self.kernel.step(&Stamped { seq, at, event: event.as_event() }, &mut self.out);
        self.inputs.push((at, event));
        self.audits.extend(self.out.audits.iter().filter(|a| matches!(a, Audit::Alarm(_))).cloned());
        let commands: Vec<Command> = self.out.commands.drain(..).map(|c| c.into_inner()).collect();
        for command in commands {
            self.commands += 1;
            match command {
                Command::Place(_) => self.places += 1,
                Command::Amend(_) => self.amends += 1,
                _ => {}
            }
            if self.notes {
                eprintln!("{:.3} > {command:?}", secs(now));
            }
            self.gateway.command(now, &command, &mut self.deeds);
        }
    }

    /// What the driver has for the kernel, until there is nothing left.
    pub fn drain(&mut self, now: UnixNanos) {
        while self.gateway.has_events() {
            let events: Vec<(UnixNanos, Box<EventBuf>)> = self.gateway.take_events().collect();
            for (_, event) in events {
                let known =
                    matches!(event.as_event(), ctos_types::Event::Account(AccountEvent::Standing { known: true, .. }));
                for told in self.spoil(&event) {
                    self.input(now, told);
                }
                self.gateway.reuse(event);
                if known && !std::mem::replace(&mut self.started, true) {
                    self.input(now, Control::Start.into());
                }
            }
        }
        if self.notes {
            for notice in self.deeds.notices.drain(..) {
                eprintln!("{:.3} ! {notice:?}", secs(now));
            }
        }
        self.deeds.notices.clear();
    }

    /// What the kernel hears of it: the same, unless somebody meddles.
    fn spoil(&mut self, event: &EventBuf) -> Vec<EventBuf> {
        let whole = vec![event.clone()];
        let (Some(sabotage), Event::Report(report)) = (self.sabotage, event.as_event()) else { return whole };
        let ours = report.cl_ord_id.is_some();
        let meant = match (sabotage, report.body) {
            (Sabotage::BookTwice | Sabotage::ForgetFill | Sabotage::ChangeFee, ReportBody::Fill(_)) => true,
            (Sabotage::ForgetEnd, ReportBody::Canceled { .. } | ReportBody::Expired) => ours,
            (Sabotage::TakeForRefused, ReportBody::Accepted) => ours,
            _ => false,
        };
        self.chances += u64::from(meant);
        if !meant || self.chances % 4 != 3 {
            return whole;
        }
        let changed = |body| vec![OrderReport { body, ..*report }.into()];
        match (sabotage, report.body) {
            (Sabotage::BookTwice, ReportBody::Fill(fill)) => {
                let again = Fill { exec_id: Text::cut(&format!("{}x", fill.exec_id)), ..fill };
                let again = OrderReport { cl_ord_id: None, body: ReportBody::Fill(again), ..*report };
                vec![event.clone(), again.into()]
            }
            (Sabotage::ChangeFee, ReportBody::Fill(fill)) => {
                changed(ReportBody::Fill(Fill { fee: fill.fee.checked_add(Decimal::from_int(1)).unwrap(), ..fill }))
            }
            (Sabotage::TakeForRefused, _) => changed(ReportBody::Rejected {
                request: ctos_types::Request::Place,
                reason: ctos_types::RejectReason::Other,
                code: Text::cut("SABOTAGE"),
            }),
            _ => Vec::new(),
        }
    }

    pub fn is_started(&self) -> bool {
        self.started
    }

    pub fn next_due(&self) -> UnixNanos {
        self.gateway.deadline().0.min(self.kernel.next_deadline().unwrap_or(UnixNanos::MAX))
    }

    pub fn on_time(&mut self, now: UnixNanos) {
        if self.kernel.next_deadline().is_some_and(|at| at <= now) {
            self.input(now, EventBuf::default());
        }
        if self.gateway.deadline().0 <= now {
            self.gateway.on_deadline(now, &mut self.deeds);
        }
        self.drain(now);
    }
}

/// Seconds of the simulation, for traces.
pub fn secs(now: UnixNanos) -> f64 {
    (now.0 - crate::world::START.0) as f64 / 1e9
}
