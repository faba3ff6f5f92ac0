"""Check mode on a finished site tells the truth."""

from lib.cluster import Cluster
from lib.command import execute


def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it() -> None:
    before = Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"]
    execute("make", "check", "ARGS=-e counter_app_cpu_percent=70").ok(changed=1).ok(changed=0, host="logs")
    assert Cluster("local").get("hpa", "counter", "--namespace=counter")["spec"] == before
