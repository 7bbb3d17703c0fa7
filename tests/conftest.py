# SPDX-License-Identifier: Apache-2.0
"""What every suite has: the harness, a short temporary folder, and a check
that no process of ours outlives the session."""

import glob
import os
import re
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import folder as folders  # noqa: E402
from harness import process  # noqa: E402


def pytest_configure(config):
    del config
    os.umask(0o077)
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "NGINX":
            del os.environ[name]
    process.adopt()
    signal.signal(signal.SIGTERM, signal.default_int_handler)


SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:")


def logs(path):
    return sorted(glob.glob(f"{glob.escape(path)}/**/*.log", recursive=True))


@pytest.fixture
def folder():
    """A temporary folder with a short path. A sanitizer's report in any log
    there fails the test."""
    with folders.temporary() as path:
        yield path
        reports = [f"{log}: {line}" for log in logs(path) for line in open(log, errors="replace")
                   if SANITIZER.search(line)]
        assert not reports


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the ends of all logs in the test's folder."""
    report = (yield).get_result()
    where = getattr(item, "funcargs", {}).get("folder")
    if call.when == "call" and report.failed and where:
        for path in logs(where):
            report.sections.append((os.path.relpath(path, where), process.tail(path, 30)))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left():
    """Fails the session when a process that we started still runs."""
    yield
    running = process.left()
    for pid in running:
        process.end(pid, 2)
    assert not running, f"still running at the end: {running}"
