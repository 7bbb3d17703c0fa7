# SPDX-License-Identifier: Apache-2.0
"""Directives: what is accepted, what is refused and in which words."""

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from harness import peers, tls

ACCEPTED = {
    "plain": "acme_certificate le;",
    "names": "acme_certificate le a.test b.test www.a.test;",
    "keys": "acme_certificate le a.test key=ecdsa:384,rsa:2048;",
    "key first": "acme_certificate le key=rsa a.test;",
    "wildcard": "acme_certificate le *.a.test;",
    "address": "acme_certificate le 127.0.0.1 ::1 [2001:DB8::1];",
    "issuer": "acme_certificate my-CA_2.test a.test;",
}

REFUSED = {
    "acme_certificate;": 'invalid number of arguments in "acme_certificate" directive',
    "acme_certificate le; acme_certificate le;": '"acme_certificate" directive is duplicate',
    "acme_certificate le key=dsa;": 'invalid key type "dsa", expected ecdsa[:256|384|521]',
    "acme_certificate le key=rsa:1024;": 'invalid key type "rsa:1024"',
    "acme_certificate le key=;": 'invalid key type ""',
    "acme_certificate le key=rsa,;": 'invalid key type ""',
    "acme_certificate le key=rsa key=ecdsa;": 'has duplicate "key"',
    "acme_certificate l/e;": 'invalid issuer name "l/e"',
    'acme_certificate "";': 'invalid issuer name ""',
    "acme_certificate le a..b;": 'invalid server name "a..b": has an empty label',
    "acme_certificate le a.test.;": 'invalid server name "a.test.": does not end with a label',
    "acme_certificate le www.a.*;": "has a character that no host name has",
    "acme_certificate le a*.test;": "has a character that no host name has",
    "acme_certificate le münchen.test;": "is not ASCII",
    "acme_certificate le -a.test;": "begins or ends with a hyphen",
    f"acme_certificate le {'a' * 64}.test;": "has a label longer than 63 bytes",
    f"acme_certificate le {'a.' * 127}test;": "is longer than 253 bytes",
    "acme_placeholder maybe;": 'it must be "on" or "off"',
    "acme_certificate le; ssl_certificate $acme_certificate; ssl_certificate_key x.pem;":
        "belong together",
}

AGENTS = {
    "": "invalid number of arguments",
    "unix:relative": 'path of the agent\'s socket "relative" is not absolute',
    "unix:/": "is not absolute",
    "unix:/" + "x" * 107: "has 108 bytes, at most 107 are possible",
    "on": 'invalid parameter "on" in "acme_agent", expected "unix:PATH", "off" or',
    "off off": 'invalid parameter "off" in "acme_agent"',
    "launch agent": 'path "agent" in "acme_agent" is not absolute',
    "launch /a b.ini": 'path "b.ini" in "acme_agent" is not absolute',
    "launch /a /b /c": 'invalid parameter "/c" in "acme_agent"',
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(site, body):
    accepted, said = site.make(site.server(body=body)).test()
    assert accepted, said
    assert "[warn]" not in said


@pytest.mark.parametrize("body", REFUSED)
def test_refused(site, body):
    accepted, said = site.make(site.server(body=body)).test()
    assert not accepted and REFUSED[body] in said, said
    if "belong together" not in said:
        assert f" in {site.nginx.conf}:" in said


@pytest.mark.parametrize("words", AGENTS)
def test_acme_agent_refused(site, words):
    nginx = site.make()
    nginx.set_conf(f"acme_agent {words};")
    accepted, said = nginx.test()
    assert not accepted and AGENTS[words] in said, said
    assert f" in {nginx.conf}:" in said


@pytest.mark.parametrize("words", ["unix:/run/x/y.sock", "off", "launch", "launch /a",
                                   "launch /a /b", "launch /a /b unix:/c/d", "launch unix:/c/d"])
def test_acme_agent_accepted(site, words):
    nginx = site.make()
    nginx.set_conf(f"acme_agent {words};")
    accepted, said = nginx.test()
    assert accepted, said


def test_duplicate_agent(site):
    nginx = site.make()
    nginx.set_conf("acme_agent off; acme_agent off;")
    assert '"acme_agent" directive is duplicate' in nginx.test()[1]


def declared(site):
    """What the master leaves for an agent that starts later."""
    folder = os.path.join(site.run, "declared")
    (name,) = os.listdir(folder)
    with open(os.path.join(folder, name)) as file:
        return json.load(file)["params"]["certificates"]


def test_identifiers_come_from_server_name(site):
    site.start(site.server("A.test .b.test a.test www.b.test 127.0.0.1 *.c.test"),
               site.server("~^x$ d.test"))
    first, second = declared(site)
    assert first == {"name": "a.test", "issuer": "le", "key": [], "identifiers": [
        "a.test", "www.b.test", "b.test", "127.0.0.1", "*.c.test"]}
    assert second["identifiers"] == ["d.test"]


def test_regular_expression_is_warned_about(site):
    said = site.make(site.server("~^x$ d.test")).test()[1]
    assert 'unsupported regular expression in server_name: "~^x$" in ' in said


@pytest.mark.parametrize("names", ['""', "~^x$"])
def test_no_identifiers(site, names):
    accepted, said = site.make(site.server(names)).test()
    assert not accepted and 'no identifiers found in "server_name" in ' in said


def test_wrong_server_name(site):
    accepted, said = site.make(site.server("www.a.*")).test()
    assert not accepted and '"acme_certificate": invalid server name "www.a.*": has' in said


def test_names_and_sharing(site):
    """Equal sets share one certificate; another set with the same first name
    has a name with a hash of issuer, identifiers and key types."""
    site.start(site.server("a.test"), site.server("x.test", "acme_certificate le a.test;"),
               site.server("y.test", "acme_certificate le a.test b.test key=rsa,ecdsa;"),
               site.server("z.test", "acme_certificate other a.test;"),
               site.server("l.test", f"acme_certificate le {'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60};"))
    found = declared(site)
    hashes = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in (
        "le\na.test,b.test\nrsa:2048,ecdsa:256", "other\na.test")]
    assert [c["name"] for c in found[:3]] == ["a.test", *[f"a.test~{h}" for h in hashes]]
    assert len(found) == 4 and len(found[3]["name"]) == 199
    leaves = {c["name"]: site.pki.leaf(*c["identifiers"]) for c in found}
    for name, leaf in leaves.items():
        site.put(name, leaf)
    served = [tls.handshake(site.port, n).serial for n in ("a.test", "x.test", "y.test", "z.test")]
    assert served == [leaves[name].serial for name in (
        "a.test", "a.test", f"a.test~{hashes[0]}", f"a.test~{hashes[1]}")]


def test_a_variable_without_a_certificate(site):
    """The usual mistake: the variables at http level, no acme_certificate."""
    site.start("ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key;",
               site.server("a.test", ""), site.server("b.test"))
    leaf = site.pki.leaf("b.test")
    site.put("b.test", leaf)
    assert tls.handshake(site.port, "b.test").serial == leaf.serial
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.handshake(site.port, "a.test")
    assert '"$acme_certificate" in a server without "acme_certificate"' in site.log()


def test_inherited_placeholder(site):
    site.start("acme_placeholder on;", site.server("a.test"),
               site.server("b.test", "acme_certificate le; acme_placeholder off;"))
    assert "placeholder" in tls.handshake(site.port, "a.test").issuer
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.handshake(site.port, "b.test")


def test_session_resumption_survives_a_reload(site):
    """The context of sessions does not depend on what is served."""
    site.put("a.test", site.pki.leaf("a.test"))
    site.start("ssl_session_cache shared:tls:1m; ssl_session_tickets off;", site.server())
    using = tls.context(site.pki.root, version="1.2")
    session = tls.handshake(site.port, "a.test", using=using).session
    site.put("a.test", site.pki.leaf("a.test"))
    site.nginx.reload()
    with socket.create_connection(("127.0.0.1", site.port)) as plain, using.wrap_socket(
            plain, server_hostname="a.test", session=session) as made:
        assert made.session_reused


def test_t_reads_nothing_that_is_not_there_and_parses_fast(site):
    """A thousand servers without a single certificate."""
    servers = [f"server {{ listen 127.0.0.1:{site.port} ssl; server_name n{n}.test;"
               " acme_certificate le; }" for n in range(1000)]
    nginx = site.make("server_names_hash_max_size 8192;", *servers)
    accepted, said = nginx.test()
    assert accepted, said


def test_the_module_is_not_for_static_builds():
    config = os.path.join(peers.TOP, "ngx-bridge", "config")
    result = subprocess.run(["sh", "-c", f'ngx_module_link=ADDON; . "{config}"'],
                            stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1 and "use --add-dynamic-module" in result.stderr


@pytest.mark.parametrize("level", ["http", "server"])
@pytest.mark.parametrize("first", [True, False])
def test_another_module_s_certificate_callback_is_named_and_replaced(site, level, first):
    nginx = site.make()
    other = shutil.copy(peers.tool("foreign_module.so"), site.folder)
    os.chmod(other, 0o755)
    line = "ssl_certificate_by_foreign;"
    body = "acme_certificate le;"
    http = site.http(line, site.server(body=body)) if level == "http" else site.http(
        site.server(body=line + body))
    load = f'load_module "{other}";'
    if first:
        nginx.module, ours = other, nginx.module
        load = f'load_module "{ours}";'
    nginx.set_conf(http, load)
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    assert 'takes the place of "ssl_certificate_by_foreign"' in nginx.test()[1]
    nginx.start()
    assert tls.handshake(site.port, "a.test", site.pki.root).serial == leaf.serial
    nginx.reload()
    assert tls.handshake(site.port, "a.test", site.pki.root).serial == leaf.serial
    assert site.log().count("takes the place of") == 3  # -t, start, reload
    # without us it works as before, and without it, so do we
    nginx.set_conf(f"server {{ listen 127.0.0.1:{site.plain}; }}")
    nginx.reload()
    nginx.set_conf(http, load)
    nginx.reload()
    assert tls.handshake(site.port, "a.test", site.pki.root).serial == leaf.serial
