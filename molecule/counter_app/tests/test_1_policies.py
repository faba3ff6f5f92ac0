"""Who may talk to whom: the table of docs/architecture.md, each cell tried with a new connection from a real pod."""

import pytest
from lib.cluster import Cluster
from lib.policies import POLICY_AGENT, observed, open_ports, process, reached, wanted, without, wrong
from lib.service import APP, MONITORING, OTHERS, address, service_pods, wait_until_idle
from lib.wait import wait_for, wait_until_none

TABLE = wanted("Network policies")


class Policies:
    """Tries every cell of the table."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.service, other = service_pods(cluster)[:2]
        dns = cluster.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"][0]
        valkey = cluster.get("pod", "counter-valkey-0", APP)
        elsewhere = cluster.get("pod", "elsewhere", f"--namespace={OTHERS['client'][0]}")
        asking = {who: cluster.get("pod", who, f"--namespace={space}") for who, (space, _) in OTHERS.items()}
        self.asking = {**asking, "service": self.service, "Valkey": valkey}
        self.targets = {
            "proxy 9000": (address(other), 9000),
            "proxy's probes 9001": (address(other), 9001),
            "service 8080": (address(other), 8080),
            "proxy's metrics 8404": (address(other), 8404),
            "Valkey 6379": (address(valkey), 6379),
            "DNS 53": (address(dns), 53),
            "elsewhere": (address(elsewhere), 8000),
        }

    def faults(self) -> list[str]:
        """Return every cell that is not as it should be; where policies are not enforced at all, no more than that."""
        if open_ports(self.cluster) != ["8001"]:
            return ["the policy probe reports no enforcement"]
        table = {who: {**row} for who, row in TABLE.items()}
        # Where the monitoring is, its own policies let Prometheus reach what it reads and nothing else.
        if self.cluster.get("networkpolicies", f"--namespace={MONITORING}")["items"]:
            table["prometheus"]["elsewhere"] = "closed"
        return wrong(table, observed(self.cluster, self.asking, self.targets))

    def wait_for_fault(self, fault: str) -> None:
        wait_for(f"the fault: {fault}", lambda: fault in self.faults(), 60)

    def wait_until_sound(self) -> None:
        wait_until_none("faults", self.faults, 60)


@pytest.fixture(scope="module")
def policies(cluster: Cluster, others: None) -> Policies:
    """The policies, seen right once."""
    wait_until_idle(cluster)
    found = Policies(cluster)
    assert {to for row in TABLE.values() for to in row} == set(found.targets)
    assert set(TABLE) == set(found.asking)
    return found


def test_every_cell_of_the_table(policies: Policies) -> None:
    assert policies.faults() == []


@pytest.mark.soak
def test_removed_label_is_found(policies: Policies) -> None:
    label = ["label", "pod", "client", f"--namespace={OTHERS['client'][0]}"]
    policies.cluster.kubectl(*label, "counter-platform/client-")
    try:
        policies.wait_for_fault("client -> proxy 9000 is closed")
    finally:
        policies.cluster.kubectl(*label, "counter-platform/client=true")
    policies.wait_until_sound()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("policy", "said"),
    [("clients-to-proxy", "client -> proxy 9000 is closed"), ("default-deny", "Valkey -> elsewhere is open")],
)
def test_removed_policy_is_found(policies: Policies, policy: str, said: str) -> None:
    with without(policies.cluster, policy, "counter"):
        policies.wait_for_fault(said)
    policies.wait_until_sound()


@pytest.mark.soak
def test_agent_that_is_down_is_found(policies: Policies) -> None:
    with policies.cluster.without(*POLICY_AGENT):
        policies.wait_for_fault("the policy probe reports no enforcement")
        open_now = observed(policies.cluster, policies.asking, policies.targets)
        assert {cell for row in open_now.values() for cell in row.values()} == {"open"}, open_now
    policies.wait_until_sound()


def test_policies_do_not_act_between_containers_of_one_pod(policies: Policies) -> None:
    # Nobody but Prometheus may reach 8404 and 8080 of this pod, its own containers by the pod's own address excepted.
    targets = [(host, port) for host in (address(policies.service), "127.0.0.1") for port in (8404, 8080)]
    client = process(policies.cluster, policies.asking["client"])
    assert set(reached(policies.cluster, client, *targets[:2]).values()) == {"closed"}
    own = process(policies.cluster, policies.service)
    assert reached(policies.cluster, own, *targets) == dict.fromkeys(targets, "open")
