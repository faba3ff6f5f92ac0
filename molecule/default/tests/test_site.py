"""The whole site as it is when the run ends: it counts, it runs, and the autoscaler has figures."""

from platform_cluster import Cluster, count, wait_for

NAMESPACE = "--namespace=counter"
URL = "http://127.0.0.1:8088/"


def test_two_requests_are_counted_one_after_the_other() -> None:
    first = count(URL)
    assert count(URL) == first + 1


def test_every_node_is_ready_and_every_pod_runs(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert nodes
    assert all(
        {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items() for node in nodes
    )

    def waiting() -> list[str]:
        pods = cluster.get("pods", "--all-namespaces")["items"]
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] != "Running"]

    wait_for("every pod to run", lambda: not waiting(), 60)


def test_top_and_the_autoscaler_have_figures_when_the_run_ends(cluster: Cluster) -> None:
    assert "counter-" in cluster.kubectl("top", "pods", NAMESPACE)
    (metric,) = cluster.get("hpa", "counter", NAMESPACE)["status"]["currentMetrics"]
    assert metric["resource"]["current"]["averageUtilization"] >= 0


CONNECT = """
import concurrent.futures, socket, time
address = socket.gethostbyname("server"), 8001
def seconds(_):
    started = time.monotonic()
    socket.create_connection(address, timeout=10).close()
    return time.monotonic() - started
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(max(pool.map(seconds, range(6000))))
"""


def test_no_new_connection_is_lost_on_its_way_through_the_agent(cluster: Cluster) -> None:
    # A lost one is sent again after a second. Beside other work one in some thousand is: this job comes last.
    client = ["exec", "deployment/client", "--namespace=policy-canary", "--", "python3", "-c", CONNECT]
    seconds = float(cluster.kubectl(*client))
    queue = cluster.node_exec("cat", "/proc/net/netfilter/nfnetlink_queue")
    assert seconds < 1, (
        f"the slowest took {seconds:.2f} s; the agent's queue (its 6th and 7th number count drops): {queue}"
    )
