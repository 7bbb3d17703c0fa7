# SPDX-License-Identifier: Apache-2.0
"""http-01: tokens are answered before anything else, and nothing else is."""

import http.client

import pytest

from harness import tls

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
TEXT = TOKEN + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
PATH = "/.well-known/acme-challenge/"


def ask(site, path, method="GET", host="a.test", port=None):
    connection = http.client.HTTPConnection("127.0.0.1", port or site.plain, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer


def plain(site, body):
    return f"server {{ listen 127.0.0.1:{site.plain}; server_name a.test; {body} }}"


def test_a_token_is_answered_and_goes(site):
    site.start()
    assert ask(site, PATH + TOKEN)[0] == 200
    assert ask(site, PATH + TOKEN)[1] == "hello a.test"
    site.publisher.token(TOKEN, TEXT)
    status, body, answer = ask(site, PATH + TOKEN)
    assert (status, body) == (200, TEXT)
    assert answer.getheader("Content-Type") == "text/plain"
    assert int(answer.getheader("Content-Length")) == len(TEXT)
    status, body, answer = ask(site, PATH + TOKEN, "HEAD")
    assert (status, body) == (200, "") and int(answer.getheader("Content-Length")) == len(TEXT)
    assert ask(site, PATH + TOKEN + "?a=b")[1] == TEXT
    site.publisher.untoken(TOKEN)
    assert ask(site, PATH + TOKEN)[1] == "hello a.test"


@pytest.mark.parametrize("body", [
    "return 301 https://$host$request_uri;",
    "rewrite ^ https://other.test/ permanent;",
    "deny all;",
    "auth_basic closed; auth_basic_user_file /nonexistent;",
    "location /.well-known/ { return 404; }",
    "location / { return 200 mine; } if ($host) { return 403; }",
    "ssi on; gzip on; gzip_types text/plain; gzip_min_length 1; return 444;",
])
def test_before_rewrites_redirects_and_access_rules(site, body):
    site.publisher.token(TOKEN, TEXT)
    site.start(plain(site, body))
    assert ask(site, PATH + TOKEN)[:2] == (200, TEXT)
    assert ask(site, PATH + TOKEN, host="anybody.test")[:2] == (200, TEXT)
    try:
        assert ask(site, PATH + TOKEN + "x")[1] != TEXT
    except http.client.RemoteDisconnected:
        assert "444" in body


def test_over_tls_too(site):
    """A front that redirects everything brings the CA there."""
    leaf = site.pki.leaf("a.test")
    site.put("a.test", leaf)
    site.publisher.token(TOKEN, TEXT)
    site.start()
    assert tls.get(site.port, "a.test", PATH + TOKEN, site.pki.root)[:2] == (200, TEXT.encode())


@pytest.mark.parametrize("path", [
    PATH,
    PATH + TOKEN + "/",
    PATH + "x/" + TOKEN,
    PATH + "../" + TOKEN,
    PATH + "%2e%2e%2f" + TOKEN,
    "/.well-known/acme-challenge//" + TOKEN + "/..",
    PATH + TOKEN + "%00",
    PATH + TOKEN + "%20",
    PATH + TOKEN + "%",
    PATH + TOKEN[:-1],
    PATH + TOKEN.lower(),
    PATH + "a" * 257,
    PATH + "a" * 4000,
    PATH + "%ff%fe",
    PATH + "a.b",
    PATH + "segment.1",
    "/.well-known/acme-challenge" + TOKEN,
    "/.WELL-KNOWN/acme-challenge/" + TOKEN,
])
def test_what_is_no_token_is_none_of_our_business(site, path):
    site.publisher.token(TOKEN, TEXT)
    site.start()
    status, body, _ = ask(site, path)
    assert TEXT not in body and (status, body) in ((200, "hello a.test"), (400, body))
    assert "exited on signal" not in site.log()


def test_a_path_is_normal_before_it_is_compared(site):
    """What nginx itself would serve under that name."""
    site.publisher.token(TOKEN, TEXT)
    site.start()
    assert ask(site, "/x/.." + PATH + TOKEN)[1] == TEXT
    assert ask(site, "//.well-known///acme-challenge/" + TOKEN)[1] == TEXT


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods(site, method):
    site.publisher.token(TOKEN, TEXT)
    site.start()
    assert ask(site, PATH + TOKEN, method)[1] != TEXT


def test_a_certificate_s_name_is_no_token(site):
    site.put("localhost", site.pki.leaf("localhost"))
    site.start()
    assert ask(site, PATH + "localhost")[1] == "hello a.test"


def test_an_internal_redirect_is_not_answered(site):
    site.publisher.token(TOKEN, TEXT)
    site.start(plain(site, f"error_page 404 {PATH}{TOKEN}; location / {{ return 404; }}"
                           f"location {PATH} {{ return 200 mine; }}"))
    assert ask(site, "/other")[1] != TEXT


def test_without_a_segment(site):
    site.start()
    assert ask(site, PATH + TOKEN)[1] == "hello a.test"
    site.publisher.token(TOKEN, TEXT)
    assert ask(site, PATH + TOKEN)[1] == TEXT


def test_agent_off(site):
    site.publisher.token(TOKEN, TEXT)
    site.start(plain(site, "return 200 mine;"), agent="off")
    assert ask(site, PATH + TOKEN)[1] == "mine"


def test_tokens_outlive_agent_and_reload(site):
    site.publisher.token(TOKEN, TEXT)
    site.start()
    site.publisher.kill()
    assert ask(site, PATH + TOKEN)[1] == TEXT
    site.nginx.reload()
    assert ask(site, PATH + TOKEN)[1] == TEXT
