#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a full TLS handshake costs an nginx worker, in instructions.

    tests/bench/handshake.py [-n HANDSHAKES] [-c COUNT[,COUNT...]]
                             [--tls VERSION] [--key ecdsa|rsa] [--no-data]

Needs valgrind and the release build with the bridge (./check unpacks nginx):

    cmake --preset release -DACME_NGINX_SRC=... && cmake --build build/release

One nginx with one worker runs in callgrind; each way to come by a certificate
has a port of its own, all serve the same certificate to the same client. The
worker's instructions are counted over HANDSHAKES (500) after a warm-up:

  static     ssl_certificate with a file
  static'    the same once more: the noise floor
  unchanged  the bridge, nothing was published since the last handshake
  slow       the bridge puts the certificate into each SSL, as it does when the
             SSL_CTX holds a key type that was withdrawn
  look-up    something else is published before each handshake, so that each
             looks its certificate up in the segment
  data:$var  ssl_certificate with a variable, as scripts in nginx do it

COUNT certificates (1, 1000) are published in the segment. With more than one
count, what serves for comparison is measured once.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tests", "bridge"), os.path.join(TOP, "tests")]
os.environ.setdefault("ACME_BUILD", os.path.join(TOP, "build", "release"))

# pylint: disable=wrong-import-position
import callgrind
from conftest import Publisher
from harness import folder as folders
from harness import peers, ports
from harness.process import Failed, environment
import pki as pkis

WAYS = ["static", "static'", "unchanged", "slow", "look-up", "data:$var"]
ONCE = {"static'", "data:$var"}
KINDS = {"ecdsa": "ecdsa:256", "rsa": "rsa:2048"}
BOUNDS = {"unchanged": 1.005, "slow": 1.01}


def pem_of(path):
    with open(path) as file:
        return file.read()


class Bench:
    def __init__(self, folder, handshakes):
        self.handshakes = handshakes
        self.pki = pkis.Pki(os.path.join(folder, "pki"))
        self.run = folders.make(os.path.join(folder, "run"), 0o755)
        self.publisher = Publisher(os.path.join(self.run, "segment.1"))
        self.port = {}
        self.servers, self.maps = [], []
        self.leaf = {}
        for kind in KINDS:
            self._site(kind)
        self.worker = callgrind.Worker(
            folder, f"acme_agent unix:{self.run}/control.sock;\n"
            + "\n".join(self.maps + self.servers))
        self.published = len(KINDS) * 3

    def name(self, kind, way):
        return f"{WAYS.index(way)}.{kind:_>5}.bench.test".replace("_", "x")

    def _site(self, kind):
        names = [self.name(kind, way) for way in WAYS]
        leaf = self.leaf[kind] = self.pki.leaf(*names, kind=KINDS[kind])
        for way in WAYS:
            self.port[kind, way] = ports.free()
        files = f"ssl_certificate {leaf.pem}; ssl_certificate_key {leaf.key_pem};"
        for variable, path in (("cert", leaf.pem), ("key", leaf.key_pem)):
            self.maps.append(f"map $ssl_server_name ${variable}_{kind} "
                             f"{{ default \"{pem_of(path)}\"; }}")
        bodies = {"static": files, "static'": files,
                  "data:$var": f"ssl_certificate data:$cert_{kind}; "
                               f"ssl_certificate_key data:$key_{kind};"}
        for way in WAYS:
            self.servers.append(
                f"server {{ listen 127.0.0.1:{self.port[kind, way]} ssl; "
                f"server_name {self.name(kind, way)}; "
                f"{bodies.get(way, 'acme_certificate le;')} }}")

    def shake(self, kind, way, version, count):
        done = subprocess.run(
            [peers.tool("bridge_hsclient"), "-p", str(self.port[kind, way]), "-n", str(count),
             "-s", self.name(kind, way), "-r", self.pki.root, "-v", version, "-k", kind],
            env=environment(), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{kind} {way} TLS {version}: {done.stdout}\n{self.worker.log()}")

    def warm_up(self):
        """What is in the segment, what each worker holds of it, and all that
        OpenSSL and malloc do for the first time."""
        for kind, leaf in self.leaf.items():
            other = self.leaf["rsa" if kind == "ecdsa" else "ecdsa"]
            for way in ("unchanged", "look-up"):
                self.publisher.put(self.name(kind, way), leaf)
            self.publisher.put(self.name(kind, "slow"), leaf, other)
            self.shake(kind, "slow", "1.3", 1)
            self.publisher.put(self.name(kind, "slow"), leaf)

    def fill(self, count):
        """Publishes until there are `count` certificates in all."""
        leaf = self.leaf["ecdsa"]
        for number in range(self.published, count):
            self.publisher.put(f"{number}.filler.test", leaf)
        self.published = max(self.published, count)

    def measure(self, kind, way, version):
        """Instructions for each handshake."""
        self.shake(kind, way, version, 40)
        self.worker.zero()
        if way == "look-up":
            for number in range(self.handshakes):
                self.publisher.token(f"bench{number % 8}", "x")
                self.publisher.put("another.test", self.leaf["ecdsa"])
                self.shake(kind, way, version, 1)
        else:
            self.shake(kind, way, version, self.handshakes)
        return self.worker.read() / self.handshakes


def verdict(way, ratio):
    if way not in BOUNDS:
        return ""
    return f"bound {BOUNDS[way]} {'ok' if ratio <= BOUNDS[way] else 'MISSED'}"


def table(bench, counts, rows):
    missed = 0
    bench.publisher.start()
    bench.worker.start()
    bench.warm_up()
    static = {}
    print("| TLS | key | certificate | published | instructions | ratio to static | |")
    print("|---|---|---|---|---|---|---|")
    for number, count in enumerate(counts):
        bench.fill(count)
        for version, kind, way in rows:
            if number > 0 and way in ONCE:
                continue
            cost = bench.measure(kind, way, version)
            base = static.setdefault((count, version, kind), cost)
            said = verdict(way, cost / base)
            missed += "MISSED" in said
            print(f"| {version} | {KINDS[kind]} | {way} | {bench.published} | "
                  f"{cost:,.0f} | {cost / base:.4f} | {said} |", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-n", type=int, default=500, help="handshakes for each figure")
    parser.add_argument("-c", default="1,1000", help="published certificates")
    parser.add_argument("--tls", choices=["1.3", "1.2"], help="only this version")
    parser.add_argument("--key", choices=KINDS, help="only this kind of key")
    parser.add_argument("--no-data", action="store_true", help="leave data:$var out")
    args = parser.parse_args()
    callgrind.need()
    rows = [(version, kind, way) for version in ([args.tls] if args.tls else ["1.3", "1.2"])
            for kind in ([args.key] if args.key else KINDS)
            for way in WAYS if way != "data:$var" or not args.no_data]
    with folders.temporary("acme-bench-") as folder:
        bench = Bench(folder, args.n)
        try:
            return 1 if table(bench, [int(c) for c in args.c.split(",")], rows) else 0
        finally:
            bench.worker.stop()
            bench.publisher.stop()


if __name__ == "__main__":
    sys.exit(main())
