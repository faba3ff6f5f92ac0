"""Loki itself: whose lines it finds, how little it may do, and that what it has acknowledged stays until it is old."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from lib.docker import docker
from lib.loki import LogHost, label, needs_loki, selector
from lib.wait import wait_for

pytestmark = needs_loki
EXPOSURE = 2.0


def test_pushed_lines_are_found_by_query_and_by_their_tenant_alone(machine: LogHost) -> None:
    labels, lines = label(), [f"line {number} ü" for number in range(100)]
    assert machine.loki.push(lines, labels) == 204
    assert machine.loki.lines(selector(labels)) == lines
    path = "/loki/api/v1/label/job/values?since=1h"
    status, body = machine.loki.request("GET", path, "reader")
    assert status == 200
    assert labels["job"] in json.loads(body)["data"]
    assert labels["job"] in machine.own_port(path, "counter")
    assert labels["job"] not in machine.own_port(path, "somebody")


def test_unit_has_few_rights(machine: LogHost) -> None:
    report = machine.run("systemd-analyze", "security", "--no-pager", "loki.service")
    (score,) = re.findall(r"Overall exposure level for loki.service: ([\d.]+)", report)
    print(f"exposure of loki.service: {score}")
    assert float(score) <= EXPOSURE, report
    assert machine.rights("loki") == (False, 0, "1")
    assert machine.run("stat", "--format=%a %U", "/etc/loki/environment") == "600 root"


def test_value_that_loki_alone_can_judge_is_refused_and_what_runs_goes_on(machine: LogHost) -> None:
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", "loki")
    before = machine.run("cat", "/etc/loki/loki.yml")
    run = machine.role("-e", "log_host_compaction_interval=99999999999h")
    assert run.status != 0, run.output
    assert "failed to validate" in run.message()
    assert run.recap("changed", machine.name) == 0, run.output
    assert machine.run("cat", "/etc/loki/loki.yml") == before
    assert machine.run("systemctl", "show", "--property=MainPID", "--value", "loki") == pid
    assert machine.is_ready()


class Writer:
    """Pushes a line at a time, without pause, and knows which were acknowledged."""

    def __init__(self, machine: LogHost) -> None:
        self.labels = label()
        self.acknowledged: list[str] = []
        self._machine = machine
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        loki, number = self._machine.loki, 0
        while not self._end.is_set() and number < 5000:
            number += 1
            line = f"line {number}"
            with suppress(OSError):
                if loki.push([line], self.labels) == 204:
                    self.acknowledged.append(line)
                    continue
            # It was not acknowledged, and what fails at once would fail again as fast.
            self._end.wait(0.2)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def check(self) -> None:
        """Fail unless every acknowledged line is found."""
        assert len(self.acknowledged) > 50
        missing = set(self.acknowledged) - set(self._machine.loki.lines(selector(self.labels)))
        assert not missing, f"{len(missing)} of {len(self.acknowledged)} acknowledged lines are gone"


def kill(machine: LogHost) -> None:
    """Kill Loki; systemd starts it again."""
    machine.run("systemctl", "kill", "--signal=KILL", "loki")


def restart_host(machine: LogHost) -> None:
    """Restart the machine."""
    docker("restart", machine.name)


@pytest.mark.parametrize("disturb", [kill, restart_host], ids=lambda disturb: disturb.__name__)
def test_no_acknowledged_line_is_lost(machine: LogHost, disturb: Callable[[LogHost], None]) -> None:
    with Writer(machine) as writer:
        wait_for("lines", lambda: len(writer.acknowledged) > 50, 30)
        disturb(machine)
        machine.wait_ready()
    writer.check()
    services = ["loki", "loki-disk-guard", "nginx", "nftables"]
    assert machine.run("systemctl", "is-active", *services).split() == ["active"] * 4


def chunks(machine: LogHost) -> set[str]:
    """Return the files of all chunks, once everything in memory is on the disk and nothing is in the log besides.

    Loki takes its log back every few minutes; until then a restart brings lines back that are flushed already.
    """
    machine.run("systemctl", "stop", "loki")
    machine.run("rm", "-r", "/var/lib/loki/data/wal")
    machine.run("systemctl", "start", "loki")
    machine.wait_ready()
    return on_disk(machine)


def on_disk(machine: LogHost) -> set[str]:
    """Return the files of the chunks that are on the disk now."""
    return set(machine.run("find", "/var/lib/loki/data/chunks/counter", "-type", "f").splitlines())


def test_retention_deletes_what_is_old_and_keeps_the_rest(machine: LogHost) -> None:
    old, fresh = label(), label()
    assert machine.loki.push(["fresh"], fresh) == 204
    before = chunks(machine)
    assert machine.loki.push(["old"], old, age=30 * 3600) == 204
    (chunk,) = chunks(machine) - before
    assert machine.loki.lines(selector(old), hours=48) == ["old"]
    shortened = ["log_host_retention=24h", "log_host_compaction_interval=5s", "log_host_retention_delete_delay=1s"]
    run = machine.role(*(option for value in shortened for option in ("-e", value)))
    assert run.status == 0, run.output
    wait_for("the old line's chunk to go", lambda: chunk not in on_disk(machine), 180)
    # With the limit as it was: the line is gone, and not hidden. The restart drops what Loki has cached.
    assert machine.role().status == 0
    assert machine.loki.lines(selector(old), hours=48) == []
    assert machine.loki.lines(selector(fresh)) == ["fresh"]
    assert before <= on_disk(machine)


def test_backup_is_restored_on_a_fresh_host(machine: LogHost, small_disk: tuple[LogHost, str], tmp_path: Path) -> None:
    other, _ = small_disk
    labels, replaced = label(), label()
    lines = [f"saved {number}" for number in range(200)]
    assert machine.loki.push(lines, labels) == 204
    archive = tmp_path / "loki.tar.gz"
    with Writer(machine) as writer:
        wait_for("lines", lambda: len(writer.acknowledged) > 20, 30)
        run = machine.play("playbooks/logs_backup.yml", "-e", f"log_host_backup={archive}")
        assert run.status == 0, run.output
    writer.check()
    assert archive.stat().st_mode & 0o777 == 0o600
    assert machine.loki.lines(selector(labels)) == lines
    assert not machine.run("find", "/", "-xdev", "-name", "loki-backup-*")

    assert other.loki.push(["of the fresh host"], replaced) == 204
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    run = other.play("playbooks/logs_restore.yml", "-e", f"log_host_backup={broken}")
    assert run.status != 0, run.output
    assert "could not be unpacked, so Loki goes on with what it has" in run.message()
    assert other.loki.lines(selector(replaced)) == ["of the fresh host"]
    assert other.run("find", "/var/lib/loki", "-maxdepth", "1", "-name", "data.*") == ""

    run = other.play("playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    assert run.status == 0, run.output
    assert other.loki.lines(selector(labels)) == lines
    assert other.loki.lines(selector(replaced)) == []
    (kept,) = other.run("find", "/var/lib/loki", "-maxdepth", "1", "-name", "data.*").splitlines()
    assert kept in run.message()
    assert other.loki.push(["after the restore"], labels) == 204
    assert other.loki.lines(selector(labels)) == [*lines, "after the restore"]


def test_disk_that_is_full_to_the_last_byte_corrupts_nothing(small_disk: tuple[LogHost, str]) -> None:
    other, _ = small_disk
    labels = label()
    assert other.loki.push(["before"], labels) == 204
    # And Loki killed in the middle of it.
    other.run("sh", "-c", "cat /dev/zero >/var/lib/loki/filler", check=False)
    other.run("systemctl", "kill", "--signal=KILL", "loki")
    time.sleep(15)
    assert other.loki.push(["refused"], labels) == 503
    other.run("rm", "/var/lib/loki/filler")
    other.wait_ready()
    wait_for("lines to be taken", lambda: other.loki.push(["after"], labels) == 204, 60)
    assert other.loki.lines(selector(labels))[:2] == ["before", "after"]
    journal = other.run("journalctl", "--unit=loki", "--no-pager", "--output=cat")
    assert "corrupt" not in journal.lower()
