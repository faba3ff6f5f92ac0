"""Who may open a connection to whom: the tables of docs/architecture.md, and pods that try."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lib.cluster import Cluster
from lib.docker import docker
from lib.paths import ROOT
from lib.service import MONITORING, python_pod
from lib.types import Json

Target = tuple[str, int]
Table = dict[str, dict[str, str]]
"""Who in the rows, to whom in the columns, and whether a connection is open or closed."""
POLICY_AGENT = ("network-policy-agent", "kube-system")
PROBE = "policy-probe"
# Of the two ports of the probe's server, which a policy closes one of.
PORTS = """
import socket
for port in (8001, 8002):
    try:
        socket.create_connection(("server", port), timeout=2).close()
        print(port)
    except TimeoutError:
        pass
"""
TRY = """
for target in {targets}; do
  (timeout 2 bash -c ": <>/dev/tcp/$target"; echo "$target $?") &
done
wait
"""
# By the status of a try.
ENDS = {"0": "open", "124": "closed"}


def wanted(heading: str) -> Table:
    """Return the table below a heading; what stays within a pod is open whatever the policies say."""
    document = (ROOT / "docs/architecture.md").read_text()
    (section,) = re.findall(rf"^## {heading}$(.*?)^## ", document, re.M | re.S)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    cells = {"yes": "open", "itself": "open", "no": "closed"}
    return {row[0]: {to: cells[cell] for to, cell in zip(rows[0][1:], row[1:], strict=True)} for row in rows[2:]}


def reached(cluster: Cluster, process: str, *targets: Target) -> dict[Target, str]:
    """Return how a new connection to each target ends, from the network of a process on the node.

    It is closed when nothing answers within two seconds, and neither open nor closed when it is refused, as no policy
    does that. The node's own tools try it: whoever runs there may have no shell.
    """
    places = {target: f"{target[0]}/{target[1]}" for target in targets}
    script = TRY.format(targets=" ".join(places.values()))
    inside = ["nsenter", f"--net=/proc/{process}/ns/net", "bash", "-c", script]
    ended = dict(line.split() for line in docker("exec", cluster.node, *inside, check=False).splitlines())
    return {target: ENDS.get(ended.get(place, ""), "neither open nor closed") for target, place in places.items()}


def observed(cluster: Cluster, asking: dict[str, Json], targets: dict[str, Target]) -> Table:
    """Return the table as it is, of pods that ask and of targets by their names."""
    processes = [process(cluster, pod) for pod in asking.values()]
    with ThreadPoolExecutor(8) as pool:
        rows = pool.map(lambda found: reached(cluster, found, *targets.values()), processes)
    return {who: {to: row[target] for to, target in targets.items()} for who, row in zip(asking, rows, strict=True)}


def wrong(table: Table, observed: Table) -> list[str]:
    """Return every cell of a table that is not as it should be."""
    return [
        f"{who} -> {to} is {observed[who][to]}"
        for who, row in table.items()
        for to, cell in row.items()
        if observed[who][to] != cell
    ]


def open_ports(cluster: Cluster) -> list[str]:
    """Return the ports of the policy probe's server that answer its client; where policies are enforced, 8001 alone."""
    return cluster.kubectl("exec", "deployment/client", f"--namespace={PROBE}", "--", "python3", "-c", PORTS).split()


@contextmanager
def without(cluster: Cluster, policy: str, namespace: str) -> Iterator[None]:
    """Take a policy away, and put it back as the role made it."""
    where = ("networkpolicy", policy, f"--namespace={namespace}")
    found = cluster.get(*where)
    kept = {key: value for key, value in found["metadata"].items() if key in {"name", "namespace", "labels"}}
    cluster.kubectl("delete", *where)
    try:
        yield
    finally:
        again = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": kept, "spec": found["spec"]}
        cluster.apply(again, manager="counter-platform")


@contextmanager
def pods(cluster: Cluster, who: dict[str, tuple[str, dict[str, str]]]) -> Iterator[None]:
    """Run pods that listen on 8000, by their names, each in a namespace and with labels.

    A namespace that was not there before goes with them, but for the monitoring's, which `make up` may use by then.
    """
    spaces = sorted({space for space, _ in who.values()})
    # Those of an earlier run may still be on their way out.
    namespaces = [found["metadata"] for found in cluster.get("namespaces")["items"]]
    ending = {about["name"] for about in namespaces if "deletionTimestamp" in about}.intersection(spaces)
    if ending:
        cluster.kubectl("wait", "namespace", *ending, "--for=delete", "--timeout=60s")
    kept = {about["name"] for about in namespaces} - ending | {MONITORING}
    cluster.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}} for space in spaces))
    image = cluster.python_image()
    cluster.apply(*(python_pod(name, space, labels, image) for name, (space, labels) in who.items()))
    try:
        for name, (space, _) in who.items():
            cluster.kubectl("wait", f"pod/{name}", f"--namespace={space}", "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        for name, (space, _) in who.items():
            cluster.kubectl("delete", "pod", name, f"--namespace={space}", "--wait=false")
        for space in set(spaces) - kept:
            cluster.kubectl("delete", "namespace", space, "--wait=false")


def process(cluster: Cluster, pod: Json) -> str:
    """Return the process of a pod on the node that is there as long as the pod, the oldest."""
    of_pod = f"grep -l {pod['metadata']['uid'].replace('-', '.')} /proc/[0-9]*/cgroup | cut -d / -f 3 | paste -s -d ,"
    return cluster.node_exec("sh", "-c", f"ps --sort=start_time --format=pid= --pid=$({of_pod})").split()[0]
