"""The host: how little its services may do, where secrets are, and that check mode tells the truth."""

from __future__ import annotations

import re

import pytest
from platform_loki import Machine

EXPOSURE = 2.0
SECRETS = Machine.secrets


def test_unit_has_few_rights(machine: Machine) -> None:
    report = machine.run("systemd-analyze", "security", "--no-pager", "loki.service")
    (score,) = re.findall(r"Overall exposure level for loki.service: ([\d.]+)", report)
    print(f"exposure of loki.service: {score}")
    assert float(score) <= EXPOSURE, report


@pytest.mark.parametrize("program", ["loki", "disk-guard"])
def test_process_has_no_rights(machine: Machine, program: str) -> None:
    unit = {"loki": "loki", "disk-guard": "loki-disk-guard"}[program]
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", unit)
    fields = dict(
        line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert int(fields["Uid"].split()[0]) > 0
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"


def test_files_are_for_those_who_need_them(machine: Machine) -> None:
    expected = {
        "/var/lib/loki": "700 loki",
        "/etc/loki/environment": "600 root",
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


def secrets_of(machine: Machine) -> list[str]:
    """Return what nobody may print: passwords, their hashes, and what only the private keys have."""
    secrets = [(SECRETS / f"{login}-password").read_text() for login in ("promtail", "reader")]
    hashes = machine.run("cat", "/etc/loki/push.htpasswd", "/etc/loki/query.htpasswd").splitlines()
    secrets += [line.partition(":")[2] for line in hashes]
    secrets += [(SECRETS / f"{key}.key").read_text().splitlines()[1] for key in ("ca", "server")]
    assert len(secrets) == 6
    assert all(len(secret) >= 32 for secret in secrets)
    return secrets


def test_secrets_are_in_no_output_and_no_log(machine: Machine) -> None:
    # Written anew, so that every task that knows a secret has something to tell.
    machine.run("rm", "/etc/loki/push.htpasswd", "/etc/loki/query.htpasswd", "/etc/loki/tls/server.key")
    run = machine.role("--diff", "-vvv")
    assert run.status == 0, run.output
    assert run.recap("changed", machine.name) >= 3, run.output
    journal = machine.run("journalctl", "--no-pager", "--output=cat")
    for secret in secrets_of(machine):
        assert secret not in run.output
        assert secret not in journal
    machine.wait_ready()


def test_check_mode_tells_what_a_change_would_do_and_does_not_do_it(machine: Machine) -> None:
    before = machine.run("cat", "/etc/loki/loki.yml")
    run = machine.role("--check", "--diff", "-e", "loki_host_streams_max=6000")
    assert run.status == 0, run.output
    assert "+  max_global_streams_per_user: 6000" in run.output
    # The file; a restart follows from it.
    assert run.recap("changed", machine.name) == 1, run.output
    assert machine.run("cat", "/etc/loki/loki.yml") == before
    assert machine.role("--check").recap("changed", machine.name) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        # Loki alone knows how long a duration may be.
        (["loki_host_compaction_interval=99999999999h"], "failed to validate"),
        (["loki_host_version=3.0.0"], "the role can build 3.6.15, 3.7.8"),
        (["loki_host_retention=12h"], "no less than 24h"),
        (["loki_host_disk_full_percent=100"], "they have to be from 50 to 99"),
        (["loki_host_logins=[{name: a, tenant: b, may: delete}]"], "which is push or query"),
        (["loki_host_storage=s3"], "storage is filesystem, or s3 with both of the others"),
        (["loki_host_archive_url=https://mirror/loki.zip"], "set the checksum as in sha256:HEX"),
        (["loki_host_certificate=/nowhere.crt"], "give both, as files on the controller"),
    ],
)
def test_faulty_value_is_refused_and_what_runs_goes_on(machine: Machine, values: list[str], said: str) -> None:
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", "loki")
    before = machine.run("cat", "/etc/loki/loki.yml")
    run = machine.role(*(option for value in values for option in ("-e", value)))
    assert run.status != 0, run.output
    assert said in run.message()
    assert run.recap("changed", machine.name) == 0, run.output
    assert machine.run("cat", "/etc/loki/loki.yml") == before
    assert machine.run("systemctl", "show", "--property=MainPID", "--value", "loki") == pid
    assert machine.is_ready()
