//! What can only be measured in a process of its own: the most memory that it ever held, and what two of them get done.
//! Never: measures in this process, where the memory of earlier measurements stays.

use crate::{backtest, internal, memory, sweep};
use ctos_runtime::{RunError, UserError};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};

/// What such a process says before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alone {
    /// The most memory it held; `None` where the system does not say.
    pub bytes: Option<u64>,
    /// Market events, of books level changes.
    pub events: u64,
}

/// The work of such a process: `words` name it, and what it works on. Its answers go to stdout.
///
/// # Errors
/// Words that name nothing, and what the work meets.
pub fn run(words: &[String]) -> Result<Alone, RunError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let events = match words.as_slice() {
        ["sweep", dir] => {
            sweep::serve(Path::new(dir))?;
            0
        }
        ["load", market, strategy, out] => memory::once(market, strategy, Path::new(out))?,
        [name, events] => backtest::once(name, number(events)?)?,
        _ => return Err(nothing(&words.join(" "))),
    };
    Ok(Alone { bytes: peak(), events })
}

fn nothing(what: &str) -> RunError {
    UserError::new(format!("nothing is measured alone by the name {what:?}"), "run `ctos bench` without --alone").into()
}

fn number(text: &str) -> Result<usize, RunError> {
    text.parse().map_err(|_| nothing(text))
}

/// The most memory that this process held, in bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// This very program, to do the work that `words` name.
pub(crate) fn command(words: &[&str]) -> Result<Command, RunError> {
    let mut command = Command::new(std::env::current_exe().map_err(internal)?);
    command.args(["bench", "--json", "--alone"]).args(words).stdin(Stdio::null());
    Ok(command)
}

/// Lets a process of its own do the work.
pub(crate) fn ask(words: &[&str]) -> Result<Alone, RunError> {
    let output = command(words)?.output().map_err(internal)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(internal(format!("{}: {said}", words.join(" "))));
    }
    serde_json::from_slice(&output.stdout).map_err(internal)
}
