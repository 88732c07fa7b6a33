//! A real browser without a window, spoken to over a pipe in the DevTools protocol.
//! Never: opens a port or reaches the network. Messages are JSON that ends with a zero byte.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long one answer may take. Only a browser that hangs ever meets it.
const PATIENCE: Duration = Duration::from_secs(120);

const NAMES: [&str; 6] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell"];

/// The browser named by `CHROME`, one on the `PATH`, or the one that `make browser` put beside the build.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME").filter(|n| !n.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name))).find(|p| p.is_file());
    on_path.or_else(|| {
        let noted = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("browser/path");
        let path = PathBuf::from(std::fs::read_to_string(noted).ok()?.trim());
        path.is_file().then_some(path)
    })
}

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    next: u64,
    /// Whatever the page did that was not asked for.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start(program: &Path) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // The protocol's pipe is descriptors 3 and 4; a shell moves ours there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-extensions", "--force-color-profile=srgb", "--mute-audio"])
            // Containers rarely allow the browser its own sandbox; the only page it sees is ours.
            .args(["--no-sandbox", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let (tx, from) = channel();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut buf = Vec::new();
            while out.read_until(0, &mut buf).is_ok_and(|n| n > 0) {
                buf.pop();
                if let Ok(message) = serde_json::from_slice(&buf) {
                    let _ = tx.send(message);
                }
                buf.clear();
            }
        });
        let to = child.stdin.take().unwrap();
        let mut browser = Browser { child, to, from, session: None, next: 0, events: Vec::new(), _profile: profile };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.to.write_all(&text).expect("the browser is there");
        loop {
            let answer = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == json!(self.next) {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            if answer.get("method").is_some() {
                self.events.push(answer);
            }
        }
    }

    /// The value of an expression in the page; promises are waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Opens a file in a window of this size and colour scheme, and waits until everything is drawn.
    pub fn open(&mut self, file: &Path, width: u32, height: u32, scheme: &str) {
        let phone = width < 600;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone});
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        self.ask("Emulation.setTouchEmulationEnabled", json!({"enabled": phone}));
        // Without motion a scroll is over when it is asked for.
        let scheme = json!({"name": "prefers-color-scheme", "value": scheme});
        let features = json!({"features": [scheme, {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.ask("Emulation.setEmulatedMedia", features);
        self.events.clear();
        // A page of its own before: the same file twice in a row would not be loaded again.
        self.ask("Page.navigate", json!({"url": "about:blank"}));
        let answer = self.ask("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        assert!(answer.get("errorText").is_none(), "{}: {answer}", file.display());
        self.eval(
            "new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))",
        );
        self.settle();
    }

    /// Waits until the page has drawn what it was going to draw.
    pub fn settle(&mut self) {
        self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => done(1)))))");
    }

    /// Errors and warnings of the page, and everything it loaded but itself.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("1");
        let mut wrong = Vec::new();
        for event in std::mem::take(&mut self.events) {
            let p = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => wrong.push(p["exceptionDetails"]["exception"]["description"].to_string()),
                "Runtime.consoleAPICalled" => wrong.push(format!("console: {}", p["args"])),
                "Log.entryAdded" => wrong.push(format!("log: {} {}", p["entry"]["text"], p["entry"]["url"])),
                "Network.requestWillBeSent" => {
                    let url = p["request"]["url"].as_str().unwrap_or_default();
                    let page = url.starts_with("file://") && p["type"] == json!("Document");
                    if !page && url != "about:blank" && url != "data:," {
                        wrong.push(format!("request: {}", url.chars().take(120).collect::<String>()));
                    }
                }
                _ => {}
            }
        }
        wrong
    }

    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        let base = json!({"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        for kind in ["keyDown", "keyUp"] {
            let mut event = base.clone();
            event["type"] = json!(kind);
            if kind == "keyUp" || text.is_empty() {
                event.as_object_mut().unwrap().remove("text");
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    pub fn mouse(&mut self, kind: &str, x: f64, y: f64, clicks: u32) {
        let buttons = u32::from(kind != "mouseReleased");
        let button = if kind == "mouseMoved" && clicks == 0 { "none" } else { "left" };
        let event = json!({"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": clicks});
        self.ask("Input.dispatchMouseEvent", event);
    }

    /// What the window shows now, as a PNG in base64.
    pub fn screen(&mut self) -> String {
        let answer = self.ask("Page.captureScreenshot", json!({"format": "png"}));
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    /// A picture of the whole page, for people to look at.
    pub fn picture(&mut self, file: &Path, whole: bool) {
        let mut params = json!({"format": "png", "captureBeyondViewport": whole});
        if whole {
            let size = self.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
            params["clip"] = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        }
        let data = self.ask("Page.captureScreenshot", params)["data"].as_str().unwrap_or_default().to_owned();
        std::fs::write(file, from_base64(&data)).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let quit = format!("{}\0", json!({"id": 0, "method": "Browser.close"}));
        let _ = self.to.write_all(quit.as_bytes());
        // The reader's channel ends with the process; a browser that does not go by itself is ended.
        while let Ok(_message) = self.from.recv_timeout(Duration::from_secs(10)) {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
