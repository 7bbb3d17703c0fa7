# SPDX-License-Identifier: Apache-2.0
"""What nginx declares reaches the agent, sooner or later."""

import signal

from harness.process import wait_for

from test_issue import served


def declared(stage):
    """Names of the certificates that the agent knows."""
    return set(stage.agent.status())


def test_what_a_busy_agent_did_not_hear_is_found_in_the_folder(make):
    """nginx waits a fifth of a second, no more, and a long line does not get
    into the socket while nobody reads."""
    stage = make(sites=[["a.test"]], agent={"nginx": {"names": "a.test, b.test"}}).start()
    served(stage, "a.test")
    refused = [[f"{'x' * 50}.{number}.{block}.refused.test" for number in range(90)]
               for block in range(60)]
    stage.agent.program.signal(signal.SIGSTOP)
    stage.nginx.set_conf("server_names_hash_max_size 65536; server_names_hash_bucket_size 256;\n"
                         + stage.http(sites=[["a.test"], ["b.test"], *refused]))
    stage.nginx.reload()
    assert "did not answer" in stage.nginx.log()
    stage.agent.program.signal(signal.SIGCONT)
    wait_for(lambda: declared(stage) == {"a.test", "b.test"}, 20, "the declaration")
    served(stage, "b.test")


def test_what_the_policy_refused_is_looked_at_again_at_a_reload(make):
    stage = make(sites=[["a.test"], ["b.test"]], agent={"nginx": {"names": "a.test"}}).start()
    served(stage, "a.test")
    assert declared(stage) == {"a.test"}
    stage.agent.nginx["names"] = "a.test, b.test"
    stage.agent.set_conf()
    assert stage.agent.ctl("reload").code == 0
    served(stage, "b.test")
