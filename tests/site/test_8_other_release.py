"""The two commands on a bare machine of the other Debian release."""

import json
from collections.abc import Iterator

import pytest
from lib.machine import Machine, make_image

pytestmark = pytest.mark.soak


@pytest.fixture
def bare() -> Iterator[Machine]:
    make_image("trixie")
    machine = Machine("counter-test-trixie", "tests/site")
    machine.start("trixie", [])
    yield machine
    machine.remove()


def test_up_ten_requests_the_tests_and_one_more(bare: Machine) -> None:
    bare.run("make", "up").ok()
    assert [bare.count() for _ in range(10)] == list(range(1, 11))
    bare.run("make", "up").ok(changed=0)
    bare.run("make", "test", "JOBS=bare lint").ok()
    assert bare.count() == 11
    # As it was written on another machine.
    saved = json.dumps({"count": 214472, "environment": "local", "time": "2026-11-25T02:40:16Z"})
    bare.run("sh", "-c", f"echo '{saved}' >/srv/count.json")
    bare.run("make", "restore", "FILE=/srv/count.json").ok()
    assert bare.count() == 214473
    bare.run("make", "down").ok()
    assert bare.run("docker", "ps", "--all", "--quiet").output == ""
