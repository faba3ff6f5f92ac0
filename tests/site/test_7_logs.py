"""Logs as a person meets them after `make up`."""

import fcntl
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from lib.cluster import Cluster
from lib.command import execute
from lib.environment import turn
from lib.lines import Lines
from lib.paths import ROOT
from lib.wait import wait_for

URL = "http://127.0.0.1:8080/"


@contextmanager
def another_run() -> Iterator[None]:
    """Be a run of the environment that is under way: whoever only reads goes on beside it."""
    with turn(), (ROOT / ".state/local.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def test_request_is_found_on_the_log_host_within_ten_seconds() -> None:
    request_id = uuid.uuid4().hex
    with urlopen(Request(URL, headers={"X-Request-ID": request_id}), timeout=10) as answer:
        pod = json.load(answer)["pod"]
    logs = Lines(Cluster("local"))
    (line,) = wait_for("the line", lambda: logs.query(f"request_id:={request_id}"), 10)
    assert (line["namespace"], line["app"], line["pod"], line["status"]) == ("counter", "counter", pod, "200")
    assert float(line["duration_ms"]) > 0
    make = ("make", "--no-print-directory", "logs")
    with another_run():
        printed = execute(*make, f"QUERY=request_id:={request_id}")
    assert json.loads(printed.ok().output)["request_id"] == request_id
    execute(*make).ok(f"https://{logs.address}/select/vmui/", "User: reader")
