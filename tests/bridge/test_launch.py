# SPDX-License-Identifier: Apache-2.0
"""acme_agent launch, with a fake agent in place of ours."""

import json
import os
import pwd
import shutil
import signal
import time

import pytest

from harness import folder as folders
from harness import tls
from harness.process import alive, end, wait_for

from test_declare import FakeAgent

HERE = os.path.dirname(os.path.abspath(__file__))
root = os.getuid() == 0
user = pwd.getpwnam("www-data") if root else pwd.getpwuid(os.getuid())


class Launcher:
    def __init__(self, site):
        self.site = site
        folders.make(site.run, 0o755, user.pw_name)
        self.program = shutil.copy(os.path.join(HERE, "fake_agent.py"),
                                   os.path.join(site.folder, "fake agent"))
        os.chmod(self.program, 0o755)
        self.directive = f'launch "{self.program}" unix:{site.socket}'
        self.mode("run")

    def mode(self, text):
        folders.write(os.path.join(self.site.run, "FAKE"), text, 0o644)

    def _found(self, prefix):
        return sorted(int(name.split(".")[1]) for name in os.listdir(self.site.run)
                      if name.startswith(prefix + "."))

    def started(self):
        """Pids of all that were ever launched."""
        return self._found("report")

    def reports(self):
        found = []
        for pid in self.started():
            with open(os.path.join(self.site.run, f"report.{pid}")) as file:
                found.append(json.load(file))
        return found

    def gone(self):
        return self._found("gone")

    def start(self, **options):
        return self.site.start(agent=self.directive, **options)


@pytest.fixture
def launcher(site):
    made = Launcher(site)
    yield made
    site.close()
    for pid in made.started():
        if alive(pid):
            end(pid, 5)


def test_how_an_agent_is_started(launcher):
    site = launcher.site
    launcher.start()
    (report,) = launcher.reports()
    assert report["argv"] == ["--shared", "--lifeline", "3", "--run-dir", site.run]
    assert list(report["env"]) in (["PATH"], ["PATH", "LC_CTYPE"])
    assert (report["uid"], report["gid"]) == (user.pw_uid, user.pw_gid)
    assert report["fds"] == [0, 1, 2, 3]
    assert report["cwd"] == "/"
    assert report["sid"] not in (0, os.getsid(site.nginx.pid), report["pid"])
    assert int(report["signals"]["SigBlk"], 16) == 0
    assert report["ppid"] != site.nginx.pid
    assert "was launched" in site.log() and "fake agent says hello" in site.log()
    assert "[error]" not in site.log() and "no agent at" not in site.log()


def test_with_a_configuration(launcher):
    launcher.directive = (f'launch "{launcher.program}" /etc/acme-agent/my.ini '
                          f"unix:{launcher.site.socket}")
    launcher.start()
    assert launcher.reports()[0]["argv"][:3] == ["-c", "/etc/acme-agent/my.ini", "--shared"]


def test_it_goes_when_nginx_goes(launcher):
    site = launcher.site
    launcher.start()
    (pid,) = launcher.started()
    site.nginx.stop()
    wait_for(lambda: launcher.gone() == [pid], 10, "the agent's end")


def test_it_stays_as_long_as_a_worker_does(launcher):
    site = launcher.site
    launcher.start()
    (pid,) = launcher.started()
    master, (worker,) = site.nginx.pid, site.nginx.workers()
    os.kill(master, signal.SIGKILL)
    wait_for(lambda: not alive(master))
    time.sleep(0.2)
    assert alive(pid) and alive(worker)
    end(worker)
    wait_for(lambda: launcher.gone() == [pid], 10, "the agent's end")


def test_reload_leaves_it_alone(launcher):
    launcher.start()
    (pid,) = launcher.started()
    for _ in range(2):
        launcher.site.nginx.reload()
    assert launcher.started() == [pid] and alive(pid)


def test_reload_launches_another_when_it_has_gone(launcher):
    site = launcher.site
    launcher.start()
    (pid,) = launcher.started()
    end(pid, 5, signal.SIGKILL)
    site.nginx.reload()
    wait_for(lambda: len(launcher.started()) == 2)
    (second,) = set(launcher.started()) - {pid}
    report = [r for r in launcher.reports() if r["pid"] == second][0]
    assert int(report["signals"]["SigBlk"], 16) == 0 and report["fds"] == [0, 1, 2, 3]
    site.nginx.stop()
    wait_for(lambda: launcher.gone() == [second], 10, "the agent's end")
    assert "exited on signal" not in site.log() and "[alert]" not in site.log()


def test_upgrade_keeps_it(launcher):
    site = launcher.site
    launcher.start()
    (pid,) = launcher.started()
    site.nginx.upgrade()
    time.sleep(0.2)
    assert launcher.started() == [pid] and alive(pid)
    site.nginx.stop()
    wait_for(lambda: launcher.gone() == [pid], 10, "the agent's end")


def test_an_agent_that_answers_is_taken(launcher):
    with FakeAgent(launcher.site.socket) as agent:
        launcher.start()
        assert launcher.started() == [] and len(agent.lines) == 1


def test_t_launches_nothing(launcher):
    assert launcher.site.make(agent=launcher.directive).test()[0]
    assert launcher.started() == []


@pytest.mark.parametrize("mode", ["silent", "exit"])
def test_one_that_does_not_come_up_holds_nginx_for_two_seconds(launcher, mode):
    site = launcher.site
    launcher.mode(mode)
    site.put("a.test", site.pki.leaf("a.test"))
    begun = time.monotonic()
    launcher.start()
    assert 1.9 < time.monotonic() - begun < 8
    assert "does not answer" in site.log()
    tls.handshake(site.port, "a.test", site.pki.root)
    begun = time.monotonic()
    site.nginx.reload()
    assert time.monotonic() - begun < 1.9


@pytest.mark.parametrize("program, words", [
    ("/nonexistent/agent", "No such file"), ("/etc/passwd", "Permission denied"), ("/", "denied")])
def test_what_cannot_be_executed(launcher, program, words):
    site = launcher.site
    launcher.directive = f"launch {program} unix:{site.socket}"
    begun = time.monotonic()
    launcher.start()
    assert time.monotonic() - begun < 1.9
    assert f'cannot launch agent "{program}"' in site.log() and words in site.log()


@pytest.mark.skipif(not root, reason="needs root, to have two users")
def test_the_run_directory_is_made_for_it(launcher):
    site = launcher.site
    shutil.rmtree(site.run)
    site.run = os.path.join(site.folder, "new")
    site.socket = os.path.join(site.run, "control.sock")
    launcher.directive = f'launch "{launcher.program}" unix:{site.socket}'
    site.start(agent=launcher.directive)  # the fake ends, for want of its file
    for path in (site.run, os.path.join(site.run, "segment.1")):
        assert os.stat(path).st_uid == user.pw_uid
