# SPDX-License-Identifier: Apache-2.0
"""Certificates that a good agent must not take: a CA of our own that signs
whatever a test wants."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from .pebble import common_name, pem


class Forger:
    """Signs chains of leaf and issuer."""

    def __init__(self, name="Forger"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self.issuer = self._sign(self.key.public_key(), name, [], -3600, 86400 * 365, True)

    def _sign(self, public_key, subject, names, start, end, ca):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(common_name(subject))
                   .issuer_name(common_name(self.name)).public_key(public_key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(seconds=start))
                   .not_valid_after(now + datetime.timedelta(seconds=end))
                   .add_extension(x509.BasicConstraints(ca, None), True))
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(self.key, hashes.SHA256())

    def chain(self, names, public_key=None, start=-3600, end=86400 * 90, issuer=None):
        """PEM: a leaf for these names, then `issuer` (default: ours)."""
        key = public_key or ec.generate_private_key(ec.SECP256R1()).public_key()
        leaf = self._sign(key, names[0], names, start, end, False)
        return (pem(leaf) + pem(issuer or self.issuer)).encode()


def names_of(csr):
    return csr.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
