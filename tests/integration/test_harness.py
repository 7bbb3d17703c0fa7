# SPDX-License-Identifier: Apache-2.0
"""The harness itself, as far as other tests lean on it."""

import os
import urllib.request

import pytest

from harness import ports, process
from harness.nginx import Nginx
from harness.pebble import Pebble

HELLO = "server {{ listen 127.0.0.1:{port}; location / {{ return 200 hello; }} }}"


def get(port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(f"http://127.0.0.1:{port}/", timeout=5).read()


@pytest.mark.parametrize("user", [None, "nobody"])
def test_nginx_starts_reloads_upgrades_and_ends(folder, user):
    if user and os.getuid() != 0:
        pytest.skip("only root can start nginx as another user")
    port = ports.free()
    with Nginx(folder, HELLO.format(port=port), bridge=False, user=user) as nginx:
        first = nginx.workers()
        assert len(first) == 2 and get(port) == b"hello"
        assert not set(nginx.reload()) & set(first)
        assert get(port) == b"hello"
        master = nginx.pid
        assert nginx.upgrade() != master
        assert get(port) == b"hello"
    assert process.left() == {}


def test_a_port_is_handed_out_once():
    found = [ports.free() for _ in range(50)]
    assert len(set(found)) == 50


def test_programs_see_no_proxy_and_no_nginx_variable():
    assert not any("proxy" in name.lower() for name in process.environment())
    assert "NGINX" not in process.environment()


def test_pebble_starts_issues_its_root_and_keeps_its_ports(folder):
    with Pebble(folder, http_port=ports.free(), validity=45) as ca:
        first, directory = ca.root(), ca.directory
        assert "BEGIN CERTIFICATE" in first
        ca.restart()
        assert ca.directory == directory and ca.root() != first
    assert process.left() == {}
