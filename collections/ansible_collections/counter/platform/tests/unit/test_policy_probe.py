"""Which ports answer, and how long that is waited for, against real sockets.

What runs in a pod otherwise runs here: the kubectl of these tests starts what stands after ``--``. A port whose queue
is full drops what comes, as a policy does.
"""

import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.counter.platform.tests.unit.support import Module, RunModule


@pytest.fixture
def probe(tmp_path: Path, run_module: RunModule) -> Module:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    kubectl.chmod(0o755)
    return partial(
        run_module,
        "policy_probe",
        kubectl=str(kubectl),
        kubeconfig="/nowhere",
        namespace="policy-probe",
        client="deployment/client",
        service="127.0.0.1",
        wait_seconds=1,
    )


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def dropping() -> Iterator[socket.socket]:
    """Return a server that takes one connection, which it has, and drops the others."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as first:
        first.connect(server.getsockname())
        yield server


def port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def test_enforced(probe: Module, listening: socket.socket, dropping: socket.socket) -> None:
    started = time.monotonic()
    result = probe(admitted=port(listening), denied=port(dropping))
    assert (result["answered"], result["changed"]) == ([port(listening)], False)
    assert time.monotonic() - started < 2, "a timeout was waited for"


@pytest.mark.parametrize("check", [True, False])
def test_both_answer(probe: Module, listening: socket.socket, check: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [port(listening), port(other)]
        said = probe(admitted=ports[0], denied=ports[1], check=check)["msg"]
    assert said.endswith(f"these ports answered: {ports[0]}, {ports[1]}")


def test_none_answers(probe: Module, dropping: socket.socket) -> None:
    said = probe(admitted=1, denied=port(dropping))["msg"]
    assert said == "with a policy that admits port 1 alone, these ports answered: none"


def test_policy_that_acts_a_moment_later(probe: Module, listening: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        # Not by close: the module's process inherits the socket.
        threading.Timer(2, other.shutdown, [socket.SHUT_RDWR]).start()
        assert probe(admitted=port(listening), denied=port(other))["answered"] == [port(listening)]


def test_client_that_cannot_be_asked(probe: Module) -> None:
    said = probe(kubectl="/bin/false", admitted=1, denied=2)["msg"]
    assert "/bin/false --kubeconfig=/nowhere --namespace=policy-probe exec" in said
