//! Everything the kernel knows, as one JSON value: with the inputs that follow, it gives the same future.

use crate::core::State;
use crate::kernel::{Kernel, ProcessState};
use ctos_types::InstanceTag;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Raised when the meaning of the saved state changes.
const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the snapshot has schema {found}, this version reads {SCHEMA}")]
    Schema { found: u32 },
    #[error("the snapshot does not match this configuration: {0}")]
    Mismatch(String),
    #[error("the snapshot cannot be read: {0}")]
    Malformed(String),
    #[error("strategy {label} cannot restore its state: {why}")]
    Strategy { label: String, why: String },
}

#[derive(Serialize, Deserialize)]
struct SavedProcess {
    label: String,
    state: ProcessState,
    saved: Value,
}

/// A kernel's state, borrowed: it goes to text without a copy in between.
#[derive(Serialize)]
pub struct Saved<'a> {
    schema: u32,
    tag: InstanceTag,
    state: &'a State,
    processes: Vec<SavedProcess>,
}

impl std::fmt::Debug for Saved<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved").field("next_input", &self.state.next_input).finish_non_exhaustive()
    }
}

impl Kernel {
    /// State after the last input, to be serialised as JSON.
    pub fn save(&self) -> Saved<'_> {
        let processes = self
            .process_states()
            .map(|(label, state, saved)| SavedProcess { label: label.into(), state: state.clone(), saved })
            .collect();
        Saved { schema: SCHEMA, tag: self.core.tag, state: &self.core.s, processes }
    }

    /// Goes back to a saved state. The kernel must have been built from the same configuration.
    ///
    /// Latches are those of the snapshot, not those of the configuration: inputs that follow the snapshot must have
    /// the effect they had. A latch from elsewhere comes as a `Control::Halt` after them.
    /// After an error the kernel is unusable.
    pub fn restore(&mut self, saved: &Value) -> Result<(), RestoreError> {
        let malformed = |e: serde_json::Error| RestoreError::Malformed(e.to_string());
        let schema = saved["schema"].as_u64().unwrap_or(0) as u32;
        if schema != SCHEMA {
            return Err(RestoreError::Schema { found: schema });
        }
        if saved["tag"] != json!(self.core.tag) {
            return Err(RestoreError::Mismatch("other instance tag: its orders would count as somebody else's".into()));
        }
        let mut state: State = State::deserialize(&saved["state"]).map_err(malformed)?;
        state.orders.rebuild_index();
        if state.markets.len() != self.core.instruments.len() || state.traffic.len() != self.core.accounts.len() {
            return Err(RestoreError::Mismatch("other instruments or accounts".into()));
        }
        let processes: Vec<SavedProcess> = Vec::deserialize(&saved["processes"]).map_err(malformed)?;
        for (at, p) in processes.iter().enumerate() {
            if self.process_label(at) != Some(&p.label) {
                return Err(RestoreError::Mismatch(format!("strategy {} is not at its place", p.label)));
            }
        }
        for (at, p) in processes.into_iter().enumerate() {
            self.restore_process(at, p.state, &p.saved)
                .map_err(|why| RestoreError::Strategy { label: p.label, why })?;
        }
        self.core.s = state;
        self.core.restore_rules();
        self.core.worths.fill_with(Default::default);
        Ok(())
    }
}
