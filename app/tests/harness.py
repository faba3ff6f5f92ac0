"""Starts real services and real stores, and loads them."""

import asyncio
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
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import jinja2
import pytest
import uvloop

PATIENCE = 20.0  # seconds; only a broken service gets near it
PROXY_PATIENCE = 2  # seconds, instead of ten, that the proxy waits for a request
# For services that other tests trace already: tracing every line would triple the time, and shows nothing new.
UNTRACED = {"COVERAGE_PROCESS_CONFIG": ""}


class NotExactError(AssertionError):
    """The answers are not 1..N, each once."""


def assert_exact(values: list[int], total: int) -> None:
    """Fail unless the values are 1..total, each exactly once, in any order."""
    repeated = [value for value, times in Counter(values).items() if times > 1]
    missing = set(range(1, total + 1)) - set(values)
    extra = set(values) - set(range(1, total + 1))
    if repeated or missing or extra:
        raise NotExactError(f"{len(repeated)} repeated, {len(missing)} missing, {len(extra)} out of range")


def wait_for(condition: Any, what: str, patience: float = PATIENCE) -> Any:
    """Return the first true value of ``condition()``."""
    end = time.monotonic() + patience
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.02)


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


def answer_on(connection: socket.socket) -> Answer:
    """Read one whole answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class Http:
    """Something on a loopback port that speaks HTTP."""

    port = 0

    def request(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

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
        self.port = wait_for(self._listening, "the service listens")
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

        wait_for(lambda: len(lines()) >= number, f"{number} lines of requests")
        return lines()

    def workers(self) -> list[int]:
        """Process ids of the workers that are there now."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        text = self.request("/metrics").body.decode()
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


class Proxy(Http, AbstractContextManager["Proxy"]):
    """HAProxy in front of a service, by the configuration that it has in a pod, but for ports and its patience."""

    binary = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    template = Path(__file__).parents[2] / "roles/counter_app/templates/haproxy.cfg.j2"

    def __init__(self, directory: Path, service: "Service") -> None:
        self.port = free_port()
        variables = {"pre_stop_seconds": 1, "drain_seconds": 5, "answer_seconds": 5, "workers": 1}
        as_ansible = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)  # noqa: S701
        text = as_ansible.from_string(self.template.read_text()).render(
            {f"counter_app_{name}": value for name, value in variables.items()}
        )
        for pods, here in (
            ("bind :9000", f"bind 127.0.0.1:{self.port}"),
            ("bind :8404", f"bind 127.0.0.1:{free_port()}"),
            ("127.0.0.1:8080", f"127.0.0.1:{service.port}"),
            ("http-request 10s", f"http-request {PROXY_PATIENCE}s"),
        ):
            assert text.count(pods) == 1, text
            text = text.replace(pods, here)
        self._config = directory / "haproxy.cfg"
        self._config.write_text(text)
        self._log = directory / "haproxy.log"

    def __enter__(self) -> Self:
        assert self.binary is not None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([self.binary, "-db", "-f", self._config], stdout=log, stderr=log)
        wait_for(lambda: self._process.poll() or self.try_get("/healthz"), "the proxy answers")
        assert self._process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


needs_proxy = pytest.mark.skipif(Proxy.binary is None, reason="haproxy is not installed")


@dataclass
class Load:
    """What a group of keep-alive clients got."""

    values: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0


_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: close", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """Sends ``left`` requests one after the other; ``ended`` gets the number it could not send."""

    def __init__(self, left: int, load: Load) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._left = left
        self._load = load
        self._received = b""
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are not of that class
        self._send()

    def _send(self) -> None:
        self._left -= 1
        self._waiting = True
        self._transport.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        if not self._waiting or len(body) > int(length[1]):
            self.ended.set_exception(AssertionError("more than one answer to a request"))
            self._transport.abort()
            return
        self._waiting = False
        self._received = b""
        status = int(head[9:12])
        self._load.statuses[status] += 1
        if status == 200:
            self._load.values.append(json.loads(body)["count"])
        if _CLOSES.search(head) or not self._left:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        # Not sent again: the increment may have happened.
        self._load.broken += self._waiting
        if not self.ended.done():
            self.ended.set_result(self._left)


async def _client(port: int, requests: int, load: Load) -> None:
    loop = asyncio.get_running_loop()
    while requests:
        connection = _Connection(requests, load)
        try:
            await loop.create_connection(lambda c=connection: c, "127.0.0.1", port)  # type: ignore[misc]
        except OSError:
            load.broken += 1
            requests -= 1
            await asyncio.sleep(0.01)
        else:
            requests = await connection.ended


async def _clients(ports: list[int], clients: int, requests: int) -> Load:
    load = Load()
    # A thousandth of a second each, where a tenth of that is usual.
    async with asyncio.timeout(PATIENCE + clients * requests / 1000), asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_client(ports[number % len(ports)], requests, load))
    return load


def load(services: "Http | Sequence[Http]", clients: int = 32, requests: int = 200) -> Load:
    """Send ``clients`` x ``requests`` requests, the clients spread over the services."""
    ports = [one.port for one in ([services] if isinstance(services, Http) else services)]
    return uvloop.run(_clients(ports, clients, requests))


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        wait_for(self._answers, "the store answers")

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
