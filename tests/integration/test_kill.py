# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every moment of an order that matters: on both sides of each save,
and around each request to the CA. After a restart the certificate comes, the
order goes on where it was, and no key is lost.

The moments are not listed here but counted in a run without faults, so a new
step is tested as soon as it exists."""

import os
import re
import time

import pytest

from harness.agent import Agent
from harness.process import wait_for

ONE = {"one": {"names": "one.test, two.test", "issuer": "pebble"}}


def agents(stage, folder, fault_env):
    """Fresh agents on the same CA: nothing is shared but the CA."""
    number = 0

    def build(**env):
        nonlocal number
        number += 1
        log = os.path.join(folder, f"renames{number}")
        agent = Agent(folder, issuers=stage.agent.issuers, certificates=ONE, name=f"k{number}",
                      env=fault_env(FAULT_LOG=log, **env))
        agent.renames = log
        agent.without_faults = fault_env()
        return agent
    return build


def saves(agent):
    """[(when, file)] of what was saved."""
    try:
        with open(agent.renames) as file:
            return [(int(line.split()[0]) / 1e9, line.split(None, 1)[1].strip())
                    for line in file]
    except FileNotFoundError:
        return []


def died(agent):
    wait_for(lambda: not agent.program.running(), 30, "the kill")
    agent.program = None


def goes_on(agent, fake, first):
    """Starts it again without faults; the certificate comes, and with one
    newOrder if the order had been saved when the power went."""
    ordered = [at for method, path, at in fake.requests[first:]
               if method == "POST" and path == "/order-plz"]
    saved = ordered and any(at > ordered[0] + 0.001 and "/orders/" in path
                            for at, path in saves(agent))
    agent.env = agent.without_faults
    with agent:
        agent.wait_valid("one")
    total = sum(method == "POST" and path == "/order-plz"
                for method, path, _ in fake.requests[first:])
    assert total == 1 if saved or not ordered else total <= 2


def steps_of_an_order(agent):
    """The states of the order's step table, as the agent itself draws it."""
    graph = agent.once("--flows").out.split("## order\n")[1].split("## ")[0]
    return set(re.findall(r"--> (\w+)$", graph, re.M))


@pytest.mark.slow
def test_on_both_sides_of_each_save(faulty, folder, fault_env):
    stage, fake = faulty()
    build = agents(stage, folder, fault_env)
    with build() as clean:
        clean.wait_valid("one")
    count = len(saves(clean))
    assert count >= 5, saves(clean)
    for number in range(1, count + 1):
        for side in ("before", "after"):
            first = len(fake.requests)
            agent = build(FAULT_KILL=f"{side}:{number}")
            agent.start(ready=False)
            died(agent)
            goes_on(agent, fake, first)


@pytest.mark.slow
def test_at_each_transition_of_the_step_table(faulty, folder, fault_env):
    stage, fake = faulty()
    build = agents(stage, folder, fault_env)
    with build() as clean:
        clean.wait_valid("one")
    arrows = re.findall(r" order (\w+->(\w+)) ", clean.log_text())
    # Each step but the one that explains a failure was entered.
    seen = set("->".join(arrow for arrow, _ in arrows).split("->"))
    assert seen == steps_of_an_order(clean) - {"explain"}
    for arrow, _ in arrows:
        first = len(fake.requests)
        agent = build(FAULT_LINE=f"order {arrow} ")
        agent.start(ready=False)
        died(agent)
        goes_on(agent, fake, first)


@pytest.mark.slow
def test_around_each_request(faulty, folder, fault_env):
    """Killed when a request has left, before and after the CA acted on it."""
    stage, fake = faulty()
    build = agents(stage, folder, fault_env)
    with build() as clean:
        clean.wait_valid("one")
    steps = list(dict.fromkeys((method, "/" + path.split("/")[1] + "/" * (path.count("/") > 1))
                               for method, path, _ in fake.requests))
    assert ("POST", "/order-plz") in steps and ("POST", "/finalize-order/") in steps
    for method, path in steps:
        for side in ("before", "after"):
            first = len(fake.requests)
            agent = build()
            fake.fault(path, times=1, method=method, drop=True,
                       **{side: lambda agent=agent: agent.program.child.kill()})
            agent.start(ready=False)
            died(agent)
            fake.heal()
            goes_on(agent, fake, first)


@pytest.mark.slow
def test_at_random_while_renewing(make):
    """Twenty kills at odd moments: what is served always verifies."""
    from harness.load import Load
    from test_issue import served
    stage = make(sites=[["a.test"]]).start()
    served(stage, "a.test")
    with Load(stage.tls_port, ["a.test"], stage.ca.write_root(), rate=30) as load:
        for number in range(20):
            stage.agent.renew("a.test", wait=False)
            time.sleep(0.013 * number)
            stage.agent.kill()
            stage.agent.start().wait_socket()
    assert load.errors == []
    before = served(stage, "a.test").serial
    stage.agent.renew("a.test", wait=False)
    wait_for(lambda: served(stage, "a.test").serial != before, 20, "new certificate")
