//! What every test of a page asks of it: where it lies, what is drawn in which colour, what sticks out.
//! Never: an assertion that only one page could meet.

use crate::browser::{self, Browser};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub fn page(name: &str, html: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.html"));
    std::fs::write(&file, html).unwrap();
    file
}

/// `None`, with a message, where there is no browser and nobody insists on one.
pub fn browser() -> Option<Browser> {
    match browser::find() {
        Some(program) => Some(Browser::start(&program)),
        None if std::env::var("CI").is_ok_and(|v| v == "true") => {
            panic!("no browser to open reports with\nhint: run `make browser`, or name one: CHROME=/path/to/chromium")
        }
        None => {
            eprintln!(
                "skipped: no browser to open reports with; run `make browser`, or name one: CHROME=/path/to/chromium"
            );
            None
        }
    }
}

/// For each chart: its name, and of how many pixels each colour of the theme is drawn.
pub const PIXELS: &str = r#"(() => {
  const names = ['text', 'accent', 'pos', 'neg', 'muted', 'c1', 'c2', 'c3', 'c4', 'c7'];
  const rgb = (name) => {
    const probe = document.createElement('canvas').getContext('2d');
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  };
  const colours = names.map((n) => [n, rgb(n)]);
  return [...document.querySelectorAll('canvas.base')].map((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const seen = Object.fromEntries(names.map((n) => [n, 0]));
    let painted = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 8) continue;
      painted++;
      for (const [name, c] of colours) {
        if (data[i + 3] > 120 && Math.abs(data[i] - c[0]) + Math.abs(data[i + 1] - c[1]) + Math.abs(data[i + 2] - c[2]) < 24) seen[name]++;
      }
    }
    return { label: canvas.getAttribute('aria-label').split('.')[0], width: canvas.width, painted, seen };
  });
})()"#;

pub const OVERFLOW: &str = r#"(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('#content *')].filter((e) => e.getBoundingClientRect().right > width + 1)
    .slice(0, 5).map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 30));
})()"#;

fn chart<'a>(charts: &'a Value, label: &str) -> &'a Value {
    let found = charts.as_array().unwrap().iter().find(|c| c["label"].as_str().unwrap().starts_with(label));
    found.unwrap_or_else(|| panic!("no chart {label:?} among {charts}"))
}

#[track_caller]
pub fn assert_drawn(charts: &Value, label: &str, colour: &str, least: u64) {
    let one = chart(charts, label);
    let seen = one["seen"][colour].as_u64().unwrap();
    assert!(seen >= least, "{label}: {seen} pixels of {colour}, expected {least}: {one}");
}
