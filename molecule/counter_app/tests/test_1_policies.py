"""Who may talk to whom: the table of docs/architecture.md, each cell tried with a new connection from a real pod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from lib.cluster import Cluster
from lib.policies import Table, wanted
from lib.service import APP, MONITORING, OTHERS, TRY, address, as_somebody, name, service_pods, wait_until_idle
from lib.types import Json
from lib.wait import wait_for

# Valkey's image has a shell and no Python.
TRY_BY_SHELL = """
for target in {targets}; do
  (timeout 2 bash -c ": <>/dev/tcp/$target"; echo "$target $?") &
done
wait
"""


class Policies:
    """Tries every cell of the table."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.service, other = service_pods(cluster)[:2]
        dns = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"][0]
        elsewhere = cluster.get("pod", "elsewhere", f"--namespace={OTHERS['client'][0]}")
        valkey = cluster.get("pod", "counter-valkey-0", APP)
        self.targets = {
            "proxy 9000": (address(other), 9000),
            "proxy's probes 9001": (address(other), 9001),
            "service 8080": (address(other), 8080),
            "proxy's metrics 8404": (address(other), 8404),
            "Valkey 6379": (address(valkey), 6379),
            "DNS 53": (address(dns), 53),
            "elsewhere": (address(elsewhere), 8000),
        }

    def row(self, who: str) -> list[bool]:
        """Return what somebody reaches, in the order of the targets."""
        program = TRY.format(targets=[*self.targets.values()])
        if who in OTHERS:
            return list(json.loads(as_somebody(self.cluster, who, program)))
        if who == "service":
            inside = ["exec", name(self.service), APP, "--container=service", "--", "python3", "-c", program]
            return list(json.loads(self.cluster.kubectl(*inside)))
        assert who == "Valkey"
        targets = [f"{host}/{port}" for host, port in self.targets.values()]
        script = TRY_BY_SHELL.format(targets=" ".join(targets))
        output = self.cluster.kubectl("exec", "counter-valkey-0", APP, "--", "bash", "-c", script)
        ended = dict(line.split() for line in output.splitlines())
        assert set(ended.values()) <= {"0", "124"}, f"neither open nor dropped: {output}"
        return [ended[target] == "0" for target in targets]

    def observed(self) -> Table:
        """Return the table as it is."""
        who = list(wanted("Network policies"))
        with ThreadPoolExecutor(4) as pool:
            return {
                row: dict(zip(self.targets, cells, strict=True))
                for row, cells in zip(who, pool.map(self.row, who), strict=True)
            }

    def check_probe(self) -> None:
        """Fail unless policies are enforced at all."""
        program = TRY.format(targets=[("server", 8001), ("server", 8002)])
        client = ["exec", "deployment/client", "--namespace=policy-probe", "--", "python3", "-c", program]
        assert json.loads(self.cluster.kubectl(*client)) == [True, False], "the policy probe reports no enforcement"

    def check(self) -> None:
        """Fail unless policies are enforced and every cell is as it should be."""
        self.check_probe()
        table, observed = wanted("Network policies"), self.observed()
        # Where the monitoring is, its own policies let Prometheus reach what it reads and nothing else.
        if self.cluster.get("networkpolicies", f"--namespace={MONITORING}")["items"]:
            table["prometheus"]["elsewhere"] = False
        wrong = [
            f"{who} -> {to} is {'open' if observed[who][to] else 'closed'}"
            for who, row in table.items()
            for to, allowed in row.items()
            if observed[who][to] != allowed
        ]
        assert not wrong, "; ".join(wrong)

    def finds_fault(self, said: str) -> None:
        """Return when the check fails with ``said``; fail when it still passes after a minute."""

        def found() -> bool:
            try:
                self.check()
            except AssertionError as error:
                return said in str(error)
            return False

        wait_for(f"the check to say: {said}", found, 60)

    def is_sound_again(self) -> None:
        """Return when the check passes."""

        def sound() -> bool:
            try:
                self.check()
            except AssertionError as error:
                print(error)
                return False
            return True

        wait_for("the table to be right again", sound, 60)


@pytest.fixture(scope="module")
def policies(cluster: Cluster, others: None) -> Policies:
    """The policies, seen right once."""
    wait_until_idle(cluster)
    found = Policies(cluster)
    assert {to for row in wanted("Network policies").values() for to in row} == set(found.targets)
    assert set(wanted("Network policies")) == {*OTHERS, "service", "Valkey"}
    return found


def test_every_cell_of_the_table(policies: Policies) -> None:
    policies.check()


def test_prometheus_reads_the_metrics_of_both_containers(policies: Policies) -> None:
    (service, port), (proxy, own) = policies.targets["service 8080"], policies.targets["proxy's metrics 8404"]
    program = "import urllib.request; print(urllib.request.urlopen('http://{}:{}/metrics', timeout=5).read().decode())"
    assert "counter_requests_total{" in as_somebody(policies.cluster, "prometheus", program.format(service, port))
    of_the_proxy = as_somebody(policies.cluster, "prometheus", program.format(proxy, own))
    assert 'haproxy_frontend_http_requests_total{proxy="clients"}' in of_the_proxy


def restorable(found: Json) -> Json:
    """Return an object as it can be applied again."""
    kept = {key: value for key, value in found["metadata"].items() if key in {"name", "namespace", "labels"}}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": kept, "spec": found["spec"]}


@contextmanager
def without(cluster: Cluster, policy: str) -> Iterator[None]:
    """Take a policy away, and put it back as the role made it."""
    found = cluster.get("networkpolicy", policy, APP)
    cluster.kubectl("delete", "networkpolicy", policy, APP)
    try:
        yield
    finally:
        cluster.apply(restorable(found), manager="counter-platform")


@pytest.mark.soak
def test_removed_label_is_found(policies: Policies) -> None:
    label = ["label", "pod", "client", f"--namespace={OTHERS['client'][0]}"]
    policies.cluster.kubectl(*label, "counter-platform/client-")
    try:
        policies.finds_fault("client -> proxy 9000 is closed")
    finally:
        policies.cluster.kubectl(*label, "counter-platform/client=true")
    policies.is_sound_again()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("policy", "said"),
    [("clients-to-proxy", "client -> proxy 9000 is closed"), ("default-deny", "Valkey -> elsewhere is open")],
)
def test_removed_policy_is_found(policies: Policies, policy: str, said: str) -> None:
    with without(policies.cluster, policy):
        policies.finds_fault(said)
    policies.is_sound_again()


@pytest.mark.soak
def test_agent_that_is_down_is_found(policies: Policies) -> None:
    with policies.cluster.without_policy_agent():
        policies.finds_fault("the policy probe reports no enforcement")
        open_now = policies.observed()
        assert all(cell for row in open_now.values() for cell in row.values()), open_now
    policies.is_sound_again()


def test_policies_do_not_act_between_containers_of_one_pod(policies: Policies) -> None:
    # Nobody but Prometheus may reach 8404 and 8080 of this pod, its own containers by the pod's own address excepted.
    own = address(policies.service)
    assert policies.row("client")[1:3] == [False, False]
    program = TRY.format(targets=[(own, 8404), ("127.0.0.1", 8404)])
    inside = ["exec", name(policies.service), APP, "--container=service", "--"]
    assert json.loads(policies.cluster.kubectl(*inside, "python3", "-c", program)) == [True, True]
    script = TRY_BY_SHELL.format(targets=f"{own}/8080 127.0.0.1/8080")
    beside = ["exec", name(policies.service), APP, "--container=proxy", "--"]
    output = policies.cluster.kubectl(*beside, "bash", "-c", script)
    assert sorted(output.split()) == sorted([f"{own}/8080", "0", "127.0.0.1/8080", "0"])
