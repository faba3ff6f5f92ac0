"""What the templates render to is sound, in every environment, and each seed fault is found when it is put back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from contracts import manifests
from contracts.manifests import (
    ADDONS,
    APP,
    LOGGING,
    MONITORING,
    Change,
    Object,
    add,
    manifests_of,
    remove,
    render,
    render_role,
    replace,
    replace_line,
    value_of,
    with_fault,
)
from contracts.project import INVENTORIES, ROLES, load, tasks_in
from lib.interface import PUBLIC_PATHS
from lib.paths import ROOT

ENVIRONMENTS = [path.name for path in INVENTORIES]
WITH_MANIFESTS = [role for role in ROLES if manifests_of(role)]
TEMPLATES = [template for role in WITH_MANIFESTS for template in manifests_of(role)]
AGENT = ROOT / "roles/offline_images/files/node/rootfs/kind/manifests/default-cni.yaml"

Check = Callable[[list[Object]], None]

Fault = tuple[str, Change]
"""Where a fault is planted, as KIND/NAME, and the fault."""
Faults = dict[Check, dict[str, Fault]]

EVERYWHERE: list[Check] = [
    manifests.check_identity,
    manifests.check_selectors,
    manifests.check_ports_of_services,
    manifests.check_probes,
    manifests.check_cpu_requests,
    manifests.check_images,
]
OF_ROLES: dict[Path, list[Check]] = {
    APP: [
        manifests.check_rights,
        manifests.check_service_port,
        manifests.check_proxy,
        manifests.check_graceful_shutdown,
        manifests.check_patience,
        manifests.check_valkey,
        manifests.check_autoscaler,
        manifests.check_number_of_pods,
        manifests.check_disruptions,
        manifests.check_policies,
    ],
    ADDONS: [manifests.check_rights],
    LOGGING: [
        manifests.check_rights_of_the_collector,
        manifests.check_delivery,
        manifests.check_policies_of_the_collector,
    ],
    MONITORING: [
        manifests.check_rights,
        manifests.check_rights_of_prometheus,
        manifests.check_policies_of_prometheus,
        manifests.check_rules_are_read,
    ],
}


def name_of(value: Path | Check) -> str:
    """Name a role or a check in the list of tests."""
    return value.name if isinstance(value, Path) else value.__name__.removeprefix("check_")


def check_in_every_environment(role: Path, check: Check) -> None:
    """Check a role's objects in each environment, and name the one where the check fails."""
    for environment in ENVIRONMENTS:
        try:
            check(render_role(environment, role))
        except AssertionError as error:
            error.add_note(f"role {role.name}, environment {environment}")
            raise


@pytest.mark.parametrize("check", EVERYWHERE, ids=name_of)
def test_manifests_of_every_role(check: Check) -> None:
    assert set(WITH_MANIFESTS) == set(OF_ROLES)
    for role in WITH_MANIFESTS:
        check_in_every_environment(role, check)


@pytest.mark.parametrize(
    ("role", "check"), [(role, check) for role, checks in OF_ROLES.items() for check in checks], ids=name_of
)
def test_manifests_of_a_role(role: Path, check: Check) -> None:
    check_in_every_environment(role, check)


def test_namespaces_admit_restricted_pods_only() -> None:
    found = {
        (role.name, entry["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])
        for role in WITH_MANIFESTS
        for entry in render_role("local", role)
        if entry["kind"] == "Namespace"
    }
    # No other level admits a folder of the node, and the collector's pods alone have one.
    assert found == {(role.name, "privileged" if role == LOGGING else "restricted") for role in WITH_MANIFESTS}


def test_policy_agents_manifest() -> None:
    # The build writes the table's image into it.
    image = load(ROOT / "roles/platform/defaults/main/images.yml")["platform_images"]["network-policy-agent"]["image"]
    objects = list(yaml.safe_load_all(AGENT.read_text().replace("@AGENT_IMAGE@", image)))
    manifests.check_identity(objects)
    manifests.check_selectors(objects)
    manifests.check_cpu_requests(objects)
    manifests.check_images(objects)


def test_host_port_leads_to_the_service() -> None:
    nodes = load(ROOT / "roles/kind_cluster/vars/main.yml")["_kind_cluster_config"]["nodes"]
    (mapping,) = nodes[0]["extraPortMappings"]
    # kind takes numbers only, and a value given with -e arrives as text.
    assert mapping["containerPort"] == "{{ platform_node_port | int }}"
    assert mapping["hostPort"] == "{{ platform_http_port | int }}"
    for environment in ENVIRONMENTS:
        (port,) = manifests.one(render_role(environment, APP), "Service", "counter")["spec"]["ports"]
        assert port["nodePort"] == value_of(environment, "counter_app", "platform_node_port"), environment


def test_environments_that_share_a_machine_have_host_ports_of_their_own() -> None:
    ports = {environment: value_of(environment, "kind_cluster", "platform_http_port") for environment in ENVIRONMENTS}
    assert len(set(ports.values())) == len(ports), ports


@pytest.mark.parametrize("role", OF_ROLES, ids=name_of)
def test_images_reach_the_nodes_before_the_objects_that_need_them(role: Path) -> None:
    files = ["main.yml", "apply.yml"] if role == ADDONS else ["apply.yml"]
    tasks = [task for file in files for task in tasks_in(load(role / "tasks" / file))]
    used = [next(key for key in task if "." in key) for task in tasks]
    bring = tasks[used.index("counter.platform.node_image")]["counter.platform.node_image"]
    assert bring["nodes"] == "{{ kind_cluster_nodes }}"
    assert used.index("counter.platform.node_image") < used.index("kubernetes.core.k8s")
    brought = {value_of("local", role.name, image.strip("{} "))["image"] for image in bring["images"]}
    pods = [pod for _, pod in manifests.workloads(render_role("local", role))]
    assert brought == {container["image"] for pod in pods for container in manifests.containers(pod)}


DEPLOYMENT, STATEFULSET = "Deployment/counter", "StatefulSet/counter-valkey"
CLIENTS, PROMETHEUS = "NetworkPolicy/clients-to-proxy", "NetworkPolicy/prometheus-to-metrics"
POD = "/spec/template/spec"
SERVICE, PROXY, VALKEY = f"{POD}/containers/0", f"{POD}/initContainers/0", f"{POD}/containers/0"
USERS = "/stringData/users.acl"
COUNTER = {"app.kubernetes.io/name": "counter", "app.kubernetes.io/component": "service"}
PASSWORD_HASH = hashlib.sha256(manifests.FACTS["_counter_app_password"].encode()).hexdigest()
BACKUP_HASH = hashlib.sha256(manifests.FACTS["_counter_app_backup_password"].encode()).hexdigest()


def in_proxy(sound: str, *faulty: str) -> Fault:
    """Plant other lines in the proxy's configuration."""
    return "ConfigMap/counter-proxy", replace_line("/data/haproxy.cfg", sound, *faulty)


def in_collector(sound: str, *faulty: str) -> Fault:
    """Plant other lines in the collector's configuration."""
    return "ConfigMap/collector", replace_line("/data/collector.yaml", sound, *faulty)


NOT_FOUND = 'http-request return status 404 content-type application/json string \'{"title": "Not found"}\''

FAULTS: Faults = {
    manifests.check_service_port: {
        "container port 80": (DEPLOYMENT, replace(f"{SERVICE}/ports/0/containerPort", 8080, 80)),
        "Service leads past the proxy": ("Service/counter", replace("/spec/ports/0/targetPort", 9000, 8080)),
    },
    manifests.check_probes: {
        "readiness asks port 80": (DEPLOYMENT, replace(f"{SERVICE}/readinessProbe/httpGet/port", "http", 80)),
    },
    manifests.check_patience: {
        "no time to start": (DEPLOYMENT, remove(f"{SERVICE}/startupProbe")),
        "a slow answer is a failure": (DEPLOYMENT, replace(f"{SERVICE}/readinessProbe/timeoutSeconds", 2, 1)),
        "liveness asks the store": (
            DEPLOYMENT,
            replace(f"{SERVICE}/livenessProbe/httpGet/path", "/healthz", "/readyz"),
        ),
        "proxy's start waits for the service, which waits for it": (
            DEPLOYMENT,
            replace(
                f"{PROXY}/startupProbe/httpGet",
                {"path": "/metrics", "port": "proxy-metrics"},
                {"path": "/readyz", "port": "proxy"},
            ),
        ),
        "probes share the clients' connections": (
            DEPLOYMENT,
            replace(f"{PROXY}/readinessProbe/httpGet/port", "proxy-probes", "proxy"),
        ),
    },
    manifests.check_images: {
        "image asked from a registry": (DEPLOYMENT, replace(f"{SERVICE}/imagePullPolicy", "Never", "IfNotPresent")),
        "image without a version": (
            DEPLOYMENT,
            replace(
                f"{SERVICE}/image", manifests.FACTS["counter_image_built"]["image"], "counter-platform/counter:latest"
            ),
        ),
    },
    manifests.check_autoscaler: {
        "absolute target": (
            "HorizontalPodAutoscaler/counter",
            replace(
                "/spec/metrics/0/resource/target",
                {"type": "Utilization", "averageUtilization": 50},
                {"type": "AverageValue", "averageValue": "500m"},
            ),
        ),
        "autoscaler of another Deployment": (
            "HorizontalPodAutoscaler/counter",
            replace("/spec/scaleTargetRef/name", "counter", "counter-service"),
        ),
    },
    manifests.check_cpu_requests: {
        "no CPU request": (DEPLOYMENT, remove(f"{SERVICE}/resources/requests/cpu")),
        "no CPU request of the sidecar": (DEPLOYMENT, remove(f"{PROXY}/resources/requests/cpu")),
    },
    manifests.check_number_of_pods: {
        "fixed number of pods": (DEPLOYMENT, add("/spec/replicas", 1)),
    },
    manifests.check_selectors: {
        "Deployment selects other pods": (
            DEPLOYMENT,
            replace("/spec/selector/matchLabels", COUNTER, {"app": "counter"}),
        ),
        "Service selects other pods": ("Service/counter", replace("/spec/selector", COUNTER, {"app": "counter"})),
        "policy selects other pods": (CLIENTS, replace("/spec/podSelector/matchLabels", COUNTER, {"app": "counter"})),
    },
    manifests.check_ports_of_services: {
        "Service leads to port 80": ("Service/counter", replace("/spec/ports/0/targetPort", 9000, 80)),
        "Service leads to a port without a name": ("Service/counter", replace("/spec/ports/0/targetPort", 9000, "web")),
        "policy admits to port 80": (CLIENTS, replace("/spec/ingress/0/ports/0/port", 9000, 80)),
    },
    manifests.check_policies: {
        "policy admits everybody": (CLIENTS, remove("/spec/ingress/0/from/0/podSelector")),
        "policy admits prometheus of every namespace": (
            PROMETHEUS,
            replace(
                "/spec/ingress/0/from/0/namespaceSelector/matchLabels",
                {"kubernetes.io/metadata.name": "monitoring"},
                {},
            ),
        ),
        "nothing denied on the way out": (
            "NetworkPolicy/default-deny",
            replace("/spec/policyTypes", ["Ingress", "Egress"], ["Ingress"]),
        ),
    },
    manifests.check_rights: {
        "runs as root": (DEPLOYMENT, replace(f"{POD}/securityContext/runAsUser", 65532, 0)),
        "Valkey runs as root": (STATEFULSET, replace(f"{POD}/securityContext/runAsUser", 65533, 0)),
    },
    manifests.check_proxy: {
        "proxy drops every fifth request": in_proxy(
            "default_backend service", "http-request silent-drop if { rand(5) eq 0 }", "default_backend service"
        ),
        "proxy hangs for 3 s": in_proxy(
            "default_backend service", "tcp-request inspect-delay 3s", "default_backend service"
        ),
        "proxy gives up on a service that is well": in_proxy("timeout server 5s", "timeout server 1s"),
        "proxy sends a request again": in_proxy("retry-on conn-failure", "retry-on all-retryable-errors"),
        "proxy tries to connect for 4 s": in_proxy("retries 1", "retries 3"),
        "the proxy's buffers are more than its memory": in_proxy("tune.bufsize 8192", "tune.bufsize 16384"),
        "idle connections take all there are": in_proxy(
            "http-after-response set-header Connection close if { fe_conn gt 2500 }"
        ),
        "metrics for everybody": in_proxy(
            f"{NOT_FOUND} unless {{ path {' '.join(PUBLIC_PATHS)} }}",
            f"{NOT_FOUND} unless {{ path {' '.join([*PUBLIC_PATHS, '/metrics'])} }}",
        ),
    },
    manifests.check_graceful_shutdown: {
        "proxy's hard stop": (
            DEPLOYMENT,
            replace(f"{PROXY}/lifecycle/preStop/exec/command/2", "kill -USR1 1; sleep 6", "kill -TERM 1; sleep 6"),
        ),
        "clients keep a connection to a pod that goes": in_proxy(
            "http-after-response set-header Connection close if { stopping }"
        ),
        "killed before its last requests end": (DEPLOYMENT, replace(f"{POD}/terminationGracePeriodSeconds", 30, 10)),
    },
    manifests.check_disruptions: {
        "budget of other pods": (
            "PodDisruptionBudget/counter",
            replace("/spec/selector/matchLabels", COUNTER, {"app": "counter"}),
        ),
    },
    manifests.check_valkey: {
        "increments answered before they are on the disk": (
            STATEFULSET,
            replace(f"{VALKEY}/args/5", "always", "everysec"),
        ),
        "Valkey without a password": (
            "Secret/counter-valkey",
            replace_line(
                USERS,
                f"user counter on #{PASSWORD_HASH} resetkeys ~counter resetchannels -@all +incr +ping",
                "user counter on nopass resetkeys ~counter resetchannels -@all +incr +ping",
            ),
        ),
        "Valkey keeps nothing": (STATEFULSET, replace(f"{VALKEY}/args/1", "/data", "/run")),
        "two servers write one log": (
            STATEFULSET,
            replace(f"{VALKEY}/command", ["flock", "--no-fork", "/data/lock", "valkey-server"], ["valkey-server"]),
        ),
        "a backup may lower the count": (
            "Secret/counter-valkey",
            replace_line(
                USERS,
                f"user backup on #{BACKUP_HASH} resetkeys ~counter resetchannels -@all +get +incrby",
                f"user backup on #{BACKUP_HASH} resetkeys ~counter resetchannels -@all +get +set",
            ),
        ),
    },
}


DAEMONSET = "DaemonSet/collector"
COLLECTOR = f"{POD}/containers/0"

FAULTS_OF_THE_COLLECTOR: Faults = {
    manifests.check_rights_of_the_collector: {
        "may do what root may": (DAEMONSET, remove(f"{COLLECTOR}/securityContext/capabilities")),
        "may write logs": (DAEMONSET, remove(f"{COLLECTOR}/volumeMounts/2/readOnly")),
        "reads secrets of the API": (
            "ClusterRole/logging-collector",
            replace("/rules/0/resources", ["pods"], ["pods", "secrets"]),
        ),
    },
    manifests.check_delivery: {
        "none on the control plane": (DAEMONSET, remove(f"{POD}/tolerations")),
        "begins at the end of a file": in_collector("start_at: beginning", "start_at: end"),
        "drops lines when the queue is full": in_collector("block_on_overflow: true", "block_on_overflow: false"),
        "queue in memory": in_collector("sizer: bytes", "storage: null", "sizer: bytes"),
        "keeps lines in memory that count as read": (DAEMONSET, remove(f"{COLLECTOR}/command/2")),
        "queue goes with the pod": (
            DAEMONSET,
            replace(f"{COLLECTOR}/volumeMounts/3/mountPath", "/var/lib/collector", "/var/lib/other"),
        ),
        "wrong password costs lines": in_collector("- id: answers"),
    },
    manifests.check_policies_of_the_collector: {
        "reaches every port of the log host": ("NetworkPolicy/collector-out", remove("/spec/egress/0/ports")),
        "metrics for everybody": ("NetworkPolicy/prometheus-to-metrics", remove("/spec/ingress/0/from")),
    },
}


FAULTS_OF_PROMETHEUS: Faults = {
    manifests.check_rights_of_prometheus: {
        "reads secrets of the API": (
            "ClusterRole/monitoring-prometheus",
            replace("/rules/0/resources", ["nodes"], ["nodes", "secrets"]),
        ),
        "kube-state-metrics lists secrets": (
            "ClusterRole/monitoring-kube-state-metrics",
            add("/rules/0/resources/-", "secrets"),
        ),
    },
    manifests.check_policies_of_prometheus: {
        "reaches whatever it likes": ("NetworkPolicy/prometheus-out", add("/spec/egress/-", {})),
        "alertmanager for everybody": ("NetworkPolicy/prometheus-to-alertmanager", remove("/spec/ingress/0/from")),
    },
    manifests.check_rules_are_read: {
        "rules that nobody reads": (
            "ConfigMap/prometheus",
            replace_line("/data/prometheus.yml", "- /etc/prometheus/alerts.yml"),
        ),
        "alerts that nobody is sent": (
            "ConfigMap/prometheus",
            replace_line("/data/prometheus.yml", "alerting:", "unused:"),
        ),
    },
}


@pytest.mark.parametrize(
    ("role", "check", "place", "change"),
    [
        pytest.param(role, check, place, change, id=f"{role.name}: {fault}")
        for role, table in ((APP, FAULTS), (LOGGING, FAULTS_OF_THE_COLLECTOR), (MONITORING, FAULTS_OF_PROMETHEUS))
        for check, faults in table.items()
        for fault, (place, change) in faults.items()
    ],
)
def test_fault_is_found(role: Path, check: Check, place: str, change: Change) -> None:
    faulty = with_fault(place, change, role)
    check(render_role("local", role))
    with pytest.raises(AssertionError):
        check(faulty)


def test_manifest_is_one_object_and_named_after_its_kind() -> None:
    short = {"horizontalpodautoscaler": "hpa", "poddisruptionbudget": "pdb"}
    wrong = []
    for template in TEMPLATES:
        kinds = [entry["kind"].lower() for entry in render("local", template)]
        name = template.name.removesuffix(".yml.j2").partition("-")[0]
        if [short.get(kind, kind) for kind in kinds] != [name]:
            wrong.append((template, kinds))
    assert wrong == []


@pytest.mark.parametrize(
    ("role", "applied"),
    [
        (APP, "_counter_app_secrets + _counter_app_objects"),
        (ADDONS, "_cluster_addons_objects"),
        (LOGGING, "_logging_secrets + _logging_objects"),
        (MONITORING, "_monitoring_secrets + _monitoring_objects"),
    ],
    ids=lambda value: getattr(value, "name", "list"),
)
def test_every_manifest_is_applied(role: Path, applied: str) -> None:
    """A manifest that no list names would lie there and do nothing."""

    def name(entry: Object) -> str:
        metadata = entry["metadata"]
        return f"{entry['kind']} {metadata['name']} in {metadata.get('namespace')}"

    for environment in ENVIRONMENTS:
        objects: list[Object] = value_of(environment, role.name, applied)
        found, expected = ({name(entry): entry for entry in each} for each in (objects, render_role(environment, role)))
        assert [entry for entry in {*found, *expected} if found.get(entry) != expected.get(entry)] == [], environment
        assert len(objects) == len(found), f"{environment}: an object is applied twice"
        places = {entry["metadata"]["name"]: at for at, entry in enumerate(objects) if entry["kind"] == "Namespace"}
        early = [
            name(entry) for at, entry in enumerate(objects) if places.get(entry["metadata"].get("namespace"), -1) > at
        ]
        assert early == [], f"{environment}: these come before their namespace"
