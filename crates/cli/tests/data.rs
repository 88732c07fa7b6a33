//! `ctos data` as people use it: the real binary, killed at every disk operation of an import, followed while a run goes on.
//! Never: a network, a wall-clock assertion.

use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CTOS") {
                command.env_remove(name);
            }
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Everything the catalog has, as CSV files by series.
    fn content(&self, catalog: &str) -> Vec<String> {
        let list = self.json(&["data", "list", "--catalog", catalog, "--json"]);
        let mut all = Vec::new();
        for series in list.as_array().unwrap() {
            let (symbol, kind) = (series["symbol"].as_str().unwrap(), series["kind"].as_str().unwrap());
            let file = self.dir.path().join("out.csv");
            let name = file.to_str().unwrap();
            self.json(&["data", "export", symbol, "--kind", kind, "--to-file", name, "--catalog", catalog, "--json"]);
            all.push(format!("{symbol} {kind}\n{}", std::fs::read_to_string(&file).unwrap()));
        }
        all
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Hourly bars of two symbols over some days, in both orders, with more decimals in the later ones.
fn bars(first_day: u32, days: u32) -> String {
    let mut csv = "time,open,high,low,close,volume,symbol\n".to_string();
    for (symbol, base) in [("AAA-USDT", 10), ("BBB-USDT", 500)] {
        for hour in first_day * 24..(first_day + days) * 24 {
            let hour = if symbol == "BBB-USDT" { (first_day * 2 + days) * 24 - 1 - hour } else { hour };
            let px = format!("{}.{}", base + hour % 7, if hour > 40 { "125" } else { "5" });
            writeln!(csv, "{},{px},{px},{px},{px},{},{symbol}", 1_700_006_400 + hour * 3600, hour % 5).unwrap();
        }
    }
    csv
}

#[test]
fn an_import_killed_at_any_disk_operation_is_finished_by_the_same_command() {
    let place = Place::new();
    let (one, two) = (place.file("one.csv", &bars(0, 2)), place.file("two.csv", &bars(1, 2)));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    place.json(&["data", "import", one, two, "--catalog", "whole", "--json"]);
    let want = place.content("whole");
    let mut kills = 0;
    // Each kill costs five processes: every operation once, and one in five of them in the other ways to die.
    for (way, step) in [("", 1), (":after", 5), (":torn", 5)] {
        for n in (1..).step_by(step) {
            let catalog = format!("killed{}-{n}", way.replace(':', "-"));
            let args = ["data", "import", one, two, "--catalog", &catalog, "--json"];
            let out = place.command(&args).env("CTOS_CRASH_AT", format!("{n}{way}")).output().unwrap();
            if out.status.success() {
                break;
            }
            assert!(out.status.code().is_none(), "killed, not failed: {}", text(&out.stderr));
            kills += 1;
            place.json(&args);
            assert!(place.content(&catalog) == want, "killed at operation {n}{way}");
            let verified = place.json(&["data", "verify", "--catalog", &catalog, "--json"]);
            assert_eq!(verified["problems"].as_array().map(Vec::len), Some(0), "{verified}");
            let again = place.json(&args);
            assert!(again["imports"].as_array().unwrap().iter().all(|i| i["new"] == false), "{again}");
            std::fs::remove_dir_all(place.dir.path().join(&catalog)).unwrap();
        }
    }
    assert!(kills > 30, "only {kills} kills: the switch does not reach the import");
}

#[test]
fn damage_is_found_and_the_exit_code_says_so() {
    let place = Place::new();
    let one = place.file("one.csv", &bars(0, 2));
    place.json(&["data", "import", one.to_str().unwrap(), "--catalog", "c", "--json"]);
    let mut parts = Vec::new();
    walk(&place.dir.path().join("c"), &mut parts);
    let mut bytes = std::fs::read(&parts[0]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&parts[0], bytes).unwrap();
    let out = place.run(&["data", "verify", "--catalog", "c"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    assert!(said.contains("problem: ") && said.contains("part-0.parquet"), "{said}");
}

fn walk(dir: &Path, parts: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, parts);
        } else if path.extension().is_some_and(|e| e == "parquet") {
            parts.push(path);
        }
    }
    parts.sort();
}

#[test]
fn mistakes_are_one_line_and_a_hint() {
    let place = Place::new();
    let one = place.file("one.csv", &bars(0, 1));
    place.json(&["data", "import", one.to_str().unwrap(), "--catalog", "c", "--json"]);
    place.file("empty.csv", "");
    place.file("bad.csv", "a,b\n1,2\n");
    for (args, why) in [
        (&["data", "list", "--catalog", "none"][..], "no catalog at none"),
        (&["data", "list", "--catalog", "."], "is no catalog"),
        (&["data", "import", "nothing.csv", "--catalog", "d"], "cannot open nothing.csv"),
        (&["data", "import", "empty.csv", "--catalog", "d"], "empty"),
        (&["data", "import", "bad.csv", "--catalog", "d"], "no column for time, open"),
        (&["data", "import", "one.csv", "--catalog", "c", "--interval", "5m"], "bars are 1h apart, not 5m"),
        (&["data", "show", "CCC-USDT", "--catalog", "c"], "no data of \"CCC-USDT\""),
        (&["data", "show", "AAA-USDT", "--catalog", "c", "--from", "2030-01-01"], "no rows of"),
        (&["data", "show", "AAA-USDT", "--catalog", "c", "--kind", "trades"], "no trades"),
        (&["data", "export", "AAA-USDT", "--catalog", "c", "--to-file", "x.xlsx"], "cannot tell the format"),
        (&["data", "record", "--catalog", "c"], ""),
    ] {
        let out = place.run(args);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains(why) && lines[1].starts_with("hint: "), "{args:?}: {said}");
    }
}

#[test]
fn what_a_run_received_is_recorded_once_and_trades_again() {
    let place = Place::new();
    let run = ["run", "--speed", "max", "--duration", "60s", "--seed", "4", "--json", "--plain", "-qq"];
    let first = place.json(&[&run[..], &["--symbols", "sim:BTC-USDT-PERP"]].concat());
    let recorded = place.json(&["data", "record", "--json"]);
    let rows = recorded["imports"][0]["rows_added"].as_u64().unwrap();
    assert!(rows > 100, "{recorded}");
    assert_eq!(place.json(&["data", "record", "--json"])["imports"].as_array().map(Vec::len), Some(0));
    let verified = place.json(&["data", "verify", "--json"]);
    assert_eq!(
        (verified["problems"].as_array().map(Vec::len), &verified["rows"]),
        (Some(0), &recorded["imports"][0]["rows_added"])
    );
    let again = place.json(&["run", "--market", "catalog:var/catalog", "--speed", "max", "--json", "--plain", "-qq"]);
    assert_eq!(first["market_events"], again["market_events"], "every event comes back");
}

/// A recording that a kill cut off is finished as it was begun, however much came since: nothing is left that only the
/// same inputs could finish.
#[test]
fn a_recording_killed_at_any_disk_operation_is_finished_before_what_came_since() {
    let place = Place::new();
    let run = ["run", "--speed", "max", "--duration", "30s", "--seed", "4", "--json", "--plain", "-qq"];
    place.json(&[&run[..], &["--symbols", "sim:BTC-USDT-PERP"]].concat());
    let whole = place.json(&["data", "record", "--catalog", "whole", "--json"]);
    let want = place.content("whole");
    let mut kills = 0;
    for n in (1..).step_by(3) {
        let catalog = format!("killed-{n}");
        let args = ["data", "record", "--catalog", &catalog, "--json"];
        // As if the journal had been that short when it began.
        let note = place.dir.path().join(&catalog).join("_imports");
        place.json(&[
            "data",
            "import",
            place.file("one.csv", &bars(0, 1)).to_str().unwrap(),
            "--catalog",
            &catalog,
            "--json",
        ]);
        std::fs::write(note.join(format!("{}.recording", whole["run"].as_str().unwrap())), "0..100\n").unwrap();
        let out = place.command(&args).env("CTOS_CRASH_AT", n.to_string()).output().unwrap();
        let finished = out.status.success();
        assert!(finished || out.status.code().is_none(), "killed, not failed: {}", text(&out.stderr));
        if !finished {
            kills += 1;
            place.json(&args);
        }
        let verified = place.json(&["data", "verify", "--catalog", &catalog, "--json"]);
        assert_eq!(verified["problems"].as_array().map(Vec::len), Some(0), "operation {n}: {verified}");
        let have: Vec<String> =
            place.content(&catalog).into_iter().filter(|series| series.starts_with("sim:")).collect();
        assert!(have == want, "killed at operation {n}");
        std::fs::remove_dir_all(place.dir.path().join(&catalog)).unwrap();
        if finished {
            break;
        }
    }
    assert!(kills > 5, "only {kills} kills: the switch does not reach the recording");
}

/// A Python that has the packages of `.ci/python.txt`: the private environment that `make packages` makes, or the one
/// that is named or on the path. `None`, with a message, where nobody insists on it.
fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let named = std::env::var_os("PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has = |python: &PathBuf| {
        let found = Command::new(python).args(["-c", "import pyarrow, pandas, polars, duckdb"]).output();
        found.is_ok_and(|o| o.status.success())
    };
    let found = [own, named].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no Python with the packages: run `make packages`");
        eprintln!("skipped: no Python with pyarrow, pandas, polars and duckdb: run `make packages`");
    }
    found
}

/// Other programs read the catalog without ctos: `docs/scripts/read_catalog.py`, with every library it knows. Bars,
/// trades, quotes and a book with nulls in it: each value to the last digit.
#[test]
fn python_reads_exact_decimals() {
    let Some(python) = python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scripts/read_catalog.py");
    let place = Place::new();
    let one = place.file("one.csv", &bars(0, 5));
    place.json(&["data", "import", one.to_str().unwrap(), "--catalog", "c", "--json"]);
    // What a run received has quotes, trades, books and marks.
    let run = ["run", "--speed", "max", "--duration", "60s", "--seed", "4", "--json", "--plain", "-qq"];
    place.json(&[&run[..], &["--symbols", "sim:BTC-USDT-PERP"]].concat());
    place.json(&["data", "record", "--catalog", "c", "--json"]);
    let list = place.json(&["data", "list", "--catalog", "c", "--json"]);
    let mut kinds = std::collections::BTreeSet::new();
    for series in list.as_array().unwrap() {
        let text = |key: &str| series[key].as_str().unwrap().to_owned();
        let (symbol, kind, rows) = (text("symbol"), text("kind"), series["rows"].as_u64().unwrap());
        kinds.insert(kind.clone());
        let (venue, name) = symbol.split_once(':').unwrap();
        let file = ["--to-file", "want.csv", "--catalog", "c", "--json"];
        place.json(&[&["data", "export", symbol.as_str(), "--kind", kind.as_str()][..], &file].concat());
        let mut check = Command::new(&python);
        check.arg(&script).args(["c", venue, &kind, name, "--check", "want.csv"]).current_dir(place.dir.path());
        let out = check.output().unwrap();
        assert!(out.status.success(), "{symbol} {kind}: {}{}", self::text(&out.stdout), self::text(&out.stderr));
        for library in ["pyarrow", "pandas", "polars", "duckdb"] {
            let said = self::text(&out.stdout);
            assert!(said.contains(&format!("{library}: {rows} rows, exact")), "{symbol} {kind}: {said}");
        }
    }
    assert!(kinds.len() >= 4 && kinds.contains("bars_1h") && kinds.contains("trades"), "{kinds:?}");
}

/// The short forms of `docs/data.md`, word for word, on a whole catalog.
#[test]
fn python_reads_it_as_the_manual_says() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let one = place.file("one.csv", &bars(0, 5));
    place.json(&["data", "import", one.to_str().unwrap(), "--catalog", "catalog", "--json"]);
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data.md")).unwrap();
    let block = text.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Python");
    let lines: Vec<&str> = block.lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{block}");
    let mut program = String::from(
        "import decimal, glob, pyarrow, pyarrow.parquet, pandas, polars, duckdb\n\
         path = sorted(glob.glob('catalog/venue=*/kind=*/symbol=AAA-USDT/date=*/*.parquet'))[0]\n",
    );
    for (n, line) in lines.iter().enumerate() {
        let line =
            line.replace("venue=binance/kind=trades/symbol=BTC-USDT-PERP", "venue=file/kind=bars_1h/symbol=AAA-USDT");
        writeln!(program, "r{n} = {}", line.replace("kind=trades", "kind=bars_1h")).unwrap();
    }
    program += "day = r0.num_rows\n\
        assert pyarrow.types.is_decimal(r0.schema.field('close').type), r0.schema\n\
        assert len(r1) == day and type(r1['close'][0]) is decimal.Decimal, r1.dtypes\n\
        assert r2.height == 120 and r2.schema['close'] == polars.Decimal(18, 3), r2.schema\n\
        both = r3.fetchall()\n\
        assert len(both) == 240 and type(both[0][r3.columns.index('close')]) is decimal.Decimal, r3\n\
        assert {row[r3.columns.index('symbol')] for row in both} == {'AAA-USDT', 'BBB-USDT'}\n";
    let out = Command::new(&python).args(["-c", &program]).current_dir(place.dir.path()).output().unwrap();
    assert!(out.status.success(), "{program}\n{}", self::text(&out.stderr));
}
