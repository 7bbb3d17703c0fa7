# SPDX-License-Identifier: Apache-2.0
"""As an operator would: install, configure by the README alone, get a
certificate, and find nginx serving after a reboot before any CA was asked. The
text is README.md's own; only paths, ports and the CA are the test's."""

import os
import re
import shutil
import subprocess

from harness import folder as folders
from harness import peers, ports, tls
from harness.agent import run
from harness.nginx import Nginx
from harness.pebble import Pebble
from harness.process import Program, environment, wait_for


def readme(kind):
    """The code block of this language in README.md."""
    with open(os.path.join(peers.TOP, "README.md")) as file:
        return re.search(rf"^```{kind}\n(.*?)^```", file.read(), re.M | re.S).group(1)


def replaced(text, *pairs):
    """Each old text must be there, or the README has changed."""
    for old, new in pairs:
        assert old in text, f"README.md has no {old!r} any more"
        text = text.replace(old, new)
    return text


class Machine:
    """What `cmake --install` put into a DESTDIR, configured."""

    def __init__(self, folder, ca, http_port, tls_port):
        self.root = os.path.join(folder, "root")
        subprocess.run(["cmake", "--install", peers.BUILD, "--prefix", "/usr"], check=True,
                       env={**os.environ, "DESTDIR": self.root}, stdout=subprocess.DEVNULL)
        self.folder = folder
        self.run_dir = folders.make(os.path.join(folder, "run"), 0o755)
        state = folders.make(os.path.join(folder, "state"))
        self.etc = os.path.join(self.root, "etc", "acme-agent")
        self.conf = os.path.join(self.etc, "acme-agent.ini")
        self.socket = os.path.join(self.run_dir, "control.sock")
        self.log = os.path.join(folder, "agent.log")
        plugins = os.path.dirname(self.find("file.so"))
        for path in (self.root, self.etc, *self.parents(plugins)):
            os.chmod(path, 0o755)
        with open(self.conf) as file:
            main = file.read()
        main = re.sub(r"^(user|group) = ", r"; \1 = ", main, flags=re.M)
        folders.write(self.conf, replaced(main, (
            "[agent]", f"[agent]\nrun_dir = {self.run_dir}\nstate_dir = {state}\n"
                       f"plugin_dir = {plugins}\n")), 0o644)
        folders.write(os.path.join(self.etc, "conf.d", "letsencrypt.ini"), replaced(
            readme("ini"), ("directory = https://acme-v02.api.letsencrypt.org/directory",
                            f"directory = {ca.directory}\nca_file = {ca.ca_file}")), 0o644)
        self.nginx = Nginx(folder)
        self.nginx.module = self.find("ngx_http_acme_bridge_module.so")
        self.nginx.set_conf(f"acme_agent unix:{self.socket};\n" + replaced(
            readme("nginx").split("# in http { }\n")[1],
            ("listen 80;", f"listen 127.0.0.1:{http_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{tls_port} ssl;")))

    def find(self, name):
        for where, _, names in os.walk(self.root):
            if name in names:
                return os.path.join(where, name)
        raise AssertionError(f"{name} was not installed")

    def parents(self, path):
        while path != self.root:
            yield path
            path = os.path.dirname(path)

    def start_agent(self):
        agent = Program([self.find("acme-agent"), "-c", self.conf], self.log, env=environment())
        agent.wait_for(lambda: os.path.exists(self.socket), what="control socket")
        return agent

    def status(self):
        return run([self.find("acmectl"), "--socket", self.socket, "status"])


def test_from_installation_to_a_reboot(folder):
    http_port, tls_port = ports.free(), ports.free()
    with Pebble(folder, http_port=http_port) as ca:
        machine = Machine(folder, ca, http_port, tls_port)
        accepted = run([machine.find("acme-agent"), "-t", "-c", machine.conf])
        assert accepted.code == 0, accepted
        root = ca.write_root()
        with machine.start_agent(), machine.nginx:
            served = wait_for(lambda: tls.ready(tls_port, "www.example.com", root), 20,
                              "certificate")
            assert served.names == ["example.com", "www.example.com"]
            assert "valid" in machine.status().out
    # The power comes back: the CA is away, the run directory is empty.
    shutil.rmtree(machine.run_dir)
    folders.make(machine.run_dir, 0o755)
    with machine.start_agent(), machine.nginx:
        assert tls.handshake(tls_port, "example.com", root).serial == served.serial


def test_the_packages_that_it_names_are_those_of_the_build():
    with open(os.path.join(peers.TOP, "README.md")) as file:
        command = re.search(r"apt-get install(.*?)\ncmake", file.read(), re.S).group(1)
    named = {word for word in command.replace("\\\n", " ").split() if not word.startswith("-")}
    with open(os.path.join(peers.TOP, "tests", "setup", "packages")) as file:
        needed = {line.split()[1] for line in file if line.startswith("build ")}
    assert needed - {"python3", "python3-cryptography"} <= named
