"""The service when its store is away, mute or late."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


class Peer:
    """Stands between the service and a store: hands commands on, replies late, never, or hangs up."""

    def __init__(self, store: int | None) -> None:
        self.store = store
        self.delay = 0.0
        self.hang_up = False
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def increments(self) -> int:
        return len(re.findall(rb"INCR\r\n", self.received))

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.create_connection(("127.0.0.1", self.store)) if self.store else None
        with client:
            while data := client.recv(65536):
                self.received += data
                if self.hang_up:
                    break
                if upstream is None:
                    continue
                upstream.sendall(data)
                reply = upstream.recv(65536)
                time.sleep(self.delay)
                try:
                    client.sendall(reply)
                except OSError:
                    break
        if upstream is not None:
            upstream.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def _peer(store: int | None) -> Iterator[Peer]:
    peer = Peer(store)
    thread = threading.Thread(target=peer.run)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join()


def test_swallowed_reply_is_sent_once(tmp_path: Path) -> None:
    with _peer(None) as peer, _service(tmp_path, peer.port) as service:
        start = time.monotonic()
        assert service.request("/").status == 503
        assert time.monotonic() - start < 1
        time.sleep(0.3)
        assert peer.increments() == 1
        assert service.metrics()['counter_store_failures_total{reason="timeout"}'] == 1


def test_a_connection_lost_before_the_reply_is_sent_once(tmp_path: Path) -> None:
    with _peer(None) as peer, _service(tmp_path, peer.port) as service:
        peer.hang_up = True
        assert service.request("/").status == 503
        time.sleep(0.3)
        assert peer.increments() == 1
        assert service.metrics()['counter_store_failures_total{reason="connection"}'] == 1


@needs_valkey
def test_a_late_reply_is_never_given_to_another_caller(tmp_path: Path) -> None:
    with (
        Valkey(tmp_path) as store,
        _peer(store.port) as peer,
        _service(tmp_path, peer.port, COUNTER_VALKEY_TIMEOUT_MS="300") as service,
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
