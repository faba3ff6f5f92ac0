"""Who may open a connection to whom: the tables of docs/architecture.md, and pods that try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lib.cluster import Cluster
from lib.paths import ROOT
from lib.service import python_pod
from lib.types import Json

Table = dict[str, dict[str, bool]]


def wanted(heading: str) -> Table:
    """Return the table below a heading: who in the rows, to whom in the columns.

    What stays within a pod is open whatever the policies say.
    """
    document = (ROOT / "docs/architecture.md").read_text()
    (section,) = re.findall(rf"^## {heading}$(.*?)^## ", document, re.M | re.S)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    for row in rows[2:]:
        assert set(row[1:]) <= {"yes", "no", "itself"}, row
    return {row[0]: {to: cell != "no" for to, cell in zip(rows[0][1:], row[1:], strict=True)} for row in rows[2:]}


def wrong(table: Table, observed: Table) -> list[str]:
    """Return every cell of a table that is not as it should be."""
    return [
        f"{who} -> {to} is {'open' if observed[who][to] else 'closed'}"
        for who, row in table.items()
        for to, allowed in row.items()
        if observed[who][to] != allowed
    ]


@contextmanager
def pods(cluster: Cluster, who: dict[str, tuple[str, dict[str, str]]]) -> Iterator[None]:
    """Run pods that listen on 8000, by their names, each in a namespace and with labels.

    A namespace that was not there before goes with them.
    """
    spaces = sorted({space for space, _ in who.values()})
    # Those of an earlier run may still be on their way out.
    namespaces = [found["metadata"] for found in cluster.get("namespaces")["items"]]
    ending = {about["name"] for about in namespaces if "deletionTimestamp" in about}.intersection(spaces)
    if ending:
        cluster.kubectl("wait", "namespace", *ending, "--for=delete", "--timeout=60s")
    there = {about["name"] for about in namespaces} - ending
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
        for space in set(spaces) - there:
            cluster.kubectl("delete", "namespace", space, "--wait=false")


def process(cluster: Cluster, pod: Json) -> str:
    """Return a process of a pod on the node, for :meth:`Cluster.opens`."""
    uid = pod["metadata"]["uid"].replace("-", ".")
    return cluster.node_exec("sh", "-c", f"grep -l {uid} /proc/[0-9]*/cgroup | head -1").split("/")[2]
