"""One AWS API and one initialised copy of the module for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_terraform import MODULE, Aws, Terraform, aws, copy_of

LOCAL_STATE = 'terraform {\n  backend "local" {}\n}\n'


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An AWS API on this machine, empty but for what Amazon itself puts there."""
    with aws(tmp_path_factory.mktemp("aws") / "moto.log") as running:
        yield running


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """The module with its provider, and a state on the disk: copies of it can be planned at once."""
    folder = copy_of(MODULE, tmp_path_factory.mktemp("ready") / "solution")
    # Files with this ending take the place of what is written elsewhere.
    (folder / "backend_override.tf").write_text(LOCAL_STATE)
    terraform = Terraform(folder, {})
    terraform.init()
    return terraform


@pytest.fixture
def module(ready: Terraform, tmp_path: Path) -> Terraform:
    """A copy that a test may put faults into; it reaches no API."""
    return Terraform(copy_of(ready.folder, tmp_path / "solution"), {})
