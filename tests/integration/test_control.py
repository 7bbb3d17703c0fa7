# SPDX-License-Identifier: Apache-2.0
"""acmectl and the control socket: every verb, its exit code, its words."""

import json
import os
import socket
import subprocess

import pytest

from harness import folder as folders
from harness import peers
from harness.agent import run
from harness.process import environment, wait_for

ONE = {"certificates": {"one": {"names": "one.test", "issuer": "pebble"}}}


@pytest.fixture
def agent(agent_only):
    stage = agent_only(agent=ONE)
    with stage.agent as running:
        running.ca = stage.ca
        running.wait_valid("one")
        yield running


def test_status_for_people_and_for_programs(agent):
    table = agent.ctl("status")
    assert table.code == 0 and "one" in table.out and "pebble" in table.out
    found = agent.status()["one"]
    assert found["issuer"] == "pebble" and found["names"] == ["one.test"]
    assert found["state"] == "valid" and found["not_after"] and found["next"]


def test_renew_one(agent):
    before = agent.status()["one"]
    assert agent.renew("one")
    wait_for(lambda: agent.ca.requests("/finalize-order/") == 2, 20, "a second order")
    wait_for(lambda: agent.status()["one"] != before, 20, "another status")


@pytest.mark.parametrize("verb", ["renew", "issue", "revoke"])
def test_a_name_that_is_not_there(agent, verb):
    result = agent.ctl(verb, "nobody.test")
    assert result.code != 0 and "nobody.test" in result.text


def test_revoke(agent):
    assert agent.ctl("revoke", "one", "--reason", "superseded").code == 0
    assert agent.ca.requests("/revoke-cert") == 1


def test_revoke_by_file_marks_and_replaces_what_is_stored(agent, folder):
    first = agent.status()["one"]["keys"][0]["serial"]
    with open(os.path.join(agent.storage["path"], "certificates", "one")) as file:
        chain = json.load(file)["keys"][0]["chain"]
    path = folders.write(os.path.join(folder, "one.pem"), chain, 0o600)
    result = agent.ctl("revoke", "--cert", path)
    assert result.code == 0 and first in result.out
    wait_for(lambda: agent.state("one") == "valid"
             and agent.status()["one"]["keys"][0]["serial"] != first, 20, "a new one")


def test_what_is_unwanted_and_revoked_is_retired_at_the_next_start(agent):
    agent.certificates = {"two": {"names": "two.test", "issuer": "pebble"}}
    agent.set_conf()
    assert agent.ctl("reload").code == 0
    assert agent.state("one") == "unwanted"
    assert agent.ctl("revoke", "one").code == 0
    assert "one.test" in agent.ctl("segment", agent.segment).out
    agent.stop()
    agent.start().wait_socket().wait_valid("two")
    wait_for(lambda: "one" not in agent.status(), 10, "one to go")
    assert "one.test" not in agent.ctl("segment", agent.segment).out
    kept = os.path.join(agent.storage["path"], "archive", "one")
    wait_for(lambda: os.path.exists(kept), 10, "the archive")
    assert not os.path.exists(os.path.join(agent.storage["path"], "certificates", "one"))


def test_plugins(agent):
    result = agent.ctl("plugins")
    assert result.code == 0 and "file" in result.out and "http-01" in result.out


def test_segment_never_shows_keys(agent):
    result = agent.ctl("segment", agent.segment)
    assert result.code == 0, result
    assert "one" in result.out and "PRIVATE" not in result.out


def test_check(agent):
    assert agent.ctl("check", agent.conf).code == 0
    agent.write_conf("60-wrong.ini", "[certificate\n")
    result = agent.ctl("check", agent.conf)
    assert result.code != 0 and "60-wrong.ini:1" in result.text


def test_watch_shows_a_renewal(agent):
    with subprocess.Popen([peers.acmectl(), "--socket", agent.socket, "watch"],
                          stdout=subprocess.PIPE, env=environment(), text=True) as watch:
        try:
            agent.renew("one", wait=False)
            line = wait_for(watch.stdout.readline, 20, "an event")
            assert line.strip()
        finally:
            watch.terminate()


def test_help_and_usage(agent):
    assert "status" in agent.ctl("--help").out
    assert agent.ctl("no-such-verb").code == 2
    assert run([peers.agent(), "--help"]).code == 0
    assert run([peers.agent(), "--no-such-option"]).code == 2


def test_no_agent_is_said_plainly(folder):
    result = run([peers.acmectl(), "--socket", os.path.join(folder, "none.sock"), "status"])
    assert result.code != 0 and "none.sock" in result.text


@pytest.mark.parametrize("line", [
    b"\n", b"{}\n", b"junk\n", b"[]\n", b'{"id":1}\n', b'{"id":1,"method":"x"}\n',
    b'{"id":{},"method":"ping"}\n', b'{"id":1,"method":"ping","params":[]}\n',
    b"\x00\xff\xfe\n", b"[" * 50000 + b"\n", b'{"id":1,"method":"' + b"a" * 4000000], ids=range(11))
def test_hostile_messages_harm_nobody(agent, line):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(agent.socket)
        try:
            client.sendall(line)
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
        except OSError:
            pass
    assert agent.ask("ping")["id"] == 1


def test_many_connections_harm_nobody(agent):
    clients = []
    try:
        for _ in range(300):
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            try:
                client.connect(agent.socket)
            except OSError:
                break
    finally:
        for client in clients:
            client.close()
    assert wait_for(lambda: agent.ctl("status").code == 0, 10, "status again")
