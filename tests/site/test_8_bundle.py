"""One file, and a machine of either Debian release that has no network: from nothing to the counted request."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.command import execute
from lib.machine import Machine, copy_project, make_image
from lib.wait import wait_for

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle in parts."""
    folder = tmp_path_factory.mktemp("bundles")
    execute("make", "bundle", f"FILE={folder / 'platform.bundle'}", "PART_MIB=700", timeout=3600).ok()
    return folder


@pytest.fixture(scope="module")
def newer(bundles: Path) -> Path:
    """A copy of the project at another commit, whose service is another one, with a bundle of its own beside it."""
    project = bundles / "newer"
    copy_project(project)
    with (project / "app/src/counter/__init__.py").open("a") as module:
        module.write('__doc__ += " This is another one."\n')
    (project / ".git/HEAD").write_text(f"{'f' * 40}\n")
    # In another copy, as this one goes into a machine; and not as the environment that is alive beside it.
    made = shutil.copytree(project, bundles / "made")
    beside = "ARGS=-e platform_environment=machines"
    execute("make", f"--directory={made}", "bundle", f"FILE={project}.bundle", beside, timeout=3600).ok()
    return project


@pytest.fixture(params=["bookworm", "trixie"])
def alone(request: pytest.FixtureRequest, bundles: Path) -> Iterator[Machine]:
    """A machine without a network, and with nothing of this one but the bundle."""
    make_image(request.param)
    machine = Machine(f"counter-test-alone-{request.param}", "tests/site")
    machine.start(request.param, [bundles], cache=None, network=False)
    yield machine
    machine.remove()


def test_from_nothing_to_logs_and_metrics_and_on_to_a_newer_bundle(alone: Machine, bundles: Path, newer: Path) -> None:
    bundle = f"BUNDLE={bundles / 'platform.bundle'}"
    assert alone.run("ip", "route").output == "", "it has a way out"
    run = alone.run("make", "up", bundle).ok()
    assert [alone.count() for _ in range(2)] == [1, 2]
    assert not re.search(r"^ *\d+ s  compile ", run.output, re.MULTILINE)
    assert alone.run("sh", "-c", "ip route | grep default").status == 1
    alone.run("make", "up", bundle).ok(changed=0).ok(changed=0, host="logs")

    def found() -> bool:
        return '"_msg"' in alone.run("make", "logs", bundle, "QUERY=app:counter | limit 5").output

    wait_for("lines of the service", found, 60)
    alone.run("make", "test", bundle).ok()

    alone.take(newer)
    other = f"BUNDLE={newer}.bundle"
    alone.run("make", "up", bundle).failed("f" * 40)
    kubectl = [".state/local/bin/kubectl", "--kubeconfig=.state/local/kubeconfig"]
    images = [*kubectl, "get", "deployments", "--all-namespaces", "--output=jsonpath={..image}"]
    older = alone.run(*images)
    assert "counter-platform/counter" in older.output
    alone.run("make", "up", other).ok()
    assert alone.run(*images).output != older.output
    assert [alone.count() for _ in range(2)] == [3, 4]
    alone.run("make", "down", other).ok()
    assert alone.run("docker", "ps", "--all", "--quiet").output == ""
