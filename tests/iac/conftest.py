"""One AWS API and one initialised copy of the module for all tests, and the module's life on that API."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from iac.life import Life
from lib.aws import Aws, aws
from lib.paths import ROOT
from lib.terraform import MODULE, Terraform, copy_of, require_provider


@pytest.fixture(scope="session")
def api() -> Iterator[Aws]:
    """An AWS API on this machine, empty but for what Amazon itself puts there."""
    with aws() as running:
        yield running


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """The module with its provider, and a state on the disk: copies of it can be planned at once."""
    require_provider()
    folder = copy_of(MODULE, tmp_path_factory.mktemp("ready") / "solution")
    # Files with this ending take the place of what is written elsewhere.
    (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    terraform = Terraform(folder, {})
    terraform.init()
    return terraform


@pytest.fixture
def module(ready: Terraform, tmp_path: Path) -> Terraform:
    """A copy that a test may put faults into; it reaches no API."""
    return Terraform(copy_of(ready.folder, tmp_path / "solution"), {})


@pytest.fixture(scope="session")
def life(api: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The module's life in an environment as production, with its state in the API's bucket."""
    require_provider()
    inventory = tmp_path_factory.mktemp("inventories") / "molecule-aws"
    shutil.copytree(ROOT / "inventories/production", inventory)
    plugin = inventory / "logs.aws_ec2.yml"
    plugin.write_text(plugin.read_text().replace("tag:Environment: production", f"tag:Environment: {inventory.name}"))
    life = Life(api, inventory, tmp_path_factory.mktemp("applied") / "solution")
    yield life
    life.end()


@pytest.fixture(scope="session", autouse=True)
def begin(request: pytest.FixtureRequest) -> None:
    """Begin the life before the first test, where one of them will ask for it; that one gets the error too."""
    if any("life" in getattr(item, "fixturenames", ()) for item in request.session.items):
        with contextlib.suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            request.getfixturevalue("life")
