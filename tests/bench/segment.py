#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the segment costs, alone: instructions of a look-up as it grows, bytes
for each certificate, publishing, restoring a replica.

    tests/bench/segment.py [-c COUNT,...] [-f FOLDER]

Needs valgrind and bench_segment of the release build. COUNTs are 1000, 100000
and 1000000; the segments lie in FOLDER (/dev/shm), 2 GB for a million."""

import argparse
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tests")]
os.environ.setdefault("ACME_BUILD", os.path.join(TOP, "build", "release"))

# pylint: disable=wrong-import-position
import callgrind
from harness import peers

# As a public CA's for P-256, with two SCTs; the segment looks into none of it.
SIZES = {"leaf": 1000, "key": 138, "intermediate": 1100}
TIMES = 1000      # look-ups that are counted
RATIO_MAX = 1.5   # the largest segment against the smallest
BYTES_MAX = 2048  # for each certificate


def tool(*words):
    done = subprocess.run([peers.tool("bench_segment"), *map(str, words)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return [float(word) for word in done.stdout.split()]


def measure(folder, count, files):
    """A row of the table, and the look-up's instructions."""
    path = os.path.join(folder, "segment.1")
    fill, size = tool("fill", path, count, *files)
    instructions = callgrind.count(folder, "bench_find", [
        peers.tool("bench_segment"), "find", path, str(count), str(TIMES)]) / TIMES
    native = tool("find", path, count, 100 * TIMES)[0]
    put = tool("put", path, min(count, 10000), *files)[0]
    os.unlink(path)
    print(f"| {count:,} | {instructions:,.0f} | {native:,.0f} ns | {size:,.0f} | {fill:.1f} us | "
          f"{put:.1f} us |", flush=True)
    return instructions, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-c", default="1000,100000,1000000", help="certificates")
    parser.add_argument("-f", default="/dev/shm", help="where the segments lie")
    args = parser.parse_args()
    callgrind.need()
    with tempfile.TemporaryDirectory(prefix="acme-bench-", dir=args.f) as folder:
        files = []
        for name, size in SIZES.items():
            files.append(os.path.join(folder, name))
            with open(files[-1], "wb") as file:
                file.write(os.urandom(size))
        print("| certificates | look-up, instructions | look-up | bytes each | fill, each | "
              "publish |")
        print("|---|---|---|---|---|---|")
        rows = [measure(folder, int(count), files) for count in args.c.split(",")]
        tool("fill", os.path.join(folder, "replica.1"), 10000, *files)
        spent = sorted(tool("restore", os.path.join(folder, f"run.{i}"),
                            os.path.join(folder, "replica.1"))[0] for i in range(5))
    ratio, size = rows[-1][0] / rows[0][0], max(size for _, size in rows)
    print(f"restore of 10,000: {spent[2]:.0f} ms")
    print(f"look-up, largest to smallest: {ratio:.3f}, bound {RATIO_MAX}")
    print(f"bytes each: {size:.0f}, bound {BYTES_MAX}")
    return 1 if ratio > RATIO_MAX or size > BYTES_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
