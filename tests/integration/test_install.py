# SPDX-License-Identifier: Apache-2.0
"""cmake --install into a DESTDIR, and what was installed at work."""

import glob
import os
import re
import shutil
import stat
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
    "usr/include/acme/kit.h", "usr/lib/*/libacme-kit.a",
    "usr/lib/*/pkgconfig/acme-agent-plugin.pc",
    "usr/lib/*/pkgconfig/acme-agent-kit.pc", "etc/acme-agent/acme-agent.ini",
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
            if name.endswith((".so", ".a", "acme-agent", "acmectl")):
                continue
            with open(os.path.join(where, name), "rb") as file:
                assert peers.TOP.encode() not in file.read(), name


def test_the_unit_says_what_it_has_to(installed):
    with open(one(installed, "usr/lib/systemd/system/acme-agent.service")) as file:
        unit = file.read()
    for line in ("Type=notify", "Before=nginx.service", "RuntimeDirectoryPreserve=yes",
                 "NoNewPrivileges=yes"):
        assert line in unit, line


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_accepts_the_unit_and_its_sandbox(installed, folder):
    with open(one(installed, "usr/lib/systemd/system/acme-agent.service")) as file:
        unit = file.read()
    # The programs are below DESTDIR, and no manual page is installed.
    unit = unit.replace("/usr/sbin/acme-agent", one(installed, "usr/sbin/acme-agent"))
    unit = unit.replace("/usr/bin/acmectl", one(installed, "usr/bin/acmectl"))
    path = folders.write(os.path.join(folder, "acme-agent.service"), unit, 0o644)
    result = run(["systemd-analyze", "verify", "--man=no", path])
    about_us = [line for line in result.text.splitlines() if "acme-agent.service" in line
                and "Failed to create" not in line]    # units of the machine that are missing
    assert not about_us, result
    result = run(["systemd-analyze", "security", "--offline=true", "--threshold=20", path])
    assert result.code == 0, result.text[-300:]


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("systemd-sysusers")
                    or not shutil.which("systemd-tmpfiles"),
                    reason="needs root, systemd-sysusers and systemd-tmpfiles")
def test_user_and_folders_are_made(installed, folder):
    root = folders.make(os.path.join(folder, "root"), 0o755)
    for kind in ("sysusers", "tmpfiles"):
        source = one(installed, f"usr/lib/{kind}.d/acme-agent.conf")
        os.makedirs(os.path.join(root, f"usr/lib/{kind}.d"))
        shutil.copy(source, os.path.join(root, f"usr/lib/{kind}.d"))
    os.makedirs(os.path.join(root, "etc"))
    result = run(["systemd-sysusers", f"--root={root}"])
    assert result.code == 0, result
    with open(os.path.join(root, "etc/passwd")) as file:
        user = next(line.split(":") for line in file if line.startswith("acme-agent:"))
    assert user[6].strip().endswith("nologin")
    result = run(["systemd-tmpfiles", "--create", f"--root={root}", "acme-agent.conf"])
    assert result.code == 0, result
    for path, mode in (("run/acme-agent", 0o755), ("var/lib/acme-agent", 0o700)):
        found = os.stat(os.path.join(root, path))
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (int(user[2]), mode)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc here")
@pytest.mark.parametrize("page", ["man8/acme-agent.8", "man1/acmectl.1", "man5/acme-agent.ini.5"])
def test_manual_pages_are_well_formed(installed, page):
    result = run(["mandoc", "-T", "lint", "-W", "warning",
                  one(installed, f"usr/share/man/{page}*")])
    assert result.code == 0 and not result.out, result


def test_manual_pages_name_all_words(installed):
    for program, section in (("usr/sbin/acme-agent", 8), ("usr/bin/acmectl", 1)):
        said = run([one(installed, program), "--help"]).out
        page = one(installed, f"usr/share/man/man{section}/{os.path.basename(program)}.*")
        with open(page) as file:
            text = file.read().replace("\\-", "-").replace("\\", "")
        words = re.findall(r"--[a-z-]+", said) + re.findall(r"^  ([a-z]+) ", said, re.M)
        missing = [word for word in words if word.lstrip("-") not in text]
        assert words and not missing, missing


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
