"""Counting by several processes at once, as nothing but itself would show a lost addition."""

import multiprocessing
from multiprocessing.synchronize import Barrier

from counter.metrics import Metrics
from prometheus_client.parser import text_string_to_metric_families

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


def _samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("route", "/") == "/" and sample.labels.get("status", "200") == "200"
    }


def test_no_count_is_lost_between_workers_or_with_one_that_ends() -> None:
    metrics = Metrics({}, 2)
    _two_workers(metrics)
    _two_workers(metrics)  # in the rows of those before
    samples = _samples(metrics)
    assert samples["counter_worker_starts_total"] == 4
    assert samples["counter_requests_total"] == 4 * REQUESTS
    assert samples["counter_request_duration_seconds_count"] == 4 * REQUESTS
    assert samples["counter_request_duration_seconds_sum"] == REQUESTS
