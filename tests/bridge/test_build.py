# SPDX-License-Identifier: Apache-2.0
"""build-for: the bridge for an nginx that somebody already has."""

import os
import shutil
import subprocess

import pytest

from harness import folder as folders
from harness import peers, tls
from harness.process import environment

BUILD_FOR = os.path.join(peers.TOP, "ngx-bridge", "build-for")


def build_for(*words, cwd="/", **env):
    result = subprocess.run([BUILD_FOR, *words], stdout=subprocess.PIPE, cwd=cwd,
                            stderr=subprocess.STDOUT, text=True, check=False,
                            stdin=subprocess.DEVNULL, env=environment(**env), timeout=300)
    return result.returncode, result.stdout


def fake_nginx(folder, version, arguments="--with-http_ssl_module", sni="TLS SNI support enabled"):
    path = folders.write(os.path.join(folder, "fake nginx"), f"""#!/bin/sh
echo 'nginx version: nginx/{version}
built with OpenSSL
{sni}
configure arguments: {arguments}' >&2
""", 0o755)
    return path


@pytest.mark.slow
def test_builds_what_nginx_loads_and_what_serves(site):
    """In a folder with a space; the module serves as the one of our build."""
    out = os.path.join(folders.make(os.path.join(site.folder, "a folder"), 0o711), "bridge.so")
    scratch = folders.make(os.path.join(site.folder, "scratch"))
    code, said = build_for(peers.nginx(), peers.nginx_src(), "-o", out, TMPDIR=scratch)
    assert code == 0, said
    assert f"for nginx {peers.nginx_version()}, signature 8,4,8," in said
    assert os.listdir(scratch) == []
    nginx = site.make()
    nginx.module, nginx.env = out, {}
    nginx.set_conf(site.http())
    for leaf in (site.pki.leaf("a.test"), site.pki.leaf("a.test")):
        site.put("a.test", leaf)
        if not nginx.pid:
            nginx.start()
        assert tls.handshake(site.port, "a.test", site.pki.root).serial == leaf.serial


def test_another_version(folder):
    code, said = build_for(fake_nginx(folder, "1.99.0"), peers.nginx_src(), cwd=folder)
    assert code == 1 and f"is nginx {peers.nginx_version()}, but" in said
    assert "give the sources of 1.99.0" in said


def test_no_tls(folder):
    code, said = build_for(fake_nginx(folder, "1.22.1", sni=""), peers.nginx_src(), cwd=folder)
    assert code == 1 and "is built without TLS" in said


def test_no_sources(folder):
    code, said = build_for(peers.nginx(), folder)
    assert code == 1 and "holds no nginx sources" in said


def test_no_program(folder):
    code, said = build_for(os.path.join(folder, "nothing"))
    assert code == 1 and "no program there" in said


def test_not_nginx():
    code, said = build_for("/bin/true", peers.nginx_src())
    assert code == 1 and "-V tells no version" in said


@pytest.mark.slow
def test_another_signature(folder):
    """Same version, but built without --with-compat and with other options."""
    real = shutil.copy(peers.nginx(), os.path.join(folder, "real"))
    with open(real, "r+b") as file:
        data = file.read()
        at = data.index(b"8,4,8,0") + 8
        file.seek(at)
        file.write(b"1" if data[at:at + 1] == b"0" else b"0")
    code, said = build_for(real, peers.nginx_src(), cwd=folder)
    assert code == 1 and "wants another signature" in said and "--with-compat" in said
    assert "They differ at character 9" in said
    assert os.listdir(folder) == ["real"]


def test_usage():
    assert build_for()[0] == 2
    code, said = build_for("--help")
    assert code == 0 and said.startswith("usage: build-for NGINX [SOURCE]")


def test_arguments_that_a_shell_would_run(folder):
    """What stands in -V is data."""
    code, said = build_for(fake_nginx(
        folder, peers.nginx_version(),
        f"--with-http_ssl_module --prefix=$(touch {folder}/ran) `touch {folder}/ran`"
        f" ; touch {folder}/ran"), peers.nginx_src(), cwd=folder)
    assert code == 1, said
    assert not os.path.exists(os.path.join(folder, "ran"))
