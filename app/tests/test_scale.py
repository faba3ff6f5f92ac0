"""Exactness and bounded memory; for `soak`, over as many requests as it takes to see a rare fault."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.load import Load
from lib.wait import wait_for

from tests.harness import UNTRACED, Service, Valkey, needs_valkey, open_files, resident

CLIENTS = 64
sizes = pytest.mark.parametrize("requests", [100, pytest.param(2000, marks=pytest.mark.soak)])


def _check(got: Load, requests: int) -> None:
    assert got.statuses == {200: CLIENTS * requests}
    got.check_exact(first=1)


@sizes
@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.soak), "4"])
def test_page(tmp_path: Path, workers: str, requests: int) -> None:
    with Service(tmp_path, COUNTER_WORKERS=workers, **UNTRACED) as service:
        _check(Load(service.port, clients=CLIENTS).run(requests), requests)


@needs_valkey
@sizes
@pytest.mark.parametrize(("pods", "workers"), [pytest.param(1, "1", marks=pytest.mark.soak), (1, "4"), (3, "1")])
def test_valkey(tmp_path: Path, pods: int, workers: str, requests: int) -> None:
    # On a busy machine the store can be late, and the service then answers 503, as it should.
    for _ in range(3):
        with Valkey(tmp_path) as store, ExitStack() as stack:
            services = [Service(tmp_path, COUNTER_WORKERS=workers, **store.env, **UNTRACED) for _ in range(pods)]
            ports = [stack.enter_context(service).port for service in services]
            got = Load(*ports, clients=CLIENTS).run(requests)
        assert len(got.values) == len(set(got.values))
        if 503 not in got.statuses:
            break
    _check(got, requests)


def _files(service: Service, runtime: Path) -> dict[str, list[str] | int]:
    """What the workers have open, apart from sockets, and what the service keeps in memory file systems."""
    links = (str(link.readlink()) for pid in service.workers() for link in open_files(pid))
    names = sorted("socket" if name.startswith("socket:") else name for name in links)
    return {"open": names, "runtime": len(list(runtime.iterdir()))}


@pytest.mark.parametrize("requests", [60_000, pytest.param(500_000, marks=pytest.mark.soak)])
def test_nothing_grows(tmp_path: Path, requests: int) -> None:
    (runtime := tmp_path / "runtime").mkdir()
    env = {"COUNTER_WORKERS": "2", "COUNTER_RUNTIME_DIR": str(runtime), **UNTRACED}
    with Service(tmp_path, **env) as service:
        _vary(service, 0, "PROPFIND")
        workers = service.workers()
        for worker in workers:
            _warm_up(service, worker)
        memory = {pid: resident(pid) for pid in workers}
        files = _files(service, runtime)
        samples = len(service.metrics())

        got = Load(service.port, clients=CLIENTS).run(requests // CLIENTS + 1)
        assert got.statuses[200] >= requests
        _vary(service, 300, "PURGE")

        wait_for("all connections closed", lambda: _connections(service) == 0)
        assert service.workers() == workers
        growth = {pid: resident(pid) - memory[pid] for pid in workers}
        assert max(growth.values()) < 750_000, growth
        assert _files(service, runtime) == files
        assert len(service.metrics()) <= samples + 1


def _warm_up(service: Service, worker: int) -> None:
    """Let one worker have all connections: later it may get as many, and what they take is no growth."""
    others = [pid for pid in service.workers() if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        Load(service.port, clients=CLIENTS).run(200)
        wait_for("warm-up is over", lambda: _connections(service) == 0)
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _connections(service: Service) -> int:
    """Connections to the service's port that are established, from /proc/net/tcp (proc(5)), state 01."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{service.port:04X}") and row[3] == "01" for row in rows)


def _vary(service: Service, first: int, unusual: str) -> None:
    """Send 300 requests on connections of their own, whose paths and request ids nobody has sent before."""
    for n in range(first, first + 300):
        service.request(f"/path-{n}", ("GET", "POST", "TRACE", unusual)[n % 4], X_Request_ID=f"id-{n}")


@pytest.mark.parametrize("times", [3, pytest.param(8, marks=pytest.mark.soak)])
def test_worker_restarts_leave_nothing_behind(tmp_path: Path, times: int) -> None:
    (runtime := tmp_path / "runtime").mkdir()
    with Service(tmp_path, COUNTER_WORKERS="2", COUNTER_RUNTIME_DIR=str(runtime), **UNTRACED) as service:

        def kill_all() -> None:
            starts = service.metrics()["counter_worker_starts_total"]
            for pid in service.workers():
                os.kill(pid, signal.SIGKILL)
            wait_for(
                "new workers",
                lambda: service.try_get("/healthz") and service.metrics()["counter_worker_starts_total"] == starts + 2,
            )

        def master() -> tuple[int, int, int]:
            pid = service.process.pid
            return len(open_files(pid)), len(list(runtime.iterdir())), resident(pid)

        kill_all()
        files, runtimes, memory = master()
        samples = len(service.metrics())
        for _ in range(times):
            kill_all()
        after = master()
        assert after[:2] == (files, runtimes)
        assert after[2] - memory < 2_000_000
        assert len(service.metrics()) == samples
