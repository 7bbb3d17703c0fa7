# SPDX-License-Identifier: Apache-2.0
"""acmectl against an agent that says exactly what a test wants: what a person
reads, what a program gets, and the exit codes."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from harness import peers
from harness.agent import run

STATUS = {
    "version": "0.1.0", "mode": "separated", "started": "2026-11-21T19:36:09Z",
    "issuers": [{"name": "le", "directory": "https://ca/dir", "state": "ready",
                 "account": "https://ca/1", "last_error": None}],
    "certificates": [
        {"name": "good.test", "issuer": "le", "names": ["good.test", "www.good.test"],
         "origin": "conf.d/le.ini:3", "state": "valid",
         "keys": [{"type": "ecdsa:256", "serial": "6f:0a", "not_after": "2099-01-01T00:00:00Z"}],
         "not_after": "2099-01-01T00:00:00Z",
         "next": {"action": "renew", "at": "2098-12-01T00:00:00Z"}, "last_error": None},
        {"name": "bad.test", "issuer": "le", "names": ["bad.test"], "origin": "nginx",
         "state": "failed", "keys": [], "not_after": None, "next": {"action": "issue", "at": None},
         "last_error": {"class": "retry", "problem": "urn:ietf:params:acme:error:dns",
                        "text": "no such\x1b[2J name", "at": "2026-11-21T19:36:09Z"}}],
    "alarms": ["storage: no space left"]}


@contextlib.contextmanager
def fake(path, *answers):
    """Answers one connection after another, each with the given lines (or
    objects, whose id is filled in) after its first request. Yields the list of
    requests."""
    heard = []

    def serve():
        for answer in answers:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                heard.append(json.loads(lines.readline()))
                for line in answer:
                    if isinstance(line, dict):
                        line = json.dumps({"id": heard[-1]["id"], **line}).encode()
                    connection.sendall(line + b"\n")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def ctl(folder):
    """ctl(answer, words...) -> (result, request)"""
    path = os.path.join(folder, "c.sock")

    def call(answer, *words):
        lines = answer if isinstance(answer, list) else [answer]
        with fake(path, lines) as heard:
            result = run([peers.acmectl(), "--socket", path, *words], 20)
        os.unlink(path)
        return result, heard[0]
    return call


def test_the_table(ctl):
    result, request = ctl({"result": STATUS}, "status")
    assert request["method"] == "status" and result.code == 0
    lines = result.out.splitlines()
    assert "ALARM: storage: no space left" in lines
    good = next(line for line in lines if line.startswith("good.test"))
    assert good.split()[1:4] == ["le", "valid", "in"] and "renew in " in good
    at = next(i for i, line in enumerate(lines) if line.startswith("bad.test"))
    assert "no such?[2J name (urn:ietf:params:acme:error:dns)" in lines[at + 1]
    assert "\x1b" not in result.out


def test_one_name(ctl):
    result, request = ctl({"result": STATUS}, "status", "good.test", "--names")
    assert request["params"] == {"name": "good.test"}
    assert "www.good.test" in result.out and "6f:0a" in result.out
    assert "bad.test" not in result.out
    result, _ = ctl({"result": STATUS}, "status", "other.test")
    assert result.code == 1 and "other.test" in result.text


def test_json_is_what_the_agent_said(ctl):
    result, _ = ctl({"result": STATUS}, "status", "--json")
    assert json.loads(result.out) == STATUS


def test_renew_waits_and_says_what_came(ctl):
    done = {"certificates": [STATUS["certificates"][0]]}
    result, request = ctl([b'{"event":"x"}', {"result": done}], "renew", "good.test")
    assert request["params"] == {"name": "good.test", "wait": True}
    assert result.code == 0 and "serial 6f:0a" in result.out
    failed = {"certificates": [{"name": "a", "error": {"text": "HTTP 500", "problem": "urn:x"}}]}
    result, request = ctl({"result": failed}, "renew", "--all")
    assert request["params"] == {"all": True, "wait": True}
    assert result.code == 1 and "a: HTTP 500 (urn:x)" in result.text
    result, request = ctl({"result": {"started": ["a"]}}, "renew", "a", "--no-wait")
    assert request["params"]["wait"] is False and result.out == "a: started\n"


def test_an_error_is_in_the_words_of_the_ca(ctl):
    result, _ = ctl({"error": {"code": "limited", "message": "too many", "problem": "urn:x:rate",
                               "retry_at": "2026-11-21T20:00:00Z"}}, "issue", "a")
    assert result.code == 1 and result.out == ""
    assert "too many (urn:x:rate)" in result.text and "2026-11-21T20:00:00Z" in result.text


def test_revoke(ctl, folder):
    result, request = ctl({"result": {"revoked": ["6f:0a"]}}, "revoke", "a", "--reason",
                          "keycompromise")
    assert request["params"] == {"name": "a", "reason": 1}
    assert result.out == "revoked serial 6f:0a\n"
    path = os.path.join(folder, "c.pem")
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with open(path, "w") as file:
        file.write(pem)
    _, request = ctl({"result": {"revoked": []}}, "revoke", "--cert", path)
    assert request["params"] == {"certificate": pem, "reason": 0}


def test_a_private_key_is_not_sent(folder):
    path = os.path.join(folder, "both.pem")
    with open(path, "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    result = run([peers.acmectl(), "revoke", "--cert", path], 20)
    assert result.code == 1 and "private key" in result.text


def test_watch_ends_with_the_agent(ctl):
    event = {"event": "issued", "at": "2026-11-21T19:36:09.123Z", "name": "a", "n": 3}
    result, _ = ctl([{"result": {}}, json.dumps(event).encode()], "watch")
    assert result.out == "2026-11-21T19:36:09.123Z issued name=a n=3\n"
    assert result.code == 3


@pytest.mark.parametrize("answer, code", [
    ([], 3), (b"junk", 1), (b"[]", 1), (b'{"id":1}', 1), (b'{"id":1,"result":[]}', 1),
    (b'{"id":1,"result":{}', 1), (b'{"id":1,"error":5}', 1), (b"\xff", 1)])
def test_answers_that_are_none(ctl, answer, code):
    result, _ = ctl(answer, "reload")
    assert result.code == code and result.text


@pytest.mark.parametrize("words", [
    [], ["dance"], ["renew"], ["renew", "a", "--all"], ["issue"], ["status", "a", "b"],
    ["status", "--all"], ["revoke"], ["revoke", "a", "--reason", "boredom"], ["--json"]])
def test_usage(words):
    result = run([peers.acmectl(), *words], 20)
    assert result.code == 2 and result.out == ""


def test_help_for_each():
    listed = run([peers.acmectl(), "--help"], 20).out
    for word in ("status issue renew revoke reload check plugins watch segment").split():
        assert f"  {word} " in listed
        result = run([peers.acmectl(), word, "--help"], 20)
        assert result.code == 0 and f"acmectl {word}" in result.out


def test_no_agent(folder):
    path = os.path.join(folder, "none.sock")
    result = run([peers.acmectl(), "status"], 20, {**os.environ, "ACME_AGENT_SOCKET": path})
    assert result.code == 3 and path in result.text
    result = run([peers.acmectl(), "-s", "/" + "x" * 120, "status"], 20)
    assert result.code == 2 and "121 bytes" in result.text


def test_an_unwritable_output_is_a_failure():
    with open("/dev/full", "w") as full:
        assert subprocess.run([peers.acmectl(), "config-doc"], stdout=full,
                              stderr=subprocess.DEVNULL).returncode == 1
