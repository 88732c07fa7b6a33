//! Layers, messages and the shipped example. Each mistake is checked by the very line the user reads.

mod venue_accounts;

use super::*;
use ctos_types::{Currency, Decimal, Nanos};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../../../configs/ctos.example.yaml");
const DOCS: &str = include_str!("../../../../docs/configuration.md");

fn file(yaml: &str) -> Result<Settings, ConfigError> {
    let mut layers = Layers::new();
    layers.file("c.yaml", yaml)?;
    Settings::resolve(&layers)
}

fn defaults() -> Settings {
    Settings::resolve(&Layers::new()).unwrap()
}

fn json(settings: &Settings) -> serde_json::Value {
    serde_json::to_value(settings).unwrap()
}

fn origin_of(settings: &Settings, path: &str) -> (String, String) {
    let found: Vec<_> = settings.explain().iter().filter(|e| e.path == path).collect();
    assert_eq!(found.len(), 1, "{path} is explained once, not {found:?}");
    (found[0].value.clone(), found[0].origin.to_string())
}

#[track_caller]
fn refused(yaml: &str, message: &str, hint: &str) {
    let error = file(yaml).expect_err(yaml);
    assert_eq!((error.message.as_str(), error.hint.as_str()), (message, hint), "for {yaml:?}");
}

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

// ---- the shipped example and the documentation

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    let example = file(EXAMPLE).unwrap();
    assert_eq!(json(&example), json(&defaults()));
    for (path, keys) in SECTIONS {
        if path.ends_with("fees") || path.ends_with("borrow") {
            continue; // optional sections, shown in a comment
        }
        for key in *keys {
            let named = EXAMPLE.lines().any(|l| l.trim_start_matches([' ', '-']).starts_with(&format!("{key}:")));
            assert!(named, "{path}.{key} is not in the example");
        }
    }
    let values = |s: &Settings| s.explain().iter().map(|e| (e.path.clone(), e.value.clone())).collect::<Vec<_>>();
    assert_eq!(values(&example), values(&defaults()));
}

#[test]
fn the_documentation_names_every_key() {
    for (path, keys) in SECTIONS {
        for key in *keys {
            assert!(DOCS.contains(&format!("`{key}`")), "{path}.{key} is not in the documentation");
        }
    }
}

#[test]
fn the_documentation_tells_the_defaults() {
    for e in defaults().explain() {
        let key = e.path.rsplit('.').next().unwrap();
        let row = DOCS.lines().find(|l| l.starts_with(&format!("| `{key}`")) && l.contains(&format!("`{}`", e.value)));
        let told_otherwise = ["unset", "the instrument's"].contains(&e.value.as_str()) || e.path.contains("balances");
        assert!(row.is_some() || told_otherwise, "no row for {} = {}", e.path, e.value);
    }
}

#[test]
fn defaults_are_safe() {
    let s = defaults();
    assert_eq!((s.mode, s.speed, s.seed), (Mode::Paper, Speed::Factor(Decimal::ONE), 1));
    assert_eq!(s.symbols, ["sim:BTC-USDT-PERP"]);
    assert_eq!(s.accounts[0].balances[&Currency::new("USDT").unwrap()], d("10000"));
    assert_eq!((s.strategies[0].name.as_str(), s.strategies[0].account.as_str()), ("grid", "main"));
    assert!(s.api.bind.ip().is_loopback());
    assert_eq!(s.journal.sync, SyncSetting::Always);
    assert_eq!(s.risk.per_strategy["grid"], RiskLimits::default());
    assert_eq!(file("").unwrap().explain(), s.explain());
    assert_eq!(file("# only a comment\n").unwrap().explain(), s.explain());
    assert_eq!(file("market: replay:x.jsonl.gz").unwrap().symbols, [""; 0]);
}

// ---- layers

#[test]
fn upper_layers_win_and_are_remembered() {
    let mut layers = Layers::new();
    // The order of the calls does not matter.
    layers.flag("--speed", "speed", "max");
    layers.env([
        ("CTOS__SPEED".to_string(), "60x".to_string()),
        ("CTOS__RISK__MAX_LEVERAGE".into(), "2.5".into()),
        ("CTOS__ACCOUNTS__0__BALANCES__BTC".into(), "0.1".into()),
        ("CTOS_HOME".into(), "not ours".into()),
        ("PATH".into(), "/bin".into()),
    ]);
    layers.file("c.yaml", "speed: 2x\nseed: 7\nrisk:\n  max_leverage: 3\n  max_open_orders: off\n").unwrap();
    let s = Settings::resolve(&layers).unwrap();
    assert_eq!((s.speed, s.seed), (Speed::Max, 7));
    assert_eq!(s.risk.limits.max_leverage, Some(d("2.5")));
    assert_eq!(s.risk.limits.max_open_orders, None);
    let told = |path: &str, value: &str, origin: &str| {
        assert_eq!(origin_of(&s, path), (value.to_string(), origin.to_string()), "{path}");
    };
    told("speed", "max", "flag --speed");
    told("seed", "7", "c.yaml:2");
    told("risk.max_leverage", "2.5", "environment CTOS__RISK__MAX_LEVERAGE");
    told("risk.max_open_orders", "off", "c.yaml:5");
    told("risk.stale_after", "10s", "default");
    told("accounts.0.balances.BTC", "0.1", "environment CTOS__ACCOUNTS__0__BALANCES__BTC");
    // A balance that is given replaces the default ones.
    assert_eq!(s.accounts[0].balances.len(), 1);
}

#[test]
fn an_empty_value_is_the_default() {
    let mut layers = Layers::new();
    layers.file("c.yaml", "seed: 7\nspeed:\nrisk:\nsymbols: ~\naccounts: null\nduration: 1h\n").unwrap();
    layers.env([("CTOS__SEED".to_string(), String::new())]);
    layers.flag("--duration", "duration", "");
    assert_eq!(json(&Settings::resolve(&layers).unwrap()), json(&defaults()));
}

#[test]
fn flags_name_strategies_parameters_and_balances() {
    let mut layers = Layers::new();
    layers.file("c.yaml", "strategies:\n  - {name: ma_cross, params: {fast: 5}}\n").unwrap();
    layers.flag_param("fast", "9");
    let s = Settings::resolve(&layers).unwrap();
    assert_eq!(s.strategies[0].params["fast"], "9");

    layers.flag_strategy("grid");
    layers.flag_param("levels", "20");
    layers.flag_param("spacing", "0.2%");
    layers.flag_strategy("grid");
    layers.flag_balance("USDT", "500");
    layers.flag_balance("BTC", "0.00000001");
    // Without --strategy the parameter went to the configured one, which the flags now replace.
    let s = Settings::resolve(&layers).unwrap();
    let ids: Vec<&str> = s.strategies.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["grid", "grid-2"]);
    assert_eq!(s.strategies[0].params["levels"], "20");
    assert_eq!(s.strategies[0].params["spacing"], "0.2%");
    assert_eq!(s.accounts[0].balances[&Currency::new("USDT").unwrap()], d("500"));
    assert_eq!(s.accounts[0].balances[&Currency::new("BTC").unwrap()], d("0.00000001"));
    assert_eq!(origin_of(&s, "strategies.0.params.levels").1, "flag --set");
}

#[test]
fn a_parameter_alone_goes_to_the_default_strategy() {
    let mut layers = Layers::new();
    layers.flag_param("levels", "20");
    let s = Settings::resolve(&layers).unwrap();
    assert_eq!((s.strategies[0].name.as_str(), s.strategies[0].params["levels"].as_str()), ("grid", "20"));
}

// ---- amounts are text

#[test]
fn amounts_never_pass_through_a_float() {
    let text = "0.100000000000000001";
    for yaml in [format!("USDT: {text}"), format!("USDT: \"{text}\"")] {
        let s = file(&format!("accounts:\n  - balances:\n      {yaml}\n")).unwrap();
        assert_eq!(s.accounts[0].balances[&Currency::new("USDT").unwrap()].to_string(), text);
        assert_eq!(json(&s)["accounts"][0]["balances"]["USDT"], text);
    }
    refused(
        "accounts:\n  - balances:\n      USDT: 0.0000000000000000001\n",
        "c.yaml:3: accounts.0.balances.USDT: expected an amount from 0 to 1e15 with at most 18 decimal places, got \"0.0000000000000000001\"",
        "write for example \"10000\" or \"0.25\"",
    );
}

#[test]
fn params_stay_as_written() {
    let s = file("strategies:\n  - name: grid\n    params: {a: 010, b: 1e3, c: yes, d: [x, 1.50], e: , f: \"\"}\n")
        .unwrap();
    let params: Vec<_> = s.strategies[0].params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(params, ["a=010", "b=1e3", "c=yes", "d=x,1.50", "f="]);
}

// ---- mistakes

#[test]
fn unknown_keys_name_the_nearest() {
    refused("speeed: 1x\n", "c.yaml:1: unknown key \"speeed\"", "did you mean speed?");
    refused(
        "mode: paper\n\nrisk:\n  max_leverag: 3\n",
        "c.yaml:4: unknown key \"risk.max_leverag\"",
        "did you mean max_leverage?",
    );
    refused("max_leverage: 3\n", "c.yaml:1: unknown key \"max_leverage\"", "max_leverage belongs into risk");
    refused("log: {seed: 3}\n", "c.yaml:1: unknown key \"log.seed\"", "seed belongs at the top level");
    refused("api: {frobnicate: 3}\n", "c.yaml:1: unknown key \"api.frobnicate\"", "valid keys here: enabled, bind");
    refused("strategies:\n  - nmae: grid\n", "c.yaml:2: unknown key \"strategies.0.nmae\"", "did you mean name?");
    refused(
        "risk:\n  per_strategy:\n    grid:\n      self_crss: true\n",
        "c.yaml:4: unknown key \"risk.per_strategy.grid.self_crss\"",
        "did you mean self_cross?",
    );
    let mut layers = Layers::new();
    layers.env([("CTOS__RISK__MAX_LEVRAGE".to_string(), "3".to_string())]);
    let error = Settings::resolve(&layers).unwrap_err();
    assert_eq!(error.message, "environment CTOS__RISK__MAX_LEVRAGE: unknown key \"risk.max_levrage\"");
    assert_eq!(error.hint, "did you mean max_leverage?");
    // The first one in the file, not in the alphabet.
    refused(
        "zzz: 1\naaa: 1\n",
        "c.yaml:1: unknown key \"zzz\"",
        &format!("valid keys here: {}", SECTIONS[0].1.join(", ")),
    );
}

#[test]
fn wrong_values_say_what_was_expected_and_where() {
    for (yaml, message) in [
        ("mode: live", "c.yaml:1: mode: live trading needs accounts at a venue, and main is on paper"),
        ("mode: demo", "c.yaml:1: mode: expected paper or live, got \"demo\""),
        (
            "market: \"replay:\"",
            "c.yaml:1: market: expected synthetic, replay:PATH, catalog:DIR, binance, binance:spot or binance:usdm, got \"replay:\"",
        ),
        ("speed: fast", "c.yaml:1: speed: expected a speed such as 1x, 60x or max, got \"fast\""),
        ("speed: 0x", "c.yaml:1: speed: expected a speed such as 1x, 60x or max, got \"0x\""),
        ("speed: -1x", "c.yaml:1: speed: expected a speed such as 1x, 60x or max, got \"-1x\""),
        ("speed: [1x]", "c.yaml:1: speed: expected a speed such as 1x, 60x or max, got a list"),
        ("duration: 10", "c.yaml:1: duration: expected a time span with a unit (d, h, m, s, ms, us, ns), got \"10\""),
        ("duration: -5s", "c.yaml:1: duration: expected a time span with a unit (d, h, m, s, ms, us, ns), got \"-5s\""),
        ("duration: 0s", "c.yaml:1: duration: expected a time span from 1ns to 3650d, got \"0s\""),
        ("seed: -1", "c.yaml:1: seed: expected a whole number from 0 to 18446744073709551615, got \"-1\""),
        ("seed: 1.5", "c.yaml:1: seed: expected a whole number from 0 to 18446744073709551615, got \"1.5\""),
        ("home: \"\"", "c.yaml:1: home: expected a directory, got \"\""),
        ("symbols: [a b]", "c.yaml:1: symbols: expected unified symbols, got \"a b\""),
        ("symbols: [a, a]", "c.yaml:1: symbols: \"a\" is named twice"),
        ("symbols: {a: b}", "c.yaml:1: symbols: expected a list, got a section"),
        ("risk: 5", "c.yaml:1: risk: expected a section of keys, got \"5\""),
        (
            "risk: {max_open_orders: 0}",
            "c.yaml:1: risk.max_open_orders: expected a whole number from 1 to 1000000 (or off), got \"0\"",
        ),
        ("risk: {self_cross: yes}", "c.yaml:1: risk.self_cross: expected true or false, got \"yes\""),
        (
            "risk: {max_order_notional: -1}",
            "c.yaml:1: risk.max_order_notional: expected an amount above 0 (or off), got \"-1\"",
        ),
        (
            "risk: {daily_loss: 101%}",
            "c.yaml:1: risk.daily_loss: expected an amount above 0, or a percentage above 0 and up to 100% (or off), got \"101%\"",
        ),
        (
            "risk: {min_order_qty: 2, max_order_qty: 1}",
            "risk.min_order_qty is 2, above max_order_qty 1: no order could pass",
        ),
        ("risk: {per_strategy: {gird: {}}}", "c.yaml:1: risk.per_strategy.gird: there is no strategy with this id"),
        ("risk: {per_account: {x: {}}}", "c.yaml:1: risk.per_account.x: there is no account with this id"),
        ("accounts: []", "accounts: the list is empty"),
        ("accounts: main", "c.yaml:1: accounts: expected a list, got \"main\""),
        (
            "accounts:\n  - balances: {USDT: -1}",
            "c.yaml:2: accounts.0.balances.USDT: expected an amount from 0 to 1e15 with at most 18 decimal places, got \"-1\"",
        ),
        (
            "accounts:\n  - balances: {USDT: \"10,000\"}",
            "c.yaml:2: accounts.0.balances.USDT: expected an amount from 0 to 1e15 with at most 18 decimal places, got \"10,000\"",
        ),
        (
            "accounts:\n  - balances: {ABCDEFGHIJKLMNOP: 1}",
            "c.yaml:2: accounts.0.balances.ABCDEFGHIJKLMNOP: expected a currency code of at most 15 bytes",
        ),
        (
            "accounts:\n  - leverage: 0.5",
            "c.yaml:2: accounts.0.leverage: expected a leverage from 1 to 125, got \"0.5\"",
        ),
        ("accounts:\n  - fees: {maker: 0.1%}", "c.yaml:2: accounts.0.fees.taker is missing"),
        (
            "accounts:\n  - fees: {maker: 0.1%, taker: 20%}",
            "c.yaml:2: accounts.0.fees.taker: expected a rate from -10% to 10%, got \"20%\"",
        ),
        (
            "accounts:\n  - borrow: {max_leverage: 1}",
            "c.yaml:2: accounts.0.borrow.max_leverage: expected a leverage above 1 and up to 10, got \"1\"",
        ),
        ("accounts:\n  - {id: a}\n  - {id: a}", "c.yaml:3: accounts.1.id: \"a\" is used twice"),
        ("accounts:\n  - {id: a}\n  - {leverage: 2}", "c.yaml:3: accounts.1.id is missing"),
        ("strategies:\n  - {id: a}", "c.yaml:2: strategies.0.name is missing"),
        (
            "strategies:\n  - {name: Grid}",
            "c.yaml:2: strategies.0.name: expected a name of lower-case letters, digits, - and _ that starts with a letter (at most 32), got \"Grid\"",
        ),
        (
            "strategies:\n  - {name: grid, account: mian}",
            "c.yaml:2: strategies.0.account: there is no account \"mian\"",
        ),
        (
            "strategies:\n  - {name: grid, params: {a: {b: c}}}",
            "c.yaml:2: strategies.0.params.a: expected a single value, got a section",
        ),
        (
            "venue: {latency: {order: fast}}",
            "c.yaml:1: venue.latency.order: expected a latency of at most 60s: constant:SPAN, uniform:SPAN..SPAN or lognormal:SPAN,sigma=S,max=SPAN, got \"fast\"",
        ),
        (
            "journal: {keep_snapshots: 1}",
            "c.yaml:1: journal.keep_snapshots: expected a whole number from 2 to 1000, got \"1\"",
        ),
        ("journal: {max_mb: 100}", "journal.max_mb is 100, less than four segments of 64 MiB"),
        (
            "api: {bind: \"0.0.0.0:80\"}",
            "c.yaml:1: api.bind: expected a loopback address with a port (0: any free one), got \"0.0.0.0:80\"",
        ),
        ("watchdog: {timeout: 1ms}", "c.yaml:1: watchdog.timeout: expected a time span from 100ms to 10m, got \"1ms\""),
        ("log: {level: loud}", "c.yaml:1: log.level: expected error or warn or info or debug or trace, got \"loud\""),
    ] {
        let error = file(yaml).expect_err(yaml);
        assert_eq!(error.message, message, "for {yaml:?}");
        assert!(!error.hint.is_empty() && !error.hint.contains('\n') && !error.message.contains('\n'));
    }
}

#[test]
fn yaml_that_is_not_ours_is_refused() {
    refused(
        "seed: 1\nmode: paper\nseed: 2\n",
        "c.yaml:3: duplicate key \"seed\", first given at c.yaml:1",
        "keep one of the two",
    );
    refused("a: &x 1\n", "c.yaml:1: anchors (&name) are not supported", "write the value out where it is needed");
    refused("seed: !!int 1\n", "c.yaml:1: tags (!name) are not supported", "remove the tag; quote text as \"...\"");
    refused("- a\n", "c.yaml:1: expected settings, got a list", "write settings as `key: value` lines");
    refused("? [a]\n: b\n", "c.yaml:1: a key must be plain text", "write settings as `key: value` lines");
    refused("seed: 1\n---\nseed: 2\n", "c.yaml:2: a second document", "keep all settings above the second ---");
    for (yaml, start) in [
        ("seed: [1\n", "c.yaml:2: not valid YAML: "),
        ("a: *x\n", "c.yaml:1: not valid YAML: "),
        ("seed: 1\n\tmode: x\n", "c.yaml:1: not valid YAML: "),
    ] {
        let error = file(yaml).expect_err(yaml);
        assert!(error.message.starts_with(start), "{}", error.message);
    }
    assert!(file(&"[".repeat(100)).unwrap_err().message.contains("nested too deeply"));
    assert!(file(&"#".repeat(2 << 20)).unwrap_err().message.contains("larger than 1 MiB"));
}

#[test]
fn layers_that_do_not_fit_together_are_refused() {
    let refuse = |yaml: &str, path: &str, want: &str| {
        let mut layers = Layers::new();
        layers.file("c.yaml", yaml).unwrap();
        layers.flag("--set", path, "1");
        assert_eq!(Settings::resolve(&layers).expect_err(path).message, want);
    };
    refuse(
        "risk: 5",
        "risk.max_leverage",
        "flag --set: cannot set risk.max_leverage: there is \"5\" at c.yaml:1 where a section is needed",
    );
    refuse("", "accounts.2.leverage", "flag --set: accounts.2.leverage: no item \"2\" in a list of 0");
    refuse(
        "accounts:\n  - id: main\n",
        "accounts.2.leverage",
        "flag --set: accounts.2.leverage: no item \"2\" in a list of 1",
    );
    refuse("", "", "flag --set: unknown key \"\"");
}

#[test]
fn files_that_cannot_be_read_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read_file(&dir.path().join("none.yaml")).unwrap_err().message.starts_with("cannot read config file"));
    assert!(read_file(dir.path()).unwrap_err().message.ends_with("is a directory"));
    std::fs::write(dir.path().join("bad"), [0xff, 0xfe]).unwrap();
    assert!(read_file(&dir.path().join("bad")).unwrap_err().message.ends_with("is not UTF-8 text"));
    std::fs::write(dir.path().join("ok"), "seed: 3").unwrap();
    assert_eq!(read_file(&dir.path().join("ok")).unwrap(), "seed: 3");
}

// ---- secrets

#[test]
fn the_webhook_is_never_shown() {
    let s = file("alerts: {webhook: \"https://user:pw@hooks.example.com/T0/geheim\"}").unwrap();
    assert_eq!(s.alerts.webhook.as_ref().unwrap().expose(), "https://user:pw@hooks.example.com/T0/geheim");
    assert_eq!(origin_of(&s, "alerts.webhook").0, "https://hooks.example.com/***");
    for shown in [format!("{s:?}"), json(&s).to_string(), format!("{:?}", s.explain())] {
        assert!(!shown.contains("geheim") && !shown.contains("pw"), "{shown}");
    }
    let error = file("alerts: {webhook: \"hooks.example.com/geheim\"}").unwrap_err();
    assert_eq!(error.message, "c.yaml:1: alerts.webhook: expected an http:// or https:// address");
}

// ---- overrides

#[test]
fn narrower_limits_inherit_the_wider_ones() {
    let s = file(
        "accounts: [{id: a}, {id: b}]\nstrategies:\n  - {name: grid, account: b}\n  - {name: grid}\nrisk:\n  max_open_orders: 100\n  \
         per_account: {b: {max_leverage: 2, stale_after: 0}}\n  per_strategy: {grid: {max_open_orders: 10}}\n",
    )
    .unwrap();
    let r = &s.risk;
    assert_eq!((r.per_account["a"].max_leverage, r.per_account["b"].max_leverage), (Some(d("5")), Some(d("2"))));
    assert_eq!((r.per_strategy["grid"].max_open_orders, r.per_strategy["grid"].max_leverage), (Some(10), Some(d("2"))));
    assert_eq!(r.per_strategy["grid"].stale_after, None);
    assert_eq!(r.per_strategy["grid-2"], r.limits);
    assert_eq!(r.limits.max_open_orders, Some(100));
    // An override explains only what it changes.
    let paths = s.explain().iter().filter(|e| e.path.starts_with("risk.per_"));
    let paths: Vec<&str> = paths.map(|e| e.path.as_str()).collect();
    assert_eq!(
        paths,
        ["risk.per_account.b.stale_after", "risk.per_account.b.max_leverage", "risk.per_strategy.grid.max_open_orders"]
    );
}

// ---- values

#[test]
fn spans_speeds_and_latencies() {
    for (text, nanos) in [
        ("0", 0),
        ("1ns", 1),
        ("2us", 2_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("1h30m", 5_400_000_000_000),
        ("24h", 86_400_000_000_000),
        ("0.000000001s", 1),
    ] {
        assert_eq!(parse_span(text), Ok(Nanos(nanos)), "{text}");
    }
    for bad in ["", "s", "5", "5 s", "5S", "-1s", "1.5ns", "1e3s", "1..5s", ".", "99999999d", "1s2", "5min"] {
        assert!(parse_span(bad).is_err(), "{bad}");
    }
    assert_eq!("60".parse(), Ok(Speed::Factor(d("60"))));
    assert_eq!("0.5x".parse(), Ok(Speed::Factor(d("0.5"))));
    assert!("x".parse::<Speed>().is_err() && "1e9x".parse::<Speed>().is_err() && "MAX".parse::<Speed>().is_err());
    for text in ["constant:5ms", "uniform:1ms..10ms", "lognormal:5ms,sigma=0.5,max=200ms", "constant:0s"] {
        assert_eq!(text.parse::<LatencySetting>().unwrap().to_string(), text);
    }
    assert_eq!("7ms".parse(), Ok(LatencySetting::Constant(Nanos::from_millis(7))));
    for bad in [
        "uniform:2ms..1ms",
        "lognormal:5ms",
        "lognormal:0,sigma=1,max=1s",
        "constant:61s",
        "normal:1ms",
        "lognormal:5ms,sigma=4,max=1s",
    ] {
        assert!(bad.parse::<LatencySetting>().is_err(), "{bad}");
    }
}

#[test]
fn percent_and_fraction_are_the_same_rate() {
    let s = file("accounts: [{fees: {maker: -0.01%, taker: 0.0005}}]").unwrap();
    assert_eq!(s.accounts[0].fees, Some(FeeSettings { maker: d("-0.0001"), taker: d("0.0005") }));
}

proptest! {
    #[test]
    fn span_text_round_trips(nanos in prop_oneof![0..1_000_000i64, 0..i64::MAX / 4]) {
        prop_assert_eq!(parse_span(&span_text(Nanos(nanos))), Ok(Nanos(nanos)));
    }

    // Whatever the file holds: an answer, in one line, and never a panic.
    #[test]
    fn no_file_breaks_the_reader(text in "([a-z]{1,8}:? ?|[-\\[\\]{}&*!|>'\"%@`#,?:~\n\t ]|risk:\n  |accounts:\n  - |[0-9.]{1,5}){0,40}") {
        if let Err(error) = file(&text) {
            prop_assert!(!error.message.contains('\n') && !error.hint.is_empty(), "{:?}", error);
        }
    }

    #[test]
    fn no_flag_breaks_the_reader(path in "(risk|accounts|strategies|0|1|[.]|params|balances|[a-z]{0,3}){0,6}", text in ".{0,12}") {
        let mut layers = Layers::new();
        layers.flag("--set", &path, &text);
        if let Err(error) = Settings::resolve(&layers) {
            prop_assert!(!error.message.contains('\n') && !error.hint.is_empty(), "{:?}", error);
        }
    }

    // What the journal keeps is what was resolved.
    #[test]
    fn the_journaled_form_reads_back(
        seed in any::<u64>(),
        atoms in 0..i64::MAX,
        span in 1..1_000_000_000_000i64,
        factor in 1..1_000_000i64,
        off in any::<bool>(),
    ) {
        let mut layers = Layers::new();
        layers.flag("", "seed", &seed.to_string());
        layers.flag_balance("USDT", &Decimal::new(atoms, 18).to_string());
        layers.flag("", "duration", &span_text(Nanos(span)));
        layers.flag("", "speed", &format!("{}x", Decimal::new(factor, 3)));
        layers.flag("", "risk.daily_loss", if off { "off" } else { "12.5%" });
        layers.flag("", "risk.stale_after", if off { "0" } else { "3s" });
        layers.flag("", "accounts.0.borrow.max_leverage", if off { "" } else { "2" });
        let settings = Settings::resolve(&layers).unwrap();
        prop_assert_eq!(settings.seed, seed);
        let text = serde_json::to_string(&settings).unwrap();
        let back: Settings = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
        prop_assert_eq!((back.speed, back.duration), (settings.speed, settings.duration));
        prop_assert_eq!((back.risk, back.accounts), (settings.risk, settings.accounts));
    }
}
