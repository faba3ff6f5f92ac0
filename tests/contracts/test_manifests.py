"""What the templates render to is sound, in every environment, and each seed fault is found when it is put back."""

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import yaml
from contracts import manifests
from contracts.manifests import CHECKS, EVERY_ROLE, LOGGING, Check, Object, catalogue, render_role, value_of
from contracts.project import INVENTORIES, ROLES, load, tasks_in
from lib.interface import PUBLIC_PATHS
from lib.paths import ROOT

ENVIRONMENTS = [path.name for path in INVENTORIES]
AGENT = ROOT / "roles/offline_images/files/node/rootfs/kind/manifests/default-cni.yaml"


def name_of(value: Path | Check) -> str:
    """Name a role or a check in the list of tests."""
    return value.name if isinstance(value, Path) else value.__name__.removeprefix("check_")


@pytest.mark.parametrize(
    ("role", "check"), [(role, check) for check, roles in CHECKS.items() for role in roles], ids=name_of
)
def test_manifests_of_a_role(role: Path, check: Check) -> None:
    for environment in ENVIRONMENTS:
        try:
            check(render_role(environment, role))
        except AssertionError as error:
            error.add_note(f"environment {environment}")
            raise


def test_every_role_with_manifests_is_checked() -> None:
    assert set(EVERY_ROLE) == {role for role in ROLES if manifests.manifests_of(role)}


def test_namespaces_admit_restricted_pods_only() -> None:
    found = {
        (role.name, entry["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])
        for role in EVERY_ROLE
        for entry in render_role("local", role)
        if entry["kind"] == "Namespace"
    }
    # No other level admits a folder of the node, and the collector's pods alone have one.
    assert found == {(role.name, "privileged" if role == LOGGING else "restricted") for role in EVERY_ROLE}


def test_policy_agents_manifest() -> None:
    # The build writes the image's name into it.
    image = catalogue()["network-policy-agent"]["replaces"]
    objects = list(yaml.safe_load_all(AGENT.read_text().replace("@AGENT_IMAGE@", image)))
    for check in (manifests.check_selectors, manifests.check_cpu_requests, manifests.check_images):
        check(objects)


def test_environments_that_share_a_machine_have_host_ports_of_their_own() -> None:
    ports = {environment: value_of(environment, "kind_cluster", "platform_http_port") for environment in ENVIRONMENTS}
    assert len(set(ports.values())) == len(ports), ports


def test_images_reach_the_nodes_before_the_objects_that_need_them() -> None:
    tasks = list(tasks_in(load(manifests.OBJECTS / "tasks/main.yml")))
    names = [task["name"] for task in tasks]
    bring = names.index("Load the images into the nodes")
    assert tasks[bring]["counter.platform.node_image"]["nodes"] == "{{ kubernetes_objects_cluster.nodes }}"
    assert bring < names.index("Apply the objects")


@pytest.mark.parametrize("role", EVERY_ROLE, ids=name_of)
def test_every_image_is_loaded_into_the_nodes(role: Path) -> None:
    loaded = {entry["image"] for entry in manifests.deployed("local", role, "kubernetes_objects_images")}
    assert loaded == {entry["image"] for _, entry in manifests.all_containers(render_role("local", role))}


def test_values_of_secrets_are_not_in_the_log() -> None:
    first, rest = (load(manifests.OBJECTS / "tasks/apply.yml")[at] for at in (0, 1))
    assert (first["no_log"], "no_log" in rest) == ("{{ platform_hide_secrets }}", False)
    for role in EVERY_ROLE:
        shown = manifests.deployed("local", role, rest["kubernetes.core.k8s"]["definition"].strip("{} "))
        hidden = manifests.deployed("local", role, first["kubernetes.core.k8s"]["definition"].strip("{} "))
        assert {entry["kind"] for entry in shown} & {"Secret", "Namespace"} == set()
        assert len(shown) + len(hidden) == len(render_role("local", role))


DEPLOYMENT, STATEFULSET, DAEMONSET = "Deployment/counter", "StatefulSet/counter-valkey", "DaemonSet/collector"
SERVICE, AUTOSCALER, BUDGET = "Service/counter", "HorizontalPodAutoscaler/counter", "PodDisruptionBudget/counter"
CLIENTS = "NetworkPolicy/clients-to-proxy"
POD = "/spec/template/spec"
CONTAINER, SIDECAR = f"{POD}/containers/0", f"{POD}/initContainers/0"
PROXY = ("ConfigMap/counter-proxy", "/data/haproxy.cfg")
USERS = ("Secret/counter-valkey", "/stringData/users.acl")
COLLECTOR = ("ConfigMap/collector", "/data/collector.yaml")
OTHER_PODS = {"app": "counter"}
BACKEND = "default_backend service"
CLOSE = "http-after-response set-header Connection close if"
PATHS = " ".join(PUBLIC_PATHS)

# The arguments of with_fault by what the fault does, by the check that finds it.
FAULTS: dict[Check, dict[str, tuple[Any, ...]]] = {
    manifests.check_service_port: {
        "container port 80": (DEPLOYMENT, f"{CONTAINER}/ports/0/containerPort", 8080, 80),
        "Service leads past the proxy": (SERVICE, "/spec/ports/0/targetPort", 9000, 8080),
    },
    manifests.check_probes: {
        "readiness asks port 80": (DEPLOYMENT, f"{CONTAINER}/readinessProbe/httpGet/port", "http", 80),
    },
    manifests.check_patience: {
        "no time to start": (DEPLOYMENT, f"{CONTAINER}/startupProbe", ANY),
        "a slow answer is a failure": (DEPLOYMENT, f"{CONTAINER}/readinessProbe/timeoutSeconds", 2, 1),
        "liveness asks the store": (DEPLOYMENT, f"{CONTAINER}/livenessProbe/httpGet/path", "/healthz", "/readyz"),
        "proxy waits for the service": (DEPLOYMENT, f"{SIDECAR}/startupProbe/httpGet/port", "proxy-metrics", "proxy"),
        "probes as clients": (DEPLOYMENT, f"{SIDECAR}/readinessProbe/httpGet/port", "proxy-probes", "proxy"),
    },
    manifests.check_images: {
        "image asked from a registry": (DEPLOYMENT, f"{CONTAINER}/imagePullPolicy", "Never", "IfNotPresent"),
        "image without a version": (DEPLOYMENT, f"{CONTAINER}/image", ANY, "counter-platform/counter:latest"),
    },
    manifests.check_autoscaler: {
        "absolute target": (AUTOSCALER, "/spec/metrics/0/resource/target/type", "Utilization", "AverageValue"),
        "autoscaler of another Deployment": (AUTOSCALER, "/spec/scaleTargetRef/name", "counter", "counter-service"),
        "fixed number of pods": (DEPLOYMENT, "/spec/replicas", None, 1),
    },
    manifests.check_cpu_requests: {
        "no CPU request": (DEPLOYMENT, f"{CONTAINER}/resources/requests/cpu", ANY),
        "no CPU request of the sidecar": (DEPLOYMENT, f"{SIDECAR}/resources/requests/cpu", ANY),
    },
    manifests.check_selectors: {
        "Deployment selects other pods": (DEPLOYMENT, "/spec/selector/matchLabels", ANY, OTHER_PODS),
        "Service selects other pods": (SERVICE, "/spec/selector", ANY, OTHER_PODS),
        "policy selects other pods": (CLIENTS, "/spec/podSelector/matchLabels", ANY, OTHER_PODS),
    },
    manifests.check_ports_of_services: {
        "Service leads to port 80": (SERVICE, "/spec/ports/0/targetPort", 9000, 80),
        "policy admits to port 80": (CLIENTS, "/spec/ingress/0/ports/0/port", 9000, 80),
    },
    manifests.check_roots: {
        "sidecar can write to its root": (DEPLOYMENT, f"{SIDECAR}/securityContext/readOnlyRootFilesystem", ANY),
    },
    manifests.check_environments: {
        "a password in the environment": (
            DEPLOYMENT,
            f"{CONTAINER}/env/0",
            ANY,
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "counter-valkey", "key": "password"}}},
        ),
    },
    manifests.check_proxy: {
        "drops every fifth request": (*PROXY, BACKEND, f"http-request silent-drop if {{ rand(5) eq 0 }}\n{BACKEND}"),
        "hangs for 3 s": (*PROXY, BACKEND, f"tcp-request inspect-delay 3s\n{BACKEND}"),
        "gives up on a service that is well": (*PROXY, "timeout server 5s", "timeout server 1s"),
        "sends a request again": (*PROXY, "retry-on conn-failure", "retry-on all-retryable-errors"),
        "tries to connect for 4 s": (*PROXY, "retries 1", "retries 3"),
        "buffers are more than its memory": (*PROXY, "tune.bufsize 8192", "tune.bufsize 16384"),
        "idle connections take all there are": (*PROXY, f"{CLOSE} {{ fe_conn gt 2500 }}", ""),
        "metrics for everybody": (*PROXY, PATHS, f"{PATHS} /metrics"),
    },
    manifests.check_graceful_shutdown: {
        "proxy's hard stop": (DEPLOYMENT, f"{SIDECAR}/lifecycle/preStop/exec/command/2", "-USR1", "-TERM"),
        "clients keep a connection to a pod that goes": (*PROXY, f"{CLOSE} {{ stopping }}", ""),
        "killed before its last requests end": (DEPLOYMENT, f"{POD}/terminationGracePeriodSeconds", 30, 10),
    },
    manifests.check_disruptions: {
        "budget of other pods": (BUDGET, "/spec/selector/matchLabels", ANY, OTHER_PODS),
    },
    manifests.check_valkey: {
        "increments answered before they are on the disk": (STATEFULSET, f"{CONTAINER}/args/5", "always", "everysec"),
        "what it cuts off is thrown away": (STATEFULSET, f"{CONTAINER}/args/7", "no", "yes"),
        "Valkey without a password": (*USERS, "user counter on", "user counter on nopass"),
        "Valkey keeps nothing": (STATEFULSET, f"{CONTAINER}/args/1", "/data", "/run"),
        "two servers write one log": (STATEFULSET, f"{CONTAINER}/command", ANY, ["valkey-server"]),
        "a backup may lower the count": (*USERS, "+get +incrby", "+get +set"),
    },
    manifests.check_rights_of_the_collector: {
        "sees the node's processes": (DAEMONSET, f"{POD}/hostPID", None, True),
        "collector reads secrets": ("ClusterRole/logging-collector", "/rules/0/resources/0", "pods", "secrets"),
    },
    manifests.check_delivery: {
        "none on the control plane": (DAEMONSET, f"{POD}/tolerations", ANY),
        "begins at the end of a file": (*COLLECTOR, "start_at: beginning", "start_at: end"),
        "drops lines when the queue is full": (*COLLECTOR, "block_on_overflow: true", "block_on_overflow: false"),
        "queue in memory": (*COLLECTOR, "storage: file_storage\n      sizer", "storage: null\n      sizer"),
        "keeps lines in memory that count as read": (DAEMONSET, f"{CONTAINER}/command/2", ANY),
        "queue goes with the pod": (DAEMONSET, f"{CONTAINER}/volumeMounts/3/mountPath", ANY, "/var/lib/other"),
        "wrong password costs lines": (*COLLECTOR, "- id: answers", ""),
    },
    manifests.check_rights_of_prometheus: {
        "Prometheus reads secrets": ("ClusterRole/monitoring-prometheus", "/rules/0/resources/0", "nodes", "secrets"),
        "lists secrets": ("ClusterRole/monitoring-kube-state-metrics", "/rules/0/resources/0", ANY, "secrets"),
    },
    manifests.check_probe_of_the_service: {
        "counts": ("ConfigMap/prometheus", "/data/prometheus.yml", ":9000/readyz", ":9000/"),
        "outlasts Prometheus": ("ConfigMap/blackbox-exporter", "/data/blackbox.yml", "timeout: 4s", "timeout: 10s"),
    },
    manifests.check_way_out_of_alertmanager: {
        "no way out is closed": ("NetworkPolicy/alertmanager-out", "/spec/policyTypes", ANY, ["Ingress"]),
    },
}


@pytest.mark.parametrize(
    ("check", "fault"),
    [pytest.param(check, fault, id=name) for check, faults in FAULTS.items() for name, fault in faults.items()],
)
def test_fault_is_found(check: Check, fault: tuple[Any, ...]) -> None:
    faulty = manifests.with_fault(*fault, role=CHECKS[check][0])
    with pytest.raises(AssertionError):
        check(faulty)


def test_way_out_without_an_aim_or_an_aim_without_a_way_is_found() -> None:
    policy = manifests.one(render_role("local", manifests.MONITORING), "NetworkPolicy", "alertmanager-out")
    # The environment may send alerts somewhere, as that of `make test` does.
    faulty: list[Any] = [] if "egress" in policy["spec"] else [[{}]]
    place = ("NetworkPolicy/alertmanager-out", "/spec/egress")
    objects = manifests.with_fault(*place, ANY, *faulty, role=manifests.MONITORING)
    with pytest.raises(AssertionError):
        manifests.check_way_out_of_alertmanager(objects)


def test_manifest_is_one_object_and_named_after_its_kind() -> None:
    short = {"horizontalpodautoscaler": "hpa", "poddisruptionbudget": "pdb"}
    wrong = []
    for template in [path for role in EVERY_ROLE for path in manifests.manifests_of(role)]:
        kinds = [entry["kind"].lower() for entry in manifests.render("local", template)]
        name = template.name.removesuffix(".yml.j2").partition("-")[0]
        if [short.get(kind, kind) for kind in kinds] != [name]:
            wrong.append((template, kinds))
    assert wrong == []


@pytest.mark.parametrize("role", EVERY_ROLE, ids=name_of)
def test_every_manifest_is_applied(role: Path) -> None:
    """A manifest that no list names would lie there and do nothing."""

    def name(entry: Object) -> str:
        metadata = entry["metadata"]
        return f"{entry['kind']} {metadata['name']} in {metadata.get('namespace')}"

    for environment in ENVIRONMENTS:
        objects: list[Object] = manifests.deployed(
            environment, role, "_kubernetes_objects_first + _kubernetes_objects_rest"
        )
        rendered = render_role(environment, role)
        found, expected = ({name(entry): entry for entry in each} for each in (objects, rendered))
        assert [entry for entry in {*found, *expected} if found.get(entry) != expected.get(entry)] == [], environment
        assert len(objects) == len(found) == len(rendered), f"{environment}: an object is there twice"
        places = {entry["metadata"]["name"]: at for at, entry in enumerate(objects) if entry["kind"] == "Namespace"}
        early = [
            name(entry) for at, entry in enumerate(objects) if places.get(entry["metadata"].get("namespace"), -1) > at
        ]
        assert early == [], f"{environment}: these come before their namespace"
