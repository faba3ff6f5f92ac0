"""The two machines of the scenario."""

import pytest
from platform_loki import Machine


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The machine with Loki."""
    return Machine("counter-loki-bookworm")


@pytest.fixture(scope="session")
def other() -> Machine:
    """The other machine, bare until a test runs the role on it."""
    return Machine("counter-loki-trixie")
