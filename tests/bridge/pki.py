# SPDX-License-Identifier: Apache-2.0
"""A small CA for the bridge's tests: one root, two intermediates, and leaves
whose serial numbers count up, so that of two certificates one can tell which
is newer."""

import datetime
import itertools
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from harness import folder as folders

# As in enum acme_segment_key.
TYPES = {"ecdsa:256": 1, "ecdsa:384": 2, "ecdsa:521": 3,
         "rsa:2048": 4, "rsa:3072": 5, "rsa:4096": 6}
CURVES = {"256": ec.SECP256R1, "384": ec.SECP384R1, "521": ec.SECP521R1}

_rsa_keys = []
_serials = itertools.count(1000)


def make_key(kind):
    """A new key; RSA keys come from a small pool, as they are slow to make."""
    name, _, size = kind.partition(":")
    if name == "ecdsa":
        return ec.generate_private_key(CURVES[size]())
    if len(_rsa_keys) < 4 or size != "2048":
        key = rsa.generate_private_key(65537, int(size))
        if size == "2048":
            _rsa_keys.append(key)
        return key
    _rsa_keys.append(_rsa_keys.pop(0))
    return _rsa_keys[-1]


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject, key, issuer, issuer_key, serial, extensions, days=30):
    now = datetime.datetime.utcnow()
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer) \
        .public_key(key.public_key()).serial_number(serial) \
        .not_valid_before(now - datetime.timedelta(hours=1)) \
        .not_valid_after(now + datetime.timedelta(days=days))
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(issuer_key, hashes.SHA256())


class Leaf:
    """A certificate with key and chain, as files of a test's folder."""

    def __init__(self, folder, kind, certificate, key, chain):
        self.kind, self.certificate, self.key, self.chain = kind, certificate, key, chain
        self.serial = certificate.serial_number
        base = os.path.join(folder, f"{self.serial}")
        der, none = serialization.Encoding.DER, serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        self.leaf_der = folders.write(base + ".leaf", certificate.public_bytes(der))
        self.key_der = folders.write(base + ".key", key.private_bytes(der, pkcs8, none))
        self.chain_der = [
            folders.write(os.path.join(folder, f"{c.serial_number}.chain"), c.public_bytes(der))
            for c in chain]
        pem = serialization.Encoding.PEM
        self.pem = folders.write(base + ".pem", b"".join(
            c.public_bytes(pem) for c in [certificate, *chain]))
        self.key_pem = folders.write(base + "-key.pem", key.private_bytes(pem, pkcs8, none))

    def words(self):
        """What the publisher is told."""
        return [str(TYPES[self.kind]), self.leaf_der, self.key_der, *self.chain_der]


class Pki:
    def __init__(self, folder):
        self.folder = folders.make(folder, 0o755)
        authority = [(x509.BasicConstraints(True, None), True)]
        root_key = make_key("ecdsa:256")
        root = _certificate(_name("root"), root_key, _name("root"), root_key, 1, authority)
        self.root = folders.write(os.path.join(folder, "root.pem"), root.public_bytes(
            serialization.Encoding.PEM), 0o644)
        self.intermediates = []
        for number in (2, 3):
            key = make_key("ecdsa:256")
            self.intermediates.append((key, _certificate(
                _name(f"intermediate {number}"), key, root.subject, root_key, number, authority)))

    def leaf(self, *names, kind="ecdsa:256", key=None, chain=True):
        """A new certificate. `key`: another one than the certificate's."""
        serial = next(_serials)
        own = make_key(kind)
        issuer_key, issuer = self.intermediates[serial % 2]
        extensions = [
            (x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)]
        made = _certificate(_name(names[0]), own, issuer.subject, issuer_key, serial, extensions)
        return Leaf(self.folder, kind, made, key or own, [issuer] if chain else [])

    def client(self, name="client"):
        """A client's certificate: (pem with chain, key)."""
        leaf = self.leaf(name)
        return leaf.pem, leaf.key_pem
