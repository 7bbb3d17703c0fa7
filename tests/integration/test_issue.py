# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a certificate that nginx serves."""

import pytest

from harness import tls
from harness.process import wait_for

KEYS = ["ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048", "rsa:3072", "rsa:4096"]


def served(stage, name, seconds=20, **how):
    """Waits until a verified certificate for this name is served."""
    return wait_for(lambda: tls.ready(stage.tls_port, name, stage.ca.write_root(), **how),
                    seconds, f"certificate for {name}", 0.05)


def test_nginx_conf_asks_and_conf_d_names_only_the_issuer(make):
    stage = make(sites=[["www.a.test", "a.test"], ["b.test"]]).start()
    first = served(stage, "www.a.test")
    assert first.names == ["a.test", "www.a.test"] and first.key == "ecdsa:256"
    assert served(stage, "a.test").serial == first.serial
    assert served(stage, "b.test").names == ["b.test"]
    assert len(first.chain) == 2


def test_conf_d_asks_and_nginx_serves(make):
    stage = make(sites=[["www.c.test", "c.test"]], agent={"certificates": {
        "www.c.test": {"names": "www.c.test, c.test", "issuer": "pebble"}}}).start()
    assert served(stage, "c.test").names == ["c.test", "www.c.test"]
    assert list(stage.agent.status()) == ["www.c.test"]


def test_a_module_that_is_new_to_a_running_nginx(make):
    """The master declares before its new workers run; those without the module
    would answer the CA with 404."""
    stage = make(sites=[["a.test"]])
    module, stage.nginx.module = stage.nginx.module, None
    stage.nginx.set_conf(f"server {{ listen 127.0.0.1:{stage.http_port}; return 404; }}")
    stage.start()
    stage.nginx.module = module
    stage.nginx.set_conf(stage.http())
    stage.nginx.reload()
    served(stage, "a.test")
    assert " failed " not in stage.agent.log_text()


def test_the_agent_may_come_before_nginx(make):
    stage = make(sites=[["a.test"]])
    stage.ca.start()
    stage.agent.start().wait_socket()
    stage.nginx.start()
    served(stage, "a.test")


def test_forty_names_in_one_certificate(make):
    names = [f"n{number}.many.test" for number in range(40)]
    stage = make(sites=[names]).start()
    assert served(stage, "n39.many.test", 40).names == sorted(names)


def test_an_address_is_a_name_too(agent_only):
    stage = agent_only(agent={"certificates": {
        "address": {"names": "127.0.0.1, a.test", "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("address")


@pytest.mark.parametrize("key", KEYS)
def test_each_key_type(make, key):
    stage = make(sites=[["a.test"]])
    stage.nginx.set_conf(stage.http(more=f" key={key}"))
    stage.start()
    assert served(stage, "a.test", 40).key == key


def test_the_issuers_key_type_holds_for_conf_d(make):
    stage = make(sites=[["a.test"]], issuer={"key": "ecdsa:384"}, agent={
        "certificates": {"a.test": {"issuer": "pebble"}}}).start()
    assert served(stage, "a.test").key == "ecdsa:384"


def test_two_key_types_side_by_side(make):
    stage = make(sites=[["a.test"]])
    stage.nginx.set_conf(stage.http(more=" key=ecdsa:256,rsa:2048"))
    stage.start()
    served(stage, "a.test")
    root = stage.ca.write_root()
    found = {kind: wait_for(lambda kind=kind: tls.ready(stage.tls_port, "a.test", root, key=kind),
                            20, kind) for kind in ("ecdsa", "rsa")}
    assert found["ecdsa"].key == "ecdsa:256" and found["rsa"].key == "rsa:2048"
    assert found["ecdsa"].serial != found["rsa"].serial


def test_the_chain_is_sent_as_the_ca_gave_it(make):
    stage = make(sites=[["a.test"]], ca={"chain_length": 3}).start()
    assert len(served(stage, "a.test").chain) == 4


def test_a_third_of_all_nonces_refused(make):
    stage = make(sites=[["a.test"], ["b.test"], ["c.test"]], ca={"nonce_reject": 33}).start()
    for name in ("a.test", "b.test", "c.test"):
        served(stage, name, 60)


def test_one_account_for_all_and_again_after_a_restart(make):
    stage = make(sites=[["a.test"], ["b.test"]]).start()
    served(stage, "a.test")
    served(stage, "b.test")
    assert stage.ca.requests("/sign-me-up") == 1
    stage.agent.stop()
    stage.agent.start().wait_socket()
    before = served(stage, "a.test")
    assert stage.agent.renew("a.test")
    wait_for(lambda: served(stage, "a.test").serial != before.serial, 20, "new certificate")
    assert "Created new account" not in stage.ca.text().split("new account", 1)[-1]


def test_each_certificate_has_a_new_key(make):
    stage = make(sites=[["a.test"]]).start()
    before = served(stage, "a.test")
    stage.agent.renew("a.test", wait=False)
    after = wait_for(lambda: (found := served(stage, "a.test")).serial != before.serial
                     and found, 20, "new certificate")
    assert before.leaf.public_key().public_numbers() != after.leaf.public_key().public_numbers()


def test_one_bad_name_keeps_nobody_else_waiting(make):
    names = [f"s{number}.test" for number in range(12)]
    stage = make(sites=[[name] for name in names] + [["bad.test"]],
                 ca={"blocklist": ["bad.test"]}).start()
    for name in names:
        served(stage, name)
    found = wait_for(lambda: (status := stage.agent.status().get("bad.test", {}))
                     .get("last_error") and status, 20, "error of bad.test")
    assert "rejectedIdentifier" in str(found["last_error"])


def test_a_failed_validation_is_told_in_the_words_of_the_ca(make):
    stage = make(sites=[["a.test"], ["gone.test"]])
    stage.ca.start()
    stage.ca.set_dns("/set-servfail", host="gone.test.")
    stage.nginx.start()
    stage.agent.start().wait_socket()
    served(stage, "a.test")
    found = wait_for(lambda: (status := stage.agent.status().get("gone.test", {}))
                     .get("last_error") and status, 30, "error of gone.test")
    assert "gone.test" in str(found["last_error"]) and "urn:ietf:params:acme:error" in str(found)


def test_fast_no_second_look_takes_long(make):
    """Polls start at 10 to 20 ms: a local CA is answered in well under 2 s."""
    stage = make(sites=[["a.test"]])
    stage.ca.start()
    stage.nginx.start()
    stage.agent.start()
    served(stage, "a.test", 2)
