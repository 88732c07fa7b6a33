//! There is no second engine: backtests have nothing of their own that could step a kernel or match an order.
//! Never: judges behaviour. That the commands are the same is proven with the real binary, in the tests of `ctos`.

use std::path::{Path, PathBuf};

/// What a second engine would be made of. Only `ctos-runtime` puts these together.
const PARTS: [&str; 7] =
    ["Kernel::new", "KernelConfig", "kernel.step(", "Exchange::", "ExchangeConfig", "PaperDriver", "ctos_driver_paper"];

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            all.push(path);
        }
    }
}

fn found(text: &str) -> Vec<&'static str> {
    let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
    PARTS.into_iter().filter(|part| code.contains(part)).collect()
}

#[test]
fn no_part_of_an_engine_is_named() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for dir in [here.join("src"), here.join("../cli/src")] {
        sources(&dir, &mut all);
    }
    assert!(all.len() > 40, "{all:?}");
    for path in all {
        let parts = found(&std::fs::read_to_string(&path).unwrap());
        assert!(parts.is_empty(), "{} has {parts:?}", path.display());
    }
    // The scan sees what it is for.
    assert_eq!(found("let k = Kernel::new(c);\n// PaperDriver\n"), ["Kernel::new"]);
    let runtime = std::fs::read_to_string(here.join("../runtime/src/world.rs")).unwrap();
    assert!(found(&runtime).len() >= 3, "{:?}", found(&runtime));
}

#[test]
fn no_driver_is_a_dependency() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let normal = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(normal.contains("ctos-runtime") && !normal.contains("ctos-driver"), "{normal}");
}
