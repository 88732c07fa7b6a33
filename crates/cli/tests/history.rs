//! The past from a venue to a backtest, as a user has it: the real binary downloads from a twin whose clock stands still,
//! so that months have passed, and a download hangs where it is to be killed.

use ctos_twin::server::{ManualClock, Server, ServerConfig};
use ctos_twin::{Product, Twin, TwinConfig};
use ctos_types::{Nanos, UnixNanos};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 2024-07-01T12:00:00Z, twelve hours after the end of a month that was the end of a week, too.
const NOW: UnixNanos = UnixNanos::from_secs(1_719_835_200);
/// How long the market has been running then.
const HISTORY: Nanos = Nanos::from_secs(18 * 3_600);

struct Venue {
    server: Server,
    product: &'static str,
    at: SocketAddr,
}

impl Venue {
    fn open(product: Product) -> Venue {
        let twin = Twin::synthetic(TwinConfig::new(product, 3, NOW), 3, HISTORY).unwrap();
        let mut config = ServerConfig::new(Arc::new(ManualClock::new(NOW)));
        let usdm = product == Product::UsdM;
        *(if usdm { &mut config.usdm } else { &mut config.spot }) = Some((twin, 0));
        let server = Server::start(config).unwrap();
        let at = if usdm { server.usdm } else { server.spot }.unwrap();
        Venue { server, product: if usdm { "usdm" } else { "spot" }, at }
    }

    fn admin(&self, method: &str, what: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.server.admin).unwrap();
        let head = format!("{method} /{}/{what} HTTP/1.1\r\nhost: twin\r\nconnection: close", self.product);
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// From the request after `skip` of these on, each is answered so much later: never, while the clock stands still.
    fn delays(&self, named: &str, skip: u64, ms: u32) {
        let fault = json!({"kind": "delay", "after_ms": ms});
        let rule = json!({"on": "request", "named": named, "skip": skip, "times": 0, "fault": fault});
        self.admin("POST", "do", &json!({"do": "rule", "rule": rule}).to_string());
    }

    fn behaves(&self) {
        self.admin("POST", "do", r#"{"do":"behave"}"#);
    }

    fn acted(&self) -> u64 {
        self.admin("GET", "truth", "")["acted"].as_u64().unwrap()
    }
}

/// A user's home, and the venue that it downloads from.
struct Home {
    dir: tempfile::TempDir,
    url: String,
}

impl Home {
    fn of(venue: &Venue) -> Home {
        Home { dir: tempfile::tempdir().unwrap(), url: format!("http://{}", venue.at) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
        command.arg("--home").arg(self.dir.path()).args(args).current_dir(self.dir.path());
        command
    }

    fn download(&self, args: &[&str]) -> Command {
        self.command(&[&["data", "download", "binance", "--json", "--base-url", &self.url], args].concat())
    }

    /// Downloads until the venue hangs, and is killed there. What was whole by then, as it is on the disk.
    fn killed(&self, venue: &Venue, args: &[&str], (named, skip): (&str, u64)) -> BTreeMap<String, Vec<u8>> {
        let before = venue.acted();
        venue.delays(named, skip, 1_000_000_000);
        let mut child = self.download(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let by = Instant::now() + Duration::from_secs(60);
        while venue.acted() == before {
            assert!(Instant::now() < by && child.try_wait().unwrap().is_none(), "{args:?} never came to hang");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        venue.behaves();
        self.pieces()
    }

    /// How many of these requests a whole download takes.
    fn requests(&self, venue: &Venue, args: &[&str], named: &str) -> u64 {
        let before = venue.acted();
        venue.delays(named, 0, 0);
        said(&self.download(args).output().unwrap());
        venue.behaves();
        venue.acted() - before
    }

    /// Manifests of pieces that are whole.
    fn pieces(&self) -> BTreeMap<String, Vec<u8>> {
        let Ok(list) = std::fs::read_dir(self.dir.path().join("catalog/_imports")) else { return BTreeMap::new() };
        let paths = list.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "json"));
        paths.map(|p| (p.file_name().unwrap().to_string_lossy().into(), std::fs::read(&p).unwrap())).collect()
    }

    /// Goes on after a kill: what was whole stays as it was, and what comes after it is all there is.
    fn goes_on(&self, args: &[&str], whole: &BTreeMap<String, Vec<u8>>) -> Value {
        let rest = said(&self.download(args).output().unwrap());
        let now = self.pieces();
        assert!(whole.iter().all(|(name, text)| now.get(name) == Some(text)) && now.len() > whole.len(), "{rest}");
        let again = said(&self.download(args).output().unwrap());
        for download in again["downloads"].as_array().unwrap() {
            assert_eq!((&download["rows_added"], &download["missing"]), (&json!(0), &json!(0)), "{download}");
        }
        let verified = self.command(&["data", "verify"]).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        rest
    }

    /// Values of a column of a series, in order.
    fn column(&self, symbol: &str, kind: &str, name: &str) -> Vec<String> {
        let file = self.dir.path().join("out.csv");
        let args = ["data", "export", symbol, "--kind", kind, "--to-file", file.to_str().unwrap(), "--json"];
        said(&self.command(&args).output().unwrap());
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines = text.lines();
        let at = lines.next().unwrap().split(',').position(|c| c == name).unwrap();
        lines.map(|l| l.split(',').nth(at).unwrap().to_string()).collect()
    }
}

fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn seconds(day: u64) -> String {
    (day * 86_400 * 1_000_000_000).to_string()
}

#[test]
fn weeks_months_and_minutes_from_the_venue_to_a_backtest() {
    let venue = Venue::open(Product::Spot);
    for (interval, kind, from, open) in [
        // June; the day is counted from 1970.
        ("1M", "bars_1mo", "2024-06-01", 19_875),
        // A Monday.
        ("1w", "bars_7d", "2024-06-24", 19_898),
    ] {
        let home = Home::of(&venue);
        let args = ["BTC-USDT", "--interval", interval, "--from", from, "--to", "2024-07-01"];
        let whole = home.killed(&venue, &args, ("GET /api/v3/klines", 0));
        assert!(whole.is_empty(), "nothing had come");
        home.goes_on(&args, &whole);
        assert_eq!(home.column("binance:BTC-USDT", kind, "open_time"), [seconds(open)], "{interval}");
        let args = ["backtest", "-q", "--no-files", "--json", "--market", "catalog:catalog", "--strategy", "grid"];
        let traded = said(&home.command(&args).output().unwrap());
        assert_eq!(traded["market_events"], 1, "{traded}");
    }
    // One symbol's minutes are whole when the next one's are cut off.
    let home = Home::of(&venue);
    let range = ["--from", "2024-06-30T20:00:00Z", "--to", "2024-07-01T10:00:00Z"];
    let args = [&["BTC-USDT", "ETH-USDT", "SOL-USDT"], &range[..]].concat();
    let whole = home.killed(&venue, &args, ("GET /api/v3/klines", 1));
    assert_eq!(whole.len(), 1);
    home.goes_on(&args, &whole);
    for symbol in ["BTC", "ETH", "SOL"] {
        let opens = home.column(&format!("binance:{symbol}-USDT"), "bars_1m", "open_time");
        let opens: Vec<i64> = opens.iter().map(|t| t.parse().unwrap()).collect();
        assert!(opens.len() == 14 * 60 && opens.windows(2).all(|w| w[1] - w[0] == 60_000_000_000), "{symbol}");
    }
}

#[test]
fn trades_and_funding_go_on_where_they_were_killed() {
    let venue = Venue::open(Product::UsdM);
    let symbols = ["XRP", "BNB", "SOL", "ETH", "BTC"];
    let named: Vec<String> = symbols.iter().map(|s| format!("{s}-USDT-PERP")).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let cut = |data: &str, from: &str, path: &str| {
        let home = Home::of(&venue);
        let args = [&named[..], &["--data", data, "--from", from, "--to", "2024-07-01T12:00:00Z"]].concat();
        let all = Home::of(&venue).requests(&venue, &args, path);
        let whole = home.killed(&venue, &args, (path, all / 2));
        assert!((1..symbols.len()).contains(&whole.len()), "{} of {}", whole.len(), symbols.len());
        home.goes_on(&args, &whole);
        home
    };
    let home = cut("trades", "2024-07-01T11:50:00Z", "GET /fapi/v1/aggTrades");
    for symbol in &named {
        let ids = home.column(&format!("binance:{symbol}"), "trades", "id");
        let ids: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
        assert!(ids.len() > 10 && ids.windows(2).all(|w| w[1] == w[0] + 1), "{symbol}: {} trades", ids.len());
    }
    let home = cut("funding", "2024-06-30T18:00:00Z", "GET /fapi/v1/fundingRate");
    for symbol in &named {
        let rates = home.column(&format!("binance:{symbol}"), "funding", "rate");
        assert_eq!(rates.len(), 2, "{symbol}: one every eight hours, {rates:?}");
    }
}
