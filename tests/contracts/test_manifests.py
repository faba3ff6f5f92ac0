"""What the templates render to is sound, in every environment, and each seed fault is found when it is put back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from contracts import manifests
from contracts.manifests import APP, Object, check_rights, manifests_of, render, render_role, value_of, with_fault
from contracts.project import INVENTORIES, ROLES, load, tasks_in
from lib.paths import ROOT

ENVIRONMENTS = [path.name for path in INVENTORIES]
WITH_MANIFESTS = [role for role in ROLES if manifests_of(role)]
TEMPLATES = [template for role in WITH_MANIFESTS for template in manifests_of(role)]
ADDONS = ROOT / "roles/cluster_addons/templates"
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
    manifests.check_leaving,
    manifests.check_patience,
    manifests.check_valkey,
    manifests.check_autoscaler,
    manifests.check_number_of_pods,
    manifests.check_disruptions,
    manifests.check_policies,
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
def test_addons_have_no_rights_that_they_do_not_need(environment: str) -> None:
    for name in ("metrics-server.yml.j2", "canary.yml.j2"):
        check_rights(render(environment, ADDONS / name))


def test_namespaces_admit_restricted_pods_only() -> None:
    for role in WITH_MANIFESTS:
        for entry in render_role("local", role):
            if entry["kind"] == "Namespace":
                assert entry["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_policy_agents_manifest() -> None:
    objects = list(yaml.safe_load_all(AGENT.read_text()))
    manifests.check_identity(objects)
    manifests.check_selectors(objects)
    manifests.check_cpu_requests(objects)


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


def test_image_reaches_the_nodes_before_the_objects_that_need_it() -> None:
    tasks = list(tasks_in(load(ROOT / "roles/counter_app/tasks/apply.yml")))
    used = [next(key for key in task if "." in key) for task in tasks]
    bring = tasks[used.index("counter.platform.node_image")]["counter.platform.node_image"]
    assert bring["images"] == ["{{ counter_image_built }}"]
    assert bring["nodes"] == "{{ kind_cluster_nodes }}"
    assert used.index("counter.platform.node_image") < used.index("kubernetes.core.k8s")
    _, container, _ = manifests.the_service(render_role("local", APP))
    assert container["image"] == manifests.FACTS["counter_image_built"]["image"]


STARTUP = re.search(
    r" +startupProbe:\n +httpGet: {path: /healthz, .*\n(?: {12}.*\n)+", (APP / "templates/app.yml.j2").read_text()
)
assert STARTUP

FAULTS: dict[str, tuple[str, str, Check]] = {
    "container port 80": ("containerPort: 8080", "containerPort: 80", manifests.check_service_port),
    "readiness asks port 80": (
        "{path: /readyz, port: http}",
        "{path: /readyz, port: 80}",
        manifests.check_probes,
    ),
    "no time to start": (STARTUP.group(), "", manifests.check_patience),
    "a slow answer is a failure": (
        "/readyz, port: http}\n            periodSeconds: 2\n            timeoutSeconds: 2",
        "/readyz, port: http}\n            periodSeconds: 2\n            timeoutSeconds: 1",
        manifests.check_patience,
    ),
    "liveness asks the store": (
        "/healthz, port: http}\n            periodSeconds: 10",
        "/readyz, port: http}\n            periodSeconds: 10",
        manifests.check_patience,
    ),
    "proxy's start waits for the service, which waits for it": (
        "startupProbe:\n            httpGet: {path: /metrics, port: proxy-metrics}",
        "startupProbe:\n            httpGet: {path: /readyz, port: proxy}",
        manifests.check_patience,
    ),
    "image asked from a registry": (
        "image: {{ counter_image_built.image }}\n          imagePullPolicy: IfNotPresent",
        "image: {{ counter_image_built.image }}\n          imagePullPolicy: Always",
        manifests.check_images,
    ),
    "image without a version": (
        "image: {{ counter_image_built.image }}",
        "image: counter-platform/counter:latest",
        manifests.check_images,
    ),
    "absolute target": (
        "{type: Utilization, averageUtilization: {{ counter_app_cpu_percent }}}",
        "{type: AverageValue, averageValue: 500m}",
        manifests.check_autoscaler,
    ),
    "autoscaler of another Deployment": (
        "{apiVersion: apps/v1, kind: Deployment, name: counter}",
        "{apiVersion: apps/v1, kind: Deployment, name: counter-service}",
        manifests.check_autoscaler,
    ),
    "no CPU request": ("requests: {cpu: {{ counter_app_cpu_request }}, ", "requests: {", manifests.check_cpu_requests),
    "no CPU request of the sidecar": (
        "requests: {cpu: {{ counter_app_proxy_cpu_request }}, ",
        "requests: {",
        manifests.check_cpu_requests,
    ),
    "fixed number of pods": (
        "spec:\n  # No `replicas`",
        "spec:\n  replicas: 1\n  # No `replicas`",
        manifests.check_number_of_pods,
    ),
    "Deployment selects other pods": (
        "owns that number, and a rerun must not take it back.\n  selector:\n    matchLabels: {{ labels | to_json }}",
        "owns that number, and a rerun must not take it back.\n  selector:\n    matchLabels: {app: counter}",
        manifests.check_selectors,
    ),
    "Service selects other pods": (
        "type: NodePort\n  selector: {{ labels | to_json }}",
        "type: NodePort\n  selector: {app: counter}",
        manifests.check_selectors,
    ),
    "Service leads to port 80": ("targetPort: 9000", "targetPort: 80", manifests.check_ports_of_services),
    "Service leads past the proxy": ("targetPort: 9000", "targetPort: 8080", manifests.check_service_port),
    "Service leads to a port without a name": (
        "targetPort: 9000",
        "targetPort: web",
        manifests.check_ports_of_services,
    ),
    "policy selects other pods": (
        "name: clients-to-proxy\n  namespace: {{ counter_app_namespace }}\nspec:\n"
        "  podSelector:\n    matchLabels: {{ service | to_json }}",
        "name: clients-to-proxy\n  namespace: {{ counter_app_namespace }}\nspec:\n"
        "  podSelector:\n    matchLabels: {app: counter}",
        manifests.check_selectors,
    ),
    "policy admits to port 80": (
        "- {port: 9000, protocol: TCP}",
        "- {port: 80, protocol: TCP}",
        manifests.check_ports_of_services,
    ),
    "policy admits everybody": (
        "          podSelector:\n            matchLabels: {{ counter_app_client_label | to_json }}\n",
        "",
        manifests.check_policies,
    ),
    "policy admits prometheus of every namespace": (
        "matchLabels: {kubernetes.io/metadata.name: {{ counter_app_prometheus_namespace }}}",
        "matchLabels: {}",
        manifests.check_policies,
    ),
    "nothing denied on the way out": (
        "  podSelector: {}\n  policyTypes: [Ingress, Egress]",
        "  podSelector: {}\n  policyTypes: [Ingress]",
        manifests.check_policies,
    ),
    "runs as root": ("runAsUser: 65532", "runAsUser: 0", manifests.check_rights),
    "Valkey runs as root": ("runAsUser: 65533", "runAsUser: 0", manifests.check_rights),
    "proxy drops every fifth request": (
        "    default_backend service",
        "    http-request silent-drop if { rand(5) eq 0 }\n    default_backend service",
        manifests.check_proxy,
    ),
    "proxy hangs for 3 s": (
        "    default_backend service",
        "    tcp-request inspect-delay 3s\n    default_backend service",
        manifests.check_proxy,
    ),
    "proxy gives up on a service that is well": (
        "timeout server {{ counter_app_answer_seconds }}s",
        "timeout server 1s",
        manifests.check_proxy,
    ),
    "proxy sends a request again": ("retry-on conn-failure", "retry-on all-retryable-errors", manifests.check_proxy),
    "metrics for everybody": ("{ path / /healthz", "{ path / /metrics /healthz", manifests.check_proxy),
    "proxy's hard stop": ("kill -USR1 1;", "kill -TERM 1;", manifests.check_leaving),
    "clients keep a connection to a pod that goes": (
        "    http-after-response set-header Connection close if { stopping }\n",
        "",
        manifests.check_leaving,
    ),
    "killed before its last requests end": (
        "terminationGracePeriodSeconds: {{ counter_app_grace_seconds }}",
        "terminationGracePeriodSeconds: 10",
        manifests.check_leaving,
    ),
    "budget of other pods": (
        "unhealthyPodEvictionPolicy: AlwaysAllow\n  selector:\n    matchLabels: {{ labels | to_json }}",
        "unhealthyPodEvictionPolicy: AlwaysAllow\n  selector:\n    matchLabels: {app: counter}",
        manifests.check_disruptions,
    ),
    "increments answered before they are on the disk": ("- always", "- everysec", manifests.check_valkey),
    "Valkey without a password": (
        "user counter on #{{ _counter_app_password | hash('sha256') }}",
        "user counter on nopass",
        manifests.check_valkey,
    ),
    "Valkey keeps nothing": (
        "            - --dir\n            - /data",
        "            - --dir\n            - /tmp",
        manifests.check_valkey,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_seed_fault_is_found(fault: str) -> None:
    sound, faulty, check = FAULTS[fault]
    faulty_objects = with_fault(sound, faulty)
    check(render_role("local", APP))
    with pytest.raises(AssertionError):
        check(faulty_objects)


def paths_of(template: Path) -> str:
    """Name a template in the list of tests."""
    return "/".join(template.parts[-3:])


@pytest.mark.parametrize("template", TEMPLATES, ids=paths_of)
def test_template_renders_to_objects(template: Path) -> None:
    objects = render("local", template)
    assert objects
    assert all({"apiVersion", "kind", "metadata"} <= set(entry) for entry in objects)
