"""What Loki has acknowledged stays, through kills, restarts, upgrades and a full disk, until it is old."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from platform_cluster import docker, newest, wait_for
from platform_loki import Machine, label, selector


class Writer:
    """Pushes a line at a time, without pause, and knows which were acknowledged."""

    def __init__(self, machine: Machine) -> None:
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


def kill(machine: Machine) -> None:
    """Kill Loki; systemd starts it again."""
    machine.run("systemctl", "kill", "--signal=KILL", "loki")


def restart_host(machine: Machine) -> None:
    """Restart the machine."""
    docker("restart", machine.name)


@pytest.mark.parametrize("disturb", [kill, restart_host], ids=lambda disturb: disturb.__name__)
def test_no_acknowledged_line_is_lost(machine: Machine, disturb: Callable[[Machine], None]) -> None:
    with Writer(machine) as writer:
        wait_for("lines", lambda: len(writer.acknowledged) > 50, 30)
        disturb(machine)
        machine.wait_ready()
    writer.check()
    services = ["loki", "loki-disk-guard", "nginx", "nftables"]
    assert machine.run("systemctl", "is-active", *services).split() == ["active"] * 4


def version(machine: Machine) -> str:
    """Return the release that runs, by what it says itself."""
    return str(json.loads(machine.own_port("/loki/api/v1/status/buildinfo"))["version"])


def test_upgrade_and_the_way_back_keep_the_lines(machine: Machine) -> None:
    labels, written = label(), ["before"]
    assert version(machine) == "3.6.15"
    assert machine.loki.push(written, labels) == 204
    for release in ("3.7.8", "3.6.15"):
        run = machine.role("-e", f"loki_host_version={release}")
        assert run.status == 0, run.output
        assert version(machine) == release
        written.append(f"by {release}")
        assert machine.loki.push(written[-1:], labels) == 204
        assert machine.loki.lines(selector(labels)) == written


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server with upstream's archive, made of what was built: its URL and checksum."""
    archive = tmp_path / "loki-linux-amd64.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(newest("loki-3.7.8") / "loki", "loki-linux-amd64")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    yield f"http://127.0.0.1:{server.server_port}/{archive.name}", f"sha256:{digest}"
    server.shutdown()
    thread.join()


def test_release_from_an_archive(machine: Machine, mirror: tuple[str, str]) -> None:
    url, checksum = mirror
    archive = ["-e", "loki_host_version=3.7.8", "-e", f"loki_host_archive_url={url}"]
    # What the role built before is not what the archive brings.
    machine.run("rm", "-r", "/opt/loki/3.7.8")
    wrong = machine.role(*archive, "-e", f"loki_host_archive_checksum=sha256:{'0' * 64}")
    assert wrong.status != 0
    assert "did not match" in wrong.message()
    assert version(machine) == "3.6.15"
    run = machine.role(*archive, "-e", f"loki_host_archive_checksum={checksum}")
    assert run.status == 0, run.output
    assert version(machine) == "3.7.8"
    assert machine.role().status == 0
    assert version(machine) == "3.6.15"


def chunks(machine: Machine) -> set[str]:
    """Return the files of all chunks, once everything in memory is on the disk and nothing is in the log besides.

    Loki takes its log back every few minutes; until then a restart brings lines back that are flushed already.
    """
    machine.run("systemctl", "stop", "loki")
    machine.run("rm", "-r", "/var/lib/loki/data/wal")
    machine.run("systemctl", "start", "loki")
    machine.wait_ready()
    return on_disk(machine)


def on_disk(machine: Machine) -> set[str]:
    """Return the files of the chunks that are on the disk now."""
    return set(machine.run("find", "/var/lib/loki/data/chunks/counter", "-type", "f").splitlines())


def test_retention_deletes_what_is_old_and_keeps_the_rest(machine: Machine) -> None:
    old, fresh = label(), label()
    assert machine.loki.push(["fresh"], fresh) == 204
    before = chunks(machine)
    assert machine.loki.push(["old"], old, age=30 * 3600) == 204
    (chunk,) = chunks(machine) - before
    assert machine.loki.lines(selector(old), hours=48) == ["old"]
    shortened = ["loki_host_retention=24h", "loki_host_compaction_interval=5s", "loki_host_retention_delete_delay=1s"]
    run = machine.role(*(option for value in shortened for option in ("-e", value)))
    assert run.status == 0, run.output
    wait_for("the old line's chunk to go", lambda: chunk not in on_disk(machine), 180)
    # With the limit as it was: the line is gone, and not hidden. The restart drops what Loki has cached.
    assert machine.role().status == 0
    assert machine.loki.lines(selector(old), hours=48) == []
    assert machine.loki.lines(selector(fresh)) == ["fresh"]
    assert before <= on_disk(machine)


def test_files_that_a_killed_run_left_unread_are_read_by_the_next(machine: Machine) -> None:
    machine.run("touch", "/etc/loki/loki.yml", "/etc/nginx/nginx.conf")
    run = machine.role()
    assert run.status == 0, run.output
    (restarted,) = re.findall(r"TASK \[loki_host : Restart or reload them\] \*+\n((?:.+\n)+)", run.output)
    assert re.findall(r"changed: .*item=(.*)\)", restarted) == ["loki", "nginx"]
    assert run.recap("changed", machine.name) == 1, run.output


@pytest.fixture(scope="module")
def fresh(other: Machine) -> Iterator[Machine]:
    """The other machine as a Loki host whose data has a small disk of its own."""
    other.run("truncate", "--size=400M", "/srv/disk")
    device = other.run("losetup", "--find", "--show", "/srv/disk")
    try:
        run = other.role("-e", f"loki_host_data_device={device}")
        assert run.status == 0, run.output
        assert other.run("findmnt", "--noheadings", "--output=SOURCE,FSTYPE", "/var/lib/loki").split() == [
            device,
            "ext4",
        ]
        again = other.role("-e", f"loki_host_data_device={device}")
        assert again.recap("changed", other.name) == 0, again.output
        yield other
    finally:
        other.run("systemctl", "stop", "loki", "loki-disk-guard", check=False)
        other.run("umount", "/var/lib/loki", check=False)
        other.run("losetup", "--detach", device)
        # Loki's unit requires what is mounted there, and would go on to require the disk that is gone.
        other.run("sed", "--in-place", "/ .var.lib.loki /d", "/etc/fstab")
        other.run("systemctl", "daemon-reload")


def test_backup_is_restored_on_a_fresh_host(machine: Machine, fresh: Machine, tmp_path: Path) -> None:
    labels, replaced = label(), label()
    lines = [f"saved {number}" for number in range(200)]
    assert machine.loki.push(lines, labels) == 204
    archive = tmp_path / "loki.tar.gz"
    with Writer(machine) as writer:
        wait_for("lines", lambda: len(writer.acknowledged) > 20, 30)
        run = machine.play("playbooks/loki_backup.yml", "-e", f"loki_host_backup={archive}")
        assert run.status == 0, run.output
    writer.check()
    assert archive.stat().st_mode & 0o777 == 0o600
    assert machine.loki.lines(selector(labels)) == lines
    assert not machine.run("find", "/", "-xdev", "-name", "loki-backup-*")

    assert fresh.loki.push(["of the fresh host"], replaced) == 204
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    run = fresh.play("playbooks/loki_restore.yml", "-e", f"loki_host_backup={broken}")
    assert run.status != 0, run.output
    assert "could not be unpacked, so Loki goes on with what it has" in run.message()
    assert fresh.loki.lines(selector(replaced)) == ["of the fresh host"]
    assert fresh.run("find", "/var/lib/loki", "-maxdepth", "1", "-name", "data.*") == ""

    run = fresh.play("playbooks/loki_restore.yml", "-e", f"loki_host_backup={archive}")
    assert run.status == 0, run.output
    assert fresh.loki.lines(selector(labels)) == lines
    assert fresh.loki.lines(selector(replaced)) == []
    (kept,) = fresh.run("find", "/var/lib/loki", "-maxdepth", "1", "-name", "data.*").splitlines()
    assert kept in run.message()
    assert fresh.loki.push(["after the restore"], labels) == 204
    assert fresh.loki.lines(selector(labels)) == [*lines, "after the restore"]


@pytest.mark.parametrize("playbook", ["playbooks/loki_backup.yml", "playbooks/loki_restore.yml"])
def test_backup_or_restore_without_a_file_is_refused(machine: Machine, playbook: str) -> None:
    run = machine.play(playbook)
    assert run.status != 0
    assert "as in -e loki_host_backup=" in run.message()
    assert run.recap("changed", machine.name) == 0


def alerts(machine: Machine) -> str:
    """Return what the guard has said at the priority alert."""
    return machine.run("journalctl", "--unit=loki-disk-guard", "--priority=alert", "--no-pager", "--output=cat")


def test_full_disk_is_told_and_corrupts_nothing(fresh: Machine) -> None:
    labels = label()
    assert fresh.loki.push(["before"], labels) == 204
    size, used = map(int, fresh.run("df", "--output=size,used", "--block-size=1M", "/var/lib/loki").split()[-2:])
    fresh.run("fallocate", f"--length={round(size * 0.91) - used}M", "/var/lib/loki/filler")
    wait_for("the alert", lambda: "no more lines are taken" in alerts(fresh), 20)
    assert fresh.loki.push(["refused"], labels) == 503
    assert fresh.loki.lines(selector(labels)) == ["before"], "what is there can still be read"
    # To the last byte, and Loki killed in the middle of it.
    fresh.run("sh", "-c", "cat /dev/zero >/var/lib/loki/filler-of-the-rest", check=False)
    fresh.run("systemctl", "kill", "--signal=KILL", "loki")
    time.sleep(15)
    assert fresh.loki.push(["refused"], labels) == 503

    fresh.run("rm", "/var/lib/loki/filler", "/var/lib/loki/filler-of-the-rest")
    fresh.wait_ready()
    wait_for("lines to be taken", lambda: fresh.loki.push(["after"], labels) == 204, 60)
    assert fresh.loki.lines(selector(labels))[:2] == ["before", "after"]
    journal = fresh.run("journalctl", "--unit=loki", "--no-pager", "--output=cat")
    assert "corrupt" not in journal.lower()
