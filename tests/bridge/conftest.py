# SPDX-License-Identifier: Apache-2.0
"""nginx with the bridge and a publisher in place of an agent."""

import os
import re
import subprocess

import pytest

from harness import folder as folders
from harness import peers, ports
from harness.nginx import Nginx
from harness.process import environment

import pki as pkis

# What no test may cause; a worker that a test kills gets signal 9.
CRASHED = re.compile("AddressSanitizer.*|runtime error.*|exited on signal (?!9).*"
                     "|exited with fatal.*")


class Publisher:
    """A writer of a segment; see publisher.c."""

    def __init__(self, path):
        self.path = path
        self.child = None
        self.versions = 0

    def start(self):
        self.child = subprocess.Popen(
            [peers.tool("bridge_publisher"), self.path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment(), text=True, bufsize=1)
        self._answer()
        return self

    def stop(self):
        if self.child:
            self.child.stdin.close()
            self.child.stdout.close()
            self.child.wait(10)
            self.child = None

    def kill(self):
        self.child.kill()
        self.stop()

    def _answer(self):
        said = self.child.stdout.readline().strip()
        assert said == "ok", said or "the publisher has ended"

    def tell(self, *words):
        if self.child is None:
            self.start()
        print(*words, file=self.child.stdin)
        self._answer()

    def put(self, name, *leaves, version=None):
        """Publishes a certificate of these key types."""
        self.versions += 1
        words = []
        for leaf in leaves:
            words += [*leaf.words(), ";"]
        self.tell("put", name, version or self.versions, *words)

    def remove(self, name):
        self.tell("remove", name)

    def token(self, token, text):
        self.tell("token", token, text)

    def untoken(self, token):
        self.tell("untoken", token)


class Site:
    """One run directory, one publisher, one nginx with TLS on `port` and
    plain HTTP on `plain`."""

    def __init__(self, folder, pki, workers=1):
        self.folder, self.pki, self.workers = folder, pki, workers
        self.run = folders.make(os.path.join(folder, "run"), 0o755)
        self.socket = os.path.join(self.run, "control.sock")
        self.segment = os.path.join(self.run, "segment.1")
        self.publisher = Publisher(self.segment)
        self.put, self.remove = self.publisher.put, self.publisher.remove
        self.port, self.plain = ports.free(), ports.free()
        self.nginx = None

    def server(self, names="a.test", body="acme_certificate le;", listen="", extra=""):
        """A server block; `listen` are further parameters."""
        return (f"server {{ listen 127.0.0.1:{self.port} ssl {listen};\n"
                f"listen 127.0.0.1:{self.plain}{extra};\n"
                f"server_name {names};\n{body}\n"
                f"location / {{ return 200 \"hello $host\"; }} }}\n")

    def http(self, *servers, agent=None):
        return f"acme_agent {agent or 'unix:' + self.socket};\n" + "\n".join(
            servers or [self.server()])

    def make(self, *servers, agent=None, main="", **options):
        self.nginx = Nginx(self.folder, self.http(*servers, agent=agent), main,
                           workers=self.workers, **options)
        if self.nginx.env:
            # What was freed is kept for a while; not so long that it hides leaks.
            self.nginx.env["ASAN_OPTIONS"] += ":quarantine_size_mb=2"
        return self.nginx

    def start(self, *servers, **options):
        return self.make(*servers, **options).start()

    def log(self):
        return self.nginx.log()

    def close(self):
        self.publisher.stop()
        if self.nginx:
            self.nginx.stop()
            found = CRASHED.findall(self.log() if os.path.exists(self.nginx.error_log) else "")
            assert not found, found


@pytest.fixture(scope="session")
def pki():
    with folders.temporary("acme-pki-") as path:
        yield pkis.Pki(path)


@pytest.fixture
def site(folder, pki):
    made = Site(folder, pki)
    yield made
    made.close()


@pytest.fixture
def sites(folder, pki):
    """A function that makes a site with options."""
    made = []

    def make(**options):
        made.append(Site(folder, pki, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()
