"""These tests take the environment `local` for themselves, so they run in the throwaway machine and nowhere else."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run beside somebody's environment."""
    if "COUNTER_PLATFORM_TEST_MACHINE" not in os.environ:
        pytest.exit(
            "tests/site removes the environment local, which may be yours here: run `make test JOBS=site`, which has a "
            "machine of its own for it",
            returncode=2,
        )
