# SPDX-License-Identifier: Apache-2.0
"""nginx with the bridge, in a folder of its own:

    with Nginx(folder, http='server { listen 127.0.0.1:%d; }' % port) as nginx:
        nginx.reload()

As root the workers run as `www-data`; user=... runs all of it as that user, as
a rootless nginx does. It daemonises as in real life, so that reload and
binary upgrade (USR2) are the real ones; its pid stands in nginx.pid."""

import os
import shutil
import signal
import subprocess
import time

from . import folder as folders
from . import peers
from .process import Failed, alive, children, end, environment, stat, tail, wait_for

MAIN = """\
{module}{user}{env}{main}
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log {level};
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    ssl_protocols TLSv1.2 TLSv1.3;
{http}
}}
"""


class Nginx:
    """One nginx. `http` is what stands in the http block, `main` what stands
    before it; set_conf() replaces both before a reload."""

    def __init__(self, folder, http="", main="", workers=2, bridge=True,
                 user=None, level="info", name="nginx"):
        self.user = user
        self.workers_wanted = workers
        self.level = level
        owner = user if os.getuid() == 0 else None
        mode = 0o711 if os.getuid() == 0 else 0o700
        self.home = folders.make(os.path.join(folder, name), mode, owner)
        self.conf = os.path.join(self.home, "nginx.conf")
        self.error_log = os.path.join(self.home, "error.log")
        self.binary = peers.nginx()
        self.module = peers.bridge() if bridge else None
        self.env = peers.sanitizer_env(self.module) if bridge else {}
        if owner:
            self._stage()
        self.set_conf(http, main)

    def _stage(self):
        """Copies what another user could not reach inside the checkout."""
        for name in ("binary", "module"):
            path = getattr(self, name)
            if path:
                copy = shutil.copy(path, self.home)
                os.chmod(copy, 0o755)
                setattr(self, name, copy)

    def set_conf(self, http, main=""):
        root = os.getuid() == 0 and not self.user
        text = MAIN.format(
            module=f'load_module "{self.module}";\n' if self.module else "",
            user="user www-data www-data;\n" if root else "",
            env="".join(f"env {name};\n" for name in self.env),
            main=main, http=http, home=self.home, level=self.level,
            workers=self.workers_wanted)
        folders.write(self.conf, text, 0o644)

    def _run(self, *words):
        extra = {}
        if self.user and os.getuid() == 0:
            extra = {"user": self.user, "group": folders.group_of(self.user), "extra_groups": []}
        return subprocess.run(
            [self.binary, "-p", self.home + "/", "-c", self.conf,
             "-e", self.error_log, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", cwd="/", env=environment(**self.env),
            start_new_session=True, timeout=60, check=False, **extra)

    def test(self):
        """nginx -t: (accepted, what it said)."""
        result = self._run("-t")
        return result.returncode == 0, result.stdout

    def start(self):
        result = self._run()
        if result.returncode != 0:
            raise Failed(f"nginx does not start:\n{result.stdout}\n{tail(self.error_log)}")
        self.wait_workers()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        """The master's pid, from nginx.pid; None when there is none."""
        try:
            with open(os.path.join(self.home, "nginx.pid")) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def workers(self, master=None):
        """Pids of the workers that accept connections, sorted."""
        master = master or self.pid
        return sorted(pid for pid in children(master) if _title(pid).startswith(
            "nginx: worker process") and "shutting down" not in _title(pid)
            and (stat(pid) or (0, 0, 0))[2] == master)

    def wait_workers(self, other_than=(), seconds=20):
        """Waits until all workers are there and none of `other_than` is."""
        def look():
            found = self.pid and self.workers()
            if found and len(found) == self.workers_wanted \
                    and not set(found) & set(other_than):
                return found
            return None
        try:
            return wait_for(look, seconds, "nginx workers")
        except Failed as error:
            raise Failed(f"{error}\n{tail(self.error_log)}") from None

    def reload(self):
        """HUP; returns the new workers' pids. The old ones may still end."""
        before = self.workers()
        os.kill(self.pid, signal.SIGHUP)
        return self.wait_workers(other_than=before)

    def upgrade(self):
        """Binary upgrade: USR2, then QUIT to the old master. Returns the new
        master's pid."""
        old = self.pid
        os.kill(old, signal.SIGUSR2)
        wait_for(lambda: self.pid not in (None, old), 20, "new nginx master")
        self.wait_workers()
        os.kill(old, signal.SIGQUIT)
        wait_for(lambda: not alive(old), 20, "end of the old nginx master")
        return self.pid

    def log(self):
        with open(self.error_log, errors="replace") as file:
            return file.read()

    def rss(self):
        """Resident memory of all workers in KiB."""
        total = 0
        for pid in self.workers():
            with open(f"/proc/{pid}/status") as file:
                total += next(int(line.split()[1]) for line in file
                              if line.startswith("VmRSS:"))
        return total

    def stop(self):
        """Fast shutdown; what is left of it a moment later is killed."""
        pid = self.pid
        if not pid or not alive(pid):
            return
        below = children(pid)
        end(pid, 10, signal.SIGTERM)
        limit = time.monotonic() + 5
        for child in below:
            while alive(child) and time.monotonic() < limit:
                time.sleep(0.01)
            if alive(child) and _title(child).startswith("nginx:"):
                os.kill(child, signal.SIGKILL)


def _title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
