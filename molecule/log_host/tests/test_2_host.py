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
from lib.wait import wait_for

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
    played = machine.role("--diff", "-vvv", parts=["host", "secrets", "files"]).ok()
    assert len(re.findall(r"^changed: .*item=", played.output, re.MULTILINE)) == len(files), played.output
    journal = machine.run("journalctl", "--no-pager", "--output=cat")
    for secret in secrets_of(machine):
        assert secret not in played.output
        assert secret not in journal


def test_files_that_a_killed_run_left_unread_are_read_by_the_next(machine: LogHost) -> None:
    machine.run("touch", "/usr/local/lib/log-store/log-disk-guard", "/etc/nginx/nginx.conf")
    played = machine.role().ok(changed=1, host=machine.name)
    task = r"TASK \[log_host : Restart services with stale configuration\] \*+\n((?:.+\n)+)"
    (restarted,) = re.findall(task, played.output)
    assert re.findall(r"changed: .*item=(.*)\)", restarted) == ["log-disk-guard restarted", "nginx reloaded"]


def test_run_on_a_host_in_order_asks_it_once(machine: LogHost) -> None:
    played = machine.role().ok(changed=0, host=machine.name)
    assert "Read the state of the host" in played.output
    assert "Install nftables" not in played.output


# What was changed by hand, and how it shows that the next run has repaired it.
HAND: dict[str, tuple[str, str]] = {
    "the firewall's rules are flushed": ("nft flush ruleset", "nft list chain inet log_host input | grep -q 443"),
    "a package is removed": (
        "apt-get remove --yes prometheus-node-exporter",
        "systemctl is-active prometheus-node-exporter",
    ),
    "a file has another content": ("echo '#' >>/etc/nginx/nginx.conf", "! tail -n 1 /etc/nginx/nginx.conf | grep '#'"),
    "a file has another mode": (
        "chmod 0644 /etc/log-store/tls/server.key",
        "stat --format=%a /etc/log-store/tls/server.key | grep 600",
    ),
    "a file has another group": (
        "chgrp root /etc/log-store/push.htpasswd",
        "stat --format=%G /etc/log-store/push.htpasswd | grep www-data",
    ),
    "a file is gone": ("rm /etc/log-store/credentials.conf", "test -s /etc/log-store/credentials.conf"),
    "a folder has another mode": (
        "chmod 0755 /var/lib/log-store",
        "stat --format=%a /var/lib/log-store | grep 700",
    ),
    "the program may not be run": (
        "chmod 0644 /opt/log-store/current/log-store",
        "test -x /opt/log-store/current/log-store",
    ),
    "another release is linked": (
        "ln --symbolic --force --no-dereference none /opt/log-store/current",
        "test -e /opt/log-store/current/log-store",
    ),
    "a service is stopped": ("systemctl stop log-disk-guard", "systemctl is-active log-disk-guard"),
    "a service is disabled": ("systemctl disable nginx", "systemctl is-enabled nginx"),
}
OFTEN = {"the firewall's rules are flushed", "a file has another mode", "a service is stopped"}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[] if what in OFTEN else [pytest.mark.soak]) for what in HAND]
)
def test_change_by_hand_is_reported_and_repaired(machine: LogHost, what: str) -> None:
    change, repaired = HAND[what]
    machine.run("sh", "-c", change)
    assert machine.role("--check").ok().recap("changed", machine.name) > 0
    machine.role().ok()
    machine.run("sh", "-c", repaired)


@pytest.mark.soak
def test_lost_password_is_made_anew_and_admits(machine: LogHost) -> None:
    (SECRETS / "reader-password").unlink()
    assert machine.role("--check").ok().recap("changed", machine.name) > 0
    machine.role().ok()
    wait_for("nginx", machine.is_ready, 20)


@pytest.mark.soak
def test_further_user_is_admitted_until_it_is_removed(machine: LogHost) -> None:
    logins = [{"name": "reader", "tenant": 1, "may": "query"}, {"name": "further", "tenant": 1, "may": "query"}]
    machine.role("-e", json.dumps({"log_host_logins": logins})).ok()
    wait_for("nginx", lambda: machine.logs.request("GET", "/ready", "further")[0] == 200, 20)
    machine.role().ok()
    wait_for("nginx", lambda: machine.logs.request("GET", "/ready", "further")[0] == 401, 20)
    (SECRETS / "further-password").unlink()


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
