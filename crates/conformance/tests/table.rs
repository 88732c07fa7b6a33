//! The conformance suite: what the driver claims and what is proved against the twin.

use ctos_conformance::cases::{CAPABILITIES, Outcome, PROFILES, SUBJECTS, claims, play_claiming, table};

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

/// A driver that claims what its market has not is found out: for each capability that is not claimed, a case fails once
/// it is.
#[test]
fn a_claim_too_many_is_found_out() {
    let mut believed = Vec::new();
    for profile in PROFILES {
        for lie in CAPABILITIES.iter().filter(|c| !claims(profile).contains(c)) {
            let cases = SUBJECTS.iter().flat_map(|(_, cases)| *cases).filter(|case| case.needs == *lie);
            let outcomes: Vec<_> = cases.map(|case| (case.name, play_claiming(case, profile, &[*lie]))).collect();
            assert!(!outcomes.is_empty(), "no case needs {lie:?}");
            if !outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_))) {
                believed.push(format!("{lie:?} on {profile}: {outcomes:?}"));
            }
        }
    }
    assert!(believed.is_empty(), "claimed without being there, and believed:\n{}", believed.join("\n"));
}

/// The behaviours that each driver must show on each of its markets, whatever it claims beside them.
#[test]
fn every_behaviour_has_its_case() {
    let named: Vec<&str> = SUBJECTS
        .iter()
        .flat_map(|(_, cases)| *cases)
        .filter(|case| case.needs == ctos_conformance::cases::Capability::Core)
        .map(|case| case.name)
        .collect();
    for (behaviour, words) in [
        ("place and ack", "a limit order rests"),
        ("fill", "a market order fills"),
        ("partial", "trades in parts"),
        ("cancel", "a cancel ends an order"),
        ("reject", "what the venue refuses"),
        ("unknown", "a request that never arrives"),
        ("reconnect", "behind a cut stream"),
        ("market data", "with a hole"),
        ("reconcile", "held before is taken over"),
        ("restart", "a restart adopts"),
        ("close-all", "close-all leaves nothing"),
        ("precision", "to the last digit"),
        ("precision, refused", "off the grid never leaves"),
        ("limits", "a refusal for want of room"),
        ("limits, kept", "keeps to the venue's limits"),
        ("bans", "a ban stops everything"),
        ("clock", "a clock that jumps"),
    ] {
        assert!(named.iter().any(|name| name.contains(words)), "no case shows {behaviour}: {words}");
    }
}
