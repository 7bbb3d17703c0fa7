# SPDX-License-Identifier: Apache-2.0
"""acme-agent with its configuration in a folder of its own, and acmectl:

    agent = Agent(folder, issuers={"pebble": {"directory": ca.directory, ...}},
                  certificates={"www": {"names": "a.test, b.test"}})
    with agent:
        agent.wait_valid("www")

Sections are dictionaries; set_conf() writes them anew before a reload. The
plugins are copied into the folder, so that they belong to whom runs the
tests, as the agent demands."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

from . import folder as folders
from . import peers
from .process import Failed, Program, environment, tail, wait_for


def section(name, values):
    """One section of an INI file; a list becomes comma-separated."""
    lines = [f"[{name}]"]
    for key, value in values.items():
        if isinstance(value, (list, tuple)):
            value = ", ".join(value)
        lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n\n"


class Result:
    """What acmectl or another short program left."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n{self.out}{self.err}"


def run(argv, timeout=60, env=None, **popen):
    """Runs a short program to its end."""
    return Result(subprocess.run(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", cwd="/",
        env=env or environment(), timeout=timeout, check=False, **popen))


class Agent:
    """One agent: configuration, process, control socket, log."""

    def __init__(self, folder, issuers=None, certificates=None, challenges=None,
                 agent=None, storage=None, nginx=None, name="agent", user=None,
                 env=None):
        self.folder, self.user = folder, user
        owner = user if os.getuid() == 0 else None
        self.home = folders.make(os.path.join(folder, name), 0o755)
        self.run_dir = folders.make(os.path.join(self.home, "run"), 0o755, owner)
        self.state_dir = folders.make(os.path.join(self.home, "state"), 0o700, owner)
        self.plugin_dir = folders.make(os.path.join(self.home, "plugins"), 0o755)
        self.conf_dir = folders.make(os.path.join(self.home, "etc"), 0o755)
        folders.make(os.path.join(self.conf_dir, "conf.d"), 0o755)
        self.conf = os.path.join(self.conf_dir, "acme-agent.ini")
        self.socket = os.path.join(self.run_dir, "control.sock")
        self.segment = os.path.join(self.run_dir, "segment.1")
        self.log = os.path.join(self.home, "agent.log")
        self.agent = {"run_dir": self.run_dir, "state_dir": self.state_dir,
                      "plugin_dir": self.plugin_dir, **(agent or {})}
        self.storage = {"plugin": "file", "path": os.path.join(self.state_dir, "store"),
                        **(storage or {})}
        self.nginx = nginx
        self.issuers, self.challenges = issuers or {}, challenges or {}
        self.certificates = certificates or {}
        self.env = environment(**(env or {}))
        self.mask = None            # its umask
        self.files_max = None       # its limit of open files
        self.prefix = []            # words in front of the program
        self.copy_plugins = True
        self.program = None
        self.ready_after = None     # seconds from start to READY
        self.set_conf()

    def set_conf(self, extra=""):
        """Writes acme-agent.ini, and one file in conf.d with the rest."""
        main = section("agent", self.agent) + section("storage", self.storage)
        if self.nginx is not None:
            main += section("nginx", self.nginx)
        rest = "".join(section(f"{kind} {name}", values)
                       for kind, found in (("issuer", self.issuers),
                                           ("challenge", self.challenges),
                                           ("certificate", self.certificates))
                       for name, values in found.items())
        folders.write(self.conf, main, 0o644)
        self.write_conf("50-test.ini", rest + extra)

    def write_conf(self, name, text):
        """Writes one file of conf.d; returns its path."""
        return folders.write(os.path.join(self.conf_dir, "conf.d", name), text, 0o644)

    def stage_plugins(self):
        """Copies the plugins that were built, once."""
        if self.copy_plugins:
            self.copy_plugins = False
            for plugin in peers.plugins():
                os.chmod(shutil.copy(plugin, self.plugin_dir), 0o755)

    @property
    def binary(self):
        """The program; as another user a copy that this user can reach, for
        the checkout may be closed to it."""
        if not (self.user and os.getuid() == 0):
            return peers.agent()
        copy = os.path.join(self.home, "acme-agent")
        if not os.path.exists(copy):
            os.chmod(shutil.copy(peers.agent(), copy), 0o755)
        return copy

    # -- the process ------------------------------------------------------

    @property
    def pid(self):
        return self.program.pid if self.program else None

    def _as_user(self):
        popen = {} if self.mask is None else {"umask": self.mask}
        if self.files_max:
            popen["preexec_fn"] = lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (self.files_max, self.files_max))
        if self.user and os.getuid() == 0:
            popen.update(user=self.user, group=folders.group_of(self.user), extra_groups=[])
        return popen

    def start(self, *words, ready=True, seconds=20):
        """Starts it and waits until it says READY (see ready_after)."""
        self.stage_plugins()
        notify = os.path.join(self.home, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(notify)
            os.chmod(notify, 0o777)
            heard.setblocking(False)
            begun = time.monotonic()
            self.program = Program(
                [*self.prefix, self.binary, "-c", self.conf, *words], self.log,
                env={**self.env, "NOTIFY_SOCKET": notify}, **self._as_user())
            if ready:
                try:
                    self.program.wait_for(lambda: _ready(heard), seconds, "READY")
                except BaseException:
                    self.program.stop()
                    raise
            self.ready_after = time.monotonic() - begun
        return self

    def wait_socket(self, seconds=20):
        """Waits until the control socket answers."""
        self.program.wait_for(self._answers, seconds, "control socket")
        return self

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(self.socket)
                return True
            except OSError:
                return False

    def __enter__(self):
        return self.start().wait_socket()

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM; returns its exit code."""
        if self.program:
            program, self.program = self.program, None
            return program.stop()
        return None

    def kill(self):
        """SIGKILL, as a machine in need does."""
        program, self.program = self.program, None
        return program.kill()

    def reload(self):
        self.program.signal(signal.SIGHUP)

    def log_text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def wait_log(self, text, seconds=20, count=1):
        """Waits until the log holds a text (that often)."""
        try:
            wait_for(lambda: self.log_text().count(text) >= count, seconds, f"log: {text}")
        except Failed as error:
            raise Failed(f"{error}\n{tail(self.log)}") from None

    # -- other ways to run it ---------------------------------------------

    def once(self, *words, timeout=60):
        """Runs the agent to its end: -t, publish, --version."""
        self.stage_plugins()
        return run([self.binary, "-c", self.conf, *words], timeout, self.env,
                   **self._as_user())

    def check(self):
        """acme-agent -t"""
        return self.once("-t")

    # -- acmectl ----------------------------------------------------------

    def ctl(self, *words, timeout=60):
        return run([peers.acmectl(), *words], timeout,
                   environment(ACME_AGENT_SOCKET=self.socket))

    def renew(self, name, wait=True):
        """acmectl renew: did it end well, or with wait=False, begin?"""
        return self.ctl("renew", name, *([] if wait else ["--no-wait"])).code == 0

    def ask(self, method, params=None, **kwargs):
        """One call over the control socket; the whole answer."""
        return ask(self.socket, method, params, **kwargs)

    def status(self):
        """{name: what `acmectl status --json` says about it}"""
        result = self.ctl("status", "--json")
        if result.code != 0:
            raise Failed(f"acmectl status: {result}")
        return {found["name"]: found for found in result.json()["certificates"]}

    def state(self, name):
        return self.status().get(name, {}).get("state")

    def wait_state(self, name, state, seconds=30):
        try:
            wait_for(lambda: self.state(name) == state, seconds,
                     f"certificate {name} {state}", every=0.05)
        except Failed as error:
            raise Failed(f"{error}: {self.status().get(name)}\n{tail(self.log)}") from None
        return self.status()[name]

    def wait_valid(self, *names, seconds=30):
        """Waits until all these certificates are there."""
        for name in names:
            self.wait_state(name, "valid", seconds)


def ask(path, method, params=None, timeout=20):
    """One call over a control socket; the whole answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(path)
        client.sendall(json.dumps(
            {"id": 1, "method": method, "params": params or {}}).encode() + b"\n")
        with client.makefile("rb") as answers:
            line = answers.readline()
    return json.loads(line) if line else None


def _ready(heard):
    try:
        while True:
            if b"READY=1" in heard.recv(4096):
                return True
    except BlockingIOError:
        return False
