# SPDX-License-Identifier: Apache-2.0
"""Certificates as PEM files for programs that are not nginx."""

import os
import subprocess

from harness.process import wait_for


def public(*words):
    done = subprocess.run(["openssl", *words], stdout=subprocess.PIPE, check=True)
    return done.stdout


def test_each_key_type_has_its_files_and_they_belong_together(agent_only, folder):
    """Both orders end at about the same time; the later files stay."""
    out = os.path.join(folder, "out")
    stage = agent_only(agent={"certificates": {"a.test": {
        "names": "a.test", "issuer": "pebble", "key": ["ecdsa:256", "ecdsa:384"],
        "export": out}}})
    with stage.agent as agent:
        agent.wait_valid("a.test")
        for _ in range(3):
            count = agent.log_text().count("exported")
            assert agent.renew("a.test")
            agent.wait_log("exported", count=count + 2)
            for suffix in ("", ".ecdsa-384"):
                chain, key = (os.path.join(out, f"{name}{suffix}.pem")
                              for name in ("fullchain", "privkey"))
                wait_for(lambda: os.path.exists(key), 10, key)
                assert public("x509", "-in", chain, "-noout", "-pubkey") == \
                    public("pkey", "-in", key, "-pubout")
                assert os.stat(key).st_mode & 0o777 == 0o600


def test_two_certificates_in_one_folder_are_refused(agent_only, folder):
    """They would take turns in the same files."""
    out = os.path.join(folder, "out")
    stage = agent_only(agent={"certificates": {
        name: {"names": f"{name}.test", "issuer": "pebble", "export": out}
        for name in ("one", "two")}})
    result = stage.agent.check()
    assert result.code == 1 and "export: " in result.err and "50-test.ini:" in result.err, result
