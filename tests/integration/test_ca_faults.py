# SPDX-License-Identifier: Apache-2.0
"""A CA that is down, slow, wrong or hostile: a clear message, nothing good is
lost, and the certificate comes once the CA is well again. `fake` stands
between the agent and Pebble and misbehaves as told."""

import json
import time

import pytest

from harness.fakeca import HTML, replace_json
from harness.forge import Forger, names_of
from harness.process import alive, wait_for

ONE = {"certificates": {"one": {"names": "one.test", "issuer": "pebble"}}}

BIG = b'{"type":"' + b"x" * (8 << 20) + b'"}'
PROBLEM = {"Content-Type": "application/problem+json"}


def problem(kind, detail):
    return json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}).encode()


# What the CA answers, and words that the status must show.
ANSWERS = {
    "500": (dict(status=500), ["500"]),
    "503": (dict(status=503, headers={"Retry-After": "1"}), ["503"]),
    "429": (dict(status=429, headers={**PROBLEM, "Retry-After": "1"},
                 body=problem("rateLimited", "too many orders today")), ["too many orders today"]),
    "HTML": (dict(status=200, headers={"Content-Type": "text/html"}, body=HTML), []),
    "HTML error": (dict(status=502, headers={"Content-Type": "text/html"}, body=HTML), ["502"]),
    "truncated": (dict(cut=40), []),
    "half JSON": (dict(change=lambda status, headers, body:
                       (status, headers, body[:len(body) // 2])), []),
    "oversized": (dict(change=lambda status, headers, _: (status, headers, BIG)), []),
    "empty": (dict(change=lambda status, headers, _: (status, headers, b"")), []),
    "array": (dict(change=lambda status, headers, _: (status, headers, b"[[[[1]]]]")), []),
    "deep": (dict(change=lambda status, headers, _:
                  (status, headers, b"[" * 100000 + b"]" * 100000)), []),
    "no body, closed": (dict(drop=True), []),
}
PLACES = ["/dir", "/sign-me-up", "/order-plz", "/authZ/", "/finalize-order/", "/certZ/"]


def error_of(agent, name="one", seconds=30):
    """Waits for trouble to be told, by the status or as a retry in the log;
    returns both."""
    def look():
        error = agent.status().get(name, {}).get("last_error")
        lines = [line for line in agent.log_text().splitlines()
                 if " retry " in line or " fault " in line or " failed " in line]
        return (error or lines) and json.dumps(error) + "\n".join(lines)
    return wait_for(look, seconds, f"an error of {name}", 0.05)


def heals(stage, fake, name="one"):
    """The CA is well again: the certificate comes."""
    fake.heal()
    assert alive(stage.agent.pid)
    # More than once: the first may meet the order that is just failing.
    wait_for(lambda: stage.agent.ctl("issue", name).code == 0, 30, "the certificate", 0.2)
    stage.agent.wait_valid(name)


@pytest.mark.parametrize("place", [
    place if place == "/order-plz" else pytest.param(place, marks=pytest.mark.slow)
    for place in PLACES])
@pytest.mark.parametrize("answer", ANSWERS)
def test_wrong_answers(faulty, answer, place):
    what, words = ANSWERS[answer]
    stage, fake = faulty(agent=ONE)
    fake.fault(place, **what)
    with stage.agent as agent:
        text = error_of(agent)
        for word in words:
            assert word in text
        heals(stage, fake)


def test_a_ca_that_is_down(agent_only):
    stage = agent_only(agent=ONE)
    stage.ca.stop()
    with stage.agent as agent:
        assert "refused" in error_of(agent).lower() or "connect" in error_of(agent).lower()
        stage.ca.start()
        agent.renew("one", wait=False)
        agent.wait_valid("one")


def test_a_ca_with_a_certificate_that_is_not_trusted(agent_only):
    stage = agent_only(agent=ONE)
    del stage.agent.issuers["pebble"]["ca_file"]
    stage.agent.set_conf()
    with stage.agent as agent:
        assert "certificate" in error_of(agent).lower()
        assert stage.ca.requests("/sign-me-up") == 0


def test_five_hundreds_pass_by_themselves(faulty):
    """Nobody has to help: short faults are retried."""
    stage, fake = faulty(agent=ONE)
    for place in PLACES:
        fake.fault(place, times=1, status=503, headers={"Retry-After": "0"})
    with stage.agent as agent:
        agent.wait_valid("one", seconds=60)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(faulty, form):
    stage, fake = faulty(agent=ONE)
    value = "3" if form == "seconds" else time.strftime(
        "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 4))
    fault = fake.fault("/order-plz", times=1, status=429, headers={**PROBLEM, "Retry-After": value},
                       body=problem("rateLimited", "slowly"))
    with stage.agent as agent:
        wait_for(lambda: fault.seen, 20, "the refusal")
        begun = time.monotonic()
        agent.wait_valid("one", seconds=60)
        assert 2 < time.monotonic() - begun < 20


def test_a_denial_is_not_hammered(faulty):
    stage, fake = faulty(agent=ONE)
    fault = fake.fault("/order-plz", status=403, headers=PROBLEM,
                       body=problem("rejectedIdentifier", "policy forbids one.test"))
    with stage.agent as agent:
        assert "policy forbids one.test" in error_of(agent)
        time.sleep(3)
        assert fault.seen <= 2


@pytest.mark.parametrize("token", ["../../../../tmp/x", "a/b", "", "t" * 5000, "tok\x00en", "ab cd"],
                         ids=range(6))
def test_a_token_that_is_no_token(faulty, token):
    def change(status, headers, body):
        document = json.loads(body)
        for challenge in document.get("challenges", []):
            challenge["token"] = token
        return status, headers, json.dumps(document).encode()
    stage, fake = faulty(agent=ONE)
    fake.fault("/authZ/", change=change)
    with stage.agent as agent:
        text = error_of(agent).lower()
        assert "token" in text or "u0000" in text
        heals(stage, fake)


def chain_for(fake, case):
    forger = Forger()
    key, names = fake.csr.public_key(), names_of(fake.csr)
    return {
        "another key": lambda: forger.chain(names),
        "another name": lambda: forger.chain(["other.test"], key),
        "a name missing": lambda: forger.chain(names[:1], key),
        "a name too many": lambda: forger.chain(names + ["other.test"], key),
        "expired": lambda: forger.chain(names, key, -7200, -3600),
        "not yet valid": lambda: forger.chain(names, key, 86400, 172800),
        "broken chain": lambda: forger.chain(names, key, issuer=Forger("Stranger").issuer),
        "no certificate": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }[case]()


@pytest.mark.parametrize("case", [
    "another key", "another name", "a name missing", "a name too many", "expired",
    "not yet valid", "broken chain", "no certificate"])
def test_a_wrong_certificate_replaces_nothing(faulty, case):
    stage, fake = faulty(agent={"certificates": {
        "one": {"names": "one.test, two.test", "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("one")
        before = agent.status()["one"]
        fake.fault("/certZ/", change=lambda status, headers, _:
                   (status, headers, chain_for(fake, case)))
        agent.renew("one", wait=False)
        error_of(agent)
        after = agent.status()["one"]
        assert after["keys"] == before["keys"]
        heals(stage, fake)


def test_a_chain_without_a_newline_at_its_end(faulty):
    stage, fake = faulty(agent=ONE)
    fake.fault("/certZ/", change=lambda status, headers, body: (status, headers, body.rstrip()))
    with stage.agent as agent:
        agent.wait_valid("one")


def test_urls_of_another_scheme_or_host_are_not_followed(faulty):
    stage, fake = faulty(agent=ONE)
    fake.fault("/dir", change=replace_json(newOrder="file:///etc/passwd"))
    with stage.agent as agent:
        error_of(agent)
        heals(stage, fake)


def test_an_order_that_becomes_invalid_is_told(faulty):
    stage, fake = faulty(agent=ONE)
    fake.fault("/finalize-order/", status=400, headers=PROBLEM,
               body=problem("badCSR", "weak key \x1b[31mred"))
    with stage.agent as agent:
        text = error_of(agent)
        assert "badCSR" in text and "\x1b" not in text
        assert "\x1b" not in agent.log_text()


def test_few_requests_on_one_connection(faulty):
    """8 or 9 requests for each certificate, and nonces are pooled."""
    names = {f"c{n}": {"names": f"c{n}.test", "issuer": "pebble"} for n in range(10)}
    stage, fake = faulty(agent={"certificates": names})
    with stage.agent as agent:
        agent.wait_valid(*names)
    assert len(fake.requests) <= 10 * 10 + 10
    assert fake.connections <= 12
    assert fake.count("/sign-me-up") == 1
