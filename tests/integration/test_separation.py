# SPDX-License-Identifier: Apache-2.0
"""Separated mode: what a process with the workers' uid and gid, but no child of
nginx, can not do. Needs root, who alone can start workers as somebody else."""

import json
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from harness.process import environment

from test_issue import served

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can separate users")


def as_worker(code, *words):
    """Runs Python as www-data, as the workers do; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code), *map(str, words)],
        user="www-data", group="www-data", extra_groups=[], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
        env=environment(), timeout=30, check=False)
    return done.stdout.strip()


@pytest.fixture
def stage(make):
    running = make(sites=[["a.test"]]).start()
    served(running, "a.test")
    return running


def test_workers_are_not_root(stage):
    for pid in stage.nginx.workers():
        assert os.stat(f"/proc/{pid}").st_uid in (0, 33)
        with open(f"/proc/{pid}/status") as file:
            assert "Uid:\t33" in file.read()


def test_it_cannot_open_the_segment(stage):
    mode = os.stat(stage.agent.segment)
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid != 33
    said = as_worker("""
        import sys
        try:
            print(len(open(sys.argv[1], "rb").read()))
        except OSError as error:
            print("refused", error)
        """, stage.agent.segment)
    assert said.startswith("refused"), said


STEAL = """
    import ctypes, glob, os, sys
    libc, got = ctypes.CDLL(None, use_errno=True), []
    for pid in sys.argv[2:]:
        for link in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                if os.readlink(link) == sys.argv[1]:
                    got.append("link " + link)
                    os.open(link, os.O_RDONLY)
                    got.append("open " + link)
            except OSError:
                pass
        pidfd = libc.syscall(434, int(pid), 0)
        for number in range(64):
            fd = libc.syscall(438, pidfd, number, 0)
            if fd >= 0:
                got.append(f"pidfd_getfd {pid} {number} {os.readlink('/proc/self/fd/%d' % fd)}")
        try:
            open(f"/proc/{pid}/mem", "rb").close()
            got.append(f"mem {pid}")
        except OSError:
            pass
    print("\\n".join(got) or "nothing")
    """


def test_it_cannot_take_it_from_a_worker(stage):
    """Not by /proc, not by pidfd_getfd, not from memory."""
    said = as_worker(STEAL, stage.agent.segment, *stage.nginx.workers(), stage.agent.pid)
    assert said == "nothing"


DECLARE = """
    import json, socket, sys
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    try:
        client.connect(sys.argv[1])
        client.sendall(sys.argv[2].encode() + b"\\n")
        print(client.makefile().readline())
    except OSError as error:
        print(json.dumps({"error": str(error)}))
    """


@pytest.mark.parametrize("method", ["declare", "issue", "renew", "revoke", "reload", "watch",
                                    "plugins"])
def test_it_cannot_order_anything(stage, method):
    params = {"name": "a.test", "owner": "x", "certificates": [
        {"name": "evil.test", "issuer": "pebble", "identifiers": ["evil.test"],
         "key": ["ecdsa:256"]}]}
    said = as_worker(DECLARE, stage.agent.socket,
                     json.dumps({"id": 1, "method": method, "params": params}))
    assert not said or "error" in json.loads(said), said
    assert list(stage.agent.status()) == ["a.test"]


def test_nothing_of_the_state_can_be_read(stage):
    said = as_worker("""
        import os, sys
        found = []
        for folder in sys.argv[1:]:
            for where, _, names in os.walk(folder):
                for name in names:
                    try:
                        open(os.path.join(where, name), "rb").close()
                        found.append(name)
                    except OSError:
                        pass
        print(" ".join(found))
        """, stage.agent.run_dir, stage.agent.state_dir)
    assert set(said.split()) <= {"status.1"}, said


def test_the_agent_leaves_no_core_and_cannot_be_traced(stage):
    with open(f"/proc/{stage.agent.pid}/limits") as file:
        core = next(line for line in file if line.startswith("Max core file size"))
    owner = os.stat(f"/proc/{stage.agent.pid}/environ").st_uid
    assert core.split()[4] == "0" or owner == 0
