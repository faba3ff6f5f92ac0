"""Counting by several processes at once, as nothing but itself would show a lost addition."""

import multiprocessing
from multiprocessing.synchronize import Barrier

from counter.metrics import Metrics

from tests.harness import samples

REQUESTS = 50_000
_fork = multiprocessing.get_context("fork")


def _work(metrics: Metrics, together: Barrier) -> None:
    metrics.worker_started()
    together.wait()
    for _ in range(REQUESTS):
        metrics.request("/", "GET", 200, 0.25)
    together.wait()


def _two_workers(metrics: Metrics) -> None:
    together = _fork.Barrier(2)
    workers = [_fork.Process(target=_work, args=(metrics, together)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


def test_no_count_is_lost_between_workers_or_with_one_that_ends() -> None:
    metrics = Metrics({}, 2)
    _two_workers(metrics)
    _two_workers(metrics)  # in the rows of those before
    found = samples(metrics.exposition())
    assert found["counter_worker_starts_total"] == 4
    assert found['counter_requests_total{method="GET",route="/",status="200"}'] == 4 * REQUESTS
    assert found['counter_request_duration_seconds_count{route="/"}'] == 4 * REQUESTS
    assert found['counter_request_duration_seconds_sum{route="/"}'] == REQUESTS
