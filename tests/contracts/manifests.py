"""Templates of manifests rendered by Ansible's own templating, and what must be true of the result.

Each function ``check_...`` raises :class:`AssertionError` and is a contract of the roles that its decorator names, so
that a test can plant a fault in the rendered objects and see the contract find it.
"""

import copy
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager
from contracts.project import COMMON, tasks_in
from jsonpatch import JsonPointer  # type: ignore[import-untyped]
from lib.interface import PUBLIC_PATHS
from lib.paths import ROOT

Object = dict[str, Any]
Check = Callable[[list[Object]], None]

APP = ROOT / "roles/counter_app"
ADDONS = ROOT / "roles/cluster_addons"
LOGGING = ROOT / "roles/logging"
MONITORING = ROOT / "roles/monitoring"
OBJECTS = ROOT / "roles/kubernetes_objects"
EVERY_ROLE = (APP, ADDONS, LOGGING, MONITORING)

CHECKS: dict[Check, tuple[Path, ...]] = {}
"""The roles whose objects each check is for."""


def of(*roles: Path) -> Callable[[Check], Check]:
    """Return the decorator of a check of the objects of roles."""

    def listed(check: Check) -> Check:
        CHECKS[check] = roles
        return check

    return listed


def _built(*names: str) -> Object:
    """Return what the module that builds images says of them."""
    return {name: {"image": f"counter-platform/{name}:0123456789abcdef"} for name in names}


# What tasks register or set while they run, and what is generated.
FACTS: dict[str, Any] = {
    "_counter_app_password": "generated",
    "_counter_app_backup_password": "generated too",
    "_counter_app_metrics_password": "generated besides",
    "_cluster_addons_artifacts": _built("metrics-server", "python-root"),
    "_counter_app_artifacts": _built("counter", "haproxy", "valkey"),
    "counter_app_cluster": {"gateway": "172.18.0.1"},
    "logging_cluster": {"addresses": ["172.18.0.2"]},
    "monitoring_cluster": {"addresses": ["172.18.0.2"], "api_endpoints": ["172.18.0.2:6443"]},
    "_logging_ca": "certificate",
    "_logging_password": "generated as well",
    "log_instance_address": "172.18.0.3",
    "_monitoring_artifacts": _built("prometheus", "alertmanager", "kube-state-metrics", "exporters"),
    "_monitoring_log_ca": "certificate",
    "_monitoring_log_password": "generated once more",
    "_monitoring_valkey_password": "generated besides",
    "_logging_artifacts": _built("collector"),
}


@functools.cache
def variables(environment: str, role: str) -> dict[str, Any]:
    """Return the variables that a role has in an environment, by Ansible's own loading of the inventory."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(ROOT / "inventories" / environment)])
    manager = VariableManager(loader=loader, inventory=inventory)
    roles = ROOT / "roles"

    def content(*paths: Path) -> dict[str, Any]:
        loaded = [loader.load_from_file(str(path), trusted_as_template=True) for path in paths if path.exists()]
        return {name: value for variables in loaded for name, value in variables.items()}

    return {
        **content(*COMMON.glob("*.yml"), roles / role / "defaults/main.yml"),
        **manager.get_vars(host=inventory.get_host("localhost")),
        **content(roles / "platform/vars/main.yml", roles / role / "vars/main.yml"),
        **FACTS,
        "ansible_search_path": [str(roles / role)],
    }


@functools.cache
def variables_of_objects(role: Path) -> dict[str, Any]:
    """Return the variables by which a role has its objects deployed, as it hands them to kubernetes_objects."""
    paths = sorted((role / "tasks").glob("*.yml"))
    tasks = [
        task for path in paths for task in tasks_in(DataLoader().load_from_file(str(path), trusted_as_template=True))
    ]
    (given, *again) = [task["vars"] for task in tasks if "kubernetes_objects_templates" in task.get("vars", {})]
    assert all(other == given for other in again), f"{role.name} deploys different objects"
    return dict(given)


def value_of(environment: str, role: str, name: str, **others: Any) -> Any:
    """Return the value of one variable of a role in an environment, where it has others besides."""
    known = {**variables(environment, role), **others}
    return Templar(DataLoader(), known).template(trust_as_template(f"{{{{ {name} }}}}"))


def deployed(environment: str, role: Path, name: str) -> Any:
    """Return the value that a variable of kubernetes_objects has when a role calls it."""
    search = [str(OBJECTS), str(role)]
    files = [str(OBJECTS / "defaults/main.yml"), str(OBJECTS / "vars/main.yml")]
    defaults, internal = (DataLoader().load_from_file(file, trusted_as_template=True) for file in files)
    given = {**defaults, **internal, **variables_of_objects(role), "ansible_search_path": search}
    return value_of(environment, role.name, name, **given)


@functools.cache
def catalogue() -> dict[str, Object]:
    """Return the entries of the catalogue by name; nobody may change them."""
    return dict(value_of("local", "platform", "platform_artifacts"))


@functools.cache
def render(environment: str, template: Path) -> list[Object]:
    """Return the objects of a template of a role; nobody may change them, as each template is rendered once."""
    known = variables(environment, template.relative_to(ROOT / "roles").parts[0])
    # These are the settings of kubernetes.core.k8s and of the lookup `template`.
    settings = {"trim_blocks": True, "lstrip_blocks": False}
    text = Templar(DataLoader(), known).template(trust_as_template(template.read_text()), overrides=settings)
    return [entry for entry in yaml.safe_load_all(text) if entry is not None]


def manifests_of(role: Path) -> list[Path]:
    """Return a role's templates of manifests."""
    return sorted((role / "templates").rglob("*.yml.j2"))


def render_role(environment: str, role: Path) -> list[Object]:
    """Return the objects of all templates of a role: a policy and the pods that it selects stand in two files."""
    return [entry for template in manifests_of(role) for entry in render(environment, template)]


def with_fault(place: str, path: str, sound: Any, *faulty: Any, role: Path = APP) -> list[Object]:
    """Return a role's objects with a fault planted in one of them.

    Parameters:
        place: the object, as ``KIND/NAME``.
        path: where in it, as a JSON pointer (RFC 6901).
        sound: what has to be there before, ``None`` for nothing; of a text also a part that is in it once.
        faulty: what is put in its place: one value, or none to remove it.
    """
    objects = render_role("local", role)
    entry = one(objects, *place.split("/"))
    changed = copy.deepcopy(entry)
    parent, key = JsonPointer(path).to_last(changed)
    found = JsonPointer(path).resolve(changed, None)
    if found != sound:
        assert found.count(sound) == 1, f"{sound} is there {found.count(sound)} times in {place}"
        parent[key] = found.replace(sound, *faulty)
    elif faulty:
        (parent[key],) = faulty
    else:
        del parent[key]
    return [changed if other is entry else other for other in objects]


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


def all_containers(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield every container, with the names of its workload and of itself."""
    for workload, pod in workloads(objects):
        for container in containers(pod):
            yield f"{workload['metadata']['name']}: {container['name']}", container


def probes(container: Object) -> dict[str, Object]:
    """Return a container's probes by name."""
    return {name: container[name] for name in container if name.endswith("Probe")}


def selections(objects: list[Object]) -> Iterator[tuple[str, Object, list[Object]]]:
    """Yield what every Service, and every policy of certain pods, says, with its name and the pods that it selects."""
    for entry in objects:
        kind, metadata, spec = entry["kind"], entry["metadata"], entry.get("spec", {})
        if kind not in {"Service", "NetworkPolicy"} or spec.get("podSelector") == {}:
            continue
        selector = spec["selector"] if kind == "Service" else spec["podSelector"]["matchLabels"]
        pods = [
            pod
            for workload, pod in workloads(objects)
            if workload["metadata"]["namespace"] == metadata["namespace"]
            and selector.items() <= pod["metadata"]["labels"].items()
        ]
        assert selector, f"{kind} {metadata['name']} selects everything"
        yield f"{kind} {metadata['name']}", spec, pods


@of(*EVERY_ROLE)
def check_selectors(objects: list[Object]) -> None:
    """Every selector takes pods that are there: of workloads, Services and NetworkPolicies."""
    for workload, pod in workloads(objects):
        where, selector = workload["metadata"]["name"], workload["spec"]["selector"]["matchLabels"]
        assert selector, f"{where} selects everything"
        assert selector.items() <= pod["metadata"]["labels"].items(), f"{where} does not select its own pods"
    for where, _, pods in selections(objects):
        assert pods, f"{where} selects no pod"


@of(*EVERY_ROLE)
def check_ports_of_services(objects: list[Object]) -> None:
    """Every port that a Service or a policy names is one that the pods behind it have."""
    for where, spec, pods in selections(objects):
        wanted = [port.get("targetPort", port["port"]) for port in spec.get("ports", [])]
        wanted += [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])]
        for pod in pods:
            ports = [port for container in containers(pod) for port in container.get("ports", [])]
            known = {port[key] for port in ports for key in ("name", "containerPort") if key in port}
            # A pod need not list its ports; only a name has to be declared.
            missing = [port for port in wanted if port not in known and (isinstance(port, str) or known)]
            assert not missing, f"{where}: no container has the port {missing}"


@of(*EVERY_ROLE)
def check_probes(objects: list[Object]) -> None:
    """Every probe asks a port that its own container has."""
    for where, container in all_containers(objects):
        known = {port[key] for port in container.get("ports", []) for key in ("name", "containerPort")}
        for name, probe in probes(container).items():
            way = probe.get("httpGet") or probe.get("tcpSocket")
            assert way is None or way["port"] in known, f"{where}: {name} asks a closed port"


@of(*EVERY_ROLE)
def check_cpu_requests(objects: list[Object]) -> None:
    """Every container requests CPU: the autoscaler's percentage is one of the requests of all of a pod's containers."""
    for where, container in all_containers(objects):
        assert container.get("resources", {}).get("requests", {}).get("cpu"), f"{where} requests no CPU"


@of(*EVERY_ROLE)
def check_images(objects: list[Object]) -> None:
    """Every image has a tag of its own and is taken from the node alone: anybody may have its name in a registry."""
    for where, container in all_containers(objects):
        name, _, tag = container["image"].rpartition(":")
        assert name, f"{where}: the image has no tag"
        assert tag != "latest", f"{where}: latest is no version"
        assert container["imagePullPolicy"] == "Never", f"{where}: asks a registry"


@of(*EVERY_ROLE)
def check_roots(objects: list[Object]) -> None:
    """No container can write to its root. The other rights are what Pod Security asks for in restricted namespaces."""
    for where, container in all_containers(objects):
        assert container["securityContext"].get("readOnlyRootFilesystem") is True, f"{where} can write to its root"


@of(*EVERY_ROLE)
def check_environments(objects: list[Object]) -> None:
    """No container has a secret in its environment, which children inherit and `kubectl exec` and crashes print."""
    for where, container in all_containers(objects):
        told = [entry["name"] for entry in container.get("env", []) if "secretKeyRef" in entry.get("valueFrom", {})]
        told += [entry for entry in container.get("envFrom", []) if "secretRef" in entry]
        assert not told, f"{where}: {told}"


def the_service(objects: list[Object]) -> tuple[Object, Object, Object]:
    """Return the Deployment's template of a pod, its container of the service and its sidecar."""
    pod = one(objects, "Deployment", "counter")["spec"]["template"]
    (service,), (proxy,) = pod["spec"]["containers"], pod["spec"]["initContainers"]
    return pod, service, proxy


def proxy_lines(objects: list[Object]) -> list[str]:
    """Return the lines of the proxy's configuration without comments."""
    lines = one(objects, "ConfigMap", "counter-proxy")["data"]["haproxy.cfg"].splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def seconds(lines: list[str], setting: str) -> int:
    """Return a time of the proxy's configuration."""
    (found,) = [line.removeprefix(setting).strip() for line in lines if line.startswith(f"{setting} ")]
    assert found.endswith("s"), f"{setting} {found} is not in seconds"
    return int(found.removesuffix("s"))


@of(APP)
def check_service_port(objects: list[Object]) -> None:
    """The way from Service to proxy to service: 9000, 9000, 8080; probes go by 9001."""
    _, service, proxy = the_service(objects)
    assert service["ports"] == [{"name": "http", "containerPort": 8080}]
    assert {"name": "proxy", "containerPort": 9000} in proxy["ports"]
    (port,) = one(objects, "Service", "counter")["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 9000, 9000)
    lines = proxy_lines(objects)
    assert {"name": "proxy-probes", "containerPort": 9001} in proxy["ports"]
    assert {"bind :9000", "bind :9001"} <= set(lines)
    assert [line.split()[2] for line in lines if line.startswith("server ")] == ["127.0.0.1:8080"] * 2


@of(APP)
def check_proxy(objects: list[Object]) -> None:
    """The proxy drops nothing, delays nothing, waits for a bounded time, and sends no request twice."""
    _, _, proxy = the_service(objects)
    lines = proxy_lines(objects)
    rules = [line for line in lines if re.match(r"(http|tcp)-(request|response)|use-service|filter|use_backend", line)]
    paths = f"{{ path {' '.join(PUBLIC_PATHS)} }}"
    not_found = 'content-type application/json string \'{"title": "Not found"}\''
    given = "req.fhdr(X-Request-ID)"
    assert rules == [
        f"http-request set-var(txn.id) {given} if {{ {given} -m reg ^[A-Za-z0-9._-]{{1,64}}$ }}",
        "http-response allow if { res.hdr(X-Request-ID) -m found }",
        *(
            f"http-response return status {status} default-errorfiles if {{ status {status} }}"
            for status in (400, 408, 500, 502, 503, 504)
        ),
        "http-request return status 400 default-errorfiles if !host_is_one !{ req.ver 1.0 }",
        "http-request return status 400 default-errorfiles if { req.fhdr_cnt(host) gt 0 } !host_is_valid",
        "http-request set-path / unless { path -m found }",
        f"http-request return status 404 {not_found} unless {paths}",
        "http-request return status 404 unless { path /readyz }",
        "http-request use-service prometheus-exporter if { path /metrics }",
        "http-request return status 404",
    ], "nothing but what is allowed reaches the service, and nothing else happens to a request"
    assert "option disable-h2-upgrade" in lines, "HTTP/2 would be counted and get no answer"
    assert [line for line in lines if line.startswith("retry-on")] == ["retry-on conn-failure"]
    assert seconds(lines, "timeout connect") <= 1
    assert "retries 1" in lines, "each try takes as long again"
    assert "http-after-response set-header Connection close if { fe_conn gt 2500 }" in lines
    everybody, clients, *others = [int(line.split()[1]) for line in lines if line.startswith("maxconn ")]
    assert others == [100, 100], "probes and metrics have connections of their own"
    assert everybody == clients + sum(others)
    (buffer,) = [int(line.split()[1]) for line in lines if line.startswith("tune.bufsize ")]
    # tests/test_proxy.py of the service measures it.
    worst = 16 * 2**20 + everybody * (2 * buffer + 5 * 1024)
    assert worst <= 2**20 * int(proxy["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert seconds(lines, "timeout queue") <= 2
    assert seconds(lines, "timeout server") >= 2, "a service that is well may need a second on a busy node"
    for side in ("client", "http-request", "http-keep-alive"):
        assert seconds(lines, f"timeout {side}") > 0


@of(APP)
def check_graceful_shutdown(objects: list[Object]) -> None:
    """A pod that goes loses no request: both containers go on for a while, and have the time to end."""
    pod, service, proxy = the_service(objects)
    lines = proxy_lines(objects)
    assert proxy["restartPolicy"] == "Always", "an init container that is no sidecar would never end"
    delay = service["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = int(next(entry["value"] for entry in service["env"] if entry["name"] == "COUNTER_GRACEFUL_SECONDS"))
    assert seconds(lines, "grace") == delay > 0
    assert seconds(lines, "hard-stop-after") >= delay + drain
    assert pod["spec"]["terminationGracePeriodSeconds"] >= delay + drain
    (command,) = proxy["lifecycle"]["preStop"]["exec"]["command"][2:]
    assert command == f"kill -USR1 1; sleep {delay + 1}"
    assert "http-after-response set-header Connection close if { stopping }" in lines
    assert one(objects, "Deployment", "counter")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@of(APP)
def check_disruptions(objects: list[Object]) -> None:
    """A drain takes one pod after the other and is never held up, and pods spread over nodes."""
    pod, _, _ = the_service(objects)
    spec = one(objects, "PodDisruptionBudget")["spec"]
    assert spec["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert spec["maxUnavailable"] == 1
    (spread,) = pod["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")


@of(APP)
def check_valkey(objects: list[Object]) -> None:
    """What Valkey has answered is on its volume, one server writes it, and nobody can lower the count.

    Who has no password can only ask whether Valkey is there, and who reads metrics sees no key.
    """
    spec = one(objects, "StatefulSet", "counter-valkey")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (claim,) = spec["volumeClaimTemplates"]
    (mount,) = [entry for entry in container["volumeMounts"] if entry["name"] == claim["metadata"]["name"]]
    settings = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    assert settings["--dir"] == mount["mountPath"]
    assert (settings["--appendonly"], settings["--appendfsync"]) == ("yes", "always")
    assert settings["--aof-load-truncated"] == "no", "what is cut off has to be kept"
    assert settings["--maxmemory-policy"] == "noeviction"
    secret = one(objects, "Secret", "counter-valkey")["stringData"]
    users = {line.split()[1]: line.split()[2:] for line in secret["users.acl"].splitlines()}
    assert users["default"][-2:] == ["-@all", "+ping"]
    rights = {"counter": ["+incr", "+ping"], "backup": ["+get", "+incrby"], "metrics": ["+info", "+ping"]}
    assert set(users) == {"default", *rights}
    for user, commands in rights.items():
        assert "nopass" not in users[user]
        assert users[user][users[user].index("-@all") + 1 :] == commands
    assert not [rule for rule in users["metrics"] if rule.startswith("~")]
    passwords = {secret[key] for key in ("password", "backup-password", "metrics-password")}
    assert len(passwords) == len(rights)
    assert not [password for password in passwords if password in secret["users.acl"]]
    assert container["command"] == ["flock", "--no-fork", f"{mount['mountPath']}/lock", "sh", "/etc/valkey/start.sh"]
    assert settings["--aclfile"].rpartition("/")[2] == "users.acl"
    for _, pod in workloads(objects):
        (volume,) = [entry for entry in pod["spec"]["volumes"] if "secret" in entry]
        assert volume["secret"]["defaultMode"] == 0o440


@of(APP)
def check_patience(objects: list[Object]) -> None:
    """Probes let a slow node be slow: a minute to start, and no probe fails because one answer took a second."""
    _, container, proxy = the_service(objects)
    found = probes(container)
    assert set(found) == {"startupProbe", "readinessProbe", "livenessProbe"}
    assert found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"] >= 60
    assert found["livenessProbe"]["periodSeconds"] * found["livenessProbe"]["failureThreshold"] >= 30
    assert all(probe["timeoutSeconds"] >= 2 for probe in found.values())
    assert found["readinessProbe"]["failureThreshold"] >= 2
    paths = {name: probe["httpGet"]["path"] for name, probe in found.items()}
    assert paths == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    asked = {name: probe["httpGet"]["port"] for name, probe in probes(proxy).items()}
    # The service starts after the sidecar: a startup probe that goes through to it would wait for ever.
    assert asked == {
        "startupProbe": "proxy-metrics",
        "readinessProbe": "proxy-probes",
        "livenessProbe": "proxy-metrics",
    }


@of(APP)
def check_autoscaler(objects: list[Object]) -> None:
    """The autoscaler alone says how many pods there are, by a percentage of what they request."""
    spec = one(objects, "HorizontalPodAutoscaler")["spec"]
    target = spec["scaleTargetRef"]
    assert "replicas" not in one(objects, target["kind"], target["name"])["spec"]
    (metric,) = spec["metrics"]
    assert metric["type"] == "Resource"
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"]["type"] == "Utilization"
    assert set(metric["resource"]["target"]) == {"type", "averageUtilization"}
    assert 1 <= metric["resource"]["target"]["averageUtilization"] <= 100
    assert 1 <= spec["minReplicas"] <= spec["maxReplicas"]
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] > 0


@of(LOGGING)
def check_rights_of_the_collector(objects: list[Object]) -> None:
    """The collector shares nothing with the node but folders, and lists pods and nothing else of the API."""
    pod = one(objects, "DaemonSet", "collector")["spec"]["template"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
    role = one(objects, "ClusterRole")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    assert one(objects, "ClusterRoleBinding")["roleRef"]["name"] == role["metadata"]["name"]
    assert {entry["kind"] for entry in objects} & {"Role", "RoleBinding"} == set()


@of(MONITORING)
def check_rights_of_prometheus(objects: list[Object]) -> None:
    """Prometheus finds its targets and reads metrics; kube-state-metrics lists the kinds that it is started for."""
    roles = {
        entry["metadata"]["name"]: [
            (rule.get("resources", rule.get("nonResourceURLs")), rule["verbs"]) for rule in entry["rules"]
        ]
        for entry in objects
        if entry["kind"] == "ClusterRole"
    }
    listed = ["list", "watch"]
    (arguments,) = [entry["args"] for _, entry in all_containers(objects) if entry["name"] == "kube-state-metrics"]
    (kinds,) = [value for value in arguments if value.startswith("--resources=")]
    told = roles.pop("monitoring-kube-state-metrics")
    assert [kind for resources, _ in told for kind in resources] == kinds.removeprefix("--resources=").split(",")
    assert not {"secrets", "serviceaccounts"} & {kind for resources, _ in told for kind in resources}
    assert all(verbs == listed for _, verbs in told)
    assert roles == {
        "monitoring-prometheus": [(["nodes"], listed), (["nodes/metrics"], ["get"]), (["/metrics"], ["get"])],
        "monitoring-prometheus-pods": [(["pods"], listed)],
    }


@of(MONITORING)
def check_way_out_of_alertmanager(objects: list[Object]) -> None:
    """Alertmanager has a way out where alerts are sent somewhere, and only there."""
    spec = one(objects, "NetworkPolicy", "alertmanager-out")["spec"]
    assert spec["policyTypes"] == ["Egress"]
    config = yaml.safe_load(one(objects, "Secret", "alertmanager")["stringData"]["alertmanager.yml"])
    sent = [receiver for receiver in config["receivers"] if receiver["name"] != "page"]
    assert ("egress" in spec) is bool(sent)


@of(MONITORING)
def check_probe_of_the_service(objects: list[Object]) -> None:
    """The probe asks for what does not count, and ends before Prometheus stops waiting for it."""
    config = yaml.safe_load(one(objects, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    modules = yaml.safe_load(one(objects, "ConfigMap", "blackbox-exporter")["data"]["blackbox.yml"])["modules"]
    (parameters,) = [job["params"] for job in config["scrape_configs"] if job["job_name"] == "counter-probe"]
    assert [target.partition(".svc:")[2] for target in parameters["target"]] == ["9000/readyz"]
    (module,) = [modules[name] for name in parameters["module"]]
    assert module["http"]["follow_redirects"] is False
    assert int(module["timeout"].removesuffix("s")) < int(config["global"]["scrape_timeout"].removesuffix("s"))


@of(LOGGING)
def check_delivery(objects: list[Object]) -> None:
    """What was read is kept until the log host has it: positions and queue on the node, tried without end."""
    pod = one(objects, "DaemonSet", "collector")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    settings = yaml.safe_load(one(objects, "ConfigMap", "collector")["data"]["collector.yaml"])
    receiver, exporter = settings["receivers"]["file_log"], settings["exporters"]["otlp_http"]
    assert receiver["storage"] == exporter["sending_queue"]["storage"] == "file_storage"
    assert receiver["start_at"] == "beginning"
    assert receiver["retry_on_failure"] == {"enabled": True, "max_elapsed_time": 0}
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert exporter["sending_queue"]["sizer"] == "bytes"
    assert exporter["middlewares"] == [{"id": "answers"}]
    assert "--feature-gates=stanza.synchronousLogEmitter" in container["command"]
    (folder,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"]
    assert settings["extensions"]["file_storage"]["directory"] == folder
    assert settings["service"]["pipelines"]["logs"]["processors"][0] == "memory_limiter"
    assert pod["spec"].get("tolerations") == [{"operator": "Exists"}], "the control plane's node has lines too"
