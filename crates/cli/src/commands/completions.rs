//! `completions`: a script for the user's shell.

use crate::args::{Cli, Global};
use crate::error::CliError;
use crate::out;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use serde_json::json;

pub fn completions(global: &Global, shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "ctos", &mut script);
    let script = String::from_utf8(script).map_err(CliError::internal)?;
    out::show(global.json, &json!({ "shell": shell.to_string(), "script": script }), |_| script.clone())
}
