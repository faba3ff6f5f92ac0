"""Which ports answer, and how long that is waited for, against real sockets.

What runs in a pod otherwise runs here: the kubectl of these tests starts what stands after ``--``. A port whose queue
is full drops what comes, as a policy does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.tests.unit.support import RunModule


@pytest.fixture
def kubectl(tmp_path: Path) -> str:
    """Return a command that runs what kubectl would run in a pod."""
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    program.chmod(0o755)
    return str(program)


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


def arguments(kubectl: str, admitted: int, denied: int) -> dict[str, Any]:
    """Return the options of a probe."""
    return {
        "kubectl": kubectl,
        "kubeconfig": "/nowhere",
        "namespace": "policy-probe",
        "client": "deployment/client",
        "service": "127.0.0.1",
        "admitted": admitted,
        "denied": denied,
        "wait_seconds": 1,
    }


def port(server: socket.socket) -> int:
    """Return the port that a server listens at."""
    return int(server.getsockname()[1])


def test_enforced(run_module: RunModule, kubectl: str, listening: socket.socket, dropping: socket.socket) -> None:
    started = time.monotonic()
    result = run_module("policy_probe", arguments(kubectl, port(listening), port(dropping)))
    assert result["answered"] == [port(listening)]
    assert not result["changed"]
    assert time.monotonic() - started < 2, "a timeout was waited for"


@pytest.mark.parametrize("check", [True, False])
def test_both_answer(run_module: RunModule, kubectl: str, listening: socket.socket, check: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [port(listening), port(other)]
        result = run_module("policy_probe", arguments(kubectl, *ports), check=check)
    assert result["failed"]
    assert result["msg"].endswith(f"these ports answered: {ports[0]}, {ports[1]}")


def test_none_answers(run_module: RunModule, kubectl: str, dropping: socket.socket) -> None:
    result = run_module("policy_probe", arguments(kubectl, 1, port(dropping)))
    assert result["msg"] == "with a policy that admits port 1 alone, these ports answered: none"


def test_policy_that_acts_a_moment_later(run_module: RunModule, kubectl: str, listening: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = arguments(kubectl, port(listening), port(other))
        # Not by close: the module's process inherits the socket.
        threading.Timer(2, other.shutdown, [socket.SHUT_RDWR]).start()
        assert run_module("policy_probe", asked)["answered"] == [port(listening)]


def test_client_that_cannot_be_asked(run_module: RunModule) -> None:
    result = run_module("policy_probe", arguments("/bin/false", 1, 2))
    assert "/bin/false --kubeconfig=/nowhere --namespace=policy-probe exec" in result["msg"]
