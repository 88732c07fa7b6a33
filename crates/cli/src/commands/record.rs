//! `record`: the switch that records the live market of the running instance.
//! Never: records anything itself.

use super::switch::running;
use crate::args::{Global, RecordCommand};
use crate::client::Client;
use crate::error::CliError;
use crate::out::{self, short_time};
use crate::settings;
use ctos_runtime::live::{MarketRecording, RecordDone, RecordingStatus};
use ctos_server::model::RecordRequest;
use serde_json::json;
use std::path::{Path, PathBuf};

pub fn record(global: &Global, command: Option<&RecordCommand>) -> Result<(), CliError> {
    let dir = match command {
        Some(RecordCommand::Start { dir: Some(dir) }) => Some(named(dir)?),
        _ => None,
    };
    let client: Client = running(&settings::home(global)?)?;
    match command {
        None => out::show(global.json, &client.get::<RecordingStatus>("/record")?, status_text),
        Some(RecordCommand::Start { .. }) => {
            let done: RecordDone = client.post("/record/start", &RecordRequest { dir })?;
            out::show(global.json, &done, |d| done_text(d, "it is recorded already"))
        }
        Some(RecordCommand::Stop) => {
            let done: RecordDone = client.post("/record/stop", &json!({}))?;
            out::show(global.json, &done, |d| done_text(d, "nothing was being recorded"))
        }
    }
}

/// As the instance can find it, which stands elsewhere.
fn named(dir: &Path) -> Result<String, CliError> {
    let bad = |why: String| CliError::user(format!("cannot record in {dir:?}: {why}"), "name a directory");
    let whole: PathBuf = std::path::absolute(dir).map_err(|e| bad(e.to_string()))?;
    whole.into_os_string().into_string().map_err(|_| bad("its name is no text".into()))
}

fn done_text(done: &RecordDone, unchanged: &str) -> String {
    let mut text = if done.changed { String::new() } else { format!("{unchanged}\n") };
    if done.changed && !done.recording.on {
        text += "turned off; what was recorded:\n";
    }
    for notice in &done.notices {
        text += &format!("{notice}\n");
    }
    if done.recording.on {
        text += &status_text(&done.recording);
    }
    text
}

fn status_text(r: &RecordingStatus) -> String {
    let Some(dir) = r.dir.as_ref().map(|d| d.display()) else {
        return match r.markets.is_empty() {
            true => "this run has no live market that could be recorded\n".into(),
            false => "nothing is recorded; turn it on with `ctos record start`\n".into(),
        };
    };
    let since = r.since.map_or(String::new(), |at| format!(" since {}", short_time(&at.to_string())));
    let mut text = match r.on {
        true => format!("recording into {dir}{since}\n"),
        false => format!("nothing is recorded now; the last recording is in {dir}\n"),
    };
    let rows: Vec<Vec<String>> = r.markets.iter().map(row).collect();
    let head = ["market", "state", "files", "frames", "MB", "holes told", "lost", "books to come"];
    text += &out::table(&head, &[2, 3, 4, 5, 6, 7], &rows);
    for m in &r.markets {
        if let Some(fault) = &m.fault {
            text += &format!("{}: the recording ended: {fault}\n", m.name);
        }
    }
    text
}

fn row(m: &MarketRecording) -> Vec<String> {
    let state = if m.on { "on" } else { "off" };
    vec![
        m.name.clone(),
        state.into(),
        m.files.to_string(),
        m.frames.to_string(),
        format!("{:.2}", m.bytes as f64 / 1e6),
        m.gaps.to_string(),
        m.lost.to_string(),
        out::or_dash(m.books_missing),
    ]
}

/// The line of `ctos status`, where there is something to say.
pub fn line(r: &RecordingStatus) -> Option<String> {
    let fault = r.markets.iter().find_map(|m| m.fault.as_ref());
    let lost: u64 = r.markets.iter().map(|m| m.lost).sum();
    let lost = if lost > 0 { format!(", {lost} frames lost to a slow disk") } else { String::new() };
    let dir = r.dir.as_ref()?.display();
    match (r.on, fault) {
        (true, None) => Some(format!("recording into {dir}: {} frames{lost}\n", r.frames)),
        (true, Some(fault)) => Some(format!("RECORDING IN PART into {dir}: {fault}\n")),
        (false, Some(fault)) => Some(format!("THE RECORDING HAS ENDED: {fault}; `ctos record start` begins anew\n")),
        (false, None) => None,
    }
}
