# SPDX-License-Identifier: Apache-2.0
"""Odd places and odd circumstances."""

import os
import stat
import time

import pytest

from harness import folder as folders
from harness.agent import Agent
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
