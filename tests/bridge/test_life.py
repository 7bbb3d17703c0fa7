# SPDX-License-Identifier: Apache-2.0
"""The life of nginx and of the agent: who comes first, who goes, who returns."""

import os
import shutil
import signal
import ssl

import pytest

from harness import folder as folders
from harness import ports, tls
from harness.process import alive, children, stat, wait_for

from pki import make_key

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to have two users")


def serial(site, name="a.test", **options):
    return tls.handshake(site.port, name, site.pki.root, **options).serial


def rejected(site, name="a.test"):
    try:
        tls.handshake(site.port, name)
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def test_reload_keeps_and_takes_on(sites):
    site = sites(workers=2)
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start()
    for _ in range(3):
        assert serial(site) == one.serial
        site.nginx.reload()
        assert serial(site) == one.serial
        one = site.pki.leaf("a.test")
        site.put("a.test", one)
        assert [serial(site) for _ in range(4)] == [one.serial] * 4
    two = site.pki.leaf("b.test")
    site.nginx.set_conf(site.http(site.server(), site.server("b.test")))
    site.nginx.reload()
    site.put("b.test", two)
    assert (serial(site), serial(site, "b.test")) == (one.serial, two.serial)
    site.nginx.set_conf(site.http(site.server("b.test")))
    site.nginx.reload()
    assert serial(site, "b.test") == two.serial


def test_master_does_not_collect_descriptors(site):
    site.put("a.test", site.pki.leaf("a.test"))
    site.start()
    site.nginx.reload()

    def segments():
        base = f"/proc/{site.nginx.pid}/fd"
        return [os.readlink(f"{base}/{n}") for n in os.listdir(base)].count(site.segment)
    for _ in range(3):
        site.nginx.reload()
    assert segments() == 1
    with open(f"/proc/{site.nginx.pid}/maps") as file:
        assert sum(site.segment in line for line in file) == 1


def test_binary_upgrade(site):
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start()
    assert serial(site) == one.serial
    site.nginx.upgrade()
    assert serial(site) == one.serial
    two = site.pki.leaf("a.test")
    site.put("a.test", two)
    assert serial(site) == two.serial


def test_binary_upgrade_that_is_taken_back(site):
    """Two masters side by side; the old one goes on."""
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start()
    old = site.nginx.pid
    os.kill(old, signal.SIGUSR2)
    new = wait_for(lambda: site.nginx.pid not in (None, old) and site.nginx.pid, 20)
    site.nginx.wait_workers()
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    assert {serial(site) for _ in range(10)} == {one.serial}
    os.kill(new, signal.SIGQUIT)
    wait_for(lambda: not alive(new), 20)
    assert {serial(site) for _ in range(5)} == {one.serial}


def test_a_killed_worker_is_followed_by_one_that_serves(site):
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start()
    assert serial(site) == one.serial
    site.publisher.stop()
    for _ in range(2):
        old = site.nginx.workers()
        os.kill(old[0], signal.SIGKILL)
        site.nginx.wait_workers(other_than=old)
        assert serial(site) == one.serial


def test_nginx_before_the_segment_exists(site):
    site.start()
    assert rejected(site)
    assert os.stat(site.segment).st_mode & 0o7777 == 0o600
    assert "nothing was published" in site.log()
    workers = site.nginx.workers()
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    assert serial(site) == one.serial and site.nginx.workers() == workers


@root_only
def test_nginx_before_the_segment_gives_it_to_the_directory_s_owner(site):
    os.chown(site.run, 1, 1)
    site.start()
    found = os.stat(site.segment)
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1, 1, 0o600)


def test_nginx_before_the_run_directory_exists(site):
    os.rmdir(site.run)
    site.start()
    assert rejected(site)
    assert os.stat(site.run).st_mode & 0o7777 == 0o755
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    assert serial(site) == one.serial


def test_the_module_alone_creates_nothing(site):
    os.rmdir(site.run)
    nginx = site.make()
    nginx.set_conf(f"server {{ listen 127.0.0.1:{site.plain}; return 200 hello; }}")
    nginx.start()
    assert not os.path.exists(site.run) and "[error]" not in site.log()


def test_agent_off(site):
    static = site.pki.leaf("a.test")
    site.put("a.test", site.pki.leaf("a.test"))
    site.start(site.server(body=f"""acme_certificate le;
        ssl_certificate {static.pem}; ssl_certificate_key {static.key_pem};"""), agent="off")
    assert serial(site) == static.serial
    assert not os.path.exists(os.path.join(site.run, "declared"))


def test_agent_killed_and_restarted(site):
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start()
    assert serial(site) == one.serial
    site.publisher.kill()
    assert serial(site) == one.serial
    site.nginx.reload()
    assert serial(site) == one.serial
    site.publisher.start()
    assert serial(site) == one.serial
    two = site.pki.leaf("a.test")
    site.put("a.test", two)
    assert serial(site) == two.serial


@pytest.mark.parametrize("junk", [b"junk", b"\xff" * 5000, b"\0" * 100, os.urandom(20000)],
                         ids=["short", "ones", "few zeros", "noise"])
def test_junk_instead_of_a_segment(site, junk):
    """Static certificates serve on, and what is made good in place is taken."""
    static, one = site.pki.leaf("a.test"), site.pki.leaf("a.test")
    folders.write(site.segment, junk)
    site.start(site.server(body=f"""acme_certificate le;
        ssl_certificate {static.pem}; ssl_certificate_key {static.key_pem};"""))
    assert [serial(site) for _ in range(3)] == [static.serial] * 3
    assert site.log().count("cannot be used") in (0, 1)
    site.put("a.test", one)
    assert serial(site) == one.serial


def test_segment_of_another_layout(site):
    site.put("a.test", site.pki.leaf("a.test"))
    site.publisher.stop()
    with open(site.segment, "r+b") as file:
        file.seek(4)
        file.write((2).to_bytes(4, "little"))
    site.start()
    assert rejected(site)
    assert site.log().count("cannot be used: ") == 1


def test_damaged_record(site):
    """One flipped byte: the version before is kept, and it is said once."""
    one, two, three = (site.pki.leaf("a.test") for _ in range(3))
    site.put("a.test", one)
    site.start()
    assert serial(site) == one.serial
    site.put("a.test", two)
    with open(two.leaf_der, "rb") as file:
        der = file.read()
    with open(site.segment, "r+b") as file:
        at = file.read().index(der) + 100
        file.seek(at)
        file.write(bytes([der[100] ^ 1]))
    assert [serial(site) for _ in range(3)] == [one.serial] * 3
    assert site.log().count('acme certificate "a.test": what was published') == 1
    site.put("b.test", site.pki.leaf("b.test"))
    assert serial(site) == one.serial
    assert site.log().count('acme certificate "a.test": what was published') == 1
    site.put("a.test", three)
    assert serial(site) == three.serial


def test_damage_does_not_cost_a_restart(site):
    site.put("a.test", site.pki.leaf("a.test"))
    with open(site.segment, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    site.start()
    for _ in range(3):
        assert rejected(site)
    with open(site.segment, "r+b") as file:
        file.seek(0)
        file.write(os.urandom(4096))
    for _ in range(3):
        assert rejected(site)
    assert "exited on signal" not in site.log()


@pytest.mark.parametrize("what", ["symlink", "directory", "fifo"])
def test_a_segment_that_is_no_plain_file(site, what):
    other = folders.write(os.path.join(site.folder, "other"), b"other")
    if what == "symlink":
        os.symlink(other, site.segment)
    elif what == "directory":
        os.mkdir(site.segment)
    else:
        os.mkfifo(site.segment)
    site.start()
    assert rejected(site)
    assert "segment.1" in site.log() and "[error]" in site.log()


@root_only
def test_a_segment_of_another_user(site):
    folders.write(site.segment, b"")
    os.chown(site.segment, 65534, 65534)
    site.start()
    assert rejected(site) and "is no plain file of the directory's owner" in site.log()


def test_a_run_directory_that_anybody_may_write(site):
    os.chmod(site.run, 0o777)
    site.start()
    assert rejected(site) and "is writable by others" in site.log()
    assert os.listdir(site.run) == []


@root_only
def test_rootless_nginx_as_the_agent_s_user(site):
    os.chown(site.run, 65534, 65534)
    site.start(user="nobody")
    assert rejected(site)
    found = os.stat(site.segment)
    assert (found.st_uid, found.st_mode & 0o7777) == (65534, 0o600)
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    assert serial(site) == one.serial
    site.nginx.reload()
    assert serial(site) == one.serial


@root_only
def test_rootless_nginx_that_may_not_read_the_segment(site):
    site.put("a.test", site.pki.leaf("a.test"))
    site.start(user="nobody")
    assert rejected(site)
    assert "Permission denied" in site.log() and "segment.1" in site.log()


def test_single_process(site):
    site.workers = 0
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    nginx = site.make(main="master_process off; daemon on;")
    result = nginx._run()
    assert result.returncode == 0, result.stdout
    wait_for(lambda: nginx.pid and ports.answers(site.port), 10)
    for _ in range(2):
        assert serial(site) == one.serial
        one = site.pki.leaf("a.test")
        site.put("a.test", one)
        assert serial(site) == one.serial


def test_cache_processes(site):
    """The cache manager runs init_process, too, and is no worker."""
    cache = folders.make(os.path.join(site.folder, "cache"), 0o755)
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    site.start(f"proxy_cache_path {cache} keys_zone=c:1m;", site.server())
    assert serial(site) == one.serial
    below = children(site.nginx.pid)
    titles = [open(f"/proc/{pid}/cmdline").read() for pid in below]
    assert any("cache manager" in title for title in titles)
    site.nginx.reload()
    assert serial(site) == one.serial and "[alert]" not in site.log()


def test_t_has_no_effect(site):
    os.rmdir(site.run)
    accepted, said = site.make().test()
    assert accepted, said
    assert not os.path.exists(site.run)


def test_the_module_can_be_replaced_and_removed_by_reload(site):
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    nginx = site.make()
    copy = os.path.join(site.folder, "module.so")
    shutil.copy(nginx.module, copy)
    os.chmod(copy, 0o755)
    original, nginx.module = nginx.module, copy
    nginx.set_conf(site.http())
    nginx.start()
    assert serial(site) == one.serial
    os.unlink(copy)
    shutil.copy(original, copy)
    os.chmod(copy, 0o755)
    nginx.reload()
    assert serial(site) == one.serial
    nginx.module = None
    nginx.set_conf(f"server {{ listen 127.0.0.1:{site.plain}; return 200 hello; }}")
    nginx.reload()
    nginx.module = original
    nginx.set_conf(site.http())
    nginx.reload()
    assert serial(site) == one.serial
    assert stat(nginx.pid) and "exited on signal" not in site.log()


def test_many_servers_share_one_epoch(site):
    names = [f"n{n}.test" for n in range(60)]
    leaves = {name: site.pki.leaf(name) for name in names}
    for name in names:
        site.put(name, leaves[name])
    site.start(*[site.server(name) for name in names])
    for name in names:
        assert serial(site, name) == leaves[name].serial
    changed = site.pki.leaf(names[7])
    site.put(names[7], changed)
    leaves[names[7]] = changed
    for name in names:
        assert serial(site, name) == leaves[name].serial
    site.put(names[9], site.pki.leaf(names[9], key=make_key("ecdsa:256")))
    for name in names:
        assert serial(site, name) == leaves[name].serial


