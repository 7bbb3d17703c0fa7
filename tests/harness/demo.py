#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The body of ./demo: the whole path, one numbered line for each step. It
uses the same parts as the tests, checks what it prints, and leaves nothing.

usage: demo.py FOLDER [--keep]      (who made FOLDER removes it)
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import folder as folders  # noqa: E402
from harness import peers, process, tls  # noqa: E402
from harness.load import Load  # noqa: E402
from harness.process import Failed, tail, wait_for  # noqa: E402
from harness.stage import Stage  # noqa: E402

SITES = [["www.demo.test", "demo.test"], ["shop.demo.test"]]
SECONDS, RATE, ENOUGH = 10, 66, 50

KEPT = """
Everything works, and goes on running:
  what it manages   {ctl} status
  live events       {ctl} watch
  renew one         {ctl} renew {name}
  agent's log       {log}
  nginx's log       {nginx_log}
  configuration     {conf}
  a request         curl --noproxy '*' --cacert {root} --resolve {name}:{port}:127.0.0.1 https://{name}:{port}/
  in a browser      https://localhost:{port}/   (it does not know this CA, and says so)
Stop it and remove all of it: {stop}
"""

STOP = """\
#!/bin/sh
# Ends what this demo started, then removes its folder. A pid counts only while
# the process began when it did then.
ours() {{
    found=$(sed 's/.*) //' "/proc/${{1%:*}}/stat" 2>/dev/null | cut -d' ' -f1,20)
    [ "${{found#* }}" = "${{1#*:}}" ] && [ "${{found% *}}" != Z ]
}}
for one in {pids}; do
    if ours "$one"; then kill "${{one%:*}}"; fi
done
for one in {pids}; do
    for _ in $(seq 50); do
        ours "$one" && sleep 0.1
    done
done
rm -rf '{folder}'
"""


class Steps:
    """Prints one line for each step that ends well."""

    def __init__(self, first):
        self.number = first
        self.begun = time.monotonic()
        self.name = ""

    def begin(self, name):
        self.name, self.begun = name, time.monotonic()

    def ok(self, said=None, name=None):
        took = f"ok  {time.monotonic() - self.begun:6.1f} s"
        name = name or self.name
        if len(name) > 52:
            name = name[:48] + " ..."
        print(f"{self.number:2}  {name:<52} {said or took}", flush=True)
        self.number += 1

    def failed(self, how, why):
        print(f"{self.number:2}  {self.name:<52} {how}\n\n{why}", flush=True)


def obtain(stage):
    """Waits until each name is served with a certificate that verifies."""
    served = []
    for names in SITES:
        for name in names:
            found = wait_for(lambda name=name: check_agent(stage) and tls.ready(
                stage.tls_port, name, stage.root), 30, f"certificate for {name}", 0.02)
        served.append(found)
    return served


def check_agent(stage):
    """The agent still runs; what it said last is the error if not."""
    if not stage.agent.program.running():
        raise Failed(f"the agent ended:\n{tail(stage.agent.log)}")
    return True


def show(stage):
    """Asks both sites over HTTPS; returns what www served."""
    answers = [tls.get(stage.tls_port, name, root=stage.root)
               for names in SITES for name in names]
    for status, body, _ in answers:
        if status != 200 or not body.strip():
            raise Failed(f"HTTP {status}: {body!r}")
    return answers[0][2]


def renew(stage, before):
    """Forces a renewal under load: (new serial, connections)."""
    name = SITES[0][0]
    workers = stage.nginx.workers()
    with Load(stage.tls_port, SITES[0], stage.root, rate=RATE) as load:
        end = time.monotonic() + SECONDS
        time.sleep(1)
        result = stage.agent.ctl("renew", name)
        if result.code != 0:
            raise Failed(f"acmectl renew {name}: {result}")
        now = wait_for(lambda: _other(stage, name, before), 30, f"new certificate for {name}")
        time.sleep(max(0.0, end - time.monotonic()))
    if load.errors:
        raise Failed(f"{len(load.errors)} of {load.count} connections failed, the first: "
                     f"{load.errors[0]}")
    if load.rate < ENOUGH:
        raise Failed(f"only {load.rate:.0f} connections a second were made, "
                     f"{ENOUGH} are needed to show anything")
    if stage.nginx.workers() != workers:
        raise Failed(f"the workers changed: {workers} to {stage.nginx.workers()}")
    if set(load.serials) != {before, now.serial}:
        raise Failed(f"visitors saw {len(load.serials)} certificates, not the old and the new")
    return now, load


def _other(stage, name, serial):
    check_agent(stage)
    served = tls.ready(stage.tls_port, name, stage.root)
    return served if served and served.serial != serial else None


def without_agent(stage, serial):
    """SIGKILL, then a reload: fresh workers find what was published."""
    stage.agent.kill()
    stage.nginx.reload()
    served = show(stage)
    if served.serial != serial:
        raise Failed("after the reload another certificate is served")


def demo(folder, steps, keep):
    """All steps; the parts are left running only with `keep`."""
    stage = None
    steps.begin("the parts")
    try:
        stage = Stage(folder, sites=SITES)
        play(stage, steps)
        if keep:
            stage.agent.start().wait_socket()
            kept(stage, folder)
        else:
            stage.stop()
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        steps.failed("stopped" if interrupted else "failed", report(stage, error))
        if stage:
            stage.stop()
        raise SystemExit(130 if interrupted else 1) from None


def play(stage, steps):
    steps.begin(f"Pebble CA on 127.0.0.1:{stage.ca.port}")
    stage.ca.start()
    stage.root = stage.ca.write_root()
    steps.ok()

    steps.begin(f"nginx {peers.nginx_version()} with the bridge, "
                f"{stage.nginx.workers_wanted} workers")
    stage.nginx.start()
    steps.ok()

    steps.begin(f"acme-agent: account, {len(SITES)} orders by http-01")
    stage.agent.start().wait_socket()
    obtain(stage)
    steps.ok()

    steps.begin(f"https://{SITES[0][0]}")
    served = show(stage)
    steps.ok(f"verified, serial {short(served)}", f"{steps.name}  {served.issuer}")

    steps.begin("renew while connections are made")
    now, load = renew(stage, served.serial)
    steps.ok(f"new serial {short(now)}, 0 errors, no reload",
             f"renew while {load.count} connections are made")

    steps.begin("kill -9 the agent, reload nginx")
    without_agent(stage, now.serial)
    steps.ok("still serving")


def short(served):
    return served.serial_text[:8] + ":..."


def report(stage, error):
    """What a person needs to see why: the error and the ends of the logs."""
    text = f"{error}\n" if str(error) else ""
    for path in (stage.agent.log, stage.nginx.error_log, stage.ca.log) if stage else ():
        if os.path.exists(path):
            text += f"\n--- the end of {path}\n{tail(path, 12)}"
    return text


def kept(stage, folder):
    stop = os.path.join(folder, "stop")
    pids = " ".join(f"{pid}:{process.begun(pid)}" for pid in process.left())
    folders.write(stop, STOP.format(folder=folder, pids=pids), 0o700)
    ctl = f"'{peers.acmectl()}' --socket {stage.agent.socket}"
    print(KEPT.format(ctl=ctl, log=stage.agent.log, nginx_log=stage.nginx.error_log,
                      conf=stage.agent.conf_dir, root=stage.root, port=stage.tls_port,
                      name=SITES[0][0], stop=stop), flush=True)


def main(folder, keep):
    def interrupt(*_):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    process.adopt()
    done = False
    try:
        demo(folder, Steps(2), keep)
        done = True
    finally:
        if not (keep and done):
            left = process.left()
            for pid in left:
                process.end(pid, 1)
            if left:
                raise SystemExit(f"these were still running: {left}")
    if not keep:
        print("Everything works. Look around: ./demo --keep")


if __name__ == "__main__":
    main(sys.argv[1], "--keep" in sys.argv[2:])
