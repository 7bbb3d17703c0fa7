# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share."""

import os
import subprocess

import pytest

from harness import peers, scrub
from harness.fakeca import FakeCa
from harness.process import environment
from harness.stage import Stage


@pytest.fixture
def make(folder):
    """Makes a Stage (CA, nginx, agent, not started); ends it after the test,
    and fails when a secret lies about."""
    made = []

    def build(*args, **kwargs):
        made.append(Stage(folder, *args, **kwargs))
        return made[-1]
    yield build
    pids = [stage.agent.pid for stage in made if stage.agent.pid]
    lying_about = scrub.findings(folder, pids)
    for stage in made:
        stage.stop()
    assert not lying_about


@pytest.fixture
def agent_only(make):
    """Makes a Stage without nginx in use: the CA finds every answer right,
    so a certificate costs a few milliseconds. The CA runs already."""
    def build(ca=None, **kwargs):
        stage = make(ca={"always_valid": True, **(ca or {})}, **kwargs)
        stage.ca.start()
        return stage
    return build


@pytest.fixture
def faulty(agent_only):
    """(stage, fake): the agent talks to the CA through a fake one."""
    fakes = []

    def build(**kwargs):
        stage = agent_only(**kwargs)
        fake = FakeCa(stage.ca).start()
        fakes.append(fake)
        stage.agent.issuers[stage.ISSUER]["directory"] = fake.directory
        stage.agent.set_conf()
        return stage, fake
    yield build
    for fake in fakes:
        fake.stop()


@pytest.fixture
def compile_c(folder):
    """Compiles a text, or a file of this folder, into a shared library."""
    def build(source, target):
        if source.endswith(".c"):
            words, text = [os.path.join(os.path.dirname(__file__), source)], None
        else:
            words, text = ["-xc", "-"], source
        subprocess.run(["gcc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-O1", "-o", target,
                        *words, "-ldl"], input=text, text=True, check=True)
        return target
    del folder
    return build


@pytest.fixture
def fault_env(folder, compile_c):
    """Makes environments in which fault.c is loaded: fault_env(FAULT_KILL=...)."""
    library = compile_c("fault.c", os.path.join(folder, "fault.so"))
    first = peers.sanitizer_env(peers.agent()).get("LD_PRELOAD")
    preload = " ".join(path for path in (first, library) if path)
    return lambda **wanted: {**environment(), "LD_PRELOAD": preload, **wanted}
