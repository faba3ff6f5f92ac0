"""Prometheus in the cluster of the scenario."""

from __future__ import annotations

import pytest
from lib.cluster import Cluster
from lib.prometheus import Prometheus


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster) -> Prometheus:
    """The running Prometheus."""
    return Prometheus(cluster)
