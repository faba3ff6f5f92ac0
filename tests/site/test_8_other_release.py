"""The two commands on a bare machine of the other Debian release."""

import json
from collections.abc import Iterator

import pytest
from lib.command import Run, execute
from lib.machine import Machine, make_image

pytestmark = pytest.mark.soak
READ = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/', timeout=10).read().decode())"


@pytest.fixture
def bare() -> Iterator[Machine]:
    """A machine of Debian 13."""
    make_image("trixie")
    machine = Machine("counter-test-trixie", "tests/site")
    machine.start("trixie", [])
    yield machine
    machine.remove()


def on(machine: Machine, *command: str) -> Run:
    """Run a command on a machine."""
    return execute(*machine.command(*command, environment={"ANSIBLE_NOCOLOR": "1"}), timeout=3600)


def count(machine: Machine) -> int:
    """Send a request that counts from the machine itself and return its number."""
    return int(json.loads(on(machine, "python3", "-c", READ).output)["count"])


def test_up_ten_requests_the_tests_and_one_more(bare: Machine) -> None:
    run = on(bare, "make", "up")
    assert run.status == 0, run.output
    assert [count(bare) for _ in range(10)] == list(range(1, 11))
    again = on(bare, "make", "up")
    assert again.recap("changed") == 0, again.output
    tests = on(bare, "make", "test", "JOBS=bare lint")
    assert tests.status == 0, tests.output
    assert count(bare) == 11
    # As it was written on another machine.
    saved = json.dumps({"count": 214472, "environment": "local", "time": "2026-11-25T02:40:16Z"})
    on(bare, "sh", "-c", f"echo '{saved}' >/srv/count.json")
    restore = on(bare, "make", "restore", "FILE=/srv/count.json")
    assert restore.status == 0, restore.output
    assert count(bare) == 214473
    down = on(bare, "make", "down")
    assert down.status == 0, down.output
    assert on(bare, "docker", "ps", "--all", "--quiet").output == ""
