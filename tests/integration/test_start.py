# SPDX-License-Identifier: Apache-2.0
"""What is stored is served first: before plugins, network or a wrong
configuration can stop it, and after a reboot."""

import os
import pwd
import shutil
import signal
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from harness import folder as folders
from harness import peers, tls
from harness.agent import run
from harness.forge import Forger
from harness.pebble import key_pem, pem
from harness.process import wait_for

from test_issue import served


def issued(make, names=("a.test",)):
    """A stage with certificates, root written, everything stopped."""
    stage = make(sites=[[name] for name in names]).start()
    for name in names:
        served(stage, name)
    stage.root = stage.ca.write_root()
    stage.serial = tls.handshake(stage.tls_port, names[0], stage.root).serial
    stage.stop()
    return stage


def reboot(stage):
    """Nothing runs and the run directory is empty, as after a boot."""
    shutil.rmtree(stage.agent.run_dir)
    folders.make(stage.agent.run_dir, 0o755, stage.agent.user)


def test_after_a_reboot_nginx_serves_before_any_ca_was_asked(make):
    stage = issued(make)
    reboot(stage)
    stage.agent.start()
    assert stage.agent.ready_after < 2
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


def test_publish_alone_and_then_nginx(make):
    stage = issued(make)
    reboot(stage)
    result = stage.agent.once("publish")
    assert result.code == 0, result
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


def test_publish_needs_no_configuration_at_all(make):
    stage = issued(make)
    reboot(stage)
    result = run([peers.agent(), "publish", "--run-dir", stage.agent.run_dir,
                  "--state-dir", stage.agent.state_dir], env=stage.agent.env)
    assert result.code == 0, result
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


def test_a_refused_configuration_still_publishes(make):
    stage = issued(make)
    reboot(stage)
    path = stage.agent.write_conf("60-wrong.ini", "[certificate x]\nnmaes = x.test\n")
    stage.agent.start(ready=False)
    wait_for(lambda: os.path.exists(stage.agent.segment), 10, "segment")
    stage.agent.wait_log("60-wrong.ini:2")
    assert f"{os.path.basename(path)}:2" in stage.agent.log_text()
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


@pytest.mark.parametrize("how", ["no plugin", "storage gone"])
def test_publishing_needs_no_plugin(make, how):
    stage = issued(make)
    reboot(stage)
    if how == "no plugin":
        shutil.rmtree(stage.agent.plugin_dir)
        folders.make(stage.agent.plugin_dir, 0o755)
        stage.agent.copy_plugins = False
    else:
        os.rename(stage.agent.storage["path"], stage.agent.storage["path"] + ".gone")
    stage.agent.start(ready=False)
    wait_for(lambda: os.path.exists(stage.agent.segment), 10, "segment")
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


def test_an_agent_killed_before_it_published_anything(make):
    """The segment is there then, and empty: what is stored comes all the same."""
    stage = issued(make)
    reboot(stage)
    done = subprocess.run([peers.tool("segment-publish"), stage.agent.segment, "--stdin"],
                          stdin=subprocess.DEVNULL, check=True)
    assert done.returncode == 0 and os.path.getsize(stage.agent.segment)
    result = stage.agent.once("publish")
    assert result.code == 0, result
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", stage.root).serial == stage.serial


def test_an_agent_killed_before_the_replica_had_it(make):
    """The replica learns of it at the next start, not at the next renewal."""
    stage = make(sites=[["a.test"]]).start()
    served(stage, "a.test")
    root = stage.ca.write_root()
    replica = os.path.join(stage.agent.state_dir, "replica.1")
    stage.agent.stop()
    shutil.copy(replica, replica + ".old")
    stage.agent.start().wait_socket()
    stage.agent.wait_valid("a.test")
    assert stage.agent.renew("a.test")
    serial = tls.handshake(stage.tls_port, "a.test", root).serial
    stage.agent.stop()
    os.rename(replica + ".old", replica)
    stage.agent.start().wait_socket()
    stage.agent.wait_log("loaded", count=3)
    stage.stop()
    reboot(stage)
    assert stage.agent.once("publish").code == 0
    stage.nginx.start()
    assert tls.handshake(stage.tls_port, "a.test", root).serial == serial


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start it for another user")
def test_nginx_came_first_and_root_starts_the_agent_for_another_user(make):
    """As in a container: nginx, as root, has made what was not there."""
    stage = make(sites=[["a.test"]])
    shutil.rmtree(stage.agent.run_dir)
    stage.ca.start()
    stage.nginx.start()
    assert os.stat(stage.agent.segment).st_uid == 0
    stage.agent.agent["user"] = "daemon"
    stage.agent.set_conf()
    stage.agent.start().wait_socket()
    served(stage, "a.test")
    daemon = pwd.getpwnam("daemon").pw_uid
    for where, folders_, names in os.walk(stage.agent.run_dir):
        for name in folders_ + names:
            assert os.lstat(os.path.join(where, name)).st_uid == daemon, name
    stage.agent.stop()
    stage.agent.start().wait_socket()


def test_workers_that_start_without_an_agent_serve_everything(make):
    stage = make(sites=[["a.test"], ["b.test"]]).start()
    serials = [served(stage, name).serial for name in ("a.test", "b.test")]
    stage.agent.kill()
    stage.nginx.reload()
    stage.nginx.stop()
    stage.nginx.start()
    root = stage.ca.write_root()
    assert [tls.handshake(stage.tls_port, name, root).serial
            for name in ("a.test", "b.test")] == serials


def test_a_crashed_worker_comes_back_with_everything(make):
    stage = make(sites=[["a.test"]]).start()
    serial = served(stage, "a.test").serial
    stage.agent.kill()
    before = stage.nginx.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    stage.nginx.wait_workers(other_than=before)
    root = stage.ca.write_root()
    assert tls.handshake(stage.tls_port, "a.test", root).serial == serial


def test_a_restarted_agent_orders_nothing_that_is_there(make):
    stage = make(sites=[["a.test"], ["b.test"]]).start()
    for name in ("a.test", "b.test"):
        served(stage, name)
    orders = stage.ca.requests("/order-plz")
    for _ in range(3):
        stage.agent.stop()
        stage.agent.start().wait_socket()
    stage.agent.wait_valid("a.test", "b.test")
    time.sleep(1)
    assert stage.ca.requests("/order-plz") == orders


def fill_replica(agent, count, folder):
    """Publishes so many certificates, all with one key, into the agent's
    replica; returns the root that they verify against."""
    forger = Forger()
    key = ec.generate_private_key(ec.SECP256R1())
    chain = folders.write(os.path.join(folder, "chain.pem"),
                          forger.chain(["*.many.test"], key.public_key()))
    key_file = folders.write(os.path.join(folder, "key.pem"), key_pem(key))
    lines = "".join(f"cert n{number}.many.test --names n{number}.many.test {chain} {key_file}\n"
                    for number in range(count))
    done = subprocess.run(
        [peers.tool("segment-publish"), os.path.join(agent.state_dir, "replica.1"), "--stdin"],
        input=lines, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.count("ok\n") == count, done.stdout[-500:]
    return folders.write(os.path.join(folder, "forged.pem"), pem(forger.issuer))


@pytest.mark.slow
def test_ten_thousand_certificates_are_served_within_two_seconds(make, folder):
    names = ["n0.many.test", "n4711.many.test", "n9999.many.test"]
    stage = make(sites=[[name] for name in names])
    root = fill_replica(stage.agent, 10000, folder)
    begun = time.monotonic()
    stage.agent.start()
    stage.nginx.start()
    for name in names:
        tls.handshake(stage.tls_port, name, root)
    assert time.monotonic() - begun < 2
    # The storage knows none of them: they stay, for nobody removed them.
    stage.agent.wait_socket()
    time.sleep(1)
    stage.nginx.reload()
    tls.handshake(stage.tls_port, names[1], root)


def test_sigterm_ends_it_with_0_and_removes_the_socket(agent_only):
    agent = agent_only().agent
    agent.start().wait_socket()
    program = agent.program
    assert agent.stop() == 0, program.text()
    assert not os.path.exists(agent.socket)
