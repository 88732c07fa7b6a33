//! `replay`: re-steps a run's journal through a fresh kernel and compares every command with what was recorded.

use crate::shard::RecoverError;
use crate::shard::recover::{Inputs, check_commands, read_body};
use ctos_kernel::{Kernel, Output};
use ctos_storage::journal::{JournalError, JournalReader};
use ctos_storage::snapshot::Snapshot;
use serde::Serialize;

/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Input whose step gave other commands.
    pub seq: u64,
    /// Its market time.
    pub at: String,
    /// The input itself: the cause.
    pub event: String,
    pub recorded: String,
    pub replayed: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    pub run_id: String,
    pub identical: bool,
    /// First input re-stepped: 0, or where the oldest kept snapshot ends.
    pub from_seq: u64,
    pub inputs: u64,
    pub commands: u64,
    pub command_hash: String,
    /// What the run itself reported at its end, if it ended.
    pub recorded_hash: Option<String>,
    pub divergence: Option<Divergence>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("snapshot at input {seq}: {why}")]
    Snapshot { seq: u64, why: String },
    #[error("the journal begins at input {first} and no snapshot leads up to it")]
    NoStart { first: u64 },
}

/// Replays `reader` on `kernel`, which is fresh or will be set to `snapshot`.
pub fn replay(
    run_id: &str,
    mut kernel: Kernel,
    snapshot: Option<&Snapshot>,
    reader: JournalReader,
    recorded_hash: Option<String>,
) -> Result<ReplayReport, ReplayError> {
    if let Some(snapshot) = snapshot {
        let fail = |why: String| ReplayError::Snapshot { seq: snapshot.seq, why };
        let body = read_body(snapshot).map_err(fail)?;
        kernel.restore(&body.kernel).map_err(|e| fail(e.to_string()))?;
    }
    let from_seq = kernel.next_input();
    let mut report = ReplayReport {
        run_id: run_id.into(),
        identical: true,
        from_seq,
        inputs: 0,
        commands: 0,
        command_hash: String::new(),
        recorded_hash,
        divergence: None,
    };
    let mut inputs = Inputs::new(reader);
    let mut out = Output::default();
    while let Some(journaled) = inputs.next()? {
        if journaled.seq < from_seq {
            continue;
        }
        if journaled.seq > kernel.next_input() {
            return Err(ReplayError::NoStart { first: journaled.seq });
        }
        journaled.step(&mut kernel, &mut out);
        report.inputs += 1;
        report.commands += out.commands.len() as u64;
        if let Err(RecoverError::Commands { seq, recorded, now }) = check_commands(&journaled, &out) {
            let (at, event) = (journaled.at.to_string(), format!("{:?}", journaled.event.as_event()));
            report.divergence = Some(Divergence { seq, at, event, recorded, replayed: now });
            break;
        }
    }
    report.command_hash = kernel.command_hash();
    let hashes_agree = report.recorded_hash.as_ref().is_none_or(|h| *h == report.command_hash);
    report.identical = report.divergence.is_none() && hashes_agree;
    Ok(report)
}
