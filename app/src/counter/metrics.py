"""Measurements of all workers in shared memory, a row for each: adding costs no lock, no file and no memory."""

import fcntl
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from itertools import product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from counter.interface import PATHS

OTHER = "other"
# Label values are closed sets, so that no client can make them grow.
ROUTES = (*PATHS, OTHER)
METHODS = ("GET", "HEAD", OTHER)
STATUSES = (200, 400, 404, 405, 500, 503, 0)  # 0 stands for any other
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
REASONS = ("timeout", "connection", "reply")

_NANOSECONDS = 1_000_000_000
_REQUESTS = {key: word for word, key in enumerate(product(ROUTES, METHODS, STATUSES))}
_BUCKETS = {r: len(_REQUESTS) + i * (len(BOUNDS) + 2) for i, r in enumerate(ROUTES)}  # then +Inf and the sum
_FAILURES = {r: len(_REQUESTS) + len(ROUTES) * (len(BOUNDS) + 2) + i for i, r in enumerate(REASONS)}
_WORKER_STARTS = max(_FAILURES.values()) + 1
_LOST_LINES = _WORKER_STARTS + 1
# A row is 64-bit words; workers meet in no cache line, as a row is whole pages.
_WORDS = 512
_ROWS = 128  # twice the workers there may be: a reload starts the new before it stops the old
assert _LOST_LINES < _WORDS


class Metrics(Collector):
    """Counts and durations, and their exposition for Prometheus.

    An instance is made before the workers fork. Each has a row to itself, so that adding needs no atomic step; a
    worker that dies leaves its row, with what is in it, to the next.

    Args:
        info: labels of ``counter_info``.
        workers: configured number of worker processes.
    """

    def __init__(self, info: dict[str, str], workers: int) -> None:
        self._fd = os.memfd_create("counter-metrics")
        os.ftruncate(self._fd, _ROWS * _WORDS * 8)
        self._rows = memoryview(mmap.mmap(self._fd, 0)).cast("Q")
        self._row = self._rows[:_WORDS]
        self._info = info
        self._workers = workers
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def worker_started(self) -> None:
        """Take a row and count the worker process; called in it."""
        for row in range(_ROWS):
            try:
                # The kernel drops a record lock when its holder dies, however it dies.
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue
            self._row = self._rows[row * _WORDS : (row + 1) * _WORDS]
            self._row[_WORKER_STARTS] += 1
            return
        raise RuntimeError(f"more than {_ROWS} workers at once")

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: one of ``ROUTES``.
            method: as sent.
            status: HTTP status.
            seconds: it took.
        """
        word = _REQUESTS.get((route, method, status))
        if word is None:
            word = _REQUESTS[route, method if method in METHODS else OTHER, status if status in STATUSES else 0]
        row = self._row
        row[word] += 1
        first = _BUCKETS[route]
        row[first + bisect_left(BOUNDS, seconds)] += 1
        row[first + len(BOUNDS) + 1] += int(seconds * _NANOSECONDS)

    def store_failed(self, reason: str) -> None:
        """Count an operation that the store left without a certain answer; one of ``REASONS``."""
        self._row[_FAILURES[reason]] += 1

    def lines_lost(self, lines: int) -> None:
        """Count log lines that could not be written."""
        self._row[_LOST_LINES] += lines

    def exposition(self) -> bytes:
        """All metrics of all workers in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read the rows; called by the registry."""

        def read(word: int) -> int:
            return sum(self._rows[word::_WORDS])

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

        for name, text, word in (
            ("counter_worker_starts", "Worker processes started.", _WORKER_STARTS),
            ("counter_log_lines_lost", "Request log lines that could not be written.", _LOST_LINES),
        ):
            yield CounterMetricFamily(name, text, value=read(word))
