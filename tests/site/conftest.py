"""These tests take the environment `local` for themselves, so they run in the throwaway machine and nowhere else."""

import os

import pytest
from lib.command import execute


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run beside somebody's environment."""
    if "COUNTER_PLATFORM_TEST_MACHINE" not in os.environ:
        pytest.exit(
            "tests/site removes the environment local, which may be yours here: run `make test JOBS=site`, which has a "
            "machine of its own for it",
            returncode=2,
        )


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine, also where the tests of the bare machine have not installed one."""
    run = execute("ansible-playbook", "playbooks/engine.yml")
    assert run.status == 0, run.output


@pytest.fixture(scope="session")
def live() -> None:
    """A live environment `local`, also where a test of a later file is run alone."""
    run = execute("make", "up")
    assert run.status == 0, run.output
