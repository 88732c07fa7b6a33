//! Report pages, looked at in a real browser: they must draw, in both themes and on a phone, and ask for nothing.

mod browser;
mod fixture;
mod looks;
mod sweep;

use ctos_backtest::log::RunLog;
use ctos_backtest::metrics::{self, Metrics, Trials};
use ctos_backtest::report::{self, ReportInput, Run};
use fixture::Shape;
use looks::{OVERFLOW, PIXELS, assert_drawn, browser, page};
use serde_json::{Value, json};

const HOSTILE: &str = "</script><script>window.broken=1</script><img src=x onerror=\"window.broken=2\">\u{2028}<!--";

struct Made {
    log: RunLog,
    metrics: Option<Metrics>,
}

impl Made {
    fn new(shape: &Shape) -> Made {
        Made::of(fixture::run(shape))
    }
    fn of(log: RunLog) -> Made {
        let metrics = metrics::of(&log, Trials::default());
        Made { log, metrics }
    }
    fn run(&self) -> Run<'_> {
        Run { log: &self.log, metrics: self.metrics.as_ref() }
    }
    fn input(&self) -> ReportInput<'_> {
        ReportInput { run: self.run(), pessimistic: None, label: None }
    }
}

/// The usual run, and the same one with twice the fees, more slippage and a slower line.
fn usual() -> (Made, Made) {
    let worse = Shape { fee: 0.0005, slip: 0.0004, ..Shape::default() };
    (Made::new(&Shape::default()), Made::new(&worse))
}

#[test]
fn a_run_draws_everything_in_both_themes_and_on_a_phone() {
    let Some(mut browser) = browser() else { return };
    let (is, worse) = usual();
    let html = report::html(&ReportInput { pessimistic: Some(worse.run()), ..is.input() });
    assert!(html.len() < 3_000_000, "{} bytes for {} points", html.len(), is.log.equity[0].points.len());
    let file = page("run", &html);
    for (name, width, height, scheme) in [
        ("light", 1360, 900, "light"),
        ("dark", 1360, 900, "dark"),
        ("phone", 390, 844, "light"),
        ("phone-dark", 390, 844, "dark"),
    ] {
        browser.open(&file, width, height, scheme);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
        assert_eq!(browser.eval("document.documentElement.dataset.ready"), json!("true"), "{name}");
        assert_eq!(browser.eval("document.documentElement.dataset.theme"), json!(scheme));
        assert_eq!(browser.eval(OVERFLOW), json!([]), "{name}: wider than the window");
        let charts = browser.eval(PIXELS);
        assert_drawn(&charts, "Equity over time", "accent", 300);
        assert_drawn(&charts, "Equity over time", "c2", 50);
        assert_drawn(&charts, "Drawdown over time", "neg", 200);
        assert_drawn(&charts, "Price of binance:BTC-USDT-PERP", "pos", 300);
        assert_drawn(&charts, "Price of binance:BTC-USDT-PERP", "neg", 300);
        assert_drawn(&charts, "Price of binance:BTC-USDT-PERP", "c1", 150);
        assert_drawn(&charts, "Position in binance:BTC-USDT-PERP", "accent", 100);
        assert_drawn(&charts, "Distribution of returns", "pos", 500);
        assert_drawn(&charts, "Distribution of returns", "neg", 500);
        assert_drawn(&charts, "Results of trades", "pos", 500);
        assert_drawn(&charts, "Results of trades", "neg", 500);
        assert_eq!(browser.eval("document.querySelectorAll('#falls tbody tr').length"), json!(5));
        assert_drawn(&charts, "Rolling Sharpe", "c4", 100);
        assert_drawn(&charts, "Exposure over time", "c7", 100);
        browser.picture(&file.with_file_name(format!("{name}.png")), true);
    }
}

#[test]
fn a_large_run_stays_small() {
    let symbols =
        vec!["a:A-USDT-PERP", "a:B-USDT-PERP", "a:C-USDT-PERP", "a:D-USDT-PERP", "a:E-USDT-PERP", "a:F-USDT-PERP"];
    let made = Made::new(&Shape { symbols, fast: 2.0, slow: 6.0, ..Shape::default() });
    let (points, trades, bars) =
        (made.log.equity[0].points.len(), made.log.trades.len(), made.log.prices[0].bars.len());
    let html = report::html(&made.input());
    assert!(points == 20_000 && trades > 10_000, "{trades} trades");
    assert!(html.len() < 3_000_000, "{} bytes for {points} points, {trades} trades and 6 x {bars} bars", html.len());
    page("large", &html);
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let shape = Shape { hours: 300, ..Shape::default() };
    let [a, b] = [Made::new(&shape), Made::new(&shape)];
    assert_eq!(report::html(&a.input()), report::html(&b.input()));
    let html = report::html(&a.input());
    assert!(!html.contains("http:") && !html.contains("https:"), "no address of anything outside");
}

#[test]
fn keys_and_mouse_sort_filter_zoom_and_switch_the_theme() {
    let Some(mut browser) = browser() else { return };
    let (is, _) = usual();
    let file = page("hands", &report::html(&is.input()));
    browser.open(&file, 1200, 900, "light");
    // Sorting by keyboard: the header's button has the focus and Enter is pressed.
    let nets =
        "[...document.querySelectorAll('#trades tbody tr:not(.pad)')].slice(0, 8).map((r) => r.cells[NET].textContent)";
    let net = browser.eval("[...document.querySelectorAll('#trades th')].findIndex((h) => h.textContent === 'Net')");
    let nets = nets.replace("NET", &net.to_string());
    browser.eval(&format!("document.querySelectorAll('#trades th button')[{net}].focus()"));
    browser.press("Enter", 13);
    browser.settle();
    let read = |v: Value| -> Vec<f64> {
        let number = |t: &Value| t.as_str().unwrap().replace(',', "").replace('\u{2212}', "-").parse().unwrap();
        v.as_array().unwrap().iter().map(number).collect()
    };
    let best = read(browser.eval(&nets));
    assert!(best.len() == 8 && best.windows(2).all(|w| w[0] >= w[1]) && best[0] > 0.0, "{best:?}");
    assert_eq!(browser.eval("document.querySelector('#trades th[aria-sort]').ariaSort"), json!("descending"));
    browser.press("Enter", 13);
    browser.settle();
    let worst = read(browser.eval(&nets));
    assert!(worst.windows(2).all(|w| w[0] <= w[1]) && worst[0] < 0.0, "{worst:?}");
    let want = is.log.trades.iter().map(|t| t.net.to_f64()).fold(f64::MAX, f64::min);
    assert!((worst[0] - want).abs() < 0.51, "{} shown, {want} in the log", worst[0]);

    // Only rows in sight are in the document; scrolled to the end, the last one is.
    let rows = browser.eval("document.querySelectorAll('#trades tbody tr').length");
    assert!(rows.as_u64().unwrap() < 60 && is.log.trades.len() > 300, "{rows} rows for {} trades", is.log.trades.len());
    browser.eval("document.querySelector('.trades').scrollTop = 1e9");
    browser.settle();
    let last = browser
        .eval("[...document.querySelectorAll('#trades tbody tr:not(.pad)')].pop().getAttribute('aria-rowindex')");
    assert_eq!(last, json!((is.log.trades.len() + 1).to_string()));

    // Filters count what they show.
    browser
        .eval("[...document.querySelectorAll('#trades .seg button')].find((b) => b.textContent === 'Winners').click()");
    let wins = is.log.trades.iter().filter(|t| t.net.is_positive()).count();
    let count = browser.eval("document.querySelector('#trades [role=status]').textContent.replace(/,/g, '')");
    assert_eq!(count, json!(format!("{wins} of {} trades", is.log.trades.len())));

    // Dragging zooms all charts over time, a double click shows everything again.
    let ink = "[...document.querySelectorAll('canvas.base')].slice(0, 2).map((c) => c.toDataURL())";
    let before = browser.eval(ink);
    let y = browser.eval("(scrollTo({ top: 0, behavior: 'instant' }), document.querySelector('canvas.base').getBoundingClientRect().top + 100)").as_f64().unwrap();
    browser.mouse("mousePressed", 500.0, y, 1);
    browser.mouse("mouseMoved", 700.0, y, 1);
    browser.mouse("mouseReleased", 700.0, y, 1);
    browser.settle();
    let zoomed = browser.eval(ink);
    assert!(zoomed[0] != before[0] && zoomed[1] != before[1], "both charts follow");
    let when = browser.eval("document.querySelector('#equity .when').textContent");
    assert!(when.as_str().unwrap().starts_with("202"), "the crosshair reads a time: {when}");
    browser.picture(&file.with_file_name("zoomed.png"), false);
    for kind in ["mousePressed", "mouseReleased"] {
        browser.mouse(kind, 600.0, y, 1);
    }
    for kind in ["mousePressed", "mouseReleased"] {
        browser.mouse(kind, 600.0, y, 2);
    }
    browser.settle();
    assert_eq!(browser.eval(ink), before, "a double click shows all");

    // Keys do the same.
    browser.eval("document.querySelector('canvas.base').focus()");
    browser.press("+", 187);
    browser.settle();
    assert_ne!(browser.eval(ink), before);
    browser.press("ArrowRight", 39);
    let spoken = browser.eval("document.querySelector('#equity [role=status]').textContent");
    assert!(spoken.as_str().unwrap().contains("USDT"), "what the crosshair reads is said: {spoken}");
    browser.press("Escape", 27);
    browser.eval("document.activeElement.blur()");
    browser.settle();
    assert_eq!(browser.eval(ink), before);

    // An entry time shows the trade in the chart of its instrument.
    browser.eval("[...document.querySelectorAll('#trades tr')].find((r) => r.textContent.includes('ETH')).querySelector('.go').click()");
    browser.settle();
    assert_eq!(
        browser.eval("document.querySelector('#price select').selectedOptions[0].text"),
        json!("binance:ETH-USDT-PERP")
    );
    assert_ne!(browser.eval(ink)[0], before[0], "all charts show the time of the trade");
    browser.eval("[...document.querySelectorAll('#equity .seg button')].find((b) => b.textContent === 'All').click()");
    browser.settle();
    assert_eq!(browser.eval(ink)[0], before[0]);

    // The theme changes and is remembered by the page.
    browser.eval("document.getElementById('theme').click()");
    browser.settle();
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), json!("dark"));
    assert_ne!(browser.eval(ink), before, "charts are drawn in the new colours");
    browser.eval("localStorage.clear()");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn names_from_outside_are_text() {
    let Some(mut browser) = browser() else { return };
    let mut log = fixture::run(&Shape { hours: 400, symbols: vec!["x:BTC-USDT-PERP"], ..Shape::default() });
    log.facts.strategies[0].id = HOSTILE.into();
    log.facts.strategies[0].params.push((HOSTILE.into(), HOSTILE.into()));
    log.facts.accounts[0].name = HOSTILE.into();
    log.facts.run_id = HOSTILE.into();
    log.facts.assumptions.push((HOSTILE.into(), HOSTILE.into()));
    log.facts.data_quality.push(HOSTILE.into());
    log.plots[0].name = HOSTILE.into();
    let made = Made::of(log);
    for (name, html) in
        [("hostile", report::html(&made.input())), ("hostile-compare", report::compare(&[made.input(), made.input()]))]
    {
        let file = page(name, &html);
        browser.open(&file, 1000, 800, "light");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        assert_eq!(browser.eval("[typeof window.broken, document.images.length]"), json!(["undefined", 0]));
        let title =
            browser.eval("document.querySelector('h1').textContent + document.getElementById('content').textContent");
        assert!(title.as_str().unwrap().contains("<script>window.broken=1</script>"), "names are shown as they are");
    }
}

#[test]
fn runs_side_by_side() {
    let Some(mut browser) = browser() else { return };
    let slow = Made::new(&Shape { fast: 24.0, slow: 120.0, ..Shape::default() });
    let quick = Made::new(&Shape { fast: 5.0, slow: 20.0, strategy: "quick", ..Shape::default() });
    let other = Made::new(&Shape { seed: 21, hours: 6_000, strategy: "other market", ..Shape::default() });
    let (_, worse) = usual();
    let with_worse = ReportInput { pessimistic: Some(worse.run()), ..slow.input() };
    let html = report::compare(&[with_worse, quick.input(), other.input()]);
    let file = page("compare", &html);
    for (name, width, scheme) in
        [("compare", 1360, "light"), ("compare-dark", 1360, "dark"), ("compare-phone", 390, "light")]
    {
        browser.open(&file, width, 900, scheme);
        assert_eq!(browser.complaints(), Vec::<String>::new());
        assert_eq!(browser.eval(OVERFLOW), json!([]), "{name}: wider than the window");
        let charts = browser.eval(PIXELS);
        for colour in ["c1", "c2", "c3"] {
            assert_drawn(&charts, "Growth of each run", colour, 150);
            assert_drawn(&charts, "Drawdown of each run", colour, 100);
        }
        assert!(browser.eval("document.querySelectorAll('.figures .best').length").as_u64().unwrap() > 10);
        let worse = browser.eval("[...document.querySelectorAll('#figures tr')].find((r) => r.textContent.startsWith('Pessimistic return')).textContent");
        assert!(worse.as_str().unwrap().ends_with("%––"), "one run has it, two do not: {worse}");
        let starred = browser.eval(
            "[...document.querySelectorAll('.figures .best')].filter((c) => c.textContent.startsWith('–')).length",
        );
        assert_eq!(starred, json!(0), "{name}: nothing is never the best");
        let doubt = browser.eval("document.querySelector('#pessimistic').innerText").as_str().unwrap().to_owned();
        assert!(doubt.contains("under pessimistic") && doubt.contains("was not repeated under"), "{doubt}");
        assert!(browser.eval("document.querySelectorAll('#settings tr.diff').length").as_u64().unwrap() >= 3);
        browser.picture(&file.with_file_name(format!("{name}.png")), true);
    }
}

#[test]
fn what_is_not_there_is_said() {
    let Some(mut browser) = browser() else { return };
    let nothing = Made::of(RunLog::default());
    // A run that was valued once and never traded.
    let mut once = fixture::run(&Shape { hours: 1, symbols: vec!["x:BTC-USDT-PERP"], ..Shape::default() });
    once.equity[0].points.truncate(1);
    let once = Made::of(once);
    for (name, made) in [("nothing", nothing), ("once", once)] {
        let file = page(name, &report::html(&made.input()));
        for (width, scheme) in [(1200, "light"), (390, "dark")] {
            browser.open(&file, width, 900, scheme);
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
            assert_eq!(browser.eval(OVERFLOW), json!([]), "{name}: wider than the window");
        }
        let text = browser.eval("document.body.innerText").as_str().unwrap().to_owned();
        for bad in ["NaN", "undefined", "Infinity", "null"] {
            assert!(!text.contains(bad), "{name} shows {bad}: {text}");
        }
        assert!(text.contains("No trade: the strategies never ordered anything."), "{text}");
        browser.picture(&file.with_file_name(format!("{name}.png")), true);
    }
}
