"""What the tests share: running a module as Ansible does, and a docker daemon that is left as it was found."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ansible_collections.counter.platform.plugins.modules.engine_probe import probe_root
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the docker daemon."""
    for item in items:
        if "docker_client" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def run_module(tmp_path: Path) -> RunModule:
    """Run a module in a process of its own, with its arguments on standard input, and return its result.

    The process is forked from this one, which has Ansible's library loaded already: there are over a hundred such runs.
    """

    def run(
        name: str, args: dict[str, Any], *, check: bool = False, env: dict[str, str] | None = None
    ) -> dict[str, Any]:
        arguments = {"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": True}}
        with tempfile.TemporaryDirectory() as folder:
            stdin, stdout, stderr = (Path(folder) / stream for stream in ("stdin", "stdout", "stderr"))
            stdin.write_text(json.dumps(arguments))
            child = os.fork()
            if child == 0:
                _become(name, tmp_path, env or {}, (stdin, stdout, stderr))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert stderr.read_text() == ""
            result: dict[str, Any] = json.loads(stdout.read_text())
        assert status == (1 if result.get("failed") else 0)
        return result

    return run


def _become(name: str, folder: Path, env: dict[str, str], streams: tuple[Path, Path, Path]) -> NoReturn:
    """Go on as the module, in a child process."""
    module = f"ansible_collections.counter.platform.plugins.modules.{name}"
    status: Any = 1
    try:
        os.chdir(folder)
        os.environ.update(env)
        os.dup2(os.open(streams[0], os.O_RDONLY), 0)
        for number, path in enumerate(streams[1:], start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = [name]
        # The tests imported some of the modules; each runs from its beginning.
        sys.modules.pop(module, None)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


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
    done = subprocess.run([client, "version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no docker daemon answers: {done.stderr.strip()}")
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
