"""What a rollout is waited for by, and what is said when it does not come."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.tests.unit.support import RunModule


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers 503 to the first requests and 200 to the others."""

    refused = 2

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(503 if type(self).refused > 0 else 200)
        type(self).refused -= 1
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Return an address whose first two answers are 503."""
    handler = type("Handler", (Answers,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    """Return the options of a cluster that is not there: `false` is a kubectl that never gets what it asks for."""
    return {
        "kubectl": "/bin/false",
        "kubeconfig": str(tmp_path / "kubeconfig"),
        "namespace": "counter",
        "workloads": [],
        "selector": "app=counter",
        "timeout": 5,
    }


def test_an_address_is_asked_until_it_answers(run_module: RunModule, arguments: dict[str, Any], url: str) -> None:
    assert run_module("rollout", arguments | {"url": url})["changed"] is False


def test_an_address_that_never_answers(run_module: RunModule, arguments: dict[str, Any]) -> None:
    started = time.monotonic()
    result = run_module("rollout", arguments | {"url": "http://127.0.0.1:1/", "timeout": 1})
    assert time.monotonic() - started < 5
    assert "\nhttp://127.0.0.1:1/: " in result["msg"]
    assert "Connection refused" in result["msg"]


def test_everything_that_did_not_come_is_named_in_order(
    run_module: RunModule, arguments: dict[str, Any], url: str
) -> None:
    wanted = {
        "workloads": ["statefulset/valkey", "deployment/counter"],
        "conditions": {"hpa/counter": "ScalingActive"},
        "url": url,
    }
    said = run_module("rollout", arguments | wanted)["msg"].splitlines()
    assert [line.split(": ")[0] for line in said if ": /bin/false" in line] == [
        "statefulset/valkey",
        "deployment/counter",
        "ScalingActive of hpa/counter",
    ]
    assert "Its events:" in said
    assert "Its last log lines:" in said


def test_check_mode_does_not_wait(run_module: RunModule, arguments: dict[str, Any]) -> None:
    started = time.monotonic()
    result = run_module("rollout", arguments | {"url": "http://127.0.0.1:1/", "timeout": 60}, check=True)
    assert time.monotonic() - started < 10
    assert "Connection refused" in result["msg"]


def test_a_kubectl_that_is_not_there(run_module: RunModule, arguments: dict[str, Any]) -> None:
    result = run_module("rollout", arguments | {"kubectl": "/nowhere/kubectl", "workloads": ["deployment/counter"]})
    assert "/nowhere/kubectl cannot be run: No such file or directory" in result["msg"]
