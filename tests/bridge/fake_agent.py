#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A fake agent, for "acme_agent launch": writes down how it was started,
listens on the control socket, and goes when the lifeline ends.

The file FAKE in the run directory says what to do: "run", "silent" (do not
listen) or "exit"."""

import json
import os
import select
import socket
import sys

options = dict(zip(sys.argv[1:], sys.argv[2:]))
run = options["--run-dir"]
report = {
    "argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid(), "ppid": os.getppid(),
    "sid": os.getsid(0), "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "cwd": os.getcwd(),
    "fds": sorted({int(n) for n in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{n}")}),
}
with open("/proc/self/status") as file:
    report["signals"] = {line.split(":")[0]: line.split()[1] for line in file
                         if line.startswith(("SigBlk", "SigIgn"))}
mode = open(os.path.join(run, "FAKE")).read().strip()
with open(os.path.join(run, f"report.{os.getpid()}"), "w") as file:
    json.dump(report, file)
print("fake agent says hello", file=sys.stderr, flush=True)
if mode == "exit":
    sys.exit(3)
lifeline = int(options["--lifeline"])
poll = select.poll()
poll.register(lifeline, select.POLLIN | select.POLLHUP)
path = os.path.join(run, "control.sock")
listener = socket.socket(socket.AF_UNIX)
if mode == "run":
    if os.path.exists(path):
        os.unlink(path)
    listener.bind(path)
    listener.listen(8)
    poll.register(listener, select.POLLIN)
while True:
    for number, _ in poll.poll():
        if number == lifeline:
            assert os.read(lifeline, 1) == b""
            with open(os.path.join(run, f"gone.{os.getpid()}"), "w"):
                sys.exit(0)
        connection = listener.accept()[0]
        with connection:
            line = connection.recv(65536)
            if line:
                connection.sendall(b'{"id":1,"result":{}}\n')
