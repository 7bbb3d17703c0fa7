# SPDX-License-Identifier: Apache-2.0
"""cmake --install into a DESTDIR, and what was installed at work."""

import glob
import os
import shutil
import subprocess

import pytest

from harness import folder as folders
from harness import peers
from harness.agent import run


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("root"))
    done = subprocess.run(["cmake", "--install", peers.BUILD, "--prefix", "/usr"],
                          env={**os.environ, "DESTDIR": root}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    yield root
    shutil.rmtree(root)


def one(root, pattern):
    found = glob.glob(os.path.join(root, pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


@pytest.mark.parametrize("path", [
    "usr/sbin/acme-agent", "usr/bin/acmectl",
    "usr/lib/*/acme-agent/plugins/http-01.so",
    "usr/lib/*/acme-agent/plugins/file.so",
    "usr/include/acme/abi.h", "usr/include/acme/plugin.h", "usr/include/acme/segment.h",
    "usr/lib/*/pkgconfig/acme-agent*.pc", "etc/acme-agent/acme-agent.ini",
    "usr/lib/systemd/system/acme-agent.service", "usr/lib/sysusers.d/acme-agent.conf",
    "usr/lib/tmpfiles.d/acme-agent.conf", "usr/share/man/man8/acme-agent.8*",
    "usr/share/man/man1/acmectl.1*"])
def test_it_is_where_it_belongs(installed, path):
    assert os.path.getsize(one(installed, path))


def test_nothing_is_outside_usr_and_etc(installed):
    assert set(os.listdir(installed)) <= {"usr", "etc", "var"}


def test_no_file_names_the_build_folder(installed):
    if "sanitize" in open(os.path.join(peers.BUILD, "CMakeCache.txt")).read():
        pass  # debug information may
    for where, _, names in os.walk(installed):
        for name in names:
            if name.endswith((".so", "acme-agent", "acmectl")):
                continue
            with open(os.path.join(where, name), "rb") as file:
                assert peers.TOP.encode() not in file.read(), name


def test_the_unit_says_what_it_has_to(installed):
    with open(one(installed, "usr/lib/systemd/system/acme-agent.service")) as file:
        unit = file.read()
    for line in ("Type=notify", "Before=nginx.service", "RuntimeDirectoryPreserve=yes",
                 "NoNewPrivileges=yes"):
        assert line in unit, line


def test_programs_run_from_there(installed):
    for path in ("usr/sbin/acme-agent", "usr/bin/acmectl"):
        result = run([one(installed, path), "--version"])
        assert result.code == 0 and "acme" in result.out.lower(), result


def test_the_installed_configuration_is_accepted(installed, folder):
    etc = os.path.join(folder, "etc")
    shutil.copytree(os.path.join(installed, "etc/acme-agent"), etc)
    # Installed below DESTDIR, not below /usr.
    plugins = os.path.dirname(one(installed, "usr/lib/*/acme-agent/plugins/file.so"))
    for name in os.listdir(plugins):
        os.chmod(shutil.copy(os.path.join(plugins, name), folder), 0o755)
    with open(os.path.join(etc, "acme-agent.ini")) as file:
        text = file.read()
    assert "[agent]" in text
    folders.write(os.path.join(etc, "acme-agent.ini"),
                  text.replace("[agent]", f"[agent]\nplugin_dir = {folder}", 1))
    result = run([one(installed, "usr/sbin/acme-agent"), "-t", "-c",
                  os.path.join(etc, "acme-agent.ini")])
    assert result.code == 0, result
