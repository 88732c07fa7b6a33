#!/usr/bin/env python3
"""Proves the arrows of the house: which room may depend on which, and what the pure rooms must never reach or mention.

Usage: boundaries.py            check this workspace
       boundaries.py --self-test  show that each rule catches a violation
"""

import json
import os
import re
import subprocess
import sys

# Room -> (floor, the rooms it may depend on). Arrows go to the same floor or down, and never in a circle.
ROOMS = {
    "ctos-types": (0, []),
    "ctos-venue": (1, ["ctos-types"]),
    "ctos-kernel": (2, ["ctos-types"]),
    "ctos-indicators": (2, ["ctos-types"]),
    "ctos-strategies": (2, ["ctos-indicators", "ctos-kernel", "ctos-types"]),
    "ctos-link": (3, ["ctos-types"]),
    "ctos-driver-paper": (3, ["ctos-kernel", "ctos-types", "ctos-venue"]),
    "ctos-driver-binance": (3, ["ctos-kernel", "ctos-link", "ctos-types"]),
    "ctos-storage": (3, ["ctos-types"]),
    "ctos-runtime": (
        5,
        [
            "ctos-data",
            "ctos-driver-binance",
            "ctos-driver-paper",
            "ctos-indicators",
            "ctos-kernel",
            "ctos-link",
            "ctos-storage",
            "ctos-strategies",
            "ctos-types",
            "ctos-venue",
        ],
    ),
    "ctos-data": (4, ["ctos-driver-binance", "ctos-link", "ctos-storage", "ctos-types", "ctos-venue"]),
    "ctos-twin": (4, ["ctos-types", "ctos-venue"]),
    "ctos-backtest": (
        6,
        ["ctos-data", "ctos-kernel", "ctos-runtime", "ctos-storage", "ctos-strategies", "ctos-types", "ctos-venue"],
    ),
    # The measurements behind `ctos bench`: they put the rooms together as runtime does, and time them.
    "ctos-bench": (
        6,
        [
            "ctos-backtest",
            "ctos-data",
            "ctos-driver-binance",
            "ctos-driver-paper",
            "ctos-indicators",
            "ctos-kernel",
            "ctos-link",
            "ctos-runtime",
            "ctos-storage",
            "ctos-strategies",
            "ctos-twin",
            "ctos-types",
            "ctos-venue",
        ],
    ),
    # Drivers judged against their venue's twin: it needs both, a real kernel with real strategies, and
    # the runtime's way from a recovered kernel to its desks.
    "ctos-conformance": (
        6,
        [
            "ctos-driver-binance",
            "ctos-kernel",
            "ctos-link",
            "ctos-runtime",
            "ctos-strategies",
            "ctos-twin",
            "ctos-types",
            "ctos-venue",
        ],
    ),
    "ctos-server": (6, ["ctos-runtime", "ctos-storage", "ctos-types"]),
    "ctos-cli": (7, ["ctos-backtest", "ctos-bench", "ctos-data", "ctos-runtime", "ctos-server", "ctos-storage", "ctos-strategies", "ctos-twin", "ctos-types"]),
    # What a user's own crate looks like: above everything, because it is the user's program.
    "own-strategy": (8, ["ctos-cli", "ctos-indicators", "ctos-kernel", "ctos-strategies", "ctos-types"]),
}

PURE = ["ctos-types", "ctos-venue", "ctos-kernel", "ctos-indicators", "ctos-strategies"]

# Async runtimes, network, clocks, storage engines, random sources that are not seeded, ways around the file system.
FORBIDDEN_CRATES = {
    *["tokio", "async-std", "async-executor", "smol", "futures-executor", "mio", "polling", "async-io"],
    *["hyper", "reqwest", "ureq", "axum", "tower", "h2", "http", "tungstenite", "tokio-tungstenite", "socket2", "rustls"],
    *["chrono", "time", "jiff", "quanta", "coarsetime", "minstant", "humantime", "web-time"],
    *["rusqlite", "libsqlite3-sys", "parquet", "arrow", "memmap2", "rustix", "nix", "tempfile"],
    *["rand", "getrandom", "fastrand", "uuid", "rayon", "crossbeam-channel", "tracing-subscriber"],
}

# Words that code of a pure room never contains, comments and tests apart.
FORBIDDEN_WORDS = [
    (r"\bSystemTime\b", "a clock"),
    (r"\bInstant\b", "a clock"),
    (r"\bstd\s*::\s*(?:fs|net|thread|process|env)\b", "I/O or threads"),
    (r"\buse\s+std\s*::\s*\{[^;]*\b(?:fs|net|thread|process|env)\b", "I/O or threads"),
    (r"\b(?:thread_rng|OsRng|getrandom|RandomState)\b|\brand\s*::", "a random source without a seed"),
    (r"\be?print(?:ln)?!", "output"),
    (r"\bunsafe\b", "unsafe code"),
]


def edges_wrong(edges):
    """`edges`: (room, room it depends on, kind), kind None for a normal dependency."""
    wrong = []
    for room, to, kind in sorted(edges, key=str):
        if room not in ROOMS:
            wrong.append(f"{room} has no place in the table of rooms: give it a floor and its arrows in {__file__}")
        elif room.startswith("ctos-driver-") and to.startswith("ctos-driver-"):
            wrong.append(f"{room} depends on {to}: a driver never imports another driver")
        elif kind is None and to not in ROOMS[room][1]:
            allowed = ", ".join(ROOMS[room][1]) or "nothing of ours"
            wrong.append(f"{room} depends on {to}; it may depend on: {allowed}")
    return wrong


def table_wrong(rooms):
    """The table itself must only point downwards or sideways, and never in a circle."""
    wrong = [
        f"the table lets {room} (floor {floor}) reach up to {to}"
        for room, (floor, below) in rooms.items()
        for to in below
        if to not in rooms or rooms[to][0] > floor
    ]

    def walk(room, trail):
        if room in trail:
            wrong.append("the table has a circle: " + " -> ".join([*trail, room]))
            return
        for to in rooms.get(room, (0, []))[1]:
            walk(to, [*trail, room])

    for room in rooms:
        walk(room, [])
    return wrong


def reach_wrong(room, tree):
    """`tree`: the output of `cargo tree --prefix none`, one `name version` a line."""
    reached = {line.split()[0] for line in tree.splitlines() if line.strip()}
    return [f"{room} reaches {name}" for name in sorted(reached & FORBIDDEN_CRATES)]


LITERALS = re.compile(
    r"""
      //[^\n]*                              # comment
    | /\*.*?\*/                             # block comment
    | \bb?r(?P<hash>\#*)".*?"(?P=hash)      # raw string
    | b?"(?:\\.|[^"\\])*"                   # string
    | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'  # character
    """,
    re.S | re.X,
)


def code_only(source):
    """The source with comments, literals and `#[cfg(test)]` items blanked out; line numbers stay."""

    def blank(text):
        return re.sub(r"[^\n]", " ", text)

    code = LITERALS.sub(lambda m: blank(m.group()), source)
    while found := re.search(r"#\[cfg\(test\)\]", code):
        end = item_end(code, found.end())
        code = code[: found.start()] + blank(code[found.start() : end]) + code[end:]
    return code


def item_end(code, at):
    """Where the item that starts at `at` ends: after its closing brace, or its semicolon."""
    depth = 0
    for i in range(at, len(code)):
        if code[i] == "{":
            depth += 1
        elif code[i] == "}":
            depth -= 1
            if depth <= 0:
                return i + 1
        elif code[i] == ";" and depth == 0:
            return i + 1
    return len(code)


def words_wrong(name, source):
    code = code_only(source)
    wrong = []
    for pattern, what in FORBIDDEN_WORDS:
        for found in re.finditer(pattern, code):
            line = code.count("\n", 0, found.start()) + 1
            word = " ".join(found.group().split())
            wrong.append(f"{name}:{line}: {word} ({what}) in a pure room")
    return wrong


def test_file(path):
    parts = path.split(os.sep)
    return {"tests", "benches", "examples"} & set(parts) or parts[-1] in ("tests.rs", "test.rs")


# ---- this workspace


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"boundaries: `{' '.join(command)}` failed")
    return done.stdout


def check_workspace():
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--no-deps"))
    packages = {p["name"]: p for p in metadata["packages"]}
    ours = set(packages) | set(ROOMS)
    edges = [
        (name, d["name"], d["kind"]) for name, p in packages.items() for d in p["dependencies"] if d["name"] in ours
    ]
    # A room without an arrow still needs its place.
    wrong = table_wrong(ROOMS) + edges_wrong(edges)
    wrong += [f"{name} has no place in the table of rooms" for name in packages if name not in ROOMS]
    for room in PURE:
        if room not in packages:
            wrong.append(f"{room} is not in the workspace")
            continue
        tree = run("cargo", "tree", "-p", room, "-e", "normal", "--prefix", "none")
        wrong += reach_wrong(room, tree)
        src = os.path.join(os.path.dirname(packages[room]["manifest_path"]), "src")
        for folder, _, files in sorted(os.walk(src)):
            for file in sorted(files):
                path = os.path.relpath(os.path.join(folder, file), metadata["workspace_root"])
                if file.endswith(".rs") and not test_file(path):
                    with open(os.path.join(folder, file), encoding="utf-8") as f:
                        wrong += words_wrong(path, f.read())
    return wrong


def self_test():
    def caught(found, part):
        assert any(part in line for line in found), f"not caught: {part!r} in {found}"

    assert table_wrong(ROOMS) == []
    caught(table_wrong({"a": (0, ["b"]), "b": (1, [])}), "reach up to b")
    caught(table_wrong({"a": (0, ["b"]), "b": (0, ["a"])}), "circle")
    assert edges_wrong([("ctos-kernel", "ctos-types", None), ("ctos-strategies", "ctos-venue", "dev")]) == []
    caught(edges_wrong([("ctos-types", "ctos-venue", None)]), "nothing of ours")
    caught(edges_wrong([("ctos-kernel", "ctos-venue", None)]), "ctos-kernel depends on ctos-venue")
    caught(edges_wrong([("ctos-driver-paper", "ctos-driver-binance", "dev")]), "never imports another driver")
    caught(edges_wrong([("ctos-storage", "ctos-strategies", None)]), "ctos-storage depends on ctos-strategies")
    caught(edges_wrong([("ctos-new", "ctos-types", None)]), "no place")
    assert reach_wrong("ctos-kernel", "ctos-kernel v0.1.0\nserde v1.0.0 (*)\n") == []
    for name in ("tokio", "chrono", "rusqlite", "ureq"):
        caught(reach_wrong("ctos-kernel", f"ctos-kernel v0.1.0\n{name} v1.0.0\n"), f"reaches {name}")
    clean = """
        //! Never: std::fs, SystemTime.
        /* Instant::now() */
        const A: &str = "std::net"; const B: &str = r#"thread_rng "quoted" "#; const C: char = '"';
        fn life<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests { use std::time::Instant; fn f() { println!("{}", '{'); } }
        fn after() {}
    """
    assert words_wrong("x.rs", clean) == [], words_wrong("x.rs", clean)
    for line, part in [
        ("use std::time::Instant;", "Instant"),
        ("let t = std::time::SystemTime::now();", "SystemTime"),
        ("use std::{collections::BTreeMap,\n fs};", "fs"),
        ("std::thread::spawn(f);", "std::thread"),
        ("let r = rand::rng();", "rand::"),
        ('println!("x");', "println!"),
    ]:
        caught(words_wrong("x.rs", clean + line), part)
    assert words_wrong("x.rs", "\n\nuse std::fs;")[0].startswith("x.rs:3:")
    assert test_file("crates/kernel/src/gates/tests.rs") and test_file("crates/venue/tests/a.rs")
    assert not test_file("crates/kernel/src/gates.rs")


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        self_test()
        print("boundaries: every rule catches its violation")
    else:
        problems = check_workspace()
        for problem in problems:
            print(f"boundaries: {problem}", file=sys.stderr)
        sys.exit(1 if problems else 0)
