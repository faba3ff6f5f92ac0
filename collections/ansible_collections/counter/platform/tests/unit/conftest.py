"""What the tests share: running a module as Ansible does, and a docker daemon that is left as it was found."""

import json
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils import commands
from ansible_collections.counter.platform.plugins.modules.engine_probe import probe_root
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule

FORK = multiprocessing.get_context("fork")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the docker daemon."""
    for item in items:
        if "docker_client" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def run_module(tmp_path: Path) -> RunModule:
    """Run a module with options in a process of its own, in check mode or not, and return its result.

    The process is forked from this one, which has Ansible's library loaded already: there are over a hundred such runs.
    """

    def run(name: str, /, *, check: bool = False, env: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check, "_ansible_diff": True}}
        with tempfile.TemporaryDirectory() as folder:
            stdin, stdout, stderr = streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            stdin.write_text(json.dumps(arguments))
            process = FORK.Process(target=become, args=(name, tmp_path, env or {}, streams))
            process.start()
            process.join()
            assert stderr.read_text() == ""
            result: dict[str, Any] = json.loads(stdout.read_text())
        assert process.exitcode == (1 if result.get("failed") else 0)
        # Ansible adds the options.
        result.pop("invocation", None)
        return result

    return run


def become(name: str, folder: Path, env: dict[str, str], streams: list[Path]) -> None:
    """Go on as a module, in a child process."""
    os.chdir(folder)
    os.environ.update(env)
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = [name]
    module = f"ansible_collections.counter.platform.plugins.modules.{name}"
    # The tests imported some of the modules; each runs from its beginning.
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache folder that does not exist yet, as on a machine's first run."""
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def docker_client() -> str:
    """Return the path of a docker client that reaches a daemon."""
    client = shutil.which("docker")
    if client is None:
        pytest.skip("no docker client is installed")
    try:
        commands.run([client, "version"])
    except commands.CommandError as error:
        pytest.skip(f"no docker daemon answers: {error}")
    return client


@pytest.fixture(scope="session")
def docker_session(docker_client: str) -> Iterator[Docker]:
    """Return the daemon and the prefix of every name in this run; nothing that has it is left at the end."""
    daemon = Docker(docker_client, f"counter-unit-{uuid.uuid4().hex[:8]}")
    yield daemon
    daemon.clean()
    assert not daemon.containers() | daemon.networks() | daemon.images()


@pytest.fixture
def docker(docker_session: Docker) -> Iterator[Docker]:
    """Return the daemon with a name for one test; what the test leaves under it is removed."""
    daemon = Docker(docker_session.client, f"{docker_session.name}-{uuid.uuid4().hex[:4]}")
    yield daemon
    daemon.clean()


@pytest.fixture(scope="session")
def shell_image(docker_session: Docker) -> str:
    """Return the name of an image with the host's shell and nothing else."""
    image = f"{docker_session.name}-shell:1"
    docker_session("import", "-", image, stdin=probe_root())
    return image
