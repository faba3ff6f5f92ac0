"""The instance on EC2, made while the tests of the container run: it takes a minute, and hardly computes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from lib.aws import aws
from lib.log_instance import Instance, Made
from lib.paths import ROOT
from lib.terraform import require_provider


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The role on an AWS API of its own."""
    require_provider()
    inventory = tmp_path_factory.mktemp("inventories") / "molecule-aws"
    shutil.copytree(ROOT / "inventories/production", inventory)
    plugin = inventory / "logs.aws_ec2.yml"
    plugin.write_text(plugin.read_text().replace("tag:Environment: production", f"tag:Environment: {inventory.name}"))
    with aws(tmp_path_factory.mktemp("aws") / "moto.log") as api:
        yield Instance(api, inventory)


@pytest.fixture(scope="session")
def making(instance: Instance) -> Iterator[Future[Made]]:
    """A playbook that needs the host, and the role in check mode and then for real."""

    def make() -> Made:
        missed = instance.playbook(path="molecule/log_instance/host.yml")
        promised = instance.playbook("--check", "--diff")
        return Made(missed, promised, instance.running(), instance.playbook())

    with ThreadPoolExecutor() as pool:
        yield pool.submit(make)


@pytest.fixture(scope="session", autouse=True)
def begin(request: pytest.FixtureRequest) -> None:
    """Begin to make the instance before the first test, where one of them will ask for it; that one gets the error."""
    if any("making" in getattr(item, "fixturenames", ()) for item in request.session.items):
        with contextlib.suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            request.getfixturevalue("making")
