//! `POST /call`: one syscall through this instance; orders pass its gates, and what it asks a venue goes through its
//! gateway. `POST /account/check` and `/venue` are questions of the same kind.
//! Never: waits on the API's one thread, or opens a connection to a venue.

use crate::model::{AccountCheck, ApiError, CallDone, CallRequest, OrderLine, Places, VenueRequest};
use crate::routes::{Answer, App, Ours, bad_request, given, internal};
use crate::store::StoredRun;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use ctos_runtime::oneshot::{
    AccountReport, Args, Through, Told, at_the_venue, check_within, may_ask_for_loans, millis,
};
use ctos_runtime::runs::{RunRecord, record_of};
use ctos_runtime::{RunError, UserError};
use ctos_types::AccountId;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows of the store among which a closed order is looked for, newest first.
const LOOK_BACK: u32 = 1_000;

pub(crate) async fn call(State(app): Ours, body: Result<Json<CallRequest>, JsonRejection>) -> Answer<CallDone> {
    let request = given(body)?;
    beside(move || Ok(CallDone { result: carry_out(&app, &request)? })).await
}

/// `POST /account/check`.
pub(crate) async fn check(State(app): Ours, body: Result<Json<AccountCheck>, JsonRejection>) -> Answer<AccountReport> {
    let AccountCheck { account } = given(body)?;
    let work = move || {
        let record = record(&app)?;
        let (at, _) = record.settings.account(&account).map_err(UserError::from)?;
        Ok(check_within(&app.handle, &record.settings, at)?)
    };
    beside(work).await
}

/// `GET /venue`.
pub(crate) async fn places(State(app): Ours) -> Answer<Places> {
    Ok(Json(Places { places: app.handle.callers().places() }))
}

/// `POST /venue`.
pub(crate) async fn venue(State(app): Ours, body: Result<Json<VenueRequest>, JsonRejection>) -> Answer<Told> {
    let VenueRequest { place, question } = given(body)?;
    beside(move || Ok(app.handle.callers().pass(&place, &question)?)).await
}

/// Waits for `work` beside the API's one thread.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Answer<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(Json(done)),
        Ok(Err(RunError::User(UserError { message, hint }))) => Err(bad_request(message, &hint)),
        Ok(Err(RunError::Internal(e))) => Err::<_, ApiError>(internal(e)),
        Err(panic) => Err(internal(panic.to_string())),
    }
}

fn record(app: &App) -> Result<RunRecord, RunError> {
    record_of(&app.home.run(&app.run_id)?)
}

fn carry_out(app: &Arc<App>, request: &CallRequest) -> Result<Value, RunError> {
    let args = Args::named(&request.syscall, &request.args)?;
    let record = record(app)?;
    let (at, account) = record.settings.account(request.account.as_deref().unwrap_or("0")).map_err(UserError::from)?;
    if let Some(answer) = at_the_venue(&app.handle, &record.settings, at, &args) {
        return Ok(answer?);
    }
    may_ask_for_loans(&args, account)?;
    let closed = |id: &str| closed_order(app, id);
    let through = Through {
        handle: &app.handle,
        instruments: &record.instruments,
        account: AccountId(at as u16),
        account_name: &account.id,
        closed: &closed,
    };
    Ok(through.call(&args)?)
}

/// An order that has ended, once the store has it.
fn closed_order(app: &Arc<App>, id: &str) -> Option<Value> {
    let run = StoredRun::open(&app.home, app.home.run(&app.run_id).ok()?, true).ok()?;
    let orders = run.orders(true, LOOK_BACK).ok()?.orders;
    let over = ["filled", "canceled", "rejected", "expired", "denied"];
    orders.iter().find(|o| o.id == id && over.contains(&o.status.as_str())).map(line)
}

fn line(o: &OrderLine) -> Value {
    json!({
        "orderId": o.id,
        "clientId": o.id,
        "symbol": o.symbol,
        "side": o.side,
        "orderType": o.kind,
        "price": o.price,
        "trigger": o.trigger,
        "quantity": o.qty,
        "filledQuantity": o.filled,
        "status": o.status,
        "reason": o.reason,
        // The store writes it in capitals.
        "strategy": if o.strategy == "EXTERNAL" { "external" } else { o.strategy.as_str() },
        "createdAt": millis(&o.created),
        "updatedAt": millis(&o.updated),
    })
}
