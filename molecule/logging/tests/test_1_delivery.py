"""Every line arrives once: while the collector is replaced, killed, or without a log host, and from pods that go."""

import time

import pytest
from lib.lines import NAMESPACE, Lines, numbered, unique


def once(pods: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return what is there of pods when each number is there, and none twice."""
    return {pod: (count, count) for pod, count in pods.items()}


@pytest.mark.soak
def test_20000_lines_of_four_pods_arrive_once_while_the_collector_is_replaced(lines: Lines) -> None:
    run = unique()
    pods = {f"writer-{number}": 5000 for number in range(4)}
    lines.start(**{pod: numbered(run, count, 500) for pod, count in pods.items()})
    lines.query_until(f"run:={run} | limit 1", 1)
    before = lines.collector
    lines.restart_collector()
    assert lines.collector != before
    lines.wait_for_end(*pods)
    assert lines.wait_for_all(run, pods) == once(pods)


def test_pod_that_is_deleted_after_its_last_line_loses_none(lines: Lines) -> None:
    run = unique()
    pods = {f"short-{number}": 200 for number in range(3)}
    lines.start(**{pod: numbered(run, count, 2000) for pod, count in pods.items()})
    lines.wait_for_end(*pods)
    lines.cluster.kubectl("delete", "pods", *pods, f"--namespace={NAMESPACE}", "--wait=false")
    assert lines.wait_for_all(run, pods) == once(pods)


@pytest.mark.parametrize("seconds", [20, pytest.param(120, marks=pytest.mark.soak)])
def test_log_host_that_is_away_gets_every_line_once_also_by_another_collector(lines: Lines, seconds: int) -> None:
    run, rate = unique(), 200
    pods = {f"away-{seconds}-{number}": rate * (seconds + 5) for number in range(2)}
    lines.start(**{pod: numbered(run, count, rate) for pod, count in pods.items()})
    lines.query_until(f"run:={run} | limit 1", 1)
    sent = "otelcol_exporter_sent_log_records_total"
    with lines.without_log_host():
        time.sleep(seconds / 2)
        lines.restart_collector()
        time.sleep(seconds / 2)
        metrics = lines.metrics()
        assert metrics.get(sent, 0) == 0
        assert metrics["otelcol_exporter_queue_size"] > 0
        assert metrics["otelcol_exporter_queue_size"] < metrics["otelcol_exporter_queue_capacity"]
    lines.wait_for_end(*pods, seconds=seconds + 60)
    assert lines.wait_for_all(run, pods, seconds=60) == once(pods)
    assert lines.metrics()["otelcol_exporter_queue_size"] < 1_000_000


def test_collector_that_is_killed_loses_no_line(lines: Lines) -> None:
    run, count = unique(), 4000
    lines.start(killed=numbered(run, count, 1000))
    lines.query_until(f"run:={run} | limit 1", 1)
    before = lines.process()
    lines.cluster.node_exec("kill", "-KILL", str(before))
    lines.wait_for_end("killed")
    lines.ready()
    arrived, numbers = lines.wait_for_all(run, {"killed": count}, seconds=90)["killed"]
    print(f"killed at 1000 lines/s: {arrived - numbers} of {numbers} lines are there twice")
    assert lines.process() != before
    assert numbers == count
