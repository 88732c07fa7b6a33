//! What one-shot orders were meant to be, written down before they leave.
//! Never: an id used twice, or an order sent whose intent is not on the disk.

use super::Args;
use crate::UserError;
use ctos_types::{ClientOrderId, InstanceTag, UnixNanos};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// Gives client order ids, each with its intent made durable.
pub trait Intents: Send {
    fn record(&mut self, account: &str, args: &Args) -> Result<ClientOrderId, UserError>;
}

/// A file of one JSON line an order, `calls.jsonl` in the home.
#[derive(Debug)]
pub struct IntentLog {
    path: PathBuf,
    last: u64,
    wall: fn() -> UnixNanos,
}

impl IntentLog {
    /// `wall`: the machine's clock; ids follow from it, so that two programs that do not know of each other give
    /// different ones.
    pub fn new(home: &std::path::Path, wall: fn() -> UnixNanos) -> IntentLog {
        IntentLog { path: home.join("calls.jsonl"), last: 0, wall }
    }
}

impl Intents for IntentLog {
    fn record(&mut self, account: &str, args: &Args) -> Result<ClientOrderId, UserError> {
        let now = (self.wall)();
        let seq = u64::try_from(now.0).unwrap_or_default().max(self.last + 1);
        self.last = seq;
        let id = ClientOrderId { tag: InstanceTag::ONE_SHOT, seq };
        let line = json!({
            "at": now.to_string(),
            "account": account,
            "cl_ord_id": id.to_string(),
            "syscall": args.syscall.name,
            "args": args.to_named(),
        });
        let failed = |e: std::io::Error| {
            UserError::new(
                format!("the order was not sent, for its intent cannot be written to {}: {e}", self.path.display()),
                "free disk space, or name a home that can be written with --home",
            )
        };
        let write = || {
            if let Some(home) = self.path.parent() {
                fs::create_dir_all(home)?;
            }
            let is_new = !self.path.exists();
            let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            // One write: lines of two programs do not mix.
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()?;
            match self.path.parent().filter(|_| is_new) {
                Some(home) => fs::File::open(home)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(failed)?;
        Ok(id)
    }
}
