"""Check mode on a finished site tells the truth."""

from __future__ import annotations

from lib.cluster import Cluster
from lib.command import execute


def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it() -> None:
    before = Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"]
    run = execute("make", "check", "ARGS=-e counter_app_cpu_percent=70")
    assert run.status == 0, run.output
    assert run.recap("changed") == 1, run.output
    assert run.recap("changed", "logs") == 0, run.output
    assert Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"] == before
