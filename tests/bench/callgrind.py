# SPDX-License-Identifier: Apache-2.0
"""Instruction counts from callgrind: of a program that runs by itself, and of
an nginx worker between two moments."""

import glob
import os
import re
import shutil
import signal
import subprocess
import time

from harness.nginx import Nginx
from harness.process import Failed, alive, environment, wait_for

# What a worker calls on USR1, in none of our figures.
DUMP = "ngx_reopen_files"
TOTAL = re.compile(r"^totals: (\d+)", re.M)


def need():
    """Exits with one line if valgrind is not there."""
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is missing: apt-get install valgrind")


def read(path):
    with open(path) as file:
        return file.read()


def total(path):
    found = TOTAL.search(read(path))
    if not found:
        raise Failed(f"{path}: callgrind has not finished it")
    return int(found.group(1))


def count(folder, function, words):
    """Instructions that a program spends in `function` and below."""
    out = os.path.join(folder, "callgrind.count")
    subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                    f"--toggle-collect={function}", *words],
                   env=environment(), check=True, stdout=subprocess.DEVNULL)
    return total(out)


class Worker(Nginx):
    """An nginx all of whose processes run in callgrind; one worker. What the
    worker spends between zero() and read() is what read() returns."""

    def __init__(self, folder, http):
        super().__init__(folder, http, "", workers=1, level="error")
        self.out = os.path.join(self.home, "callgrind")
        self.nginx = self.binary
        self.binary = "valgrind"
        self.dumps = 0

    def _run(self, *words):
        # Workers write their counts as another user.
        os.chmod(self.home, 0o777)
        # Into a file: valgrind keeps its own copy of stdout and would hold a pipe.
        said = os.path.join(self.home, "said")
        with open(said, "w") as file:
            done = subprocess.run(
                ["valgrind", "-q", "--tool=callgrind",
                 f"--callgrind-out-file={self.out}.%p", f"--dump-before={DUMP}",
                 self.nginx, "-p", self.home + "/",
                 "-c", self.conf, "-e", self.error_log, *words],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/",
                env=environment(), start_new_session=True, timeout=120, check=False)
        done.stdout = read(said)
        return done

    def workers(self, master=None):
        """The title of a process in valgrind is valgrind's."""
        with open(f"/proc/{master or self.pid}/task/{master or self.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def _dump(self):
        """Callgrind writes what was counted since the last time, and zeroes."""
        pid = self.workers()[0]
        self.dumps += 1
        path = f"{self.out}.{pid}.{self.dumps}"
        # nginx looks for signals before it sleeps: one between the two waits for
        # the next event, so it is sent again. A second one changes nothing.
        for _ in range(10):
            os.kill(pid, signal.SIGUSR1)
            try:
                wait_for(lambda: os.path.exists(path) and TOTAL.search(read(path)), 3, path)
                break
            except Failed:
                pass
        return total(path)

    zero = read = _dump

    def stop(self):
        pid = self.pid
        super().stop()
        limit = time.monotonic() + 20
        while pid and alive(pid) and time.monotonic() < limit:
            time.sleep(0.05)
        for path in glob.glob(glob.escape(self.out) + "*"):
            os.unlink(path)
