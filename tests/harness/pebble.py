# SPDX-License-Identifier: Apache-2.0
"""Pebble, a CA for tests, on 127.0.0.1, with a DNS server that answers
127.0.0.1 for every name:

    with Pebble(folder, http_port=port) as ca:
        ca.directory, ca.ca_file     what an [issuer] needs
        ca.root()                    PEM of the root that its certificates end at

It forgets all accounts, orders and its root when it ends; restart() keeps
its ports. http_port is where its validators look for HTTP-01 tokens."""

import datetime
import ipaddress
import json
import os
import ssl
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import folder as folders
from . import peers, ports
from .process import Program, environment


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject, key, issuer, issuer_key, extensions):
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder()
               .subject_name(common_name(subject)).issuer_name(common_name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(hours=1))
               .not_valid_after(now + datetime.timedelta(days=30)))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_ca(folder):
    """Writes ca.pem, and server.pem and server.key for localhost."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate("Test CA of the ACME server", ca_key, "Test CA of the ACME server",
                      ca_key, [(x509.BasicConstraints(True, None), True)])
    names = x509.SubjectAlternativeName([
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1"))])
    leaf = _certificate("localhost", key, "Test CA of the ACME server", ca_key,
                        [(names, False), (x509.BasicConstraints(False, None), True)])
    folders.write(os.path.join(folder, "ca.pem"), pem(ca), 0o644)
    folders.write(os.path.join(folder, "server.pem"), pem(leaf), 0o644)
    folders.write(os.path.join(folder, "server.key"), key_pem(key), 0o600)


class Pebble:
    """The CA. All knobs are arguments; change an attribute and restart() to
    turn one later."""

    def __init__(self, folder, http_port, tls_port=1, name="pebble",
                 nonce_reject=0, sleep=None, validity=90 * 86400, chain_length=1,
                 alternate_roots=0, always_valid=False, reuse_authz=0, blocklist=(),
                 eab=None):
        self.home = folders.make(os.path.join(folder, name), 0o755)
        self.http_port, self.tls_port = http_port, tls_port
        self.nonce_reject = nonce_reject        # percent
        self.sleep = sleep                      # seconds before a validation, at most
        self.validity = validity                # seconds
        self.chain_length = chain_length        # intermediates
        self.alternate_roots = alternate_roots
        self.always_valid = always_valid        # no validation traffic at all
        self.reuse_authz = reuse_authz          # percent
        self.blocklist = blocklist              # domains
        self.eab = eab                          # {kid: base64url}
        self.port, self.management = ports.free(), ports.free()
        self.dns = ports.free_udp_and_tcp()
        self.challtestsrv_port = ports.free()
        self.log = os.path.join(self.home, "pebble.log")
        self.ca_file = os.path.join(self.home, "ca.pem")
        self.directory = f"https://127.0.0.1:{self.port}/dir"
        private_ca(self.home)
        self._programs = []

    def _conf(self):
        path = os.path.join(self.home, "pebble.json")
        folders.write(path, json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": os.path.join(self.home, "server.pem"),
            "privateKey": os.path.join(self.home, "server.key"),
            "httpPort": self.http_port, "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(self.eab),
            "externalAccountMACKeys": self.eab or {},
            "domainBlocklist": list(self.blocklist),
            "certificateValidityPeriod": self.validity}}))
        return path

    def _env(self):
        env = environment(PEBBLE_WFE_NONCEREJECT=str(self.nonce_reject),
                          PEBBLE_AUTHZREUSE=str(self.reuse_authz),
                          PEBBLE_CHAIN_LENGTH=str(self.chain_length),
                          PEBBLE_ALTERNATE_ROOTS=str(self.alternate_roots))
        if self.always_valid:
            env["PEBBLE_VA_ALWAYS_VALID"] = "1"
        if self.sleep is None:
            env["PEBBLE_VA_NOSLEEP"] = "1"
        else:
            env["PEBBLE_VA_SLEEPTIME"] = str(self.sleep)
        return env

    def start(self):
        dns = Program(
            [peers.challtestsrv(), "-http01", "", "-https01", "", "-tlsalpn01", "",
             "-dns01", f"127.0.0.1:{self.dns}", "-defaultIPv4", "127.0.0.1",
             "-defaultIPv6", "", "-management", f"127.0.0.1:{self.challtestsrv_port}"],
            os.path.join(self.home, "challtestsrv.log"))
        self._programs = [dns]
        dns.wait_for(lambda: ports.answers(self.challtestsrv_port), what="DNS server")
        pebble = Program(
            [peers.pebble(), "-config", self._conf(),
             "-dnsserver", f"127.0.0.1:{self.dns}"],
            self.log, env=self._env())
        self._programs.insert(0, pebble)
        pebble.wait_for(lambda: ports.answers(self.port)
                        and ports.answers(self.management), what="Pebble")
        return self

    def stop(self):
        while self._programs:
            self._programs.pop(0).stop()

    def restart(self):
        """Begins anew on the same ports: it has forgotten everything."""
        self.stop()
        return self.start()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def manage(self, path):
        """GET from the management interface: /roots/0, /intermediates/0,
        /cert-status-by-serial/HEX."""
        context = ssl.create_default_context(cafile=self.ca_file)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        url = f"https://127.0.0.1:{self.management}{path}"
        with opener.open(url, timeout=10) as answer:
            return answer.read().decode()

    def root(self):
        return self.manage("/roots/0")

    def write_root(self):
        """Puts the root into a file; returns its path."""
        return folders.write(os.path.join(self.home, "root.pem"), self.root(), 0o644)

    def status(self, serial):
        """What the CA thinks of a certificate: "Valid" or "Revoked"."""
        digits = f"{serial:x}"
        return json.loads(self.manage(f"/cert-status-by-serial/{digits}"))["Status"]

    def set_dns(self, path, **what):
        """POST to the DNS server, e.g. set_dns("/set-servfail", host="x.test.")."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.challtestsrv_port}{path}", json.dumps(what).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=10).close()

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def requests(self, path):
        """How many POSTs its log shows for a path, e.g. "/order-plz"."""
        return self.text().count(f"POST {path} ")
