"""A pytest plugin for scenarios: the cluster as a fixture, and an end to runs that lost their tests."""

import os

import pytest
from platform_cluster import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Leave a JUnit report where ``make molecule`` counts it."""
    config.option.xmlpath = config.option.xmlpath or os.environ.get("REPORT")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compare the number of collected tests with ``EXPECTED_TESTS``.

    Molecule's verifier passes when it finds no test at all, so a renamed folder would silence a scenario.
    """
    expected = int(os.environ["EXPECTED_TESTS"])
    if len(session.items) != expected:
        pytest.exit(
            f"{len(session.items)} tests were collected and {expected} were expected: set EXPECTED_TESTS in the "
            f"scenario's molecule.yml to what is right",
            returncode=1,
        )


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that scenarios make."""
    return Cluster("molecule")
