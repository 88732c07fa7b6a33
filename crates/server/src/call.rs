//! `POST /call`: one syscall through this instance; orders pass its gates.
//! Never: waits on the API's one thread, or reaches a venue by itself.

use crate::model::{ApiError, CallDone, CallRequest, OrderLine};
use crate::routes::{Answer, App, Ours, bad_request, given, internal};
use crate::store::StoredRun;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use ctos_runtime::oneshot::{Args, Through, millis};
use ctos_runtime::runs::record_of;
use ctos_runtime::{RunError, UserError};
use ctos_types::AccountId;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows of the store among which a closed order is looked for, newest first.
const LOOK_BACK: u32 = 1_000;

pub(crate) async fn call(State(app): Ours, body: Result<Json<CallRequest>, JsonRejection>) -> Answer<CallDone> {
    let request = given(body)?;
    match tokio::task::spawn_blocking(move || carry_out(&app, &request)).await {
        Ok(Ok(result)) => Ok(Json(CallDone { result })),
        Ok(Err(RunError::User(UserError { message, hint }))) => Err(bad_request(message, &hint)),
        Ok(Err(RunError::Internal(e))) => Err::<_, ApiError>(internal(e)),
        Err(panic) => Err(internal(panic.to_string())),
    }
}

fn carry_out(app: &Arc<App>, request: &CallRequest) -> Result<Value, RunError> {
    let args = Args::named(&request.syscall, &request.args)?;
    let record = record_of(&app.home.run(&app.run_id)?)?;
    let (at, account) = record.settings.account(request.account.as_deref().unwrap_or("0")).map_err(UserError::from)?;
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
