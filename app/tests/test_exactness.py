"""Every caller gets the value of its own increment, 1..N exactly once, whatever happens to a worker."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.load import Load, NotExactError
from lib.wait import wait_for

from tests.harness import UNTRACED, Service, Valkey, needs_valkey


def test_page_without_libatomic(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "lockf", COUNTER_WORKERS="2") as service:
        Load(service.port, clients=32).run(100).check_exact(first=1)


def test_two_services_on_one_page(tmp_path: Path) -> None:
    with Service(tmp_path, **UNTRACED) as one, Service(tmp_path, **UNTRACED) as two:
        got = Load(one.port, two.port, clients=32).run(100)
    got.check_exact(first=1)


@pytest.mark.parametrize("fault", ["no-atomic-step", "read-after-lock", "per-process"])
def test_planted_faults_are_found(tmp_path: Path, fault: str) -> None:
    # Two services on one page and not two workers: both are sure to get requests.
    with (
        Service(tmp_path, "tests.planted", fault, **UNTRACED) as one,
        Service(tmp_path, "tests.planted", fault, **UNTRACED) as two,
    ):
        got = Load(one.port, two.port, clients=32).run(100)
    assert got.statuses == {200: 3200}
    with pytest.raises(NotExactError):
        got.check_exact(first=1)


def test_only_get_counts(tmp_path: Path) -> None:
    with Service(tmp_path, **UNTRACED) as service:
        assert service.request("/").json["count"] == 1
        for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
            service.request("/", method)
        for path in ("/healthz", "/readyz", "/version", "/metrics", "/nothing", "//", "/%2F", "/./", "/healthz/"):
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


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("store", ["page", pytest.param("valkey", marks=needs_valkey)])
def test_killed_workers(tmp_path: Path, store: str, workers: int) -> None:
    with ExitStack() as stack:
        env = stack.enter_context(Valkey(tmp_path)).env if store == "valkey" else {}
        service = stack.enter_context(Service(tmp_path, COUNTER_WORKERS=str(workers), **env, **UNTRACED))
        with Load(service.port, clients=16).running() as load:
            wait_for("load", lambda: len(load.values) > 500)
            killed = time.monotonic()
            for worker in service.workers():
                os.kill(worker, signal.SIGKILL)
            wait_for("service back", lambda: service.try_get("/readyz"))
            back = time.monotonic() - killed
            before = len(load.values)
            wait_for("load on the new workers", lambda: len(load.values) > before + 500)
        last = service.request().json["count"]
        wait_for("as many workers as before", lambda: len(service.workers()) == workers)
    assert back < 1
    assert load.unanswered > 0, "the workers died outside the load"
    assert len(load.values) == len(set(load.values)), "a number was given twice"
    # One may be lost with the worker that had it; no more than one for each request that got no answer.
    assert len(load.values) < last <= len(load.values) + load.unanswered + 1


def test_killed_inside_the_increment(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "killed-inside", COUNTER_WORKERS="2", **UNTRACED) as service:
        got = Load(service.port, clients=16).run(50)
        wait_for("the worker was replaced", lambda: service.metrics()["counter_worker_starts_total"] == 3)
    assert got.unanswered > 0
    assert len(got.values) == len(set(got.values))
    # The answers of one turn of the loop are sent together: what was counted in the killed worker's last turn has none.
    assert 0 <= max(got.values) - len(got.values) <= got.unanswered
