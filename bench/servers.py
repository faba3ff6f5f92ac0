"""What the service is compared to, under gunicorn like it: ``python bench/servers.py constant|asgi|prometheus``.

All take the service's own settings from the environment.
"""

import os
import sys
from itertools import product
from typing import Any

from counter import logs
from counter.config import load
from counter.metrics import BOUNDS, METHODS, ROUTES, STATUSES
from counter.server import Server
from prometheus_client import Counter, Histogram

BODY = b'{"count": 1, "pod": "pod", "version": "1.0.0"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}


async def constant(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer always the same (https://asgi.readthedocs.io): what is left of the server without the service."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await send(START)
    await send({"type": "http.response.body", "body": BODY})


class Constant(Server):
    """The server that the service has, with an application that does nothing."""

    def load(self) -> Any:
        """Return the application."""
        return constant


class Asgi(Server):
    """The service under gunicorn's own ASGI worker, as it comes."""

    def load_config(self) -> None:
        """Set what the service sets, but for the worker."""
        super().load_config()
        self.cfg.set("worker_class", "asgi")
        self.cfg.set("asgi_loop", "uvloop")


class PrometheusTypes(Server):
    """The service with its requests counted by prometheus_client's types, each process in files of its own.

    PROMETHEUS_MULTIPROC_DIR says where; https://prometheus.github.io/client_python/multiprocess/.
    """

    def load(self) -> Any:
        """Return the application."""
        requests = Counter("requests", "Requests answered.", ["route", "method", "status"])
        durations = Histogram("seconds", "Time to answer a request.", ["route"], buckets=BOUNDS)
        observe = {route: durations.labels(route).observe for route in ROUTES}
        # Finding a child by its labels costs more than counting.
        count = {key: requests.labels(*key).inc for key in product(ROUTES, METHODS, STATUSES)}

        def request(route: str, method: str, status: int, seconds: float) -> None:
            count[route, method, status]()
            observe[route](seconds)

        self.metrics.request = request  # type: ignore[method-assign]
        return super().load()


if __name__ == "__main__":
    logs.configure("info")
    {"constant": Constant, "asgi": Asgi, "prometheus": PrometheusTypes}[sys.argv[1]](load(os.environ)[0]).run()
