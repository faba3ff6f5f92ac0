"""Pods that talk to the service, each as somebody else."""

from collections.abc import Iterator

import pytest
from lib.cluster import Cluster
from lib.service import APP, MONITORING, OTHERS, OUTSIDE, python_pod


@pytest.fixture(scope="session")
def others(cluster: Cluster) -> Iterator[None]:
    """A running pod for everybody in ``OTHERS``, and one called ``elsewhere`` that anybody may try to reach."""
    for name in (OUTSIDE, MONITORING):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    image = cluster.python_image()
    pods = [python_pod(name, namespace, labels, image) for name, (namespace, labels) in OTHERS.items()]
    cluster.apply(*pods, python_pod("elsewhere", OUTSIDE, {}, image))
    for pod in [*pods, {"metadata": {"name": "elsewhere", "namespace": OUTSIDE}}]:
        about = pod["metadata"]
        cluster.kubectl("wait", f"pod/{about['name']}", f"--namespace={about['namespace']}", "--for=condition=Ready")
    yield
    cluster.kubectl("delete", "pod", "neighbour", APP, "--now")
    cluster.kubectl("delete", "namespace", OUTSIDE, MONITORING, "--wait=false")
