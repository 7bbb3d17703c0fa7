# SPDX-License-Identifier: Apache-2.0
"""Free ports. A port that was handed out stays ours for the life of this
process: a bound socket with SO_REUSEADDR that never listens keeps the kernel
from giving the port to anybody else, and lets our server listen on it."""

import socket

_held = []


def free():
    """A TCP port on 127.0.0.1 that a server of ours can listen on."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return held.getsockname()[1]


def free_udp_and_tcp():
    """A port that is free for both, for a DNS server. UDP can't be held."""
    while True:
        port = free()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def answers(port, host="127.0.0.1"):
    """Does somebody listen there?"""
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False
