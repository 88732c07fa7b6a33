//! `GET /record`, `POST /record/start`, `POST /record/stop`: the switch that records the run's live markets.
//! Never: waits for a disk on the API's one thread, or takes a directory that depends on where the instance stands.

use crate::call::beside;
use crate::model::{ApiError, RecordRequest};
use crate::routes::{Answer, App, Ours, bad_request, given};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use ctos_runtime::live::{RecordDone, Recording, RecordingStatus};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// A run without a live market has no row, and is never on.
pub(crate) async fn look(State(app): Ours) -> Answer<RecordingStatus> {
    Ok(Json(app.handle.recording().map_or_else(RecordingStatus::default, |r| r.status())))
}

pub(crate) async fn start(State(app): Ours, body: Result<Json<RecordRequest>, JsonRejection>) -> Answer<RecordDone> {
    let dir = given(body)?.dir.map(PathBuf::from);
    if let Some(relative) = dir.as_ref().filter(|d| !d.is_absolute()) {
        let error = format!("dir {:?} is not absolute", relative.display());
        return Err(bad_request(error, "name it from the root on: only the caller knows where it stands"));
    }
    let recording = of(&app)?;
    beside(move || Ok(recording.start(dir.as_deref())?)).await
}

/// The body says nothing; an object is taken so that every POST looks alike.
pub(crate) async fn stop(State(app): Ours, body: Result<Json<Value>, JsonRejection>) -> Answer<RecordDone> {
    given(body)?;
    let recording = of(&app)?;
    beside(move || Ok(recording.stop()?)).await
}

fn of(app: &App) -> Result<Arc<Recording>, ApiError> {
    app.handle.recording().cloned().ok_or_else(|| {
        let hint = "record one with `ctos run --market binance`; what any run received is in its journal: \
                    `ctos data record` takes it into the catalog";
        ApiError::new(StatusCode::CONFLICT, "this run has no live market that could be recorded", hint)
    })
}
