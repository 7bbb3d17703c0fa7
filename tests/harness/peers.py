# SPDX-License-Identifier: Apache-2.0
"""Where things are: the servers that tests/setup/setup.sh unpacked below
build/peers, and what our own build made. ACME_BUILD names another build
folder than build/dev."""

import functools
import glob
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(TOP, "build", "peers")
BUILD = os.environ.get("ACME_BUILD") or os.path.join(TOP, "build", "dev")


class Missing(Exception):
    """Something that has to be built or unpacked first is not there."""


def _peer(package, path):
    full = os.path.join(PEERS, package, "current", path)
    if not os.path.exists(full):
        raise Missing(f"{full} is missing: ./check unpacks it")
    return full


@functools.lru_cache(maxsize=None)
def _built(name):
    """The one file of that name in the build folder."""
    for folder, folders, files in os.walk(BUILD):
        folders[:] = [f for f in folders if f not in ("CMakeFiles", "Testing", "results")]
        if name in files:
            return os.path.join(folder, name)
    raise Missing(f"{name} was not built in {BUILD}")


def nginx():
    return _peer("nginx", "usr/sbin/nginx")


def nginx_src():
    return _peer("nginx-dev", "usr/share/nginx/src")


def nginx_version():
    said = subprocess.run([nginx(), "-v"], stderr=subprocess.PIPE, text=True, check=True)
    return said.stderr.strip().rpartition("/")[2].split()[0]


def pebble():
    return _peer("pebble", "usr/bin/pebble")


def challtestsrv():
    return _peer("pebble", "usr/bin/pebble-challtestsrv")


def bridge():
    return _built("ngx_http_acme_bridge_module.so")


def agent():
    return _built("acme-agent")


def acmectl():
    return _built("acmectl")


def tool(name):
    """A program of tests/tools."""
    return _built(name)


def plugins():
    """All built plugins."""
    found = glob.glob(os.path.join(glob.escape(BUILD), "plugins", "*.so"))
    if not found:
        raise Missing(f"no plugin was built in {BUILD}")
    return found


def sanitizer_env(path):
    """What a program without ASan needs in its environment to load a module
    that was built with it. Empty for a module without."""
    with open(path, "rb") as file:
        if b"libasan.so" not in file.read():
            return {}
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"],
                           stdout=subprocess.PIPE, text=True, check=True)
    return {"LD_PRELOAD": os.path.realpath(found.stdout.strip()),
            "ASAN_OPTIONS": "detect_leaks=0:detect_odr_violation=0"}
