"""Values that a role cannot use are refused by its checks, with one message for each variable.

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
from typing import Any, NamedTuple

import pytest
import yaml
from contracts.manifests import catalogue
from contracts.project import ROLES, load, options_of, tasks_in
from lib.command import execute
from lib.network import free_port
from lib.paths import ROOT
from lib.terraform import require_terraform

Values = dict[str, Any]


class Refused(NamedTuple):
    """A value that is refused, in a message of its variable alone.

    Attributes:
        variable: the variable.
        value: the value.
        part: what the message shows of it, where that is not all.
        others: values of other variables, which can be used with this one.
    """

    variable: str
    value: Any
    part: Any = None
    others: Values = {}  # noqa: RUF012 (never changed)


class Case(NamedTuple):
    """Values of a role, and a pattern of the message that refuses them; none where they can be used."""

    role: str
    values: Values
    message: str = ""


PROBE_NAMESPACE = load(ROOT / "roles/cluster_addons/vars/main.yml")["_cluster_addons_probe_namespace"]
LICENCES = {"deb": ["MIT"], "golang": ["MIT"], "pypi": ["MIT"]}
FILE = str(ROOT / "README.md")
EMAIL: Values = {"monitoring_email_from": "a@example.com", "monitoring_email_smarthost": "mail.example.com:587"}
ON_EC2: Values = {
    "log_instance_kind": "aws",
    "log_instance_region": "eu-central-1",
    "log_host_client_cidrs": ["203.0.113.0/24"],
    "log_host_ssh_cidrs": ["203.0.113.4/32"],
    "log_instance_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1nkGDtoXdyu0MZgDnZ3yKq5n4PGOhqLgVOyVQ5q9nn test",
    "log_instance_backend": {"bucket": "state", "key": "logs.tfstate", "region": "eu-central-1"},
}
# Any file: the checks don't look into it.
LOKI: Values = {
    "log_host_store": "loki",
    "log_host_loki_archive": FILE,
    "log_host_loki_archive_checksum": f"sha256:{'0' * 64}",
}
BUCKET: Values = {"log_host_storage": "s3", "log_host_s3_bucket": "logs", "log_host_s3_region": "eu-central-1"}
LOGIN = {"name": "a", "tenant": 1, "may": "query"}
LOGINS: list[Any] = [
    [LOGIN | {"may": "delete"}],
    [LOGIN | {"may": "push"}],
    [LOGIN | {"tenant": "counter"}],
    [LOGIN | {"name": "a b"}],
    [LOGIN, LOGIN],
    [{"name": "a", "may": "query"}],
    [{"tenant": 1, "may": "query"}],
    [{"name": "a", "tenant": 1}],
    [],
]


def with_image(image: str) -> Values:
    """Return the catalogue with another image for the proxy."""
    return {**catalogue(), "haproxy": {**catalogue()["haproxy"], "replaces": image}}


REFUSED = [
    Refused("cluster_addons_metrics_resolution", "5s"),
    Refused("cluster_addons_wait_seconds", 0),
    Refused("container_engine_newer_packages", ["Docker Engine"]),
    Refused("container_engine_newer_release", "13"),
    Refused("container_engine_packages", {"12": ["Docker Engine"]}),
    Refused("counter_app_answer_seconds", 0),
    Refused("counter_app_backup", "/nowhere/count.json"),
    Refused("counter_app_backup", FILE),
    Refused("counter_app_client_label", {}),
    Refused("counter_app_cpu_limit", "0"),
    Refused("counter_app_cpu_limit", "9m", others={"counter_app_cpu_request": "5m"}),
    Refused("counter_app_cpu_percent", 101),
    *(Refused("counter_app_cpu_request", request) for request in ("0", "301m", "64Mi")),
    Refused("counter_app_drain_seconds", 6),
    Refused("counter_app_drain_seconds", 901, others={"counter_app_grace_seconds": 906}),
    Refused("counter_app_grace_seconds", 24),
    Refused("counter_app_memory_limit", "lots"),
    Refused("counter_app_memory_limit", "128Mi", others={"counter_app_workers": 8}),
    Refused("counter_app_memory_request", "64m"),
    Refused("counter_app_memory_request", "129Mi"),
    *(
        Refused("counter_app_namespace", name)
        for name in ("default", "kube-system", "monitoring", PROBE_NAMESPACE, "Counter_NS", "n" * 64)
    ),
    Refused("counter_app_pre_stop_seconds", 0),
    Refused("counter_app_prometheus_label", {"app": "a b"}),
    Refused("counter_app_prometheus_namespace", ""),
    Refused("counter_app_proxy_cpu_limit", "0"),
    Refused("counter_app_proxy_cpu_limit", "9m", others={"counter_app_proxy_cpu_request": "5m"}),
    Refused("counter_app_proxy_cpu_request", "1"),
    Refused("counter_app_proxy_memory_limit", "127Mi"),
    Refused("counter_app_proxy_memory_request", "0"),
    Refused("counter_app_proxy_memory_request", "129Mi"),
    *(Refused("counter_app_replicas_max", number, others={"counter_app_replicas_min": 1}) for number in (0, 91)),
    *(Refused("counter_app_replicas_min", number) for number in (0, 5)),
    *(Refused("counter_app_scale_down_seconds", number) for number in (-1, 3601)),
    Refused("counter_app_valkey_cpu_limit", "0"),
    Refused("counter_app_valkey_cpu_limit", "9m", others={"counter_app_valkey_cpu_request": "5m"}),
    Refused("counter_app_valkey_cpu_request", "half"),
    Refused("counter_app_valkey_cpu_request", "501m"),
    Refused("counter_app_valkey_memory_limit", "1000"),
    Refused("counter_app_valkey_memory_limit", "15Mi", others={"counter_app_valkey_memory_request": "8Mi"}),
    Refused("counter_app_valkey_memory_request", "1Gi"),
    *(Refused("counter_app_valkey_storage", size) for size in ("much", "0", "5Gi")),
    Refused("counter_app_valkey_storage_class", "Fast SSD"),
    Refused("counter_app_wait_seconds", 0),
    *(Refused("counter_app_workers", number, others={"counter_app_memory_limit": "2Gi"}) for number in (0, 65)),
    Refused("counter_image_python", "three"),
    Refused("image_lock", "/nowhere.yml", others={"image_source": "pull", "image_registry": "/srv/images"}),
    Refused("image_registry", "https://registry.example"),
    Refused("image_registry", "", others={"image_source": "pull", "image_lock": FILE}),
    Refused("image_registry_ca", "/nowhere.crt"),
    Refused("image_registry_password", "", others={"image_registry_user": "mirror"}),
    *(Refused("kind_cluster_name", name) for name in ("Foo Bar", "c" * 50)),
    Refused("kind_cluster_wait_seconds", -1),
    Refused("kubernetes_version", "1.35"),
    *(Refused("log_host_backup", file) for file in ("/nowhere/logs.tar.gz", FILE)),
    Refused("log_host_certificate", "/nowhere.crt", others={"log_host_certificate_key": FILE}),
    Refused("log_host_certificate", "", others={"log_host_certificate_key": FILE}),
    Refused("log_host_certificate_key", "/nowhere.key", others={"log_host_certificate": FILE}),
    Refused("log_host_certificate_key", "", others={"log_host_certificate": FILE}),
    Refused("log_host_client_cidrs", [], []),
    Refused("log_host_client_cidrs", ["10.0.0.0/8", "10.0.0.0/33"], ["10.0.0.0/33"]),
    Refused("log_host_compaction_interval", "0s"),
    *(Refused("log_host_disk_full_percent", number) for number in (49, 100)),
    Refused("log_host_ingestion_burst_mb", 3),
    Refused("log_host_ingestion_rate_mb", 0),
    *(Refused("log_host_line_max_kb", number) for number in (0, 2001)),
    *(Refused("log_host_logins", logins) for logins in LOGINS),
    *(Refused("log_host_loki_archive", archive, others=LOKI) for archive in ("", "/nowhere/loki.zip")),
    Refused("log_host_loki_archive_checksum", "md5:0", others=LOKI),
    Refused("log_host_memory_max_mib", 255),
    *(Refused("log_host_names", names) for names in ([], ["a b"])),
    Refused("log_host_query_lines_max", 0),
    *(Refused("log_host_retention", age) for age in ("23h", "7d")),
    Refused("log_host_retention_delete_delay", "soon"),
    Refused("log_host_s3_access_key", "", others={"log_host_s3_secret_key": "hunter2"}),
    Refused("log_host_s3_bucket", "", others=LOKI | BUCKET),
    Refused("log_host_s3_endpoint", "s3.example.com"),
    Refused("log_host_s3_region", "", others=LOKI | BUCKET),
    Refused("log_host_s3_secret_key", "", others={"log_host_s3_access_key": "AKIA"}),
    Refused("log_host_ssh_cidrs", ["203.0.113.4"], ["203.0.113.4"]),
    Refused("log_host_storage", "s3", others=BUCKET),
    Refused("log_host_storage", "s3", others=LOKI | BUCKET | {"log_host_backup": f"{FILE}.tar.gz"}),
    Refused("log_host_streams_max", 0),
    Refused("log_host_wait_seconds", 0),
    Refused("log_instance_backend", {"bucket": "state", "secret_key": "hunter2"}, ["bucket", "secret_key"], ON_EC2),
    *(Refused("log_instance_name", name) for name in ("loki_1", "l" * 64)),
    Refused("log_instance_network", "a b"),
    Refused("log_instance_provider_mirrors", ["/etc", "/nowhere/"], ["/etc", "/nowhere"], ON_EC2),
    Refused("log_instance_public_key", "-----BEGIN", others=ON_EC2),
    Refused("log_instance_region", "frankfurt", others=ON_EC2),
    Refused("log_instance_wait_seconds", 0),
    Refused("logging_address", "192.0.2.256"),
    Refused("logging_ca_file", "ca.crt"),
    *(Refused("logging_memory_limit", size) for size in ("127Mi", "much")),
    *(
        Refused("logging_namespace", name)
        for name in ("default", "kube-system", "monitoring", "counter", PROBE_NAMESPACE, "Logs_1")
    ),
    Refused("logging_password_file", "password"),
    Refused("logging_prometheus_label", {}),
    Refused("logging_prometheus_namespace", ""),
    Refused("logging_queue_mb", 9),
    Refused("logging_user", "a b"),
    Refused("logging_wait_seconds", 0),
    Refused("monitoring_collector_namespace", "Logs_1"),
    Refused("monitoring_email_from", "me@example.com"),
    Refused("monitoring_email_from", "me", others=EMAIL | {"monitoring_email_to": "b@example.com"}),
    Refused("monitoring_email_password", "", others={"monitoring_email_user": "me"}),
    Refused("monitoring_email_smarthost", "mail.example.com:587"),
    Refused("monitoring_email_smarthost", "mail", others=EMAIL | {"monitoring_email_to": "b@example.com"}),
    Refused("monitoring_email_to", "somebody", others=EMAIL),
    Refused("monitoring_email_user", "", others={"monitoring_email_password": "hunter2"}),
    Refused("monitoring_go_tags", ["net go"]),
    Refused("monitoring_group_wait_seconds", -1),
    Refused("monitoring_log_address", "logs.example"),
    Refused("monitoring_log_ca_file", "ca.crt"),
    Refused("monitoring_log_password_file", "password"),
    Refused("monitoring_log_user", "a b"),
    Refused("monitoring_memory_limit", "255Mi"),
    *(
        Refused("monitoring_namespace", name)
        for name in ("default", "kube-system", "counter", "logging", PROBE_NAMESPACE, "M_1")
    ),
    Refused("monitoring_retention", "for ever"),
    *(Refused("monitoring_scrape_seconds", number) for number in (4, 61)),
    Refused("monitoring_service_namespace", ""),
    Refused("monitoring_storage", "255Mi"),
    Refused("monitoring_storage_class", "Mine!"),
    Refused("monitoring_wait_seconds", 0),
    Refused("monitoring_webhook_url", "hooks.example.com"),
    Refused("offline_images_go_tags", ["grpc notrace"]),
    Refused("offline_images_names", ["nodes"]),
    Refused("offline_images_suite", "12"),
    Refused("platform_bin_dir", "bin"),
    Refused("platform_cache_days", 0),
    Refused("platform_cache_dir", "~/.cache"),
    Refused("platform_data_dir", "/var"),
    *(Refused("platform_environment", name) for name in ("..", "A")),
    *(
        Refused("platform_artifacts", with_image(image), [image])
        for image in ("haproxy", "docker.io/library/haproxy:latest", "docker.io/library/haproxy:2 6")
    ),
    *(Refused("platform_http_address", address) for address in ("localhost", "0.0.0.0", "127.0.0.256")),  # noqa: S104
    *(Refused("platform_http_port", port) for port in (0, 65536)),
    Refused("platform_kubeconfig", "kubeconfig"),
    Refused("platform_licences", {"deb": ["MIT"], "golang": ["MIT"]}),
    *(Refused("platform_licences", LICENCES | {"deb": names}) for names in ("GPL-*", ["GNU GPL"])),
    *(Refused("platform_node_port", port) for port in (29999, 32768)),
    Refused("platform_node_packages_date", ""),
    Refused("platform_packages_date", ""),
    Refused("platform_packages_dir", "packages"),
    Refused("platform_root", "clone", others={"platform_state_dir": "/srv/state/values"}),
    Refused("platform_state_dir", "/"),
]
# With other bounds than on a host that exists already.
REFUSED_ON_EC2 = [
    Refused("log_host_client_cidrs", [], []),
    # Too wide, invalid, and not of IPv4.
    *(
        Refused("log_host_client_cidrs", ["203.0.113.0/24", network], [network])
        for network in ("0.0.0.0/0", "10.0.0.256/32", "::/0")
    ),
    Refused("log_host_ssh_cidrs", [], []),
    *(Refused("log_host_ssh_cidrs", [network], [network]) for network in ("10.0.0.0/8", "10.0.0.0/33")),
]
# Of the machine, or by Ansible's own validation of types.
OF_A_TYPE = "Validation of arguments failed:\n"
OF_OTHER_CHECKS = [
    Case("counter_app", {"counter_app_replicas_max": "many"}, f"{OF_A_TYPE}.*counter_app_replicas_max.* to int.*"),
    Case("kind_cluster", {"kind_cluster_replace": "maybe"}, f"{OF_A_TYPE}.*kind_cluster_replace.* to bool.*"),
    Case("offline_images", {"image_source": "guess"}, f"{OF_A_TYPE}.*image_source must be one of.*"),
    Case("offline_images", {"_offline_images_architecture": "aarch64"}, ".* is aarch64; use an x86_64 machine[.]"),
    Case("offline_images", {"offline_images_memory_gib": 10**6}, "offline_images_memory_gib is 1000000, and .*"),
    Case(
        "offline_images",
        {"offline_images_disk_gib": 10**6},
        ".* GiB free .*lower offline_images_disk_gib.*",
    ),
    Case("offline_images", {"offline_images_engine_gib": 10**6}, ".* GiB free .*lower offline_images_engine_gib.*"),
    Case("offline_images", {"offline_images_tmp_gib": 10**6}, ".* GiB free .*[(]offline_images_tmp_gib[)].*"),
    Case(
        "log_instance",
        ON_EC2 | {"log_instance_terraform": "terraform-not-there"},
        'log_instance_terraform is "terraform-not-there"; use .*',
    ),
]

# Beside each the reason why no check of values is about it.
EXEMPT: dict[str, str] = {
    "image_registry_user": "any name is valid; the check of image_registry_password needs the password",
    "log_host_data_device": "the host is asked for it, in host.yml",
    "log_host_query": "a query that is invalid is refused by the store",
    "log_instance_dns_names": "they become a part of log_host_names",
    "log_instance_inputs": "Terraform checks them",
    "platform_origin": "it follows from image_source",
    "platform_owner": "a number that has no bounds",
}

# With a prefix of a role or of the platform, and no variable of one.
UNKNOWN: list[tuple[str, Any, str]] = [
    ("cluster_addons_wait_second", 180, "Use cluster_addons_wait_seconds, or remove it"),
    ("platform_http_adress", "127.0.0.1", "Use platform_http_address, or remove it"),
    ("platform_weather", {"wind": "strong"}, "Remove it: roles/platform/README.md"),
]

# What is on the edge of being refused.
ACCEPTED = [
    Case(
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
    Case(
        "counter_app",
        {
            "counter_app_scale_down_seconds": 3600,
            "counter_app_drain_seconds": 900,
            "counter_app_grace_seconds": 905,
            "counter_app_valkey_storage_class": "fast.example.org",
            "counter_app_valkey_storage": "5Gi",
        },
    ),
    Case("log_host", {"log_host_client_cidrs": ["0.0.0.0/0", "2001:db8::/32"]}),
    Case("log_host", LOKI),
    Case("log_host", {**LOKI, "log_host_loki_archive": "https://mirror.example/loki-linux-amd64.zip", **BUCKET}),
    Case("platform", {"platform_http_address": "127.255.255.254"}),
]

# What is judged by the Terraform that is here.
OF_TERRAFORM = Case(
    "log_instance",
    ON_EC2 | {"log_host_client_cidrs": ["10.0.0.0/8", "255.255.255.255/32"], "log_host_ssh_cidrs": ["172.16.0.0/16"]},
)

# Variables of the platform that the role offline_images checks, as it uses them.
OF_IMAGES = re.compile(
    "counter_image_python|image_(registry|lock)|kubernetes_version|platform_(artifacts|(node_)?packages_date)"
)


def role_of(variable: str) -> str:
    """Return the role whose checks look at a variable."""
    if OF_IMAGES.match(variable):
        return "offline_images"
    return next((role.name for role in ROLES if variable.startswith(f"{role.name}_")), "platform")


def refusal(row: Refused, role: str = "", others: Values | None = None) -> Case:
    """Return the case of a value: one message of one line, which names its variable first."""
    if re.search("(password|secret_key)$", row.variable):
        shown = "is set" if row.value else "is empty"
    else:
        shown = f"is {json.dumps(row.value)}" if row.part is None else f"has {json.dumps(row.part)}"
    # Values of more than two lines are cut off.
    beginning = re.escape(f"{row.variable} {shown}"[:100])
    values = {**(others or {}), **row.others, row.variable: row.value}
    return Case(role or role_of(row.variable), values, rf"{beginning}.*; use \S[^\n]{{,180}}")


CASES = [
    *map(refusal, REFUSED),
    *(refusal(row, "log_instance", ON_EC2) for row in REFUSED_ON_EC2),
    *OF_OTHER_CHECKS,
    *ACCEPTED,
]


def checked(case: Case) -> dict[str, Any]:
    """Return a task that runs a role's checks with values, and records their message; empty where they passed."""

    def note(text: str) -> dict[str, Any]:
        return {"ansible.builtin.set_fact": {"messages": f"{{{{ messages | default([]) + [{text}] }}}}"}}

    part = "backup" if any(name.endswith("_backup") for name in case.values) else "preflight"
    tasks = ROOT / f"roles/{case.role}/tasks/{part}.yml"
    checks = {"name": case.role, "tasks_from": part if tasks.exists() else "main"}
    # The platform's own checks, which every role depends on, are those of its own cases.
    given = case.values if case.role == "platform" else {**case.values, "platform_preflight": False}
    return {
        "block": [{"ansible.builtin.include_role": checks, "vars": given}, note("''")],
        "rescue": [note("ansible_failed_result.msg")],
    }


def inventory_of(folder: Path, environment: str) -> Path:
    """Return the inventory of an environment that is nobody's: the others' clusters and ports are somebody's work."""
    inventory = folder / environment
    shutil.copytree(ROOT / "inventories/local", inventory)
    own = {"platform_root": str(ROOT), "platform_http_port": free_port()}
    (inventory / "group_vars/all/own.yml").write_text(yaml.safe_dump(own))
    return inventory


def messages_of(environment: str, cases: list[Case]) -> list[str]:
    """Return the message of each case, from a single run that changed nothing."""
    with tempfile.TemporaryDirectory() as folder:
        playbook, file = Path(folder) / "checks.yml", Path(folder) / "messages.json"
        end = {"content": "{{ messages | to_json }}", "dest": str(file), "mode": "0600"}
        tasks = [*map(checked, cases), {"ansible.builtin.copy": end, "changed_when": False}]
        playbook.write_text(json.dumps([{"hosts": "localhost", "tasks": tasks}]))
        execute("ansible-playbook", "-i", str(inventory_of(Path(folder), environment)), str(playbook)).ok(changed=0)
        messages = [message.strip() for message in json.loads(file.read_text())]
    assert len(messages) == len(cases)
    return messages


@functools.cache
def answers() -> list[tuple[Case, str]]:
    """Return each case with its message."""
    cases = [*CASES, OF_TERRAFORM]
    halves = cases[::2], cases[1::2]
    with ThreadPoolExecutor() as pool:
        messages = pool.map(messages_of, ("values-0", "values-1"), halves)
    return list(zip(chain(*halves), chain(*messages), strict=True))


def wrong(cases: list[Case]) -> list[tuple[Case, str]]:
    """Return the cases with another message than expected, and that message."""
    found = [(case, message) for case, message in answers() if case in cases]
    return [(case, message) for case, message in found if not re.fullmatch(case.message, message)]


@pytest.mark.parametrize("role", sorted({case.role for case in CASES}))
def test_values_are_refused(role: str) -> None:
    assert wrong([case for case in CASES if case.role == role and case.message]) == []


def test_values_that_can_be_used_are_not_refused() -> None:
    assert wrong(ACCEPTED) == []


def test_values_for_terraform() -> None:
    require_terraform()
    assert wrong([OF_TERRAFORM]) == []


SEEN = {row.variable for row in REFUSED} | {name for case in OF_OTHER_CHECKS for name in case.values}


def test_every_variable_has_a_value_that_is_refused() -> None:
    # Other roles alone give the internal one its values.
    public = [role for role in ROLES if role.name != "kubernetes_objects"]
    options = {name: option for role in public for name, option in options_of(role).items()}
    # Ansible refuses other values of these; one row for each way shows that it does.
    typed = {name for name, option in options.items() if option["type"] == "bool" or "choices" in option}
    missing = sorted(set(options) - SEEN - typed - set(EXEMPT))
    assert missing == [], "give each a check and a row in REFUSED, or a reason in EXEMPT"


def test_exemptions_are_needed() -> None:
    assert set(EXEMPT) <= {name for role in ROLES for name in options_of(role)} - SEEN


def test_every_variable_has_one_check() -> None:
    lists = {}
    for path in (path for role in ROLES for path in (role / "tasks").glob("*.yml")):
        for task in tasks_in(load(path)):
            names = [check["name"] for check in task.get("vars", {}).get("_platform_values", [])]
            assert len(names) == len(set(names)), path
            lists[path] = set(names)
    assert set().union(*lists.values()) <= {row.variable for row in REFUSED}


def test_messages_of_values(tmp_path: Path) -> None:
    """All at once, of an error too, and without what is a secret."""
    checks = [
        {"name": "web_port", "valid": "{{ web_port >= 1 }}", "use": "1 or more"},
        {"name": "web_name", "valid": "{{ web_name is match('w') }}", "use": "a name"},
        {"name": "web_size", "valid": "{{ web_size | counter.platform.quantity > 0 }}", "use": "a size such as 1Gi"},
        {"name": "web_paths", "valid": "{{ web_paths[0].path == '/' }}", "part": "{{ web_paths }}", "use": "a path"},
        {"name": "web_password", "valid": False, "use": "another"},
        {"name": "web_secret_key", "valid": False, "use": "a key"},
    ]
    given = {"web_port": 0, "web_name": "www", "web_size": "s" * 500, "web_paths": []}
    secrets = {"web_password": "hunter2", "web_secret_key": ""}
    include = {"ansible.builtin.include_tasks": str(ROOT / "roles/platform/tasks/values.yml")}
    play = {"hosts": "localhost", "tasks": [{**include, "vars": {**given, **secrets, "_platform_values": checks}}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    run = execute("ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml"))
    run.failed(changed=0)
    lines = [
        "web_port is 0; use 1 or more",
        f'web_size is "{"s" * 116}...; use a size such as 1Gi',
        "web_paths has []; use a path",
        "web_password is set; use another",
        "web_secret_key is empty; use a key",
    ]
    assert "    msg: |-\n" + "".join(f"        {line}\n" for line in lines) + "\n" in run.output
    assert "hunter2" not in run.output


@pytest.mark.parametrize("given", ["-e", "group_vars"])
def test_unknown_variable_is_refused(tmp_path: Path, given: str) -> None:
    values = json.dumps({"platform_token": "hunter2", **{name: value for name, value, _ in UNKNOWN}})
    inventory = inventory_of(tmp_path, "values")
    if given == "group_vars":
        (inventory / "group_vars/all/unknown.yml").write_text(values)
    expected = [
        f"{name} is {json.dumps(value)}, and no role has a variable of that name. {remedy}"
        for name, value, remedy in UNKNOWN
    ]
    command = ["ansible-playbook", "-i", str(inventory), "playbooks/preflight.yml"]
    run = execute(*command, *(["-e", values] if given == "-e" else []))
    # It may be a password.
    run.failed(*expected, "platform_token is set, and no role has", changed=0)
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
    command = ["ansible-playbook", "-i", inventory, "site.yml", "--tags", "logs", "--check"]
    run = execute(*command, "-e", "log_host_store=loki")
    run.failed('log_host_loki_archive is ""', changed=0)
    assert "TASK [offline_images : Build or fetch" not in run.output, "the images come after the checks"


def test_the_volume_is_as_large_as_the_preflight_says() -> None:
    manifest = ROOT / "roles/offline_images/files/node/rootfs/kind/manifests/default-storage.yaml"
    (volume,) = [entry for entry in yaml.safe_load_all(manifest.read_text()) if entry["kind"] == "PersistentVolume"]
    assert (
        volume["spec"]["capacity"]["storage"] == load(ROOT / "roles/counter_app/vars/main.yml")["_counter_app_volume"]
    )
    assert volume["spec"]["storageClassName"] == "standard"
