//! The page of a sweep, made by real sweeps: with and without walk-forward, of one parameter, and of nothing at all.
//! Never: a page of made-up findings.

use crate::browser::Browser;
use crate::looks::{OVERFLOW, PIXELS, assert_drawn, browser, page};
use ctos_backtest::sweep::objective::{Objective, Scoring};
use ctos_backtest::sweep::output;
use ctos_backtest::sweep::page::html;
use ctos_backtest::sweep::schedule::run;
use ctos_backtest::sweep::search::Method;
use ctos_backtest::sweep::setup::{Prepared, Request, prepare};
use ctos_backtest::sweep::split::{Split, Walk};
use ctos_backtest::sweep::store::Store;
use ctos_runtime::config::{Layers, Settings};
use ctos_strategies::Catalog;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

/// A market that swings, with slow and fast waves, and a hole in it.
fn bars(minutes: i64) -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut last = 40_000i64;
    for i in 0..minutes {
        let wave = |length: i64, high: i64| ((i % length) - length / 2).abs() * high / length;
        let close = 40_000 + wave(90, 900) + wave(37, 300) + (i * 7_919 % 101);
        let (high, low) = (last.max(close) + 15, last.min(close) - 15);
        if !(700..703).contains(&i) {
            writeln!(text, "{},{last},{high},{low},{close},12.5", 1_640_995_200_000 + i * 60_000).unwrap();
        }
        last = close;
    }
    text
}

struct Asked {
    params: &'static [&'static str],
    split: Option<Split>,
    min_trades: u64,
}

/// The page of a real sweep.
fn made(minutes: i64, asked: &Asked) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("btc_perp_1m.csv");
    std::fs::write(&path, bars(minutes)).unwrap();
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{}", path.display()));
    layers.flag_strategy("ma_cross");
    let request = Request {
        settings: Settings::resolve(&layers).unwrap(),
        params: asked.params.iter().map(|p| p.to_string()).collect(),
        method: Method::Grid,
        trials: 12,
        batch: 4,
        scoring: Scoring { objective: Objective::Sharpe, min_trades: asked.min_trades },
        split: asked.split,
        from: None,
        to: None,
        warm_up: None,
    };
    let Prepared { sweep, engine } = prepare(&request, Catalog::BUILT_IN).unwrap();
    let (mut store, finished) = Store::open(&dir.path().join("out"), &sweep, false).unwrap();
    let outcome = run(&sweep, &engine, &mut store, finished, 2, &AtomicBool::new(false), &|_| ()).unwrap();
    html(&sweep, &outcome, &output::notices(&sweep, engine.market()))
}

const WINDOWS: [(&str, u32, u32, &str); 4] = [
    ("light", 1360, 900, "light"),
    ("dark", 1360, 900, "dark"),
    ("phone", 390, 844, "light"),
    ("phone-dark", 390, 844, "dark"),
];

/// Opens a page in every window and theme; nothing may be asked for, said, or stick out.
fn everywhere(browser: &mut Browser, name: &str, html: &str, look: impl Fn(&mut Browser, &str)) {
    let file = page(name, html);
    for (window, width, height, scheme) in WINDOWS {
        let name = format!("{name}-{window}");
        browser.open(&file, width, height, scheme);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
        assert_eq!(browser.eval("document.documentElement.dataset.ready"), json!("true"), "{name}");
        assert_eq!(browser.eval("document.documentElement.dataset.theme"), json!(scheme), "{name}");
        assert_eq!(browser.eval(OVERFLOW), json!([]), "{name}: wider than the window");
        let text = browser.eval("document.body.innerText").as_str().unwrap().to_owned();
        for bad in ["NaN", "undefined", "Infinity", "null"] {
            assert!(!text.contains(bad), "{name} shows {bad}: {text}");
        }
        browser.picture(&file.with_file_name(format!("{name}.png")), true);
        look(browser, &name);
    }
}

/// Every cell of the heat map as it is on the screen: what it says, and red, green and blue beside its text.
fn heat(browser: &mut Browser) -> Vec<(String, [i64; 3])> {
    browser.eval("document.querySelector('#heat').scrollIntoView({ behavior: 'instant', block: 'start' })");
    browser.settle();
    let png = browser.screen();
    let cells = browser.eval(&format!(
        r#"(async () => {{
          const image = new Image();
          image.src = 'data:image/png;base64,{png}';
          await image.decode();
          const canvas = document.createElement('canvas');
          [canvas.width, canvas.height] = [image.width, image.height];
          const ctx = canvas.getContext('2d');
          ctx.drawImage(image, 0, 0);
          const scale = image.width / innerWidth;
          return [...document.querySelectorAll('#heat table.heat td')].map((td) => {{
            const box = td.getBoundingClientRect();
            // Below the text, inside the ring of a choice.
            const [x, y] = [(box.left + box.width / 2) * scale, (box.bottom - 4) * scale];
            // What is scrolled out of sight is not on the screen.
            const inside = document.elementFromPoint(box.left + box.width / 2, box.bottom - 4) === td;
            return [td.title, inside ? [...ctx.getImageData(x, y, 1, 1).data].slice(0, 3) : null];
          }});
        }})()"#
    ));
    let cell = |c: &Value| {
        let rgb = c[1].as_array()?;
        Some((c[0].as_str()?.to_owned(), [0, 1, 2].map(|n| rgb[n].as_i64().unwrap())))
    };
    cells.as_array().unwrap().iter().filter_map(cell).collect()
}

/// What is good is bluer than what is bad, in as many shades as there are values.
#[track_caller]
fn assert_heat(browser: &mut Browser, name: &str, least: usize) {
    let cells = heat(browser);
    assert!(cells.len() >= least, "{name}: {} cells on the screen", cells.len());
    let number = |title: &str| -> Option<f64> {
        title.rsplit(' ').next()?.replace('\u{2212}', "-").replace(',', "").parse().ok()
    };
    let mut valued: Vec<(f64, [i64; 3])> = cells.iter().filter_map(|(t, rgb)| Some((number(t)?, *rgb))).collect();
    valued.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (worst, best) = (valued[0].1, valued[valued.len() - 1].1);
    let blue = |rgb: [i64; 3]| rgb[2] - rgb[0];
    assert!(blue(best) > blue(worst) + 40, "{name}: best {best:?}, worst {worst:?}");
    let shades: std::collections::BTreeSet<[i64; 3]> = valued.iter().map(|(_, rgb)| *rgb).collect();
    assert!(shades.len() * 3 > valued.len(), "{name}: {} shades of {} values", shades.len(), valued.len());
    // In the order of the values the colour only gets bluer.
    let falls = valued.windows(2).filter(|w| blue(w[1].1) < blue(w[0].1) - 3).count();
    assert_eq!(falls, 0, "{name}: {valued:?}");
}

#[test]
fn a_sweep_draws_its_heat_map_and_lines_in_both_themes_and_on_a_phone() {
    let Some(mut browser) = browser() else { return };
    let asked = Asked { params: &["fast=2..14:2", "slow=16..44:4", "kind=sma,ema"], split: None, min_trades: 0 };
    let html = made(1_500, &asked);
    everywhere(&mut browser, "sweep", &html, |browser, name| {
        let charts = browser.eval(PIXELS);
        for axis in ["fast", "slow", "kind"] {
            assert_drawn(&charts, &format!("Sharpe ratio by {axis}"), "accent", 40);
        }
        assert_heat(browser, name, if name.contains("phone") { 20 } else { 56 });
        assert_eq!(
            browser.eval("document.querySelectorAll('#heat td[style*=outline]').length"),
            json!(1),
            "the choice"
        );
        let notes = browser.eval("document.querySelector('#quality').textContent");
        assert!(notes.as_str().unwrap().contains("3 bars of file:BTC-USDT-PERP are missing"), "{notes}");
    });
}

#[test]
fn a_walk_forward_sweep_draws_windows_inside_against_outside() {
    let Some(mut browser) = browser() else { return };
    let split = Some(Split { folds: 3, walk: Walk::Rolling, train: 2 });
    let asked = Asked { params: &["fast=2..8:2", "slow=12,16,20,24"], split, min_trades: 0 };
    let html = made(1_500, &asked);
    everywhere(&mut browser, "sweep-walk", &html, |browser, name| {
        let charts = browser.eval(PIXELS);
        assert_drawn(&charts, "Sharpe ratio in training and test", "c1", 60);
        assert_drawn(&charts, "Sharpe ratio in training and test", "c3", 60);
        assert_drawn(&charts, "Sharpe ratio in training and test", "text", 20);
        assert_drawn(&charts, "Chosen value of each parameter by window", "c1", 60);
        assert_eq!(browser.eval("document.querySelectorAll('#folds tbody tr').length"), json!(3), "{name}");
        assert_heat(browser, name, 12);
    });

    // What stands near the pointer is named; another window and the test part are drawn anew; the table sorts.
    browser.open(&page("sweep-hands", &html), 1200, 900, "light");
    browser.eval("document.querySelector('#outside canvas').scrollIntoView({ behavior: 'instant', block: 'center' })");
    browser.settle();
    let spot = browser.eval(
        "(() => { const b = document.querySelector('#outside canvas').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()",
    );
    let at = |n: usize| spot[n].as_f64().unwrap();
    let mut told = String::new();
    for step in 0..400 {
        let (x, y) = (at(0) + at(2) * f64::from(step % 20) / 20.0, at(1) + at(3) * f64::from(step / 20) / 20.0);
        browser.mouse("mouseMoved", x, y, 0);
        told = browser.eval("document.querySelector('#outside .when').textContent").as_str().unwrap().to_owned();
        if !told.is_empty() {
            break;
        }
    }
    assert!(told.starts_with("window ") && told.contains("training") && told.contains("test"), "{told:?}");
    let text = "document.querySelector('#heat table').textContent";
    let before = browser.eval(text);
    browser.eval("[...document.querySelectorAll('#heat .seg button')].find((b) => b.textContent === 'Test').click()");
    let test = browser.eval(text);
    assert_ne!(test, before, "other values in the test");
    browser.eval("(() => { const s = document.querySelector('#heat select'); s.value = '1'; s.dispatchEvent(new Event('change')); })()");
    assert_ne!(browser.eval(text), test, "one window is not all of them");
    browser.eval("document.querySelectorAll('#trials th button')[1].focus()");
    browser.press("Enter", 13);
    browser.settle();
    assert!(browser.eval("document.querySelectorAll('#trials tbody tr').length").as_u64() > Some(5));
    browser.eval("document.getElementById('theme').click()");
    browser.settle();
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), json!("dark"));
    browser.eval("localStorage.clear()");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn one_parameter_and_no_score_at_all_are_shown_as_such() {
    let Some(mut browser) = browser() else { return };
    let one = made(700, &Asked { params: &["fast=2..9"], split: None, min_trades: 0 });
    everywhere(&mut browser, "sweep-one", &one, |browser, _| {
        let charts = browser.eval(PIXELS);
        assert_drawn(&charts, "Sharpe ratio by fast", "accent", 100);
        assert_eq!(browser.eval("document.querySelectorAll('.heat').length"), json!(0), "a line, not a map");
    });
    let none = made(700, &Asked { params: &["fast=2,3", "slow=12,14"], split: None, min_trades: 100_000 });
    everywhere(&mut browser, "sweep-none", &none, |browser, _| {
        let text = browser.eval("document.body.innerText").as_str().unwrap().to_owned();
        assert!(text.contains("No combination has a value here."), "{text}");
    });
}
