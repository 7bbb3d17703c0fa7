# SPDX-License-Identifier: Apache-2.0
"""A full disk, damaged files, and plugins that nobody should load."""

import os
import shutil

import pytest

from harness import folder as folders
from harness import tls
from harness.process import alive, wait_for

from test_ca_faults import error_of
from test_issue import served


@pytest.mark.parametrize("where", ["state", "run"])
def test_a_full_disk_loses_nothing(make, fault_env, where):
    """Full while storing (state) and while publishing (run)."""
    stage = make(sites=[["a.test"]])
    flag = os.path.join(getattr(stage.agent, f"{where}_dir"), "full")
    stage.agent.env = fault_env(FAULT_FULL=flag)
    stage.start()
    before = served(stage, "a.test").serial
    folders.write(flag, "")
    stage.agent.renew("a.test", wait=False)
    found = wait_for(lambda: "No space left" in stage.agent.log_text()
                     or stage.agent.status()["a.test"].get("last_error"), 30, "an alarm")
    assert found and alive(stage.agent.pid)
    root = stage.ca.write_root()
    assert tls.handshake(stage.tls_port, "a.test", root).serial == before
    os.unlink(flag)
    stage.agent.renew("a.test", wait=False)
    wait_for(lambda: tls.handshake(stage.tls_port, "a.test", root).serial != before, 30,
             "the new certificate, once there is space")


def test_a_replica_that_found_the_disk_full_catches_up(make, fault_env):
    """What could not be written to it is, once there is space: no renewal and no
    restart is waited for, since the next thing may be a reboot."""
    stage = make(sites=[["a.test"]])
    stage.agent.storage["path"] = folders.make(
        os.path.join(stage.agent.home, "store"), 0o700, stage.agent.user)
    stage.agent.set_conf()
    flag = os.path.join(stage.agent.state_dir, "full")
    stage.agent.env = fault_env(FAULT_FULL=flag)
    stage.start()
    before = served(stage, "a.test").serial
    folders.write(flag, "")
    assert stage.agent.renew("a.test")
    stage.agent.wait_log("publish replica")
    os.unlink(flag)
    stage.agent.wait_log("replica is complete again")
    stage.agent.kill()
    stage.nginx.stop()
    shutil.rmtree(stage.agent.run_dir)
    folders.make(stage.agent.run_dir, 0o755, stage.agent.user)
    assert stage.agent.once("publish").code == 0
    stage.nginx.start()
    root = stage.ca.write_root()
    assert tls.handshake(stage.tls_port, "a.test", root).serial != before


def text_of(path):
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def test_declarations_that_found_the_disk_full_are_saved_later(agent_only, fault_env):
    stage = agent_only()
    flag = os.path.join(stage.agent.state_dir, "full")
    stage.agent.env = fault_env(FAULT_FULL=flag)
    with stage.agent as agent:
        folders.write(flag, "")
        wanted = {"name": "a.test", "issuer": "pebble", "identifiers": ["a.test"]}
        agent.ask("declare", {"owner": "/|/nginx.conf", "certificates": [wanted]})
        agent.wait_log("not saved")
        os.unlink(flag)
        path = os.path.join(agent.state_dir, "declared.json")
        wait_for(lambda: "a.test" in text_of(path), 30, "the declarations")


def stored(agent, word):
    """Files of the storage whose path holds a word."""
    return [os.path.join(where, name) for where, _, names in os.walk(agent.storage["path"])
            for name in names if word in os.path.join(where, name)]


@pytest.mark.parametrize("damage", ["truncated", "junk", "empty"])
def test_a_damaged_certificate_is_set_aside_and_ordered_anew(make, damage):
    stage = make(sites=[["a.test"]]).start()
    served(stage, "a.test")
    stage.agent.stop()
    files = [path for path in stored(stage.agent, "a.test") if os.path.getsize(path)]
    assert files
    for path in files:
        with open(path, "rb") as file:
            data = file.read()
        folders.write(path, {"truncated": data[:len(data) // 2], "empty": b"",
                             "junk": os.urandom(len(data))}[damage])
    stage.agent.start().wait_socket()
    served(stage, "a.test")
    stage.agent.wait_valid("a.test")
    assert stored(stage.agent, "damaged"), "the damaged value was not kept"
    assert "set aside" in stage.agent.log_text()
    assert "damaged" in stage.agent.ctl("status").out


def test_a_damaged_replica_is_no_reason_to_stop(make):
    stage = make(sites=[["a.test"]]).start()
    serial = served(stage, "a.test").serial
    stage.agent.stop()
    stage.nginx.stop()
    shutil.rmtree(stage.agent.run_dir)
    folders.make(stage.agent.run_dir, 0o755, stage.agent.user)
    folders.write(os.path.join(stage.agent.state_dir, "replica.1"), os.urandom(100000))
    stage.agent.start().wait_socket()
    stage.nginx.start()
    assert served(stage, "a.test").serial == serial


def refused_plugin(agent_only, spoil):
    stage = agent_only(agent={"challenges": {"mine": {"plugin": "mine"}},
                              "certificates": {"one": {"names": "one.test", "issuer": "pebble",
                                                       "challenge": "mine"}}})
    spoil(stage.agent)
    result = stage.agent.check()
    if result.code == 0:
        with stage.agent as agent:
            return error_of(agent) + agent.log_text()
    return result.text


def test_a_plugin_writable_by_others_is_refused(agent_only):
    def spoil(agent):
        agent.stage_plugins()
        path = shutil.copy(os.path.join(agent.plugin_dir, "hello.so"),
                           os.path.join(agent.plugin_dir, "mine.so"))
        os.chmod(path, 0o777)
    text = refused_plugin(agent_only, spoil)
    assert "mine.so" in text and "writable" in text


def test_a_plugin_folder_writable_by_others_is_refused(agent_only):
    def spoil(agent):
        agent.stage_plugins()
        shutil.copy(os.path.join(agent.plugin_dir, "hello.so"),
                    os.path.join(agent.plugin_dir, "mine.so"))
        os.chmod(agent.plugin_dir, 0o777)
    assert "writable" in refused_plugin(agent_only, spoil)


def test_a_plugin_of_another_version_is_refused(agent_only, compile_c):
    def spoil(agent):
        compile_c("const void *acme_plugin_v7(void); const void *acme_plugin_v7(void){return 0;}",
                  os.path.join(agent.plugin_dir, "mine.so"))
    text = refused_plugin(agent_only, spoil)
    assert "'mine'" in text and "ABI 7" in text


@pytest.mark.parametrize("content", [b"", b"junk", b"\x7fELF" + b"\0" * 100])
def test_a_plugin_that_is_none_is_refused(agent_only, content):
    def spoil(agent):
        folders.write(os.path.join(agent.plugin_dir, "mine.so"), content, 0o755)
    assert "mine.so" in refused_plugin(agent_only, spoil)


def test_a_plugin_that_is_missing_is_named(agent_only):
    assert "mine" in refused_plugin(agent_only, lambda agent: None)
