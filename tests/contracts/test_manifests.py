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
    check_rights,
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

EVERYWHERE: list[Check] = [
    manifests.check_identity,
    manifests.check_selectors,
    manifests.check_ports_of_services,
    manifests.check_probes,
    manifests.check_cpu_requests,
    manifests.check_images,
]
OF_THE_SERVICE: list[Check] = [
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
]

OF_THE_COLLECTOR: list[Check] = [
    manifests.check_rights_of_the_collector,
    manifests.check_delivery,
    manifests.check_policies_of_the_collector,
]

OF_PROMETHEUS: list[Check] = [
    manifests.check_rights,
    manifests.check_rights_of_prometheus,
    manifests.check_policies_of_prometheus,
    manifests.check_rules_are_read,
]


def name_of(check: Check) -> str:
    """Name a check in the list of tests."""
    return str(getattr(check, "__name__", check)).removeprefix("check_")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("check", EVERYWHERE, ids=name_of)
def test_manifests_of_every_role(environment: str, check: Check) -> None:
    assert len(WITH_MANIFESTS) >= 2
    for role in WITH_MANIFESTS:
        check(render_role(environment, role))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("check", OF_THE_SERVICE, ids=name_of)
def test_manifests_of_the_service(environment: str, check: Check) -> None:
    check(render_role(environment, APP))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("check", OF_THE_COLLECTOR, ids=name_of)
def test_manifests_of_the_collector(environment: str, check: Check) -> None:
    check(render_role(environment, LOGGING))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("check", OF_PROMETHEUS, ids=name_of)
def test_manifests_of_prometheus(environment: str, check: Check) -> None:
    check(render_role(environment, MONITORING))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_addons_have_no_rights_that_they_do_not_need(environment: str) -> None:
    check_rights(render_role(environment, ADDONS))


def test_namespaces_admit_restricted_pods_only() -> None:
    for role in WITH_MANIFESTS:
        for entry in render_role("local", role):
            if entry["kind"] == "Namespace":
                # No other level admits a folder of the node, and the collector's pods alone have one.
                level = "privileged" if role == LOGGING else "restricted"
                assert entry["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level


def test_policy_agents_manifest() -> None:
    # The build writes the table's image into it.
    image = load(ROOT / "roles/platform/defaults/main/images.yml")["platform_images"]["network-policy-agent"]["image"]
    objects = list(yaml.safe_load_all(AGENT.read_text().replace("@AGENT_IMAGE@", image)))
    manifests.check_identity(objects)
    manifests.check_selectors(objects)
    manifests.check_cpu_requests(objects)
    manifests.check_images(objects)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_host_port_leads_to_the_service(environment: str) -> None:
    (port,) = manifests.one(render_role(environment, APP), "Service", "counter")["spec"]["ports"]
    nodes = load(ROOT / "roles/kind_cluster/vars/main.yml")["_kind_cluster_config"]["nodes"]
    (mapping,) = nodes[0]["extraPortMappings"]
    # kind takes numbers only, and a value given with -e arrives as text.
    assert mapping["containerPort"] == "{{ platform_node_port | int }}"
    assert mapping["hostPort"] == "{{ platform_http_port | int }}"
    assert port["nodePort"] == value_of(environment, "counter_app", "platform_node_port")


def test_environments_that_share_a_machine_have_host_ports_of_their_own() -> None:
    ports = [value_of(environment, "kind_cluster", "platform_http_port") for environment in ENVIRONMENTS]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("role", "files"),
    [(APP, ["apply.yml"]), (ADDONS, ["main.yml", "apply.yml"]), (LOGGING, ["apply.yml"]), (MONITORING, ["apply.yml"])],
)
def test_images_reach_the_nodes_before_the_objects_that_need_them(role: Path, files: list[str]) -> None:
    tasks = [task for file in files for task in tasks_in(load(role / "tasks" / file))]
    used = [next(key for key in task if "." in key) for task in tasks]
    bring = tasks[used.index("counter.platform.node_image")]["counter.platform.node_image"]
    assert bring["nodes"] == "{{ kind_cluster_nodes }}"
    assert used.index("counter.platform.node_image") < used.index("kubernetes.core.k8s")
    brought = {value_of("local", role.name, image.strip("{} "))["image"] for image in bring["images"]}
    pods = [pod for _, pod in manifests.workloads(render_role("local", role))]
    assert brought == {container["image"] for pod in pods for container in manifests.containers(pod)}


DEPLOYMENT, STATEFULSET, PROXY_CONFIG = "Deployment/counter", "StatefulSet/counter-valkey", "ConfigMap/counter-proxy"
CLIENTS, PROMETHEUS = "NetworkPolicy/clients-to-proxy", "NetworkPolicy/prometheus-to-metrics"
POD = "/spec/template/spec"
SERVICE, PROXY, VALKEY = f"{POD}/containers/0", f"{POD}/initContainers/0", f"{POD}/containers/0"
HAPROXY_CFG, USERS = "/data/haproxy.cfg", "/stringData/users.acl"
COUNTER = {"app.kubernetes.io/name": "counter", "app.kubernetes.io/component": "service"}
PASSWORD_HASH = hashlib.sha256(manifests.FACTS["_counter_app_password"].encode()).hexdigest()
BACKUP_HASH = hashlib.sha256(manifests.FACTS["_counter_app_backup_password"].encode()).hexdigest()
NOT_FOUND = 'http-request return status 404 content-type application/json string \'{"title": "Not found"}\''

FAULTS: dict[str, tuple[str, Change, Check]] = {
    "container port 80": (
        DEPLOYMENT,
        replace(f"{SERVICE}/ports/0/containerPort", 8080, 80),
        manifests.check_service_port,
    ),
    "readiness asks port 80": (
        DEPLOYMENT,
        replace(f"{SERVICE}/readinessProbe/httpGet/port", "http", 80),
        manifests.check_probes,
    ),
    "no time to start": (DEPLOYMENT, remove(f"{SERVICE}/startupProbe"), manifests.check_patience),
    "a slow answer is a failure": (
        DEPLOYMENT,
        replace(f"{SERVICE}/readinessProbe/timeoutSeconds", 2, 1),
        manifests.check_patience,
    ),
    "liveness asks the store": (
        DEPLOYMENT,
        replace(f"{SERVICE}/livenessProbe/httpGet/path", "/healthz", "/readyz"),
        manifests.check_patience,
    ),
    "proxy's start waits for the service, which waits for it": (
        DEPLOYMENT,
        replace(
            f"{PROXY}/startupProbe/httpGet",
            {"path": "/metrics", "port": "proxy-metrics"},
            {"path": "/readyz", "port": "proxy"},
        ),
        manifests.check_patience,
    ),
    "image asked from a registry": (
        DEPLOYMENT,
        replace(f"{SERVICE}/imagePullPolicy", "Never", "IfNotPresent"),
        manifests.check_images,
    ),
    "image without a version": (
        DEPLOYMENT,
        replace(f"{SERVICE}/image", manifests.FACTS["counter_image_built"]["image"], "counter-platform/counter:latest"),
        manifests.check_images,
    ),
    "absolute target": (
        "HorizontalPodAutoscaler/counter",
        replace(
            "/spec/metrics/0/resource/target",
            {"type": "Utilization", "averageUtilization": 50},
            {"type": "AverageValue", "averageValue": "500m"},
        ),
        manifests.check_autoscaler,
    ),
    "autoscaler of another Deployment": (
        "HorizontalPodAutoscaler/counter",
        replace("/spec/scaleTargetRef/name", "counter", "counter-service"),
        manifests.check_autoscaler,
    ),
    "no CPU request": (DEPLOYMENT, remove(f"{SERVICE}/resources/requests/cpu"), manifests.check_cpu_requests),
    "no CPU request of the sidecar": (
        DEPLOYMENT,
        remove(f"{PROXY}/resources/requests/cpu"),
        manifests.check_cpu_requests,
    ),
    "fixed number of pods": (DEPLOYMENT, add("/spec/replicas", 1), manifests.check_number_of_pods),
    "Deployment selects other pods": (
        DEPLOYMENT,
        replace("/spec/selector/matchLabels", COUNTER, {"app": "counter"}),
        manifests.check_selectors,
    ),
    "Service selects other pods": (
        "Service/counter",
        replace("/spec/selector", COUNTER, {"app": "counter"}),
        manifests.check_selectors,
    ),
    "Service leads to port 80": (
        "Service/counter",
        replace("/spec/ports/0/targetPort", 9000, 80),
        manifests.check_ports_of_services,
    ),
    "Service leads past the proxy": (
        "Service/counter",
        replace("/spec/ports/0/targetPort", 9000, 8080),
        manifests.check_service_port,
    ),
    "Service leads to a port without a name": (
        "Service/counter",
        replace("/spec/ports/0/targetPort", 9000, "web"),
        manifests.check_ports_of_services,
    ),
    "policy selects other pods": (
        CLIENTS,
        replace("/spec/podSelector/matchLabels", COUNTER, {"app": "counter"}),
        manifests.check_selectors,
    ),
    "policy admits to port 80": (
        CLIENTS,
        replace("/spec/ingress/0/ports/0/port", 9000, 80),
        manifests.check_ports_of_services,
    ),
    "policy admits everybody": (CLIENTS, remove("/spec/ingress/0/from/0/podSelector"), manifests.check_policies),
    "policy admits prometheus of every namespace": (
        PROMETHEUS,
        replace(
            "/spec/ingress/0/from/0/namespaceSelector/matchLabels", {"kubernetes.io/metadata.name": "monitoring"}, {}
        ),
        manifests.check_policies,
    ),
    "nothing denied on the way out": (
        "NetworkPolicy/default-deny",
        replace("/spec/policyTypes", ["Ingress", "Egress"], ["Ingress"]),
        manifests.check_policies,
    ),
    "runs as root": (DEPLOYMENT, replace(f"{POD}/securityContext/runAsUser", 65532, 0), manifests.check_rights),
    "Valkey runs as root": (
        STATEFULSET,
        replace(f"{POD}/securityContext/runAsUser", 65533, 0),
        manifests.check_rights,
    ),
    "proxy drops every fifth request": (
        PROXY_CONFIG,
        replace_line(
            HAPROXY_CFG,
            "default_backend service",
            "http-request silent-drop if { rand(5) eq 0 }",
            "default_backend service",
        ),
        manifests.check_proxy,
    ),
    "proxy hangs for 3 s": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "default_backend service", "tcp-request inspect-delay 3s", "default_backend service"),
        manifests.check_proxy,
    ),
    "proxy gives up on a service that is well": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "timeout server 5s", "timeout server 1s"),
        manifests.check_proxy,
    ),
    "proxy sends a request again": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "retry-on conn-failure", "retry-on all-retryable-errors"),
        manifests.check_proxy,
    ),
    "proxy tries to connect for 4 s": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "retries 1", "retries 3"),
        manifests.check_proxy,
    ),
    "the proxy's buffers are more than its memory": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "tune.bufsize 8192", "tune.bufsize 16384"),
        manifests.check_proxy,
    ),
    "idle connections take all there are": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "http-after-response set-header Connection close if { fe_conn gt 2500 }"),
        manifests.check_proxy,
    ),
    "probes share the clients' connections": (
        DEPLOYMENT,
        replace(f"{PROXY}/readinessProbe/httpGet/port", "proxy-probes", "proxy"),
        manifests.check_patience,
    ),
    "metrics for everybody": (
        PROXY_CONFIG,
        replace_line(
            HAPROXY_CFG,
            f"{NOT_FOUND} unless {{ path {' '.join(PUBLIC_PATHS)} }}",
            f"{NOT_FOUND} unless {{ path {' '.join([*PUBLIC_PATHS, '/metrics'])} }}",
        ),
        manifests.check_proxy,
    ),
    "proxy's hard stop": (
        DEPLOYMENT,
        replace(f"{PROXY}/lifecycle/preStop/exec/command/2", "kill -USR1 1; sleep 6", "kill -TERM 1; sleep 6"),
        manifests.check_graceful_shutdown,
    ),
    "clients keep a connection to a pod that goes": (
        PROXY_CONFIG,
        replace_line(HAPROXY_CFG, "http-after-response set-header Connection close if { stopping }"),
        manifests.check_graceful_shutdown,
    ),
    "killed before its last requests end": (
        DEPLOYMENT,
        replace(f"{POD}/terminationGracePeriodSeconds", 30, 10),
        manifests.check_graceful_shutdown,
    ),
    "budget of other pods": (
        "PodDisruptionBudget/counter",
        replace("/spec/selector/matchLabels", COUNTER, {"app": "counter"}),
        manifests.check_disruptions,
    ),
    "increments answered before they are on the disk": (
        STATEFULSET,
        replace(f"{VALKEY}/args/5", "always", "everysec"),
        manifests.check_valkey,
    ),
    "Valkey without a password": (
        "Secret/counter-valkey",
        replace_line(
            USERS,
            f"user counter on #{PASSWORD_HASH} resetkeys ~counter resetchannels -@all +incr +ping",
            "user counter on nopass resetkeys ~counter resetchannels -@all +incr +ping",
        ),
        manifests.check_valkey,
    ),
    "Valkey keeps nothing": (STATEFULSET, replace(f"{VALKEY}/args/1", "/data", "/run"), manifests.check_valkey),
    "two servers write one log": (
        STATEFULSET,
        replace(f"{VALKEY}/command", ["flock", "--no-fork", "/data/lock", "valkey-server"], ["valkey-server"]),
        manifests.check_valkey,
    ),
    "a backup may lower the count": (
        "Secret/counter-valkey",
        replace_line(
            USERS,
            f"user backup on #{BACKUP_HASH} resetkeys ~counter resetchannels -@all +get +incrby",
            f"user backup on #{BACKUP_HASH} resetkeys ~counter resetchannels -@all +get +set",
        ),
        manifests.check_valkey,
    ),
}


def check_that_fault_is_found(role: Path, place: str, change: Change, check: Check) -> None:
    """Fail unless a check passes a role's objects, and finds a fault in them."""
    faulty = with_fault(place, change, role)
    check(render_role("local", role))
    with pytest.raises(AssertionError):
        check(faulty)


@pytest.mark.parametrize("fault", FAULTS)
def test_seed_fault_is_found(fault: str) -> None:
    check_that_fault_is_found(APP, *FAULTS[fault])


DAEMONSET, COLLECTOR_CONFIG = "DaemonSet/collector", "ConfigMap/collector"
COLLECTOR, SETTINGS = f"{POD}/containers/0", "/data/collector.yaml"

FAULTS_OF_THE_COLLECTOR: dict[str, tuple[str, Change, Check]] = {
    "may do what root may": (
        DAEMONSET,
        remove(f"{COLLECTOR}/securityContext/capabilities"),
        manifests.check_rights_of_the_collector,
    ),
    "may write logs": (
        DAEMONSET,
        remove(f"{COLLECTOR}/volumeMounts/2/readOnly"),
        manifests.check_rights_of_the_collector,
    ),
    "reads secrets of the API": (
        "ClusterRole/logging-collector",
        replace("/rules/0/resources", ["pods"], ["pods", "secrets"]),
        manifests.check_rights_of_the_collector,
    ),
    "none on the control plane": (DAEMONSET, remove(f"{POD}/tolerations"), manifests.check_delivery),
    "begins at the end of a file": (
        COLLECTOR_CONFIG,
        replace_line(SETTINGS, "start_at: beginning", "start_at: end"),
        manifests.check_delivery,
    ),
    "drops lines when the queue is full": (
        COLLECTOR_CONFIG,
        replace_line(SETTINGS, "block_on_overflow: true", "block_on_overflow: false"),
        manifests.check_delivery,
    ),
    "queue in memory": (
        COLLECTOR_CONFIG,
        replace_line(SETTINGS, "sizer: bytes", "storage: null", "sizer: bytes"),
        manifests.check_delivery,
    ),
    "keeps lines in memory that count as read": (
        DAEMONSET,
        remove(f"{COLLECTOR}/command/2"),
        manifests.check_delivery,
    ),
    "queue goes with the pod": (
        DAEMONSET,
        replace(f"{COLLECTOR}/volumeMounts/3/mountPath", "/var/lib/collector", "/var/lib/other"),
        manifests.check_delivery,
    ),
    "wrong password costs lines": (
        COLLECTOR_CONFIG,
        replace_line(SETTINGS, "- id: answers"),
        manifests.check_delivery,
    ),
    "reaches every port of the log host": (
        "NetworkPolicy/collector-out",
        remove("/spec/egress/0/ports"),
        manifests.check_policies_of_the_collector,
    ),
    "metrics for everybody": (
        "NetworkPolicy/prometheus-to-metrics",
        remove("/spec/ingress/0/from"),
        manifests.check_policies_of_the_collector,
    ),
}


@pytest.mark.parametrize("fault", FAULTS_OF_THE_COLLECTOR)
def test_fault_of_the_collector_is_found(fault: str) -> None:
    check_that_fault_is_found(LOGGING, *FAULTS_OF_THE_COLLECTOR[fault])


FAULTS_OF_PROMETHEUS: dict[str, tuple[str, Change, Check]] = {
    "reads secrets of the API": (
        "ClusterRole/monitoring-prometheus",
        replace("/rules/0/resources", ["nodes"], ["nodes", "secrets"]),
        manifests.check_rights_of_prometheus,
    ),
    "kube-state-metrics lists secrets": (
        "ClusterRole/monitoring-kube-state-metrics",
        add("/rules/0/resources/-", "secrets"),
        manifests.check_rights_of_prometheus,
    ),
    "reaches whatever it likes": (
        "NetworkPolicy/prometheus-out",
        add("/spec/egress/-", {}),
        manifests.check_policies_of_prometheus,
    ),
    "alertmanager for everybody": (
        "NetworkPolicy/prometheus-to-alertmanager",
        remove("/spec/ingress/0/from"),
        manifests.check_policies_of_prometheus,
    ),
    "rules that nobody reads": (
        "ConfigMap/prometheus",
        replace_line("/data/prometheus.yml", "- /etc/prometheus/alerts.yml"),
        manifests.check_rules_are_read,
    ),
    "alerts that nobody is sent": (
        "ConfigMap/prometheus",
        replace_line("/data/prometheus.yml", "alerting:", "unused:"),
        manifests.check_rules_are_read,
    ),
}


@pytest.mark.parametrize("fault", FAULTS_OF_PROMETHEUS)
def test_fault_of_prometheus_is_found(fault: str) -> None:
    check_that_fault_is_found(MONITORING, *FAULTS_OF_PROMETHEUS[fault])


def path_of(template: Path) -> str:
    """Name a template in the list of tests."""
    return str(template.relative_to(ROOT / "roles"))


@pytest.mark.parametrize("template", TEMPLATES, ids=path_of)
def test_manifest_is_one_object_and_named_after_its_kind(template: Path) -> None:
    (entry,) = render("local", template)
    kind = entry["kind"].lower()
    names = {"horizontalpodautoscaler": "hpa", "poddisruptionbudget": "pdb"}
    assert template.name.removesuffix(".yml.j2").partition("-")[0] == names.get(kind, kind)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("role", "applied"),
    [
        (APP, "_counter_app_secrets + _counter_app_objects"),
        (ADDONS, "_cluster_addons_objects"),
        (LOGGING, "_logging_secrets + _logging_objects"),
        (MONITORING, "_monitoring_secrets + _monitoring_objects"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_manifest_is_applied(environment: str, role: Path, applied: str) -> None:
    """A manifest that no list names would lie there and do nothing."""

    def name(entry: Object) -> str:
        metadata = entry["metadata"]
        return f"{entry['kind']} {metadata['name']} in {metadata.get('namespace')}"

    objects: list[Object] = value_of(environment, role.name, applied)
    assert sorted(objects, key=name) == sorted(render_role(environment, role), key=name)
    there = {entry["metadata"]["name"]: number for number, entry in enumerate(objects) if entry["kind"] == "Namespace"}
    for number, entry in enumerate(objects):
        assert there.get(entry["metadata"].get("namespace"), -1) < number, f"{name(entry)} comes before its namespace"
