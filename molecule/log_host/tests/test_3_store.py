"""The stores themselves: whose lines they find, how little they may do, and that what they acknowledged stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from lib.docker import docker
from lib.logs import ARCHIVE, LogHost, label, needs_loki, selector
from lib.paths import ROOT
from lib.wait import wait_for

EXPOSURE = 2.0
LOST_SECONDS = {"victorialogs": 3.0, "loki": 0.0}
"""How much of what a store acknowledged before `kill -9` may be lost, in seconds, as its README says."""


def test_pushed_lines_are_found_by_their_tenant_alone(store: LogHost) -> None:
    # One that is JSON stays as it was sent, too, and one of 100 kB whole.
    labels, lines = label(), [*(f"line {number} ü" for number in range(100)), '{"level": "info"}', "x" * 100_000]
    assert store.logs.push(lines, labels) == 204
    store.logs.wait_lines(selector(labels), lines)
    if store.store == "victorialogs":
        path = "/select/logsql/field_values?query=%2A&field=job"
    else:
        path = "/loki/api/v1/label/job/values?since=1h"
    assert labels["job"] in store.own_port(path)
    assert labels["job"] not in store.own_port(path, "2")
    status, body = store.logs.request("GET", path, "reader")
    assert status == 200
    assert labels["job"] in body


def test_lines_come_by_otlp_with_their_streams_and_fields(store: LogHost) -> None:
    app = label()["job"]
    streams = {"namespace": "counter", "app": app, "container": "proxy"}
    pushed = store.logs.push_otlp(
        ["GET /"], {**streams, "pod": "counter-1", "node": "node-1"}, fields={"level": "info", "status": "200"}
    )
    assert pushed in (200, 204)
    chosen = f'{{namespace="counter",app="{app}",container="proxy"}}'
    store.logs.wait_lines(chosen, ["GET /"])
    if store.store == "victorialogs":
        (record,) = store.logs.records(chosen)
        # Fields of which there are many values make no streams.
        assert record["_stream"] == f'{{app="{app}",container="proxy",level="info",namespace="counter"}}'
        assert (record["pod"], record["node"], record["status"]) == ("counter-1", "node-1", "200")


def test_unit_has_few_rights(store: LogHost) -> None:
    report = store.run("systemd-analyze", "security", "--no-pager", "log-store.service")
    (score,) = re.findall(r"Overall exposure level for log-store.service: ([\d.]+)", report)
    print(f"exposure of log-store.service with {store.store}: {score}")
    assert float(score) <= EXPOSURE, report
    assert store.rights("log-store") == (False, 0, "1")


def test_value_that_the_store_alone_can_judge_is_refused_and_what_runs_goes_on(store: LogHost) -> None:
    pid = store.run("systemctl", "show", "--property=MainPID", "--value", "log-store")
    before = store.run("cat", "/etc/systemd/system/log-store.service")
    played = store.role("-e", f"log_host_retention={'9' * 30}h", parts=["host", store.store])
    assert played.status != 0, played.output
    assert played.recap("changed", store.name) == 0, played.output
    assert "9" * 30 in played.message()
    assert store.run("cat", "/etc/systemd/system/log-store.service") == before
    assert store.run("systemctl", "show", "--property=MainPID", "--value", "log-store") == pid
    assert store.is_ready()


class Writer:
    """Pushes a line at a time, without pause, and knows which were acknowledged, and when."""

    def __init__(self, machine: LogHost) -> None:
        self.labels = label()
        self.acknowledged: dict[str, float] = {}
        self._machine = machine
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        logs, number = self._machine.logs, 0
        while not self._end.is_set() and number < 5000:
            number += 1
            line = f"line {number}"
            with suppress(OSError):
                if logs.push([line], self.labels) == 204:
                    self.acknowledged[line] = time.monotonic()
                    continue
            # It was not acknowledged, and what fails at once would fail again as fast. A machine that was restarted may
            # have another address.
            self._end.wait(0.2)
            logs = self._machine.logs

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def wait(self, count: int) -> None:
        """Return when so many more lines have been acknowledged."""
        before = len(self.acknowledged)
        wait_for("lines", lambda: len(self.acknowledged) >= before + count, 30)

    def lost(self) -> list[str]:
        """Return the acknowledged lines that are not found, once all that are there can be found."""
        missing: list[str] = []

        def complete() -> bool:
            found = self._machine.logs.lines(selector(self.labels))
            assert len(found) == len(set(found)), "a line is there twice"
            missing[:] = sorted(set(self.acknowledged) - set(found), key=self.acknowledged.__getitem__)
            return not missing

        assert len(self.acknowledged) > 50
        with suppress(TimeoutError):
            wait_for("all lines", complete, 5)
        return missing


def stop(machine: LogHost) -> None:
    """Stop the store by SIGTERM and start it again."""
    machine.run("systemctl", "restart", "log-store")


def restart_host(machine: LogHost) -> None:
    """Restart the machine."""
    docker("restart", machine.name)


def other_version(machine: LogHost) -> None:
    """Run another version, and then the one before."""
    runs = machine.run("readlink", "/opt/log-store/current")
    machine.run("cp", "--archive", f"/opt/log-store/{runs}", "/opt/log-store/another")
    for version in ("another", runs):
        played = machine.role("-e", f"_log_host_release={version}", parts=["host", "service", "restart", "ready"])
        assert played.status == 0, played.output
        assert machine.run("readlink", "/opt/log-store/current") == version
    machine.run("rm", "--recursive", "/opt/log-store/another")


@pytest.mark.parametrize("disturb", [stop, restart_host, other_version], ids=lambda disturb: disturb.__name__)
def test_no_acknowledged_line_is_lost(store: LogHost, disturb: Callable[[LogHost], None]) -> None:
    with Writer(store) as writer:
        writer.wait(51)
        disturb(store)
        store.wait_ready()
        writer.wait(10)
    assert writer.lost() == []
    services = ["log-store", "log-disk-guard", "nginx", "nftables"]
    assert store.run("systemctl", "is-active", *services).split() == ["active"] * 4


def test_kill_loses_no_more_than_documented(store: LogHost) -> None:
    with Writer(store) as writer:
        writer.wait(200)
        # Longer than what may be lost, so that there is something that has to be kept.
        time.sleep(LOST_SECONDS[store.store] + 1)
        killed = time.monotonic()
        store.run("systemctl", "kill", "--signal=KILL", "log-store")
        store.wait_ready()
        writer.wait(10)
    lost = [killed - writer.acknowledged[line] for line in writer.lost()]
    print(f"lost by kill -9 of {store.store}: {len(lost)} lines of the last {max(lost, default=0):.2f} s")
    assert max(lost, default=0) <= LOST_SECONDS[store.store]


def on_disk(machine: LogHost) -> set[str]:
    """Return the folders or files that a store deletes what is old by, once all is on the disk."""
    if machine.store == "victorialogs":
        return set(
            machine.run("find", f"{machine.data}/current/partitions/", "-mindepth", "1", "-maxdepth", "1").split()
        )
    return set(machine.run("find", f"{machine.data}/current/chunks/1", "-type", "f").splitlines())


def test_retention_deletes_what_is_old_and_keeps_the_rest(store: LogHost) -> None:
    old, fresh = label(), label()
    assert store.logs.push(["fresh"], fresh) == 204
    stop(store)
    store.wait_ready()
    before = on_disk(store)
    # Two days and two hours: of a day that has ended before the retention begins, whatever the time is.
    assert store.logs.push(["old"], old, age=50 * 3600) == 204
    stop(store)
    store.wait_ready()
    (added,) = on_disk(store) - before
    store.logs.wait_lines(selector(old), ["old"], hours=72)
    shortened = ["log_host_retention=24h", "log_host_compaction_interval=5s", "log_host_retention_delete_delay=1s"]
    options = [option for value in shortened for option in ("-e", value)]
    parts = ["host", store.store, "service", "restart", "ready"]
    played = store.role(*options, parts=parts)
    assert played.status == 0, played.output
    wait_for("what is old to go", lambda: added not in on_disk(store), 180)
    # With the limit as it was: the line is gone, and not hidden.
    assert store.role(parts=parts).status == 0
    assert store.logs.lines(selector(old), hours=72) == []
    store.logs.wait_lines(selector(fresh), ["fresh"])


def generations(machine: LogHost) -> list[str]:
    """Return what is in the folder of the data beside the link to what is in use."""
    found = machine.run("find", machine.data, "-mindepth", "1", "-maxdepth", "1", "-not", "-name", "current")
    return sorted(found.splitlines())


def backup(machine: LogHost, archive: Path) -> None:
    """Back the machine's store up into an archive."""
    played = machine.play("playbooks/logs_backup.yml", "-e", f"log_host_backup={archive}")
    assert played.status == 0, played.output


def killed_at(machine: LogHost, task: str, playbook: str, *arguments: str) -> None:
    """Run a playbook and kill it with all that it started when it has come to a task."""
    command = machine.command(playbook, *arguments)
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if f"TASK [log_host : {task}]" in line:
                break
        else:
            pytest.fail(f"it did not come to {task}")
        os.killpg(run.pid, signal.SIGKILL)


def test_backup_is_restored_on_an_empty_host(machine: LogHost, small_disk: tuple[LogHost, str], tmp_path: Path) -> None:
    other, _ = small_disk
    labels, replaced = label(), label()
    lines = [f"saved {number}" for number in range(200)]
    assert machine.logs.push(lines, labels) == 204
    archive = tmp_path / "logs.tar.gz"
    with Writer(machine) as writer:
        writer.wait(51)
        backup(machine, archive)
    assert writer.lost() == []
    assert archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["logs.tar.gz"]
    machine.logs.wait_lines(selector(labels), lines)
    assert machine.run("find", "/var/tmp", "-mindepth", "1", "-name", "log-store-*") == ""  # noqa: S108

    assert other.logs.push(["of the other host"], replaced) == 204
    other.logs.wait_lines(selector(replaced), ["of the other host"])
    before = generations(other)
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[:-20])
    foreign = tmp_path / "foreign.tar.gz"
    subprocess.run(["tar", "--create", "--gzip", f"--file={foreign}", "README.md"], cwd=ROOT, check=True)
    for file, message in (
        (broken, "the log store goes on with what it has"),
        (foreign, "that a backup of victorialogs"),
    ):
        played = other.play("playbooks/logs_restore.yml", "-e", f"log_host_backup={file}")
        assert played.status != 0, played.output
        assert message in played.message()
    assert other.logs.lines(selector(replaced)) == ["of the other host"]
    assert generations(other) == before

    killed_at(other, "Link the restored data", "playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    # What had begun on the host ends there, and the store may stand still: the next run of the role starts it.
    time.sleep(3)
    other.run("systemctl", "start", "log-store")
    other.wait_ready()
    old, new = (other.logs.lines(selector(found)) for found in (replaced, labels))
    assert (old, new) in ((["of the other host"], []), ([], lines))

    played = other.play("playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    assert played.status == 0, played.output
    assert other.logs.lines(selector(labels)) == lines
    assert other.logs.lines(selector(replaced)) == []
    assert set(before) < set(generations(other)), "what there was is kept"
    assert "What was there before is kept in /var/lib/log-store/victorialogs/" in played.message()
    assert other.logs.push(["after the restore"], labels) == 204
    other.logs.wait_lines(selector(labels), [*lines, "after the restore"])


def test_backup_that_does_not_fit_is_refused(small_disk: tuple[LogHost, str], tmp_path: Path) -> None:
    other, _ = small_disk
    other.run("mount", "--types=tmpfs", "--options=size=60M", "tmpfs", "/var/tmp")  # noqa: S108
    try:
        archive = tmp_path / "logs.tar.gz"
        played = other.play("playbooks/logs_backup.yml", "-e", f"log_host_backup={archive}")
        assert played.status != 0
        assert re.search(r"may take \d+ MiB; there are \d+ MiB free in /var/tmp on", played.message())
        assert played.recap("changed", other.name) == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        other.run("umount", "/var/tmp")  # noqa: S108


@pytest.mark.soak
@pytest.mark.parametrize(
    "task",
    [
        "Unpack the archive",
        "Create a folder for the restored data",
        "Link the restored data",
        "Start the log store",
    ],
)
def test_killed_restore_leaves_the_old_data_or_the_new(
    small_disk: tuple[LogHost, str], tmp_path: Path, task: str
) -> None:
    other, _ = small_disk
    saved, labels = label(), label()
    assert other.logs.push(["saved"], saved) == 204
    archive = tmp_path / "logs.tar.gz"
    backup(other, archive)
    assert other.logs.push(["not saved"], labels) == 204
    other.logs.wait_lines(selector(labels), ["not saved"])
    killed_at(other, task, "playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    time.sleep(3)
    other.run("systemctl", "start", "log-store")
    other.wait_ready()
    other.logs.wait_lines(selector(saved), ["saved"])
    assert other.logs.lines(selector(labels)) in (["not saved"], [])
    played = other.play("playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    assert played.status == 0, played.output
    other.logs.wait_lines(selector(saved), ["saved"])
    assert other.logs.lines(selector(labels)) == []


def test_disk_that_is_full_to_the_last_byte_corrupts_nothing(small_disk: tuple[LogHost, str]) -> None:
    other, _ = small_disk
    labels = label()
    assert other.logs.push(["before"], labels) == 204
    other.logs.wait_lines(selector(labels), ["before"])
    # What is found may still be in memory, and the store is killed in the middle of it.
    time.sleep(LOST_SECONDS[other.store])
    other.run("sh", "-c", "cat /dev/zero >/var/lib/log-store/filler", check=False)
    other.run("systemctl", "kill", "--signal=KILL", "log-store")
    wait_for("lines to be refused", lambda: other.logs.push(["refused"], labels) == 503, 15)
    other.run("rm", "/var/lib/log-store/filler")
    other.wait_ready()
    wait_for("lines to be taken", lambda: other.logs.push(["after"], labels) == 204, 60)
    wait_for("the line", lambda: "after" in other.logs.lines(selector(labels)), 15)
    assert other.logs.lines(selector(labels))[0] == "before"
    journal = other.run("journalctl", "--unit=log-store", "--no-pager", "--output=cat")
    assert "corrupt" not in journal.lower()


def test_lines_are_printed_by_the_command_for_them(machine: LogHost) -> None:
    labels = label()
    assert machine.logs.push(["to be printed"], labels) == 204
    machine.logs.wait_lines(selector(labels), ["to be printed"])
    answer = machine.secrets / "answer"
    for query in (selector(labels), ""):
        played = machine.play("playbooks/logs_query.yml", "-e", json.dumps({"log_host_query": query}))
        assert played.status == 0, played.output
        if query:
            (line,) = answer.read_text().splitlines()
            assert json.loads(line)["_msg"] == "to be printed"
        else:
            assert "/select/vmui/" in answer.read_text()
            assert "User: reader" in answer.read_text()
    answer.unlink()


@pytest.mark.soak
def test_query_that_the_store_does_not_take_is_refused(machine: LogHost) -> None:
    played = machine.play("playbooks/logs_query.yml", "-e", json.dumps({"log_host_query": "{"}))
    assert played.status != 0
    assert "log_host_query is '{', which victorialogs does not take" in played.message()


@needs_loki
def test_another_store_leaves_the_data_of_the_one_before(machine: LogHost) -> None:
    assert ARCHIVE
    labels = label()
    machine.store = "victorialogs"
    assert machine.role().status == 0
    assert machine.logs.push(["kept"], labels) == 204
    for name in ("loki", "victorialogs"):
        machine.store = name
        assert machine.role().status == 0
    machine.logs.wait_lines(selector(labels), ["kept"])
