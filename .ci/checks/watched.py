"""What the soaks share: a command that runs while its memory is watched, and how they start and end.

Not a check of its own. Memory is read from /proc, so soaks run on Linux.
"""

import os
import subprocess
import sys
import time


def resident(pid):
    """Resident bytes of a process; 0 while it dies."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watched(command, every, look=None, **how):
    """Runs a command. Returns its exit code, its stdout and (seconds since the start, resident bytes) samples.

    `look` is called after each sample, `how` goes to the process.
    """
    samples, start = [], time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, **how)
    while child.poll() is None:
        try:
            samples.append((time.monotonic() - start, resident(child.pid)))
        except (FileNotFoundError, ProcessLookupError):
            break
        if look:
            look()
        time.sleep(every)
    out, _ = child.communicate()
    # A dying process reports no memory.
    return child.returncode, out, [(at, size) for at, size in samples if size > 0]


def most(samples):
    """The most bytes that were resident at once."""
    return max((size for _, size in samples), default=0)


def main(name, soak, self_test, caught):
    """`--self-test`, or a soak of the binary that is named. Problems go to stderr, and the exit code is 1."""
    if "--self-test" in sys.argv:
        self_test()
        print(f"{name}: {caught}")
    elif len(sys.argv) != 2:
        sys.exit(f"usage: {name}.py BINARY | --self-test")
    else:
        problems = soak(sys.argv[1])
        for problem in problems:
            print(f"{name}: {problem}", file=sys.stderr)
        sys.exit(1 if problems else 0)
