"""Pods that talk to the service, each as somebody else."""

import os
import time
from collections.abc import Iterator

import pytest
from lib.cluster import Cluster
from lib.policies import pods
from lib.service import APP, OTHERS, OUTSIDE


@pytest.fixture(scope="session")
def others(cluster: Cluster) -> Iterator[None]:
    """A running pod for everybody in ``OTHERS``, and one called ``elsewhere`` that anybody may try to reach."""
    with pods(cluster, {**OTHERS, "elsewhere": (OUTSIDE, {})}):
        yield


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
