//! Homes, instances in them, and processes that die in them.

use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::instance::Instance;
use ctos_runtime::runs::{self, NamedLatches, RunRecord, StartOptions};
use ctos_runtime::summary::Summary;
use ctos_runtime::world::Catalog;
use ctos_runtime::{RunError, UserError};
use ctos_storage::home::{Home, RunDir};
use ctos_types::KillState;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Tells the test binary, started again, which home to die in.
const CHILD_HOME: &str = "CTOS_TEST_CHILD_HOME";

pub struct TestHome(tempfile::TempDir);

impl TestHome {
    pub fn new() -> TestHome {
        TestHome(tempfile::tempdir().unwrap())
    }
    pub fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }
    pub fn read(&self) -> Home {
        Home::read_only(&self.path()).unwrap()
    }
    pub fn latest(&self) -> RunDir {
        self.read().latest_run().unwrap().unwrap()
    }
    pub fn record(&self) -> RunRecord {
        runs::record_of(&self.latest()).unwrap()
    }
    pub fn latches(&self) -> NamedLatches {
        self.read().read_latches().unwrap().unwrap_or_default()
    }
    pub fn system(&self) -> KillState {
        self.latches().get("system").map_or(KillState::Active, |l| l.state)
    }

    /// Runs `settings` in a process that is killed in disk operation `n`. False when it ended before.
    pub fn die_in(&self, n: u64) -> bool {
        let status = self.child("support::child_that_is_killed", &[("CTOS_CRASH_AT", &n.to_string())]);
        !status.success()
    }

    /// Starts one test of this binary as a process of its own.
    pub fn child(&self, test: &str, env: &[(&str, &str)]) -> ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--quiet"]).env(CHILD_HOME, self.path());
        command.envs(env.iter().copied()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.status().unwrap()
    }
}

/// The home to work in, if this process is a child.
pub fn child_home() -> Option<PathBuf> {
    std::env::var_os(CHILD_HOME).map(PathBuf::from)
}

/// A busy minute at full speed; `more` are settings by path.
pub fn settings(home: &Path, more: &[(&str, &str)]) -> Settings {
    let mut layers = Layers::new();
    let usual = [
        ("home", home.to_str().unwrap()),
        ("market", "synthetic"),
        ("symbols", "sim:BTC-USDT-PERP"),
        ("speed", "max"),
        ("duration", "60s"),
        ("api.enabled", "false"),
    ];
    for (path, text) in usual.iter().chain(more) {
        layers.flag("--conf", path, text);
    }
    layers.flag_strategy("grid");
    for (key, text) in [("spacing", "0.005"), ("levels", "6")] {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

pub fn start(settings: Settings) -> Result<Instance, RunError> {
    start_with(settings, Catalog::BUILT_IN)
}

pub fn start_with(settings: Settings, catalog: Catalog) -> Result<Instance, RunError> {
    let hung = |what| panic!("the watchdog acted: {what:?}");
    Ok(runs::start(settings, StartOptions { catalog, ..StartOptions::new(hung) })?.0)
}

/// A whole run.
pub fn run(home: &TestHome, more: &[(&str, &str)]) -> Summary {
    start(settings(&home.path(), more)).unwrap().join().unwrap()
}

#[track_caller]
pub fn refused<T>(result: Result<T, RunError>) -> UserError {
    match result {
        Err(RunError::User(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

pub fn is_identical(home: &TestHome) -> bool {
    runs::replay(&home.read(), &home.latest().id, Catalog::BUILT_IN).unwrap().identical
}

/// Not a test of its own: the body of [`TestHome::die_in`]'s process.
#[test]
fn child_that_is_killed() {
    if let Some(home) = child_home() {
        start(settings(&home, &[("journal.snapshot_every", "200")])).unwrap().join().unwrap();
    }
}
