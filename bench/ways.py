"""What each way of making a request cheaper brings: processor time of one request inside a worker, without sockets.

Run it by the service's own environment: ``python bench/ways.py``. Each way is measured by taking it back.
"""

import asyncio
import cProfile
import gc
import logging
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop
from counter import parser, worker
from counter.config import load
from counter.logs import RequestLog
from counter.metrics import Metrics
from counter.server import Server
from gunicorn.asgi import protocol
from gunicorn.asgi.parser import PythonProtocol
from gunicorn.asgi.protocol import ASGIProtocol

SHORT = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
USUAL = (
    b"GET / HTTP/1.1\r\nHost: counter.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n"
    b"X-Forwarded-For: 10.0.0.1\r\nX-Request-ID: 0123456789abcdef0123456789abcdef\r\n\r\n"
)
CONNECTIONS = 32
REQUESTS = 9600
_write = RequestLog.write


class _Transport:
    """Takes what is written and does nothing with it."""

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name)

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass


async def _cost(server: Server, head: bytes) -> float:
    """Microseconds of processor time for one request, on connections that take turns as under load."""
    log: Any = SimpleNamespace(access_log_enabled=False, error_log=logging.getLogger("ways"), debug=lambda *_: None)
    own: Any = SimpleNamespace(
        loop=asyncio.get_running_loop(), cfg=server.cfg, app=server, asgi=server.load(), log=log, state={},
        nr_conns=0, nr=0, alive=True, max_requests=sys.maxsize, worker_connections=CONNECTIONS, connections={},
    )  # fmt: skip
    connections = [worker.CounterProtocol(own) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.connection_made(_Transport())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    start = time.process_time()
    for _ in range(REQUESTS // CONNECTIONS):
        for connection in connections:
            connection.data_received(head)
        while not all(connection.idle for connection in connections):
            await asyncio.sleep(0)
    spent = time.process_time() - start
    for connection in connections:
        connection.connection_lost(None)
    return spent / REQUESTS * 1e6


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer as the service does, without Falcon and without counting, measuring or logging anything."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"52"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"count": 1, "pod": "pod-under-test", "version": ""}'})


def _shares(server: Server) -> dict[str, float]:
    """Where the time of a usual request goes, in percent by package; measuring it weighs calls too heavily."""
    profiler = cProfile.Profile()
    profiler.runcall(lambda: uvloop.run(_cost(server, USUAL)))
    spent: dict[str, float] = {}
    for (path, _, _), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        package = next(
            (name for name in ("gunicorn", "falcon", "counter", "asyncio") if f"/{name}/" in path), "the rest"
        )
        spent[package] = spent.get(package, 0) + own
    return {name: 100 * own / sum(spent.values()) for name, own in sorted(spent.items(), key=lambda item: -item[1])}


def _write_each(log: RequestLog, *args: Any) -> None:
    _write(log, *args)
    log.flush()


def main() -> None:
    """Measure as it is and with each way taken back, in turn, and print the least of each: it is disturbed least."""
    out = os.dup(1)
    as_it_is: dict[str, tuple[Any, str, Any]] = {
        "gunicorn's parser": (protocol, "PythonProtocol", PythonProtocol),
        "a task for each request": (worker.CounterProtocol, "_serve_http_request", ASGIProtocol._serve_http_request),
        "a write for each log line": (RequestLog, "write", _write_each),
        "no request logged": (RequestLog, "write", lambda *_: None),
        "no metrics": (Metrics, "request", lambda *_: None),
        "a bare answer, with nothing of the service": (Server, "load", lambda _: _bare),
    }
    figures: dict[str, dict[bytes, list[float]]] = {}

    def take(name: str, server: Server) -> None:
        for head in (SHORT, USUAL):
            figures.setdefault(name, {}).setdefault(head, []).append(uvloop.run(_cost(server, head)))

    with tempfile.TemporaryDirectory() as directory, (Path(directory) / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        server = Server(load({**os.environ, "COUNTER_PAGE_FILE": f"{directory}/page"})[0])
        for _ in range(7):
            take("as it is", server)
            for name, (owner, attribute, other) in as_it_is.items():
                kept = getattr(owner, attribute)
                setattr(owner, attribute, other)
                take(name, server)
                setattr(owner, attribute, kept)
            gc.disable()
            take("no garbage collection", server)
            gc.enable()
        shares = _shares(server)
    assert protocol.PythonProtocol is parser.HeadParser
    os.dup2(out, 1)
    print("| way | short head, us | usual head, us |\n|---|---|---|")
    for name, heads in figures.items():
        print(f"| {name} | {min(heads[SHORT]):.1f} | {min(heads[USUAL]):.1f} |", flush=True)
    print("\nprofile:", ", ".join(f"{name} {share:.0f} %" for name, share in shares.items()))


if __name__ == "__main__":
    main()
