"""Pods that write, in a namespace of their own."""

from collections.abc import Iterator

import pytest
from lib.cluster import Cluster
from lib.lines import NAMESPACE, Lines


@pytest.fixture(scope="session")
def lines(cluster: Cluster) -> Iterator[Lines]:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    yield Lines(cluster)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
