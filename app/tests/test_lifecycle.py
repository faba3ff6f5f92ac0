"""Starting with bad settings, and stopping without losing a request."""

import inspect
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from counter import config
from counter.config import ConfigError, load
from hypothesis import given
from hypothesis import strategies as st
from lib.wait import wait_for

from tests.harness import PATIENCE, Service, answer_on

BAD_SETTINGS: list[tuple[dict[str, str], str, str]] = [
    ({"BIND": "8080"}, "BIND", "HOST:PORT"),
    ({"BIND": "0.0.0.0:99999"}, "BIND", "65535"),
    ({"WORKERS": "0"}, "WORKERS", "from 1 to 64"),
    ({"WORKERS": "two"}, "WORKERS", "from 1 to 64"),
    ({"MAX_CONNECTIONS": "-1"}, "MAX_CONNECTIONS", "from 1 to 100000"),
    ({"STORE": "file"}, "STORE", "one of page, valkey"),
    ({"PAGE_FILE": "page"}, "PAGE_FILE", "absolute path"),
    ({"PAGE_FILE": "/nowhere/page"}, "PAGE_FILE", "writable volume"),
    ({"RUNTIME_DIR": "/nowhere"}, "RUNTIME_DIR", "writable volume"),
    ({"STORE": "valkey"}, "VALKEY_ADDRESS", "HOST:PORT"),
    ({"STORE": "valkey", "VALKEY_ADDRESS": "valkey"}, "VALKEY_ADDRESS", "HOST:PORT"),
    ({"VALKEY_KEY": "a b"}, "VALKEY_KEY", "letters"),
    ({"VALKEY_TIMEOUT_MS": "501"}, "VALKEY_TIMEOUT_MS", "from 10 to 500"),
    ({"VALKEY_PASSWORD_FILE": "/nowhere"}, "VALKEY_PASSWORD_FILE", "can read"),
    ({"VALKEY_PASSWORD": "s3cret", "VALKEY_PASSWORD_FILE": "/x"}, "VALKEY_PASSWORD", "unset"),
    ({"POD": "-"}, "POD", "letters"),
    ({"LOG_LEVEL": "INFO"}, "LOG_LEVEL", "one of debug"),
    ({"DRAIN_SECONDS": "20"}, "DRAIN_SECONDS", "smaller"),
]


def test_bad_settings() -> None:
    for env, named, remedy in BAD_SETTINGS:
        with pytest.raises(ConfigError) as caught:
            load({f"COUNTER_{name}": value for name, value in env.items()})
        assert len(caught.value.problems) == 1, env
        problem = caught.value.problems[0]
        assert problem.startswith(f"COUNTER_{named}="), env
        assert remedy in problem, env
        assert "s3cret" not in problem


def _failed_start(**env: str) -> list[dict[str, str]]:
    """Start the service with settings that it cannot use; return the errors that it logs."""
    command = [sys.executable, "-m", "counter"]
    run = subprocess.run(command, env={**os.environ, **env}, capture_output=True, timeout=PATIENCE, check=False)
    assert (run.returncode, run.stderr) == (78, b"")
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return [line for line in lines if line["level"] == "error"]


def test_a_start_shows_every_bad_setting() -> None:
    lines = _failed_start(COUNTER_WORKERS="no", COUNTER_BIND="no")
    assert len(lines) == 2
    assert {line["message"].split("=")[0] for line in lines} == {"COUNTER_WORKERS", "COUNTER_BIND"}


def test_more_connections_than_files_may_be_open() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if not 0 < hard < 100_000:
        pytest.skip(f"the hard limit of open files is {hard}, and no setting goes beyond it")
    (line,) = _failed_start(COUNTER_MAX_CONNECTIONS=str(hard))
    assert line["message"].startswith("COUNTER_MAX_CONNECTIONS cannot be used: ")


def test_a_file_of_another_kind_is_not_counted_into(tmp_path: Path) -> None:
    page = tmp_path / "page"
    for content in (b"hello", b"\xff" * 4096):
        page.write_bytes(content)
        (line,) = _failed_start(COUNTER_PAGE_FILE=str(page), COUNTER_BIND="127.0.0.1:0")
        assert line["message"].startswith(f"COUNTER_PAGE_FILE='{page}' cannot be used: not a counter")
        assert page.read_bytes() == content


def test_passwords_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    settings, _ = load({"COUNTER_VALKEY_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.valkey_password == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(settings)


# execve(2) takes no other text.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NAMES = sorted(set(re.findall(r'"(COUNTER_[A-Z_]+)"', inspect.getsource(config))))


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_value_is_taken_or_named(environ: dict[str, str]) -> None:
    try:
        settings, _ = load(environ)
    except ConfigError as error:
        for problem in error.problems:
            name, _, rest = problem.partition("=")
            assert name in NAMES
            assert "cannot be used: " in rest
    else:
        assert 1 <= settings.workers <= 64
        assert 0 <= settings.drain < settings.graceful


def test_a_request_in_flight_is_finished(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "slow") as service, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.request, "/")
        time.sleep(0.3)
        start = time.monotonic()
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
        stopped = time.monotonic() - start
    assert asked.result().json["count"] == 1
    assert 1.0 < stopped < 5


@pytest.mark.parametrize("workers", ["1", "2"])
def test_readiness_fails_first(tmp_path: Path, workers: str) -> None:
    with Service(tmp_path, COUNTER_DRAIN_SECONDS="1", COUNTER_WORKERS=workers) as service:
        assert service.request("/readyz").status == 200
        service.process.terminate()
        refused = wait_for(
            "not ready", lambda: answer if (answer := service.request("/readyz")).status == 503 else None, 0.5
        )
        assert refused.json["title"] == "Draining"
        assert service.request("/healthz").status == 200
        counted = service.request("/")
        assert (counted.status, counted.headers["connection"]) == (200, "close")
        assert service.process.wait(PATIENCE) == 0


def test_idle_connections_do_not_delay_the_stop(tmp_path: Path) -> None:
    with (
        Service(tmp_path) as service,
        socket.create_connection(("127.0.0.1", service.port), PATIENCE) as idle,
    ):
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(idle).status == 200
        start = time.monotonic()
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - start < 4
        assert idle.recv(4096) == b""


def test_a_request_that_never_arrives_in_full_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with (
        Service(tmp_path, COUNTER_GRACEFUL_SECONDS="3") as service,
        socket.create_connection(("127.0.0.1", service.port), PATIENCE) as stuck,
    ):
        stuck.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        wait_for("the worker has seen it", lambda: service.request("/healthz").status == 200)
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
        messages = [line["message"] for line in service.logs()]
        assert "Application shutdown complete." in messages, "the worker was killed"
    Service.stopping.remove(service)  # it did log an error, that of the request


def test_workers_end_with_a_master_that_was_killed(tmp_path: Path) -> None:
    with Service(tmp_path, COUNTER_WORKERS="2") as service:
        workers = service.workers()
        service.process.kill()
        service.process.wait(PATIENCE)
        wait_for("the workers are gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.parametrize("terminal", [False, True])
def test_an_interrupt_stops_at_once(tmp_path: Path, terminal: bool) -> None:
    with Service(tmp_path, COUNTER_DRAIN_SECONDS="5", COUNTER_WORKERS="2") as service:
        start = time.monotonic()
        # A terminal sends it to all processes.
        for pid in [*(service.workers() if terminal else []), service.process.pid]:
            os.kill(pid, signal.SIGINT)
        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - start < 3
        assert not [line for line in service.logs() if line["level"] in ("warning", "error")]
