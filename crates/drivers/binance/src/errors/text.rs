//! The table of errors as the documentation shows it.

use super::table::{Market, TABLE};
use super::{Row, Verdict};
use std::fmt::Write;

/// A Markdown table of every row, in the order of the codes: USD-M's meaning under spot's where they differ.
pub fn markdown() -> String {
    let mut rows: Vec<&Row> = TABLE.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(*row.codes.end()));
    let mut out = String::from("| code | market | what failed | ctos takes it as | hint |\n|---|---|---|---|---|\n");
    for row in rows {
        let (first, last) = (row.codes.end(), row.codes.start());
        let code = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let code = if row.text.is_empty() { code } else { format!("{code} “{}”", row.text) };
        let market = match row.market {
            Market::Both => "both",
            Market::Spot => "spot",
            Market::UsdM => "USD-M",
        };
        let stop = if row.stop { "; trading stops" } else { "" };
        writeln!(out, "| {code} | {market} | {} | {}{stop} | {} |", row.line, takes(row.verdict), row.hint)
            .expect("writing to a String");
    }
    out
}

fn takes(verdict: Verdict) -> String {
    match verdict {
        Verdict::Rejected(reason) => format!("refused: {reason}"),
        Verdict::NotDone => "not done, sent again".into(),
        Verdict::RateLimited => "rate limit".into(),
        Verdict::Auth => "access refused".into(),
        Verdict::Clock => "clock".into(),
        Verdict::Already => "done already".into(),
        Verdict::Partly => "half done".into(),
        Verdict::Unknown => "outcome unknown".into(),
    }
}
