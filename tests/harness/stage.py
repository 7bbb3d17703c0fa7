# SPDX-License-Identifier: Apache-2.0
"""The whole path at once: a CA, nginx with the bridge, and the agent, wired
together in one folder. Each part is started by itself, so that a test or the
demo decides what comes first:

    with Stage(folder, sites=[["www.a.test", "a.test"]]) as stage:
        stage.ca.start()
        stage.nginx.start()
        stage.agent.start()
"""

from . import ports
from .agent import Agent
from .nginx import Nginx
from .pebble import Pebble

HTTP = """\
    server {{
        listen 127.0.0.1:{http};
        server_name _;
        return 301 https://$host$request_uri;
    }}
"""

SITE = """\
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name {names};
        acme_certificate {issuer}{more};
        location / {{ return 200 "{first}\\n"; }}
    }}
"""


class Stage:
    """`sites` are lists of names, one server block each. `declare` tells
    nginx.conf to ask for the certificates (acme_certificate); what `agent`
    holds goes to Agent, `ca` to Pebble, `nginx` to Nginx."""

    ISSUER = "pebble"

    def __init__(self, folder, sites=(), ca=None, agent=None, nginx=None, issuer=None):
        self.folder = folder
        self.http_port, self.tls_port = ports.free(), ports.free()
        self.sites = [list(names) for names in sites]
        self.ca = Pebble(folder, http_port=self.http_port, **(ca or {}))
        wanted = dict(agent or {})
        issuers = {self.ISSUER: self.issuer(**(issuer or {})), **wanted.pop("issuers", {})}
        self.agent = Agent(folder, issuers=issuers, **wanted)
        self.nginx = Nginx(folder, **{"http": self.http(), **(nginx or {})})

    def issuer(self, **more):
        """The [issuer] section for this CA."""
        return {"directory": self.ca.directory, "ca_file": self.ca.ca_file,
                "contact": "admin@example.com", "accept_terms": "yes",
                "challenge": "http-01", **more}

    def http(self, sites=None, more=""):
        """What stands in nginx's http block; `more` follows the issuer in
        each acme_certificate line, e.g. " key=rsa:2048"."""
        text = f"    acme_agent unix:{self.agent.socket};\n" + HTTP.format(http=self.http_port)
        for names in self.sites if sites is None else sites:
            text += SITE.format(tls=self.tls_port, names=" ".join(names), first=names[0],
                                issuer=self.ISSUER, more=more)
        return text

    def start(self):
        self.ca.start()
        self.nginx.start()
        self.agent.start().wait_socket()
        return self

    def stop(self):
        for part in (self.nginx, self.agent, self.ca):
            part.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
