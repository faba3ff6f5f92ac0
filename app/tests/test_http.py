"""What the paths answer, and what is logged and measured about it."""

import re
import socket
import time
from importlib import metadata
from pathlib import Path

import pytest
from counter import __version__
from lib.load import Load
from lib.wait import wait_for

from tests.harness import PATIENCE, Service, open_files


def test_one_version() -> None:
    assert metadata.version("counter") == __version__


def test_answers(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        root = service.request("/")
        assert root.json == {"count": 1, "pod": "pod-under-test", "version": __version__}
        assert root.headers["content-type"] == "application/json"
        head = service.request("/", "HEAD")
        assert (head.status, head.body, "content-length" in head.headers) == (200, b"", False)
        for _ in range(5):
            assert service.request("/healthz").json == {"status": "ok"}
        assert service.request("/readyz").json == {"status": "ready"}
        assert service.request("/version").json == {"version": __version__, "pod": "pod-under-test"}
        assert service.request("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
        missing = service.request("/missing")
        assert (missing.status, missing.json) == (404, {"title": "404 Not Found"})
        wrong = service.request("/", "POST")
        assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        for answer in (root, head, missing, wrong):
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("module", "waits"), [(("counter",), False), pytest.param(("tests.planted", "slow"), True, marks=pytest.mark.soak)]
)
def test_no_wait_in_the_path_of_a_request(tmp_path: Path, module: tuple[str, ...], waits: bool) -> None:
    """The quickest of a few answers, as a busy machine may hold up any one; the slow store shows what is found."""
    with Service(tmp_path, *module) as service:
        durations = []
        for _ in range(1 if waits else 3):
            started = time.monotonic()
            assert service.request("/").status == 200
            durations.append(time.monotonic() - started)
    assert (min(durations) > 1) is waits


def test_request_id(service: Service) -> None:
    kept = {"trace-1.A_b": True, "x" * 64: True, "x" * 65: False, 'a"b': False, "a b": False, "": False}
    answered = [service.request("/", X_Request_ID=sent).headers["x-request-id"] for sent in kept]
    answered.append(service.request("/").headers["x-request-id"])
    wait_for("the last line", lambda: answered[-1] in [line["request_id"] for line in service.logged(1)])
    assert [line["request_id"] for line in service.logged(1)][-len(answered) :] == answered
    assert {sent: got == sent for sent, got in zip(kept, answered, strict=False)} == kept
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", got) for got in answered)
    assert len(set(answered)) == len(answered)


def test_logs(tmp_path: Path) -> None:
    env = {"COUNTER_WORKERS": "2", "COUNTER_UNKNOWN": "1", "COUNTER_PORT": "tcp://10.0.0.1:80"}
    with Service(tmp_path, "tests.planted", "noisy", **env) as service:
        service.request("/")
        service.request('/na"m\\e' + "%0A" + "x" * 1000)
        for path in ("/healthz", "/readyz", "/metrics"):
            service.request(path)
        service.process.terminate()
        service.process.wait(PATIENCE)
    lines = service.logs()
    loggers = {line["logger"] for line in lines}
    assert loggers >= {"gunicorn.error", "uvicorn.error", "asyncio", "py.warnings", "counter.request", "counter"}
    for line in lines:
        assert {"time", "level", "logger", "pid", "message"} <= line.keys()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    requests = [line for line in lines if line["logger"] == "counter.request"]
    assert [(line["path"][:9], line["status"]) for line in requests] == [("/", 200), ('/na"m\\e\nx', 404)]
    assert all(len(line["path"]) <= 256 for line in requests)
    warnings = [line["message"] for line in lines if line["logger"] == "counter"]
    assert warnings == ["COUNTER_UNKNOWN is not a setting of this service and is ignored"]


def test_probes_are_logged_at_debug(tmp_path: Path) -> None:
    with Service(tmp_path, COUNTER_LOG_LEVEL="debug") as service:
        service.request("/readyz")
        lines = service.logged(1)
    assert [(line["level"], line["path"]) for line in lines] == [("debug", "/readyz")]


def test_a_lost_log_reader_fails_no_request(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "deaf") as service:
        assert [service.request("/").json["count"] for _ in range(3)] == [1, 2, 3]
        assert service.metrics()["counter_log_lines_lost_total"] == 3


def _files(service: Service) -> list[int]:
    return [len(open_files(pid)) for pid in service.workers()]


def _answering(service: Service) -> set[int]:
    return {line["pid"] for line in service.logs() if line["logger"] == "counter.request"}


def test_metrics_sum_over_workers(tmp_path: Path) -> None:
    with Service(tmp_path, COUNTER_WORKERS="2") as service:
        files = _files(service)
        got = Load(service.port, clients=32).run(50)
        wait_for("both workers answered", lambda: service.request("/version") and len(_answering(service)) == 2)
        service.request("/missing")
        service.request("/", "HEAD")
        service.request("/", "PROPFIND")
        assert got.statuses == {200: 1600}
        for _ in range(10):  # whichever worker answers
            metrics = service.metrics()
            assert metrics['counter_requests_total{method="GET",route="/",status="200"}'] == 1600
            assert metrics['counter_requests_total{method="HEAD",route="/",status="200"}'] == 1
            assert metrics['counter_requests_total{method="GET",route="other",status="404"}'] == 1
            assert metrics['counter_request_duration_seconds_count{route="/"}'] == 1602
            assert metrics['counter_request_duration_seconds_bucket{le="+Inf",route="/"}'] == 1602
            assert 0 < metrics['counter_request_duration_seconds_sum{route="/"}'] < 60
            assert metrics["counter_worker_starts_total"] == metrics["counter_workers"] == 2
        wait_for("as many open files as before", lambda: _files(service) == files)


def test_an_answer_is_sent_as_one_piece(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        for _ in range(50):
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).endswith(b'"pod": "pod-under-test"}')
