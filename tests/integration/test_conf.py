# SPDX-License-Identifier: Apache-2.0
"""The configuration is taken whole or not at all, and each mistake has a file
and a line."""

import os
import stat

import pytest

from harness import folder as folders
from harness.process import alive, wait_for

LONG = "certificate " + "a" * 60

WRONG = {
    "unknown key": ("[issuer x]\ndirectroy = https://127.0.0.1/dir\n", 2, "directory"),
    "unknown section": ("[certficate x]\nnames = x.test\n", 1, "certificate"),
    "duplicate key": ("[certificate x]\nissuer = pebble\nnames = x.test\nnames = y.test\n", 4, "names"),
    "duplicate section": ("[certificate x]\nissuer = pebble\nnames = x.test\n"
                          "[certificate x]\nissuer = pebble\nnames = y.test\n", 4, "x"),
    "unknown issuer": ("[certificate x]\nissuer = pebbel\nnames = x.test\n", 2, "pebble"),
    "bad name": ("[certificate x]\nissuer = pebble\nnames = x..test\n", 3, "x..test"),
    "bad key type": ("[certificate x]\nissuer = pebble\nnames = x.test\nkey = rsa:1024\n", 4, "rsa:2048"),
    "binary junk": ("[certificate x]\nissuer = pebble\n\x01\x02\x7f\x1b[2J = 1\n", 3, ""),
    "no equals sign": ("[certificate x]\nissuer pebble\n", 2, ""),
    "unknown option of a plugin": ("[challenge h]\nplugin = hello\nno_such_option = x\n", 3, "no_such_option"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_has_file_line_and_advice(agent_only, case):
    text, line, said = WRONG[case]
    agent = agent_only().agent
    path = agent.write_conf("60-wrong.ini", text)
    result = agent.check()
    assert result.code != 0
    assert f"60-wrong.ini:{line}:" in result.text, result
    assert said in result.text
    assert "\x1b" not in result.text and os.path.exists(path)


def test_a_good_configuration_is_accepted_in_silence(agent_only):
    result = agent_only().agent.check()
    assert result.code == 0, result


def test_long_section_names_do_not_merge(agent_only):
    stage = agent_only(agent={"certificates": {
        "a" * 80 + ".one": {"names": "one.test", "issuer": "pebble"},
        "a" * 80 + ".two": {"names": "two.test", "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("a" * 80 + ".one", "a" * 80 + ".two")


def test_long_values_are_not_cut(agent_only):
    names = [f"{'n' * 30}{number}.test" for number in range(60)]
    stage = agent_only(agent={"certificates": {"long": {"names": names, "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("long")
        assert sorted(agent.status()["long"]["names"]) == sorted(names)


def test_a_file_that_cannot_be_read_is_named(agent_only):
    agent = agent_only().agent
    os.symlink("/nonexistent/file", os.path.join(agent.conf_dir, "conf.d", "70-gone.ini"))
    result = agent.check()
    assert result.code != 0 and "70-gone.ini" in result.text, result


def test_junk_of_a_megabyte_is_refused(agent_only):
    agent = agent_only().agent
    path = os.path.join(agent.conf_dir, "conf.d", "80-junk.ini")
    folders.write(path, os.urandom(1 << 20), 0o644)
    result = agent.check()
    assert result.code != 0 and "80-junk.ini" in result.text


def test_no_configuration_file(agent_only):
    agent = agent_only().agent
    os.unlink(agent.conf)
    result = agent.check()
    assert result.code != 0 and agent.conf in result.text


def test_a_long_socket_path_is_refused_with_its_length(agent_only, folder):
    agent = agent_only().agent
    path = folders.make(os.path.join(folder, "r" * 100))
    agent.agent["run_dir"] = path
    agent.set_conf()
    result = agent.check()
    if result.code == 0:
        agent.start(ready=False)
        assert agent.program.wait() != 0
        text = agent.log_text()
    else:
        text = result.text
    assert str(len(path) + len("/control.sock")) in text


def test_reload_takes_all_or_nothing(agent_only):
    stage = agent_only(agent={"certificates": {"one": {"names": "one.test", "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("one")
        path = agent.write_conf("60-more.ini", "[certificate two]\nissuer = pebble\n"
                                "names = two.test\n[certificate three]\nissuer = nobody\n")
        result = agent.ctl("reload")
        assert result.code != 0 and "60-more.ini:5" in result.text, result
        assert list(agent.status()) == ["one"]
        os.unlink(path)
        agent.write_conf("60-more.ini", "[certificate two]\nissuer = pebble\nnames = two.test\n")
        assert agent.ctl("reload").code == 0
        agent.wait_valid("one", "two")
        os.unlink(path)
        agent.reload()
        wait_for(lambda: agent.state("two") == "unwanted", 10, "certificate two to go")
        assert alive(agent.pid)


def test_sighup_with_a_wrong_file_is_logged_and_changes_nothing(agent_only):
    stage = agent_only(agent={"certificates": {"one": {"names": "one.test", "issuer": "pebble"}}})
    with stage.agent as agent:
        agent.wait_valid("one")
        agent.write_conf("60-wrong.ini", "[certificate\n")
        agent.reload()
        agent.wait_log("60-wrong.ini:1")
        assert agent.state("one") == "valid"


@pytest.mark.skipif(os.getuid() != 0, reason="needs a group that is not ours")
def test_a_group_that_is_configured_no_more_loses_the_segment(agent_only):
    stage = agent_only(agent={"nginx": {"user": "www-data", "group": "www-data"}})
    with stage.agent as agent:
        wait_for(lambda: stat.S_IMODE(os.stat(agent.segment).st_mode) == 0o640, 5, "0640")
        agent.nginx = None
        agent.set_conf()
        assert agent.ctl("reload").code == 0
        assert stat.S_IMODE(os.stat(agent.segment).st_mode) == 0o600
