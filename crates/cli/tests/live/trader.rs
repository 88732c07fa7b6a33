//! Somebody who trades with ctos: a home with its settings and keys, the lives of its run, and what must hold after them.
//! Never: a directory or a lock that two stories share.

use crate::twin::{Key, Truth, Twin, clean, ctos, plain, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// An account in the settings.
#[derive(Clone, Debug)]
pub struct Desk {
    pub id: &'static str,
    /// `spot`, `margin` or `usdm`.
    pub profile: &'static str,
    /// What the twin calls it.
    pub at: &'static str,
    pub key: Key,
    /// Further settings, one a line.
    pub more: &'static str,
}

impl Desk {
    pub fn new(id: &'static str, profile: &'static str, at: &'static str) -> Desk {
        Desk { id, profile, at, key: Key::named(at), more: "" }
    }

    pub fn market(&self) -> &'static str {
        if self.profile == "usdm" { "usdm" } else { "spot" }
    }

    /// The account's name in the twin's truth.
    pub fn name(&self) -> String {
        if self.profile == "margin" { format!("{}:margin", self.at) } else { self.at.to_owned() }
    }

    pub fn truth(&self, twin: &Twin) -> Truth {
        twin.truth(self.market(), &self.name())
    }

    /// The truth by which balances are judged: what is owed is not owned.
    fn judged(&self, twin: &Twin) -> Truth {
        let truth = self.truth(twin);
        match self.profile {
            "margin" => Truth { balances: twin.net_assets(self.at), ..truth },
            _ => truth,
        }
    }

    fn yaml(&self, twin: &Twin) -> String {
        let url = |what: &str| twin.url(self.market(), what);
        let mut yaml = format!(
            "  - id: {}\n    venue: binance\n    profile: {}\n    base_url: {}\n    ws_url: {}\n    ws_api_url: {}\n    \
             sapi_url: {}\n",
            self.id,
            self.profile,
            url("rest"),
            url("ws"),
            url("ws_api"),
            twin.url("spot", "rest"),
        );
        for line in self.more.lines() {
            yaml += &format!("    {line}\n");
        }
        yaml
    }
}

/// A grid on a symbol and an account, narrow enough to trade soon.
pub fn grid(account: &str, symbol: &str) -> String {
    format!(
        "  - name: grid\n    id: grid-{account}\n    account: {account}\n    \
         params: {{symbol: \"{symbol}\", spacing: \"0.03%\", levels: 6}}\n"
    )
}

pub const PERP: &str = "binance:BTC-USDT-PERP";
pub const COIN: &str = "binance:BTC-USDT";

pub struct Trader {
    pub dir: tempfile::TempDir,
    pub desks: Vec<Desk>,
    lives: u32,
}

impl Trader {
    /// Each account trades a grid on its market's Bitcoin.
    pub fn new(twin: &Twin, desks: &[Desk]) -> Trader {
        let of = |d: &Desk| if d.profile == "usdm" { PERP } else { COIN };
        let strategies: String = desks.iter().map(|d| grid(d.id, of(d))).collect();
        Trader::with(twin, desks, &strategies, "")
    }

    /// One account at USD-M.
    pub fn usdm(twin: &Twin) -> Trader {
        Trader::new(twin, &[Desk::new("main", "usdm", "test")])
    }

    pub fn with(twin: &Twin, desks: &[Desk], strategies: &str, more: &str) -> Trader {
        let mut symbols: Vec<&str> = desks.iter().map(|d| if d.profile == "usdm" { PERP } else { COIN }).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let accounts: String = desks.iter().map(|d| d.yaml(twin)).collect();
        let strategies = if strategies.is_empty() { " []\n".to_owned() } else { format!("\n{strategies}") };
        let yaml = format!(
            "mode: live\nsymbols: {}\nspeed: {}x\napi: {{bind: \"127.0.0.1:0\"}}\naccounts:\n{accounts}\
             strategies:{strategies}\
             risk: {{max_drawdown_pct: 90, daily_loss: 90%, stale_after: 60s}}\nlog: {{format: json}}\n{more}",
            json!(symbols),
            twin.speed,
        );
        Trader::of(&yaml, desks)
    }

    pub fn of(yaml: &str, desks: &[Desk]) -> Trader {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ctos.yaml"), yaml).unwrap();
        Trader { dir, desks: desks.to_vec(), lives: 0 }
    }

    /// A command of this trader's: its keys, its directory, its home.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_in("home", args)
    }

    pub fn command_in(&self, home: &str, args: &[&str]) -> Command {
        self.prepared(ctos(args), home)
    }

    /// Everything but the program and its arguments.
    pub fn prepared(&self, mut command: Command, home: &str) -> Command {
        self.surround(&mut command);
        command.arg("--home").arg(self.dir.path().join(home));
        command
    }

    pub fn surround(&self, command: &mut Command) {
        clean(command);
        for desk in &self.desks {
            let name = desk.id.to_uppercase();
            command.env(format!("CTOS__SECRETS__{name}__API_KEY"), &desk.key.key);
            command.env(format!("CTOS__SECRETS__{name}__API_SECRET"), &desk.key.secret);
        }
        // Locks of accounts stay out of the user's own directory.
        command.env("XDG_STATE_HOME", self.dir.path().join("state")).current_dir(self.dir.path());
    }

    fn log(&self, life: u32) -> PathBuf {
        self.dir.path().join(format!("log-{life}"))
    }

    pub fn start(&mut self) -> Run {
        let command = self.command(&["run", "--plain", "--json", "--yes"]);
        self.spawn(command)
    }

    pub fn spawn(&mut self, mut command: Command) -> Run {
        self.lives += 1;
        let log = std::fs::File::create(self.log(self.lives)).unwrap();
        Run(command.stdout(Stdio::piped()).stderr(log).spawn().unwrap())
    }

    pub fn logs(&self) -> String {
        (1..=self.lives).map(|life| std::fs::read_to_string(self.log(life)).unwrap_or_default()).collect()
    }

    /// Until the log of the life that goes on says so.
    #[track_caller]
    pub fn wait_log(&self, words: &str) {
        let said = || std::fs::read_to_string(self.log(self.lives)).unwrap_or_default();
        wait_until(words, || said().contains(words), || self.logs());
    }

    /// As [`Trader::wait_log`], until commands find the instance.
    #[track_caller]
    pub fn wait_ready(&self) {
        self.wait_log("the venue's accounts are taken in");
        self.wait_log("control API");
    }

    /// Until the venue says so of an account.
    #[track_caller]
    pub fn wait_for(&self, twin: &Twin, desk: &Desk, what: &str, said: impl Fn(&Truth) -> bool) {
        wait_until(what, || said(&desk.truth(twin)), || format!("{:?}\n{}", desk.truth(twin), self.logs()));
    }

    /// Lets an account trade until so many more fills have come, with the market's help.
    #[track_caller]
    pub fn trade(&self, twin: &Twin, desk: &Desk, fills: u64) {
        let before = desk.truth(twin).trades;
        let more = || {
            let done = desk.truth(twin).trades >= before + fills;
            if !done {
                twin.fill_one(desk.market(), &desk.name());
            }
            done
        };
        wait_until("trading", more, || format!("{:?}\n{}", desk.truth(twin), self.logs()));
    }

    /// Ends the run in order and gives its summary.
    #[track_caller]
    pub fn end(&self, run: Run) -> Value {
        let (status, out) = self.end_any(run);
        assert!(status.success(), "{status}\n{}", self.logs());
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    /// Ends the run in order, however that comes out.
    pub fn end_any(&self, mut run: Run) -> (ExitStatus, String) {
        Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
        run.wait()
    }

    /// Both sides hold the same, and nothing is open.
    #[track_caller]
    pub fn agrees(&self, twin: &Twin, summary: &Value) {
        self.agrees_but(twin, summary, &[]);
    }

    /// As [`Trader::agrees`], but for these orders, which are not ours.
    #[track_caller]
    pub fn agrees_but(&self, twin: &Twin, summary: &Value, others: &[i64]) {
        let stored = self.json(&["positions", "--json"]);
        for desk in &self.desks {
            let truth = desk.judged(twin);
            let open: Vec<i64> = truth.open.iter().map(|o| o.id).collect();
            assert_eq!(open, others, "{}: {truth:?}\n{}", desk.id, self.logs());
            for ours in [summary, &stored] {
                let balances = balances(ours, desk.id);
                assert_eq!(balances, truth.balances, "{}: {ours}\n{}", desk.id, self.logs());
                if desk.profile == "usdm" {
                    assert_eq!(positions(ours, desk.id), truth.positions, "{}: {ours}\n{}", desk.id, self.logs());
                }
            }
        }
    }

    /// While it runs, both sides come to hold the same: within 90 s of the venue's time, or of ours where the machine is
    /// busy.
    #[track_caller]
    pub fn agree_soon(&self, twin: &Twin) {
        let same = |d: &Desk| {
            let before = d.judged(twin);
            let ours = self.json(&["positions", "--json"]);
            let usdm = d.profile == "usdm";
            balances(&ours, d.id) == before.balances && (!usdm || positions(&ours, d.id) == before.positions)
        };
        for desk in &self.desks {
            wait_until("agreement", || same(desk), || format!("{:?}\n{}", desk.truth(twin), self.logs()));
        }
    }

    /// A command, however it ends.
    pub fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let out = self.call(args);
        assert!(out.status.success(), "{}\n{}", String::from_utf8_lossy(&out.stderr), self.logs());
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// The journal gives the very same commands again.
    #[track_caller]
    pub fn replays(&self) {
        assert_eq!(self.json(&["replay", "latest", "--json"])["identical"], true, "{}", self.logs());
    }

    /// What must hold at the end of every story: both sides are equal, the journal replays, nothing was sent twice.
    #[track_caller]
    pub fn ends_well(&self, twin: &Twin, run: Run) -> Value {
        self.agree_soon(twin);
        let summary = self.end(run);
        self.agrees(twin, &summary);
        self.replays();
        let at_venue: u64 = self.desks.iter().map(|d| d.truth(twin).orders).sum();
        let sent = summary["orders"]["sent"].as_u64().unwrap();
        assert!(sent > 0 && sent >= at_venue, "{sent} sent, {at_venue} at the venue\n{}", self.logs());
        summary
    }

    /// Whether this home has ever had a run.
    pub fn has_runs(&self) -> bool {
        self.dir.path().join("home/runs").exists()
    }

    /// A start that is refused: nothing was traded, and nothing half-made is left. Gives what it said.
    #[track_caller]
    pub fn refused(&self, twin: &Twin, what: &str, hint: &str) -> String {
        let out = self.command(&["run", "--plain", "--yes"]).output().unwrap();
        let said = refusal(&out, what, hint);
        assert!(!self.has_runs(), "something half-made is left\n{said}");
        for desk in &self.desks {
            assert_eq!(desk.truth(twin).orders, 0, "{said}");
        }
        said
    }
}

/// That a command ended with one clear line and a hint.
#[track_caller]
pub fn refusal(out: &Output, what: &str, hint: &str) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(what), "{what:?} is not what it says:\n{said}");
    let hints: Vec<&str> = said.lines().filter(|l| l.starts_with("hint: ")).collect();
    assert!(hints.len() == 1 && hints[0].contains(hint), "{hint:?} is not what it says:\n{said}");
    said
}

fn text(v: &Value) -> String {
    v.as_str().unwrap().to_owned()
}

/// Nothing before the venue's first word.
fn balances(ours: &Value, account: &str) -> BTreeMap<String, String> {
    let all = ours["balances"][account].as_object();
    all.into_iter()
        .flatten()
        .map(|(c, total)| (c.clone(), plain(&text(total))))
        .filter(|(_, total)| total != "0")
        .collect()
}

/// In the venue's words.
fn positions(ours: &Value, account: &str) -> BTreeMap<(String, String), String> {
    let venue_name = |symbol: &str| symbol.replace("binance:", "").replace("-PERP", "").replace('-', "");
    let side = |leg: &str| if leg == "net" { "BOTH".to_owned() } else { leg.to_uppercase() };
    let of = ours["positions"].as_array().unwrap().iter().filter(|p| p["account"] == account);
    of.map(|p| ((venue_name(&text(&p["symbol"])), side(&text(&p["leg"]))), plain(&text(&p["qty"]))))
        .filter(|(_, qty)| qty != "0")
        .collect()
}

/// A run of the real binary, which does not outlive a test that fails.
pub struct Run(pub Child);

impl Run {
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Until it has ended by itself: how, and what it printed.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let mut out = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.0.wait().unwrap(), out)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
