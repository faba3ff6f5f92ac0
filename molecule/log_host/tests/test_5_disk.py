"""Data on a disk of its own: a backup is restored there, and it fills up.

Until here the data was on the host's own disk, where it is again when all tests have ended.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from lib.command import Run
from lib.logs import LOST_SECONDS, Labels, LogHost, Writer, selector
from lib.paths import ROOT
from lib.wait import wait_for


def play(machine: LogHost, what: str, archive: Path) -> Run:
    """Run the playbook of a backup or a restore."""
    return machine.play(f"playbooks/logs_{what}.yml", "-e", f"log_host_backup={archive}")


class Saved(NamedTuple):
    """A backup: its file, lines that were there before, and what was acknowledged meanwhile and is not found."""

    archive: Path
    labels: Labels
    lines: list[str]
    lost: list[str]


@pytest.fixture(scope="module")
def saved(machine: LogHost, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A backup of what the host has on its own disk."""
    lines = [f"saved {number}" for number in range(200)]
    labels = machine.logs.pushed(*lines)
    archive = tmp_path_factory.mktemp("backup") / "logs.tar.gz"
    with Writer(machine) as writer:
        writer.wait(51)
        play(machine, "backup", archive).ok()
    return Saved(archive, labels, lines, writer.lost())


@pytest.fixture(scope="module")
def disk(machine: LogHost, saved: Saved) -> Iterator[str]:
    """A small disk, empty at first, that the role has put under the data."""
    machine.run("truncate", "--size=400M", "/srv/disk")
    device = machine.run("losetup", "--find", "--show", "/srv/disk")
    try:
        # What runs would go on with the files below the mount.
        machine.run("systemctl", "stop", "log-store", "log-disk-guard")
        machine.role("-e", f"log_host_data_device={device}").ok()
        mounted = machine.run("findmnt", "--noheadings", "--output=SOURCE,FSTYPE", "/var/lib/log-store")
        assert mounted.split() == [device, "ext4"]
        yield device
    finally:
        machine.run("systemctl", "stop", "log-store", "log-disk-guard", check=False)
        machine.run("umount", "/var/lib/log-store", check=False)
        machine.run("losetup", "--detach", device)
        machine.run("rm", "/srv/disk")
        # The unit requires what is mounted there, and would go on to require the disk that is gone.
        machine.run("sed", "--in-place", "/ .var.lib.log-store /d", "/etc/fstab")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "log-store", "log-disk-guard")


def generations(machine: LogHost) -> list[str]:
    """Return what is in the folder of the data beside the link to what is in use."""
    found = machine.run("find", machine.data, "-mindepth", "1", "-maxdepth", "1", "-not", "-name", "current")
    return sorted(found.splitlines())


def test_backup_loses_no_line_and_is_its_owners_alone(machine: LogHost, saved: Saved) -> None:
    assert saved.lost == []
    assert saved.archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in saved.archive.parent.iterdir()] == ["logs.tar.gz"]
    machine.logs.wait_lines(selector(saved.labels), saved.lines)
    assert machine.run("find", "/var/tmp", "-mindepth", "1", "-name", "log-store-*") == ""  # noqa: S108


def test_backup_is_restored_on_an_empty_disk(machine: LogHost, saved: Saved, disk: str, tmp_path: Path) -> None:
    replaced = machine.logs.pushed("of the other disk")
    machine.logs.wait_lines(selector(replaced), ["of the other disk"])
    assert machine.logs.lines(selector(saved.labels)) == []
    before = generations(machine)
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(saved.archive.read_bytes()[:-20])
    foreign = tmp_path / "foreign.tar.gz"
    subprocess.run(["tar", "--create", "--gzip", f"--file={foreign}", "README.md"], cwd=ROOT, check=True)
    play(machine, "restore", broken).failed("the log store goes on with what it has")
    play(machine, "restore", foreign).failed("that a backup of victorialogs")
    assert machine.logs.lines(selector(replaced)) == ["of the other disk"]
    assert generations(machine) == before

    kept = "What was there before is kept in /var/lib/log-store/victorialogs/"
    play(machine, "restore", saved.archive).ok(kept)
    assert machine.logs.lines(selector(saved.labels)) == saved.lines
    assert machine.logs.lines(selector(replaced)) == []
    assert set(before) < set(generations(machine)), "what there was is kept"
    assert machine.logs.push(["after the restore"], saved.labels) == 204
    machine.logs.wait_lines(selector(saved.labels), [*saved.lines, "after the restore"])


def alerts(machine: LogHost) -> list[str]:
    """Return what the guard has reported at the priority alert."""
    journal = machine.run("journalctl", "--unit=log-disk-guard", "--priority=alert", "--no-pager", "--output=cat")
    return journal.splitlines()


# A file of 91 % of the disk; and as many empty files as inodes are left but for some.
FILL_SPACE = """
size=$(df --output=size --block-size=1M /var/lib/log-store | tail -n 1)
used=$(df --output=used --block-size=1M /var/lib/log-store | tail -n 1)
mkdir /var/lib/log-store/filler
fallocate --length=$((size * 91 / 100 - used))M /var/lib/log-store/filler/file
"""
FILL_INODES = """
total=$(df --output=itotal /var/lib/log-store | tail -n 1)
mkdir /var/lib/log-store/filler
cd /var/lib/log-store/filler
seq $((total * 91 / 100)) | xargs touch
"""


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(
    ("fill", "what"),
    [(FILL_SPACE, "of its space"), pytest.param(FILL_INODES, "of its inodes", marks=pytest.mark.soak)],
    ids=["space", "inodes"],
)
def test_full_disk_is_reported_and_no_lines_are_taken(machine: LogHost, fill: str, what: str) -> None:
    reported = len(alerts(machine))
    labels = machine.logs.pushed("before")
    try:
        machine.run("sh", "-c", fill)
        wait_for("the alert", lambda: len(alerts(machine)) > reported, 20)
        alert = alerts(machine)[-1]
        assert "no more lines are taken" in alert
        (used,) = re.findall(rf"(\d+) % {what}", alert)
        assert int(used) >= 90, alert
        assert machine.logs.push(["refused"], labels) == 503
        assert machine.logs.push_otlp(["refused"], labels) == 503
        # The guard may be faster than the store, which finds a line some seconds after it took it.
        machine.logs.wait_lines(selector(labels), ["before"])
    finally:
        machine.run("rm", "--recursive", "--force", "/var/lib/log-store/filler")
    wait_for("lines to be taken", lambda: machine.logs.push(["after"], labels) == 204, 20)


@pytest.mark.soak
def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it(machine: LogHost, disk: str) -> None:
    before = machine.run("cat", "/etc/nginx/nginx.conf")
    values = ["-e", f"log_host_data_device={disk}", "-e", "log_host_ingestion_burst_mb=9"]
    # One file and nothing else; what reads it follows from it.
    played = machine.role("--check", "--diff", *values).ok(changed=1, host=machine.name)
    assert "+        client_max_body_size 9m;" in played.output
    assert machine.run("cat", "/etc/nginx/nginx.conf") == before


@pytest.mark.soak
@pytest.mark.usefixtures("disk")
def test_missing_data_device_is_named_at_once(machine: LogHost) -> None:
    played = machine.role("-e", "log_host_data_device=/dev/disk/by-id/none", parts=["host"])
    named = f"log_host_data_device is '/dev/disk/by-id/none', and {machine.name} has no such block device"
    assert played.failed(named, changed=0, host=machine.name).seconds < 30
    # A host whose disk is gone starts without it, after ten seconds.
    options = machine.run("findmnt", "--fstab", "--noheadings", "--output=OPTIONS", "/var/lib/log-store").split(",")
    assert {"nofail", "x-systemd.device-timeout=10s"} <= set(options)


@pytest.mark.soak
@pytest.mark.usefixtures("disk")
def test_backup_that_does_not_fit_is_refused(machine: LogHost, tmp_path: Path) -> None:
    machine.run("mount", "--types=tmpfs", "--options=size=60M", "tmpfs", "/var/tmp")  # noqa: S108
    try:
        played = play(machine, "backup", tmp_path / "logs.tar.gz").failed(changed=0, host=machine.name)
        assert re.search(r"may take \d+ MiB; there are \d+ MiB free in /var/tmp on", played.message())
        assert list(tmp_path.iterdir()) == []
    finally:
        machine.run("umount", "/var/tmp")  # noqa: S108


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


@pytest.mark.soak
@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(
    "task",
    [
        "Unpack the archive",
        "Create a folder for the restored data",
        "Link the restored data",
        "Start the log store",
    ],
)
def test_killed_restore_leaves_the_old_data_or_the_new(machine: LogHost, tmp_path: Path, task: str) -> None:
    before = machine.logs.pushed("saved")
    archive = tmp_path / "logs.tar.gz"
    play(machine, "backup", archive).ok()
    labels = machine.logs.pushed("not saved")
    machine.logs.wait_lines(selector(labels), ["not saved"])
    killed_at(machine, task, "playbooks/logs_restore.yml", "-e", f"log_host_backup={archive}")
    # What had begun on the host ends there, and the store may stand still: the next run of the role starts it.
    time.sleep(3)
    machine.run("systemctl", "start", "log-store")
    machine.wait_ready()
    machine.logs.wait_lines(selector(before), ["saved"])
    assert machine.logs.lines(selector(labels)) in (["not saved"], [])
    play(machine, "restore", archive).ok()
    machine.logs.wait_lines(selector(before), ["saved"])
    assert machine.logs.lines(selector(labels)) == []


@pytest.mark.soak
@pytest.mark.usefixtures("disk")
def test_disk_that_is_full_to_the_last_byte_corrupts_nothing(machine: LogHost) -> None:
    labels = machine.logs.pushed("before")
    machine.logs.wait_lines(selector(labels), ["before"])
    # What is found may still be in memory, and the store is killed in the middle of it.
    time.sleep(LOST_SECONDS[machine.store])
    machine.run("sh", "-c", "cat /dev/zero >/var/lib/log-store/filler", check=False)
    machine.run("systemctl", "kill", "--signal=KILL", "log-store")
    wait_for("lines to be refused", lambda: machine.logs.push(["refused"], labels) == 503, 15)
    machine.run("rm", "/var/lib/log-store/filler")
    machine.wait_ready()
    wait_for("lines to be taken", lambda: machine.logs.push(["after"], labels) == 204, 60)
    wait_for("the line", lambda: "after" in machine.logs.lines(selector(labels)), 15)
    assert machine.logs.lines(selector(labels))[0] == "before"
    journal = machine.run("journalctl", "--unit=log-store", "--no-pager", "--output=cat")
    assert "corrupt" not in journal.lower()
