"""The count is saved into a file, and goes on after it where there is none; it never goes back."""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import Run
from lib.environment import READY, URL, playbook
from lib.network import answers, count, count_when_answered
from lib.service import APP
from lib.wait import wait_for

VALKEY, POD = "statefulset/counter-valkey", "counter-valkey-0"


VOLUME = "/var/local/volumes/node-1"
# In a shell of the node, which expands no pattern behind `>>`.
LOG = f"log=$(echo {VOLUME}/appendonlydir/appendonly.aof.*.incr.aof)"


@contextlib.contextmanager
def stopped_store(cluster: Cluster) -> Iterator[None]:
    """Stop Valkey, and start it again afterwards."""
    cluster.kubectl("scale", VALKEY, APP, "--replicas=0")
    cluster.kubectl("wait", "--for=delete", "pod/counter-valkey-0", APP, "--timeout=60s")
    yield
    cluster.kubectl("scale", VALKEY, APP, "--replicas=1")


def wait_for_store(cluster: Cluster) -> None:
    cluster.kubectl("rollout", "status", VALKEY, APP, "--timeout=60s")
    wait_for("an answer", lambda: answers(READY), 60)


def empty_the_store(cluster: Cluster) -> None:
    """Take away what Valkey has on its volume, as on a machine that never counted."""
    with stopped_store(cluster):
        cluster.node_exec("rm", "--recursive", f"{VOLUME}/appendonlydir")
    wait_for_store(cluster)


def run(name: str, file: Path) -> Run:
    return playbook(name, "-e", f"counter_app_backup={file}")


def test_backup_and_restore_on_an_empty_store(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    saved = count(URL)
    run("backup", file).ok()
    assert json.loads(file.read_text())["count"] == saved
    assert file.stat().st_mode & 0o777 == 0o600
    recorded = cluster.get("configmap", "counter-backup", "--namespace=counter")["metadata"]["creationTimestamp"]
    assert datetime.now(UTC) - datetime.fromisoformat(recorded) < timedelta(minutes=1)

    empty_the_store(cluster)
    assert count_when_answered(URL) == 1
    run("restore", file).ok(f"goes on after {saved}")
    assert count(URL) == saved + 1

    run("restore", file).ok("a number would be given twice", changed=0)
    assert count(URL) == saved + 2


def test_backup_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    file.write_text("somebody's")
    run("backup", file).failed("use a new file in a folder that exists")
    assert file.read_text() == "somebody's"


@pytest.mark.soak
def test_restore_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    for content in ("", "[]", '{"count": "many"}', "not JSON"):
        file.write_text(content)
        run("restore", file).failed("use a file that `make backup` wrote")
    run("restore", tmp_path / "nowhere.json").failed()


def test_power_loss_while_a_command_was_written_costs_no_count(cluster: Cluster) -> None:
    before = count(URL)
    with stopped_store(cluster):
        # What a disk may have that was promised a command and more, and had not written it all.
        torn = "printf '*2\\r\\n$4\\r\\nIN' >>$log; truncate --size=+4096 $log"
        cluster.node_exec("sh", "-euc", f"rm --force {VOLUME}/cut-*; {LOG}; {torn}")
    wait_for_store(cluster)
    assert count_when_answered(URL) == before + 1
    assert "4106 unacknowledged bytes were moved to /data/cut-" in cluster.kubectl("logs", POD, APP)
    assert cluster.node_exec("sh", "-c", f"stat --format=%s {VOLUME}/cut-*.aof") == "4106"


@pytest.mark.soak
def test_damaged_store_is_left_alone_and_the_count_brought_back_by_the_runbook(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "count.json"
    saved = count(URL)
    # The last number that is known from a log.
    file.write_text(json.dumps({"count": saved}))
    with stopped_store(cluster):
        cluster.node_exec("sh", "-euc", f"{LOG}; echo damaged >>$log; sha256sum $log >{VOLUME}/sum")
    said = "is damaged, and was not changed: docs/runbooks/ValkeyDown.md"
    wait_for("the refusal", lambda: said in cluster.kubectl("logs", POD, APP, check=False), 60)
    cluster.node_exec("sha256sum", "--check", f"{VOLUME}/sum")
    cluster.kubectl("scale", "deployment/counter", APP, "--replicas=0")
    with stopped_store(cluster):
        cluster.node_exec("mv", "--no-target-directory", f"{VOLUME}/appendonlydir", f"{VOLUME}/damaged")
    cluster.kubectl("rollout", "status", VALKEY, APP, "--timeout=60s")
    run("restore", file).ok(f"goes on after {saved}")
    cluster.kubectl("scale", "deployment/counter", APP, "--replicas=2")
    wait_for("an answer", lambda: answers(READY), 60)
    assert count_when_answered(URL) == saved + 1
