//! The live view of a run on the terminal.
//! Never: leaves the terminal changed, whatever ends the run.

mod draw;

use crate::commands::run::abort;
use crate::error::CliError;
use crate::logging::Tail;
use ctos_runtime::config::Settings;
use ctos_runtime::instance::Instance;
use ctos_runtime::view::View;
use ctos_server::model::FillLine;
use ctos_server::store::StoredRun;
use ctos_storage::home::Home;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Real time between pictures; keys are answered at once.
const FRAME: Duration = Duration::from_millis(200);
/// Fills come from the store, which follows a little behind.
const FILLS_EVERY: Duration = Duration::from_millis(500);
const FILLS: u32 = 50;
/// Points of the equity curve that are kept.
const CURVE: usize = 512;

/// Whether the terminal is in our hands now.
static ON_SCREEN: AtomicBool = AtomicBool::new(false);

/// What is watched.
#[derive(Debug)]
pub struct Watching<'a> {
    pub instance: &'a Instance,
    pub settings: &'a Settings,
    pub home: &'a Home,
    pub tail: &'a Tail,
}

/// Whether there is a terminal that can show it.
pub fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb
}

/// Gives the terminal back. May be called at any time, from any thread, and again.
pub fn restore() {
    if ON_SCREEN.swap(false, Ordering::AcqRel) {
        // There is nothing to do about a terminal that does not listen any more.
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, ratatui::crossterm::cursor::Show);
    }
}

/// Holds the terminal until dropped.
struct Screen(Terminal<CrosstermBackend<io::Stdout>>);

impl Screen {
    fn take() -> io::Result<Screen> {
        ON_SCREEN.store(true, Ordering::Release);
        let made = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        if made.is_err() {
            restore();
        }
        made.map(Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// What a picture is made from.
#[derive(Debug)]
pub(crate) struct Picture {
    pub view: Arc<View>,
    pub fills: Vec<FillLine>,
    pub log: Vec<String>,
    /// Worth of the first account over time.
    pub curve: Vec<f64>,
    /// Inputs a second of real time.
    pub rate: u64,
    pub speed: String,
    pub stopping: bool,
}

/// Shows the run until it has ended. `q`, Escape or Ctrl-C end it in order; a second time at once.
pub fn show(watching: &Watching) -> Result<(), CliError> {
    let broken = |e: io::Error| CliError::internal(format!("the terminal cannot be used: {e}"));
    let result = watch(watching);
    restore();
    if result.is_err() {
        // Without eyes on it the run should not go on unnoticed.
        watching.instance.handle.stop("the terminal was lost");
    }
    result.map_err(broken)
}

fn watch(watching: &Watching) -> io::Result<()> {
    let mut screen = Screen::take()?;
    let mut state = State::default();
    while !watching.instance.is_finished() {
        if let Some(picture) = state.picture(watching) {
            screen.0.draw(|frame| draw::draw(frame, &picture))?;
        }
        let next = Instant::now() + FRAME;
        while event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if wants_end(&key) => {
                    if state.stopping {
                        abort();
                    }
                    state.stopping = true;
                    watching.instance.handle.stop("interrupted");
                }
                // The next picture has the new size.
                Event::Resize(..) => break,
                _ => {}
            }
        }
    }
    Ok(())
}

fn wants_end(key: &KeyEvent) -> bool {
    let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// What is carried from picture to picture.
#[derive(Default)]
struct State {
    store: Option<StoredRun>,
    fills: Vec<FillLine>,
    fills_due: Option<Instant>,
    curve: Vec<f64>,
    /// Moment and inputs of the last picture.
    last: Option<(Instant, u64)>,
    rate: u64,
    stopping: bool,
}

impl State {
    fn picture(&mut self, watching: &Watching) -> Option<Picture> {
        let view = watching.instance.handle.view.latest()?;
        let now = Instant::now();
        if self.fills_due.is_none_or(|due| now >= due) {
            self.fills_due = Some(now + FILLS_EVERY);
            self.read_fills(watching);
        }
        self.count(now, view.summary.events_in);
        if let Some(equity) = view.summary.equity.values().next().and_then(|all| all.values().next()) {
            if self.curve.len() == CURVE {
                self.curve.remove(0);
            }
            self.curve.push(equity.end.to_f64());
        }
        Some(Picture {
            view,
            fills: self.fills.clone(),
            log: watching.tail.last(100),
            curve: self.curve.clone(),
            rate: self.rate,
            speed: watching.settings.speed.to_string(),
            stopping: self.stopping,
        })
    }

    /// A store that cannot be read now only costs the list its newest lines.
    fn read_fills(&mut self, watching: &Watching) {
        if self.store.is_none() {
            let dir = watching.home.run(&watching.instance.run_id).ok();
            self.store = dir.and_then(|dir| StoredRun::open(watching.home, dir, true).ok());
        }
        if let Some(found) = self.store.as_ref().and_then(|s| s.fills(FILLS).ok()) {
            self.fills = found.fills;
        }
    }

    fn count(&mut self, now: Instant, inputs: u64) {
        let (then, before) = *self.last.get_or_insert((now, inputs));
        let passed = (now - then).as_millis() as u64;
        if passed >= 1_000 {
            self.rate = (inputs - before) * 1_000 / passed;
            self.last = Some((now, inputs));
        }
    }
}

#[cfg(test)]
mod tests;
