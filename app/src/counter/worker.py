"""gunicorn's ASGI worker: bounded connections and requests, less work for each, and a stop that turns nobody away."""

import asyncio
import gc
import logging
from functools import partial
from time import perf_counter
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.asgi.protocol import ASGIProtocol, BodyReceiver
from gunicorn.workers import gasgi

from counter.app import RECEIVED
from counter.parser import HeadParser

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n"
    b"Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\ntoo many connections"
)
_log = logging.getLogger("counter.worker")


class CounterBody(BodyReceiver):
    """A request's body, which has to begin in time.

    gunicorn waits as long as a worker may hang, and then reports an error of its own.
    """

    async def _wait_for_data(self) -> None:
        try:
            async with asyncio.timeout(self.protocol.worker.app.settings.first_request_timeout):
                await super()._wait_for_data()
        except TimeoutError:
            self._body_wait_expired = True
        if self._body_wait_expired:
            self.protocol.late()


class CounterProtocol(ASGIProtocol):
    """A connection that its worker knows of.

    gunicorn bounds the pause between requests, but neither the time until a connection's first request nor,
    in this worker class, the number of connections.
    """

    def __init__(self, worker: "CounterWorker") -> None:
        super().__init__(worker)
        self._first_request: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being worked on, or about to be."""
        return bool(self._awaiting_request and not self._request_ready.is_set())

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take the connection, making room by closing the oldest idle one if there are too many."""
        worker = self.worker
        if len(worker.connections) >= worker.worker_connections and not worker.close_one_idle():
            worker.app.metrics.connection_refused()
            self._conn_lost_handled = True  # gunicorn has not counted it, so must not count it down
            transport.write(_FULL)
            transport.close()
            return
        worker.connections[self] = None
        super().connection_made(transport)
        self._first_request = worker.loop.call_later(
            worker.app.settings.first_request_timeout, self._first_request_missing
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.worker.connections.pop(self, None)
        if self._first_request is not None:
            self._first_request.cancel()
        was_idle = self.idle
        super().connection_lost(exc)
        if was_idle:
            # These refer back to the connection, which would stay until the next full garbage collection.
            self._callback_parser = self._body_receiver = self._flow_control = None

    def close_idle(self) -> None:
        """Close the connection as if the pause between requests had been too long."""
        self.worker.connections.pop(self, None)
        self._keepalive_timeout()

    def late(self) -> None:
        """Answer a request that does not arrive in full, and close."""
        self._send_error_response(408, "The request did not arrive in time")
        self.close_idle()

    def _first_request_missing(self) -> None:
        if self.req_count <= 1 and self.idle:
            self.late()

    def _on_headers_complete(self) -> bool:
        self._received = perf_counter()
        return bool(super()._on_headers_complete())

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope[RECEIVED] = self._received
        return scope

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        # gunicorn makes a task of each request, for applications that go on after their answer. Ours does not.
        return bool(await self._handle_http_request(request, sockname, peername))

    def _send_error_response(self, status: int, message: str, extra_headers: tuple[tuple[str, str], ...] = ()) -> None:
        if self._closed:
            return
        self.worker.app.metrics.request_refused(status)
        _log.info("refused with %d: %s", status, message)
        super()._send_error_response(status, message, (*extra_headers, ("Cache-Control", "no-store")))


class CounterWorker(gasgi.ASGIWorker):
    """Stops in this order: not ready, no new connections, idle connections closed, requests finished.

    ``app`` is the :class:`counter.server.Server` that started it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: dict[CounterProtocol, None] = {}  # oldest first

    def _setup_event_loop(self) -> None:
        super()._setup_event_loop()
        # gunicorn leaves the length of the queue to the loop, whose 100 are too few for a burst of connections.
        self.loop.create_server = partial(self.loop.create_server, backlog=self.cfg.backlog)

    def init_process(self) -> None:
        """Run the worker; called in the new process."""
        # What there is by now stays for good. Full collections, which come the later the more objects there are,
        # need not look at it: they take less time, and what connections leave behind is freed sooner.
        gc.freeze()
        super().init_process()

    def close_one_idle(self) -> bool:
        """Close the oldest idle connection; False when all are busy."""
        oldest = next((connection for connection in self.connections if connection.idle), None)
        if oldest is not None:
            oldest.close_idle()
        return oldest is not None

    def handle_exit_signal(self) -> None:
        """SIGTERM: say so at once, and stop accepting once whoever asks has had time to notice."""
        if self.app.lifecycle.draining:
            return
        self.app.lifecycle.draining = True
        self.log.info("Draining for %d s", self.app.settings.drain)
        self.loop.call_later(self.app.settings.drain, super().handle_exit_signal)

    async def _shutdown(self) -> None:
        for server in self.servers:
            server.close()
        # gunicorn would wait for idle connections as long as for busy ones.
        for connection in list(self.connections):
            if connection.idle and not self._quick_shutdown:
                connection.close_idle()
        await super()._shutdown()


# gunicorn has no settings for these classes; its worker and its connections look the names up here.
gasgi.ASGIProtocol = CounterProtocol
protocol.BodyReceiver = CounterBody
protocol.PythonProtocol = HeadParser
