"""The two commands on a bare machine of the other Debian release, whose Docker keeps images as new installations do."""

import json
from collections.abc import Iterator
from functools import partial

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


# containerd's image store saves layers compressed. What was built by another store is not taken from the cache.
# containerd's files cannot be on the machine's own file system, which is an overlay.
PREPARE = """
echo '{"features": {"containerd-snapshotter": true}}' >/etc/docker/daemon.json
mkdir -p /var/lib/docker/own/upper /var/lib/docker/own/work /srv/cache
own=upperdir=/var/lib/docker/own/upper,workdir=/var/lib/docker/own/work
mkdir -p /var/lib/docker/containerd /var/lib/containerd
mount --bind /var/lib/docker/containerd /var/lib/containerd
mount -t overlay overlay -o lowerdir=/root/.cache/counter-platform,$own /srv/cache
rm -rf /srv/cache/artifacts/counter-platform_node /srv/cache/artifacts/counter-platform_counter
"""


def test_up_ten_requests_the_tests_and_one_more(bare: Machine) -> None:
    bare.run("sh", "-ec", PREPARE).ok()
    run = partial(bare.run, environment={"COUNTER_PLATFORM_CACHE": "/srv/cache"})
    run("make", "up").ok()
    assert "io.containerd.snapshotter.v1" in run("docker", "info").output
    assert [bare.count() for _ in range(10)] == list(range(1, 11))
    run("make", "up").ok(changed=0)
    bare.run("make", "test", "JOBS=bare lint").ok()
    assert bare.count() == 11
    # As it was written on another machine.
    saved = json.dumps({"count": 214472, "environment": "local", "time": "2026-11-25T02:40:16Z"})
    bare.run("sh", "-c", f"echo '{saved}' >/srv/count.json")
    run("make", "restore", "FILE=/srv/count.json").ok()
    assert bare.count() == 214473
    run("make", "down").ok()
    assert bare.run("docker", "ps", "--all", "--quiet").output == ""
