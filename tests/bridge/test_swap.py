# SPDX-License-Identifier: Apache-2.0
"""Law 3: a new certificate is served by the next full handshake whose
ClientHello begins after it was published. Checked on each of thousands."""

import mmap
import os
import struct
import subprocess
import time

import pytest

from harness import folder as folders
from harness import peers, tls
from harness.process import environment


class Load:
    """bridge_hsclient in the background; `floor` is what it must see."""

    def __init__(self, site, count, processes=2, **options):
        self.path = folders.write(os.path.join(site.folder, "floor"), bytes(8))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 8)
        words = [f"-{name[0]}{value}" for name, value in options.items()]
        self.child = subprocess.Popen(
            [peers.tool("bridge_hsclient"), f"-p{site.port}", f"-n{count}", "-sa.test",
             f"-r{site.pki.root}", f"-j{processes}", f"-f{self.path}", *words],
            stdout=subprocess.PIPE, env=environment(), text=True)

    def floor(self, serial):
        self.map[:8] = struct.pack("=Q", serial)

    def running(self):
        return self.child.poll() is None

    def finish(self):
        said = self.child.communicate(timeout=120)[0]
        figures = said.splitlines()[-1].split()
        assert self.child.returncode == 0, said
        return {figures[i]: int(figures[i + 1]) for i in range(0, len(figures), 2)}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kinds", [["ecdsa:256"], ["ecdsa:256", "rsa:2048"]],
                         ids=["one type", "two types in turn"])
def test_250_swaps_during_2500_handshakes(sites, version, kinds):
    """Times four: 1,000 swaps and 10,000 handshakes."""
    site = sites(workers=2)
    leaves = [site.pki.leaf("a.test", kind=kinds[n % len(kinds)]) for n in range(250)]
    site.put("a.test", leaves[0])
    site.start()
    before = site.nginx.workers()
    load = Load(site, 2500, version=version)
    pace = 0
    for leaf in leaves:
        site.put("a.test", leaf)
        load.floor(leaf.serial)
        time.sleep(0.008 if load.running() else 0)
        pace += load.running()
    result = load.finish()
    assert result["handshakes"] == 2500 and result["failed"] == 0
    assert pace > 100 and result["serials"] > 100, (pace, result)
    served = {tls.handshake(site.port, "a.test", site.pki.root).serial for _ in range(10)}
    assert served == {leaves[-1].serial}
    assert site.nginx.workers() == before
    assert "[error]" not in site.log() and "[alert]" not in site.log()


@pytest.mark.slow
def test_swaps_with_rebuilds_of_the_segment_between(sites):
    """The writer switches to a new space under our feet."""
    site = sites(workers=2)
    leaves = [site.pki.leaf("a.test") for _ in range(100)]
    site.put("a.test", leaves[0])
    site.start()
    load = Load(site, 1000)
    for leaf in leaves:
        site.put("a.test", leaf)
        load.floor(leaf.serial)
        site.publisher.tell("collect")
        time.sleep(0.005)
    assert load.finish()["failed"] == 0
    assert "[error]" not in site.log()


@pytest.mark.slow
def test_workers_do_not_grow(site):
    """Old versions are freed: with RSA-4096 keys, thousands would show."""
    leaves = [site.pki.leaf("a.test", kind=kind)
              for kind in ("ecdsa:256", "rsa:4096") for _ in range(2)]
    body = "acme_certificate le; ssl_session_cache off;"
    site.put("a.test", leaves[0])
    site.start(site.server(body=body))

    def swap(times):
        for number in range(times):
            site.put("a.test", leaves[number % len(leaves)])
            tls.handshake(site.port, "a.test")
            if number % 20 == 0:
                site.publisher.tell("collect")
    swap(600)  # until the allocator has what it needs
    before = site.nginx.rss()
    swap(800)
    grown = site.nginx.rss() - before
    assert grown < 1024, f"{grown} KiB in 800 swaps"
