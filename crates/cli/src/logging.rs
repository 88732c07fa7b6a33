//! Log lines on stderr: text on a terminal, JSON otherwise; or into the live view's tail while that has the screen.
//! Never: stdout.

use ctos_runtime::config::{LogFormat, LogLevel, LogSettings};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines the live view can scroll back to.
const TAIL: usize = 500;

/// The last log lines, for the live view.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// The last `n` lines, oldest first.
    pub fn last(&self, n: usize) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(n)).cloned().collect()
    }
}

/// One line on its way into the tail.
#[derive(Debug)]
pub struct TailWriter(Tail);

impl Write for TailWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(bytes).lines() {
            if lines.len() == TAIL {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Tail {
    type Writer = TailWriter;
    fn make_writer(&'a self) -> TailWriter {
        TailWriter(self.clone())
    }
}

/// Starts logging. `-v` and `-q` go over the settings. With `tail`, lines go there instead of stderr.
pub fn start(settings: &LogSettings, verbose: u8, quiet: u8, tail: Option<Tail>) {
    let configured = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let level = match (verbose, quiet) {
        (0, 0) => configured,
        (1, _) => LevelFilter::DEBUG,
        (2.., _) => LevelFilter::TRACE,
        (_, 1) => LevelFilter::WARN,
        (_, _) => LevelFilter::ERROR,
    };
    // Libraries only speak when something is wrong.
    let filter = Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("ctos", level);
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_target(false);
    match tail {
        Some(tail) => registry.with(layer.compact().with_ansi(false).with_level(true).with_writer(tail)).init(),
        None if json => registry.with(layer.json().flatten_event(true).with_writer(io::stderr)).init(),
        None => registry.with(layer.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr)).init(),
    }
}
