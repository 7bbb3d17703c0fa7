#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes until stored certificates are served after a boot:

    cmake --preset release && cmake --build build/release
    ACME_AGENT=build/release/bin/acme-agent tests/bench/start.py [COUNT] [ROUNDS]

Puts COUNT certificates (10,000) into a replica, then for each round empties
the run directory and measures `acme-agent publish`."""

import os
import shutil
import statistics
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "integration")]

from harness import folder as folders  # noqa: E402
from harness.agent import Agent  # noqa: E402
from test_start import fill_replica  # noqa: E402


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with folders.temporary() as where:
        agent = Agent(where)
        if os.environ.get("ACME_AGENT"):
            Agent.binary = os.path.abspath(os.environ["ACME_AGENT"])
        fill_replica(agent, count, where)
        took = []
        for _ in range(rounds):
            shutil.rmtree(agent.run_dir)
            folders.make(agent.run_dir, 0o755)
            begun = time.monotonic()
            result = agent.once("publish")
            took.append(time.monotonic() - begun)
            assert result.code == 0, result
        size = os.stat(agent.segment).st_blocks * 512
    print(f"{count} certificates, {rounds} rounds: median {statistics.median(took):.3f} s, "
          f"worst {max(took):.3f} s, {size / count:.0f} bytes each")


if __name__ == "__main__":
    main()
