# SPDX-License-Identifier: Apache-2.0
"""Temporary folders: short, because the path of a Unix socket must stay under
108 bytes, and outside the checkout, whose path may be long or hold spaces."""

import contextlib
import grp
import os
import pwd
import shutil
import tempfile


@contextlib.contextmanager
def temporary(prefix="acme-", keep=False):
    """A folder for one test, removed at the end. Workers of a root nginx may
    pass through it, nobody else may list it."""
    path = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
    os.chmod(path, 0o711 if os.getuid() == 0 else 0o700)
    try:
        yield path
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


def make(path, mode=0o700, owner=None):
    """Makes a folder with exactly this mode, whatever the umask; as root
    optionally for another user."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if owner and os.getuid() == 0:
        user = pwd.getpwnam(owner)
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def write(path, data, mode=0o600, owner=None):
    """Writes a file with exactly this mode, whatever the umask; who reads it
    meanwhile finds the old content or the new one."""
    binary = data if isinstance(data, bytes) else data.encode()
    descriptor, new = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(descriptor, "wb") as file:
        file.write(binary)
    os.chmod(new, mode)
    if owner and os.getuid() == 0:
        user = pwd.getpwnam(owner)
        os.chown(new, user.pw_uid, user.pw_gid)
    os.replace(new, path)
    return path


def group_of(user):
    """The name of a user's own group."""
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
