# SPDX-License-Identifier: Apache-2.0
"""The first start as root, with a user of its own to become."""

import os
import stat

import pytest

from harness import folder as folders
from harness.agent import Agent

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")

DAEMON = 1


@pytest.fixture
def agent(folder):
    one = Agent(folder, agent={"user": "daemon"})
    yield one
    one.stop()


def moved(agent, run, state):
    """The agent with other folders, which it has to make."""
    agent.run_dir, agent.state_dir = run, state
    agent.socket = os.path.join(run, "control.sock")
    agent.agent.update(run_dir=run, state_dir=state)
    agent.storage["path"] = os.path.join(state, "store")
    agent.set_conf()
    return agent


def test_folders_several_deep_are_made_whatever_the_umask(agent):
    run, state = os.path.join(agent.home, "a/b/run"), os.path.join(agent.home, "c/d/state")
    moved(agent, run, state).mask = 0o077
    agent.start().wait_socket()
    found = os.stat(run), os.stat(state)
    assert [one.st_uid for one in found] == [DAEMON, DAEMON]
    assert [stat.S_IMODE(one.st_mode) for one in found] == [0o755, 0o700]


def test_a_mistyped_folder_is_not_taken_from_root(agent):
    run = folders.make(os.path.join(agent.home, "everything"), 0o755)
    folders.write(os.path.join(run, "sshd.pid"), "1\n", 0o644)
    moved(agent, run, agent.state_dir)
    result = agent.once()
    assert result.code == 1 and "sshd.pid" in result.text, result
    assert os.stat(run).st_uid == 0
