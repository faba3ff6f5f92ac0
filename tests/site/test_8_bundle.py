"""One file, and a machine of either Debian release that has no network: from nothing to the counted request."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import Run, execute
from lib.machine import Machine, make_image
from lib.wait import wait_for

pytestmark = pytest.mark.soak
READ = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=10).read().decode())"


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


def on(machine: Machine, *command: str) -> Run:
    """Run a command on a machine."""
    return execute(*machine.command(*command, environment={"ANSIBLE_NOCOLOR": "1"}), timeout=1800)


def count(machine: Machine) -> int:
    """Send a request that counts from the machine itself and return its number."""
    return int(json.loads(on(machine, "python3", "-c", READ).output)["count"])


def test_from_nothing_to_a_counted_request_with_logs_and_metrics(alone: Machine, bundles: Path) -> None:
    bundle = f"BUNDLE={bundles / 'platform.bundle'}"
    before = on(alone, "ip", "route").output
    assert before == "", "it has a way out"
    begun = time.monotonic()
    run = on(alone, "make", "up", bundle)
    assert run.status == 0, run.output
    print(f"make {bundle} took {time.monotonic() - begun:.0f} s")
    assert count(alone) >= 2
    assert not re.search(r"^ *\d+ s  compile ", run.output, re.MULTILINE)
    assert on(alone, "sh", "-c", "ip route | grep default").status == 1
    again = on(alone, "make", "up", bundle)
    assert (again.status, again.recap("changed"), again.recap("changed", "logs")) == (0, 0, 0), again.output

    def found() -> bool:
        return '"_msg"' in on(alone, "make", "logs", bundle, "QUERY=app:counter | limit 5").output

    wait_for("lines of the service", found, 60)
    contracts = on(alone, "make", "test", bundle)
    assert contracts.status == 0, contracts.output
    down = on(alone, "make", "down", bundle)
    assert down.status == 0, down.output
    assert on(alone, "docker", "ps", "--all", "--quiet").output == ""
