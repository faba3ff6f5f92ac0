"""A pytest plugin for scenarios: where their report goes, and the cluster as a fixture."""

import os

import pytest
from lib import environment
from lib.cluster import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Leave a JUnit report where whoever runs the scenario wants it."""
    config.option.xmlpath = config.option.xmlpath or os.environ.get("REPORT")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of the environment under test."""
    return Cluster(environment.NAME)
