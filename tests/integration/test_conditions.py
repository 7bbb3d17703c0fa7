# SPDX-License-Identifier: Apache-2.0
"""Odd places and odd circumstances."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import folder as folders
from harness import ports, process
from harness.agent import Agent
from harness.fakeca import FakeCa
from harness.process import wait_for
from harness.stage import Stage

from test_issue import served

ONE = {"certificates": {"one": {"names": "one.test", "issuer": "pebble"}}}


def test_paths_with_blanks_and_quotes(folder):
    where = folders.make(os.path.join(folder, "a b 'c'"), 0o711)
    with Stage(where, agent=ONE, ca={"always_valid": True}) as stage:
        stage.ca.start()
        stage.agent.start().wait_socket()
        stage.agent.wait_valid("one")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(agent_only, mask):
    stage = agent_only(agent=ONE)
    stage.agent.mask = mask
    with stage.agent as agent:
        agent.wait_valid("one")
        for where, _, names in os.walk(agent.state_dir):
            for name in names:
                mode = stat.S_IMODE(os.lstat(os.path.join(where, name)).st_mode)
                assert mode & 0o077 == 0, f"{name} {mode:o}"
        assert stat.S_IMODE(os.stat(agent.segment).st_mode) == 0o600


def test_a_second_agent_on_the_same_folders_gives_up(agent_only):
    stage = agent_only(agent=ONE)
    with stage.agent as agent:
        agent.wait_valid("one")
        second = agent.once(timeout=20)
        assert second.code != 0 and ("already" in second.text or "another" in second.text), second
        assert agent.ctl("status").code == 0


def test_two_agents_side_by_side(agent_only, folder):
    stage = agent_only(agent=ONE)
    other = Agent(folder, issuers=stage.agent.issuers, name="other", **ONE)
    with stage.agent, other:
        stage.agent.wait_valid("one")
        other.wait_valid("one")


def test_proxies_in_the_environment_do_not_count(agent_only):
    stage = agent_only(agent=ONE)
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        stage.agent.env[name] = "http://127.0.0.1:1/"
    with stage.agent as agent:
        agent.wait_valid("one")


def test_the_configured_proxy_counts(agent_only):
    stage = agent_only(agent=ONE, issuer={"proxy": "http://127.0.0.1:1"})
    with stage.agent as agent:
        agent.wait_log("127.0.0.1", 20)
        time.sleep(1)
        assert agent.state("one") != "valid"
        assert stage.ca.requests("/order-plz") == 0


class Proxy:
    """An HTTP proxy for CONNECT that notes where it was asked to go."""

    def __init__(self):
        self.port, self.asked = ports.free(), []
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        where = head.split()[1].decode()
        self.asked.append(where)
        host, port = where.rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self.copy, args=(server, client), daemon=True).start()
        self.copy(client, server)

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def test_through_a_proxy_to_the_ca(agent_only):
    with Proxy() as proxy:
        stage = agent_only(agent=ONE, issuer={"proxy": f"http://127.0.0.1:{proxy.port}"})
        with stage.agent as agent:
            agent.wait_valid("one")
        assert set(proxy.asked) == {f"127.0.0.1:{stage.ca.port}"}


def test_a_ca_with_an_ipv6_address_only(agent_only):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    stage = agent_only(agent=ONE)
    with FakeCa(stage.ca, host="::1") as fake:
        stage.agent.issuers[stage.ISSUER]["directory"] = fake.directory
        stage.agent.set_conf()
        with stage.agent as agent:
            agent.wait_valid("one")
        assert "[::1]" in fake.directory and fake.count("/finalize-order/") == 1


def orphans(parent):
    """All children of a process, dead ones too."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
            and (process.stat(int(pid)) or (0, 0, 0))[2] == parent]


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("nsenter"),
                    reason="a PID namespace needs root, unshare and nsenter")
def test_as_the_first_process_of_a_container(agent_only):
    stage = agent_only(agent=ONE)
    agent = stage.agent
    agent.prefix = ["unshare", "--pid", "--fork", "--mount-proc"]
    agent.start().wait_socket()
    agent.wait_valid("one")
    init, = process.children(agent.pid)
    with open(f"/proc/{init}/status") as file:
        assert f"NSpid:\t{init}\t1\n" in file.read()
    # It inherits orphans, and has to bury them.
    subprocess.run(["nsenter", "-t", str(init), "-p", "sh", "-c", "sleep 0.3 & sleep 0.1"],
                   check=True)
    wait_for(lambda: not orphans(init), 5, "no zombie")
    os.kill(init, signal.SIGTERM)
    assert agent.program.wait() == 0


@pytest.mark.parametrize("missing", ["HOME", "PATH"])
def test_without_parts_of_the_environment(agent_only, missing):
    stage = agent_only(agent=ONE)
    stage.agent.env.pop(missing, None)
    with stage.agent as agent:
        agent.wait_valid("one")


def test_few_file_descriptors(agent_only):
    names = {f"c{n}": {"names": f"c{n}.test", "issuer": "pebble"} for n in range(30)}
    stage = agent_only(agent={"certificates": names})
    stage.agent.files_max = 64
    stage.agent.start().wait_socket()
    stage.agent.wait_valid(*names, seconds=60)


def test_no_descriptor_is_lost_over_fifty_renewals(make):
    stage = make(sites=[["a.test"]]).start()
    served(stage, "a.test")

    def count():
        return len(os.listdir(f"/proc/{stage.agent.pid}/fd"))
    stage.agent.renew("a.test", wait=False)
    time.sleep(1)
    before = count()
    for _ in range(50):
        stage.agent.renew("a.test", wait=False)
        stage.agent.wait_valid("a.test")
    time.sleep(1)
    assert count() <= before + 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_rootless_nginx_and_agent_as_one_user(folder):
    with Stage(folder, sites=[["a.test"]], nginx={"user": "www-data"},
               agent={"user": "www-data"}) as stage:
        stage.start()
        served(stage, "a.test")
        with open(f"/proc/{stage.agent.pid}/status") as file:
            assert "Uid:\t33\t33" in file.read()
