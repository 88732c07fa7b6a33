use super::harness::{params, perp, spot};
use crate::params::Range;
use crate::registry::{build, list};
use ctos_types::{Instrument, InstrumentId, Instruments, Symbol};

fn world() -> Instruments {
    let small = Instrument { min_notional: "5".parse().unwrap(), ..spot() };
    Instruments::new(vec![perp(), small, Instrument { symbol: Symbol::new("sim:SOL-USDT-PERP"), ..perp() }]).unwrap()
}

fn error(name: &str, pairs: &[(&str, &str)]) -> String {
    match build(name, &params(pairs), &world(), &[InstrumentId(0)]) {
        Ok(_) => panic!("{name} {pairs:?} was accepted"),
        Err(e) => e.to_string(),
    }
}

#[track_caller]
fn refuses(name: &str, pairs: &[(&str, &str)], words: &[&str]) {
    let text = error(name, pairs);
    assert_eq!(text.lines().count(), 2, "one line what failed, one hint: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {text:?}");
    }
}

#[test]
fn defaults_and_examples_build() {
    for s in list() {
        assert!(build(s.name, &params(&[]), &world(), &[InstrumentId(0)]).is_ok(), "{}", s.name);
        assert!(build(s.name, &params(&[]), &world(), &[]).is_ok(), "{} without default symbols", s.name);
        let example = s.example_params();
        assert!(!example.is_empty() && s.example.contains(s.name));
        if let Err(e) = build(s.name, &example, &world(), &[InstrumentId(0)]) {
            panic!("{}: {e}", s.example);
        }
        for p in s.params {
            let (Range::Any | Range::Above(_) | Range::Between(..) | Range::AboveUpTo(..)) = p.range;
            // Reads every bound and default: a malformed one panics.
            p.range.holds("1".parse().unwrap());
            assert!(p.doc.ends_with('.'), "{} of {}", p.name, s.name);
        }
    }
}

#[test]
fn unknown_names_get_the_nearest_one() {
    refuses("gird", &[], &["no strategy gird", "did you mean grid?", "grid, grid_all, ma_cross, mean_reversion"]);
    refuses("grid", &[("spaceing", "1")], &["no parameter spaceing", "did you mean spacing?", "levels"]);
    refuses("grid", &[("zzzzzzzzzz", "1")], &["its parameters are: symbol"]);
    refuses("grid", &[("symbol", "BTC-USDT-PERB")], &["no single instrument", "did you mean sim:BTC-USDT-PERP?"]);
    refuses("grid_all", &[("symbols", "BTC-USDT-PERP,XXX")], &["\"XXX\"", "sim:SOL-USDT-PERP"]);
}

#[test]
fn wrong_types_and_ranges() {
    refuses(
        "grid",
        &[("spacing", "wide")],
        &["parameter spacing", "not a decimal number", "percent, above 0, up to 50"],
    );
    refuses("grid", &[("spacing", "0")], &["out of range"]);
    refuses("grid", &[("levels", "2.5")], &["not a whole number"]);
    refuses("grid", &[("levels", "201")], &["out of range", "1 to 200"]);
    refuses("grid", &[("order_amount", "-5")], &["out of range"]);
    refuses("grid", &[("mode", "linear")], &["\"linear\"", "`arithmetic` or `geometric`"]);
    refuses("grid", &[("sell_owned", "maybe")], &["neither true nor false"]);
    refuses("ma_cross", &[("interval", "1x")], &["not an interval", "for example 10s"]);
    refuses("grid", &[("order_amount", "1e-30")], &["more decimal places"]);
}

#[test]
fn inconsistencies() {
    refuses("grid", &[("lower", "70"), ("upper", "60")], &["70 is not below upper, which is 60"]);
    refuses("grid", &[("lower", "70")], &["lower needs an upper"]);
    refuses("grid", &[("upper", "70")], &["upper needs a lower"]);
    refuses("grid", &[("lower", "60"), ("upper", "70"), ("center", "65")], &["parameter center", "cannot go together"]);
    refuses("grid", &[("lower", "60"), ("upper", "60.5")], &["parameter levels", "20 steps", "do not fit"]);
    refuses("grid", &[("max_inventory", "50"), ("order_amount", "60")], &["less than one order of 60"]);
    refuses("grid", &[("symbol", "ETH-USDT"), ("order_amount", "4")], &["below the 5 that sim:ETH-USDT takes"]);
    refuses("ma_cross", &[("fast", "9"), ("slow", "9")], &["9 is not below slow"]);
    refuses("ma_cross", &[("symbol", "ETH-USDT"), ("direction", "both")], &["spot and cannot be sold short"]);
    refuses("mean_reversion", &[("exit_z", "2")], &["not below entry_z"]);
    refuses("mean_reversion", &[("stop_z", "2")], &["not above entry_z"]);
    refuses("mean_reversion", &[("lookback", "10")], &["stop_z", "lookback of 10", "3.00"]);
}

#[test]
fn percent_signs_and_spaces_are_read() {
    let ok = |pairs: &[(&str, &str)]| build("grid", &params(pairs), &world(), &[]).is_ok();
    assert!(ok(&[("spacing", "0.05%"), ("levels", " 5 ")]));
    assert!(ok(&[("symbol", "sim:SOL-USDT-PERP"), ("lower", "60000"), ("upper", "70000")]));
}

#[test]
fn the_page_shows_the_tables_as_they_are() {
    let page = include_str!("../../../../docs/strategies.md");
    for s in list() {
        let (table, example) = (s.params_table(), s.example);
        assert!(page.contains(&table), "docs/strategies.md has not this table of {}:\n{table}", s.name);
        assert!(page.contains(example), "docs/strategies.md has not this example:\n{example}");
        assert!(page.contains(s.summary), "docs/strategies.md has not this summary:\n{}", s.summary);
    }
}
