"""Every caller gets the value of its own increment, 1..N exactly once, whatever happens to a worker."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from lib.wait import wait_for

from tests.harness import UNTRACED, Load, NotExactError, Service, assert_exact, load


def test_page_without_libatomic(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "lockf", COUNTER_WORKERS="2") as service:
        assert_exact(load(service, 32, 100).values, 3200)


def test_two_services_on_one_page(tmp_path: Path) -> None:
    with Service(tmp_path, **UNTRACED) as one, Service(tmp_path, **UNTRACED) as two:
        got = load([one, two], 32, 100)
    assert_exact(got.values, 3200)


@pytest.mark.parametrize("fault", ["no-atomic-step", "read-after-lock", "per-process"])
def test_planted_faults_are_found(tmp_path: Path, fault: str) -> None:
    # Two services on one page and not two workers: both are sure to get requests.
    with (
        Service(tmp_path, "tests.planted", fault, **UNTRACED) as one,
        Service(tmp_path, "tests.planted", fault, **UNTRACED) as two,
    ):
        got = load([one, two], 32, 100)
    assert got.statuses == {200: 3200}
    with pytest.raises(NotExactError):
        assert_exact(got.values, 3200)


def test_only_get_counts(tmp_path: Path) -> None:
    with Service(tmp_path, **UNTRACED) as service:
        assert service.request("/").json["count"] == 1
        for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
            service.request("/", method)
        for path in (
            "/healthz",
            "/readyz",
            "/version",
            "/metrics",
            "/nothing",
            "//",
            "/%2F",
            "/./",
            "/healthz/",
        ):
            service.request(path)
            service.request(path, "HEAD")
        assert service.raw(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert service.request("/").json["count"] == 2
        assert service.request("/?query=counts").json["count"] == 3


def test_the_count_survives_a_restart(tmp_path: Path) -> None:
    with Service(tmp_path, **UNTRACED) as service:
        assert service.request().json["count"] == 1
        service.kill()
    with Service(tmp_path, **UNTRACED) as service:
        assert service.request().json["count"] == 2


def _load_aside(service: Service, clients: int, requests: int) -> tuple[threading.Thread, Load]:
    result = Load()

    def run() -> None:
        got = load(service, clients, requests)
        result.values, result.statuses, result.broken = got.values, got.statuses, got.broken

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_worker(tmp_path: Path, workers: int) -> None:
    with Service(tmp_path, COUNTER_WORKERS=str(workers), **UNTRACED) as service:
        thread, got = _load_aside(service, 16, 400)
        wait_for("load", lambda: service.metrics()['counter_request_duration_seconds_count{route="/"}'] > 500)
        victims = service.workers()
        killed = time.monotonic()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        wait_for("service back", lambda: service.try_get("/healthz"))
        back = time.monotonic() - killed
        thread.join()
        last = service.request().json["count"]
        wait_for("as many workers as before", lambda: len(service.workers()) == workers)
    assert back < 1
    assert got.broken > 0, "the workers died outside the load"
    assert len(got.values) == len(set(got.values)), "a value was given twice"
    # A value may be lost with the worker that had it; no more than one for each request that broke.
    assert len(got.values) < last <= len(got.values) + got.broken + 1


def test_killed_inside_the_increment(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "killed-inside", COUNTER_WORKERS="2", **UNTRACED) as service:
        got = load(service, 16, 50)
        wait_for("the worker was replaced", lambda: service.metrics()["counter_worker_starts_total"] == 3)
    assert got.broken > 0
    assert len(got.values) == len(set(got.values))
    # The answers of one turn of the loop are sent together: what was counted in the killed worker's last turn has none.
    assert 0 <= max(got.values) - len(got.values) <= got.broken
