"""What a rollout is waited for by, and what is said when it does not come."""

import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from ansible_collections.counter.platform.tests.unit.support import Module, RunModule
from lib.network import serving


class Answers(BaseHTTPRequestHandler):
    """Answers 503 to the first requests and 200 to the others."""

    refused = 2

    def do_GET(self) -> None:
        self.send_response(503 if type(self).refused > 0 else 200)
        type(self).refused -= 1
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    """Return an address whose first two answers are 503."""
    handler = type("Handler", (Answers,), {})
    with serving(handler) as address:
        yield f"http://{address}/"


@pytest.fixture
def wait(run_module: RunModule) -> Module:
    """Wait in a cluster that is not there: `false` is a kubectl that never gets what it asks for."""
    where = {"kubectl": "/bin/false", "kubeconfig": "/nowhere", "namespace": "counter", "selector": "app=counter"}
    return partial(run_module, "rollout", workloads=[], timeout=5, **where)


def test_an_address_is_asked_until_it_answers(wait: Module, url: str) -> None:
    assert wait(url=url)["changed"] is False


@pytest.mark.parametrize(("timeout", "check"), [(1, False), (60, True)], ids=["in its time", "in check mode at once"])
def test_an_address_that_never_answers(wait: Module, timeout: int, check: bool) -> None:
    started = time.monotonic()
    said = wait(url="http://127.0.0.1:1/", timeout=timeout, check=check)["msg"]
    assert time.monotonic() - started < 5
    assert "\nhttp://127.0.0.1:1/: " in said
    assert "Connection refused" in said


def test_port_that_stays_closed_when_all_else_came_is_told_from_a_service_that_is_not_ready(wait: Module) -> None:
    closed, sound = "http://127.0.0.1:1/", {"kubectl": "/bin/true", "workloads": ["deployment/counter"]}
    started = time.monotonic()
    assert wait(url=closed, timeout=60, **sound)["refused"]
    assert 10 < time.monotonic() - started < 20
    assert not wait(url=closed, timeout=1, workloads=["deployment/counter"])["refused"]


def test_an_address_is_asked_when_all_else_has_come(wait: Module, url: str) -> None:
    said = wait(url=url, workloads=["deployment/counter"])["msg"]
    assert url not in said
    assert "/bin/false" in said


def test_everything_that_did_not_come_is_named_in_order(wait: Module, url: str) -> None:
    workloads = ["statefulset/valkey", "deployment/counter"]
    said = wait(workloads=workloads, conditions={"hpa/counter": "ScalingActive"}, url=url)["msg"].splitlines()
    named = [line.split(": ")[0] for line in said if ": /bin/false" in line]
    assert named == [*workloads, "ScalingActive of hpa/counter"]
    assert "Its events:" in said
    assert "Its last log lines:" in said


def test_a_kubectl_that_is_not_there(wait: Module) -> None:
    said = wait(kubectl="/nowhere/kubectl", workloads=["deployment/counter"])["msg"]
    assert "/nowhere/kubectl cannot be run: No such file or directory" in said
