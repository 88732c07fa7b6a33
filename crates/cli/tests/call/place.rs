//! A directory with settings beside a twin, and what `ctos` says there.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Place {
    pub dir: tempfile::TempDir,
    /// Addresses and keys of a twin.
    venue: Value,
    _twin: Running,
}

#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    #[track_caller]
    pub fn refused(&self, what: &str, hint: &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.err.contains(what) && self.err.contains(hint), "{what:?} or {hint:?} is not in {self:?}");
    }
}

pub fn ctos() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CTOS")) {
            command.env_remove(name);
        }
    }
    command
}

impl Place {
    pub fn new() -> Place {
        Place::beside(tempfile::tempdir().unwrap(), &[])
    }

    /// The account's key has these fields besides, as JSON.
    pub fn with_key(more: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let long = |word: &str| format!("{word}{}", "0".repeat(64))[..64].to_owned();
        let (key, secret) = (long("Key"), long("Secret"));
        let accounts = format!(
            r#"[{{"name":"test","spot":[["USDT","1000"]],"usdm":[["USDT","1000"]],"keys":[{{"api_key":"{key}",
            "material":{{"type":"HMAC","secret":"{secret}"}},{more}}}]}}]"#
        );
        let file = dir.path().join("accounts.json");
        std::fs::write(&file, accounts).unwrap();
        let mut place = Place::beside(dir, &["--accounts", file.to_str().unwrap()]);
        (place.venue["api_key"], place.venue["api_secret"]) = (key.into(), secret.into());
        place
    }

    fn beside(dir: tempfile::TempDir, more: &[&str]) -> Place {
        let twin = ["twin", "binance", "--json", "--seed", "9", "--history", "5m"];
        let mut child = ctos().args(twin).args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let venue = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Place { dir, venue, _twin: Running(child) }
    }

    pub fn text(&self, pointer: &str) -> &str {
        self.venue.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {}", self.venue))
    }

    pub fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Settings with one account at the twin, and its key in a private file.
    pub fn configured(&self, more: &str) {
        let yaml = format!(
            "accounts:\n  - id: main\n    venue: binance\n    profile: usdm\n    base_url: {}\n    sapi_url: {}\n{more}",
            self.text("/usdm/rest"),
            self.text("/spot/rest")
        );
        self.file("ctos.yaml", &yaml, 0o644);
        self.secrets(0o600);
    }

    pub fn secrets(&self, mode: u32) {
        let (key, secret) = (self.text("/api_key"), self.text("/api_secret"));
        let text = format!("keys:\n  main: {{api_key: \"{key}\", api_secret: \"{secret}\"}}\n");
        self.file("configs/secrets.yaml", &text, mode);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = ctos();
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        // Locks of accounts stay out of the user's own directory.
        command.env("XDG_STATE_HOME", self.dir.path().join("state"));
        command
    }

    /// A run that goes on until it is dropped; its log is the file `log`.
    pub fn run(&self, args: &[&str]) -> Running {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = self.command(&[&["run", "--plain", "--yes"], args].concat());
        Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Until `done`, or for half a minute.
    #[track_caller]
    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what} never came\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The twin's own door: `GET /usdm/truth`, `POST /usdm/do`.
    pub fn admin(&self, request: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.text("/admin").trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {reply}"))
    }

    /// Requests that the twin turned away because of a ban.
    pub fn banned(&self) -> u64 {
        self.admin("GET /usdm/truth", "")["refused"]["banned"].as_u64().unwrap()
    }

    /// The client order ids that the twin has open on futures.
    pub fn open(&self) -> Vec<String> {
        let all = self.admin("GET /usdm/truth", "");
        let account = all["accounts"].as_array().unwrap().iter().find(|a| a["account"] == "test").unwrap();
        let list = account["openOrders"].as_array().unwrap().iter();
        list.map(|o| o["clientOrderId"].as_str().unwrap().to_owned()).collect()
    }

    pub fn ctos(&self, args: &[&str]) -> Said {
        let o = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = Said { code: o.status.code(), out: text(o.stdout), err: text(o.stderr) };
        for secret in [self.text("/api_key"), self.text("/api_secret")] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "a key was shown: {said:?}");
        }
        said
    }

    pub fn call(&self, args: &[&str]) -> Said {
        self.ctos(&[&["call"], args, &["--json"]].concat())
    }
}

impl Said {
    #[track_caller]
    pub fn json_or_text(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}
