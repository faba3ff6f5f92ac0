"""The count is saved into a file, and goes on after it where there is none; it never goes back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lib.cluster import Cluster
from lib.command import Run
from lib.environment import READY, URL, playbook
from lib.network import answers, count
from lib.service import APP
from lib.wait import wait_for

VALKEY = "statefulset/counter-valkey"


def empty_the_store(cluster: Cluster) -> None:
    """Take away what Valkey has on its volume, as on a machine that never counted."""
    cluster.kubectl("scale", VALKEY, APP, "--replicas=0")
    cluster.kubectl("wait", "--for=delete", "pod/counter-valkey-0", APP, "--timeout=60s")
    cluster.node_exec("rm", "--recursive", "/var/local/volumes/node-1/appendonlydir")
    cluster.kubectl("scale", VALKEY, APP, "--replicas=1")
    cluster.kubectl("rollout", "status", VALKEY, APP, "--timeout=60s")
    wait_for("an answer", lambda: answers(READY), 60)


def run(name: str, file: Path) -> Run:
    return playbook("-e", f"counter_app_backup={file}", name=name)


def test_backup_and_restore_on_an_empty_store(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    saved = count(URL)
    run("backup", file).ok()
    assert json.loads(file.read_text())["count"] == saved
    assert file.stat().st_mode & 0o777 == 0o600
    recorded = cluster.get("configmap", "counter-backup", "--namespace=counter")["metadata"]["creationTimestamp"]
    assert datetime.now(UTC) - datetime.fromisoformat(recorded) < timedelta(minutes=1)

    empty_the_store(cluster)
    assert count(URL) == 1
    run("restore", file).ok(f"goes on after {saved}")
    assert count(URL) == saved + 1

    run("restore", file).ok("a number would be given twice", changed=0)
    assert count(URL) == saved + 2


def test_backup_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    file.write_text("somebody's")
    run("backup", file).failed("Name a file that is not there yet")
    assert file.read_text() == "somebody's"


@pytest.mark.soak
def test_restore_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    for content in ("", "[]", '{"count": "many"}', "not JSON"):
        file.write_text(content)
        run("restore", file).failed("Name a file that `make backup` wrote")
    run("restore", tmp_path / "nowhere.json").failed()
