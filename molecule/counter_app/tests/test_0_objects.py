"""What is in the cluster: ports, rights, and passwords."""

from lib.cluster import Cluster
from lib.command import status_of
from lib.service import APP, service_pods
from lib.types import Json
from lib.wait import wait_for


def test_containers_have_no_rights_that_they_do_not_need(cluster: Cluster) -> None:
    pods = [service_pods(cluster)[0], cluster.get("pod", "counter-valkey-0", APP)]
    containers = {
        container["name"]: pod
        for pod in pods
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    }
    assert set(containers) == {"service", "proxy", "valkey"}
    for container, pod in containers.items():
        assert pod["spec"]["automountServiceAccountToken"] is False
        target = ["exec", pod["metadata"]["name"], APP, f"--container={container}", "--"]
        fields = status_of(cluster.kubectl(*target, "cat", "/proc/1/status"))
        assert int(fields["Uid"].split()[0]) > 0
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"
        written = cluster.kubectl(*target, "sh", "-c", "echo x >/written || echo refused", check=False)
        assert written.strip() == "refused", f"{container} can write to its root"


def test_ports_agree_from_the_service_to_the_proxy(cluster: Cluster) -> None:
    service = cluster.get("service", "counter", APP)["spec"]
    assert [(port["port"], port["nodePort"]) for port in service["ports"]] == [(9000, 30080)]

    def slices() -> list[Json]:
        found: list[Json] = cluster.get("endpointslices", APP, "--selector=kubernetes.io/service-name=counter")["items"]
        return found

    # The second pod may still be starting.
    wait_for("two pods behind it", lambda: sum(len(entry["endpoints"]) for entry in slices()) >= 2, 60)
    assert [port["port"] for entry in slices() for port in entry["ports"]] == [9000]


def test_valkey_takes_nothing_but_a_ping_without_the_password(cluster: Cluster) -> None:
    def ask(*command: str) -> str:
        return cluster.kubectl("exec", "counter-valkey-0", APP, "--", "valkey-cli", *command).strip()

    assert ask("ping") == "PONG"
    for command in (["get", "counter"], ["incr", "counter"], ["config", "get", "dir"], ["flushall"], ["acl", "list"]):
        assert ask(*command).startswith("NOPERM"), command


def test_password_is_in_no_object_but_the_secret(cluster: Cluster) -> None:
    password = (cluster.state / "valkey-password").read_text()
    assert len(password) == 32
    assert (cluster.state / "valkey-password").stat().st_mode & 0o777 == 0o600
    kinds = "pods,statefulsets,deployments,configmaps,replicasets,controllerrevisions,events"
    assert password not in cluster.kubectl("get", kinds, APP, "--output=yaml", "--show-managed-fields")
    # The autoscaler may just have added one, which has no log yet.
    cluster.kubectl("rollout", "status", "deployment/counter", APP, "--timeout=60s")
    logs = cluster.kubectl("logs", APP, "--selector=app.kubernetes.io/name in (counter, valkey)", "--all-containers")
    assert password not in logs
