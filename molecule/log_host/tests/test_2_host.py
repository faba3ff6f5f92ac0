"""The host: its files, and where programs and secrets go."""

import hashlib
import json
import re
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from lib.command import Run
from lib.logs import LogHost
from lib.network import serving

SECRETS = LogHost.secrets
USERS = ("collector", "reader", "prometheus")
MAY = ("push", "query", "metrics")


def test_disk_guard_has_no_rights(machine: LogHost) -> None:
    assert machine.rights("log-disk-guard") == (False, 0, "1")


def test_files_are_for_those_who_need_them(machine: LogHost) -> None:
    expected = {
        "/var/lib/log-store": "700 log-store",
        "/var/lib/log-store/victorialogs": "700 log-store",
        "/etc/log-store": "755 root",
        "/etc/log-store/tls": "700 root",
        "/etc/log-store/tls/server.key": "600 root",
        "/etc/log-store/environment": "600 root",
        "/etc/log-store/credentials.conf": "600 root",
        "/etc/log-store/push.htpasswd": "640 root",
        "/etc/log-store/query.htpasswd": "640 root",
        "/etc/log-store/any.htpasswd": "640 root",
        "/etc/log-store/metrics.htpasswd": "640 root",
    }
    found = machine.run("stat", "--format=%n %a %U", *expected).splitlines()
    assert dict(line.split(" ", 1) for line in found) == expected
    assert SECRETS.stat().st_mode & 0o777 == 0o700
    private = {"ca.key", "server.key", "collector-password", "reader-password", "prometheus-password"}
    public = {"ca.crt", "server.crt"}
    assert {path.name for path in SECRETS.iterdir()} == private | public
    assert all((SECRETS / name).stat().st_mode & 0o777 == 0o600 for name in private)


def secrets_of(machine: LogHost) -> list[str]:
    """Return what nobody may print: passwords, their hashes, and what only the private keys have."""
    secrets = [(SECRETS / f"{user}-password").read_text() for user in USERS]
    hashes = machine.run("cat", *(f"/etc/log-store/{what}.htpasswd" for what in MAY)).splitlines()
    secrets += [line.partition(":")[2] for line in hashes]
    secrets += re.findall(r"Basic (\S+)\"", machine.run("cat", "/etc/log-store/credentials.conf"))
    secrets += [(SECRETS / f"{key}.key").read_text().splitlines()[1] for key in ("ca", "server")]
    assert len(secrets) == 3 * len(USERS) + 2
    assert all(len(secret) >= 32 for secret in secrets)
    return secrets


def test_secrets_are_in_no_output_and_no_log(machine: LogHost) -> None:
    # Written anew, so that every task that knows a secret has something to report.
    files = [*(f"{what}.htpasswd" for what in MAY), "credentials.conf", "tls/server.key"]
    machine.run("rm", *(f"/etc/log-store/{name}" for name in files))
    played = machine.role("--diff", "-vvv", parts=["host", "secrets", "proxy"]).ok()
    assert len(re.findall(r"^changed: .*item=", played.output, re.MULTILINE)) == len(files), played.output
    journal = machine.run("journalctl", "--no-pager", "--output=cat")
    for secret in secrets_of(machine):
        assert secret not in played.output
        assert secret not in journal


def test_files_that_a_killed_run_left_unread_are_read_by_the_next(machine: LogHost) -> None:
    machine.run("touch", "/usr/local/lib/log-store/log-disk-guard", "/etc/nginx/nginx.conf")
    played = machine.role(parts=["host", "restart"]).ok(changed=1, host=machine.name)
    (restarted,) = re.findall(r"TASK \[log_host : Restart or reload the services\] \*+\n((?:.+\n)+)", played.output)
    assert re.findall(r"changed: .*item=(.*)\)", restarted) == ["log-disk-guard restarted", "nginx reloaded"]


@pytest.mark.soak
def test_backup_or_restore_without_a_file_is_refused(machine: LogHost) -> None:
    for playbook in ("playbooks/logs_backup.yml", "playbooks/logs_restore.yml"):
        machine.play(playbook).failed("as in -e log_host_backup=", changed=0, host=machine.name)


@pytest.mark.soak
def test_lokis_program_is_installed_below_its_release(machine: LogHost, tmp_path: Path) -> None:
    def install(archive: str, checksum: str) -> Run:
        source = {"log_host_loki_archive": archive, "log_host_loki_archive_checksum": checksum}
        return machine.role("-e", json.dumps({"log_host_store": "loki", **source}), parts=["host", "loki"])

    # As upstream's, with a program that knows its version and no more.
    archive = tmp_path / "loki-linux-amd64.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("loki-linux-amd64", "#!/bin/sh\necho 'loki, version 0.1.0 (branch: none)'\n")
    checksum = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    folder = f"/opt/log-store/loki-0.1.0-{checksum[7:19]}"
    machine.run("rm", "--recursive", "--force", folder)
    install(str(archive), f"sha256:{'0' * 64}").failed("did not match")
    assert machine.run("find", "/opt", "-path", "*/loki-0.1.0*") == ""
    with serving(partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as mirror:
        install(f"http://{mirror}/{archive.name}", checksum).ok()
    assert machine.run(f"{folder}/log-store", "-version").startswith("loki, version 0.1.0")
    machine.run("rm", "--recursive", folder, "/etc/log-store/loki.yml")
