use super::*;
use ctos_runtime::config::Layers;
use ctos_runtime::runs::{self, StartOptions};
use ratatui::backend::TestBackend;

/// A picture of a real run that has traded for a market minute.
fn picture() -> Picture {
    let dir = tempfile::tempdir().expect("a directory");
    let mut layers = Layers::new();
    layers.flag("--home", "home", dir.path().to_str().expect("text"));
    layers.flag("--speed", "speed", "max");
    layers.flag("--duration", "duration", "60s");
    layers.flag_strategy("grid");
    layers.flag_param("spacing", "0.01");
    let settings = Settings::resolve(&layers).expect("valid settings");
    let (instance, home) = runs::start(settings, StartOptions::new(|_| {})).expect("a run");
    let (handle, id) = (instance.handle.clone(), instance.run_id.clone());
    instance.join().expect("a good end");
    let view = handle.view.latest().expect("a view");
    let store = StoredRun::open(&home, home.run(&id).expect("the run"), false).expect("a store");
    let fills = store.fills(FILLS).expect("fills").fills;
    let log = vec!["first line".into(), "last line".into()];
    Picture { view, fills, log, curve: vec![1.0, 3.0, 2.0], rate: 7, speed: "60x".into(), stopping: false }
}

fn drawn(picture: &Picture, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw::draw(frame, picture)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y) + "\n").collect()
}

#[test]
fn every_part_is_on_the_screen_at_every_size() {
    let picture = picture();
    assert!(!picture.fills.is_empty(), "a narrow grid trades within a minute");
    for (width, height) in [(160, 50), (100, 40), (80, 24)] {
        let text = drawn(&picture, width, height);
        for part in [
            "RUNNING",
            "equity",
            "positions",
            "open orders",
            "last fills",
            "markets",
            "step p50",
            "denied by gates",
            "last line",
            "q: end",
        ] {
            assert!(text.contains(part), "{part} is missing at {width}x{height}:\n{text}");
        }
    }
    let wide = drawn(&picture, 160, 50);
    assert!(wide.contains(&picture.fills[0].price.to_string()), "{wide}");
    // Far too small is no reason to panic.
    for (width, height) in [(1, 1), (10, 3), (200, 5)] {
        drawn(&picture, width, height);
    }
}

#[test]
fn a_picture_says_when_it_is_halted_or_ending() {
    let mut picture = picture();
    picture.stopping = true;
    assert!(drawn(&picture, 100, 30).contains("ENDING"));
    let latch = ctos_runtime::view::LatchView {
        scope: ctos_types::HaltScope::System,
        latch: serde_json::from_value(serde_json::json!({ "state": "HALTED", "reason": "news", "since": 0 }))
            .expect("a latch"),
    };
    let mut view = (*picture.view).clone();
    view.latches.push(latch);
    picture.view = Arc::new(view);
    let text = drawn(&picture, 100, 30);
    assert!(text.contains("HALTED") && text.contains("latched: news"), "{text}");
}
