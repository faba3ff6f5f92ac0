"""The service when its store is away, mute or late."""

import socket
import socketserver
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from lib.load import Load
from lib.network import free_port
from lib.wait import wait_for

from tests.harness import Service, Valkey, needs_valkey


def _service(tmp_path: Path, port: int, **env: str) -> Service:
    return Service(tmp_path, COUNTER_STORE="valkey", COUNTER_VALKEY_ADDRESS=f"127.0.0.1:{port}", **env)


def test_store_down(tmp_path: Path) -> None:
    with _service(tmp_path, free_port()) as service:
        start = time.monotonic()
        answer = service.request("/")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert service.request("/readyz").status == 503
        assert time.monotonic() - start < 1
        assert service.request("/healthz").status == 200
        assert service.metrics()['counter_store_failures_total{reason="connection"}'] == 2


@needs_valkey
def test_store_back(tmp_path: Path) -> None:
    with Valkey(tmp_path) as store, _service(tmp_path, store.port) as service:
        assert service.request("/").json["count"] == 1
        store.stop()
        assert service.request("/").status == 503
        assert service.request("/readyz").status == 503
        store.start()
        wait_for("ready again", lambda: service.request("/readyz").status == 200)
        assert service.request("/").status == 200


@needs_valkey
def test_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    with Valkey(tmp_path, "--requirepass", "s3cret") as store:
        with _service(tmp_path, store.port) as service:
            assert service.request("/readyz").status == 503
        env = {"COUNTER_VALKEY_PASSWORD_FILE": str(tmp_path / "password")}
        with _service(tmp_path, store.port, **env) as service:
            assert service.request("/readyz").status == 200
            assert service.request("/").json["count"] == 1


@needs_valkey
def test_a_key_that_is_no_number(tmp_path: Path) -> None:
    with Valkey(tmp_path) as store, _service(tmp_path, store.port) as service:
        with socket.create_connection(("127.0.0.1", store.port)) as connection:
            connection.sendall(b"SET counter text\r\n")
            assert connection.recv(64) == b"+OK\r\n"
        assert service.request("/").status == 503
        assert service.metrics()['counter_store_failures_total{reason="reply"}'] == 1


class Peer(socketserver.ThreadingTCPServer):
    """Stands between the service and a store: hands commands on, replies late, never, or hangs up.

    Args:
        store: the store's port; None for no reply.
        hangs_up: whether it closes the connection when it gets a command.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store: int | None, *, hangs_up: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.store = store
        self.hangs_up = hangs_up
        self.delay = 0.0
        self.received = b""

    def increments(self) -> int:
        return self.received.count(b"INCR\r\n")

    def finish_request(self, request: Any, client_address: Any) -> None:
        with ExitStack() as stack:
            upstream = stack.enter_context(socket.create_connection(("127.0.0.1", self.store))) if self.store else None
            while data := request.recv(65536):
                self.received += data
                if self.hangs_up:
                    break
                if upstream:
                    upstream.sendall(data)
                    reply = upstream.recv(65536)
                    time.sleep(self.delay)
                    with suppress(OSError):
                        request.sendall(reply)


@contextmanager
def _peer(store: int | None, *, hangs_up: bool = False) -> Iterator[Peer]:
    with Peer(store, hangs_up=hangs_up) as peer, ThreadPoolExecutor(1) as pool:
        pool.submit(peer.serve_forever, 0.01)
        try:
            yield peer
        finally:
            peer.shutdown()


@pytest.mark.parametrize(("hangs_up", "reason"), [(False, "timeout"), (True, "connection")])
def test_an_increment_without_a_reply_is_sent_once(tmp_path: Path, hangs_up: bool, reason: str) -> None:
    with _peer(None, hangs_up=hangs_up) as peer, _service(tmp_path, peer.server_address[1]) as service:
        start = time.monotonic()
        assert service.request("/").status == 503
        assert time.monotonic() - start < 1
        time.sleep(0.3)
        assert peer.increments() == 1
        assert service.metrics()[f'counter_store_failures_total{{reason="{reason}"}}'] == 1


@needs_valkey
def test_a_late_reply_is_never_given_to_another_caller(tmp_path: Path) -> None:
    with (
        Valkey(tmp_path) as store,
        _peer(store.port) as peer,
        _service(tmp_path, peer.server_address[1], COUNTER_VALKEY_TIMEOUT_MS="300") as service,
    ):
        assert service.request("/").json["count"] == 1
        peer.delay = 0.4
        lost = Load(service.port, clients=8).run(3)
        peer.delay = 0.0
        got = Load(service.port, clients=8).run(10)
    assert lost.statuses == {503: 24}
    assert got.statuses == {200: 80}
    got.check_exact(first=26)
    assert peer.increments() == 1 + 24 + 80
