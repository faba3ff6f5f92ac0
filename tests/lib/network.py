"""Ports of this machine, and requests to what listens there."""

import json
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib.wait import wait_for


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of an address of this machine that nobody uses at the moment."""
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler], host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Answer HTTP requests by a handler as long as the block runs, at an address of this machine: ``HOST:PORT``."""
    with ThreadingHTTPServer((host, port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{host}:{server.server_port}"
        server.shutdown()


def fetch(url: str, timeout: float = 10) -> tuple[int, bytes]:
    """Return status and body of a GET request; raise :class:`OSError` where no answer below 400 comes in time.

    The connection may take as many seconds as the timeout has, and the answer after it.
    """
    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 # of this machine, or a registry's
        return answer.status, answer.read()


def answers(url: str, timeout: float = 10) -> bool:
    """Return whether a GET request gets an answer that is no error, within what :func:`fetch` takes for time."""
    try:
        fetch(url, timeout)
    except OSError:
        return False
    return True


def accepts(port: int) -> bool:
    """Return whether this machine accepts connections at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def count(url: str) -> int:
    """Send a request that counts and return its number."""
    return int(json.loads(fetch(url)[1])["count"])


def count_when_answered(url: str) -> int:
    """Return what :func:`count` does, as soon as a connection reaches a pod; fail after a minute.

    Kubernetes may take pods out of the Service a moment after what they wait for is back. A connection that was closed
    without an answer reached no pod: a counted request that lost its answer shows in the number that follows.
    """

    def number() -> int | None:
        try:
            return count(url)
        except ConnectionError:
            return None

    return wait_for("an answer that counts", number, 60)
