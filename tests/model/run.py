#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the model of the segment's protocol with spin, then takes each order
away that the protocol rests on: spin must find what goes wrong.

    run.py [FOLDER]     works in a temporary folder, or in FOLDER

Ends with 77 (skipped) where spin is not installed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "segment.pml")

# Writer's operations and reader's look-ups; each bound alone reaches what the
# other does not within a few million states.
WHOLE = [{"OPS": 4, "LOOKS": 1}, {"OPS": 3, "LOOKS": 2}]

# What is taken away, each alone.
NEEDED = {
    "RELEASE_AT": "space_set: the record is written before its slot names it",
    "TAG_LATE": "space_set: the tag is there before the change is announced",
    "ANNOUNCE_EARLY": "publish: epoch moves after the slots",
    "OVERWRITE": "space_append: nothing that was published is overwritten",
    "WIPE_EARLY": "space_collect: wiped after the slot has moved",
    "DROP_EMPTY": "space_drop: a removed slot is DEAD, not EMPTY",
    "RELEASE_ROOT": "segment_switch: the space is written before root names it",
    "WIPE_PLACE_EARLY": "room_collect: a space is wiped after root has moved",
    "NO_SWITCHES": "segment_switch: switches moves",
    "KEEP_SWITCHES": "keep_segment: switches moves for a writer that was killed",
    "KEEP_EPOCH": "keep_segment: epoch moves for a writer that was killed",
    "MAGIC_EARLY": "make_segment: the magic is stored last",
    "NO_RECHECK_SLOT": "acme_segment__try: the slot is read again",
    "FENCE_SLOT": "acme_segment__same: ... after the record",
    "ACQUIRE_SLOT": "acme_segment__probe: the slot is read before the record",
    "NO_RECHECK": "acme_segment__stayed: root and switches are read again",
    "NO_RECHECK_SWITCHES": "acme_segment__stayed: root alone would not do",
    "FENCE_ROOT": "acme_segment__stayed: ... after everything",
    "ACQUIRE_ROOT": "acme_segment_find: root is loaded before the index",
    "ACQUIRE_SWITCHES": "acme_segment_find: switches is loaded before root",
    "ACQUIRE_EPOCH": "cert_slow: epoch is loaded before the look-up",
}

# Held twice: one alone may go, both may not.
TWICE = {
    ("NO_RECHECK_ROOT",): None,
    ("SWITCHES_LATE",): None,
    ("NO_RECHECK_ROOT", "SWITCHES_LATE"):
        "switches moves before the wiping, or root is read again",
}


def check(folder, bounds, without=()):
    """Whether spin finds nothing wrong, and how many states it saw."""
    where = os.path.join(folder, "-".join(without) or "whole")
    os.makedirs(where, exist_ok=True)
    defines = [f"-D{name}={value}" for name, value in bounds.items()]
    defines += [f"-DM_{name}" for name in without]
    subprocess.run(["spin", *defines, "-a", MODEL], cwd=where, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"],
                   cwd=where, check=True)
    said = subprocess.run(["./pan", "-m100000", "-n"], cwd=where, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"^ *(\d+) states, stored", said, re.M)
    if not errors or not states or "max search depth too small" in said:
        raise SystemExit(f"pan gave no result:\n{said}")
    return errors.group(1) == "0", int(states.group(1))


def report(sound, wanted, states, what):
    right = sound == wanted
    print(f"{'ok  ' if right else 'FAIL'} {'holds' if sound else 'breaks'} "
          f"{states:>9,} states  {what}", flush=True)
    return not right


def run(folder):
    wrong = 0
    for bounds in WHOLE:
        wrong += report(*_swap(check(folder, bounds), True), f"the protocol, {bounds}")
    for name, what in NEEDED.items():
        result = (True, 0)
        for bounds in WHOLE[::-1]:
            if result[0]:
                result = check(folder, bounds, (name,))
        wrong += report(*_swap(result, False), f"without {name}: {what}")
    for names, what in TWICE.items():
        wrong += report(*_swap(check(folder, WHOLE[0], names), what is None),
                        f"without {' and '.join(names)}{': ' + what if what else ''}")
    print(f"model: {wrong} wrong")
    return 1 if wrong else 0


def _swap(result, wanted):
    return result[0], wanted, result[1]


def main():
    if not shutil.which("spin"):
        print("spin is not installed")
        return 77
    if len(sys.argv) > 1:
        return run(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="acme-model-") as folder:
        return run(folder)


if __name__ == "__main__":
    sys.exit(main())
