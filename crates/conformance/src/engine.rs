//! ctos as it runs: the kernel with its strategies, the driver's gateway with a desk, and the journal of inputs, from
//! which it comes back after a kill.
//! Never: state that a restart would not have.

use ctos_driver_binance::desk_words::{BinanceDesk, BinanceDeskConfig};
use ctos_driver_binance::feed_words::BinanceFeed;
use ctos_driver_binance::limits::BinanceWords;
use ctos_driver_binance::{Credentials, Hosts, Profile};
use ctos_kernel::{AccountSpec, Audit, Borrow, Kernel, KernelConfig, Limits, Output, ProcessSpec, Strategy};
use ctos_link::clock::ClockConfig;
use ctos_link::desk::{Desk, DeskConfig, Holdings};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Deeds, Gateway, Part};
use ctos_link::tracker::{Held, TrackerConfig};
use ctos_types::{
    AccountEvent, AccountId, Command, Control, Currency, Decimal, EventBuf, InstanceTag, Instrument, Instruments,
    Nanos, Qty, Stamped, UnixNanos,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub const ACCOUNT: AccountId = AccountId(0);
/// The tag of the instance under test.
pub const TAG: InstanceTag = InstanceTag(7);

/// What does not change over restarts.
pub struct Blueprint {
    pub profile: Profile,
    /// Where the venue is.
    pub hosts: Hosts,
    /// Orders go over the WebSocket API, where the market has it.
    pub entry: bool,
    /// Orders borrow what they lack (cross margin).
    pub borrows: bool,
    pub instruments: Instruments,
    pub api_key: String,
    pub secret: String,
    /// What orders are multiples of.
    pub lot: Qty,
    pub strategies: Box<dyn Fn() -> Vec<Box<dyn Strategy>>>,
    pub seed: u64,
}

impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blueprint").field("profile", &self.profile).finish_non_exhaustive()
    }
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
}

impl Blueprint {
    /// A kernel that has lived through nothing yet.
    pub fn kernel(&self) -> Kernel {
        let processes = (self.strategies)().into_iter().enumerate().map(|(i, strategy)| ProcessSpec {
            label: format!("s{i}"),
            account: ACCOUNT,
            limits: Limits::unlimited(),
            strategy,
        });
        Kernel::new(KernelConfig {
            instruments: self.instruments.clone(),
            accounts: vec![AccountSpec {
                id: ACCOUNT,
                name: "test".into(),
                reporting: Currency::cut("USDT"),
                leverage: Decimal::from_int(10),
                borrow: if self.borrows { Borrow::Auto } else { Borrow::Never },
                limits: Limits::unlimited(),
            }],
            processes: processes.collect(),
            tag: TAG,
            latches: BTreeMap::new(),
        })
    }

    fn gateway(&self, now: UnixNanos, holdings: &Holdings) -> Gateway {
        let (words, parts) = self.parts(now, holdings);
        Gateway::new(Box::new(words), parts, ClockConfig::default())
    }

    /// What a gateway is made of: the venue's words, a desk for the account and a feed.
    pub fn parts(&self, now: UnixNanos, holdings: &Holdings) -> (BinanceWords, Vec<Box<dyn Part>>) {
        let keys = Arc::new(Credentials::new(&self.api_key, &self.secret).expect("the twin's own key"));
        let mut words = BinanceWords::new();
        let base = words.base(self.profile.product(), &self.hosts.rest);
        let route = words.account("test", self.profile, base, keys, Some(5_000));
        let route = if self.entry { words.over_websocket(route, self.profile, &self.hosts.ws_api) } else { route };
        let tracker = TrackerConfig { tags: vec![TAG], ..TrackerConfig::default() };
        let desk = BinanceDesk::new(BinanceDeskConfig {
            name: "test".into(),
            account: ACCOUNT,
            profile: self.profile,
            hedge: false,
            leverage: Some(10),
            hosts: self.hosts.clone(),
            route,
            key_route: None,
            instruments: self.instruments.clone(),
            dead_man: true,
            borrows: self.borrows,
            visibility: tracker.visibility,
        });
        let config = DeskConfig { tracker, seed: self.seed, ..DeskConfig::default() };
        let desk: Box<dyn Part> = Box::new(Desk::new(config, desk, holdings, now));
        let public = words.public(base);
        let list: Vec<Instrument> = self.instruments.iter().cloned().collect();
        let feed = BinanceFeed::new(self.profile, &self.hosts.streams, public, &list);
        let want =
            Want { book: true, quotes: true, trades: true, marks: self.profile == Profile::UsdM, ..Want::default() };
        let wants = list.into_iter().map(|i| (i, want.clone())).collect();
        let config = FeedConfig { seed: self.seed, listing_every: Some(Nanos::from_secs(5)), ..FeedConfig::default() };
        let feed: Box<dyn Part> = Box::new(Feed::new(feed, wants, config));
        (words, vec![desk, feed])
    }
}

/// What a kernel holds of the account, as the desk wants it.
pub fn holdings(kernel: &Kernel) -> Holdings {
    let orders: Vec<Held> = kernel
        .open_orders()
        .map(|o| Held {
            order: o.request,
            venue_order_id: o.venue_order_id,
            sent: o.created,
            cum_qty: o.cum_qty,
            execs: o.exec_ids().to_vec(),
            amending: o.amending.map(|a| (a.price, a.qty)),
            canceling: o.pending_cancel,
        })
        .collect();
    let portfolio = kernel.portfolio();
    let contracts = |id| !kernel.instruments().get(id).is_spot();
    let positions = portfolio.positions().filter(|((_, id, _), p)| contracts(*id) && !p.is_flat());
    let cash = portfolio.all_cash().map(|(_, currency, cash)| (currency, cash.ours));
    let placed = orders.iter().map(|o| o.order.cl_ord_id.seq).max().map(|seq| (TAG, seq));
    Holdings {
        positions: positions.map(|((_, id, leg), p)| (id, leg, *p)).collect(),
        cash: cash.collect(),
        booked: kernel.orders().booked(ACCOUNT).collect(),
        placed: placed.into_iter().collect(),
        orders,
    }
}

impl Engine {
    pub fn start(plan: &Blueprint, now: UnixNanos) -> Engine {
        let kernel = plan.kernel();
        let gateway = plan.gateway(now, &Holdings::default());
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
        };
        engine.input(now, AccountEvent::Standing { account: ACCOUNT, known: false }.into());
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
        let gateway = plan.gateway(now, &holdings(&kernel));
        let mut engine = Engine { kernel, gateway, deeds: Deeds::default(), out, ..self };
        engine.input(now, AccountEvent::Standing { account: ACCOUNT, known: false }.into());
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
                self.input(now, (*event).clone());
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
