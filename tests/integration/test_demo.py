# SPDX-License-Identifier: Apache-2.0
"""./demo itself, under the conditions that people run it in: it says what it
promises, ends by itself or when told to, and leaves nothing."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness import folder as folders
from harness import peers
from harness.process import environment, wait_for

sys.path.insert(0, os.path.join(peers.TOP, "tests", "lint"))
import lint  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.alone]


class Demo:
    """One run of ./demo, its output in a file."""

    def __init__(self, folder, *words, top=peers.TOP, name="demo", **popen):
        self.out = os.path.join(folder, f"{name}.out")
        with open(self.out, "w") as output:
            self.child = subprocess.Popen(
                [os.path.join(top, "demo"), *words], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd="/", env=environment(), start_new_session=True,
                **popen)

    def text(self):
        with open(self.out, errors="replace") as file:
            return file.read()

    @property
    def folder(self):
        found = re.search(r"/tmp/acme-demo\.\w+", self.text())
        return found and found.group(0)

    def step(self, number, seconds=300):
        """Waits until the step before has been printed, so that this one runs."""
        wait_for(lambda: re.search(rf"^ {number - 1}  ", self.text(), re.M)
                 or self.child.poll() is not None, seconds, f"step {number}", 0.05)
        assert self.child.poll() is None, self.text()
        return self

    def wait(self, seconds=300):
        try:
            return self.child.wait(seconds)
        finally:
            if self.child.poll() is None:
                os.killpg(self.child.pid, signal.SIGTERM)

    def processes(self):
        """Pids of everything that has its folder in the arguments."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    if f"{self.folder}/".encode() in file.read():
                        found.append(int(path.split("/")[2]))
            except OSError:
                pass
        return found

    def left_nothing(self):
        assert self.folder and not os.path.exists(self.folder)
        assert self.processes() == []


def test_it_shows_the_whole_path(folder):
    demo = Demo(folder)
    assert demo.wait() == 0, demo.text()
    lines = demo.text().splitlines()
    steps = [line for line in lines if re.match(r" [1-7]  ", line)]
    assert len(steps) == 7 and lines[-1].startswith("Everything works."), demo.text()
    made = int(re.search(r"renew while (\d+) connections", demo.text()).group(1))
    assert made >= 500 and "0 errors, no reload" in demo.text()
    demo.left_nothing()


def test_warm_it_takes_20_seconds(folder):
    begun = time.monotonic()
    assert Demo(folder).wait() == 0
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_interrupted_it_cleans_up(folder, number, step):
    # An interactive shell would not have it ignore SIGINT.
    demo = Demo(folder, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    if step > 1:
        demo.step(step)
    else:
        wait_for(lambda: demo.folder, 60, "its folder")
    if number == signal.SIGINT:
        os.killpg(demo.child.pid, number)
    else:
        demo.child.send_signal(number)
    assert demo.wait(30) not in (0, None)
    assert "interrupted" in demo.text()
    demo.left_nothing()


@pytest.mark.parametrize("who,says", [("acme-agent", "acme-agent"), ("pebble", "acme-agent"),
                                      ("nginx", "nginx")])
def test_a_failure_shows_the_last_log_lines_and_cleans_up(folder, who, says):
    demo = Demo(folder).step(6)
    for pid in demo.processes():
        with open(f"/proc/{pid}/comm") as file:
            if file.read().strip() == who:
                os.kill(pid, signal.SIGKILL)
    assert demo.wait(60) == 1, demo.text()
    assert "failed" in demo.text() and "the end of" in demo.text() and says in demo.text()
    demo.left_nothing()


def test_two_at_once(folder):
    both = [Demo(folder, name=f"demo{number}") for number in range(2)]
    for demo in both:
        assert demo.wait() == 0, demo.text()
        demo.left_nothing()


def test_keep_and_stop(folder):
    demo = Demo(folder, "--keep")
    try:
        assert demo.wait() == 0, demo.text()
        commands = dict(re.findall(r"^  (\S.*?)   +(\S.*)$", demo.text(), re.M))
        status = subprocess.run(commands["what it manages"], shell=True, text=True,
                                stdout=subprocess.PIPE, check=True)
        assert "www.demo.test" in status.stdout
        served = subprocess.run(commands["a request"], shell=True, text=True,
                                stdout=subprocess.PIPE, check=False)
        assert not shutil.which("curl") or "www.demo.test" in served.stdout
    finally:
        subprocess.run(os.path.join(demo.folder, "stop"), check=False)
    demo.left_nothing()


def tree_at(path):
    """A copy of this tree, with the servers but without anything built."""
    for name in lint.tree(peers.TOP):
        os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
        shutil.copy(os.path.join(peers.TOP, name), os.path.join(path, name))
    shutil.copytree(peers.PEERS, os.path.join(path, "build", "peers"), symlinks=True)
    return path


def test_in_a_long_path_with_spaces_as_somebody_without_home(folder):
    base = folders.make(os.path.join(folder, "a path with spaces"), 0o755)
    top = os.path.join(base, "x" * (150 - len(base)), "acme agent")
    tree_at(top)
    who = {}
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "www-data:www-data", base], check=True)
        who = {"user": "www-data", "group": "www-data", "extra_groups": []}
    demo = Demo(folder, top=top, umask=0o077, **who)
    assert demo.wait(400) == 0, demo.text()
    demo.left_nothing()


def test_unknown_words_are_refused():
    done = subprocess.run([os.path.join(peers.TOP, "demo"), "--kepe"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 2 and "usage:" in done.stdout
