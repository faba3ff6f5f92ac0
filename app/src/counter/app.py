"""The HTTP interface: what each path answers, and what is measured and logged about it."""

import asyncio
import json
import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any, cast

import falcon
from falcon.asgi import App, Request, Response
from falcon.routing import CompiledRouter, map_http_methods, set_default_responders
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from counter.config import Settings
from counter.interface import DESCRIPTION
from counter.logs import RequestLog
from counter.metrics import OTHER, Metrics
from counter.stores import Store, StoreError

_PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("counter.app")


class Lifecycle:
    """How a worker stops: not ready first, then no new connections, then requests finished.

    Attributes:
        draining: told to stop; still answers, and asks to be sent nothing more.

    Args:
        drain: seconds between the first step and the second.
    """

    def __init__(self, drain: int) -> None:
        self.draining = False
        self._drain = drain

    def listen(self) -> None:
        """Put the first step before what the server does at SIGTERM; called in the worker's event loop."""
        loop = asyncio.get_running_loop()
        stop = cast(Callable[[int, None], None], signal.getsignal(signal.SIGTERM))

        def drain() -> None:
            if not self.draining:
                self.draining = True
                _log.info("draining for %d s", self._drain)
                loop.call_later(self._drain, stop, signal.SIGTERM, None)

        loop.add_signal_handler(signal.SIGTERM, drain)
        # gunicorn sends it to stop at once.
        loop.add_signal_handler(signal.SIGQUIT, stop, signal.SIGTERM, None)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


class _Count:
    """``/``: the only place that counts, and only for GET."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        rest = json.dumps({"pod": settings.pod, "version": settings.version})
        self._tail = f", {rest[1:]}".encode()

    async def on_get(self, _: Request, resp: Response) -> None:
        try:
            value = await self._store.increment()
        except StoreError as error:
            self._metrics.store_failed(error.reason)
            _log.warning("increment not confirmed: %s", error)
            raise falcon.HTTPServiceUnavailable(
                title="Store unavailable",
                description="It is not known whether the increment happened. It is not tried again.",
                retry_after=1,
            ) from error
        resp.data = b'{"count": %d' % value + self._tail

    async def on_head(self, _: Request, resp: Response) -> None:
        # The length is not known without counting. Falcon would call it 0, but not for a stream.
        resp.stream = _nothing()


class _Health:
    """``/healthz``: answering at all is the proof; a broken store must not get the process killed."""

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.data = b'{"status": "ok"}'

    on_head = on_get


class _Ready:
    """``/readyz``: whether to send requests here."""

    def __init__(self, store: Store, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._store = store
        self._metrics = metrics
        self._lifecycle = lifecycle

    async def on_get(self, _: Request, resp: Response) -> None:
        if self._lifecycle.draining:
            raise falcon.HTTPServiceUnavailable(title="Draining", description="The service is stopping.")
        try:
            await self._store.check()
        except StoreError as error:
            self._metrics.store_failed(error.reason)
            _log.warning("not ready: %s", error)
            raise falcon.HTTPServiceUnavailable(
                title="Store unavailable", description="The store does not answer."
            ) from error
        resp.data = b'{"status": "ready"}'

    on_head = on_get


class _Version:
    """``/version``."""

    def __init__(self, settings: Settings) -> None:
        self._body = json.dumps({"version": settings.version, "pod": settings.pod}).encode()

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.data = self._body

    on_head = on_get


class _Description:
    """``/openapi.json``: the interface, as far as OpenAPI can tell."""

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.data = DESCRIPTION

    on_head = on_get


class _Exposition:
    """``/metrics``: of all workers, whichever answers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.data = self._metrics.exposition()

    on_head = on_get


class _Router:
    """Finds a resource by the whole of its path: there are no patterns, and ``//`` is not ``/``.

    Falcon's interface for routers is at https://falcon.readthedocs.io/en/stable/api/routing.html#custom-routers.
    """

    def __init__(self) -> None:
        self._routes: dict[str, tuple[object, dict[str, Any], dict[str, Any], str]] = {}

    def add_route(self, uri_template: str, resource: object, **_: Any) -> None:
        methods: dict[str, Any] = map_http_methods(resource)
        allowed = ", ".join(sorted([*methods, "OPTIONS"]))

        async def options(req: Request, resp: Response, **kwargs: Any) -> None:
            # Falcon's own answer leaves itself out.
            resp.set_header("Allow", allowed)
            resp.set_header("Content-Length", "0")

        methods["OPTIONS"] = options
        set_default_responders(methods, asgi=True)
        self._routes[uri_template] = (resource, methods, {}, uri_template)

    def find(self, uri: str, req: Request | None = None) -> Any:
        return self._routes.get(uri)


class _Observer:
    """Middleware: request ids, headers common to all answers, measurements and the log line."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._store = store
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._log_level = settings.log_level

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        # The constructor runs before the fork; what differs between workers is made here.
        self._id_prefix = os.urandom(8).hex()
        self._id_number = 0
        self._log = RequestLog(self._log_level, self._metrics.lines_lost)
        self._metrics.worker_started()
        self._lifecycle.listen()

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        self._log.flush()
        await self._store.close()

    async def process_request(self, req: Request, resp: Response) -> None:
        req.context.started = perf_counter()

    async def process_response(self, req: Request, resp: Response, resource: object, ok: bool) -> None:
        request_id = req.get_header("X-Request-ID")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            self._id_number += 1
            request_id = f"{self._id_prefix}-{self._id_number:x}"
        resp.set_header("X-Request-ID", request_id)
        if self._lifecycle.draining:
            resp.set_header("Connection", "close")

        seconds = perf_counter() - req.context.started
        status = resp.status_code
        route = req.uri_template or OTHER
        self._metrics.request(route, req.method, status, seconds)
        probe = route in _PROBES
        if self._log.probes if probe else self._log.requests:
            self._log.write(probe, req.method, req.path, status, seconds, request_id)


def _write_error(req: Request, resp: Response, error: falcon.HTTPError) -> None:
    resp.data = error.to_json()
    resp.content_type = falcon.MEDIA_JSON


def create_app(settings: Settings, store: Store, metrics: Metrics, lifecycle: Lifecycle) -> App[Request, Response]:
    """Put the service together.

    Args:
        settings: see :mod:`counter.config`.
        store: holds the count.
        metrics: shared by the workers.
        lifecycle: of the worker.

    Returns:
        An ASGI application (https://asgi.readthedocs.io) that uses the lifespan protocol.
    """
    # Falcon's types know no other router than its own.
    router = cast(CompiledRouter, _Router())
    app = App(middleware=[_Observer(settings, store, metrics, lifecycle)], router=router)
    app.set_error_serializer(_write_error)
    app.add_route("/", _Count(settings, store, metrics))
    app.add_route("/healthz", _Health())
    app.add_route("/readyz", _Ready(store, metrics, lifecycle))
    app.add_route("/version", _Version(settings))
    app.add_route("/metrics", _Exposition(metrics))
    app.add_route("/openapi.json", _Description())
    return app
