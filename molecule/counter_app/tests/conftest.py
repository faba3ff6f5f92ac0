"""Pods that talk to the service, each as somebody else."""

import os
import time
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
    cluster.kubectl("delete", "pod", "prometheus", f"--namespace={MONITORING}", "--now")
    # The monitoring's namespace may be in use.
    cluster.kubectl("delete", "namespace", OUTSIDE, "--wait=false")


@pytest.fixture
def warnings(cluster: Cluster) -> Iterator[None]:
    """Print what the service and the proxy complained of; pytest shows it when the test fails."""
    # What earlier builds wrote goes to the disk first: every increment waits for the same disk.
    os.sync()
    started = time.time()
    yield
    since = f"--since={time.time() - started:.0f}s"
    # A pod that is just being made has no logs, which is no failure of the test.
    logs = cluster.kubectl(
        "logs", APP, "--selector=app.kubernetes.io/name=counter", "--all-containers", "--prefix", "--tail=-1", since,
        check=False,
    )  # fmt: skip
    for line in [line for line in logs.splitlines() if '"level": "info"' not in line][:40]:
        print(line)
