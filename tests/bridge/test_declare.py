# SPDX-License-Identifier: Apache-2.0
"""What the master tells the agent, whatever the agent does."""

import json
import os
import socket
import threading
import time

import pytest

from harness import ports, tls
from harness.nginx import Nginx
from harness.process import wait_for


class FakeAgent:
    """Listens where an agent would; `answer` is bytes to be sent, None to
    hang, or a function of the request."""

    def __init__(self, path, answer=b'{"id":1,"result":{}}\n', backlog=8):
        self.answer, self.lines, self.stopping = answer, [], threading.Event()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(backlog)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)

    def _run(self):
        while not self.stopping.is_set():
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection:
                line = b""
                while not line.endswith(b"\n"):
                    data = connection.recv(65536)
                    if not data:
                        break
                    line += data
                if not line:
                    continue
                self.lines.append(line)
                answer = self.answer(line) if callable(self.answer) else self.answer
                if answer is None:
                    self.stopping.wait(5)
                else:
                    try:
                        connection.sendall(answer)
                    except OSError:
                        pass

    def requests(self):
        return [json.loads(line) for line in self.lines]


def left(site):
    """The lines in the run directory, by name of the file."""
    folder = os.path.join(site.run, "declared")
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as file:
            found[name] = json.load(file)
    return found


def test_declares_at_start_and_at_reload(site):
    with FakeAgent(site.socket) as agent:
        site.start(site.server("a.test www.a.test"), site.server(
            "b.test", "acme_certificate other b.test key=rsa:3072,ecdsa;"))
        site.nginx.set_conf(site.http(site.server("c.test")))
        site.nginx.reload()
        wait_for(lambda: len(agent.lines) == 2)
        first, second = agent.requests()
    home = site.nginx.home
    assert first == {"id": 1, "method": "declare", "params": {
        "owner": f"{home}/|{site.nginx.conf}",
        "certificates": [
            {"name": "a.test", "issuer": "le", "identifiers": ["a.test", "www.a.test"],
             "key": []},
            {"name": "b.test", "issuer": "other", "identifiers": ["b.test"],
             "key": ["rsa:3072", "ecdsa:256"]}]}}
    assert [c["name"] for c in second["params"]["certificates"]] == ["c.test"]
    assert left(site).popitem()[1] == second
    assert "[error]" not in site.log() and "[warn]" not in site.log()


def test_the_line_is_left_for_an_agent_that_starts_later(site):
    os.chown(site.run, 1 if os.getuid() == 0 else -1, -1)
    site.start()
    assert "no agent at" in site.log() and "[notice]" in site.log()
    (name, line), = left(site).items()
    assert len(name) == 16 + len(".json") and line["method"] == "declare"
    for path, mode in (("declared", 0o700), (f"declared/{name}", 0o600)):
        found = os.stat(os.path.join(site.run, path))
        assert found.st_mode & 0o7777 == mode
        assert found.st_uid == os.stat(site.run).st_uid
    assert len(os.listdir(os.path.join(site.run, "declared"))) == 1


def test_takes_back_what_is_configured_no_more(site):
    with FakeAgent(site.socket) as agent:
        site.start()
        site.nginx.set_conf(f"server {{ listen 127.0.0.1:{site.plain}; }}"
                            f"acme_agent unix:{site.socket};")
        site.nginx.reload()
        wait_for(lambda: len(agent.lines) == 2)
        assert agent.requests()[1]["params"]["certificates"] == []
    assert left(site).popitem()[1]["params"]["certificates"] == []


def test_nothing_to_declare_nothing_said(site):
    with FakeAgent(site.socket) as agent:
        site.make()
        site.nginx.set_conf(f"server {{ listen 127.0.0.1:{site.plain}; }}"
                            f"acme_agent unix:{site.socket};")
        site.nginx.start()
        site.nginx.reload()
        assert agent.lines == []
    assert not os.path.exists(os.path.join(site.run, "declared"))


@pytest.mark.parametrize("answer, words", [
    (b'{"id":1,"error":{"code":"denied","message":"issuer \\"le\\" is\\nnot known"}}\n',
     'the agent refuses what nginx declares: issuer \\"le\\" is\\nnot known'),
    (b'{"id":1,"error":{"message" : "\x1b[31m\xff"}}\n',
     "the agent refuses what nginx declares: ?[31m?"),
    (b'{"error":7}\n', 'the agent refuses what nginx declares: "error":7}'),
    (b'{"id":1,"result":{"refused":[{"name":"a.test","reason":"no such issuer"},'
     b'{"name":"b.test","reason":"not allowed"}]}}\n',
     'the agent refuses certificate "b.test": not allowed'),
    (b'{"id":1,"result":{"refused":[]}}\n', None),
    (b'{"id":1,"result":{}}\n', None),
    (b"\n", None),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", None),
    (b'{"error', "did not answer"),
    (b'{"error":{"message":"' + b"x" * 100000, "refuses what nginx declares: xxxx"),
    (b'{"refused":[{"name":"\\', "did not answer"),
    (b"", "did not answer"),
    (None, "did not answer to the declaration of 1 certificate(s) within 200 ms"),
])
def test_whatever_the_agent_answers(site, answer, words):
    site.put("a.test", site.pki.leaf("a.test"))
    with FakeAgent(site.socket, answer):
        started = time.monotonic()
        site.start()
        assert time.monotonic() - started < 5
        tls.handshake(site.port, "a.test", site.pki.root)
        site.nginx.reload()
        tls.handshake(site.port, "a.test", site.pki.root)
    if words:
        assert words in site.log(), site.log()
    else:
        assert "acme: the agent" not in site.log()
    assert "exited on signal" not in site.log()


def test_an_agent_that_does_not_accept(site):
    """A full backlog: connect() does not wait."""
    held = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(site.socket)
        listener.listen(0)
        for _ in range(8):
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            held.append(one)
            try:
                one.connect(site.socket)
            except BlockingIOError:
                break
        started = time.monotonic()
        site.start()
        assert 0.15 < time.monotonic() - started < 5
    for one in held:
        one.close()
    assert "no agent at" in site.log()


def test_a_declaration_that_is_larger_than_a_socket_s_buffer(site):
    with FakeAgent(site.socket) as agent:
        servers = [f"server {{ listen 127.0.0.1:{site.plain}; server_name n{n}.test;"
                   " acme_certificate le; }" for n in range(6000)]
        site.start("server_names_hash_max_size 65536;", *servers)
        assert len(agent.requests()[0]["params"]["certificates"]) == 6000
    assert "did not answer" not in site.log()


def test_paths_with_anything_in_them(site):
    nginx = site.make()
    conf = os.path.join(nginx.home, 'a "strange\\ näme.conf').encode() + b"\xff\x01"
    os.rename(nginx.conf, conf)
    nginx.conf = os.fsdecode(conf)
    with FakeAgent(site.socket) as agent:
        nginx.start()
        owner = agent.requests()[0]["params"]["owner"]
    assert owner.endswith('a "strange\\ nÃ¤me.confÿ\x01')


def test_t_declares_nothing(site):
    with FakeAgent(site.socket) as agent:
        assert site.make().test()[0]
        assert agent.lines == []


def test_upgrade_declares_anew(site):
    with FakeAgent(site.socket) as agent:
        site.start()
        site.nginx.upgrade()
        assert len(agent.lines) == 2 and agent.lines[0] == agent.lines[1]


def test_two_nginxes_leave_two_lines(site, folder):
    site.start()
    with Nginx(folder, site.http().replace(str(site.port), str(ports.free())).replace(
            str(site.plain), str(ports.free())), name="second", workers=1):
        assert len(left(site)) == 2
