"""One file, and a machine of either Debian release that has no network: from nothing to the counted request."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import execute
from lib.machine import Machine, make_image
from lib.wait import wait_for

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle in parts."""
    folder = tmp_path_factory.mktemp("bundles")
    run = execute("make", "bundle", f"FILE={folder / 'platform.bundle'}", "PART_MIB=700", timeout=3600)
    assert run.status == 0, run.output
    return folder


@pytest.fixture(params=["bookworm", "trixie"])
def alone(request: pytest.FixtureRequest, bundles: Path) -> Iterator[Machine]:
    """A machine without a network, and with nothing of this one but the bundle."""
    make_image(request.param)
    machine = Machine(f"counter-test-alone-{request.param}", "tests/site")
    machine.start(request.param, [bundles], cache=None, network=False)
    yield machine
    machine.remove()


def test_from_nothing_to_a_counted_request_with_logs_and_metrics(alone: Machine, bundles: Path) -> None:
    bundle = f"BUNDLE={bundles / 'platform.bundle'}"
    before = alone.run("ip", "route").output
    assert before == "", "it has a way out"
    run = alone.run("make", "up", bundle)
    assert run.status == 0, run.output
    assert [alone.count() for _ in range(2)] == [1, 2]
    assert not re.search(r"^ *\d+ s  compile ", run.output, re.MULTILINE)
    assert alone.run("sh", "-c", "ip route | grep default").status == 1
    again = alone.run("make", "up", bundle)
    assert (again.status, again.recap("changed"), again.recap("changed", "logs")) == (0, 0, 0), again.output

    def found() -> bool:
        return '"_msg"' in alone.run("make", "logs", bundle, "QUERY=app:counter | limit 5").output

    wait_for("lines of the service", found, 60)
    contracts = alone.run("make", "test", bundle)
    assert contracts.status == 0, contracts.output
    down = alone.run("make", "down", bundle)
    assert down.status == 0, down.output
    assert alone.run("docker", "ps", "--all", "--quiet").output == ""
