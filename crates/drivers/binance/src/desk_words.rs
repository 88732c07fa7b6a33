//! An account at Binance in the desk's words: spot, cross margin and USD-M.
//! Never: follows an order beyond what naming it needs (that is the desk's tracker's), or signs before the moment.

mod ask;
mod debts;
mod news;
mod order;
mod query;
mod replace;
mod reply;
mod stream;

pub use stream::UserStream;

use crate::errors::{self, ErrorReply, Verdict};
use crate::limits::{Route, lane};
use crate::orders::Desk;
use crate::profile::{Hosts, Profile};
use crate::request::Call;
use ctos_link::desk::{
    BalanceRow, Connect, DeadMan, DeskWords, Found, Offers, OpenOrder, PositionRow, Told, Trouble, Wire, Word,
};
use ctos_link::gateway::Answer;
use ctos_link::reconcile::Subject;
use ctos_link::session::{Renewal, SessionConfig};
use ctos_link::tracker::{Held, Query};
use ctos_types::{
    AccountId, AmendOrder, CancelOrder, ClientOrderId, InstrumentId, Instruments, Nanos, NewOrder, Qty, Request,
    UnixNanos, VenueError, VenueOrderId,
};
use order::Orders;
use std::collections::BTreeSet;

/// How long the dead man's switch runs, and how often it is wound up: what the venue recommends.
const DEAD_MAN: DeadMan = DeadMan { countdown: Nanos::from_secs(120), every: Nanos::from_secs(30) };

/// An account of one profile.
#[derive(Clone, Debug)]
pub struct BinanceDeskConfig {
    /// As in settings.
    pub name: String,
    pub account: AccountId,
    pub profile: Profile,
    /// The account is in hedge mode, and is meant to be (USD-M).
    pub hedge: bool,
    /// Set for every traded instrument at the start; `None` leaves it as it is (USD-M).
    pub leverage: Option<u32>,
    pub hosts: Hosts,
    /// How the account's calls leave.
    pub route: Route,
    /// Where the key's permissions can be read: the spot host, with the account's key. `None`: not asked (test networks).
    pub key_route: Option<Route>,
    /// Of the run; ids index it.
    pub instruments: Instruments,
    /// Arms the dead man's switch while orders are open (USD-M).
    pub dead_man: bool,
    /// Orders borrow what they lack, and what comes in repays it (cross margin).
    pub borrows: bool,
    /// How long the venue may fail to show an order: the tracker's own.
    pub visibility: Nanos,
}

/// See [`DeskWords`].
#[derive(Debug)]
pub struct BinanceDesk {
    config: BinanceDeskConfig,
    desk: Desk,
    offset: Nanos,
    orders: Orders,
    /// Conditional orders in the last list of open ones: they are cancelled another way.
    conditional: BTreeSet<VenueOrderId>,
    /// What each settings request was.
    settings: Vec<ask::Setting>,
    pages: query::Pages,
    /// Orders of the venue's own that were told of.
    told: BTreeSet<VenueOrderId>,
    auth_told: bool,
    debts: debts::Debts,
}

impl BinanceDesk {
    pub fn new(config: BinanceDeskConfig) -> BinanceDesk {
        let desk = Desk::new(config.profile, config.account, config.hedge, &config.instruments);
        let desk = desk.with_loans(config.borrows);
        BinanceDesk {
            orders: Orders::new(config.profile, config.visibility),
            config,
            desk,
            offset: Nanos::ZERO,
            conditional: BTreeSet::new(),
            settings: Vec::new(),
            pages: query::Pages::default(),
            told: BTreeSet::new(),
            auth_told: false,
            debts: debts::Debts::default(),
        }
    }

    fn wire(&self, call: Call) -> Wire {
        by(&self.config.route, call)
    }

    fn is_usdm(&self) -> bool {
        self.config.profile == Profile::UsdM
    }

    /// The body of a success, or what an answer that is none is to be taken for.
    fn body<'a>(&self, answer: &Answer<'a>) -> Result<&'a [u8], Failure> {
        match answer {
            Answer::Http { status: 200..=299, body, .. } => Ok(body),
            Answer::Http { status, headers, body, .. } => {
                let wait = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
                let wait = wait.and_then(|(_, value)| value.trim().parse().ok());
                Err(Failure::Refused(Box::new(errors::read(self.config.profile, *status, wait, body))))
            }
            Answer::NotSent { why, retry_after } => {
                Err(Failure::NotSent { why: why.clone(), pause: retry_after.unwrap_or_default() })
            }
            Answer::Unknown { why } => Err(Failure::Unknown { why: why.clone() }),
            Answer::Go { .. } => Err(Failure::Unknown { why: "leave to send, where an answer was due".into() }),
        }
    }

    /// As [`BinanceDesk::body`], for questions: whatever failed can be asked again.
    fn asked<'a>(&self, answer: &Answer<'a>) -> Result<&'a [u8], Trouble> {
        self.body(answer).map_err(|failure| failure.trouble())
    }
}

fn by(route: &Route, call: Call) -> Wire {
    let (lane, cost) = (lane(call.purpose), route.cost(call.path, call.cost));
    Wire { base: route.base(), lane, cost, draft: Box::new(route.draft(call)) }
}

/// An answer that is no success.
#[derive(Debug)]
enum Failure {
    Refused(Box<ErrorReply>),
    NotSent { why: String, pause: Nanos },
    Unknown { why: String },
}

impl Failure {
    fn trouble(self) -> Trouble {
        match self {
            Failure::Refused(reply) => {
                let hint = (reply.verdict == Verdict::Auth).then(|| reply.hint.to_string());
                let pause = reply.pause();
                Trouble { why: format!("{} (binance {}: {})", reply.line, reply.raw_code(), reply.msg), hint, pause }
            }
            Failure::NotSent { why, pause } => Trouble { why, hint: None, pause },
            Failure::Unknown { why } => Trouble::passing(why),
        }
    }
}

impl DeskWords for BinanceDesk {
    type Stream = UserStream;

    fn account(&self) -> AccountId {
        self.config.account
    }

    fn name(&self) -> String {
        self.config.name.clone()
    }

    fn offers(&self) -> Offers {
        let usdm = self.is_usdm();
        Offers { positions: usdm, dead_man: (usdm && self.config.dead_man).then_some(DEAD_MAN) }
    }

    fn instruments(&self) -> &Instruments {
        &self.config.instruments
    }

    fn traded(&self) -> Vec<InstrumentId> {
        self.desk.symbols().iter().map(|(_, grid)| grid.id).collect()
    }

    fn set_clock(&mut self, offset: Nanos) {
        self.offset = offset;
    }

    fn settings(&mut self) -> Vec<Wire> {
        self.ask_settings()
    }

    fn read_settings(&mut self, part: usize, answer: &Answer<'_>) -> Result<Vec<Wire>, Trouble> {
        self.read_setting(part, answer)
    }

    fn stream(&self) -> (SessionConfig, UserStream, Vec<String>) {
        let stream = UserStream::new(self.config.profile, self.config.route.clone());
        (stream::config(self.config.profile), stream, Vec::new())
    }

    fn connect(&mut self) -> Connect {
        self.ask_stream()
    }

    fn read_connect(&mut self, stream: &mut UserStream, answer: &Answer<'_>) -> Result<String, Trouble> {
        self.read_stream(stream, answer)
    }

    fn renew(&mut self) -> Option<Wire> {
        self.is_usdm().then(|| self.wire(crate::user::ListenKey::keep_alive()))
    }

    fn read_renew(&mut self, answer: &Answer<'_>) -> Renewal {
        match self.body(answer) {
            Ok(_) => Renewal::Done,
            Err(Failure::Refused(reply)) if reply.code == -1125 => Renewal::Gone,
            Err(_) => Renewal::Failed,
        }
    }

    fn read_frame(&mut self, _: UnixNanos, text: &str, out: &mut Vec<Word>) -> Result<(), String> {
        self.read_user_frame(text, out)
    }

    fn farewell(&mut self) -> Vec<Wire> {
        // The key of a user stream is shared by everything of the account: closing it would close others' streams.
        Vec::new()
    }

    fn place(&mut self, order: &NewOrder) -> Result<Wire, VenueError> {
        let call = self.desk.place_on(order, self.debts.effect(&self.desk, order))?;
        self.orders.placed(order);
        self.debts.placed(&self.desk, order);
        Ok(self.wire(call))
    }

    fn amend(&mut self, now: UnixNanos, amend: &AmendOrder, cum_qty: Qty) -> Result<Wire, VenueError> {
        let call = self.orders.amend(now, &self.desk, amend, cum_qty)?;
        Ok(self.wire(call))
    }

    fn cancel(&mut self, cancel: &CancelOrder) -> Result<Wire, VenueError> {
        let at = self.orders.named_for_cancel(cancel.cl_ord_id);
        let call = self.desk.cancel(cancel.instrument, &at)?;
        Ok(self.wire(call))
    }

    fn read_reply(
        &mut self,
        now: UnixNanos,
        request: Request,
        id: ClientOrderId,
        answer: &Answer<'_>,
        out: &mut Vec<Word>,
    ) -> Told {
        self.read_order_reply(now, request, id, answer, out)
    }

    fn cancel_all(&mut self, instrument: InstrumentId) -> Vec<Wire> {
        self.orders.stop_replacing(instrument);
        let calls = self.desk.cancel_all(instrument).unwrap_or_default();
        calls.into_iter().map(|call| self.wire(call)).collect()
    }

    fn cancel_stray(&mut self, order: &OpenOrder) -> Option<Wire> {
        self.ask_cancel_stray(order)
    }

    fn read_done(&mut self, answer: &Answer<'_>) -> Result<(), Trouble> {
        match self.body(answer) {
            Ok(_) => Ok(()),
            // Nothing was open, or it was so already.
            Err(Failure::Refused(reply)) if reply.code == -2011 || reply.verdict == Verdict::Already => Ok(()),
            Err(failure) => Err(failure.trouble()),
        }
    }

    fn recall(&mut self, held: &Held) {
        self.orders.recall(held);
        self.debts.placed(&self.desk, &held.order);
    }

    fn closed(&mut self, id: ClientOrderId) {
        self.orders.closed(id);
        self.debts.closed(id);
    }

    fn dead_man(&mut self, instrument: InstrumentId, countdown: Nanos) -> Option<Wire> {
        let ms = u32::try_from(countdown.0 / 1_000_000).unwrap_or(u32::MAX);
        self.desk.countdown_cancel_all(instrument, ms).ok().flatten().map(|call| self.wire(call))
    }

    fn query(&mut self, now: UnixNanos, query: &Query) -> Result<Wire, VenueError> {
        self.ask_query(now, query)
    }

    fn read_query(&mut self, now: UnixNanos, query: &Query, part: u32, answer: &Answer<'_>) -> Found {
        self.read_answer(now, query, part, answer)
    }

    fn look(&mut self, subject: Subject) -> Vec<Wire> {
        self.ask_look(subject)
    }

    fn read_open_orders(
        &mut self,
        now: UnixNanos,
        answer: &Answer<'_>,
        out: &mut Vec<OpenOrder>,
    ) -> Result<(), Trouble> {
        self.read_open(now, answer, out)
    }

    fn read_positions(&mut self, answer: &Answer<'_>, out: &mut Vec<PositionRow>) -> Result<(), Trouble> {
        self.read_position_list(answer, out)
    }

    fn read_balances(&mut self, answer: &Answer<'_>, out: &mut Vec<BalanceRow>) -> Result<(), Trouble> {
        self.read_balance_list(answer, out)
    }
}
