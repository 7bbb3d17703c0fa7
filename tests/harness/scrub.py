# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets where they must not be: in logs, in files that others may
read, in arguments and environments of running processes.

What is a secret is found, not listed: the bodies of all private keys in files
that only their owner may read, plus what a test names (an API token). Those,
and anything that looks like a private key, must be nowhere else."""

import base64
import os
import re
import stat

KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.S)
SUSPECT = re.compile(rb"BEGIN [A-Z ]*PRIVATE KEY|\"d\"\s*:\s*\"[A-Za-z0-9_-]{20,}\"")
LIMIT = 32 << 20


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read(LIMIT)
    except OSError:
        return b""


def _files(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode):
                yield path, mode


def secrets(folder):
    """Pieces of all private keys below a folder, as text and as bytes."""
    found = set()
    for path, _ in _files(folder):
        for body in KEY.findall(_read(path).replace(b"\\n", b"\n")):
            text = b"".join(body.split())
            # The head of a PKCS#8 file is the same in all; of an EC key the
            # second half is the public one, of an RSA key the first quarter.
            at = len(text) // (2 if len(text) > 500 else 4) & ~3
            piece = text[at:at + 32]
            if len(piece) == 32:
                found.add(piece)
                found.add(base64.b64decode(piece))
    return found


def findings(folder, pids=(), named=()):
    """A list of sentences, empty if all is well. `named` are further secrets
    as bytes; `pids` are processes to look at."""
    known = secrets(folder) | set(named)
    result = []

    def look(where, data):
        if SUSPECT.search(data):
            result.append(f"{where} holds a private key")
        elif any(secret in data for secret in known):
            result.append(f"{where} holds a piece of a secret")

    for path, mode in _files(folder):
        data = _read(path)
        others = mode & (stat.S_IRGRP | stat.S_IROTH)
        if path.endswith(".log") or others and not path.endswith(".so"):
            look(path, data)
        elif others == 0 and SUSPECT.search(data) and mode & 0o077:
            result.append(f"{path} holds a private key and has mode {mode & 0o777:o}")
    for pid in pids:
        for what in ("cmdline", "environ"):
            look(f"{what} of process {pid}", _read(f"/proc/{pid}/{what}"))
    return result
