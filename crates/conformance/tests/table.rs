//! The conformance suite: what the driver claims and what is proved against the twin.

use ctos_conformance::cases::table;

#[test]
fn every_claim_is_proved() {
    let (text, failed) = table();
    println!("{text}");
    assert!(failed.is_empty(), "{} cases failed\n{}", failed.len(), failed.join("\n"));
    // The same table stands in the documentation.
    let docs = include_str!("../../../docs/venues/binance.md");
    let (from, to) = ("<!-- cases: generated -->\n", "<!-- end of cases -->");
    let shown = docs.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(shown, _)| shown.trim());
    if std::env::var_os("CTOS_UPDATE").is_some() {
        let (before, rest) = docs.split_once(from).expect("the marks of the table");
        let (_, after) = rest.split_once(to).expect("the marks of the table");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/venues/binance.md");
        std::fs::write(path, format!("{before}{from}{text}{to}{after}")).expect("the page can be written");
    } else {
        assert_eq!(
            shown,
            Some(text.trim()),
            "write the page anew: CTOS_UPDATE=1 cargo test -p ctos-conformance --test table"
        );
    }
}
