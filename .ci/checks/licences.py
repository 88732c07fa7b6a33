#!/usr/bin/env python3
"""Checks that every dependency's licence suits a program offered under MIT OR Apache-2.0.

Usage: licences.py            check the locked dependencies of this platform
       licences.py --self-test  show that violations are caught
"""

import json
import re
import subprocess
import sys

# Permissive: may be used and passed on in a program under other terms.
ALLOWED = {
    *["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD"],
    *["BSL-1.0", "CC0-1.0", "Unlicense", "WTFPL", "Unicode-3.0", "Unicode-DFS-2016", "CDLA-Permissive-2.0"],
}


def suits(expression):
    """Whether an SPDX expression can be met with allowed licences only. AND binds tighter than OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    at = 0

    def either():
        nonlocal at
        value = both()
        while at < len(tokens) and tokens[at] == "OR":
            at += 1
            value = both() or value
        return value

    def both():
        nonlocal at
        value = one()
        while at < len(tokens) and tokens[at] == "AND":
            at += 1
            value = one() and value
        return value

    def one():
        nonlocal at
        if at >= len(tokens):
            return False
        token, at = tokens[at], at + 1
        if token == "(":
            value, at = either(), at + 1
            return value
        if at + 1 < len(tokens) and tokens[at] == "WITH":
            token, at = f"{token} WITH {tokens[at + 1]}", at + 2
        return token in ALLOWED

    return either() and at == len(tokens)


def check():
    version = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, text=True, check=True).stdout
    host = re.search(r"^host: (.+)$", version, re.M).group(1)
    command = ["cargo", "metadata", "--format-version", "1", "--filter-platform", host]
    metadata = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return [
        f"{p['name']} {p['version']}: licence {p['license'] or 'not stated'!r} is not one we can pass on"
        for p in metadata["packages"]
        if p["source"] and not suits(p["license"] or "")
    ]


def self_test():
    for good in ["MIT", "MIT OR GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception"]:
        assert suits(good), good
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "LGPL-2.1 OR MPL-2.0", "(MIT AND AGPL-3.0) OR SSPL-1.0", "MIT GPL-3.0"]:
        assert not suits(bad), bad


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        self_test()
        print("licences: violations are caught")
    else:
        problems = check()
        for problem in problems:
            print(f"licences: {problem}", file=sys.stderr)
        sys.exit(1 if problems else 0)
