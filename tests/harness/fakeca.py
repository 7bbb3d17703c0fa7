# SPDX-License-Identifier: Apache-2.0
"""A fake CA: an HTTPS server in front of Pebble that passes everything on
until a test tells it to misbehave. Pebble makes its URLs from the Host header,
so a client that starts at our directory stays with us.

    with FakeCa(ca) as fake:
        fake.fault("/finalize-order/", times=2, status=503, headers={"Retry-After": "1"})
        fake.fault("/certZ/", change=lambda status, headers, body: (status, headers, b"x"))

Paths of Pebble: /dir /nonce-plz /sign-me-up /order-plz /my-order/ /authZ/
/chalZ/ /finalize-order/ /certZ/ /revoke-cert."""

import base64
import http.client
import http.server
import json
import os
import socket
import ssl
import threading
import time

from cryptography import x509

from . import ports

HTML = b"<html><body><h1>Sorry</h1>We will be back soon.</body></html>"


class Fault:
    """What happens to requests whose path begins so, `times` times."""

    def __init__(self, path, times=None, method=None, status=None, headers=None, body=b"",
                 change=None, cut=None, drop=False, before=None, after=None):
        self.path, self.times, self.method = path, times, method
        self.status, self.headers, self.body = status, headers or {}, body
        self.change = change    # (status, headers, body) -> the same, of Pebble's answer
        self.cut = cut          # send only so many bytes of it
        self.drop = drop        # close instead of answering
        self.before = before    # called before Pebble sees the request
        self.after = after      # called when Pebble has answered
        self.seen = 0

    def wants(self, method, path):
        return path.startswith(self.path) and self.times != 0 \
            and self.method in (None, method)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fake = self.server.fake
        fake.note(self.command, self.path, body)
        fault = fake.pick(self.command, self.path)
        if fault and fault.before:
            fault.before()
        if fault and fault.status and not fault.change:
            answer = fault.status, dict(fault.headers), fault.body
        else:
            answer = fake.forward(self.command, self.path, self.headers, body)
            if fault and fault.change:
                answer = fault.change(*answer)
        if fault and fault.after:
            fault.after()
        if fault and fault.drop:
            self.close_connection = True
            return
        self._send(fault, *answer)

    def _send(self, fault, status, headers, body):
        self.send_response_only(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            if fault and fault.cut is not None:
                body = body[:fault.cut]
                self.close_connection = True
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = _answer

    def handle(self):
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            pass  # the client went away


class FakeCa:
    """The server; use it where a Pebble's `directory` and `ca_file` go."""

    def __init__(self, ca, host="127.0.0.1"):
        self.ca, self.ca_file, self.host = ca, ca.ca_file, host
        self.port = ports.free()
        shown = f"[{host}]" if ":" in host else host
        self.directory = f"https://{shown}:{self.port}/dir"
        self.faults, self.requests = [], []
        self.csr = None         # of the last finalize
        self.connections = 0
        self._lock = threading.Lock()

    def fault(self, path, times=None, **what):
        found = Fault(path, times, **what)
        with self._lock:
            self.faults.append(found)
        return found

    def heal(self):
        with self._lock:
            self.faults.clear()

    def count(self, path, method="POST"):
        with self._lock:
            return sum(m == method and p.startswith(path) for m, p, _ in self.requests)

    def pick(self, method, path):
        with self._lock:
            for fault in self.faults:
                if fault.wants(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                    fault.seen += 1
                    return fault
        return None

    def note(self, method, path, body):
        with self._lock:
            self.requests.append((method, path, time.monotonic()))
        if path.startswith("/finalize-order/"):
            payload = json.loads(unb64(json.loads(body)["payload"]))
            self.csr = x509.load_der_x509_csr(unb64(payload["csr"]))

    def forward(self, method, path, headers, body):
        context = ssl.create_default_context(cafile=self.ca_file)
        link = http.client.HTTPSConnection("127.0.0.1", self.ca.port, context=context, timeout=20)
        try:
            wanted = {"Host": headers["Host"]}
            for name in ("Content-Type", "Accept", "User-Agent"):
                if headers[name]:
                    wanted[name] = headers[name]
            link.request(method, path, body or None, wanted)
            answer = link.getresponse()
            kept = {name: value for name, value in answer.getheaders()
                    if name.lower() not in ("connection", "transfer-encoding", "content-length",
                                            "date")}
            return answer.status, kept, answer.read()
        finally:
            link.close()

    def start(self):
        fake = self

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100
            address_family = socket.AF_INET6 if ":" in self.host else socket.AF_INET

            def get_request(self):
                connection, address = super().get_request()
                fake.connections += 1
                return connection, address

        self._server = Server((self.host, self.port), _Handler)
        self._server.fake = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        home = os.path.dirname(self.ca_file)
        context.load_cert_chain(os.path.join(home, "server.pem"),
                                os.path.join(home, "server.key"))
        # The handshake belongs to the thread of its connection.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,),
                                        daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def replace_json(**values):
    """A change that sets members of a JSON answer."""
    def change(status, headers, body):
        document = json.loads(body)
        document.update(values)
        return status, headers, json.dumps(document).encode()
    return change
