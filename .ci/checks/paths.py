#!/usr/bin/env python3
"""Finds absolute paths of a build machine in tracked files: they leak who built it and break everybody else.

Usage: paths.py            check the tracked files
       paths.py --self-test  show that violations are caught
"""

import os
import re
import subprocess
import sys

# Home directories. Names that plainly stand for somebody (`/home/you/`) or for a test's own tree may be used.
HOMES = re.compile(r"(?<![\w.~$}])/(?:home|Users)/(?!you/|user/|me/|ctos/|run/|<)[A-Za-z0-9._-]+/|(?<![\w.])/root/[\w.]|[A-Z]:\\Users\\")


def machine_paths():
    """Where this very checkout and home directory are, if long enough to be telling."""
    found = {os.getcwd(), os.path.realpath(os.getcwd()), os.path.expanduser("~")}
    return sorted(p for p in found if p.count("/") >= 2)


def wrong_lines(name, text, machine):
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        hit = HOMES.search(line)
        own = next((p for p in machine if re.search(re.escape(p) + r"(?![\w-])", line)), None)
        if hit or own:
            wrong.append(f"{name}:{number}: absolute path of a machine: {(hit.group() if hit else own)!r}")
    return wrong


def check():
    files = subprocess.run(["git", "ls-files", "-z"], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    machine, wrong = machine_paths(), []
    for name in filter(None, files):
        if name == ".ci/checks/paths.py" or not os.path.isfile(name):
            continue
        with open(name, "rb") as f:
            data = f.read()
        if b"\0" not in data[:8192]:
            wrong += wrong_lines(name, data.decode("utf-8", "replace"), machine)
    return wrong


def self_test():
    machine = ["/srv/builds/ctos"]
    for bad in ["/home/alice/ctos/x", "see /root/.cargo", 'include!("/Users/bob/a.rs")', "C:\\Users\\eve", "in /srv/builds/ctos/target"]:
        assert wrong_lines("x", f"fine\n{bad}\n", machine) == wrong_lines("x", f"\n{bad}", machine) != [], bad
    for good in ["/home/you/ctos", "./var", "https://example.com/home/page/x", "$HOME/x", "/api/v1/root/x", "/root", "/srv/builds/ctos2", "~/x"]:
        assert wrong_lines("x", good, machine) == [], good


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        self_test()
        print("paths: violations are caught")
    else:
        problems = check()
        for problem in problems:
            print(f"paths: {problem}", file=sys.stderr)
        sys.exit(1 if problems else 0)
