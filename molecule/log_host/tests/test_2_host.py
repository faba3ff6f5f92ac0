"""The host: its files and its disk, where programs and secrets go, and that check mode tells the truth."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from lib.loki import ARCHIVE, LogHost, label
from lib.wait import wait_for

SECRETS = LogHost.secrets


def test_disk_guard_has_no_rights(machine: LogHost) -> None:
    assert machine.rights("loki-disk-guard") == (False, 0, "1")


def test_files_are_for_those_who_need_them(machine: LogHost) -> None:
    expected = {
        "/var/lib/loki": "700 loki",
        "/etc/loki": "755 root",
        "/etc/loki/tls": "700 root",
        "/etc/loki/tls/server.key": "600 root",
        "/etc/loki/push.htpasswd": "640 root",
        "/etc/loki/query.htpasswd": "640 root",
    }
    found = machine.run("stat", "--format=%n %a %U", *expected).splitlines()
    assert dict(line.split(" ", 1) for line in found) == expected
    assert SECRETS.stat().st_mode & 0o777 == 0o700
    private = {"ca.key", "server.key", "promtail-password", "reader-password"}
    public = {"ca.crt", "server.crt"}
    assert {path.name for path in SECRETS.iterdir()} == private | public
    assert all((SECRETS / name).stat().st_mode & 0o777 == 0o600 for name in private)


def secrets_of(machine: LogHost) -> list[str]:
    """Return what nobody may print: passwords, their hashes, and what only the private keys have."""
    secrets = [(SECRETS / f"{login}-password").read_text() for login in ("promtail", "reader")]
    hashes = machine.run("cat", "/etc/loki/push.htpasswd", "/etc/loki/query.htpasswd").splitlines()
    secrets += [line.partition(":")[2] for line in hashes]
    secrets += [(SECRETS / f"{key}.key").read_text().splitlines()[1] for key in ("ca", "server")]
    assert len(secrets) == 6
    assert all(len(secret) >= 32 for secret in secrets)
    return secrets


def test_secrets_are_in_no_output_and_no_log(machine: LogHost) -> None:
    # Written anew, so that every task that knows a secret has something to tell.
    machine.run("rm", "/etc/loki/push.htpasswd", "/etc/loki/query.htpasswd", "/etc/loki/tls/server.key")
    played = machine.role("--diff", "-vvv", parts=["host", "secrets", "front", "restart"])
    assert played.status == 0, played.output
    assert played.recap("changed", machine.name) >= 3, played.output
    journal = machine.run("journalctl", "--no-pager", "--output=cat")
    for secret in secrets_of(machine):
        assert secret not in played.output
        assert secret not in journal


def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it(small_disk: tuple[LogHost, str]) -> None:
    host, device = small_disk
    before = host.run("cat", "/etc/nginx/nginx.conf")
    values = ["-e", f"log_host_data_device={device}", "-e", "log_host_ingestion_burst_mb=9"]
    played = host.role("--check", "--diff", *values)
    assert played.status == 0, played.output
    assert "+        client_max_body_size 9m;" in played.output
    # One file, or with Loki two, and nothing else; what reads them follows from it.
    assert played.recap("changed", host.name) == (2 if ARCHIVE else 1), played.output
    assert host.run("cat", "/etc/nginx/nginx.conf") == before


def test_files_that_a_killed_run_left_unread_are_read_by_the_next(machine: LogHost) -> None:
    machine.run("touch", "/usr/local/lib/loki/disk-guard", "/etc/nginx/nginx.conf")
    played = machine.role(parts=["host", "restart"])
    assert played.status == 0, played.output
    (restarted,) = re.findall(r"TASK \[log_host : Restart or reload them\] \*+\n((?:.+\n)+)", played.output)
    assert re.findall(r"changed: .*item=(.*)\)", restarted) == ["loki-disk-guard", "nginx"]
    assert played.recap("changed", machine.name) == 1, played.output


@pytest.mark.parametrize("playbook", ["playbooks/logs_backup.yml", "playbooks/logs_restore.yml"])
def test_backup_or_restore_without_a_file_is_refused(machine: LogHost, playbook: str) -> None:
    played = machine.play(playbook)
    assert played.status != 0
    assert "as in -e log_host_backup=" in played.message()
    assert played.recap("changed", machine.name) == 0


def alerts(machine: LogHost) -> str:
    """Return what the guard has said at the priority alert."""
    return machine.run("journalctl", "--unit=loki-disk-guard", "--priority=alert", "--no-pager", "--output=cat")


@pytest.mark.usefixtures("backend")
def test_full_disk_is_told_and_no_lines_are_taken(small_disk: tuple[LogHost, str]) -> None:
    host, _ = small_disk
    pushed, labels = {200, 204}, label()
    assert host.loki.push(["before"], labels) in pushed
    size, used = map(int, host.run("df", "--output=size,used", "--block-size=1M", "/var/lib/loki").split()[-2:])
    host.run("fallocate", f"--length={round(size * 0.91) - used}M", "/var/lib/loki/filler")
    wait_for("the alert", lambda: "no more lines are taken" in alerts(host), 20)
    assert host.loki.push(["refused"], labels) == 503
    assert host.loki.request("GET", "/loki/api/v1/labels", "reader")[0] == 200, "it can still be read"
    host.run("rm", "/var/lib/loki/filler")
    wait_for("lines to be taken", lambda: host.loki.push(["after"], labels) in pushed, 20)


def release(folder: Path, version: str) -> tuple[Path, str]:
    """Make an archive as upstream's, of a program that knows its version and no more; return it and its checksum."""
    archive = folder / version / "loki-linux-amd64.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("loki-linux-amd64", f"#!/bin/sh\necho 'loki, version {version} (branch: none)'\n")
    return archive, f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A server with what is in the test's folder: its URL."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_program_of_an_archive_is_installed_below_its_release(machine: LogHost, mirror: str, tmp_path: Path) -> None:
    def install(archive: str, checksum: str) -> tuple[int, str]:
        given = ["-e", f"log_host_loki_archive={archive}", "-e", f"log_host_loki_archive_checksum={checksum}"]
        played = machine.role(*given, parts=["program"])
        return played.status, played.message()

    machine.run("rm", "--recursive", "--force", "/opt/loki/0.1.0", "/opt/loki/0.2.0")
    file, checksum = release(tmp_path, "0.1.0")
    status, message = install(str(file), f"sha256:{'0' * 64}")
    assert status != 0
    assert "did not match" in message
    assert machine.run("find", "/opt", "-path", "*/0.1.0*") == ""
    status, message = install(str(file), checksum)
    assert status == 0, message
    # Another release, from a URL, and the one before stays beside it.
    _, checksum = release(tmp_path, "0.2.0")
    status, message = install(f"{mirror}/0.2.0/loki-linux-amd64.zip", checksum)
    assert status == 0, message
    for version in ("0.1.0", "0.2.0"):
        assert machine.run(f"/opt/loki/{version}/loki", "-version").startswith(f"loki, version {version}")


@pytest.mark.soak
def test_other_debian_release(other: LogHost) -> None:
    for changed in (True, False):
        played = other.role()
        assert played.status == 0, played.output
        assert (played.recap("changed", other.name) > 0) is changed, played.output
    services = ["loki-disk-guard", "nginx", "nftables"]
    assert other.run("systemctl", "is-active", *services).split() == ["active"] * 3
