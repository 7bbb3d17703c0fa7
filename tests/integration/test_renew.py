# SPDX-License-Identifier: Apache-2.0
"""Renewal: forced, in time, and never at a visitor's expense."""

import time

import pytest

from harness import tls
from harness.load import Load
from harness.process import alive, wait_for

from test_ca_faults import error_of
from test_issue import served


def renewed(stage, name, before, seconds=20):
    root = stage.ca.write_root()

    def look():
        found = tls.ready(stage.tls_port, name, root)
        return found if found and found.serial != before else None
    return wait_for(look, seconds, f"new certificate for {name}", 0.02)


def test_a_forced_renewal_keeps_the_workers_and_every_visitor(make):
    stage = make(sites=[["a.test"]]).start()
    before = served(stage, "a.test").serial
    workers = stage.nginx.workers()
    with Load(stage.tls_port, ["a.test"], stage.ca.write_root()) as load:
        for _ in range(5):
            assert stage.agent.renew("a.test")
            before = renewed(stage, "a.test", before).serial
            time.sleep(0.3)
    assert load.errors == [] and load.count > 50
    assert len(load.serials) == 6
    assert stage.nginx.workers() == workers
    assert "reconfiguring" not in stage.nginx.log()


@pytest.mark.slow
def test_certificates_that_live_45_seconds(make):
    stage = make(sites=[["a.test"], ["b.test"]], ca={"validity": 45}).start()
    for name in ("a.test", "b.test"):
        served(stage, name)
    with Load(stage.tls_port, ["a.test", "b.test"], stage.ca.write_root(), rate=20) as load:
        time.sleep(100)
    assert load.errors == []
    # Half of 45 s, less the jitter: four or five each, not a storm.
    assert 6 <= len(load.serials) <= 16


@pytest.mark.slow
def test_the_old_certificate_serves_while_the_ca_is_away(make):
    stage = make(sites=[["a.test"]], ca={"validity": 45}).start()
    before = served(stage, "a.test")
    root = stage.ca.write_root()
    stage.ca.stop()
    error_of(stage.agent, "a.test", 40)
    assert tls.handshake(stage.tls_port, "a.test", root).serial == before.serial
    assert alive(stage.agent.pid)


def test_a_ca_that_forgot_the_account_gets_a_new_one(make):
    stage = make(sites=[["a.test"]]).start()
    before = served(stage, "a.test").serial
    time.sleep(5.5)  # an account younger than 5 s that is unknown is a fault
    stage.ca.restart()
    # The first attempt finds out, the next one has a new account.
    stage.agent.renew("a.test")
    assert renewed(stage, "a.test", before, 30).serial != before


def test_an_added_name_has_a_predecessor_that_serves(make):
    stage = make(sites=[["a.test"]]).start()
    before = served(stage, "a.test")
    with Load(stage.tls_port, ["a.test"], stage.ca.write_root()) as load:
        stage.nginx.set_conf(stage.http(sites=[["a.test", "more.a.test"]]))
        stage.nginx.reload()
        after = renewed(stage, "a.test", before.serial)
    assert after.names == ["a.test", "more.a.test"]
    assert load.errors == []
