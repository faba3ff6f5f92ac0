"""Measurements of all workers in one shared page: adding costs no lock, no file and no memory."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from counter.page import WORDS, SharedPage

OTHER = "other"
# Label values are closed sets, so that no client can make them grow.
ROUTES = ("/", "/healthz", "/readyz", "/version", "/metrics", "/openapi.json", OTHER)
METHODS = ("GET", "HEAD", OTHER)
STATUSES = (200, 400, 404, 405, 500, 503, 0)  # 0 stands for any other
REFUSALS = (400, 408, 414, 431, 501, 0)
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
REASONS = ("timeout", "connection", "reply")

_NANOSECONDS = 1_000_000_000
_REQUESTS = {key: word for word, key in enumerate(product(ROUTES, METHODS, STATUSES))}
_BUCKETS = {r: len(_REQUESTS) + i * (len(BOUNDS) + 2) for i, r in enumerate(ROUTES)}  # then +Inf and the sum
_FAILURES = {r: len(_REQUESTS) + len(ROUTES) * (len(BOUNDS) + 2) + i for i, r in enumerate(REASONS)}
_REFUSALS = {status: max(_FAILURES.values()) + 1 + i for i, status in enumerate(REFUSALS)}
_REST = max(_REFUSALS.values()) + 1
_WORKER_STARTS, _LOST_LINES, _NO_ROOM = range(_REST, _REST + 3)
assert _NO_ROOM < WORDS


class Metrics(Collector):
    """Counts and durations, and their exposition for Prometheus.

    Args:
        page: a fresh page made before the fork.
        info: labels of ``counter_info``.
        workers: configured number of worker processes.
    """

    def __init__(self, page: SharedPage, info: dict[str, str], workers: int) -> None:
        self._page = page
        self._info = info
        self._workers = workers
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: one of ``ROUTES``.
            method: as sent.
            status: HTTP status.
            seconds: from the parsed request to the answer.
        """
        word = _REQUESTS.get((route, method, status))
        if word is None:
            word = _REQUESTS[route, method if method in METHODS else OTHER, status if status in STATUSES else 0]
        add = self._page.add
        add(word)
        first = _BUCKETS[route]
        add(first + bisect_left(BOUNDS, seconds))
        add(first + len(BOUNDS) + 1, int(seconds * _NANOSECONDS))

    def store_failed(self, reason: str) -> None:
        """Count an operation that the store left without a certain answer; one of ``REASONS``."""
        self._page.add(_FAILURES[reason])

    def worker_started(self) -> None:
        """Count a worker process."""
        self._page.add(_WORKER_STARTS)

    def lines_lost(self, lines: int) -> None:
        """Count log lines that could not be written."""
        self._page.add(_LOST_LINES, lines)

    def connection_refused(self) -> None:
        """Count a connection closed because there were too many."""
        self._page.add(_NO_ROOM)

    def request_refused(self, status: int) -> None:
        """Count a request that the server itself answered: malformed, too large or late."""
        self._page.add(_REFUSALS[status if status in REFUSALS else 0])

    def exposition(self) -> bytes:
        """All metrics of all workers in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read the page; called by the registry."""
        read = self._page.read
        info = GaugeMetricFamily("counter_info", "The running service.", labels=list(self._info))
        info.add_metric(list(self._info.values()), 1)
        yield info
        yield GaugeMetricFamily("counter_workers", "Configured worker processes.", value=self._workers)

        requests = CounterMetricFamily("counter_requests", "Requests answered.", labels=["route", "method", "status"])
        for (route, method, status), word in _REQUESTS.items():
            # The values that tell success from failure exist from the start, so that rate() sees the first.
            if (value := read(word)) or (route == "/" and method == "GET" and status in (200, 503)):
                requests.add_metric([route, method, str(status) if status else OTHER], value)
        yield requests

        durations = HistogramMetricFamily(
            "counter_request_duration_seconds", "Time to answer a request.", labels=["route"]
        )
        for route, first in _BUCKETS.items():
            total = 0
            buckets = []
            for offset, bound in enumerate([*map(str, BOUNDS), "+Inf"]):
                total += read(first + offset)
                buckets.append((bound, float(total)))
            durations.add_metric([route], buckets, read(first + len(BOUNDS) + 1) / _NANOSECONDS)
        yield durations

        failures = CounterMetricFamily(
            "counter_store_failures", "Store operations without a certain answer.", labels=["reason"]
        )
        for reason, word in _FAILURES.items():
            failures.add_metric([reason], read(word))
        yield failures

        refusals = CounterMetricFamily(
            "counter_requests_refused",
            "Requests answered before they had a path: malformed, too large, late.",
            labels=["status"],
        )
        for status, word in _REFUSALS.items():
            refusals.add_metric([str(status) if status else OTHER], read(word))
        yield refusals

        for name, text, word in (
            ("counter_worker_starts", "Worker processes started.", _WORKER_STARTS),
            ("counter_log_lines_lost", "Request log lines that could not be written.", _LOST_LINES),
            ("counter_connections_refused", "Connections closed at the limit.", _NO_ROOM),
        ):
            yield CounterMetricFamily(name, text, value=read(word))
