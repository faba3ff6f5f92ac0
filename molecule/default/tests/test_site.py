"""The whole site and Loki's host, as they are when the run ends: it counts, it runs, and a pod's lines are found."""

from platform_cluster import Cluster, count, docker, wait_for
from platform_loki import Loki
from platform_service import python_pod

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


# Pushes a line from inside of a pod, by the name of Loki's host, and prints the status.
PUSH = """
import base64, json, ssl, time, urllib.request
line = [str(time.time_ns()), "from a pod"]
body = json.dumps({{"streams": [{{"stream": {{"job": "pod"}}, "values": [line]}}]}}).encode()
login = base64.b64encode(b"promtail:" + {password!r}.encode()).decode()
headers = {{"Content-Type": "application/json", "Authorization": "Basic " + login}}
request = urllib.request.Request("https://{name}/loki/api/v1/push", body, headers)
context = ssl.create_default_context(cadata={ca!r})
print(urllib.request.urlopen(request, timeout=10, context=context).status)
"""


def test_line_that_a_pod_pushes_is_found_on_lokis_host(cluster: Cluster) -> None:
    name = f"{cluster.name}-loki"
    address = docker(
        "inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{cluster.name}").IPAddress}}}}', name
    )
    loki = Loki(name, address, cluster.state / "loki")
    cluster.apply(python_pod("pusher", "default", {}, cluster.python_image()))
    cluster.kubectl("wait", "pod/pusher", "--for=condition=Ready", "--timeout=60s")
    ca = (cluster.state / "loki/ca.crt").read_text()
    program = PUSH.format(password=loki.password("promtail"), name=name, ca=ca)
    assert cluster.kubectl("exec", "pusher", "--", "python3", "-c", program).strip() == "204"
    assert loki.lines('{job="pod"}') == ["from a pod"]
