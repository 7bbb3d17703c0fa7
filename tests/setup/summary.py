#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit reports: names what failed, says why tests were skipped, and
closes with `N passed, N failed, N skipped`. Fails when a test did, or when
there was none."""

import sys
import xml.etree.ElementTree as xml


def cases(path):
    """Yields (name, outcome, reason) of each test in a report."""
    for case in xml.parse(path).iter("testcase"):
        name = case.get("name")
        if case.get("classname") not in (None, name):
            name = f"{case.get('classname')}::{name}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None or case.get("status") in ("notrun", "disabled"):
            reason = skipped.get("message") if skipped is not None else ""
            yield name, "skipped", reason or case.get("status") or "no reason given"
        else:
            yield name, "passed", ""


def main(paths):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        try:
            found = list(cases(path))
        except (OSError, xml.ParseError) as error:
            found = [(path, "failed", "")]
            print(f"unreadable report: {path}: {error}")
        for name, outcome, reason in found:
            count[outcome] += 1
            if outcome != "passed":
                print(f"{outcome}: {name}" + (f": {reason}" if reason else ""))
    print(", ".join(f"{n} {outcome}" for outcome, n in count.items()))
    return 0 if count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
