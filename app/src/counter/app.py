"""The HTTP interface: what each path answers, and what is measured and logged about it."""

import json
import logging
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from time import perf_counter
from typing import Any

import falcon
from falcon.asgi import App, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from counter.config import Settings
from counter.logs import RequestLog
from counter.metrics import OTHER, Metrics
from counter.stores import Store, StoreError

# The worker notes here when it had parsed the request, so that the time spent waiting for its turn counts.
RECEIVED = "counter.received"
_PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("counter.app")


@dataclass(slots=True)
class Lifecycle:
    """Where a worker is in its life.

    Attributes:
        draining: told to stop; still answers, and asks to be sent nothing more.
    """

    draining: bool = False


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


class _Count:
    """``/``: the only place that counts, and only for GET."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        rest = json.dumps({"pod": settings.pod, "version": settings.version})
        self._tail = f", {rest[1:]}".encode()

    async def on_get(self, req: Request, resp: Response) -> None:
        if req.path != "/":
            raise falcon.HTTPNotFound  # the router takes // for a single slash
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

    async def on_head(self, req: Request, resp: Response) -> None:
        if req.path != "/":
            raise falcon.HTTPNotFound
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

    _body = resources.files("counter").joinpath("openapi.json").read_bytes()

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.data = self._body

    on_head = on_get


class _Exposition:
    """``/metrics``: of all workers, whichever answers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def on_get(self, _: Request, resp: Response) -> None:
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.data = self._metrics.exposition()

    on_head = on_get


class _Observer:
    """Middleware: request ids, headers common to all answers, measurements and the log line."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._store = store
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._log = RequestLog(settings.log_level, metrics.lines_lost)
        self._id_prefix = ""
        self._id_number = 0

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        # Here and not in the constructor, which runs before the fork: the ids of two workers must differ.
        self._id_prefix = os.urandom(8).hex()
        self._metrics.worker_started()

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        self._log.flush()
        await self._store.close()

    async def process_response(self, req: Request, resp: Response, resource: object, ok: bool) -> None:
        request_id = req.get_header("X-Request-ID")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            self._id_number += 1
            request_id = f"{self._id_prefix}-{self._id_number:x}"
        resp.set_header("X-Request-ID", request_id)
        resp.set_header("Cache-Control", "no-store")
        if self._lifecycle.draining:
            resp.set_header("Connection", "close")

        seconds = perf_counter() - req.scope[RECEIVED]
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
        lifecycle: set to draining by the worker that is told to stop.

    Returns:
        An ASGI application (https://asgi.readthedocs.io) that uses the lifespan protocol.
    """
    app = App(middleware=[_Observer(settings, store, metrics, lifecycle)])
    app.set_error_serializer(_write_error)
    app.add_route("/", _Count(settings, store, metrics))
    app.add_route("/healthz", _Health())
    app.add_route("/readyz", _Ready(store, metrics, lifecycle))
    app.add_route("/version", _Version(settings))
    app.add_route("/metrics", _Exposition(metrics))
    app.add_route("/openapi.json", _Description())
    return app
