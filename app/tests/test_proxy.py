"""What the service leaves to the proxy: HAProxy as it is in a pod, with the service behind it."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lib.load import Load
from lib.wait import wait_for

from tests.harness import ANSWER_SECONDS, PATIENCE, PROXY_PATIENCE, UNTRACED, Proxy, Service, needs_proxy
from tests.test_hostile import GET, all_of, connect, memory

pytestmark = needs_proxy


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Service, Proxy]]:
    with Service(tmp_path, **UNTRACED) as service, Proxy(tmp_path, service) as proxy:
        yield service, proxy


def _send(connection: socket.socket, pieces: list[bytes], pause: float) -> None:
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(pause)


def test_slow_clients(pair: tuple[Service, Proxy]) -> None:
    service, proxy = pair
    begun = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    ]
    with ExitStack() as stack:
        start = time.monotonic()
        slow = {data: [connect(stack, proxy, data) for _ in range(20)] for data in begun}
        trickle = connect(stack, proxy)
        assert Load(proxy.port, clients=8).run(50).statuses == {200: 400}
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            _send(trickle, [GET[number % 16 : number % 16 + 1] for number in range(1000)], 0.1)
        for data, connections in slow.items():
            for connection in connections:
                answer = all_of(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 408 "), data
        assert PROXY_PATIENCE <= time.monotonic() - start < PATIENCE
    assert service.request("/").json["count"] == 401


def test_heads_that_are_too_large_do_not_arrive(pair: tuple[Service, Proxy]) -> None:
    service, proxy = pair
    before = memory(service)
    with ExitStack() as stack:
        for begun in [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: "] * 10:
            connection = connect(stack, proxy)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                _send(connection, [begun, *[b"x" * 100_000] * 100], 0.001)
    assert memory(service) - before < 1_000_000
    assert [line for line in service.logs() if line["level"] == "warning"] == []


@pytest.mark.parametrize("hangs", [False, True])
def test_service_that_takes_no_connection_is_503_after_two_seconds(pair: tuple[Service, Proxy], hangs: bool) -> None:
    service, proxy = pair
    service.kill()
    # Until the proxy knows that the connection it kept has ended.
    time.sleep(0.5)
    with ExitStack() as stack:
        if hangs:
            # A queue of connections that is full: the kernel answers nobody.
            full = stack.enter_context(socket.create_server(("127.0.0.1", service.port), backlog=0))
            stack.enter_context(socket.create_connection(full.getsockname()))
        start = time.monotonic()
        assert proxy.request("/").status == 503
        # Tried twice: what is refused is tried again after a second, what hangs is given up after one.
        assert 0.9 < time.monotonic() - start < (2.5 if hangs else 1.5)


def test_service_that_stands_still_is_504_and_counts_once(pair: tuple[Service, Proxy]) -> None:
    service, proxy = pair
    (worker,) = service.workers()
    os.kill(worker, signal.SIGSTOP)
    start = time.monotonic()
    answer = proxy.request("/")
    took = time.monotonic() - start
    os.kill(worker, signal.SIGCONT)
    assert (answer.status, answer.json) == (504, {"title": "The service did not answer in time"})
    assert ANSWER_SECONDS - 0.5 < took < ANSWER_SECONDS + 2
    # Answered after whatever the proxy has sent, and not counted itself.
    assert service.request("/version").status == 200
    assert service.request("/").json["count"] == 2, "the request that was given up was sent once"


def test_nobody_keeps_a_connection_where_half_of_them_are_taken(pair: tuple[Service, Proxy]) -> None:
    _, proxy = pair
    with ExitStack() as stack:
        first = connect(stack, proxy, GET)
        assert b"onnection: close" not in first.recv(1000)
        for _ in range(2500):
            connect(stack, proxy)
        late = connect(stack, proxy, GET)
        assert b"\r\nconnection: close\r\n" in all_of(late).lower()
        first.sendall(GET)
        assert b"\r\nconnection: close\r\n" in all_of(first).lower()


@pytest.mark.parametrize("begun", [b"5;", b"0\r\nX-Trailer: "], ids=["chunk", "trailer"])
def test_memory_of_requests_that_do_not_end(pair: tuple[Service, Proxy], begun: bytes) -> None:
    _, proxy = pair
    # As large as they may be: two buffers of 8 KiB for each, and nothing in them is a request yet.
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Large: " + b"x" * 6700 + b"\r\n\r\n"
    before = proxy.memory()
    with ExitStack() as stack:
        for _ in range(1000):
            connect(stack, proxy, head + begun + b"x" * 8000)
        wait_for("the proxy has read them", lambda: proxy.memory() - before > 1000 * 2 * 8192, 5)
        time.sleep(0.2)
        each = (proxy.memory() - before) / 1000
        # The limit of the container in the pod, which the contract of its manifest adds up in the same way.
        assert before + 5200 * each < 128 * 2**20
        assert each < 2 * 8192 + 5 * 1024


def test_more_requests_than_the_service_takes(tmp_path: Path) -> None:
    with Service(tmp_path, "tests.planted", "slow", **UNTRACED) as service, Proxy(tmp_path, service) as proxy:
        got = Load(proxy.port, clients=1000).run(1)
        # What waits for longer than a second is turned away; how many that are, the service's speed says.
        assert got.statuses == {200: 900, 503: 100}
        assert got.unanswered == 0
        assert [line for line in service.logs() if line["level"] == "warning"] == []
        assert service.request("/").json["count"] == 901
