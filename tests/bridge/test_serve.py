# SPDX-License-Identifier: Apache-2.0
"""The certificate callback: what a handshake is served."""

import os
import socket
import ssl
import time

import pytest
from cryptography import x509

from harness import ports, tls

from pki import make_key

VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


def serial(site, name="a.test", **options):
    return tls.handshake(site.port, name, site.pki.root, **options).serial


@VERSIONS
def test_a_new_certificate_is_served_by_the_next_handshake(site, version):
    first, second = site.pki.leaf("a.test"), site.pki.leaf("a.test")
    site.put("a.test", first)
    site.start()
    assert [serial(site, version=version) for _ in range(3)] == [first.serial] * 3
    workers = site.nginx.workers()
    site.put("a.test", second)
    assert [serial(site, version=version) for _ in range(3)] == [second.serial] * 3
    assert site.nginx.workers() == workers


def test_chain_is_sent_as_published(site):
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    site.start()
    assert tls.handshake(site.port, "a.test").chain == [leaf.certificate, *leaf.chain]


@VERSIONS
def test_rsa_to_ecdsa(site, version):
    rsa, ecdsa = site.pki.leaf("a.test", kind="rsa:2048"), site.pki.leaf("a.test")
    site.put("a.test", rsa)
    site.start()
    assert serial(site, version=version) == rsa.serial
    site.put("a.test", ecdsa)
    assert serial(site, version=version) == ecdsa.serial
    assert serial(site, key="ecdsa") == ecdsa.serial
    with pytest.raises(ssl.SSLError):
        serial(site, key="rsa")


def test_ecdsa_withdrawn(site):
    rsa, ecdsa = site.pki.leaf("a.test", kind="rsa:2048"), site.pki.leaf("a.test")
    site.put("a.test", ecdsa, rsa)
    site.start()
    assert serial(site, key="ecdsa") == ecdsa.serial
    assert serial(site, key="rsa") == rsa.serial
    site.put("a.test", rsa)
    for _ in range(3):
        with pytest.raises(ssl.SSLError):
            serial(site, key="ecdsa")
        assert serial(site, key="rsa") == rsa.serial
        assert serial(site, version="1.3") == rsa.serial
    again = site.pki.leaf("a.test")
    site.put("a.test", again, rsa)
    assert serial(site, key="ecdsa") == again.serial
    assert serial(site, key="rsa") == rsa.serial


def test_both_types_with_one_replaced(site):
    rsa, ecdsa = site.pki.leaf("a.test", kind="rsa:2048"), site.pki.leaf("a.test")
    site.put("a.test", ecdsa, rsa)
    site.start()
    assert (serial(site, key="ecdsa"), serial(site, key="rsa")) == (ecdsa.serial, rsa.serial)
    for kind in ("ecdsa:256", "rsa:2048", "ecdsa:384"):
        fresh = site.pki.leaf("a.test", kind=kind)
        if kind == "rsa:2048":
            rsa = fresh
        else:
            ecdsa = fresh
        site.put("a.test", ecdsa, rsa)
        for _ in range(2):
            assert serial(site, key="rsa") == rsa.serial
            assert serial(site, key="ecdsa") == ecdsa.serial


def test_of_two_certificates_of_one_type_the_first_is_served(site):
    first, second = site.pki.leaf("a.test", kind="ecdsa:384"), site.pki.leaf("a.test")
    site.put("a.test", first, second)
    site.start()
    assert serial(site) == first.serial


@pytest.mark.parametrize("where", ["first", "last", "http"])
@pytest.mark.parametrize("kind", ["ecdsa:256", "rsa:2048"])
def test_a_static_certificate_serves_until_the_first_arrives(site, where, kind):
    static = site.pki.leaf("a.test", kind=kind)
    lines = [f"ssl_certificate {static.pem}; ssl_certificate_key {static.key_pem};",
             "acme_certificate le;"]
    if where == "last":
        lines.reverse()
    if where == "http":
        site.start(lines[0], site.server(body=lines[1]))
    else:
        site.start(site.server(body="\n".join(lines)))
    assert [serial(site) for _ in range(3)] == [static.serial] * 3
    for _ in range(2):
        fresh = site.pki.leaf("a.test")
        site.put("a.test", fresh)
        assert [serial(site) for _ in range(3)] == [fresh.serial] * 3
        assert serial(site, version="1.2") == fresh.serial


@pytest.mark.parametrize("level", ["server", "http"])
@pytest.mark.parametrize("form", ["$acme_certificate{}", "data:$acme_certificate{}",
                                  "${{acme_certificate{}}}"])
def test_variables_as_in_configurations_of_nginx_acme(site, level, form):
    lines = (f"ssl_certificate {form.format('')};\n"
             f"ssl_certificate_key {form.format('_key')};\n")
    leaf = site.pki.leaf("a.test")
    if level == "http":
        site.start(lines, site.server())
    else:
        site.start(site.server(body=lines + "acme_certificate le;"))
    with pytest.raises(ssl.SSLError):
        serial(site)
    site.put("a.test", leaf)
    assert [serial(site) for _ in range(3)] == [leaf.serial] * 3
    assert "cannot load certificate" not in site.log()


def test_variable_beside_a_static_certificate(site):
    static, leaf = site.pki.leaf("a.test"), site.pki.leaf("a.test")
    site.start(site.server(body=f"""
        ssl_certificate {static.pem}; ssl_certificate_key {static.key_pem};
        ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key;
        acme_certificate le;"""))
    assert serial(site) == static.serial
    site.put("a.test", leaf)
    assert serial(site) == leaf.serial


def test_a_certificate_by_another_variable_serves_until_the_first_arrives(site):
    static, leaf = site.pki.leaf("a.test"), site.pki.leaf("a.test")
    os.rename(static.pem, os.path.join(site.pki.folder, "a.test.pem"))
    os.rename(static.key_pem, os.path.join(site.pki.folder, "a.test-key.pem"))
    for name in ("a.test.pem", "a.test-key.pem"):
        os.chmod(os.path.join(site.pki.folder, name), 0o644)
    base = site.pki.folder
    site.start(site.server(body=f"""
        ssl_certificate {base}/$ssl_server_name.pem;
        ssl_certificate_key {base}/$ssl_server_name-key.pem;
        acme_certificate le;"""))
    assert serial(site) == static.serial
    site.put("a.test", leaf)
    assert [serial(site) for _ in range(2)] == [leaf.serial] * 2


def test_without_a_certificate_handshakes_are_rejected_and_it_says_so_once(site):
    site.start()
    for _ in range(3):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            serial(site)
    assert site.log().count('acme certificate "a.test" was not published yet') == 1
    assert "[crit]" not in site.log() and "[alert]" not in site.log()
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    assert serial(site) == leaf.serial


@VERSIONS
def test_placeholder_until_the_first_certificate(site, version):
    site.start(site.server(body="acme_certificate le; acme_placeholder on;"))
    seen = [tls.handshake(site.port, "a.test", version=version) for _ in range(2)]
    assert "placeholder" in seen[0].issuer and seen[0].leaf == seen[1].leaf
    leaf = site.pki.leaf("a.test", kind="rsa:2048")
    site.put("a.test", leaf)
    assert serial(site, version=version) == leaf.serial
    with pytest.raises(ssl.SSLError):
        tls.handshake(site.port, "a.test", key="ecdsa")


def test_client_certificates(site):
    client, key = site.pki.client()
    site.start(site.server(body=f"""acme_certificate le;
        ssl_client_certificate {site.pki.root}; ssl_verify_client on; ssl_verify_depth 3;
        add_header X-Client $ssl_client_verify;"""))
    for _ in range(2):
        leaf = site.pki.leaf("a.test")
        site.put("a.test", leaf)
        for version in ("1.2", "1.3"):
            using = tls.context(site.pki.root, version=version)
            using.load_cert_chain(client, key)
            assert serial(site, using=using) == leaf.serial
        status, _, served = tls.get(site.port, "a.test", root=site.pki.root)
        assert status == 400 and served.serial == leaf.serial


@VERSIONS
def test_http2(site, version):
    site.start(site.server(listen="http2"))
    for _ in range(2):
        leaf = site.pki.leaf("a.test")
        site.put("a.test", leaf)
        served = tls.handshake(site.port, "a.test", site.pki.root, version=version,
                               alpn=["h2", "http/1.1"])
        assert (served.alpn, served.serial) == ("h2", leaf.serial)


@VERSIONS
def test_a_neighbour_with_ssl_reject_handshake(site, version):
    site.start(f"server {{ listen 127.0.0.1:{site.port} ssl default_server;"
               " ssl_reject_handshake on; }", site.server())
    for _ in range(2):
        leaf = site.pki.leaf("a.test")
        site.put("a.test", leaf)
        assert serial(site, version=version) == leaf.serial
        with pytest.raises(ssl.SSLError):
            serial(site, name="b.test", version=version)


def test_two_servers_have_their_own_and_the_default_serves_strangers(site):
    one, two = site.pki.leaf("a.test"), site.pki.leaf("b.test")
    site.start(site.server("a.test"), site.server("b.test"))
    site.put("a.test", one)
    site.put("b.test", two)
    for _ in range(2):
        assert serial(site, "a.test") == one.serial
        assert serial(site, "b.test") == two.serial
        assert tls.handshake(site.port, "c.test").serial == one.serial
    one = site.pki.leaf("a.test")
    site.put("a.test", one)
    assert serial(site, "b.test") == two.serial
    assert serial(site, "a.test") == one.serial


def test_two_listeners_share_a_server(site):
    other = ports.free()
    site.start(site.server(body=f"listen 127.0.0.1:{other} ssl; acme_certificate le;"))
    for _ in range(2):
        leaf = site.pki.leaf("a.test")
        site.put("a.test", leaf)
        assert serial(site) == leaf.serial
        assert tls.handshake(other, "a.test", site.pki.root).serial == leaf.serial


def test_stranger_to_the_ssl_module_stays_as_it_is(site):
    """A server without acme_certificate is not touched."""
    static, leaf = site.pki.leaf("s.test"), site.pki.leaf("a.test")
    site.start(site.server("s.test", f"""
        ssl_certificate {static.pem}; ssl_certificate_key {static.key_pem};"""), site.server())
    site.put("a.test", leaf)
    assert serial(site, "s.test") == static.serial
    assert serial(site) == leaf.serial


class Slow:
    """A handshake by hand: what we send and when is up to the test."""

    def __init__(self, site, name="a.test", version=None):
        self.plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.context(site.pki.root, version=version).wrap_bio(
            self.incoming, self.outgoing, server_hostname=name)
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.hello = self.outgoing.read()

    def send(self, part):
        self.plain.sendall(part)

    def finish(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.plain.sendall(self.outgoing.read())
                data = self.plain.recv(65536)
                assert data, "closed in the handshake"
                self.incoming.write(data)
        found = x509.load_der_x509_certificate(self.tls.getpeercert(True))
        self.plain.close()
        return found.serial_number


@VERSIONS
@pytest.mark.parametrize("swaps", [1, 2, 3])
def test_swap_in_the_middle_of_a_client_hello(site, version, swaps):
    """The SSL was made, with the old certificate, when the connection came."""
    site.put("a.test", site.pki.leaf("a.test"))
    site.start()
    serial(site)
    for cut in (1, 5, 60):
        slow = Slow(site, version=version)
        slow.send(slow.hello[:cut])
        time.sleep(0.05)
        for number in range(swaps):
            leaf = site.pki.leaf("a.test")
            site.put("a.test", leaf)
            if number % 2 == 0:
                assert serial(site, version=version) == leaf.serial
        slow.send(slow.hello[cut:])
        assert slow.finish() == leaf.serial
        assert serial(site, version=version) == leaf.serial


def test_client_hello_begun_before_the_first_certificate(site):
    site.start()
    slow = Slow(site)
    slow.send(slow.hello[:10])
    time.sleep(0.05)
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    slow.send(slow.hello[10:])
    assert slow.finish() == leaf.serial


@pytest.mark.parametrize("version, cache", [
    ("1.2", "shared:tls:1m"), ("1.2", "off"), ("1.3", "off")])
def test_resumption_across_a_swap(site, version, cache):
    """By session id or ticket: a session stays good, a full handshake after
    it brings the new certificate."""
    tickets = "off" if cache != "off" else "on"
    site.start(site.server(body=f"""acme_certificate le;
        ssl_session_cache {cache}; ssl_session_tickets {tickets};"""))
    first, second = site.pki.leaf("a.test"), site.pki.leaf("a.test")
    site.put("a.test", first)
    using = tls.context(site.pki.root, version=version)

    def connect(session=None):
        plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
        with using.wrap_socket(plain, server_hostname="a.test", session=session) as made:
            made.sendall(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
            while made.recv(65536):
                pass
            return made.session, made.session_reused
    session, reused = connect()
    assert not reused
    assert connect(session)[1]
    site.put("a.test", second)
    assert serial(site, version=version) == second.serial
    assert connect(session)[1]
    session, reused = connect()
    assert not reused and connect(session)[1]


@pytest.mark.parametrize("static", [False, True])
def test_a_certificate_whose_key_does_not_fit_changes_nothing(site, static):
    body = "acme_certificate le;"
    good = site.pki.leaf("a.test")
    if static:
        body += f"ssl_certificate {good.pem}; ssl_certificate_key {good.key_pem};"
    site.start(site.server(body=body))
    if not static:
        site.put("a.test", good)
        assert serial(site) == good.serial
    for kind in ("ecdsa:256", "rsa:2048"):
        site.put("a.test", site.pki.leaf("a.test", kind=kind, key=make_key(kind)))
        assert [serial(site) for _ in range(3)] == [good.serial] * 3
    assert site.log().count("key that does not belong to the certificate") == 2
    fresh = site.pki.leaf("a.test")
    site.put("a.test", fresh)
    assert serial(site) == fresh.serial


def test_of_two_types_none_is_taken_when_one_is_bad(site):
    rsa, ecdsa = site.pki.leaf("a.test", kind="rsa:2048"), site.pki.leaf("a.test")
    site.put("a.test", ecdsa, rsa)
    site.start()
    serial(site)
    site.put("a.test", site.pki.leaf("a.test"),
             site.pki.leaf("a.test", kind="rsa:2048", key=make_key("rsa:2048")))
    assert (serial(site, key="ecdsa"), serial(site, key="rsa")) == (ecdsa.serial, rsa.serial)


def test_a_withdrawn_certificate_is_served_on(site):
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    site.start()
    assert serial(site) == leaf.serial
    site.remove("a.test")
    assert [serial(site) for _ in range(2)] == [leaf.serial] * 2


def test_without_intermediates(site):
    leaf = site.pki.leaf("a.test", chain=False)
    site.put("a.test", leaf)
    site.start()
    assert tls.handshake(site.port, "a.test").chain == [leaf.certificate]


def test_large_certificate(site):
    """More than fits a small buffer."""
    names = [f"name-{n}-{'x' * 50}.a.test" for n in range(400)]
    leaf = site.pki.leaf("a.test", *names, kind="rsa:4096")
    site.put("a.test", leaf)
    site.start()
    assert serial(site) == leaf.serial
