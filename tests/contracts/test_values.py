"""Values that a role cannot use are refused by its checks, with the variable, its value and what would be right.

That the checks come before anything changes is what `tests/site/test_1_input.py` sees on whole runs.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from contracts.project import COMMON, load
from lib.paths import ROOT
from lib.terraform import require_terraform

Values = dict[str, Any]

REFUSED: list[tuple[str, Any, str]] = [
    ("counter_app_replicas_max", "many", "we were unable to convert to int"),
    ("counter_app_replicas_min", 5, "not above the maximum"),
    ("counter_app_replicas_min", 0, "has to be 1 or more"),
    ("counter_app_cpu_percent", 500, "from 1 to 100"),
    ("counter_app_cpu_request", "500m", "more than nothing and not more than the limit"),
    ("counter_app_memory_limit", "lots", "written as in 100m"),
    ("counter_app_proxy_cpu_request", "1", "more than nothing and not more than the limit"),
    ("counter_app_proxy_memory_request", "0", "more than nothing and not more than the limit"),
    ("counter_app_valkey_memory_request", "1Gi", "more than nothing and not more than the limit"),
    ("counter_app_valkey_storage", "much", "written as in 1Gi"),
    ("counter_app_grace_seconds", 24, "no less than preStop delay and drain together"),
    ("counter_app_drain_seconds", 5, "at least 2 more than the answer"),
    ("counter_app_pre_stop_seconds", 0, "the first two have to be 1 or more"),
    ("platform_http_port", "http", "we were unable to convert to int"),
    ("platform_http_port", 80800, "from 1 to 65535"),
    ("platform_node_port", 8080, "from 30000 to 32767"),
    *(
        ("platform_environment", name, "of lower-case letters, digits and hyphens")
        for name in ("", "..", "a/b", "A", "-a")
    ),
    ("image_source", "guess", "must be one of: auto, pull, build, got: guess"),
    ("counter_image_python", "three", "such as 3.11 for bookworm"),
    ("cluster_addons_metrics_resolution", "5s", "no less than 10s"),
]

ON_EC2: Values = {
    "loki_instance_kind": "aws",
    "loki_instance_region": "eu-central-1",
    "loki_instance_client_cidrs": ["203.0.113.0/24"],
    "loki_instance_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test",
    "loki_instance_backend": {"bucket": "state", "key": "loki.tfstate", "region": "eu-central-1"},
}
REFUSED_ON_EC2: list[tuple[str, Any, str]] = [
    ("loki_instance_kind", "gcp", "must be one of: container, aws, got: gcp"),
    ("loki_instance_state", "started", "must be one of: present, absent, got: started"),
    ("loki_instance_region", "frankfurt", "as in eu-central-1"),
    ("loki_instance_client_cidrs", [], "at least one network"),
    ("loki_instance_client_cidrs", ["0.0.0.0/0"], "Name those who push"),
    ("loki_instance_client_cidrs", ["::/0"], "Name those who push"),
    ("loki_instance_client_cidrs", ["203.0.113.0/24", "128.0.0.0/1"], "Name those who push"),
    ("loki_instance_ssh_cidrs", ["10.0.0.0/8"], "/16 in loki_instance_ssh_cidrs"),
    ("loki_instance_public_key", "-----BEGIN", "a line as in id_ed25519.pub"),
    ("loki_instance_backend", {"bucket": "state"}, "has bucket; bucket, key and region"),
    ("loki_instance_terraform", "terraform-of-nobody", "nowhere in PATH"),
    ("loki_instance_provider_mirrors", ["/etc"], "HOST/NAMESPACE/TYPE/VERSION/OS_ARCH"),
]
ACCEPTED_ON_EC2 = {**ON_EC2, "loki_instance_ssh_cidrs": ["203.0.113.4/32"]}

# Any file: the checks don't look into it.
ARCHIVE: Values = {"loki_host_archive": str(ROOT / "README.md"), "loki_host_archive_checksum": f"sha256:{'0' * 64}"}
REFUSED_FOR_LOKI: list[tuple[str, Any, str]] = [
    ("loki_host_archive", "", "Loki is not fetched or built by itself"),
    ("loki_host_archive", "/nowhere/loki.zip", "upstream's release archive loki-linux-amd64.zip, as a file on the"),
    ("loki_host_archive_checksum", "", "as in sha256:HEX"),
    ("loki_host_archive_checksum", "md5:0", "as in sha256:HEX"),
    ("loki_host_retention", "12h", "no less than 24h"),
    ("loki_host_disk_full_percent", 100, "they have to be from 50 to 99"),
    ("loki_host_logins", [{"name": "a", "tenant": "b", "may": "delete"}], "which is push or query"),
    ("loki_host_storage", "s3", "storage is filesystem, or s3 with both of the others"),
    ("loki_host_certificate", "/nowhere.crt", "give both, as files on the controller"),
]
ACCEPTED_FOR_LOKI = [ARCHIVE, {**ARCHIVE, "loki_host_archive": "https://mirror.example/loki-linux-amd64.zip"}]

NAMES = ["Loki", "loki_1", "-loki", "l" * 64]
IMAGES = ["haproxy", "docker.io/library/haproxy:latest", "docker.io/library/haproxy:2 6"]


def role_of(variable: str) -> str:
    """Return the role whose checks look at a variable."""
    roles = ("counter_app", "counter_image", "cluster_addons")
    return next((role for role in roles if variable.startswith(role)), "platform")


def with_image(image: str) -> Values:
    """Return the table of images with another one for the proxy."""
    table = copy.deepcopy(load(COMMON / "images.yml")["platform_images"])
    table["haproxy"]["image"] = image
    return {"platform_images": table}


CASES: list[tuple[str, Values]] = [
    *((role_of(variable), {variable: value}) for variable, value, _ in REFUSED),
    *(("loki_instance", {**ON_EC2, variable: value}) for variable, value, _ in REFUSED_ON_EC2),
    ("loki_instance", ACCEPTED_ON_EC2),
    *(("loki_host", {**ARCHIVE, variable: value}) for variable, value, _ in REFUSED_FOR_LOKI),
    *(("loki_host", values) for values in ACCEPTED_FOR_LOKI),
    *(("loki_instance", {"loki_instance_name": name}) for name in NAMES),
    *(("offline_images", with_image(image)) for image in IMAGES),
    ("counter_app", {}),
]

# A loop's own message is that one of its items failed.
MESSAGES = "[ansible_failed_result] + ansible_failed_result.results | default([])"


def checked(role: str, values: Values) -> dict[str, Any]:
    """Return a task that runs a role's checks with values, and notes what they said; nothing where they passed."""

    def note(text: str) -> dict[str, Any]:
        return {"ansible.builtin.set_fact": {"said": f"{{{{ said | default([]) + [{text}] }}}}"}}

    part = "preflight" if (ROOT / f"roles/{role}/tasks/preflight.yml").exists() else "main"
    checks = {"name": role, "tasks_from": part}
    return {
        "block": [{"ansible.builtin.include_role": checks, "vars": values}, note("''")],
        "rescue": [note(f"({MESSAGES}) | map(attribute='msg', default='') | join(' ')")],
    }


@functools.cache
def answers() -> list[str]:
    """Return what the checks said in each of the cases, in one line each, of a single run for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        playbook, said = Path(folder) / "checks.yml", Path(folder) / "said.json"
        inventory = Path(folder) / "values"
        shutil.copytree(ROOT / "inventories/local", inventory)
        end = {"ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": str(said), "mode": "0600"}}
        tasks = [*(checked(role, values) for role, values in CASES), end]
        playbook.write_text(json.dumps([{"hosts": "localhost", "tasks": tasks}]))
        done = subprocess.run(
            # An environment of its own: somebody may work on the others meanwhile.
            ["ansible-playbook", "-i", inventory, "-e", f"platform_root={ROOT}", playbook],
            cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        messages = [" ".join(message.split()) for message in json.loads(said.read_text())]
    assert len(messages) == len(CASES)
    return messages


def answer(role: str, values: Values) -> str:
    """Return what a role's checks said to values that are one of the cases."""
    return answers()[CASES.index((role, values))]


@pytest.mark.parametrize(("variable", "value", "remedy"), REFUSED)
def test_value_is_refused(variable: str, value: Any, remedy: str) -> None:
    message = answer(role_of(variable), {variable: value})
    assert variable in message
    assert str(value) in message
    assert remedy in message


@pytest.mark.parametrize(("variable", "value", "remedy"), REFUSED_ON_EC2)
def test_value_for_a_host_on_ec2_is_refused(variable: str, value: Any, remedy: str) -> None:
    if variable == "loki_instance_provider_mirrors":
        require_terraform()  # The check before it looks for one.
    message = answer("loki_instance", {**ON_EC2, variable: value})
    assert variable in message
    assert remedy in message
    if isinstance(value, list) and value:
        # Of several networks the one that is wrong is named.
        assert value[-1] in message


def test_values_for_a_host_on_ec2_are_not_refused() -> None:
    require_terraform()
    assert answer("loki_instance", ACCEPTED_ON_EC2) == ""


@pytest.mark.parametrize("name", NAMES)
def test_name_that_no_host_could_have_is_refused(name: str) -> None:
    message = answer("loki_instance", {"loki_instance_name": name})
    assert f"loki_instance_name is '{name}'; it has to be a name that a host may have" in message


@pytest.mark.parametrize(("variable", "value", "remedy"), REFUSED_FOR_LOKI)
def test_value_for_lokis_host_is_refused(variable: str, value: Any, remedy: str) -> None:
    message = answer("loki_host", {**ARCHIVE, variable: value})
    assert variable in message
    assert (json.dumps(value) if isinstance(value, list) else str(value)) in message
    assert remedy in message


@pytest.mark.parametrize("values", ACCEPTED_FOR_LOKI, ids=lambda values: str(values["loki_host_archive"]))
def test_values_for_lokis_host_are_not_refused(values: Values) -> None:
    assert answer("loki_host", values) == ""


def test_lokis_host_without_an_archive_is_refused_before_its_machine_is_made() -> None:
    # Check mode, so that nothing would be made here if it were not refused.
    command = ["ansible-playbook", "-i", "inventories/local", "playbooks/loki.yml", "--check"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    message = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0, message
    assert "loki_host_archive is ''" in message
    assert "changed=0" in message
    assert "TASK [container_engine" not in message


@pytest.mark.parametrize("image", IMAGES)
def test_image_without_a_version_is_refused(image: str) -> None:
    message = answer("offline_images", with_image(image))
    assert f"no name and version that a registry or a node would take: {image}." in message


def test_values_of_the_environments_are_not_refused() -> None:
    assert answer("counter_app", {}) == ""
