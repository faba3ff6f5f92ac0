"""Starts real services, proxies and stores."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import jinja2
import pytest
from lib.interface import PUBLIC_PATHS
from lib.network import free_port
from lib.wait import wait_for

PATIENCE = 20.0  # seconds; only a broken service gets near it
PROXY_PATIENCE = 2  # seconds, instead of ten, that the proxy waits for a request
ANSWER_SECONDS = 5  # that the proxy waits for an answer, as in a pod
# For services that other tests trace already: tracing every line would triple the time, and shows nothing new.
UNTRACED = {"COVERAGE_PROCESS_CONFIG": ""}


@dataclass
class Answer:
    """A response to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def answer_on(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one whole answer."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class Http:
    """Something on a loopback port that speaks HTTP."""

    port = 0

    def request(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Send one request on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            return answer_on(connection.sock, method)

    def try_get(self, path: str) -> Answer | None:
        """An answer, or None when there is no connection to be had."""
        try:
            return self.request(path)
        except (OSError, http.client.HTTPException):
            return None

    def raw(self, data: bytes) -> bytes:
        """Send bytes and read until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has in its resident set (proc(5): smaps_rollup)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Rss:"))


def samples(exposition: bytes) -> dict[str, float]:
    """Return the values in what a path for metrics answers, by their names and labels."""
    lines = (line.rpartition(" ") for line in exposition.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def open_files(pid: int) -> list[Path]:
    """Return a link for each file, pipe and socket that a process has open (proc(5): fd)."""
    return list(Path(f"/proc/{pid}/fd").iterdir())


class Service(Http, AbstractContextManager["Service"]):
    """The service as its own process on a free loopback port.

    ``stopping`` has those that were told to stop and have not been looked at since.

    Args:
        directory: for the page and the logs.
        module: what to run by ``python -m``, with its arguments.
        env: settings that differ from those for tests.
    """

    stopping: ClassVar[list["Service"]] = []

    def __init__(self, directory: Path, *module: str, **env: str) -> None:
        self.directory = directory
        self._module = module or ("counter",)
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COUNTER_")},
            "COUNTER_BIND": "127.0.0.1:0",
            "COUNTER_PAGE_FILE": str(directory / "page"),
            "COUNTER_POD": "pod-under-test",
            "COUNTER_DRAIN_SECONDS": "0",
            **env,
        }
        self._log = directory / f"log-{time.monotonic_ns()}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._module],
                env=self._env,
                cwd=Path(__file__).parent.parent,
                stdout=log,
                stderr=log,
            )
        self.port = wait_for("the service listens", self._listening)
        return self

    def __exit__(self, *_: object) -> None:
        # In the background, as stopping takes a second. What still runs in the end is a fault of its own.
        self.process.terminate()
        self.stopping.append(self)

    def kill(self) -> None:
        """End the service and its workers at once."""
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def stopped(self) -> None:
        """Fail unless the service stops by itself, in time and without an error."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        # Otherwise a test has ended it in its own way and looked at the outcome.
        assert code in (0, -signal.SIGKILL), self._log.read_text()
        errors = [line for line in self.logs() if "exception" in line]
        assert not errors, errors

    def _listening(self) -> int | None:
        assert self.process.poll() is None, self._log.read_text()
        messages = [line["message"] for line in self.logs()]
        if messages.count("Application startup complete.") < int(self._env.get("COUNTER_WORKERS", "1")):
            return None
        (listening,) = (message for message in messages if message.startswith("Listening at: "))
        return int(re.findall(r":(\d+) ", listening)[0])

    def logs(self) -> list[dict[str, Any]]:
        """All complete lines so far, each of which must be a JSON object."""
        lines = self._log.read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def logged(self, number: int) -> list[dict[str, Any]]:
        """The lines of requests, once there are so many; they follow the answers."""

        def lines() -> list[dict[str, Any]]:
            return [line for line in self.logs() if line["logger"] == "counter.request"]

        wait_for(f"{number} lines of requests", lambda: len(lines()) >= number)
        return lines()

    def workers(self) -> list[int]:
        """Process ids of the workers that are there now."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        return samples(self.request("/metrics").body)


class Proxy(Http, AbstractContextManager["Proxy"]):
    """HAProxy in front of a service, by the configuration that it has in a pod, but for ports and its patience."""

    binary = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    template = Path(__file__).parents[2] / "roles/counter_app/templates/haproxy.cfg.j2"

    def __init__(self, directory: Path, service: "Service") -> None:
        self.port = free_port()
        variables = {"pre_stop_seconds": 1, "drain_seconds": 5, "answer_seconds": ANSWER_SECONDS, "workers": 1}
        as_ansible = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)  # noqa: S701
        text = as_ansible.from_string(self.template.read_text()).render(
            {f"counter_app_{name}": value for name, value in variables.items()}, _counter_app_paths=PUBLIC_PATHS
        )
        for pods, times, here in (
            ("bind :9000", 1, f"bind 127.0.0.1:{self.port}"),
            ("bind :9001", 1, f"bind 127.0.0.1:{free_port()}"),
            ("bind :8404", 1, f"bind 127.0.0.1:{free_port()}"),
            # For clients, and for probes.
            ("127.0.0.1:8080", 2, f"127.0.0.1:{service.port}"),
            ("http-request 10s", 1, f"http-request {PROXY_PATIENCE}s"),
        ):
            assert text.count(pods) == times, text
            text = text.replace(pods, here)
        self._config = directory / "haproxy.cfg"
        self._config.write_text(text)
        self._log = directory / "haproxy.log"

    def __enter__(self) -> Self:
        assert self.binary is not None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([self.binary, "-db", "-f", self._config], stdout=log, stderr=log)
        wait_for("the proxy answers", lambda: self._process.poll() or self.try_get("/healthz"))
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def memory(self) -> int:
        """Bytes of memory of the proxy."""
        return resident(self._process.pid)


needs_proxy = pytest.mark.skipif(Proxy.binary is None, reason="haproxy is not installed")


class Valkey(AbstractContextManager["Valkey"]):
    """A Valkey or Redis server of its own."""

    binary = shutil.which("valkey-server") or shutil.which("redis-server")

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._options = options

    def __enter__(self) -> Self:
        self.start()
        return self

    @property
    def env(self) -> dict[str, str]:
        """Settings of a service that uses it."""
        return {"COUNTER_STORE": "valkey", "COUNTER_VALKEY_ADDRESS": f"127.0.0.1:{self.port}"}

    def start(self) -> None:
        """Start, also again."""
        assert self.binary is not None
        quiet = ("--save", "", "--bind", "127.0.0.1", "--logfile", "valkey.log")
        self.process = subprocess.Popen(
            [self.binary, "--port", str(self.port), *quiet, *self._options], cwd=self._directory
        )
        wait_for("the store answers", self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return bool(connection.recv(64))
        except OSError:
            return False

    def stop(self) -> None:
        """Stop at once."""
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_: object) -> None:
        self.stop()


needs_valkey = pytest.mark.skipif(Valkey.binary is None, reason="neither valkey-server nor redis-server is installed")
