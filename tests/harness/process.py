# SPDX-License-Identifier: Apache-2.0
"""Programs that a test starts. Each runs in a session of its own, so that
Ctrl-C reaches only us and we end things in order; each is ended by its pid.
adopt() makes us the parent of what daemonises, so that nothing can be left
unnoticed: left() lists it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A program did not do what it had to; the text holds its last lines."""


def environment(**extra):
    """A small, clean environment: no proxies, no HOME, no NGINX (which nginx
    would take for inherited sockets)."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **extra}


def tail(path, lines=15):
    """The last lines of a file, for messages."""
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"{error}\n"


def wait_for(check, seconds=10, what="condition", every=0.01):
    """Calls check() until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(every)


def stat(pid):
    """(name, state, parent) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return name, state, int(parent)


def begun(pid):
    """When a process began, in ticks since boot: with the pid, it is unique."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def alive(pid):
    found = stat(pid)
    return found is not None and found[1] != "Z"


def end(pid, seconds=10, first=signal.SIGTERM):
    """Ends one process, kindly at first."""
    for number, patience in ((first, seconds), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + patience
        while alive(pid) and time.monotonic() < limit:
            time.sleep(0.01)
        if not alive(pid):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # ours if it was adopted
            return
    raise Failed(f"process {pid} does not end")


def children(parent):
    """All living descendants of a process."""
    tree = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = stat(int(name))
            if found and found[1] != "Z":
                tree.setdefault(found[2], []).append(int(name))
    todo, result = [parent], []
    while todo:
        below = tree.get(todo.pop(), [])
        result += below
        todo += below
    return result


def adopt():
    """Become the parent of orphans below us."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def left():
    """What is still running below us, as {pid: command line}."""
    result = {}
    for pid in children(os.getpid()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        result[pid] = words.strip() or (stat(pid) or ("?",))[0]
    return result


class Program:
    """A program in the foreground whose output goes to a file."""

    def __init__(self, argv, log, cwd="/", env=None, **popen):
        self.log = log
        self.argv = [str(word) for word in argv]
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=cwd, env=env if env is not None else environment(),
                start_new_session=True, **popen)
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def running(self):
        return self.child.poll() is None

    def wait_for(self, check, seconds=10, what="ready"):
        """Like wait_for(), but gives up at once when the program ends."""
        def look():
            if not self.running():
                raise Failed(f"{self.argv[0]} ended with {self.child.returncode}:\n"
                             + tail(self.log))
            return check()
        try:
            return wait_for(look, seconds, what)
        except Failed as error:
            raise Failed(f"{error}\n{tail(self.log)}") from None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def wait(self, seconds=10):
        return self.child.wait(seconds)

    def kill(self):
        """SIGKILL, as if the machine had taken it."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def stop(self, seconds=10):
        """Ends it and everything that it started; returns its exit code."""
        below = children(self.pid) if self.running() else []
        self.signal(signal.SIGTERM)
        try:
            code = self.wait(seconds)
        except subprocess.TimeoutExpired:
            code = self.kill()
        for pid in below:
            if alive(pid):
                end(pid, 1)
        return code

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()
