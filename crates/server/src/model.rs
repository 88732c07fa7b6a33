//! What the API says and takes, as JSON. The command line prints the same objects when it reads the store instead.
//! Never: a float for money (amounts are exact decimals as text); times are RFC 3339 in UTC.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ctos_runtime::live::{GatewayStatus, Place};
use ctos_runtime::oneshot::Question;
use ctos_runtime::summary::{PositionSummary, Summary};
use ctos_runtime::view::{MarketView, OrderView, View};
use ctos_types::{Decimal, KillState, Leg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The one answer that needs no token: it tells nothing but that somebody listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the program.
    pub version: String,
}

/// A latch of the kill switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltLine {
    /// `system`, `account:NAME` or `strategy:NAME`.
    pub scope: String,
    /// `HALTED` or `REDUCING`.
    pub state: KillState,
    pub reason: String,
    /// Market time at which it was latched.
    pub since: String,
    /// Orders of the scope that are still open; unknown when no instance runs.
    pub open_orders: Option<u64>,
}

/// A strategy process of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyLine {
    /// What it is called in the run.
    pub id: String,
    /// Which program it is: `grid`, …
    pub kind: String,
    pub account: String,
    /// `created`, `running`, `stopped` or `failed: REASON`.
    pub state: String,
    pub params: BTreeMap<String, String>,
}

/// A run of the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    pub run_id: String,
    /// `running`, `finished`, `cut_off` or `abandoned`.
    pub state: String,
    /// Real time of the start.
    pub created: String,
    pub market: String,
}

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether an instance runs in this home now.
    pub running: bool,
    /// The run that is running, or the last one.
    pub run_id: Option<String>,
    /// `running`, `finished`, `cut_off`, `abandoned`, or `none` in an empty home.
    pub state: String,
    pub version: String,
    pub pid: Option<u32>,
    /// `host:port` of the API.
    pub address: Option<String>,
    /// Figures of the run so far, or at its end; absent for a run that was cut off.
    pub summary: Option<Summary>,
    pub positions: Vec<PositionLine>,
    pub strategies: Vec<StrategyLine>,
    pub halts: Vec<HaltLine>,
    pub markets: Vec<MarketView>,
    /// Why the journal is not written any more, if it is not.
    pub degraded: Option<String>,
    /// How the links to venues are; absent where nothing runs, or on a market of the program's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<GatewayStatus>,
    /// All runs of the home, oldest first; only from the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunLine>,
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    pub id: String,
    pub account: String,
    pub strategy: String,
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// `limit`, `market`, `stop_limit`, …
    pub kind: String,
    pub price: Option<Decimal>,
    pub trigger: Option<Decimal>,
    /// Total size.
    pub qty: Decimal,
    /// How much of it is filled.
    pub filled: Decimal,
    /// FIX state in snake case.
    pub status: String,
    /// Why it was refused or cancelled; only from the store.
    pub reason: Option<String>,
    pub created: String,
    pub updated: String,
}

/// `GET /orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    pub running: bool,
    pub run_id: Option<String>,
    pub orders: Vec<OrderLine>,
}

/// A position that is not flat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionLine {
    pub account: String,
    pub symbol: String,
    pub leg: Leg,
    /// Signed, in the instrument's size unit.
    pub qty: Decimal,
    pub avg_px: Option<Decimal>,
    /// Unknown for a run that was cut off.
    pub mark: Option<Decimal>,
    pub unrealized_pnl: Option<Decimal>,
}

/// `GET /positions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    pub running: bool,
    pub run_id: Option<String>,
    pub positions: Vec<PositionLine>,
    /// Account, then currency.
    pub balances: BTreeMap<String, BTreeMap<String, Decimal>>,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillLine {
    /// Market time.
    pub at: String,
    pub exec_id: String,
    /// The order's id; absent for what was not ordered here.
    pub order: Option<String>,
    pub account: String,
    pub strategy: String,
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    pub price: Decimal,
    pub qty: Decimal,
    /// `maker` or `taker`.
    pub liquidity: String,
    /// Positive when paid.
    pub fee: Decimal,
    pub fee_currency: String,
    /// Before fees.
    pub realized_pnl: Option<Decimal>,
}

/// `GET /fills`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fills {
    pub running: bool,
    pub run_id: Option<String>,
    pub fills: Vec<FillLine>,
}

/// `GET /strategies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategies {
    pub running: bool,
    pub run_id: Option<String>,
    pub strategies: Vec<StrategyLine>,
}

/// `GET /halts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halts {
    pub running: bool,
    pub halts: Vec<HaltLine>,
}

/// `POST /call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    pub syscall: String,
    /// Name or number; the first account where it is left out.
    #[serde(default)]
    pub account: Option<String>,
    /// Arguments by name, all as text.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

/// Answer to [`CallRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallDone {
    pub result: serde_json::Value,
}

/// `POST /account/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountCheck {
    /// Name or number.
    pub account: String,
}

/// `POST /record/start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// An absolute directory; chosen by the instance where it is left out.
    #[serde(default)]
    pub dir: Option<String>,
}

/// `GET /venue`: the markets of venues that the run is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    pub places: Vec<Place>,
}

/// `POST /venue`: a public question to one of them, within the run's rate budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueRequest {
    pub place: Place,
    pub question: Question,
}

/// `POST /halt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltRequest {
    /// Default `system`.
    #[serde(default = "system")]
    pub scope: String,
    /// `HALTED` (default) or `REDUCING`.
    #[serde(default = "halted")]
    pub state: KillState,
    #[serde(default)]
    pub reason: String,
}

/// `POST /resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Default `system`.
    #[serde(default = "system")]
    pub scope: String,
    #[serde(default)]
    pub reason: String,
}

/// `POST /stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    #[serde(default)]
    pub reason: String,
}

/// What `halt` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltDone {
    pub running: bool,
    pub scope: String,
    /// The state that now holds: a stricter one that held before stays.
    pub state: KillState,
    /// Orders of the scope that are still open.
    pub open_orders: Option<u64>,
}

/// What `resume` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeDone {
    pub running: bool,
    pub scope: String,
    /// Whether anything was latched there.
    pub released: bool,
    /// What is still latched.
    pub halts: Vec<HaltLine>,
}

/// What `stop` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopDone {
    pub run_id: String,
    /// The run has been told to end; it cancels its orders and settles first.
    pub stopping: bool,
}

fn system() -> String {
    "system".into()
}

fn halted() -> KillState {
    KillState::Halted
}

/// A refusal: status, one line what is wrong, one line what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub error: String,
    pub hint: String,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: String,
    pub hint: String,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> ApiError {
        ApiError { status, error: error.into(), hint: hint.into() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.error, hint: self.hint })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<&PositionSummary> for PositionLine {
    fn from(p: &PositionSummary) -> PositionLine {
        PositionLine {
            account: p.account.clone(),
            symbol: p.symbol.clone(),
            leg: p.leg,
            qty: p.qty,
            avg_px: p.avg_px,
            mark: p.mark,
            unrealized_pnl: p.mark.map(|_| p.unrealized_pnl),
        }
    }
}

/// A word of ours as its JSON text.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

impl From<&OrderView> for OrderLine {
    fn from(o: &OrderView) -> OrderLine {
        OrderLine {
            id: o.id.clone(),
            account: o.account.clone(),
            strategy: o.strategy.clone(),
            symbol: o.symbol.clone(),
            side: word(o.side),
            kind: o.kind.clone(),
            price: o.price,
            trigger: o.trigger,
            qty: o.qty,
            filled: o.filled,
            status: word(o.status),
            reason: None,
            created: o.created.clone(),
            updated: o.updated.clone(),
        }
    }
}

/// Balances of a summary, by account and currency.
pub fn balances_of(summary: &Summary) -> BTreeMap<String, BTreeMap<String, Decimal>> {
    let text = |(currency, amount): (&ctos_types::Currency, &Decimal)| (currency.to_string(), *amount);
    summary.balances.iter().map(|(account, all)| (account.clone(), all.iter().map(text).collect())).collect()
}

/// How many open orders a scope has.
pub fn open_in_scope(view: &View, scope: &str) -> u64 {
    let inside = |o: &&OrderView| match scope.split_once(':') {
        Some(("account", name)) => o.account == name,
        Some(("strategy", name)) => o.strategy == name,
        _ => true,
    };
    view.orders.iter().filter(inside).count() as u64
}
