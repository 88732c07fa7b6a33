//! The routes: each reads the published view or the store, or passes a request to the shard's thread.
//! Never: blocks the API's one thread (whatever waits runs beside it).

use crate::guard::{HEALTH, guard};
use crate::model::*;
use crate::names::hint;
use crate::store::StoredRun;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use ctos_runtime::RunError;
use ctos_runtime::config::StrategySettings;
use ctos_runtime::instance::{AskError, Handle, Names};
use ctos_runtime::view::View;
use ctos_storage::home::{ApiToken, Home};
use ctos_types::{Control, HaltScope, KillState, StrategyId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest request body.
const BODY_BYTES: usize = 16 * 1024;
/// Longest reason that is kept.
const REASON_CHARS: usize = 500;
/// Rows a list gives when nothing is said, and at most.
const ROWS: u32 = 100;
const ROWS_MAX: u32 = 10_000;

pub(crate) struct App {
    pub handle: Handle,
    pub names: Names,
    /// Every scope of the run, as text.
    pub scopes: Vec<String>,
    pub strategies: Vec<StrategySettings>,
    pub run_id: String,
    pub token: ApiToken,
    pub address: SocketAddr,
    pub home: Arc<Home>,
    pub slots: Semaphore,
}

pub(crate) type Answer<T> = Result<Json<T>, ApiError>;
pub(crate) type Ours = State<Arc<App>>;

pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/summary", get(summary))
        .route("/orders", get(orders))
        .route("/positions", get(positions))
        .route("/fills", get(fills))
        .route("/strategies", get(strategies))
        .route("/strategies/{id}/start", post(start_strategy))
        .route("/strategies/{id}/stop", post(stop_strategy))
        .route("/halts", get(halts))
        .route("/halt", post(halt))
        .route("/resume", post(resume))
        .route("/stop", post(stop))
        .route("/record", get(crate::record::look))
        .route("/record/start", post(crate::record::start))
        .route("/record/stop", post(crate::record::stop))
        .route("/call", post(crate::call::call))
        .route("/account/check", post(crate::call::check))
        .route("/venue", get(crate::call::places).post(crate::call::venue));
    Router::new()
        .route(HEALTH, get(health))
        .nest("/api/v1", routes)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is no such route", "the API is under /api/v1; see docs/cli.md")
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "the route takes another method", "read with GET, change with POST")
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() })
}

// ---- reading

impl App {
    fn view(&self) -> Result<Arc<View>, ApiError> {
        let starting =
            || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the run is still starting", "try again in a moment");
        self.handle.view.latest().ok_or_else(starting)
    }

    fn halts(&self, view: &View) -> Vec<HaltLine> {
        let line = |l: &ctos_runtime::view::LatchView| {
            let scope = self.names.of_scope(l.scope);
            HaltLine {
                open_orders: Some(open_in_scope(view, &scope)),
                scope,
                state: l.latch.state,
                reason: l.latch.reason.clone(),
                since: l.latch.since.to_string(),
            }
        };
        view.latches.iter().map(line).collect()
    }

    fn strategies(&self, view: &View) -> Vec<StrategyLine> {
        let line = |p: &ctos_runtime::view::ProcessView| {
            let settings = self.strategies.get(p.id as usize);
            StrategyLine {
                id: p.label.clone(),
                kind: settings.map(|s| s.name.clone()).unwrap_or_default(),
                account: p.account.clone(),
                state: ctos_runtime::summary::state_text(&p.state),
                params: settings.map(|s| s.params.clone()).unwrap_or_default(),
            }
        };
        view.processes.iter().map(line).collect()
    }

    fn run_id(&self) -> Option<String> {
        Some(self.run_id.clone())
    }
}

async fn status(State(app): Ours) -> Answer<Status> {
    let view = app.view()?;
    Ok(Json(Status {
        running: true,
        run_id: app.run_id(),
        state: "running".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        pid: Some(std::process::id()),
        address: Some(app.address.to_string()),
        summary: Some(view.summary.clone()),
        positions: view.positions.iter().map(PositionLine::from).collect(),
        strategies: app.strategies(&view),
        halts: app.halts(&view),
        markets: view.markets.clone(),
        degraded: view.degraded.clone(),
        live: view.live.clone(),
        runs: Vec::new(),
    }))
}

async fn summary(State(app): Ours) -> Answer<ctos_runtime::summary::Summary> {
    Ok(Json(app.view()?.summary.clone()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrdersQuery {
    /// `1` or `true`: closed orders too, from the store.
    #[serde(default)]
    all: String,
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FillsQuery {
    limit: Option<u32>,
}

async fn orders(State(app): Ours, query: Result<Query<OrdersQuery>, QueryRejection>) -> Answer<Orders> {
    let query = asked(query)?;
    let limit = rows(query.limit)?;
    match query.all.as_str() {
        "1" | "true" => stored(app, move |run| run.orders(true, limit)).await,
        "" | "0" | "false" => {
            let view = app.view()?;
            let orders = view.orders.iter().rev().take(limit as usize).map(OrderLine::from).collect();
            Ok(Json(Orders { running: true, run_id: app.run_id(), orders }))
        }
        other => Err(bad_request(format!("all is {other:?}"), "write all=1 or leave it out")),
    }
}

async fn positions(State(app): Ours) -> Answer<Positions> {
    let view = app.view()?;
    let positions = view.positions.iter().map(PositionLine::from).collect();
    Ok(Json(Positions { running: true, run_id: app.run_id(), positions, balances: balances_of(&view.summary) }))
}

async fn fills(State(app): Ours, query: Result<Query<FillsQuery>, QueryRejection>) -> Answer<Fills> {
    let limit = rows(asked(query)?.limit)?;
    stored(app, move |run| run.fills(limit)).await
}

async fn strategies(State(app): Ours) -> Answer<Strategies> {
    let view = app.view()?;
    Ok(Json(Strategies { running: true, run_id: app.run_id(), strategies: app.strategies(&view) }))
}

async fn halts(State(app): Ours) -> Answer<Halts> {
    let view = app.view()?;
    Ok(Json(Halts { running: true, halts: app.halts(&view) }))
}

/// Asks the store, off the API's thread.
async fn stored<T, F>(app: Arc<App>, read: F) -> Answer<T>
where
    T: Send + 'static,
    F: FnOnce(&StoredRun) -> Result<T, RunError> + Send + 'static,
{
    let work = move || {
        let dir = app.home.run(&app.run_id)?;
        read(&StoredRun::open(&app.home, dir, true)?)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(found)) => Ok(Json(found)),
        Ok(Err(RunError::User(e))) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, e.message, e.hint)),
        Ok(Err(RunError::Internal(e))) => Err(internal(e)),
        Err(panic) => Err(internal(panic.to_string())),
    }
}

// ---- changing

async fn halt(State(app): Ours, body: Result<Json<HaltRequest>, JsonRejection>) -> Answer<HaltDone> {
    let request = given(body)?;
    if request.state == KillState::Active {
        return Err(bad_request("state ACTIVE does not halt".into(), "release a halt with POST /api/v1/resume"));
    }
    let scope = scope(&app, &request.scope)?;
    let reason = reason(request.reason, "asked for through the API");
    control(&app, Control::Halt { scope, state: request.state, reason }).await?;
    let view = app.view()?;
    let state = view.latches.iter().find(|l| l.scope == scope).map_or(request.state, |l| l.latch.state);
    let open_orders = Some(open_in_scope(&view, &request.scope));
    Ok(Json(HaltDone { running: true, scope: request.scope, state, open_orders }))
}

async fn resume(State(app): Ours, body: Result<Json<ResumeRequest>, JsonRejection>) -> Answer<ResumeDone> {
    let request = given(body)?;
    let scope = scope(&app, &request.scope)?;
    let latched = app.view()?.latches.iter().any(|l| l.scope == scope);
    control(&app, Control::Resume { scope, reason: reason(request.reason, "asked for through the API") }).await?;
    let view = app.view()?;
    let released = latched && !view.latches.iter().any(|l| l.scope == scope);
    Ok(Json(ResumeDone { running: true, scope: request.scope, released, halts: app.halts(&view) }))
}

async fn stop(State(app): Ours, body: Result<Json<StopRequest>, JsonRejection>) -> Answer<StopDone> {
    let request = given(body)?;
    app.handle.stop(&reason(request.reason, "asked for through the API"));
    Ok(Json(StopDone { run_id: app.run_id.clone(), stopping: true }))
}

async fn start_strategy(State(app): Ours, Path(id): Path<String>) -> Answer<StrategyLine> {
    let strategy = strategy(&app, &id)?;
    control(&app, Control::StartStrategy { strategy }).await?;
    one_strategy(&app, &id)
}

async fn stop_strategy(State(app): Ours, Path(id): Path<String>) -> Answer<StrategyLine> {
    let strategy = strategy(&app, &id)?;
    control(&app, Control::StopStrategy { strategy }).await?;
    one_strategy(&app, &id)
}

fn one_strategy(app: &App, id: &str) -> Answer<StrategyLine> {
    let view = app.view()?;
    let found = app.strategies(&view).into_iter().find(|s| s.id == id);
    found.map(Json).ok_or_else(|| internal(format!("strategy {id} is configured but not in the kernel")))
}

/// Passes a control input to the shard and waits until it is durable.
async fn control(app: &Arc<App>, control: Control) -> Result<(), ApiError> {
    let asked = app.clone();
    match tokio::task::spawn_blocking(move || asked.handle.control(control)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(ask_error(&e)),
        Err(panic) => Err(internal(panic.to_string())),
    }
}

fn ask_error(e: &AskError) -> ApiError {
    let (status, hint) = match e {
        AskError::Ended => (StatusCode::SERVICE_UNAVAILABLE, "start it again with `ctos run`"),
        AskError::Busy(_) => (StatusCode::GATEWAY_TIMEOUT, "the watchdog halts it if it stays so; try again"),
        AskError::Refused(_) => (StatusCode::INSUFFICIENT_STORAGE, "free disk space, then try again"),
    };
    ApiError::new(status, e.to_string(), hint)
}

// ---- what was asked

fn scope(app: &App, text: &str) -> Result<HaltScope, ApiError> {
    app.names.scope(text).ok_or_else(|| {
        let hint = hint(text, "scopes", app.scopes.iter().map(String::as_str));
        ApiError::new(StatusCode::NOT_FOUND, format!("there is no scope {text:?} in this run"), hint)
    })
}

fn strategy(app: &App, id: &str) -> Result<StrategyId, ApiError> {
    match app.names.scope(&format!("strategy:{id}")) {
        Some(HaltScope::Strategy(id)) => Ok(id),
        _ => {
            let hint = hint(id, "strategies", app.strategies.iter().map(|s| s.id.as_str()));
            Err(ApiError::new(StatusCode::NOT_FOUND, format!("there is no strategy {id:?} in this run"), hint))
        }
    }
}

fn reason(given: String, otherwise: &str) -> String {
    let line: String = given.trim().chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect();
    if line.is_empty() { otherwise.into() } else { line }
}

fn rows(limit: Option<u32>) -> Result<u32, ApiError> {
    match limit.unwrap_or(ROWS) {
        n @ 1..=ROWS_MAX => Ok(n),
        n => Err(bad_request(format!("limit is {n}"), &format!("write a limit from 1 to {ROWS_MAX}"))),
    }
}

pub(crate) fn bad_request(error: String, hint: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, error, hint)
}

pub(crate) fn internal(error: String) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error, "look into the log, and ask `ctos doctor`")
}

fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(q)| q).map_err(|e| ApiError::new(e.status(), e.body_text(), "check the part after the `?`"))
}

pub(crate) fn given<T: DeserializeOwned>(body: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    let hint = "send a JSON object with `Content-Type: application/json`";
    body.map(|Json(b)| b).map_err(|e| ApiError::new(e.status(), e.body_text(), hint))
}
