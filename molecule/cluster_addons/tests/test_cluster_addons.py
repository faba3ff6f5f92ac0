"""Policies are enforced, pods resolve names of the engine's network, and no connection is lost."""

from lib.cluster import Cluster
from lib.docker import docker
from lib.policies import PROBE, open_ports, without
from lib.wait import wait_for

CLIENT = ("exec", "deployment/client", f"--namespace={PROBE}", "--", "python3", "-c")


def test_policy_denies_one_port_and_acts_anew_when_it_changes(cluster: Cluster) -> None:
    assert open_ports(cluster) == ["8001"]
    with without(cluster, "one-port-of-two", PROBE):
        wait_for("both ports to be open without a policy", lambda: open_ports(cluster) == ["8001", "8002"], 30)
    wait_for("the policy to act again", lambda: open_ports(cluster) == ["8001"], 30)


def test_pods_resolve_names_of_the_engines_network(cluster: Cluster) -> None:
    node = cluster.node
    program = f"import socket; print(socket.gethostbyname({node!r}))"
    answer = cluster.kubectl(*CLIENT, program).strip()
    assert answer == docker("inspect", node, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")


CONNECT = """
import concurrent.futures, socket, time
address = socket.gethostbyname("server"), 8001
def seconds(_):
    started = time.monotonic()
    with socket.create_connection(address, timeout=10) as connection:
        connected = time.monotonic()
        # Until the server has taken it and closed it: connections that wait to be taken are 128 at most, and beyond
        # that the kernel loses new ones by itself, as on a machine that is busy with other things.
        connection.recv(1)
    return connected - started
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(*sorted(pool.map(seconds, range(6000)))[-100:])
"""


def test_no_new_connection_is_lost_on_its_way_through_the_agent(cluster: Cluster) -> None:
    # A lost one is sent again after a second.
    slow = [float(seconds) for seconds in cluster.kubectl(*CLIENT, CONNECT).split() if float(seconds) >= 1]
    queue = cluster.node_exec("cat", "/proc/net/netfilter/nfnetlink_queue")
    assert not slow, f"{len(slow)} or more of 6000: {slow[-5:]}; the queue (6th and 7th number: dropped): {queue}"
