"""Values that a role cannot use are refused by its checks, with the variable, its value and what would be right.

That the checks come before anything changes is what `tests/site/test_1_input.py` sees on whole runs.
"""

import functools
import json
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from contracts.project import COMMON, ROLES, load, options_of
from lib.command import execute
from lib.network import free_port
from lib.paths import ROOT
from lib.terraform import require_terraform

Values = dict[str, Any]
Row = tuple[str, Any, str]
"""A variable, a value that is refused, and what the message says to do."""
Case = tuple[str, Values, tuple[str, ...]]
"""A role, values of it, and the parts of the message that refuses them; none where they can be used."""

PROBE_NAMESPACE = load(ROOT / "roles/cluster_addons/vars/main.yml")["_cluster_addons_probe_namespace"]
REFUSED: list[Row] = [
    ("cluster_addons_metrics_resolution", "5s", "no less than 10s"),
    ("cluster_addons_wait_seconds", 0, "The second has to be 1 or more"),
    ("container_engine_newer_packages", ["Docker Engine"], "lists of names, as in"),
    ("container_engine_newer_release", "13", "Debian's code name, as in trixie"),
    ("container_engine_packages", {"12": ["Docker Engine"]}, "lists of names, as in"),
    ("counter_app_answer_seconds", 0, "the first three have to be 1 or more"),
    ("counter_app_backup", "/nowhere/count.json", "Name a file that is not there yet"),
    ("counter_app_client_label", {}, "none would admit every pod"),
    ("counter_app_cpu_limit", "5m", "the limit at least 10m"),
    ("counter_app_cpu_percent", 500, "from 1 to 100"),
    ("counter_app_cpu_request", "0", "the request more than nothing"),
    ("counter_app_cpu_request", "500m", "more than nothing and not more than the limit"),
    ("counter_app_cpu_request", "64Mi", "written as in 100m or 0.5"),
    ("counter_app_drain_seconds", 5, "at least 2 more than the answer"),
    ("counter_app_drain_seconds", 901, "at most 900"),
    ("counter_app_grace_seconds", 24, "no less than preStop delay and drain together"),
    ("counter_app_memory_limit", "lots", "written as in 64Mi"),
    ("counter_app_memory_request", "64m", "written as in 64Mi"),
    *(
        ("counter_app_namespace", name, "The service's has to be its own, as in counter")
        for name in ("kube-system", "monitoring", PROBE_NAMESPACE)
    ),
    ("counter_app_namespace", "Counter_NS", "of lower-case letters, digits and hyphens"),
    ("counter_app_pre_stop_seconds", 0, "the first three have to be 1 or more"),
    ("counter_app_prometheus_label", {"app": "a b"}, "labels that Kubernetes takes"),
    ("counter_app_prometheus_namespace", "", "of lower-case letters, digits and hyphens"),
    ("counter_app_proxy_cpu_limit", "0", "the limit at least 10m"),
    ("counter_app_proxy_cpu_request", "1", "more than nothing and not more than the limit"),
    ("counter_app_proxy_memory_limit", "127Mi", "the limit at least 128Mi"),
    ("counter_app_proxy_memory_request", "0", "more than nothing and not more than the limit"),
    ("counter_app_replicas_max", "many", "we were unable to convert to int"),
    ("counter_app_replicas_max", 91, "at most 90, as the cluster's node runs 110 pods"),
    ("counter_app_replicas_min", 0, "has to be 1 or more"),
    ("counter_app_replicas_min", 5, "not above the maximum"),
    ("counter_app_scale_down_seconds", 9999, "from 0 to 3600, which is what Kubernetes takes"),
    ("counter_app_valkey_cpu_limit", "1m", "the limit at least 10m"),
    ("counter_app_valkey_cpu_request", "half", "written as in 100m or 0.5"),
    ("counter_app_valkey_memory_limit", "8Mi", "the limit at least 16Mi"),
    ("counter_app_valkey_memory_request", "1Gi", "more than nothing and not more than the limit"),
    *(
        ("counter_app_valkey_storage", size, "written as in 1Gi, at least 1Mi and of standard at most 1Gi")
        for size in ("much", "0", "5Gi")
    ),
    ("counter_app_valkey_storage_class", "Fast SSD", "the name of a StorageClass, as in standard"),
    ("counter_app_wait_seconds", 0, "the first three have to be 1 or more"),
    ("counter_app_workers", 65, "from 1 to 64"),
    ("counter_image_python", "three", "such as 3.11 for bookworm"),
    ("image_registry", "https://registry.example", "or a folder, as in /srv/images, or empty"),
    ("image_registry_ca", "/nowhere.crt", "the CA is a file on the controller"),
    ("image_registry_user", "mirror", "A user needs a password (image_registry_password)"),
    ("image_source", "guess", "must be one of: auto, pull, build, got: guess"),
    ("kind_cluster_name", "Foo Bar", "of lower-case letters, digits and hyphens, at most 49"),
    ("kind_cluster_name", "c" * 50, "of lower-case letters, digits and hyphens, at most 49"),
    ("kind_cluster_replace", "maybe", "we were unable to convert to bool"),
    ("kind_cluster_wait_seconds", -1, "the second 1 or more"),
    ("kubernetes_version", "1.35", "`make bump WHAT=kubernetes TO="),
    *(("log_instance_name", name, "it has to be a name that a host may have") for name in ("loki_1", "l" * 64)),
    ("logging_address", "192.0.2.256", "an IPv4 address of the log host, as in 192.0.2.10"),
    ("logging_ca_file", "ca.crt", "written from the root on"),
    ("logging_memory_limit", "64Mi", "at least 128Mi, as in 256Mi"),
    ("logging_memory_limit", "much", "a quantity of at least 128Mi"),
    *(
        ("logging_namespace", name, "The collector's has to be its own, as in logging")
        for name in ("kube-system", "monitoring", "counter", PROBE_NAMESPACE)
    ),
    ("logging_namespace", "Logs_1", "of lower-case letters, digits and hyphens"),
    ("logging_password_file", "password", "written from the root on"),
    ("logging_prometheus_label", {}, "none would admit every pod"),
    ("logging_prometheus_namespace", "", "of lower-case letters, digits and hyphens"),
    ("logging_queue_mb", 5, "the queue has to be 10 or more"),
    ("logging_user", "a b", "a user of it that may push, as in collector"),
    ("logging_wait_seconds", 0, "the wait 1 or more"),
    ("monitoring_collector_namespace", "Logs_1", "of lower-case letters, digits and hyphens"),
    ("monitoring_email_from", "me@example.com", "these three all or none"),
    ("monitoring_email_smarthost", "mail.example.com", "as in mail.example.com:587"),
    ("monitoring_email_to", "somebody", "the next two addresses"),
    ("monitoring_email_user", "me", "A user needs its password"),
    ("monitoring_go_tags", ["net go"], "build tags as in [netgo]"),
    ("monitoring_group_wait_seconds", -1, "0 or more"),
    ("monitoring_log_address", "logs.example", "an IPv4 address of the log host, as in 192.0.2.10"),
    ("monitoring_log_ca_file", "ca.crt", "written from the root on"),
    ("monitoring_log_password_file", "password", "written from the root on"),
    ("monitoring_log_user", "a b", "a user of it that may read metrics, as in prometheus"),
    ("monitoring_memory_limit", "64Mi", "a quantity of at least 256Mi"),
    *(
        ("monitoring_namespace", name, "Prometheus' has to be its own, as in monitoring")
        for name in ("kube-system", "logging", PROBE_NAMESPACE)
    ),
    ("monitoring_retention", "for ever", "as in 15d"),
    ("monitoring_scrape_seconds", 1, "from 5 to 60"),
    ("monitoring_service_namespace", "", "of lower-case letters, digits and hyphens"),
    ("monitoring_storage", "1Mi", "a quantity of at least 256Mi"),
    ("monitoring_storage_class", "Mine!", "the name of a StorageClass or empty"),
    ("monitoring_wait_seconds", 0, "1 or more"),
    ("monitoring_webhook_url", "hooks.example.com", "as in https://hooks.example.com/alerts"),
    ("offline_images_disk_gib", 1000000, "Free some, or set COUNTER_PLATFORM_CACHE"),
    ("offline_images_engine_gib", 1000000, "Free some of Docker's, as by `docker system prune`"),
    ("offline_images_go_tags", ["grpc notrace"], "as in [grpcnotrace]"),
    ("offline_images_suite", "12", "by its code name, as in bookworm"),
    ("offline_images_memory_gib", 1000000, "lower offline_images_memory_gib"),
    ("offline_images_tmp_gib", 1000000, "or set TMPDIR to a folder on a larger disk"),
    ("platform_bin_dir", "bin", "Write them from the root on"),
    ("platform_cache_days", 0, "it has to be 1 or more"),
    ("platform_cache_dir", "~/.cache", "Write them from the root on"),
    ("platform_data_dir", "/var", "have to be below another folder"),
    *(("platform_environment", name, "of lower-case letters, digits and hyphens") for name in ("..", "A")),
    *(
        ("platform_http_address", address, "admit only what comes from Docker's gateway")
        for address in ("localhost", "0.0.0.0", "127.0.0.256")  # noqa: S104
    ),
    ("platform_http_port", 80800, "from 1 to 65535"),
    ("platform_kubeconfig", "kubeconfig", "Write them from the root on"),
    ("platform_licences", {"deb": ["GPL-*"], "golang": ["MIT"]}, "the lists deb, golang and pypi"),
    ("platform_licences", {"deb": "GPL-*", "golang": ["MIT"], "pypi": ["MIT"]}, "the lists deb, golang and pypi"),
    ("platform_licences", {"deb": ["GNU GPL"], "golang": ["MIT"], "pypi": ["MIT"]}, "as in MIT or BSD-*"),
    ("platform_node_port", 8080, "from 30000 to 32767"),
    ("platform_node_packages_date", "", "a day, as in 2026-01-31"),
    ("platform_packages_date", "", "a day, as in 2026-01-31"),
    ("platform_packages_dir", "packages", "Write them from the root on"),
    ("platform_root", "clone", "Write them from the root on"),
    ("platform_state_dir", "/", "have to be below another folder"),
]

# Beside each the reason why no row shows it.
EXEMPT: dict[str, str] = {
    "image_lock": "what is wrong with it is in test_origin.py",
    "image_registry_password": "no message shows it; image_registry_user without it is refused",
    "platform_origin": "the role offline_images decides",
    "platform_owner": "a number that has no bounds",
    "monitoring_email_password": "no message shows it; monitoring_email_user without it is refused",
}
# These have tables of their own below, which show each check and not each option.
EXEMPT_ROLES = {"log_host", "log_instance"}

# With a prefix of a role or of the platform, and no variable of one.
UNKNOWN: list[Row] = [
    ("cluster_addons_wait_second", 180, "Use cluster_addons_wait_seconds, or remove it"),
    ("platform_http_adress", "127.0.0.1", "Use platform_http_address, or remove it"),
    ("platform_weather", {"wind": "strong"}, "Remove it: roles/platform/README.md"),
]

ON_EC2: Values = {
    "log_instance_kind": "aws",
    "log_instance_region": "eu-central-1",
    "log_host_client_cidrs": ["203.0.113.0/24"],
    "log_host_ssh_cidrs": ["203.0.113.4/32"],
    "log_instance_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test",
    "log_instance_backend": {"bucket": "state", "key": "logs.tfstate", "region": "eu-central-1"},
}
REFUSED_ON_EC2: list[Row] = [
    ("log_instance_region", "frankfurt", "as in eu-central-1"),
    ("log_host_client_cidrs", [], "at least one network"),
    *(
        ("log_host_client_cidrs", ["203.0.113.0/24", network], "an IPv4 network, as in 203.0.113.0/24")
        # Too wide, invalid, and not of IPv4.
        for network in ("0.0.0.0/0", "10.0.0.256/32", "::/0")
    ),
    ("log_host_ssh_cidrs", [], "which sets the host up by SSH"),
    *(
        ("log_host_ssh_cidrs", [network], "no wider than /8 in the first and /16 in the second")
        for network in ("10.0.0.0/8", "10.0.0.0/33")
    ),
    ("log_instance_public_key", "-----BEGIN", "a line as in id_ed25519.pub"),
    ("log_instance_backend", {"bucket": "state"}, "has bucket; bucket, key and region"),
    ("log_instance_terraform", "terraform-of-nobody", "nowhere in PATH"),
]
OF_TERRAFORM: list[Case] = [
    (
        "log_instance",
        {
            **ON_EC2,
            "log_host_client_cidrs": ["10.0.0.0/8", "255.255.255.255/32"],
            "log_host_ssh_cidrs": ["172.16.0.0/16"],
        },
        (),
    ),
    (
        "log_instance",
        {**ON_EC2, "log_instance_provider_mirrors": ["/etc"]},
        ("log_instance_provider_mirrors has /etc", "HOST/NAMESPACE/TYPE/VERSION/OS_ARCH"),
    ),
]
"""What is judged by the Terraform that is here."""

# Any file: the checks don't look into it.
ARCHIVE: Values = {
    "log_host_store": "loki",
    "log_host_loki_archive": str(ROOT / "README.md"),
    "log_host_loki_archive_checksum": f"sha256:{'0' * 64}",
}
REFUSED_FOR_LOG_HOST: list[Row] = [
    ("log_host_loki_archive", "", "Loki is not fetched or built by itself"),
    ("log_host_loki_archive", "/nowhere/loki.zip", "upstream's release archive loki-linux-amd64.zip, as a file on the"),
    ("log_host_loki_archive_checksum", "md5:0", "as in sha256:HEX"),
    ("log_host_retention", "12h", "no less than 24h"),
    ("log_host_disk_full_percent", 100, "they have to be from 50 to 99"),
    ("log_host_line_max_kb", 4000, "from 1 to 2000"),
    ("log_host_logins", [{"name": "a", "tenant": 1, "may": "delete"}], "which is push, query or metrics"),
    ("log_host_logins", [{"name": "a", "tenant": "counter", "may": "query"}], "a tenant, which is a whole number"),
    ("log_host_client_cidrs", [], "at least one of clients"),
    ("log_host_client_cidrs", ["10.0.0.0/33"], "as in 10.0.0.0/8 or fd00::/8"),
    ("log_host_ssh_cidrs", ["203.0.113.4"], "as in 10.0.0.0/8 or fd00::/8"),
    ("log_host_storage", "s3", "or of Loki s3 with a bucket and a region"),
    ("log_host_certificate", "/nowhere.crt", "give both, as files on the controller"),
]
BUCKET: Values = {"log_host_storage": "s3", "log_host_s3_bucket": "logs", "log_host_s3_region": "eu-central-1"}

# What is on the edge of being refused.
ACCEPTED: list[tuple[str, Values]] = [
    (
        "counter_app",
        {
            "counter_app_namespace": "c" * 63,
            "counter_app_client_label": {"app": ""},
            "counter_app_replicas_min": 90,
            "counter_app_replicas_max": 90,
            "counter_app_workers": 64,
            "counter_app_memory_limit": "1040Mi",
            "counter_app_proxy_memory_limit": "128Mi",
            "counter_app_cpu_request": "10m",
            "counter_app_cpu_limit": "0.01",
            "counter_app_scale_down_seconds": 0,
            "counter_app_valkey_storage": "1Mi",
        },
    ),
    (
        "counter_app",
        {
            "counter_app_scale_down_seconds": 3600,
            "counter_app_drain_seconds": 900,
            "counter_app_grace_seconds": 905,
            "counter_app_valkey_storage_class": "fast.example.org",
            "counter_app_valkey_storage": "5Gi",
        },
    ),
    ("log_host", {"log_host_client_cidrs": ["0.0.0.0/0", "2001:db8::/32"]}),
    ("log_host", ARCHIVE),
    ("log_host", {**ARCHIVE, "log_host_loki_archive": "https://mirror.example/loki-linux-amd64.zip", **BUCKET}),
    ("platform", {"platform_http_address": "127.255.255.254"}),
]

# Variables of the platform that the role offline_images checks, as it uses them.
OF_IMAGES = re.compile("image_registry|kubernetes_version|platform_(node_)?packages_date")


def role_of(variable: str) -> str:
    """Return the role whose checks look at a variable."""
    if OF_IMAGES.match(variable):
        return "offline_images"
    return next((role.name for role in ROLES if variable.startswith(f"{role.name}_")), "platform")


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def with_image(image: str) -> Values:
    """Return the table of images with another one for the proxy."""
    table = load(COMMON / "images.yml")["platform_images"]
    return {"platform_images": {**table, "haproxy": {**table["haproxy"], "image": image}}}


CASES: list[Case] = [
    *((role_of(name), {name: value}, (name, shown(value), remedy)) for name, value, remedy in REFUSED),
    ("offline_images", {"_offline_images_architecture": "aarch64"}, ("This machine is aarch64", "has to be x86_64")),
    # Of several networks the one that is wrong is named.
    *(
        ("log_instance", {**ON_EC2, name: value}, (name, *(value[-1:] if isinstance(value, list) else ()), remedy))
        for name, value, remedy in REFUSED_ON_EC2
    ),
    *(
        ("log_host", {**ARCHIVE, name: value}, (name, shown(value), remedy))
        for name, value, remedy in REFUSED_FOR_LOG_HOST
    ),
    (
        "log_host",
        BUCKET,
        ("log_host_storage is s3, log_host_store is victorialogs", "or of Loki s3 with a bucket and a region"),
    ),
    *(
        ("offline_images", with_image(image), (f"no name and version that a registry or a node would take: {image}.",))
        for image in ("haproxy", "docker.io/library/haproxy:latest", "docker.io/library/haproxy:2 6")
    ),
    (
        "counter_app",
        {"counter_app_workers": 8},
        (
            "counter_app_memory_limit is 128Mi; both have to be written as in 64Mi",
            "the limit at least 144Mi, below which the container cannot run (counter_app_workers is 8).",
        ),
    ),
    *((role, values, ()) for role, values in ACCEPTED),
]

# A loop's own message is that one of its items failed.
MESSAGES = "[ansible_failed_result] + ansible_failed_result.results | default([])"


def checked(role: str, values: Values) -> dict[str, Any]:
    """Return a task that runs a role's checks with values, and notes what they said; nothing where they passed."""

    def note(text: str) -> dict[str, Any]:
        return {"ansible.builtin.set_fact": {"said": f"{{{{ said | default([]) + [{text}] }}}}"}}

    part = "backup" if "counter_app_backup" in values else "preflight"
    checks = {"name": role, "tasks_from": part if (ROOT / f"roles/{role}/tasks/{part}.yml").exists() else "main"}
    # The platform's own checks, which every role depends on, are those of its own cases.
    given = values if role == "platform" else {**values, "platform_checked": True}
    return {
        "block": [{"ansible.builtin.include_role": checks, "vars": given}, note("''")],
        "rescue": [note(f"({MESSAGES}) | map(attribute='msg', default='') | join(' ')")],
    }


def inventory_of(folder: Path, environment: str) -> Path:
    """Return the inventory of an environment that is nobody's: the others' clusters and ports are somebody's work."""
    inventory = folder / environment
    shutil.copytree(ROOT / "inventories/local", inventory)
    own = {"platform_root": str(ROOT), "platform_http_port": free_port()}
    (inventory / "group_vars/all/own.yml").write_text(yaml.safe_dump(own))
    return inventory


def said_to(environment: str, cases: list[Case]) -> list[str]:
    """Return what the checks said in each of some cases, in one line each, of a single run that changed nothing."""
    with tempfile.TemporaryDirectory() as folder:
        playbook, said = Path(folder) / "checks.yml", Path(folder) / "said.json"
        end = {"content": "{{ said | to_json }}", "dest": str(said), "mode": "0600"}
        tasks = [checked(role, values) for role, values, _ in cases]
        tasks += [{"ansible.builtin.copy": end, "changed_when": False}]
        playbook.write_text(json.dumps([{"hosts": "localhost", "tasks": tasks}]))
        execute("ansible-playbook", "-i", str(inventory_of(Path(folder), environment)), str(playbook)).ok(changed=0)
        messages = [" ".join(message.split()) for message in json.loads(said.read_text())]
    assert len(messages) == len(cases)
    return messages


@functools.cache
def answers() -> list[tuple[Case, str]]:
    """Return each case with what the checks said."""
    cases = [*CASES, *OF_TERRAFORM]
    halves = cases[::2], cases[1::2]
    with ThreadPoolExecutor() as pool:
        said = pool.map(said_to, ("values-0", "values-1"), halves)
    return list(zip(chain(*halves), chain(*said), strict=True))


def wrong(cases: list[Case]) -> list[tuple[Case, str]]:
    """Return the cases whose message lacks a part, or that are refused and can be used, with what was said instead."""
    return [
        (case, message)
        for case, message in answers()
        if case in cases and not (all(part in message for part in case[2]) if case[2] else message == "")
    ]


@pytest.mark.parametrize("role", sorted({role for role, _, _ in CASES}))
def test_values_are_refused(role: str) -> None:
    assert wrong([case for case in CASES if case[0] == role and case[2]]) == []


def test_values_that_can_be_used_are_not_refused() -> None:
    assert wrong([case for case in CASES if not case[2]]) == []


def test_values_for_terraform() -> None:
    require_terraform()
    assert wrong(OF_TERRAFORM) == []


def test_every_variable_has_a_value_that_is_refused() -> None:
    checked_here = [role for role in ROLES if role.name not in EXEMPT_ROLES]
    options = {name: option for role in checked_here for name, option in options_of(role).items()}
    # Ansible refuses other values of these; one row for each way shows that it does.
    typed = {name for name, option in options.items() if option["type"] == "bool" or "choices" in option}
    refused = {variable for variable, _, _ in REFUSED} | {"platform_images"}
    missing = sorted(set(options) - refused - typed - set(EXEMPT))
    assert missing == [], "give each a row in REFUSED and a check that refuses it, or a reason in EXEMPT"


def test_exemptions_are_needed() -> None:
    options = {name for role in ROLES for name in options_of(role)}
    assert set(EXEMPT) <= options - {variable for variable, _, _ in REFUSED}
    assert {role.name for role in ROLES} >= EXEMPT_ROLES


@pytest.mark.parametrize("given", ["-e", "group_vars"])
def test_unknown_variable_is_refused(tmp_path: Path, given: str) -> None:
    values = json.dumps({"platform_token": "hunter2", **{name: value for name, value, _ in UNKNOWN}})
    inventory = inventory_of(tmp_path, "values")
    if given == "group_vars":
        (inventory / "group_vars/all/unknown.yml").write_text(values)
    said = [
        f"{name} is {json.dumps(value)}, and no role has a variable of that name. {remedy}"
        for name, value, remedy in UNKNOWN
    ]
    command = ["ansible-playbook", "-i", str(inventory), "playbooks/preflight.yml"]
    run = execute(*command, *(["-e", values] if given == "-e" else []))
    # It may be a password.
    run.failed(*said, "platform_token is set, and no role has", changed=0)
    assert "hunter2" not in run.output


def test_what_a_role_has_registered_is_not_refused(tmp_path: Path) -> None:
    """Several playbooks in one run share what the ones before have registered."""
    registered = {"name": "Register", "ansible.builtin.set_fact": {"kind_cluster_before": {}}}
    play = {"hosts": "localhost", "roles": ["platform"], "tasks": [registered]}
    (tmp_path / "plays.yml").write_text(json.dumps([play, play]))
    execute("ansible-playbook", "-i", str(inventory_of(tmp_path, "values")), str(tmp_path / "plays.yml")).ok()


@pytest.mark.engine
def test_log_host_is_checked_before_its_machine_is_made(tmp_path: Path) -> None:
    inventory = str(inventory_of(tmp_path, "values"))
    # Check mode, so that nothing would be made here if it were not refused.
    run = execute("ansible-playbook", "-i", inventory, "playbooks/logs.yml", "--check", "-e", "log_host_store=loki")
    run.failed("log_host_loki_archive is ''", changed=0)
    assert "TASK [container_engine : Publish" not in run.output, "the engine comes after the checks"


def test_the_volume_is_as_large_as_the_preflight_says() -> None:
    manifest = ROOT / "roles/offline_images/files/node/rootfs/kind/manifests/default-storage.yaml"
    (volume,) = [entry for entry in yaml.safe_load_all(manifest.read_text()) if entry["kind"] == "PersistentVolume"]
    assert (
        volume["spec"]["capacity"]["storage"] == load(ROOT / "roles/counter_app/vars/main.yml")["_counter_app_volume"]
    )
    assert volume["spec"]["storageClassName"] == "standard"
