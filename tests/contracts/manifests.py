"""Templates of manifests rendered by Ansible's own templating, and what must be true of the result.

Each function ``check_...`` raises :class:`AssertionError` and is a contract of its own, so that a test can render a
template with a fault in it and see the contract find it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager
from contracts.project import ROOT

Object = dict[str, Any]
Labels = dict[str, str]

# What other roles set while they run.
FACTS: dict[str, Any] = {
    "counter_image_built": {"image": "counter-platform/counter:0123456789abcdef"},
    "offline_images_base": {"python-root": {"image": "counter-platform/python-root:0123456789abcdef"}},
    "kind_cluster_gateway": "172.18.0.1",
}


@functools.cache
def variables(environment: str, role: str) -> dict[str, Any]:
    """Return the variables that a role has in an environment, by Ansible's own loading of the inventory."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(ROOT / "inventories" / environment)])
    manager = VariableManager(loader=loader, inventory=inventory)
    found: dict[str, Any] = {}
    for name in ("defaults", "vars"):
        path = ROOT / "roles" / role / name / "main.yml"
        if name == "vars":
            found |= manager.get_vars(host=inventory.get_host("localhost"))
        if path.exists():
            found |= loader.load_from_file(str(path), trusted_as_template=True)
    return {**found, **FACTS}


def value_of(environment: str, role: str, name: str) -> Any:
    """Return the value of one variable of a role in an environment."""
    return Templar(DataLoader(), variables(environment, role)).template(trust_as_template(f"{{{{ {name} }}}}"))


def render(environment: str, template: Path, text: str | None = None) -> list[Object]:
    """Return the objects of a template of a role, or of ``text`` in its place."""
    role = template.relative_to(ROOT / "roles").parts[0]
    templar = Templar(DataLoader(), variables(environment, role))
    source = trust_as_template(template.read_text() if text is None else text)
    # These are the settings of kubernetes.core.k8s and of the lookup `template`.
    rendered = templar.template(source, overrides={"trim_blocks": True, "lstrip_blocks": False}, convert_data=False)
    return [entry for entry in yaml.safe_load_all(rendered) if entry is not None]


def one(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """Return the only object of a kind, or of a kind and a name."""
    found = [entry for entry in objects if entry["kind"] == kind and name in (None, entry["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}{f' called {name}' if name else ''}"
    return found[0]


def workloads(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Yield every object that makes pods, with its template of a pod."""
    for entry in objects:
        if "template" in entry.get("spec", {}):
            yield entry, entry["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a template of a pod."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def probes(container: Object) -> dict[str, Object]:
    """Return a container's probes by name."""
    return {name: container[name] for name in container if name.endswith("Probe")}


def _selects(selector: Labels, labels: Labels) -> bool:
    return selector.items() <= labels.items()


def _pods(objects: list[Object], namespace: str, selector: Labels) -> list[Object]:
    return [
        pod
        for workload, pod in workloads(objects)
        if workload["metadata"]["namespace"] == namespace and _selects(selector, pod["metadata"]["labels"])
    ]


def check_identity(objects: list[Object]) -> None:
    """Every object says what it is, and none is there twice."""
    seen = set()
    for entry in objects:
        metadata = entry["metadata"]
        identity = (entry["apiVersion"], entry["kind"], metadata.get("namespace", ""), metadata["name"])
        assert identity not in seen, f"{identity} is there twice"
        seen.add(identity)


def check_selectors(objects: list[Object]) -> None:
    """Every selector takes pods that are there: of workloads, Services and NetworkPolicies."""
    for entry in objects:
        kind, metadata, spec = entry["kind"], entry["metadata"], entry.get("spec", {})
        where = f"{kind} {metadata['name']}"
        if "template" in spec:
            selector = spec["selector"]["matchLabels"]
            assert selector, f"{where} selects everything"
            assert _selects(selector, spec["template"]["metadata"]["labels"]), f"{where} does not select its own pods"
        elif kind == "Service":
            assert spec["selector"], f"{where} selects nothing"
            assert _pods(objects, metadata["namespace"], spec["selector"]), f"{where} selects no pod"
        elif kind == "NetworkPolicy" and spec["podSelector"]:
            selector = spec["podSelector"]["matchLabels"]
            assert _pods(objects, metadata["namespace"], selector), f"{where} selects no pod"


def check_ports_of_services(objects: list[Object]) -> None:
    """Every port that a Service, a probe or a policy names is one that the pods behind it have."""
    for entry in objects:
        kind, metadata, spec = entry["kind"], entry["metadata"], entry.get("spec", {})
        if kind == "Service":
            wanted = [port.get("targetPort", port["port"]) for port in spec["ports"]]
            pods = _pods(objects, metadata["namespace"], spec["selector"])
        elif kind == "NetworkPolicy" and spec["podSelector"]:
            wanted = [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
            pods = _pods(objects, metadata["namespace"], spec["podSelector"]["matchLabels"])
        else:
            continue
        for pod in pods:
            ports = [port for container in containers(pod) for port in container.get("ports", [])]
            known = {port[key] for port in ports for key in ("name", "containerPort") if key in port}
            # A pod need not list its ports; only a name has to be declared.
            missing = [port for port in wanted if port not in known and (isinstance(port, str) or known)]
            assert not missing, f"{kind} {metadata['name']}: no container has the port {missing}"


def check_probes(objects: list[Object]) -> None:
    """Every probe asks a port that its own container has."""
    for workload, pod in workloads(objects):
        for container in containers(pod):
            known = {port[key] for port in container.get("ports", []) for key in ("name", "containerPort")}
            for name, probe in probes(container).items():
                assert probe["httpGet"]["port"] in known, f"{workload['metadata']['name']}: {name} asks a closed port"


def check_cpu_requests(objects: list[Object]) -> None:
    """Every container requests CPU: the autoscaler's percentage is one of the requests of all of a pod's containers."""
    for workload, pod in workloads(objects):
        for container in containers(pod):
            requests = container.get("resources", {}).get("requests", {})
            assert requests.get("cpu"), f"{workload['metadata']['name']}: {container['name']} requests no CPU"


def check_images(objects: list[Object]) -> None:
    """Every image has a tag of its own and is taken from the node, where it was brought."""
    for _, pod in workloads(objects):
        for container in containers(pod):
            name, _, tag = container["image"].rpartition(":")
            assert name, f"{container['name']}: the image has no tag"
            assert tag != "latest", f"{container['name']}: latest is no version"
            assert container["imagePullPolicy"] in {"IfNotPresent", "Never"}, f"{container['name']}: asks a registry"


def check_rights(objects: list[Object]) -> None:
    """No pod has a right that it does not need: what Pod Security calls restricted, and a root that is read-only."""
    for _, pod in workloads(objects):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"]["type"] == "RuntimeDefault"
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def check_service_port(objects: list[Object]) -> None:
    """The counter's container, Service and policy agree on 8080, by the name http."""
    (container,) = one(objects, "Deployment", "counter")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    (port,) = one(objects, "Service", "counter")["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 8080, "http")


def check_patience(objects: list[Object]) -> None:
    """Probes let a slow node be slow: a minute to start, and no probe fails because one answer took a second."""
    (container,) = one(objects, "Deployment", "counter")["spec"]["template"]["spec"]["containers"]
    found = probes(container)
    assert set(found) == {"startupProbe", "readinessProbe", "livenessProbe"}
    assert found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"] >= 60
    assert found["livenessProbe"]["periodSeconds"] * found["livenessProbe"]["failureThreshold"] >= 30
    assert all(probe["timeoutSeconds"] >= 2 for probe in found.values())
    assert found["readinessProbe"]["failureThreshold"] >= 2
    paths = {name: probe["httpGet"]["path"] for name, probe in found.items()}
    assert paths == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def check_autoscaler(objects: list[Object]) -> None:
    """The autoscaler goes by a percentage of what the Deployment's pods request."""
    spec = one(objects, "HorizontalPodAutoscaler")["spec"]
    target = spec["scaleTargetRef"]
    one(objects, target["kind"], target["name"])
    (metric,) = spec["metrics"]
    assert metric["type"] == "Resource"
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"]["type"] == "Utilization"
    assert set(metric["resource"]["target"]) == {"type", "averageUtilization"}
    assert 1 <= metric["resource"]["target"]["averageUtilization"] <= 100
    assert 1 <= spec["minReplicas"] <= spec["maxReplicas"]


def check_number_of_pods(objects: list[Object]) -> None:
    """A Deployment that an autoscaler scales does not say how many pods there are."""
    target = one(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert "replicas" not in one(objects, target["kind"], target["name"])["spec"]


def check_policies(objects: list[Object]) -> None:
    """Nothing passes by default, and the service is open to pods with the client's label and to the machine alone."""
    deny = one(objects, "NetworkPolicy", "default-deny")["spec"]
    assert deny["podSelector"] == {}
    assert sorted(deny["policyTypes"]) == ["Egress", "Ingress"]
    assert not deny.get("ingress")
    assert not deny.get("egress")
    allow = one(objects, "NetworkPolicy", "clients-to-service")["spec"]
    assert allow["podSelector"]["matchLabels"] == one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    (rule,) = allow["ingress"]
    pods, machine = rule["from"]
    assert pods == {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"counter-platform/client": "true"}},
    }
    assert machine == {"ipBlock": {"cidr": "172.18.0.1/32"}}
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
