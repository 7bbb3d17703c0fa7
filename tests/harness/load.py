# SPDX-License-Identifier: Apache-2.0
"""A visitor who never comes back: each request is a new TLS connection with a
full handshake, verified against the CA's root. Counts what went wrong."""

import collections
import threading
import time

from . import tls


class Load:
    """Runs in the background; stop() before reading the figures.

        with Load(port, ["www.demo.test"], root, rate=60) as load:
            ...
        load.count, load.errors, load.serials
    """

    def __init__(self, port, names, root, rate=60, threads=3):
        self.port, self.names = port, list(names)
        self.settings = tls.context(root)
        self.every = threads / rate
        self.serials = collections.Counter()
        self.errors = []
        self.seconds = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                         for n in range(threads)]

    @property
    def count(self):
        return sum(self.serials.values()) + len(self.errors)

    @property
    def rate(self):
        return self.count / self.seconds if self.seconds else 0.0

    def _run(self, number):
        turn = number
        at = time.monotonic() + self.every * number / len(self._threads)
        while not self._stop.wait(max(0.0, at - time.monotonic())):
            name = self.names[turn % len(self.names)]
            turn += 1
            at = max(at + self.every, time.monotonic() - 1)
            try:
                status, _, served = tls.get(self.port, name, using=self.settings)
                if status != 200:
                    raise OSError(f"HTTP {status}")
                with self._lock:
                    self.serials[served.serial] += 1
            except OSError as error:  # ssl.SSLError is one
                with self._lock:
                    self.errors.append(f"{name}: {error}")

    def __enter__(self):
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = self.seconds or time.monotonic() - self._start
        return self
