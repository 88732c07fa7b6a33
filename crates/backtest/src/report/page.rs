//! The one file a report is: markup, style, script and data, nothing from outside.
//! Never: lets the file ask for anything; its Content-Security-Policy allows this very script and no request.

use super::data::Page;
use super::figures::{Figure, Unit};
use super::text::{amount, base64, count, escape, json_for_script, span};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("../../assets/report/report.css");

const SCRIPT: [&str; 14] = [
    include_str!("../../assets/report/base.js"),
    include_str!("../../assets/report/axis.js"),
    include_str!("../../assets/report/series.js"),
    include_str!("../../assets/report/chart.js"),
    include_str!("../../assets/report/pointer.js"),
    include_str!("../../assets/report/histogram.js"),
    include_str!("../../assets/report/table.js"),
    include_str!("../../assets/report/parts.js"),
    include_str!("../../assets/report/curves.js"),
    include_str!("../../assets/report/prices.js"),
    include_str!("../../assets/report/trades.js"),
    include_str!("../../assets/report/run.js"),
    include_str!("../../assets/report/compare.js"),
    include_str!("../../assets/report/main.js"),
];

/// What stands at the top before any script runs.
pub struct Head {
    pub title: String,
    /// Short facts below the title.
    pub lines: Vec<String>,
}

pub fn render(head: &Head, page: &Page) -> String {
    let data = serde_json::to_string(page).expect("a page is plain data");
    document(head, &without_script(page), &json_for_script(&data), &SCRIPT.join("\n"))
}

/// A page around `script`, which finds its data as JSON in the element `data`.
pub(crate) fn document(head: &Head, plain: &str, data: &str, script: &str) -> String {
    let script = format!("\n{script}");
    let style = format!("\n{STYLE}");
    let digest = |text: &str| base64(&Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(&script),
        digest(&style)
    );
    let title = escape(&head.title);
    let lines: String = head.lines.iter().map(|l| format!("<span>{}</span>", escape(l))).collect();
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="ctos {version}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div class="wrap">
<header class="top">
<div><h1>{title}</h1><div class="sub">{lines}</div></div>
<div class="tools"><button id="theme" type="button" hidden>Dark</button></div>
</header>
<nav id="nav" class="nav" aria-label="Parts of this report"></nav>
<noscript><div class="noscript">Charts and tables need JavaScript, which is off here. Nothing is loaded from the network.</div>{plain}</noscript>
<main id="content"></main>
<footer>Written by ctos {version}. Times are UTC. This file is complete in itself and loads nothing.</footer>
</div>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"##,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// All figures as a plain table, for readers without script.
fn without_script(page: &Page) -> String {
    let mut text = String::new();
    for run in &page.runs {
        text += &format!("<table><caption>{}</caption>", escape(&run.label));
        for f in &run.figures {
            text += &format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(f.label), escape(&value(f)));
        }
        text += "</table>";
    }
    text
}

fn value(figure: &Figure) -> String {
    let Some(v) = figure.value.filter(|v| v.is_finite()) else {
        return "\u{2013}".to_owned();
    };
    match figure.unit {
        Unit::Percent | Unit::Probability => format!("{:.2} %", v * 100.0),
        Unit::Money => amount(v),
        Unit::Ratio => format!("{v:.2}"),
        Unit::Count => count(v.max(0.0) as u64),
        Unit::Duration => span((v * 1e9) as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Colours of one theme: `--name: #rrggbb`, with a `#rrggbbaa` blended over the card.
    fn colours(selector: &str) -> BTreeMap<&'static str, [f64; 3]> {
        let block = STYLE.split(selector).nth(1).and_then(|s| s.split('}').next()).unwrap();
        let declared = block
            .split(';')
            .filter_map(|d| d.trim().trim_start_matches('{').trim().strip_prefix("--")?.split_once(": #"));
        let channel = |hex: &str, i: usize| f64::from(u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        declared
            .filter(|(_, hex)| hex.len() == 6)
            .map(|(name, hex)| (name, [0, 1, 2].map(|i| channel(hex, i))))
            .collect()
    }

    /// As WCAG 2 defines it.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let light = |c: [f64; 3]| {
            let linear =
                c.map(|v| v / 255.0).map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        let (a, b) = (light(a), light(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_lines_can_be_told_from_their_ground_in_both_themes() {
        for selector in [":root {", ":root[data-theme=\"dark\"] {"] {
            let of = colours(selector);
            for name in ["text", "muted", "pos", "neg", "warn", "accent"] {
                for ground in ["card", "bg", "sunk"] {
                    let ratio = contrast(of[name], of[ground]);
                    assert!(ratio >= 4.5, "{selector} {name} on {ground}: {ratio:.2}");
                }
            }
            for name in ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"] {
                let ratio = contrast(of[name], of["card"]);
                assert!(ratio >= 3.0, "{selector} line {name}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn the_policy_names_the_very_script_and_style() {
        let page = Page { kind: "compare", runs: Vec::new() };
        let html = render(&Head { title: "<b>".into(), lines: vec!["a & b".into()] }, &page);
        for (tag, name) in [("<script>", "script-src"), ("<style>", "style-src")] {
            let text = html.split(tag).nth(1).unwrap().split(&tag.replace('<', "</")).next().unwrap();
            let digest = base64(&Sha256::digest(text.as_bytes()));
            assert!(html.contains(&format!("{name} 'sha256-{digest}'")), "{name}");
        }
        assert!(html.contains("<h1>&lt;b&gt;</h1>") && html.contains("a &amp; b"));
        assert!(!SCRIPT.concat().contains("</"), "nothing in the script ends it");
    }
}
