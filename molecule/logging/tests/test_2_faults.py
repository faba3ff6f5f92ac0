"""A log host that refuses, or that is another one: the lines wait, the metrics show it, and nothing is lost."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib.certificates import self_signed
from lib.environment import turn
from lib.lines import LOGGING, Lines, numbered, unique
from lib.wait import wait_for


@contextmanager
def given(lines: Lines, kind: str, key: str, value: str) -> Iterator[None]:
    """Give the collector something else in its ConfigMap or Secret, run it with that, and put it back."""

    def give(value: str) -> None:
        patch = json.dumps({"data": {key: value}})
        lines.cluster.kubectl("patch", kind, "collector", LOGGING, f"--patch={patch}")
        lines.restart_collector()

    # A playbook would put it back meanwhile.
    with turn():
        before = lines.cluster.get(kind, "collector", LOGGING)["data"][key]
        give(value)
        try:
            yield
        finally:
            give(before)


def waits(lines: Lines, answer: str) -> tuple[str, str]:
    """Have a pod write, see its lines in the queue and why they wait; return run and pod."""
    run = unique()
    pod = f"waits-{run[:8]}"
    lines.start(**{pod: numbered(run, 500, 2000)})
    lines.wait_for_end(pod)

    def waiting() -> bool:
        found = lines.metrics()
        assert found.get("otelcol_exporter_sent_log_records_total", 0) == 0
        assert found.get("otelcol_exporter_send_failed_log_records_total", 0) == 0
        refused = [name for name in found if name.startswith(f'collector_answers_total{{answer="{answer}"')]
        return found["otelcol_exporter_queue_size"] > 10_000 and bool(refused)

    wait_for(f"lines in the queue, and {answer} in the metrics", waiting, 30)
    return run, pod


def test_wrong_password_is_seen_and_costs_no_line(lines: Lines) -> None:
    with given(lines, "secret", "password", base64.b64encode(b"wrong").decode()):
        run, pod = waits(lines, "401")
    assert lines.wait_for_all(run, {pod: 500}) == {pod: (500, 500)}


@pytest.mark.soak
def test_wrong_ca_is_seen_and_costs_no_line(lines: Lines, tmp_path: Path) -> None:
    other, _ = self_signed(tmp_path, "192.0.2.1")
    with given(lines, "configmap", "ca.crt", other.read_text()):
        run, pod = waits(lines, "certificate")
    assert lines.wait_for_all(run, {pod: 500}) == {pod: (500, 500)}
