//! `replay`: re-steps a run from its journal and says whether it decides the same again.

use crate::args::Global;
use crate::error::CliError;
use crate::{out, settings};
use ctos_runtime::replay::ReplayReport;
use ctos_runtime::runs;
use ctos_storage::home::{Home, HomeError};
use ctos_strategies::Catalog;

/// Exit code when the replay differs from the recording.
const DIVERGED: u8 = 1;

pub fn replay(global: &Global, catalog: Catalog, run: &str) -> Result<(), CliError> {
    let home = Home::read_only(&settings::home(global)?)?;
    let run_id = find(&home, run)?;
    let report = runs::replay(&home, &run_id, catalog)?;
    out::show(global.json, &report, text)?;
    if report.identical { Ok(()) } else { Err(CliError::Silent(DIVERGED)) }
}

/// The id of the run that `text` names.
pub fn find(home: &Home, text: &str) -> Result<String, CliError> {
    if text == "latest" {
        let none =
            || CliError::user(format!("{} holds no run yet", home.path().display()), "start one with `ctos run`");
        return Ok(home.latest_run()?.ok_or_else(none)?.id);
    }
    match home.run(text) {
        Ok(dir) => Ok(dir.id),
        Err(HomeError::NoRun { .. } | HomeError::BadRunId { .. }) => {
            let runs = home.runs()?;
            let hint = match ctos_server::nearest(text, runs.iter().map(|r| r.id.as_str())) {
                Some(near) => format!("did you mean {near}? `ctos status` lists the runs; `latest` is the last one"),
                None => "`ctos status` lists the runs; `latest` is the last one".into(),
            };
            Err(CliError::user(format!("there is no run {text:?} in {}", home.path().display()), hint))
        }
        Err(e) => Err(e.into()),
    }
}

fn text(r: &ReplayReport) -> String {
    let mut text = format!(
        "run {}: {}\n{} inputs from input {}, {} commands, command hash {}\n",
        r.run_id,
        if r.identical { "identical" } else { "DIVERGED" },
        r.inputs,
        r.from_seq,
        r.commands,
        r.command_hash
    );
    if let Some(d) = &r.divergence {
        text += &format!(
            "first divergence after input {} at {}\n  cause     {}\n  recorded  {}\n  replayed  {}\n",
            d.seq, d.at, d.event, d.recorded, d.replayed
        );
    } else if !r.identical {
        text += &format!(
            "every command is the same, but the run reported command hash {}\n",
            out::or_dash(r.recorded_hash.as_ref())
        );
    }
    text
}
