//! The word that live trading needs: asked for on a terminal, refused where there is none.
//! Never: silence taken for a yes.

use crate::trader::{Trader, refusal};
use crate::twin::{Twin, python};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs a command on a terminal of its own, copying what it says and is told.
const PTY: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[test]
fn without_a_word_and_without_a_terminal_nothing_starts() {
    let twin = Twin::start();
    let trader = Trader::usdm(&twin);
    let out = trader.command(&["run", "--plain"]).output().unwrap();
    refusal(&out, "not started without a confirmation", "--yes");
    assert!(!trader.has_runs(), "nothing half-made is left");
}

/// Asks on a terminal, says `word` when asked, and gives the exit code and what was shown.
fn asked(trader: &Trader, word: &str) -> (Option<i32>, String) {
    let mut command = Command::new(python());
    command.args(["-c", PTY, env!("CARGO_BIN_EXE_ctos"), "run", "--plain"]);
    let mut command = trader.prepared(command, "home");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut shown, mut said, mut ended) = (String::new(), false, false);
    let mut out = child.stdout.take().unwrap();
    let mut chunk = [0; 4096];
    while let Ok(n) = out.read(&mut chunk)
        && n > 0
    {
        shown += &String::from_utf8_lossy(&chunk[..n]);
        if !said && shown.contains("to go on: ") {
            said = true;
            child.stdin.as_mut().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
        }
        if !ended && shown.contains("the venue's accounts are taken in") {
            ended = true;
            child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
        }
    }
    (child.wait().unwrap().code(), shown)
}

#[test]
fn on_a_terminal_it_shows_what_will_trade_and_takes_no_for_an_answer() {
    let twin = Twin::start();
    let trader = Trader::usdm(&twin);
    for no in ["no", "", "y"] {
        let (code, shown) = asked(&trader, no);
        assert_eq!(code, Some(1), "{shown}");
        for words in [
            "live trading of binance:BTC-USDT-PERP",
            "account main (binance usdm, practice)",
            twin.url("usdm", "rest"),
            "owns        100000 USDT",
            "strategies  grid-main (grid) with",
            "limits      ",
            "max_order_notional 5000",
            "Trade these accounts for practice?",
            "not started",
            "nothing was sent",
        ] {
            assert!(shown.contains(words), "{words:?} was not shown:\n{shown}");
        }
        for once in ["live trading of ", "account main (", "limits      "] {
            assert_eq!(shown.matches(once).count(), 1, "{once:?} stands there more than once:\n{shown}");
        }
        assert!(!trader.has_runs(), "nothing half-made is left");
    }
    assert_eq!(trader.desks[0].truth(&twin).orders, 0);
    let (code, shown) = asked(&trader, "live");
    assert_eq!(code, Some(0), "{shown}");
    assert!(trader.has_runs() && shown.contains("run started"), "{shown}");
    assert!(trader.desks[0].truth(&twin).open.is_empty());
}
