# SPDX-License-Identifier: Apache-2.0
"""Who may read keys: root, the agent, nginx's workers, and nobody else; not
even other processes of the workers' user and group."""

import ctypes
import os
import pwd
import signal

import pytest

from harness import folder as folders
from harness import tls
from harness.process import wait_for

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")

WORKER = pwd.getpwnam("www-data")
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD, SYS_PROCESS_VM_READV = 434, 438, 310


def as_worker(check):
    """Runs check() in a process with uid and gid of the workers; returns what
    it returned, a string."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(WORKER.pw_gid, WORKER.pw_gid, WORKER.pw_gid)
            os.setresuid(WORKER.pw_uid, WORKER.pw_uid, WORKER.pw_uid)
            text = check()
        except BaseException as error:  # whatever it is, the parent shows it
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return file.read()


@pytest.fixture
def served(site):
    """A site in separated mode: the segment belongs to the agent's user."""
    os.chown(site.run, 1, 1)
    site.put("a.test", site.pki.leaf("a.test"))
    site.publisher.stop()
    os.chown(site.segment, 1, 1)
    site.start()
    tls.handshake(site.port, "a.test", site.pki.root)
    return site


def worker(site):
    found = site.nginx.workers()[0]
    assert os.stat(f"/proc/{found}/environ").st_uid == 0, "dumpable"
    with open(f"/proc/{found}/status") as file:
        assert f"Uid:\t{WORKER.pw_uid}\t" in file.read()
    return found


def test_not_by_path(served):
    def check():
        with open(served.segment, "rb") as file:
            return f"read {len(file.read())}"
    assert as_worker(check).startswith("PermissionError")


def test_not_through_proc(served):
    pid = worker(served)
    base = f"/proc/{pid}/fd"
    number = [n for n in os.listdir(base) if os.readlink(f"{base}/{n}") == served.segment]
    assert len(number) == 1

    def check():
        for path in (f"{base}/{number[0]}", f"/proc/{pid}/mem", f"/proc/{pid}/maps",
                     f"/proc/{pid}/environ"):
            try:
                with open(path, "rb") as file:
                    return f"read {path}: {len(file.read(1))}"
            except PermissionError:
                continue
        return "refused"
    assert as_worker(check) == "refused"


def test_not_by_the_descriptor_itself(served):
    pid = worker(served)
    number = [int(n) for n in os.listdir(f"/proc/{pid}/fd")
              if os.readlink(f"/proc/{pid}/fd/{n}") == served.segment][0]

    def check():
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
        if libc.syscall(SYS_PIDFD_GETFD, handle, number, 0) >= 0:
            return "got it"
        return "refused"
    assert as_worker(check) == "refused"


def test_not_by_a_debugger(served):
    pid = worker(served)

    def check():
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(16)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 16)
        remote = (ctypes.c_size_t * 2)(0x400000, 16)
        if libc.syscall(SYS_PROCESS_VM_READV, pid, vector, 1, remote, 1, 0) >= 0:
            return "read memory"
        if ctypes.get_errno() != 1:
            return f"another error: {ctypes.get_errno()}"
        if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) == 0:
            libc.ptrace(PTRACE_DETACH, pid, 0, 0)
            return "attached"
        return "refused"
    assert as_worker(check) == "refused"


def test_workers_cannot_write_it(served):
    pid = worker(served)
    number = [n for n in os.listdir(f"/proc/{pid}/fd")
              if os.readlink(f"/proc/{pid}/fd/{n}") == served.segment][0]
    with open(f"/proc/{pid}/fdinfo/{number}") as file:
        flags = int(next(line for line in file if line.startswith("flags")).split()[1], 8)
    assert flags & os.O_ACCMODE == os.O_RDONLY and flags & os.O_CLOEXEC
    with open(f"/proc/{pid}/maps") as file:
        assert [line.split()[1] for line in file if served.segment in line] == ["r--s"]


def test_after_reload_upgrade_and_kill(served):
    served.nginx.reload()
    worker(served)
    served.nginx.upgrade()
    old = served.nginx.workers()
    worker(served)
    os.kill(old[0], signal.SIGKILL)
    served.nginx.wait_workers(other_than=old)
    worker(served)
    tls.handshake(served.port, "a.test", served.pki.root)


def test_who_wants_cores_says_so(site):
    site.put("a.test", site.pki.leaf("a.test"))
    site.start(main="worker_rlimit_core 1m;")
    pid = site.nginx.workers()[0]
    wait_for(lambda: os.stat(f"/proc/{pid}/environ").st_uid == WORKER.pw_uid, 5)


def test_keys_do_not_reach_the_log(site):
    nginx = site.make(level="debug")
    site.put("a.test", site.pki.leaf("a.test"))
    nginx.start()
    tls.handshake(site.port, "a.test", site.pki.root)
    assert "PRIVATE KEY" not in site.log()


def test_variables_do_not_give_the_key_away(site):
    site.put("a.test", site.pki.leaf("a.test"))
    site.start(site.server(body="""acme_certificate le;
        location /key { return 200 "[$acme_certificate_key]"; }"""))
    assert tls.get(site.port, "a.test", "/key")[1] == b"[]"


def test_a_declaration_does_not_follow_links(site):
    """The run directory belongs to the agent, whom root does not trust."""
    target = folders.make(os.path.join(site.folder, "target"), 0o700)
    os.chown(site.run, 1, 1)
    os.symlink(target, os.path.join(site.run, "declared"))
    site.start()
    assert os.listdir(target) == []
    assert "cannot leave" in site.log()
