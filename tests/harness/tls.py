# SPDX-License-Identifier: Apache-2.0
"""One handshake with a server on 127.0.0.1, and what it served."""

import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

CIPHERS = {"ecdsa": "ECDHE-ECDSA-AES128-GCM-SHA256", "rsa": "ECDHE-RSA-AES128-GCM-SHA256"}


class Served:
    """What a handshake brought: the chain as sent, and how."""

    def __init__(self, connection):
        sent = connection._sslobj.get_unverified_chain() or []
        self.chain = [x509.load_der_x509_certificate(
            ssl.PEM_cert_to_DER_cert(c.public_bytes())) for c in sent]
        self.leaf = self.chain[0]
        self.version = connection.version()
        self.alpn = connection.selected_alpn_protocol()
        self.resumed = connection.session_reused
        self.session = connection.session

    @property
    def serial(self):
        return self.leaf.serial_number

    @property
    def serial_text(self):
        """6f:0a:..."""
        return self.leaf.serial_number.to_bytes(
            (self.leaf.serial_number.bit_length() + 7) // 8, "big").hex(":")

    @property
    def names(self):
        return sorted(self.leaf.extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))

    @property
    def issuer(self):
        """CN of the leaf's issuer."""
        return self.leaf.issuer.rfc4514_string()

    @property
    def key(self):
        """As written in the configuration: "ecdsa:256", "rsa:2048"."""
        key = self.leaf.public_key()
        kind = "ecdsa" if isinstance(key, ec.EllipticCurvePublicKey) else "rsa"
        return f"{kind}:{key.key_size}"


def context(root=None, key=None, version=None, alpn=()):
    """A client's settings. `root` is a PEM file to verify against, None
    takes any certificate; `key` is "ecdsa" or "rsa" (then TLS 1.2)."""
    made = ssl.create_default_context(cafile=root) if root \
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not root:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if key:
        made.set_ciphers(CIPHERS[key])
        version = version or "1.2"
    if version:
        number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
        made.minimum_version = made.maximum_version = number
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def handshake(port, name, root=None, key=None, version=None, alpn=(), using=None,
              session=None, timeout=10):
    """A full handshake with SNI `name`; raises ssl.SSLError or OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain:
        settings = using or context(root, key, version, alpn)
        with settings.wrap_socket(plain, server_hostname=name, session=session) as tls:
            return Served(tls)


def get(port, name, path="/", root=None, using=None, timeout=10):
    """One HTTPS request over a new connection: (status, body, Served)."""
    settings = using or context(root)
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain, \
            settings.wrap_socket(plain, server_hostname=name) as tls:
        served = Served(tls)
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while data := tls.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body, served


def ready(port, name, root, **how):
    """Is a certificate served that verifies? A Served, or None."""
    try:
        return handshake(port, name, root, **how)
    except (ssl.SSLError, OSError):
        return None
