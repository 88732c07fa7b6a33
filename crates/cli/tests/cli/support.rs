//! Starts `ctos` in a directory of its own and reads what it says.

use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A working directory with nothing in it; the home is `var` below it.
pub struct Place {
    pub dir: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(o: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Said { code: o.status.code(), out: text(o.stdout), err: text(o.stderr) }
    }
}

impl Said {
    /// The JSON on stdout of a command that did what it was told.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a directory") }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("var")
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("text").into()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("CTOS")) {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn ctos(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the binary starts").into()
    }

    /// A run at the pace of real time whose grid has its orders in the book.
    pub fn instance(&self, more: &[&str]) -> Running {
        let args = [&["run", "--plain", "--conf", "journal.sync=os"], more].concat();
        let child =
            self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let running = Running { child: Some(child) };
        until("the grid has its orders", || {
            self.home().join("api.json").exists()
                && serde_json::from_str::<Value>(&self.ctos(&["orders", "--json"]).out)
                    .is_ok_and(|o| o["orders"].as_array().is_some_and(|list| !list.is_empty()))
        });
        running
    }
}

/// Waits for what another process does.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("in 20 s it did not come about that {what}");
}

/// A running instance; killed when the test forgets it.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.as_ref().expect("running").id();
        let pid = rustix::process::Pid::from_raw(id as i32).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("sent");
    }

    /// Waits for the end.
    pub fn end(mut self) -> Said {
        self.child.take().expect("running").wait_with_output().expect("ended").into()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            let mut err = String::new();
            let _ = child.stderr.take().map(|mut e| e.read_to_string(&mut err));
            eprintln!("the instance said: {err}");
        }
    }
}
